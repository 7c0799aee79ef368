-- Postrider: each change of a table's rows is written into an outbox, in the transaction that makes it.
-- Run it as the table's owner. To run it again is harmless. PostgreSQL 14 or newer.
BEGIN;

-- A trigger is made under a lock that waits for the table's writers and holds up new ones: give up rather than queue.
SET LOCAL lock_timeout = '5s';

-- One row for each change, until it was delivered. CACHE 1: numbers are given in the order in which they are asked for.
CREATE TABLE IF NOT EXISTS "public"."postrider_outbox" (
    seq          bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
    txid         xid8 NOT NULL DEFAULT pg_current_xact_id(),
    source_table text NOT NULL,
    kind         text NOT NULL,
    tenant       text,
    id           text NOT NULL,
    old_data     json,
    new_data     json,
    at           timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- Which batch is under way, and which changes it has. The identity tells this outbox from every other.
CREATE TABLE IF NOT EXISTS "public"."postrider_outbox_meta" (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    identity uuid NOT NULL DEFAULT gen_random_uuid(),
    batch    bigint NOT NULL DEFAULT 0,
    taken    bigint[]
);
INSERT INTO "public"."postrider_outbox_meta" DEFAULT VALUES ON CONFLICT DO NOTHING;

-- Changes that Postrider does not accept, each with the reason. For people to look at; nothing reads them.
CREATE TABLE IF NOT EXISTS "public"."postrider_outbox_refused" (
    seq          bigint PRIMARY KEY,
    txid         xid8 NOT NULL,
    source_table text NOT NULL,
    kind         text NOT NULL,
    tenant       text,
    id           text NOT NULL,
    old_data     json,
    new_data     json,
    at           timestamptz NOT NULL,
    problem      json NOT NULL,
    refused_at   timestamptz NOT NULL DEFAULT now()
);

-- Fails for whoever does not own the outbox: the functions below write into it with the rights of who runs this.
COMMENT ON TABLE "public"."postrider_outbox" IS 'Changes of rows on their way to Postrider';
COMMENT ON TABLE "public"."postrider_outbox_meta" IS 'What of the outbox is under way to Postrider';
COMMENT ON TABLE "public"."postrider_outbox_refused" IS 'Changes of rows that Postrider has refused';

-- Writes one change. The settings are fixed, so that a row's JSON does not depend on the session that changes it.
CREATE OR REPLACE FUNCTION "public"."postrider_outbox_row_parts_457b2814"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres'
    SET bytea_output = 'hex' SET extra_float_digits = 1
AS $postrider$
DECLARE
    was json;
    was_id text;
    was_of text;
    becomes json;
    is_id text;
    is_of text;
    moved boolean := false;
BEGIN
    IF tg_op <> 'INSERT' THEN
        was := row_to_json(old.*);
        was_id := old."id"::text;
        was_of := 'acme';
    END IF;
    IF tg_op <> 'DELETE' THEN
        becomes := row_to_json(new.*);
        is_id := new."id"::text;
        is_of := 'acme';
    END IF;
    IF tg_op = 'UPDATE' THEN
        -- Of another id, or another's: the one is gone, the other is new.
        moved := was_id IS DISTINCT FROM is_id OR was_of IS DISTINCT FROM is_of;
        IF NOT moved AND was::text = becomes::text THEN
            RETURN NULL;
        END IF;
    END IF;
    IF (tg_op = 'DELETE' OR moved) THEN
        INSERT INTO "public"."postrider_outbox" (source_table, kind, tenant, id, old_data, new_data)
            VALUES ('public.parts', 'part', was_of, was_id, was, NULL);
    END IF;
    IF (tg_op = 'INSERT' OR moved) THEN
        INSERT INTO "public"."postrider_outbox" (source_table, kind, tenant, id, old_data, new_data)
            VALUES ('public.parts', 'part', is_of, is_id, NULL, becomes);
    END IF;
    IF (tg_op = 'UPDATE' AND NOT moved) THEN
        INSERT INTO "public"."postrider_outbox" (source_table, kind, tenant, id, old_data, new_data)
            VALUES ('public.parts', 'part', is_of, is_id, was, becomes);
    END IF;
    PERFORM pg_notify('postrider_outbox', '');
    RETURN NULL;
END
$postrider$;

-- All rows are gone at once. What row security would hide is an error, not a deletion that nobody hears of.
CREATE OR REPLACE FUNCTION "public"."postrider_outbox_truncate_parts_457b2814"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres'
    SET bytea_output = 'hex' SET extra_float_digits = 1
    SET row_security = off
AS $postrider$
BEGIN
    INSERT INTO "public"."postrider_outbox" (source_table, kind, tenant, id, old_data)
        SELECT 'public.parts', 'part', 'acme', postrider_row."id"::text, row_to_json(postrider_row.*)
        FROM "public"."parts" AS postrider_row;
    PERFORM pg_notify('postrider_outbox', '');
    RETURN NULL;
END
$postrider$;

REVOKE ALL ON FUNCTION "public"."postrider_outbox_row_parts_457b2814"(), "public"."postrider_outbox_truncate_parts_457b2814"() FROM PUBLIC;

-- Triggers fire in the order of their names: these are first, before one that changes the row again.
CREATE OR REPLACE TRIGGER "00_postrider_row" AFTER INSERT OR UPDATE OR DELETE ON "public"."parts"
    FOR EACH ROW EXECUTE FUNCTION "public"."postrider_outbox_row_parts_457b2814"();
CREATE OR REPLACE TRIGGER "00_postrider_truncate" BEFORE TRUNCATE ON "public"."parts"
    FOR EACH STATEMENT EXECUTE FUNCTION "public"."postrider_outbox_truncate_parts_457b2814"();

COMMIT;
