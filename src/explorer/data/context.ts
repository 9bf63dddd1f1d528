import { createContext } from 'preact'
import { useContext, useEffect, useState } from 'preact/hooks'
import type { Signer } from '../../client/index.ts'
import type { Outbox, Waiting } from './outbox.ts'
import type { Session } from './session.ts'

/** Who signs. A pasted or made key is held by its signer in memory alone, and gone with the page. */
export interface Pen {
  readonly signer: Signer
  readonly kind: 'wallet' | 'key'
}

export interface Desk {
  readonly session: Session
  readonly outbox: Outbox
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

/** Signed records of an avatar that no host has taken yet. */
export function useWaiting(avatar: string): readonly Waiting[] {
  const { outbox } = useDesk()
  const [waiting, setWaiting] = useState(() => outbox.list(avatar))
  useEffect(() => {
    setWaiting(outbox.list(avatar))
    return outbox.onChange(() => setWaiting(outbox.list(avatar)))
  }, [outbox, avatar])
  return waiting
}
