import { createContext } from 'preact'
import { useContext, useEffect, useState } from 'preact/hooks'
import type { Signer } from '../../client/index.ts'
import type { Drafts } from './drafts.ts'
import type { Outbox } from './outbox.ts'
import type { Session } from './session.ts'
import type { OutboxEntry } from './outbox-entry.ts'

/** What signs. A pasted or new key is held by its signer in memory only, and is gone with the page. */
export interface ActiveSigner {
  readonly signer: Signer
  readonly kind: 'wallet' | 'key'
  /** Of a wallet that announced its name. */
  readonly name?: string
  /** The secret of a new key, shown until the person has saved it or forgets the key. */
  readonly made?: string
}

export interface AppContext {
  readonly session: Session
  readonly outbox: Outbox
  readonly drafts: Drafts
  readonly activeSigner: ActiveSigner | undefined
  readonly setActiveSigner: (activeSigner: ActiveSigner | undefined) => void
}

const Context = createContext<AppContext | undefined>(undefined)
export const AppProvider = Context.Provider

export function useApp(): AppContext {
  const app = useContext(Context)
  if (app === undefined) throw new Error('The page has not been opened yet.')
  return app
}

/** Signed records of an avatar that are still to be sent. */
export function useWaiting(avatar: string): readonly OutboxEntry[] {
  const { outbox } = useApp()
  return useEntries(outbox.waiting, avatar)
}

/** Those that the host does not take: the person decides what becomes of them. */
export function useDeclined(avatar: string): readonly OutboxEntry[] {
  const { outbox } = useApp()
  return useEntries(outbox.declined, avatar)
}

/** Of all avatars: what is still to be sent, and what is left to the person. */
export function useLeft(): readonly OutboxEntry[] {
  const { outbox } = useApp()
  return [...useEntries(outbox.waiting), ...useEntries(outbox.declined)]
}

function useEntries(read: Outbox['waiting'], avatar?: string): readonly OutboxEntry[] {
  const { outbox } = useApp()
  const [records, setRecords] = useState(() => read(avatar))
  useEffect(() => {
    setRecords(read(avatar))
    return outbox.onChange(() => setRecords(read(avatar)))
  }, [outbox, read, avatar])
  return records
}
