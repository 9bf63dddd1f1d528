import type { Lane } from '../data/lanes.ts'

const GAP = 12
const ROW = 44

/** The branches beside a record: a line for each, a dot for the record, and where lines part and join. */
export function BranchLines({ lane: { at, above, below, to } }: { lane: Lane }) {
  const width = (Math.max(at, ...above, ...below, ...to) + 1) * GAP
  const x = (n: number): number => n * GAP + GAP / 2
  const middle = ROW / 2
  const through = above.filter((each) => each !== at && below.includes(each))
  return (
    <div class="branches" aria-hidden="true">
      <svg width={width} height={ROW} viewBox={`0 0 ${width} ${ROW}`}>
        {through.map((each) => (
          <path key={each} d={`M${x(each)} 0V${ROW}`} />
        ))}
        {above.includes(at) && <path d={`M${x(at)} 0V${middle}`} />}
        {to.map((each) => (
          <path key={`to ${each}`} d={`M${x(at)} ${middle}C${x(at)} ${ROW} ${x(each)} ${middle} ${x(each)} ${ROW}`} />
        ))}
        <circle cx={x(at)} cy={middle} r="4" />
      </svg>
      {/* Beside an open record the lines go on. */}
      <svg class="rest" width={width} height="100%" viewBox={`0 0 ${width} 10`} preserveAspectRatio="none">
        {below.map((each) => (
          <path key={each} d={`M${x(each)} 0V10`} />
        ))}
      </svg>
    </div>
  )
}
