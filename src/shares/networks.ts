import { BlockList, isIPv4, isIPv6 } from 'node:net'

/** In a list of networks: 127.0.0.0/8 and ::1. */
const LOOPBACK = 'loopback'
/** In a list of networks, alone: the list is empty. */
const NONE = 'none'

/**
 * Whether an IP address is in one of the networks.
 *
 * @param networks IP addresses, networks such as `10.0.0.0/8`, `loopback`, or `none` alone; checked by `networkProblem`
 */
export function createNetworkList(networks: readonly string[]): (address: string) => boolean {
  const list = new BlockList()
  for (const text of networks) add(list, text)
  return (address) => (isIPv4(address) ? list.check(address, 'ipv4') : isIPv6(address) && list.check(address, 'ipv6'))
}

/** Why a text is not valid in a list of networks; undefined if it is. */
export function networkProblem(text: string, networks: readonly string[]): string | undefined {
  if (text === NONE) return networks.length === 1 ? undefined : `${NONE} must stand alone`
  try {
    add(new BlockList(), text)
    return undefined
  } catch {
    return 'this is neither an IP address nor a network'
  }
}

/** @throws an error if the text is not an address, a network or a known word */
function add(list: BlockList, text: string): void {
  if (text === NONE) return
  if (text === LOOPBACK) {
    list.addSubnet('127.0.0.0', 8, 'ipv4')
    list.addAddress('::1', 'ipv6')
    return
  }
  const [address = '', bits, ...rest] = text.split('/')
  const family = isIPv4(address) ? 'ipv4' : 'ipv6'
  if (rest.length > 0 || (bits !== undefined && !/^\d{1,3}$/.test(bits))) throw new RangeError('no network')
  if (bits === undefined) list.addAddress(address, family)
  else list.addSubnet(address, Number(bits), family)
}
