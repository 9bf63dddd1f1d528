/**
 * Asks a router by UPnP (Internet Gateway Device 1 and 2) to forward a port. Our own code: @achingbrain/nat-port-mapper 4 knows version 2 alone, which few routers at
 * home speak, fetches any URL that a device on the link names, and reads answers without a bound.
 */
import { createSocket } from 'node:dgram'
import { request } from 'node:http'
import { isIPv4 } from 'node:net'

import { messageOf } from '../platform/errors.ts'
import { NetworkError } from './errors.ts'
import { scopeOfIp } from './reach.ts'
import { ANSWER_MS, FORWARD_SECONDS } from './router.ts'
import type { Router } from './router.ts'

const SSDP_ADDRESS = '239.255.255.250'
const SSDP_PORT = 1900
const DEVICES = [1, 2].map((version) => `urn:schemas-upnp-org:device:InternetGatewayDevice:${version}`)
/** Devices answer at a random time within this. */
const SEARCH_SECONDS = 2
/** Devices that are asked for their description. */
const MAX_DEVICES = 4
const MAX_ANSWER_BYTES = 65_536
/** Codes of errors (WANIPConnection, section 2.4.16). */
const PORT_IS_TAKEN = '718'
const NO_LEASES = '725'
const OTHER_PORTS = 3

/** Searches the link of one of this machine's addresses. Undefined if no router answers there. */
export async function findUpnpRouter(local: string): Promise<Router | undefined> {
  for (const location of await searchDevices(local)) {
    try {
      const router = await upnpRouterAt(location, local)
      if (router !== undefined) return router
    } catch {
      // Another device may be the router.
    }
  }
  return undefined
}

/** The router whose description is at an address; undefined if it forwards no ports. */
export async function upnpRouterAt(location: URL, local: string): Promise<Router | undefined> {
  const service = serviceIn(await fetchText(location), location)
  return service === undefined ? undefined : upnpRouter(service, local)
}

interface Service {
  readonly type: string
  readonly control: URL
}

function upnpRouter({ type, control }: Service, local: string): Router {
  async function call(action: string, values: Readonly<Record<string, string | number>>): Promise<string> {
    const members = Object.entries(values).map(([name, value]) => `<${name}>${value}</${name}>`)
    const body =
      '<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" ' +
      's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>' +
      `<u:${action} xmlns:u="${type}">${members.join('')}</u:${action}></s:Body></s:Envelope>`
    return fetchText(control, { action: `"${type}#${action}"`, body })
  }
  const add = (port: number, external: number, seconds: number): Promise<string> =>
    call('AddPortMapping', {
      NewRemoteHost: '',
      NewExternalPort: external,
      NewProtocol: 'TCP',
      NewInternalPort: port,
      NewInternalClient: local,
      NewEnabled: 1,
      NewPortMappingDescription: 'avatar-kv',
      NewLeaseDuration: seconds,
    })
  /** The ports on its side. */
  const ports = new Map<number, number>()
  return {
    speaks: 'UPnP',
    externalIp: async () => element(await call('GetExternalIPAddress', {}), 'NewExternalIPAddress') ?? '',
    async forward(port) {
      let external = ports.get(port) ?? port
      let seconds = FORWARD_SECONDS
      for (let tries = 0; ; tries += 1) {
        try {
          await add(port, external, seconds)
          ports.set(port, external)
          return external
        } catch (error) {
          const code = error instanceof UpnpError ? error.code : undefined
          if (tries >= OTHER_PORTS || (code !== PORT_IS_TAKEN && code !== NO_LEASES)) throw refused(error)
          if (code === NO_LEASES) seconds = 0
          // Another machine behind the router has it.
          else external = 1024 + ((external + 7919) % 64_000)
        }
      }
    },
    async release(port) {
      const external = ports.get(port) ?? port
      await call('DeletePortMapping', { NewRemoteHost: '', NewExternalPort: external, NewProtocol: 'TCP' })
    },
  }
}

class UpnpError extends Error {
  readonly code: string
  constructor(code: string, description: string) {
    super(`${code} ${description}`)
    this.code = code
  }
}

const refused = (error: unknown): NetworkError =>
  new NetworkError('router_refused', `The router refused: ${messageOf(error)}.`, { cause: error })

/** Where devices on the link that say they are routers have their descriptions. */
function searchDevices(local: string): Promise<URL[]> {
  return new Promise((resolve) => {
    const found = new Map<string, URL>()
    const socket = createSocket('udp4')
    const end = (): void => {
      clearTimeout(timer)
      socket.close()
      resolve([...found.values()])
    }
    const timer = setTimeout(end, SEARCH_SECONDS * 1000 + 500)
    socket.on('error', end)
    socket.on('message', (answer, { address }) => {
      const location = /^location:\s*(\S+)\s*$/im.exec(answer.toString('latin1'))?.[1]
      if (location === undefined || !URL.canParse(location) || found.size >= MAX_DEVICES) return
      const url = new URL(location)
      // A device speaks for itself alone: it must not direct this node elsewhere.
      if (url.protocol === 'http:' && url.hostname === address && scopeOfIp(address) === 'private')
        found.set(url.href, url)
    })
    socket.bind(0, local, () => {
      socket.setMulticastInterface(local)
      for (const device of DEVICES) {
        const lines = [
          `HOST: ${SSDP_ADDRESS}:${SSDP_PORT}`,
          'MAN: "ssdp:discover"',
          `MX: ${SEARCH_SECONDS}`,
          `ST: ${device}`,
        ]
        socket.send(`M-SEARCH * HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`, SSDP_PORT, SSDP_ADDRESS, () => undefined)
      }
    })
  })
}

/** The service that forwards ports, of a description. */
function serviceIn(description: string, location: URL): Service | undefined {
  for (const [text] of description.matchAll(/<service>[\s\S]*?<\/service>/g)) {
    const type = element(text, 'serviceType') ?? ''
    const path = element(text, 'controlURL') ?? ''
    if (!/^urn:schemas-upnp-org:service:WAN(IP|PPP)Connection:[12]$/.test(type) || !URL.canParse(path, location))
      continue
    const control = new URL(path, location)
    if (control.protocol === 'http:' && control.hostname === location.hostname) return { type, control }
  }
  return undefined
}

function element(xml: string, name: string): string | undefined {
  return new RegExp(`<${name}(?: [^>]*)?>([^<]*)<`).exec(xml)?.[1]?.trim()
}

/** GETs an address, or POSTs a call to it. Follows no redirection. */
function fetchText(url: URL, soap?: { readonly action: string; readonly body: string }): Promise<string> {
  return new Promise((resolve, reject) => {
    if (!isIPv4(url.hostname)) throw new Error('The device names no IPv4 address.')
    const headers = soap === undefined ? {} : { 'content-type': 'text/xml; charset="utf-8"', soapaction: soap.action }
    const method = soap === undefined ? 'GET' : 'POST'
    const asking = request(
      url,
      { method, headers, agent: false, signal: AbortSignal.timeout(ANSWER_MS) },
      (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (piece: string) => {
          text += piece
          if (text.length > MAX_ANSWER_BYTES) asking.destroy(new Error('The answer of the device is too large.'))
        })
        response.on('error', reject)
        response.on('end', () => {
          if (response.statusCode === 200) return resolve(text)
          const code = element(text, 'errorCode') ?? String(response.statusCode)
          reject(new UpnpError(code.slice(0, 8), (element(text, 'errorDescription') ?? '').slice(0, 80)))
        })
      },
    )
    asking.on('error', reject)
    asking.end(soap?.body)
  })
}
