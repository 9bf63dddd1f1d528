import { createContext } from 'preact'
import { useContext, useEffect, useState } from 'preact/hooks'
import type { Signer } from '../../client/index.ts'
import type { Drafts } from './drafts.ts'
import type { Outbox } from './outbox.ts'
import type { Session } from './session.ts'
import type { Kept } from './waiting.ts'

/** What signs. A pasted or new key is held by its signer in memory only, and is gone with the page. */
export interface Pen {
  readonly signer: Signer
  readonly kind: 'wallet' | 'key'
  /** Of a wallet that announced its name. */
  readonly name?: string
  /** The secret of a new key, shown until the person has saved it or forgets the key. */
  readonly made?: string
}

export interface Desk {
  readonly session: Session
  readonly outbox: Outbox
  readonly drafts: Drafts
  readonly pen: Pen | undefined
  readonly takePen: (pen: Pen | undefined) => void
}

const DeskContext = createContext<Desk | undefined>(undefined)
export const DeskProvider = DeskContext.Provider

export function useDesk(): Desk {
  const desk = useContext(DeskContext)
  if (desk === undefined) throw new Error('The page has not been opened yet.')
  return desk
}

/** Signed records of an avatar that are still to be sent. */
export function useWaiting(avatar: string): readonly Kept[] {
  const { outbox } = useDesk()
  return useKept(outbox.list, avatar)
}

/** Those that the host does not take: the person decides what becomes of them. */
export function useDeclined(avatar: string): readonly Kept[] {
  const { outbox } = useDesk()
  return useKept(outbox.declined, avatar)
}

/** Of all avatars: what is still to be sent, and what is left to the person. */
export function useLeft(): readonly Kept[] {
  const { outbox } = useDesk()
  return [...useKept(outbox.list), ...useKept(outbox.declined)]
}

function useKept(read: Outbox['list'], avatar?: string): readonly Kept[] {
  const { outbox } = useDesk()
  const [records, setRecords] = useState(() => read(avatar))
  useEffect(() => {
    setRecords(read(avatar))
    return outbox.onChange(() => setRecords(read(avatar)))
  }, [outbox, read, avatar])
  return records
}
