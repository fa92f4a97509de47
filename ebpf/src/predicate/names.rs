//! What the names of types mean, where a kernel may have several types of one name.

use faultline_api::{
    Span,
    predicate::{Expr, Parameter, Problem},
};

use super::{Function, Ir, Problems, reading, ty::Ty};
use crate::btf::{Btf, Kind, Type};

/// Types of one name that are looked at: kernels have a handful, damaged data could have any number.
const MOST: usize = 32;

/// Members and types that a message lists.
const LISTED: usize = 4;

/// The text that a name stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    Parameters,
    Predicate,
}

/// A kernel's types by their names, and which names turned out to mean several.
#[derive(Debug)]
pub(super) struct Names<'a> {
    pub(super) btf: &'a Btf,
    /// What is being read.
    pub(super) text: Text,
    /// What one name means in this reading; all others mean the first type that is called so.
    chosen: Option<(&'a Several, u32)>,
    several: Vec<Several>,
}

/// A name of several types.
#[derive(Debug, Clone)]
struct Several {
    kind: Kind,
    name: String,
    ids: Vec<u32>,
    text: Text,
    span: Span,
}

impl<'a> Names<'a> {
    const fn of(btf: &'a Btf, chosen: Option<(&'a Several, u32)>) -> Self {
        Self { btf, text: Text::Parameters, chosen, several: Vec::new() }
    }

    /// The type that a name means in this reading.
    pub(super) fn find(&mut self, kind: Kind, name: &str, span: Span) -> Option<u32> {
        if let Some((several, id)) = self.chosen
            && several.is(kind, name)
        {
            return Some(id);
        }
        let ids = self.btf.definitions(kind, name);
        let first = ids.first().copied();
        if ids.len() > 1 && !self.several.iter().any(|known| known.is(kind, name)) {
            self.several.push(Several { kind, name: name.to_owned(), ids, text: self.text, span });
        }
        first
    }
}

/// What a predicate comes to, whichever types its names mean.
///
/// A name of several types is no problem where what is asked of them is the same in all, or where only one of them has
/// it: what counts is what the predicate comes to with each.
pub(super) fn settled(
    function: Function<'_>,
    declared: Option<&[Parameter]>,
    expr: &Expr,
) -> Result<Ir, Problems> {
    let mut names = Names::of(function.btf, None);
    let mut result = reading(function, declared, expr, &mut names);
    let mut left = names.several;
    let (mut of_parameters, mut of_predicate) = (Vec::new(), Vec::new());
    let mut done: Vec<Several> = Vec::new();
    while let Some(several) = left.pop() {
        for id in several.ids.iter().skip(1).take(MOST) {
            let mut names = Names::of(function.btf, Some((&several, *id)));
            let Ok(other) = reading(function, declared, expr, &mut names) else { continue };
            match &result {
                Ok(first) if *first != other => {
                    let problems = match several.text {
                        Text::Parameters => &mut of_parameters,
                        Text::Predicate => &mut of_predicate,
                    };
                    problems.push(several.problem(function.btf));
                    break;
                }
                Ok(_) => {}
                Err(_) => {
                    result = Ok(other);
                    let is_new = |more: &Several| {
                        !left.iter().chain(&done).any(|known| known.is(more.kind, &more.name))
                    };
                    let more: Vec<_> = names.several.into_iter().filter(is_new).collect();
                    left.extend(more);
                }
            }
        }
        done.push(several);
    }
    match (of_parameters.is_empty(), of_predicate.is_empty()) {
        (true, true) => result,
        (false, _) => Err(Problems::Parameters(of_parameters)),
        (true, false) => Err(Problems::Predicate(of_predicate)),
    }
}

impl Several {
    fn is(&self, kind: Kind, name: &str) -> bool {
        self.kind == kind && self.name == name
    }

    fn problem(&self, btf: &Btf) -> Problem {
        let mut described: Vec<String> = Vec::new();
        for text in self.ids.iter().take(MOST).map(|id| described_as(btf, *id)) {
            if !described.contains(&text) {
                described.push(text);
            }
        }
        let mut list = described.iter().take(LISTED).cloned().collect::<Vec<_>>().join("; ");
        if described.len() > LISTED {
            list += "; and others";
        }
        let (many, written) = (self.ids.len(), written(self.kind, &self.name));
        let message =
            format!("this kernel has {many} types `{written}`, with which this is not the same: {list}");
        Problem::new(self.span, message).help(
            "reach it through a parameter or member that has the type, or read bytes of it, as in *(u32 *)((void *)p + 8)",
        )
    }
}

/// A type's name as C has it.
pub(super) fn written(kind: Kind, name: &str) -> String {
    let tag = match kind {
        Kind::Struct => "struct ",
        Kind::Union => "union ",
        Kind::Enum | Kind::Enum64 => "enum ",
        _ => "",
    };
    format!("{tag}{name}")
}

/// What tells a type from others of its name.
fn described_as(btf: &Btf, id: u32) -> String {
    let Some(Type::Aggregate { id, bytes }) = btf.type_of(id) else {
        return Ty::of_kernel(btf, id, super::Space::Kernel).name(btf);
    };
    let fields = btf.fields(id);
    let mut members: Vec<_> =
        fields.iter().map(|(name, _)| *name).filter(|name| !name.is_empty()).take(LISTED + 1).collect();
    if members.len() > LISTED {
        members.truncate(LISTED);
        members.push("…");
    }
    match members.as_slice() {
        [] => format!("{bytes} bytes"),
        members => format!("{bytes} bytes with {}", members.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use faultline_api::predicate::{parse, parse_parameters};

    use super::*;
    use crate::btf::BtfBuilder;
    use crate::predicate::{Space, check};

    /// Two structs, two aliases and two constants of each name, which may differ, before a function that knows none of them.
    fn twice(differ: bool) -> Btf {
        let mut builder = BtfBuilder::new();
        let u32 = builder.int("unsigned int", 4);
        let u64 = builder.int("unsigned long", 8);
        let other = if differ { u64 } else { u32 };
        builder.structure("node", 24, &[("flags", u32, 0), ("same", u32, 64), ("first", u32, 96)]);
        builder.structure("node", 24, &[("flags", other, 0), ("same", u32, 64), ("second", u32, 128)]);
        builder.typedef("handle_t", u32);
        builder.typedef("handle_t", other);
        builder.enumeration("", &[("MODE", 1), ("ONLY", 3)]);
        builder.enumeration("", &[("MODE", 1 + i32::from(differ))]);
        let pointer = builder.pointer(u32);
        let registers = builder.structure("pt_regs", 168, &[("di", u64, 896)]);
        let registers = builder.pointer(registers);
        builder.function("f", &[("p", pointer)]);
        builder.function("__x64_sys_f", &[("regs", registers)]);
        Btf::parse(builder.build()).unwrap()
    }

    #[test]
    fn a_name_of_several_types_is_refused_where_it_makes_a_difference_which_is_meant() {
        let read = |differ: bool, function: &str, declared: Option<&str>, text: &str| {
            let btf = twice(differ);
            let (id, is_syscall) = (btf.functions(function).next().unwrap(), function != "f");
            let declared = declared.map(|declared| parse_parameters(declared).unwrap());
            check(Function { btf: &btf, id, is_syscall }, declared.as_deref(), &parse(text).unwrap())
        };
        let of = |differ, text: &str| read(differ, "f", None, text);
        let refused = |result| match result {
            Err(Problems::Predicate(problems) | Problems::Parameters(problems)) => {
                problems.into_iter().map(|problem: Problem| problem.message).collect::<Vec<_>>()
            }
            Ok(value) => panic!("{value:?}"),
        };
        let of_nodes = "this kernel has 2 types `struct node`, with which this is not the same: \
                        24 bytes with flags, same, first; 24 bytes with flags, same, second";
        assert_eq!(refused(of(true, "((struct node *)p)->flags == 1")), [of_nodes]);
        assert!(of(false, "((struct node *)p)->flags == 1").is_ok());
        // What they have in common, and what only one of them has.
        let common = of(true, "((struct node *)p)->same && sizeof(struct node) == 24 && (struct node *)p");
        assert!(common.is_ok(), "{common:?}");
        let (address, space) = (Box::new(Ir::Argument(0)), Space::Kernel);
        let second = Ir::Load { address, offset: 16, bytes: 4, signed: false, space };
        assert_eq!(of(true, "((struct node *)p)->second"), Ok(second.truth()));
        let handles = "this kernel has 2 types `handle_t`, with which this is not the same: u32; u64";
        for text in ["sizeof(handle_t) == 4", "sizeof(handle_t *) == 8 && (handle_t)~0 > 0xffffffff"] {
            assert_eq!(refused(of(true, text)), [handles], "{text}");
            assert!(of(false, text).is_ok(), "{text}");
        }
        let declared = read(true, "__x64_sys_f", Some("struct node *n"), "n->flags");
        assert!(matches!(declared, Err(Problems::Parameters(_))), "{declared:?}");
        assert_eq!(refused(declared), [of_nodes]);
        assert!(read(false, "__x64_sys_f", Some("struct node *n"), "n->flags").is_ok());
        assert_eq!(refused(of(true, "*p == MODE")), ["this kernel has several constants `MODE`: 1, 2"]);
        assert!(of(false, "*p == MODE").is_ok() && of(true, "*p == ONLY").is_ok());
    }
}
