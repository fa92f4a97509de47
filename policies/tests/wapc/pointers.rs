//! Pointers and lengths from a guest: wherever they lead out of its memory, the call ends.

use faultline_core::review::Undecided;

use crate::{
    fixtures::{assert_bad_answer, outcome, spoiled},
    wat_guest::{ACCEPT, FINE, Guest},
};

/// Every import that takes pointers, with one of them to be filled in and one byte at least behind it.
const POINTERS: [&str; 17] = [
    "(call $request (i32.const AT) (i32.const 1024))",
    "(call $request (i32.const 1024) (i32.const AT))",
    "(call $response (i32.const AT) (i32.const 1))",
    "(call $error (i32.const AT) (i32.const 1))",
    "(call $log (i32.const AT) (i32.const 1))",
    "(drop (call $host_call (i32.const AT) (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1)))",
    "(drop (call $host_call (i32.const 0) (i32.const 1) (i32.const AT) (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1)))",
    "(drop (call $host_call (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1) (i32.const AT) (i32.const 1) (i32.const 0) (i32.const 1)))",
    "(drop (call $host_call (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1) (i32.const AT) (i32.const 1)))",
    "(drop (call $host_call (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1)))
     (call $host_error (i32.const AT))",
    "(drop (call $write (i32.const 2) (i32.const AT) (i32.const 1) (i32.const 1024)))",
    "(drop (call $write (i32.const 2) (i32.const 1024) (i32.const 0) (i32.const AT)))",
    "(i32.store (i32.const 1024) (i32.const AT)) (i32.store (i32.const 1028) (i32.const 1))
     (drop (call $write (i32.const 2) (i32.const 1024) (i32.const 1) (i32.const 1032)))",
    "(drop (call $random (i32.const AT) (i32.const 1)))",
    "(drop (call $clock (i32.const 0) (i64.const 0) (i32.const AT)))",
    "(drop (call $args_sizes (i32.const AT) (i32.const 1024)))",
    "(drop (call $environ_sizes (i32.const 1024) (i32.const AT)))",
];

/// Every import that takes a length, with it to be filled in.
const LENGTHS: [&str; 11] = [
    "(call $response (i32.const 8) (i32.const LEN))",
    "(call $error (i32.const 8) (i32.const LEN))",
    "(call $log (i32.const 8) (i32.const LEN))",
    "(drop (call $host_call (i32.const 8) (i32.const LEN) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1)))",
    "(drop (call $host_call (i32.const 0) (i32.const 1) (i32.const 8) (i32.const LEN) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1)))",
    "(drop (call $host_call (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8) (i32.const LEN) (i32.const 0) (i32.const 1)))",
    "(drop (call $host_call (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8) (i32.const LEN)))",
    "(drop (call $write (i32.const 1) (i32.const 8) (i32.const LEN) (i32.const 1024)))",
    "(i32.store (i32.const 1024) (i32.const 8)) (i32.store (i32.const 1028) (i32.const LEN))
     (drop (call $write (i32.const 1) (i32.const 1024) (i32.const 1) (i32.const 1032)))",
    "(drop (call $random (i32.const 8) (i32.const LEN)))",
    "(call $response (i32.const 0) (i32.const LEN))",
];

const WASI: &str = r#"
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes (param i32 i32) (result i32)))"#;

/// Accepts, unless it is ended by `call`, in which `hole` is filled with `value`.
fn calling(call: &str, hole: &str, value: &str) -> Guest {
    Guest { imports: WASI, validate: format!("{} {ACCEPT}", call.replace(hole, value)).leak(), ..FINE }
}

#[test]
fn a_pointer_out_of_memory_ends_the_call() {
    for call in POINTERS {
        // The memory has two pages, 131072 bytes.
        for at in ["131072", "0x7fffffff", "-1", "-2147483648"] {
            assert_bad_answer(&calling(call, "AT", at), "it points at");
        }
        let good = outcome(&calling(call, "AT", "1040")).map_err(|why| why.to_string());
        assert!(!good.is_err_and(|why| why.contains("it points at")), "{call}");
    }
}

#[test]
fn a_length_that_leads_out_of_memory_ends_the_call() {
    for call in LENGTHS {
        for len in ["131073", "0x7fffffff", "-1", "-2147483648"] {
            assert_bad_answer(&calling(call, "LEN", len), "it points at");
        }
    }
}

#[test]
fn what_ends_just_before_the_end_of_memory_is_fine() {
    for call in [
        "(call $log (i32.const 131071) (i32.const 1))",
        "(call $log (i32.const 131072) (i32.const 0))",
        "(drop (call $random (i32.const 131064) (i32.const 8)))",
        "(drop (call $clock (i32.const 1) (i64.const 0) (i32.const 131064)))",
    ] {
        assert!(outcome(&calling(call, "", "")).is_ok(), "{call}");
    }
    assert_bad_answer(
        &calling("(drop (call $clock (i32.const 1) (i64.const 0) (i32.const 131065)))", "", ""),
        "",
    );
    assert_bad_answer(&calling("(call $log (i32.const 131073) (i32.const 0))", "", ""), "");
}

#[test]
fn pointers_are_checked_before_the_guest_is_asked_too() {
    let more = r#"(func $start (call $response (i32.const -1) (i32.const 1))) (start $start)"#;
    assert_bad_answer(&Guest { more, ..FINE }, "it points at");
}

#[test]
fn a_guest_without_a_memory_has_nothing_to_point_at() {
    let guest = Guest { memory: "(memory 2)", ..FINE };
    assert_eq!(spoiled(&guest), Undecided::RefusedModule("it exports no memory".into()));
}
