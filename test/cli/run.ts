import { Readable, Writable } from 'node:stream'

import type { CommandContext } from '../../src/cli/lib/context.ts'
import { runCommandLine } from '../../src/cli/program.ts'
import { systemEnvironment } from '../../src/platform/system.ts'

export interface Outcome {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Runs one command line in this process. `stdin` undefined: a terminal at which nobody types. */
export async function run(
  args: readonly string[],
  options: {
    readonly cwd: string
    readonly stdin?: string
    readonly env?: CommandContext['env']
    readonly draw?: CommandContext['draw']
    readonly environment?: CommandContext['environment']
  },
): Promise<Outcome> {
  let out = ''
  let err = ''
  const { cwd, stdin, env = {} } = options
  const code = await runCommandLine(args, {
    environment: options.environment ?? systemEnvironment(),
    env,
    cwd,
    command: 'avatar-kv',
    stdin: Object.assign(Readable.from(stdin === undefined ? [] : [Buffer.from(stdin)]), {
      isTTY: stdin === undefined,
    }),
    terminal: false,
    stdout: new Writable({
      write(chunk: Buffer, _encoding, done) {
        out += chunk.toString('utf8')
        done()
      },
    }),
    draw: options.draw,
    onInterrupt: () => () => undefined,
    out: (text) => void (out += `${text}\n`),
    note: (text) => void (err += `${text}\n`),
  })
  return { code, out, err }
}
