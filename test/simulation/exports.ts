import { nodePlatform } from '../../src/archive/node.ts'
import { checkArchive } from '../../src/archive/check.ts'
import { writeArchive } from '../../src/archive/writer.ts'
import type { Avatar } from '../../src/record/types.ts'
import type { Look } from './checker.ts'
import { NETWORK, rememberingVerifier } from './crypto.ts'
import type { SimulatedNode } from './node.ts'
import type { Process } from './process.ts'
import { Violation } from './violation.ts'
import type { World } from './world-types.ts'

/** What a node exports is what it holds and shows, to whoever checks it without a store. */
export async function checkExports(
  world: World,
  node: SimulatedNode,
  { store }: Process,
  looks: ReadonlyMap<Avatar, Look>,
): Promise<void> {
  const history = world.random.chance(0.5)
  const readSnapshot = await store.exportSnapshot()
  const chunks = writeArchive(nodePlatform, readSnapshot, { network: NETWORK, createdAt: 0, history })
  const report = await checkArchive(nodePlatform, { chunks, verifierFor: () => rememberingVerifier(world.engine) })
  await readSnapshot.close()
  const wrong = (what: string): Violation => new Violation('an export is not what is held', `${node.name} ${what}`)
  if (!report.sound || report.avatars !== looks.size) throw wrong(JSON.stringify(report))
  for (const { avatar, records, state } of report.shown) {
    const look = looks.get(avatar)
    const right = history ? look?.records.length : look?.expected.fold.live
    if (records !== right) throw wrong(`${avatar} ${records} records, not ${right}`)
    if (state?.digest !== look?.view?.summary.digest) throw wrong(`${avatar} with the digest ${state?.digest}`)
  }
}
