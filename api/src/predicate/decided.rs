//! What can be said of a predicate without a kernel: whether its words alone decide it.

use super::ast::{Binary, Expr, ExprKind, Unary};

impl Expr {
    /// Whether it holds (`Some(true)`) or does not whatever the kernel: constants, and operators that they decide.
    #[must_use]
    pub fn decided(&self) -> Option<bool> {
        match &self.kind {
            ExprKind::Number { value, .. } => Some(*value != 0),
            ExprKind::Character(byte) => Some(*byte != 0),
            ExprKind::Name(name) => match name.as_str() {
                "true" => Some(true),
                "false" | "NULL" => Some(false),
                _ => None,
            },
            ExprKind::Unary(Unary::Not, of) => of.decided().map(|holds| !holds),
            ExprKind::Binary(Binary::And, left, right) => match (left.decided(), right.decided()) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (left, right) => left.and(right),
            },
            ExprKind::Binary(Binary::Or, left, right) => match (left.decided(), right.decided()) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (left, right) => left.and(right),
            },
            ExprKind::Conditional(condition, then, otherwise) => match condition.decided()? {
                true => then.decided(),
                false => otherwise.decided(),
            },
            _ => None,
        }
    }
}
