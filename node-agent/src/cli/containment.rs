//! What holds for every experiment on the node, each with its switch.

use clap::Args;
use faultline_api::GoDuration;

use crate::{
    config::Containment,
    kernel::{GRACE_NANOS, HOTTEST, RUNTIMES},
};

/// What is never injected, whatever is desired.
#[derive(Debug, Args)]
#[command(next_help_heading = "Containment")]
pub(super) struct ContainmentArgs {
    /// Names of processes that are never injected, separated by commas, up to 15 bytes of each: in place of the kubelet
    /// and the usual container runtimes.
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        num_args = 0..,
        default_values = RUNTIMES
    )]
    protected_names: Vec<String>,
    /// Process ids that are never injected either, separated by commas.
    #[arg(long, value_name = "PIDS", value_delimiter = ',')]
    protected_pids: Vec<u32>,
    /// How long a container is spared after the first process of its process namespace started; 0s: not at all. One
    /// that shares the machine's or its pod's process namespace has no start of its own.
    #[arg(long, value_name = "DURATION", default_value_t = GoDuration::from_nanos(GRACE_NANOS))]
    grace: GoDuration,
    /// Attach to functions of chains however often they are called; otherwise 100000 calls a second on a CPU are the
    /// most, measured when a function is first wanted.
    #[arg(long)]
    allow_hot_functions: bool,
}

impl ContainmentArgs {
    /// As the agent takes them.
    pub(super) fn containment(self) -> Containment {
        let Self { protected_names, protected_pids, grace, allow_hot_functions } = self;
        Containment {
            protected: protected_pids,
            protected_names: protected_names.into_iter().filter(|name| !name.is_empty()).collect(),
            grace: grace.as_std(),
            hottest: (!allow_hot_functions).then_some(HOTTEST),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        containment: ContainmentArgs,
    }

    #[test]
    fn without_a_switch_it_is_the_agents_own_and_the_help_states_the_limit() {
        assert_eq!(Only::parse_from(["x"]).containment.containment(), Containment::default());
        let help = Only::command().render_long_help().to_string();
        assert!(help.contains("500ms") && help.contains(&HOTTEST.to_string()), "{help}");
    }

    #[test]
    fn each_can_be_switched_off() {
        let all = ["x", "--protected-names=", "--grace=0s", "--allow-hot-functions", "--protected-pids=7,9"];
        let containment = Only::parse_from(all).containment.containment();
        assert_eq!((containment.protected_names.len(), containment.protected), (0, vec![7, 9]));
        assert_eq!((containment.grace.as_nanos(), containment.hottest), (0, None));
    }
}
