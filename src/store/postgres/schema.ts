/**
 * The tables, as a list of migrations. A migration that was released never changes: add a new one at the end.
 *
 * Avatars, ids and digests are `bytea`. Text that is ordered or compared has the collation "C", so that its order is that of
 * its UTF-8 bytes, as in LevelDB. Payloads and values are `text`: exactly the bytes that were signed, or that are served. In
 * canonical JSON U+0000 is written as an escape, so `text` can hold every payload; `jsonb` cannot.
 */

const TABLES = `
CREATE TABLE store (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  network text NOT NULL,
  epoch text NOT NULL,
  archive boolean NOT NULL,
  keeps_erased boolean NOT NULL,
  last_sequence bigint NOT NULL DEFAULT 0,
  feed_floor bigint NOT NULL DEFAULT 0,
  avatars bigint NOT NULL DEFAULT 0,
  records bigint NOT NULL DEFAULT 0,
  bytes bigint NOT NULL DEFAULT 0,
  kept_records bigint NOT NULL DEFAULT 0,
  kept_bytes bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 10);

CREATE TABLE avatars (
  avatar bytea PRIMARY KEY,
  head bigint NOT NULL DEFAULT 0,
  digest bytea,
  base_counter bigint,
  base_id bytea,
  tips jsonb NOT NULL DEFAULT '[]',
  tips_total integer NOT NULL DEFAULT 0,
  pending integer NOT NULL DEFAULT 0,
  incomplete integer NOT NULL DEFAULT 0,
  missing jsonb NOT NULL DEFAULT '[]',
  missing_total integer NOT NULL DEFAULT 0,
  records bigint NOT NULL DEFAULT 0,
  bytes bigint NOT NULL DEFAULT 0,
  id_sum bytea,
  kept_records bigint NOT NULL DEFAULT 0,
  kept_bytes bigint NOT NULL DEFAULT 0,
  namespaces integer NOT NULL DEFAULT 0
) WITH (fillfactor = 80);
CREATE INDEX avatars_with_history ON avatars (avatar) WHERE kept_records > records;

CREATE TABLE tips (
  avatar bytea NOT NULL,
  counter bigint NOT NULL,
  id bytea NOT NULL,
  PRIMARY KEY (avatar, counter, id)
);

CREATE TABLE pending (
  avatar bytea NOT NULL,
  counter bigint NOT NULL,
  id bytea NOT NULL,
  type smallint NOT NULL,
  names jsonb NOT NULL,
  PRIMARY KEY (avatar, counter, id)
);

CREATE TABLE namespaces (
  avatar bytea NOT NULL,
  platform text COLLATE "C" NOT NULL,
  identity text COLLATE "C" NOT NULL,
  last_patch bigint NOT NULL,
  in_base boolean NOT NULL,
  live integer NOT NULL,
  deleted integer NOT NULL,
  PRIMARY KEY (avatar, platform, identity)
) WITH (fillfactor = 80);
CREATE INDEX namespaces_by_name ON namespaces (platform, identity, avatar);

CREATE TABLE members (
  avatar bytea NOT NULL,
  platform text COLLATE "C" NOT NULL,
  identity text COLLATE "C" NOT NULL,
  sort_key bytea NOT NULL,
  long_key bytea,
  value text,
  stamps bytea NOT NULL,
  PRIMARY KEY (avatar, platform, identity, sort_key)
) WITH (fillfactor = 80);
CREATE INDEX members_by_key ON members (sort_key) WHERE value IS NOT NULL;

CREATE TABLE links (
  avatar bytea NOT NULL,
  linked bytea NOT NULL,
  sort_key bytea NOT NULL,
  key bytea NOT NULL,
  PRIMARY KEY (avatar, linked, sort_key)
);
CREATE INDEX links_by_linked ON links (linked, avatar, sort_key);

CREATE TABLE records (
  sequence bigint PRIMARY KEY,
  avatar bytea NOT NULL,
  counter bigint NOT NULL,
  id bytea NOT NULL,
  type smallint NOT NULL,
  created_at bigint NOT NULL,
  bytes integer NOT NULL,
  live boolean NOT NULL,
  payload text NOT NULL,
  signature bytea NOT NULL
);
CREATE UNIQUE INDEX records_by_id ON records (id);
CREATE UNIQUE INDEX records_by_place ON records (avatar, counter, id);
CREATE INDEX records_by_arrival ON records (avatar, sequence);
CREATE INDEX records_by_time ON records (created_at, id) WHERE live;

CREATE TABLE feed_entries (
  sequence bigint PRIMARY KEY,
  kind smallint NOT NULL,
  avatar bytea NOT NULL,
  counter bigint NOT NULL,
  id bytea NOT NULL
);
CREATE INDEX feed_entries_by_avatar ON feed_entries (avatar, sequence);

CREATE TABLE quarantine (
  found_at timestamptz NOT NULL DEFAULT now(),
  avatar bytea NOT NULL,
  sequence bigint NOT NULL,
  id bytea NOT NULL,
  payload text NOT NULL,
  signature bytea NOT NULL
);
`

export interface Migration {
  readonly name: string
  readonly sql: string
}

export const MIGRATIONS: readonly Migration[] = [{ name: '0001-tables', sql: TABLES }]
