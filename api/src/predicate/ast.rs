//! A predicate as it was written.

use crate::Span;

/// An expression and where it stands in the predicate's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// From its first byte to behind its last.
    pub span: Span,
}

/// What an expression is. Names mean nothing yet: parameters, constants and types are looked up when it is compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExprKind {
    /// A number.
    Number {
        /// Its value.
        value: u64,
        /// Written with `u`, or too large to be signed.
        unsigned: bool,
        /// Written with `l`, or too large for 32 bits.
        long: bool,
    },
    /// A character in single quotes.
    Character(u8),
    /// A text. Only `STRCMP` and `STRNCMP` take one.
    Text(Vec<u8>),
    /// A parameter, an enum constant, `current`, `true`, `false`, `NULL`.
    Name(String),
    /// An operator before its operand.
    Unary(Unary, Box<Expr>),
    /// An operator between two.
    Binary(Binary, Box<Expr>, Box<Expr>),
    /// `condition ? then : otherwise`
    Conditional(Box<Expr>, Box<Expr>, Box<Expr>),
    /// `of.name` or `of->name`
    Member {
        /// A struct, a union, or a pointer to one.
        of: Box<Expr>,
        /// Whether it is written with an arrow.
        arrow: bool,
        /// The member.
        name: String,
        /// Where the name stands.
        at: Span,
    },
    /// `of[index]`
    Index(Box<Expr>, Box<Expr>),
    /// `(type)operand`
    Cast(TypeName, Box<Expr>),
    /// `sizeof(type)`
    SizeOfType(TypeName),
    /// `sizeof operand`
    SizeOf(Box<Expr>),
    /// `name(arguments)`: a macro that is known here.
    Call {
        /// Its name.
        name: String,
        /// Where the name stands.
        at: Span,
        /// What it is applied to.
        arguments: Vec<Expr>,
    },
}

/// Operators before their operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unary {
    /// `!`
    Not,
    /// `~`
    Complement,
    /// `-`
    Negate,
    /// `+`
    Plus,
    /// `*`
    Dereference,
    /// `&`
    AddressOf,
}

/// Operators between two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// `||`
    Or,
    /// `&&`
    And,
    /// `|`
    BitOr,
    /// `^`
    BitXor,
    /// `&`
    BitAnd,
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `>`
    Gt,
    /// `<=`
    Le,
    /// `>=`
    Ge,
    /// `<<`
    Shl,
    /// `>>`
    Shr,
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Rem,
}

/// A type by name, such as `const struct qstr *`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeName {
    /// What is left without its stars.
    pub base: BaseType,
    /// How many stars.
    pub pointers: u8,
    /// Where it stands.
    pub span: Span,
}

/// A type that is no pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BaseType {
    /// `void`
    Void,
    /// `_Bool` or `bool`
    Bool,
    /// An integer that is named by keywords.
    Int {
        /// 1, 2, 4 or 8.
        bytes: u8,
        /// Whether it has a sign.
        signed: bool,
    },
    /// `char` alone: whether it has a sign is the kernel's to say.
    Char,
    /// `struct name`
    Struct(String),
    /// `union name`
    Union(String),
    /// `enum name`
    Enum(String),
    /// A typedef.
    Alias(String),
}

/// One of a function's parameters, as `parameters` of a frame declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its type.
    pub of: TypeName,
    /// Its name; empty where it is declared without one.
    pub name: String,
    /// Where the name stands, or would.
    pub at: Span,
}
