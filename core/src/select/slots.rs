//! Filling slots: live targets stay, free slots go to the pods that a hash prefers.

use std::collections::BTreeSet;

use faultline_api::{Mode, Percent};

use super::pool::Pool;
use crate::{
    digest::hash64,
    ledger::{Run, RunKey, Slot},
};

/// Fills the slots of `run` from `pool`.
pub(super) fn fill(key: &RunKey, run: &mut Run, pool: &Pool<'_>) {
    let anew = run.open == 0;
    run.open = open(key, run, pool);
    let slots = usize::try_from(run.open).unwrap_or(usize::MAX);
    if run.slots.len() < slots {
        run.slots.resize_with(slots, Slot::default);
    }
    release(run, pool, anew);
    assign(key, run, pool);
}

/// How many slots the mode gives at most, whatever there is.
pub(crate) const fn most_slots(mode: Mode) -> u32 {
    match mode {
        Mode::One => 1,
        Mode::Fixed(wanted) => wanted,
        Mode::All | Mode::FixedPercent(_) | Mode::RandomMaxPercent(_) => u32::MAX,
    }
}

/// How many slots the mode gives. Percentages are fixed when targets are first selected; `all` and `fixed`
/// follow what is there, and never shrink: a slot remembers what was spent in it.
fn open(key: &RunKey, run: &Run, pool: &Pool<'_>) -> u32 {
    let there = u32::try_from(pool.eligible.len()).unwrap_or(u32::MAX);
    match run.declared.mode {
        Mode::One | Mode::Fixed(_) | Mode::All => there.min(most_slots(run.declared.mode)).max(run.open),
        Mode::FixedPercent(_) | Mode::RandomMaxPercent(_) if run.open > 0 => run.open,
        Mode::FixedPercent(percent) => share(percent, there),
        Mode::RandomMaxPercent(most) => share(draw(key, most), there),
    }
}

/// `percent` of `count`, rounded up.
fn share(percent: Percent, count: u32) -> u32 {
    let share = (u64::from(percent.get()) * u64::from(count)).div_ceil(100);
    u32::try_from(share).unwrap_or(count)
}

/// A percentage from 0 to `most`, the same for every replica, another for every activation.
fn draw(key: &RunKey, most: Percent) -> Percent {
    let drawn = hash64(&[b"percent", key.to_string().as_bytes()]) % (u64::from(most.get()) + 1);
    u8::try_from(drawn).ok().and_then(Percent::new).unwrap_or(most)
}

/// Empties slots whose pod cannot be hit any more, and those that are not usable. An edit that selects anew
/// closes the highest slots first, and what it frees is filled without being counted as a replacement.
fn release(run: &mut Run, pool: &Pool<'_>, anew: bool) {
    let usable = run.usable_slots();
    for (index, slot) in run.slots.iter_mut().enumerate() {
        let stays = index < usable && slot.pod.as_deref().is_some_and(|uid| pool.eligible.contains_key(uid));
        if !stays {
            slot.release(!anew && index < usable);
        }
    }
}

/// Gives free slots, lowest first, to the pods that the hash prefers.
fn assign(key: &RunKey, run: &mut Run, pool: &Pool<'_>) {
    let usable = run.usable_slots();
    if run.slots.iter().take(usable).all(|slot| slot.pod.is_some()) {
        return;
    }
    let taken: BTreeSet<&str> = run.slots.iter().filter_map(|slot| slot.pod.as_deref()).collect();
    let mut free: Vec<&str> = pool.eligible.keys().copied().filter(|uid| !taken.contains(uid)).collect();
    let key = key.to_string();
    free.sort_by_cached_key(|uid| (rank(&key, uid), *uid));
    let allowed = replacements_allowed(run);
    for slot in run.slots.iter_mut().take(usable).filter(|slot| slot.pod.is_none()) {
        if slot.vacated && run.replacements >= allowed {
            continue;
        }
        let Some(uid) = free.pop() else { break };
        run.replacements += u32::from(slot.vacated);
        slot.vacated = false;
        slot.pod = Some(uid.to_owned());
    }
}

/// Rendezvous hashing: each pod's rank depends on nothing but itself and the run, so pods that come and go
/// change no other pod's.
fn rank(key: &str, uid: &str) -> u64 {
    hash64(&[b"slot", key.as_bytes(), uid.as_bytes()])
}

/// How many targets may be replaced over the whole run.
pub(crate) fn replacements_allowed(run: &Run) -> u32 {
    run.declared.annotations.replace.unwrap_or(run.open)
}
