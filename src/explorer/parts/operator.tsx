import type { NodeInfo } from '../../client/node-about.ts'
import { bytes, count } from '../data/format.ts'
import { visible } from '../data/format-visible.ts'

/** Who runs the host, and what it stores for whom, as the operator states it. */
export function Operator({ info }: { info: NodeInfo }) {
  const { name, contact, policy, public_url, history, quotas } = info
  return (
    <section aria-labelledby="operator-title">
      <h2 id="operator-title">{name === null ? 'Who runs this host' : visible(name)}</h2>
      <dl class="facts">
        <dt>Contact</dt>
        <dd>{contact === null ? 'The operator states none.' : <Contact contact={contact} />}</dd>
        {public_url !== null && (
          <>
            <dt>Address</dt>
            <dd>{visible(public_url)}</dd>
          </>
        )}
        <dt>Policy</dt>
        <dd class="policy">{policy === null ? 'The operator states none.' : visible(policy)}</dd>
        <dt>History</dt>
        <dd>
          {history.kept
            ? `kept: this host also shows records that a snapshot has replaced, ${history.erased_kept ? 'even' : 'but not'} of erased avatars`
            : 'dropped: a snapshot replaces the records before it'}
        </dd>
        <dt>Room</dt>
        <dd>
          {room(quotas.avatar_bytes, quotas.avatar_records)} for each avatar,{' '}
          {room(quotas.total_bytes, quotas.total_records)} for all together
        </dd>
      </dl>
    </section>
  )
}

/** A link only where its target is a mail address or a page over TLS; any other text stays text. */
function Contact({ contact }: { contact: string }) {
  const isMail = /^[\w.!#$%&'*+/=?^`{|}~-]+@[A-Za-z0-9.-]+$/.test(contact)
  if (!isMail && !/^https:\/\/[\x21-\x7e]+$/.test(contact)) return <>{visible(contact)}</>
  return (
    <a href={isMail ? `mailto:${encodeURIComponent(contact)}` : contact} rel="noreferrer nofollow">
      {contact}
    </a>
  )
}

function room(most: number | null, records: number | null): string {
  const limits = [most === null ? '' : bytes(most), records === null ? '' : count(records, 'record')]
  return limits.filter((limit) => limit !== '').join(' and ') || 'no limit'
}
