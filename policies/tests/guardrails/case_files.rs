//! Case files: what is read of them, what is refused, and what is said of a difference.

use std::{fs, path::Path};

use faultline_api::{GoDuration, Percent, Tightening};
use faultline_core::review::{Finding, Operation, Response, TightenFinding};
use faultline_policies::cases::{
    Cases, Expected, LoadError, Mutation, Verdict, admission, load, settings, unnoticed,
};
use tempfile::TempDir;

use crate::{HOST, fixtures::CAP_LIMITS};

const EXPERIMENT: &str = "{ apiVersion: chaos-mesh.org/v1alpha1, kind: KernelChaos, metadata: { name: mount }, spec: { mode: one, selector: {}, failKernRequest: { failtype: 0, times: 101 } } }";

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text.replace("EXPERIMENT", EXPERIMENT)).unwrap();
    }
    folder
}

fn read(text: &str) -> Cases {
    load(folder(&[("cases.yaml", text)]).path()).unwrap()
}

/// Line and message of every problem in a file.
fn problems(text: &str) -> Vec<String> {
    let broken = read(text).broken;
    let problems = broken.iter().flat_map(|file| &file.problems);
    problems.map(|problem| format!("{}: {}", problem.line.unwrap(), problem.diagnostic.message)).collect()
}

#[test]
fn a_file_holds_several_cases_and_what_is_left_out_has_a_default() {
    let loaded = read(
        "case: one\nexperiment: EXPERIMENT\nexpect: allow\n---\n\ncase: two\nexperiment: EXPERIMENT\noperation: renew\nsource: { author: sam, verified: true }\nadmission: { targets: [{ node: n1, namespace: shop, pod: a }] }\nexpect: { verdict: undecided, error: no }\n",
    );
    assert!(loaded.broken.is_empty(), "{}", loaded.broken[0].rendered);
    let [one, two] = &loaded.cases[..] else { panic!("two cases: {:?}", loaded.cases) };
    assert_eq!((&*one.name, one.line, &*two.name, two.line), ("one", 1, "two", 6));
    assert_eq!((one.expected.verdict(), two.expected.verdict()), (Verdict::Allow, Verdict::Undecided));
    let (first, second) = (one.review.as_ref().unwrap(), two.review.as_ref().unwrap());
    assert_eq!(one.settings, serde_json::json!({}));
    assert_eq!((first.experiment.times, first.experiment.probability.get()), (Some(101), 100));
    assert_eq!(first.raw["spec"]["mode"], "one");
    assert_eq!((first.operation, second.operation), (Operation::Create, Operation::Renew));
    assert_eq!((first.source.verified, second.source.verified), (false, true));
    assert_eq!(second.source.author.as_deref(), Some("sam"));
    let admission = second.admission.as_ref().unwrap();
    assert_eq!((admission.eligible, admission.now.as_second(), admission.active.len()), (1, 0, 0));
    assert_eq!(admission.targets[0].target.uid, "shop/a");
}

#[test]
fn an_expectation_that_leaves_something_open_is_an_error() {
    for (expect, message) in [
        ("", "`expect` has no value"),
        ("{}", "expect needs the field `verdict`"),
        ("deny", "`expect` takes `allow` or a mapping, and this is the string `deny`"),
        ("{ verdict: tightened }", "`verdict` does not take `tightened`"),
        ("{ verdict: deny }", "expect needs the field `denials`"),
        ("{ verdict: deny, denials: [] }", "`denials` is empty: say what is expected"),
        ("{ verdict: deny, denials: [{ rule: a, path: b }] }", "denials needs the field `message`"),
        ("{ verdict: tighten, tightenings: [] }", "`tightenings` is empty: say what is expected"),
        (
            "{ verdict: tighten, tightenings: [{ rule: a, path: b, message: c }] }",
            "a tightening has one of probability, times, duration, targets and drop",
        ),
        (
            "{ verdict: tighten, tightenings: [{ times: 1, targets: 1, rule: a, path: b, message: c }] }",
            "a tightening has one of probability, times, duration, targets and drop",
        ),
        ("{ verdict: undecided }", "expect needs the field `error`"),
        ("{ verdict: invalid-settings, problems: [] }", "`problems` is empty: say what is expected"),
        ("{ verdict: allow, warnings: [] }", "`warnings` is empty: say what is expected"),
        ("{ verdict: allow, denials: [{ rule: a, path: b, message: c }] }", "expect has no field `denials`"),
    ] {
        let found = problems(&format!("case: a\nexperiment: EXPERIMENT\nexpect: {expect}\n"));
        assert_eq!(found, [format!("3: {message}")], "{expect}");
    }
    assert_eq!(problems("case: a\nexperiment: EXPERIMENT\n"), ["1: the case needs the field `expect`"]);
}

#[test]
fn every_problem_is_told_with_its_place_and_spoils_only_its_own_case() {
    let text = "case: fine\nexperiment: EXPERIMENT\nexpect: allow\n---\ncase: \"\"\nsetings: {}\nexperiment:\n  apiVersion: chaos-mesh.org/v1alpha1\n  kind: KernelChaos\n  metadata: { name: a }\n  spec: { mode: some, selector: { namespace: [a] }, failKernRequest: { failtype: 3 } }\nadmission:\n  targets: []\n  active: [{ experiment: mount, targets: [{ node: n, namespace: a }] }]\nexpect: allow\n";
    assert_eq!(
        problems(text),
        [
            "5: `case` is empty",
            "6: the case has no field `setings`",
            "11: `mode` does not take `some`",
            "11: selector has no field `namespace`",
            "11: `failtype` takes 0 to 2, and this is 3",
            "13: nobody is asked to admit an experiment without a target",
            "14: `experiment` takes a namespace and a name, such as shop/mount, and this is the string `mount`",
            "14: targets needs the field `pod`",
        ]
    );
    let loaded = read(text);
    assert_eq!(loaded.cases.len(), 1);
    let rendered = &loaded.broken[0].rendered;
    assert!(
        rendered.contains("cases.yaml:6:1") && rendered.contains("did you mean `settings`?"),
        "{rendered}"
    );
}

#[test]
fn settings_that_are_refused_need_no_experiment_and_nothing_else_goes_without_one() {
    let refused = "expect: { verdict: invalid-settings, problems: [no] }";
    let loaded = read(&format!("case: a\n{refused}\n"));
    assert!(loaded.broken.is_empty() && loaded.cases[0].review.is_none());
    let needs = "1: the case needs the field `experiment`";
    assert_eq!(problems("case: a\nexpect: allow\n"), [needs]);
    assert_eq!(problems(&format!("case: a\noperation: renew\n{refused}\n")), [needs]);
}

#[test]
fn an_experiment_may_be_in_a_file_of_its_own() {
    let case = |file: &str| format!("case: a\nexperiment: {file}\nexpect: allow\n");
    let shared = [
        ("experiments/mount.yaml", EXPERIMENT),
        ("experiments/two.yaml", "EXPERIMENT\n---\nEXPERIMENT\n"),
        (
            "experiments/typo.yaml",
            "apiVersion: chaos-mesh.org/v1alpha1\nkind: KernelChaos\nmetadata: { name: a }\nspec: {}\n",
        ),
        ("experiments/other.yaml", "apiVersion: v1\nkind: Pod\n"),
    ];
    let with = |file: &str| {
        let case = case(file);
        let folder = folder(&[&[("case.yaml", &*case)][..], &shared].concat());
        load(folder.path()).unwrap()
    };
    let loaded = with("experiments/mount.yaml");
    assert_eq!((loaded.cases.len(), loaded.broken.len()), (1, 0), "what lies beneath is no case");
    for (file, message) in [
        ("experiments/two.yaml", "holds 2 documents, and a case asks about one experiment"),
        ("experiments/typo.yaml", "`experiments/typo.yaml` is not valid: line 4: "),
        ("experiments/other.yaml", "`experiments/other.yaml` holds no KernelChaos"),
        ("experiments/none.yaml", "`experiments/none.yaml` cannot be read: No such file"),
    ] {
        let broken = with(file).broken;
        let found = &broken[0].problems[0];
        assert!(found.diagnostic.message.contains(message), "{}", found.diagnostic.message);
        assert_eq!(found.line, Some(2));
    }
    let inline = read("case: a\nexperiment: { kind: Pod, apiVersion: v1 }\nexpect: allow\n");
    let message = &inline.broken[0].problems[0].diagnostic.message;
    assert_eq!(message, "`experiment` takes a whole KernelChaos document, and this is a mapping");
}

#[test]
fn a_folder_without_a_case_is_no_success() {
    let nothing =
        folder(&[("README.md", "case: a\n"), ("more/case.yaml", "case: a\n"), ("none.yaml", "# nothing\n")]);
    assert!(matches!(load(nothing.path()), Err(LoadError::Empty(_))));
    assert!(matches!(load(&nothing.path().join("nowhere")), Err(LoadError::Read { .. })));
    let bytes = folder(&[("case.json", r#"{ "case": "a", "experiment": EXPERIMENT, "expect": "allow" }"#)]);
    assert_eq!(load(bytes.path()).unwrap().cases.len(), 1, "JSON is YAML");
    fs::write(bytes.path().join("case.json"), b"case: \xff\n").unwrap();
    assert_eq!(load(bytes.path()).unwrap().broken.len(), 1);
    fs::write(bytes.path().join("case.json"), vec![b'#'; (1 << 20) + 1]).unwrap();
    assert!(load(bytes.path()).unwrap().broken[0].rendered.contains("at most 1048576 are read"));
}

#[test]
fn a_difference_shows_what_is_missing_and_what_came() {
    let case = |settings: &str, expect: &str| {
        let loaded =
            read(&format!("case: a\nsettings: {settings}\nexperiment: EXPERIMENT\nexpect: {expect}\n"));
        assert!(loaded.broken.is_empty(), "{}", loaded.broken[0].rendered);
        let difference = loaded.cases[0].run(&*HOST, CAP_LIMITS).difference;
        difference.map_or_else(String::new, |difference| difference.to_string())
    };
    let came = "tightens to times 100: rule times, path spec.failKernRequest.times, message \"101 is over the cap of 100\"";
    let caps = "{ times: { max: 100 } }";
    assert_eq!(case(caps, "allow"), format!("- verdict: allow\n+ verdict: tighten\n+ {came}\n"));
    let tighten = |message: &str| {
        format!(
            "{{ verdict: tighten, tightenings: [{{ times: 100, rule: times, path: spec.failKernRequest.times, message: {message} }}] }}"
        )
    };
    assert_eq!(case(caps, &tighten("101 is over the cap of 100")), "");
    let wanted = came.replace("101 is over the cap of 100", "too many");
    assert_eq!(case(caps, &tighten("too many")), format!("- {wanted}\n+ {came}\n"));
    assert_eq!(
        case("{}", "{ verdict: undecided, error: the module gave up }"),
        "- verdict: undecided\n- error: the module gave up\n+ verdict: invalid-settings\n+ problem: no cap is set: give probability.max, times.max or duration.max\n"
    );
    let valid = read(&format!(
        "case: a\nsettings: {caps}\nexpect: {{ verdict: invalid-settings, problems: [no] }}\n"
    ));
    let difference = valid.cases[0].run(&*HOST, CAP_LIMITS).difference.unwrap();
    assert_eq!(difference.unexpected, ["the settings are valid"]);
}

#[test]
fn a_case_about_a_moment_at_which_the_module_is_never_asked_fails() {
    let loaded = read(
        "case: a\nsettings: { times: { max: 200 } }\nexperiment: EXPERIMENT\nadmission: { targets: [{ node: n, namespace: a, pod: b }] }\nexpect: allow\n",
    );
    let difference = loaded.cases[0].run(&*HOST, CAP_LIMITS).difference.unwrap();
    let told = "the module is never asked with `admission`: it does not describe the moment admit";
    assert_eq!(difference.unexpected, [told]);
}

#[test]
fn cases_that_cannot_tell_a_module_from_another_are_named() {
    let settings = "settings: { times: { max: 100 } }\nexperiment: EXPERIMENT";
    let within = settings.replace("100", "101");
    let text = format!(
        "case: allowed\n{within}\nexpect: allow\n---\ncase: refused\nexpect: {{ verdict: invalid-settings, problems: [no] }}\n---\ncase: denied\n{settings}\nexpect: {{ verdict: deny, denials: [{{ rule: a, path: b, message: c }}] }}\n"
    );
    let cases = read(&text).cases;
    assert!(matches!(cases[1].expected, Expected::InvalidSettings(_)));
    let blind = |mutation| {
        let blind = unnoticed(&cases, &mutation, &*HOST, CAP_LIMITS);
        blind.into_iter().map(|case| case.name.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(blind(Mutation::AllowAll), ["allowed"]);
    assert_eq!(blind(Mutation::DenyAll), ["denied"]);
    assert_eq!(blind(Mutation::Without("times".to_owned())), ["allowed"]);
}

#[test]
fn what_came_is_read_back_as_what_is_expected() {
    let finding =
        |rule: &str| Finding { rule: rule.into(), path: "spec".into(), message: "so: \"it\" is".into() };
    let tighten = |limit| TightenFinding { limit, finding: finding("a") };
    let none = Tightening::default();
    let tightenings = vec![
        tighten(Tightening { probability: Percent::new(0), ..none.clone() }),
        tighten(Tightening { times: Some(u64::MAX), ..none.clone() }),
        tighten(Tightening { duration: Some(GoDuration::from_nanos(90_000_000_001)), ..none.clone() }),
        tighten(Tightening { targets: Some(3), ..none.clone() }),
        tighten(Tightening { drop: ["u1".to_owned(), "u2".to_owned()].into(), ..none }),
    ];
    let (denials, warnings) = (vec![finding("b"), finding("c")], vec![finding("d")]);
    for expected in [
        Expected::Response(Response::default()),
        Expected::Response(Response { warnings: warnings.clone(), ..Response::default() }),
        Expected::Response(Response { tightenings: tightenings.clone(), ..Response::default() }),
        Expected::Response(Response { denials, tightenings, warnings }),
        Expected::Undecided("the module gave up: no".into()),
        Expected::InvalidSettings(vec!["a".into(), "b".into()]),
    ] {
        let text = format!("case: a\nexperiment: EXPERIMENT\nexpect: {}\n", expected.to_json());
        let loaded = read(&text);
        assert!(loaded.broken.is_empty(), "{}", loaded.broken[0].rendered);
        assert_eq!(loaded.cases[0].expected, expected);
    }
}

#[test]
fn settings_and_a_selection_are_read_from_files_of_their_own() {
    let path = Path::new("a.yaml");
    let caps = serde_json::json!({ "times": { "max": 100 } });
    assert_eq!(settings(path, b"times: { max: 100 }\n"), Ok(caps.clone()));
    assert_eq!(settings(path, caps.to_string().as_bytes()), Ok(caps));
    assert_eq!(settings(path, b"# none\n"), Ok(serde_json::json!({})));
    let one = "targets: [{ node: n1, namespace: shop, pod: a }]\n";
    assert_eq!(admission(path, one.as_bytes()).unwrap().targets.len(), 1);
    let two = format!("{one}---\n{one}");
    for (text, place) in [
        (two.as_str(), "a.yaml:3:1"),
        ("targets: []\n", "a.yaml:1:1"),
        ("# none\n", "there is no document"),
        ("[", "a.yaml:1:"),
    ] {
        let broken = admission(path, text.as_bytes()).unwrap_err();
        assert!(broken.rendered.contains(place), "{}", broken.rendered);
    }
    assert!(settings(path, b"a: .inf\n").unwrap_err().rendered.contains("a.yaml:1:4"));
}
