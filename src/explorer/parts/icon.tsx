/** Icons of one set: 16 units wide, lines of 1.6, in the colour of the text. A text beside an icon says the same. */
const PATHS = {
  alert: 'M8 1.8 14.8 13.6H1.2ZM8 6v3.4M8 11.6v.1',
  arrow: 'M3 8h10M9 4l4 4-4 4',
  check: 'M8 1.4 13.6 3.6v4c0 3.4-2.3 5.7-5.6 7-3.3-1.3-5.6-3.6-5.6-7v-4ZM5.4 7.9 7.3 9.8 10.8 6',
  clock: 'M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8ZM8 4.6V8l2.3 1.5',
  close: 'M3.5 3.5l9 9M12.5 3.5l-9 9',
  copy: 'M5.5 5.5h8v8h-8ZM10.5 5.5v-3h-8v8h3',
  cross: 'M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8ZM5.8 5.8l4.4 4.4M10.2 5.8l-4.4 4.4',
  download: 'M8 2v8M4.8 7 8 10.2 11.2 7M2.5 13.6h11',
  info: 'M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8ZM8 7.2v3.6M8 5v.1',
  key: 'M10.6 2a3.4 3.4 0 1 0 0 6.8 3.4 3.4 0 0 0 0-6.8ZM8.2 7.8 2.4 13.6M4.6 11.4l1.6 1.6',
  link: 'M6.6 9.4 9.4 6.6M7.4 4.6l1.4-1.4a2.9 2.9 0 0 1 4 4l-1.4 1.4M8.6 11.4l-1.4 1.4a2.9 2.9 0 0 1-4-4l1.4-1.4',
  node: 'M8 2.2a1.6 1.6 0 1 0 0 3.2 1.6 1.6 0 0 0 0-3.2ZM3.4 10.4a1.6 1.6 0 1 0 0 3.2 1.6 1.6 0 0 0 0-3.2ZM12.6 10.4a1.6 1.6 0 1 0 0 3.2 1.6 1.6 0 0 0 0-3.2ZM7.2 5.2 4.3 10.5M8.8 5.2l2.9 5.3M5 12h6',
  person: 'M8 2a2.9 2.9 0 1 0 0 5.8A2.9 2.9 0 0 0 8 2ZM2.6 14c.4-2.9 2.6-4.4 5.4-4.4s5 1.5 5.4 4.4',
  qr: 'M2.2 2.2h4.4v4.4H2.2ZM9.4 2.2h4.4v4.4H9.4ZM2.2 9.4h4.4v4.4H2.2ZM9.4 9.4h1.4v1.4M13.8 9.4v1.4M9.4 13.8h1.4M12.4 12.4h1.4v1.4',
  search: 'M7 2.2a4.8 4.8 0 1 0 0 9.6 4.8 4.8 0 0 0 0-9.6ZM10.6 10.6 14 14',
  upload: 'M8 10.2V2.2M4.8 5.2 8 2l3.2 3.2M2.5 13.6h11',
} as const

export type IconName = keyof typeof PATHS

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  )
}
