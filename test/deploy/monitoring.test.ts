import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createCluster, type Cluster, type NodeProcess } from '../support/cluster.ts'
import { freePort } from '../support/ports.ts'
import { until } from '../support/until.ts'
import { createWriter } from '../support/writer.ts'
import { deployFile, deployPath, needTool, replaced, runTool } from './tools.ts'

/** A real Prometheus with the files of docs/deploy reads a real node. */
interface Dashboard {
  readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[]
}
interface Rule {
  readonly name: string
  readonly query: string
  readonly health: string
  readonly state: string
  readonly annotations: Readonly<Record<string, string>>
}

const RULES_TEST = 'prometheus-rules.test.yml'
const dashboard = JSON.parse(deployFile('grafana-dashboard.json')) as Dashboard
const queries = dashboard.panels.flatMap(({ title, targets }) => targets.map(({ expr }) => [title, expr] as const))

let folder: string
let cluster: Cluster
let node: NodeProcess
let prometheus: ChildProcess
let url: string
beforeAll(async () => {
  needTool('prometheus')
  folder = await mkdtemp(join(tmpdir(), 'avatar-kv-prometheus-'))
  await cp(deployPath('prometheus-rules.yml'), join(folder, 'prometheus-rules.yml'))
  cluster = await createCluster()
  node = await cluster.start('node')
  const peer = await cluster.start('peer', { peers: [node.address], syncIntervalSeconds: 1 })
  await until(async () => (await peer.api.gossipPeers()) === 1, 'the nodes are connected')
  await node.api.write([createWriter('monitoring').write({ a: 1 })])

  const config = replaced(deployFile('prometheus.yml'), [
    ['127.0.0.1:4381', new URL(node.url).host],
    ['scrape_interval: 30s', 'scrape_interval: 1s'],
    ['evaluation_interval: 30s', 'evaluation_interval: 1s'],
  ])
  await writeFile(join(folder, 'prometheus.yml'), config)
  const address = `127.0.0.1:${await freePort()}`
  url = `http://${address}`
  const args = [
    `--config.file=${folder}/prometheus.yml`,
    `--storage.tsdb.path=${folder}/data`,
    `--web.listen-address=${address}`,
  ]
  prometheus = spawn('prometheus', args, { cwd: folder, stdio: 'ignore' })
  await until(async () => (await query('up{job="avatar-kv"} == 1')).length === 1, 'Prometheus reads the node')
  // A rate needs two samples.
  await until(async () => (await query('rate(process_cpu_seconds_total[1m])')).length === 1, 'there are two samples')
})
afterAll(async () => {
  const ended = once(prometheus, 'exit')
  prometheus.kill('SIGKILL')
  await ended
  await cluster.close()
  await rm(folder, { recursive: true, force: true })
})

async function api<Data>(path: string): Promise<Data> {
  const answer = (await (await fetch(`${url}/api/v1/${path}`)).json()) as { status: string; error?: string; data: Data }
  if (answer.status !== 'success') throw new Error(`Prometheus: ${answer.error}`)
  return answer.data
}

async function query(expression: string): Promise<readonly unknown[]> {
  return (await api<{ result: unknown[] }>(`query?query=${encodeURIComponent(expression)}`)).result
}

const rules = async () => (await api<{ groups: { rules: Rule[] }[] }>('rules')).groups.flatMap((group) => group.rules)
const metrics = async () => await (await fetch(`${node.url}/metrics`)).text()

/** The names of metrics in a query, as the node calls them. */
const namesIn = (expression: string): string[] =>
  [...expression.matchAll(/\b(avatar_kv|process|nodejs)_\w+/g)].map(([name]) =>
    name.replace(/_(bucket|count|sum)$/, ''),
  )

describe('the rules', () => {
  it('are sound, and each alert fires on its series alone', async () => {
    await cp(new URL(RULES_TEST, import.meta.url), join(folder, RULES_TEST))
    expect(runTool('promtool', ['check', 'config', join(folder, 'prometheus.yml')])).toMatchObject({ code: 0 })
    expect(runTool('promtool', ['test', 'rules', join(folder, RULES_TEST)])).toMatchObject({ code: 0, err: '' })
    const tested = await readFile(join(folder, RULES_TEST), 'utf8')
    for (const { name } of await rules()) expect(tested).toContain(name)
  })

  it('name metrics that a node has, and sections that the page has', async () => {
    const [found, text] = [await rules(), await metrics()]
    expect(found.length).toBeGreaterThan(5)
    const page = await readFile('docs/operate.md', 'utf8')
    for (const { query: expression, annotations } of found) {
      for (const name of namesIn(expression)) expect(text).toContain(`# TYPE ${name} `)
      for (const [, section] of (annotations['action'] ?? '').matchAll(/See "(.+)"/g))
        expect(page).toContain(`## ${section}\n`)
    }
  })

  it('work on a healthy node, and are silent', async () => {
    await until(async () => (await rules()).every(({ health }) => health === 'ok'), 'every rule was evaluated')
    expect((await rules()).filter(({ state }) => state === 'firing')).toEqual([])
  })
})

describe('the dashboard', () => {
  it.each(queries)('%s: %s', async (_title, expr) => {
    const text = await metrics()
    const names = namesIn(expr)
    for (const name of names) expect(text).toContain(`# TYPE ${name} `)
    const result = await query(replaced(expr, [['$instance', '.*']]).replaceAll('$__rate_interval', '1m'))
    // Some metrics have no sample before something happens, such as damage.
    const hasSamples = names.length === 0 || names.some((name) => new RegExp(`^${name}(_count)?[{ ]`, 'm').test(text))
    expect(result.length > 0).toBe(hasSamples)
  })
})
