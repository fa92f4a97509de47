//! Damaged types and arbitrary predicates: errors, and never a panic or no end.

use faultline_api::Predicate;
use faultline_ebpf::Target;
use faultline_ebpf::btf::Btf;
use faultline_ebpf::codegen::{self, ChainFunction, Hook, chain_entry};
use faultline_ebpf::facts::{Facts, TargetFacts};
use faultline_ebpf::predicate::{Function, read};
use proptest::prelude::*;

mod common;

/// A kernel with a function whose parameter leads through members of every kind.
fn kernel() -> Vec<u8> {
    let (mut btf, [word, flags, pointer]) = common::kernel();
    let array = btf.array(word, word, 4);
    let inner = btf.structure("inner", 24, &[("a", word, 0), ("b", array, 32)]);
    let outer = btf.structure("outer", 40, &[("inner", inner, 0), ("to", pointer, 192), ("", inner, 256)]);
    let outer = btf.pointer(outer);
    btf.enumeration("zone", &[("ZONE", 1)]);
    btf.function("should_failslab", &[("s", outer), ("gfpflags", flags)]);
    btf.function("f", &[("o", outer), ("n", word)]);
    btf.build()
}

/// Goes the whole way with whatever there is.
fn compile(bytes: Vec<u8>, text: &str, parameters: Option<&str>) {
    let Ok(btf) = Btf::parse(bytes) else { return };
    let Ok(facts) = Facts::from_btf(&btf) else { return };
    let _ = TargetFacts::from_btf(&btf, Target::Slab);
    for id in btf.functions("f").take(2).collect::<Vec<_>>() {
        let predicate = Predicate { text: text.to_owned(), parameters: parameters.map(str::to_owned) };
        let Ok(condition) = read(Function { btf: &btf, id, is_syscall: false }, &predicate) else { continue };
        let function = ChainFunction {
            name: "f".into(),
            number: 1,
            hook: Hook::Trampoline { btf_id: id },
            address: 0,
            span: 10,
        };
        let _ = chain_entry(&facts, &function, &[codegen::Predicate { number: 1, condition }], 1);
    }
}

/// Words that mean something, in any order.
fn words() -> impl Strategy<Value = String> {
    let word = prop::sample::select(&[
        "o",
        "n",
        "->",
        ".",
        "inner",
        "to",
        "a",
        "b",
        "[",
        "]",
        "(",
        ")",
        "*",
        "&",
        "&&",
        "||",
        "!",
        "~",
        "-",
        "+",
        "/",
        "%",
        "<<",
        ">>",
        "==",
        "<",
        ">=",
        "?",
        ":",
        ",",
        "0",
        "1",
        "7",
        "64",
        "-1",
        "ZONE",
        "\"x\"",
        "'y'",
        "STRCMP",
        "STRNCMP",
        "MKDEV",
        "IS_ERR",
        "sizeof",
        "struct",
        "outer",
        "unsigned",
        "long",
        "char",
        "current",
        "tgid",
        "signal",
        "void",
        "u64",
        "NULL",
        "GFP_KERNEL",
        "__GFP_NOFAIL",
        "\u{e9}",
        "\0",
    ]);
    prop::collection::vec(word, 0..40).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn whatever_a_predicate_says_it_is_compiled_or_refused(
        text in prop_oneof![words(), any::<String>()],
        parameters in prop::option::of(words()),
    ) {
        compile(kernel(), &text, parameters.as_deref());
    }

    #[test]
    fn whatever_is_damaged_in_a_kernels_types_is_an_error_at_most(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = kernel();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(cut.map_or(bytes.len(), |cut| cut.index(bytes.len())));
        compile(bytes, "o->inner.b[n & 3] == 7 && o->a < sizeof(*o) && STRNCMP(o->to, \"x\", 1)", None);
    }
}

#[test]
fn the_fixture_itself_compiles() {
    let btf = Btf::parse(kernel()).unwrap();
    let id = btf.functions("f").next().unwrap();
    let text = "o->inner.b[n & 3] == 7 && o->a < sizeof(*o) && STRNCMP(o->to, \"x\", 1)".to_owned();
    assert!(
        read(Function { btf: &btf, id, is_syscall: false }, &Predicate { text, parameters: None }).is_ok()
    );
    assert!(Facts::from_btf(&btf).is_ok() && TargetFacts::from_btf(&btf, Target::Slab).is_ok());
}
