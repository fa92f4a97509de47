//! How much may be hit at once: by one experiment, and by all that are active together.
//!
//! The mode is asked of the document. Pods and nodes are counted once they are selected, and what others hit already
//! counts first: who came later gets what is left.

use faultline_guest::{
    Description, Finding, Guardrail, Inputs, Limit, Mode, Moment, Object, Response, Review, Totals, finding,
    guardrail, tighten,
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
        let rules =
            ["mode", "pods", "nodes", "percent", "together-pods", "together-nodes", "together-percent"];
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
            each: settings.object("each", radius).unwrap_or_default(),
            together: settings.object("together", radius).unwrap_or_default(),
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
        for Exceeded { room, finding } in exceeded(bounds, &admission.totals) {
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

fn radius(fields: &mut Object<'_>) -> Option<Radius> {
    let mut count = |name, most| fields.integer(name, 1..=most).and_then(|count| u32::try_from(count).ok());
    let radius = Radius {
        pods: count("pods", u32::MAX.into()),
        nodes: count("nodes", u32::MAX.into()),
        percent: count("percent", 100),
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

fn exceeded(bounds: &Bounds, totals: &Totals) -> Vec<Exceeded> {
    let Totals { targets: _, pods, nodes, eligible, others, together } = totals;
    let Bounds { each, together: all, .. } = bounds;
    let found = [
        beyond(each.pods, "pods", "pods", *pods, 0),
        beyond(each.nodes, "nodes", "nodes", *nodes, 0),
        beyond_part(each.percent, "percent", *eligible, *pods, 0),
        beyond(all.pods, "together-pods", "pods", together.pods, others.pods),
        beyond(all.nodes, "together-nodes", "nodes", together.nodes, others.nodes),
        beyond_part(all.percent, "together-percent", *eligible, together.eligible, others.eligible),
    ];
    found.into_iter().flatten().collect()
}

/// Whether `total`, of which others hit `others`, is more than `most`.
fn beyond(most: Option<u32>, rule: &str, what: &str, total: u32, others: u32) -> Option<Exceeded> {
    let most = most.filter(|most| total > *most)?;
    let message = if others == 0 {
        format!("{total} {what} are more than {most}")
    } else {
        format!("{total} {what} at once are more than {most}; others hit {others} already")
    };
    Some(Exceeded { room: most.saturating_sub(others), finding: finding(rule, PATH, message) })
}

/// Whether `total`, of which others hit `others`, is more than `percent` of the eligible pods.
fn beyond_part(percent: Option<u32>, rule: &str, eligible: u32, total: u32, others: u32) -> Option<Exceeded> {
    let percent = percent?;
    // Not more than the eligible pods, and so it fits.
    let most = u32::try_from(u64::from(eligible) * u64::from(percent) / 100).unwrap_or(u32::MAX);
    if total <= most {
        return None;
    }
    let already = if others == 0 { String::new() } else { format!("; others hit {others} already") };
    let message = format!("{total} of {eligible} eligible pods are more than {percent} %{already}");
    Some(Exceeded { room: most.saturating_sub(others), finding: finding(rule, PATH, message) })
}
