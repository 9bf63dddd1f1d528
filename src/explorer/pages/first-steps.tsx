import { Icon, type IconName } from '../parts/icon.tsx'

const STEPS: readonly {
  readonly href: string
  readonly icon: IconName
  readonly title: string
  readonly text: string
}[] = [
  {
    href: '#/write',
    icon: 'person',
    title: 'Make a profile',
    text: 'Sign with a wallet, or with a new key. It takes a minute.',
  },
  {
    href: '#/archives',
    icon: 'upload',
    title: 'Import an archive',
    text: 'Bring an avatar from another host. Your browser checks the file first.',
  },
  {
    href: '#/network?connect',
    icon: 'node',
    title: 'Connect a peer',
    text: 'Nodes that know each other share their records.',
  },
]

/** For a host that holds nothing yet: three ways to begin. */
export function FirstSteps() {
  return (
    <section aria-labelledby="begin">
      <h2 id="begin">Nothing here yet. Three ways to begin</h2>
      <ul class="list first-steps">
        {STEPS.map(({ href, icon, title, text }) => (
          <li key={href}>
            <a href={href}>
              <Icon name={icon} />
              <strong>{title}</strong>
              <span>{text}</span>
            </a>
          </li>
        ))}
      </ul>
    </section>
  )
}
