import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { build } from 'vite'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { newKey } from '../support/keys.ts'

let folder: string
let program: string
beforeAll(async () => {
  // Beside the packages, which the program looks for from where it is.
  const cache = join(process.cwd(), '.cache')
  await mkdir(cache, { recursive: true })
  folder = await mkdtemp(join(cache, 'full-disk-'))
  program = join(folder, 'child.mjs')
  await writeFile(program, await bundled(join(process.cwd(), 'test/replica/full-disk-child.ts')))
})
afterAll(() => rm(folder, { recursive: true }))

/** Node alone does not run TypeScript. Packages stay where they are. */
async function bundled(input: string): Promise<string> {
  const result = await build({
    configFile: false,
    logLevel: 'error',
    build: { write: false, ssr: true, target: 'node20', rolldownOptions: { input } },
  })
  const [file] = 'output' in result ? result.output : []
  return file?.type === 'chunk' ? file.code : ''
}

interface Child {
  ask(line: string): Promise<string>
  /** Bytes that a file may have; above, appending fails, as it does on a full disk. Null: any. */
  limit(bytes: number | null): void
  kill(): Promise<void>
}

async function start(location: string, key: Uint8Array): Promise<Child> {
  const args = [program, location, Buffer.from(key).toString('hex')]
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const next = async (): Promise<string> => String((await lines.next()).value)
  expect(await next()).toBe('open')
  return {
    async ask(line) {
      child.stdin.write(`${line}\n`)
      return await next()
    },
    limit(bytes) {
      execFileSync('prlimit', [`--pid=${child.pid}`, `--fsize=${bytes ?? 'unlimited'}:`])
    },
    async kill() {
      child.kill('SIGKILL')
      await exited
    },
  }
}

async function logBytes(location: string): Promise<number> {
  const logs = (await readdir(location)).filter((name) => name.endsWith('.log')).sort()
  return (await stat(join(location, logs.at(-1) ?? ''))).size
}

// The limits of a process that runs are changed by util-linux' prlimit.
it('what is acknowledged after the disk was full is there after kill -9', async () => {
  const [location, key] = [join(folder, 'data'), newKey()]
  const child = await start(location, key)
  const acknowledged: string[] = []
  const put = async (name: string): Promise<void> => void acknowledged.push(await child.ask(`put ${name}`))
  for (let round = 0; round < 3; round++) {
    for (let n = 0; n < 3; n++) await put(`a${round}${n}`)
    // Half a record more fits into the log.
    child.limit((await logBytes(location)) + 1_500)
    expect(await child.ask('put full')).toBe('failed storage')
    // Now the database cannot be opened anew either.
    child.limit(10)
    expect(await child.ask('put fuller')).toBe('failed storage')
    child.limit(null)
    for (let n = 0; n < 3; n++) await put(`b${round}${n}`)
  }
  expect(acknowledged.join(' ')).not.toContain('failed')
  await child.kill()
  const after = await start(location, key)
  expect((await after.ask('count')).split(' ')).toEqual(acknowledged)
  await after.kill()
})
