//! Predicates, from expressions to values that instructions can compute.

mod check;
mod constants;
mod convert;
mod eval;
mod held;
mod ir;
mod macros;
mod names;
mod nearest;
mod ty;
mod undescribed;
mod verdict;

use faultline_api::{
    Predicate,
    predicate::{BaseType, Expr, Parameter, Problem, parse, parse_parameters},
};

use crate::btf::{Btf, Kind, Param};
use check::{Checker, Known};
use names::{Names, Text};
use ty::{MOST_POINTERS, To, Ty};

pub use eval::{Memory, Unread};
pub use ir::{Ir, MAX_TEXT, Op, Space};

/// What a kernel knows of the function whose entry a predicate is about.
#[derive(Debug, Clone, Copy)]
pub struct Function<'a> {
    /// The kernel's types.
    pub btf: &'a Btf,
    /// The function's BTF id; [`UNDESCRIBED`] where it has none.
    pub id: u32,
    /// Whether it is a system call's entry, whose only parameter is the caller's registers.
    pub is_syscall: bool,
}

impl Function<'_> {
    /// What to do about parameters that nothing names.
    fn undeclared(self) -> Option<&'static str> {
        if self.is_syscall {
            return Some("declare what the system call takes in `parameters`, as its manual page does");
        }
        let is_undescribed = self.id == UNDESCRIBED;
        is_undescribed
            .then_some("declare what it takes in `parameters`: the kernel does not describe this function")
    }
}

/// The BTF id of functions that the kernel does not describe: that of `void`.
pub const UNDESCRIBED: u32 = 0;

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
    names::settled(function, declared, expr)
}

/// What a predicate comes to where names of types mean this.
fn reading(
    function: Function<'_>,
    declared: Option<&[Parameter]>,
    expr: &Expr,
    types: &mut Names<'_>,
) -> Result<Ir, Problems> {
    types.text = Text::Parameters;
    let mut names = parameters(function, declared, types).map_err(Problems::Parameters)?;
    named_once(declared.unwrap_or_default()).map_err(Problems::Parameters)?;
    types.text = Text::Predicate;
    names.extend(current(function.btf));
    let undeclared = declared.is_none().then_some(function).and_then(Function::undeclared);
    // What a system call takes as a number may be an address of its caller's.
    let numbers = if function.is_syscall { Space::User } else { Space::Kernel };
    let btf = function.btf;
    let mut checker = Checker { btf, types, names: &names, undeclared, numbers, problems: Vec::new() };
    match checker.condition(expr) {
        Some(condition) => Ok(condition),
        None => Err(Problems::Predicate(checker.problems)),
    }
}

/// A name must mean one parameter.
fn named_once(declared: &[Parameter]) -> Result<(), Vec<Problem>> {
    let is_again = |nth: usize, name: &str| {
        !name.is_empty() && declared.iter().take(nth).any(|earlier| earlier.name == name)
    };
    let again = declared.iter().enumerate().filter(|(nth, parameter)| is_again(*nth, &parameter.name));
    let problems: Vec<_> = again
        .map(|(_, Parameter { at, name, .. })| {
            Problem::new(*at, format!("a second parameter called `{name}`"))
        })
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
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
fn parameters(
    function: Function<'_>,
    declared: Option<&[Parameter]>,
    types: &mut Names<'_>,
) -> Result<Vec<Known>, Vec<Problem>> {
    if function.is_syscall {
        return of_syscall(types, declared.unwrap_or_default());
    }
    if function.id == UNDESCRIBED {
        return undescribed::parameters(types, declared.unwrap_or_default());
    }
    let own = function.btf.params(function.id).unwrap_or_default();
    match declared {
        None => Ok(own
            .iter()
            .zip(slots(function.btf, &own))
            .map(|(param, slot)| of_kernel(function.btf, param, param.name, slot))
            .collect()),
        Some(declared) => renamed(function.btf, &own, declared),
    }
}

/// Where a function's parameters begin among the words of the programs' context: a struct that is handed over by value
/// takes as many as it fills.
fn slots(btf: &Btf, params: &[Param<'_>]) -> Vec<u16> {
    let mut next = 0_u16;
    let begin = |param: &Param<'_>| {
        let words = btf.size_of(param.type_id).map_or(1, |bytes| bytes.div_ceil(8).max(1));
        let slot = next;
        next = next.saturating_add(u16::try_from(words).unwrap_or(u16::MAX));
        slot
    };
    params.iter().map(begin).collect()
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
    for ((parameter, slot), param) in declared.iter().zip(slots(btf, own)).zip(own) {
        let actual = Ty::of_kernel(btf, param.type_id, Space::Kernel);
        // Only what it is called matters here, so that the first type of that name will do.
        let first = |kind, name: &str| btf.find(kind, name);
        let span = parameter.of.span;
        match Ty::of_name(btf, first, &parameter.of, Space::Kernel) {
            Ok(ty) if is_like(btf, &ty, &actual, MOST_POINTERS) => {}
            Ok(_) => {
                let message = format!("in this kernel this parameter is {}", actual.name(btf));
                problems.push(Problem::new(span, message));
            }
            Err(unknown) => problems.push(unknown.problem(btf, span)),
        }
        known.push(of_kernel(btf, param, &parameter.name, slot));
    }
    if let Some(parameter) = declared.get(own.len()) {
        let message = format!("in this kernel the function has {} parameters", own.len());
        problems.push(Problem::new(parameter.of.span, message));
    }
    if problems.is_empty() { Ok(known) } else { Err(problems) }
}

/// Whether a value of one type is read like one of the other; beyond so many pointers, it is not looked at. Whether a
/// `char` has a sign differs between kernels, so bytes are alike: what is read has the kernel's own type in any case.
fn is_like(btf: &Btf, declared: &Ty, actual: &Ty, levels: u8) -> bool {
    match (declared, actual) {
        (Ty::Pointer { .. }, Ty::Pointer { .. }) if levels == 0 => false,
        (Ty::Int { bytes: 1, .. }, Ty::Int { bytes: 1, .. }) => true,
        (Ty::Pointer { to: declared, .. }, Ty::Pointer { to: actual, .. }) => {
            let (declared, actual) = (declared.ty(btf, Space::Kernel), actual.ty(btf, Space::Kernel));
            declared == Ty::Void || actual == Ty::Void || is_like(btf, &declared, &actual, levels - 1)
        }
        (Ty::Aggregate { id: a }, Ty::Aggregate { id: b }) => {
            a == b || btf.type_name(*a) == btf.type_name(*b)
        }
        (declared, actual) => declared == actual,
    }
}

/// A system call's arguments, as its caller left them. All pointers among them are into the caller's memory.
fn of_syscall(types: &mut Names<'_>, declared: &[Parameter]) -> Result<Vec<Known>, Vec<Problem>> {
    let btf = types.btf;
    let registers = btf.find(Kind::Struct, "pt_regs");
    let mut known = Vec::new();
    let mut problems = Vec::new();
    for (parameter, register) in declared.iter().zip(REGISTERS) {
        if matches!(&parameter.of.base, BaseType::Struct(tag) if tag == "pt_regs") {
            let message =
                "a system call's parameters are those of its manual page, not the caller's registers";
            problems.push(Problem::new(parameter.of.span, message).help("declare what the manual page does"));
            continue;
        }
        let offset = registers.and_then(|id| btf.field(id, register)).map(|field| field.bit_offset / 8);
        let span = parameter.of.span;
        let find = |kind, name: &str| types.find(kind, name, span);
        let (offset, ty) = match (offset, Ty::of_name(btf, find, &parameter.of, Space::User)) {
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
                problems.push(unknown.problem(btf, span));
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
