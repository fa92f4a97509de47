//! A kernel's types as bytes, damaged or made up: an error or an answer, and predicates mean the same however compiled.

use faultline_api::Predicate;
use faultline_ebpf::{
    Target,
    btf::{Btf, Kind},
    facts::{Facts, TargetFacts},
    predicate::read,
    symbol::{Modules, Objects},
};

use crate::kernel::Kernel;

/// Types that are looked at, one by one.
const MOST_TYPES: u32 = 120;

const KINDS: [Kind; 8] = [
    Kind::Struct,
    Kind::Union,
    Kind::Enum,
    Kind::Enum64,
    Kind::Typedef,
    Kind::Func,
    Kind::Var,
    Kind::Forward,
];

/// Predicates that lead through members of every kind.
const PREDICATES: [(&str, &str); 5] = [
    ("lookup", "node->all[n & 1].kind < c && node->left + node->right == sizeof(*node)"),
    ("lookup", "STRNCMP(node->text, \"ab\", 1) || STRCMP(node->name, \"a\") || node->list[n]"),
    ("lookup", "node->bits.low + node->bits.high + node->bits.end > ZONE_HIGH || outer->node->next"),
    ("by_value", "n && last->flags & __GFP_NOFAIL || current->signal->oom_mm"),
    ("should_failslab", "s->inner.size % 7 == 3 && (gfpflags & GFP_KERNEL) != (gfp_t)s->flags"),
];

/// Asks for everything that anybody asks of a kernel's types.
pub fn run(input: &[u8]) {
    let Ok(btf) = Btf::parse(input.to_vec()) else { return };
    let last = u32::try_from(btf.len()).unwrap_or(u32::MAX).min(MOST_TYPES);
    for id in (0..=last + 1).chain([u32::MAX]) {
        one_type(&btf, id);
    }
    for kind in KINDS {
        let _ = btf.find(kind, "node");
    }
    let objects = Objects { kernel: &btf, modules: &Modules::new(), table: None };
    let _ = (btf.enumerator("ZONE_BELOW"), ["lokup", "sys_mount", "a:lookup"].map(|name| objects.find(name)));
    let _ = (Target::ALL.map(|target| TargetFacts::from_btf(&btf, target)), Facts::from_btf(&btf));
    let Some(kernel) = Kernel::parse(input.to_vec()) else { return };
    for (function, text) in PREDICATES {
        let Some(function) = kernel.function(function) else { continue };
        let predicate = Predicate { text: text.to_owned(), parameters: None };
        if let Ok(condition) = read(function, &predicate) {
            kernel.agrees(&condition);
        }
    }
}

fn one_type(btf: &Btf, id: u32) {
    let _ = (btf.type_of(id), btf.size_of(id), btf.type_name(id), btf.unqualified(id), btf.params(id));
    let fields = btf.fields(id);
    if let Some((name, field)) = fields.first() {
        assert_eq!(btf.field(id, name), Some(*field), "the first member of type {id}");
    }
}
