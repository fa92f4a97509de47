//! Functions whose prototype the kernel does not describe, such as the copies that compilers make: their parameters are
//! what is declared, and nothing holds the declarations against the kernel.

use faultline_api::predicate::{Parameter, Problem};

use super::check::Known;
use super::names::Names;
use super::ty::Ty;
use super::{Ir, Space};

/// The parameters as declared, each in the place of its number: one that does not fit a register could be anywhere.
pub(super) fn parameters(names: &mut Names<'_>, declared: &[Parameter]) -> Result<Vec<Known>, Vec<Problem>> {
    let btf = names.btf;
    let mut known = Vec::new();
    let mut problems = Vec::new();
    for (nth, parameter) in (0_u16..).zip(declared) {
        let argument = Ir::Argument(nth);
        let span = parameter.of.span;
        let find = |kind, name: &str| names.find(kind, name, span);
        let value = match Ty::of_name(btf, find, &parameter.of, Space::Kernel) {
            Ok(ty @ Ty::Int { bytes, signed }) => Ok((ty, argument.narrow(8 * bytes, signed))),
            Ok(Ty::Bool) => Ok((Ty::Bool, argument.narrow(8, false))),
            Ok(ty @ Ty::Pointer { .. }) => Ok((ty, argument)),
            Ok(ty) => Err(Problem::new(span, format!("no register holds {}", ty.name(btf)))),
            Err(unknown) => Err(unknown.problem(btf, span)),
        };
        match value {
            Ok((ty, value)) => known.push(Known { name: parameter.name.clone(), ty, value }),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(known) } else { Err(problems) }
}
