import type { Command } from 'commander'

import { countArgument, jsonOption } from './lib/arguments.ts'
import type { CommandContext } from './lib/context.ts'
import { asOperator, withPlace } from './host.ts'
import type { OperatorOptions } from './lib/operator.ts'
import { countText, jsonText } from './lib/text.ts'

/** `invite`. */
export function addInvite(program: Command, context: CommandContext): void {
  const invite = program
    .command('invite')
    .summary('make codes by which owners put their avatars on the list')
    .description(
      'For operators: codes for the policy "invite". Each puts one avatar on the list, once. The node keeps hashes of them ' +
        'alone, so a code is shown only when it is made.',
    )
  withPlace(invite.command('create').summary('make codes'), context)
    .option('--count <n>', 'how many, up to 1,000', countArgument, 1)
    .addOption(jsonOption())
    .addHelpText('after', '\nAn owner uses one with: avatar-kv host request --key FILE --node URL --invite CODE')
    .action(async (options: OperatorOptions & { count: number; json?: true }) => {
      const { codes, policy } = await asOperator(context, options, async (operator) => ({
        codes: await operator.invite(options.count),
        policy: operator.policy,
      }))
      context.out(options.json ? jsonText({ codes }) : codes.join('\n'))
      if (policy !== undefined && policy !== 'invite') {
        context.note(
          `The node does not ask for codes yet: its policy is "${policy}". They take effect once it runs with ` +
            '--hosting-mode listed --hosting-policy invite.',
        )
      }
    })
  withPlace(invite.command('revoke').summary('make all unused codes worthless'), context)
    .description('Makes all codes worthless that nobody has used yet.')
    .addOption(jsonOption())
    .action(async (options: OperatorOptions & { json?: true }) => {
      const revoked = await asOperator(context, options, (operator) => operator.revokeInvites())
      context.out(options.json ? jsonText({ revoked }) : `${countText(revoked, 'code')} revoked`)
    })
}
