//! Whatever a module does, its experiment is undecided for the right reason, and the next module is not affected.

use faultline_core::review::{Evaluation, Evaluator, Undecided};
use faultline_policies::{Host, HostConfig, Ticks, limits};
use serde_json::json;

use crate::{
    HOST,
    fixtures::{CAP_LIMITS, DENY_ALL, experiment, host_with_fuel, review},
    wat_guest::{FINE, Guest},
};

const FOREVER: &str = "(loop $again (br $again)) unreachable";

fn ask(host: &Host, module: &[u8]) -> Evaluation {
    host.evaluate(module, &json!({ "times": { "max": 3 } }), &review(experiment()))
}

fn undecided(host: &Host, module: &[u8]) -> Undecided {
    ask(host, module).outcome.expect_err("it cannot be decided")
}

/// Asks a module that misbehaves, and a shipped one after it.
fn spoiled(host: &Host, guest: &Guest) -> Undecided {
    let why = undecided(host, &guest.build());
    let next = ask(host, CAP_LIMITS).outcome.expect("the next guest is not affected");
    assert_eq!(next.tightenings.len(), 1);
    why
}

fn assert_bad_answer(guest: &Guest, part: &str) {
    match spoiled(&HOST, guest) {
        Undecided::BadAnswer(why) if why.contains(part) => {}
        other => panic!("expected a bad answer with {part:?}: {other:?}"),
    }
}

#[test]
fn the_guest_that_the_others_spoil_is_fine() {
    let evaluation = ask(&HOST, &FINE.build());
    assert_eq!(evaluation.outcome, Ok(faultline_core::review::Response::default()));
}

#[test]
fn a_loop_uses_up_its_fuel_wherever_it_is() {
    let out_of_fuel = Undecided::OutOfBounds("50000000 units of fuel".into());
    let host = &*HOST;
    for guest in [
        Guest { evaluate: FOREVER, ..FINE },
        Guest { validate: FOREVER, ..FINE },
        Guest { describe: FOREVER, ..FINE },
        Guest { realloc: FOREVER, ..FINE },
        Guest { more: "(func $start (loop $again (br $again))) (start $start)", ..FINE },
    ] {
        assert_eq!(spoiled(host, &guest), out_of_fuel);
        assert_eq!(ask(host, &guest.build()).fuel, limits::FUEL);
    }
}

#[test]
fn a_trap_is_named() {
    let host = &*HOST;
    for (guest, part) in [
        (Guest { evaluate: "unreachable", ..FINE }, "unreachable"),
        (Guest { validate: "unreachable", ..FINE }, "unreachable"),
        (Guest { describe: "unreachable", ..FINE }, "unreachable"),
        (Guest { realloc: "unreachable", ..FINE }, "unreachable"),
        (Guest { more: "(func $start unreachable) (start $start)", ..FINE }, "unreachable"),
        (Guest { evaluate: "(i32.load (i32.const -4))", ..FINE }, "out of bounds memory access"),
        (Guest { evaluate: "(i32.div_u (i32.const 1) (i32.const 0))", ..FINE }, "divide by zero"),
        (
            Guest {
                evaluate: "(call $deep)",
                more: "(func $deep (result i32) (i32.add (call $deep) (i32.const 1)))",
                ..FINE
            },
            "call stack exhausted",
        ),
    ] {
        match spoiled(host, &guest) {
            Undecided::Trapped(why) if why.contains(part) => {}
            other => panic!("expected a trap with {part:?}: {other:?}"),
        }
    }
}

#[test]
fn growing_beyond_the_limit_ends_the_call() {
    let host = &*HOST;
    let at_once = Guest { evaluate: "(drop (memory.grow (i32.const 1000))) i32.const 64", ..FINE };
    let step_by_step =
        Guest { evaluate: "(loop $again (br_if $again (memory.grow (i32.const 1)))) unreachable", ..FINE };
    for guest in [at_once, step_by_step] {
        assert_eq!(spoiled(host, &guest), Undecided::OutOfBounds("16 MiB of memory".into()));
    }
    let just_fits = Guest { evaluate: "(drop (memory.grow (i32.const 240))) i32.const 64", ..FINE };
    assert!(ask(host, &just_fits.build()).outcome.is_ok());
}

#[test]
fn tables_and_start_functions_grow_no_further_either() {
    let table = Guest {
        evaluate: "(drop (table.grow $table (ref.null func) (i32.const 20000))) i32.const 64",
        more: "(table $table 1 funcref)",
        ..FINE
    };
    assert_eq!(spoiled(&HOST, &table), Undecided::OutOfBounds("10000 table entries".into()));
    let start = Guest { more: "(func $start (drop (memory.grow (i32.const 1000)))) (start $start)", ..FINE };
    assert_eq!(spoiled(&HOST, &start), Undecided::OutOfBounds("16 MiB of memory".into()));
}

#[test]
fn more_memory_than_the_limit_from_the_start_is_refused() {
    let guest = Guest { memory: r#"(memory (export "memory") 257)"#, ..FINE };
    assert!(matches!(spoiled(&HOST, &guest), Undecided::RefusedModule(_)));
}

#[test]
fn an_answer_that_cannot_be_read_is_refused() {
    for (evaluate, part) in [
        // The address of the result itself: beyond memory, negative, and not aligned.
        ("i32.const 0x7ffffff0", ""),
        ("i32.const -16", ""),
        ("i32.const 65", ""),
        // A list of denials that lies beyond memory, and one whose size overflows.
        (
            "(i32.store (i32.const 68) (i32.const 0x7ffffff0)) (i32.store (i32.const 72) (i32.const 1)) i32.const 64",
            "",
        ),
        ("(i32.store (i32.const 72) (i32.const 0x0fffffff)) i32.const 64", ""),
        ("(i32.store (i32.const 72) (i32.const -1)) i32.const 64", ""),
        // Neither a result nor an error.
        ("(i32.store8 (i32.const 64) (i32.const 7)) i32.const 64", ""),
        // An error whose text is no text.
        ("(i32.store8 (i32.const 512) (i32.const 0xff)) i32.const 128", "utf-8"),
        // One whose text is larger than any answer may be.
        ("(i32.store (i32.const 136) (i32.const 300000)) i32.const 128", ""),
        // Ten thousand findings that share their texts.
        (
            "(i32.store (i32.const 76) (i32.const 0)) (i32.store (i32.const 68) (i32.const 65536))
             (i32.store (i32.const 72) (i32.const 10000)) i32.const 64",
            "",
        ),
    ] {
        assert_bad_answer(&Guest { evaluate, ..FINE }, part);
    }
    for realloc in ["i32.const -8", "i32.const 0x7ffffff0", "i32.const 65537"] {
        assert_bad_answer(&Guest { realloc, ..FINE }, "realloc");
    }
}

#[test]
fn neither_a_description_nor_an_opinion_on_settings_is_read_beyond_its_bounds() {
    for describe in [
        // The length of the name, of the list of rules, and of that of moments: larger than any answer, than memory,
        // negative.
        "(i32.store (i32.const 4) (i32.const 300000)) i32.const 0",
        "(i32.store (i32.const 20) (i32.const 0x0fffffff)) i32.const 0",
        "(i32.store (i32.const 20) (i32.const -1)) i32.const 0",
        "(i32.store (i32.const 28) (i32.const -1)) i32.const 0",
        // Where the rules are, and the description itself.
        "(i32.store (i32.const 16) (i32.const 0x7ffffff0)) i32.const 0",
        "i32.const -16",
    ] {
        assert_bad_answer(&Guest { describe, ..FINE }, "");
    }
    for validate in [
        "(i32.store (i32.const 168) (i32.const -1)) i32.const 160",
        "(i32.store (i32.const 168) (i32.const 0x0fffffff)) i32.const 160",
        "(i32.store (i32.const 164) (i32.const 0x7ffffff0)) i32.const 160",
        "(i32.store8 (i32.const 160) (i32.const 7)) i32.const 160",
    ] {
        assert_bad_answer(&Guest { validate, ..FINE }, "");
    }
}

#[test]
fn an_answer_that_breaks_the_rules_is_refused() {
    // The description names one rule, "text": the tightening is of that rule.
    assert_bad_answer(
        &Guest {
            evaluate: "(i32.store (i32.const 204) (i32.const 256)) (i32.store (i32.const 208) (i32.const 1)) i32.const 192",
            ..FINE
        },
        "a probability of 101 %",
    );
    // The same within its range, of a rule that is not described; and a limit of no known kind.
    assert_bad_answer(
        &Guest {
            evaluate: "(i32.store8 (i32.const 264) (i32.const 5)) (i32.store (i32.const 276) (i32.const 3))
                (i32.store (i32.const 204) (i32.const 256)) (i32.store (i32.const 208) (i32.const 1)) i32.const 192",
            ..FINE
        },
        r#"the rule "tex" is not one that the module describes"#,
    );
    assert_bad_answer(
        &Guest {
            evaluate: "(i32.store8 (i32.const 256) (i32.const 9))
                (i32.store (i32.const 204) (i32.const 256)) (i32.store (i32.const 208) (i32.const 1)) i32.const 192",
            ..FINE
        },
        "",
    );
    assert_bad_answer(
        &Guest { describe: "(i32.store (i32.const 4) (i32.const 0)) i32.const 0", ..FINE },
        "the name is empty",
    );
    assert_bad_answer(
        &Guest { describe: "(i32.store (i32.const 28) (i32.const 0)) i32.const 0", ..FINE },
        "no moment",
    );
}

#[test]
fn a_guest_may_give_up_or_dislike_its_settings() {
    let host = &*HOST;
    let gives_up = Guest { evaluate: "i32.const 128", ..FINE };
    assert_eq!(spoiled(host, &gives_up), Undecided::GaveUp("text".into()));
    let dislikes = Guest { validate: "i32.const 160", evaluate: "unreachable", ..FINE };
    assert_eq!(spoiled(host, &dislikes), Undecided::InvalidSettings(vec!["text".into()]));
}

#[test]
fn what_is_no_module_of_ours_is_refused_by_name() {
    let component = |text: &str| wat::parse_str(text).unwrap();
    let mut truncated = CAP_LIMITS.to_vec();
    truncated.truncate(CAP_LIMITS.len() / 2);
    let host = &*HOST;
    for (bytes, part) in [
        (vec![], "the file is empty"),
        (b"(component)".to_vec(), "not WebAssembly"),
        (CAP_LIMITS[..6].to_vec(), "not WebAssembly"),
        (truncated, "out of bounds"),
        (wat::parse_str("(module)").unwrap(), "a core module without __guest_call"),
        (vec![0; limits::MODULE + 1], "more than 4 MiB"),
        (component("(component)"), "it does not export faultline:guardrail/policy@0.1.0"),
        (component(r#"(component (import "now" (func (result u64))))"#), "it imports now"),
        (
            component(r#"(component (import "wasi:clocks/wall-clock@0.2.0" (instance)))"#),
            "it imports wasi:clocks/wall-clock@0.2.0",
        ),
        (
            component(
                r#"(component (instance $empty) (export "faultline:guardrail/policy@0.1.0" (instance $empty)))"#,
            ),
            "it does not fit faultline:guardrail/policy@0.1.0",
        ),
        (
            component(
                r#"(component (instance $empty) (export "faultline:guardrail/policy@9.0.0" (instance $empty)))"#,
            ),
            "built for faultline:guardrail/policy@9.0.0",
        ),
    ] {
        let evaluation = ask(host, &bytes);
        let why = evaluation.outcome.expect_err("it is refused");
        assert!(matches!(&why, Undecided::RefusedModule(text) if text.contains(part)), "{part:?}: {why:?}");
        assert_eq!(host.describe(&bytes), Err(why));
        assert_eq!(evaluation.module_digest.len(), "sha256:".len() + 64);
        assert!(ask(host, DENY_ALL).outcome.is_ok());
    }
}

#[test]
fn the_deadline_ends_what_the_fuel_does_not_and_spoils_no_later_call() {
    let host = host_with_fuel(u64::MAX);
    let forever = Guest { validate: FOREVER, ..FINE }.build();
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| undecided(&host, &forever));
        while !asked.is_finished() {
            host.tick();
            std::thread::yield_now();
        }
        assert_eq!(asked.join().unwrap(), Undecided::OutOfBounds("200 ms".into()));
    });
    assert!(ask(&host, CAP_LIMITS).outcome.is_ok());
}

#[test]
fn a_host_counts_its_own_ticks_unless_told_otherwise() {
    let host = Host::new(HostConfig { fuel: u64::MAX, ..HostConfig::default() }).unwrap();
    assert_eq!(HostConfig::default().ticks, Ticks::Own);
    let forever = Guest { evaluate: FOREVER, ..FINE };
    assert_eq!(spoiled(&host, &forever), Undecided::OutOfBounds("200 ms".into()));
}

#[test]
fn fuel_is_a_sharp_bound() {
    let counts = "(local $left i32) (local.set $left (i32.const 1000))
        (loop $again (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        i32.const 64";
    let module = Guest { evaluate: counts, ..FINE }.build();
    let enough = |fuel| ask(&host_with_fuel(fuel), &module).outcome.is_ok();
    let (mut too_little, mut plenty) = (0, ask(&HOST, &module).fuel);
    while plenty - too_little > 1 {
        let middle = too_little + (plenty - too_little) / 2;
        *(if enough(middle) { &mut plenty } else { &mut too_little }) = middle;
    }
    assert!(plenty > 3000, "a thousand rounds of at least three instructions");
    for _ in 0..3 {
        assert!(enough(plenty));
        let why = undecided(&host_with_fuel(too_little), &module);
        assert_eq!(why, Undecided::OutOfBounds(format!("{too_little} units of fuel")));
    }
}
