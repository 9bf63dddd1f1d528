import { decodeFollowFrame, encodeFollowFrame } from '../../src/follow/frames.ts'
import type { FrameStream } from '../../src/sync/types.ts'
import type { World } from './world-types.ts'

/** As many as the sources that a node wants for each avatar. */
const LIARS = 2

/** Connects a node with peers that say that they keep every avatar, and send nothing. They stay when the faults are over. */
export function lieInFollow(world: World, victim: number): void {
  const { nodes, wires, switchboard } = world
  for (let liar = 1; liar <= LIARS; liar += 1) {
    // The number after those of the nodes is the hostile peer's.
    const number = nodes.length + liar
    wires.connect(number, victim)
    switchboard.topic.add(number)
    const { follow } = switchboard.attach({ number, isAlive: () => true })
    const nothing = (): void => undefined
    follow.listen({
      stream: (_, stream) => void claimAll(stream).catch(nothing),
      connected: nothing,
      disconnected: nothing,
    })
  }
}

async function claimAll(stream: FrameStream): Promise<void> {
  for (let bytes = await stream.receive(); bytes !== null; bytes = await stream.receive()) {
    const frame = decodeFollowFrame(bytes)
    if (frame.kind !== 'follow') continue
    const common = new Uint8Array(Math.ceil(frame.avatars.length / 8)).fill(0xff)
    await stream.send(encodeFollowFrame({ kind: 'following', common }))
  }
  await stream.close()
}
