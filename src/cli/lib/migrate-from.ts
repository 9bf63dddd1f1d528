import { ClientError } from '../../client/errors.ts'
import { readHosts, type FoundHosts } from '../../client/find-hosts.ts'
import { NODE_VARIABLE } from '../../config/environment-variables.ts'
import type { Avatar } from '../../record/types.ts'
import type { CommandContext } from './context.ts'
import { toCliError } from './client-error.ts'
import { CliError } from './errors.ts'
import { askable, confirm, type FindOptions } from './find-avatar.ts'
import { DEFAULT_NODE_URL, nodeAt } from './node.ts'
import { listText, printable } from './text.ts'

/** Problems that are listed one by one. */
const MAX_LISTED = 12

/**
 * Finds the host to move an avatar from: asks the new host and the user's own node, asks each address that they name for a
 * receipt, and takes the host that signed the greatest state.
 *
 * @throws CliError `refused` if no host is found
 */
export async function findOldHost(
  avatar: Avatar,
  to: string,
  options: FindOptions,
  context: CommandContext,
): Promise<string> {
  const own = context.env[NODE_VARIABLE] || DEFAULT_NODE_URL
  const nodes = [...new Set([...(to.startsWith('/') ? [] : [to]), own])]
  const problems: string[] = []
  const all = await Promise.all(
    nodes.map(async (url): Promise<FoundHosts> => {
      try {
        return await readHosts(nodeAt(url), avatar)
      } catch (error) {
        if (!(error instanceof ClientError)) throw error
        problems.push(toCliError(error).message)
        return { hosts: [], homes: [] }
      }
    }),
  )
  const found = { hosts: all.flatMap(({ hosts }) => hosts), homes: all.flatMap(({ homes }) => homes) }
  const asked = await confirm(avatar, askable(found, to, options), options)
  const [best] = asked
    .filter(({ receipt }) => receipt !== null)
    .toSorted((a, b) => (b.receipt?.head ?? 0) - (a.receipt?.head ?? 0))
  problems.push(...asked.flatMap(({ url, problem }) => (problem === null ? [] : [`${url}: ${problem}`])))
  if (best === undefined) {
    const asks = nodes.join(' and ')
    const message = `No other host of ${avatar} with a URL that may be asked was found by asking ${asks}. Name it with --from ADDRESS.`
    const addresses = found.hosts.flatMap(({ addresses: [first] }) => first ?? [])
    problems.push(...[...new Set(addresses)].map((address) => `a host that signed that it has it: --from ${address}`))
    throw new CliError('refused', message + listText(problems.map(printable), MAX_LISTED))
  }
  context.note(
    `Moving from ${printable(best.url)}, which signed that it has the avatar (head ${best.receipt?.head ?? 0}).`,
  )
  return best.url
}
