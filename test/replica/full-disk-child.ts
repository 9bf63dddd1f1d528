/**
 * Writes to a replica as it is told on standard input, `put <name>` or `count`, and says on standard output what became of it.
 * Arguments: directory, and secret key in hex.
 */
import { createInterface } from 'node:readline'
import { ReplicaError, openReplica, privateKeySigner } from '../../src/replica/index.ts'

const [location = '', key = ''] = process.argv.slice(2)
const signer = privateKeySigner(Buffer.from(key, 'hex'))
const replica = await openReplica({ location, avatars: [signer.avatar] })

async function answer(line: string): Promise<string> {
  const [what, name = ''] = line.split(' ')
  if (what === 'count')
    return replica
      .waiting()
      .map(({ id }) => id)
      .join(' ')
  try {
    const { records } = await replica.put({ signer, patch: { [name]: name.repeat(1_000) } })
    return records.map(({ id }) => id).join(' ')
  } catch (error) {
    return error instanceof ReplicaError ? `failed ${error.code}` : `failed ${String(error)}`
  }
}

process.stdout.write('open\n')
for await (const line of createInterface(process.stdin)) process.stdout.write(`${await answer(line)}\n`)
