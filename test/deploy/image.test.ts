import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, readdir, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { promisify } from 'node:util'
import { DCLinter } from 'dclint'
import { validate } from 'dockerfile-utils'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort } from '../support/ports.ts'
import { until } from '../support/until.ts'
import { deployFile, deployPath, replaced } from './tools.ts'

/**
 * The image and the compose file of docs/deploy. No container engine runs here: the test runs the steps of the Dockerfile that
 * are ours in a folder with just the files that an engine would copy, and what the image starts.
 */
const run = promisify(execFile)
const INSTALLED = '/opt/avatar-kv'
const PRIVATE_FILES = [
  'owner.key',
  'data/peer.key',
  'data-2/store',
  'backups/monday',
  'avatar-kv.log',
  '.git/config',
  'me.avatar-kv.ndjson',
]

/** The instructions of the Dockerfile, each with its arguments on one line. */
const instructions = deployFile('Dockerfile')
  .replaceAll(/^#.*\n/gm, '')
  .replaceAll(/\\\n\s*/g, '')
  .split('\n')
  .flatMap((line) => /^([A-Z]+) (.*)$/.exec(line)?.slice(1) ?? [])
const argumentsOf = (name: string): string[] =>
  instructions.filter((_, at) => at % 2 === 1 && instructions[at - 1] === name)

const ignored = deployFile('Dockerfile.dockerignore')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map(
    (pattern) =>
      new RegExp(
        `^${pattern
          .replaceAll('.', String.raw`\.`)
          .replace('**/', '(.+/)?')
          .replaceAll(/(?<!\()\*/g, '[^/]*')}(/|$)`,
      ),
  )
const isCopied = (path: string): boolean => path === '' || !ignored.some((pattern) => pattern.test(path))

it('the Dockerfile and the compose file are sound', () => {
  expect(validate(deployFile('Dockerfile'))).toEqual([])
  const linter = new DCLinter({ rules: {}, quiet: false, debug: false, exclude: [] })
  const results = linter.lintFiles([deployPath('compose.yaml')], false)
  expect(results).toMatchObject([{ errorCount: 0, warningCount: 0, messages: [] }])
})

it('the linters find faults where there are some', () => {
  expect(validate(replaced(deployFile('Dockerfile'), [['ENTRYPOINT', 'ENTRYPOIN']]))).not.toEqual([])
  const linter = new DCLinter({ rules: {}, quiet: false, debug: false, exclude: [] })
  expect(linter.lintFiles([deployPath('prometheus.yml')], false)[0]?.messages).not.toEqual([])
})

it('the compose file keeps the data where the image has it, and opens no port around the firewall', () => {
  const compose = deployFile('compose.yaml')
  for (const place of JSON.parse(argumentsOf('VOLUME')[0] ?? '[]') as string[]) expect(compose).toContain(`:${place}\n`)
  expect(compose.match(/network_mode: host/g)).toHaveLength(2)
  expect(compose).not.toMatch(/^\s+ports:/m)
})

it.each(PRIVATE_FILES)('%s never gets into an image', (path) => {
  expect(isCopied(path)).toBe(false)
})

describe('the image', () => {
  let folder: string
  let prefix: string
  let env: NodeJS.ProcessEnv
  let node: ChildProcess
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'avatar-kv-image-'))
    prefix = join(folder, 'installed')
    const source = join(folder, 'source')
    const root = process.cwd()
    for (const name of await readdir(root)) {
      if (isCopied(name)) {
        await cp(join(root, name), join(source, name), {
          recursive: true,
          filter: (from) => isCopied(relative(root, from)),
        })
      }
    }
    // What `npm ci` makes in the step before.
    await symlink(join(root, 'node_modules'), join(source, 'node_modules'))
    const build = argumentsOf('RUN').find((step) => step.includes('npm run'))
    const own = Object.entries(process.env).filter(([name]) => !/^(AVATAR_KV|npm)_/i.test(name))
    const step = replaced(build ?? '', [[INSTALLED, prefix]])
    await run('/bin/sh', ['-c', step], {
      cwd: source,
      env: { ...Object.fromEntries(own), npm_config_prefer_offline: 'true', npm_config_ignore_scripts: 'true' },
    })
    const variables = [...(argumentsOf('ENV')[0] ?? '').matchAll(/(\w+)=(\S+)/g)].map(([, name = '', value = '']) => [
      name,
      value,
    ])
    const http = `127.0.0.1:${await freePort()}`
    env = {
      ...Object.fromEntries(own),
      ...Object.fromEntries(variables),
      ...composeDefaults(),
      PATH: `${prefix}/bin:${process.env['PATH']}`,
      AVATAR_KV_DATA_DIR: join(folder, 'data'),
      AVATAR_KV_HTTP: http,
      AVATAR_KV_NODE: `http://${http}`,
      AVATAR_KV_LISTEN: '/ip4/127.0.0.1/tcp/0',
    }
    const [program = '', ...args] = [...jsonOf('ENTRYPOINT'), ...jsonOf('CMD')]
    node = spawn(program, args, { cwd: folder, env, stdio: ['ignore', 'ignore', 'inherit'] })
    await until(async () => (await fetch(`http://${http}/healthz`)).ok, 'the node answers')
  })
  afterAll(async () => {
    node?.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  })

  const jsonOf = (name: string): string[] => JSON.parse(argumentsOf(name)[0] ?? '[]') as string[]
  /** What compose gives the node if nobody sets anything. */
  const composeDefaults = (): Record<string, string> =>
    Object.fromEntries(
      [...deployFile('compose.yaml').matchAll(/(AVATAR_KV_\w+): \$\{\1:-(.*)\}/g)].map(([, name = '', value = '']) => [
        name,
        value,
      ]),
    )
  const health = async (): Promise<number> => {
    const [program = '', ...args] = JSON.parse(
      /CMD (\[.*\])/.exec(argumentsOf('HEALTHCHECK')[0] ?? '')?.[1] ?? '[]',
    ) as string[]
    const child = spawn(program, args, { env, stdio: 'ignore' })
    return ((await once(child, 'exit')) as [number])[0]
  }

  it('starts a node with the explorer; its health check says whether the node answers', async () => {
    expect(await (await fetch(`${env['AVATAR_KV_NODE']}/`)).text()).toContain('<html')
    expect(await readdir(join(folder, 'data'))).toContain('store')
    expect(await health()).toBe(0)
    const ended = once(node, 'exit')
    node.kill('SIGTERM')
    expect(await ended).toEqual([0, null])
    expect(await health()).not.toBe(0)
  })
})
