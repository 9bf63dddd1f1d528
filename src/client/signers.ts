import type { SignatureEngine } from '../record/engine.ts'
import { RecordError } from '../record/errors.ts'
import { parseAvatar, parseSecretKey } from '../record/keys.ts'
import { createSigningKey } from '../record/sign.ts'
import type { Avatar } from '../record/types.ts'
import { ClientError } from './errors.ts'

/** Signs for an avatar: EIP-191 `personal_sign` over a text. */
export interface Signer {
  readonly avatar: Avatar
  /** Whether it signs without asking a person. Default false: then it is asked again only where `put` has to. */
  readonly silent?: boolean
  /** 64 bytes r ‖ s, or 65 with v, as bytes, `0x` and hex digits, or base64. */
  sign(payloadText: string): Promise<Uint8Array | string>
}

/**
 * Signs with a secret key, without asking.
 *
 * @param secretKey 32 bytes, or 64 hex digits
 * @param options.engine signs; `loadWasmEngine` gives one that is faster than the default, which is JavaScript
 * @throws ClientError `usage` where it is no secret key; its message never has the key
 */
export function privateKeySigner(
  secretKey: Uint8Array | string,
  options: { readonly engine?: Pick<SignatureEngine, 'sign' | 'keccak256'> } = {},
): Signer {
  const key = asUsage(() =>
    createSigningKey(typeof secretKey === 'string' ? parseSecretKey(secretKey) : secretKey, options.engine),
  )
  return { avatar: key.avatar, silent: true, sign: async (text) => key.sign(new TextEncoder().encode(text)) }
}

/**
 * Asks a signer of any kind for a signature.
 *
 * @throws ClientError `rejected` where the person said no, `wallet` where the signer fails otherwise
 */
export async function signWith(signer: Signer, text: string): Promise<Uint8Array | string> {
  try {
    return await signer.sign(text)
  } catch (error) {
    throw error instanceof ClientError ? error : signerFailure(error, 'The signer failed')
  }
}

/**
 * Codes that say that the person declined: EIP-1193 (4001), WalletConnect Sign 2.0 (5000 to 5003) and Auth (12001), and
 * ethers (a text).
 */
const DECLINED: ReadonlySet<unknown> = new Set([4001, 5000, 5001, 5002, 5003, 12001, 'ACTION_REJECTED'])
/** Where libraries put the wallet's own error: viem `cause`, ethers `info.error` and `error`, MetaMask `data.originalError`. */
const INNER = ['cause', 'info', 'error', 'data', 'originalError'] as const
/** Errors inside errors that are looked at: viem and ethers nest at most three deep. */
const MAX_NESTED = 4

/** @param what which failed, as the beginning of a sentence */
export function signerFailure(error: unknown, what: string): ClientError {
  if (isDeclined(error, MAX_NESTED)) {
    return new ClientError('rejected', 'You declined in the wallet. Nothing was written.', { cause: error })
  }
  const message = isObject(error) ? error.message : undefined
  return new ClientError('wallet', `${what}: ${String(message ?? error).slice(0, 500)}`, { cause: error })
}

function isDeclined(error: unknown, depth: number): boolean {
  if (!isObject(error)) return false
  if (DECLINED.has(error.code)) return true
  return depth > 0 && INNER.some((key) => isDeclined(error[key], depth - 1))
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

/** @throws ClientError `usage` where a text or bytes that the caller gave are not what they should be */
function asUsage<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    if (error instanceof RecordError) {
      throw new ClientError('usage', error.message, { nodeCode: error.code, cause: error })
    }
    throw error
  }
}

/** @throws ClientError `usage` if the text is no avatar */
export const avatarOfText = (text: string): Avatar => asUsage(() => parseAvatar(text))
