//! Expressions over JSON, in CEL: conditions, and values that are put together. Compiled once, where they are written; bounded
//! in size, in depth, in the work of each run and in what a run makes.
//!
//! Numbers without a fraction are integers, all others floating point; they compare with each other and are reckoned with
//! each other. A member that is not there is an error at run time: ask `has(new.member)` first.

mod compile;
mod run;
mod tree;
mod value;

use std::fmt;

use serde_json::Value;

use crate::limits;
use run::Run;
use tree::Node;
use value::Val;

pub use value::{Member, Members};

/// More than any expression that people read.
pub const EXPRESSION_BYTES_MAX: usize = 4096;
/// Operations, lists and calls inside each other. Reading and running them takes stack.
pub const EXPRESSION_DEPTH_MAX: usize = 48;
/// Names, literals and operations.
pub const EXPRESSION_NODES_MAX: usize = 1000;
/// `all`, `exists`, `map`, `filter` inside each other: orders, their lines, the lines' taxes. What they multiply is paid for
/// while they run.
pub const COMPREHENSION_DEPTH_MAX: usize = 3;

/// A compiled expression.
#[derive(Debug)]
pub struct Expression {
    source: String,
    tree: Node,
    uses: Vec<Use>,
}

/// What of a variable an expression looks at: the whole, or of an object one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    pub variable: String,
    pub member: Option<String>,
}

/// Why a source is no expression, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpressionError {
    /// 1 for the first line of the expression.
    pub line: usize,
    /// 1 for the first character of the line.
    pub column: usize,
    pub message: String,
}

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

impl Expression {
    /// Compiles an expression that may name `variables` and nothing else.
    pub fn compile(source: &str, variables: &[&str]) -> Result<Self, ExpressionError> {
        let (tree, uses) = compile::compile(source, variables)?;
        Ok(Self { source: source.to_owned(), tree, uses })
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    /// What it looks at, each once. A name in brackets is a member as well (`steps["a"]`), any other value there is a use of
    /// the whole.
    pub fn uses(&self) -> &[Use] {
        &self.uses
    }

    pub fn names(&self, variable: &str) -> bool {
        self.uses.iter().any(|used| used.variable == variable)
    }

    /// Which members of a variable it looks at.
    pub fn members_of(&self, variable: &str) -> impl Iterator<Item = &str> {
        self.uses
            .iter()
            .filter(move |used| used.variable == variable)
            .filter_map(|used| used.member.as_deref())
    }

    /// The line and column of a name that it uses.
    pub fn place(&self, name: &str) -> (usize, usize) {
        compile::place(&self.source, name)
    }

    /// Whether it holds. The error is a sentence: what went wrong, as on a member that is not there. No value is quoted in it.
    pub fn holds(&self, scope: &Scope<'_>) -> Result<bool, String> {
        Run::new(scope, run::WORK_MAX).bool(&self.tree).map_err(run::Failure::told)
    }

    /// Its value as JSON, which takes from `room`. Bytes become base64. The error is a sentence without values.
    pub fn value(&self, scope: &Scope<'_>, room: &mut Room) -> Result<Value, String> {
        let mut run = Run::new(scope, room.work);
        let value = run.value(&self.tree).and_then(|value| run.json(&value, 0, room));
        room.work = run.work_left();
        value.map_err(run::Failure::told)
    }

    /// How many elements the list has that it stands for: at most `items_max`, of at most `item_bytes_max` each.
    pub fn items(&self, scope: &Scope<'_>, items_max: usize, item_bytes_max: usize) -> Result<usize, String> {
        let mut run = Run::new(scope, run::WORK_MAX);
        let list = run.value(&self.tree).map_err(run::Failure::told)?;
        let items = list_len(&list)?;
        if items > items_max {
            return Err(format!("there are {items} items; at most {items_max} are gone through"));
        }
        let told = |at: usize, message: String| format!("item {at}: {message}");
        if let Val::Array(values) = list {
            for (at, value) in values.iter().enumerate() {
                Room::new(item_bytes_max).take(value).map_err(|message| told(at, message))?;
            }
            return Ok(items);
        }
        for (at, element) in list.elements().into_iter().flatten().enumerate() {
            let mut room = Room::new(item_bytes_max);
            run.json(&element, 0, &mut room).map_err(|failure| told(at, failure.told()))?;
        }
        Ok(items)
    }

    /// One of its elements.
    pub fn item(&self, scope: &Scope<'_>, at: usize, room: &mut Room) -> Result<Value, String> {
        let mut run = Run::new(scope, run::WORK_MAX);
        let list = run.value(&self.tree).map_err(run::Failure::told)?;
        list_len(&list)?;
        let element = list.elements().and_then(|mut elements| elements.nth(at));
        let Some(element) = element else { return Err(format!("there is no item {at}")) };
        run.json(&element, 0, room).map_err(run::Failure::told)
    }
}

fn list_len(list: &Val<'_>) -> Result<usize, String> {
    match list.len() {
        Some(len) if !list.is_object() => Ok(len),
        _ => Err(format!("it is {}, not a list", list.kind())),
    }
}

/// What is left of the bytes that values may take together, as compact JSON, and of the work that may be done for them.
#[derive(Debug)]
pub struct Room {
    left: usize,
    max: usize,
    work: u32,
}

/// A value in memory takes more than `0,` takes as text: the smallest counts as much as this.
const VALUE_BYTES_MIN: usize = 16;

impl Room {
    pub const fn new(max: usize) -> Self {
        Self { left: max, max, work: run::WORK_MAX }
    }

    pub const fn used(&self) -> usize {
        self.max - self.left
    }

    /// For a part of what is put together: what it takes is not taken yet, its work is.
    pub(crate) fn part<T>(&mut self, part: impl FnOnce(&mut Self) -> T) -> T {
        let mut for_part = Self { left: self.left, max: self.max, work: self.work };
        let made = part(&mut for_part);
        self.work = for_part.work;
        made
    }

    /// Whether a text of so many bytes still fits.
    pub(crate) fn check(&self, bytes: usize) -> Result<(), String> {
        if bytes > self.left { Err(self.full()) } else { Ok(()) }
    }

    fn full(&self) -> String {
        format!("it is larger than {} KiB as JSON", self.max / 1024)
    }

    /// A value of so many bytes that has no others in it, or the brackets of one that has. The error is a sentence.
    pub fn take_scalar(&mut self, bytes: usize) -> Result<(), String> {
        match self.left.checked_sub(bytes.max(VALUE_BYTES_MIN)) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(self.full()),
        }
    }

    pub fn take_text(&mut self, text: &str) -> Result<(), String> {
        let escaped = |byte: u8| match byte {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 1,
            0..0x20 => 5,
            _ => 0,
        };
        // What is too long anyhow is not looked at.
        let escapes = match text.len() <= self.left {
            true => text.bytes().map(escaped).sum(),
            false => 0,
        };
        self.take_scalar(text.len() + escapes + 2)
    }

    /// A whole value. Also refuses one that is nested deeper than [`limits::JSON_DEPTH_MAX`].
    pub fn take(&mut self, value: &Value) -> Result<(), String> {
        self.take_nested(value, 0)
    }

    fn take_nested(&mut self, value: &Value, depth: usize) -> Result<(), String> {
        if depth >= limits::JSON_DEPTH_MAX && (value.is_array() || value.is_object()) {
            return Err(format!("it is nested deeper than {} levels", limits::JSON_DEPTH_MAX));
        }
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => self.take_scalar(0),
            Value::String(text) => self.take_text(text),
            Value::Array(items) => {
                self.take_scalar(0)?;
                items.iter().try_for_each(|item| self.take_nested(item, depth + 1))
            }
            Value::Object(members) => {
                self.take_scalar(0)?;
                members.iter().try_for_each(|(key, member)| {
                    self.take_text(key)?;
                    self.take_nested(member, depth + 1)
                })
            }
        }
    }
}

/// What an expression's names stand for. Of two of the same name, the later counts.
#[derive(Debug, Clone, Default)]
pub struct Scope<'a>(Vec<(&'a str, Known<'a>)>);

#[derive(Debug, Clone)]
enum Known<'a> {
    Json(Option<&'a Value>),
    Text(String),
    Int(i64),
    Members(&'a Members),
}

impl<'a> Scope<'a> {
    /// A value that is nothing is `null`.
    #[must_use]
    pub fn with(mut self, name: &'a str, value: Option<&'a Value>) -> Self {
        self.0.push((name, Known::Json(value)));
        self
    }

    #[must_use]
    pub fn with_text(mut self, name: &'a str, text: String) -> Self {
        self.0.push((name, Known::Text(text)));
        self
    }

    #[must_use]
    pub fn with_int(mut self, name: &'a str, number: i64) -> Self {
        self.0.push((name, Known::Int(number)));
        self
    }

    #[must_use]
    pub fn with_members(mut self, name: &'a str, members: &'a Members) -> Self {
        self.0.push((name, Known::Members(members)));
        self
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NAMES: [&str; 4] = ["old", "new", "now", "today"];

    fn holds(source: &str, new: Value) -> Result<bool, String> {
        let expression = Expression::compile(source, &NAMES).expect("it compiles");
        let scope = Scope::default()
            .with("old", None)
            .with("new", Some(&new))
            .with_text("now", "2026-04-11T10:00:00.000Z".to_owned())
            .with_text("today", "2026-04-11".to_owned());
        expression.holds(&scope)
    }

    #[test]
    fn conditions_read_records() {
        let part =
            || json!({"name": "bolt", "quantity": 5, "threshold": 5, "tags": ["a", "b"], "at": {"x": 1.5}});
        for (source, expected) in [
            ("new.quantity <= new.threshold", true),
            ("new.quantity < new.threshold", false),
            ("new.name == 'bolt' && old == null", true),
            ("has(new.due_date) && new.due_date < today", false),
            ("new.at.x > 1", true),
            ("new.quantity + 0.5 == 5.5 || new.at.x == 1.5", true),
            ("'b' in new.tags", true),
            ("new.tags.exists(tag, tag == 'c')", false),
            ("size(new.tags) == 2 && !(new.name in ['nut', 'screw'])", true),
            ("today < now", true),
            ("size(new) == 5 && new.name == 'bolt'", true),
            ("has(new.at) && new.at.x > 1 && !has(new.due)", true),
        ] {
            assert_eq!(holds(source, part()), Ok(expected), "{source}");
        }
        assert_eq!(holds("new.big > 0", json!({"big": u64::MAX})), Ok(true));
        assert_eq!(holds("new.quantity == 5.0", json!({"quantity": 5})), Ok(true));
        assert_eq!(holds("new.quantity <= 4.5", json!({"quantity": 5})), Ok(false));
    }

    #[test]
    fn what_goes_wrong_at_run_time_is_a_sentence() {
        assert!(holds("new.missing == 1", json!({})).is_err_and(|why| why.contains("missing")));
        assert!(holds("new.name + 1 == 2", json!({"name": "x"})).is_err());
        assert!(holds("new.n / 0 == 1", json!({"n": 1})).is_err());
        assert!(holds("new.name", json!({"name": "x".repeat(10_000)})).is_err_and(|why| why.len() < 2000));
    }

    #[test]
    fn an_expression_that_does_not_compile_says_where() {
        let error = |source: &str| Expression::compile(source, &NAMES).expect_err("it does not compile");
        let of_line_two = error("new.status == 'open' &&\n  new.due <");
        assert_eq!(of_line_two.line, 2, "{of_line_two}");
        let unknown = error("new.status == 'open' || newer.status == 'open'");
        assert_eq!((unknown.line, unknown.column), (1, 25), "{unknown}");
        assert!(unknown.message.contains("old, new, now, today"), "{unknown}");
        assert!(error(&"1 + ".repeat(2000)).message.contains("at most"));
        for nested in [
            format!("{}1{} == 1", "[".repeat(500), "]".repeat(500)),
            format!("{}true", "!(".repeat(500)),
            format!("1{} == 1", " + 1".repeat(400)),
            format!("{}1{} == 1", "size(".repeat(500), ")".repeat(500)),
            format!("new{} == 1", ".a".repeat(900)),
            format!("{}true", "true ? true : ".repeat(200)),
        ] {
            assert!(!error(&nested).message.is_empty());
        }
        let four = "[1].all(a, [a].all(b, [b].all(c, [c].all(d, d == 1))))";
        assert!(error(four).message.contains("inside each other"));
        assert!(error("[1].all(x, x > 0) && x > 0").message.contains("`x` is not known"));
        for (source, expected) in [
            ("new.name.matches('a+')", "no function `matches`"),
            ("siez(new)", "`size`"),
            ("contains('a', 'b')", "text.contains(other)"),
            ("'a'.size(1)", "`size(x)`"),
            ("filter(new, 1)", "list.filter(x, …)"),
            ("Point{x: 1}.x == 1", "no types"),
            ("timestamp(now)", "no function `timestamp`"),
        ] {
            let error = error(source);
            assert!(error.message.contains(expected), "{source}: {error}");
        }
        assert_eq!(error("true &&\n  siez(new)").to_string().split(':').next(), Some("line 2, column 3"));
    }

    fn value(source: &str, new: &Value) -> Result<Value, String> {
        let expression = Expression::compile(source, &NAMES).expect("it compiles");
        expression.value(&Scope::default().with("new", Some(new)), &mut Room::new(256 * 1024))
    }

    #[test]
    fn values_are_put_together() {
        let new = json!({
            "first": "Ada", "n": 5, "price": 1.5, "big": u64::MAX, "none": null, "on": true,
            "tags": ["b", "a"], "lines": [{"sku": "x", "count": 2}, {"sku": "y", "count": 0}], "odd key": 1,
        });
        for (source, expected) in [
            ("new.n + 1", json!(6)),
            ("new.n * new.price", json!(7.5)),
            ("new.n / 2", json!(2)),
            ("new.n % 2 == 1 ? 'odd' : 'even'", json!("odd")),
            ("-new.n - 1", json!(-6)),
            ("new.big", json!(u64::MAX)),
            ("new.big > new.n && new.big == 18446744073709551615u", json!(true)),
            ("new.first + ' ' + string(new.n) + string(new.on)", json!("Ada 5true")),
            ("new.tags + [new.n, null]", json!(["b", "a", 5, null])),
            ("new.lines.filter(l, l.count > 0).map(l, l.sku)", json!(["x"])),
            (
                "new.lines.map(l, l.count > 0, {'sku': l.sku, 'n': l.count * 2})",
                json!([{"sku": "x", "n": 4}]),
            ),
            ("new.tags.map(t, new.lines.map(l, t + l.sku))", json!([["bx", "by"], ["ax", "ay"]])),
            ("new.lines[1].sku + new.tags[0]", json!("yb")),
            ("new['odd key']", json!(1)),
            ("{'a': [1, {'b': new.none}], 'c': new.price}", json!({"a": [1, {"b": null}], "c": 1.5})),
            ("new.lines", json!([{"sku": "x", "count": 2}, {"sku": "y", "count": 0}])),
            ("new.lines[0].map(key, key)", json!(["sku", "count"])),
            ("size('añ') + size(new.tags) + size({'a': 1}) + new.first.size()", json!(8)),
            ("int('12') + int(2.9) + int(3u)", json!(17)),
            ("double('1.5') + double(1)", json!(2.5)),
            ("string(1.5) + string(b'ab')", json!("1.5ab")),
            ("bytes('hi')", json!("aGk=")),
            ("' Ab '.trim().lowerAscii() + 'c'.upperAscii()", json!("abC")),
            ("'a,b,,c'.split(',').join('-')", json!("a-b--c")),
            ("'añb'.split('').map(c, c + '.')", json!(["a.", "ñ.", "b."])),
            ("'banana'.replace('an', '<>')", json!("b<><>a")),
            ("'añb'.substring(1) + 'añb'.substring(0, 2) + 'a'.substring(1)", json!("ñbañ")),
            ("new.tags.exists_one(t, t == 'a') && !new.tags.all(t, t == 'a')", json!(true)),
            ("new.lines.exists(l, l.missing == 1 || l.sku == 'y')", json!(true)),
            ("dyn(new.none) == null && [1, 2] == [1.0, 2] && {'a': 1} == {'a': 1u}", json!(true)),
            ("'a' in new.tags && 'n' in new && !('x' in {'y': 1})", json!(true)),
        ] {
            assert_eq!(value(source, &new), Ok(expected), "{source}");
        }
    }

    #[test]
    fn what_has_no_value_is_a_sentence_that_quotes_none() {
        let new =
            json!({"secret": "s3cr3t", "n": 9_223_372_036_854_775_807_i64, "list": [1], "x".repeat(5000): 1});
        for (source, expected) in [
            ("new.n + 1", "too large"),
            ("-(-new.n - 1)", "too large"),
            ("(-new.n - 1) / -1", "too large"),
            ("1 / 0", "divides by zero"),
            ("1 % 0", "divides by zero"),
            ("1.0 / 0.0", "no number that JSON can hold"),
            ("0.0 / 0.0 < 1.0", "`<` stands between"),
            ("new.secret + 1", "`+` stands between text and a number"),
            ("new.secret - new.secret", "`-` stands between"),
            ("new.secret.x", "`x` is asked of text"),
            ("new[new.secret]", "in `[…]`"),
            ("new.list[1]", "a list of 1"),
            ("new.list[-1]", "a list of 1"),
            ("new.list['a']", "a list of 1"),
            ("new.secret[0]", "stands behind text"),
            ("int(new.secret)", "`int` cannot read the text"),
            ("bool(new.secret)", "`bool` cannot read"),
            ("string(b'\\xff')", "not UTF-8"),
            ("{new.secret: 1, new.secret: 2}", "the same key twice"),
            ("{[1]: 1}", "cannot be a key"),
            ("{1: 1}", "in JSON it is text"),
            ("new.secret ? 1 : 2", "not true or false"),
            ("!new.secret", "`!` stands before text"),
            ("new.secret.map(x, x)", "no elements"),
            ("1 in new.secret", "`in` stands before text"),
            ("has(new.secret.x)", "`has` asks text"),
            ("[new.secret, 1].join(',')", "it joins text"),
            ("'a'.substring(2)", "outside the text"),
            ("'abc'.substring(2, 1)", "outside the text"),
            ("size(1)", "`size` is asked of a number"),
            ("1.contains('a')", "which does not have it"),
            ("'a'.contains(1)", "what it does not take"),
            ("[1].exists(x, x)", "not true or false"),
            ("true && new.missing", "`missing`"),
        ] {
            let why = value(source, &new).expect_err(source);
            assert!(why.contains(expected) && why.len() < 300 && !why.contains("s3cr3t"), "{source}: {why}");
        }
    }

    /// Each would take hours or gigabytes; what they may take is counted, not measured.
    #[test]
    fn expressions_that_explode_are_stopped() {
        let numbers: Vec<Value> = (0..100_000).map(Value::from).collect();
        let new =
            json!({"items": numbers, "big": "x".repeat(1_000_000), "same": vec!["y".repeat(1000); 1000]});
        let doubled =
            |times: usize| (0..times).fold("new.big".to_owned(), |text, _| format!("({text} + {text})"));
        let all = |inside: &str| format!("new.items.all(x, {inside})");
        for source in [
            // 4,096 bytes of source are 256 MB of text.
            doubled(8),
            format!("[{}].map(s, {}).size()", doubled(2), vec!["s"; 40].join(" + ")),
            format!("[new.big + new.big].map(x, [{}])", vec!["x + 'a'"; 100].join(", ")),
            "new.items.map(x, new.items.map(y, [x, y]))".to_owned(),
            "new.items.map(x, new.items + new.items)".to_owned(),
            all("x in new.items || true"),
            all("new.items == new.items"),
            all("size(new.big) > 0"),
            all("new.big.contains('xy') == false"),
            all("new.big < new.big + 'a'"),
            "new.items.map(x, new.items.map(y, new.items.map(z, z)))".to_owned(),
            "new.big.replace('x', new.big)".to_owned(),
            "new.big.replace('', new.big)".to_owned(),
            "new.big.split('').join(new.big)".to_owned(),
            "new.items.map(x, new.big.split(''))".to_owned(),
            "new.same.map(a, new.same.map(b, a == b))".to_owned(),
            "new.items.map(x, bytes(new.big))".to_owned(),
            format!("new.items.all(x, b'{}' != b'b')", "a".repeat(4000)),
            all("new.big.trim() != ''"),
            all("new.big.substring(900000, 900001) == 'x'"),
            all("new.big.replace('y', 'z') != ''"),
            // Passing over it is not possible.
            "new.items.all(x, x in new.items) || true".to_owned(),
            "[1].exists(x, new.items.all(y, y in new.items) || true)".to_owned(),
        ] {
            let why = value(&source, &new).expect_err(&source);
            assert!(why.contains("more than"), "{source}: {why}");
        }
        // References are not copies, until it is written down.
        assert_eq!(value("size(new.items.map(x, new.items))", &new), Ok(json!(100_000)));
        assert_eq!(value("new.items.filter(x, x % 2 == 0).size()", &new), Ok(json!(50_000)));
        for large in ["new.items", "new.big", "[new.big, new.big]", "{'a': new.same}", "{new.big: 1}"] {
            let why = value(large, &new).expect_err(large);
            assert_eq!(why, "it is larger than 256 KiB as JSON", "{large}");
        }
    }

    #[test]
    fn what_is_nested_too_deep_is_not_written_down() {
        let nested = |depth: usize| (0..depth).fold(json!(1), |value, _| json!([value]));
        assert!(value("new", &nested(64)).is_ok());
        assert!(value("new", &nested(65)).is_err_and(|why| why.contains("deeper than 64")));
        assert!(value("[new]", &nested(64)).is_err_and(|why| why.contains("deeper than 64")));
        assert!(Room::new(10_000).take(&nested(64)).is_ok());
        assert!(Room::new(10_000).take(&nested(65)).is_err());
    }

    #[test]
    fn the_deepest_expressions_need_little_stack() {
        let deepest = [
            format!("{}1{}", "[".repeat(45), "]".repeat(45)),
            format!("{}1{}", "{'a': ".repeat(45), "}".repeat(45)),
            format!("{}new", "!".repeat(45)),
            format!("{}1{}", "(1 + ".repeat(22), ")".repeat(22)),
            format!("{}1{}", "true ? [".repeat(20), "] : 1".repeat(20)),
            format!("new{}", ".map(x, x)".repeat(40)),
            format!("new{}", "[0]".repeat(45)),
        ];
        let run = move || {
            let new = (0..120).fold(json!(1), |value, _| json!([value]));
            for source in deepest {
                if let Ok(expression) = Expression::compile(&source, &NAMES) {
                    let scope = Scope::default().with("new", Some(&new));
                    let _ = expression.value(&scope, &mut Room::new(1000));
                }
            }
            let equal = Expression::compile("new == new", &NAMES).expect("it compiles");
            assert_eq!(equal.holds(&Scope::default().with("new", Some(&new))), Ok(true));
        };
        // Half of what a worker of the runtime has; this build takes several times as much of it as a released one.
        let thread = std::thread::Builder::new().stack_size(1024 * 1024).spawn(run).expect("a thread");
        thread.join().expect("it has room");
    }

    #[test]
    fn a_list_is_gone_through_item_by_item() {
        let items = |source: &str, new: Value| {
            let expression = Expression::compile(source, &NAMES).expect("it compiles");
            let scope = Scope::default().with("new", Some(&new));
            let count = expression.items(&scope, 3, 100)?;
            (0..count)
                .map(|at| expression.item(&scope, at, &mut Room::new(100)))
                .collect::<Result<Vec<_>, _>>()
        };
        assert_eq!(items("new", json!([1, {"a": 2}])), Ok(vec![json!(1), json!({"a": 2})]));
        assert_eq!(items("new.map(x, x + 1)", json!([1, 2])), Ok(vec![json!(2), json!(3)]));
        assert_eq!(items("new", json!([])), Ok(vec![]));
        for (source, new, expected) in [
            ("new", json!([1, 2, 3, 4]), "there are 4 items; at most 3"),
            ("new", json!({"a": 1}), "it is an object, not a list"),
            ("new", json!("abc"), "it is text, not a list"),
            ("new", json!([1, "x".repeat(100)]), "item 1: it is larger"),
            ("new.map(x, x + 'y')", json!(["x".repeat(99)]), "item 0: it is larger"),
        ] {
            assert!(items(source, new).is_err_and(|why| why.contains(expected)), "{source}: {expected}");
        }
    }

    mod oracle {
        use std::collections::HashMap;

        use proptest::prelude::*;

        use super::*;

        fn to_cel(value: &Value) -> cel::Value {
            match value {
                Value::Null => cel::Value::Null,
                Value::Bool(value) => (*value).into(),
                Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                    (Some(integer), _) => cel::Value::Int(integer),
                    (None, Some(integer)) => cel::Value::UInt(integer),
                    (None, None) => cel::Value::Float(number.as_f64().unwrap_or(f64::NAN)),
                },
                Value::String(text) => text.as_str().into(),
                Value::Array(items) => items.iter().map(to_cel).collect::<Vec<_>>().into(),
                Value::Object(members) => {
                    let members: HashMap<String, cel::Value> =
                        members.iter().map(|(key, value)| (key.clone(), to_cel(value))).collect();
                    members.into()
                }
            }
        }

        /// `None`: JSON cannot hold it.
        fn to_json(value: &cel::Value) -> Option<Value> {
            Some(match value {
                cel::Value::Null => Value::Null,
                cel::Value::Bool(value) => Value::Bool(*value),
                cel::Value::Int(value) => Value::from(*value),
                cel::Value::UInt(value) => Value::from(*value),
                cel::Value::Float(value) => Value::Number(serde_json::Number::from_f64(*value)?),
                cel::Value::String(text) => Value::String(text.to_string()),
                cel::Value::List(items) => Value::Array(items.iter().map(to_json).collect::<Option<_>>()?),
                cel::Value::Map(map) => {
                    let mut members = serde_json::Map::new();
                    for (key, value) in map.map.iter() {
                        let cel::objects::Key::String(key) = key else { return None };
                        members.insert(key.to_string(), to_json(value)?);
                    }
                    Value::Object(members)
                }
                _ => return None,
            })
        }

        fn library(source: &str, new: &Value) -> Option<Option<Value>> {
            let tree = cel::parser::PrattParser::new().parse(source).expect("it compiles");
            let mut context = cel::Context::with_env(std::sync::Arc::new(cel::Env::stdlib()));
            context.add_variable_from_value("new", to_cel(new));
            cel::Value::resolve(&tree, &context).ok().map(|value| to_json(&value))
        }

        fn source() -> impl Strategy<Value = String> {
            let leaf = prop_oneof![
                prop::sample::select(vec![
                    "0",
                    "1",
                    "-3",
                    "2.5",
                    "-0.0",
                    "1u",
                    "7u",
                    "true",
                    "false",
                    "null",
                    "'a'",
                    "'ab'",
                    "''",
                    "'7'",
                    "b'a'",
                    "[]",
                    "{}",
                    "9223372036854775807",
                    "new.n",
                    "new.f",
                    "new.t",
                    "new.list",
                    "new.at",
                    "new.at.x",
                    "new.missing",
                    "new",
                    "new.big",
                    "new.none",
                ])
                .prop_map(str::to_owned),
            ];
            leaf.prop_recursive(4, 24, 3, |inner| {
                let signs = vec!["+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "in", "&&", "||"];
                let calls = vec!["size", "int", "uint", "double", "string", "bool", "dyn"];
                let loops = vec!["all", "exists", "exists_one", "filter", "map"];
                prop_oneof![
                    4 => (inner.clone(), prop::sample::select(signs), inner.clone())
                        .prop_map(|(left, sign, right)| format!("({left} {sign} {right})")),
                    1 => (prop::sample::select(calls), inner.clone()).prop_map(|(name, of)| format!("{name}({of})")),
                    1 => (inner.clone(), prop::sample::select(vec!["contains", "startsWith", "endsWith"]), inner.clone())
                        .prop_map(|(of, name, with)| format!("{of}.{name}({with})")),
                    1 => (inner.clone(), inner.clone(), inner.clone())
                        .prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
                    1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("[{a}, {b}]")),
                    1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{{'k': {a}, 'a': {b}}}")),
                    1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a})[{b}]")),
                    1 => inner.clone().prop_map(|of| format!("({of}).a")),
                    1 => inner.clone().prop_map(|of| format!("has(({of}).a)")),
                    1 => inner.clone().prop_map(|of| format!("!({of})")),
                    1 => inner.clone().prop_map(|of| format!("-({of})")),
                    // Not over objects of several members: the library goes through these in any order.
                    2 => (
                        prop_oneof![
                            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("[{a}, {b}]")),
                            inner.clone().prop_map(|a| format!("{{'k': {a}}}")),
                            prop::sample::select(vec!["new.list", "new.at", "new.n", "[]"]).prop_map(str::to_owned),
                        ],
                        prop::sample::select(loops),
                        inner.clone(),
                        any::<bool>(),
                    )
                        .prop_map(|(of, name, body, own)| match own {
                            true => format!("{of}.{name}(x, x == {body})"),
                            false => format!("{of}.{name}(x, {body})"),
                        }),
                ]
            })
        }

        /// Order of an object's members aside: the library's maps have none.
        fn same(ours: &Value, library: &Value) -> bool {
            match (ours, library) {
                (Value::Object(a), Value::Object(b)) => {
                    a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
                }
                (Value::Array(a), Value::Array(b)) => {
                    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
                }
                (a, b) => a == b,
            }
        }

        proptest! {
            #![proptest_config(ProptestConfig::with_cases(1000))]
            #[test]
            fn where_the_library_has_a_value_so_have_we(source in source()) {
                let new = json!({
                    "n": 5, "f": 1.5, "t": "abc", "list": [1, "a", 2.5, null], "at": {"x": 1}, "a": [true],
                    "big": u64::MAX, "none": null,
                });
                let Ok(expression) = Expression::compile(&source, &NAMES) else { return Ok(()) };
                let ours = expression.value(&Scope::default().with("new", Some(&new)), &mut Room::new(256 * 1024));
                match library(&source, &new) {
                    // The library appends the keys of an object to a list, which CEL does not.
                    Some(Some(_)) if ours.as_ref().is_err_and(|why| why.contains("a list and an object")) => {}
                    Some(Some(value)) => {
                        let ours = ours.map_err(|why| TestCaseError::fail(format!("{source}: {why}, not {value}")))?;
                        prop_assert!(same(&ours, &value), "{}: {} and {}", source, ours, value);
                    }
                    Some(None) => {}
                    // Numbers of different kinds are reckoned with each other here.
                    None if source.contains(['+', '-', '*', '/', '%']) => {}
                    None => prop_assert!(ours.is_err(), "{}: {:?}", source, ours),
                }
            }
        }
    }
}
