import type { Profile } from '../../client/index.ts'

/** Cells of an identicon: 5 columns, of which the right two mirror the left two. */
const SIDE = 5
const HALF = 3

interface Props {
  readonly avatar: string
  readonly profile: Pick<Profile, 'picture'>
}

/**
 * The embedded picture of an avatar, or an identicon of its key. A picture at an address is not loaded: its server would learn who
 * looks. It says nothing that the text beside it does not say.
 */
export function Face({ avatar, profile }: Props) {
  const { picture } = profile
  if (picture?.startsWith('data:') === true) return <img class="face" src={picture} alt="" width="36" height="36" />
  return <Identicon avatar={avatar} />
}

/**
 * A picture that follows from the key alone, so that two avatars of one name look different. The last 20 hex digits decide: 15 cells by
 * one bit each, then the hue. The first digits are the same for many keys.
 */
function Identicon({ avatar }: { avatar: string }) {
  const digits = [...avatar.slice(-20)].map((digit) => Number.parseInt(digit, 16) || 0)
  const hue = (((digits[15] ?? 0) * 256 + (digits[16] ?? 0) * 16 + (digits[17] ?? 0)) * 360) / 4_096
  const cells = digits.slice(0, SIDE * HALF).flatMap((digit, at) => {
    if (digit % 2 === 0) return []
    const [x, y] = [at % HALF, Math.floor(at / HALF)]
    return x === SIDE - 1 - x
      ? [[x, y]]
      : [
          [x, y],
          [SIDE - 1 - x, y],
        ]
  })
  return (
    <svg class="face" viewBox="-1 -1 7 7" aria-hidden="true" focusable="false" shape-rendering="crispEdges">
      <rect x="-1" y="-1" width="7" height="7" fill={`hsl(${hue} 42% 90%)`} />
      <path d={cells.map(([x, y]) => `M${x} ${y}h1v1h-1z`).join('')} fill={`hsl(${hue} 45% 38%)`} />
    </svg>
  )
}
