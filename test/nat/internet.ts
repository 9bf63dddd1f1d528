import type { Lab, Machine } from './lab.ts'

export const NODE_PORT = 4382

/** Addresses of the lab's internet: public ones, though no packet leaves this machine. */
export const PUBLIC = {
  hub: '45.10.0.1',
  router: '45.20.0.1',
  moved: '45.20.9.9',
  carrier: '45.30.0.1',
  open: '45.40.0.1',
}

export async function addRoutes(machine: Machine, gateway: string): Promise<void> {
  await machine.exec('ip', 'route', 'add', 'default', 'via', gateway)
}

/** Makes a machine hide those behind it (masquerade), and drop what comes from outside unasked. */
export async function masquerade(router: Machine): Promise<void> {
  await router.exec('sysctl', '-qw', 'net.ipv4.ip_forward=1')
  const rules = [
    'add table ip nat',
    'add chain ip nat post { type nat hook postrouting priority 100 ; }',
    'add chain ip nat pre { type nat hook prerouting priority -100 ; }',
    'add rule ip nat post oifname "wan" masquerade',
    'add table ip guard',
    'add chain ip guard forward { type filter hook forward priority 0 ; policy accept ; }',
    'add rule ip guard forward iifname "wan" ct status dnat accept',
    'add rule ip guard forward iifname "wan" ct state new drop',
    'add chain ip guard input { type filter hook input priority 0 ; policy accept ; }',
    'add rule ip guard input iifname "wan" ct state new drop',
  ]
  for (const rule of rules) await router.exec('nft', rule)
}

/** A public machine, and a home behind a router that masquerades. */
export async function homeBehindRouter(lab: Lab): Promise<Record<'hub' | 'router' | 'home', Machine>> {
  const [hub, router, home] = (await Promise.all(['hub', 'router', 'home'].map((name) => lab.machine(name)))) as [
    Machine,
    Machine,
    Machine,
  ]
  await lab.link('internet', [
    { machine: hub, device: 'wan', address: `${PUBLIC.hub}/8` },
    { machine: router, device: 'wan', address: `${PUBLIC.router}/8` },
  ])
  await lab.link('lan', [
    { machine: router, device: 'lan', address: '192.168.1.1/24' },
    { machine: home, device: 'eth0', address: '192.168.1.20/24' },
  ])
  await addRoutes(home, '192.168.1.1')
  await masquerade(router)
  return { hub, router, home }
}
