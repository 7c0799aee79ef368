//! The settings of a server. One table says all about each: the file, the environment, the flags, `--help` and
//! `docs/configuration.md` follow from it, and a test keeps the page in step.
//!
//! A later source wins: defaults, then the file, then the environment, then flags. A name that is not in the table is an
//! error in every source, since a setting that is silently not applied is found out in production.

use postrider_api::TrustedProxies;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

use crate::complaint::Complaint;

/// What the environment variables of this program begin with.
pub(crate) const PREFIX: &str = "POSTRIDER_";
/// The one variable that is no setting: it names the file.
pub(crate) const CONFIG_VARIABLE: &str = "POSTRIDER_CONFIG";

/// Whether a setting may be given on the command line, which every user of the machine can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnCommandLine {
    Flag,
    Switch,
    Never,
}

/// One row of the table.
pub(crate) struct Setting {
    /// The name in the file. In the environment: upper case after `POSTRIDER_`. As a flag: with dashes.
    pub(crate) name: &'static str,
    pub(crate) value: &'static str,
    pub(crate) default: &'static str,
    pub(crate) about: &'static str,
    pub(crate) on_command_line: OnCommandLine,
    set: fn(&mut Config, &str) -> Result<(), String>,
}

impl Setting {
    pub(crate) fn variable(&self) -> String {
        format!("{PREFIX}{}", self.name.to_uppercase())
    }

    pub(crate) fn flag(&self) -> String {
        self.name.replace('_', "-")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// How much SQLite syncs. Below `Full` a power cut can take back what was answered with a 2xx.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Synchronous {
    Full,
    Normal,
    Off,
}

/// All settings of a server, each with its default until a source says otherwise.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) listen: SocketAddr,
    pub(crate) data: PathBuf,
    /// Holds a password.
    pub(crate) database_url: Option<SecretString>,
    pub(crate) node_name: Option<String>,
    pub(crate) public_url: Option<String>,
    pub(crate) trusted_proxies: TrustedProxies,
    pub(crate) operator_key: Option<SecretString>,
    /// 64 hex digits, checked.
    pub(crate) master_key: Option<SecretString>,
    pub(crate) egress_allow: Vec<String>,
    pub(crate) require_https: bool,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) synchronous: Synchronous,
    pub(crate) allow_unsafe_sync: bool,
    pub(crate) log_level: String,
    pub(crate) log_format: LogFormat,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            data: PathBuf::from("postrider-data"),
            database_url: None,
            node_name: None,
            public_url: None,
            trusted_proxies: TrustedProxies::default(),
            operator_key: None,
            master_key: None,
            egress_allow: Vec::new(),
            require_https: false,
            ca_file: None,
            synchronous: Synchronous::Full,
            allow_unsafe_sync: false,
            log_level: "info".to_owned(),
            log_format: LogFormat::Text,
        }
    }
}

pub(crate) const SETTINGS: &[Setting] = &[
    Setting {
        name: "listen",
        value: "ADDRESS:PORT",
        default: "127.0.0.1:8080",
        about: "Where the HTTP API listens. Port 0 takes a free one.",
        on_command_line: OnCommandLine::Flag,
        set: |config, text| {
            config.listen = text.parse().map_err(|_| {
                format!("\"{text}\" is not an address with a port, like 127.0.0.1:8080 or [::1]:8080")
            })?;
            Ok(())
        },
    },
    Setting {
        name: "data",
        value: "FOLDER",
        default: "postrider-data",
        about: "The data folder, on a local file system. Created, readable by its owner only, when it is missing.",
        on_command_line: OnCommandLine::Flag,
        set: |config, text| {
            config.data = PathBuf::from(text);
            Ok(())
        },
    },
    Setting {
        name: "database_url",
        value: "URL",
        default: "none: SQLite in the data folder",
        about: "A PostgreSQL 15 or newer in place of the data folder, shared by any number of nodes: \
                postgres://user:password@host:5432/database. Several hosts, with commas, for failover. Needs master_key. \
                A command line is read by every user of the machine: a password belongs into the environment or the file.",
        on_command_line: OnCommandLine::Flag,
        set: |config, text| {
            if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
                return Err("it must begin with postgres://".to_owned());
            }
            config.database_url = Some(SecretString::from(text));
            Ok(())
        },
    },
    Setting {
        name: "node_name",
        value: "NAME",
        default: "the address it listens on",
        about: "How this node is called among those on the same PostgreSQL: for people.",
        on_command_line: OnCommandLine::Flag,
        set: |config, text| {
            config.node_name = Some(text.to_owned());
            Ok(())
        },
    },
    Setting {
        name: "public_url",
        value: "URL",
        default: "http://ADDRESS:PORT of listen",
        about: "How the server is reached from outside: the base of every URL that it hands out.",
        on_command_line: OnCommandLine::Flag,
        set: |config, text| {
            config.public_url = Some(public_url(text)?);
            Ok(())
        },
    },
    Setting {
        name: "trusted_proxies",
        value: "ADDRESSES",
        default: "none",
        about: "Addresses and networks, with commas between them, whose X-Forwarded-For says where a request to a trigger came from. Only for the proxies in front of this server.",
        on_command_line: OnCommandLine::Flag,
        set: |config, text| {
            let texts: Vec<String> = text.split(',').map(|text| text.trim().to_owned()).collect();
            config.trusted_proxies = TrustedProxies::parse(&texts)
                .map_err(|odd| format!("`{odd}` is neither an address nor a network such as 10.0.0.0/8"))?;
            Ok(())
        },
    },
    Setting {
        name: "operator_key",
        value: "KEY",
        default: "made at first start and printed once",
        about: "The operator's API key, 32 characters or more. Kept as a hash.",
        on_command_line: OnCommandLine::Never,
        set: |config, text| {
            let chars = text.chars().count();
            if chars < postrider_domain::limits::KEY_CHARS_MIN {
                return Err(format!(
                    "it has {chars} characters; an API key has at least {}",
                    postrider_domain::limits::KEY_CHARS_MIN
                ));
            }
            config.operator_key = Some(SecretString::from(text));
            Ok(())
        },
    },
    Setting {
        name: "master_key",
        value: "64 HEX DIGITS",
        default: "made at first start, in the data folder, mode 0600",
        about: "Seals webhook secrets at rest. Keep a copy: without it they cannot be read again.",
        on_command_line: OnCommandLine::Never,
        set: |config, text| {
            if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(format!(
                    "it must be 64 hex digits (32 bytes), and has {} characters",
                    text.chars().count()
                ));
            }
            config.master_key = Some(SecretString::from(text));
            Ok(())
        },
    },
    Setting {
        name: "egress_allow",
        value: "LIST",
        default: "nothing",
        about: "Comma-separated address ranges and host names that webhooks may reach although they are not public, \
                like 10.1.0.0/16,hooks.internal.",
        on_command_line: OnCommandLine::Flag,
        set: |config, text| {
            config.egress_allow =
                text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect();
            Ok(())
        },
    },
    Setting {
        name: "require_https",
        value: "true|false",
        default: "false",
        about: "Refuse webhooks with an http:// URL, except into what egress_allow lists.",
        on_command_line: OnCommandLine::Switch,
        set: |config, text| {
            config.require_https = switch(text)?;
            Ok(())
        },
    },
    Setting {
        name: "ca_file",
        value: "FILE",
        default: "none",
        about: "Certificates (PEM) of authorities that receivers may have theirs from, besides Mozilla's and the system's.",
        on_command_line: OnCommandLine::Flag,
        set: |config, text| {
            config.ca_file = Some(PathBuf::from(text));
            Ok(())
        },
    },
    Setting {
        name: "synchronous",
        value: "full|normal|off",
        default: "full",
        about: "How much SQLite syncs. Below full, a power cut can lose events that were answered with a 2xx; \
                needs allow_unsafe_sync.",
        on_command_line: OnCommandLine::Flag,
        set: |config, text| {
            config.synchronous = match text {
                "full" => Synchronous::Full,
                "normal" => Synchronous::Normal,
                "off" => Synchronous::Off,
                _ => return Err(format!("\"{text}\" is none of full, normal, off")),
            };
            Ok(())
        },
    },
    Setting {
        name: "allow_unsafe_sync",
        value: "true|false",
        default: "false",
        about: "Accept a synchronous below full. For throw-away data only.",
        on_command_line: OnCommandLine::Switch,
        set: |config, text| {
            config.allow_unsafe_sync = switch(text)?;
            Ok(())
        },
    },
    Setting {
        name: "log_level",
        value: "LEVEL",
        default: "info",
        about: "error, warn, info, debug or trace, or a list like info,postrider_engine=debug.",
        on_command_line: OnCommandLine::Flag,
        set: |config, text| {
            config.log_level = text.to_owned();
            Ok(())
        },
    },
    Setting {
        name: "log_format",
        value: "text|json",
        default: "text",
        about: "How log lines are written, to standard error.",
        on_command_line: OnCommandLine::Flag,
        set: |config, text| {
            config.log_format = match text {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                _ => return Err(format!("\"{text}\" is none of text, json")),
            };
            Ok(())
        },
    },
];

fn switch(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(format!("\"{text}\" is neither true nor false")),
    }
}

/// The base of URLs, without a slash at its end.
fn public_url(text: &str) -> Result<String, String> {
    let uri: http::Uri = text.parse().map_err(|_| format!("\"{text}\" is not a URL"))?;
    let known_scheme = matches!(uri.scheme_str(), Some("http" | "https"));
    if !known_scheme || uri.host().is_none_or(str::is_empty) {
        return Err(format!("\"{text}\" must begin with http:// or https:// and name a host"));
    }
    if uri.query().is_some() || text.contains('#') {
        return Err(format!("\"{text}\" must end with its path: no ? and no #"));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Where settings come from, besides their defaults.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    pub(crate) file: Option<PathBuf>,
    /// All variables of the environment; those without the prefix are ignored.
    pub(crate) environment: Vec<(String, String)>,
    /// By the name of the setting.
    pub(crate) flags: Vec<(&'static str, String)>,
}

impl Sources {
    /// The process's environment beside what the command line said.
    pub(crate) fn of_process(file: Option<PathBuf>, flags: Vec<(&'static str, String)>) -> Self {
        // A variable that is not UTF-8 cannot hold any of our values; one of ours is still reported, as unreadable.
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| {
                Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
            })
            .collect();
        Self { file, environment, flags }
    }
}

impl Config {
    /// Reads all sources. Each error names the source and the setting, and never shows a secret.
    pub(crate) fn load(sources: &Sources) -> Result<Self, Complaint> {
        let mut config = Self::default();
        let from_environment =
            sources.environment.iter().find(|(name, _)| name == CONFIG_VARIABLE).map(|(_, path)| path);
        let file = match (&sources.file, from_environment) {
            (Some(path), _) => Some(path.clone()),
            (None, Some(path)) if !path.is_empty() => Some(PathBuf::from(path)),
            (None, _) => None,
        };
        if let Some(path) = file {
            config.apply_file(&path)?;
        }
        config.apply_environment(&sources.environment)?;
        for (name, value) in &sources.flags {
            let setting = setting(name).expect("because flags are made from the table");
            config.apply(setting, value, &format!("the flag --{}", setting.flag()))?;
        }
        config.check()?;
        Ok(config)
    }

    fn apply_file(&mut self, path: &Path) -> Result<(), Complaint> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).map_err(|error| {
            Complaint::new(
                format!("the configuration file {shown} cannot be read"),
                error.to_string(),
                "check the path given with --config or POSTRIDER_CONFIG, and the file's permissions",
            )
        })?;
        let table: toml::Table = toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            Complaint::new(
                format!("the configuration file {shown} is not TOML, line {line}"),
                error.message().to_owned(),
                "write one setting a line, like: listen = \"127.0.0.1:8080\"",
            )
        })?;
        for (name, value) in &table {
            let source = format!("{name} in {shown}");
            let Some(setting) = setting(name) else {
                return Err(unknown(&source, name, SETTINGS.iter().map(|setting| setting.name.to_owned())));
            };
            let Some(text) = value_as_text(value) else {
                return Err(Complaint::new(
                    format!("{source} has the wrong shape"),
                    format!("it is a {}", value.type_str()),
                    format!("write it as text: {name} = \"{}\"", setting.value),
                ));
            };
            self.apply(setting, &text, &source)?;
        }
        Ok(())
    }

    fn apply_environment(&mut self, environment: &[(String, String)]) -> Result<(), Complaint> {
        for (variable, value) in environment {
            if !variable.starts_with(PREFIX) || variable == CONFIG_VARIABLE {
                continue;
            }
            let Some(setting) = SETTINGS.iter().find(|setting| setting.variable() == *variable) else {
                let known = SETTINGS.iter().map(Setting::variable).chain([CONFIG_VARIABLE.to_owned()]);
                return Err(unknown(&format!("the environment variable {variable}"), variable, known));
            };
            // Container files often pass on variables that nobody set.
            if value.is_empty() {
                continue;
            }
            self.apply(setting, value, &format!("the environment variable {variable}"))?;
        }
        Ok(())
    }

    fn apply(&mut self, setting: &Setting, value: &str, source: &str) -> Result<(), Complaint> {
        (setting.set)(self, value).map_err(|why| {
            Complaint::new(
                format!("{source} cannot be used"),
                why,
                format!("{} Expected: {}", setting.about, setting.value),
            )
        })
    }

    fn check(&self) -> Result<(), Complaint> {
        if self.synchronous != Synchronous::Full && !self.allow_unsafe_sync {
            return Err(Complaint::new(
                "synchronous is set below full",
                "after a power cut, events that were answered with a 2xx could be missing",
                "remove the setting, or say allow_unsafe_sync = true when the data may be lost",
            ));
        }
        Ok(())
    }

    /// The master key's bytes, when it is given.
    pub(crate) fn master_key_bytes(&self) -> Option<[u8; 32]> {
        let digits = self.master_key.as_ref()?.expose_secret();
        let bytes = hex::decode(digits).expect("because the setting was checked to be hex digits");
        Some(bytes.try_into().expect("because the setting was checked to have 64 digits"))
    }
}

fn setting(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

fn unknown(what: &str, name: &str, known: impl Iterator<Item = String>) -> Complaint {
    let known: Vec<String> = known.collect();
    let remedy = match nearest(name, &known) {
        Some(near) => format!("did you mean {near}? `postrider serve --help` lists all settings"),
        None => format!("use one of {}", known.join(", ")),
    };
    Complaint::new(format!("{what} is unknown"), "there is no such setting", remedy)
}

fn value_as_text(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Boolean(on) => Some(on.to_string()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Array(entries) => {
            let texts: Option<Vec<&str>> = entries.iter().map(toml::Value::as_str).collect();
            Some(texts?.join(","))
        }
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}

/// The name closest to what was written, when it is close enough to be meant: a third of its letters may differ.
fn nearest<'a>(written: &str, known: &'a [String]) -> Option<&'a str> {
    let written = written.to_lowercase();
    known
        .iter()
        .map(|name| (edits(&written, &name.to_lowercase()), name))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, name)| *distance * 3 <= name.len())
        .map(|(_, name)| name.as_str())
}

/// How many letters to insert, remove or replace to get from one to the other.
fn edits(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, wanted) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *wanted);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::io::Write as _;

    use super::*;

    /// The table of `docs/configuration.md`.
    fn as_markdown() -> String {
        let mut page =
            String::from("| setting | environment | flag | value | default | |\n|---|---|---|---|---|---|\n");
        for setting in SETTINGS {
            let flag = match setting.on_command_line {
                OnCommandLine::Flag | OnCommandLine::Switch => format!("`--{}`", setting.flag()),
                OnCommandLine::Never => "none".to_owned(),
            };
            writeln!(
                page,
                "| `{}` | `{}` | {flag} | `{}` | {} | {} |",
                setting.name,
                setting.variable(),
                setting.value.replace('|', "\\|"),
                setting.default,
                setting.about.replace('|', "\\|"),
            )
            .expect("because writing to a string cannot fail");
        }
        page
    }

    fn load(
        file: Option<&str>,
        environment: &[(&str, &str)],
        flags: &[(&'static str, &str)],
    ) -> Result<Config, Complaint> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("postrider.toml");
        if let Some(text) = file {
            std::fs::File::create(&path)
                .and_then(|mut file| file.write_all(text.as_bytes()))
                .expect("written");
        }
        Config::load(&Sources {
            file: file.map(|_| path),
            environment: environment.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            flags: flags.iter().map(|(n, v)| (*n, (*v).to_owned())).collect(),
        })
    }

    #[test]
    fn a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default() {
        let file = "listen = \"127.0.0.1:1\"\ndata = \"file\"\nlog_level = \"warn\"\n";
        let config = load(
            Some(file),
            &[("POSTRIDER_LISTEN", "127.0.0.1:2"), ("POSTRIDER_DATA", "environment")],
            &[("listen", "127.0.0.1:3")],
        )
        .expect("all settings hold");
        assert_eq!(config.listen.port(), 3);
        assert_eq!(config.data, PathBuf::from("environment"));
        assert_eq!(config.log_level, "warn");
        assert!(!config.require_https);
    }

    #[test]
    fn a_list_and_a_switch_can_be_written_as_such_in_the_file() {
        let config =
            load(Some("egress_allow = [\"10.0.0.0/8\", \"a.internal\"]\nrequire_https = true"), &[], &[])
                .expect("all settings hold");
        assert_eq!(config.egress_allow, ["10.0.0.0/8", "a.internal"]);
        assert!(config.require_https);
    }

    #[test]
    fn an_unknown_name_is_an_error_with_the_nearest_one_in_file_and_environment() {
        let complaint = load(Some("lisen = \"127.0.0.1:1\""), &[], &[]).expect_err("unknown");
        assert!(complaint.remedy.contains("did you mean listen?"), "{complaint}");
        let complaint = load(None, &[("POSTRIDER_EGRES_ALLOW", "x")], &[]).expect_err("unknown");
        assert!(complaint.remedy.contains("did you mean POSTRIDER_EGRESS_ALLOW?"), "{complaint}");
        let complaint = load(Some("[server]\nlisten = \"x\""), &[], &[]).expect_err("unknown");
        assert!(complaint.what.contains("server"), "{complaint}");
    }

    #[test]
    fn variables_of_other_programs_and_empty_ones_are_ignored() {
        let config = load(None, &[("POSTGRES_LISTEN", "x"), ("POSTRIDER_LISTEN", "")], &[]).expect("ignored");
        assert_eq!(config.listen, Config::default().listen);
    }

    #[test]
    fn each_bad_value_is_refused_with_the_place_it_came_from() {
        for (name, value) in [
            ("listen", "8080"),
            ("public_url", "example.com"),
            ("public_url", "https://example.com/?a"),
            ("public_url", "ftp://example.com"),
            ("operator_key", "short"),
            ("master_key", "abc"),
            ("master_key", &"g".repeat(64)),
            ("require_https", "perhaps"),
            ("synchronous", "none"),
            ("log_format", "xml"),
        ] {
            let variable = format!("{PREFIX}{}", name.to_uppercase());
            let complaint = load(None, &[(&variable, value)], &[]).expect_err(name);
            assert!(complaint.what.contains(&variable), "{complaint}");
        }
        let complaint = load(Some("listen = 1.5"), &[], &[]).expect_err("a number");
        assert!(complaint.why.contains("float"), "{complaint}");
        let complaint = load(Some("listen = \n"), &[], &[]).expect_err("no TOML");
        assert!(complaint.what.contains("line 1"), "{complaint}");
    }

    #[test]
    fn a_secret_appears_in_no_error_and_no_debug_output() {
        let key = "do-not-show-this";
        let complaint = load(None, &[("POSTRIDER_OPERATOR_KEY", key)], &[]).expect_err("too short");
        assert!(!complaint.to_string().contains(key), "{complaint}");
        let key = "do-not-show-this-long-operator-key-either";
        let config = load(None, &[("POSTRIDER_OPERATOR_KEY", key)], &[]).expect("long enough");
        assert!(!format!("{config:?}").contains(key));
    }

    #[test]
    fn syncing_less_than_fully_needs_a_second_word() {
        assert!(load(None, &[("POSTRIDER_SYNCHRONOUS", "normal")], &[]).is_err());
        let both = [("POSTRIDER_SYNCHRONOUS", "normal"), ("POSTRIDER_ALLOW_UNSAFE_SYNC", "true")];
        assert_eq!(load(None, &both, &[]).expect("said twice").synchronous, Synchronous::Normal);
    }

    #[test]
    fn the_page_about_configuration_has_this_table() {
        let page = include_str!("../../../docs/configuration.md");
        assert!(page.contains(&as_markdown()), "docs/configuration.md must contain this:\n{}", as_markdown());
    }
}
