-- Inbound: workflows, their triggers, what came to them, and the runs that it started; secrets and connections for steps.

CREATE TABLE workflow (
  tenant_id   UUID NOT NULL,
  id          UUID NOT NULL,
  name        TEXT NOT NULL, -- as in URLs
  version     BIGINT NOT NULL, -- of its definition
  description TEXT NOT NULL,
  created_ms  BIGINT NOT NULL,
  updated_ms  BIGINT NOT NULL,
  deleted_ms  BIGINT,
  PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX workflow_name ON workflow (tenant_id, name) WHERE deleted_ms IS NULL;

-- A run goes on with the definition that it began with.
CREATE TABLE workflow_version (
  tenant_id   UUID NOT NULL,
  workflow_id UUID NOT NULL,
  version     BIGINT NOT NULL,
  definition  TEXT NOT NULL, -- JSON
  created_ms  BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, workflow_id, version)
);

CREATE TABLE workflow_trigger (
  tenant_id   UUID NOT NULL,
  id          UUID NOT NULL,
  workflow_id UUID NOT NULL,
  kind        BIGINT NOT NULL,
  name        TEXT NOT NULL,
  enabled     BIGINT NOT NULL,
  slug        TEXT, -- of its public URL
  settings    TEXT NOT NULL, -- JSON object
  since_ms    BIGINT NOT NULL, -- since when its clock counts: it was made, switched on, or its times were changed
  created_ms  BIGINT NOT NULL,
  updated_ms  BIGINT NOT NULL,
  deleted_ms  BIGINT,
  PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX workflow_trigger_slug ON workflow_trigger (slug) WHERE slug IS NOT NULL AND deleted_ms IS NULL;

CREATE TABLE trigger_secret (
  tenant_id     UUID NOT NULL,
  trigger_id    UUID NOT NULL,
  id            UUID NOT NULL,
  sealed        BYTEA NOT NULL,
  expires_at_ms BIGINT, -- replaced, and taken until then
  created_ms    BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, trigger_id, id)
);

-- How far a trigger's clock has come: ticks up to it are decided.
CREATE TABLE trigger_clock (
  tenant_id  UUID NOT NULL,
  trigger_id UUID NOT NULL,
  tick_ms    BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, trigger_id)
);

-- What started a run: the same once more starts none.
CREATE TABLE trigger_dedup (
  tenant_id  UUID NOT NULL,
  trigger_id UUID NOT NULL,
  key        TEXT NOT NULL,
  run_id     UUID NOT NULL,
  created_ms BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, trigger_id, key)
);
CREATE INDEX trigger_dedup_created ON trigger_dedup (created_ms);

-- Every request to a trigger, taken or refused. `body`: NULL while it is the input of its run.
CREATE TABLE request (
  tenant_id   UUID NOT NULL,
  id          UUID NOT NULL,
  trigger_id  UUID NOT NULL,
  cause       BIGINT NOT NULL,
  status      BIGINT NOT NULL, -- that it was answered with
  detail      TEXT,
  run_id      UUID,
  received_ms BIGINT NOT NULL,
  method      TEXT NOT NULL,
  query       TEXT NOT NULL,
  peer        TEXT NOT NULL,
  headers     BYTEA NOT NULL, -- JSON array of [name, value], without secrets
  body        BYTEA,
  body_bytes  BIGINT NOT NULL, -- read in all, of which `body` may be the beginning
  PRIMARY KEY (id, tenant_id)
);
CREATE INDEX request_trigger ON request (tenant_id, trigger_id, id);

-- `slot`: the key under which a workflow bounds how many of its runs are active. A queued run with a slot and without a due
-- time waits for one of those to end.
CREATE TABLE run (
  tenant_id        UUID NOT NULL,
  id               UUID NOT NULL,
  workflow_id      UUID NOT NULL,
  workflow_version BIGINT NOT NULL,
  trigger_id       UUID,
  trigger_kind     BIGINT NOT NULL,
  request_id       UUID,
  event_id         UUID, -- that started it
  replay_of        UUID,
  parent_id        UUID, -- the run whose `call` started it, and waits for it
  state            BIGINT NOT NULL,
  depth            BIGINT NOT NULL,
  slot             TEXT,
  fence            BIGINT NOT NULL, -- rises with every claim: a result under an older one is not taken
  due_ms           BIGINT, -- while queued or waiting
  lease_ms         BIGINT, -- while running: until when the claim holds
  node_id          UUID, -- while running: whose claim it is
  error            TEXT,
  created_ms       BIGINT NOT NULL,
  started_ms       BIGINT,
  finished_ms      BIGINT,
  PRIMARY KEY (id, tenant_id)
);
CREATE INDEX run_workflow ON run (tenant_id, workflow_id, id);
CREATE INDEX run_due ON run (tenant_id, workflow_id, due_ms) WHERE state IN (0, 2);
CREATE INDEX run_running ON run (lease_ms) WHERE state = 1;
CREATE INDEX run_slot ON run (tenant_id, workflow_id, slot, id) WHERE slot IS NOT NULL AND state < 3;

-- What runs began with and ended in, apart from their state, which changes often.
CREATE TABLE run_data (
  tenant_id UUID NOT NULL,
  run_id    UUID NOT NULL,
  part      BIGINT NOT NULL, -- 0 input, 1 output
  data      BYTEA NOT NULL,
  PRIMARY KEY (run_id, part, tenant_id)
);

-- A row for each step that began or ended. `status`: 0 under way or waiting.
CREATE TABLE run_step (
  tenant_id   UUID NOT NULL,
  run_id      UUID NOT NULL,
  path        TEXT NOT NULL,
  seq         BIGINT NOT NULL, -- in the order in which they began
  kind        TEXT NOT NULL,
  status      BIGINT NOT NULL,
  tries       BIGINT NOT NULL,
  started_ms  BIGINT NOT NULL,
  finished_ms BIGINT,
  until_ms    BIGINT, -- a wait's end
  link_id     UUID, -- the event that it made or waited for, the run that it called
  output      BYTEA,
  error       TEXT,
  PRIMARY KEY (run_id, path, tenant_id)
);

-- One HTTP request of a step, with everything seen.
CREATE TABLE run_attempt (
  tenant_id      UUID NOT NULL,
  run_id         UUID NOT NULL,
  path           TEXT NOT NULL,
  number         BIGINT NOT NULL, -- from 1
  started_ms     BIGINT NOT NULL,
  class          BIGINT NOT NULL,
  status         BIGINT,
  detail         TEXT,
  total_us       BIGINT NOT NULL,
  peer           TEXT,
  response_head  BYTEA NOT NULL,
  response_body  BYTEA NOT NULL,
  response_bytes BIGINT NOT NULL,
  PRIMARY KEY (run_id, path, number, tenant_id)
);

-- Runs that wait for an event. `after_id`: events up to it have been looked at.
CREATE TABLE run_wait (
  tenant_id UUID NOT NULL,
  run_id    UUID NOT NULL,
  path      TEXT NOT NULL,
  after_id  UUID NOT NULL,
  PRIMARY KEY (tenant_id, run_id)
);

-- Values that steps use and nobody is shown.
CREATE TABLE secret (
  tenant_id  UUID NOT NULL,
  name       TEXT NOT NULL,
  version    BIGINT NOT NULL,
  sealed     BYTEA NOT NULL,
  created_ms BIGINT NOT NULL,
  updated_ms BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, name)
);

-- OAuth 2 grants.
CREATE TABLE connection (
  tenant_id  UUID NOT NULL,
  id         UUID NOT NULL,
  name       TEXT NOT NULL,
  provider   TEXT NOT NULL,
  settings   TEXT NOT NULL, -- JSON object, without secrets
  sealed     BYTEA NOT NULL, -- JSON object: the client's secret, the tokens
  state      BIGINT NOT NULL,
  expires_ms BIGINT, -- of the access token
  error      TEXT,
  version    BIGINT NOT NULL, -- rises with every change: of two that refresh, one is taken
  lease_ms   BIGINT, -- until when somebody refreshes it
  created_ms BIGINT NOT NULL,
  updated_ms BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX connection_name ON connection (tenant_id, name);
CREATE INDEX connection_expiry ON connection (expires_ms) WHERE expires_ms IS NOT NULL;

-- Authorizations that a person was sent away for, by the hash of their `state`.
CREATE TABLE connection_flow (
  state_hash    BYTEA NOT NULL PRIMARY KEY,
  tenant_id     UUID NOT NULL,
  connection_id UUID NOT NULL,
  sealed        BYTEA NOT NULL, -- the PKCE verifier
  expires_ms    BIGINT NOT NULL
);
CREATE INDEX connection_flow_tenant ON connection_flow (tenant_id);
