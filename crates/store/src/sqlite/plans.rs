//! For tests: that a statement is run by the indexes it names.

use postrider_domain::time::Timestamp;
use rusqlite::Connection;

/// Panics unless SQLite's plan for the statement holds all of `expected`, in this order.
pub(crate) fn check(sql: &str, expected: &[&str]) {
    let plan = plan(sql);
    assert!(!plan.contains("AUTOMATIC"), "SQLite makes an index of a whole table\n{plan}\nof\n{sql}");
    let mut rest = plan.as_str();
    for part in expected {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => panic!("no {part:?} in the plan\n{plan}\nof\n{sql}"),
        }
    }
}

/// An empty database.
pub(crate) fn migrated() -> Connection {
    let mut connection = Connection::open_in_memory().expect("memory is there");
    crate::migrate::migrate_sqlite(&mut connection, Timestamp::from_unix_ms(0))
        .expect("the migrations are good");
    connection
}

fn plan(sql: &str) -> String {
    let connection = migrated();
    // The cold way's placeholders, in the form that SQLite numbers by itself.
    let sql = format!("EXPLAIN QUERY PLAN {}", sql.replace('$', "?"));
    let mut statement = connection.prepare(&sql).expect("the statement is good");
    let nothing = vec![rusqlite::types::Null; statement.parameter_count()];
    let details: Vec<String> = statement
        .query_map(rusqlite::params_from_iter(nothing), |row| row.get("detail"))
        .and_then(Iterator::collect)
        .expect("a plan has details");
    details.join("\n")
}
