import { deployFile } from './tools.ts'

/** The values of a systemd unit, by key, in order; an empty value clears those before it (systemd.syntax(7)). */
export type UnitFile = ReadonlyMap<string, readonly string[]>

export function readUnit(name: string): UnitFile {
  const values = new Map<string, string[]>()
  for (const line of deployFile(name).split('\n')) {
    const [, key, value] = /^([A-Za-z]+)=(.*)$/.exec(line) ?? []
    if (key === undefined || value === undefined) continue
    values.set(key, value === '' ? [] : [...(values.get(key) ?? []), value])
  }
  return values
}

/** The one value of a key. */
export function valueOf(unit: UnitFile, key: string): string {
  const [value, ...more] = unit.get(key) ?? []
  if (value === undefined || more.length > 0) throw new Error(`The unit has not one ${key}=.`)
  return value
}

/** The variables of `Environment=`. */
export function environmentOf(unit: UnitFile): Record<string, string> {
  return Object.fromEntries(
    (unit.get('Environment') ?? []).map((each) => [each.split('=', 1)[0] ?? '', each.slice(each.indexOf('=') + 1)]),
  )
}

/** The arguments of a command line: words, and words in single quotes; `%%` is a percent sign. */
export function argumentsOf(command: string): string[] {
  return [...command.replaceAll('%%', '%').matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, word]) => quoted ?? word ?? '')
}
