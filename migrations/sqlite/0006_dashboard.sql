-- The dashboard: who is signed in, and receivers of our own to try webhooks with.

-- A session of the dashboard or the portal, or a link that becomes one.
CREATE TABLE dashboard_session (
  id         BLOB    NOT NULL PRIMARY KEY,
  token_hash BLOB    NOT NULL UNIQUE, -- SHA-256 of the token in the cookie or the link, which has 192 random bits
  kind       INTEGER NOT NULL,        -- 0 signed in with a key or a link, 1 a one-time link for an operator, 2 portal
  role       INTEGER NOT NULL,
  tenant_id  BLOB,                    -- NULL: of the installation
  key_id     BLOB,                    -- the key that it was made with, and ends with
  portal     TEXT    NOT NULL,        -- JSON object: name, logo, accent, language, origins
  created_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  ended_ms   INTEGER                  -- signed out, revoked, or used up
) STRICT;
CREATE INDEX dashboard_session_tenant ON dashboard_session (tenant_id, kind, id);
CREATE INDEX dashboard_session_live ON dashboard_session (tenant_id, kind, expires_ms);
CREATE INDEX dashboard_session_key ON dashboard_session (key_id, kind, expires_ms);
CREATE INDEX dashboard_session_expires ON dashboard_session (expires_ms);

-- A receiver of ours under /inbox/{slug}.
CREATE TABLE inbox (
  tenant_id  BLOB    NOT NULL,
  id         BLOB    NOT NULL,
  slug       TEXT    NOT NULL UNIQUE,
  status     INTEGER NOT NULL, -- that it answers
  created_ms INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, id)
) STRICT;

-- What came to it; only the newest are kept.
CREATE TABLE inbox_request (
  tenant_id   BLOB    NOT NULL,
  inbox_id    BLOB    NOT NULL,
  id          BLOB    NOT NULL,
  received_ms INTEGER NOT NULL,
  method      TEXT    NOT NULL,
  headers     TEXT    NOT NULL, -- JSON array of [name, value]
  body        BLOB    NOT NULL, -- cut
  body_bytes  INTEGER NOT NULL, -- before it was cut
  status      INTEGER NOT NULL, -- that was answered
  PRIMARY KEY (tenant_id, inbox_id, id)
) STRICT;

-- Where a delivery goes that was asked for by hand to another URL than its webhook's.
CREATE TABLE delivery_elsewhere (
  tenant_id   BLOB NOT NULL,
  delivery_id BLOB NOT NULL,
  url         TEXT NOT NULL,
  PRIMARY KEY (tenant_id, delivery_id)
) STRICT, WITHOUT ROWID;
