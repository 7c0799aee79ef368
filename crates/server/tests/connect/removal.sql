-- Postrider: changes of a table's rows are written down no more.
BEGIN;

SET LOCAL lock_timeout = '5s';

DROP TRIGGER IF EXISTS "00_postrider_row" ON "public"."parts";
DROP TRIGGER IF EXISTS "00_postrider_truncate" ON "public"."parts";
DROP FUNCTION IF EXISTS "public"."postrider_outbox_row_parts_457b2814"();
DROP FUNCTION IF EXISTS "public"."postrider_outbox_truncate_parts_457b2814"();

-- The outbox goes with the last table, and never with changes in it that were not delivered.
DO $postrider$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
               WHERE n.nspname = 'public' AND p.proname LIKE 'postrider!_outbox!_row!_%' ESCAPE '!') THEN
        RAISE NOTICE 'The outbox stays: other tables write into it.';
    ELSIF pg_catalog.to_regclass('"public"."postrider_outbox"') IS NOT NULL THEN
        IF EXISTS (SELECT FROM "public"."postrider_outbox") OR EXISTS (SELECT FROM "public"."postrider_outbox_refused") THEN
            RAISE NOTICE 'The outbox stays until it is empty, and refused changes are looked at and deleted. Then run this again.';
        ELSE
            DROP TABLE "public"."postrider_outbox", "public"."postrider_outbox_meta", "public"."postrider_outbox_refused";
        END IF;
    END IF;
END
$postrider$;

COMMIT;
