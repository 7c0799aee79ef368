-- The first schema: configuration, then work and its history.
--
-- Every key of a tenant's table holds the tenant, and nothing counts by a sequence, so that the same shape can be spread
-- over several databases. It stands first, but for the keys of `delivery` and `attempt`: ids rise with time, so with the
-- id first the rows of all tenants come to lie on the same pages. With a hundred busy tenants that halves what a commit
-- writes (3.1 pages per delivery instead of 6.3), and nothing is looked up by it without its tenant. Times are milliseconds since 1970 UTC (`_ms`), ids the 16 bytes of a UUID, enums the
-- `code()` of the domain's type, JSON is TEXT. A tenant_id of 16 zero bytes means the installation itself.

-- Facts about this store: `canary` is sealed with the master key and opened at every start.
CREATE TABLE meta (
  key   TEXT NOT NULL PRIMARY KEY,
  value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- ---------------------------------------------------------------------------------------------- configuration

CREATE TABLE tenant (
  id              BLOB    NOT NULL PRIMARY KEY,
  public_id       TEXT    NOT NULL UNIQUE,
  profile         TEXT    NOT NULL,
  profile_version TEXT    NOT NULL,
  name            TEXT    NOT NULL,
  plan            TEXT,
  timezone        TEXT    NOT NULL,
  attributes      TEXT    NOT NULL, -- JSON object
  settings        TEXT    NOT NULL, -- JSON object
  version         INTEGER NOT NULL, -- rises by one with every change of this tenant's configuration, its webhooks' too
  created_ms      INTEGER NOT NULL,
  updated_ms      INTEGER NOT NULL,
  deleted_ms      INTEGER           -- set when deletion was asked for; the row goes when the job is through
) STRICT;

-- What an event pins: the values that go into bodies and headers, as of a version.
CREATE TABLE tenant_version (
  tenant_id       BLOB    NOT NULL,
  version         INTEGER NOT NULL,
  name            TEXT    NOT NULL,
  timezone        TEXT    NOT NULL,
  attributes      TEXT    NOT NULL,
  profile         TEXT    NOT NULL,
  profile_version TEXT    NOT NULL,
  created_ms      INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE webhook (
  tenant_id       BLOB    NOT NULL,
  id              BLOB    NOT NULL,
  name            TEXT    NOT NULL,
  url             TEXT    NOT NULL,
  events          TEXT    NOT NULL, -- JSON array of patterns
  headers         BLOB,             -- sealed JSON array of [name, value]: headers often hold credentials
  description     TEXT    NOT NULL,
  enabled         INTEGER NOT NULL,
  disabled_reason INTEGER,          -- why Postrider switched it off; NULL when on, or switched off by hand
  single          INTEGER NOT NULL, -- 1: the tenant's one webhook, kept in its settings
  created_ms      INTEGER NOT NULL,
  updated_ms      INTEGER NOT NULL,
  deleted_ms      INTEGER,
  PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE UNIQUE INDEX webhook_single ON webhook (tenant_id) WHERE single = 1 AND deleted_ms IS NULL;

-- What decides whether a webhook gets an event, as of each version of the tenant in which it changed: the answer to
-- "why did it not match" is computed from the newest row at or below the version that the event pins.
CREATE TABLE webhook_version (
  tenant_id  BLOB    NOT NULL,
  webhook_id BLOB    NOT NULL,
  version    INTEGER NOT NULL,
  name       TEXT    NOT NULL,
  events     TEXT    NOT NULL,
  enabled    INTEGER NOT NULL,
  deleted    INTEGER NOT NULL,
  created_ms INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, webhook_id, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE webhook_secret (
  tenant_id      BLOB    NOT NULL,
  webhook_id     BLOB    NOT NULL,
  id             BLOB    NOT NULL,
  sealed         BLOB    NOT NULL,
  state          INTEGER NOT NULL, -- 0 active, 1 pending (not yet used to sign), 2 retiring (still signs beside the active one)
  activate_at_ms INTEGER,          -- pending: when it takes over by itself
  expires_at_ms  INTEGER,          -- retiring: when it stops signing
  created_ms     INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, webhook_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE api_key (
  id           BLOB    NOT NULL PRIMARY KEY,
  hash         BLOB    NOT NULL UNIQUE, -- SHA-256 of the key, which has at least 32 characters
  role         INTEGER NOT NULL,
  tenant_id    BLOB,                    -- NULL: of the installation
  name         TEXT    NOT NULL,
  created_ms   INTEGER NOT NULL,
  last_used_ms INTEGER,
  revoked_ms   INTEGER
) STRICT;
CREATE INDEX api_key_tenant ON api_key (tenant_id, id);

CREATE TABLE profile (
  name       TEXT    NOT NULL,
  version    TEXT    NOT NULL,
  source     TEXT    NOT NULL,
  created_ms INTEGER NOT NULL,
  PRIMARY KEY (name, version)
) STRICT;

-- Types that a tenant with an open catalogue registered.
CREATE TABLE event_type (
  tenant_id   BLOB    NOT NULL,
  type        TEXT    NOT NULL,
  description TEXT    NOT NULL,
  schema      TEXT,
  example     TEXT,
  archived    INTEGER NOT NULL,
  created_ms  INTEGER NOT NULL,
  updated_ms  INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, type)
) STRICT;

-- Who did what. Kept when what it tells about is deleted.
CREATE TABLE audit (
  tenant_id BLOB    NOT NULL,
  id        BLOB    NOT NULL,
  at_ms     INTEGER NOT NULL,
  actor     TEXT    NOT NULL,
  action    TEXT    NOT NULL,
  target    TEXT    NOT NULL,
  detail    TEXT    NOT NULL, -- JSON object, without secrets
  PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE job (
  tenant_id   BLOB    NOT NULL,
  id          BLOB    NOT NULL,
  kind        INTEGER NOT NULL,
  state       INTEGER NOT NULL, -- 0 running, 1 done, 2 failed
  params      TEXT    NOT NULL, -- JSON object
  position    BLOB,             -- how far it came; moves in the same transaction as the work
  done        INTEGER NOT NULL,
  total       INTEGER,
  detail      TEXT    NOT NULL, -- what went wrong, if anything
  created_ms  INTEGER NOT NULL,
  updated_ms  INTEGER NOT NULL,
  finished_ms INTEGER,
  PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE INDEX job_running ON job (tenant_id, id) WHERE state = 0;

-- The answer given to an Idempotency-Key. `scope` is whose key it is: a tenant, or an API key of the installation.
CREATE TABLE idempotency (
  scope       BLOB    NOT NULL,
  key         TEXT    NOT NULL,
  fingerprint BLOB    NOT NULL, -- keyed hash of what was asked
  answer      BLOB    NOT NULL,
  created_ms  INTEGER NOT NULL,
  PRIMARY KEY (scope, key)
) STRICT;
CREATE INDEX idempotency_created ON idempotency (created_ms);

-- ------------------------------------------------------------------------------------------- work and history

-- A table with a rowid, since its rows are too large to be the cells of an index tree.
CREATE TABLE event (
  tenant_id      BLOB    NOT NULL,
  id             BLOB    NOT NULL,
  external_id    TEXT,             -- the id that its publisher brought
  kind           INTEGER NOT NULL,
  type           TEXT    NOT NULL,
  time_ms        INTEGER NOT NULL, -- when it happened
  accepted_ms    INTEGER NOT NULL,
  tenant_version INTEGER NOT NULL,
  depth          INTEGER NOT NULL,
  data           BLOB    NOT NULL  -- compact JSON, as it was sent
) STRICT;
CREATE UNIQUE INDEX event_id ON event (tenant_id, id);
CREATE UNIQUE INDEX event_external ON event (tenant_id, external_id) WHERE external_id IS NOT NULL;

-- The first deliveries of an event share the first eight bytes of its id, so that "deliveries of an event" is a range
-- of this key and needs no index of its own; only replays, made later, are indexed by their event.
CREATE TABLE delivery (
  tenant_id   BLOB    NOT NULL,
  id          BLOB    NOT NULL,
  event_id    BLOB    NOT NULL,
  webhook_id  BLOB    NOT NULL,
  kind        INTEGER NOT NULL,
  state       INTEGER NOT NULL,
  reason      INTEGER NOT NULL,
  attempts    INTEGER NOT NULL, -- requests begun, the one under way included
  step        INTEGER NOT NULL, -- steps of the retry schedule used
  fence       INTEGER NOT NULL, -- rises with every claim: a result under an older one is not taken
  resend      INTEGER NOT NULL, -- 1: the outcome of an attempt was lost, so the next one may be the receiver's second
  created_ms  INTEGER NOT NULL,
  due_ms      INTEGER,          -- while scheduled
  claimed_ms  INTEGER,          -- while sending
  lease_ms    INTEGER,          -- while sending: until when the claim holds
  settled_ms  INTEGER,          -- once final
  last_class  INTEGER,          -- of the newest finished attempt
  last_status INTEGER,
  PRIMARY KEY (id, tenant_id)
) STRICT, WITHOUT ROWID;
-- History of a webhook, newest first; a tenant's is that of its webhooks.
CREATE INDEX delivery_webhook ON delivery (tenant_id, webhook_id, id);
CREATE INDEX delivery_replay ON delivery (tenant_id, event_id) WHERE kind = 2;
-- What is waiting, per webhook by due time. `kind` makes the ledger's count of it one read of the index.
CREATE INDEX delivery_due ON delivery (tenant_id, webhook_id, due_ms, kind) WHERE state = 0;
-- What failed, newest first: lists by state, and recovery.
CREATE INDEX delivery_failed ON delivery (tenant_id, id, webhook_id) WHERE state = 3;

CREATE TABLE attempt (
  tenant_id      BLOB    NOT NULL,
  delivery_id    BLOB    NOT NULL,
  number         INTEGER NOT NULL, -- from 1
  started_ms     INTEGER NOT NULL,
  class          INTEGER NOT NULL,
  status         INTEGER,
  detail         TEXT,
  dns_us         INTEGER NOT NULL,
  connect_us     INTEGER NOT NULL,
  tls_us         INTEGER NOT NULL,
  wait_us        INTEGER NOT NULL,
  body_us        INTEGER NOT NULL,
  total_us       INTEGER NOT NULL,
  peer           TEXT,
  reused         INTEGER NOT NULL,
  resend         INTEGER NOT NULL,
  body_sha256    BLOB,
  request_bytes  INTEGER NOT NULL,
  response_head  BLOB    NOT NULL,
  response_body  BLOB    NOT NULL,
  response_bytes INTEGER NOT NULL,
  PRIMARY KEY (delivery_id, number, tenant_id)
) STRICT, WITHOUT ROWID;

-- Claims, a row for each transaction that made some: deliveries that may be under way, as a list of hex ids. A row is
-- overwritten once all of its claims have ended.
CREATE TABLE claim (
  seq        INTEGER PRIMARY KEY,
  deliveries TEXT    NOT NULL
) STRICT;
CREATE VIEW sending AS SELECT * FROM delivery
  WHERE state = 1 AND id IN (SELECT unhex(j.value) FROM claim, json_each(claim.deliveries) j);

-- Counters over whole hours (UTC), by when it was counted. accepted = delivered + failed + cancelled + what is open.
CREATE TABLE ledger_hour (
  tenant_id BLOB    NOT NULL,
  hour_ms   INTEGER NOT NULL,
  kind      INTEGER NOT NULL,
  accepted  INTEGER NOT NULL,
  delivered INTEGER NOT NULL,
  failed    INTEGER NOT NULL,
  cancelled INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, hour_ms, kind)
) STRICT, WITHOUT ROWID;

-- Outcomes and latencies of a webhook's attempts per hour, tests excepted. Each attempt whose outcome is known is in one
-- latency column.
CREATE TABLE webhook_hour (
  tenant_id     BLOB    NOT NULL,
  webhook_id    BLOB    NOT NULL,
  hour_ms       INTEGER NOT NULL,
  attempts      INTEGER NOT NULL,
  succeeded     INTEGER NOT NULL,
  last_fired_ms INTEGER NOT NULL,
  le_10ms       INTEGER NOT NULL,
  le_30ms       INTEGER NOT NULL,
  le_100ms      INTEGER NOT NULL,
  le_300ms      INTEGER NOT NULL,
  le_1s         INTEGER NOT NULL,
  le_3s         INTEGER NOT NULL,
  le_10s        INTEGER NOT NULL,
  over_10s      INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, webhook_id, hour_ms)
) STRICT, WITHOUT ROWID;

-- What the planner is told about the shape of the tables that grow: an old installation of a hundred tenants with a
-- backlog. Without it, it takes all rows of a tenant to be ten and walks a tenant's whole history by the primary key where
-- a partial index holds the few rows that are asked for. Each row: rows in all, then how many share the first column of
-- the index, the first two, and so on.
ANALYZE;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
  ('delivery', 'delivery', '10000000 1 1'),
  ('delivery', 'delivery_webhook', '10000000 100000 10000 1'),
  ('delivery', 'delivery_replay', '10000 1000 2 1'),
  ('delivery', 'delivery_due', '100000 10000 1000 2 2 1'),
  ('delivery', 'delivery_failed', '100000 1000 1 1'),
  ('event', 'event_id', '10000000 100000 1'),
  ('event', 'event_external', '10000000 100000 1'),
  ('attempt', 'attempt', '10000000 2 1 1');
ANALYZE sqlite_schema;
