//! What a trigger is: its settings as they are written and stored, checked and compiled.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use jiff::tz::TimeZone;
use postrider_domain::expression::Expression;
use postrider_domain::id::{TriggerId, WorkflowId};
use postrider_domain::inbound::{self, Preset, Verifier};
use postrider_domain::limits;
use postrider_domain::pattern::Patterns;
use postrider_domain::problem::{Code, Problem};
use postrider_domain::run::TriggerKind;
use postrider_domain::schedule::Cron;
use postrider_domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

/// The header that carries a trigger's own secret (system C).
pub const SECRET_HEADER: &str = "X-Webhook-Secret";
/// The preset that a trigger with a secret of its own has, and the header that it looks at.
pub const HEADER_SECRET: &str = "header-secret";
/// The preset of who wants no verification.
pub const NONE: &str = "none";
/// Where the caller gives the scheme itself.
pub const CUSTOM: &str = "custom";
/// What expressions of a trigger may name.
pub const VARIABLES: [&str; 4] = ["input", "headers", "method", "query"];
const ADDRESSES_MAX: usize = 100;
const EVERY_MIN: Duration = Duration::from_secs(1);
const EVERY_MAX: Duration = Duration::from_secs(366 * 24 * 3600);
/// Ticks of one look back. Beyond it, only the last are caught up on.
pub const CATCH_UP_MAX: u32 = 1000;

/// As the API takes and shows them, but for secrets, and as they are stored.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TriggerSettings {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// CEL: only what it holds for starts a run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dedup: Option<DedupBy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_addresses: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub methods: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub respond: Option<Respond>,
    /// How long an answer may wait for the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// A true interval: `15m`, `36h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub catch_up: Option<CatchUp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap: Option<Overlap>,
    /// What runs that the clock or a person starts begin with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// Patterns of events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<String>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Verification {
    pub preset: String,
    /// Seconds, both ways; the preset's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<u64>,
    /// Of `custom`: how it signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<Value>,
}

/// By what a request is known again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum DedupBy {
    /// By nothing: every request starts a run.
    None,
    Header(String),
    /// CEL that gives a text.
    Expression(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateLimit {
    pub per_second: f64,
    /// At once; one second's worth when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Respond {
    /// As soon as the run is on disk.
    Accepted,
    /// When the run responds or ends.
    Wait,
}

/// What becomes of times that passed while nobody was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum CatchUp {
    None,
    Latest,
    /// Each, of the last so many.
    All(u32),
}

/// What becomes of a time while a run of the trigger is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Overlap {
    Skip,
    Queue,
}

/// A trigger that is ready.
#[derive(Debug)]
pub struct Trigger {
    pub id: TriggerId,
    pub workflow: WorkflowId,
    pub kind: TriggerKind,
    pub name: String,
    pub enabled: bool,
    pub slug: Option<String>,
    pub settings: TriggerSettings,
    /// One for each time between two ends of overlaps, in their order; the last has no end. Empty: nothing is verified.
    pub verifiers: Vec<InForce>,
    pub(crate) filter: Option<Expression>,
    pub(crate) dedup: Option<Expression>,
    pub(crate) addresses: Vec<IpNet>,
    pub(crate) clock: Option<TriggerClock>,
    pub(crate) patterns: Option<Patterns>,
    pub since: Timestamp,
    pub created: Timestamp,
    pub updated: Timestamp,
}

/// A verifier with every secret that is taken until then: one request may be signed by several of them, item by item.
#[derive(Debug)]
pub struct InForce {
    pub verifier: Verifier,
    pub until: Option<Timestamp>,
}

/// When the clock starts runs.
#[derive(Debug)]
pub enum TriggerClock {
    Cron {
        cron: Box<Cron>,
        zone: TimeZone,
    },
    /// Counted from `since`.
    Every {
        step: Duration,
        since: Timestamp,
    },
}

/// A secret in clear.
pub struct OpenSecret {
    pub text: Zeroizing<String>,
    pub until: Option<Timestamp>,
}

/// A trigger's row, opened.
pub struct TriggerParts {
    pub id: TriggerId,
    pub workflow: WorkflowId,
    pub kind: TriggerKind,
    pub name: String,
    pub enabled: bool,
    pub slug: Option<String>,
    pub settings: TriggerSettings,
    /// Newest first.
    pub secrets: Vec<OpenSecret>,
    pub verify_token: Option<Zeroizing<String>>,
    pub since: Timestamp,
    pub created: Timestamp,
    pub updated: Timestamp,
}

impl Trigger {
    /// Checks everything that a trigger of its kind may have. The errors name the field.
    pub fn compile(parts: TriggerParts) -> Result<Self, Problem> {
        let TriggerParts { settings, .. } = &parts;
        check_kind(parts.kind, settings)?;
        let filter = compiled("filter", settings.filter.as_deref())?;
        let dedup = match &settings.dedup {
            Some(DedupBy::Expression(source)) => compiled("dedup.expression", Some(source))?,
            Some(DedupBy::Header(name)) => {
                if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
                    return Err(invalid("dedup.header", "This is no name of a header."));
                }
                None
            }
            Some(DedupBy::None) | None => None,
        };
        let verifiers = match parts.kind {
            TriggerKind::Webhook => verifiers(settings, &parts.secrets, parts.verify_token.as_ref())?,
            _ => Vec::new(),
        };
        check_bounds(settings)?;
        let addresses = addresses(settings.allowed_addresses.as_deref().unwrap_or_default())?;
        let clock = clock(settings, parts.since)?;
        let patterns = match &settings.events {
            Some(events) => Some(Patterns::parse(events)?),
            None => None,
        };
        Ok(Self {
            id: parts.id,
            workflow: parts.workflow,
            kind: parts.kind,
            name: parts.name,
            enabled: parts.enabled,
            slug: parts.slug,
            settings: parts.settings,
            verifiers,
            filter,
            dedup,
            addresses,
            clock,
            patterns,
            since: parts.since,
            created: parts.created,
            updated: parts.updated,
        })
    }

    /// With the secrets that are taken at `now`; none where nothing is verified, or every secret has ended.
    pub(crate) fn verifier_at(&self, now: Timestamp) -> Option<&Verifier> {
        let in_force = |one: &&InForce| one.until.is_none_or(|until| now < until);
        self.verifiers.iter().find(in_force).map(|one| &one.verifier)
    }

    /// The preset that it verifies with; `None`: it does not.
    pub fn preset(&self) -> Option<&Arc<Preset>> {
        self.verifiers.first().map(|one| one.verifier.preset())
    }

    pub(crate) fn takes_method(&self, method: &str) -> bool {
        match &self.settings.methods {
            Some(methods) => methods.iter().any(|known| known == method),
            None => match self.preset() {
                Some(preset) => preset.methods().iter().any(|known| known == method),
                None => method == "POST",
            },
        }
    }

    pub fn methods(&self) -> Vec<String> {
        match (&self.settings.methods, self.preset()) {
            (Some(methods), _) => methods.clone(),
            (None, Some(preset)) => preset.methods().to_vec(),
            (None, None) => vec!["POST".to_owned()],
        }
    }

    pub(crate) fn takes_address(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.addresses.is_empty() || self.addresses.iter().any(|net| net.contains(&peer))
    }

    pub fn body_bytes_max(&self) -> usize {
        self.settings.max_bytes.unwrap_or(limits::TRIGGER_BODY_BYTES_DEFAULT)
    }

    /// The next times after `now`, in order; none where the clock does not start it.
    pub fn next_times(&self, now: Timestamp, count: usize) -> Vec<Timestamp> {
        let mut times = Vec::new();
        let mut after = now;
        while times.len() < count {
            let Some(next) = self.clock.as_ref().and_then(|clock| clock.next(after)) else { break };
            times.push(next);
            after = next;
        }
        times
    }
}

impl TriggerClock {
    pub(crate) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Cron { cron, zone } => cron.next(after, zone),
            Self::Every { step, since } => {
                let step = i64::try_from(step.as_millis()).ok()?;
                let passed = after.unix_ms().checked_sub(since.unix_ms())?;
                let next = if passed < 0 { 1 } else { passed.checked_div(step)?.checked_add(1)? };
                Some(Timestamp::from_unix_ms(since.unix_ms().checked_add(next.checked_mul(step)?)?))
            }
        }
    }

    /// Of the times after `since` until `until`, the last `max`, in order.
    pub(crate) fn passed(&self, since: Timestamp, until: Timestamp, max: usize) -> Vec<Timestamp> {
        match self {
            Self::Cron { cron, zone } => {
                let after = Timestamp::from_unix_ms(since.unix_ms() + 1);
                cron.between(after, until, zone, max)
            }
            Self::Every { step, since: origin } => {
                let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX).max(1);
                let count = |moment: Timestamp| (moment.unix_ms() - origin.unix_ms()).div_euclid(step).max(0);
                let (from, to) = (count(since), count(until));
                let first = (from + 1).max(to + 1 - i64::try_from(max).unwrap_or(i64::MAX));
                (first..=to).map(|n| Timestamp::from_unix_ms(origin.unix_ms() + n * step)).collect()
            }
        }
    }
}

fn invalid(field: &str, detail: impl Into<String>) -> Problem {
    Problem::at(Code::InvalidField, field, detail)
}

fn compiled(field: &str, source: Option<&str>) -> Result<Option<Expression>, Problem> {
    let Some(source) = source else { return Ok(None) };
    Expression::compile(source, &VARIABLES)
        .map(Some)
        .map_err(|error| invalid(field, format!("The expression does not compile: {error}.")))
}

/// What belongs to another kind of trigger is refused: it would do nothing.
fn check_kind(kind: TriggerKind, settings: &TriggerSettings) -> Result<(), Problem> {
    let webhook = [
        ("verification", settings.verification.is_some()),
        ("dedup", settings.dedup.is_some()),
        ("rateLimit", settings.rate_limit.is_some()),
        ("allowedAddresses", settings.allowed_addresses.is_some()),
        ("methods", settings.methods.is_some()),
        ("maxBytes", settings.max_bytes.is_some()),
        ("respond", settings.respond.is_some()),
        ("waitSeconds", settings.wait_seconds.is_some()),
    ];
    let cron = [
        ("cron", settings.cron.is_some()),
        ("every", settings.every.is_some()),
        ("timezone", settings.timezone.is_some()),
        ("catchUp", settings.catch_up.is_some()),
        ("overlap", settings.overlap.is_some()),
    ];
    let refuse = |fields: &[(&str, bool)]| match fields.iter().find(|(_, given)| *given) {
        Some((field, _)) => {
            let detail = format!("A trigger of type `{}` has no `{field}`. Leave it out.", kind.as_str());
            Err(invalid(field, detail))
        }
        None => Ok(()),
    };
    if kind != TriggerKind::Webhook {
        refuse(&webhook)?;
    }
    if kind != TriggerKind::Cron {
        refuse(&cron)?;
    }
    match kind {
        TriggerKind::Event if settings.events.is_none() => Err(Problem::at(
            Code::MissingField,
            "events",
            "Say which events start a run: patterns such as `order.*`.",
        )),
        TriggerKind::Event => refuse(&[("input", settings.input.is_some())]),
        TriggerKind::Webhook => {
            refuse(&[("input", settings.input.is_some()), ("events", settings.events.is_some())])
        }
        TriggerKind::Cron => {
            refuse(&[("events", settings.events.is_some()), ("filter", settings.filter.is_some())])
        }
        _ => refuse(&[("events", settings.events.is_some()), ("filter", settings.filter.is_some())]),
    }
}

fn check_bounds(settings: &TriggerSettings) -> Result<(), Problem> {
    if let Some(max) = settings.max_bytes
        && !(1..=limits::TRIGGER_BODY_BYTES_MAX).contains(&max)
    {
        let most = limits::TRIGGER_BODY_BYTES_MAX;
        return Err(invalid("maxBytes", format!("Between 1 and {most} bytes are possible.")));
    }
    if let Some(rate) = settings.rate_limit {
        let fits = rate.per_second.is_finite() && (0.001..=1_000_000.0).contains(&rate.per_second);
        if !fits || rate.burst == Some(0) {
            return Err(invalid(
                "rateLimit",
                "`perSecond` is a number from 0.001 to 1000000, `burst` a whole one from 1.",
            ));
        }
    }
    if let Some(methods) = &settings.methods {
        const KNOWN: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
        if methods.is_empty() || methods.iter().any(|method| !KNOWN.contains(&method.as_str())) {
            return Err(invalid("methods", format!("Methods are some of {}.", KNOWN.join(", "))));
        }
    }
    if let Some(seconds) = settings.wait_seconds
        && !(1..=limits::TRIGGER_WAIT_SECONDS_MAX).contains(&seconds)
    {
        let most = limits::TRIGGER_WAIT_SECONDS_MAX;
        return Err(invalid("waitSeconds", format!("An answer can wait 1 to {most} seconds.")));
    }
    Ok(())
}

fn verifiers(
    settings: &TriggerSettings,
    secrets: &[OpenSecret],
    verify_token: Option<&Zeroizing<String>>,
) -> Result<Vec<InForce>, Problem> {
    let Some(verification) = &settings.verification else {
        return Err(Problem::at(
            Code::MissingField,
            "secret",
            "Say how requests are verified: a `secret` (or `generateSecret`), a `verification` with a provider's preset, or, \
             if anybody may start runs, `verification: {\"preset\": \"none\"}`.",
        ));
    };
    if verification.preset == NONE {
        let given = !secrets.is_empty();
        return match given {
            true => Err(invalid("verification.preset", "`none` verifies nothing. Leave the secret out.")),
            false => Ok(Vec::new()),
        };
    }
    let preset = preset(verification)?;
    if secrets.is_empty() {
        let detail = format!("The preset `{}` needs a secret to verify with.", verification.preset);
        return Err(Problem::at(Code::MissingField, "verification.secrets", detail));
    }
    if secrets.len() > limits::SECRETS_IN_FORCE_MAX {
        let detail = format!("At most {} secrets are in force together.", limits::SECRETS_IN_FORCE_MAX);
        return Err(Problem::at(Code::TooManyItems, "verification.secrets", detail));
    }
    let tolerance = verification.tolerance.map(Duration::from_secs);
    if tolerance.is_some_and(|tolerance| tolerance > limits::TRIGGER_TOLERANCE_MAX) {
        return Err(invalid("verification.tolerance", "A tolerance has at most 86400 seconds."));
    }
    let token = verify_token.map(|token| token.as_str());
    let mut ends: Vec<Option<Timestamp>> = secrets.iter().map(|secret| secret.until).collect();
    ends.sort_by_key(|end| (end.is_none(), *end));
    ends.dedup();
    let verifier = |end: Option<Timestamp>| {
        let lasts =
            |secret: &&OpenSecret| secret.until.is_none_or(|until| end.is_some_and(|end| end <= until));
        let texts: Vec<&str> = secrets.iter().filter(lasts).map(|secret| secret.text.as_str()).collect();
        Verifier::new(preset.clone(), &texts, tolerance, token)
            .map(|verifier| InForce { verifier, until: end })
            .map_err(|detail| Problem::at(Code::SecretInvalid, "verification.secrets", detail))
    };
    ends.into_iter().map(verifier).collect()
}

/// The preset that a trigger names, or its own.
pub(crate) fn preset(verification: &Verification) -> Result<Arc<Preset>, Problem> {
    if verification.preset == CUSTOM {
        let Some(scheme) = &verification.scheme else {
            return Err(Problem::at(
                Code::MissingField,
                "verification.scheme",
                "`custom` needs a `scheme` that says how requests are signed.",
            ));
        };
        return Preset::custom(scheme).map(Arc::new).map_err(|errors| {
            let first = errors.first().map(ToString::to_string).unwrap_or_default();
            invalid("verification.scheme", format!("This is no scheme: {}.", first.trim_end_matches('.')))
        });
    }
    if verification.scheme.is_some() {
        return Err(invalid(
            "verification.scheme",
            "Only `custom` has a scheme of its own. Leave it out, or choose `custom`.",
        ));
    }
    inbound::preset(&verification.preset).cloned().ok_or_else(|| {
        let known: Vec<&str> = inbound::presets().iter().map(|preset| preset.name()).collect();
        let detail = format!("There is no such preset. There are {}, {CUSTOM} and {NONE}.", known.join(", "));
        invalid("verification.preset", detail)
    })
}

fn addresses(texts: &[String]) -> Result<Vec<IpNet>, Problem> {
    if texts.len() > ADDRESSES_MAX {
        return Err(Problem::at(
            Code::TooManyItems,
            "allowedAddresses",
            format!("At most {ADDRESSES_MAX} addresses and networks are possible."),
        ));
    }
    let parse = |text: &String| {
        text.parse::<IpNet>()
            .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
            .map_err(|_| invalid("allowedAddresses", "These are addresses or networks such as 192.0.2.0/24."))
    };
    texts.iter().map(parse).collect()
}

fn clock(settings: &TriggerSettings, since: Timestamp) -> Result<Option<TriggerClock>, Problem> {
    if let Some(CatchUp::All(max)) = settings.catch_up
        && !(1..=CATCH_UP_MAX).contains(&max)
    {
        return Err(invalid("catchUp", format!("`all` catches up on 1 to {CATCH_UP_MAX} times.")));
    }
    match (&settings.cron, &settings.every) {
        (None, None) if settings.timezone.is_some() || settings.catch_up.is_some() => Err(no_clock()),
        (None, None) if settings.overlap.is_some() => Err(no_clock()),
        (None, None) => Ok(None),
        (Some(_), Some(_)) => {
            Err(invalid("every", "A trigger has either a `cron` expression or an interval `every`."))
        }
        (Some(cron), None) => {
            let zone = settings.timezone.as_deref().unwrap_or("UTC");
            let zone = crate::control::timezone(zone)?;
            let cron = Cron::parse(cron).map_err(|detail| invalid("cron", detail))?;
            Ok(Some(TriggerClock::Cron { cron: Box::new(cron), zone }))
        }
        (None, Some(every)) => {
            if settings.timezone.is_some() {
                return Err(invalid("timezone", "An interval knows no time zone. Leave it out."));
            }
            let step =
                duration(every).filter(|step| (EVERY_MIN..=EVERY_MAX).contains(step)).ok_or_else(|| {
                    invalid("every", "An interval is written like 30s, 15m, 36h or 7d; at least 1s.")
                })?;
            Ok(Some(TriggerClock::Every { step, since }))
        }
    }
}

pub(crate) fn no_clock() -> Problem {
    Problem::at(
        Code::MissingField,
        "cron",
        "Say when runs start: `cron` (five fields, such as `0 6 * * *`) or an interval `every`.",
    )
}

/// `30s`, `15m`, `36h`, `7d`.
fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return None,
    };
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(seconds).map(Duration::from_secs)
}
