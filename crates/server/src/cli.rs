//! The command line. Commands are written here; the flags for settings come from the table in `config.rs`.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command, value_parser};

use secrecy::SecretString;

use crate::config::{OnCommandLine, SETTINGS, Sources};

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
            .default_value("http://127.0.0.1:8080")
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
