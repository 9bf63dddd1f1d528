import { allCommands, takesPath, type CommandInfo, type OptionInfo } from './command-tree.ts'

/** Words that a shell can offer in one place. */
interface Place {
  readonly command: CommandInfo
  /** The path as one word: `host_request`. */
  readonly key: string
}

function placesOf(program: CommandInfo): Place[] {
  return allCommands(program).map((command) => ({ command, key: command.path.join('_') }))
}

/** Words of the command itself: those below it, or what its arguments may be. */
function offered({ commands, args }: CommandInfo): string[] {
  return [...commands.map(({ path }) => path.at(-1) ?? ''), ...args.flatMap(({ choices }) => choices)]
}

/** A text between single quotes, for any of the shells. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

/** Shell code, the same in bash and zsh, that finds in $key the command that the words before the cursor name. */
function keyFinder(places: readonly Place[], words: string): string {
  const nested = places.filter(({ command }) => command.path.length > 0)
  const cases = nested.map(({ command, key }) => {
    const before = command.path.slice(0, -1).join('_')
    return `      ${quoted(`${before}/${command.path.at(-1)}`)}) key=${quoted(key)} ;;`
  })
  return `  local key='' word
  for word in ${words}; do
    case "$key/$word" in
${cases.join('\n')}
    esac
  done`
}

/** For `source <(avatar-kv completion bash)`. */
export function bashCompletion(program: CommandInfo): string {
  const places = placesOf(program)
  const values = places.flatMap(({ command, key }) =>
    command.options
      .filter(({ takesValue }) => takesValue)
      .map(({ name, choices, isPath }) => {
        const offer = choices.length > 0 ? `words=${quoted(choices.join(' '))}` : isPath ? 'files=1' : ':'
        return `    ${quoted(`${key}/${name}`)}) ${offer}; known=1 ;;`
      }),
  )
  const words = places.map(({ command, key }) => {
    const names = [...offered(command), ...command.options.map(({ name }) => name)]
    return `    ${quoted(key)}) words=${quoted(names.join(' '))}${takesPath(command) ? '; files=1' : ''} ;;`
  })
  return `# Completion of avatar-kv for bash. Load it with: source <(avatar-kv completion bash)
_avatar_kv() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" words='' files='' known=''
${keyFinder(places, '"${COMP_WORDS[@]:1:COMP_CWORD-1}"')}
  case "$key/$previous" in
${values.join('\n')}
  esac
  if [[ -z $known ]]; then
    case "$key" in
${words.join('\n')}
    esac
    [[ $current == -* ]] && files=''
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  if [[ -n $files ]]; then
    compopt -o filenames 2>/dev/null
    COMPREPLY+=($(compgen -f -- "$current"))
  fi
}
complete -F _avatar_kv avatar-kv`
}

/** For `source <(avatar-kv completion zsh)`, or as a file `_avatar-kv` in a folder of $fpath. */
export function zshCompletion(program: CommandInfo): string {
  const places = placesOf(program)
  const described = (name: string, text: string): string => quoted(`${name.replaceAll(':', '\\:')}:${text}`)
  const values = places.flatMap(({ command, key }) =>
    command.options
      .filter(({ takesValue }) => takesValue)
      .map(({ name, choices, isPath }) => {
        const offer = choices.length > 0 ? `compadd ${choices.map(quoted).join(' ')}` : isPath ? '_files' : ':'
        return `    ${quoted(`${key}/${name}`)}) ${offer}; return ;;`
      }),
  )
  const words = places.map(({ command, key }) => {
    const names = [
      ...command.commands.map(({ path, summary }) => described(path.at(-1) ?? '', summary)),
      ...command.args.flatMap(({ choices, description }) => choices.map((choice) => described(choice, description))),
      ...command.options.map(({ name, description }) => described(name, description)),
    ]
    const files = takesPath(command) ? '; [[ $current != -* ]] && _files' : ''
    return `    ${quoted(key)}) names=(${names.join(' ')}); _describe -o 'avatar-kv' names${files} ;;`
  })
  return `#compdef avatar-kv
# Completion of avatar-kv for zsh. Load it with: source <(avatar-kv completion zsh)
_avatar_kv() {
  local current="\${words[CURRENT]}" previous="\${words[CURRENT-1]}"
  local -a names
${keyFinder(places, '"${(@)words[2,CURRENT-1]}"')}
  case "$key/$previous" in
${values.join('\n')}
  esac
  case "$key" in
${words.join('\n')}
  esac
}
compdef _avatar_kv avatar-kv`
}

/** For ~/.config/fish/completions/avatar-kv.fish. */
export function fishCompletion(program: CommandInfo): string {
  const lines = placesOf(program).flatMap(({ command }) => {
    const siblings = command.commands.map(({ path }) => path.at(-1) ?? '')
    const at = fishCondition(command.path, siblings)
    return [
      ...command.commands.map(
        ({ path, summary }) =>
          `complete -c avatar-kv -f -n ${at} -a ${quoted(path.at(-1) ?? '')} -d ${quoted(summary)}`,
      ),
      ...command.args.flatMap(({ choices, description }) =>
        choices.map((choice) => `complete -c avatar-kv -f -n ${at} -a ${quoted(choice)} -d ${quoted(description)}`),
      ),
      ...(takesPath(command) ? [`complete -c avatar-kv -F -n ${at}`] : []),
      ...command.options.map((option) => `complete -c avatar-kv -n ${at} ${fishOption(option)}`),
    ]
  })
  return `# Completion of avatar-kv for fish. Save it as ~/.config/fish/completions/avatar-kv.fish
complete -c avatar-kv -f
${lines.join('\n')}`
}

/** True where the words so far name the command, and none of those below it. */
function fishCondition(path: readonly string[], below: readonly string[]): string {
  const named = path.map((word) => `__fish_seen_subcommand_from ${word}`)
  const not = below.length === 0 ? [] : [`not __fish_seen_subcommand_from ${below.join(' ')}`]
  return quoted([...named, ...not].join('; and ') || 'true')
}

function fishOption({ flags, name, description, takesValue, choices, isPath }: OptionInfo): string {
  const short = /^-(\w),/.exec(flags)?.[1]
  const value = choices.length > 0 ? `-x -a ${quoted(choices.join(' '))}` : isPath ? '-r -F' : takesValue ? '-x' : ''
  return [short === undefined ? '' : `-s ${short}`, `-l ${name.replace(/^--/, '')}`, value, `-d ${quoted(description)}`]
    .filter((part) => part !== '')
    .join(' ')
}
