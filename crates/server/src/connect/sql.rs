//! The SQL that a person reviews: the outbox, a table's triggers, and how they are removed. Pure text.
//!
//! What runs inside the application's transactions must be small, must not depend on the session that it runs in, and must
//! fail only where the change itself could not be written down.

use sha2::{Digest as _, Sha256};

use super::names::{dollar_quote, identifier, literal};

/// A table that is told, and how.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) outbox_schema: String,
    pub(crate) table: Table,
    pub(crate) kind: String,
    /// Unique and never null.
    pub(crate) id_column: String,
    /// `None`: all, also those that are added later.
    pub(crate) columns: Option<Vec<String>>,
    pub(crate) tenant: TenantOf,
    pub(crate) notify: Notify,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) schema: String,
    pub(crate) name: String,
}

/// Whose records a table's rows are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TenantOf {
    /// The key's own tenant, or whom the record itself names.
    Nobody,
    One(String),
    /// A row where it is null or empty is nobody's, and not told.
    Column(String),
}

/// Whether a commit wakes the connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notify {
    Yes,
    No,
}

/// The channel of the wake-ups.
pub(crate) const CHANNEL: &str = "postrider_outbox";

/// First among the table's triggers, which fire in the order of their names: another one may change the row again, and its
/// change is to be written down after this one.
const ROW_TRIGGER: &str = "\"00_postrider_row\"";
const TRUNCATE_TRIGGER: &str = "\"00_postrider_truncate\"";
const ROW_FUNCTION: &str = "postrider_outbox_row_";
const TRUNCATE_FUNCTION: &str = "postrider_outbox_truncate_";

/// The session of whoever changes a row may have any settings; the JSON of a row must not depend on them.
const FIXED_SETTINGS: &str = "    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres'
    SET bytea_output = 'hex' SET extra_float_digits = 1";

impl Table {
    fn quoted(&self) -> String {
        format!("{}.{}", identifier(&self.schema), identifier(&self.name))
    }

    /// As a person writes it.
    pub(crate) fn shown(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// What the table's functions are called: readable, and never the same for two tables.
    fn function(&self, schema: &str, prefix: &str) -> String {
        const READABLE_CHARS_MAX: usize = 24;
        let plain = self.name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_');
        let plain: String =
            plain.map(|c| c.to_ascii_lowercase()).take(READABLE_CHARS_MAX).chain(['_']).collect();
        let hash = Sha256::digest(format!("{}\0{}", self.schema, self.name));
        format!(
            "{}.{}",
            identifier(schema),
            identifier(&format!("{prefix}{plain}{}", hex::encode(&hash[..4])))
        )
    }
}

/// Makes the outbox where it is missing, and a table's triggers. Harmless when it was run before.
pub(crate) fn install(told: &Told) -> String {
    let outbox = Outbox::of(&told.outbox_schema);
    let row_function = told.table.function(&told.outbox_schema, ROW_FUNCTION);
    let truncate_function = told.table.function(&told.outbox_schema, TRUNCATE_FUNCTION);
    let table = told.table.quoted();
    let row_body = row_body(told, &outbox);
    let row_quote = dollar_quote(&row_body);
    let truncate_body = truncate_body(told, &outbox);
    let truncate_quote = dollar_quote(&truncate_body);
    let Outbox { changes, meta, refused } = &outbox;
    format!(
        "-- Postrider: each change of a table's rows is written into an outbox, in the transaction that makes it.
-- Run it as the table's owner. To run it again is harmless. PostgreSQL 14 or newer.
BEGIN;

-- A trigger is made under a lock that waits for the table's writers and holds up new ones: give up rather than queue.
SET LOCAL lock_timeout = '5s';

-- One row for each change, until it was delivered. CACHE 1: numbers are given in the order in which they are asked for.
CREATE TABLE IF NOT EXISTS {changes} (
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
CREATE TABLE IF NOT EXISTS {meta} (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    identity uuid NOT NULL DEFAULT gen_random_uuid(),
    batch    bigint NOT NULL DEFAULT 0,
    taken    bigint[]
);
INSERT INTO {meta} DEFAULT VALUES ON CONFLICT DO NOTHING;

-- Changes that Postrider does not accept, each with the reason. For people to look at; nothing reads them.
CREATE TABLE IF NOT EXISTS {refused} (
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
COMMENT ON TABLE {changes} IS 'Changes of rows on their way to Postrider';
COMMENT ON TABLE {meta} IS 'What of the outbox is under way to Postrider';
COMMENT ON TABLE {refused} IS 'Changes of rows that Postrider has refused';

-- Writes one change. The settings are fixed, so that a row's JSON does not depend on the session that changes it.
CREATE OR REPLACE FUNCTION {row_function}() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
{FIXED_SETTINGS}
AS {row_quote}{row_body}{row_quote};

-- All rows are gone at once. What row security would hide is an error, not a deletion that nobody hears of.
CREATE OR REPLACE FUNCTION {truncate_function}() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
{FIXED_SETTINGS}
    SET row_security = off
AS {truncate_quote}{truncate_body}{truncate_quote};

REVOKE ALL ON FUNCTION {row_function}(), {truncate_function}() FROM PUBLIC;

-- Triggers fire in the order of their names: these are first, before one that changes the row again.
CREATE OR REPLACE TRIGGER {ROW_TRIGGER} AFTER INSERT OR UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION {row_function}();
CREATE OR REPLACE TRIGGER {TRUNCATE_TRIGGER} BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION {truncate_function}();

COMMIT;
"
    )
}

/// Takes a table's triggers away, and the outbox with the last of them once it is empty. Harmless when it was run before.
pub(crate) fn removal(outbox_schema: &str, table: &Table) -> String {
    let Outbox { changes, meta, refused } = Outbox::of(outbox_schema);
    let row_function = table.function(outbox_schema, ROW_FUNCTION);
    let truncate_function = table.function(outbox_schema, TRUNCATE_FUNCTION);
    let table = table.quoted();
    let schema = literal(outbox_schema);
    let pattern = literal(&format!("{}%", ROW_FUNCTION.replace('_', "!_")));
    let changes_name = literal(&changes);
    let body = format!(
        "
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
               WHERE n.nspname = {schema} AND p.proname LIKE {pattern} ESCAPE '!') THEN
        RAISE NOTICE 'The outbox stays: other tables write into it.';
    ELSIF pg_catalog.to_regclass({changes_name}) IS NOT NULL THEN
        IF EXISTS (SELECT FROM {changes}) OR EXISTS (SELECT FROM {refused}) THEN
            RAISE NOTICE 'The outbox stays until it is empty, and refused changes are looked at and deleted. Then run this again.';
        ELSE
            DROP TABLE {changes}, {meta}, {refused};
        END IF;
    END IF;
END
"
    );
    let quote = dollar_quote(&body);
    format!(
        "-- Postrider: changes of a table's rows are written down no more.
BEGIN;

SET LOCAL lock_timeout = '5s';

DROP TRIGGER IF EXISTS {ROW_TRIGGER} ON {table};
DROP TRIGGER IF EXISTS {TRUNCATE_TRIGGER} ON {table};
DROP FUNCTION IF EXISTS {row_function}();
DROP FUNCTION IF EXISTS {truncate_function}();

-- The outbox goes with the last table, and never with changes in it that were not delivered.
DO {quote}{body}{quote};

COMMIT;
"
    )
}

struct Outbox {
    changes: String,
    meta: String,
    refused: String,
}

impl Outbox {
    fn of(schema: &str) -> Self {
        let schema = identifier(schema);
        Self {
            changes: format!("{schema}.\"postrider_outbox\""),
            meta: format!("{schema}.\"postrider_outbox_meta\""),
            refused: format!("{schema}.\"postrider_outbox_refused\""),
        }
    }
}

/// A row's JSON: `row` is a record of the function, or a table's alias.
fn data(told: &Told, row: &str) -> String {
    match &told.columns {
        None => format!("row_to_json({row}.*)"),
        Some(columns) => {
            let columns: Vec<String> =
                columns.iter().map(|column| format!("{row}.{}", identifier(column))).collect();
            format!("(SELECT row_to_json(picked.*) FROM (SELECT {}) AS picked)", columns.join(", "))
        }
    }
}

fn tenant(told: &Told, row: &str) -> String {
    match &told.tenant {
        TenantOf::Nobody => "NULL".to_owned(),
        TenantOf::One(tenant) => literal(tenant),
        TenantOf::Column(column) => format!("nullif({row}.{}::text, '')", identifier(column)),
    }
}

fn row_body(told: &Told, outbox: &Outbox) -> String {
    let id = identifier(&told.id_column);
    let insert = |id: &str, tenant: &str, old: &str, new: &str| {
        let (changes, source, kind) = (&outbox.changes, literal(&told.table.shown()), literal(&told.kind));
        format!(
            "INSERT INTO {changes} (source_table, kind, tenant, id, old_data, new_data)
            VALUES ({source}, {kind}, {tenant}, {id}, {old}, {new});"
        )
    };
    let removed = insert("was_id", "was_of", "was", "NULL");
    let added = insert("is_id", "is_of", "NULL", "becomes");
    let changed = insert("is_id", "is_of", "was", "becomes");
    // A row of nobody is not told.
    let (was_told, is_told) = match told.tenant {
        TenantOf::Column(_) => (" AND was_of IS NOT NULL", " AND is_of IS NOT NULL"),
        TenantOf::Nobody | TenantOf::One(_) => ("", ""),
    };
    let notify = match told.notify {
        Notify::Yes => format!("    PERFORM pg_notify({}, '');\n", literal(CHANNEL)),
        Notify::No => String::new(),
    };
    let (old_data, new_data) = (data(told, "old"), data(told, "new"));
    let (old_tenant, new_tenant) = (tenant(told, "old"), tenant(told, "new"));
    format!(
        "
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
        was := {old_data};
        was_id := old.{id}::text;
        was_of := {old_tenant};
    END IF;
    IF tg_op <> 'DELETE' THEN
        becomes := {new_data};
        is_id := new.{id}::text;
        is_of := {new_tenant};
    END IF;
    IF tg_op = 'UPDATE' THEN
        -- Of another id, or another's: the one is gone, the other is new.
        moved := was_id IS DISTINCT FROM is_id OR was_of IS DISTINCT FROM is_of;
        IF NOT moved AND was::text = becomes::text THEN
            RETURN NULL;
        END IF;
    END IF;
    IF (tg_op = 'DELETE' OR moved){was_told} THEN
        {removed}
    END IF;
    IF (tg_op = 'INSERT' OR moved){is_told} THEN
        {added}
    END IF;
    IF (tg_op = 'UPDATE' AND NOT moved){is_told} THEN
        {changed}
    END IF;
{notify}    RETURN NULL;
END
"
    )
}

fn truncate_body(told: &Told, outbox: &Outbox) -> String {
    let row = "postrider_row";
    let tenant = tenant(told, row);
    let of_somebody = match told.tenant {
        TenantOf::Column(_) => format!("\n        WHERE {tenant} IS NOT NULL"),
        TenantOf::Nobody | TenantOf::One(_) => String::new(),
    };
    let notify = match told.notify {
        Notify::Yes => format!("    PERFORM pg_notify({}, '');\n", literal(CHANNEL)),
        Notify::No => String::new(),
    };
    format!(
        "
BEGIN
    INSERT INTO {changes} (source_table, kind, tenant, id, old_data)
        SELECT {source}, {kind}, {tenant}, {row}.{id}::text, {data}
        FROM {table} AS {row}{of_somebody};
{notify}    RETURN NULL;
END
",
        changes = outbox.changes,
        source = literal(&told.table.shown()),
        kind = literal(&told.kind),
        id = identifier(&told.id_column),
        data = data(told, row),
        table = told.table.quoted(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Told {
        Told {
            outbox_schema: "public".to_owned(),
            table: Table { schema: "public".to_owned(), name: "parts".to_owned() },
            kind: "part".to_owned(),
            id_column: "id".to_owned(),
            columns: None,
            tenant: TenantOf::One("acme".to_owned()),
            notify: Notify::Yes,
        }
    }

    #[test]
    fn two_tables_never_share_a_function() {
        let name = |schema: &str, name: &str| {
            Table { schema: schema.to_owned(), name: name.to_owned() }.function("public", ROW_FUNCTION)
        };
        let long = "x".repeat(63);
        let names = [
            name("a", "b"),
            name("a", "B"),
            name("A", "b"),
            name("a.b", ""),
            name("a", &long),
            name("a", &long[1..]),
        ];
        let different: std::collections::BTreeSet<&String> = names.iter().collect();
        assert_eq!(different.len(), names.len(), "{names:?}");
        for name in &names {
            let function = name.trim_start_matches("\"public\".").trim_matches('"');
            assert!(function.len() <= 63, "PostgreSQL cuts names: {function}");
        }
    }

    #[test]
    fn a_name_never_gets_out_of_its_quotes() {
        let wicked = "Q\"; $postrider$ '\n-- \\";
        let mut told = told();
        told.table.name = wicked.to_owned();
        told.id_column = wicked.to_owned();
        told.kind = wicked.to_owned();
        told.columns = Some(vec![wicked.to_owned()]);
        told.tenant = TenantOf::Column(wicked.to_owned());
        let sql = install(&told);
        let tidied = sql.replace(&identifier(wicked), "NAME").replace(&literal(wicked), "TEXT");
        let tidied = tidied.replace(&literal(&told.table.shown()), "TEXT");
        assert!(!tidied.contains("Q\""), "{tidied}");
        assert_eq!(sql.matches("$postrider1$").count(), 4);
    }

    #[test]
    fn without_notify_nothing_is_notified() {
        assert!(install(&told()).contains("pg_notify"));
        assert!(!install(&Told { notify: Notify::No, ..told() }).contains("pg_notify"));
    }
}
