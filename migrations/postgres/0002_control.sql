-- What control keeps beside the first schema.

-- Since when a webhook has been off; NULL while it is on.
ALTER TABLE webhook ADD COLUMN disabled_ms BIGINT;

-- 1: the profile came with the program. A profile stored through the API keeps its name against a later built-in one.
ALTER TABLE profile ADD COLUMN builtin SMALLINT NOT NULL DEFAULT 0;

-- The whole audit log, newest first.
CREATE INDEX audit_id ON audit (id);
