//! Which call chains may be injected on: none that is empty, and only through functions that are wanted there.

use faultline_guest::{
    Description, Failtype, Fault, Finding, Globs, Guardrail, Inputs, Moment, Object, Response, Review,
    faults, finding, guardrail,
};

/// Most frames that a call chain can have.
const MOST_FRAMES: u64 = 16;

const CHAIN: &str = "spec.failKernRequest.callchain";

/// The guardrail.
struct CallChain;

/// What is asked of a chain.
struct Rules {
    /// Fewest frames; 0: an empty chain is fine.
    min: usize,
    /// Most frames.
    max: Option<usize>,
    /// The only functions that a chain may go through.
    allow: Option<Globs>,
    /// Functions that it may not go through.
    deny: Option<Globs>,
}

impl Guardrail for CallChain {
    type Settings = Rules;

    fn describe() -> Description {
        Description {
            name: "call_chain".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            rules: ["empty", "length", "allow", "deny"].map(str::to_owned).to_vec(),
            moments: vec![Moment::Judge],
            inputs: Inputs::empty(),
        }
    }

    fn settings(settings: &mut Object<'_>) -> Option<Rules> {
        let frames = settings.object("frames", |frames| {
            let min = frames.integer("min", 0..=MOST_FRAMES);
            let max = frames.integer("max", 1..=MOST_FRAMES);
            if max.is_some_and(|max| min.unwrap_or(1) > max) {
                frames.problem("min is above max");
            }
            Some((min, max))
        });
        let count = |frames: Option<u64>| frames.and_then(|frames| usize::try_from(frames).ok());
        let (min, max) = frames.unwrap_or_default();
        let (allow, deny) = (settings.functions("allow"), settings.functions("deny"));
        Some(Rules { min: count(min).unwrap_or(1), max: count(max), allow, deny })
    }

    fn evaluate(rules: &Rules, review: &Review) -> Result<Response, String> {
        let fault = &review.experiment.fault;
        let chain: Vec<&str> =
            review.experiment.call_chain.iter().map(|frame| frame.function.as_str()).collect();
        let mut found: Vec<Finding> = length(rules, &chain, fault).into_iter().collect();
        if let Some(allow) = rules.allow.as_ref().filter(|_| !chain.is_empty() || rules.min == 0) {
            found.extend(outside(allow, &chain, fault));
        }
        if let Some(deny) = &rules.deny {
            found.extend(inside(deny, &chain));
        }
        Ok(Response::deny(found))
    }
}

guardrail!(CallChain);

/// What is wrong with the number of frames.
fn length(rules: &Rules, chain: &[&str], fault: &Fault) -> Option<Finding> {
    let Rules { min, max, .. } = rules;
    let frames = chain.len();
    if frames == 0 && *min > 0 {
        let message = format!("an empty call chain means {} on every path", faults(fault));
        return Some(finding("empty", CHAIN, message));
    }
    if frames < *min {
        return Some(finding("length", CHAIN, format!("{frames} of at least {min} frames")));
    }
    let max = max.filter(|max| frames > *max)?;
    Some(finding("length", CHAIN, format!("{frames} of at most {max} frames")))
}

/// Frames that `allow` does not list. The target function, which a chain ends with where a predicate restricts it,
/// needs no permission and gives none: the fault has it in any case.
fn outside(allow: &Globs, chain: &[&str], fault: &Fault) -> Vec<Finding> {
    let target = target_function(fault);
    let on_the_way: Vec<_> = chain.iter().enumerate().filter(|(_, function)| **function != target).collect();
    if on_the_way.is_empty() {
        let message = format!("it goes through none of the functions that are allowed: {}", allow.listed());
        return vec![finding("allow", CHAIN, message)];
    }
    let strange = on_the_way.into_iter().filter(|(_, function)| !allow.matches(function));
    strange
        .map(|(index, function)| {
            let message = format!("{function} is none of the functions that are allowed: {}", allow.listed());
            finding("allow", &place(index), message)
        })
        .collect()
}

/// Frames that `deny` lists, however they are spelt.
fn inside(deny: &Globs, chain: &[&str]) -> Vec<Finding> {
    let denied =
        |function: &str| spellings(function).into_iter().find_map(|spelling| deny.matching(spelling));
    let found =
        chain.iter().enumerate().filter_map(|(index, function)| Some((index, function, denied(function)?)));
    found
        .map(|(index, function, pattern)| {
            finding("deny", &place(index), format!("{function} is denied by {pattern}"))
        })
        .collect()
}

/// A function as it is written, without its module, and without what a compiler appended as well: nobody is to pass
/// by writing the same function in another way.
fn spellings(function: &str) -> [&str; 3] {
    let bare = function.split_once(':').map_or(function, |(_, bare)| bare);
    [function, bare, bare.split('.').next().unwrap_or(bare)]
}

fn place(index: usize) -> String {
    format!("{CHAIN}[{index}].funcname")
}

/// The function whose failure the fault is.
fn target_function(fault: &Fault) -> &str {
    match fault {
        Fault::Failtype(Failtype::Slab) => "should_failslab",
        Fault::Failtype(Failtype::Page) => "should_fail_alloc_page",
        Fault::Failtype(Failtype::Bio) => "should_fail_bio",
        Fault::Function(function) => &function.name,
    }
}
