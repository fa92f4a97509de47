//! Whether cases would notice if the module did something else.

use std::fmt;

use faultline_core::review::{
    Description, Evaluation, Evaluator, Finding, Moment, Response, Review, Undecided,
};
use serde_json::Value as Json;

use super::{Case, Expected};

/// Another module in the place of the one that is tested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// One that takes any settings and allows everything.
    AllowAll,
    /// One that takes any settings and denies everything. Its words are not the module's, so only verdicts count.
    DenyAll,
    /// The same without this rule: what the rule finds is left out.
    Without(String),
}

impl fmt::Display for Mutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllowAll => f.write_str("a module that allows everything"),
            Self::DenyAll => f.write_str("a module that denies everything"),
            Self::Without(rule) => write!(f, "the module without the rule {rule}"),
        }
    }
}

/// Every mutation of a module that describes itself so.
#[must_use]
pub fn mutations(description: &Description) -> Vec<Mutation> {
    let rules = description.rules.iter().cloned().map(Mutation::Without);
    [Mutation::AllowAll, Mutation::DenyAll].into_iter().chain(rules).collect()
}

/// The cases that would not notice. Where these are all of `cases`, what the mutation changes is not tested.
#[must_use]
pub fn unnoticed<'c>(
    cases: &'c [Case],
    mutation: &Mutation,
    evaluator: &dyn Evaluator,
    module: &[u8],
) -> Vec<&'c Case> {
    let mutant = Mutant { mutation, evaluator };
    cases.iter().filter(|case| !case.notices(&mutant, module)).collect()
}

impl Case {
    fn notices(&self, mutant: &Mutant<'_>, module: &[u8]) -> bool {
        match (mutant.mutation, &self.review) {
            (Mutation::DenyAll, Some(review)) => {
                let evaluation = mutant.evaluate(module, &self.settings, review);
                Expected::of(evaluation.outcome).verdict() != self.expected.verdict()
            }
            _ => self.run(mutant, module).difference.is_some(),
        }
    }
}

/// The evaluator, as if every module were mutated.
struct Mutant<'e> {
    mutation: &'e Mutation,
    evaluator: &'e dyn Evaluator,
}

impl Evaluator for Mutant<'_> {
    fn describe(&self, module: &[u8]) -> Result<Description, Undecided> {
        let description = self.evaluator.describe(module)?;
        Ok(match self.mutation {
            Mutation::AllowAll | Mutation::DenyAll => {
                Description { moments: vec![Moment::Judge, Moment::Admit], ..description }
            }
            Mutation::Without(_) => description,
        })
    }

    fn check(&self, module: &[u8], settings: &Json) -> Result<Description, Undecided> {
        match self.mutation {
            Mutation::AllowAll | Mutation::DenyAll => self.describe(module),
            Mutation::Without(_) => self.evaluator.check(module, settings),
        }
    }

    fn evaluate(&self, module: &[u8], settings: &Json, review: &Review) -> Evaluation {
        let answered = |response| Evaluation { outcome: Ok(response), module_digest: String::new(), fuel: 0 };
        match self.mutation {
            Mutation::AllowAll => answered(Response::default()),
            Mutation::DenyAll => answered(denial()),
            Mutation::Without(rule) => {
                let evaluation = self.evaluator.evaluate(module, settings, review);
                Evaluation { outcome: evaluation.outcome.map(|answer| without(answer, rule)), ..evaluation }
            }
        }
    }
}

fn denial() -> Response {
    let finding = Finding {
        rule: "deny-all".to_owned(),
        path: "metadata.name".to_owned(),
        message: "everything is denied".to_owned(),
    };
    Response { denials: vec![finding], ..Response::default() }
}

fn without(mut answer: Response, rule: &str) -> Response {
    answer.denials.retain(|finding| finding.rule != rule);
    answer.tightenings.retain(|found| found.finding.rule != rule);
    answer.warnings.retain(|finding| finding.rule != rule);
    answer
}
