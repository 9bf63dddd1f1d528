interface Props {
  readonly values: readonly number[]
  /** For screen readers. */
  readonly label: string
}

const HEIGHT = 32

/** Numbers over time as a line over an area. */
export function Sparkline({ values, label }: Props) {
  const most = Math.max(1, ...values)
  const at = (value: number, n: number): string => `${n} ${HEIGHT - 1 - (value / most) * (HEIGHT - 4)}`
  const line = values.map(at).join('L')
  const end = Math.max(1, values.length - 1)
  return (
    <svg class="chart spark" viewBox={`0 0 ${end} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={label}>
      <path class="area" d={`M0 ${HEIGHT}L${line}L${end} ${HEIGHT}Z`} />
      <path class="line" d={`M${line}`} />
    </svg>
  )
}

/** Numbers over time as bars. */
export function Bars({ values, label }: Props) {
  const most = Math.max(1, ...values)
  return (
    <svg
      class="chart bars"
      viewBox={`0 0 ${values.length * 4} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={label}
    >
      {values.map((value, n) => {
        const height = value === 0 ? 1 : 3 + (value / most) * (HEIGHT - 3)
        return (
          <rect
            key={n}
            class={value === 0 ? 'none-mark' : 'bar-mark'}
            x={n * 4}
            y={HEIGHT - height}
            width="3"
            height={height}
          />
        )
      })}
    </svg>
  )
}
