//! From source to tree. Whatever can be known before it runs is checked here: names, functions, and how much stands inside
//! each other. The library reads the grammar and expands the macros; the tree is ours, see [`super::run`] for why.

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};
use cel::parser::PrattParser;

use super::tree::{Binary, FUNCTIONS, Function, Loop, LoopKind, Node, Style};
use super::{
    COMPREHENSION_DEPTH_MAX, EXPRESSION_BYTES_MAX, EXPRESSION_DEPTH_MAX, EXPRESSION_NODES_MAX,
    ExpressionError, Use,
};
use crate::nearest::nearest;

pub(super) fn compile(source: &str, variables: &[&str]) -> Result<(Node, Vec<Use>), ExpressionError> {
    if source.len() > EXPRESSION_BYTES_MAX {
        return Err(at_start(format!("an expression has at most {EXPRESSION_BYTES_MAX} bytes")));
    }
    let parser = PrattParser::new()
        .max_recursion_depth(EXPRESSION_DEPTH_MAX as u16)
        .max_expression_node_count(EXPRESSION_NODES_MAX);
    let tree = parser.parse(source).map_err(|errors| match errors.errors.first() {
        Some(error) => ExpressionError {
            line: usize::try_from(error.pos.0).unwrap_or(1).max(1),
            column: usize::try_from(error.pos.1).unwrap_or(1).max(1),
            message: error.msg.clone(),
        },
        None => at_start("it is no expression".to_owned()),
    })?;
    let mut compiler = Compiler { source, variables, locals: Vec::new(), inside: 0, uses: Vec::new() };
    let node = compiler.node(&tree)?;
    Ok((node, compiler.uses))
}

struct Compiler<'a> {
    source: &'a str,
    variables: &'a [&'a str],
    /// The names of the loops that the current expression stands in.
    locals: Vec<&'a str>,
    /// So many expressions the current one stands in.
    inside: usize,
    uses: Vec<Use>,
}

impl<'a> Compiler<'a> {
    fn node(&mut self, expression: &'a IdedExpr) -> Result<Node, ExpressionError> {
        if self.inside == EXPRESSION_DEPTH_MAX {
            return Err(at_start(format!(
                "more than {EXPRESSION_DEPTH_MAX} operations stand inside each other"
            )));
        }
        self.inside += 1;
        let node = self.parts(expression);
        self.inside -= 1;
        node
    }

    fn parts(&mut self, expression: &'a IdedExpr) -> Result<Node, ExpressionError> {
        match &expression.expr {
            Expr::Literal(literal) => Ok(literal_node(literal)),
            Expr::Ident(name) => self.name(name, None),
            Expr::Select(select) => {
                let of = match &select.operand.expr {
                    Expr::Ident(name) => self.name(name, Some(&select.field))?,
                    _ => self.node(&select.operand)?,
                };
                let member = select.field.clone();
                Ok(if select.test {
                    Node::Has(Box::new(of), member)
                } else {
                    Node::Member(Box::new(of), member)
                })
            }
            Expr::List(list) => {
                let mut elements = Vec::with_capacity(list.elements.len());
                for element in &list.elements {
                    elements.push(self.node(element)?);
                }
                Ok(Node::List(elements))
            }
            Expr::Map(map) => {
                let mut entries = Vec::with_capacity(map.entries.len());
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else { return Err(not_known("a struct")) };
                    entries.push((self.node(&entry.key)?, self.node(&entry.value)?));
                }
                Ok(Node::Map(entries))
            }
            Expr::Call(call) => self.call(call),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::Struct(made) => Err(self.at_word(&made.type_name, "there are no types to make".to_owned())),
            Expr::Unspecified => Err(at_start("it is no expression".to_owned())),
        }
    }

    /// `member`: what is asked of it.
    fn name(&mut self, name: &str, member: Option<&str>) -> Result<Node, ExpressionError> {
        if let Some(at) = self.locals.iter().rposition(|local| *local == name) {
            return Ok(Node::Local(at));
        }
        if !self.variables.contains(&name) {
            let known = self.variables.iter().chain(&self.locals).copied().collect::<Vec<_>>().join(", ");
            return Err(self.at_word(name, format!("`{name}` is not known here; there are {known}")));
        }
        let used = Use { variable: name.to_owned(), member: member.map(str::to_owned) };
        if !self.uses.contains(&used) {
            self.uses.push(used);
        }
        Ok(Node::Variable(name.to_owned()))
    }

    fn call(&mut self, call: &'a CallExpr) -> Result<Node, ExpressionError> {
        match (call.target.as_deref(), call.func_name.as_str(), call.args.as_slice()) {
            (None, operators::CONDITIONAL, [condition, then, otherwise]) => {
                let parts = [self.node(condition)?, self.node(then)?, self.node(otherwise)?];
                Ok(Node::If(Box::new(parts)))
            }
            (None, operators::LOGICAL_AND, [left, right]) => Ok(Node::And(self.pair(left, right)?)),
            (None, operators::LOGICAL_OR, [left, right]) => Ok(Node::Or(self.pair(left, right)?)),
            (None, operators::INDEX, [of, at]) => {
                let of = match (&of.expr, &at.expr) {
                    (Expr::Ident(name), Expr::Literal(LiteralValue::String(member))) => {
                        self.name(name, Some(member.inner()))?
                    }
                    _ => self.node(of)?,
                };
                Ok(Node::Index(Box::new([of, self.node(at)?])))
            }
            (None, operators::LOGICAL_NOT, [of]) => Ok(Node::Not(Box::new(self.node(of)?))),
            (None, operators::NEGATE, [of]) => Ok(Node::Negate(Box::new(self.node(of)?))),
            (None, name, [left, right]) if binary(name).is_some() => {
                let binary = binary(name).ok_or_else(|| not_known(name))?;
                Ok(Node::Binary(binary, self.pair(left, right)?))
            }
            (target, name, arguments) => self.function(target, name, arguments),
        }
    }

    fn pair(&mut self, left: &'a IdedExpr, right: &'a IdedExpr) -> Result<Box<[Node; 2]>, ExpressionError> {
        Ok(Box::new([self.node(left)?, self.node(right)?]))
    }

    fn function(
        &mut self,
        target: Option<&'a IdedExpr>,
        name: &str,
        arguments: &'a [IdedExpr],
    ) -> Result<Node, ExpressionError> {
        let Some((_, function, style, counts)) = FUNCTIONS.iter().find(|(known, ..)| *known == name) else {
            let mut names: Vec<&str> = FUNCTIONS.iter().map(|(name, ..)| *name).collect();
            names.extend(["has", "all", "exists", "exists_one", "map", "filter"]);
            let message = match names.contains(&name) {
                true => format!("`{name}` is not called like this: write `list.{name}(x, …)`"),
                false => format!("there is no function `{name}`; the nearest are {}", nearest(name, &names)),
            };
            return Err(self.at_word(name, message));
        };
        let fits = match style {
            Style::Global => target.is_none(),
            Style::Member => target.is_some(),
            Style::Either => true,
        };
        if !fits || !counts.contains(&(arguments.len() + usize::from(target.is_some()))) {
            return Err(self.at_word(name, format!("write {}", usage(name, *function))));
        }
        let mut values = Vec::with_capacity(arguments.len() + 1);
        for value in target.into_iter().chain(arguments) {
            values.push(self.node(value)?);
        }
        Ok(Node::Call(*function, values))
    }

    /// The macros make comprehensions of these shapes, and nothing else can be written.
    fn comprehension(&mut self, made: &'a ComprehensionExpr) -> Result<Node, ExpressionError> {
        let over = self.node(&made.iter_range)?;
        if self.locals.len() == COMPREHENSION_DEPTH_MAX {
            return Err(at_start(format!(
                "all, exists, map and filter stand inside each other at most {COMPREHENSION_DEPTH_MAX} times"
            )));
        }
        self.locals.push(&made.iter_var);
        let parts = self.loop_parts(made);
        self.locals.pop();
        let (kind, guard, body) = parts?;
        Ok(Node::Loop(Box::new(Loop { kind, over, guard, body })))
    }

    fn loop_parts(
        &mut self,
        made: &'a ComprehensionExpr,
    ) -> Result<(LoopKind, Option<Node>, Node), ExpressionError> {
        let Expr::Call(step) = &made.loop_step.expr else { return Err(not_known("a loop")) };
        match (&made.accu_init.expr, step.func_name.as_str(), step.args.as_slice()) {
            (Expr::Literal(_), operators::LOGICAL_AND, [_, body]) => {
                Ok((LoopKind::All, None, self.node(body)?))
            }
            (Expr::Literal(_), operators::LOGICAL_OR, [_, body]) => {
                Ok((LoopKind::Exists, None, self.node(body)?))
            }
            (Expr::Literal(_), operators::CONDITIONAL, [body, ..]) => {
                Ok((LoopKind::ExistsOne, None, self.node(body)?))
            }
            (Expr::List(_), operators::CONDITIONAL, [guard, append, _]) => {
                let guard = self.node(guard)?;
                Ok((LoopKind::List, Some(guard), self.appended(append)?))
            }
            (Expr::List(_), operators::ADD, _) => Ok((LoopKind::List, None, self.appended(&made.loop_step)?)),
            _ => Err(not_known("a loop")),
        }
    }

    /// Of `@result + [element]`, the element.
    fn appended(&mut self, append: &'a IdedExpr) -> Result<Node, ExpressionError> {
        let Expr::Call(add) = &append.expr else { return Err(not_known("a loop")) };
        let [_, IdedExpr { expr: Expr::List(list), .. }] = add.args.as_slice() else {
            return Err(not_known("a loop"));
        };
        match list.elements.as_slice() {
            [element] => self.node(element),
            _ => Err(not_known("a loop")),
        }
    }

    fn at_word(&self, word: &str, message: String) -> ExpressionError {
        let (line, column) = place(self.source, word);
        ExpressionError { line, column, message }
    }
}

/// The line and column of the first place where a word stands by itself. The parser keeps no places of what it could read.
pub(super) fn place(source: &str, word: &str) -> (usize, usize) {
    let is_part = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let stands = |at: &usize| {
        let (before, after) = (&source[..*at], &source[at + word.len()..]);
        !before.ends_with(is_part) && !before.ends_with('.') && !after.starts_with(is_part)
    };
    let mut places = source.match_indices(word).map(|(at, _)| at);
    let at = places.clone().find(stands).or_else(|| places.next()).unwrap_or(0);
    let before = &source[..at];
    let column = 1 + before.chars().rev().take_while(|char| *char != '\n').count();
    (1 + before.matches('\n').count(), column)
}

pub(super) fn at_start(message: String) -> ExpressionError {
    ExpressionError { line: 1, column: 1, message }
}

fn not_known(what: &str) -> ExpressionError {
    at_start(format!("{what} cannot be written here"))
}

fn literal_node(literal: &LiteralValue) -> Node {
    match literal {
        LiteralValue::Null => Node::Null,
        LiteralValue::Boolean(value) => Node::Bool(*value.inner()),
        LiteralValue::Int(value) => Node::Int(*value.inner()),
        LiteralValue::UInt(value) => Node::UInt(*value.inner()),
        LiteralValue::Double(value) => Node::Double(*value.inner()),
        LiteralValue::String(value) => Node::Text(value.inner().to_owned()),
        LiteralValue::Bytes(value) => Node::Bytes(value.inner().to_vec()),
    }
}

fn binary(name: &str) -> Option<Binary> {
    Some(match name {
        operators::ADD => Binary::Add,
        operators::SUBSTRACT => Binary::Subtract,
        operators::MULTIPLY => Binary::Multiply,
        operators::DIVIDE => Binary::Divide,
        operators::MODULO => Binary::Remainder,
        operators::EQUALS => Binary::Equal,
        operators::NOT_EQUALS => Binary::NotEqual,
        operators::LESS => Binary::Less,
        operators::LESS_EQUALS => Binary::LessOrEqual,
        operators::GREATER => Binary::Greater,
        operators::GREATER_EQUALS => Binary::GreaterOrEqual,
        operators::IN => Binary::In,
        _ => return None,
    })
}

fn usage(name: &str, function: Function) -> String {
    match function {
        Function::Size => "`size(x)`".to_owned(),
        Function::Contains | Function::StartsWith | Function::EndsWith => format!("`text.{name}(other)`"),
        Function::LowerAscii | Function::UpperAscii | Function::Trim => format!("`text.{name}()`"),
        Function::Split => "`text.split(separator)`".to_owned(),
        Function::Join => "`list.join(separator)`".to_owned(),
        Function::Replace => "`text.replace(old, new)`".to_owned(),
        Function::Substring => "`text.substring(start, end)`".to_owned(),
        _ => format!("`{name}(x)`"),
    }
}
