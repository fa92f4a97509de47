//! Predicates as they are written: the text of a frame's `predicate` and `parameters`, read as the expressions and
//! declarations of C that they are. What names mean is decided where a predicate is compiled for a kernel.

mod ast;
mod decided;
mod macros;
mod parse;
mod problem;
mod token;
mod type_name;

pub use ast::{BaseType, Binary, Expr, ExprKind, Parameter, TypeName, Unary};
pub use macros::misuse;
pub use problem::Problem;

use parse::Parser;
use problem::Problems;

/// Longest predicate, in bytes. The longest that is known from a manifest has 324.
pub const MAX_BYTES: usize = 4096;

/// Most words and signs of a predicate: what walks an expression recurses for each of its operators.
pub const MAX_TOKENS: usize = 1000;

/// Reads a predicate.
///
/// # Errors
/// Everything that is wrong with it, in the order of the text.
pub fn parse(text: &str) -> Result<Expr, Vec<Problem>> {
    read(text, |parser| parser.whole())
}

/// Reads the declarations of a function's parameters.
///
/// # Errors
/// What is wrong with them.
pub fn parse_parameters(text: &str) -> Result<Vec<Parameter>, Vec<Problem>> {
    read(text, |parser| parser.parameters())
}

fn read<T>(text: &str, with: impl FnOnce(&mut Parser<'_>) -> parse::Parsed<T>) -> Result<T, Vec<Problem>> {
    let mut problems = Problems::default();
    if text.len() > MAX_BYTES {
        let span = crate::Span { start: MAX_BYTES, end: text.len() };
        return Err(vec![Problem::new(span, format!("more than {MAX_BYTES} bytes"))]);
    }
    let tokens = token::tokens(text, &mut problems);
    if let Some(token) = tokens.get(MAX_TOKENS) {
        let span = crate::Span { start: token.span.start, end: text.len() };
        return Err(vec![Problem::new(span, format!("more than {MAX_TOKENS} words and signs"))]);
    }
    let read = with(&mut Parser::new(text, &tokens, &mut problems));
    match (read, problems.into_sorted()) {
        (Ok(read), problems) if problems.is_empty() => Ok(read),
        (_, problems) => Err(problems),
    }
}

#[cfg(test)]
mod tests;
