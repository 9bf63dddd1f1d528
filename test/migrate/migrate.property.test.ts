import fc from 'fast-check'
import { expect, it } from 'vitest'

import { postRecords } from '../http/writer.ts'
import { history } from '../oracle/history.ts'
import { propertyRuns } from '../support/runs.ts'
import { migrate, openNode, shown, url } from './hosts.ts'

const RUNS = propertyRuns(25)
const STEPS = 30

it('whatever an avatar has written, all of it is at the new host in the end, and the same', async () => {
  const [source, target] = [await openNode(), await openNode()]
  let seed = 7_000
  for (let run = 0; run < RUNS; run += 1) {
    seed += 1
    const [written] = fc.sample(history(STEPS, seed), { numRuns: 1, seed })
    if (written === undefined || written.records.length === 0) continue
    const { avatar } = written.key
    await postRecords(source, written.records)
    // Some of it is at the new host already, as after a migration that was interrupted.
    const part = written.records.filter((_, at) => (at * seed) % 3 === 0)
    if (part.length > 0) await postRecords(target, part)
    if ((await shown(source, avatar)) === undefined) continue
    const { code, err } = await migrate(url(source), url(target), avatar)
    expect({ code, seed, err: code === 0 ? '' : err }).toEqual({ code: 0, seed, err: '' })
    expect(await shown(target, avatar)).toEqual(await shown(source, avatar))
  }
})
