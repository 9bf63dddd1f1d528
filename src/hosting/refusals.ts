import type { HostingMode, HostingRefusal } from './types.ts'

/** Why an avatar that is on no list, or has left, is not taken. */
export function notHosted(mode: HostingMode, homes: readonly string[]): HostingRefusal {
  const why =
    mode === 'listed'
      ? 'This node keeps the avatars on its list alone, and this one is not among them.'
      : 'This node has let this avatar go, and keeps nothing of it.'
  const where = homes.length > 0 ? ` It lives at ${homes.join(', ')}.` : ''
  return refusalOf('not_hosted', homes, `${why}${where} Its owner can ask to be taken in: avatar-kv host request.`)
}

export function refusalOf(
  code: HostingRefusal['code'],
  homes: readonly string[],
  message = 'The operator of this node has blocked this avatar. Another node may have it.',
): HostingRefusal {
  return { code, message, retry: false, homes }
}
