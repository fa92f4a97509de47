//! The closed set of findings.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Declares [`Code`] once: each variant, its name in output, and its line in the documentation.
macro_rules! codes {
    ($($variant:ident $name:literal $meaning:literal)*) => {
        /// Which kind of finding a diagnostic is. Names are stable: scripts may match on them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = $meaning] #[serde(rename = $name)] $variant,)*
        }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name in output, in kebab case.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it means, one sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

codes! {
    InvalidUtf8 "invalid-utf8" "The file is not UTF-8 at this place."
    ForbiddenCharacter "forbidden-character" "YAML does not allow this control character."
    YamlSyntax "yaml-syntax" "The text is not YAML from here on; the next document of the file is read again."
    LimitExceeded "limit-exceeded" "The file is larger, deeper or has more nodes than is accepted."
    DuplicateKey "duplicate-key" "A mapping has the same key twice."
    UnsupportedYaml "unsupported-yaml" "YAML that is refused here: merge keys, other keys than scalars, tags of applications, values that JSON lacks."
    AmbiguousScalar "ambiguous-scalar" "YAML 1.1 and YAML 1.2 read this unquoted value differently."
    TooManyProblems "too-many-problems" "The file has more problems than are listed."
    MissingField "missing-field" "A required field is not there."
    UnknownField "unknown-field" "No such field, annotation or key exists here; a field that was silently dropped could widen a blast radius."
    WrongType "wrong-type" "The value is of another type than the field takes."
    EmptyValue "empty-value" "The field is there without a value."
    OutOfRange "out-of-range" "The number is beyond what the field takes."
    UnknownValue "unknown-value" "The field takes one of a few words, and this is none of them."
    InvalidName "invalid-name" "Kubernetes would not accept this name."
    InvalidDuration "invalid-duration" "Not a duration as Go writes it."
    InvalidInstant "invalid-instant" "Not an instant as RFC 3339 writes it."
    InvalidFunction "invalid-function" "Not the name of a kernel function."
    InvalidPredicate "invalid-predicate" "Not a predicate, or none that fits the kernel it was checked against."
    InvalidParameters "invalid-parameters" "Not declarations of parameters, or not those of the kernel's function."
    UnknownFunction "unknown-function" "The kernel that the file was checked against has no function of this name."
    InvalidPath "invalid-path" "Not a path beneath the root of the source."
    InvalidReference "invalid-reference" "Not a module in an OCI registry, or one without a digest."
    InvalidGlob "invalid-glob" "A pattern that no name can match."
    InvalidRequirement "invalid-requirement" "An expression selector whose operator and values do not go together."
    ConflictingFields "conflicting-fields" "Fields that exclude each other."
    UnknownApiVersion "unknown-api-version" "A kind of ours in a group or version that does not have it."
    UnknownKind "unknown-kind" "Almost a kind of ours, or none at all, in a group of ours."
    NotSupportedYet "not-supported-yet" "Understood, and refused because this version cannot do it."
    Refused "refused" "Understood, and refused on purpose."
    NoEffect "no-effect" "The field is accepted and changes nothing."
    NeverInjects "never-injects" "As it is written, nothing will ever be injected."
    Unlimited "unlimited" "As it is written, there is no limit."
    RefusedFile "refused-file" "The file is not read at all."
    DuplicateExperiment "duplicate-experiment" "The experiment is declared elsewhere too."
    MissingModule "missing-module" "A guardrail's module is not among the files."
    UnusableGuardrail "unusable-guardrail" "A guardrail's module cannot be run, or refuses the settings."
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_has_one_row_for_each_code_and_no_other() {
        let expected: String =
            Code::ALL.iter().map(|code| format!("| `{code}` | {} |\n", code.meaning())).collect();
        let documentation = include_str!("../../DIAGNOSTICS.md");
        let (_, table) = documentation.split_once("|---|---|\n").unwrap();
        assert_eq!(table, expected);
    }

    #[test]
    fn a_code_is_written_in_kebab_case_in_json_too() {
        for code in Code::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
            assert!(code.as_str().chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
        }
    }
}
