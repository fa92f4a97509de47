//! The one table of test suites.

/// Flags that every cargo command of the suites shares, so that one compilation serves all of them: the test
/// binaries that run on this machine are the static ones that run in the lab.
pub(crate) const TARGET: &str = "x86_64-unknown-linux-gnu";

/// One suite: commands that must all succeed.
pub(crate) struct Suite {
    /// What it is called on the command line.
    pub(crate) name: &'static str,
    /// What it shows.
    pub(crate) shows: &'static str,
    /// Minutes that it may take on two cores with nothing cached. More is reported, and is a reason to act.
    pub(crate) budget_min: u32,
    /// Its commands, in order. Words are separated by single spaces.
    pub(crate) commands: &'static [&'static str],
}

/// Every suite, in the order in which they run: what is quick to fail comes first.
pub(crate) const SUITES: &[Suite] = &[
    Suite {
        name: "format",
        shows: "rustfmt agrees, in the workspace and in the guests' two",
        budget_min: 1,
        commands: &[
            "cargo fmt --all --check",
            "cargo fmt --all --check --manifest-path policies/guests/Cargo.toml",
            "cargo fmt --all --check --manifest-path policies/guests-wapc/Cargo.toml",
        ],
    },
    Suite {
        name: "licences",
        shows: "cargo-deny: licences, sources and banned crates",
        budget_min: 6,
        commands: &["cargo-deny --all-features check bans licenses sources"],
    },
    Suite {
        name: "lint",
        shows: "clippy with warnings as errors, all targets",
        budget_min: 8,
        commands: &[
            "cargo clippy --workspace --all-targets --quiet -- -D warnings",
            "cargo clippy --workspace --quiet --manifest-path policies/guests/Cargo.toml -- -D warnings",
            "cargo clippy --workspace --quiet --manifest-path policies/guests-wapc/Cargo.toml -- -D warnings",
        ],
    },
    Suite {
        name: "unit",
        shows: "unit, property and golden tests; the repository's own rules; hostile guests; fuzz targets over the inputs they keep; sockets and certificates",
        budget_min: 14,
        commands: &["cargo test --workspace --no-fail-fast"],
    },
    Suite {
        name: "lab",
        shows: "kernels are built, boot, run commands, and are stopped when they hang",
        budget_min: 31,
        commands: &["cargo lab build --all", "cargo test --workspace --test machines"],
    },
    Suite {
        name: "engine",
        shows: "the injection engine on real kernels: call chains, exact times, deadlines, scope",
        budget_min: 15,
        commands: &[
            "cargo lab test --kernel 6.1 --disk sample --package faultline-node-agent --bin none --test kernel",
            "cargo lab test --kernel 6.12 --disk sample --package faultline-node-agent --bin none --test kernel",
            "cargo lab test --kernel nofail --disk sample --package faultline-node-agent --bin none --test kernel -- preflight:: corpus::",
            "cargo lab test --kernel stock --package faultline-node-agent --bin none --test kernel",
            "cargo lab test --kernel stock --append lockdown=confidentiality --package faultline-node-agent --bin none --test kernel -- lockdown::",
        ],
    },
    Suite {
        name: "agent",
        shows: "the agent as a process on the real engine: kills, hangs, leases, restarts, edits",
        budget_min: 8,
        commands: &[
            "cargo lab test --kernel 6.1 --package faultline-node-agent --bin faultline-agent --test session",
            "cargo lab test --kernel 6.12 --package faultline-node-agent --bin faultline-agent --test session",
        ],
    },
    Suite {
        name: "stress",
        shows: "four CPUs that preempt themselves: nothing out of scope, after a deadline or over budget, by two counts",
        budget_min: 6,
        commands: &[
            "cargo lab test --kernel 6.12 --cpus 4 --append preempt=full --disk sample --package faultline-node-agent --bin none --test stress -- --test-threads 1 --nocapture",
        ],
    },
    Suite {
        name: "story",
        shows: "a committed file fails the mount in one container and nowhere else, under kills, edits and removals",
        budget_min: 12,
        commands: &[
            "cargo lab test --kernel 6.1 --cpus 4 --memory 1024 --disk sample --package faultline-tests --test story -- --test-threads 1 --nocapture",
            "cargo lab test --kernel 6.12 --cpus 4 --memory 1024 --disk sample --package faultline-tests --test story -- --test-threads 1 --nocapture",
            "cargo lab test --kernel stock --memory 1024 --package faultline-tests --test story -- --test-threads 1 --nocapture",
        ],
    },
    Suite {
        name: "metrics",
        shows: "a real Prometheus counts what the victims count, and has data for every panel of the dashboard",
        budget_min: 6,
        commands: &["cargo test --workspace --test metrics"],
    },
];
