//! Whether a function is called too often to be in a chain: measured, for names do not tell.

use std::thread;
use std::time::Duration;

use faultline_ebpf::codegen::counter;
use rustix::time::{ClockId, clock_gettime};

use super::calls::CallCounter;
use super::programs::Live;
use super::sys::{self, BpfError};

/// Calls per second and CPU that a function of a chain may have unless told otherwise. Entry and exit program take a
/// tenth of a microsecond for a call that is none of theirs: at this rate, a hundredth of the CPU.
pub const HOTTEST: u64 = 100_000;

/// How long calls are counted.
const WINDOW: Duration = Duration::from_millis(50);

/// A function that has just been given its programs, and serves no probe yet.
#[derive(Debug)]
pub(super) struct Newcomer<'a> {
    pub(super) address: u64,
    pub(super) btf_id: u32,
    pub(super) name: &'a str,
    pub(super) entry: &'a Live,
}

/// Those that are called more than `hottest` times a second on some CPU, with that rate.
///
/// At first the kernel's own count of runs is looked at, which costs next to nothing and is a sum over CPUs: what stays
/// below the limit there does so on each CPU. The others, and all where the kernel may not be asked (that needs
/// CAP_SYS_ADMIN), are counted by CPU in a second window. One that cannot be counted so is held against the sum.
pub(super) fn too_hot(newcomers: Vec<Newcomer<'_>>, hottest: u64) -> Vec<(u64, u64)> {
    let suspects: Vec<(Newcomer<'_>, u64)> = match runs_per_second(&newcomers) {
        Ok(rates) => newcomers.into_iter().zip(rates).filter(|(_, rate)| *rate > hottest).collect(),
        Err(_) => newcomers.into_iter().map(|newcomer| (newcomer, 0)).collect(),
    };
    if suspects.is_empty() {
        return Vec::new();
    }
    let counters: Vec<Option<CallCounter>> = suspects.iter().map(|(of, _)| count(of)).collect();
    let passed = window();
    let rate = |counter: &CallCounter| per_second(counter.by_cpu().into_iter().max().unwrap_or(0), passed);
    let rates = counters
        .iter()
        .zip(&suspects)
        .map(|(counter, (newcomer, sum))| (newcomer.address, counter.as_ref().map_or(*sum, rate)));
    rates.filter(|(_, rate)| *rate > hottest).collect()
}

fn runs_per_second(newcomers: &[Newcomer<'_>]) -> Result<Vec<u64>, BpfError> {
    let _counting = sys::count_runs()?;
    let runs = || newcomers.iter().map(|newcomer| newcomer.entry.runs()).collect::<Result<Vec<_>, _>>();
    let before = runs()?;
    let passed = window();
    let after = runs()?;
    Ok(after.into_iter().zip(before).map(|(after, before)| per_second(after - before, passed)).collect())
}

fn count(newcomer: &Newcomer<'_>) -> Option<CallCounter> {
    CallCounter::attach(&counter(newcomer.name, newcomer.btf_id).ok()?).ok()
}

/// Waits for it to pass; how long that really took.
fn window() -> Duration {
    let began = now();
    thread::sleep(WINDOW);
    now().saturating_sub(began)
}

fn now() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn per_second(calls: u64, passed: Duration) -> u64 {
    let rate = u128::from(calls) * 1_000_000_000 / passed.as_nanos().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}
