//! The launcher of PostgreSQL, against real servers.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use postrider_testkit::postgres::{Postgres, look_until};
use postrider_testkit::proxy::FaultProxy;

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_server_is_durable_and_says_where_it_is() {
    let postgres = Postgres::start_with(&[("work_mem", "7MB"), ("max_connections", "42")]);
    let url = format!("postgres://postrider:postrider@127.0.0.1:{}/postrider", postgres.port());
    assert_eq!(postgres.url(), url);
    for (setting, value) in [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("shared_buffers", "256MB"),
        ("max_wal_size", "4GB"),
        ("jit", "off"),
        ("work_mem", "7MB"),
        ("max_connections", "42"),
    ] {
        assert_eq!(postgres.sql(&format!("SHOW {setting}")), value, "{setting}");
    }
    assert_eq!(postgres.sql("SELECT current_user, current_database()"), "postrider|postrider");
    assert!(postgres.log().contains("ready to accept connections"), "{}", postgres.log());
}

#[test]
fn a_statement_that_fails_says_why() {
    let said = Postgres::shared().try_sql("SELECT nothing").expect_err("there is no such column");
    assert!(said.contains("column \"nothing\" does not exist"), "{said}");
}

#[test]
fn a_database_of_its_own_shares_nothing_with_another() {
    let postgres = Postgres::shared();
    let url = postgres.create_database("one \"of\" two");
    assert_eq!(url, postgres.url_of("one \"of\" two"));
    postgres.create_database("two");
    assert_eq!(
        postgres.sql("SELECT count(*) FROM pg_database WHERE datname IN ('one \"of\" two', 'two')"),
        "2"
    );
}

#[test]
fn what_was_committed_survives_a_kill_and_what_was_not_does_not() {
    let postgres = Postgres::start();
    postgres.sql("CREATE TABLE kept (n int)");
    postgres.sql("INSERT INTO kept SELECT generate_series(1, 1000)");
    let mut open = postgres.psql("BEGIN; INSERT INTO kept VALUES (0); SELECT pg_sleep(600)");
    let mut open = open.stderr(Stdio::null()).spawn().expect("psql");
    let begun = || postgres.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1";
    assert!(look_until(PATIENCE, begun));
    let port = postgres.port();

    postgres.kill();
    assert!(!open.wait().expect("psql ends").success());
    assert!(postgres.try_sql("SELECT 1").expect_err("it is dead").contains("refused"));
    postgres.kill();

    postgres.start_again();
    assert_eq!(postgres.port(), port);
    assert_eq!(postgres.sql("SELECT count(*), min(n) FROM kept"), "1000|1");
    assert!(postgres.log().contains("automatic recovery in progress"), "{}", postgres.log());
}

#[test]
fn a_restart_in_order_recovers_nothing() {
    let postgres = Postgres::start();
    postgres.sql("CREATE TABLE kept (n int)");
    postgres.restart();
    assert_eq!(postgres.sql("SELECT count(*) FROM kept"), "0");
    assert!(!postgres.log().contains("automatic recovery in progress"), "{}", postgres.log());
    postgres.pause();
    postgres.stop_fast();
    postgres.start_again();
    assert!(!postgres.log().contains("automatic recovery in progress"), "{}", postgres.log());
}

#[test]
fn a_paused_server_answers_nobody_until_it_goes_on() {
    let postgres = Postgres::start();
    let mut session = postgres.psql("SELECT 'begun'");
    let mut session =
        session.args(["-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("psql");
    let (mut asking, answers) =
        (session.stdin.take().expect("piped"), lines(session.stdout.take().expect("piped")));
    assert_eq!(answers.recv().expect("the connection is there"), "begun");

    postgres.pause();
    asking.write_all(b"SELECT 'asked';\n").expect("psql takes it");
    // This takes two seconds, in which the other would have its answer.
    let late = postgres.psql("SELECT 1").env("PGCONNECT_TIMEOUT", "2").output().expect("psql");
    let said = String::from_utf8_lossy(&late.stderr);
    assert!(said.contains("timeout expired"), "{said}");
    assert_eq!(answers.try_recv(), Err(TryRecvError::Empty));

    postgres.resume();
    assert_eq!(answers.recv().expect("the connection is still there"), "asked");
    assert_eq!(postgres.sql("SELECT 1"), "1");
    drop(asking);
    assert!(session.wait().expect("psql ends").success());
}

/// Lines as they come.
fn lines(output: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        // Read to the end even if nobody listens any more: whoever writes is not to fail for that.
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver
}

#[test]
fn a_standby_that_is_promoted_has_what_was_committed_and_waits_for_nobody() {
    let primary = Postgres::start();
    primary.sql("CREATE TABLE kept (n int)");
    let standby = primary.standby();
    primary.sql("INSERT INTO kept VALUES (1)");
    assert_eq!(standby.sql("SELECT pg_is_in_recovery()"), "t");

    primary.kill();
    standby.promote();
    assert_eq!(standby.sql("SELECT count(*) FROM kept"), "1");
    standby.sql("INSERT INTO kept VALUES (2)");

    let third = standby.standby();
    standby.sql("INSERT INTO kept VALUES (3)");
    drop(standby);
    third.promote();
    third.sql("INSERT INTO kept VALUES (4)");
    assert_eq!(third.sql("SELECT count(*) FROM kept"), "4");
}

#[test]
fn a_commit_waits_for_a_standby_that_does_not_answer() {
    let primary = Postgres::start();
    primary.sql("CREATE TABLE kept (n int)");
    let standby = primary.standby();
    standby.pause();
    let mut commit = primary.psql("INSERT INTO kept VALUES (1)").spawn().expect("psql");
    let waits = || primary.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == "1";
    assert!(look_until(PATIENCE, &waits));
    assert!(commit.try_wait().expect("our child").is_none());
    standby.resume();
    assert!(commit.wait().expect("psql ends").success());

    standby.kill();
    let mut commit = primary.psql("INSERT INTO kept VALUES (2)").spawn().expect("psql");
    assert!(look_until(PATIENCE, &waits));
    standby.start_again();
    assert!(commit.wait().expect("psql ends").success());
    standby.promote();
    assert_eq!(standby.sql("SELECT count(*) FROM kept"), "2");
}

#[tokio::test]
async fn a_commit_whose_answer_was_cut_off_is_a_commit() {
    let database = Postgres::shared_database("cut_in_commit");
    database.sql("CREATE TABLE kept (n int)");
    let proxy = FaultProxy::start(database.address).await;
    let cut = proxy.cut_after_request(b"COMMIT");
    let url = proxy.url(&database.url);
    let client = tokio::task::spawn_blocking(move || {
        let statements =
            ["BEGIN", "INSERT INTO kept VALUES (1)", "COMMIT"].map(|statement| ["-c", statement]);
        let mut psql = Command::new("psql");
        psql.args(["-X", "-v", "ON_ERROR_STOP=1", "-d", &url]).args(statements.concat());
        psql.output().expect("psql")
    });
    let output = client.await.expect("psql ends");
    let (said, failed) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("INSERT 0 1") && !said.contains("COMMIT"), "{said}");
    assert_eq!(output.status.code(), Some(2), "psql says that it has lost the connection: {failed}");
    cut.await.expect("the server ends the connection");
    assert_eq!(database.sql("SELECT count(*) FROM kept"), "1");
}

/// What another process of this program is to do.
const ROLE: &str = "POSTRIDER_TESTKIT_ROLE";

/// Not a test by itself: what [`another_process`] runs.
#[test]
fn another_process_says_where_its_database_is_and_waits() {
    let wait = || std::io::stdin().read(&mut [0]).expect("its input ends");
    match std::env::var(ROLE).as_deref() {
        Ok("shares") => {
            let database = Postgres::shared_database("shares");
            println!("url {}", database.url);
            wait();
            assert_eq!(database.sql("SELECT current_database()"), database.name);
        }
        Ok("owns") => {
            let postgres = Postgres::start();
            println!("url {}", postgres.sql("SHOW data_directory"));
            wait();
        }
        Ok("pauses") => {
            let postgres = Postgres::start();
            let folder = postgres.sql("SHOW data_directory");
            postgres.pause();
            println!("url {folder}");
            wait();
        }
        _ => {}
    }
}

/// Starts one, and waits for what it says.
fn another_process(role: &str) -> (Child, String) {
    let program = std::env::current_exe().expect("this program");
    let mut child = Command::new(program)
        .args(["--exact", "another_process_says_where_its_database_is_and_waits", "--nocapture"])
        .env(ROLE, role)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program starts again");
    let lines = lines(child.stdout.take().expect("it is piped"));
    let said = lines.iter().find_map(|line| Some(line.split_once("url ")?.1.to_owned()));
    (child, said.expect("it says where its database is"))
}

#[test]
fn processes_share_one_server_even_if_some_are_killed() {
    let mut children: Vec<(Child, String)> = std::thread::scope(|scope| {
        let starting: Vec<_> = (0..8).map(|_| scope.spawn(|| another_process("shares"))).collect();
        starting.into_iter().map(|starting| starting.join().expect("another process")).collect()
    });
    let server = |url: &str| url.rsplit_once('/').expect("a URL").0.to_owned();
    let (mut last, first) = children.pop().expect("eight were started");
    let mut left = Vec::new();
    for (mut child, url) in children {
        assert_eq!(server(&url), server(&first));
        assert_ne!(url, first);
        child.kill().expect("it is killed");
        child.wait().expect("it ends");
        left.push(format!("'{}'", url.rsplit_once('/').expect("a URL").1));
    }
    let (mut late, url) = another_process("shares");
    assert_eq!(server(&url), server(&first));
    for child in [&mut last, &mut late] {
        drop(child.stdin.take());
        assert!(child.wait().expect("it ends").success());
    }

    let count = format!("SELECT count(*) FROM pg_database WHERE datname IN ({})", left.join(", "));
    let swept = || Postgres::shared_database("sweeps").sql(&count) == "0";
    assert!(look_until(PATIENCE, swept), "what the dead have left stays");
}

#[test]
fn a_server_ends_with_its_process_however_that_ends() {
    for role in ["owns", "pauses"] {
        let (mut owner, data) = another_process(role);
        assert_ne!(postmasters(&data), 0, "{role}");
        owner.kill().expect("it is killed");
        owner.wait().expect("it ends");
        let left = || postmasters(&data) > 0 || std::path::Path::new(&data).exists();
        assert!(look_until(PATIENCE, || !left()), "{role}: the server is left");
    }
}

/// The processes whose command line has this folder.
fn postmasters(data: &str) -> usize {
    let processes = std::fs::read_dir("/proc").expect("this is Linux").flatten();
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines.filter(|line| line.split(|byte| *byte == 0).any(|argument| argument == data.as_bytes())).count()
}
