//! What a node reports.

use std::collections::BTreeMap;

use faultline_api::Fault;
use faultline_core::{
    inventory::{Injectability, KernelReport},
    refusal::Guarded,
    report::{AttachPoint, Counters, NodeReport, ProbeReport, ProbeState},
};

use super::values::{
    bounded, cut, fault, fault_out, generation, instant, instant_out, name, remarks, remarks_out, required,
    text,
};
use crate::{
    error::WireError,
    limits::{MAX_FRAMES, MAX_OTHERS, MAX_PROBES},
    node::node_name,
    pb,
};

impl TryFrom<pb::NodeReport> for NodeReport {
    type Error = WireError;
    fn try_from(value: pb::NodeReport) -> Result<Self, WireError> {
        let pb::NodeReport { node, boot_id, accepted, kernel, probes } = value;
        // What a node remembers comes on top of what it holds.
        bounded("report.probes", probes.len(), 2 * MAX_PROBES)?;
        Ok(Self {
            node: of_node(node)?,
            boot_id: name("report.boot_id", boot_id)?,
            accepted: generation("report.accepted", accepted)?,
            kernel: required("report.kernel", kernel)?.try_into()?,
            probes: probes.into_iter().map(ProbeReport::try_from).collect::<Result<_, _>>()?,
        })
    }
}

/// The name goes into logs, metrics and paths.
fn of_node(node: String) -> Result<String, WireError> {
    let field = "report.node";
    let node = name(field, node)?;
    node_name(&node).map_err(|_| {
        let expected = "a DNS subdomain of lower-case letters, digits, `-` and `.`";
        WireError::OutOfRange { field, value: format!("{node:?}"), expected }
    })
}

impl From<&NodeReport> for pb::NodeReport {
    fn from(NodeReport { node, boot_id, accepted, kernel, probes }: &NodeReport) -> Self {
        Self {
            node: node.clone(),
            boot_id: boot_id.clone(),
            accepted: Some((*accepted).into()),
            kernel: Some(kernel.into()),
            probes: probes.iter().map(pb::ProbeReport::from).collect(),
        }
    }
}

impl TryFrom<pb::KernelReport> for KernelReport {
    type Error = WireError;
    fn try_from(value: pb::KernelReport) -> Result<Self, WireError> {
        let pb::KernelReport { release, machine, faults, obstacles, caveats } = value;
        bounded("kernel.faults", faults.len(), Fault::ALL.len())?;
        let (mut verdicts, mut untried) = (BTreeMap::new(), BTreeMap::new());
        for (fault, verdict, why) in faults.into_iter().map(verdict).collect::<Result<Vec<_>, _>>()? {
            untried.extend(why.map(|why| (fault, why)));
            if verdicts.insert(fault, verdict).is_some() {
                let at = format!("{fault:?}");
                return Err(WireError::NotAscending { field: "kernel.faults", at });
            }
        }
        Ok(Self {
            release: name("kernel.release", release)?,
            machine: name("kernel.machine", machine)?,
            faults: verdicts,
            obstacles: remarks("kernel.obstacles", obstacles)?,
            untried,
            caveats: remarks("kernel.caveats", caveats)?,
        })
    }
}

/// With why it could not be tried whether anything calls the function.
fn verdict(value: pb::Injectability) -> Result<(Fault, Injectability, Option<String>), WireError> {
    use pb::injectability::Verdict;
    let pb::Injectability { fault: what, verdict, untried } = value;
    let verdict = match required("kernel.faults.verdict", verdict)? {
        Verdict::Yes(mechanism) => Injectability::Yes { mechanism: text("kernel.faults.yes", mechanism)? },
        Verdict::No(reason) => Injectability::No { reason: text("kernel.faults.no", reason)? },
    };
    let untried = untried.map(|why| text("kernel.faults.untried", why)).transpose()?;
    Ok((fault("kernel.faults.fault", what)?, verdict, untried))
}

impl From<&KernelReport> for pb::KernelReport {
    fn from(report: &KernelReport) -> Self {
        use pb::injectability::Verdict;
        let KernelReport { release, machine, faults, obstacles, untried, caveats } = report;
        let faults = faults.iter().map(|(fault, verdict)| pb::Injectability {
            fault: fault_out(*fault).into(),
            verdict: Some(match verdict {
                Injectability::Yes { mechanism } => Verdict::Yes(cut(mechanism)),
                Injectability::No { reason } => Verdict::No(cut(reason)),
            }),
            untried: untried.get(fault).map(|why| cut(why)),
        });
        Self {
            release: release.clone(),
            machine: machine.clone(),
            faults: faults.collect(),
            obstacles: remarks_out(obstacles),
            caveats: remarks_out(caveats),
        }
    }
}

impl TryFrom<pb::ProbeReport> for ProbeReport {
    type Error = WireError;
    fn try_from(value: pb::ProbeReport) -> Result<Self, WireError> {
        let pb::ProbeReport {
            id,
            run,
            slot,
            uid,
            container,
            state,
            attached_at,
            ends,
            times,
            spent,
            counters,
            attach_points,
        } = value;
        // Those of the frames, and the target.
        bounded("probe_report.attach_points", attach_points.len(), MAX_FRAMES + 1)?;
        Ok(Self {
            id: name("probe_report.id", id)?,
            run: required("probe_report.run", run)?.try_into()?,
            slot: required("probe_report.slot", slot)?,
            uid: name("probe_report.uid", uid)?,
            container: name("probe_report.container", container)?,
            state: required("probe_report.state", state)?.try_into()?,
            attach_points: attach_points.into_iter().map(AttachPoint::try_from).collect::<Result<_, _>>()?,
            attached_at: instant("probe_report.attached_at", attached_at)?,
            ends: instant("probe_report.ends", ends)?,
            times,
            spent: required("probe_report.spent", spent)?,
            counters: required("probe_report.counters", counters)?.try_into()?,
        })
    }
}

impl From<&ProbeReport> for pb::ProbeReport {
    fn from(report: &ProbeReport) -> Self {
        let ProbeReport {
            id,
            run,
            slot,
            uid,
            container,
            state,
            attach_points,
            attached_at,
            ends,
            times,
            spent,
            counters,
        } = report;
        Self {
            id: id.clone(),
            run: Some(run.into()),
            slot: Some(*slot),
            uid: uid.clone(),
            container: container.clone(),
            state: Some(state.into()),
            attached_at: attached_at.map(instant_out),
            ends: ends.map(instant_out),
            times: *times,
            spent: Some(*spent),
            counters: Some((*counters).into()),
            attach_points: attach_points.iter().map(pb::AttachPoint::from).collect(),
        }
    }
}

impl TryFrom<pb::AttachPoint> for AttachPoint {
    type Error = WireError;
    fn try_from(point: pb::AttachPoint) -> Result<Self, WireError> {
        let pb::AttachPoint { function, mechanism, others, missed_runs } = point;
        bounded("attach_point.others", others.len(), MAX_OTHERS)?;
        let others = others.into_iter().map(|other| text("attach_point.others", other));
        Ok(Self {
            function: name("attach_point.function", function)?,
            mechanism: text("attach_point.mechanism", mechanism)?,
            others: others.collect::<Result<_, _>>()?,
            missed_runs: missed_runs.unwrap_or_default(),
        })
    }
}

impl From<&AttachPoint> for pb::AttachPoint {
    fn from(AttachPoint { function, mechanism, others, missed_runs }: &AttachPoint) -> Self {
        let others = others.iter().take(MAX_OTHERS).map(|other| cut(other)).collect();
        let missed_runs = Some(*missed_runs);
        Self { function: function.clone(), mechanism: cut(mechanism), others, missed_runs }
    }
}

impl TryFrom<pb::ProbeState> for ProbeState {
    type Error = WireError;
    fn try_from(value: pb::ProbeState) -> Result<Self, WireError> {
        use pb::probe_state::State;
        Ok(match required("probe_state.state", value.state)? {
            State::Attached(_) => Self::Attached,
            State::Failed(failed) => Self::Failed { error: text("probe_state.failed.error", failed.error)? },
            State::Detached(_) => Self::Detached,
            State::Pending(pending) => {
                Self::Pending { reason: text("probe_state.pending.reason", pending.reason)? }
            }
        })
    }
}

impl From<&ProbeState> for pb::ProbeState {
    fn from(state: &ProbeState) -> Self {
        use pb::probe_state::{Attached, Detached, Failed, Pending, State};
        let state = match state {
            ProbeState::Attached => State::Attached(Attached {}),
            ProbeState::Failed { error } => State::Failed(Failed { error: cut(error) }),
            ProbeState::Detached => State::Detached(Detached {}),
            ProbeState::Pending { reason } => State::Pending(Pending { reason: cut(reason) }),
        };
        Self { state: Some(state) }
    }
}

impl TryFrom<pb::Counters> for Counters {
    type Error = WireError;
    fn try_from(value: pb::Counters) -> Result<Self, WireError> {
        let pb::Counters {
            hits,
            matches,
            sampled_out,
            exhausted,
            expired,
            guarded,
            missed_returns,
            injections,
            rejected,
            unread,
            shadowed,
            contended,
            guarded_by,
        } = value;
        Ok(Self {
            hits: required("counters.hits", hits)?,
            matches: required("counters.matches", matches)?,
            rejected: rejected.unwrap_or_default(),
            unread: unread.unwrap_or_default(),
            sampled_out: required("counters.sampled_out", sampled_out)?,
            exhausted: required("counters.exhausted", exhausted)?,
            expired: required("counters.expired", expired)?,
            guarded: required("counters.guarded", guarded)?,
            guarded_by: guarded_by.map(Guarded::from).unwrap_or_default(),
            missed_returns: required("counters.missed_returns", missed_returns)?,
            shadowed: shadowed.unwrap_or_default(),
            contended: contended.unwrap_or_default(),
            injections: required("counters.injections", injections)?,
        })
    }
}

impl From<Counters> for pb::Counters {
    fn from(counters: Counters) -> Self {
        let Counters {
            hits,
            matches,
            rejected,
            unread,
            sampled_out,
            exhausted,
            expired,
            guarded,
            guarded_by,
            missed_returns,
            shadowed,
            contended,
            injections,
        } = counters;
        Self {
            hits: Some(hits),
            matches: Some(matches),
            sampled_out: Some(sampled_out),
            exhausted: Some(exhausted),
            expired: Some(expired),
            guarded: Some(guarded),
            missed_returns: Some(missed_returns),
            injections: Some(injections),
            rejected: Some(rejected),
            unread: Some(unread),
            shadowed: Some(shadowed),
            contended: Some(contended),
            guarded_by: Some(guarded_by.into()),
        }
    }
}

impl From<pb::Guarded> for Guarded {
    fn from(value: pb::Guarded) -> Self {
        let pb::Guarded { nofail, exiting, reclaim, oom, oom_killer, protected, own, starting } = value;
        Self { nofail, exiting, reclaim, oom, oom_killer, protected, own, starting }
    }
}

impl From<Guarded> for pb::Guarded {
    fn from(value: Guarded) -> Self {
        let Guarded { nofail, exiting, reclaim, oom, oom_killer, protected, own, starting } = value;
        Self { nofail, exiting, reclaim, oom, oom_killer, protected, own, starting }
    }
}
