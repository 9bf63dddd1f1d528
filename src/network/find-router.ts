import type { Router } from './router.ts'

/** Finds the router beside one of this machine's addresses, by UPnP or else NAT-PMP. Undefined if none answers. */
export async function findRouter(local: string): Promise<Router | undefined> {
  // Loaded here, so that a node without them starts without them.
  const { findUpnpRouter } = await import('./upnp.ts')
  const found = await findUpnpRouter(local)
  if (found !== undefined) return found
  const { defaultGateway, natPmpRouter } = await import('./nat-pmp.ts')
  const gateway = await defaultGateway()
  if (gateway === undefined) return undefined
  const router = natPmpRouter(gateway)
  const answers = await router.externalIp().then(
    () => true,
    () => false,
  )
  return answers ? router : undefined
}
