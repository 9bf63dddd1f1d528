import type { Command, Option } from 'commander'

/** What completions and the manual page show of a command; read from the commands themselves, so it cannot be out of date. */
export interface CommandInfo {
  /** Words after `avatar-kv`; empty for the program itself. */
  readonly path: readonly string[]
  readonly summary: string
  readonly description: string
  /** As `--help` shows it, after the path. */
  readonly usage: string
  readonly options: readonly OptionInfo[]
  readonly args: readonly {
    readonly name: string
    readonly description: string
    /** Values that it may have, where they are few. */
    readonly choices: readonly string[]
  }[]
  /** What `--help` prints below all that: examples and notes. */
  readonly after: string
  readonly commands: readonly CommandInfo[]
}

export interface OptionInfo {
  /** `-h, --help` or `--node <url>`. */
  readonly flags: string
  /** `--help`, or the short form of an option without a long one. */
  readonly name: string
  readonly description: string
  readonly takesValue: boolean
  /** Values that may follow, where they are few. */
  readonly choices: readonly string[]
  /** Whether the value is a path. */
  readonly isPath: boolean
}

const PATH_VALUE = /<(file|dir)(\.\.\.)?>/
const PATH_ARGUMENTS = new Set(['file', 'dir'])

/** The tree below a command, itself included. */
export function commandInfo(command: Command, path: readonly string[] = []): CommandInfo {
  const help = command.createHelp()
  const commands = help
    .visibleCommands(command)
    .filter((each) => each.name() !== 'help')
    .map((each) => commandInfo(each, [...path, each.name()]))
  return {
    path,
    summary: command.summary() || command.description(),
    description: command.description(),
    usage: command.usage(),
    options: help.visibleOptions(command).map((option) => optionInfo(option, help.optionDescription(option))),
    args: help.visibleArguments(command).map((argument) => ({
      name: argument.name(),
      description: help.argumentDescription(argument),
      choices: argument.argChoices ?? [],
    })),
    after: textAfterHelp(command),
    commands,
  }
}

function textAfterHelp(command: Command): string {
  let text = ''
  const { writeOut } = command.configureOutput()
  command.configureOutput({ writeOut: (piece) => void (text += piece) })
  command.outputHelp()
  command.configureOutput(writeOut === undefined ? {} : { writeOut })
  return text.slice(command.helpInformation().length)
}

/** Whether an argument of the command is a path. */
export function takesPath({ args }: CommandInfo): boolean {
  return args.some(({ name }) => PATH_ARGUMENTS.has(name))
}

/** The command and all below it. */
export function allCommands(info: CommandInfo): CommandInfo[] {
  return [info, ...info.commands.flatMap(allCommands)]
}

function optionInfo(option: Option, description: string): OptionInfo {
  const value = /<([^>]*)>|\[([^\]]*)\]/.exec(option.flags)?.[1]
  return {
    flags: option.flags,
    name: option.long ?? option.short ?? option.flags,
    description,
    takesValue: option.required || option.optional,
    choices: value?.includes('|') ? value.split('|') : [],
    isPath: PATH_VALUE.test(option.flags),
  }
}
