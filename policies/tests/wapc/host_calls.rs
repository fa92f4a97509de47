//! What a policy asks of the host: it may log, and learns nothing.

use faultline_core::review::Undecided;

use crate::{
    fixtures::{assert_bad_answer, spoiled},
    wat_guest::{ACCEPT, FINE, Guest},
};

/// `kubewarden kubernetes list_resources` with a payload.
const LIST: &str = "(call $host_call (i32.const 80) (i32.const 10) (i32.const 100) (i32.const 10) (i32.const 110) (i32.const 14)
    (i32.const 0) (i32.const 4))";
/// `kubewarden tracing log`.
const LOG: &str =
    "(call $host_call (i32.const 80) (i32.const 10) (i32.const 90) (i32.const 7) (i32.const 97) (i32.const 3)
    (i32.const 48) (i32.const 17))";

#[test]
fn a_call_for_the_state_of_a_cluster_is_refused_with_a_reason() {
    // Gives up with what the host says; a call that had succeeded would trap.
    let validate = format!(
        "(if {LIST} (then unreachable))
         (call $host_error (i32.const 1024)) (call $error (i32.const 1024) (call $host_error_len)) i32.const 0"
    );
    let why = spoiled(&Guest { validate: validate.leak(), ..FINE });
    let told = "kubewarden kubernetes list_resources: nothing answers this here";
    assert_eq!(why, Undecided::GaveUp(told.into()));
}

#[test]
fn a_policy_that_accepts_without_the_answer_that_it_wanted_decides_nothing() {
    let validate = format!("(drop {LIST}) (drop {LIST}) {ACCEPT}");
    let why = spoiled(&Guest { validate: validate.leak(), ..FINE });
    let told = "it asked the host for what is not to be had here: kubewarden kubernetes list_resources";
    assert_eq!(why, Undecided::BadAnswer(told.into()));
}

#[test]
fn a_policy_may_log() {
    let validate = format!(
        "(drop {LIST}) (if (i32.eqz {LOG}) (then unreachable))
         (if (i32.or (call $host_error_len) (call $host_response_len)) (then unreachable))
         (call $host_response (i32.const 0)) unreachable"
    );
    match spoiled(&Guest { validate: validate.leak(), ..FINE }) {
        Undecided::Trapped(why) if why.contains(r#"(it wrote: {"accepted":true})"#) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn names_of_any_kind_are_shown_in_bounds() {
    // A name of 100,000 zero bytes.
    let validate = format!(
        "(drop (call $host_call (i32.const 1024) (i32.const 100000) (i32.const 1024) (i32.const 100000) (i32.const 1024)
            (i32.const 100000) (i32.const 0) (i32.const 0))) {ACCEPT}"
    );
    let why = spoiled(&Guest { validate: validate.leak(), ..FINE }).to_string();
    assert!(why.len() < 300 && !why.contains('\0'), "{why}");
}

#[test]
fn many_calls_are_told_of_in_bounds() {
    let validate = format!(
        "(loop $again (i32.store8 (i32.const 1024) (i32.add (i32.const 48) (local.get $i)))
            (drop (call $host_call (i32.const 1024) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
                (i32.const 0) (i32.const 0)))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $i) (i32.const 90)))) {ACCEPT}"
    );
    let why = spoiled(&Guest { validate: validate.leak(), ..FINE }).to_string();
    assert_eq!(why.matches(", ").count(), 15, "{why}");
}

#[test]
fn what_was_not_called_for_cannot_be_fetched() {
    let validate = "(call $host_response (i32.const -1)) i32.const 1";
    assert_bad_answer(&Guest { validate, ..FINE }, "it points at");
    let validate = "(call $host_error (i32.const -1)) i32.const 1";
    assert_bad_answer(&Guest { validate, ..FINE }, "it points at");
}
