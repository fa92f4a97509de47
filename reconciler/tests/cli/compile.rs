//! What `faultline compile` says of an experiment, beside the listings themselves: those are among the expected texts of
//! the command line.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use snapbox::{
    assert_data_eq,
    cmd::{Command, OutputAssert},
    str,
};

use crate::kernels;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/tree").join(name)
}

/// Compiles files for the kernel with failslab, in a directory of their own.
fn compile(files: &[(&str, &str)], more: &[&str]) -> OutputAssert {
    let stage = tempfile::tempdir().unwrap();
    fs::write(stage.path().join("vmlinux.btf"), kernels::with_failslab()).unwrap();
    for (name, content) in files {
        fs::write(stage.path().join(name), content).unwrap();
    }
    Command::new(snapbox::cmd::cargo_bin!("faultline"))
        .current_dir(stage.path())
        .args(["compile", "--btf=vmlinux.btf"])
        .args(files.iter().map(|(name, _)| name))
        .args(more)
        .assert()
}

fn stdout(assert: &OutputAssert) -> String {
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

fn experiment(name: &str, request: &str) -> String {
    format!(
        "apiVersion: chaos-mesh.org/v1alpha1\n\
         kind: KernelChaos\n\
         metadata: {{name: {name}, namespace: t}}\n\
         spec: {{mode: one, selector: {{namespaces: [shop]}}, duration: 1m, failKernRequest: {request}}}\n"
    )
}

/// The lines above the first program.
fn heading(text: &str) -> String {
    text.lines().take_while(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_function_that_is_spelt_in_two_ways_has_one_pair_of_programs_with_the_predicates_of_both() {
    let file = fs::read_to_string(fixture("compile/several.yaml")).unwrap();
    let assert = compile(&[("several.yaml", &file)], &["--experiment=chaos-testing/spellings"]).code(0);
    assert_data_eq!(
        heading(&stdout(&assert)),
        str![[r#"
; experiment chaos-testing/spellings, several.yaml:15
;
; fault: should_failslab answers -12
; call chain, outermost first:
;   function 2: __x64_sys_mount (sys_mount), predicate 2: STRCMP(type, "ext4")
;   function 1: d_alloc_parallel, predicate 1: STRNCMP(name->name, "bananas", 8)
;   function 2: __x64_sys_mount (mount), predicate 1: STRCMP(dev_name, "/dev/sda")
;   function 1: d_alloc_parallel, predicate 2: name->len < 8
;   target: should_failslab
; data that the programs read from maps: the chain, containers, probability 100 %, 100 times, 1m0s
;
; Numbers are those of an agent that has no other experiment. It fills in
; the active generation and the addresses of functions (site), which are 0 here.
; Beside these programs it attaches two that follow cgroups, the same for all experiments.
;
; PROGRAM          ATTACHED TO               INSTRUCTIONS
; fl_out_1         fexit/d_alloc_parallel    106
; fl_in_1          fentry/d_alloc_parallel   716
; fl_out_2         fexit/__x64_sys_mount     106
; fl_in_2          fentry/__x64_sys_mount    730
; fl_should_fails  fmod_ret/should_failslab  650

"#]]
    );
}

#[test]
fn experiments_are_listed_in_the_order_of_the_files() {
    let file = fs::read_to_string(fixture("compile/several.yaml")).unwrap();
    let other = experiment("other", "{failtype: 1, times: 1}");
    let text = stdout(&compile(&[("several.yaml", &file), ("other.yaml", &other)], &[]).code(0));
    let headings: Vec<_> = text.lines().filter(|line| line.starts_with("; experiment ")).collect();
    assert_eq!(
        headings,
        [
            "; experiment chaos-testing/pages, several.yaml:1",
            "; experiment chaos-testing/spellings, several.yaml:15",
            "; experiment t/other, other.yaml:1",
        ]
    );
}

#[test]
fn json_holds_the_listings_of_the_text() {
    let file = fs::read_to_string(fixture("compile/documented.yaml")).unwrap();
    let files = [("documented.yaml", file.as_str())];
    let text = stdout(&compile(&files, &[]).code(0));
    let json: Value = serde_json::from_str(&stdout(&compile(&files, &["-o", "json"]).code(0))).unwrap();
    assert_eq!(json["findings"].as_array().unwrap().len(), 0);
    let [only] = json["experiments"].as_array().unwrap().as_slice() else { panic!("{json}") };
    assert_eq!(only["experiment"], "chaos-testing/bananas");
    assert_eq!((&only["file"], &only["line"]), (&"documented.yaml".into(), &1.into()));
    let programs = only["programs"].as_array().unwrap();
    let listings = programs.iter().map(|program| format!("\n{}", program["listing"].as_str().unwrap()));
    assert_eq!(heading(&text) + &listings.collect::<String>(), text);
    for program in programs {
        let part = |name: &str| program[name].as_str().unwrap();
        let first = part("listing").lines().next().unwrap();
        assert_eq!(
            first,
            format!("; {} on {}, {} instructions", part("name"), part("attach"), program["instructions"])
        );
    }
}

#[test]
fn json_holds_the_chain_and_the_values_of_the_text() {
    let file = fs::read_to_string(fixture("compile/several.yaml")).unwrap();
    let more = ["--experiment=chaos-testing/spellings", "-o", "json"];
    let mut json: Value =
        serde_json::from_str(&stdout(&compile(&[("several.yaml", &file)], &more).code(0))).unwrap();
    json["experiments"][0].as_object_mut().unwrap().remove("programs");
    let frame = |number: u16, function: &str, funcname: &str, predicate: u8, text: &str| {
        let predicate = json!({"number": predicate, "text": text});
        json!({"number": number, "function": function, "funcname": funcname, "predicate": predicate})
    };
    let [lookup, mount] = ["d_alloc_parallel", "__x64_sys_mount"];
    let expected = json!([{
        "experiment": "chaos-testing/spellings",
        "file": "several.yaml",
        "line": 15,
        "callChain": [
            frame(2, mount, "sys_mount", 2, "STRCMP(type, \"ext4\")"),
            frame(1, lookup, lookup, 1, "STRNCMP(name->name, \"bananas\", 8)"),
            frame(2, mount, "mount", 1, "STRCMP(dev_name, \"/dev/sda\")"),
            frame(1, lookup, lookup, 2, "name->len < 8"),
        ],
        "target": {"function": "should_failslab", "answer": -12, "predicate": null},
        "probability": 100,
        "times": 100,
        "duration": "1m0s",
    }]);
    assert_eq!(json["experiments"], expected);
}

#[test]
fn a_predicate_that_kprobes_cannot_evaluate_is_an_error_of_theirs_alone() {
    let request = "{failtype: 0, times: 1, callchain: [{funcname: takes_seven, predicate: g == 1}]}";
    let files = experiment("seventh", request);
    let files = [("seventh.yaml", files.as_str())];
    compile(&files, &[]).code(0);
    let text = stdout(&compile(&files, &["--mechanism=kprobe"]).code(1));
    let told = "error[invalid-predicate]: a kprobe cannot evaluate it: it asks for a parameter that is not in a register\n";
    assert!(text.starts_with(told), "{text}");
}

#[test]
fn an_error_keeps_its_own_file_from_being_listed_and_a_warning_does_not() {
    let good = experiment("good", "{failtype: 1, times: 1, probability: 0}");
    let wrong = experiment("wrong", "{failtype: 1, times: 1}")
        + "---\n"
        + &experiment("bad", "{failtype: 0, times: 1, callchain: [{funcname: nothing}]}");
    let assert = compile(&[("wrong.yaml", &wrong), ("good.yaml", &good)], &[]).code(1);
    let text = stdout(&assert);
    assert!(text.starts_with("error[unknown-function]: this kernel has no function `nothing`"), "{text}");
    assert!(text.contains("warning[never-injects]"), "{text}");
    let headings: Vec<_> = text.lines().filter(|line| line.starts_with("; experiment ")).collect();
    assert_eq!(headings, ["; experiment t/good, good.yaml:1"]);
}

#[test]
fn predicates_that_do_not_fit_into_one_program_are_an_error() {
    let name = format!("STRNCMP(q->name, \"{}\", 63)", "x".repeat(63));
    let predicate = vec![name; 45].join("||");
    let frame = |nth| {
        // Each is another one, for the sake of a parameter that it does not use.
        let parameters = format!("struct dentry *d{nth}, struct qstr *q");
        format!("{{funcname: d_alloc_parallel, parameters: '{parameters}', predicate: '{predicate}'}}")
    };
    let frames: Vec<_> = (0..15).map(frame).collect();
    let long = experiment("long", &format!("{{failtype: 1, times: 1, callchain: [{}]}}", frames.join(", ")));
    let text = stdout(&compile(&[("long.yaml", &long)], &[]).code(1));
    let expected = "error[invalid-predicate]: its predicates are too long for one program: label `predicate` is too far away\n";
    assert!(text.starts_with(expected), "{text}");
}
