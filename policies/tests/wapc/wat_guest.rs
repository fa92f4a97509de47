//! Policies written in WebAssembly text: a well-behaved one, of which each test spoils a part.

/// Parts of a policy.
pub(crate) struct Guest {
    /// Imports beyond those of waPC.
    pub(crate) imports: &'static str,
    /// Memory, in WebAssembly text.
    pub(crate) memory: &'static str,
    /// What `__guest_call` does when it is asked for `protocol_version`, `validate_settings` and `validate`: it
    /// leaves what it returns.
    pub(crate) version: &'static str,
    pub(crate) settings: &'static str,
    pub(crate) validate: &'static str,
    /// Whatever else the module holds.
    pub(crate) more: &'static str,
}

/// Takes any settings, accepts everything.
pub(crate) const FINE: Guest = Guest {
    imports: "",
    memory: r#"(memory (export "memory") 2)"#,
    version: "(call $response (i32.const 0) (i32.const 4)) i32.const 1",
    settings: "(call $response (i32.const 16) (i32.const 14)) i32.const 1",
    validate: ACCEPT,
    more: "",
};

/// What a policy answers that accepts.
pub(crate) const ACCEPT: &str = "(call $response (i32.const 48) (i32.const 17)) i32.const 1";

/// The operations are told apart by the lengths of their names. From 1024 on, memory is free.
const MODULE: &str = r#"
    (import "wapc" "__guest_request" (func $request (param i32 i32)))
    (import "wapc" "__guest_response" (func $response (param i32 i32)))
    (import "wapc" "__guest_error" (func $error (param i32 i32)))
    (import "wapc" "__console_log" (func $log (param i32 i32)))
    (import "wapc" "__host_call" (func $host_call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (import "wapc" "__host_response_len" (func $host_response_len (result i32)))
    (import "wapc" "__host_response" (func $host_response (param i32)))
    (import "wapc" "__host_error_len" (func $host_error_len (result i32)))
    (import "wapc" "__host_error" (func $host_error (param i32)))
    (data (i32.const 0) "\"v1\"")
    (data (i32.const 16) "{\"valid\":true}")
    (data (i32.const 48) "{\"accepted\":true}")
    (data (i32.const 80) "kubewardentracinglogkuberneteslist_resources")"#;

impl Guest {
    /// The module's bytes.
    pub(crate) fn build(&self) -> Vec<u8> {
        let Self { imports, memory, version, settings, validate, more } = self;
        let (wapc, data) = MODULE.split_at(MODULE.find("(data").unwrap());
        let text = format!(
            r#"(module {wapc} {imports} {memory} {data}
                (func (export "__guest_call") (param $operation i32) (param $payload i32) (result i32) (local $i i32)
                    (if (result i32) (i32.eq (local.get $operation) (i32.const 16)) (then {version}) (else
                    (if (result i32) (i32.eq (local.get $operation) (i32.const 17)) (then {settings}) (else {validate})))))
                {more})"#
        );
        wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"))
    }
}
