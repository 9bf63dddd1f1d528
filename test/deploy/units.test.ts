import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort } from '../support/ports.ts'
import { until } from '../support/until.ts'
import { deployFile, replaced, runTool } from './tools.ts'
import { argumentsOf, environmentOf, readUnit, valueOf } from './unit-file.ts'

/** The units of docs/deploy: what systemd says of them, and what their commands do. systemd itself never runs here. */
const UNITS = ['avatar-kv.service', 'avatar-kv-backup.service', 'avatar-kv-backup.timer']
const SERVICES = UNITS.filter((name) => name.endsWith('.service'))
const PROGRAM = '/opt/avatar-kv/bin/avatar-kv'
/** Of 10: below 2 `systemd-analyze security` says OK. A service without any protection has 9.6. */
const MOST_EXPOSURE = 1.5
const NOBODY = 65_534

let folder: string
let program: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'avatar-kv-units-'))
  await chmod(folder, 0o755)
  program = join(folder, 'bin/avatar-kv')
  await mkdir(join(folder, 'bin'))
  await symlink(join(process.cwd(), 'dist/main.js'), program)
})
afterAll(async () => await rm(folder, { recursive: true, force: true }))

/** Writes the units with another program, since systemd-analyze wants it to be there. Returns their paths. */
async function unitsWith(change: (text: string, name: string) => string = (text) => text): Promise<string[]> {
  return await Promise.all(
    UNITS.map(async (name) => {
      const text = deployFile(name).replaceAll(PROGRAM, program)
      await writeFile(join(folder, name), change(text, name))
      return join(folder, name)
    }),
  )
}

describe('systemd-analyze', () => {
  it('finds no fault in the units', async () => {
    const verified = runTool('systemd-analyze', ['verify', '--man=no', ...(await unitsWith())])
    expect(verified).toEqual({ code: 0, out: '', err: '' })
  })

  it('finds a fault where there is one', async () => {
    const paths = await unitsWith((text, name) =>
      name === 'avatar-kv.service' ? replaced(text, [['RestartSec=', 'RestartSecs=']]) : text,
    )
    expect(runTool('systemd-analyze', ['verify', '--man=no', ...paths]).err).toContain('RestartSecs')
  })

  it.each(SERVICES)('calls %s well protected', async (name) => {
    await unitsWith()
    const { out } = runTool('systemd-analyze', ['security', '--offline=true', '--no-pager', join(folder, name)])
    const [, exposure] = /Overall exposure level for \S+: ([\d.]+)/.exec(out) ?? []
    expect(Number(exposure)).toBeLessThanOrEqual(MOST_EXPOSURE)
  })
})

describe('the commands of the units', () => {
  const unit = readUnit('avatar-kv.service')
  const backup = readUnit('avatar-kv-backup.service')
  let env: NodeJS.ProcessEnv
  let node: ChildProcess
  let url: string

  beforeAll(async () => {
    url = `http://127.0.0.1:${await freePort()}`
    const places = { AVATAR_KV_DATA_DIR: join(folder, 'data'), BACKUPS: join(folder, 'backups') }
    for (const place of Object.values(places)) {
      await mkdir(place)
      await chmod(place, 0o777)
    }
    const own = Object.entries(process.env).filter(([name]) => !name.startsWith('AVATAR_KV_'))
    env = {
      ...Object.fromEntries(own),
      ...environmentOf(unit),
      ...environmentOf(backup),
      ...places,
      KEEP: '2',
      AVATAR_KV_HTTP: new URL(url).host,
      AVATAR_KV_LISTEN: '/ip4/127.0.0.1/tcp/0',
      AVATAR_KV_NODE: url,
    }
    node = start(valueOf(unit, 'ExecStart'), env)
    await until(async () => (await fetch(`${url}/healthz`)).ok, 'the node answers')
  })
  afterAll(() => void node.kill('SIGKILL'))

  /** Starts a command as the unit does, as far as that goes without systemd: unprivileged, with the unit's limit of files. */
  function start(command: string, variables: NodeJS.ProcessEnv): ChildProcess {
    const limited = ['prlimit', `--nofile=${valueOf(unit, 'LimitNOFILE')}`]
    const isRoot = process.getuid?.() === 0
    const lower = isRoot ? [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--bounding-set=-all'] : []
    const args = [
      ...limited,
      'setpriv',
      '--no-new-privs',
      ...lower,
      ...argumentsOf(command.replaceAll(PROGRAM, program)),
    ]
    return spawn(args[0] ?? '', args.slice(1), { cwd: '/', env: variables, stdio: ['ignore', 'pipe', 'pipe'] })
  }

  async function end(child: ChildProcess): Promise<{ code: number | null; said: string }> {
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (piece) => (said += String(piece)))
    const [code] = (await once(child, 'close')) as [number | null]
    return { code, said }
  }

  const backups = async () => (await readdir(join(folder, 'backups'))).sort()
  const runBackup = async (variables = env) => {
    const made = await end(start(valueOf(backup, 'ExecStart'), variables))
    // systemd runs ExecStartPost only after success.
    return made.code === 0 ? await end(start(valueOf(backup, 'ExecStartPost'), variables)) : made
  }

  it('start a node without privileges, with its limit of open files and its allocator', async () => {
    const text = await (await fetch(`${url}/metrics`)).text()
    expect(Number(/^process_max_fds (\d+)/m.exec(text)?.[1])).toBe(Number(valueOf(unit, 'LimitNOFILE')))
    expect(env['MALLOC_ARENA_MAX']).toBe('2')
    expect(await readdir(join(folder, 'data'))).toContain('operator-token')
  })

  it('back up the running node, keep the newest, and remove none when a backup fails', async () => {
    await mkdir(join(folder, 'backups', 'notes'))
    for (const name of ['2026-01-01T000000Z', '2026-01-02T000000Z', '2026-01-03T000000Z']) {
      await mkdir(join(folder, 'backups', name))
      await chmod(join(folder, 'backups', name), 0o777)
    }
    const before = await backups()
    const failed = await runBackup({ ...env, AVATAR_KV_NODE: 'http://127.0.0.1:1' })
    expect(failed.code).toBe(1)
    expect(await backups()).toEqual(before)

    expect(await runBackup()).toEqual({ code: 0, said: '' })
    const [kept, made, other, ...more] = await backups()
    expect([kept, other, more]).toEqual(['2026-01-03T000000Z', 'notes', []])
    expect(await readdir(join(folder, 'backups', made ?? ''))).toContain('backup.json')
    const restored = start(`${PROGRAM} restore ${folder}/backups/${made} --data-dir ${folder}/data/restored`, env)
    expect(await end(restored)).toMatchObject({ code: 0, said: expect.stringContaining('restored  0 records') })
  })

  it('end with the code that systemd does not restart after, if the configuration is wrong', async () => {
    const { code } = await end(start(valueOf(unit, 'ExecStart'), { ...env, AVATAR_KV_HTTP: 'nowhere' }))
    expect(String(code)).toBe(valueOf(unit, 'RestartPreventExitStatus'))
  })

  it('stop the node in the time that the unit gives', async () => {
    const began = performance.now()
    const ended = once(node, 'exit')
    node.kill('SIGTERM')
    expect(await ended).toEqual([0, null])
    expect(performance.now() - began).toBeLessThan(Number(valueOf(unit, 'TimeoutStopSec')) * 1000)
  })
})
