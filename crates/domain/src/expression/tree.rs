//! A compiled expression: what the evaluator walks. Macros are loops here, names are resolved, functions are known.

/// A part of an expression.
#[derive(Debug)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    Variable(String),
    /// The element that a loop is at: 0 for the outermost loop.
    Local(usize),
    Member(Box<Node>, String),
    Has(Box<Node>, String),
    Index(Box<[Node; 2]>),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    /// Condition, what it is then, what otherwise.
    If(Box<[Node; 3]>),
    Binary(Binary, Box<[Node; 2]>),
    Call(Function, Vec<Node>),
    Loop(Box<Loop>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
}

impl Binary {
    /// As it is written.
    pub(super) const fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::In => "in",
        }
    }
}

/// `all`, `exists`, `exists_one`, `map` and `filter`.
#[derive(Debug)]
pub(super) struct Loop {
    pub(super) kind: LoopKind,
    pub(super) over: Node,
    /// Of `map` and `filter`: which elements. The others ask their body.
    pub(super) guard: Option<Node>,
    pub(super) body: Node,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoopKind {
    All,
    Exists,
    ExistsOne,
    List,
}

/// The functions of the language, and how they are called. Those after `Dyn` are of CEL's strings extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Size,
    Contains,
    StartsWith,
    EndsWith,
    Int,
    UInt,
    Double,
    Text,
    Bool,
    Bytes,
    Dyn,
    LowerAscii,
    UpperAscii,
    Trim,
    Split,
    Join,
    Replace,
    Substring,
}

/// Called as `name(x)`, as `x.name()`, or as either; and with how many values, `x` included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Global,
    Member,
    Either,
}

pub(super) const FUNCTIONS: [(&str, Function, Style, &[usize]); 18] = [
    ("size", Function::Size, Style::Either, &[1]),
    ("contains", Function::Contains, Style::Member, &[2]),
    ("startsWith", Function::StartsWith, Style::Member, &[2]),
    ("endsWith", Function::EndsWith, Style::Member, &[2]),
    ("int", Function::Int, Style::Global, &[1]),
    ("uint", Function::UInt, Style::Global, &[1]),
    ("double", Function::Double, Style::Global, &[1]),
    ("string", Function::Text, Style::Global, &[1]),
    ("bool", Function::Bool, Style::Global, &[1]),
    ("bytes", Function::Bytes, Style::Global, &[1]),
    ("dyn", Function::Dyn, Style::Global, &[1]),
    ("lowerAscii", Function::LowerAscii, Style::Member, &[1]),
    ("upperAscii", Function::UpperAscii, Style::Member, &[1]),
    ("trim", Function::Trim, Style::Member, &[1]),
    ("split", Function::Split, Style::Member, &[2]),
    ("join", Function::Join, Style::Member, &[1, 2]),
    ("replace", Function::Replace, Style::Member, &[3]),
    ("substring", Function::Substring, Style::Member, &[2, 3]),
];
