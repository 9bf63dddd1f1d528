import { Argument } from 'commander'
import type { Command } from 'commander'

import { bashCompletion, fishCompletion, zshCompletion } from './lib/completion-scripts.ts'
import { commandInfo, type CommandInfo } from './lib/command-tree.ts'
import type { CommandContext } from './lib/context.ts'

type Shell = 'bash' | 'zsh' | 'fish'

const SCRIPTS: Readonly<Record<Shell, (info: CommandInfo) => string>> = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
}

/** `completion`. */
export function addCompletion(program: Command, context: CommandContext): void {
  program
    .command('completion')
    .summary('print a script that completes commands with the Tab key')
    .description('Prints a script for your shell. Load it once in the configuration of the shell.')
    .addArgument(new Argument('<shell>', 'your shell').choices(Object.keys(SCRIPTS)))
    .addHelpText(
      'after',
      `
Examples:
  $ source <(avatar-kv completion bash)                     in ~/.bashrc
  $ source <(avatar-kv completion zsh)                      in ~/.zshrc, after compinit
  $ avatar-kv completion fish > ~/.config/fish/completions/avatar-kv.fish`,
    )
    .action((shell: Shell) => context.out(SCRIPTS[shell](commandInfo(program))))
}
