import type { RateLimits } from '../shares/rates.ts'

/** Hosts in one answer: the peer itself, and what it knows of others. A receipt takes 2 ms of CPU to verify. */
export const MAX_TOLD_HOSTS = 4
export const MAX_ADDRESSES = 4
export const MAX_URLS = 1
export const MAX_ADDRESS_CHARACTERS = 256
/** Hosts of an avatar that are remembered and shown. */
export const MAX_HOSTS = 16

/** Peers asked for one avatar. */
export const MAX_PEERS_ASKED = 8
/** The time that a peer has for its answer. A node answers in milliseconds. */
export const ANSWER_MS = 4_000
/** Peers are not asked again for the same avatar within this time. */
export const FRESH_MS = 60_000
/** Avatars for which peers are asked at the same time. */
export const MAX_SEARCHES = 16

/** Clocks of nodes are rarely off by a minute. A peer's own receipt was made now, give or take this. */
export const CLOCK_SKEW_S = 600
/** A receipt that is passed on may be this old; later its host may have released the avatar. */
export const MAX_RECEIPT_AGE_S = 3_600
/** Memory of found hosts: about 4 avatars a KiB if each has one host. */
export const MAX_REMEMBERED_BYTES = 4 * 1024 * 1024

/** Questions of peers. One takes a look-up and at most one signature, 0.2 ms. */
export const QUESTION_RATES: RateLimits = {
  perKey: { burst: 50, refillMs: 200 },
  total: { burst: 500, refillMs: 20 },
  reserve: 100,
}

/** Searches of HTTP clients that ask peers: at most 8 questions and 32 signatures to verify, about 60 ms of CPU. */
export const SEARCH_RATES: RateLimits = {
  perKey: { burst: 20, refillMs: 2_000 },
  total: { burst: 60, refillMs: 250 },
  reserve: 20,
}

/** Rate of signing receipts. A signature takes 90 µs of CPU: one host can use 4.5 % of a core, all hosts together 18 %. */
export const RECEIPT_RATES: RateLimits = {
  perKey: { burst: 2000, refillMs: 2 },
  total: { burst: 8000, refillMs: 0.5 },
  reserve: 2000,
}
