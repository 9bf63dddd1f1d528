import { expect } from 'vitest'
import type { Avatar } from '../../src/record/types.ts'
import type { AvatarAnswer, WriteResult } from './api.ts'
import type { NodeProcess } from './cluster.ts'
import { until } from './until.ts'

/**
 * Waits until every node shows the avatar with this head and no difference between them, then compares what they send
 * byte for byte.
 *
 * @returns what they all show
 */
export async function settled(
  nodes: readonly NodeProcess[],
  avatar: Avatar,
  expected: (answer: AvatarAnswer) => boolean,
  what: string,
): Promise<AvatarAnswer> {
  await until(
    async () => {
      const answers = await Promise.all(nodes.map((node) => node.api.avatar(avatar)))
      return answers.every((answer) => answer !== undefined && expected(answer) && answer.digest === answers[0]?.digest)
    },
    `every node shows ${what}`,
    60_000,
  )
  const texts = await Promise.all(nodes.map((node) => node.api.avatarText(avatar)))
  expect(new Set(texts).size).toBe(1)
  return JSON.parse(texts[0] ?? '') as AvatarAnswer
}

/** The statuses of the results, in order. */
export function statuses(results: readonly WriteResult[]): string[] {
  return results.map(({ status }) => status)
}
