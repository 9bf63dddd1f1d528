import type { Config } from '../config/load.ts'
import type { NodeAbout } from '../http/lib/parts.ts'

/** What the node says about itself and its operator (`GET /v2/node`), from its configuration. */
export function nodeAbout({
  node,
  httpPublicUrl,
  archive,
  archiveErased,
  quotas,
  disk,
  hostingPolicyCommand,
}: Config): NodeAbout {
  return {
    name: node.name || null,
    contact: node.contact || null,
    policy: node.policy || null,
    public_url: httpPublicUrl || null,
    reviews_new_avatars: hostingPolicyCommand.length > 0,
    history: { kept: archive, erased_kept: archive && archiveErased },
    disk: { new_avatars_percent: disk.newAvatarsPercent, writes_percent: disk.writesPercent },
    quotas: {
      avatar_bytes: quotas.avatarBytes || null,
      avatar_records: quotas.avatarRecords || null,
      total_bytes: quotas.totalBytes || null,
      total_records: quotas.totalRecords || null,
    },
  }
}
