import { Command } from 'commander'

import { unknownVariablesText } from '../config/environment-variables.ts'
import { packageVersion } from '../config/package-files.ts'
import { addBackup } from './backup.ts'
import { addCompletion } from './completion.ts'
import type { CommandContext } from './lib/context.ts'
import { addDemo } from './demo.ts'
import { EXIT_DONE } from './lib/errors.ts'
import { addExport } from './export.ts'
import { addFind } from './find.ts'
import { addGet } from './get.ts'
import { addHost } from './host.ts'
import { addImport } from './import.ts'
import { addInvite } from './invite.ts'
import { addKey } from './key.ts'
import { addLink } from './link.ts'
import { addLog } from './log.ts'
import { addManPage } from './man-page.ts'
import { addMigrate } from './migrate.ts'
import { addPeers } from './peers.ts'
import { addPut } from './put.ts'
import { addReceipt } from './receipt.ts'
import { reportError, wantsJson } from './lib/report-error.ts'
import { addRepair } from './repair.ts'
import { addRestore } from './restore.ts'
import { addSnapshot } from './snapshot.ts'
import { addStart } from './start.ts'
import { addStatus } from './status.ts'
import { addVerify } from './verify.ts'

/**
 * Runs one command line.
 *
 * @param args without the names of program and script
 * @returns the exit code: 0 done, 1 failed, 2 wrong usage (a bad configuration included)
 */
export async function runCommandLine(args: readonly string[], context: CommandContext): Promise<number> {
  const json = wantsJson(args)
  const program = new Command('avatar-kv')
    .description("A peer-to-peer node for avatars' signed key-value data, and the commands to use it.")
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help for a command')
    .configureOutput({
      writeOut: (text) => context.out(text.trimEnd()),
      writeErr: (text) => (json ? undefined : context.note(text.trimEnd())),
    })
    .showHelpAfterError('(add --help for help)')
    .exitOverride()
    .hook('preAction', (_, command) => {
      // A node says it in its log.
      if (command.name() === 'start') return
      const text = unknownVariablesText(context.env)
      if (text !== undefined) context.note(`Warning: ${text}`)
    })
    .addHelpText(
      'after',
      `
Examples:
  $ avatar-kv start                                  run a node
  $ avatar-kv key create                             make a key in ./avatar.key
  $ avatar-kv put '{"greeting":"hello"}'             sign and write
  $ avatar-kv get $(avatar-kv key show) --verify     read and check

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration. With --json, an error is one line of JSON on standard
error: {"error":{"code","message"}}.`,
    )
  for (const add of [
    addStart,
    addKey,
    addPut,
    addGet,
    addLink,
    addFind,
    addLog,
    addExport,
    addImport,
    addVerify,
    addMigrate,
    addReceipt,
    addSnapshot,
    addHost,
    addInvite,
    addBackup,
    addRestore,
    addRepair,
    addStatus,
    addPeers,
    addDemo,
    addCompletion,
    addManPage,
  ])
    add(program, context)

  try {
    await program.parseAsync(args, { from: 'user' })
    return EXIT_DONE
  } catch (error) {
    return reportError(error, context, json)
  }
}
