import { printable } from './text.ts'

/** What a node says about whether it can be reached from outside. Nodes of earlier versions do not report it. */
export function reachabilityText(reachability: unknown): string {
  const { text } = Object(reachability) as { readonly text?: unknown }
  return typeof text === 'string' ? printable(text) : 'not reported'
}
