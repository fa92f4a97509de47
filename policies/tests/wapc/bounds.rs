//! What a policy may use: fuel, time, memory, stack.

use faultline_core::review::{Response, Undecided};
use faultline_policies::{Host, HostConfig, limits};

use crate::{
    HOST,
    fixtures::{ask, host, outcome, spoiled},
    wat_guest::{FINE, Guest},
};

const FOREVER: &str = "(loop $again (br $again)) unreachable";

#[test]
fn the_guest_that_the_others_spoil_is_fine() {
    let evaluation = ask(&HOST, &FINE.build());
    assert_eq!(evaluation.outcome, Ok(Response::default()));
    assert!((50..200).contains(&evaluation.fuel), "{}", evaluation.fuel);
}

#[test]
fn a_loop_uses_up_its_fuel_wherever_it_is() {
    let loop_in = |what: &'static str| Guest { more: what, ..FINE };
    for guest in [
        Guest { validate: FOREVER, ..FINE },
        Guest { settings: FOREVER, ..FINE },
        Guest { version: FOREVER, ..FINE },
        loop_in("(func $start (loop $again (br $again))) (start $start)"),
        loop_in(r#"(func (export "_initialize") (loop $again (br $again)))"#),
        loop_in(r#"(func (export "_start") (loop $again (br $again)))"#),
        loop_in(r#"(func (export "wapc_init") (loop $again (br $again)))"#),
    ] {
        assert_eq!(spoiled(&guest), Undecided::OutOfBounds("50000000 units of fuel".into()));
        assert_eq!(ask(&HOST, &guest.build()).fuel, limits::FUEL);
    }
}

#[test]
fn having_the_host_copy_without_end_uses_up_fuel_too() {
    for (body, calls) in [
        ("(call $request (i32.const 1024) (i32.const 2048))", 500_000),
        ("(call $log (i32.const 0) (i32.const 0x10000))", 15_000),
        ("(call $response (i32.const 0) (i32.const 0x10000))", 15_000),
        ("(drop (call $host_response_len))", 1_000_000),
    ] {
        // The number of calls goes to memory, and from there it does not come back: so it is bounded by a trap.
        let validate = format!(
            "(loop $again {body} (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $again (i32.lt_u (local.get $i) (i32.const {calls})))) unreachable"
        );
        let guest = Guest { validate: validate.leak(), ..FINE };
        assert_eq!(spoiled(&guest), Undecided::OutOfBounds("50000000 units of fuel".into()), "{body}");
    }
}

#[test]
fn a_trap_is_named() {
    for (guest, part) in [
        (Guest { validate: "unreachable", ..FINE }, "unreachable"),
        (Guest { settings: "unreachable", ..FINE }, "unreachable"),
        (Guest { version: "unreachable", ..FINE }, "unreachable"),
        (Guest { more: "(func $start unreachable) (start $start)", ..FINE }, "unreachable"),
        (Guest { more: r#"(func (export "wapc_init") unreachable)"#, ..FINE }, "unreachable"),
        (Guest { validate: "(i32.load (i32.const -4))", ..FINE }, "out of bounds memory access"),
        (Guest { validate: "(i32.div_u (i32.const 1) (i32.const 0))", ..FINE }, "divide by zero"),
        (
            Guest {
                validate: "(call $deep)",
                more: "(func $deep (result i32) (i32.add (call $deep) (i32.const 1)))",
                ..FINE
            },
            "call stack exhausted",
        ),
        (
            Guest { validate: "(call $log (i32.const 48) (i32.const 17)) unreachable", ..FINE },
            r#"(it wrote: {"accepted":true})"#,
        ),
    ] {
        match spoiled(&guest) {
            Undecided::Trapped(why) if why.contains(part) => {}
            other => panic!("expected a trap with {part:?}: {other:?}"),
        }
    }
}

#[test]
fn growing_beyond_the_limit_ends_the_call() {
    for validate in [
        "(drop (memory.grow (i32.const 1000))) i32.const 1",
        "(loop $again (br_if $again (memory.grow (i32.const 1)))) unreachable",
    ] {
        let why = spoiled(&Guest { validate, ..FINE });
        assert_eq!(why, Undecided::OutOfBounds("16 MiB of memory".into()));
    }
    let just_fits = "(drop (memory.grow (i32.const 254)))
        (call $response (i32.const 48) (i32.const 17)) i32.const 1";
    assert_eq!(outcome(&Guest { validate: just_fits, ..FINE }), Ok(Response::default()));
    let from_the_start = Guest { memory: r#"(memory (export "memory") 257)"#, ..FINE };
    assert!(matches!(spoiled(&from_the_start), Undecided::RefusedModule(_)));
}

#[test]
fn the_deadline_ends_what_the_fuel_does_not_and_spoils_no_later_call() {
    let host = Host::new(HostConfig { fuel: u64::MAX, ..HostConfig::default() }).unwrap();
    let forever = Guest { validate: FOREVER, ..FINE };
    assert_eq!(ask(&host, &forever.build()).outcome, Err(Undecided::OutOfBounds("200 ms".into())));
    assert_eq!(ask(&host, &FINE.build()).outcome, Ok(Response::default()));
}

#[test]
fn fuel_is_a_sharp_bound() {
    let validate = "(local.set $i (i32.const 1000))
        (loop $again (br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
        (call $response (i32.const 48) (i32.const 17)) i32.const 1";
    let module = Guest { validate, ..FINE }.build();
    let enough = |fuel| ask(&host(fuel), &module).outcome.is_ok();
    let used = ask(&HOST, &module).fuel;
    // The engine looks at what is left at the heads of loops and functions only, so a little less may do.
    let (mut too_little, mut plenty) = (0, used);
    while plenty - too_little > 1 {
        let middle = too_little + (plenty - too_little) / 2;
        *(if enough(middle) { &mut plenty } else { &mut too_little }) = middle;
    }
    assert!(plenty > 3000 && used - plenty < 100, "{plenty} of {used}");
    assert!(enough(plenty));
    let why = ask(&host(too_little), &module).outcome;
    assert_eq!(why, Err(Undecided::OutOfBounds(format!("{too_little} units of fuel"))));
}

#[test]
fn the_host_keeps_nothing_from_one_call_to_the_next() {
    let more = "(global $asked (mut i32) (i32.const 0))";
    // The second call to one instance would trap.
    let validate = "(if (global.get $asked) (then unreachable)) (global.set $asked (i32.const 1))
        (call $response (i32.const 48) (i32.const 17)) i32.const 1";
    let module = Guest { validate, more, ..FINE }.build();
    let first = ask(&HOST, &module);
    assert_eq!(first.outcome, Ok(Response::default()));
    assert_eq!(ask(&HOST, &module), first);
}
