-- Inbound: workflows, their triggers, what came to them, and the runs that it started; secrets and connections for steps.

CREATE TABLE workflow (
  tenant_id   BLOB NOT NULL,
  id          BLOB NOT NULL,
  name        TEXT NOT NULL, -- as in URLs
  version     INTEGER NOT NULL, -- of its definition
  description TEXT NOT NULL,
  created_ms  INTEGER NOT NULL,
  updated_ms  INTEGER NOT NULL,
  deleted_ms  INTEGER,
  PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE UNIQUE INDEX workflow_name ON workflow (tenant_id, name) WHERE deleted_ms IS NULL;

-- A run goes on with the definition that it began with.
CREATE TABLE workflow_version (
  tenant_id   BLOB NOT NULL,
  workflow_id BLOB NOT NULL,
  version     INTEGER NOT NULL,
  definition  TEXT NOT NULL, -- JSON
  created_ms  INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, workflow_id, version)
) STRICT;

CREATE TABLE workflow_trigger (
  tenant_id   BLOB NOT NULL,
  id          BLOB NOT NULL,
  workflow_id BLOB NOT NULL,
  kind        INTEGER NOT NULL,
  name        TEXT NOT NULL,
  enabled     INTEGER NOT NULL,
  slug        TEXT,             -- of its public URL
  settings    TEXT NOT NULL, -- JSON object
  since_ms    INTEGER NOT NULL, -- since when its clock counts: it was made, switched on, or its times were changed
  created_ms  INTEGER NOT NULL,
  updated_ms  INTEGER NOT NULL,
  deleted_ms  INTEGER,
  PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE UNIQUE INDEX workflow_trigger_slug ON workflow_trigger (slug) WHERE slug IS NOT NULL AND deleted_ms IS NULL;

CREATE TABLE trigger_secret (
  tenant_id     BLOB NOT NULL,
  trigger_id    BLOB NOT NULL,
  id            BLOB NOT NULL,
  sealed        BLOB NOT NULL,
  expires_at_ms INTEGER,          -- replaced, and taken until then
  created_ms    INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, trigger_id, id)
) STRICT, WITHOUT ROWID;

-- How far a trigger's clock has come: ticks up to it are decided.
CREATE TABLE trigger_clock (
  tenant_id  BLOB NOT NULL,
  trigger_id BLOB NOT NULL,
  tick_ms    INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, trigger_id)
) STRICT, WITHOUT ROWID;

-- What started a run: the same once more starts none.
CREATE TABLE trigger_dedup (
  tenant_id  BLOB NOT NULL,
  trigger_id BLOB NOT NULL,
  key        TEXT NOT NULL,
  run_id     BLOB NOT NULL,
  created_ms INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, trigger_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX trigger_dedup_created ON trigger_dedup (created_ms);

-- Every request to a trigger, taken or refused. `body`: NULL while it is the input of its run.
CREATE TABLE request (
  tenant_id   BLOB NOT NULL,
  id          BLOB NOT NULL,
  trigger_id  BLOB NOT NULL,
  cause       INTEGER NOT NULL,
  status      INTEGER NOT NULL, -- that it was answered with
  detail      TEXT,
  run_id      BLOB,
  received_ms INTEGER NOT NULL,
  method      TEXT NOT NULL,
  query       TEXT NOT NULL,
  peer        TEXT NOT NULL,
  headers     BLOB NOT NULL, -- JSON array of [name, value], without secrets
  body        BLOB,
  body_bytes  INTEGER NOT NULL, -- read in all, of which `body` may be the beginning
  PRIMARY KEY (id, tenant_id)
) STRICT;
CREATE INDEX request_trigger ON request (tenant_id, trigger_id, id);

-- `slot`: the key under which a workflow bounds how many of its runs are active. A queued run with a slot and without a due
-- time waits for one of those to end.
CREATE TABLE run (
  tenant_id        BLOB NOT NULL,
  id               BLOB NOT NULL,
  workflow_id      BLOB NOT NULL,
  workflow_version INTEGER NOT NULL,
  trigger_id       BLOB,
  trigger_kind     INTEGER NOT NULL,
  request_id       BLOB,
  event_id         BLOB,          -- that started it
  replay_of        BLOB,
  parent_id        BLOB,          -- the run whose `call` started it, and waits for it
  state            INTEGER NOT NULL,
  depth            INTEGER NOT NULL,
  slot             TEXT,
  fence            INTEGER NOT NULL, -- rises with every claim: a result under an older one is not taken
  due_ms           INTEGER,         -- while queued or waiting
  lease_ms         INTEGER,         -- while running: until when the claim holds
  node_id          BLOB,          -- while running: whose claim it is
  error            TEXT,
  created_ms       INTEGER NOT NULL,
  started_ms       INTEGER,
  finished_ms      INTEGER,
  PRIMARY KEY (id, tenant_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_workflow ON run (tenant_id, workflow_id, id);
CREATE INDEX run_due ON run (tenant_id, workflow_id, due_ms) WHERE state IN (0, 2);
CREATE INDEX run_running ON run (lease_ms) WHERE state = 1;
CREATE INDEX run_slot ON run (tenant_id, workflow_id, slot, id) WHERE slot IS NOT NULL AND state < 3;

-- What runs began with and ended in, apart from their state, which changes often.
CREATE TABLE run_data (
  tenant_id BLOB NOT NULL,
  run_id    BLOB NOT NULL,
  part      INTEGER NOT NULL, -- 0 input, 1 output
  data      BLOB NOT NULL,
  PRIMARY KEY (run_id, part, tenant_id)
) STRICT;

-- A row for each step that began or ended. `status`: 0 under way or waiting.
CREATE TABLE run_step (
  tenant_id   BLOB NOT NULL,
  run_id      BLOB NOT NULL,
  path        TEXT NOT NULL,
  seq         INTEGER NOT NULL, -- in the order in which they began
  kind        TEXT NOT NULL,
  status      INTEGER NOT NULL,
  tries       INTEGER NOT NULL,
  started_ms  INTEGER NOT NULL,
  finished_ms INTEGER,
  until_ms    INTEGER,          -- a wait's end
  link_id     BLOB,           -- the event that it made or waited for, the run that it called
  output      BLOB,
  error       TEXT,
  PRIMARY KEY (run_id, path, tenant_id)
) STRICT, WITHOUT ROWID;

-- One HTTP request of a step, with everything seen.
CREATE TABLE run_attempt (
  tenant_id      BLOB NOT NULL,
  run_id         BLOB NOT NULL,
  path           TEXT NOT NULL,
  number         INTEGER NOT NULL, -- from 1
  started_ms     INTEGER NOT NULL,
  class          INTEGER NOT NULL,
  status         INTEGER,
  detail         TEXT,
  total_us       INTEGER NOT NULL,
  peer           TEXT,
  response_head  BLOB NOT NULL,
  response_body  BLOB NOT NULL,
  response_bytes INTEGER NOT NULL,
  PRIMARY KEY (run_id, path, number, tenant_id)
) STRICT, WITHOUT ROWID;

-- Runs that wait for an event. `after_id`: events up to it have been looked at.
CREATE TABLE run_wait (
  tenant_id BLOB NOT NULL,
  run_id    BLOB NOT NULL,
  path      TEXT NOT NULL,
  after_id  BLOB NOT NULL,
  PRIMARY KEY (tenant_id, run_id)
) STRICT, WITHOUT ROWID;

-- Values that steps use and nobody is shown.
CREATE TABLE secret (
  tenant_id  BLOB NOT NULL,
  name       TEXT NOT NULL,
  version    INTEGER NOT NULL,
  sealed     BLOB NOT NULL,
  created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, name)
) STRICT, WITHOUT ROWID;

-- OAuth 2 grants.
CREATE TABLE connection (
  tenant_id  BLOB NOT NULL,
  id         BLOB NOT NULL,
  name       TEXT NOT NULL,
  provider   TEXT NOT NULL,
  settings   TEXT NOT NULL, -- JSON object, without secrets
  sealed     BLOB NOT NULL, -- JSON object: the client's secret, the tokens
  state      INTEGER NOT NULL,
  expires_ms INTEGER,          -- of the access token
  error      TEXT,
  version    INTEGER NOT NULL, -- rises with every change: of two that refresh, one is taken
  lease_ms   INTEGER,          -- until when somebody refreshes it
  created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE UNIQUE INDEX connection_name ON connection (tenant_id, name);
CREATE INDEX connection_expiry ON connection (expires_ms) WHERE expires_ms IS NOT NULL;

-- Authorizations that a person was sent away for, by the hash of their `state`.
CREATE TABLE connection_flow (
  state_hash    BLOB NOT NULL PRIMARY KEY,
  tenant_id     BLOB NOT NULL,
  connection_id BLOB NOT NULL,
  sealed        BLOB NOT NULL, -- the PKCE verifier
  expires_ms    INTEGER NOT NULL
) STRICT;
CREATE INDEX connection_flow_tenant ON connection_flow (tenant_id);
