import type { Command } from 'commander'

import { countArgument, jsonOption } from './lib/arguments.ts'
import type { CommandContext } from './lib/context.ts'
import { withPlace, type PlaceOptions } from './lib/archive-place.ts'
import { asOperator } from './lib/operator.ts'
import { countText, jsonText } from './lib/text.ts'

/** `invite`. */
export function addInvite(program: Command, context: CommandContext): void {
  const invite = program
    .command('invite')
    .summary('make codes with which owners can put their avatar on the list')
    .description(
      'For operators: makes invitation codes, for the hosting policy "invite". With a code, an owner can put one avatar on ' +
        'the list, once. The node stores only hashes of the codes, so write a code down when this command shows it.',
    )
  withPlace(invite.command('create').summary('make codes'), context)
    .option('--count <n>', 'number of codes, up to 1,000', countArgument, 1)
    .addOption(jsonOption())
    .addHelpText('after', '\nAn owner uses one with: avatar-kv host request --key FILE --node URL --invite CODE')
    .action(async (options: PlaceOptions & { count: number; json?: true }) => {
      const { codes, policy } = await asOperator(context, options, async (operator) => ({
        codes: await operator.invite(options.count),
        policy: operator.policy,
      }))
      context.out(options.json ? jsonText({ codes }) : codes.join('\n'))
      if (policy !== undefined && policy !== 'invite') {
        context.note(
          `The node does not ask for codes yet: its policy is "${policy}". The codes take effect when the node runs with ` +
            '--hosting-mode listed --hosting-policy invite.',
        )
      }
    })
  withPlace(invite.command('revoke').summary('revoke all unused codes'), context)
    .description('Revokes all codes that nobody has used yet.')
    .addOption(jsonOption())
    .action(async (options: PlaceOptions & { json?: true }) => {
      const revoked = await asOperator(context, options, (operator) => operator.revokeInvites())
      context.out(options.json ? jsonText({ revoked }) : `${countText(revoked, 'code')} revoked`)
    })
}
