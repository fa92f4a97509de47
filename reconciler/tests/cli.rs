//! The command line as a user meets it: what is printed, where, and the exit code. `SNAPSHOTS=overwrite` writes the
//! expected texts anew.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};

use snapbox::{Data, cmd::Command};

#[path = "cli/compile.rs"]
mod compile;
#[path = "cli/kernels.rs"]
mod kernels;
#[path = "cli/policy.rs"]
mod policy;

const CAPS: &[u8] = include_bytes!("../../policies/modules/cap_limits.wasm");
const DENY: &[u8] = include_bytes!("../../policies/modules/deny_all.wasm");
const WAPC: &[u8] = include_bytes!("../../policies/modules-wapc/forbid_failtype.wasm");
/// The caps, where the stage has them.
const MODULE: &str = "guardrails/modules/cap_limits.wasm";
const DENY_MODULE: &str = "denied/modules/deny_all.wasm";
const MOUNT: &str = "--input=policy/mount.yaml";
const OLD: &str = "--guardrails=guardrails";
const PODS: &str = "--inventory=inventory.yaml";
const NOW: &str = "--now=2026-03-01T12:00:00Z";

/// Arguments, exit code, and where the expected text is: `<name>.stdout` or, for errors, `<name>.stderr`.
const CASES: &[(&str, &[&str], i32)] = &[
    ("validate-good", &["validate", "experiments", "guardrails"], 0),
    ("validate-broken", &["validate", "broken"], 1),
    ("validate-broken-json", &["validate", "broken/typos.yaml", "-o", "json"], 1),
    ("validate-twice", &["validate", "twice"], 1),
    ("validate-same-path", &["validate", "experiments/mount.yaml", "experiments"], 0),
    ("validate-no-module", &["validate", "unguarded"], 1),
    ("validate-no-wasm", &["validate", "garbage"], 1),
    ("validate-bad-settings", &["validate", "guardrails", "bad-settings"], 1),
    ("validate-device", &["validate", "/dev/zero", "nowhere"], 2),
    ("validate-nothing", &["validate", "nowhere"], 2),
    ("validate-predicates", &["validate", "predicates"], 0),
    ("validate-btf-good", &["validate", "predicates/bananas.yaml", "--btf=vmlinux.btf"], 0),
    ("validate-btf", &["validate", "predicates", "--btf=vmlinux.btf"], 1),
    ("validate-btf-json", &["validate", "predicates/misfits.yaml", "--btf=vmlinux.btf", "-o", "json"], 1),
    ("validate-btf-elf", &["validate", "predicates", "--btf=vmlinux.elf"], 2),
    ("validate-btf-text", &["validate", "predicates", "--btf=predicates/bananas.yaml"], 2),
    ("validate-btf-program", &["validate", "predicates", "--btf=program.btf"], 2),
    ("validate-btf-nowhere", &["validate", "predicates", "--btf=nowhere"], 2),
    (
        "validate-btf-no-target",
        &["validate", "experiments", "predicates/bananas.yaml", "--btf=no-failslab.btf"],
        1,
    ),
    ("validate-btf-modules", &["validate", "modules", "--btf=vmlinux.btf", "--btf=snd-hda.btf"], 1),
    ("validate-btf-two-kernels", &["validate", "modules", "--btf=vmlinux.btf", "--btf=poor.btf"], 2),
    ("compile-modules", &["compile", "modules/fits.yaml", "--btf=snd-hda.btf", "--btf=vmlinux.btf"], 0),
    ("validate-btf-decided", &["validate", "warned", "--btf=vmlinux.btf"], 1),
    ("compile", &["compile", "experiments/mount.yaml", "--btf=vmlinux.btf"], 0),
    ("compile-kprobe", &["compile", "compile/documented.yaml", "--btf=vmlinux.btf", "--mechanism=kprobe"], 0),
    ("compile-predicates", &["compile", "compile/documented.yaml", "--btf=vmlinux.btf"], 0),
    (
        "compile-no-frames",
        &["compile", "compile/several.yaml", "--btf=vmlinux.btf", "--experiment=chaos-testing/pages"],
        0,
    ),
    ("compile-misfits", &["compile", "predicates/misfits.yaml", "--btf=vmlinux.btf"], 1),
    ("compile-misfits-json", &["compile", "predicates/misfits.yaml", "--btf=vmlinux.btf", "-o", "json"], 1),
    ("compile-broken", &["compile", "broken/typos.yaml", "--btf=vmlinux.btf"], 1),
    (
        "compile-no-target",
        &["compile", "experiments/mount.yaml", "predicates/bananas.yaml", "--btf=no-failslab.btf"],
        1,
    ),
    ("compile-nobody", &["compile", "experiments/mount.yaml", "--btf=vmlinux.btf", "--experiment=a/b"], 1),
    ("compile-no-experiments", &["compile", "guardrails/caps.yaml", "--btf=vmlinux.btf"], 1),
    ("compile-nothing", &["compile", "nowhere", "experiments", "/dev/zero", "--btf=vmlinux.btf"], 2),
    ("compile-btf-text", &["compile", "experiments/mount.yaml", "--btf=experiments/mount.yaml"], 2),
    ("compile-btf-poor", &["compile", "experiments/mount.yaml", "--btf=poor.btf"], 2),
    ("policy-inspect", &["policy", "inspect", MODULE], 0),
    ("policy-inspect-json", &["policy", "inspect", MODULE, "-o", "json"], 0),
    ("policy-inspect-wapc", &["policy", "inspect", "policy/forbid_failtype.wasm"], 0),
    ("policy-inspect-refused", &["policy", "inspect", "garbage/modules/caps.wasm"], 1),
    ("policy-inspect-nothing", &["policy", "inspect", "nowhere.wasm"], 2),
    ("policy-run", &["policy", "run", MODULE, MOUNT, "--settings=policy/caps.yaml"], 0),
    ("policy-run-yaml", &["policy", "run", MODULE, MOUNT, "--settings=policy/caps.yaml", "-o", "yaml"], 0),
    ("policy-run-denied", &["policy", "run", DENY_MODULE, MOUNT], 1),
    ("policy-run-admission", &["policy", "run", DENY_MODULE, MOUNT, "--admission=policy/admission.yaml"], 1),
    (
        "policy-run-wapc",
        &["policy", "run", "policy/forbid_failtype.wasm", MOUNT, "--settings=policy/slab.yaml"],
        1,
    ),
    ("policy-run-no-caps", &["policy", "run", MODULE, MOUNT, "--settings=policy/no-caps.yaml"], 1),
    (
        "policy-run-broken-settings",
        &["policy", "run", MODULE, MOUNT, "--settings=policy/broken-settings.yaml"],
        1,
    ),
    (
        "policy-run-broken-admission",
        &["policy", "run", MODULE, MOUNT, "--admission=policy/broken-admission.yaml"],
        1,
    ),
    ("policy-run-broken", &["policy", "run", MODULE, "--input=broken/typos.yaml"], 1),
    ("policy-run-no-experiment", &["policy", "run", MODULE, "--input=guardrails/caps.yaml"], 1),
    (
        "policy-run-unasked",
        &["policy", "run", MODULE, MOUNT, "--settings=policy/caps.yaml", "--admission=policy/admission.yaml"],
        2,
    ),
    ("policy-run-refused", &["policy", "run", "garbage/modules/caps.wasm", MOUNT], 2),
    ("policy-test", &["policy", "test", "policy/cases", "--module", MODULE], 0),
    ("policy-test-mutation", &["policy", "test", "policy/cases", "--module", MODULE, "--mutation"], 0),
    ("policy-test-weak", &["policy", "test", "policy/weak", "--module", MODULE, "--mutation"], 1),
    ("policy-test-failing", &["policy", "test", "policy/failing", "--module", MODULE, "--mutation"], 1),
    ("policy-test-json", &["policy", "test", "policy/failing", "--module", MODULE, "-o", "json"], 1),
    ("policy-test-no-module", &["policy", "test", "policy/weak/lost"], 2),
    ("policy-test-nothing", &["policy", "test", "experiments/nowhere", "--module", MODULE], 2),
    ("policy-bench-no-caps", &["policy", "bench", MODULE], 1),
    ("policy-bench-refused", &["policy", "bench", "garbage/modules/caps.wasm"], 2),
    ("policy-new", &["policy", "new", "no-page-faults"], 0),
    ("policy-new-c", &["policy", "new", "no-page-faults", "--language=c", "--dir=in/c"], 0),
    ("policy-new-again", &["policy", "new", "caps", "--dir=experiments"], 2),
    ("policy-new-unnamed", &["policy", "new", "No_Page_Faults"], 2),
    ("plan", &["plan", "--source=experiments", "--inventory=inventory.yaml", NOW], 0),
    ("plan-json", &["plan", "--source=experiments", "--inventory=inventory.yaml", NOW, "-o", "json"], 0),
    ("plan-differs", &["plan", "--source=experiments", "--inventory=inventory.yaml", NOW, "--exit-code"], 1),
    ("plan-without-inventory", &["plan", "--source=experiments", NOW], 0),
    (
        "plan-capped",
        &["plan", "--source=experiments", "--platform=guardrails", "--inventory=inventory.yaml", NOW],
        0,
    ),
    (
        "plan-denied",
        &["plan", "--source=experiments", "--platform=denied", "--inventory=inventory.yaml", NOW],
        1,
    ),
    ("plan-against", &["plan", "--source=experiments", OLD, "--against=stricter", PODS, NOW], 0),
    (
        "plan-against-json",
        &["plan", "--source=experiments", OLD, "--against=denied", NOW, "--exit-code", "-o", "json"],
        1,
    ),
    (
        "plan-against-same",
        &["plan", "--source=experiments", OLD, "--against=guardrails", NOW, "--exit-code"],
        0,
    ),
    ("plan-against-no-module", &["plan", "--source=experiments", OLD, "--against=unguarded", NOW], 1),
    ("plan-against-broken", &["plan", "--source=experiments", OLD, "--against=broken", NOW], 1),
    ("plan-against-nowhere", &["plan", "--source=experiments", OLD, "--against=nowhere", NOW], 2),
    ("plan-against-nothing", &["plan", "--source=experiments", OLD], 2),
    ("plan-undecided", &["plan", "--source=experiments", "--platform=unguarded", NOW], 1),
    ("plan-broken", &["plan", "--source=broken", "--inventory=inventory.yaml", NOW], 1),
    ("plan-unread", &["plan", "--source=nowhere", NOW], 2),
    ("plan-bad-inventory", &["plan", "--source=experiments", "--inventory=bad-inventory.yaml", NOW], 1),
    ("plan-no-ledger", &["plan", "--source=experiments", "--state-dir=nowhere", NOW], 2),
    ("plan-same-name", &["plan", "--source=experiments", "--platform=other/experiments", NOW], 2),
    ("plan-no-source", &["plan"], 2),
    ("get-nobody", &["get", "runs", "--admin=127.0.0.1:1"], 2),
    ("explain-no-name", &["explain", "mount-enomem"], 2),
    ("admin-off-loopback", &["get", "runs", "--admin=10.0.0.1:80"], 2),
    ("certs-nothing", &["certs", "init", "--dir=certs"], 2),
];

/// A copy of the fixtures, with modules.
fn stage() -> tempfile::TempDir {
    let stage = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/tree"), stage.path());
    for (guardrails, module, bytes) in [
        ("guardrails", "cap_limits.wasm", CAPS),
        ("bad-settings", "cap_limits.wasm", CAPS),
        ("stricter", "cap_limits.wasm", CAPS),
        ("denied", "deny_all.wasm", DENY),
    ] {
        let modules = stage.path().join(guardrails).join("modules");
        fs::create_dir_all(&modules).unwrap();
        fs::write(modules.join(module), bytes).unwrap();
    }
    for (name, types) in [
        ("vmlinux.btf", kernels::with_failslab()),
        ("no-failslab.btf", kernels::without_failslab()),
        ("poor.btf", kernels::with_tasks_only()),
        ("program.btf", kernels::none()),
        ("snd-hda.btf", kernels::module()),
    ] {
        fs::write(stage.path().join(name), types).unwrap();
    }
    fs::write(stage.path().join("policy/forbid_failtype.wasm"), WAPC).unwrap();
    fs::write(stage.path().join("vmlinux.elf"), b"\x7fELF\x02\x01\x01").unwrap();
    stage
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn faultline(stage: &Path) -> Command {
    Command::new(snapbox::cmd::cargo_bin!("faultline"))
        .current_dir(stage)
        // Compiled modules are kept between the cases, as they are between a user's commands.
        .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .env("COLUMNS", "100")
}

fn expected(name: &str, stream: &str) -> Data {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/cli/{name}.{stream}"));
    Data::read_from(&path, None)
}

#[test]
fn every_command_prints_what_is_expected_and_exits_as_documented() {
    let stage = stage();
    for (name, arguments, code) in CASES {
        println!("{name}: faultline {}", arguments.join(" "));
        let assert = faultline(stage.path()).args(*arguments).assert().code(*code);
        let stderr = assert.get_output().stderr.clone();
        if assert.get_output().stdout.is_empty() {
            assert.stderr_eq(expected(name, "stderr"));
        } else {
            assert!(stderr.is_empty(), "{}", String::from_utf8_lossy(&stderr));
            assert.stdout_eq(expected(name, "stdout"));
        }
    }
}

#[test]
fn standard_input_is_validated_as_a_file_is() {
    let stage = stage();
    let of = |path: &str, input: &[u8]| {
        let output = faultline(stage.path()).args(["validate", path]).stdin(input).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let file = "broken/typos.yaml";
    let (code, named) = of(file, b"");
    assert_eq!(of("-", &fs::read(stage.path().join(file)).unwrap()), (code, named.replace(file, "<stdin>")));
    assert_eq!(code, Some(1));
    let (code, refused) = of("-", &b"#".repeat((4 << 20) + 1));
    assert!(code == Some(1) && refused.contains("<stdin>") && refused.contains("larger than"), "{refused}");
}

#[test]
fn what_a_terminal_would_obey_is_shown_as_what_it_is() {
    let stage = stage();
    let name = "a\u{1b}[2Jb.yaml";
    let guardrail = fs::read_to_string(stage.path().join("unguarded/no-module.yaml")).unwrap();
    fs::create_dir(stage.path().join("hostile")).unwrap();
    fs::write(
        stage.path().join("hostile").join(name),
        guardrail + "---\nkind: \"\\e[31m\"\napiVersion: v1\n",
    )
    .unwrap();
    for arguments in [["validate", "hostile"], ["validate", name]] {
        let output = faultline(stage.path()).args(arguments).output().unwrap();
        let shown = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(shown.contains("\\u{1b}") && !shown.contains('\u{1b}'), "{shown:?}");
    }
}

#[test]
fn every_command_has_an_example_in_its_help() {
    let stage = tempfile::tempdir().unwrap();
    for command in [
        "validate",
        "compile",
        "plan",
        "run",
        "up",
        "get",
        "explain",
        "preflight",
        "certs init",
        "policy new",
        "policy inspect",
        "policy run",
        "policy test",
        "policy bench",
        "completions",
    ] {
        let output = faultline(stage.path()).args(command.split(' ')).arg("--help").output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(help.contains(&format!("Examples:\n  faultline {command}")), "{command}: {help}");
    }
}

#[test]
fn the_commands_of_later_issues_are_not_listed() {
    let stage = tempfile::tempdir().unwrap();
    let output = faultline(stage.path()).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for later in ["halt", "release", "suspend", "events", "schedule", "import"] {
        assert!(!help.contains(&format!("  {later} ")), "{later}: {help}");
    }
}

#[test]
fn colours_are_off_where_nobody_sees_them_and_json_is_json() {
    let stage = stage();
    let broken = faultline(stage.path()).args(["validate", "broken"]).output().unwrap();
    assert!(!broken.stdout.contains(&0x1b), "no escape in a pipe");
    for format in ["json", "yaml"] {
        let arguments = ["plan", "--source=experiments", "--inventory=inventory.yaml", NOW, "-o", format];
        let output = faultline(stage.path()).args(arguments).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let value: serde_json::Value = match format {
            "json" => serde_json::from_str(&text).unwrap(),
            _ => serde_saphyr::from_str(&text).unwrap(),
        };
        assert_eq!(value["runs"].as_array().unwrap().len(), 2, "{format}");
    }
}

#[test]
fn certificates_are_made_once_and_keys_are_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let stage = tempfile::tempdir().unwrap();
    let init = |more: &[&str]| {
        let arguments = ["certs", "init", "--dir=certs", "--server=localhost", "--node=n1"];
        faultline(stage.path()).args(arguments).args(more).output().unwrap()
    };
    assert!(init(&[]).status.success());
    let key = fs::metadata(stage.path().join("certs/n1.key")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
    assert_eq!(init(&[]).status.code(), Some(2), "what is there is not overwritten");
    assert!(init(&["--force"]).status.success());
}

#[test]
fn a_shell_gets_completions_for_every_command() {
    let stage = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let output = faultline(stage.path()).args(["completions", shell]).output().unwrap();
        assert!(String::from_utf8(output.stdout).unwrap().contains("validate"), "{shell}");
    }
}
