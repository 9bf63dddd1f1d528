import type { HostingMode, HostingRefusal } from './types.ts'

/** The refusal for an avatar that is not on the list or has left. */
export function notHosted(mode: HostingMode, homes: readonly string[]): HostingRefusal {
  const why =
    mode === 'listed'
      ? 'This node only hosts the avatars on its list, and this avatar is not on it.'
      : 'This node no longer hosts this avatar and has deleted its records.'
  const where = homes.length > 0 ? ` The avatar lives at ${homes.join(', ')}.` : ''
  return refusalOf('not_hosted', homes, `${why}${where} Its owner can ask for hosting with avatar-kv host request.`)
}

export function refusalOf(
  code: HostingRefusal['code'],
  homes: readonly string[],
  message = 'The operator of this node has blocked this avatar. Another node may have it.',
): HostingRefusal {
  return { code, message, retry: false, homes }
}
