//! New guardrails to begin with: every file of a project that builds as it is, outside of this repository.
//!
//! A project in Rust has copies of the SDK, of the interface and of what the SDK shares with `api/`, in the same folders as
//! here, so that they are the same files byte for byte; `Cargo.lock` is the one that the built-in guardrails have. Cargo
//! fetches the crates that it names, and nothing else is fetched.

/// In what a guardrail is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// A component, on the SDK.
    Rust,
    /// A Kubewarden policy, without any SDK.
    C,
}

/// A file of the template: its path from the project's root, and its text, each with `@NAME@` for the name of the
/// guardrail and `@CRATE@` for the same with underscores.
type File = (&'static str, &'static str);

/// A file that the project has as this repository has it.
macro_rules! copied {
    ($path:literal) => {
        (concat!("faultline/", $path), include_str!(concat!("../../", $path)))
    };
}

const RUST: [File; 18] = [
    ("Cargo.toml", include_str!("../template/rust/Cargo.toml")),
    ("Cargo.lock", include_str!("../guests/Cargo.lock")),
    (".gitignore", include_str!("../template/rust/gitignore")),
    ("README.md", include_str!("../template/rust/README.md")),
    ("guardrail.yaml", include_str!("../template/rust/guardrail.yaml")),
    ("src/lib.rs", include_str!("../template/rust/src/lib.rs")),
    ("cases/failtypes.yaml", include_str!("../template/rust/cases/failtypes.yaml")),
    ("component/Cargo.toml", include_str!("../template/rust/component/Cargo.toml")),
    ("component/src/main.rs", include_str!("../template/rust/component/src/main.rs")),
    copied!("policies/wit/guardrail.wit"),
    copied!("policies/guests/sdk/Cargo.toml"),
    copied!("policies/guests/sdk/src/lib.rs"),
    copied!("policies/guests/sdk/src/findings.rs"),
    copied!("policies/guests/sdk/src/globs.rs"),
    copied!("policies/guests/sdk/src/settings.rs"),
    copied!("api/src/duration.rs"),
    copied!("api/src/glob.rs"),
    (
        "faultline/README.md",
        "Copies of Faultline's own files, in its own folders: replace them all at once.\n",
    ),
];

const C: [File; 5] = [
    ("README.md", include_str!("../template/c/README.md")),
    ("build.sh", include_str!("../template/c/build.sh")),
    ("guardrail.yaml", include_str!("../template/c/guardrail.yaml")),
    ("@CRATE@.c", include_str!("../guests-wapc/forbid_failtype/forbid_failtype.c")),
    ("cases/failtype.yaml", include_str!("../template/c/cases/failtype.yaml")),
];

/// The files of a new guardrail, each by its path.
#[must_use]
pub fn project(name: &str, language: Language) -> Vec<(String, String)> {
    let files: &[File] = match language {
        Language::Rust => &RUST,
        Language::C => &C,
    };
    let named = |text: &str| text.replace("@NAME@", name).replace("@CRATE@", &name.replace('-', "_"));
    files.iter().map(|(path, text)| (named(path), named(text))).collect()
}
