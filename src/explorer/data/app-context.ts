import { createContext } from 'preact'
import { useContext, useEffect, useState } from 'preact/hooks'
import type { Signer } from '../../client/index.ts'
import type { Drafts } from './drafts.ts'
import type { Outbox } from './outbox.ts'
import type { Session } from './session.ts'

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

/** Signed changes of an avatar, or of all: those that are to be sent, and those that the host refuses and the person decides on. */
export function useChanges(avatar?: string) {
  const { outbox } = useApp()
  const read = () => ({ waiting: outbox.waiting(avatar), declined: outbox.declined(avatar) })
  const [changes, setChanges] = useState(read)
  useEffect(() => {
    setChanges(read())
    return outbox.onChange(() => setChanges(read()))
  }, [outbox, avatar])
  return changes
}
