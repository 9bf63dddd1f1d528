/** One number of a bench. */
export interface Row {
  /** What was measured. */
  readonly measure: string
  /** Of what, where the same is measured of several: a column of its own in Markdown. */
  readonly column?: string
  readonly value: number
  /** For example `records/s`, `ms`, `ratio`. */
  readonly unit: string
}

/** One subject, in a file of its own. */
export interface Bench {
  /** For `--only`. */
  readonly name: string
  readonly about: string
  /** True if it runs only when `--only` names it: it needs the network. */
  readonly onlyByName?: boolean
  /** Lines below the table: what the numbers need to be understood. */
  readonly notes?: readonly string[]
  run(): Promise<Row[]>
}

export interface Section {
  readonly bench: string
  readonly about: string
  readonly rows: readonly Row[]
  readonly notes: readonly string[]
  readonly seconds: number
}

/** The section for a terminal. */
export function table(section: Section): string {
  const names = section.rows.map(({ measure, column }) => (column === undefined ? measure : `${measure}: ${column}`))
  const width = Math.max(...names.map((name) => name.length))
  const values = section.rows.map(({ value }) => format(value))
  const valueWidth = Math.max(...values.map((text) => text.length))
  const lines = section.rows.map(
    ({ unit }, index) =>
      `  ${(names[index] ?? '').padEnd(width)}  ${(values[index] ?? '').padStart(valueWidth)} ${unit}`,
  )
  return [
    `${section.bench}: ${section.about} (${section.seconds.toFixed(0)} s)`,
    ...lines,
    ...section.notes.map((note) => `  ${note}`),
    '',
  ].join('\n')
}

/** The section as docs/performance.md has it: the command, the machine, the day, and a table. */
export function markdown(section: Section, machine: string): string {
  const columns = [...new Set(section.rows.map(({ column = '' }) => column))]
  const lines = new Map<string, string[]>()
  for (const { measure, unit, value, column = '' } of section.rows) {
    const name = `${measure.trim()}, ${unit}`
    const cells = lines.get(name) ?? columns.map(() => '')
    cells[columns.indexOf(column)] = format(value)
    lines.set(name, cells)
  }
  return [
    `\`npm run bench -- --only ${section.bench}\`, ${machine}, ${new Date().toISOString().slice(0, 10)}:`,
    '',
    `| ${section.about} | ${columns.join(' | ')} |`,
    `| --- |${' ---: |'.repeat(columns.length)}`,
    ...[...lines].map(([name, cells]) => `| ${name} | ${cells.join(' | ')} |`),
    '',
    ...(section.notes.length > 0 ? [...section.notes.map((note) => `* ${note}`), ''] : []),
  ].join('\n')
}

/** The value below which a share `q` of the values lies. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

function format(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en')
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 3)
}
