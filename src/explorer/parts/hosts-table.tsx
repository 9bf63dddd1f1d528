import type { NodeReport, VerifiedAvatar } from '../../client/index.ts'
import { count } from '../data/format.ts'
import { here } from '../data/here.ts'

const STANDINGS: Readonly<Record<NodeReport['standing'], string>> = {
  equal: 'shows exactly this state',
  behind: 'shows an older state',
  contradictory: 'contradicts its own records',
  unknown: 'does not have this avatar',
  failed: 'gave no usable answer',
}

/** How the content was checked, and what each host shows. */
export function HowChecked({ known }: { known: VerifiedAvatar }) {
  return (
    <>
      <p>
        Every record carries its author’s signature. This page fetched {count(known.records, 'record')}, checked each
        signature in your browser, worked out the content from them, and compared it with what each host says. This
        browser does not check again what it checked on an earlier visit. A host can hold back the newest records. It
        cannot change a record, and it cannot show a mixture. To notice a host that holds records back, compare it with
        a second host below. This page itself came from this host. If you do not trust the host with that, open the
        explorer of a host that you trust, and compare with this one from there.
      </p>
      <div class="scroll" role="region" aria-label="Hosts" tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col">Host</th>
              <th scope="col">Found</th>
              <th scope="col">Lacks</th>
            </tr>
          </thead>
          <tbody>
            {known.nodes.map(({ url, standing, lacks }) => (
              <tr key={url}>
                <th scope="row">
                  {url}
                  {url === here() && ' (this host)'}
                </th>
                <td>{STANDINGS[standing]}</td>
                <td>{lacks === null ? 'not known' : count(lacks, 'record')}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  )
}
