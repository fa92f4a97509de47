//! What keeps the engine from opening: all of it at once, and what the kernel could do but for that.

use super::EngineConfig;
use super::engine::{Kprobes, Tried, report, shown};
use super::error::OpenError;
use super::host::Host;
use super::maps::{self, Maps};
use super::preflight::{FaultVerdict, Obstacle, Preflight, Unusable};
use super::rehearsal::rehearse;
use super::spec::FaultKind;

/// What this machine can do, also where the engine does not open.
#[must_use]
pub fn preflight(config: &EngineConfig) -> Preflight {
    rehearse(config, &[]).0
}

/// Looks on where the engine stopped at the first error.
pub(super) fn in_the_way(config: &EngineConfig, first: &OpenError) -> Preflight {
    let host = Host::look();
    let mut errors = host.hopeless();
    let is_hopeless = !errors.is_empty();
    if host.cgroup2.is_none() {
        errors.push(OpenError::NoCgroup2);
    }
    errors.extend(maps::on_bpffs(&config.pins).err());
    let verdicts = if is_hopeless { None } else { verdicts(&host, config.kprobes, &mut errors) };
    let mut obstacles: Vec<Obstacle> = errors.iter().map(obstacle).collect();
    // What none of the above has found again is about the pins themselves.
    if obstacles.is_empty() {
        obstacles.push(obstacle(first));
    }
    let mechanism = Err(Unusable::Untried);
    let untried =
        |kind| FaultVerdict { kind, mechanism: mechanism.clone(), untried: None, others: Vec::new() };
    report(&host, obstacles, verdicts.unwrap_or_else(|| FaultKind::ALL.map(untried).into()))
}

/// Tries every gate without anything that is pinned. Rights are looked at one by one, so that all that lack are told.
fn verdicts(host: &Host, kprobes: Kprobes, errors: &mut Vec<OpenError>) -> Option<Vec<FaultVerdict>> {
    let before = errors.len();
    errors.extend(shown().err());
    errors.extend(Maps::create(None).err());
    if errors.len() > before {
        return None;
    }
    match Tried::on(host, None, kprobes) {
        Ok(tried) => Some(tried.gates.verdicts()),
        Err(error) => {
            errors.push(error);
            None
        }
    }
}

fn obstacle(error: &OpenError) -> Obstacle {
    let text = crate::attachments::causes(error);
    if error.is_about_rights() { Obstacle::Rights(text) } else { Obstacle::Machine(text) }
}
