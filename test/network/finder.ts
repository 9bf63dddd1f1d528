import { startNode } from './nodes.ts'
import type { TestNode, TestNodeOptions } from './nodes.ts'

/** A node that finds peers by itself: by seeds, and by what peers tell. */
export function startFinder(
  seeds: readonly string[],
  options: TestNodeOptions = {},
  bookPath?: string,
): Promise<TestNode> {
  return startNode({ ...options, discovery: { seeds, ...(bookPath === undefined ? {} : { bookPath }) } })
}
