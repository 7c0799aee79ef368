//! Runs a compiled expression within a budget.
//!
//! The library has an evaluator of its own, which copies what it works with and counts nothing: over a body of 25 MB,
//! `input.items.map(x, input.items)` is quadratic in memory, `input.items.all(x, x in input.items)` in time, and
//! `[s + s].map(x, [x, x, …])` makes gigabytes of a kilobyte. Bounding the source does not help, because the factors come from
//! the data; bounding the data would refuse what is harmless. So each step is paid for here, from two purses:
//!
//! - **work**: one for each operation and each element that is looked at or compared, and one for each
//!   [`BYTES_PER_WORK`] bytes of text that are read or copied. Whatever the expression and the data are, it ends after
//!   [`WORK_MAX`] of them.
//! - **room**: the bytes of all texts and lists that it makes, dropped ones too, are at most [`MADE_BYTES_MAX`]. They are
//!   paid for before they are made. The input is never copied, and copies of what was made are references.
//!
//! An empty purse is no error that `||` or `exists` could pass over. The library's evaluator is the oracle of the tests.

use std::cmp::Ordering;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value};

use super::tree::{Binary, Function, Loop, LoopKind, Node};
use super::value::{Text, Val};
use super::{Known, Room, Scope};
use crate::limits;

/// Operations of one run: the filter of a list of 300,000 elements. On one core the worst that was found takes some 100 ms,
/// most 30.
pub(super) const WORK_MAX: u32 = 2_000_000;
/// Bytes that one run makes. A result has [`limits::STEP_OUTPUT_BYTES_MAX`] at most; what is on the way to it may be larger.
pub(super) const MADE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Text that is read or copied costs one operation for so many bytes: some 10 ns, as much as an operation.
const BYTES_PER_WORK: usize = 64;
/// The same where each character is looked at.
const BYTES_PER_WORK_SLOW: usize = 16;
/// What an element of a list takes.
const ELEMENT_BYTES: usize = size_of::<Val<'_>>();
const NAME_CHARS_MAX: usize = 60;

/// Why it has no value.
#[derive(Debug)]
pub(super) enum Failure {
    /// A sentence. `||`, `&&`, `all` and `exists` pass over it where the other side decides.
    Wrong(String),
    /// A purse is empty: nothing passes over that.
    Exhausted(String),
}

impl Failure {
    pub(super) fn told(self) -> String {
        match self {
            Self::Wrong(message) | Self::Exhausted(message) => message,
        }
    }
}

fn wrong<T>(message: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Wrong(message.into()))
}

pub(super) struct Run<'v> {
    scope: &'v Scope<'v>,
    /// The elements that the loops are at, the outermost first.
    locals: Vec<Val<'v>>,
    work: u32,
    made_bytes: usize,
}

type Outcome<'v> = Result<Val<'v>, Failure>;

impl<'v> Run<'v> {
    /// `work`: what is left of [`WORK_MAX`], where several expressions make one value.
    pub(super) fn new(scope: &'v Scope<'v>, work: u32) -> Self {
        Self { scope, locals: Vec::new(), work, made_bytes: 0 }
    }

    pub(super) const fn work_left(&self) -> u32 {
        self.work
    }

    fn pay(&mut self, work: usize) -> Result<(), Failure> {
        match u32::try_from(work).ok().and_then(|work| self.work.checked_sub(work)) {
            Some(left) => {
                self.work = left;
                Ok(())
            }
            None => {
                self.work = 0;
                Err(Failure::Exhausted(format!("it takes more than {WORK_MAX} operations on this data")))
            }
        }
    }

    /// Before so many bytes are made.
    fn make(&mut self, bytes: usize) -> Result<(), Failure> {
        self.pay(bytes / BYTES_PER_WORK)?;
        self.made_bytes = self.made_bytes.saturating_add(bytes);
        if self.made_bytes > MADE_BYTES_MAX {
            self.work = 0;
            let message = format!("it makes more than {} MiB of this data", MADE_BYTES_MAX / 1024 / 1024);
            return Err(Failure::Exhausted(message));
        }
        Ok(())
    }

    pub(super) fn value(&mut self, node: &'v Node) -> Outcome<'v> {
        self.pay(1)?;
        match node {
            Node::Null => Ok(Val::Null),
            Node::Bool(value) => Ok(Val::Bool(*value)),
            Node::Int(value) => Ok(Val::Int(*value)),
            Node::UInt(value) => Ok(Val::UInt(*value)),
            Node::Double(value) => Ok(Val::Double(*value)),
            Node::Text(text) => Ok(Val::Text(Text::Lent(text))),
            Node::Bytes(bytes) => {
                self.make(bytes.len())?;
                Ok(Val::Bytes(Rc::from(bytes.as_slice())))
            }
            Node::Variable(name) => self.variable(name),
            Node::Local(at) => match self.locals.get(*at) {
                Some(local) => Ok(local.clone()),
                None => wrong("a name of a loop is not known here"),
            },
            Node::Member(of, name) => {
                let of = self.value(of)?;
                self.member(&of, name)
            }
            Node::Has(of, name) => {
                let of = self.value(of)?;
                if !of.is_object() {
                    return wrong(format!("`has` asks {} for `{}`", of.kind(), shown(name)));
                }
                self.pay_lookup(&of)?;
                Ok(Val::Bool(of.member(name).is_some()))
            }
            Node::Index(parts) => {
                let of = self.value(&parts[0])?;
                let at = self.value(&parts[1])?;
                self.index(&of, &at)
            }
            Node::List(nodes) => {
                self.make(nodes.len() * ELEMENT_BYTES)?;
                let mut items = Vec::with_capacity(nodes.len());
                for node in nodes {
                    items.push(self.value(node)?);
                }
                Ok(Val::List(Rc::new(items)))
            }
            Node::Map(nodes) => self.map(nodes),
            Node::Not(of) => match self.value(of)? {
                Val::Bool(value) => Ok(Val::Bool(!value)),
                other => wrong(format!("`!` stands before {}", other.kind())),
            },
            Node::Negate(of) => match self.value(of)? {
                Val::Int(value) => value.checked_neg().map(Val::Int).ok_or_else(overflow),
                Val::Double(value) => Ok(Val::Double(-value)),
                other => wrong(format!("`-` stands before {}", other.kind())),
            },
            Node::And(parts) => self.both(parts, false),
            Node::Or(parts) => self.both(parts, true),
            Node::If(parts) => {
                let holds = self.bool(&parts[0])?;
                self.value(&parts[if holds { 1 } else { 2 }])
            }
            Node::Binary(binary, parts) => {
                let left = self.value(&parts[0])?;
                let right = self.value(&parts[1])?;
                self.binary(*binary, &left, &right)
            }
            Node::Call(function, nodes) => self.call(*function, nodes),
            Node::Loop(made) => self.run_loop(made),
        }
    }

    pub(super) fn bool(&mut self, node: &'v Node) -> Result<bool, Failure> {
        match self.value(node)? {
            Val::Bool(holds) => Ok(holds),
            other => wrong(format!("it is {}, not true or false", other.kind())),
        }
    }

    fn variable(&self, name: &str) -> Outcome<'v> {
        let known = self.scope.0.iter().rev().find(|(known, _)| *known == name);
        Ok(match known {
            Some((_, Known::Json(Some(value)))) => Val::of_json(value),
            Some((_, Known::Json(None))) => Val::Null,
            Some((_, Known::Text(text))) => Val::Text(Text::Lent(text)),
            Some((_, Known::Int(number))) => Val::Int(*number),
            Some((_, Known::Members(members))) => Val::Members(members),
            None => return wrong(format!("`{}` has no value here", shown(name))),
        })
    }

    /// Objects that expressions write are looked through; those of the input are indexed.
    fn pay_lookup(&mut self, of: &Val<'v>) -> Result<(), Failure> {
        match of {
            Val::Map(entries) => self.pay(entries.len() / 4),
            _ => Ok(()),
        }
    }

    fn member(&mut self, of: &Val<'v>, name: &str) -> Outcome<'v> {
        self.pay_lookup(of)?;
        match of.member(name) {
            Some(value) => Ok(value),
            None if of.is_object() => {
                wrong(format!("there is no member `{}`: ask `has(…)` first", shown(name)))
            }
            None => wrong(format!("`{}` is asked of {}, which has no members", shown(name), of.kind())),
        }
    }

    fn index(&mut self, of: &Val<'v>, at: &Val<'v>) -> Outcome<'v> {
        let position = || match at {
            Val::Int(at) => usize::try_from(*at).ok(),
            Val::UInt(at) => usize::try_from(*at).ok(),
            Val::Double(at) if at.fract() == 0.0 && *at >= 0.0 && *at < 9e15 => Some(*at as usize),
            _ => None,
        };
        let found = match (of, at) {
            (Val::Array(items), _) => position().and_then(|at| items.get(at)).map(Val::of_json),
            (Val::List(items), _) => position().and_then(|at| items.get(at)).cloned(),
            (Val::Object(_) | Val::Members(_), Val::Text(name)) => of.member(name.as_str()),
            (Val::Map(entries), _) => {
                self.pay_lookup(of)?;
                let mut found = None;
                for (key, value) in entries.iter() {
                    if self.equal(key, at)? {
                        found = Some(value.clone());
                    }
                }
                found
            }
            (Val::Object(_) | Val::Members(_), _) => None,
            _ => return wrong(format!("`[…]` stands behind {}", of.kind())),
        };
        match found {
            Some(found) => Ok(found),
            // What stands in the brackets may be a secret: it is not quoted.
            None if of.is_object() => wrong("there is no member of the name in `[…]`"),
            None => wrong(format!("`[…]` is no position in a list of {}", of.len().unwrap_or(0))),
        }
    }

    fn map(&mut self, nodes: &'v [(Node, Node)]) -> Outcome<'v> {
        self.make(nodes.len() * 2 * ELEMENT_BYTES)?;
        let mut entries: Vec<(Val<'v>, Val<'v>)> = Vec::with_capacity(nodes.len());
        for (key, value) in nodes {
            let key = self.value(key)?;
            if !is_key(&key) {
                return wrong(format!("{} cannot be a key of an object", key.kind()));
            }
            for (known, _) in &entries {
                if self.equal(known, &key)? {
                    return wrong("an object has the same key twice");
                }
            }
            let value = self.value(value)?;
            entries.push((key, value));
        }
        Ok(Val::Map(Rc::new(entries)))
    }

    /// `&&` and `||`: where one side decides, an error of the other does not matter. `deciding`: the side that decides.
    fn both(&mut self, parts: &'v [Node; 2], deciding: bool) -> Outcome<'v> {
        let left = match self.bool(&parts[0]) {
            Ok(left) if left == deciding => return Ok(Val::Bool(deciding)),
            Err(Failure::Exhausted(message)) => return Err(Failure::Exhausted(message)),
            left => left,
        };
        match (left, self.bool(&parts[1])) {
            (_, Ok(right)) if right == deciding => Ok(Val::Bool(deciding)),
            (_, Err(Failure::Exhausted(message))) => Err(Failure::Exhausted(message)),
            (Err(failure), _) | (Ok(_), Err(failure)) => Err(failure),
            (Ok(_), Ok(right)) => Ok(Val::Bool(right)),
        }
    }

    fn run_loop(&mut self, made: &'v Loop) -> Outcome<'v> {
        let over = self.value(&made.over)?;
        let Some(elements) = over.elements() else {
            return wrong(format!("{} has no elements to go through", over.kind()));
        };
        match made.kind {
            LoopKind::All => self.decide(elements, &made.body, false),
            LoopKind::Exists => self.decide(elements, &made.body, true),
            LoopKind::ExistsOne => {
                let mut count = 0u32;
                for element in elements {
                    count += u32::from(self.with_local(element, |run| run.bool(&made.body))?);
                }
                Ok(Val::Bool(count == 1))
            }
            LoopKind::List => {
                let mut items = Vec::new();
                for element in elements {
                    let item = self.with_local(element, |run| match &made.guard {
                        Some(guard) if !run.bool(guard)? => Ok(None),
                        _ => run.value(&made.body).map(Some),
                    })?;
                    if let Some(item) = item {
                        // A list that grows is moved some times: it takes up to twice its elements.
                        self.make(2 * ELEMENT_BYTES)?;
                        items.push(item);
                    }
                }
                Ok(Val::List(Rc::new(items)))
            }
        }
    }

    /// `all` and `exists`: an element that decides outweighs errors of others.
    fn decide(
        &mut self,
        elements: impl Iterator<Item = Val<'v>>,
        body: &'v Node,
        deciding: bool,
    ) -> Outcome<'v> {
        let mut pending = None;
        for element in elements {
            match self.with_local(element, |run| run.bool(body)) {
                Ok(holds) if holds == deciding => return Ok(Val::Bool(deciding)),
                Ok(_) => {}
                Err(Failure::Exhausted(message)) => return Err(Failure::Exhausted(message)),
                Err(failure) => pending = Some(failure),
            }
        }
        pending.map_or(Ok(Val::Bool(!deciding)), Err)
    }

    fn with_local<T>(
        &mut self,
        element: Val<'v>,
        then: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.pay(1)?;
        self.locals.push(element);
        let done = then(self);
        self.locals.pop();
        done
    }

    fn binary(&mut self, binary: Binary, left: &Val<'v>, right: &Val<'v>) -> Outcome<'v> {
        match binary {
            Binary::Equal => Ok(Val::Bool(self.equal(left, right)?)),
            Binary::NotEqual => Ok(Val::Bool(!self.equal(left, right)?)),
            Binary::Less => Ok(Val::Bool(self.compared(binary, left, right)?.is_lt())),
            Binary::LessOrEqual => Ok(Val::Bool(self.compared(binary, left, right)?.is_le())),
            Binary::Greater => Ok(Val::Bool(self.compared(binary, left, right)?.is_gt())),
            Binary::GreaterOrEqual => Ok(Val::Bool(self.compared(binary, left, right)?.is_ge())),
            Binary::In => self.contained(left, right),
            Binary::Add => self.sum(left, right),
            Binary::Subtract | Binary::Multiply | Binary::Divide | Binary::Remainder => {
                arithmetic(binary, left, right)
            }
        }
    }

    fn sum(&mut self, left: &Val<'v>, right: &Val<'v>) -> Outcome<'v> {
        match (left, right) {
            (Val::Text(left), Val::Text(right)) => {
                let (left, right) = (left.as_str(), right.as_str());
                self.text_of(left.len() + right.len(), |text| {
                    text.push_str(left);
                    text.push_str(right);
                })
            }
            (Val::Bytes(left), Val::Bytes(right)) => {
                self.make(left.len() + right.len())?;
                Ok(Val::Bytes([&**left, &**right].concat().into()))
            }
            _ => match (left.elements(), right.elements(), left.len(), right.len()) {
                (Some(first), Some(then), Some(left_len), Some(right_len))
                    if !left.is_object() && !right.is_object() =>
                {
                    self.make((left_len + right_len) * ELEMENT_BYTES)?;
                    Ok(Val::List(Rc::new(first.chain(then).collect())))
                }
                _ => arithmetic(Binary::Add, left, right),
            },
        }
    }

    /// A text of so many bytes.
    fn text_of(&mut self, bytes: usize, write: impl FnOnce(&mut String)) -> Outcome<'v> {
        self.make(bytes)?;
        let mut text = String::with_capacity(bytes);
        write(&mut text);
        Ok(Val::Text(Text::Made(text.into())))
    }

    /// `in`: an element of a list, a key of an object.
    fn contained(&mut self, value: &Val<'v>, container: &Val<'v>) -> Outcome<'v> {
        if let (Val::Object(_) | Val::Members(_), Val::Text(name)) = (container, value) {
            return Ok(Val::Bool(container.member(name.as_str()).is_some()));
        }
        let Some(elements) = container.elements() else {
            return wrong(format!("`in` stands before {}", container.kind()));
        };
        if container.is_object() && !is_key(value) && !matches!(value, Val::Double(_)) {
            return wrong(format!("{} cannot be a key of an object", value.kind()));
        }
        for element in elements {
            if self.equal(&element, value)? {
                return Ok(Val::Bool(true));
            }
        }
        Ok(Val::Bool(false))
    }

    fn equal(&mut self, left: &Val<'v>, right: &Val<'v>) -> Result<bool, Failure> {
        self.pay(1)?;
        Ok(match (left, right) {
            (Val::Null, Val::Null) => true,
            (Val::Bool(left), Val::Bool(right)) => left == right,
            (Val::Text(left), Val::Text(right)) => {
                let (left, right) = (left.as_str(), right.as_str());
                // Of different lengths nothing is read.
                if left.len() == right.len() {
                    self.pay(left.len() / BYTES_PER_WORK)?;
                }
                left == right
            }
            (Val::Bytes(left), Val::Bytes(right)) => {
                self.pay(left.len() / BYTES_PER_WORK)?;
                left == right
            }
            (Val::Int(_) | Val::UInt(_) | Val::Double(_), Val::Int(_) | Val::UInt(_) | Val::Double(_)) => {
                numbers_compared(left, right).is_some_and(Ordering::is_eq)
            }
            (Val::Array(_) | Val::List(_), Val::Array(_) | Val::List(_)) => {
                let (Some(first), Some(then)) = (left.elements(), right.elements()) else { return Ok(false) };
                if left.len() != right.len() {
                    return Ok(false);
                }
                for (left, right) in first.zip(then) {
                    if !self.equal(&left, &right)? {
                        return Ok(false);
                    }
                }
                true
            }
            (left, right) if left.is_object() && right.is_object() => {
                let Some(keys) = left.elements() else { return Ok(false) };
                if left.len() != right.len() {
                    return Ok(false);
                }
                for key in keys {
                    // Two lookups by name.
                    self.pay(4)?;
                    match (self.index(left, &key), self.index(right, &key)) {
                        (Ok(left), Ok(right)) if self.equal(&left, &right)? => {}
                        (Err(Failure::Exhausted(message)), _) | (_, Err(Failure::Exhausted(message))) => {
                            return Err(Failure::Exhausted(message));
                        }
                        _ => return Ok(false),
                    }
                }
                true
            }
            _ => false,
        })
    }

    fn compared(&mut self, binary: Binary, left: &Val<'v>, right: &Val<'v>) -> Result<Ordering, Failure> {
        let ordering = match (left, right) {
            (Val::Text(left), Val::Text(right)) => {
                let (left, right) = (left.as_str(), right.as_str());
                self.pay(left.len().min(right.len()) / BYTES_PER_WORK)?;
                Some(left.cmp(right))
            }
            (Val::Bytes(left), Val::Bytes(right)) => {
                self.pay(left.len().min(right.len()) / BYTES_PER_WORK)?;
                Some(left.cmp(right))
            }
            (Val::Bool(left), Val::Bool(right)) => Some(left.cmp(right)),
            _ => numbers_compared(left, right),
        };
        ordering.ok_or_else(|| no_operation(binary, left, right))
    }

    fn call(&mut self, function: Function, nodes: &'v [Node]) -> Outcome<'v> {
        let mut values = Vec::with_capacity(nodes.len());
        for node in nodes {
            values.push(self.value(node)?);
        }
        match (function, values.as_slice()) {
            (Function::Dyn, [value]) => Ok(value.clone()),
            (Function::Size, [value]) => self.size(value),
            (Function::Text, [value]) => self.as_text(value),
            (Function::Bytes, [Val::Text(text)]) => {
                self.make(text.as_str().len())?;
                Ok(Val::Bytes(text.as_str().as_bytes().into()))
            }
            (Function::Bytes, [Val::Bytes(bytes)]) => Ok(Val::Bytes(Rc::clone(bytes))),
            (Function::Bool, [Val::Bool(value)]) => Ok(Val::Bool(*value)),
            (Function::Bool, [Val::Text(text)]) => match text.as_str() {
                "1" | "t" | "true" | "TRUE" | "True" => Ok(Val::Bool(true)),
                "0" | "f" | "false" | "FALSE" | "False" => Ok(Val::Bool(false)),
                _ => unreadable("bool"),
            },
            (Function::Int | Function::UInt | Function::Double, [value]) => {
                if let Val::Text(text) = value {
                    self.pay(text.as_str().len() / BYTES_PER_WORK_SLOW)?;
                }
                number_of(function, value)
            }
            (Function::Join, [list, rest @ ..]) => self.join(list, rest),
            (_, [Val::Text(text), rest @ ..]) => self.text_function(function, text, rest),
            (_, [value, ..]) => {
                wrong(format!("a function is asked of {}, which does not have it", value.kind()))
            }
            (_, []) => wrong("a function has nothing to work with"),
        }
    }

    fn size(&mut self, value: &Val<'v>) -> Outcome<'v> {
        let size = match value {
            Val::Text(text) => {
                self.pay(text.as_str().len() / BYTES_PER_WORK)?;
                text.as_str().chars().count()
            }
            Val::Bytes(bytes) => bytes.len(),
            other => match other.len() {
                Some(len) => len,
                None => return wrong(format!("`size` is asked of {}", other.kind())),
            },
        };
        Ok(Val::Int(i64::try_from(size).unwrap_or(i64::MAX)))
    }

    fn as_text(&mut self, value: &Val<'v>) -> Outcome<'v> {
        let text = match value {
            Val::Text(text) => return Ok(Val::Text(text.clone())),
            Val::Bool(value) => value.to_string(),
            Val::Int(value) => value.to_string(),
            Val::UInt(value) => value.to_string(),
            Val::Double(value) => value.to_string(),
            Val::Bytes(bytes) => {
                self.make(bytes.len())?;
                match std::str::from_utf8(bytes) {
                    Ok(text) => text.to_owned(),
                    Err(_) => return wrong("the bytes are not UTF-8"),
                }
            }
            other => return wrong(format!("`string` cannot read {}", other.kind())),
        };
        self.make(text.len())?;
        Ok(Val::Text(Text::Made(text.into())))
    }

    fn text_function(&mut self, function: Function, text: &Text<'v>, rest: &[Val<'v>]) -> Outcome<'v> {
        let text = text.as_str();
        match (function, rest) {
            (Function::Contains, [Val::Text(other)]) => {
                self.pay((text.len() + other.as_str().len()) / BYTES_PER_WORK_SLOW)?;
                Ok(Val::Bool(text.contains(other.as_str())))
            }
            (Function::StartsWith, [Val::Text(other)]) => {
                self.pay(other.as_str().len() / BYTES_PER_WORK)?;
                Ok(Val::Bool(text.starts_with(other.as_str())))
            }
            (Function::EndsWith, [Val::Text(other)]) => {
                self.pay(other.as_str().len() / BYTES_PER_WORK)?;
                Ok(Val::Bool(text.ends_with(other.as_str())))
            }
            (Function::LowerAscii, []) => self.text_of(text.len(), |out| {
                out.push_str(text);
                out.make_ascii_lowercase();
            }),
            (Function::UpperAscii, []) => self.text_of(text.len(), |out| {
                out.push_str(text);
                out.make_ascii_uppercase();
            }),
            (Function::Trim, []) => {
                self.pay(text.len() / BYTES_PER_WORK_SLOW)?;
                let trimmed = text.trim();
                self.text_of(trimmed.len(), |out| out.push_str(trimmed))
            }
            (Function::Split, [Val::Text(separator)]) => self.split(text, separator.as_str()),
            (Function::Replace, [Val::Text(old), Val::Text(new)]) => {
                let (old, new) = (old.as_str(), new.as_str());
                // It is searched twice, so that it is known how much is made before it is; and each byte may be a match.
                self.pay(text.len() / 4 + old.len() / BYTES_PER_WORK_SLOW)?;
                let count = text.matches(old).count();
                let bytes = text.len() - count * old.len() + count.saturating_mul(new.len());
                self.make(bytes)?;
                Ok(Val::Text(Text::Made(text.replace(old, new).into())))
            }
            (Function::Substring, [Val::Int(start), end @ ..]) => {
                let end = match end {
                    [] => i64::MAX,
                    [Val::Int(end)] => *end,
                    [other, ..] => return wrong(format!("`substring` ends at {}", other.kind())),
                };
                let last = usize::try_from(if end == i64::MAX { *start } else { end }).unwrap_or(0);
                self.pay(last.min(text.len()) / BYTES_PER_WORK_SLOW)?;
                // Positions of characters; the end of the text is one as well.
                let at = |position: i64| {
                    let position = usize::try_from(position).ok()?;
                    let mut places = text.char_indices().map(|(at, _)| at).chain([text.len()]);
                    places.nth(position)
                };
                let end = if end == i64::MAX { Some(text.len()) } else { at(end) };
                match at(*start).zip(end).and_then(|(start, end)| text.get(start..end)) {
                    Some(part) => self.text_of(part.len(), |out| out.push_str(part)),
                    None => wrong("`substring` begins or ends outside the text"),
                }
            }
            _ => wrong("a function of text is given what it does not take"),
        }
    }

    fn split(&mut self, text: &str, separator: &str) -> Outcome<'v> {
        self.pay((text.len() + separator.len()) / BYTES_PER_WORK_SLOW)?;
        let mut items = Vec::new();
        let parts: Box<dyn Iterator<Item = &str>> = match separator {
            "" => Box::new(text.split("").filter(|part| !part.is_empty())),
            _ => Box::new(text.split(separator)),
        };
        for part in parts {
            self.make(2 * ELEMENT_BYTES + 2 * size_of::<usize>() + part.len())?;
            items.push(Val::Text(Text::Made(part.into())));
        }
        Ok(Val::List(Rc::new(items)))
    }

    fn join(&mut self, list: &Val<'v>, separator: &[Val<'v>]) -> Outcome<'v> {
        let separator = match separator {
            [] => "",
            [Val::Text(separator)] => separator.as_str(),
            [other, ..] => return wrong(format!("`join` puts {} between", other.kind())),
        };
        let (Some(elements), false) = (list.elements(), list.is_object()) else {
            return wrong(format!("`join` is asked of {}", list.kind()));
        };
        let mut joined = String::new();
        for (at, element) in elements.enumerate() {
            let Val::Text(text) = &element else {
                return wrong(format!("`join` finds {} in the list: it joins text", element.kind()));
            };
            let separator = if at == 0 { "" } else { separator };
            self.pay(1)?;
            // Twice, as it is moved where it grows.
            self.make(2 * (separator.len() + text.as_str().len()))?;
            joined.push_str(separator);
            joined.push_str(text.as_str());
        }
        Ok(Val::Text(Text::Made(joined.into())))
    }

    /// As JSON, which takes from `room`.
    pub(super) fn json(&mut self, value: &Val<'v>, depth: usize, room: &mut Room) -> Result<Value, Failure> {
        let full = Failure::Exhausted;
        match value {
            Val::Null => room.take_scalar(0).map(|()| Value::Null).map_err(full),
            Val::Bool(value) => room.take_scalar(0).map(|()| Value::Bool(*value)).map_err(full),
            Val::Int(value) => room.take_scalar(0).map(|()| Value::from(*value)).map_err(full),
            Val::UInt(value) => room.take_scalar(0).map(|()| Value::from(*value)).map_err(full),
            Val::Double(value) => match Number::from_f64(*value) {
                Some(number) => room.take_scalar(0).map(|()| Value::Number(number)).map_err(full),
                None => wrong("it is no number that JSON can hold, as after a division by zero"),
            },
            Val::Text(text) => {
                room.take_text(text.as_str()).map_err(full)?;
                Ok(Value::String(text.as_str().to_owned()))
            }
            Val::Bytes(bytes) => {
                room.take_scalar(bytes.len() / 3 * 4 + 6).map_err(full)?;
                Ok(Value::String(STANDARD.encode(bytes)))
            }
            Val::Array(_) | Val::List(_) => {
                let elements = nested(value, depth, room)?;
                let mut items = Vec::new();
                for element in elements {
                    items.push(self.json(&element, depth + 1, room)?);
                }
                Ok(Value::Array(items))
            }
            Val::Object(members) => {
                let _keys = nested(value, depth, room)?;
                let mut object = Map::new();
                for (key, member) in *members {
                    room.take_text(key).map_err(full)?;
                    object.insert(key.clone(), self.json(&Val::of_json(member), depth + 1, room)?);
                }
                Ok(Value::Object(object))
            }
            Val::Members(_) | Val::Map(_) => {
                let keys = nested(value, depth, room)?;
                let mut object = Map::new();
                for key in keys {
                    let Val::Text(name) = &key else {
                        return wrong(format!("a key of an object is {}; in JSON it is text", key.kind()));
                    };
                    room.take_text(name.as_str()).map_err(full)?;
                    let member = self.index(value, &key)?;
                    object.insert(name.as_str().to_owned(), self.json(&member, depth + 1, room)?);
                }
                Ok(Value::Object(object))
            }
        }
    }
}

const fn is_key(value: &Val<'_>) -> bool {
    matches!(value, Val::Text(_) | Val::Int(_) | Val::UInt(_) | Val::Bool(_))
}

fn nested<'v>(
    value: &Val<'v>,
    depth: usize,
    room: &mut Room,
) -> Result<Box<dyn Iterator<Item = Val<'v>> + 'v>, Failure> {
    if depth >= limits::JSON_DEPTH_MAX {
        return wrong(format!("it is nested deeper than {} levels", limits::JSON_DEPTH_MAX));
    }
    room.take_scalar(0).map_err(Failure::Exhausted)?;
    value.elements().ok_or_else(|| Failure::Wrong("it has no elements".to_owned()))
}

/// Whole numbers stay whole; with a fraction on one side, or one kind of whole number on each, it is reckoned with
/// fractions. (CEL itself refuses to mix them, but JSON writes `5` and `5.0` for the same price.)
fn arithmetic<'v>(binary: Binary, left: &Val<'v>, right: &Val<'v>) -> Outcome<'v> {
    if matches!(binary, Binary::Divide | Binary::Remainder)
        && matches!(left, Val::Int(_) | Val::UInt(_))
        && matches!(right, Val::Int(0) | Val::UInt(0))
    {
        return wrong("it divides by zero");
    }
    let whole = |made: Option<i64>| made.map(Val::Int).ok_or_else(overflow);
    let unsigned = |made: Option<u64>| made.map(Val::UInt).ok_or_else(overflow);
    match (left, right, binary) {
        (Val::Int(left), Val::Int(right), Binary::Add) => whole(left.checked_add(*right)),
        (Val::Int(left), Val::Int(right), Binary::Subtract) => whole(left.checked_sub(*right)),
        (Val::Int(left), Val::Int(right), Binary::Multiply) => whole(left.checked_mul(*right)),
        (Val::Int(left), Val::Int(right), Binary::Divide) => whole(left.checked_div(*right)),
        (Val::Int(left), Val::Int(right), Binary::Remainder) => whole(left.checked_rem(*right)),
        (Val::UInt(left), Val::UInt(right), Binary::Add) => unsigned(left.checked_add(*right)),
        (Val::UInt(left), Val::UInt(right), Binary::Subtract) => unsigned(left.checked_sub(*right)),
        (Val::UInt(left), Val::UInt(right), Binary::Multiply) => unsigned(left.checked_mul(*right)),
        (Val::UInt(left), Val::UInt(right), Binary::Divide) => unsigned(left.checked_div(*right)),
        (Val::UInt(left), Val::UInt(right), Binary::Remainder) => unsigned(left.checked_rem(*right)),
        _ => match (as_double(left), as_double(right), binary) {
            (Some(left), Some(right), Binary::Add) => Ok(Val::Double(left + right)),
            (Some(left), Some(right), Binary::Subtract) => Ok(Val::Double(left - right)),
            (Some(left), Some(right), Binary::Multiply) => Ok(Val::Double(left * right)),
            (Some(left), Some(right), Binary::Divide) => Ok(Val::Double(left / right)),
            _ => Err(no_operation(binary, left, right)),
        },
    }
}

fn as_double(value: &Val<'_>) -> Option<f64> {
    match value {
        Val::Int(value) => Some(*value as f64),
        Val::UInt(value) => Some(*value as f64),
        Val::Double(value) => Some(*value),
        _ => None,
    }
}

/// `None`: not two numbers, or one of them is none.
fn numbers_compared(left: &Val<'_>, right: &Val<'_>) -> Option<Ordering> {
    match (left, right) {
        (Val::Int(left), Val::Int(right)) => Some(left.cmp(right)),
        (Val::UInt(left), Val::UInt(right)) => Some(left.cmp(right)),
        (Val::Int(left), Val::UInt(right)) => Some(i128::from(*left).cmp(&i128::from(*right))),
        (Val::UInt(left), Val::Int(right)) => Some(i128::from(*left).cmp(&i128::from(*right))),
        _ => as_double(left)?.partial_cmp(&as_double(right)?),
    }
}

fn number_of<'v>(function: Function, value: &Val<'v>) -> Outcome<'v> {
    match (function, value) {
        (Function::Int, Val::Int(value)) => Ok(Val::Int(*value)),
        (Function::Int, Val::UInt(value)) => i64::try_from(*value).map(Val::Int).map_err(|_| overflow()),
        // The bounds are beyond those of the whole numbers, which have no exact double.
        (Function::Int, Val::Double(value)) if *value > i64::MIN as f64 && *value < i64::MAX as f64 => {
            Ok(Val::Int(*value as i64))
        }
        (Function::UInt, Val::UInt(value)) => Ok(Val::UInt(*value)),
        (Function::UInt, Val::Int(value)) => u64::try_from(*value).map(Val::UInt).map_err(|_| overflow()),
        (Function::UInt, Val::Double(value)) if *value >= 0.0 && *value < u64::MAX as f64 => {
            Ok(Val::UInt(*value as u64))
        }
        (Function::Int | Function::UInt, Val::Double(_)) => Err(overflow()),
        (Function::Double, Val::Int(_) | Val::UInt(_) | Val::Double(_)) => {
            as_double(value).map(Val::Double).ok_or_else(overflow)
        }
        (Function::Int, Val::Text(text)) => {
            text.as_str().parse().map(Val::Int).or_else(|_| unreadable("int"))
        }
        (Function::UInt, Val::Text(text)) => {
            text.as_str().parse().map(Val::UInt).or_else(|_| unreadable("uint"))
        }
        (Function::Double, Val::Text(text)) => {
            text.as_str().parse().map(Val::Double).or_else(|_| unreadable("double"))
        }
        (_, other) => wrong(format!("{} is no number", other.kind())),
    }
}

fn unreadable<'v>(function: &str) -> Outcome<'v> {
    wrong(format!("`{function}` cannot read the text"))
}

fn overflow() -> Failure {
    Failure::Wrong("a whole number becomes too large".to_owned())
}

fn no_operation(binary: Binary, left: &Val<'_>, right: &Val<'_>) -> Failure {
    Failure::Wrong(format!("`{}` stands between {} and {}", binary.sign(), left.kind(), right.kind()))
}

/// A name as errors show it.
fn shown(name: &str) -> String {
    let name = name.replace(char::is_control, " ");
    match name.char_indices().nth(NAME_CHARS_MAX) {
        None => name,
        Some((end, _)) => format!("{}…", &name[..end]),
    }
}
