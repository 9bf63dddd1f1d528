import type { Command } from 'commander'

import { allCommands, commandInfo, type CommandInfo } from './lib/command-tree.ts'
import type { CommandContext } from './lib/context.ts'

/** `man-page`, for the build: prints the manual page, which is in the package as `avatar-kv.1`. */
export function addManPage(program: Command, context: CommandContext): void {
  program
    .command('man-page', { hidden: true })
    .description('Prints the manual page.')
    .action(() => context.out(manPage(commandInfo(program), program.version() ?? '')))
}

/** The manual page in the man(7) language: all that `--help` says of every command. */
function manPage(program: CommandInfo, version: string): string {
  const commands = allCommands(program).filter(({ path }) => path.length > 0)
  return `${[
    `.TH AVATAR-KV 1 "" "avatar-kv ${roff(version)}" "User Commands"`,
    '.SH NAME',
    'avatar\\-kv \\- store and serve signed key\\-value data',
    '.SH SYNOPSIS',
    '.B avatar\\-kv',
    '.RI [ options ]',
    '.I command',
    '.SH DESCRIPTION',
    roff(program.description),
    ...options(program),
    '.SH COMMANDS',
    ...commands.flatMap(section),
    '.SH NOTES',
    ...literal(program.after),
  ].join('\n')}\n`
}

function section(command: CommandInfo): string[] {
  const { path, usage, description, args } = command
  return [
    `.SS ${roff(['avatar-kv', ...path].join(' '))}`,
    '.nf',
    `.B ${roff(['avatar-kv', ...path, usage].join(' '))}`,
    '.fi',
    '.PP',
    roff(description),
    ...args.flatMap((argument) => term(argument.name, argument.description)),
    ...options(command),
    ...literal(command.after),
  ]
}

function options({ options: all }: CommandInfo): string[] {
  return all.flatMap(({ flags, description }) => term(flags, description))
}

function term(name: string, text: string): string[] {
  return ['.TP', `.B ${roff(name)}`, roff(text)]
}

/** Examples and notes, line by line. */
function literal(text: string): string[] {
  return text.trim() === '' ? [] : ['.PP', '.nf', ...text.trim().split('\n').map(roff), '.fi']
}

/** A text as roff shows it, on one line: a point or quote at its start would be a request. */
function roff(text: string): string {
  const escaped = text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll('\n', ' ')
  return /^[.']/.test(escaped) ? `\\&${escaped}` : escaped
}
