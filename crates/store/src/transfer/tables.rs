//! What is copied: for each table of PostgreSQL, which rows and columns of SQLite's files become its rows.
//!
//! Each column is written as it will be read back, so that a row that was read there can be compared byte by byte with the
//! row that was written. Tables stand in the order in which they are copied.

/// How a value is held, which is the same on both sides but for the width of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// BLOB of 16 bytes; UUID.
    Id,
    /// SMALLINT.
    Small,
    /// INTEGER.
    Int,
    /// BIGINT; also a transaction's number, which has the same form.
    Big,
    Text,
    Bytes,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    /// On PostgreSQL.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// What it is made of on SQLite.
    pub(crate) from: &'static str,
}

impl Column {
    const fn is(self, from: &'static str) -> Self {
        Self { from, ..self }
    }
}

const fn column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, from: name }
}
const fn id(name: &'static str) -> Column {
    column(name, Kind::Id)
}
const fn small(name: &'static str) -> Column {
    column(name, Kind::Small)
}
const fn int(name: &'static str) -> Column {
    column(name, Kind::Int)
}
const fn big(name: &'static str) -> Column {
    column(name, Kind::Big)
}
const fn text(name: &'static str) -> Column {
    column(name, Kind::Text)
}
const fn bytes(name: &'static str) -> Column {
    column(name, Kind::Bytes)
}

/// One table to fill.
#[derive(Debug)]
pub(crate) struct Table {
    /// On PostgreSQL.
    pub(crate) name: &'static str,
    /// On SQLite.
    pub(crate) source: &'static str,
    /// Which of the source's rows.
    pub(crate) filter: Option<&'static str>,
    pub(crate) columns: &'static [Column],
    /// The source's columns by which its rows are read: a batch goes on after the values of the last row.
    pub(crate) order: &'static [Column],
    /// By which a row is found again: of `columns`.
    pub(crate) key: &'static [&'static str],
    /// Of `columns`: the id whose day says which partition takes the row.
    pub(crate) day_of: Option<&'static str>,
}

impl Table {
    pub(crate) fn at(&self, name: &str) -> usize {
        let found = self.columns.iter().position(|column| column.name == name);
        found.expect("because a test looks for all names")
    }
}

const PLAIN: Table =
    Table { name: "", source: "", filter: None, columns: &[], order: &[], key: &[], day_of: None };

/// Counters that no node adds to: nodes count from zero.
pub(crate) const NO_NODES_WRITER: i32 = -1;

pub(crate) static TABLES: [Table; 42] = [
    Table {
        name: "tenant",
        source: "tenant",
        columns: &[
            id("id"),
            text("public_id"),
            text("profile"),
            text("profile_version"),
            text("name"),
            text("plan"),
            text("timezone"),
            text("attributes"),
            text("settings"),
            big("version"),
            big("created_ms"),
            big("updated_ms"),
            big("deleted_ms"),
        ],
        order: &[id("id")],
        key: &["id"],
        ..PLAIN
    },
    Table {
        name: "tenant_version",
        source: "tenant_version",
        columns: &[
            id("tenant_id"),
            big("version"),
            text("name"),
            text("timezone"),
            text("attributes"),
            text("profile"),
            text("profile_version"),
            big("created_ms"),
        ],
        order: &[id("tenant_id"), big("version")],
        key: &["tenant_id", "version"],
        ..PLAIN
    },
    Table {
        name: "webhook",
        source: "webhook",
        columns: &[
            id("tenant_id"),
            id("id"),
            text("name"),
            text("url"),
            text("events"),
            bytes("headers"),
            text("description"),
            small("enabled"),
            small("disabled_reason"),
            small("single"),
            big("created_ms"),
            big("updated_ms"),
            big("deleted_ms"),
            big("disabled_ms"),
        ],
        order: &[id("tenant_id"), id("id")],
        key: &["tenant_id", "id"],
        ..PLAIN
    },
    Table {
        name: "webhook_version",
        source: "webhook_version",
        columns: &[
            id("tenant_id"),
            id("webhook_id"),
            big("version"),
            text("name"),
            text("events"),
            small("enabled"),
            small("deleted"),
            big("created_ms"),
        ],
        order: &[id("tenant_id"), id("webhook_id"), big("version")],
        key: &["tenant_id", "webhook_id", "version"],
        ..PLAIN
    },
    Table {
        name: "webhook_secret",
        source: "webhook_secret",
        columns: &[
            id("tenant_id"),
            id("webhook_id"),
            id("id"),
            bytes("sealed"),
            small("state"),
            big("activate_at_ms"),
            big("expires_at_ms"),
            big("created_ms"),
        ],
        order: &[id("tenant_id"), id("webhook_id"), id("id")],
        key: &["tenant_id", "webhook_id", "id"],
        ..PLAIN
    },
    Table {
        name: "api_key",
        source: "api_key",
        columns: &[
            id("id"),
            bytes("hash"),
            small("role"),
            id("tenant_id"),
            text("name"),
            big("created_ms"),
            big("last_used_ms"),
            big("revoked_ms"),
        ],
        order: &[id("id")],
        key: &["id"],
        ..PLAIN
    },
    Table {
        name: "profile",
        source: "profile",
        columns: &[text("name"), text("version"), text("source"), big("created_ms"), small("builtin")],
        order: &[text("name"), text("version")],
        key: &["name", "version"],
        ..PLAIN
    },
    Table {
        name: "event_type",
        source: "event_type",
        columns: &[
            id("tenant_id"),
            text("type"),
            text("description"),
            text("schema"),
            text("example"),
            small("archived"),
            big("created_ms"),
            big("updated_ms"),
        ],
        order: &[id("tenant_id"), text("type")],
        key: &["tenant_id", "type"],
        ..PLAIN
    },
    Table {
        name: "audit",
        source: "audit",
        columns: &[
            id("tenant_id"),
            id("id"),
            big("at_ms"),
            text("actor"),
            text("action"),
            text("target"),
            text("detail"),
        ],
        order: &[id("tenant_id"), id("id")],
        key: &["tenant_id", "id"],
        ..PLAIN
    },
    Table {
        name: "job",
        source: "job",
        columns: &[
            id("tenant_id"),
            id("id"),
            small("kind"),
            small("state"),
            text("params"),
            bytes("position"),
            big("done"),
            big("total"),
            text("detail"),
            big("created_ms"),
            big("updated_ms"),
            big("finished_ms"),
        ],
        order: &[id("tenant_id"), id("id")],
        key: &["tenant_id", "id"],
        ..PLAIN
    },
    Table {
        name: "idempotency",
        source: "idempotency",
        columns: &[id("scope"), text("key"), bytes("fingerprint"), bytes("answer"), big("created_ms")],
        order: &[id("scope"), text("key")],
        key: &["scope", "key"],
        ..PLAIN
    },
    // In the order in which they were accepted, which is that of the file's pages and of the days.
    Table {
        name: "event",
        source: "event",
        columns: &[
            id("tenant_id"),
            id("id"),
            text("external_id"),
            small("kind"),
            text("type"),
            big("time_ms"),
            big("accepted_ms"),
            big("tenant_version"),
            small("depth"),
            // Lower than every transaction's: who polls finds them by their ids, and before everything that comes later.
            big("xid").is("0"),
            bytes("data"),
        ],
        order: &[big("rowid")],
        key: &["tenant_id", "id"],
        day_of: Some("id"),
        ..PLAIN
    },
    Table {
        name: "event_external",
        source: "event",
        filter: Some("external_id IS NOT NULL"),
        columns: &[id("tenant_id"), text("external_id"), id("event_id").is("id")],
        order: &[id("tenant_id"), text("external_id")],
        key: &["tenant_id", "external_id"],
        ..PLAIN
    },
    Table {
        name: "delivery_open",
        source: "delivery",
        filter: Some("state < 2"),
        columns: &[
            id("tenant_id"),
            id("id"),
            id("event_id"),
            id("webhook_id"),
            small("kind"),
            small("state"),
            small("reason"),
            small("resend"),
            int("attempts"),
            int("step"),
            big("fence"),
            big("created_ms"),
            big("due_ms"),
            big("claimed_ms"),
            big("lease_ms"),
            // What was under way is a claim of a node that is not there: the first one takes over from it.
            id("node_id").is("CASE WHEN state = 1 THEN zeroblob(16) END"),
            small("last_class"),
            small("last_status"),
        ],
        order: &[id("id"), id("tenant_id")],
        key: &["tenant_id", "id"],
        ..PLAIN
    },
    // Without the columns that mean nothing any more once a delivery has ended.
    Table {
        name: "delivery_settled",
        source: "delivery",
        filter: Some("state >= 2"),
        columns: &[
            id("tenant_id"),
            id("id"),
            id("event_id"),
            id("webhook_id"),
            small("kind"),
            small("state"),
            small("reason"),
            small("last_class"),
            int("attempts"),
            int("step"),
            big("fence"),
            big("created_ms"),
            big("settled_ms"),
            small("last_status"),
        ],
        order: &[id("id"), id("tenant_id")],
        key: &["tenant_id", "id"],
        day_of: Some("id"),
    },
    Table {
        name: "attempt",
        source: "attempt",
        columns: &[
            id("tenant_id"),
            id("delivery_id"),
            int("number"),
            small("class"),
            small("status"),
            big("started_ms"),
            big("dns_us"),
            big("connect_us"),
            big("tls_us"),
            big("wait_us"),
            big("body_us"),
            big("total_us"),
            big("request_bytes"),
            big("response_bytes"),
            small("reused"),
            small("resend"),
            text("detail"),
            text("peer"),
            bytes("body_sha256"),
            bytes("response_head"),
            bytes("response_body"),
        ],
        order: &[id("delivery_id"), int("number"), id("tenant_id")],
        key: &["tenant_id", "delivery_id", "number"],
        day_of: Some("delivery_id"),
        ..PLAIN
    },
    Table {
        name: "ledger_part",
        source: "ledger_hour",
        columns: &[
            id("tenant_id"),
            big("hour_ms"),
            small("kind"),
            int("writer").is("-1"),
            big("accepted"),
            big("delivered"),
            big("failed"),
            big("cancelled"),
        ],
        order: &[id("tenant_id"), big("hour_ms"), small("kind")],
        key: &["tenant_id", "hour_ms", "kind", "writer"],
        ..PLAIN
    },
    Table {
        name: "webhook_part",
        source: "webhook_hour",
        columns: &[
            id("tenant_id"),
            id("webhook_id"),
            big("hour_ms"),
            int("writer").is("-1"),
            big("attempts"),
            big("succeeded"),
            big("last_fired_ms"),
            big("le_10ms"),
            big("le_30ms"),
            big("le_100ms"),
            big("le_300ms"),
            big("le_1s"),
            big("le_3s"),
            big("le_10s"),
            big("over_10s"),
        ],
        order: &[id("tenant_id"), id("webhook_id"), big("hour_ms")],
        key: &["tenant_id", "webhook_id", "hour_ms", "writer"],
        ..PLAIN
    },
    Table {
        name: "record",
        source: "record",
        columns: &[
            id("scope"),
            text("kind"),
            text("id"),
            id("tenant_id"),
            big("version"),
            bytes("data"),
            big("created_ms"),
            big("updated_ms"),
        ],
        order: &[id("scope"), text("kind"), text("id")],
        key: &["scope", "kind", "id"],
        ..PLAIN
    },
    Table {
        name: "record_due",
        source: "record_due",
        columns: &[id("scope"), text("kind"), text("id"), text("rule"), id("tenant_id"), big("due_ms")],
        order: &[id("scope"), text("kind"), text("id"), text("rule")],
        key: &["scope", "kind", "id", "rule"],
        ..PLAIN
    },
    Table {
        name: "record_mark",
        source: "record_mark",
        columns: &[
            id("scope"),
            text("kind"),
            text("id"),
            text("rule"),
            id("tenant_id"),
            big("fired_ms"),
            id("event_id"),
        ],
        order: &[id("scope"), text("kind"), text("id"), text("rule"), id("tenant_id")],
        key: &["scope", "kind", "id", "rule", "tenant_id"],
        ..PLAIN
    },
    Table {
        name: "rule_error",
        source: "rule_error",
        columns: &[
            id("scope"),
            text("kind"),
            text("id"),
            text("rule"),
            id("tenant_id"),
            big("at_ms"),
            big("times"),
            text("detail"),
        ],
        order: &[id("scope"), text("kind"), text("id"), text("rule")],
        key: &["scope", "kind", "id", "rule"],
        ..PLAIN
    },
    Table {
        name: "scan",
        source: "scan",
        columns: &[
            id("tenant_id"),
            big("tick_ms"),
            big("started_ms"),
            big("ended_ms"),
            big("looked"),
            big("events"),
            big("made"),
            big("errors"),
        ],
        order: &[id("tenant_id"), big("tick_ms")],
        key: &["tenant_id", "tick_ms"],
        ..PLAIN
    },
    Table {
        name: "workflow",
        source: "workflow",
        columns: &[
            id("tenant_id"),
            id("id"),
            text("name"),
            big("version"),
            text("description"),
            big("created_ms"),
            big("updated_ms"),
            big("deleted_ms"),
        ],
        order: &[id("tenant_id"), id("id")],
        key: &["tenant_id", "id"],
        ..PLAIN
    },
    Table {
        name: "workflow_version",
        source: "workflow_version",
        columns: &[id("tenant_id"), id("workflow_id"), big("version"), text("definition"), big("created_ms")],
        order: &[id("tenant_id"), id("workflow_id"), big("version")],
        key: &["tenant_id", "workflow_id", "version"],
        ..PLAIN
    },
    Table {
        name: "workflow_trigger",
        source: "workflow_trigger",
        columns: &[
            id("tenant_id"),
            id("id"),
            id("workflow_id"),
            big("kind"),
            text("name"),
            big("enabled"),
            text("slug"),
            text("settings"),
            big("since_ms"),
            big("created_ms"),
            big("updated_ms"),
            big("deleted_ms"),
        ],
        order: &[id("tenant_id"), id("id")],
        key: &["tenant_id", "id"],
        ..PLAIN
    },
    Table {
        name: "trigger_secret",
        source: "trigger_secret",
        columns: &[
            id("tenant_id"),
            id("trigger_id"),
            id("id"),
            bytes("sealed"),
            big("expires_at_ms"),
            big("created_ms"),
        ],
        order: &[id("tenant_id"), id("trigger_id"), id("id")],
        key: &["tenant_id", "trigger_id", "id"],
        ..PLAIN
    },
    Table {
        name: "trigger_clock",
        source: "trigger_clock",
        columns: &[id("tenant_id"), id("trigger_id"), big("tick_ms")],
        order: &[id("tenant_id"), id("trigger_id")],
        key: &["tenant_id", "trigger_id"],
        ..PLAIN
    },
    Table {
        name: "trigger_dedup",
        source: "trigger_dedup",
        columns: &[id("tenant_id"), id("trigger_id"), text("key"), id("run_id"), big("created_ms")],
        order: &[id("tenant_id"), id("trigger_id"), text("key")],
        key: &["tenant_id", "trigger_id", "key"],
        ..PLAIN
    },
    Table {
        name: "request",
        source: "request",
        columns: &[
            id("tenant_id"),
            id("id"),
            id("trigger_id"),
            big("cause"),
            big("status"),
            text("detail"),
            id("run_id"),
            big("received_ms"),
            text("method"),
            text("query"),
            text("peer"),
            bytes("headers"),
            bytes("body"),
            big("body_bytes"),
        ],
        order: &[id("id"), id("tenant_id")],
        key: &["id", "tenant_id"],
        ..PLAIN
    },
    Table {
        name: "run",
        source: "run",
        columns: &[
            id("tenant_id"),
            id("id"),
            id("workflow_id"),
            big("workflow_version"),
            id("trigger_id"),
            big("trigger_kind"),
            id("request_id"),
            id("event_id"),
            id("replay_of"),
            id("parent_id"),
            big("state"),
            big("depth"),
            text("slot"),
            big("fence"),
            big("due_ms"),
            big("lease_ms"),
            // What was under way is a claim of a node that is not there.
            id("node_id").is("CASE WHEN state = 1 THEN zeroblob(16) END"),
            text("error"),
            big("created_ms"),
            big("started_ms"),
            big("finished_ms"),
        ],
        order: &[id("id"), id("tenant_id")],
        key: &["id", "tenant_id"],
        ..PLAIN
    },
    Table {
        name: "run_data",
        source: "run_data",
        columns: &[id("tenant_id"), id("run_id"), big("part"), bytes("data")],
        order: &[id("run_id"), big("part"), id("tenant_id")],
        key: &["run_id", "part", "tenant_id"],
        ..PLAIN
    },
    Table {
        name: "run_step",
        source: "run_step",
        columns: &[
            id("tenant_id"),
            id("run_id"),
            text("path"),
            big("seq"),
            text("kind"),
            big("status"),
            big("tries"),
            big("started_ms"),
            big("finished_ms"),
            big("until_ms"),
            id("link_id"),
            bytes("output"),
            text("error"),
        ],
        order: &[id("run_id"), text("path"), id("tenant_id")],
        key: &["run_id", "path", "tenant_id"],
        ..PLAIN
    },
    Table {
        name: "run_attempt",
        source: "run_attempt",
        columns: &[
            id("tenant_id"),
            id("run_id"),
            text("path"),
            big("number"),
            big("started_ms"),
            big("class"),
            big("status"),
            text("detail"),
            big("total_us"),
            text("peer"),
            bytes("response_head"),
            bytes("response_body"),
            big("response_bytes"),
        ],
        order: &[id("run_id"), text("path"), big("number"), id("tenant_id")],
        key: &["run_id", "path", "number", "tenant_id"],
        ..PLAIN
    },
    Table {
        name: "run_wait",
        source: "run_wait",
        columns: &[id("tenant_id"), id("run_id"), text("path"), id("after_id")],
        order: &[id("tenant_id"), id("run_id")],
        key: &["tenant_id", "run_id"],
        ..PLAIN
    },
    Table {
        name: "dashboard_session",
        source: "dashboard_session",
        columns: &[
            id("id"),
            bytes("token_hash"),
            big("kind"),
            big("role"),
            id("tenant_id"),
            id("key_id"),
            text("portal"),
            big("created_ms"),
            big("expires_ms"),
            big("ended_ms"),
        ],
        order: &[id("id")],
        key: &["id"],
        ..PLAIN
    },
    Table {
        name: "inbox",
        source: "inbox",
        columns: &[id("tenant_id"), id("id"), text("slug"), big("status"), big("created_ms")],
        order: &[id("tenant_id"), id("id")],
        key: &["tenant_id", "id"],
        ..PLAIN
    },
    Table {
        name: "inbox_request",
        source: "inbox_request",
        columns: &[
            id("tenant_id"),
            id("inbox_id"),
            id("id"),
            big("received_ms"),
            text("method"),
            text("headers"),
            bytes("body"),
            big("body_bytes"),
            big("status"),
        ],
        order: &[id("tenant_id"), id("inbox_id"), id("id")],
        key: &["tenant_id", "inbox_id", "id"],
        ..PLAIN
    },
    Table {
        name: "delivery_elsewhere",
        source: "delivery_elsewhere",
        columns: &[id("tenant_id"), id("delivery_id"), text("url")],
        order: &[id("tenant_id"), id("delivery_id")],
        key: &["tenant_id", "delivery_id"],
        ..PLAIN
    },
    Table {
        name: "secret",
        source: "secret",
        columns: &[
            id("tenant_id"),
            text("name"),
            big("version"),
            bytes("sealed"),
            big("created_ms"),
            big("updated_ms"),
        ],
        order: &[id("tenant_id"), text("name")],
        key: &["tenant_id", "name"],
        ..PLAIN
    },
    Table {
        name: "connection",
        source: "connection",
        columns: &[
            id("tenant_id"),
            id("id"),
            text("name"),
            text("provider"),
            text("settings"),
            bytes("sealed"),
            big("state"),
            big("expires_ms"),
            text("error"),
            big("version"),
            big("lease_ms"),
            big("created_ms"),
            big("updated_ms"),
        ],
        order: &[id("tenant_id"), id("id")],
        key: &["tenant_id", "id"],
        ..PLAIN
    },
    Table {
        name: "connection_flow",
        source: "connection_flow",
        columns: &[
            bytes("state_hash"),
            id("tenant_id"),
            id("connection_id"),
            bytes("sealed"),
            big("expires_ms"),
        ],
        order: &[bytes("state_hash")],
        key: &["state_hash"],
        ..PLAIN
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::sqlite::plans;

    /// Of SQLite: what stands for something else, or is made anew.
    const NOT_COPIED: [&str; 3] = ["claim", "meta", "migration"];
    /// What only says how a delivery is being sent; of those that have ended it says nothing.
    const WHILE_OPEN: [&str; 4] = ["resend", "due_ms", "claimed_ms", "lease_ms"];

    #[test]
    fn every_table_and_every_column_is_copied() {
        let connection = plans::migrated();
        let names = |sql: &str| -> Vec<String> {
            let mut statement = connection.prepare(sql).expect("a statement");
            let rows = statement.query_map([], |row| row.get(0)).expect("rows");
            rows.map(|name| name.expect("a name")).collect()
        };
        let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
        for table in names(tables) {
            let copied: Vec<&Table> = TABLES.iter().filter(|copied| copied.source == table).collect();
            assert_eq!(copied.is_empty(), NOT_COPIED.contains(&table.as_str()), "{table}");
            let columns: BTreeSet<String> =
                names(&format!("SELECT name FROM pragma_table_info('{table}')")).into_iter().collect();
            for one in copied.iter().filter(|one| one.name != "event_external") {
                let written: BTreeSet<String> =
                    one.columns.iter().map(|column| column.name.to_owned()).collect();
                let left: Vec<&String> = columns.difference(&written).collect();
                match one.name {
                    "delivery_open" => assert_eq!(left, ["settled_ms"]),
                    "delivery_settled" => {
                        assert!(left.iter().all(|name| WHILE_OPEN.contains(&name.as_str())), "{left:?}");
                    }
                    name => assert!(left.is_empty(), "{name} lacks {left:?}"),
                }
            }
        }
    }

    #[test]
    fn keys_and_days_are_columns_and_counters_belong_to_no_node() {
        for table in &TABLES {
            for name in table.key.iter().chain(&table.day_of) {
                assert_eq!(table.columns[table.at(name)].name, *name);
            }
            for column in table.columns.iter().filter(|column| column.name == "writer") {
                assert_eq!(column.from, NO_NODES_WRITER.to_string());
            }
        }
    }
}
