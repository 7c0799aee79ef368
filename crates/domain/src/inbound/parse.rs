//! From data to a checked [`Preset`]. Whatever would make every request fail, or let one pass unsigned, is refused here
//! with the field at fault and what is allowed.

use std::fmt;
use std::time::Duration;

use http::HeaderName;
use serde_json::{Map, Value};

use super::handshake::{
    AnswerBody, Condition, Expected, Handshake, JSON, Member, Phase, Source, TEXT, Template,
};
use super::path::Path;
use super::scheme::{
    ALGORITHMS, Accepted, Algorithm, Content, ENCODINGS, Encoding, KEY_FORMS, KeyForm, Place, Preset, Sample,
    Scheme, SignaturePlace, TimestampAt, TimestampPlace, UNITS, Unit,
};
use super::signed::{DedupTemplate, SignedTemplate, header_name};

/// A caller's own preset, as JSON: the longest of ours has 3 KiB.
const CUSTOM_BYTES_MAX: usize = 16 * 1024;
const TEXT_BYTES_MAX: usize = 2000;
/// Ways of signing, and of asking whether somebody is there, that one provider has.
const SCHEMES_MAX: usize = 4;
const HANDSHAKES_MAX: usize = 8;
const CONDITIONS_MAX: usize = 4;
/// Headers for the same thing: one provider numbers ten of them.
const HEADERS_MAX: usize = 10;
const DEDUP_MAX: usize = 8;
/// A day: no provider signs a time that it sends later than that.
const TOLERANCE_SECONDS_MAX: u64 = 86_400;
const TOLERANCE_SECONDS_DEFAULT: u64 = 300;
const METHODS: [&str; 5] = ["POST", "PUT", "PATCH", "GET", "HEAD"];

/// What is wrong with a preset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresetError {
    /// The field at fault: `scheme[0].signature.header`.
    pub field: String,
    pub message: String,
}

impl fmt::Display for PresetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

impl std::error::Error for PresetError {}

impl Preset {
    /// A preset that a trigger brings along: the same fields as a file in `presets/`, as JSON.
    pub fn custom(spec: &Value) -> Result<Self, Vec<PresetError>> {
        let bytes = spec.to_string().len();
        if bytes > CUSTOM_BYTES_MAX {
            let message = format!("a preset has at most {CUSTOM_BYTES_MAX} bytes; this has {bytes}");
            return Err(vec![PresetError { field: String::new(), message }]);
        }
        let mut errors = Errors::default();
        let preset = preset(spec, Some("custom"), &mut errors);
        errors.ok(preset)
    }

    /// A file of `presets/`.
    pub fn parse(source: &str) -> Result<Self, Vec<PresetError>> {
        let mut errors = Errors::default();
        let preset = match toml::from_str::<Value>(source) {
            Ok(spec) => preset(&spec, None, &mut errors),
            Err(error) => {
                errors.add("", error.message());
                None
            }
        };
        errors.ok(preset)
    }
}

#[derive(Default)]
struct Errors(Vec<PresetError>);

impl Errors {
    fn add(&mut self, field: &str, message: impl Into<String>) {
        self.0.push(PresetError { field: field.to_owned(), message: message.into() });
    }

    fn ok<T>(self, value: Option<T>) -> Result<T, Vec<PresetError>> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(self.0),
        }
    }
}

/// An object being read: every field that is asked for is allowed, every other is an error.
struct Fields<'v> {
    path: String,
    object: &'v Map<String, Value>,
    asked: Vec<&'static str>,
}

/// A field with its value.
struct Field<'v> {
    path: String,
    value: &'v Value,
}

impl<'v> Fields<'v> {
    fn new(path: &str, value: &'v Value, errors: &mut Errors) -> Option<Self> {
        match value {
            Value::Object(object) => Some(Self { path: path.to_owned(), object, asked: Vec::new() }),
            _ => {
                errors.add(path, "must be an object");
                None
            }
        }
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn take(&mut self, key: &'static str) -> Option<Field<'v>> {
        self.asked.push(key);
        self.object.get(key).map(|value| Field { path: self.path_of(key), value })
    }

    fn need(&mut self, key: &'static str, errors: &mut Errors) -> Option<Field<'v>> {
        let field = self.take(key);
        if field.is_none() {
            errors.add(&self.path_of(key), "is needed");
        }
        field
    }

    fn fields(&mut self, key: &'static str, errors: &mut Errors) -> Option<Fields<'v>> {
        let field = self.take(key)?;
        Fields::new(&field.path, field.value, errors)
    }

    /// The objects of a list.
    fn list(&mut self, key: &'static str, max: usize, errors: &mut Errors) -> Vec<Fields<'v>> {
        let Some(field) = self.take(key) else { return Vec::new() };
        let Value::Array(items) = field.value else {
            errors.add(&field.path, "must be a list of objects");
            return Vec::new();
        };
        if items.len() > max {
            errors.add(&field.path, format!("has at most {max} entries"));
            return Vec::new();
        }
        let items = items.iter().enumerate();
        items.filter_map(|(at, item)| Fields::new(&format!("{}[{at}]", field.path), item, errors)).collect()
    }

    fn finish(self, errors: &mut Errors) {
        for key in self.object.keys() {
            if !self.asked.contains(&key.as_str()) {
                let message = format!("unknown field; here are {}", self.asked.join(", "));
                errors.add(&self.path_of(key), message);
            }
        }
    }
}

impl<'v> Field<'v> {
    fn text(&self, errors: &mut Errors) -> Option<&'v str> {
        match self.value {
            Value::String(text) if text.len() <= TEXT_BYTES_MAX => Some(text),
            Value::String(_) => {
                errors.add(&self.path, format!("has at most {TEXT_BYTES_MAX} bytes"));
                None
            }
            _ => {
                errors.add(&self.path, "must be text");
                None
            }
        }
    }

    fn bool(&self, errors: &mut Errors) -> Option<bool> {
        if !self.value.is_boolean() {
            errors.add(&self.path, "must be true or false");
        }
        self.value.as_bool()
    }

    fn integer(&self, range: std::ops::RangeInclusive<u64>, errors: &mut Errors) -> Option<u64> {
        let number = self.value.as_u64().filter(|number| range.contains(number));
        if number.is_none() {
            errors.add(&self.path, format!("must be a whole number, {} to {}", range.start(), range.end()));
        }
        number
    }

    fn status(&self, range: std::ops::RangeInclusive<u64>, errors: &mut Errors) -> Option<u16> {
        self.integer(range, errors).and_then(|number| u16::try_from(number).ok())
    }

    fn choice<T: Copy>(&self, choices: &[(&str, T)], errors: &mut Errors) -> Option<T> {
        let text = self.value.as_str();
        let found = choices.iter().find(|(name, _)| Some(*name) == text).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            errors.add(&self.path, format!("must be one of {}", names.join(", ")));
        }
        found
    }

    /// One text, or a list of them.
    fn texts(&self, max: usize, errors: &mut Errors) -> Vec<&'v str> {
        let texts: Option<Vec<&str>> = match self.value {
            Value::String(text) => Some(vec![text]),
            Value::Array(items) => items.iter().map(Value::as_str).collect(),
            _ => None,
        };
        match texts {
            Some(texts) if (1..=max).contains(&texts.len()) => texts,
            Some(_) => {
                errors.add(&self.path, format!("has 1 to {max} entries"));
                Vec::new()
            }
            None => {
                errors.add(&self.path, "must be text, or a list of texts");
                Vec::new()
            }
        }
    }

    /// What a text is read as.
    fn parsed<T>(&self, parse: impl Fn(&str) -> Result<T, String>, errors: &mut Errors) -> Option<T> {
        match parse(self.text(errors)?) {
            Ok(value) => Some(value),
            Err(error) => {
                errors.add(&self.path, error);
                None
            }
        }
    }
}

fn preset(spec: &Value, given_name: Option<&str>, errors: &mut Errors) -> Option<Preset> {
    let mut root = Fields::new("", spec, errors)?;
    let name = match given_name {
        Some(name) => Some(name),
        None => root.need("name", errors).and_then(|field| field.text(errors)),
    };
    let title = root.take("title").and_then(|field| field.text(errors));
    let note = root.take("note").and_then(|field| field.text(errors));
    let methods = root.take("methods").map(|field| methods(&field, errors));
    let refused = root.take("refused").and_then(|field| field.status(400..=499, errors));
    let accepted = root.fields("accepted", errors);
    let accepted = accepted.and_then(|fields| self::accepted(fields, errors));
    let empty_body = root.take("empty_body").and_then(|field| field.bool(errors));
    let content = root.take("content").map(|field| content(&field, errors));
    let dedup = root.take("dedup").map(|field| dedup(&field, errors));
    let sample = root.fields("sample", errors).and_then(|fields| sample(fields, errors));
    let tables = root.list("scheme", SCHEMES_MAX, errors);
    if tables.is_empty() {
        errors.add("scheme", "a list with at least one scheme is needed");
    }
    let mut schemes = Vec::new();
    for table in tables {
        schemes.extend(scheme(table, errors));
    }
    let mut handshakes = Vec::new();
    for table in root.list("handshake", HANDSHAKES_MAX, errors) {
        handshakes.extend(handshake(table, errors));
    }
    root.finish(errors);

    let name = name?;
    let mut methods = methods.unwrap_or_else(|| vec!["POST".to_owned()]);
    for handshake in &handshakes {
        if let Some(method) = &handshake.method
            && !methods.contains(method)
        {
            methods.push(method.clone());
        }
    }
    let preset = Preset {
        name: name.to_owned(),
        title: title.unwrap_or(name).to_owned(),
        note: note.map(str::to_owned),
        methods,
        refused: refused.unwrap_or(401),
        accepted: accepted.unwrap_or(Accepted { status: 202, body: None }),
        empty_body: empty_body.unwrap_or(false),
        content: content.unwrap_or_else(|| vec![Content::Json]),
        dedup: dedup.unwrap_or_default(),
        schemes,
        handshakes,
        sample: sample.unwrap_or_else(usual_sample),
    };
    check_whole(&preset, errors);
    Some(preset)
}

/// What only the whole can tell.
fn check_whole(preset: &Preset, errors: &mut Errors) {
    let uses_id = |list: &[DedupTemplate]| list.iter().any(DedupTemplate::has_id);
    for (at, scheme) in preset.schemes.iter().enumerate() {
        if uses_id(preset.dedup_of(at)) && scheme.id.is_none() {
            errors.add("dedup", format!("{{id}} needs `id` in scheme[{at}]"));
        }
    }
    for (at, handshake) in preset.handshakes.iter().enumerate() {
        let hmac = preset.schemes.iter().any(|scheme| scheme.algorithm.is_hmac());
        let path = format!("handshake[{at}]");
        if handshake.answers_with_mac() && !hmac {
            errors.add(&path, "an HMAC in the answer needs a scheme with an hmac algorithm");
        }
        let body_alone = preset.schemes.iter().all(|scheme| scheme.signed.is_body_alone());
        let safe = body_alone && preset.content == [Content::Json];
        if handshake.phase == Phase::Open && handshake.answers_with_mac() && !safe {
            errors.add(
                &path,
                "an open handshake that answers with an HMAC signs for whoever asks; it needs `signed = \"{body}\"` and \
                 `content = [\"json\"]`, so that what it signs is never a body",
            );
        }
    }
}

fn usual_sample() -> Sample {
    Sample {
        body: r#"{"id": "evt_1", "type": "example", "data": {"amount": 12.50, "name": "Zoë"}}"#.to_owned(),
        content_type: "application/json".to_owned(),
    }
}

fn sample(mut fields: Fields<'_>, errors: &mut Errors) -> Option<Sample> {
    let body = fields.need("body", errors).and_then(|field| field.text(errors));
    let content_type = fields.take("content_type").and_then(|field| field.text(errors));
    fields.finish(errors);
    let content_type = content_type.unwrap_or("application/json").to_owned();
    Some(Sample { body: body?.to_owned(), content_type })
}

fn methods(field: &Field<'_>, errors: &mut Errors) -> Vec<String> {
    let methods = field.texts(METHODS.len(), errors);
    for method in &methods {
        if !METHODS.contains(method) {
            errors.add(&field.path, format!("`{method}` must be one of {}", METHODS.join(", ")));
        }
    }
    methods.into_iter().map(str::to_owned).collect()
}

fn content(field: &Field<'_>, errors: &mut Errors) -> Vec<Content> {
    let mut content = Vec::new();
    for name in field.texts(2, errors) {
        match name {
            "json" => content.push(Content::Json),
            "form" => content.push(Content::Form),
            _ => errors.add(&field.path, format!("`{name}` must be one of json, form")),
        }
    }
    content
}

fn dedup(field: &Field<'_>, errors: &mut Errors) -> Vec<DedupTemplate> {
    let mut templates = Vec::new();
    for text in field.texts(DEDUP_MAX, errors) {
        match DedupTemplate::parse(text) {
            Ok(template) => templates.push(template),
            Err(error) => errors.add(&field.path, error),
        }
    }
    templates
}

fn accepted(mut fields: Fields<'_>, errors: &mut Errors) -> Option<Accepted> {
    let status = fields.take("status").and_then(|field| field.status(200..=299, errors));
    let text = fields.take("text").and_then(|field| field.text(errors));
    let json = fields.take("json");
    let both = text.is_some() && json.is_some();
    if both {
        errors.add(&fields.path, "has `text` or `json`, not both");
    }
    fields.finish(errors);
    let text = text.map(|text| (TEXT, text.as_bytes().to_vec()));
    let body = text.or_else(|| json.map(|field| (JSON, field.value.to_string().into_bytes())));
    Some(Accepted { status: status.unwrap_or(202), body })
}

fn scheme(mut fields: Fields<'_>, errors: &mut Errors) -> Option<Scheme> {
    let algorithm = fields.need("algorithm", errors).and_then(|field| field.choice(&ALGORITHMS, errors));
    let path = fields.path.clone();
    let key = fields.take("key").and_then(|field| {
        let form = field.choice(&KEY_FORMS, errors)?;
        let allowed = algorithm?.key_forms();
        if !allowed.contains(&form) {
            let names: Vec<&str> =
                KEY_FORMS.iter().filter(|(_, form)| allowed.contains(form)).map(|(name, _)| *name).collect();
            errors.add(&field.path, format!("keys of this algorithm are {}", names.join(", ")));
        }
        Some(form)
    });
    let signed = fields.take("signed");
    let signed_given = signed.is_some();
    let signed = signed.and_then(|field| field.parsed(SignedTemplate::parse, errors));
    let signature = match fields.need("signature", errors) {
        Some(field) => {
            let inner = Fields::new(&field.path, field.value, errors);
            inner.and_then(|inner| signature(inner, algorithm, errors))
        }
        None => None,
    };
    let timestamp = fields.fields("timestamp", errors).and_then(|inner| timestamp(inner, errors));
    let id = fields.fields("id", errors).and_then(|mut inner| {
        let place = place(&mut inner, errors);
        inner.finish(errors);
        place
    });
    let items = fields.take("items").and_then(|field| field.parsed(Path::parse, errors));
    let body_hash_query =
        fields.take("body_hash_query").and_then(|field| field.text(errors)).map(str::to_owned);
    let dedup = fields.take("dedup").map(|field| dedup(&field, errors));
    fields.finish(errors);

    let algorithm = algorithm?;
    if !algorithm.is_token() && !signed_given {
        errors.add(&format!("{path}.signed"), "is needed");
    }
    let scheme = Scheme {
        algorithm,
        key: key.unwrap_or(algorithm.key_forms()[0]),
        signed: signed.unwrap_or_default(),
        signature: signature?,
        timestamp,
        id,
        items,
        body_hash_query,
        dedup,
    };
    check_scheme(&path, &scheme, signed_given, errors);
    Some(scheme)
}

/// What would make a scheme accept less than it seems to check, or nothing at all.
fn check_scheme(path: &str, scheme: &Scheme, signed_given: bool, errors: &mut Errors) {
    let at = |field: &str| format!("{path}.{field}");
    let signed = &scheme.signed;
    if scheme.algorithm.is_token() {
        if signed_given {
            errors.add(&at("signed"), "a token signs nothing; leave it out");
        }
        if scheme.timestamp.is_some() || scheme.id.is_some() {
            errors.add(path, "with a token, neither time nor id is signed; leave `timestamp` and `id` out");
        }
    } else {
        if signed_given && !signed.has_body() && !signed.has_form() && !signed.has_json() {
            errors.add(
                &at("signed"),
                "must hold {body}, {form|sorted} or {json:PATH}: otherwise any body is accepted",
            );
        }
        if signed.has_secret() != (scheme.algorithm == Algorithm::Sha256) {
            errors.add(&at("signed"), "holds {secret} with the algorithm sha256, and only there");
        }
    }
    let in_body = matches!(scheme.signature.at, Place::Json(_));
    if in_body && (signed.has_body() || signed.has_form()) {
        errors.add(&at("signed"), "a body cannot hold the signature over itself; sign {json:PATH}");
    }
    match &scheme.items {
        Some(items) if !items.is_many() => {
            errors.add(&at("items"), "needs a step with `[]`, like `value[]`");
        }
        Some(_) if !in_body => {
            errors.add(&at("items"), "goes with a signature in the body (`signature.json`)");
        }
        _ => {}
    }
    match &scheme.timestamp {
        Some(time) => check_time(path, scheme, time, errors),
        None if signed.has_timestamp() => {
            errors.add(&at("timestamp"), "is needed: {timestamp} is signed");
        }
        None => {}
    }
    match &scheme.id {
        Some(Place::Json(id)) if id.is_many() => errors.add(&at("id.json"), "names many values"),
        Some(_) if !signed.has_id() => {
            errors.add(&at("id"), "is not signed: add {id} to `signed`, or use `dedup`");
        }
        None if signed.has_id() => errors.add(&at("id"), "is needed: {id} is signed"),
        _ => {}
    }
    if scheme.body_hash_query.is_some() && !signed.has_url() {
        errors.add(&at("body_hash_query"), "must be signed as part of {url}");
    }
    let variants = scheme.variants();
    let time = scheme.timestamp.as_ref().and_then(|time| match &time.at {
        TimestampAt::Place(Place::Headers(names)) => Some(names.len()),
        _ => None,
    });
    let id = scheme.id.as_ref().and_then(|place| match place {
        Place::Headers(names) => Some(names.len()),
        Place::Json(_) => None,
    });
    for (field, count) in [("timestamp.header", time), ("id.header", id)] {
        if count.is_some_and(|count| count != 1 && count != variants) {
            errors.add(&at(field), "has one header, or as many as `signature.header`");
        }
    }
}

/// A time that nobody signed says nothing.
fn check_time(path: &str, scheme: &Scheme, time: &TimestampPlace, errors: &mut Errors) {
    let signed = &scheme.signed;
    let covered = match &time.at {
        TimestampAt::Place(Place::Json(at)) => {
            signed.has_timestamp() || signed.has_body() || signed.has_path(at)
        }
        _ => signed.has_timestamp(),
    };
    if !covered && !scheme.algorithm.is_token() {
        errors.add(&format!("{path}.timestamp"), "is not signed: add {timestamp} to `signed`");
    }
    match &time.at {
        TimestampAt::Part(_) if scheme.signature.separator.is_none() => {
            errors.add(&format!("{path}.timestamp.part"), "needs `signature.separator`");
        }
        TimestampAt::Place(Place::Json(at)) if at.is_many() => {
            errors.add(&format!("{path}.timestamp.json"), "names many values");
        }
        _ => {}
    }
}

fn signature(
    mut fields: Fields<'_>,
    algorithm: Option<Algorithm>,
    errors: &mut Errors,
) -> Option<SignaturePlace> {
    let at = place(&mut fields, errors);
    let prefix = fields.take("prefix").and_then(|field| field.text(errors));
    let separator = fields.take("separator").and_then(|field| {
        let text = field.text(errors)?;
        if text.is_empty() {
            errors.add(&field.path, "must not be empty");
        }
        Some(text.to_owned())
    });
    let encoding = match algorithm {
        Some(Algorithm::Token) => Some(Encoding::Text),
        Some(Algorithm::Basic) => Some(Encoding::Base64),
        _ => fields.need("encoding", errors).and_then(|field| {
            let encoding = field.choice(&ENCODINGS, errors)?;
            if encoding == Encoding::Text {
                errors.add(&field.path, "must be hex or base64");
            }
            Some(encoding)
        }),
    };
    let path = fields.path.clone();
    fields.finish(errors);
    let at = at?;
    if matches!(at, Place::Json(_)) && separator.is_some() {
        errors.add(&path, "`separator` goes with `header`");
    }
    if let Place::Json(inner) = &at
        && inner.is_many()
    {
        errors.add(&path, "`json` names many values; use `items`");
    }
    let prefix = match (prefix, algorithm) {
        (Some(prefix), _) => prefix,
        (None, Some(Algorithm::Basic)) => "Basic ",
        (None, _) => "",
    };
    Some(SignaturePlace { at, prefix: prefix.to_owned(), separator, encoding: encoding? })
}

fn place(fields: &mut Fields<'_>, errors: &mut Errors) -> Option<Place> {
    let header = fields.take("header").map(|field| headers(&field, errors));
    let json = fields.take("json").map(|field| field.parsed(Path::parse, errors));
    match (header, json) {
        (Some(names), None) => Some(Place::Headers(names?)),
        (None, Some(path)) => Some(Place::Json(path?)),
        _ => {
            errors.add(&fields.path, "has either `header` or `json`");
            None
        }
    }
}

fn headers(field: &Field<'_>, errors: &mut Errors) -> Option<Vec<HeaderName>> {
    let mut names: Vec<HeaderName> = Vec::new();
    for text in field.texts(HEADERS_MAX, errors) {
        match header_name(text) {
            Ok(name) if names.contains(&name) => errors.add(&field.path, format!("`{text}` is given twice")),
            Ok(name) => names.push(name),
            Err(error) => errors.add(&field.path, error),
        }
    }
    (!names.is_empty()).then_some(names)
}

fn timestamp(mut fields: Fields<'_>, errors: &mut Errors) -> Option<TimestampPlace> {
    let part = fields.take("part").map(|field| {
        let text = field.text(errors)?;
        if text.is_empty() {
            errors.add(&field.path, "must not be empty");
        }
        Some(text.to_owned())
    });
    let header = fields.take("header").map(|field| headers(&field, errors));
    let json = fields.take("json").map(|field| field.parsed(Path::parse, errors));
    let at = match (part, header, json) {
        (Some(part), None, None) => part.map(TimestampAt::Part),
        (None, Some(names), None) => names.map(|names| TimestampAt::Place(Place::Headers(names))),
        (None, None, Some(path)) => path.map(|path| TimestampAt::Place(Place::Json(path))),
        _ => {
            errors.add(&fields.path, "has one of `header`, `part` and `json`");
            None
        }
    };
    let unit = fields.take("unit").and_then(|field| field.choice(&UNITS, errors));
    let tolerance = match fields.take("tolerance_seconds") {
        Some(field) if field.value.as_str() == Some("none") => None,
        Some(field) => field.integer(1..=TOLERANCE_SECONDS_MAX, errors).map(Duration::from_secs),
        None => Some(Duration::from_secs(TOLERANCE_SECONDS_DEFAULT)),
    };
    fields.finish(errors);
    Some(TimestampPlace { at: at?, unit: unit.unwrap_or(Unit::Seconds), tolerance })
}

fn handshake(mut fields: Fields<'_>, errors: &mut Errors) -> Option<Handshake> {
    let path = fields.path.clone();
    let phase = fields
        .need("phase", errors)
        .and_then(|field| field.choice(&[("open", Phase::Open), ("signed", Phase::Signed)], errors));
    let method = fields.take("method").and_then(|field| methods(&field, errors).into_iter().next());
    let mut when = Vec::new();
    for condition in fields.list("when", CONDITIONS_MAX, errors) {
        when.extend(self::condition(condition, errors));
    }
    let mut status = 200;
    let mut answer = AnswerBody::Empty;
    if let Some(inner) = fields.fields("answer", errors) {
        (status, answer) = self::answer(inner, errors);
    }
    fields.finish(errors);
    let handshake = Handshake { phase: phase?, method, when, status, answer };
    let from_body = handshake.sources().into_iter().any(|source| matches!(source, Source::Json(_)));
    if handshake.phase == Phase::Open && from_body {
        errors.add(&path, "an open handshake reads query and headers; nobody has signed the body yet");
    }
    let told = handshake.phase == Phase::Open
        && (handshake.sources().iter().any(|source| matches!(source, Source::Query(_) | Source::Header(_)))
            || handshake.method.as_deref() == Some("HEAD"));
    if handshake.phase == Phase::Open && !told {
        errors.add(
            &path,
            "an open handshake needs something in query or headers by which it is told apart, or HEAD",
        );
    }
    if handshake.phase == Phase::Signed && handshake.when.is_empty() {
        errors.add(&format!("{path}.when"), "is needed: otherwise every request would be a handshake");
    }
    Some(handshake)
}

fn condition(mut fields: Fields<'_>, errors: &mut Errors) -> Option<Condition> {
    let path = fields.path.clone();
    let source = fields.need("value", errors).and_then(|field| field.parsed(Source::parse, errors));
    let equals = fields.take("equals").map(|field| field.value.clone());
    let verify_token = fields.take("verify_token").and_then(|field| field.bool(errors)).unwrap_or(false);
    fields.finish(errors);
    let expected = match (equals, verify_token) {
        (Some(value), false) => Expected::Equals(value),
        (None, true) => Expected::VerifyToken,
        _ => {
            errors.add(&path, "has either `equals`, or `verify_token = true`");
            return None;
        }
    };
    Some(Condition { source: source?, expected })
}

fn answer(mut fields: Fields<'_>, errors: &mut Errors) -> (u16, AnswerBody) {
    let path = fields.path.clone();
    let status = fields.take("status").and_then(|field| field.status(200..=299, errors));
    let text = fields.take("text").map(|field| field.parsed(Template::parse, errors));
    let json = fields.take("json");
    fields.finish(errors);
    let body = match (text, json) {
        (None, None) => AnswerBody::Empty,
        (Some(Some(template)), None) => AnswerBody::Text(template),
        (Some(None), None) => AnswerBody::Empty,
        (None, Some(field)) => AnswerBody::Json(members(&field, errors)),
        (Some(_), Some(_)) => {
            errors.add(&path, "has `text` or `json`, not both");
            AnswerBody::Empty
        }
    };
    (status.unwrap_or(200), body)
}

fn members(field: &Field<'_>, errors: &mut Errors) -> Vec<(String, Member)> {
    let Value::Object(object) = field.value else {
        errors.add(&field.path, "must be an object");
        return Vec::new();
    };
    let mut members = Vec::new();
    for (name, value) in object {
        let member = match value {
            Value::String(text) => match Template::parse(text) {
                Ok(template) => Member::Text(template),
                Err(error) => {
                    errors.add(&format!("{}.{name}", field.path), error);
                    continue;
                }
            },
            literal => Member::Literal(literal.clone()),
        };
        members.push((name.clone(), member));
    }
    members
}

/// Whether a secret of this form may not be meant for another scheme: used when a preset has several.
pub(super) fn claims(form: KeyForm, secret: &str) -> bool {
    form.prefix().is_none_or(|prefix| secret.starts_with(prefix))
}
