/**
 * Every statement that the store sends to PostgreSQL, besides the migrations and the control of transactions. Lists are arrays
 * of one length, one for each column, so that the number of rows does not change the text and each text is prepared once a
 * connection.
 */

export interface Statement {
  /** Name of the prepared statement. */
  readonly name: string
  readonly text: string
}

const SUMMARY_COLUMNS = `a.avatar, a.head, a.digest, a.base_counter, a.base_id, a.tips, a.tips_total, a.pending, a.incomplete,
  a.missing, a.missing_total, a.records, a.bytes, a.id_sum, a.kept_records, a.kept_bytes, a.namespaces`
const RECORD_COLUMNS =
  'r.sequence, r.avatar, r.counter, r.id, r.type, r.created_at, r.bytes, r.live, r.payload, r.signature'

const texts = {
  // The store's own row.
  begin: `INSERT INTO store (network, epoch, archive, keeps_erased) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
  state: `SELECT network, epoch, archive, keeps_erased, last_sequence, feed_floor, avatars, records, bytes, kept_records, kept_bytes
    FROM store`,
  setRules: `UPDATE store SET archive = $1, keeps_erased = $2`,
  hint: `SELECT pg_notify('avatar_kv_feed', '')`,
  newEpoch: `UPDATE store SET epoch = $2 WHERE epoch = $1 AND last_sequence < $3`,

  // Locks. Rows of new avatars are inserted first, in order, so that two writers of a new avatar wait for each other here.
  insertAvatars: `INSERT INTO avatars (avatar) SELECT x FROM unnest($1::bytea[]) x ORDER BY x ON CONFLICT DO NOTHING`,
  lockAvatars: `SELECT ${SUMMARY_COLUMNS} FROM avatars a WHERE a.avatar = ANY($1::bytea[]) ORDER BY a.avatar FOR UPDATE`,

  // What a batch needs.
  tips: `SELECT avatar, counter, id FROM tips WHERE avatar = ANY($1::bytea[]) ORDER BY avatar, counter, id`,
  pending: `SELECT avatar, counter, id, type, names FROM pending WHERE avatar = ANY($1::bytea[]) ORDER BY avatar, counter, id`,
  held: `SELECT id, avatar, counter, type FROM records WHERE id = ANY($1::bytea[])`,
  bodies: `SELECT id, payload FROM records WHERE id = ANY($1::bytea[])`,
  bodiesBefore: `SELECT r.id, r.payload FROM records r WHERE r.avatar = $1 AND r.live AND (r.counter, r.id) < ($2, $3)
    ORDER BY r.counter DESC, r.id DESC LIMIT $4`,
  bodiesPending: `SELECT r.id, r.payload FROM pending p JOIN records r USING (avatar, counter, id)
    WHERE p.avatar = $1 AND p.type = 0 AND (p.counter, p.id) >= ($2, $3) ORDER BY p.counter, p.id LIMIT $4`,
  namespacesNamed: `SELECT n.avatar, n.platform, n.identity, n.last_patch, n.in_base, n.live, n.deleted
    FROM namespaces n JOIN unnest($1::bytea[], $2::text[], $3::text[]) w (avatar, platform, identity)
      ON n.avatar = w.avatar AND n.platform = w.platform COLLATE "C" AND n.identity = w.identity COLLATE "C"`,
  membersNamed: `SELECT m.avatar, m.platform, m.identity, m.sort_key, m.long_key, m.value, m.stamps
    FROM unnest($1::bytea[], $2::text[], $3::text[], $4::bytea[]) w (avatar, platform, identity, sort_key)
    JOIN members m ON m.avatar = w.avatar AND m.platform = w.platform COLLATE "C" AND m.identity = w.identity COLLATE "C"
      AND m.sort_key = w.sort_key`,
  namespacesOf: `SELECT avatar, platform, identity, last_patch, in_base, live, deleted FROM namespaces WHERE avatar = $1
    ORDER BY platform, identity`,
  membersOf: `SELECT avatar, platform, identity, sort_key, long_key, value, stamps FROM members
    WHERE avatar = $1 AND (platform, identity, sort_key) > ($2 COLLATE "C", $3 COLLATE "C", $4)
    ORDER BY platform, identity, sort_key LIMIT $5`,
  bytesOf: `SELECT bytes FROM records WHERE avatar = $1 AND counter = $2 AND id = $3`,
  entries: `SELECT counter, id, type, bytes FROM records
    WHERE avatar = $1 AND (counter, id) > ($2, $3) AND counter < $4 ORDER BY counter, id LIMIT $5`,
  sides: `SELECT count(*) FILTER (WHERE counter < $3) AS gone, count(*) FILTER (WHERE counter >= $3) AS remain
    FROM records WHERE avatar = $1 AND counter >= $2`,

  // What a batch changes.
  dropAvatars: `DELETE FROM avatars WHERE avatar = ANY($1::bytea[])`,
  dropTips: `DELETE FROM tips t USING unnest($1::bytea[], $2::bigint[], $3::bytea[]) w (avatar, counter, id)
    WHERE t.avatar = w.avatar AND t.counter = w.counter AND t.id = w.id`,
  putTips: `INSERT INTO tips SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bytea[]) ON CONFLICT DO NOTHING`,
  dropPending: `DELETE FROM pending p USING unnest($1::bytea[], $2::bigint[], $3::bytea[]) w (avatar, counter, id)
    WHERE p.avatar = w.avatar AND p.counter = w.counter AND p.id = w.id`,
  putPending: `INSERT INTO pending SELECT w.avatar, w.counter, w.id, w.type, w.names::jsonb
    FROM unnest($1::bytea[], $2::bigint[], $3::bytea[], $4::smallint[], $5::text[]) w (avatar, counter, id, type, names)
    ON CONFLICT DO NOTHING`,
  dropNamespaces: `DELETE FROM namespaces n USING unnest($1::bytea[], $2::text[], $3::text[]) w (avatar, platform, identity)
    WHERE n.avatar = w.avatar AND n.platform = w.platform COLLATE "C" AND n.identity = w.identity COLLATE "C"`,
  putNamespaces: `INSERT INTO namespaces
    SELECT * FROM unnest($1::bytea[], $2::text[], $3::text[], $4::bigint[], $5::boolean[], $6::integer[], $7::integer[])
    ON CONFLICT (avatar, platform, identity) DO UPDATE SET last_patch = excluded.last_patch, in_base = excluded.in_base,
      live = excluded.live, deleted = excluded.deleted`,
  dropMembers: `DELETE FROM members m USING unnest($1::bytea[], $2::text[], $3::text[], $4::bytea[])
      w (avatar, platform, identity, sort_key)
    WHERE m.avatar = w.avatar AND m.platform = w.platform COLLATE "C" AND m.identity = w.identity COLLATE "C"
      AND m.sort_key = w.sort_key`,
  putMembers: `INSERT INTO members
    SELECT * FROM unnest($1::bytea[], $2::text[], $3::text[], $4::bytea[], $5::bytea[], $6::text[], $7::bytea[])
    ON CONFLICT (avatar, platform, identity, sort_key) DO UPDATE SET value = excluded.value, stamps = excluded.stamps`,
  dropLinks: `DELETE FROM links l USING unnest($1::bytea[], $2::bytea[], $3::bytea[]) w (avatar, linked, sort_key)
    WHERE l.avatar = w.avatar AND l.linked = w.linked AND l.sort_key = w.sort_key`,
  putLinks: `INSERT INTO links SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bytea[]) ON CONFLICT DO NOTHING`,
  putSummaries: `UPDATE avatars a SET head = w.head, digest = w.digest, base_counter = w.base_counter, base_id = w.base_id,
      tips = w.tips::jsonb, tips_total = w.tips_total, pending = w.pending, incomplete = w.incomplete,
      missing = w.missing::jsonb, missing_total = w.missing_total, records = w.records, bytes = w.bytes, id_sum = w.id_sum,
      kept_records = w.kept_records, kept_bytes = w.kept_bytes, namespaces = w.namespaces
    FROM unnest($1::bytea[], $2::bigint[], $3::bytea[], $4::bigint[], $5::bytea[], $6::text[], $7::integer[], $8::integer[],
      $9::integer[], $10::text[], $11::integer[], $12::bigint[], $13::bigint[], $14::bytea[], $15::bigint[], $16::bigint[],
      $17::integer[]) w (avatar, head, digest, base_counter, base_id, tips, tips_total, pending, incomplete, missing,
      missing_total, records, bytes, id_sum, kept_records, kept_bytes, namespaces)
    WHERE a.avatar = w.avatar`,
  supersede: `UPDATE records r SET live = false
    FROM unnest($1::bytea[], $2::bigint[], $3::bigint[]) w (avatar, from_counter, base)
    WHERE r.avatar = w.avatar AND r.counter >= w.from_counter AND r.counter < w.base AND r.live`,

  /**
   * The last statement of a batch: it takes the next sequences, so its transaction commits before the next one takes some. Every
   * position below a committed one is committed too.
   */
  append: `WITH taken AS (
      UPDATE store SET last_sequence = last_sequence + $1, avatars = avatars + $2, records = records + $3, bytes = bytes + $4,
        kept_records = kept_records + $5, kept_bytes = kept_bytes + $6
      RETURNING last_sequence - $1 AS before
    ), stored AS (
      INSERT INTO records (sequence, avatar, counter, id, type, created_at, bytes, live, payload, signature)
      SELECT taken.before + w.sequence, w.avatar, w.counter, w.id, w.type, w.created_at, w.bytes, w.live, w.payload, w.signature
      FROM taken, unnest($7::bigint[], $8::bytea[], $9::bigint[], $10::bytea[], $11::smallint[], $12::bigint[], $13::integer[],
        $14::boolean[], $15::text[], $16::bytea[])
        w (sequence, avatar, counter, id, type, created_at, bytes, live, payload, signature)
    ), noted AS (
      INSERT INTO feed_entries (sequence, kind, avatar, counter, id)
      SELECT taken.before + w.sequence, w.kind, w.avatar, w.counter, w.id
      FROM taken, unnest($17::bigint[], $18::smallint[], $19::bytea[], $20::bigint[], $21::bytea[])
        w (sequence, kind, avatar, counter, id)
    )
    SELECT before, pg_current_xact_id()::text AS xact FROM taken`,
  outcome: `SELECT pg_xact_status($1::xid8) AS status`,

  // Background tasks.
  garbage: `SELECT avatar FROM avatars WHERE kept_records > records AND avatar > $1 ORDER BY avatar LIMIT $2`,
  pruned: `WITH gone AS (
      DELETE FROM records WHERE sequence IN (
        SELECT sequence FROM records WHERE avatar = $1 AND counter < $2 ORDER BY counter, id LIMIT $3)
      RETURNING sequence, avatar, counter, id, bytes
    ), noted AS (
      INSERT INTO feed_entries SELECT sequence, 0, avatar, counter, id FROM gone
    )
    SELECT count(*) AS records, coalesce(sum(bytes), 0)::bigint AS bytes FROM gone`,
  countPruned: `UPDATE avatars SET kept_records = kept_records - $2, kept_bytes = kept_bytes - $3 WHERE avatar = $1`,
  addTotals: `UPDATE store SET avatars = avatars + $1, records = records + $2, bytes = bytes + $3,
    kept_records = kept_records + $4, kept_bytes = kept_bytes + $5`,
  raiseFloor: `UPDATE store SET feed_floor = $1 WHERE feed_floor < $1`,
  trimFeed: `DELETE FROM feed_entries WHERE sequence <= $1`,
  forgetRecords: `DELETE FROM records WHERE avatar = $1`,
  forgetContent: `WITH a AS (DELETE FROM members WHERE avatar = $1), b AS (DELETE FROM namespaces WHERE avatar = $1),
      c AS (DELETE FROM tips WHERE avatar = $1), d AS (DELETE FROM pending WHERE avatar = $1),
      e AS (DELETE FROM links WHERE avatar = $1)
    SELECT 1`,
  forgetRest: `WITH a AS (DELETE FROM feed_entries WHERE avatar = $1), b AS (DELETE FROM quarantine WHERE avatar = $1)
    DELETE FROM avatars WHERE avatar = $1`,
  allRecords: `SELECT ${RECORD_COLUMNS} FROM records r WHERE r.avatar = $1 AND r.sequence > $2 ORDER BY r.sequence LIMIT $3`,
  quarantine: `WITH gone AS (DELETE FROM records WHERE sequence = ANY($1::bigint[]) RETURNING avatar, sequence, id, payload, signature)
    INSERT INTO quarantine (avatar, sequence, id, payload, signature) SELECT * FROM gone`,
  setLive: `UPDATE records SET live = (counter >= $2) WHERE avatar = $1 AND live <> (counter >= $2)`,
  recount: `UPDATE store SET (avatars, records, bytes, kept_records, kept_bytes) = (
    SELECT count(*), coalesce(sum(records), 0), coalesce(sum(bytes), 0), coalesce(sum(kept_records), 0),
      coalesce(sum(kept_bytes), 0) FROM avatars)`,

  // Reads.
  summary: `SELECT ${SUMMARY_COLUMNS} FROM avatars a WHERE a.avatar = $1`,
  summaries: `SELECT ${SUMMARY_COLUMNS} FROM avatars a WHERE a.avatar = ANY($1::bytea[])`,
  avatars: `SELECT avatar FROM avatars WHERE avatar > $1 ORDER BY avatar LIMIT $2`,
  claims: `SELECT avatar FROM namespaces WHERE platform = $1 COLLATE "C" AND identity = $2 COLLATE "C" AND avatar > $3
    ORDER BY avatar LIMIT $4`,
  /** A small avatar at once: its summary, and its namespaces with the members that have a value. */
  smallView: `SELECT ${SUMMARY_COLUMNS}, n.platform, n.identity, m.sort_key, m.long_key, m.value
    FROM avatars a LEFT JOIN namespaces n ON n.avatar = a.avatar
      LEFT JOIN members m ON m.avatar = n.avatar AND m.platform = n.platform AND m.identity = n.identity AND m.value IS NOT NULL
    WHERE a.avatar = $1 AND a.bytes <= $2 ORDER BY n.platform, n.identity, m.sort_key`,
  smallContent: `SELECT n.platform, n.identity, m.sort_key, m.long_key, m.value
    FROM avatars a JOIN namespaces n ON n.avatar = a.avatar
      LEFT JOIN members m ON m.avatar = n.avatar AND m.platform = n.platform AND m.identity = n.identity AND m.value IS NOT NULL
    WHERE a.avatar = $1 AND n.platform = $2 COLLATE "C" AND n.identity = $3 COLLATE "C" AND a.bytes <= $4
    ORDER BY m.sort_key`,
  viewPage: `SELECT n.platform, n.identity, m.sort_key, m.long_key, m.value
    FROM namespaces n
      LEFT JOIN members m ON m.avatar = n.avatar AND m.platform = n.platform AND m.identity = n.identity AND m.value IS NOT NULL
    WHERE n.avatar = $1 AND (n.platform, n.identity) >= ($2 COLLATE "C", $3 COLLATE "C")
      AND ($6 OR (n.platform, n.identity, coalesce(m.sort_key, ''::bytea)) > ($2 COLLATE "C", $3 COLLATE "C", $4))
    ORDER BY n.platform, n.identity, m.sort_key LIMIT $5`,
  contentPage: `SELECT sort_key, long_key, value FROM members
    WHERE avatar = $1 AND platform = $2 COLLATE "C" AND identity = $3 COLLATE "C" AND value IS NOT NULL AND sort_key > $4
    ORDER BY sort_key LIMIT $5`,
  namespace: `SELECT n.avatar FROM namespaces n WHERE n.avatar = $1 AND n.platform = $2 COLLATE "C" AND n.identity = $3 COLLATE "C"`,
  member: `SELECT m.value, m.stamps FROM namespaces n LEFT JOIN members m
      ON m.avatar = n.avatar AND m.platform = n.platform AND m.identity = n.identity AND m.sort_key = $4
    WHERE n.avatar = $1 AND n.platform = $2 COLLATE "C" AND n.identity = $3 COLLATE "C"`,
  value: `SELECT value FROM members
    WHERE avatar = $1 AND platform = $2 COLLATE "C" AND identity = $3 COLLATE "C" AND sort_key = $4`,
  linkedMembers: `SELECT w.at, a.digest, octet_length(m.value) AS bytes
    FROM unnest($1::integer[], $2::bytea[], $3::text[], $4::bytea[]) w (at, avatar, identity, sort_key)
      JOIN avatars a ON a.avatar = w.avatar
      LEFT JOIN members m ON m.avatar = w.avatar AND m.platform = $5 COLLATE "C" AND m.identity = w.identity COLLATE "C"
        AND m.sort_key = w.sort_key`,
  linkedFrom: `SELECT avatar, key FROM links WHERE linked = $1 AND (avatar, sort_key) > ($2, $3)
    ORDER BY avatar, sort_key LIMIT $4`,
  record: `SELECT ${RECORD_COLUMNS} FROM records r WHERE r.id = $1`,
  arrivals: `SELECT ${RECORD_COLUMNS} FROM records r WHERE r.avatar = $1 AND r.sequence > $2 ORDER BY r.sequence LIMIT $3`,
  places: `SELECT ${RECORD_COLUMNS} FROM records r WHERE r.avatar = $1 AND (r.counter, r.id) > ($2, $3)
    ORDER BY r.counter, r.id LIMIT $4`,
  pendingIds: `SELECT id FROM pending WHERE avatar = $1`,
  payload: `SELECT payload FROM records WHERE id = $1`,
  events: `SELECT * FROM (
      (SELECT sequence, 0::smallint AS kind, avatar, counter, id FROM records WHERE sequence > $1 ORDER BY sequence LIMIT $2)
      UNION ALL
      (SELECT sequence, kind, avatar, counter, id FROM feed_entries WHERE sequence > $1 ORDER BY sequence LIMIT $2)
    ) f ORDER BY sequence LIMIT $2`,
  avatarEvents: `SELECT * FROM (
      (SELECT sequence, 0::smallint AS kind, avatar, counter, id FROM records WHERE avatar = $3 AND sequence > $1
        ORDER BY sequence LIMIT $2)
      UNION ALL
      (SELECT sequence, kind, avatar, counter, id FROM feed_entries WHERE avatar = $3 AND sequence > $1 AND kind = 1
        ORDER BY sequence LIMIT $2)
    ) f ORDER BY sequence LIMIT $2`,

  // Reads for sync.
  liveOf: `SELECT created_at, id FROM records WHERE avatar = ANY($1::bytea[]) AND live`,
  livePage: `SELECT created_at, id FROM records WHERE live AND (created_at, id) > ($1, $2) ORDER BY created_at, id LIMIT $3`,
  liveBetween: `SELECT created_at, id FROM records
    WHERE live AND (created_at, id) >= ($1, $2) AND ($3::bigint IS NULL OR (created_at, id) < ($3, $4::bytea))
    ORDER BY created_at, id`,
  signed: `SELECT id, payload, signature FROM records WHERE id = ANY($1::bytea[]) AND live`,
  liveFrom: `SELECT created_at, id, payload, signature FROM records WHERE live AND (created_at, id) >= ($1, $2)
    ORDER BY created_at, id LIMIT $3`,
} as const

export type StatementName = keyof typeof texts

export const statements = Object.fromEntries(
  Object.entries(texts).map(([name, text]) => [name, { name: `avatar_kv_${name}`, text }]),
) as { readonly [name in StatementName]: Statement }
