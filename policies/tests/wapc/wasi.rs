//! WASI as policies meet it: the same everywhere, and nothing outside.

use faultline_core::review::{Response, Undecided};
use faultline_policies::limits;

use crate::{
    HOST,
    fixtures::{ask, host, outcome, spoiled},
    wat_guest::{ACCEPT, FINE, Guest},
};

const EXIT: &str = r#"(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))"#;

#[test]
fn a_command_that_ends_well_may_be_asked() {
    let start = |code: &str| {
        let more = format!(r#"(func (export "_start") (call $exit (i32.const {code})))"#);
        Guest { imports: EXIT, more: more.leak(), ..FINE }
    };
    assert_eq!(outcome(&start("0")), Ok(Response::default()));
    for (code, told) in [("1", "1"), ("-1", "4294967295")] {
        assert_eq!(spoiled(&start(code)), Undecided::Trapped(format!("it exited with code {told}")));
    }
}

#[test]
fn a_policy_that_exits_while_it_is_asked_does_not_answer() {
    let validate = "(call $response (i32.const 48) (i32.const 17)) (call $exit (i32.const 0)) i32.const 1";
    let why = spoiled(&Guest { imports: EXIT, validate, ..FINE });
    assert_eq!(why, Undecided::Trapped("it exited with code 0".into()));
    let more = r#"(func $start (call $exit (i32.const 0))) (start $start)"#;
    let why = spoiled(&Guest { imports: EXIT, more, ..FINE });
    assert_eq!(why, Undecided::Trapped("it exited with code 0".into()));
}

#[test]
fn what_initialises_a_policy_is_called_in_its_order() {
    // Each leaves what it found, times ten, plus itself.
    let more = r#"(global $order (mut i32) (i32.const 0))
        (func $next (param i32) (global.set $order (i32.add (i32.mul (global.get $order) (i32.const 10)) (local.get 0))))
        (func (export "wapc_init") (call $next (i32.const 3)))
        (func (export "_start") (call $next (i32.const 2)))
        (func (export "_initialize") (call $next (i32.const 1)))"#;
    let validate = "(if (i32.ne (global.get $order) (i32.const 123)) (then unreachable))
        (call $response (i32.const 48) (i32.const 17)) i32.const 1";
    assert_eq!(outcome(&Guest { more, validate, ..FINE }), Ok(Response::default()));
}

/// Denies with a message made of random bytes and the time.
const DICE: Guest = Guest {
    imports: r#"
        (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))"#,
    more: r#"(data (i32.const 1024) "{\"accepted\":false,\"message\":\"________________________\"}")"#,
    validate: "
        (drop (call $random (i32.const 2048) (i32.const 15)))
        (drop (call $clock (i32.const 1) (i64.const 0) (i32.const 2064)))
        (loop $again
            (i32.store8 (i32.add (i32.const 1053) (local.get $i))
                (i32.add (i32.const 97) (i32.and (i32.const 15) (i32.load8_u (i32.add (i32.const 2048) (local.get $i))))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $i) (i32.const 24))))
        (call $response (i32.const 1024) (i32.const 55)) i32.const 1",
    ..FINE
};

#[test]
fn random_bytes_and_the_time_are_the_same_everywhere() {
    let module = DICE.build();
    let message =
        |host: &faultline_policies::Host| ask(host, &module).outcome.unwrap().denials.remove(0).message;
    let rolled = message(&HOST);
    assert_eq!(rolled, message(&HOST));
    assert_eq!(rolled, message(&host(limits::FUEL)));
    let distinct: std::collections::BTreeSet<char> = rolled[..15].chars().collect();
    assert!(distinct.len() > 5, "{rolled}");
    // The first of January 2020, least significant byte first.
    let bytes = 1_577_836_800_000_000_000_u64.to_le_bytes();
    let expected: String = bytes.iter().map(|byte| char::from(b'a' + (byte & 15))).collect();
    assert_eq!(rolled[16..], expected);
}

/// What there is none of is said by its number: `call` leaves one, which is to be `errno`.
fn assert_errno(imports: &'static str, call: &str, errno: u32) {
    let validate = format!("(if (i32.ne {call} (i32.const {errno})) (then unreachable)) {ACCEPT}");
    let guest = Guest { imports, validate: validate.leak(), ..FINE };
    assert_eq!(outcome(&guest), Ok(Response::default()), "{call}");
}

#[test]
fn there_are_no_files_arguments_or_environment() {
    let function = |name: &str, types: &str| {
        let text =
            format!(r#"(import "wasi_snapshot_preview1" "{name}" (func $f (param {types}) (result i32)))"#);
        &*text.leak()
    };
    assert_errno(function("fd_close", "i32"), "(call $f (i32.const 1))", 8);
    assert_errno(function("fd_prestat_get", "i32 i32"), "(call $f (i32.const 3) (i32.const -1))", 8);
    let open = "(call $f (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0) (i64.const 0) (i64.const 0)
        (i32.const 0) (i32.const 0))";
    assert_errno(function("path_open", "i32 i32 i32 i32 i32 i64 i64 i32 i32"), open, 8);
    let poll = "(call $f (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0))";
    assert_errno(function("poll_oneoff", "i32 i32 i32 i32"), poll, 52);
    let write = "(call $f (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1024))";
    assert_errno(function("fd_write", "i32 i32 i32 i32"), write, 8);
    assert_errno(
        function("clock_time_get", "i32 i64 i32"),
        "(call $f (i32.const 4) (i64.const 0) (i32.const 1024))",
        28,
    );
    assert_errno(function("environ_get", "i32 i32"), "(call $f (i32.const 0) (i32.const 0))", 0);
    let counted = "(i32.or (call $f (i32.const 0) (i32.const 4)) (i32.or (i32.load (i32.const 0)) (i32.load (i32.const 4))))";
    assert_errno(function("args_sizes_get", "i32 i32"), counted, 0);
}

#[test]
fn what_is_written_is_told_with_a_trap() {
    let imports =
        r#"(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))"#;
    // Two pieces, "kube" and "warden"; a wrong count of bytes would accept.
    let validate = format!(
        "(i32.store (i32.const 1024) (i32.const 80)) (i32.store (i32.const 1028) (i32.const 4))
         (i32.store (i32.const 1032) (i32.const 84)) (i32.store (i32.const 1036) (i32.const 6))
         (drop (call $write (i32.const 2) (i32.const 1024) (i32.const 2) (i32.const 1040)))
         (if (i32.eq (i32.load (i32.const 1040)) (i32.const 10)) (then unreachable)) {ACCEPT}"
    );
    match spoiled(&Guest { imports, validate: validate.leak(), ..FINE }) {
        Undecided::Trapped(why) if why.ends_with("(it wrote: kubewarden)") => {}
        other => panic!("{other:?}"),
    }
}
