//! The macros that a predicate may use.

use super::problem::Problem;
use crate::Span;

/// Their names, and how many arguments each takes.
const MACROS: [(&str, usize); 6] =
    [("STRCMP", 2), ("STRNCMP", 3), ("MKDEV", 2), ("MAJOR", 1), ("MINOR", 1), ("IS_ERR", 1)];

/// What is wrong with a macro of this name, which stands at `at`, applied to so many arguments in `whole`.
#[must_use]
pub fn misuse(name: &str, at: Span, arguments: usize, whole: Span) -> Option<Problem> {
    let Some((_, takes)) = MACROS.iter().find(|(known, _)| *known == name) else {
        let alike = |known: &str| strsim::jaro_winkler(&name.to_uppercase(), known);
        let nearest =
            MACROS.iter().map(|(known, _)| (alike(known), *known)).max_by(|a, b| a.0.total_cmp(&b.0));
        let help = match nearest.filter(|(alike, _)| *alike > 0.8) {
            Some((_, near)) => format!("did you mean `{near}`?"),
            None => {
                let known: Vec<_> = MACROS.iter().map(|(known, _)| *known).collect();
                format!("a predicate calls nothing; known are {}", known.join(", "))
            }
        };
        return Some(Problem::new(at, format!("no macro `{name}` is known")).help(help));
    };
    let plural = if *takes == 1 { "" } else { "s" };
    let message = format!("{name} takes {takes} argument{plural}, and this has {arguments}");
    (arguments != *takes).then(|| Problem::new(whole, message))
}
