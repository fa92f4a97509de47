//! What testing came to, for people and for programs.

use faultline_policies::cases::{BrokenFile, Case, Difference, Mutation, Ran};
use serde::Serialize;

use crate::cli::{Outcome, policy::wrong::Wrong, table::table};

/// What testing a module came to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tested {
    /// `sha256:<hex>`.
    module: String,
    cases: Vec<TestedCase>,
    broken: Vec<Wrong>,
    /// Empty where none were tried.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) mutations: Vec<Mutated>,
}

/// One case.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TestedCase {
    #[serde(flatten)]
    place: Place,
    passed: bool,
    /// Expected, and did not come.
    missing: Vec<String>,
    /// Came, and was not expected.
    unexpected: Vec<String>,
    fuel: u64,
}

/// One mutation.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Mutated {
    mutation: String,
    /// The cases that pass all the same.
    unnoticed: Vec<Place>,
}

/// Where a case is.
#[derive(Debug, Serialize)]
struct Place {
    case: String,
    path: String,
    line: u32,
}

impl Place {
    fn of(case: &Case) -> Self {
        Self { case: case.name.clone(), path: case.path.display().to_string(), line: case.line }
    }

    fn at(&self) -> String {
        format!("{}:{}", self.path, self.line)
    }
}

impl TestedCase {
    pub(super) fn of(case: &Case, ran: Ran) -> Self {
        let Ran { difference, fuel } = ran;
        let passed = difference.is_none();
        let Difference { missing, unexpected } =
            difference.unwrap_or(Difference { missing: Vec::new(), unexpected: Vec::new() });
        Self { place: Place::of(case), passed, missing, unexpected, fuel }
    }

    fn failure(&self) -> String {
        let missing = self.missing.iter().map(|line| format!("  - {line}\n"));
        let unexpected = self.unexpected.iter().map(|line| format!("  + {line}\n"));
        let lines: String = missing.chain(unexpected).collect();
        format!("\n{}: {}\n{lines}", self.place.at(), self.place.case)
    }
}

impl Mutated {
    pub(super) fn of(mutation: &Mutation, unnoticed: &[&Case]) -> Self {
        Self {
            mutation: mutation.to_string(),
            unnoticed: unnoticed.iter().map(|case| Place::of(case)).collect(),
        }
    }
}

impl Tested {
    pub(super) fn new(module: &str, cases: Vec<TestedCase>, broken: Vec<BrokenFile>) -> Self {
        let broken = broken.into_iter().map(Wrong::from).collect();
        Self { module: module.to_owned(), cases, broken, mutations: Vec::new() }
    }

    /// Whether every case passes, and at least one notices each mutation.
    pub(super) fn outcome(&self) -> Outcome {
        let passed = self.cases.iter().all(|case| case.passed) && self.broken.is_empty();
        if passed && self.blind().next().is_none() { Outcome::Fine } else { Outcome::Found }
    }

    /// Mutations that no case notices.
    fn blind(&self) -> impl Iterator<Item = &Mutated> {
        self.mutations.iter().filter(|mutated| mutated.unnoticed.len() == self.cases.len())
    }

    pub(super) fn text(&self) -> String {
        let mut text: String = self.broken.iter().map(|wrong| wrong.rendered.as_str()).collect();
        let rows = self.cases.iter().map(|case| {
            let result = if case.passed { "passed" } else { "FAILED" };
            [result.to_owned(), case.fuel.to_string(), case.place.at(), case.place.case.clone()]
        });
        text += &table(["RESULT", "FUEL", "AT", "CASE"], rows);
        let failed: Vec<_> = self.cases.iter().filter(|case| !case.passed).collect();
        if !failed.is_empty() {
            text += "\nexpected and missing: -, not expected: +\n";
        }
        text.extend(failed.iter().map(|case| case.failure()));
        text += &self.mutated();
        text += &format!(
            "\n{} of {} cases passed; {} broken {}{}\n",
            self.cases.len() - failed.len(),
            self.cases.len(),
            self.broken.len(),
            if self.broken.len() == 1 { "file" } else { "files" },
            self.unnoticed()
        );
        text
    }

    /// Which cases would not notice what.
    fn mutated(&self) -> String {
        if self.mutations.is_empty() {
            return String::new();
        }
        let rows = self.mutations.iter().map(|Mutated { mutation, unnoticed }| {
            let noticed = self.cases.len() - unnoticed.len();
            [mutation.clone(), format!("{noticed} of {}", self.cases.len())]
        });
        let mut text = "\n".to_owned() + &table(["IN THE PLACE OF THE MODULE", "NOTICED BY"], rows);
        for Mutated { mutation, unnoticed } in self.mutations.iter().filter(|one| !one.unnoticed.is_empty()) {
            text += &format!("\n{mutation}, and these cases pass all the same\n");
            text.extend(unnoticed.iter().map(|place| format!("  {}: {}\n", place.at(), place.case)));
        }
        text
    }

    fn unnoticed(&self) -> String {
        match self.blind().count() {
            0 => String::new(),
            1 => "; 1 mutation that no case notices".to_owned(),
            blind => format!("; {blind} mutations that no case notices"),
        }
    }
}
