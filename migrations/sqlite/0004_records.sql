-- Records: the application's own objects as last told to us, and what rules know of them.

-- `scope`: the tenant, or, of a kind whose tenant comes from the record, the profile (`domain::rules::profile_scope`); such a
-- record's tenant may be none. `version`: rises with every change of its data,
-- also over a deletion.
CREATE TABLE record (
  scope      BLOB    NOT NULL,
  kind       TEXT    NOT NULL,
  id         TEXT    NOT NULL,
  tenant_id  BLOB,
  version    INTEGER NOT NULL,
  data       BLOB    NOT NULL,
  created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL,
  PRIMARY KEY (scope, kind, id)
) STRICT;
-- Where the scope is the tenant, the key finds its records.
CREATE INDEX record_tenant ON record (tenant_id, kind, id) WHERE scope <> tenant_id;

-- When a rule looks at a record again without a write: a scan reads what is due, not what exists.
CREATE TABLE record_due (
  scope     BLOB    NOT NULL,
  kind      TEXT    NOT NULL,
  id        TEXT    NOT NULL,
  rule      TEXT    NOT NULL,
  tenant_id BLOB    NOT NULL,
  due_ms    INTEGER NOT NULL,
  PRIMARY KEY (scope, kind, id, rule)
) STRICT, WITHOUT ROWID;
CREATE INDEX record_due_time ON record_due (tenant_id, due_ms);

-- That a rule has fired for a record, while it was this tenant's. `event_id`: NULL where it was set without an event, by an import. Marks outlive retention
-- and the record.
CREATE TABLE record_mark (
  scope     BLOB    NOT NULL,
  kind      TEXT    NOT NULL,
  id        TEXT    NOT NULL,
  rule      TEXT    NOT NULL,
  tenant_id BLOB    NOT NULL,
  fired_ms  INTEGER NOT NULL,
  event_id  BLOB,
  PRIMARY KEY (scope, kind, id, rule, tenant_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX record_mark_tenant ON record_mark (tenant_id) WHERE scope <> tenant_id;

-- What rules could not decide: the last of each record and rule.
CREATE TABLE rule_error (
  scope     BLOB    NOT NULL,
  kind      TEXT    NOT NULL,
  id        TEXT    NOT NULL,
  rule      TEXT    NOT NULL,
  tenant_id BLOB    NOT NULL,
  at_ms     INTEGER NOT NULL,
  times     INTEGER NOT NULL,
  detail    TEXT    NOT NULL,
  PRIMARY KEY (scope, kind, id, rule)
) STRICT, WITHOUT ROWID;
CREATE INDEX rule_error_time ON rule_error (tenant_id, at_ms);
CREATE INDEX rule_error_old ON rule_error (at_ms);

-- Daily scans. `tick_ms`: the moment for which it was due, or at which it was asked for: claimed by who makes the row.
-- `ended_ms`: NULL while it is under way, or since its node died.
CREATE TABLE scan (
  tenant_id  BLOB    NOT NULL,
  tick_ms    INTEGER NOT NULL,
  started_ms INTEGER NOT NULL,
  ended_ms   INTEGER,
  looked     INTEGER NOT NULL,
  events     INTEGER NOT NULL,
  made       INTEGER NOT NULL,
  errors     INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, tick_ms)
) STRICT, WITHOUT ROWID;
CREATE INDEX scan_open ON scan (tenant_id) WHERE ended_ms IS NULL;
CREATE INDEX scan_old ON scan (tick_ms);
