import { InvalidArgumentError, Option } from 'commander'

import { messageOf } from '../../platform/errors.ts'
import type { EnvironmentVariables } from '../../config/environment-variables.ts'
import { NODE_VARIABLE } from '../../config/environment-variables.ts'
import { parseAvatar } from '../../record/keys.ts'
import type { Avatar } from '../../record/types.ts'
import { DEFAULT_NODE_URL } from './node.ts'

/** An avatar in any form that people type. */
export function avatarArgument(text: string): Avatar {
  try {
    return parseAvatar(text)
  } catch (error) {
    throw new InvalidArgumentError(messageOf(error))
  }
}

/** Several avatars, one after the other. */
export function avatarsArgument(text: string, others: readonly Avatar[] = []): readonly Avatar[] {
  return [...others, avatarArgument(text)]
}

/** A whole number of at least 1. */
export function countArgument(text: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < 1) {
    throw new InvalidArgumentError('Expected a whole number of at least 1.')
  }
  return value
}

/** The option `--node URL` of every command that talks to a node. */
export function nodeOption(env: EnvironmentVariables): Option {
  return new Option('--node <url>', `address of the node's HTTP interface (or ${NODE_VARIABLE})`).default(
    env[NODE_VARIABLE] || DEFAULT_NODE_URL,
  )
}

export function jsonOption(): Option {
  return new Option('--json', 'print one line of JSON instead of text')
}

/** The option of commands that ask hosts which another node named. */
export function allowPrivateOption(): Option {
  return new Option('--allow-private', 'also ask hosts at addresses of private networks that a node names')
}
