//! The command line. Commands are written here; the flags for settings come from the table in `config.rs`.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command, value_parser};

use secrecy::SecretString;

use crate::config::{OnCommandLine, SETTINGS, Setting, Sources};
use crate::connect::deliver::Until;
use crate::connect::names;
use crate::connect::sql::{Notify, Table, TenantOf};
use crate::connect::table::Asked;

const DEFAULT_SERVER: &str = "http://127.0.0.1:8080";
const DEFAULT_OUTBOX_SCHEMA: &str = "public";

/// What the command line asks for.
pub(crate) enum Call {
    Serve(Sources),
    Demo(AfterDemo),
    KeyNewOperator(Sources),
    Key(KeyCall),
    ProfileCheck(PathBuf),
    Verify(VerifyCall),
    Doctor(Sources),
    MigrateTo {
        sources: Sources,
        /// `None`: the one in the settings.
        url: Option<SecretString>,
    },
    ConnectPostgres(Box<ConnectCall>),
    Backup {
        sources: Sources,
        file: PathBuf,
    },
    Restored(Sources),
    OpenApi,
}

/// What `demo` does when everything has been shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterDemo {
    StayUp,
    Exit,
}

/// A request to a running server about its keys.
pub(crate) struct KeyCall {
    pub(crate) server: String,
    pub(crate) action: KeyAction,
}

pub(crate) enum KeyAction {
    Create { role: String, tenant: Option<String>, name: String },
    List,
    Revoke { id: String },
}

/// Tables of an application's PostgreSQL, as records of a running server.
pub(crate) struct ConnectCall {
    /// Only how logs are written.
    pub(crate) sources: Sources,
    pub(crate) source_url: Option<SecretString>,
    pub(crate) key: Option<SecretString>,
    pub(crate) outbox_schema: String,
    pub(crate) work: ConnectWork,
}

pub(crate) enum ConnectWork {
    Install { asked: Asked, on_sql: OnSql },
    Remove { table: Table, on_sql: OnSql },
    Deliver { server: String, profile: Option<String>, until: Until },
}

/// What is done with SQL that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnSql {
    Print,
    Run,
}

/// A captured request, and how to check it.
pub(crate) struct VerifyCall {
    pub(crate) profile: String,
    pub(crate) secrets: Vec<String>,
    /// One file with head and body; `None` with no `body` either: standard input.
    pub(crate) request: Option<PathBuf>,
    pub(crate) headers: Vec<String>,
    pub(crate) body: Option<PathBuf>,
    pub(crate) freshness: Freshness,
}

/// Whether a signed time must be close to now. A captured request is old by the time it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    Ignored,
    Checked,
}

/// Reads the process's arguments. Leaves the process for `--help`, `--version` and mistakes, as clap does.
pub(crate) fn parse() -> Call {
    read(&command().get_matches())
}

pub(crate) fn command() -> Command {
    Command::new("postrider")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Delivers signed webhooks. One binary, one data folder.")
        .after_help("First steps: `postrider demo` shows it all in a minute, `postrider serve` starts a server.")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            with_settings(Command::new("serve"))
                .about("Runs a server. Needs no configuration: creates its data folder and an operator key.")
                .after_help(after_settings()),
        )
        .subcommand(
            Command::new("demo")
                .about("Shows every profile at work on a temporary store, with a receiver of its own.")
                .arg(
                    Arg::new("once")
                        .long("once")
                        .action(ArgAction::SetTrue)
                        .help("Exit when all has been shown: 0 if all of it held, 1 otherwise."),
                ),
        )
        .subcommand(key_command())
        .subcommand(
            Command::new("profile")
                .about("Works with wire profiles.")
                .subcommand_required(true)
                .arg_required_else_help(true)
                .subcommand(
                    Command::new("check")
                        .about("Reads a profile as the server would, names every mistake with its line, shows an example.")
                        .arg(
                            Arg::new("file")
                                .value_name("FILE")
                                .required(true)
                                .value_parser(value_parser!(PathBuf))
                                .help("A profile, like profiles/standard.toml. The format: docs/profiles.md."),
                        ),
                ),
        )
        .subcommand(verify_command())
        .subcommand(
            with_settings(Command::new("doctor"))
                .about("Looks at this machine and the data folder, and says what to change. Changes nothing.")
                .after_help(after_settings()),
        )
        .subcommand(migrate_command())
        .subcommand(
            Command::new("connect")
                .about("Brings an application's own tables: their changes become changes of records.")
                .subcommand_required(true)
                .arg_required_else_help(true)
                .subcommand(connect_postgres_command()),
        )
        .subcommand(
            with_settings(Command::new("backup"))
                .about("Writes a copy of the data folder's database into one file, also while the server runs.")
                .after_help(
                    "The file does not hold the master key: keep a copy of that apart. docs/backup.md has the whole story, also\n\
                     for PostgreSQL, which is backed up with its own tools.",
                )
                .arg(
                    Arg::new("file")
                        .value_name("FILE")
                        .required(true)
                        .value_parser(value_parser!(PathBuf))
                        .help("The file to write. One that is there is not written over."),
                ),
        )
        .subcommand(
            with_settings(Command::new("restored"))
                .about("Ends every open delivery of a store that was restored from a backup, so that nothing is sent twice.")
                .after_help(
                    "Run it once, before the first server starts on what was restored. What was open in the backup may have been\n\
                     delivered after it: it ends as failed, with the reason `restored`, and a recovery sends it again where it is\n\
                     wanted. Without this command a server sends it. docs/backup.md says when to do which.",
                ),
        )
        .subcommand(Command::new("openapi").about("Prints the OpenAPI document of the HTTP API."))
}

fn key_command() -> Command {
    Command::new("key")
        .about("Creates, lists and revokes API keys.")
        .after_help(
            "create, list and revoke ask a running server, with the operator key in POSTRIDER_OPERATOR_KEY.\n\
             new-operator works on the data folder of a stopped server, for when that key is lost.",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            with_server(Command::new("create"))
                .about("Creates a key and prints it, once.")
                .arg(
                    Arg::new("role")
                        .long("role")
                        .value_name("ROLE")
                        .required(true)
                        .value_parser(["operator", "publisher", "admin", "viewer"])
                        .help("What the key may do. admin and viewer belong to a tenant; a publisher may."),
                )
                .arg(
                    Arg::new("tenant")
                        .long("tenant")
                        .value_name("ID")
                        .help("The tenant that the key belongs to."),
                )
                .arg(
                    Arg::new("name")
                        .long("name")
                        .value_name("NAME")
                        .required(true)
                        .help("What it is for, to tell keys apart."),
                ),
        )
        .subcommand(with_server(Command::new("list")).about("Lists keys: id, role, tenant, name, last use."))
        .subcommand(
            with_server(Command::new("revoke"))
                .about("Revokes a key at once.")
                .arg(Arg::new("id").value_name("ID").required(true).help("The key's id, from `key list`.")),
        )
        .subcommand(
            with_settings(Command::new("new-operator"))
                .about("Adds an operator key to the data folder of a stopped server, and prints it.")
                .after_help(after_settings()),
        )
}

fn migrate_command() -> Command {
    with_settings(Command::new("migrate-to"))
        .about("Copies the data folder of a stopped server into an empty PostgreSQL, and checks every row.")
        .after_help(
            "The folder is not changed. A copy that is cut off goes on where it was when the command is given again; until it\n\
             is done, no server starts on the database. A password in the URL is better given in POSTRIDER_DATABASE_URL, since\n\
             a command line is read by every user of the machine.",
        )
        .arg(
            Arg::new("url")
                .value_name("URL")
                .help("postgres://user:password@host:5432/database. Default: POSTRIDER_DATABASE_URL."),
        )
}

fn connect_postgres_command() -> Command {
    let command = Command::new("postgres")
        .about("Reads changes of tables from a PostgreSQL, and tells a running server of them, at least once.")
        .after_help(
            "First --print-sql shows the triggers for a table, and --apply makes them. Without these it is the connector, for\n\
             all tables that have triggers, until it is stopped. The key to the server, a publisher's, comes from\n\
             POSTRIDER_API_KEY, and a source's URL with a password better from POSTRIDER_SOURCE_URL, since a command line is\n\
             read by every user of the machine. docs/connect-postgres.md has the whole story.",
        )
        .arg(
            valued("source_url", "URL", "postgres://user:password@host:5432/database")
                .env("POSTRIDER_SOURCE_URL")
                .hide_env_values(true),
        )
        .arg(
            valued("outbox_schema", "SCHEMA", "The schema that the outbox is in.")
                .env("POSTRIDER_OUTBOX_SCHEMA")
                .default_value(DEFAULT_OUTBOX_SCHEMA),
        )
        .next_help_heading("The connector")
        .arg(
            valued("server", "URL", "Where the server is.")
                .env("POSTRIDER_URL")
                .default_value(DEFAULT_SERVER),
        )
        .arg(valued("profile", "NAME", "For records that name their tenant, where several profiles have the kind."))
        .arg(switch("once", "End when the outbox is empty.").conflicts_with("sql"));
    with_table(command).next_help_heading("Logs").args(log_settings().map(|setting| {
        let help = format!("{} [default: {}] [env: {}]", setting.about, setting.default, setting.variable());
        Arg::new(setting.name).long(setting.flag()).value_name(setting.value).help(help)
    }))
}

/// What says that the command is about a table's triggers, and how they are to be.
fn with_table(command: Command) -> Command {
    command
        .next_help_heading("The triggers of a table")
        .arg(switch("print_sql", "Print the outbox and the triggers of --table, to be reviewed."))
        .arg(
            switch("apply", "Make them, in one transaction. With --remove: remove them.")
                .conflicts_with("print_sql"),
        )
        .arg(switch("remove", "Print how the triggers are removed, and the outbox with the last of them."))
        .group(ArgGroup::new("sql").args(["print_sql", "apply", "remove"]).multiple(true).requires("table"))
        .arg(
            valued(
                "table",
                "[SCHEMA.]TABLE",
                "As it is in the database, case included; with a dot in it: quoted.",
            )
            .value_parser(table_name)
            .requires("sql"),
        )
        .args(
            [
                valued("kind", "KIND", "What kind of records the rows are."),
                valued(
                    "id_column",
                    "COLUMN",
                    "The records' id, unique and not null. [default: the primary key]",
                ),
                valued("columns", "COLUMN,…", "What is told. [default: all columns, also later ones]")
                    .value_parser(column_names),
                valued("tenant", "ID", "The tenant whose records the rows are."),
                valued("tenant_column", "COLUMN", "Each row's tenant. A row where it is null is not told.")
                    .conflicts_with("tenant"),
                switch("no_notify", "Triggers that do not wake the connector: it looks once a second."),
            ]
            .map(|arg| arg.requires("table")),
        )
}

fn valued(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name.replace('_', "-")).value_name(value).help(help)
}

fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name.replace('_', "-")).action(ArgAction::SetTrue).help(help)
}

/// The settings of a server that hold for a connector as well.
fn log_settings() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(|setting| setting.name.starts_with("log_"))
}

fn table_name(written: &str) -> Result<Table, String> {
    let mut names = names::split(written, '.')?;
    match (names.pop(), names.pop(), names.is_empty()) {
        (Some(name), None, true) => Ok(Table { schema: "public".to_owned(), name }),
        (Some(name), Some(schema), true) => Ok(Table { schema, name }),
        _ => Err("write it as TABLE or SCHEMA.TABLE; a name with a dot in it in double quotes".to_owned()),
    }
}

fn column_names(written: &str) -> Result<Vec<String>, String> {
    names::split(written, ',')
}

fn verify_command() -> Command {
    Command::new("verify")
        .about("Says whether the signature of a captured request holds and, if not, which part is wrong.")
        .after_help(
            "The request is read from standard input, head and body as on the wire, unless --request or --body says\n\
             otherwise. Exit status: 0 the signature holds, 1 it does not, 2 the request could not be read.\n\n\
             Example: postrider verify --profile smartmaintenance --secret SECRET \\\n\
             \x20        --header 'X-SMTM-Signature: sha256=…' --body captured.json",
        )
        .arg(
            Arg::new("profile")
                .long("profile")
                .value_name("NAME|FILE")
                .required(true)
                .help("A built-in profile's name, or a profile's file."),
        )
        .arg(
            Arg::new("secret")
                .long("secret")
                .value_name("SECRET")
                .required(true)
                .action(ArgAction::Append)
                .help("The webhook's secret. Repeat it for each one that may have signed."),
        )
        .arg(
            Arg::new("request")
                .long("request")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("A file with the whole request: request line, headers, an empty line, the body."),
        )
        .arg(
            Arg::new("header")
                .long("header")
                .short('H')
                .value_name("NAME: VALUE")
                .action(ArgAction::Append)
                .help("A header of the request; with --body."),
        )
        .arg(
            Arg::new("body")
                .long("body")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .requires("header")
                .help("A file with exactly the bytes of the body."),
        )
        .arg(
            Arg::new("fresh")
                .long("fresh")
                .action(ArgAction::SetTrue)
                .help("Also require that a signed time is within five minutes of now, as receivers do."),
        )
        .group(ArgGroup::new("source").args(["request", "body"]))
}

fn with_settings(command: Command) -> Command {
    let command = command.arg(
        Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("A TOML file with settings, one a line. [env: POSTRIDER_CONFIG]"),
    );
    SETTINGS.iter().fold(command, |command, setting| {
        let arg = Arg::new(setting.name).long(setting.flag()).value_name(setting.value).help(format!(
            "{} [default: {}] [env: {}]",
            setting.about,
            setting.default,
            setting.variable()
        ));
        match setting.on_command_line {
            OnCommandLine::Flag => command.arg(arg),
            OnCommandLine::Switch => command.arg(arg.num_args(0..=1).default_missing_value("true")),
            OnCommandLine::Never => command,
        }
    })
}

/// The settings that `--help` would not show, since they have no flag.
fn after_settings() -> String {
    let mut text = String::from(
        "In the file each setting has its flag's name with underscores: public_url = \"https://hooks.example.com\".\n\
         A flag wins over the environment, which wins over the file.\n\n\
         Only in the file or the environment, because a command line can be read by others:\n",
    );
    for setting in SETTINGS.iter().filter(|setting| setting.on_command_line == OnCommandLine::Never) {
        text.push_str(&format!(
            "  {} ({}) [default: {}]\n      {}\n",
            setting.variable(),
            setting.value,
            setting.default,
            setting.about
        ));
    }
    text
}

fn with_server(command: Command) -> Command {
    command.arg(
        Arg::new("server")
            .long("server")
            .value_name("URL")
            .default_value(DEFAULT_SERVER)
            .help("Where the server is. The key to it comes from POSTRIDER_OPERATOR_KEY."),
    )
}

fn read(matches: &ArgMatches) -> Call {
    match matches.subcommand() {
        Some(("serve", given)) => Call::Serve(sources(given)),
        Some(("doctor", given)) => Call::Doctor(sources(given)),
        Some(("migrate-to", given)) => Call::MigrateTo {
            sources: sources(given),
            url: given.get_one::<String>("url").map(|url| SecretString::from(url.as_str())),
        },
        Some(("connect", given)) => {
            let (_, given) = given.subcommand().expect("because clap requires a subcommand");
            Call::ConnectPostgres(Box::new(read_connect(given)))
        }
        Some(("backup", given)) => Call::Backup {
            sources: sources(given),
            file: given.get_one::<PathBuf>("file").expect("because clap requires it").clone(),
        },
        Some(("restored", given)) => Call::Restored(sources(given)),
        Some(("openapi", _)) => Call::OpenApi,
        Some(("demo", given)) => {
            Call::Demo(if given.get_flag("once") { AfterDemo::Exit } else { AfterDemo::StayUp })
        }
        Some(("key", given)) => read_key(given),
        Some(("profile", given)) => {
            let (_, given) = given.subcommand().expect("because clap requires a subcommand");
            Call::ProfileCheck(given.get_one::<PathBuf>("file").expect("because clap requires it").clone())
        }
        Some(("verify", given)) => Call::Verify(VerifyCall {
            profile: text(given, "profile"),
            secrets: texts(given, "secret"),
            request: given.get_one::<PathBuf>("request").cloned(),
            headers: texts(given, "header"),
            body: given.get_one::<PathBuf>("body").cloned(),
            freshness: if given.get_flag("fresh") { Freshness::Checked } else { Freshness::Ignored },
        }),
        _ => unreachable!("because clap requires one of the subcommands above"),
    }
}

fn read_key(matches: &ArgMatches) -> Call {
    let (action, given) = matches.subcommand().expect("because clap requires a subcommand");
    let action = match action {
        "create" => KeyAction::Create {
            role: text(given, "role"),
            tenant: given.get_one::<String>("tenant").cloned(),
            name: text(given, "name"),
        },
        "list" => KeyAction::List,
        "revoke" => KeyAction::Revoke { id: text(given, "id") },
        "new-operator" => return Call::KeyNewOperator(sources(given)),
        other => unreachable!("because clap knows no subcommand {other}"),
    };
    Call::Key(KeyCall { server: text(given, "server"), action })
}

fn read_connect(given: &ArgMatches) -> ConnectCall {
    let optional = |name: &str| given.get_one::<String>(name).filter(|text| !text.is_empty()).cloned();
    // Container files often pass on variables that nobody set.
    let outbox_schema = optional("outbox_schema").unwrap_or_else(|| DEFAULT_OUTBOX_SCHEMA.to_owned());
    let on_sql = if given.get_flag("apply") { OnSql::Run } else { OnSql::Print };
    let work = match given.get_one::<Table>("table").cloned() {
        None => ConnectWork::Deliver {
            server: optional("server").unwrap_or_else(|| DEFAULT_SERVER.to_owned()),
            profile: optional("profile"),
            until: if given.get_flag("once") { Until::Empty } else { Until::Stopped },
        },
        Some(table) if given.get_flag("remove") => ConnectWork::Remove { table, on_sql },
        Some(table) => {
            let Some(kind) = optional("kind") else {
                let what = "--kind says what kind of records the rows are, and is missing";
                command().error(ErrorKind::MissingRequiredArgument, what).exit();
            };
            let tenant = match (optional("tenant"), optional("tenant_column")) {
                (Some(tenant), _) => TenantOf::One(tenant),
                (None, Some(column)) => TenantOf::Column(column),
                (None, None) => TenantOf::Nobody,
            };
            let asked = Asked {
                table,
                outbox_schema: outbox_schema.clone(),
                kind,
                id_column: optional("id_column"),
                columns: given.get_one::<Vec<String>>("columns").cloned(),
                tenant,
                notify: if given.get_flag("no_notify") { Notify::No } else { Notify::Yes },
            };
            ConnectWork::Install { asked, on_sql }
        }
    };
    ConnectCall {
        sources: log_sources(given),
        source_url: optional("source_url").map(SecretString::from),
        key: std::env::var("POSTRIDER_API_KEY").ok().filter(|key| !key.is_empty()).map(SecretString::from),
        outbox_schema,
        work,
    }
}

/// How logs are written: what else the environment says to a server is not for a connector.
fn log_sources(given: &ArgMatches) -> Sources {
    let flags = log_settings()
        .filter_map(|setting| Some((setting.name, given.get_one::<String>(setting.name)?.clone())))
        .collect();
    let mut sources = Sources::of_process(None, flags);
    sources.environment.retain(|(name, _)| log_settings().any(|setting| setting.variable() == *name));
    sources
}

fn sources(given: &ArgMatches) -> Sources {
    let flags = SETTINGS
        .iter()
        .filter(|setting| setting.on_command_line != OnCommandLine::Never)
        .filter_map(|setting| Some((setting.name, given.get_one::<String>(setting.name)?.clone())))
        .collect();
    Sources::of_process(given.get_one::<PathBuf>("config").cloned(), flags)
}

fn text(given: &ArgMatches, name: &str) -> String {
    given.get_one::<String>(name).expect("because clap requires it or has a default").clone()
}

fn texts(given: &ArgMatches, name: &str) -> Vec<String> {
    given.get_many::<String>(name).unwrap_or_default().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn every_setting_is_in_the_help_of_serve() {
        let mut root = command();
        let serve = root.find_subcommand_mut("serve").expect("serve is a command");
        let help = serve.render_long_help().to_string();
        for setting in SETTINGS {
            assert!(help.contains(&setting.variable()), "{} is missing from\n{help}", setting.variable());
        }
    }

    #[test]
    fn a_switch_may_stand_alone_and_a_secret_has_no_flag() {
        let given =
            command().try_get_matches_from(["postrider", "serve", "--require-https"]).expect("accepted");
        let Call::Serve(sources) = read(&given) else { panic!("not serve") };
        assert_eq!(sources.flags, [("require_https", "true".to_owned())]);
        assert!(command().try_get_matches_from(["postrider", "serve", "--operator-key", "x"]).is_err());
    }
}
