//! What a policy may import and must export.

use faultline_core::review::{Evaluator, Undecided};

use crate::{
    HOST,
    fixtures::{outcome, spoiled},
    wat_guest::{FINE, Guest},
};

fn assert_refused(guest: &Guest, part: &str) {
    match spoiled(guest) {
        Undecided::RefusedModule(why) if why.contains(part) => {
            assert_eq!(HOST.describe(&guest.build()), Err(Undecided::RefusedModule(why)), "at load time");
        }
        other => panic!("expected a refusal with {part:?}: {other:?}"),
    }
}

#[test]
fn an_import_that_nothing_offers_is_refused_by_name() {
    for (imports, part) in [
        (r#"(import "env" "abort" (func (param i32 i32 i32 i32)))"#, "it imports env.abort"),
        (r#"(import "wapc" "__host_secret" (func))"#, "it imports wapc.__host_secret"),
        (
            r#"(import "wasi_snapshot_preview1" "fd_teleport" (func (result i32)))"#,
            "it imports wasi_snapshot_preview1.fd_teleport",
        ),
        (
            r#"(import "wasi_unstable" "fd_write" (func (param i32 i32 i32 i32) (result i32)))"#,
            "wasi_unstable.fd_write",
        ),
        (r#"(import "env" "global" (global i32))"#, "it imports env.global"),
        (r#"(import "wapc" "__guest_request" (global i32))"#, "incompatible import type"),
        (r#"(import "wapc" "__guest_request" (func (param i64)))"#, "incompatible import type"),
        (r#"(import "wasi_snapshot_preview1" "fd_write" (func))"#, "incompatible import type"),
        (r#"(import "wasi_snapshot_preview1" "path_open" (func))"#, "wasi_snapshot_preview1.path_open"),
        (
            r#"(import "wasi_snapshot_preview1" "path_open" (func (result i64)))"#,
            "wasi_snapshot_preview1.path_open",
        ),
    ] {
        assert_refused(&Guest { imports, ..FINE }, part);
    }
    let memory = r#"(import "env" "memory" (memory 2)) (export "memory" (memory 0))"#;
    assert_refused(&Guest { imports: memory, memory: "", ..FINE }, "it imports env.memory");
}

#[test]
fn the_same_function_may_be_imported_twice() {
    let imports = r#"(import "wapc" "__console_log" (func (param i32 i32)))
        (import "wasi_snapshot_preview1" "fd_close" (func (param i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_close" (func (param i32) (result i32)))"#;
    assert!(outcome(&Guest { imports, ..FINE }).is_ok());
}

#[test]
fn exports_of_another_type_are_refused() {
    let module =
        |export: &str| wat::parse_str(format!(r#"(module (memory (export "memory") 1) {export})"#)).unwrap();
    for export in [
        r#"(func (export "__guest_call") (param i64 i32) (result i32) i32.const 0)"#,
        r#"(func (export "__guest_call"))"#,
        r#"(global (export "__guest_call") i32 (i32.const 0))"#,
        r#"(func (export "__guest_call") (param i32 i32) (result i32) i32.const 0)
           (func (export "wapc_init") (param i32))"#,
        r#"(func (export "__guest_call") (param i32 i32) (result i32) i32.const 0)
           (func (export "_start") (result i32) i32.const 0)"#,
    ] {
        let why = HOST.describe(&module(export)).unwrap_err();
        assert!(matches!(why, Undecided::RefusedModule(_)), "{export}: {why:?}");
    }
}

#[test]
fn what_needs_a_cluster_is_refused_by_its_metadata() {
    let more = r#"(@custom "io.kubewarden.metadata"
        "{\"contextAwareResources\":[{\"apiVersion\":\"v1\",\"kind\":\"Namespace\"}]}")"#;
    assert_refused(&Guest { more, ..FINE }, "resources of a cluster");
}
