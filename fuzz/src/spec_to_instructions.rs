//! Experiments made up by the input: their programs are programs, and their predicates mean what they say.

use faultline_api::Predicate as Text;
use faultline_ebpf::{
    Target,
    btf::{Btf, Param, Type},
    codegen::{ChainFunction, Hook, Predicate, cgroup_made, cgroup_removed, chain_entry, chain_exit, gate},
    facts::TargetFacts,
    predicate::{Ir, read},
};

use crate::{
    choices::Choices,
    kernel::{FUNCTIONS, Kernel},
    program,
};

/// Functions on the way of one chain.
const FRAMES: usize = 3;

/// Predicates that one function has.
const PREDICATES: usize = 6;

/// How deep an expression nests, and how many members lead from a parameter to a value.
const LEVELS: usize = 5;

/// Compiles a call chain as an agent does, each function for itself.
pub fn run(input: &[u8]) {
    let mut choices = Choices::new(input);
    let kernel = Kernel::imagined();
    let target = *choices.of(&Target::ALL);
    let facts = TargetFacts::from_btf(&kernel.btf, target).expect("the fixture has all targets");
    let own = predicates(kernel, target.function(), &mut choices);
    if let Ok(gate) = gate(&kernel.facts, &facts, &own, 1) {
        program::check(&gate.link(|_| 3));
    }
    for number in 1..=choices.below(FRAMES) + 1 {
        let name = *choices.of(&FUNCTIONS);
        let predicates = predicates(kernel, name, &mut choices);
        let number = u16::try_from(number).expect("there are few");
        let address = 0xffff_ffff_8100_0000 ^ choices.number();
        let hook = *choices.of(&[Hook::Trampoline { btf_id: 7 }, Hook::Kprobe { address }]);
        let function = ChainFunction { name: name.to_owned(), number, hook, address, span: 10 };
        if let Ok(entry) = chain_entry(&kernel.facts, &function, &predicates, choices.number()) {
            program::check(&entry.link(|_| 3));
        }
        program::check(&chain_exit(&kernel.facts, &function).expect("exits have no predicates").link(|_| 3));
    }
    for program in [cgroup_made(&kernel.facts, 1), cgroup_removed(&kernel.facts, 1)] {
        program::check(&program.expect("they have no predicates").link(|_| 3));
    }
}

/// Predicates of one function, under numbers of their own.
fn predicates(kernel: &Kernel, name: &str, choices: &mut Choices<'_>) -> Vec<Predicate> {
    let count = choices.below(PREDICATES + 1);
    let step = u8::try_from(1 + choices.below(10)).expect("it is small");
    let conditions = (0..count).filter_map(|_| condition(kernel, name, choices));
    (0..).zip(conditions).map(|(nth, condition)| Predicate { number: 1 + nth * step, condition }).collect()
}

/// What the choices come to; none where it does not fit the function.
fn condition(kernel: &Kernel, name: &str, choices: &mut Choices<'_>) -> Option<Ir> {
    let function = kernel.function(name)?;
    let (text, parameters) = match function.is_syscall {
        true => (
            expression(&kernel.btf, &[], &["a", "b", "*(int *)c", "d->inner.kind", "*e"], choices, LEVELS),
            Some("unsigned long a, int b, char *c, struct node *d, unsigned char *e".to_owned()),
        ),
        false => {
            let params = kernel.btf.params(function.id)?;
            (expression(&kernel.btf, &params, &["current->tgid"], choices, LEVELS), None)
        }
    };
    let condition = read(function, &Text { text, parameters }).ok()?;
    kernel.agrees(&condition);
    Some(condition)
}

/// An expression of C over a function's parameters.
fn expression(
    btf: &Btf,
    params: &[Param<'_>],
    names: &[&str],
    choices: &mut Choices<'_>,
    levels: usize,
) -> String {
    let kind = if levels == 0 { choices.below(4) } else { choices.below(12) };
    let mut more = || expression(btf, params, names, choices, levels.saturating_sub(1));
    match kind {
        0 => choices.number().to_string(),
        1 => (*choices.of(names)).to_owned(),
        2 | 3 => way(btf, params, choices).unwrap_or_else(|| "ZONE_HIGH".to_owned()),
        4..=7 => {
            let (left, right) = (more(), more());
            let operators = [
                "+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>", "<", ">", "<=", ">=", "==", "!=", "&&",
                "||",
            ];
            format!("({left} {} {right})", choices.of(&operators))
        }
        8 => format!(
            "{}({})",
            choices.of(&["!", "~", "-", "+"]),
            expression(btf, params, names, choices, levels - 1)
        ),
        9 => {
            let (condition, then, otherwise) = (more(), more(), more());
            format!("({condition} ? {then} : {otherwise})")
        }
        10 => {
            let of = more();
            let types =
                ["char", "unsigned char", "short", "u16", "int", "unsigned", "long", "u64", "bool", "gfp_t"];
            format!("({})({of})", choices.of(&types))
        }
        _ => {
            let text = way(btf, params, choices).unwrap_or_else(|| "current".to_owned());
            let length = 1 + choices.below(12);
            format!("STRNCMP({text}, \"{}\", {length})", &"abababababab"[choices.below(12)..])
        }
    }
}

/// A way from a parameter through members to some value.
fn way(btf: &Btf, params: &[Param<'_>], choices: &mut Choices<'_>) -> Option<String> {
    if params.is_empty() {
        return None;
    }
    let param = choices.of(params);
    let (mut way, mut id) = (param.name.to_owned(), param.type_id);
    for _ in 0..LEVELS {
        let (aggregate, arrow) = match btf.type_of(id)? {
            Type::Array { of, length } => {
                way = format!("{way}[{}]", choices.below(length.max(1) as usize));
                id = of;
                continue;
            }
            Type::Pointer(to) => match btf.type_of(to)? {
                Type::Aggregate { id, .. } if choices.below(8) != 0 => (id, "->"),
                _ => return Some(way),
            },
            Type::Aggregate { id, .. } => (id, "."),
            _ => return Some(way),
        };
        let fields = btf.fields(aggregate);
        if fields.is_empty() {
            return None;
        }
        let (name, field) = choices.of(&fields);
        way = format!("{way}{arrow}{name}");
        id = field.type_id;
    }
    Some(way)
}
