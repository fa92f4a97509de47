//! A process in a cgroup whose threads do some kinds of operations and write down how each went.
//!
//! It is this test binary once more. Its threads are there from the start, so that nothing needs memory while faults are
//! injected. A victim that breeds also runs one short-lived child after the other, each with threads of its own.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::workers::{self, Failure, KINDS, Tally};

/// Where the victim finds its cgroup, how many threads it has, and its manner.
const ORDERS: &str = "FAULTLINE_STRESS_VICTIM";

/// Where a child finds how many rounds it has.
const ROUNDS: &str = "FAULTLINE_STRESS_CHILD";

/// Threads and rounds of a child.
const CHILD: (usize, u64) = (2, 40);

/// How a victim works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Its threads never rest.
    Restless,
    /// Its threads sleep between rounds, so that whoever gives the orders gets somewhere.
    Calm,
    /// So it does, and it brings up children.
    Breeding,
}

/// The near side.
pub(crate) struct Victim {
    child: Child,
    orders: ChildStdin,
    replies: BufReader<ChildStdout>,
}

/// What all threads of a victim, and of its children, have done since they were set going.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// Operations by kind: those that went well, and those that failed.
    pub(crate) tallies: [(u64, u64); KINDS],
    pub(crate) failures: Vec<Failure>,
}

impl Account {
    pub(crate) fn failed(&self) -> u64 {
        self.tallies.iter().map(|(_, failed)| failed).sum()
    }

    pub(crate) fn operations(&self) -> u64 {
        self.tallies.iter().map(|(ok, failed)| ok + failed).sum()
    }

    fn take(&mut self, line: &str) -> bool {
        let Some((_, line)) = line.split_once("stress ") else { return true };
        let (word, numbers) = line.split_once(' ').unwrap_or((line, ""));
        let numbers: Vec<u64> = numbers.split_whitespace().map(|number| number.parse().unwrap()).collect();
        match (word, &numbers[..]) {
            ("tally", [kind, ok, failed]) => {
                let tally = &mut self.tallies[usize::try_from(*kind).unwrap()];
                *tally = (tally.0 + ok, tally.1 + failed);
            }
            ("fail", [tid, kind, began, ended]) => self.failures.push(Failure {
                tid: *tid,
                kind: usize::try_from(*kind).unwrap(),
                began: *began,
                ended: *ended,
            }),
            ("done", []) => return false,
            _ => panic!("a victim said {line:?}"),
        }
        true
    }
}

impl Victim {
    pub(crate) fn start(cgroup: &Path, threads: usize, manner: Manner) -> Self {
        let mut child = myself("victim::does_what_it_is_told")
            .env(ORDERS, format!("{} {threads} {manner:?}", cgroup.display()))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let (orders, replies) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut victim = Self { child, orders, replies };
        victim.go();
        victim.stop();
        victim
    }

    pub(crate) fn go(&mut self) {
        self.order("go");
        self.account();
    }

    /// Operations so far.
    pub(crate) fn progress(&mut self) -> u64 {
        self.order("progress");
        self.account().operations()
    }

    /// Returns when every operation that was under way is over.
    pub(crate) fn stop(&mut self) -> Account {
        self.order("stop");
        self.account()
    }

    fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").unwrap();
    }

    fn account(&mut self) -> Account {
        let (mut account, mut line) = (Account::default(), String::new());
        loop {
            line.clear();
            assert_ne!(self.replies.read_line(&mut line).unwrap(), 0, "a victim died");
            if !account.take(line.trim_end()) {
                return account;
            }
        }
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// This binary, to run one of its tests.
pub(crate) fn myself(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).stdout(Stdio::piped());
    command
}

/// The far side.
#[test]
fn does_what_it_is_told() {
    let Ok(orders) = std::env::var(ORDERS) else { return };
    let words: Vec<&str> = orders.split_whitespace().collect();
    std::fs::write(Path::new(words[0]).join("cgroup.procs"), "0").unwrap();
    let (rests, breeds) = (words[2] != "Restless", words[2] == "Breeding");
    let mut crew = workers::Crew::hire(words[1].parse().unwrap(), rests);
    let mut text = String::with_capacity(8 << 20);
    for order in std::io::stdin().lines() {
        text.clear();
        match order.unwrap().as_str() {
            "go" => crew.go(breeds.then_some(breed as workers::Breeder)),
            "progress" => writeln!(text, "stress tally 0 {} 0", crew.progress()).unwrap(),
            "stop" => {
                for tally in crew.stop(&mut text) {
                    tell(&tally, &mut text);
                }
            }
            other => panic!("unknown order {other}"),
        }
        text.push_str("stress done\n");
        say(&text);
    }
}

/// What a pipe takes whole or not at all. The test's own messages go the same way, and must not end up inside a line.
const WHOLE: usize = 4096;

/// Not println: a victim whose allocations fail has as few of its own as can be.
fn say(text: &str) {
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        let room = &rest[..rest.len().min(WHOLE)];
        let end = room.iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
        if rustix::io::write(std::io::stdout(), &rest[..end]).is_ok() {
            rest = &rest[end..];
        }
    }
}

fn tell(tally: &Tally, text: &mut String) {
    for (kind, (ok, failed)) in tally.counts.iter().enumerate() {
        writeln!(text, "stress tally {kind} {ok} {failed}").unwrap();
    }
    for Failure { tid, kind, began, ended } in &tally.failures {
        writeln!(text, "stress fail {tid} {kind} {began} {ended}").unwrap();
    }
}

/// One child from beginning to end: what it said.
fn breed() -> String {
    let child = myself("victim::works_and_dies").env_remove(ORDERS).env(ROUNDS, CHILD.1.to_string()).output();
    let said = String::from_utf8(child.unwrap().stdout).unwrap();
    assert!(said.contains("stress done"), "a child died: {said}");
    said.lines().filter(|line| line.starts_with("stress ") && !line.ends_with("done")).fold(
        String::new(),
        |mut text, line| {
            writeln!(text, "{line}").unwrap();
            text
        },
    )
}

/// The child: a process that was born in scope, works for a while and exits.
#[test]
fn works_and_dies() {
    let Ok(rounds) = std::env::var(ROUNDS) else { return };
    let rounds = rounds.parse().unwrap();
    let mut text = "\n".to_owned();
    for tally in workers::work_off(CHILD.0, rounds) {
        tell(&tally, &mut text);
    }
    text.push_str("stress done\n");
    say(&text);
}
