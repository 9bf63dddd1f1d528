/**
 * Writes one record after the other, until it is killed; says on its standard output what was acknowledged. Arguments:
 * directory, secret key in hex, and the address of a node where it is not to be offline.
 */
import { openReplica, privateKeySigner } from '../../dist/replica/index.js'

const [location, key, ...nodes] = process.argv.slice(2)
const signer = privateKeySigner(key)
const replica = await openReplica({ location, nodes, avatars: [signer.avatar] })
const start = replica.get(signer.avatar)?.n ?? 0
process.stdout.write(`open ${start} ${replica.waiting().length}\n`)
for (let n = start + 1; ; n++) {
  const { records } = await replica.put({ signer, patch: { n, [`slot${n % 20}`]: 'x'.repeat(n % 200) } })
  process.stdout.write(`${n} ${records[0].id}\n`)
}
