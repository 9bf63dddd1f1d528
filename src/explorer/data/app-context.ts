import { createContext } from 'preact'
import { useContext, useEffect, useState } from 'preact/hooks'
import type { Signer } from '../../client/index.ts'
import type { Drafts } from './drafts.ts'
import type { Outbox } from './outbox.ts'
import type { Session } from './session.ts'
import type { OutboxEntry } from './outbox-entry.ts'

/** The wallet or key that signs. A pasted or new key is only in the memory of this page, and is gone with it. */
export interface ActiveSigner {
  readonly signer: Signer
  readonly kind: 'wallet' | 'key'
  /** The name of a wallet, if it announced one. */
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

/** Signed changes of an avatar that are to be sent. */
export function useWaiting(avatar: string): readonly OutboxEntry[] {
  const { outbox } = useApp()
  return useEntries(outbox.waiting, avatar)
}

/** Signed changes of an avatar that the host refuses. The person decides what happens to them. */
export function useDeclined(avatar: string): readonly OutboxEntry[] {
  const { outbox } = useApp()
  return useEntries(outbox.declined, avatar)
}

/** Signed changes of all avatars: those that are to be sent, and those that the host refuses. */
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
