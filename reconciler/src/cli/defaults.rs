//! The defaults that hold without any guardrail, each with its switch.

use std::str::FromStr;

use clap::Args;
use faultline_api::{GoDuration, duration::DurationError};
use faultline_core::Defaults;

/// Which defaults hold.
#[derive(Debug, Args)]
#[command(next_help_heading = "Defaults without a guardrail")]
pub(super) struct DefaultsArgs {
    /// How long a run lasts whose experiment gives no duration; `none`: until it is removed
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    default_duration: DurationOrNone,
    /// Namespaces whose pods are never hit, separated by commas; empty: none is protected
    #[arg(
        long,
        value_name = "NAMESPACES",
        value_delimiter = ',',
        num_args = 0..,
        default_value = "kube-system,faultline-system"
    )]
    protected_namespaces: Vec<String>,
    /// Allow an empty call chain, which is every hit of the target function
    #[arg(long)]
    allow_empty_call_chain: bool,
    /// Allow page faults that have neither `times` nor a probability below 100
    #[arg(long)]
    allow_unbounded_page_faults: bool,
    /// What guardrails are told about the environment, such as `production`
    #[arg(long, value_name = "TEXT", default_value = "")]
    environment: String,
}

impl DefaultsArgs {
    /// As the pipeline takes them.
    pub(super) fn defaults(&self) -> Defaults {
        let Self {
            default_duration,
            protected_namespaces,
            allow_empty_call_chain,
            allow_unbounded_page_faults,
            environment,
        } = self;
        Defaults {
            duration: default_duration.0,
            protected_namespaces: protected_namespaces
                .iter()
                .filter(|name| !name.is_empty())
                .cloned()
                .collect(),
            refuse_empty_call_chain: !allow_empty_call_chain,
            refuse_unbounded_page_faults: !allow_unbounded_page_faults,
            environment: environment.clone(),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct DurationOrNone(Option<GoDuration>);

impl FromStr for DurationOrNone {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        if text == "none" { Ok(Self(None)) } else { text.parse().map(|duration| Self(Some(duration))) }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        defaults: DefaultsArgs,
    }

    #[test]
    fn without_a_switch_they_are_the_pipelines_own() {
        assert_eq!(Only::parse_from(["x"]).defaults.defaults(), Defaults::default());
    }

    #[test]
    fn each_can_be_switched_off() {
        let all = [
            "x",
            "--default-duration=none",
            "--protected-namespaces=",
            "--allow-empty-call-chain",
            "--allow-unbounded-page-faults",
        ];
        let defaults = Only::parse_from(all).defaults.defaults();
        assert_eq!(defaults.duration, None);
        assert!(defaults.protected_namespaces.is_empty());
        assert!(!defaults.refuse_empty_call_chain && !defaults.refuse_unbounded_page_faults);
    }
}
