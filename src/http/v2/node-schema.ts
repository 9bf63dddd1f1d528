import Type from 'typebox'

import { Count, nullable, object } from '../lib/schemas.ts'

const stated = (description: string) =>
  nullable(Type.String(), { description: `${description} Plain text; null if the operator does not state it.` })
const quota = nullable(Count, { description: 'Null: no limit.' })

/** `GET /v2/node`. */
export const NodeAnswer = object(
  {
    name: stated('At most 64 characters.'),
    contact: stated('A mail address or an `https://` URL of the operator, at most 254 characters.'),
    policy: stated('Whom and what the node hosts, in words, at most 4,000 characters.'),
    public_url: stated('The URL of this interface for others, at most 254 characters.'),
    network: Type.String(),
    version: Type.String(),
    peer_id: Type.String(),
    addresses: Type.Array(Type.String(), {
      description: 'Multiaddrs at which the node can be dialled over the internet, as far as the node knows.',
    }),
    hosting: object({
      mode: Type.Enum(['all', 'listed']),
      policy: Type.Enum(['open', 'invite', 'closed'], { description: 'Which owners get on the list when they ask.' }),
    }),
    reviews_new_avatars: Type.Boolean({ description: 'Whether a program of the operator decides on new avatars.' }),
    history: object({
      kept: Type.Boolean({ description: 'Whether the node keeps and shows records that a snapshot has replaced.' }),
      erased_kept: Type.Boolean({ description: 'Whether it does so even for avatars whose owners have erased them.' }),
    }),
    disk: object({
      new_avatars_percent: Type.Integer({
        description: 'Percent of free disk below which the node takes no new avatars; 0: never.',
      }),
      writes_percent: Type.Integer({ description: 'The same for all records.' }),
    }),
    quotas: object({ avatar_bytes: quota, avatar_records: quota, total_bytes: quota, total_records: quota }),
    limits: object({
      record_bytes: Type.Integer({ description: 'Largest payload of a record.' }),
      request_records: Type.Integer({ description: 'Most records of one `POST /v2/records`.' }),
      request_bytes: Type.Integer({ description: 'Largest body of it.' }),
    }),
  },
  'Node',
)
