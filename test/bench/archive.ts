import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdtemp, open, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import { promisify } from 'node:util'
import { headerLine, recordLine, trailerLine } from '../../src/archive/format.ts'
import { createHash } from 'node:crypto'
import type { SignedRecord } from '../../src/record/types.ts'
import { presign } from './presign.ts'
import type { Bench, Row } from './report.ts'
import { bindingsVerifyRate } from './verify-rate.ts'

/** `ARCHIVE_RECORDS=1000000` for the large one: some 7 minutes and 3 GB of disk. */
const RECORDS = Number(process.env['ARCHIVE_RECORDS'] ?? 100_000)
/** Records signed and written at once, each batch of avatars of its own: memory of the bench itself. */
const SIGNED_AT_ONCE = 50_000
const PER_AVATAR = 200
const PAYLOAD_BYTES = 460
const execute = promisify(execFile)
/** The built command line, as users run it. Benches are started from the project's folder. */
const MAIN = join(process.cwd(), 'dist/main.js')
/**
 * Prints the greatest memory of its own (in KiB) that a process had, on standard error at its end. Files that LevelDB has
 * mapped are not its own: the system takes them back as it likes, and there is as much of them as there is on disk.
 */
const WATCH = `data:text/javascript,${encodeURIComponent(`
import { readFileSync } from 'node:fs'
let most = 0
const look = () => {
  const own = /RssAnon:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))
  most = Math.max(most, Number(own?.[1]))
}
setInterval(look, 50).unref()
process.on('exit', () => process.stderr.write('own ' + most))`)}`

export const archive: Bench = {
  name: 'archive',
  about: `an archive of ${RECORDS.toLocaleString('en')} records of ${PAYLOAD_BYTES} bytes: import into an empty store, export, verify; each a process of its own`,
  async run() {
    const folder = await mkdtemp(join(tmpdir(), 'avatar-kv-archive-'))
    try {
      const made = join(folder, 'made.avatar-kv.ndjson')
      await makeArchive(made)
      const verifyRate = await bindingsVerifyRate()
      const data = ['--data-dir', join(folder, 'data')]
      const out = join(folder, 'out.avatar-kv.ndjson')
      const steps = [
        ['import', ['import', made, ...data]],
        ['export', ['export', '--all', ...data, '--out', out]],
        ['verify', ['verify', out]],
        ['verify, compressed', ['verify', `${out}.gz`]],
      ] as const
      const rows: Row[] = [
        { measure: 'libsecp256k1 verifies, one thread, same run', value: verifyRate, unit: 'records/s' },
        { measure: 'size of the archive', value: (await stat(made)).size / 1e6, unit: 'MB' },
      ]
      for (const [what, args] of steps) {
        if (args[1] === `${out}.gz`) await run(['export', '--all', ...data, '--gzip', '--out', `${out}.gz`])
        const { seconds, ownMegabytes, json } = await run(args)
        const records = (json as { records: number }).records
        if (records !== RECORDS) throw new Error(`${what}: ${records} of ${RECORDS} records.`)
        rows.push(
          { measure: what, value: RECORDS / seconds, unit: 'records/s' },
          { measure: `${what}: ratio to the verify rate`, value: RECORDS / seconds / verifyRate, unit: 'ratio' },
          { measure: `${what}: greatest memory of its own`, value: ownMegabytes, unit: 'MB' },
        )
      }
      return rows
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  },
}

/**
 * Writes a sound archive: avatar by avatar as they are signed to a file of its own, and from there in ascending order of
 * avatars.
 */
async function makeArchive(file: string): Promise<void> {
  const unsorted = `${file}.unsorted`
  const blocks: { readonly avatar: string; readonly at: number; readonly length: number }[] = []
  const signed = createWriteStream(unsorted)
  let bytes = 0
  for (let at = 0; at < RECORDS; at += SIGNED_AT_ONCE) {
    const avatars = Math.min(SIGNED_AT_ONCE, RECORDS - at) / PER_AVATAR
    const spec = { name: `archive ${at}`, avatars, perAvatar: PER_AVATAR, payloadBytes: PAYLOAD_BYTES, keys: 10 }
    for (const records of byAvatar(await presign(spec), avatars)) {
      const block = Buffer.from(records.map(recordLine).join(''), 'utf8')
      blocks.push({ avatar: avatarIn(records[0]), at: bytes, length: block.length })
      bytes += block.length
      if (!signed.write(block)) await once(signed, 'drain')
    }
  }
  signed.end()
  await finished(signed)

  const stream = createWriteStream(file)
  const hash = createHash('sha256')
  const write = async (piece: Uint8Array): Promise<void> => {
    hash.update(piece)
    if (!stream.write(piece)) await once(stream, 'drain')
  }
  await write(Buffer.from(headerLine({ created_at: Math.floor(Date.now() / 1000), network: 'main' })))
  const handle = await open(unsorted)
  try {
    for (const { at, length } of blocks.sort((a, b) => (a.avatar < b.avatar ? -1 : 1))) {
      await write((await handle.read(Buffer.alloc(length), 0, length, at)).buffer)
    }
  } finally {
    await handle.close()
  }
  stream.end(trailerLine({ digest: hash.digest('hex'), records: RECORDS }))
  await finished(stream)
  await rm(unsorted)
}

function avatarIn(record: SignedRecord | undefined): string {
  return (JSON.parse(Buffer.from(record?.payload ?? []).toString('utf8')) as { avatar: string }).avatar
}

/** `presign` goes round the avatars. */
function* byAvatar(records: readonly SignedRecord[], avatars: number): Iterable<SignedRecord[]> {
  for (let avatar = 0; avatar < avatars; avatar++) yield records.filter((_, at) => at % avatars === avatar)
}

/** Runs one command, which must find nothing wrong. */
async function run(args: readonly string[]): Promise<{ seconds: number; ownMegabytes: number; json: unknown }> {
  const start = performance.now()
  const all = ['--import', WATCH, MAIN, ...args, '--json']
  const { stdout, stderr } = await execute(process.execPath, all, { maxBuffer: 16 << 20 })
  const seconds = (performance.now() - start) / 1000
  const ownMegabytes = Number(/own (\d+)/.exec(stderr)?.[1] ?? Number.NaN) / 1024
  return { seconds, ownMegabytes, json: JSON.parse(stdout) }
}
