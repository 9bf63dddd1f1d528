import { expect, test } from 'vitest'
import { isPublicAddress } from '../../src/shares/public-address.ts'

/** First and last address of each net that is none of the public internet, and what is written in some other way. */
const PRIVATE: readonly (readonly string[])[] = [
  ['this network', '0.0.0.0', '0.255.255.255'],
  ['private', '10.0.0.0', '10.255.255.255', '172.16.0.0', '172.31.255.255', '192.168.0.0', '192.168.255.255'],
  ['shared by carriers', '100.64.0.0', '100.127.255.255'],
  ['loopback', '127.0.0.1', '127.255.255.255', '::1'],
  ['link-local and metadata', '169.254.0.0', '169.254.169.254', '169.254.255.255', 'fe80::1', 'febf::1'],
  ['protocol assignments', '192.0.0.0', '192.0.0.171', '192.0.0.255', '2001::', '2001:1ff:ffff::1'],
  [
    'documentation',
    '192.0.2.1',
    '198.51.100.7',
    '203.0.113.255',
    '2001:db8::1',
    '2001:db8:ffff::',
    '3fff::1',
    '3fff:fff::',
  ],
  ['relays of 6to4, AS112, AMT', '192.88.99.1', '192.31.196.1', '192.175.48.1', '192.52.193.1', '2620:4f:8000::1'],
  ['benchmarks', '198.18.0.0', '198.19.255.255'],
  ['multicast', '224.0.0.1', '239.255.255.255', 'ff02::1', 'ff0e::1'],
  ['reserved and broadcast', '240.0.0.0', '255.255.255.255'],
  ['unspecified', '::', '0.0.0.0'],
  ['unique local', 'fc00::1', 'fdff:ffff::1', 'fd00:ec2::254'],
  ['site-local', 'fec0::1', 'feff::1'],
  ['discard, and segments', '100::1', '5f00::1'],
  ['mapped', '::ffff:127.0.0.1', '::ffff:7f00:1', '::FFFF:10.0.0.1', '0:0:0:0:0:ffff:a9fe:a9fe', '::ffff:0:0'],
  ['compatible, given up', '::127.0.0.1', '::8.8.8.8'],
  ['translated', '::ffff:0:127.0.0.1', '::ffff:0:808:808'],
  ['NAT64', '64:ff9b::127.0.0.1', '64:ff9b::a00:1', '64:ff9b::c0a8:101', '64:ff9b:1::808:808', '64:ff9b::1:808:808'],
  ['6to4', '2002:7f00:1::', '2002:a00:1::1', '2002:c0a8:101:1::1', '2002:a9fe:a9fe::'],
  ['Teredo and ORCHID', '2001:0:4136:e378:8000:63bf:3fff:fdd2', '2001:10::1', '2001:20::1'],
  ['with a zone', 'fe80::1%eth0', '2606:4700::1111%1'],
  [
    'no address',
    '',
    'localhost',
    '1.1.1',
    '1.1.1.1.1',
    '0x7f.0.0.1',
    '2130706433',
    '127.1',
    '[::1]',
    ' 8.8.8.8',
    '1.1.1.256',
  ],
]

test.each(PRIVATE.map(([what, ...addresses]) => ({ what, addresses })))('$what: not public', ({ addresses }) => {
  expect(addresses.filter(isPublicAddress)).toEqual([])
})

const PUBLIC = [
  ...[
    '1.1.1.1',
    '8.8.8.8',
    '9.255.255.255',
    '11.0.0.0',
    '100.63.255.255',
    '100.128.0.0',
    '126.255.255.255',
    '128.0.0.0',
  ],
  ...['169.253.255.255', '169.255.0.0', '172.15.255.255', '172.32.0.0', '192.0.1.0', '192.0.3.0', '192.167.255.255'],
  ...['192.169.0.0', '198.17.255.255', '198.20.0.0', '203.0.112.255', '203.0.114.0', '223.255.255.255'],
  ...[
    '2000::1',
    '2606:4700:4700::1111',
    '2001:200::1',
    '2001:4860:4860::8888',
    '2001:db7:ffff::1',
    '2001:db9::',
    '3ffe::1',
  ],
  ...['::ffff:8.8.8.8', '::ffff:808:808', '64:ff9b::8.8.8.8', '64:ff9b::808:808', '2002:808:808::1'],
]

test('the neighbours of those nets, and what holds a public address, are', () => {
  expect(PUBLIC.filter((address) => !isPublicAddress(address))).toEqual([])
})
