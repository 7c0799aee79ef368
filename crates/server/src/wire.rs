//! Where the parts are put together, and taken apart again. The only place that knows all of them.
//!
//! Start: store, egress, engine, listener. Stop: listener, engine, store, so that nothing is accepted that could not be
//! finished, and nothing is finished that could not be written.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use postrider_domain::limits;
use postrider_domain::random::Random;
use postrider_domain::time::Clock;
use postrider_egress::{AllowList, Egress, EgressConfig, Policy, SystemResolver};
use postrider_engine::control::{Actor, Created, Installation, NewKey, Role};
use postrider_engine::outbound::lanes::LaneLimits;
use postrider_engine::{Engine, Parts};
use postrider_store::{Database, MasterKey, OpenOptions, Store, StoreError};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::complaint::Complaint;
use crate::config::{Config, Synchronous};
use crate::os::{OsRandom, SystemClock};

/// The store's files in the data folder, for the commands that look at them from outside.
pub(crate) const DATABASE_FILE: &str = "postrider.db";
pub(crate) const LOCK_FILE: &str = "lock";
pub(crate) const MASTER_KEY_FILE: &str = "master.key";

/// A server that listens and delivers.
pub(crate) struct Running {
    engine: Engine,
    address: SocketAddr,
    public_url: String,
    /// Made at this start, because there was none: to be shown now and never again.
    new_operator_key: Option<SecretString>,
    /// Signs whoever opens it in as an operator, once: to be printed for who reads the terminal.
    operator_link: SecretString,
    stop_listening: oneshot::Sender<()>,
    listening: JoinHandle<()>,
}

impl Running {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn public_url(&self) -> &str {
        &self.public_url
    }

    pub(crate) fn take_new_operator_key(&mut self) -> Option<SecretString> {
        self.new_operator_key.take()
    }

    pub(crate) fn operator_link(&self) -> &SecretString {
        &self.operator_link
    }

    /// Waits until it must be started anew, and says why.
    pub(crate) fn broken(&self) -> impl Future<Output = String> + use<> {
        let engine = self.engine.clone();
        async move { engine.broken().await }
    }

    /// Ends well: requests under way are answered, attempts under way end or are handed back, all results are written.
    pub(crate) async fn stop(self) {
        self.engine.end_watches();
        // The listener may have ended by itself; then there is nobody to tell.
        let _ = self.stop_listening.send(());
        if let Err(error) = self.listening.await {
            tracing::error!(%error, "serve.listener_failed");
        }
        self.engine.stop(limits::STOP_GRACE).await;
        self.engine.store().close().await;
        tracing::info!("serve.stopped");
    }
}

/// Starts everything that `config` describes.
pub(crate) async fn start(config: &Config, clock: Arc<dyn Clock>) -> Result<Running, Complaint> {
    // The listener first: a taken port is the most common mistake, and this way nothing was started yet.
    let listener = TcpListener::bind(config.listen).await.map_err(|error| {
        Complaint::new(
            format!("{} cannot be listened on", config.listen),
            error.to_string(),
            "stop the program that has it, or choose another address with --listen; port 0 takes a free one",
        )
    })?;
    let address = listener.local_addr().map_err(|error| {
        Complaint::new("the listener has no address", error.to_string(), "run `postrider doctor`")
    })?;
    let public_url = config.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
    let listens = Some((address, public_url.clone()));
    let engine = engine(config, clock, listens, LaneLimits::default()).await?;
    let new_operator_key =
        engine.control().ensure_operator_key(config.operator_key.clone()).await.map_err(not_started)?;
    let operator_link = engine.control().operator_link().await.map_err(not_started)?;

    let router = postrider_api::router(
        engine.clone(),
        postrider_api::Options {
            public_url: public_url.clone(),
            trusted_proxies: config.trusted_proxies.clone(),
        },
    );
    let pages = postrider_dashboard::Options { public_url: public_url.clone() };
    let router = router.merge(postrider_dashboard::router(engine.clone(), pages));
    let (stop_listening, told_to_stop) = oneshot::channel();
    let listening = tokio::spawn(postrider_api::serve(listener, router, async {
        // A dropped sender means the same as a message: nobody is left who wants it to run.
        let _ = told_to_stop.await;
    }));
    tracing::info!(%address, shared = engine.store().is_shared(), "serve.started");
    Ok(Running { engine, address, public_url, new_operator_key, operator_link, stop_listening, listening })
}

/// Adds an operator key to the data folder of a stopped server.
pub(crate) async fn new_operator_key(config: &Config) -> Result<SecretString, Complaint> {
    // Without a slot it sends nothing: this is no server, and the next one will find all that is due.
    let engine = engine(config, Arc::new(SystemClock), None, LaneLimits::NOTHING).await?;
    let new = NewKey {
        role: Role::Operator,
        tenant: None,
        name: "made by `postrider key new-operator`".to_owned(),
    };
    let created = engine.control().key_create(&Actor::postrider(), new, None).await.map_err(not_started);
    engine.stop(Duration::ZERO).await;
    engine.store().close().await;
    match created? {
        Created::Fresh(created) => Ok(created.key),
        Created::Replayed(_) => unreachable!("because there was no idempotency key"),
    }
}

/// What somebody who runs with this configuration should know: what was seen, and what to do.
pub(crate) fn exposure_warning(config: &Config) -> Option<(String, &'static str)> {
    if config.listen.ip().is_loopback() || config.require_https {
        return None;
    }
    Some((
        format!("listens on {}, beyond this machine, and webhooks may have http:// URLs", config.listen),
        "set require_https = true, so that payloads and signatures do not travel in the open",
    ))
}

/// Store and egress with an engine on them.
/// `listens`: where, and the base of its URLs; none for a command that is no server.
async fn engine(
    config: &Config,
    clock: Arc<dyn Clock>,
    listens: Option<(SocketAddr, String)>,
    lanes: LaneLimits,
) -> Result<Engine, Complaint> {
    let random: Arc<dyn Random> = Arc::new(OsRandom);
    let (address, public_url) = listens.unzip();
    let store = open_store(config, address, clock.as_ref(), random.clone()).await?;
    Engine::start(Parts {
        store,
        egress: Arc::new(egress(config)?),
        clock,
        random,
        installation: Installation { require_https: config.require_https },
        lanes,
        public_url,
    })
    .await
    .map_err(not_started)
}

async fn open_store(
    config: &Config,
    listens: Option<SocketAddr>,
    clock: &dyn Clock,
    random: Arc<dyn Random>,
) -> Result<Store, Complaint> {
    let options = store_options(config, listens, clock, random);
    Store::open(options).await.map_err(|error| not_opened(config, &error))
}

/// How the store that `config` describes is opened.
pub(crate) fn store_options(
    config: &Config,
    listens: Option<SocketAddr>,
    clock: &dyn Clock,
    random: Arc<dyn Random>,
) -> OpenOptions {
    let database = match &config.database_url {
        Some(url) => Database::Postgres(url.expose_secret().to_owned()),
        None => Database::Folder(config.data.clone()),
    };
    let mut options = OpenOptions::of(database, random, clock.now());
    options.node_name = match (&config.node_name, listens) {
        (Some(name), _) => name.clone(),
        (None, Some(address)) => address.to_string(),
        (None, None) => "a command".to_owned(),
    };
    options.master_key = config.master_key_bytes().map(|bytes| MasterKey::new(Box::new(bytes)));
    options.synchronous = match config.synchronous {
        Synchronous::Full => postrider_store::Synchronous::Full,
        Synchronous::Normal => postrider_store::Synchronous::Normal,
        Synchronous::Off => postrider_store::Synchronous::Off,
    };
    options.unsafe_allowed = config.allow_unsafe_sync;
    options
}

pub(crate) fn not_opened(config: &Config, error: &StoreError) -> Complaint {
    match &config.database_url {
        Some(_) => database_not_opened(error),
        None => store_not_opened(&config.data, error),
    }
}

pub(crate) fn database_not_opened(error: &StoreError) -> Complaint {
    Complaint::new("the PostgreSQL store could not be opened", error.to_string(), database_remedy(error))
}

pub(crate) fn database_remedy(error: &StoreError) -> &'static str {
    match error {
        StoreError::MasterKey(_) => "give every node the same key in POSTRIDER_MASTER_KEY",
        StoreError::Migration(_) => {
            "run the version of Postrider that this database was last used with, or a newer one"
        }
        StoreError::Unsafe(_) => "change the server, or set allow_unsafe_sync when the data may be lost",
        StoreError::Misconfigured(_) => {
            "do what it says, or name another database with POSTRIDER_DATABASE_URL"
        }
        _ => {
            "check that the server runs, takes connections from this machine, and knows the user and the database"
        }
    }
}

pub(crate) fn store_not_opened(folder: &Path, error: &StoreError) -> Complaint {
    let remedy = match error {
        StoreError::InUse(_) => "stop the other process, or give this one another folder with --data",
        StoreError::MasterKey(_) => {
            "give the key that the store was made with, in POSTRIDER_MASTER_KEY or as master.key in the folder"
        }
        StoreError::Migration(_) => {
            "run the version of Postrider that this folder was last used with, or a newer one"
        }
        StoreError::Unsafe(_) => {
            "remove the setting synchronous, or set allow_unsafe_sync when the data may be lost"
        }
        StoreError::Corrupt(_) => "restore the folder from a backup",
        _ => {
            "run `postrider doctor` with the same settings: it looks at the folder, the disk and the permissions"
        }
    };
    Complaint::new(
        format!("the store in {} could not be opened", folder.display()),
        error.to_string(),
        remedy,
    )
}

fn egress(config: &Config) -> Result<Egress, Complaint> {
    let allow = AllowList::parse(&config.egress_allow).map_err(|error| {
        Complaint::new(
            "egress_allow cannot be used",
            error.to_string(),
            "list ranges like 10.1.0.0/16 and names like hooks.internal, with commas between them",
        )
    })?;
    let resolver = SystemResolver::new().map_err(|error| {
        Complaint::new(
            "names cannot be resolved on this machine",
            error.to_string(),
            "name a name server in /etc/resolv.conf",
        )
    })?;
    let extra_roots_pem = match &config.ca_file {
        None => Vec::new(),
        Some(path) => std::fs::read(path).map_err(|error| {
            Complaint::new(
                format!("ca_file {} cannot be read", path.display()),
                error.to_string(),
                "check the path and its permissions",
            )
        })?,
    };
    Egress::new(EgressConfig {
        policy: Policy::new(allow),
        budgets: postrider_engine::egress_budgets(),
        resolver: Arc::new(resolver),
        extra_roots_pem,
    })
    .map_err(|error| {
        Complaint::new(
            "the outbound client could not be made",
            error.to_string(),
            "check that ca_file holds certificates in PEM form",
        )
    })
}

fn not_started(error: impl std::fmt::Display) -> Complaint {
    Complaint::new(
        "the server could not start",
        error.to_string(),
        "run `postrider doctor` with the same settings",
    )
}
