//! Single rules of the decoder that matter most when they fail.

use faultline_api::{
    Broken, Code, Content, ExperimentId, Kind, decode, experiment::MAX_FRAMES, predicate::Problem, render,
};
use serde_json::Value as Json;

const GOOD: &str = "apiVersion: chaos-mesh.org/v1alpha1\nkind: KernelChaos\nmetadata: { name: a }\nspec:\n  mode: one\n  selector: {}\n  failKernRequest: { failtype: 0 }\n";
const GUARDRAIL: &str = "apiVersion: faultline.dev/v1alpha1\nkind: Guardrail\nmetadata: { name: a }\nspec:\n  module: { path: a.wasm }\n";

fn content(source: impl AsRef<[u8]>) -> Content {
    decode(source).documents.remove(0).content
}

fn codes(source: impl AsRef<[u8]>) -> Vec<Code> {
    decode(source).diagnostics.into_iter().map(|diagnostic| diagnostic.code).collect()
}

fn broken_id(source: impl AsRef<[u8]>) -> Option<ExperimentId> {
    match content(source) {
        Content::Broken(Broken::Experiment { id }) => id,
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn a_document_that_yaml_merely_tolerates_is_broken() {
    assert!(matches!(content(GOOD), Content::Experiment(_)));
    for tolerated in ["  mode: one\n", "  <<: {}\n", "  ? [a]\n  : b\n"] {
        assert!(broken_id(format!("{GOOD}{tolerated}")).is_some(), "{tolerated}");
    }
}

#[test]
fn a_broken_experiment_keeps_its_identity_unless_that_is_broken_too() {
    let id = ExperimentId { kind: Kind::KernelChaos, namespace: "default".into(), name: "a".into() };
    assert_eq!(broken_id(GOOD.replace("one", "on")), Some(id.clone()));
    assert_eq!(broken_id(format!("{GOOD}}}")), Some(id));
    for metadata in ["{ name: A }", "{ name: a, namespace: B }", "{ name: 1 }", "{ generateName: a- }", "[]"]
    {
        assert_eq!(broken_id(GOOD.replace("{ name: a }", metadata)), None, "{metadata}");
    }
}

#[test]
fn an_instant_of_expiry_is_written_as_rfc_3339_has_it() {
    let expiring = |at: &str| {
        let annotations =
            format!("metadata: {{ name: a, annotations: {{ faultline.dev/expires-at: {at} }} }}");
        decode(GOOD.replace("metadata: { name: a }", &annotations))
    };
    for good in ["2027-01-31T12:00:00Z", "\"2027-01-31T13:00:00.0+01:00\""] {
        let file = expiring(good);
        let Content::Experiment(experiment) = &file.documents[0].content else {
            unreachable!("{:?}", file.diagnostics)
        };
        let at = experiment.annotations.expires_at.map(|at| at.to_string());
        assert_eq!(at.as_deref(), Some("2027-01-31T12:00:00Z"), "{good}");
    }
    for bad in ["2027-01-31", "2027-01-31T12:00:00", "tomorrow", "1800000000", "\"\"", "2027-02-30T12:00:00Z"]
    {
        assert!(expiring(bad).has_errors(), "{bad}");
    }
}

#[test]
fn half_a_name_in_front_of_bad_bytes_is_no_identity() {
    let head = "apiVersion: chaos-mesh.org/v1alpha1\nkind: KernelChaos\nmetadata:\n";
    assert_eq!(broken_id([head.as_bytes(), b"  name: half\xff-of-it\n"].concat()), None);
    assert!(broken_id([head.as_bytes(), b"  name: whole\n  labels: \xff\n"].concat()).is_some());
}

#[test]
fn a_guardrail_with_an_error_that_could_loosen_it_is_broken() {
    assert!(matches!(content(GUARDRAIL), Content::Guardrail(_)));
    for loosening in
        ["  setings: {}\n", "  mode: monitr\n", "  allowedToMutate: maybe\n", "  settings: { a: .nan }\n"]
    {
        let expected = Content::Broken(Broken::Guardrail { name: Some("a".into()) });
        assert_eq!(content(format!("{GUARDRAIL}{loosening}")), expected, "{loosening}");
    }
}

#[test]
fn an_error_that_would_narrow_a_guardrail_leaves_it_in_force_for_everything() {
    for narrowing in ["match: { namespace: [a] }", "match:", "exclude: { failtypes: [9] }", "exceptions:"] {
        let source = format!("{GUARDRAIL}  {narrowing}\n");
        let Content::Guardrail(guardrail) = content(&source) else { panic!("{narrowing}") };
        assert_eq!(
            (guardrail.matches, guardrail.exclude),
            (faultline_api::guardrail::Match::default(), None)
        );
        assert!(decode(&source).has_errors(), "{narrowing}");
    }
}

#[test]
fn nothing_of_a_document_of_another_kind_is_kept() {
    let file =
        decode("apiVersion: v1\nkind: Secret\nmetadata: { name: a }\nstringData: { password: hunter2 }\n");
    assert_eq!(file.documents[0].raw, Json::Null);
    assert!(!format!("{file:?}").contains("hunter2"));
}

#[test]
fn a_byte_order_mark_is_in_nobodys_way() {
    for text in [GOOD.to_owned(), format!("---\n{GOOD}"), format!("%YAML 1.2\n---\n{GOOD}")] {
        let source = format!("\u{feff}{text}");
        assert!(matches!(content(&source), Content::Experiment(_)), "{source}");
    }
}

#[test]
fn depth_is_counted_through_aliases() {
    let nest = |depth: usize, inside: &str| format!("{}{inside}{}", "[".repeat(depth), "]".repeat(depth));
    let text = |depth| format!("a: &a {}\nb: {}\n", nest(depth, ""), nest(depth, "*a"));
    assert_eq!(codes(text(30)), []);
    assert_eq!(codes(text(40)), [Code::LimitExceeded]);
}

#[test]
fn long_texts_are_counted_once_for_each_alias() {
    let text = |uses| format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 16), vec!["*a"; uses].join(", "));
    assert_eq!(codes(text(10)), []);
    assert_eq!(codes(text(100)), [Code::LimitExceeded]);
}

#[test]
fn a_call_chain_has_a_longest_length() {
    let chain = |frames| {
        let frames = vec!["{ funcname: f }"; frames].join(", ");
        GOOD.replace("failtype: 0", &format!("failtype: 0, callchain: [{frames}]"))
    };
    assert_eq!(codes(chain(MAX_FRAMES)), []);
    assert_eq!(codes(chain(MAX_FRAMES + 1)), [Code::OutOfRange]);
}

#[test]
fn what_is_said_of_the_target_function_does_not_count_as_a_frame() {
    let chain = |frames: usize, last: &str| {
        let frames = vec!["{ funcname: f }"; frames].join(", ");
        GOOD.replace("failtype: 0", &format!("failtype: 0, callchain: [{frames}, {last}]"))
    };
    for last in ["{ predicate: x }", "{ funcname: '', predicate: x }", "{ funcname: should_failslab }"] {
        let file = decode(chain(MAX_FRAMES, last));
        let Content::Experiment(experiment) = &file.documents[0].content else { panic!("{file:?}") };
        assert_eq!(experiment.call_chain.frames.len(), MAX_FRAMES);
        assert_eq!(experiment.call_chain.target.is_some(), last.contains("predicate"));
        assert_eq!(codes(chain(MAX_FRAMES + 1, last)), [Code::OutOfRange]);
    }
    let both = "{ funcname: should_failslab, predicate: x }, { predicate: x }";
    assert_eq!(codes(chain(1, both)), [Code::ConflictingFields]);
    assert_eq!(codes(chain(1, "{ funcname: should_failslab }, { funcname: f }")), [Code::InvalidFunction]);
    assert_eq!(codes(chain(1, "{ funcname: should_fail_bio }, { funcname: f }")), [], "another fault's");
}

#[test]
fn a_chain_restricts_something_once_a_frame_or_a_predicate_does() {
    let is_empty = |chain: &str| {
        let source = GOOD.replace("failtype: 0", &format!("failtype: 0, callchain: [{chain}]"));
        let Content::Experiment(experiment) = content(&source) else { panic!("{source}") };
        experiment.call_chain.is_empty()
    };
    assert!(is_empty("") && is_empty("{ funcname: should_failslab }"));
    assert!(!is_empty("{ funcname: f }") && !is_empty("{ predicate: x }"));
}

#[test]
fn a_document_says_where_its_functions_and_predicates_are() {
    let frames = "{ funcname: f }, { funcname: g, parameters: 'int x', predicate: \"x \\\n   == 1\" }, { predicate: y }";
    let source = GOOD.replace("failtype: 0", &format!("failtype: 0, callchain: [{frames}]"));
    let document = decode(&source).documents.remove(0);
    let written = |span: faultline_api::Span| &source[span.start..span.end];
    let places = document.frames.iter().map(|frame| (frame.function.as_str(), written(frame.span)));
    assert_eq!(places.collect::<Vec<_>>(), [("f", "f"), ("g", "g"), ("should_failslab", "y")]);
    let place = document.frames[1].predicate.as_ref().unwrap();
    let problem = |start, end| Problem::new(faultline_api::Span { start, end }, "no");
    assert_eq!(written(place.of_text(problem(2, 4)).span.unwrap()), "==");
    assert_eq!(written(place.of_parameters(problem(4, 5)).span.unwrap()), "x");
    let broken = decode(format!("{source}  oops: 1\n")).documents.remove(0);
    assert!(matches!(broken.content, Content::Broken(_)));
    assert_eq!(broken.frames, document.frames, "whatever else is wrong");
    let partly = source.replace("{ predicate: y }", "{ predicate: '@' }");
    let frames = decode(&partly).documents.remove(0).frames;
    assert_eq!((&frames[..2], frames[2].predicate.as_ref()), (&document.frames[..2], None));
}

#[test]
fn a_column_far_out_on_a_long_line_is_counted_from_its_start() {
    let text = format!("{{kind: KernelChaos, status: {}, spek: 1}}", "é".repeat(1000));
    let file = decode(&text);
    let rendered = render(&file.diagnostics, "long.yaml", &text, false);
    assert!(rendered.contains("no field `spek`\n --> long.yaml:1:1031\n"), "{rendered}");
}

#[test]
fn what_follows_a_closed_document_is_read_though_it_was_broken() {
    let file = decode(format!("a: 'b\n...\n{GOOD}...\n# c\n"));
    assert!(matches!(file.documents[0].content, Content::Broken(Broken::Unrecognised { .. })));
    assert!(matches!(file.documents[1].content, Content::Experiment(_)));
    assert_eq!(file.documents.len(), 2);
}

#[test]
fn the_examples_and_the_documentation_of_predicates_say_what_is_accepted() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = std::fs::read_to_string(root.join("docs/predicates.md")).unwrap();
    let blocks = page.split("```yaml\n").skip(1).map(|block| block.split("```").next().unwrap());
    let mut predicates = 0;
    for block in blocks {
        // A block is a request, or a single frame.
        let request = if block.starts_with("callchain:") {
            block.replace('\n', "\n    ")
        } else {
            format!("failtype: 0\n    callchain:\n      - {}", block.replace('\n', "\n        "))
        };
        let source = GOOD.replace("{ failtype: 0 }", &format!("\n    {request}"));
        let file = decode(&source);
        assert_eq!(file.diagnostics, [], "{source}");
        predicates += file.documents[0].frames.iter().filter(|frame| frame.predicate.is_some()).count();
    }
    assert_eq!(predicates, 3);
    for example in std::fs::read_dir(root.join("examples/experiments")).unwrap() {
        let file = decode(std::fs::read(example.unwrap().path()).unwrap());
        assert_eq!(file.diagnostics, []);
        assert!(matches!(file.documents[0].content, Content::Experiment(_)));
    }
}
