//! Guests written in WebAssembly text: a well-behaved one, of which each test spoils a part.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Parts of a guest. Each body leaves the address of its result on the stack.
pub(crate) struct Guest {
    /// Memory, in WebAssembly text.
    pub(crate) memory: &'static str,
    /// Body of `describe`.
    pub(crate) describe: &'static str,
    /// Body of `validate-settings`.
    pub(crate) validate: &'static str,
    /// Body of `evaluate`.
    pub(crate) evaluate: &'static str,
    /// Body of `cabi_realloc`, whose fourth parameter is the size.
    pub(crate) realloc: &'static str,
    /// Whatever else the module holds.
    pub(crate) more: &'static str,
}

/// Describes itself, takes any settings, allows everything.
pub(crate) const FINE: Guest = Guest {
    memory: r#"(memory (export "memory") 16)"#,
    describe: "i32.const 0",
    validate: "i32.const 64",
    evaluate: "i32.const 64",
    realloc: BUMP,
    more: "",
};

/// Never frees, and aligns everything to 8.
const BUMP: &str = "global.get $heap
    (global.set $heap (i32.and (i32.const -8) (i32.add (i32.const 7) (i32.add (global.get $heap) (local.get 3)))))";

/// Where memory holds what, as the component model lays it out:
///   0  the description: name, version, rules, moments as (address, length), then a byte of inputs
///  64  28 zeros: a result that is fine, with three empty lists
/// 128  a result that is an error of the text at 512
/// 160  a result that is an error of a list of one text
/// 192  a result with one tightening, probability at most 101
/// 256  a tightening: variant, value, then the finding's rule, path, message
/// 320  the list of one text for 160
/// 512  texts
const DATA: &str = r#"
    (data (i32.const 0) "\00\02\00\00\04\00\00\00\00\02\00\00\01\00\00\00\40\01\00\00\01\00\00\00\04\02\00\00\02\00\00\00\00")
    (data (i32.const 128) "\01\00\00\00\00\02\00\00\04\00\00\00")
    (data (i32.const 160) "\01\00\00\00\40\01\00\00\01\00\00\00")
    (data (i32.const 192) "\00\00\00\00\00\00\00\00\00\00\00\00\00\01\00\00\01\00\00\00\00\00\00\00\00\00\00\00")
    (data (i32.const 256) "\00\00\00\00\00\00\00\00\65\00\00\00\00\00\00\00\00\02\00\00\04\00\00\00\00\02\00\00\04\00\00\00\00\02\00\00\04\00\00\00")
    (data (i32.const 320) "\00\02\00\00\04\00\00\00")
    (data (i32.const 512) "text\00\01")"#;

impl Guest {
    /// The component's bytes.
    pub(crate) fn build(&self) -> Vec<u8> {
        let Self { memory, describe, validate, evaluate, realloc, more } = self;
        let text = format!(
            r#"(module
                {memory} {DATA}
                (global $heap (mut i32) (i32.const 65536))
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) {realloc})
                (func (export "faultline:guardrail/policy@0.1.0#describe") (result i32) {describe})
                (func (export "faultline:guardrail/policy@0.1.0#validate-settings") (param i32 i32) (result i32)
                    {validate})
                (func (export "faultline:guardrail/policy@0.1.0#evaluate") (param i32) (result i32) {evaluate})
                {more})"#
        );
        let mut module = wat::parse_str(text).unwrap();
        let mut resolve = Resolve::default();
        let package = resolve.push_str("guardrail.wit", include_str!("../../wit/guardrail.wit")).unwrap();
        let world = resolve.select_world(&[package], Some("guardrail")).unwrap();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
        ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
    }
}
