import { keccak_256 } from '@noble/hashes/sha3.js'
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js'
import { nobleEngine } from '../record/engine.ts'
import { recordDigest } from '../record/id.ts'
import { uncompressedAvatar } from '../record/keys.ts'
import { parseSignature, splitSignature } from '../record/signature.ts'
import type { Avatar } from '../record/types.ts'
import { ClientError } from './errors.ts'
import { avatarOfText, signerFailure, type Signer } from './signers.ts'

/** A browser wallet, `window.ethereum` for one, as EIP-1193 has it. */
export interface Eip1193Provider {
  /** `eth_requestAccounts` and `personal_sign` are all that is asked. */
  request(args: { method: string; params?: unknown[] }): Promise<unknown>
}

/** What is known of the account beforehand. */
export interface WalletSignerOptions {
  /** Account to sign with, `0x` and 40 hex digits. Default: the first that the wallet offers. */
  readonly address?: string
  /** The avatar of that account, where it is known from before: then nothing has to be signed to find it out. */
  readonly avatar?: string
}

/**
 * What a wallet is asked to sign so that its public key shows. It is no payload (not JSON), so that the signature can never
 * count as a record; it names no app, so that it is of no use elsewhere.
 */
const INTRODUCTION = [
  'avatar-kv: show my public key.',
  '',
  'This signature tells the app in front of you which avatar is yours. It writes nothing, pays nothing, and allows nothing.',
].join('\n')

const ADDRESS = /^0x[0-9a-fA-F]{40}$/

/**
 * Signs with a wallet by `personal_sign`. A wallet tells addresses, and an avatar is a public key: so it is asked once to sign
 * a text that says what it is for, unless the avatar is known.
 *
 * @throws ClientError `usage` where `options.avatar` is no avatar, `rejected` where the person said no, `wallet` where the
 * wallet fails or has no such account, `bad_signature` where what it signs is not by that account (contract accounts have no
 * key, and so no avatar)
 */
export function walletSigner(provider: Eip1193Provider, options?: WalletSignerOptions): Promise<Signer>
/** Wallets whose types name each method, such as viem's. */
export function walletSigner(
  provider: { request(args: never): Promise<unknown> },
  options?: WalletSignerOptions,
): Promise<Signer>
export async function walletSigner(provider: Eip1193Provider, options: WalletSignerOptions = {}): Promise<Signer> {
  const { address, avatar: text } = options
  // Before the wallet asks a person anything.
  const known = text === undefined ? undefined : avatarOfText(text)
  const account = await accountOf(provider, address)
  const avatar = known ?? (await introduce(provider, account))
  if (addressOf(avatar) !== account.toLowerCase()) {
    throw new ClientError('bad_signature', `The wallet's account ${account} does not belong to the avatar ${avatar}.`)
  }
  return { avatar, sign: (text) => personalSign(provider, account, text) }
}

/** The Ethereum address of an avatar: `0x` and 40 lower-case hex digits. */
export function addressOf(avatar: Avatar): `0x${string}` {
  const key = hexToBytes(uncompressedAvatar(avatar).slice(4))
  return `0x${bytesToHex(keccak_256(key).subarray(-20))}`
}

async function accountOf(provider: Eip1193Provider, wanted: string | undefined): Promise<string> {
  const accounts = await ask(provider, 'eth_requestAccounts', [])
  const offered = Array.isArray(accounts)
    ? accounts.filter((each) => typeof each === 'string' && ADDRESS.test(each))
    : []
  const account: unknown =
    wanted === undefined ? offered[0] : offered.find((each: string) => each.toLowerCase() === wanted.toLowerCase())
  if (typeof account === 'string') return account
  const which = wanted === undefined ? 'no account' : `not the account ${wanted}`
  throw new ClientError('wallet', `The wallet offers ${which}. Unlock it, and choose the account there.`)
}

async function introduce(provider: Eip1193Provider, account: string): Promise<Avatar> {
  const signature = await personalSign(provider, account, INTRODUCTION)
  const digest = recordDigest(new TextEncoder().encode(INTRODUCTION))
  const candidates: Avatar[] = []
  try {
    const { compact, recoveryId } = splitSignature(parseSignature(signature), true)
    for (const id of recoveryId === null ? ([0, 1] as const) : [recoveryId]) {
      const key = nobleEngine.recover(compact, id, digest)
      if (key !== null) candidates.push(`0x${bytesToHex(key)}`)
    }
  } catch (error) {
    throw notByKey(account, error)
  }
  const avatar = candidates.find((each) => addressOf(each) === account.toLowerCase())
  if (avatar === undefined) throw notByKey(account, undefined)
  return avatar
}

async function personalSign(provider: Eip1193Provider, account: string, text: string): Promise<string> {
  const hex = `0x${bytesToHex(new TextEncoder().encode(text))}`
  const signature = await ask(provider, 'personal_sign', [hex, account])
  if (typeof signature !== 'string') throw new ClientError('wallet', 'The wallet returned no signature.')
  return signature
}

async function ask(provider: Eip1193Provider, method: string, params: unknown[]): Promise<unknown> {
  try {
    return await provider.request({ method, params })
  } catch (error) {
    throw signerFailure(error, `The wallet failed at ${method}`)
  }
}

function notByKey(account: string, cause: unknown): ClientError {
  return new ClientError(
    'bad_signature',
    `What the wallet signed is not by the key of ${account}. A contract has no key, and so no avatar: choose another account.`,
    { cause },
  )
}
