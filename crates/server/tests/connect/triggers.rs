//! The SQL that people review, and what it leaves in their database.

use serde_json::json;

use crate::stage::{Stage, TENANT, err};

/// All that is in the database beside what PostgreSQL brings along.
const EVERYTHING: &str = "SELECT coalesce(string_agg(what, E'\\n' ORDER BY what), '') FROM (
    SELECT 'relation ' || c.relname AS what FROM pg_class c WHERE c.relnamespace::regnamespace::text !~ '^(pg_|information_)'
    UNION ALL SELECT 'function ' || p.proname || ' ' || md5(p.prosrc) FROM pg_proc p WHERE p.pronamespace::regnamespace::text !~ '^(pg_|information_)'
    UNION ALL SELECT 'trigger ' || t.tgname || ' of ' || t.tgrelid::regclass FROM pg_trigger t
    UNION ALL SELECT 'type ' || t.typname FROM pg_type t WHERE t.typnamespace::regnamespace::text !~ '^(pg_|information_)'
    UNION ALL SELECT 'schema ' || n.nspname FROM pg_namespace n WHERE n.nspname !~ '^pg_') AS all_of_it";

async fn everything(stage: &Stage) -> String {
    sqlx::query_scalar(EVERYTHING).fetch_one(&mut stage.session().await).await.expect("the catalogue")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sql_is_the_one_that_was_reviewed() {
    let stage = Stage::start("print_sql").await;
    stage.sql("CREATE TABLE parts (id int PRIMARY KEY, name text, quantity int, company text)").await;
    let before = everything(&stage).await;
    let table = ["--table", "parts", "--kind", "part"];
    let check = |arguments: &[&str], name: &str| {
        let printed = stage.ok(&[&table, arguments].concat());
        let path = format!("{}/tests/connect/{name}.sql", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(&path, &printed).expect("written");
        }
        let expected = std::fs::read_to_string(&path).expect("the file");
        assert!(printed == expected, "it is not {path} any more; UPDATE_EXPECTED=1 writes it:\n{printed}");
    };
    check(&["--print-sql", "--tenant", TENANT], "one_tenant");
    check(
        &["--print-sql", "--tenant-column", "company", "--columns", "name,quantity", "--no-notify"],
        "many_tenants",
    );
    check(&["--remove"], "removal");
    assert_eq!(everything(&stage).await, before, "printing changes nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_apply_twice_is_harmless_and_removal_leaves_nothing_behind() {
    let stage = Stage::start("apply").await;
    stage.sql("CREATE SCHEMA shop; CREATE SCHEMA relay").await;
    stage.sql("CREATE TABLE shop.parts (id int PRIMARY KEY, name text); CREATE TABLE vehicles (id int PRIMARY KEY)").await;
    let before = everything(&stage).await;
    let relay = ["--outbox-schema", "relay"];
    let parts = |more: &[&str]| stage.ok(&[&relay, &["--table", "shop.parts"], more].concat());
    let vehicles = |more: &[&str]| stage.ok(&[&relay, &["--table", "vehicles"], more].concat());
    let install = ["--apply", "--kind", "part", "--tenant", TENANT];
    parts(&install);
    stage.sql("INSERT INTO shop.parts VALUES (1, 'one')").await;
    let applied = everything(&stage).await;
    assert!(applied.contains("relation postrider_outbox\n") && applied != before);
    parts(&install);
    assert_eq!(everything(&stage).await, applied);
    assert_eq!(stage.count("SELECT count(*) FROM relay.postrider_outbox").await, 1);
    vehicles(&["--apply", "--kind", "vehicle", "--tenant", TENANT]);

    // Its changes were not delivered, and another table writes.
    let remove = ["--remove", "--apply"];
    parts(&remove);
    stage.sql("INSERT INTO shop.parts VALUES (2, 'two'); INSERT INTO vehicles VALUES (1)").await;
    assert_eq!(stage.count("SELECT count(*) FROM relay.postrider_outbox").await, 2);
    let output = stage.run(&[&relay[..], &["--table", "vehicles"], &remove].concat());
    assert!(err(&output).contains("The outbox stays"), "{}", err(&output));
    stage.ok(&[&relay[..], &["--once"]].concat());
    assert_eq!(stage.records(TENANT, "part").await["1"], json!({ "id": 1, "name": "one" }));
    vehicles(&remove);
    assert_eq!(everything(&stage).await, before);
    vehicles(&remove);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_may_have_quotes_spaces_and_capitals() {
    let stage = Stage::start("odd_names").await;
    let before = everything(&stage).await;
    stage
        .sql(
            r#"CREATE SCHEMA "My.Schema"; CREATE SCHEMA "Out ""Box""";
               CREATE TABLE "My.Schema"."O'Reilly ""Parts"" $postrider$" (
                 "The ""Id"" \ $postrider$" int NOT NULL, "Größe, in mm" numeric, "new" text, "postrider_row" text, "SELECT" text,
                 "It's whose" text);
               CREATE UNIQUE INDEX ON "My.Schema"."O'Reilly ""Parts"" $postrider$" ("The ""Id"" \ $postrider$")"#,
        )
        .await;
    let table = r#""My.Schema"."O'Reilly ""Parts"" $postrider$""#;
    let common = ["--outbox-schema", "Out \"Box\"", "--table", table];
    let id = "The \"Id\" \\ $postrider$";
    let install = ["--apply", "--kind", "part", "--id-column", id, "--tenant-column", "It's whose"];
    for columns in [&[][..], &["--columns", r#""Größe, in mm",new,postrider_row,SELECT"#]] {
        stage.ok(&[&common, &install[..], columns].concat());
        stage
            .sql(
                r#"INSERT INTO "My.Schema"."O'Reilly ""Parts"" $postrider$" VALUES (1, 1.50, 'n', 'p', 's', 'acme');
                   UPDATE "My.Schema"."O'Reilly ""Parts"" $postrider$" SET "Größe, in mm" = 2.50;
                   TRUNCATE "My.Schema"."O'Reilly ""Parts"" $postrider$";
                   INSERT INTO "My.Schema"."O'Reilly ""Parts"" $postrider$" VALUES (2, 2.0, 'n', 'p', 's', 'acme')"#,
            )
            .await;
        stage.ok(&["--outbox-schema", "Out \"Box\"", "--once"]);
        let mut expected = json!({ "Größe, in mm": 2.0, "new": "n", "postrider_row": "p", "SELECT": "s" });
        if columns.is_empty() {
            expected[id] = json!(2);
            expected["It's whose"] = json!("acme");
        }
        let records = stage.records(TENANT, "part").await;
        assert_eq!(records.into_iter().collect::<Vec<_>>(), [("2".to_owned(), expected)]);
        stage.sql(r#"DELETE FROM "My.Schema"."O'Reilly ""Parts"" $postrider$""#).await;
    }
    stage.ok(&["--outbox-schema", "Out \"Box\"", "--once"]);
    stage.ok(&[&common[..], &["--remove", "--apply"]].concat());
    stage.sql(r#"DROP SCHEMA "My.Schema", "Out ""Box""" CASCADE"#).await;
    assert_eq!(everything(&stage).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_may_write_the_table_needs_no_right_to_the_outbox() {
    let stage = Stage::start("rights").await;
    stage.sql("CREATE TABLE parts (id int PRIMARY KEY, doc json)").await;
    stage.apply("parts", "part", &["--tenant", TENANT]);
    stage
        .sql(
            "GRANT ALL ON parts TO pg_monitor; SET ROLE pg_monitor;
             INSERT INTO parts VALUES (1, '{}'), (2, '[]'); UPDATE parts SET doc = '{\"a\":1}' WHERE id = 1;
             DELETE FROM parts WHERE id = 2; TRUNCATE parts; INSERT INTO parts VALUES (3, 'null')",
        )
        .await;
    let mut session = stage.session().await;
    let refused =
        sqlx::raw_sql("SET ROLE pg_monitor; SELECT * FROM postrider_outbox").execute(&mut session).await;
    assert!(refused.is_err(), "changes are for nobody else to see");
    stage.once();
    assert_eq!(
        stage.records(TENANT, "part").await.into_values().collect::<Vec<_>>(),
        [json!({ "id": 3, "doc": null })]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_cannot_be_told_is_refused_before_anything_is_changed() {
    let stage = Stage::start("refused_tables").await;
    stage
        .sql(
            "CREATE TABLE pairs (a int, b int, c int NOT NULL UNIQUE, PRIMARY KEY (a, b));
             CREATE TABLE late (id int PRIMARY KEY DEFERRABLE, other int UNIQUE, part int NOT NULL);
             CREATE UNIQUE INDEX ON late (part) WHERE part > 0;
             CREATE TABLE \"Orders\" (id int PRIMARY KEY); CREATE VIEW seen AS SELECT 1 AS id",
        )
        .await;
    let before = everything(&stage).await;
    let check = |table: &str, more: &[&str], expected: &str| {
        let arguments = ["--apply", "--table", table, "--kind", "part", "--tenant", TENANT];
        let output = stage.run(&[&arguments, more].concat());
        assert!(!output.status.success(), "{table}");
        assert!(err(&output).contains(expected), "{expected} in {}", err(&output));
    };
    check("nothing", &[], "there is no table public.nothing");
    check("orders", &[], "there is public.\"Orders\"");
    check("seen", &[], "there is no table public.seen");
    check("pairs", &[], "name one of these with --id-column: c");
    check("pairs", &["--id-column", "a"], "does not tell one row");
    check("pairs", &["--id-column", "d"], "has no column d");
    check("pairs", &["--columns", "a,\"B\""], "has no column B");
    check("late", &[], "no primary key of one column that is not deferrable");
    check("late", &["--id-column", "other"], "NOT NULL");
    check("late", &["--id-column", "part"], "unique index");
    check("Orders", &["--tenant-column", "x"], "not be used with");
    let without_kind = stage.run(&["--apply", "--table", "pairs"]);
    assert!(err(&without_kind).contains("--kind"), "{}", err(&without_kind));
    assert_eq!(everything(&stage).await, before);
    stage.apply("pairs", "part", &["--id-column", "c", "--tenant", TENANT]);
}
