import { ClientError } from '../../client/errors.ts'
import { readNodeInfo } from '../../client/node-about.ts'
import type { Avatar } from '../../record/types.ts'
import { HTTP_TIMEOUT_MS } from '../../migrate/http-host.ts'
import { confirm } from './ask.ts'
import { toCliError } from './client-error.ts'
import type { CommandContext } from './context.ts'
import type { MigrateOptions } from './migrate-options.ts'
import { nodeInfoRows } from './node-text.ts'
import { nodeAt } from './node.ts'
import { table } from './text.ts'

/**
 * Shows who runs the new host and what it stores for whom. A person at a terminal then decides whether to move the avatar
 * there; `--yes` skips the question. A host with a multiaddr has no call that tells.
 *
 * @throws CliError `failed` if the person says no
 */
export async function agreeOnHost(
  avatar: Avatar,
  { to, yes, json }: MigrateOptions & { readonly to: string },
  context: CommandContext,
): Promise<void> {
  if (!to.startsWith('/')) {
    try {
      const info = await readNodeInfo(nodeAt(to, { timeoutMs: HTTP_TIMEOUT_MS }).transport)
      const rows = table(nodeInfoRows(info)).replaceAll(/^/gm, '  ')
      context.note(`The new host ${to} says about itself (nothing of it can be checked):\n${rows}`)
    } catch (error) {
      if (!(error instanceof ClientError)) throw error
      // What is not a node fails the move for the same reason, which says what to do.
      if (error.code !== 'refused') return
      context.note(`Warning: ${to} does not tell who runs it: ${toCliError(error).message}`)
    }
  }
  if (yes === true || json === true || context.stdin.isTTY !== true || !context.terminal) return
  await confirm(context, `Move ${avatar} to ${to}?`, false)
}
