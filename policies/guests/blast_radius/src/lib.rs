//! How much may be hit at once: by one experiment, and by all that are active together.
//!
//! The mode is asked of the document. Pods and nodes are counted once they are selected, and what others hit already
//! counts first: who came later gets what is left.

use std::collections::BTreeSet;

use faultline_guest::{
    Admission, Description, Finding, Guardrail, Inputs, Limit, Mode, Moment, Object, Response, Review,
    finding, guardrail, tighten,
};

/// Chaos Mesh's words, in the order of [`position`].
const MODES: [&str; 5] = ["one", "all", "fixed", "fixed-percent", "random-max-percent"];
const PATH: &str = "spec.mode";

/// The guardrail.
struct BlastRadius;

/// Something is bounded.
struct Bounds {
    /// Positions in [`MODES`]; `None`: any mode.
    modes: Option<Vec<usize>>,
    /// For one experiment.
    each: Radius,
    /// For all that are active.
    together: Radius,
    deny: bool,
}

/// At most this much.
#[derive(Default, PartialEq)]
struct Radius {
    pods: Option<u32>,
    nodes: Option<u32>,
    /// Of the pods that the experiment could select.
    percent: Option<u32>,
}

impl Guardrail for BlastRadius {
    type Settings = Bounds;

    fn describe() -> Description {
        let rules = ["mode", "pods", "nodes", "percent", "together-pods", "together-nodes"];
        Description {
            name: "blast_radius".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            rules: rules.map(str::to_owned).to_vec(),
            moments: vec![Moment::Judge, Moment::Admit],
            inputs: Inputs::empty(),
        }
    }

    fn settings(settings: &mut Object<'_>) -> Option<Bounds> {
        let bounds = Bounds {
            modes: settings.choices("modes", &MODES),
            each: settings.object("each", |each| radius(each, true)).unwrap_or_default(),
            together: settings.object("together", |together| radius(together, false)).unwrap_or_default(),
            deny: settings.choice("onExceed", &["tighten", "deny"]) == Some(1),
        };
        let Bounds { modes, each, together, deny: _ } = &bounds;
        let none = Radius::default();
        if modes.is_none() && *each == none && *together == none && settings.is_fine() {
            settings.problem("nothing is bounded: give modes, each or together");
        }
        Some(bounds)
    }

    fn evaluate(bounds: &Bounds, review: &Review) -> Result<Response, String> {
        let mode = &review.experiment.mode;
        let Some(admission) = &review.admission else {
            return Ok(Response::deny(unwanted(bounds, mode).into_iter().collect()));
        };
        let mut response = Response::allow();
        for Exceeded { room, finding } in exceeded(bounds, admission) {
            // To leave no target is to deny.
            if bounds.deny || room == 0 {
                response.denials.push(finding);
            } else {
                response.tightenings.push(tighten(Limit::Targets(room), finding));
            }
        }
        Ok(response)
    }
}

guardrail!(BlastRadius);

fn radius(fields: &mut Object<'_>, alone: bool) -> Option<Radius> {
    let mut count = |name, most| fields.integer(name, 1..=most).and_then(|count| u32::try_from(count).ok());
    let radius = Radius {
        pods: count("pods", u32::MAX.into()),
        nodes: count("nodes", u32::MAX.into()),
        percent: if alone { count("percent", 100) } else { None },
    };
    if radius == Radius::default() && fields.is_fine() {
        fields.problem("no bound is set");
    }
    Some(radius)
}

/// A mode that is not among the allowed ones.
fn unwanted(bounds: &Bounds, mode: &Mode) -> Option<Finding> {
    let modes = bounds.modes.as_ref().filter(|modes| !modes.contains(&position(mode)))?;
    let allowed: Vec<&str> = modes.iter().map(|mode| MODES[*mode]).collect();
    let message = format!("the mode {} is not one of {}", MODES[position(mode)], allowed.join(", "));
    Some(finding("mode", PATH, message))
}

const fn position(mode: &Mode) -> usize {
    match mode {
        Mode::One => 0,
        Mode::All => 1,
        Mode::Fixed(_) => 2,
        Mode::FixedPercent(_) => 3,
        Mode::RandomMaxPercent(_) => 4,
    }
}

/// A bound that is exceeded, and how many pods would keep to it: another pod adds one pod and one node at most.
struct Exceeded {
    room: u32,
    finding: Finding,
}

fn exceeded(bounds: &Bounds, admission: &Admission) -> Vec<Exceeded> {
    let targets = &admission.targets;
    let (pods, nodes): (BTreeSet<&str>, BTreeSet<&str>) =
        targets.iter().map(|target| (target.pod_uid.as_str(), target.node.as_str())).unzip();
    let others = admission.active.iter().flat_map(|active| &active.targets);
    let (their_pods, their_nodes): (BTreeSet<&str>, BTreeSet<&str>) =
        others.map(|target| (target.pod_uid.as_str(), target.node.as_str())).unzip();
    let Bounds { each, together, .. } = bounds;
    let nobody = BTreeSet::new();
    let found = [
        beyond(each.pods, "pods", "pods", &pods, &nobody),
        beyond(each.nodes, "nodes", "nodes", &nodes, &nobody),
        too_large_a_part(each.percent, pods.len(), admission.totals.eligible),
        beyond(together.pods, "together-pods", "pods", &pods, &their_pods),
        beyond(together.nodes, "together-nodes", "nodes", &nodes, &their_nodes),
    ];
    found.into_iter().flatten().collect()
}

/// Whether `ours` and `theirs` together are more than `most`.
fn beyond(
    most: Option<u32>,
    rule: &str,
    what: &str,
    ours: &BTreeSet<&str>,
    theirs: &BTreeSet<&str>,
) -> Option<Exceeded> {
    let total = ours.union(theirs).count();
    let most = most.filter(|most| total > *most as usize)?;
    let others = theirs.len();
    let message = if others == 0 {
        format!("{total} {what} are more than {most}")
    } else {
        format!("{total} {what} at once are more than {most}; others hit {others} already")
    };
    let room = most.saturating_sub(u32::try_from(others).unwrap_or(u32::MAX));
    Some(Exceeded { room, finding: finding(rule, PATH, message) })
}

/// Whether `pods` are more than `percent` of the eligible ones.
fn too_large_a_part(percent: Option<u32>, pods: usize, eligible: u32) -> Option<Exceeded> {
    let percent = percent?;
    let room = u64::from(eligible) * u64::from(percent) / 100;
    if pods as u64 <= room {
        return None;
    }
    let message = format!("{pods} of {eligible} eligible pods are more than {percent} %");
    Some(Exceeded {
        room: u32::try_from(room).unwrap_or(u32::MAX),
        finding: finding("percent", PATH, message),
    })
}
