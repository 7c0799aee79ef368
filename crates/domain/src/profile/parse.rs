//! From TOML to a compiled profile. Whatever could fail at send time is refused here, with its line.

use std::time::Duration;

use super::catalogue::{EventCatalogue, EventType, Schema, operational_types};
use super::derive;
use super::envelope::{Envelope, Field, Member, Node, shape};
use super::signer::{SignatureTemplate, Signer};
use super::source::{Errors, Item, Kind, Table, document};
use super::template::{Part, Place, Template};
use super::{
    Access, BodyPolicy, BodyRule, DeliveryMode, DeliveryPolicy, GonePolicy, Numbers, OnDisable, Profile,
    ProfileError, RetryAfterPolicy, SchemaMode, SuccessRule, WebhookPolicy, WebhookReaders,
};
use crate::event::{OPERATIONAL_TYPES, is_event_type};
use crate::limits;
use crate::signature::{self, KeyKind, SecretForm, SecretRule, SignaturePolicy};
use crate::{ecmascript, json};

/// Headers that belong to the connection and its framing, not to a profile.
const CONNECTION_HEADERS: [&str; 8] =
    ["connection", "content-length", "expect", "host", "te", "trailer", "transfer-encoding", "upgrade"];
const NAME_BYTES_MAX: usize = 64;
const HEADER_NAME_BYTES_MAX: usize = 256;

pub(super) fn parse(source: &str) -> Result<Profile, Vec<ProfileError>> {
    let mut errors = Errors::new(source);
    if source.len() > limits::PROFILE_BYTES_MAX {
        errors.add(None, format!("a profile has at most {} bytes", limits::PROFILE_BYTES_MAX));
        return Err(errors.into_list());
    }
    let Some(root) = document(source, &mut errors) else { return Err(errors.into_list()) };
    let profile = profile(source, root, &mut errors);
    match profile {
        Some(profile) if errors.is_empty() => Ok(profile),
        _ => Err(errors.into_list()),
    }
}

fn profile(source: &str, mut root: Table<'_>, errors: &mut Errors<'_>) -> Option<Profile> {
    let name = root.need("name", errors);
    let name = name.and_then(|item| profile_name(&item, errors));
    let title = root.take("title").and_then(|item| item.string(errors));
    let envelope_at = root.at;
    let envelope = match root.need("envelope", errors) {
        Some(item) => item.table(errors).map(|table| members(table, errors)),
        None => None,
    };
    let body = body(root.table("body", errors), errors);
    let headers = headers(root.table("headers", errors), errors);
    let (signature, signer) = signature(root.table("signature", errors), &headers, errors);
    let delivery = delivery(root.table("delivery", errors), errors);
    let access = access(root.table("access", errors), errors);
    let webhook = webhooks(root.table("webhooks", errors), errors);
    let (open, schema_mode) = catalogue(root.table("catalogue", errors), errors);
    let mut types: Vec<EventType> = Vec::new();
    let events = root.tables("event", errors);
    if events.is_empty() && !open {
        let message = "a profile has event types ([[event]]), or an open catalogue ([catalogue] open = true)";
        errors.add(Some(root.at), message);
    }
    for table in events {
        let at = table.at;
        if let Some(event_type) = event_type(table, body, errors) {
            if types.iter().any(|known| known.name == event_type.name) {
                errors.add(Some(at), format!("event type `{}` is given twice", event_type.name));
            }
            types.push(event_type);
        }
    }
    let catalogue = EventCatalogue { open, types, schema_mode, operational: operational_types() };
    let records = derive::records(&mut root, errors);
    let rules = derive::rules(&mut root, &records, &catalogue, errors);
    let generators = derive::generators(&mut root, &records, &rules, &catalogue, errors);
    root.finish(errors);

    let envelope = envelope.map(Envelope);
    if envelope.as_ref().is_some_and(|envelope| envelope.0.is_empty()) {
        errors.add(Some(envelope_at), "[envelope] needs at least one member");
    }
    let digest = signature::sha256(source.as_bytes());
    let name = name?;
    Some(Profile {
        title: title.unwrap_or_else(|| name.clone()),
        name,
        source: source.to_owned(),
        version: hex::encode(&digest[..8]),
        access,
        webhook,
        body,
        signature,
        delivery,
        shapes_data: catalogue.types.iter().any(|known| !known.fields.is_empty()),
        catalogue,
        records,
        rules,
        generators,
        envelope: envelope?,
        headers,
        signer,
    })
}

fn profile_name(item: &Item<'_>, errors: &mut Errors<'_>) -> Option<String> {
    let name = item.string(errors)?;
    let bytes = name.as_bytes();
    let fits = (1..=NAME_BYTES_MAX).contains(&bytes.len())
        && bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-');
    if !fits {
        errors.add(Some(item.at), "`name` has 1 to 64 of a-z, 0-9 and -");
        return None;
    }
    Some(name)
}

fn members(table: Table<'_>, errors: &mut Errors<'_>) -> Vec<Member> {
    let mut members = Vec::new();
    for item in table.into_entries() {
        let mut key = Vec::new();
        json::write_string(&mut key, &item.key);
        key.push(b':');
        let at = item.at;
        let name = item.key.clone();
        let value = match item.kind(errors) {
            Kind::Text(text) => match Template::parse(&text, Place::Envelope) {
                Ok(template) => node(template),
                Err(error) => {
                    errors.add(Some(at), error);
                    continue;
                }
            },
            Kind::Literal(value) => Node::Literal(value.to_string().into_bytes()),
            Kind::Table(table) => Node::Object(self::members(table, errors)),
            Kind::Other => {
                errors.add(
                    Some(at),
                    format!("`{name}` must be text, a number, true, false, or a table of these"),
                );
                continue;
            }
        };
        members.push(Member { key, value });
    }
    members
}

fn node(template: Template) -> Node {
    if let Some(placeholder) = template.only() {
        return Node::Value(placeholder.clone());
    }
    let mut literal = String::new();
    for part in &template.0 {
        match part {
            Part::Text(text) => literal.push_str(text),
            Part::Value(_) => return Node::Text(template),
        }
    }
    let mut json = Vec::new();
    json::write_string(&mut json, &literal);
    Node::Literal(json)
}

fn body(table: Option<Table<'_>>, errors: &mut Errors<'_>) -> BodyPolicy {
    let mut numbers = Numbers::Verbatim;
    if let Some(mut table) = table {
        if let Some(item) = table.take("numbers") {
            let choices = [("verbatim", Numbers::Verbatim), ("ecmascript", Numbers::Ecmascript)];
            numbers = item.choice(&choices, errors).unwrap_or(numbers);
        }
        table.finish(errors);
    }
    BodyPolicy { numbers }
}

/// `Content-Type` and `User-Agent` stand first, also where the profile does not name them.
fn headers(table: Option<Table<'_>>, errors: &mut Errors<'_>) -> Vec<(String, Template)> {
    let mut headers = Vec::new();
    for item in table.map(Table::into_entries).unwrap_or_default() {
        let Some(text) = item.string(errors) else { continue };
        if let Err(error) = check_header_name(&item.key, &headers) {
            errors.add(Some(item.at), error);
            continue;
        }
        if text.bytes().any(|byte| !(0x20..0x7f).contains(&byte)) {
            errors
                .add(Some(item.at), format!("header `{}` may hold visible ASCII and spaces only", item.key));
            continue;
        }
        match Template::parse(&text, Place::Line) {
            Ok(template) => headers.push((item.key, template)),
            Err(error) => errors.add(Some(item.at), error),
        }
    }
    for (at, (name, value)) in
        [("Content-Type", "application/json"), ("User-Agent", "Postrider/1.0")].into_iter().enumerate()
    {
        let given = headers.iter().position(|(known, _)| known.eq_ignore_ascii_case(name));
        let header = match given {
            Some(given) => headers.remove(given),
            None => (name.to_owned(), Template(vec![Part::Text(value.to_owned())])),
        };
        headers.insert(at, header);
    }
    headers
}

fn check_header_name(name: &str, known: &[(String, Template)]) -> Result<(), String> {
    let token = (1..=HEADER_NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
    if !token {
        return Err(format!("`{name}` is not a header name"));
    }
    if CONNECTION_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
        return Err(format!("header `{name}` belongs to the connection; a profile cannot set it"));
    }
    if known.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
        return Err(format!("header `{name}` is given twice; names compare without case"));
    }
    Ok(())
}

fn signature(
    table: Option<Table<'_>>,
    headers: &[(String, Template)],
    errors: &mut Errors<'_>,
) -> (SignaturePolicy, Option<Signer>) {
    let mut policy = SignaturePolicy {
        secret: SecretRule::Optional,
        carries_list: false,
        secret_form: SecretForm::Utf8,
        asymmetric: false,
    };
    let Some(mut table) = table else { return (policy, None) };
    if let Some(item) = table.take("secret") {
        let choices = [("required", SecretRule::Required), ("optional", SecretRule::Optional)];
        policy.secret = item.choice(&choices, errors).unwrap_or(policy.secret);
    }
    if let Some(item) = table.take("secret_form") {
        let choices = [("utf8", SecretForm::Utf8), ("whsec", SecretForm::Whsec)];
        policy.secret_form = item.choice(&choices, errors).unwrap_or(policy.secret_form);
    }
    let header = table.need("header", errors).and_then(|item| {
        let name = item.string(errors)?;
        check_header_name(&name, headers).map_err(|error| errors.add(Some(item.at), error)).ok()?;
        Some(name)
    });
    let value = table.need("value", errors);
    let shared = value.and_then(|item| signature_template(&item, KeyKind::Shared, headers, errors));
    let value_ed25519 = table.take("value_ed25519");
    let asymmetric =
        value_ed25519.and_then(|item| signature_template(&item, KeyKind::Ed25519, headers, errors));
    let separator = table.take("separator").and_then(|item| item.string(errors));
    policy.carries_list = separator.is_some();
    policy.asymmetric = asymmetric.is_some();
    table.finish(errors);
    let signer = match (header, shared) {
        (Some(header), Some(shared)) => Some(Signer { header, shared, asymmetric, separator }),
        _ => None,
    };
    (policy, signer)
}

fn signature_template(
    item: &Item<'_>,
    kind: KeyKind,
    headers: &[(String, Template)],
    errors: &mut Errors<'_>,
) -> Option<SignatureTemplate> {
    let text = item.string(errors)?;
    let template = match SignatureTemplate::parse(&text, kind) {
        Ok(template) => template,
        Err(error) => {
            errors.add(Some(item.at), error);
            return None;
        }
    };
    for value in template.signed_values() {
        let told = template.tells(value) || headers.iter().any(|(_, header)| header.only() == Some(value));
        if !told {
            errors.add(
                Some(item.at),
                "a value is signed that no header carries by itself, so receivers could not verify; add it to [headers]",
            );
        }
    }
    Some(template)
}

fn delivery(table: Option<Table<'_>>, errors: &mut Errors<'_>) -> DeliveryPolicy {
    let mut policy = DeliveryPolicy {
        mode: DeliveryMode::Immediate,
        scan_at: (6, 0),
        timeout: Duration::from_secs(30),
        retries: Vec::new(),
        jitter: 0.0,
        retry_after: RetryAfterPolicy::Honour,
        gone: GonePolicy::Disable,
        on_disable: OnDisable::Hold,
        at_most_once: false,
        success: SuccessRule { statuses: vec![(200, 299)], body: BodyRule::Ignored },
    };
    let Some(mut table) = table else { return policy };
    if let Some(item) = table.take("mode") {
        let choices = [("immediate", DeliveryMode::Immediate), ("scan", DeliveryMode::Scan)];
        policy.mode = item.choice(&choices, errors).unwrap_or(policy.mode);
    }
    if let Some(item) = table.take("scan_at") {
        policy.scan_at = scan_time(&item, errors).unwrap_or(policy.scan_at);
    }
    if let Some(item) = table.take("timeout") {
        policy.timeout = item
            .string(errors)
            .and_then(|text| bounded(&item, &text, limits::TIMEOUT_MAX, errors))
            .unwrap_or(policy.timeout);
    }
    if let Some(item) = table.take("retries") {
        policy.retries = retries(&item, errors);
    }
    if let Some(item) = table.take("jitter") {
        policy.jitter = item.number(errors).unwrap_or(0.0);
        if !(0.0..=0.5).contains(&policy.jitter) {
            errors.add(Some(item.at), "`jitter` is a part of the delay, 0 to 0.5");
        }
    }
    if let Some(item) = table.take("retry_after") {
        let choices = [("honour", RetryAfterPolicy::Honour), ("ignore", RetryAfterPolicy::Ignore)];
        policy.retry_after = item.choice(&choices, errors).unwrap_or(policy.retry_after);
    }
    if let Some(item) = table.take("gone") {
        let choices = [("disable", GonePolicy::Disable), ("retry", GonePolicy::Retry)];
        policy.gone = item.choice(&choices, errors).unwrap_or(policy.gone);
    }
    if let Some(item) = table.take("on_disable") {
        let choices = [("hold", OnDisable::Hold), ("cancel", OnDisable::Cancel)];
        policy.on_disable = item.choice(&choices, errors).unwrap_or(policy.on_disable);
    }
    if let Some(item) = table.take("at_most_once") {
        policy.at_most_once = item.bool(errors).unwrap_or(false);
        if policy.at_most_once && !policy.retries.is_empty() {
            errors.add(Some(item.at), "`at_most_once` cannot go with `retries`");
        }
    }
    if let Some(success) = table.table("success", errors) {
        policy.success = success_rule(success, policy.success, errors);
    }
    table.finish(errors);
    policy
}

fn scan_time(item: &Item<'_>, errors: &mut Errors<'_>) -> Option<(i8, i8)> {
    let text = item.string(errors)?;
    let time = text.split_once(':').and_then(|(hour, minute)| {
        let digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        let (hour, minute) = (digits(hour).then_some(hour)?, digits(minute).then_some(minute)?);
        let time = (hour.parse::<i8>().ok()?, minute.parse::<i8>().ok()?);
        (time.0 < 24 && time.1 < 60).then_some(time)
    });
    if time.is_none() {
        errors.add(Some(item.at), format!("`{}` must be a time like \"06:00\"", item.key));
    }
    time
}

fn retries(item: &Item<'_>, errors: &mut Errors<'_>) -> Vec<Duration> {
    let texts = item.strings(errors).unwrap_or_default();
    if texts.len() > limits::RETRIES_MAX {
        errors.add(Some(item.at), format!("`retries` has at most {} steps", limits::RETRIES_MAX));
    }
    let mut retries = Vec::with_capacity(texts.len());
    for text in texts {
        retries.extend(bounded(item, &text, limits::RETRY_DELAY_MAX, errors));
    }
    retries
}

/// A duration of more than nothing and at most `max`.
pub(super) fn bounded(
    item: &Item<'_>,
    text: &str,
    max: Duration,
    errors: &mut Errors<'_>,
) -> Option<Duration> {
    let duration = duration(text).filter(|duration| !duration.is_zero() && *duration <= max);
    if duration.is_none() {
        errors.add(
            Some(item.at),
            format!(
                "`{}`: \"{text}\" must be like 500ms, 30s, 5m, 2h or 1d, above 0 and at most {} s",
                item.key,
                max.as_secs()
            ),
        );
    }
    duration
}

fn duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let unit_ms: u64 = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.checked_mul(unit_ms)?))
}

fn success_rule(mut table: Table<'_>, mut rule: SuccessRule, errors: &mut Errors<'_>) -> SuccessRule {
    if let Some(item) = table.take("statuses") {
        let text = item.string(errors).unwrap_or_default();
        match statuses(&text) {
            Some(statuses) => rule.statuses = statuses,
            None => errors.add(Some(item.at), "`statuses` must be like \"2xx\", \"200-204\" or \"200,202\""),
        }
    }
    if let Some(item) = table.take("body") {
        let choices = [("ignored", BodyRule::Ignored), ("complete", BodyRule::Complete)];
        rule.body = item.choice(&choices, errors).unwrap_or(rule.body);
    }
    table.finish(errors);
    rule
}

/// A redirect is never a success: nobody has followed it.
fn statuses(text: &str) -> Option<Vec<(u16, u16)>> {
    let mut ranges = Vec::new();
    for part in text.split(',') {
        let part = part.trim();
        let range = match (part.strip_suffix("xx"), part.split_once('-')) {
            (Some(hundreds), _) => {
                let first = hundreds.parse::<u16>().ok()?.checked_mul(100)?;
                (first, first + 99)
            }
            (None, Some((first, last))) => (first.parse().ok()?, last.parse().ok()?),
            (None, None) => (part.parse().ok()?, part.parse().ok()?),
        };
        let legal =
            range.0 >= 200 && range.0 <= range.1 && range.1 <= 599 && (range.1 < 300 || range.0 > 399);
        if !legal {
            return None;
        }
        ranges.push(range);
    }
    Some(ranges)
}

fn access(table: Option<Table<'_>>, errors: &mut Errors<'_>) -> Access {
    let mut access = Access { plans: None, webhooks: WebhookReaders::Viewer };
    if let Some(mut table) = table {
        access.plans = table.take("plans").and_then(|item| item.strings(errors));
        if let Some(item) = table.take("webhooks") {
            let choices = [("admin", WebhookReaders::Admin), ("viewer", WebhookReaders::Viewer)];
            access.webhooks = item.choice(&choices, errors).unwrap_or(access.webhooks);
        }
        table.finish(errors);
    }
    access
}

fn webhooks(table: Option<Table<'_>>, errors: &mut Errors<'_>) -> WebhookPolicy {
    let mut policy = WebhookPolicy { single: false, selects_events: true };
    if let Some(mut table) = table {
        if let Some(item) = table.take("single") {
            policy.single = item.bool(errors).unwrap_or(policy.single);
        }
        if let Some(item) = table.take("selects_events") {
            policy.selects_events = item.bool(errors).unwrap_or(policy.selects_events);
        }
        table.finish(errors);
    }
    policy
}

fn catalogue(table: Option<Table<'_>>, errors: &mut Errors<'_>) -> (bool, SchemaMode) {
    let mut open = false;
    let mut mode = SchemaMode::Warn;
    if let Some(mut table) = table {
        if let Some(item) = table.take("open") {
            open = item.bool(errors).unwrap_or(open);
        }
        if let Some(item) = table.take("schema") {
            let choices =
                [("off", SchemaMode::Off), ("warn", SchemaMode::Warn), ("reject", SchemaMode::Reject)];
            mode = item.choice(&choices, errors).unwrap_or(mode);
        }
        table.finish(errors);
    }
    (open, mode)
}

fn event_type(mut table: Table<'_>, body: BodyPolicy, errors: &mut Errors<'_>) -> Option<EventType> {
    let at = table.at;
    let name = table.need("type", errors).and_then(|item| {
        let name = item.string(errors)?;
        let problem = if OPERATIONAL_TYPES.contains(&name.as_str()) {
            "is Postrider's own event type and exists in every profile"
        } else if !is_event_type(&name) {
            "is not an event type: segments of A-Z a-z 0-9 _ - divided by dots"
        } else {
            return Some(name);
        };
        errors.add(Some(item.at), format!("`{name}` {problem}"));
        None
    });
    let family = table.take("family").and_then(|item| item.string(errors));
    let description = table.need("description", errors).and_then(|item| item.string(errors));
    let schema = table.take("schema").and_then(|item| {
        let text = String::from_utf8(item.json(limits::JSON_DEPTH_MAX, errors)?).ok()?;
        Schema::compile(&text).map_err(|error| errors.add(Some(item.at), format!("`schema`: {error}"))).ok()
    });
    let example = table.need("example", errors);
    let example_at = example.as_ref().map_or(at, |item| item.at);
    let example = example.and_then(|item| item.json(limits::JSON_DEPTH_MAX, errors));
    let fields = table.take("data_fields").and_then(|item| {
        let paths = item.strings(errors)?;
        Field::parse_list(&paths)
            .map_err(|error| errors.add(Some(item.at), format!("`data_fields`: {error}")))
            .ok()
    });
    table.finish(errors);

    let (name, description, example_json) = (name?, description?, example?);
    let example = serde_json::from_slice(&example_json)
        .map_err(|error| errors.add(Some(example_at), format!("`example`: {error}")))
        .ok()?;
    let event_type = EventType {
        family: family.unwrap_or_else(|| name.split('.').next().unwrap_or_default().to_owned()),
        name,
        description,
        schema,
        example,
        example_json,
        fields: fields.unwrap_or_default(),
    };
    check_example(&event_type, body, example_at, errors);
    Some(event_type)
}

/// The example feeds test events, so it must be what the profile says that data is.
fn check_example(event_type: &EventType, body: BodyPolicy, at: usize, errors: &mut Errors<'_>) {
    if let Some(schema) = &event_type.schema
        && let Err(issues) = schema.validate(&event_type.example)
    {
        for issue in issues {
            errors.add(
                Some(at),
                format!("`example` breaks its schema at \"{}\": {}", issue.path, issue.message),
            );
        }
    }
    for path in Field::required(&event_type.fields, &[]) {
        if json::find(&event_type.example_json, &path).is_none() {
            errors.add(Some(at), format!("`example` lacks `{}`, which data_fields name", path.join(".")));
        }
    }
    let shaped = match event_type.fields.as_slice() {
        [] => event_type.example_json.clone(),
        fields => shape(fields, &event_type.example_json),
    };
    let text = String::from_utf8_lossy(&shaped);
    if body.numbers == Numbers::Ecmascript
        && let Err(error) = ecmascript::rewrite(&text)
    {
        errors.add(Some(at), format!("`example` cannot be written: {error}"));
    }
}
