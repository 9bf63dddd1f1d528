import { useState } from 'preact/hooks'
import type { HostStatus } from '../data/node-facts.ts'
import { visible } from '../data/format-visible.ts'
import { Copy } from './hex.tsx'
import { Icon } from './icon.tsx'
import { QrCode } from './share.tsx'

/** Addresses that are shown; a host may name any number. */
const SHOWN_ADDRESSES = 8
/** A QR code of a longer text is too fine for a phone. */
const MAX_QR_CHARACTERS = 500

/** How another node connects to this one. */
export function ConnectToMe({ status }: { status: HostStatus }) {
  const [shown, setShown] = useState<string | undefined>(undefined)
  const addresses = status.addresses.slice(0, SHOWN_ADDRESSES)
  return (
    <section aria-labelledby="connect-title">
      <h2 id="connect-title">Connect to me</h2>
      {status.reachability !== null && <p>From outside: {visible(status.reachability.text)}.</p>}
      {addresses.length === 0 ? (
        <p class="empty">This host listens at no address, so no node can connect to it.</p>
      ) : (
        <>
          <p class="hint">
            Start another node with <code>--peer</code> and one of these addresses. To connect this host to another
            node, its operator does the same with the address of that node.
          </p>
          <ul class="list addresses">
            {addresses.map((each) => (
              <li key={each}>
                <code class="address">{visible(each)}</code>
                <span>
                  <Copy text={each} label="Copy the address" />
                  {each.length <= MAX_QR_CHARACTERS && (
                    <button
                      type="button"
                      class="icon-button quiet"
                      aria-label="Show the QR code of the address"
                      aria-expanded={shown === each}
                      onClick={() => setShown(shown === each ? undefined : each)}
                    >
                      <Icon name="qr" />
                    </button>
                  )}
                </span>
                {shown === each && <QrCode text={each} label="QR code of the address" />}
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  )
}
