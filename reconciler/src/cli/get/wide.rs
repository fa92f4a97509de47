//! Lists for a wide terminal.

use faultline_api::Fault;
use faultline_core::{
    inventory::{Injectability, KernelReport},
    report::Counters,
};

use crate::{
    admin::views::{NodeView, RunView},
    cli::table::{or_dash, table},
};

/// What was counted of each run, over all its probes.
pub(super) fn runs(views: &[RunView]) -> String {
    let row = |view: &RunView| {
        let Counters { hits, matches, injections, .. } = view.counters;
        let refusals = view.counters.refusals().into_iter();
        let refusals: Vec<_> = refusals.map(|(why, count)| format!("{count} {}", why.as_str())).collect();
        [
            view.run.to_string(),
            format!("{:?}", view.state),
            or_dash(view.activity.furthest().map(|_| &view.activity)),
            hits.to_string(),
            matches.to_string(),
            injections.to_string(),
            or_dash(Some(refusals.join(", ")).filter(|refusals| !refusals.is_empty())),
        ]
    };
    table(
        ["RUN", "STATE", "ACTIVITY", "REACHED", "MATCHED", "INJECTED", "NOT INJECTED"],
        views.iter().map(row),
    )
}

/// Which mechanism each node has for each fault, and everything that stands in the way.
pub(super) fn nodes(views: &[NodeView]) -> String {
    let row = |view: &NodeView| {
        let kernel = view.kernel.as_ref();
        let by = |fault| or_dash(kernel.and_then(|kernel| mechanism(kernel, fault)));
        [
            view.node.clone(),
            if view.connected { "yes" } else { "no" }.to_owned(),
            or_dash(kernel.map(|kernel| format!("{} {}", kernel.release, kernel.machine))),
            by(Fault::Slab),
            by(Fault::Page),
            by(Fault::Bio),
            kernel.map(remarks).unwrap_or_default(),
        ]
    };
    table(["NODE", "CONNECTED", "KERNEL", "SLAB", "PAGE", "BIO", "REMARKS"], views.iter().map(row))
}

/// Without why it is not a better one, which is among the remarks; `None`: there is no verdict.
fn mechanism(kernel: &KernelReport, fault: Fault) -> Option<String> {
    Some(match kernel.faults.get(&fault)? {
        Injectability::Yes { mechanism } => {
            let short = mechanism.split_once(" (").map_or(mechanism.as_str(), |(short, _)| short);
            let untried = if kernel.untried.contains_key(&fault) { ", untried" } else { "" };
            format!("{short}{untried}")
        }
        Injectability::No { .. } => "no".to_owned(),
    })
}

/// What keeps the kernel from injecting, as a whole or fault by fault, and what else is to be known of it.
fn remarks(kernel: &KernelReport) -> String {
    let KernelReport { release: _, machine: _, faults, obstacles, untried, caveats } = kernel;
    let of_faults = faults.iter().filter_map(|(fault, can)| match can {
        Injectability::No { reason } if obstacles.is_empty() => Some(format!("{}: {reason}", name(*fault))),
        Injectability::Yes { mechanism } if mechanism.contains(" (") => {
            Some(format!("{}: {mechanism}", name(*fault)))
        }
        _ => None,
    });
    let untried = untried.iter().map(|(fault, why)| format!("{}: untried: {why}", name(*fault)));
    let remarks = obstacles.iter().cloned().chain(of_faults).chain(untried).chain(caveats.iter().cloned());
    remarks.collect::<Vec<_>>().join("; ")
}

/// As people write it.
pub(super) fn name(fault: Fault) -> String {
    format!("{fault:?}").to_lowercase()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_wide_list_of_nodes_has_each_mechanism_and_says_once_what_is_in_the_way_of_all() {
        let node = |name: &str, kernel: serde_json::Value| {
            json!({
                "node": name, "connected": true, "heard": null, "accepted": null, "told": null, "attached": 0,
                "failed": 0, "kernel": kernel,
            })
        };
        let no = |reason: &str| json!({ "injectable": "no", "reason": reason });
        let yes = |mechanism: &str| json!({ "injectable": "yes", "mechanism": mechanism });
        let closed = "no bpf file system at /x";
        let views: Vec<NodeView> = serde_json::from_value(json!([
            node("n1", json!({
                "release": "6.1.0", "machine": "x86_64", "untried": { "bio": "no disk" }, "caveats": ["only in part"],
                "faults": { "slab": yes("fmod_ret"), "page": no("missing"), "bio": yes("kprobe override (fmod_ret: no)") },
            })),
            node("n2", json!({
                "release": "6.12.0", "machine": "x86_64", "obstacles": [closed],
                "faults": { "slab": no(closed), "page": no(closed), "bio": no(closed) },
            })),
            node("n3", json!(null)),
        ]))
        .unwrap();
        let expected = "\
NODE  CONNECTED  KERNEL         SLAB      PAGE  BIO                       REMARKS
n1    yes        6.1.0 x86_64   fmod_ret  no    kprobe override, untried  page: missing; bio: kprobe override (fmod_ret: \
                                no); bio: untried: no disk; only in part
n2    yes        6.12.0 x86_64  no        no    no                        no bpf file system at /x
n3    yes        -              -         -     -
";
        assert_eq!(nodes(&views), expected);
    }

    #[test]
    fn a_wide_list_of_runs_has_what_was_counted_and_why_calls_were_let_pass() {
        let run = |counters: serde_json::Value| {
            json!({
                "run": "chaos/web#1", "state": "Running", "reason": "Attached", "message": "",
                "activity": { "injecting": 1 }, "started": null, "ends": null, "ended": null, "probability": 40,
                "times": null, "duration": null, "slots": [2, 2], "spent": 4, "counters": counters, "failures": {},
            })
        };
        let counted = |guarded: u64, sampled_out: u64| {
            json!({
                "hits": 9, "matches": 7, "sampledOut": sampled_out, "exhausted": 0, "expired": 0, "guarded": guarded,
                "guardedBy": { "starting": guarded }, "missedReturns": 0, "injections": 4,
            })
        };
        let views: Vec<RunView> =
            serde_json::from_value(json!([run(counted(2, 3)), run(counted(0, 0))])).unwrap();
        let expected = "\
RUN          STATE    ACTIVITY   REACHED  MATCHED  INJECTED  NOT INJECTED
chaos/web#1  Running  injecting  9        7        4         2 starting, 3 sampled_out
chaos/web#1  Running  injecting  9        7        4         -
";
        assert_eq!(runs(&views), expected);
    }
}
