//! `docs/guardrail-in-ten-minutes.md` does what it says: every file and every command of it, in an empty directory.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

const GUIDE: &str = include_str!("../../docs/guardrail-in-ten-minutes.md");

/// What a fenced block asks for.
enum Step {
    /// A file, by its path.
    File(String, String),
    /// A command, and what it prints.
    Command(String, String),
}

/// The steps of a section: blocks of `console`, and blocks that are followed by the name of a file.
fn steps(section: &str) -> Vec<Step> {
    let start = GUIDE.find(&format!("\n## {section}\n")).unwrap() + 1;
    let text = &GUIDE[start..];
    let text = &text[..text[1..].find("\n## ").map_or(text.len(), |end| end + 1)];
    let blocks = text.split("```").skip(1).step_by(2);
    blocks
        .flat_map(|block| {
            let (info, content) = block.split_once('\n').unwrap();
            match info.split_once(' ') {
                Some((_, path)) => vec![Step::File(path.to_owned(), content.to_owned())],
                None => {
                    assert_eq!(info, "console", "a block that nobody runs");
                    commands(content)
                }
            }
        })
        .collect()
}

fn commands(content: &str) -> Vec<Step> {
    let command = |text: &str| {
        let (command, printed) = text.split_once('\n').unwrap();
        Step::Command(command.to_owned(), printed.to_owned())
    };
    let content = format!("\n{content}");
    content.split("\n$ ").skip(1).map(|text| command(&format!("{text}\n"))).collect()
}

/// Takes every step in an empty directory.
fn follow(section: &str) {
    let directory = tempfile::tempdir().unwrap();
    let mut place = directory.path().to_owned();
    let (mut commands, mut files) = (0, 0);
    for step in steps(section) {
        match step {
            Step::File(path, text) => {
                fs::write(place.join(path), text).unwrap();
                files += 1;
            }
            Step::Command(command, printed) => {
                println!("$ {command}");
                match command.strip_prefix("cd ") {
                    Some(folder) => place = place.join(folder),
                    None => run(&command, &place, &printed),
                }
                commands += 1;
            }
        }
    }
    assert!(commands > 5, "{commands} commands and {files} files were found");
}

fn run(command: &str, place: &Path, printed: &str) {
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let own = PathBuf::from(snapbox::cmd::cargo_bin!("faultline"));
    let path = format!("{}:{}", own.parent().unwrap().display(), env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["-euc", command])
        .current_dir(place)
        .env("PATH", path)
        .env("XDG_CACHE_HOME", kept)
        // Where the shipped guests are built as well: most of what the project needs is theirs.
        .env("CARGO_TARGET_DIR", kept.join("guests"))
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {}\n{stderr}", output.status);
    let stdout = String::from_utf8(output.stdout).unwrap();
    snapbox::assert_data_eq!(stdout.trim_end().to_owned(), printed.trim_end().to_owned());
}

/// Whether what a section needs is here. Continuous integration has to have it.
fn ready(section: &str, obstacle: Option<&str>) -> bool {
    let Some(obstacle) = obstacle else { return true };
    assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "{obstacle}");
    eprintln!("SKIPPED: the section \"{section}\" of the guide is not followed: {obstacle}");
    false
}

fn runs(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[test]
fn the_guide_leads_to_a_guardrail_in_rust() {
    let library = runs("rustc", &["--print", "target-libdir", "--target", "wasm32-unknown-unknown"]);
    let missing = !library.is_some_and(|library| Path::new(&library).is_dir());
    if ready("In Rust", missing.then_some("no standard library: rustup target add wasm32-unknown-unknown")) {
        follow("In Rust");
    }
}

#[test]
fn the_guide_leads_to_a_guardrail_in_c() {
    let missing = runs("clang", &["--version"]).is_none() || runs("wasm-ld", &["--version"]).is_none();
    if ready("In C", missing.then_some("no compiler for it: apt-get install clang lld")) {
        follow("In C");
    }
}
