-- The dashboard: who is signed in, and receivers of our own to try webhooks with.

-- A session of the dashboard or the portal, or a link that becomes one.
CREATE TABLE dashboard_session (
  id UUID NOT NULL PRIMARY KEY,
  token_hash BYTEA NOT NULL UNIQUE, -- SHA-256 of the token in the cookie or the link, which has 192 random bits
  kind BIGINT NOT NULL, -- 0 signed in with a key or a link, 1 a one-time link for an operator, 2 portal
  role BIGINT NOT NULL,
  tenant_id UUID, -- NULL: of the installation
  key_id UUID, -- the key that it was made with, and ends with
  portal TEXT NOT NULL, -- JSON object: name, logo, accent, language, origins
  created_ms BIGINT NOT NULL,
  expires_ms BIGINT NOT NULL,
  ended_ms BIGINT -- signed out, revoked, or used up
);
CREATE INDEX dashboard_session_tenant ON dashboard_session (tenant_id, kind, id);
CREATE INDEX dashboard_session_live ON dashboard_session (tenant_id, kind, expires_ms);
CREATE INDEX dashboard_session_key ON dashboard_session (key_id, kind, expires_ms);
CREATE INDEX dashboard_session_expires ON dashboard_session (expires_ms);

-- A receiver of ours under /inbox/{slug}.
CREATE TABLE inbox (
  tenant_id UUID NOT NULL,
  id UUID NOT NULL,
  slug TEXT NOT NULL UNIQUE,
  status BIGINT NOT NULL, -- that it answers
  created_ms BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, id)
);

-- What came to it; only the newest are kept.
CREATE TABLE inbox_request (
  tenant_id UUID NOT NULL,
  inbox_id UUID NOT NULL,
  id UUID NOT NULL,
  received_ms BIGINT NOT NULL,
  method TEXT NOT NULL,
  headers TEXT NOT NULL, -- JSON array of [name, value]
  body BYTEA NOT NULL, -- cut
  body_bytes BIGINT NOT NULL, -- before it was cut
  status BIGINT NOT NULL, -- that was answered
  PRIMARY KEY (tenant_id, inbox_id, id)
);

-- Where a delivery goes that was asked for by hand to another URL than its webhook's.
CREATE TABLE delivery_elsewhere (
  tenant_id UUID NOT NULL,
  delivery_id UUID NOT NULL,
  url TEXT NOT NULL,
  PRIMARY KEY (tenant_id, delivery_id)
);

-- What all tenants had over the last hours: the operator's first page. Never updated, so rows are still changed in place.
CREATE INDEX ledger_part_hour ON ledger_part (hour_ms);
