//! From what is attached to what is desired, in the order in which nothing can go wrong in between.
//!
//! Disarm what is gone; attach what is missing; write probes before the lists that name them; then wait for
//! running programs, and only then let go of what they may have read.

use std::collections::{BTreeMap, BTreeSet};

use faultline_api::{CallChain, Frame, Predicate};
use faultline_ebpf::codegen::{cgroup_made, cgroup_removed};
use faultline_ebpf::layout::globals::Unit;
use faultline_ebpf::layout::members::SLOTS;
use faultline_ebpf::layout::probe::{Probe, Step};
use faultline_ebpf::layout::{MAX_CGROUPS, MAX_FRAMES, MAX_PROBES, hot};
use faultline_ebpf::symbol::Unresolved;

use super::cgroups::Walk;
use super::engine::{Content, Engine, LiveProbe};
use super::error::ProbeError;
use super::functions::{CHAIN_FUNCTIONS, Ground, Resolved, Wanted};
use super::lookup::Types;
use super::membership::{self, Lists, probes_of};
use super::predicates::{Numbers, OF_ONE_FUNCTION};
use super::programs::{AttachError, Live};
use super::spec::{AttachPoint, Attached, Counters, FaultKind, ProbeId, ProbeOutcome, ProbeSpec};
use super::sys::BpfError;

/// How often the tree is walked again for children made meanwhile. One that is made during the last walk has
/// inherited its parent's new list by then.
const WALKS: usize = 3;

/// Once more where there was no room for predicates or functions and something was retired: its own took some until then.
pub(super) fn converge(engine: &mut Engine, desired: &[ProbeSpec]) -> Vec<ProbeOutcome> {
    let (outcomes, first) = once(engine, desired);
    let is_crowded = |outcome: &ProbeOutcome| {
        matches!(outcome.result, Err(ProbeError::Full { what: OF_ONE_FUNCTION | CHAIN_FUNCTIONS, .. }))
    };
    if !outcomes.iter().any(is_crowded) || first.dropped.is_empty() && first.replaced.is_empty() {
        return outcomes;
    }
    let (outcomes, _) = once(engine, desired);
    for (id, counted) in first.dropped {
        if let Some(probe) = engine.probes.get_mut(&id) {
            probe.base = probe.base + counted;
        }
    }
    outcomes
}

fn once(engine: &mut Engine, desired: &[ProbeSpec]) -> (Vec<ProbeOutcome>, Pass) {
    disarm_gone(engine, desired);
    let before = engine.generation;
    let usable = |spec: &&ProbeSpec| spec.call_chain.frames.len() <= MAX_FRAMES;
    let wanted: Vec<_> = desired.iter().filter(usable).map(|spec| (spec.fault, &spec.call_chain)).collect();
    let places = attach(engine, &wanted);
    if engine.generation != before {
        // A program that was replaced may still be running, and knows other predicates by the same numbers. Where the
        // kernel does not let us wait, a gate and an entry without predicates still refuse steps that ask for one.
        let _ = engine.maps.wait_for_programs();
    }
    let mut pass = Pass::default();
    let mut outcomes: Vec<ProbeOutcome> = desired
        .iter()
        .map(|spec| {
            let result =
                pass.admit(engine, spec, &places).and_then(|walk| pass.place(engine, spec, &places, walk));
            ProbeOutcome {
                id: spec.id,
                result: result.map(|()| Attached {
                    cgroups: 0,
                    missing: Vec::new(),
                    points: places.points(engine, spec),
                }),
            }
        })
        .collect();
    if let Err(error) = pass.publish(engine, desired) {
        pass.fail_all(engine, &error);
    }
    pass.retire(engine);
    detach_unused(engine);
    let others = engine.others();
    for outcome in &mut outcomes {
        pass.report(outcome);
        for point in outcome.result.iter_mut().flat_map(|attached| &mut attached.points) {
            point.others = others.get(&point.function).cloned().unwrap_or_default();
        }
    }
    (outcomes, pass)
}

/// From here on they inject no more, whatever else fails.
fn disarm_gone(engine: &Engine, desired: &[ProbeSpec]) {
    let wanted: BTreeSet<ProbeId> = desired.iter().map(|spec| spec.id).collect();
    for (_, probe) in engine.probes.iter().filter(|(id, _)| !wanted.contains(id)) {
        disarm(engine, probe.index);
    }
}

fn disarm(engine: &Engine, index: u32) {
    engine.maps.hot.store(hot::offset(index, hot::ENDS), 0);
}

/// What the chains of the desired set may refer to.
pub(super) struct Places {
    functions: Resolved,
    gates: BTreeMap<FaultKind, Result<Numbers, ProbeError>>,
}

/// Attaches what is wanted and is not attached yet: functions before gates, or entries would go unseen.
///
/// Predicates of probes that are in force are wanted, too, whether or not they are desired: they may be evaluated until
/// those probes are retired. They come first: where there is not room for all, they keep what they have.
pub(super) fn attach(engine: &mut Engine, wanted: &[(FaultKind, &CallChain)]) -> Places {
    let contents = engine.probes.values().map(|probe| &probe.content);
    let in_force = contents.map(|content| (content.fault, &content.call_chain));
    let (mut functions, mut faults) = (Wanted::default(), BTreeMap::<_, BTreeSet<_>>::new());
    for (fault, chain) in in_force.chain(wanted.iter().copied()) {
        faults.entry(fault).or_default().extend(&chain.target);
        functions.add(&chain.frames);
    }
    let Engine { functions: carried, gates, facts, maps, generation, symbols, kprobes, .. } = engine;
    let types = &Types::default();
    let mut ground = Ground { facts, maps, generation, types, symbols, kprobes: *kprobes };
    let functions = carried.ensure(&functions, &mut ground);
    let ensure = |(fault, wanted)| (fault, gates.ensure(fault, &wanted, &mut ground));
    Places { functions, gates: faults.into_iter().map(ensure).collect() }
}

/// Detaches what no probe needs.
pub(super) fn detach_unused(engine: &mut Engine) {
    let contents: Vec<Content> = engine.probes.values().map(|probe| probe.content.clone()).collect();
    engine.gates.keep(&contents.iter().map(|content| content.fault).collect());
    let frames = contents.iter().flat_map(|content| &content.call_chain.frames);
    engine.functions.keep(&frames.map(|frame| frame.function.as_str()).collect());
    if contents.is_empty() {
        engine.followers = None;
    }
}

/// One converge under way.
#[derive(Default)]
struct Pass {
    /// Cgroups and what they are to carry.
    lists: Lists,
    /// Admitted probes and where they are.
    placed: BTreeMap<ProbeId, Walk>,
    /// Probes that failed after they were placed.
    failed: BTreeMap<ProbeId, ProbeError>,
    /// Former content of probes that were edited: index, and counts so far.
    replaced: Vec<(ProbeId, u32)>,
    /// Probes that are in force no more, and what they counted.
    dropped: BTreeMap<ProbeId, Counters>,
}

impl Pass {
    fn admit(&self, engine: &mut Engine, spec: &ProbeSpec, places: &Places) -> Result<Walk, ProbeError> {
        if self.placed.contains_key(&spec.id) {
            return Err(ProbeError::Duplicate);
        }
        if spec.probability > 100 {
            return Err(ProbeError::Probability { given: spec.probability });
        }
        let given = spec.call_chain.frames.len();
        if given > MAX_FRAMES {
            return Err(ProbeError::TooManyFrames { given, max: MAX_FRAMES });
        }
        let walk = engine.tree.walk(&spec.scope)?;
        self.has_room(&walk)?;
        places.steps(spec)?;
        follow_cgroups(engine)?;
        Ok(walk)
    }

    fn has_room(&self, walk: &Walk) -> Result<(), ProbeError> {
        for (id, cgroup) in &walk.cgroups {
            if self.lists.get(id).is_some_and(|list| list.len() >= SLOTS) {
                return Err(ProbeError::CrowdedCgroup { cgroup: cgroup.clone(), max: SLOTS });
            }
        }
        let new = walk.cgroups.keys().filter(|id| !self.lists.contains_key(id)).count();
        let max = MAX_CGROUPS as usize;
        if self.lists.len() + new > max { Err(ProbeError::Full { what: "cgroups", max }) } else { Ok(()) }
    }

    /// Gives the probe an entry, its words, and its place in the lists to be written.
    fn place(
        &mut self,
        engine: &mut Engine,
        spec: &ProbeSpec,
        places: &Places,
        walk: Walk,
    ) -> Result<(), ProbeError> {
        let content = Content {
            fault: spec.fault,
            call_chain: spec.call_chain.clone(),
            budget: spec.budget,
            certain: spec.probability == 100,
        };
        let same =
            engine.probes.get(&spec.id).filter(|probe| probe.content == content).map(|probe| probe.index);
        let index = match same {
            Some(index) => index,
            None => self.replace(engine, spec, content, places.steps(spec)?)?,
        };
        write_words(engine, index, spec);
        for id in walk.cgroups.keys() {
            self.lists.entry(*id).or_default().insert(index);
        }
        self.placed.insert(spec.id, walk);
        Ok(())
    }

    /// A new entry in place of none, or of one with other content.
    fn replace(
        &mut self,
        engine: &mut Engine,
        spec: &ProbeSpec,
        content: Content,
        (frames, predicate): (Vec<Step>, u8),
    ) -> Result<u32, ProbeError> {
        let index =
            *engine.free.last().ok_or(ProbeError::Full { what: "probes", max: MAX_PROBES as usize })?;
        let (target, budget, certain) = (spec.fault.target(), spec.budget.0, content.certain);
        let entry = Probe { target, budget, frames, predicate, certain }.encode();
        engine.maps.open_budget(spec.budget).map_err(|error| kernel("open the budget", &error))?;
        engine.maps.clear_counters(index).map_err(|error| kernel("clear the counters", &error))?;
        engine.maps.write_probe(index, &entry).map_err(|error| kernel("write the probe", &error))?;
        engine.free.pop();
        let probe = LiveProbe { content, index, base: Counters::default() };
        if let Some(former) = engine.probes.insert(spec.id, probe) {
            disarm(engine, former.index);
            if let Some(probe) = engine.probes.get_mut(&spec.id) {
                probe.base = former.base;
            }
            self.replaced.push((spec.id, former.index));
        }
        Ok(index)
    }

    /// Writes the lists until the tree holds no cgroup that they lack, then drops those of cgroups that are
    /// in no scope any more.
    fn publish(&mut self, engine: &mut Engine, desired: &[ProbeSpec]) -> Result<(), BpfError> {
        let before = engine.maps.members()?;
        let chained = engine.probes.values().filter(|probe| !probe.content.call_chain.frames.is_empty());
        let chained: BTreeSet<u32> = chained.map(|probe| probe.index).collect();
        engine.membership.begin(&self.lists);
        let mut present = before.clone();
        for _ in 0..WALKS {
            for (cgroup, list) in self.in_order() {
                engine.membership.write(&engine.maps, cgroup, list, &chained, present.get(&cgroup))?;
            }
            present = engine.maps.members()?;
            if !self.walk_again(engine, desired) {
                break;
            }
        }
        let stale: Vec<u64> = before.into_keys().filter(|cgroup| !self.lists.contains_key(cgroup)).collect();
        for cgroup in &stale {
            engine.maps.remove_members(*cgroup)?;
        }
        if stale.is_empty() { Ok(()) } else { membership::recount_bits(&engine.maps) }
    }

    /// Parents before children: a child made after its parent's turn inherits what is desired.
    fn in_order(&self) -> Vec<(u64, &BTreeSet<u32>)> {
        let paths: BTreeMap<_, _> =
            self.placed.values().flat_map(|walk| walk.cgroups.iter().map(|(id, path)| (path, *id))).collect();
        paths.into_values().filter_map(|id| Some((id, self.lists.get(&id)?))).collect()
    }

    /// Whether the tree held something new.
    fn walk_again(&mut self, engine: &Engine, desired: &[ProbeSpec]) -> bool {
        let mut grown = false;
        for spec in desired {
            let (Some(former), Some(probe)) = (self.placed.get(&spec.id), engine.probes.get(&spec.id)) else {
                continue;
            };
            let Ok(walk) = engine.tree.walk(&spec.scope) else { continue };
            for id in walk.cgroups.keys().filter(|id| !former.cgroups.contains_key(id)) {
                let list = self.lists.entry(*id).or_default();
                grown |= list.len() < SLOTS && list.insert(probe.index);
            }
            self.placed.insert(spec.id, walk);
        }
        grown
    }

    /// The lists could not be written: nothing of this set may inject.
    fn fail_all(&mut self, engine: &Engine, error: &BpfError) {
        for id in std::mem::take(&mut self.placed).into_keys() {
            if let Some(probe) = engine.probes.get(&id) {
                disarm(engine, probe.index);
            }
            self.failed.insert(id, kernel("write the members", error));
        }
    }

    /// Waits until no program can be reading what was replaced or dropped, then frees it.
    fn retire(&mut self, engine: &mut Engine) {
        let gone: Vec<ProbeId> =
            engine.probes.keys().filter(|id| !self.placed.contains_key(id)).copied().collect();
        let dropped: BTreeMap<ProbeId, LiveProbe> =
            gone.into_iter().filter_map(|id| Some((id, engine.probes.remove(&id)?))).collect();
        let replaced = self.replaced.iter().map(|(_, index)| *index);
        let retired: BTreeSet<u32> = dropped.values().map(|probe| probe.index).chain(replaced).collect();
        for index in &retired {
            disarm(engine, *index);
        }
        if retired.is_empty() {
            return;
        }
        let is_quiet = engine.maps.wait_for_programs().is_ok() && self.sweep(engine, &retired).is_ok();
        self.dropped =
            dropped.iter().map(|(id, probe)| (*id, probe.base + engine.maps.counters(probe.index))).collect();
        for (id, index) in &self.replaced {
            let counted = engine.maps.counters(*index);
            if let Some(probe) = engine.probes.get_mut(id) {
                probe.base = probe.base + counted;
            }
        }
        // Where the kernel does not let us wait or look, the places are not used again: 1,024 is enough to lose some,
        // and a program must never read another probe's entry as its own.
        if is_quiet {
            engine.free.extend(retired);
        }
    }

    /// Cgroups made while their parent's list was being dropped may have inherited the old one.
    fn sweep(&self, engine: &mut Engine, retired: &BTreeSet<u32>) -> Result<(), BpfError> {
        let names_retired = |entry: &[u8]| probes_of(entry).iter().any(|index| retired.contains(index));
        let leftovers = engine.maps.members()?.into_iter().filter(|(_, entry)| names_retired(entry));
        let leftovers: Vec<u64> = leftovers.map(|(cgroup, _)| cgroup).collect();
        for cgroup in &leftovers {
            engine.maps.remove_members(*cgroup)?;
        }
        if leftovers.is_empty() { Ok(()) } else { engine.maps.wait_for_programs() }
    }

    fn report(&mut self, outcome: &mut ProbeOutcome) {
        if let (Ok(attached), Some(walk)) = (&mut outcome.result, self.placed.get(&outcome.id)) {
            attached.cgroups = walk.cgroups.len();
            attached.missing.clone_from(&walk.missing);
        }
        if let (true, Some(error)) = (outcome.result.is_ok(), self.failed.get(&outcome.id)) {
            outcome.result = Err(error.clone());
        }
    }
}

impl Places {
    /// What a probe's programs are attached to.
    fn points(&self, engine: &Engine, spec: &ProbeSpec) -> Vec<AttachPoint> {
        let frames = spec.call_chain.frames.iter();
        let frames = frames.filter_map(|frame| self.functions.get(&frame.function)?.as_ref().ok());
        let target = AttachPoint {
            function: spec.fault.function().to_owned(),
            mechanism: engine.gates.mechanism(spec.fault),
            others: Vec::new(),
        };
        frames.map(|carried| carried.point.clone()).chain([target]).collect()
    }

    /// The steps of a chain, and the number of the target's own predicate.
    fn steps(&self, spec: &ProbeSpec) -> Result<(Vec<Step>, u8), ProbeError> {
        let CallChain { frames, target } = &spec.call_chain;
        let steps = frames.iter().map(|frame| self.step(frame)).collect::<Result<_, _>>()?;
        Ok((steps, self.gate(spec.fault, target.as_ref())?))
    }

    /// The number of the target's own predicate.
    pub(super) fn gate(&self, fault: FaultKind, predicate: Option<&Predicate>) -> Result<u8, ProbeError> {
        let gate = self.gates.get(&fault).cloned();
        number(&gate.unwrap_or_else(|| Ok(Numbers::new()))?, predicate)
    }

    /// What the programs of a frame's function are attached to, where they are.
    pub(super) fn point(&self, function: &str) -> Option<AttachPoint> {
        self.functions.get(function)?.as_ref().ok().map(|carried| carried.point.clone())
    }

    /// A frame, as programs know it.
    pub(super) fn step(&self, frame: &Frame) -> Result<Step, ProbeError> {
        let name = &frame.function;
        let unknown = || Err(Unresolved::Unknown { name: name.clone(), nearest: Vec::new() }.into());
        let carried = self.functions.get(name).cloned().unwrap_or_else(unknown)?;
        let predicate = number(&carried.predicates, frame.predicate.as_ref())?;
        Ok(Step { function: carried.number, predicate })
    }
}

/// The number of a predicate; 0 for none.
fn number(numbers: &Numbers, predicate: Option<&Predicate>) -> Result<u8, ProbeError> {
    let Some(predicate) = predicate else { return Ok(0) };
    let unknown =
        || ProbeError::Predicate { text: predicate.text.clone(), reason: "it was never read".to_owned() };
    numbers.get(predicate).cloned().unwrap_or_else(|| Err(unknown()))
}

/// Three words, each stored whole; the end last, so that a new probe is armed when the others are right.
fn write_words(engine: &Engine, index: u32, spec: &ProbeSpec) {
    let store = |word, value| engine.maps.hot.store(hot::offset(index, word), value);
    store(hot::PROBABILITY, u64::from(spec.probability));
    store(hot::TIMES, spec.times.map_or(u64::MAX, |times| u64::from(times.get())));
    store(hot::ENDS, spec.ends.0);
}

/// Cgroups made from now on inherit their parent's list.
pub(super) fn follow_cgroups(engine: &mut Engine) -> Result<(), ProbeError> {
    if engine.followers.is_some() {
        return Ok(());
    }
    engine.generation += 1;
    let attach = || -> Result<[Live; 2], AttachError> {
        let removed = Live::attach(&cgroup_removed(&engine.facts, engine.generation)?, &engine.maps)?;
        Ok([removed, Live::attach(&cgroup_made(&engine.facts, engine.generation)?, &engine.maps)?])
    };
    let trouble = |error: AttachError| ProbeError::Kernel {
        what: "follow cgroups".to_owned(),
        reason: error.to_string(),
    };
    engine.followers = Some(attach().map_err(trouble)?);
    engine.maps.globals.store(Unit::Cgroups.offset(), engine.generation);
    Ok(())
}

fn kernel(what: &str, error: &BpfError) -> ProbeError {
    ProbeError::Kernel { what: what.to_owned(), reason: error.to_string() }
}
