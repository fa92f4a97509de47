//! The predicates of one program: each compiled once, under a number that steps of chains know it by.

use std::collections::{BTreeMap, BTreeSet};

use faultline_api::{Predicate, predicate::Problem};
use faultline_ebpf::codegen;
use faultline_ebpf::layout::MAX_PREDICATES;
use faultline_ebpf::predicate::{Function, Ir, Problems, read};

use super::error::ProbeError;
use super::programs::{AttachError, Live};

/// Predicates, and what each is to the program.
#[derive(Debug, Clone, Default)]
pub(super) struct Predicates {
    /// Those that the program has.
    compiled: Numbered,
    /// Those that it cannot have, for as long as the same ones are wanted: types and verifier would say the same again,
    /// and asking them costs more than all the rest of a converge in which nothing is new.
    refused: BTreeMap<Predicate, ProbeError>,
    /// What was wanted when they were refused.
    asked: BTreeSet<Predicate>,
}

/// A number keeps its meaning while any probe may use it.
#[derive(Debug, Clone, Default)]
struct Numbered(BTreeMap<Predicate, Compiled>);

/// What a program is full of that can carry no more of them.
pub(super) const OF_ONE_FUNCTION: &str = "predicates of one function";

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
    /// The numbers of the predicates that are wanted, where there are all of them.
    pub(super) fn numbers(&self, wanted: &BTreeSet<&Predicate>) -> Option<Numbers> {
        let number = |predicate: &&Predicate| {
            Some(((*predicate).clone(), Ok(self.compiled.0.get(*predicate)?.number)))
        };
        wanted.iter().map(number).collect()
    }

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
        if !self.asked.iter().eq(wanted.iter().copied()) {
            self.refused.clear();
            self.asked = wanted.iter().copied().cloned().collect();
        }
        let mut numbers: Numbers =
            self.refused.iter().map(|(predicate, error)| (predicate.clone(), Err(error.clone()))).collect();
        let mut kept = self.compiled.only(wanted);
        let fresh = self.fresh(wanted, kept.0.len(), compile, &mut numbers);
        let mut program = None;
        if !is_attached || !fresh.is_empty() {
            let all = fresh.iter().fold(kept.clone(), Numbered::with);
            program = match attach(&all.list()) {
                Ok(program) => {
                    kept = all;
                    Some(program)
                }
                Err(error) if fresh.is_empty() => return Err(error),
                Err(_) => self.one_by_one(&mut kept, &fresh, &mut numbers, &mut attach),
            };
            if program.is_none() && !is_attached {
                program = Some(attach(&kept.list())?);
            }
        }
        if program.is_some() {
            self.compiled = kept;
        }
        let known = |predicate: &&Predicate| {
            Some(((*predicate).clone(), Ok(self.compiled.0.get(*predicate)?.number)))
        };
        numbers.extend(wanted.iter().filter_map(known));
        Ok(Renewed { program, numbers })
    }

    /// Compiles what is new, as far as there is room beside those that are `kept`.
    fn fresh(
        &mut self,
        wanted: &BTreeSet<&Predicate>,
        kept: usize,
        compile: impl Fn(&Predicate) -> Result<Ir, ProbeError>,
        numbers: &mut Numbers,
    ) -> Vec<(Predicate, Ir)> {
        let max = usize::from(MAX_PREDICATES);
        let mut fresh = Vec::new();
        for predicate in wanted.iter().copied() {
            if self.compiled.0.contains_key(predicate) || self.refused.contains_key(predicate) {
                continue;
            }
            if kept + fresh.len() >= max {
                numbers.insert(predicate.clone(), Err(ProbeError::Full { what: OF_ONE_FUNCTION, max }));
                continue;
            }
            match compile(predicate) {
                Ok(condition) => fresh.push((predicate.clone(), condition)),
                Err(error) => {
                    let is_for_good = matches!(error, ProbeError::Predicate { .. });
                    self.refuse(predicate, error, is_for_good, numbers);
                }
            }
        }
        fresh
    }

    fn refuse(&mut self, predicate: &Predicate, error: ProbeError, is_for_good: bool, numbers: &mut Numbers) {
        if is_for_good {
            self.refused.insert(predicate.clone(), error.clone());
        }
        numbers.insert(predicate.clone(), Err(error));
    }

    /// All together are refused: finds out which it is.
    fn one_by_one(
        &mut self,
        kept: &mut Numbered,
        fresh: &[(Predicate, Ir)],
        numbers: &mut Numbers,
        attach: &mut impl FnMut(&[codegen::Predicate]) -> Result<Fresh, AttachError>,
    ) -> Option<Fresh> {
        let mut program = None;
        for new in fresh {
            let trial = kept.clone().with(new);
            match attach(&trial.list()) {
                Ok(attached) => (*kept, program) = (trial, Some(attached)),
                Err(error) => {
                    let (text, reason) = (new.0.text.clone(), error.to_string());
                    let refusal = ProbeError::Predicate { text, reason };
                    self.refuse(&new.0, refusal, error.is_for_good(), numbers);
                }
            }
        }
        program
    }
}

impl Numbered {
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

    fn list(&self) -> Vec<codegen::Predicate> {
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn named(text: &str) -> Predicate {
        Predicate { text: text.to_owned(), parameters: None }
    }

    /// How often a program that is attached compiles anything, and how many it answers with their error.
    fn asked(known: &mut Predicates, wanted: &[&Predicate], error: &ProbeError) -> (usize, usize) {
        let times = Cell::new(0);
        let compile = |_: &Predicate| {
            times.set(times.get() + 1);
            Err(error.clone())
        };
        let attach = |_: &[codegen::Predicate]| panic!("nothing is attached for it");
        let Ok(renewed) = known.renew(true, &wanted.iter().copied().collect(), compile, attach) else {
            panic!("nothing was to be attached")
        };
        (times.get(), renewed.numbers.values().filter(|number| **number == Err(error.clone())).count())
    }

    #[test]
    fn a_predicate_that_the_kernel_refuses_is_compiled_once_for_as_long_as_the_same_are_wanted() {
        let (a, b) = (named("a"), named("b"));
        let refused = ProbeError::Predicate { text: "x".to_owned(), reason: "no".to_owned() };
        let mut known = Predicates::default();
        assert_eq!(asked(&mut known, &[&a, &b], &refused), (2, 2));
        assert_eq!(asked(&mut known, &[&a, &b], &refused), (0, 2));
        assert_eq!(asked(&mut known, &[&a], &refused), (1, 1));
        assert_eq!(asked(&mut known, &[], &refused), (0, 0));
        assert_eq!(asked(&mut known, &[&a], &refused), (1, 1));
        assert_eq!(asked(&mut known, &[&a], &refused), (0, 1));
    }

    #[test]
    fn what_may_be_otherwise_the_next_time_is_asked_for_again() {
        let (a, mut known) = (named("a"), Predicates::default());
        let trouble = ProbeError::Kernel { what: "read".to_owned(), reason: "no memory".to_owned() };
        assert_eq!(asked(&mut known, &[&a], &trouble), (1, 1));
        assert_eq!(asked(&mut known, &[&a], &trouble), (1, 1));
    }

    #[test]
    fn a_program_numbers_its_predicates_from_1_in_their_order_as_listings_do() {
        let all = ["c", "a", "b"].map(named);
        let wanted: BTreeSet<&Predicate> = all.iter().collect();
        let compile = |predicate: &Predicate| Ok(Ir::Const(predicate.text.as_bytes()[0].into()));
        let fresh = Predicates::default().fresh(&wanted, 0, compile, &mut Numbers::new());
        let numbered = fresh.iter().fold(Numbered::default(), Numbered::with).list();
        let numbers = numbered.into_iter().map(|of| (of.number, of.condition));
        let expected =
            [(1, b'a'), (2, b'b'), (3, b'c')].map(|(number, text)| (number, Ir::Const(text.into())));
        assert_eq!(numbers.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_there_is_no_room_for_is_not_even_compiled() {
        let most = usize::from(MAX_PREDICATES);
        let all: Vec<_> = (0..=most).map(|nth| named(&format!("{nth:03}"))).collect();
        let (times, full) = (Cell::new(0), ProbeError::Full { what: OF_ONE_FUNCTION, max: most });
        let mut numbers = Numbers::new();
        let compile = |_: &Predicate| {
            times.set(times.get() + 1);
            Ok(Ir::Const(1))
        };
        let fresh = Predicates::default().fresh(&all.iter().collect(), 0, compile, &mut numbers);
        assert_eq!((fresh.len(), times.get()), (most, most));
        assert_eq!(numbers, Numbers::from([(all[most].clone(), Err(full))]));
    }
}
