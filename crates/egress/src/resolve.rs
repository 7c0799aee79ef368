//! Names to addresses. Which addresses are acceptable is not decided here.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Mutex;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::Name;

/// The seam between egress and name servers.
pub trait Resolve: Send + Sync + fmt::Debug {
    /// All addresses, IPv4 first, of an absolute name (written without its trailing dot): no search list, no hosts file.
    fn addresses<'a>(&'a self, name: &'a str) -> Resolving<'a>;
}

pub type Resolving<'a> = Pin<Box<dyn Future<Output = Result<Vec<IpAddr>, ResolveError>> + Send + 'a>>;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The name does not exist, or has no address.
    #[error("the name has no address")]
    NoAddress,
    /// Nobody could say.
    #[error("no name server gave an answer: {0}")]
    Unanswered(String),
}

/// Asks the name servers of the system, and nothing else of its configuration.
pub struct SystemResolver {
    hickory: TokioResolver,
}

/// An answer is kept no longer than a socket, whatever its TTL.
const ANSWER_AGE_MAX: Duration = Duration::from_secs(60);
/// "No such name" is believed for this long: whoever just made the name should not wait.
const NO_ANSWER_AGE_MAX: Duration = Duration::from_secs(5);
/// Answers kept. One is some hundred bytes.
const ANSWERS_MAX: u64 = 4096;
/// For one question to one server. With two attempts it fits into a DNS budget of 3 s.
const QUESTION_TIMEOUT: Duration = Duration::from_millis(1400);

impl SystemResolver {
    /// The system's name servers. Without readable configuration it asks 127.0.0.1, as the C library does.
    pub fn new() -> Result<Self, ResolveError> {
        let servers = match hickory_resolver::system_conf::read_system_conf() {
            Ok((config, _)) if !config.name_servers().is_empty() => config.name_servers().to_vec(),
            Ok(_) | Err(_) => vec![NameServerConfig::udp_and_tcp(IpAddr::V4(Ipv4Addr::LOCALHOST))],
        };
        Self::of(servers)
    }

    /// These name servers, by UDP and TCP.
    pub fn asking(servers: &[SocketAddr]) -> Result<Self, ResolveError> {
        let servers = servers.iter().map(|server| {
            let mut config = NameServerConfig::udp_and_tcp(server.ip());
            for connection in &mut config.connections {
                connection.port = server.port();
            }
            config
        });
        Self::of(servers.collect())
    }

    fn of(servers: Vec<NameServerConfig>) -> Result<Self, ResolveError> {
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let options = builder.options_mut();
        options.use_hosts_file = ResolveHosts::Never;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.timeout = QUESTION_TIMEOUT;
        options.attempts = 2;
        options.cache_size = ANSWERS_MAX;
        options.positive_max_ttl = Some(ANSWER_AGE_MAX);
        options.negative_max_ttl = Some(NO_ANSWER_AGE_MAX);
        options.try_tcp_on_error = true;
        let hickory = builder.build().map_err(|error| ResolveError::Unanswered(error.to_string()))?;
        Ok(Self { hickory })
    }
}

impl fmt::Debug for SystemResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SystemResolver")
    }
}

impl Resolve for SystemResolver {
    fn addresses<'a>(&'a self, name: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            let mut absolute = Name::from_ascii(name).map_err(|_| ResolveError::NoAddress)?;
            absolute.set_fqdn(true);
            match self.hickory.lookup_ip(absolute).await {
                Ok(answer) => ordered(answer.iter().collect()),
                Err(error) if error.is_no_records_found() => Err(ResolveError::NoAddress),
                Err(error) => Err(ResolveError::Unanswered(error.to_string())),
            }
        })
    }
}

fn ordered(mut addresses: Vec<IpAddr>) -> Result<Vec<IpAddr>, ResolveError> {
    addresses.sort_by_key(IpAddr::is_ipv6);
    if addresses.is_empty() { Err(ResolveError::NoAddress) } else { Ok(addresses) }
}

/// A table of names for tests and closed worlds. A name with several answers gives them in turn and stays with the last.
#[derive(Debug, Default)]
pub struct FixedNames {
    answers: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
}

impl FixedNames {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next answer for `name`.
    #[must_use]
    pub fn with(self, name: &str, addresses: &[IpAddr]) -> Self {
        self.answers
            .lock()
            .expect("because nothing panics while holding it")
            .entry(name.to_owned())
            .or_default()
            .push(addresses.to_vec());
        self
    }
}

impl Resolve for FixedNames {
    fn addresses<'a>(&'a self, name: &'a str) -> Resolving<'a> {
        let mut answers = self.answers.lock().expect("because nothing panics while holding it");
        let answer = match answers.get_mut(name) {
            Some(in_turn) if in_turn.len() > 1 => ordered(in_turn.remove(0)),
            Some(in_turn) => in_turn.first().cloned().map_or(Err(ResolveError::NoAddress), ordered),
            None => Err(ResolveError::NoAddress),
        };
        Box::pin(std::future::ready(answer))
    }
}
