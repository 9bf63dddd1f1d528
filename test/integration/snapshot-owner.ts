import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { JsonObject } from '../../src/record/types.ts'
import { run } from '../cli/run.ts'
import type { Outcome } from '../cli/run.ts'
import { createWriter } from '../support/writer.ts'
import type { Writer } from '../support/writer.ts'

/** Someone with a key file, at a command line. */
export interface Owner extends Writer {
  readonly cwd: string
  /** Runs a command; `stdin` undefined: a terminal at which nobody types. */
  run(args: readonly string[], stdin?: string): Promise<Outcome>
  /** Runs a command with `--json`, and fails where it does. */
  json(args: readonly string[], stdin?: string): Promise<JsonObject>
  close(): void
}

/** The owner's key is in `avatar.key`; its avatar, and all that it writes, follow from `name`. */
export function createOwner(name: string, nodeUrl: () => string): Owner {
  const cwd = mkdtempSync(join(tmpdir(), 'avatar-kv-owner-'))
  const secret = createHash('sha256').update(`test writer ${name}`).digest('hex')
  writeFileSync(join(cwd, 'avatar.key'), `${secret}\n`, { mode: 0o600 })
  const call = (args: readonly string[], stdin?: string): Promise<Outcome> =>
    run(args, { cwd, env: { AVATAR_KV_NODE: nodeUrl() }, ...(stdin === undefined ? {} : { stdin }) })
  return {
    ...createWriter(name),
    cwd,
    run: call,
    async json(args, stdin) {
      const { code, out, err } = await call([...args, '--json'], stdin)
      if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${err}`)
      return JSON.parse(out) as JsonObject
    },
    close: () => rmSync(cwd, { recursive: true, force: true }),
  }
}
