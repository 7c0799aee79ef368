-- The first schema on PostgreSQL: the same words as on SQLite, laid out for many nodes.
--
-- Every key begins with the tenant and nothing counts by a sequence, so that the same shape can be spread over several
-- databases. Times are milliseconds since 1970 UTC (`_ms`), enums the `code()` of the domain's type, JSON is TEXT, foreign
-- bytes are BYTEA. A tenant_id of zeros means the installation itself.
--
-- What is unfinished stands in `delivery_open`; what has ended, with events and attempts, in tables that are partitioned by
-- the day of their ids (a UUIDv7 begins with its time) and dropped by the day. Views give both the names that they have on
-- SQLite: `delivery`, `sending`, `ledger_hour`, `webhook_hour`. Only hot work knows the tables behind them.

-- Facts about this store: `canary` is sealed with the master key and opened at every start.
CREATE TABLE meta (
  key   TEXT  NOT NULL PRIMARY KEY,
  value BYTEA NOT NULL
);

-- ---------------------------------------------------------------------------------------------- configuration

CREATE TABLE tenant (
  id              UUID   NOT NULL PRIMARY KEY,
  public_id       TEXT   NOT NULL UNIQUE,
  profile         TEXT   NOT NULL,
  profile_version TEXT   NOT NULL,
  name            TEXT   NOT NULL,
  plan            TEXT,
  timezone        TEXT   NOT NULL,
  attributes      TEXT   NOT NULL,
  settings        TEXT   NOT NULL,
  version         BIGINT NOT NULL,
  created_ms      BIGINT NOT NULL,
  updated_ms      BIGINT NOT NULL,
  deleted_ms      BIGINT
);

CREATE TABLE tenant_version (
  tenant_id       UUID   NOT NULL,
  version         BIGINT NOT NULL,
  name            TEXT   NOT NULL,
  timezone        TEXT   NOT NULL,
  attributes      TEXT   NOT NULL,
  profile         TEXT   NOT NULL,
  profile_version TEXT   NOT NULL,
  created_ms      BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, version)
);

CREATE TABLE webhook (
  tenant_id       UUID     NOT NULL,
  id              UUID     NOT NULL,
  name            TEXT     NOT NULL,
  url             TEXT     NOT NULL,
  events          TEXT     NOT NULL,
  headers         BYTEA,
  description     TEXT     NOT NULL,
  enabled         SMALLINT NOT NULL,
  disabled_reason SMALLINT,
  single          SMALLINT NOT NULL,
  created_ms      BIGINT   NOT NULL,
  updated_ms      BIGINT   NOT NULL,
  deleted_ms      BIGINT,
  PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX webhook_single ON webhook (tenant_id) WHERE single = 1 AND deleted_ms IS NULL;

CREATE TABLE webhook_version (
  tenant_id  UUID     NOT NULL,
  webhook_id UUID     NOT NULL,
  version    BIGINT   NOT NULL,
  name       TEXT     NOT NULL,
  events     TEXT     NOT NULL,
  enabled    SMALLINT NOT NULL,
  deleted    SMALLINT NOT NULL,
  created_ms BIGINT   NOT NULL,
  PRIMARY KEY (tenant_id, webhook_id, version)
);

CREATE TABLE webhook_secret (
  tenant_id      UUID     NOT NULL,
  webhook_id     UUID     NOT NULL,
  id             UUID     NOT NULL,
  sealed         BYTEA    NOT NULL,
  state          SMALLINT NOT NULL,
  activate_at_ms BIGINT,
  expires_at_ms  BIGINT,
  created_ms     BIGINT   NOT NULL,
  PRIMARY KEY (tenant_id, webhook_id, id)
);

CREATE TABLE api_key (
  id           UUID     NOT NULL PRIMARY KEY,
  hash         BYTEA    NOT NULL UNIQUE,
  role         SMALLINT NOT NULL,
  tenant_id    UUID,
  name         TEXT     NOT NULL,
  created_ms   BIGINT   NOT NULL,
  last_used_ms BIGINT,
  revoked_ms   BIGINT
);
CREATE INDEX api_key_tenant ON api_key (tenant_id, id);

CREATE TABLE profile (
  name       TEXT   NOT NULL,
  version    TEXT   NOT NULL,
  source     TEXT   NOT NULL,
  created_ms BIGINT NOT NULL,
  PRIMARY KEY (name, version)
);

CREATE TABLE event_type (
  tenant_id   UUID     NOT NULL,
  type        TEXT     NOT NULL,
  description TEXT     NOT NULL,
  schema      TEXT,
  example     TEXT,
  archived    SMALLINT NOT NULL,
  created_ms  BIGINT   NOT NULL,
  updated_ms  BIGINT   NOT NULL,
  PRIMARY KEY (tenant_id, type)
);

CREATE TABLE audit (
  tenant_id UUID   NOT NULL,
  id        UUID   NOT NULL,
  at_ms     BIGINT NOT NULL,
  actor     TEXT   NOT NULL,
  action    TEXT   NOT NULL,
  target    TEXT   NOT NULL,
  detail    TEXT   NOT NULL,
  PRIMARY KEY (tenant_id, id)
);

CREATE TABLE job (
  tenant_id   UUID     NOT NULL,
  id          UUID     NOT NULL,
  kind        SMALLINT NOT NULL,
  state       SMALLINT NOT NULL,
  params      TEXT     NOT NULL,
  position    BYTEA,
  done        BIGINT   NOT NULL,
  total       BIGINT,
  detail      TEXT     NOT NULL,
  created_ms  BIGINT   NOT NULL,
  updated_ms  BIGINT   NOT NULL,
  finished_ms BIGINT,
  PRIMARY KEY (tenant_id, id)
);
CREATE INDEX job_running ON job (tenant_id, id) WHERE state = 0;

CREATE TABLE idempotency (
  scope       UUID   NOT NULL,
  key         TEXT   NOT NULL,
  fingerprint BYTEA  NOT NULL,
  answer      BYTEA  NOT NULL,
  created_ms  BIGINT NOT NULL,
  PRIMARY KEY (scope, key)
);
CREATE INDEX idempotency_created ON idempotency (created_ms);

-- ------------------------------------------------------------------------------------------------------ nodes

-- The processes at work on this database. `alive_until` is by the database's clock, the only one that all nodes share.
CREATE TABLE node (
  id          UUID        NOT NULL PRIMARY KEY,
  slot        SMALLINT    NOT NULL UNIQUE, -- the lowest free number: the counters of a node are told apart by it
  name        TEXT        NOT NULL,
  version     TEXT        NOT NULL,
  started     TIMESTAMPTZ NOT NULL,
  alive_until TIMESTAMPTZ NOT NULL
);

-- Work that one node does for all. A term is one holder's time; it rises with each change of the holder.
CREATE TABLE lease (
  name        TEXT        NOT NULL PRIMARY KEY,
  node_id     UUID        NOT NULL,
  term        BIGINT      NOT NULL,
  held_until  TIMESTAMPTZ NOT NULL
);

-- ------------------------------------------------------------------------------------------- work and history

-- `xid`: the transaction that wrote the row. Who polls in the order of acceptance goes by it: ids are made before their
-- transactions begin, on several nodes, and do not become visible in their order.
CREATE TABLE event (
  tenant_id      UUID     NOT NULL,
  id             UUID     NOT NULL,
  external_id    TEXT,
  kind           SMALLINT NOT NULL,
  type           TEXT     NOT NULL,
  time_ms        BIGINT   NOT NULL,
  accepted_ms    BIGINT   NOT NULL,
  tenant_version BIGINT   NOT NULL,
  depth          SMALLINT NOT NULL,
  xid            XID8     NOT NULL DEFAULT pg_current_xact_id(),
  data           BYTEA    NOT NULL,
  PRIMARY KEY (tenant_id, id)
) PARTITION BY RANGE (id);
CREATE INDEX event_order ON event (tenant_id, xid, id);

-- The ids that publishers brought, apart: a unique index over partitions would need the partition's key.
CREATE TABLE event_external (
  tenant_id   UUID NOT NULL,
  external_id TEXT NOT NULL,
  event_id    UUID NOT NULL,
  PRIMARY KEY (tenant_id, external_id)
);

-- Deliveries that have not ended. Small beside the history, and changed all the time: pages keep room for new versions of
-- their rows, and are swept by number of changes, whatever the number of rows.
CREATE TABLE delivery_open (
  tenant_id   UUID     NOT NULL,
  id          UUID     NOT NULL,
  event_id    UUID     NOT NULL,
  webhook_id  UUID     NOT NULL,
  kind        SMALLINT NOT NULL,
  state       SMALLINT NOT NULL CHECK (state IN (0, 1)),
  reason      SMALLINT NOT NULL,
  resend      SMALLINT NOT NULL,
  attempts    INTEGER  NOT NULL,
  step        INTEGER  NOT NULL,
  fence       BIGINT   NOT NULL,
  created_ms  BIGINT   NOT NULL,
  due_ms      BIGINT,
  claimed_ms  BIGINT,
  lease_ms    BIGINT,
  node_id     UUID,              -- while sending: whose claim it is
  last_class  SMALLINT,
  last_status SMALLINT,
  PRIMARY KEY (tenant_id, id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 50000,
        autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 1000000,
        autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 100000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX delivery_due ON delivery_open (tenant_id, webhook_id, due_ms) WHERE state = 0;
CREATE INDEX delivery_open_replay ON delivery_open (tenant_id, event_id) WHERE kind = 2;

-- Deliveries that have ended. Only ever added to.
CREATE TABLE delivery_settled (
  tenant_id   UUID     NOT NULL,
  id          UUID     NOT NULL,
  event_id    UUID     NOT NULL,
  webhook_id  UUID     NOT NULL,
  kind        SMALLINT NOT NULL,
  state       SMALLINT NOT NULL CHECK (state >= 2),
  reason      SMALLINT NOT NULL,
  last_class  SMALLINT,
  attempts    INTEGER  NOT NULL,
  step        INTEGER  NOT NULL,
  fence       BIGINT   NOT NULL,
  created_ms  BIGINT   NOT NULL,
  settled_ms  BIGINT   NOT NULL,
  last_status SMALLINT,
  PRIMARY KEY (tenant_id, id)
) PARTITION BY RANGE (id);
CREATE INDEX delivery_webhook ON delivery_settled (tenant_id, webhook_id, id);
CREATE INDEX delivery_replay ON delivery_settled (tenant_id, event_id) WHERE kind = 2;
CREATE INDEX delivery_failed ON delivery_settled (tenant_id, id, webhook_id) WHERE state = 3;

CREATE VIEW delivery AS
  SELECT tenant_id, id, event_id, webhook_id, kind, state, reason, attempts, step, fence, resend, created_ms, due_ms,
    claimed_ms, lease_ms, CAST(NULL AS BIGINT) AS settled_ms, last_class, last_status FROM delivery_open
  UNION ALL
  SELECT tenant_id, id, event_id, webhook_id, kind, state, reason, attempts, step, fence, CAST(0 AS SMALLINT), created_ms,
    CAST(NULL AS BIGINT), CAST(NULL AS BIGINT), CAST(NULL AS BIGINT), settled_ms, last_class, last_status
  FROM delivery_settled;
CREATE VIEW sending AS SELECT * FROM delivery WHERE state = 1;

CREATE TABLE attempt (
  tenant_id      UUID     NOT NULL,
  delivery_id    UUID     NOT NULL,
  number         INTEGER  NOT NULL,
  class          SMALLINT NOT NULL,
  status         SMALLINT,
  started_ms     BIGINT   NOT NULL,
  dns_us         BIGINT   NOT NULL,
  connect_us     BIGINT   NOT NULL,
  tls_us         BIGINT   NOT NULL,
  wait_us        BIGINT   NOT NULL,
  body_us        BIGINT   NOT NULL,
  total_us       BIGINT   NOT NULL,
  request_bytes  BIGINT   NOT NULL,
  response_bytes BIGINT   NOT NULL,
  reused         SMALLINT NOT NULL,
  resend         SMALLINT NOT NULL,
  detail         TEXT,
  peer           TEXT,
  body_sha256    BYTEA,
  response_head  BYTEA    NOT NULL,
  response_body  BYTEA    NOT NULL,
  PRIMARY KEY (tenant_id, delivery_id, number)
) PARTITION BY RANGE (delivery_id);

-- What no day's partition takes: rows of days that are not there yet, or that were dropped while a delivery of the day was
-- still open.
CREATE TABLE event_rest PARTITION OF event DEFAULT;
CREATE TABLE delivery_settled_rest PARTITION OF delivery_settled DEFAULT;
CREATE TABLE attempt_rest PARTITION OF attempt DEFAULT;

-- Counters over whole hours (UTC). Each writer of each node adds to rows of its own, so that no transaction waits for
-- another's; the views sum them.
CREATE TABLE ledger_part (
  tenant_id UUID     NOT NULL,
  hour_ms   BIGINT   NOT NULL,
  kind      SMALLINT NOT NULL,
  writer    INTEGER  NOT NULL,
  accepted  BIGINT   NOT NULL,
  delivered BIGINT   NOT NULL,
  failed    BIGINT   NOT NULL,
  cancelled BIGINT   NOT NULL,
  PRIMARY KEY (tenant_id, hour_ms, kind, writer)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);
CREATE VIEW ledger_hour AS
  SELECT tenant_id, hour_ms, kind, CAST(SUM(accepted) AS BIGINT) AS accepted, CAST(SUM(delivered) AS BIGINT) AS delivered,
    CAST(SUM(failed) AS BIGINT) AS failed, CAST(SUM(cancelled) AS BIGINT) AS cancelled
  FROM ledger_part GROUP BY tenant_id, hour_ms, kind;

CREATE TABLE webhook_part (
  tenant_id     UUID    NOT NULL,
  webhook_id    UUID    NOT NULL,
  hour_ms       BIGINT  NOT NULL,
  writer        INTEGER NOT NULL,
  attempts      BIGINT  NOT NULL,
  succeeded     BIGINT  NOT NULL,
  last_fired_ms BIGINT  NOT NULL,
  le_10ms       BIGINT  NOT NULL,
  le_30ms       BIGINT  NOT NULL,
  le_100ms      BIGINT  NOT NULL,
  le_300ms      BIGINT  NOT NULL,
  le_1s         BIGINT  NOT NULL,
  le_3s         BIGINT  NOT NULL,
  le_10s        BIGINT  NOT NULL,
  over_10s      BIGINT  NOT NULL,
  PRIMARY KEY (tenant_id, webhook_id, hour_ms, writer)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);
CREATE VIEW webhook_hour AS
  SELECT tenant_id, webhook_id, hour_ms, CAST(SUM(attempts) AS BIGINT) AS attempts,
    CAST(SUM(succeeded) AS BIGINT) AS succeeded, MAX(last_fired_ms) AS last_fired_ms,
    CAST(SUM(le_10ms) AS BIGINT) AS le_10ms, CAST(SUM(le_30ms) AS BIGINT) AS le_30ms,
    CAST(SUM(le_100ms) AS BIGINT) AS le_100ms, CAST(SUM(le_300ms) AS BIGINT) AS le_300ms,
    CAST(SUM(le_1s) AS BIGINT) AS le_1s, CAST(SUM(le_3s) AS BIGINT) AS le_3s,
    CAST(SUM(le_10s) AS BIGINT) AS le_10s, CAST(SUM(over_10s) AS BIGINT) AS over_10s
  FROM webhook_part GROUP BY tenant_id, webhook_id, hour_ms;
