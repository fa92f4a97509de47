//! What the nodes of a running reconciler say would come of experiments.

use std::collections::BTreeMap;

use faultline_core::{
    parse::Parsed,
    rehearsal::{Chain, Rehearsal, Rehearsed},
};
use serde::Serialize;

use super::{CliError, serving::blocking};
use crate::{
    admin::{AdminAddress, client::ask_about},
    agents::Rehearsals,
};

/// What each node that answered says of each experiment.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct OnNodes(BTreeMap<String, BTreeMap<String, Verdict>>);

/// What one node says of one experiment.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Verdict {
    usable: bool,
    #[serde(flatten)]
    rehearsal: Rehearsal,
}

impl OnNodes {
    /// Asks about everything that is declared.
    pub(super) fn ask(address: &AdminAddress, parsed: &Parsed) -> Result<Self, CliError> {
        let chain = |experiment: &faultline_api::Experiment| Chain {
            fault: experiment.fault,
            call_chain: experiment.call_chain.clone(),
        };
        let chains: Vec<Chain> =
            parsed.experiments.values().map(|declared| chain(&declared.experiment)).collect();
        let chains = serde_json::to_string(&chains)?;
        let answered: Rehearsals = blocking(ask_about(address, "/v1/rehearsals", Some(chains)))??;
        let mut told: BTreeMap<_, BTreeMap<_, _>> =
            parsed.experiments.keys().map(|id| (id.to_string(), BTreeMap::new())).collect();
        for (node, rehearsals) in answered {
            for (id, rehearsal) in parsed.experiments.keys().zip(rehearsals) {
                let verdict = Verdict { usable: rehearsal.is_usable(), rehearsal };
                told.entry(id.to_string()).or_default().insert(node.clone(), verdict);
            }
        }
        Ok(Self(told))
    }

    /// Whether an experiment can be injected on none of the nodes that answered.
    pub(super) fn has_useless(&self) -> bool {
        self.0.values().any(|nodes| !nodes.is_empty() && nodes.values().all(|verdict| !verdict.usable))
    }

    /// Whether there is an experiment of which no node said anything.
    pub(super) fn has_unanswered(&self) -> bool {
        self.0.values().any(BTreeMap::is_empty)
    }

    pub(super) fn text(&self) -> String {
        let mut text = "\nOn the nodes\n".to_owned();
        for (experiment, nodes) in &self.0 {
            text += &format!("  {experiment}\n");
            if nodes.is_empty() {
                text += "    no node has answered\n";
            }
            for (node, Verdict { rehearsal, .. }) in nodes {
                text += &format!("    {node}: {}\n", in_words(rehearsal));
            }
        }
        text
    }
}

/// Whether it can be injected: by what, or why not.
pub(super) fn in_words(rehearsal: &Rehearsal) -> String {
    let reasons: Vec<&str> = rehearsal.reasons().collect();
    if !reasons.is_empty() {
        return format!("cannot be injected: {}", reasons.join("; "));
    }
    let at = |Rehearsed { function, symbol, mechanism, problem: _ }: &Rehearsed| {
        let by = mechanism.iter().map(|mechanism| format!(" by {mechanism}")).collect::<String>();
        symbol.as_ref().unwrap_or(function).clone() + &by
    };
    let at: Vec<String> = rehearsal.frames.iter().chain([&rehearsal.target]).map(at).collect();
    format!("can be injected: {}", at.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rehearsal(problem: Option<&str>) -> Rehearsal {
        let at = |function: &str, symbol: &str, mechanism: &str, problem: Option<&str>| {
            let (symbol, mechanism) = (symbol.to_owned(), mechanism.to_owned());
            let (symbol, mechanism) = Some((symbol, mechanism)).filter(|_| problem.is_none()).unzip();
            Rehearsed {
                function: function.to_owned(),
                symbol,
                mechanism,
                problem: problem.map(str::to_owned),
            }
        };
        Rehearsal {
            frames: vec![at("mount", "__x64_sys_mount", "fentry/fexit", problem)],
            target: at("should_failslab", "should_failslab", "fmod_ret", None),
            problems: Vec::new(),
        }
    }

    fn told(verdicts: &[(&str, Rehearsal)]) -> OnNodes {
        let verdict = |(node, rehearsal): &(&str, Rehearsal)| {
            let rehearsal = rehearsal.clone();
            ((*node).to_owned(), Verdict { usable: rehearsal.is_usable(), rehearsal })
        };
        OnNodes([("chaos/web".to_owned(), verdicts.iter().map(verdict).collect())].into())
    }

    #[test]
    fn each_node_says_by_what_or_why_not() {
        let (can, cannot) = (rehearsal(None), rehearsal(Some("no function `mount`")));
        let mixed = told(&[("n1", can), ("n2", cannot.clone())]);
        let expected = "
On the nodes
  chaos/web
    n1: can be injected: __x64_sys_mount by fentry/fexit, should_failslab by fmod_ret
    n2: cannot be injected: no function `mount`
";
        assert_eq!(mixed.text(), expected);
        let of_node = &serde_json::to_value(&mixed).unwrap()["chaos/web"]["n2"];
        assert_eq!(
            (&of_node["usable"], &of_node["frames"][0]["problem"]),
            (&json!(false), &json!("no function `mount`"))
        );
        assert!(!mixed.has_useless() && !mixed.has_unanswered());
        assert!(told(&[("n2", cannot)]).has_useless());
        let silent = told(&[]);
        assert!(silent.has_unanswered() && !silent.has_useless());
        assert!(silent.text().ends_with("    no node has answered\n"));
    }
}
