//! The predicates of one program: each compiled once, under a number that steps of chains know it by.

use std::collections::{BTreeMap, BTreeSet};

use faultline_api::{Predicate, predicate::Problem};
use faultline_ebpf::codegen;
use faultline_ebpf::layout::MAX_PREDICATES;
use faultline_ebpf::predicate::{Function, Ir, Problems, read};

use super::error::ProbeError;
use super::programs::{AttachError, Live};

/// Predicates, and what each is to the program. A number keeps its meaning while any probe may use it.
#[derive(Debug, Clone, Default)]
pub(super) struct Predicates(BTreeMap<Predicate, Compiled>);

#[derive(Debug, Clone)]
struct Compiled {
    number: u8,
    condition: Ir,
}

/// The number of each predicate that was wanted, or why the program cannot have it.
pub(super) type Numbers = BTreeMap<Predicate, Result<u8, ProbeError>>;

/// A program that was attached, under its generation.
pub(super) type Fresh = (u64, Live);

/// What became of a program when predicates were wanted of it.
pub(super) struct Renewed {
    /// The program to take over; `None` where the one that is attached will do.
    pub(super) program: Option<Fresh>,
    pub(super) numbers: Numbers,
}

impl Predicates {
    /// Sees to it that a program has the predicates that are wanted: compiles those that are new, and attaches the
    /// program anew. Those that nothing wants any more go at that occasion.
    ///
    /// # Errors
    /// The program cannot be attached at all. One predicate that cannot be had is told in the numbers, and the others
    /// are not affected.
    pub(super) fn renew(
        &mut self,
        is_attached: bool,
        wanted: &BTreeSet<&Predicate>,
        compile: impl Fn(&Predicate) -> Result<Ir, ProbeError>,
        mut attach: impl FnMut(&[codegen::Predicate]) -> Result<Fresh, AttachError>,
    ) -> Result<Renewed, AttachError> {
        let mut kept = self.only(wanted);
        let mut numbers = Numbers::new();
        let mut fresh = Vec::new();
        for predicate in wanted.iter().filter(|predicate| !self.0.contains_key(**predicate)) {
            match compile(predicate) {
                Ok(condition) => fresh.push(((*predicate).clone(), condition)),
                Err(error) => drop(numbers.insert((*predicate).clone(), Err(error))),
            }
        }
        let most = usize::from(MAX_PREDICATES);
        for (predicate, _) in fresh.split_off(fresh.len().min(most.saturating_sub(kept.0.len()))) {
            let full = ProbeError::Full { what: "predicates of one function", max: most };
            numbers.insert(predicate, Err(full));
        }
        let mut program = None;
        if !is_attached || !fresh.is_empty() {
            let all = fresh.iter().fold(kept.clone(), Self::with);
            program = match attach(&all.compiled()) {
                Ok(program) => {
                    kept = all;
                    Some(program)
                }
                Err(error) if fresh.is_empty() => return Err(error),
                Err(_) => kept.one_by_one(&fresh, &mut numbers, &mut attach),
            };
            if program.is_none() && !is_attached {
                program = Some(attach(&kept.compiled())?);
            }
        }
        if program.is_some() {
            *self = kept;
        }
        let known =
            |predicate: &&&Predicate| Some(((**predicate).clone(), Ok(self.0.get(**predicate)?.number)));
        numbers.extend(wanted.iter().filter_map(|predicate| known(&predicate)));
        Ok(Renewed { program, numbers })
    }

    /// All together are refused: finds out which it is.
    fn one_by_one(
        &mut self,
        fresh: &[(Predicate, Ir)],
        numbers: &mut Numbers,
        attach: &mut impl FnMut(&[codegen::Predicate]) -> Result<Fresh, AttachError>,
    ) -> Option<Fresh> {
        let mut program = None;
        for new in fresh {
            let trial = self.clone().with(new);
            match attach(&trial.compiled()) {
                Ok(attached) => (*self, program) = (trial, Some(attached)),
                Err(error) => {
                    let (text, reason) = (new.0.text.clone(), error.to_string());
                    numbers.insert(new.0.clone(), Err(ProbeError::Predicate { text, reason }));
                }
            }
        }
        program
    }

    fn only(&self, wanted: &BTreeSet<&Predicate>) -> Self {
        let wanted = self.0.iter().filter(|(predicate, _)| wanted.contains(predicate));
        Self(wanted.map(|(predicate, compiled)| (predicate.clone(), compiled.clone())).collect())
    }

    /// With one more, under a number that is free: the caller sees to it that there is one.
    fn with(mut self, (predicate, condition): &(Predicate, Ir)) -> Self {
        let taken: BTreeSet<u8> = self.0.values().map(|compiled| compiled.number).collect();
        if let Some(number) = (1..=u8::MAX).find(|number| !taken.contains(number)) {
            self.0.insert(predicate.clone(), Compiled { number, condition: condition.clone() });
        }
        self
    }

    fn compiled(&self) -> Vec<codegen::Predicate> {
        let compiled = |Compiled { number, condition }: &Compiled| codegen::Predicate {
            number: *number,
            condition: condition.clone(),
        };
        self.0.values().map(compiled).collect()
    }
}

/// Reads a predicate for this kernel.
pub(super) fn compile(function: Function<'_>, predicate: &Predicate) -> Result<Ir, ProbeError> {
    read(function, predicate).map_err(|problems| {
        let (text, problems) = match problems {
            Problems::Parameters(problems) => (predicate.parameters.clone().unwrap_or_default(), problems),
            Problems::Predicate(problems) => (predicate.text.clone(), problems),
        };
        let reason = problems.iter().map(|problem| told(&text, problem)).collect::<Vec<_>>().join("; ");
        ProbeError::Predicate { text, reason }
    })
}

/// What is wrong, with the words it is about and where they stand.
fn told(text: &str, problem: &Problem) -> String {
    let Problem { span, message, help } = problem;
    let column = text.get(..span.start).unwrap_or(text).chars().count() + 1;
    let help = help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
    format!("at character {column}: {message}{help}")
}
