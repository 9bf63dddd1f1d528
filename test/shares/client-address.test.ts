import { describe, expect, it } from 'vitest'

import { createClientAddresses } from '../../src/shares/client-address.ts'
import { cpuMs } from '../support/cpu.ts'

const PROXIES = ['loopback', '10.0.0.0/8', '2001:db8:ffff::/48']

function clientOf(remoteAddress: string, headers: Record<string, string> = {}, trusted: readonly string[] = PROXIES) {
  const socket = { remoteAddress } as never
  const { address, key, isShared } = createClientAddresses(trusted).ofRequest({ socket, headers })
  return isShared === true ? `${key} shared` : address === key ? key : `${address} in ${key}`
}

const forwardedFor = (text: string) => ({ 'x-forwarded-for': text })

describe('the client of a request', () => {
  it.each([
    ['nobody else, without a proxy', '192.0.2.1', {}, '192.0.2.1'],
    ['its peer, whatever a stranger claims', '192.0.2.1', forwardedFor('198.51.100.1'), '192.0.2.1'],
    ['named by the proxy', '127.0.0.1', forwardedFor('198.51.100.1'), '198.51.100.1'],
    ['named by a proxy on a socket of both families', '::ffff:127.0.0.1', forwardedFor('198.51.100.1'), '198.51.100.1'],
    [
      'the rightmost, for the rest was sent by the client',
      '::1',
      forwardedFor('1.1.1.1, 198.51.100.1'),
      '198.51.100.1',
    ],
    ['the one before trusted proxies', '::1', forwardedFor('1.1.1.1, 198.51.100.1, 10.1.1.1'), '198.51.100.1'],
    ['with a port', '::1', forwardedFor('198.51.100.1:443'), '198.51.100.1'],
    ['an IPv6 network', '::1', forwardedFor('2001:db8::1'), '2001:db8::1 in 2001:db8:0:0::/64'],
    ['in brackets', '::1', forwardedFor('[2001:db8::1]:443'), '2001:db8::1 in 2001:db8:0:0::/64'],
    ['mapped', '::1', forwardedFor('::ffff:198.51.100.1'), '198.51.100.1'],
    ['in Forwarded', '::1', { forwarded: 'for=198.51.100.1;proto=https' }, '198.51.100.1'],
    ['quoted in Forwarded', '::1', { forwarded: 'by=x; For="[2001:db8::1]:4711"' }, '2001:db8::1 in 2001:db8:0:0::/64'],
    ['the last in Forwarded', '::1', { forwarded: 'for=1.1.1.1, for=198.51.100.1' }, '198.51.100.1'],
    [
      'what both headers name',
      '::1',
      { ...forwardedFor('1.1.1.1, 198.51.100.1'), forwarded: 'for=2.2.2.2, for="198.51.100.1:443"' },
      '198.51.100.1',
    ],
    ['the proxy, if it names nobody', '127.0.0.1', {}, '127.0.0.1 shared'],
    [
      'the last known proxy, if the name is hidden',
      '::1',
      forwardedFor('1.1.1.1, _hidden, 10.1.1.1'),
      '10.1.1.1 shared',
    ],
    ['the proxy, if the header is nonsense', '::1', forwardedFor(', ,\u0000,'), '::1 shared'],
    ['a proxy, if all are trusted', '::1', forwardedFor('10.0.0.1, 10.0.0.2'), '10.0.0.1 shared'],
  ])('is %s', (_what, peer, headers, client) => {
    expect(clientOf(peer, headers)).toBe(client)
  })

  it('is nobody that a stranger chooses in the header that the proxy passes on', () => {
    const real = '198.51.100.1'
    const proxies = [
      // One proxy that sets X-Forwarded-For, one that sets Forwarded, and two of the latter in a row.
      (forged: string) => ({ ...forwardedFor(real), forwarded: forged }),
      (_: string, forged: string) => ({ ...forwardedFor(forged), forwarded: `for=${real}` }),
      (_: string, forged: string) => ({
        ...forwardedFor(`${forged}, 10.0.0.1`),
        forwarded: `for=${real}, for=10.0.0.1`,
      }),
    ]
    for (const proxy of proxies) {
      const keys = ['2.2.2.2', '3.3.3.3', '_hidden', '', '10.0.0.9'].map((forged) =>
        clientOf('127.0.0.1', proxy(`for=${forged}`, forged)),
      )
      // Neither another host's share, nor a fresh one, nor the proxy's, which is greater than a host's.
      expect(new Set(keys)).toEqual(new Set(['127.0.0.1 in contradicting headers by 127.0.0.1']))
    }
  })

  it('is its peer if nobody is trusted', () => {
    expect(clientOf('127.0.0.1', forwardedFor('198.51.100.1'), ['none'])).toBe('127.0.0.1')
  })

  it('costs in a header of 16 KiB what it costs in as many bytes of shorter ones', async () => {
    const find = (count: number, addresses: number) => () => {
      for (let n = 0; n < count; n++) clientOf('127.0.0.1', forwardedFor('10.0.0.1,'.repeat(addresses)))
    }
    find(1_000, 180)()
    const short = await cpuMs(find(5_000, 180))
    expect(await cpuMs(find(500, 1_800))).toBeLessThan(4 * short)
  })
})
