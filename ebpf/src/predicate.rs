//! Predicates, from expressions to values that instructions can compute.

mod check;
mod constants;
mod convert;
mod eval;
mod ir;
mod macros;
mod ty;

use faultline_api::{
    Predicate,
    predicate::{Expr, Parameter, Problem, parse, parse_parameters},
};

use crate::btf::{Btf, Kind, Param};
use check::{Checker, Known};
use ty::{To, Ty};

pub use eval::{Memory, Unread};
pub use ir::{Ir, MAX_TEXT, Op, Space};

/// What a kernel knows of the function whose entry a predicate is about.
#[derive(Debug, Clone, Copy)]
pub struct Function<'a> {
    /// The kernel's types.
    pub btf: &'a Btf,
    /// The function's BTF id.
    pub id: u32,
    /// Whether it is a system call's entry, whose only parameter is the caller's registers.
    pub is_syscall: bool,
}

/// Where a system call's arguments stand in `pt_regs`, in their order.
const REGISTERS: [&str; 6] = ["di", "si", "dx", "r10", "r8", "r9"];

/// Reads a predicate as it is written, and finds out what every part of it is.
///
/// # Errors
/// Everything that is wrong with its text or does not fit this kernel, with places in the texts.
pub fn read(function: Function<'_>, predicate: &Predicate) -> Result<Ir, Problems> {
    let Predicate { text, parameters } = predicate;
    let expr = parse(text).map_err(Problems::Predicate)?;
    let declared = parameters.as_deref().map(parse_parameters).transpose().map_err(Problems::Parameters)?;
    check(function, declared.as_deref(), &expr)
}

/// Finds out what every part of a predicate is. `declared` are the parameters as the frame declares them, if it does.
///
/// # Errors
/// Everything that does not fit this kernel, with places in the text of the predicate; problems of the declarations
/// have places in theirs.
pub fn check(function: Function<'_>, declared: Option<&[Parameter]>, expr: &Expr) -> Result<Ir, Problems> {
    let mut names = parameters(function, declared).map_err(Problems::Parameters)?;
    names.extend(current(function.btf));
    let undeclared = function.is_syscall && declared.is_none();
    let mut checker = Checker { btf: function.btf, names: &names, undeclared, problems: Vec::new() };
    match checker.condition(expr) {
        Some(condition) => Ok(condition),
        None => Err(Problems::Predicate(checker.problems)),
    }
}

/// Where problems are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problems {
    /// In the declarations.
    Parameters(Vec<Problem>),
    /// In the predicate.
    Predicate(Vec<Problem>),
}

fn current(btf: &Btf) -> Option<Known> {
    let task = btf.find(Kind::Struct, "task_struct")?;
    let ty = Ty::Pointer { to: To::Kernel(task), space: Space::Kernel };
    Some(Known { name: "current".to_owned(), ty, value: Ir::Current })
}

/// The function's parameters under the names that the predicate may use.
fn parameters(function: Function<'_>, declared: Option<&[Parameter]>) -> Result<Vec<Known>, Vec<Problem>> {
    if function.is_syscall {
        return of_syscall(function.btf, declared.unwrap_or_default());
    }
    let own = function.btf.params(function.id).unwrap_or_default();
    match declared {
        None => Ok(own
            .iter()
            .zip(0..)
            .map(|(param, nth)| of_kernel(function.btf, param, param.name, nth))
            .collect()),
        Some(declared) => renamed(function.btf, &own, declared),
    }
}

fn of_kernel(btf: &Btf, param: &Param<'_>, name: &str, nth: u16) -> Known {
    let ty = Ty::of_kernel(btf, param.type_id, Space::Kernel);
    let value = match ty {
        Ty::Int { bytes, signed } => Ir::Argument(nth).narrow(8 * bytes, signed),
        Ty::Bool => Ir::Argument(nth).narrow(8, false),
        _ => Ir::Argument(nth),
    };
    Known { name: name.to_owned(), ty, value }
}

/// The kernel's own types under the declared names: what is declared must be what is there.
fn renamed(btf: &Btf, own: &[Param<'_>], declared: &[Parameter]) -> Result<Vec<Known>, Vec<Problem>> {
    let mut known = Vec::new();
    let mut problems = Vec::new();
    for ((parameter, nth), param) in declared.iter().zip(0..).zip(own) {
        let actual = Ty::of_kernel(btf, param.type_id, Space::Kernel);
        let problem = match Ty::of_name(btf, &parameter.of, Space::Kernel) {
            Ok(ty) if is_like(btf, &ty, &actual) => None,
            Ok(_) => Some(format!("in this kernel this parameter is {}", actual.name(btf))),
            Err(unknown) => Some(format!("this kernel has no type `{unknown}`")),
        };
        problems.extend(problem.map(|message| Problem::new(parameter.of.span, message)));
        known.push(of_kernel(btf, param, &parameter.name, nth));
    }
    if let Some(parameter) = declared.get(own.len()) {
        let message = format!("in this kernel the function has {} parameters", own.len());
        problems.push(Problem::new(parameter.of.span, message));
    }
    if problems.is_empty() { Ok(known) } else { Err(problems) }
}

/// Whether a value of one type is read like one of the other.
fn is_like(btf: &Btf, declared: &Ty, actual: &Ty) -> bool {
    match (declared, actual) {
        (Ty::Pointer { to: declared, .. }, Ty::Pointer { to: actual, .. }) => {
            let (declared, actual) = (declared.ty(btf, Space::Kernel), actual.ty(btf, Space::Kernel));
            declared == Ty::Void || actual == Ty::Void || is_like(btf, &declared, &actual)
        }
        (Ty::Aggregate { id: a }, Ty::Aggregate { id: b }) => {
            a == b || btf.type_name(*a) == btf.type_name(*b)
        }
        (declared, actual) => declared == actual,
    }
}

/// A system call's arguments, as its caller left them. All pointers among them are into the caller's memory.
fn of_syscall(btf: &Btf, declared: &[Parameter]) -> Result<Vec<Known>, Vec<Problem>> {
    let registers = btf.find(Kind::Struct, "pt_regs");
    let mut known = Vec::new();
    let mut problems = Vec::new();
    for (parameter, register) in declared.iter().zip(REGISTERS) {
        let offset = registers.and_then(|id| btf.field(id, register)).map(|field| field.bit_offset / 8);
        let (offset, ty) = match (offset, Ty::of_name(btf, &parameter.of, Space::User)) {
            (Some(offset), Ok(ty @ (Ty::Int { .. } | Ty::Bool | Ty::Pointer { .. }))) => (offset, ty),
            (None, _) => {
                problems.push(Problem::new(
                    parameter.at,
                    "this kernel does not describe the registers of a caller",
                ));
                continue;
            }
            (_, Ok(ty)) => {
                problems
                    .push(Problem::new(parameter.of.span, format!("no argument can be {}", ty.name(btf))));
                continue;
            }
            (_, Err(unknown)) => {
                problems
                    .push(Problem::new(parameter.of.span, format!("this kernel has no type `{unknown}`")));
                continue;
            }
        };
        let load = Ir::Load {
            address: Box::new(Ir::Argument(0)),
            offset: i64::from(offset),
            bytes: 8,
            signed: false,
            space: Space::Kernel,
        };
        let value = match ty {
            Ty::Int { bytes, signed } => load.narrow(8 * bytes, signed),
            Ty::Bool => load.narrow(8, false),
            _ => load,
        };
        known.push(Known { name: parameter.name.clone(), ty, value });
    }
    if let Some(parameter) = declared.get(REGISTERS.len()) {
        problems.push(Problem::new(parameter.of.span, "a system call has at most six arguments"));
    }
    if problems.is_empty() { Ok(known) } else { Err(problems) }
}

#[cfg(test)]
mod tests;
