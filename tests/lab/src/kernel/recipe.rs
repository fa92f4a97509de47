//! What a kernel in the cache was made from: the fragments of its configuration and the steps.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::KernelId;
use super::edits::{self, Edit};

/// Raise this when the steps of a build change what comes out of it.
const STEPS: u32 = 1;

const BASE: &str = include_str!("../../configs/base.config");
const V6_1: &str = include_str!("../../configs/6.1.config");
const V6_12: &str = include_str!("../../configs/6.12.config");
const NOFAIL: &str = include_str!("../../configs/nofail.config");

/// How one kernel is made.
pub(crate) struct Recipe {
    /// Its name.
    pub(crate) kernel: String,
    /// All its options, merged.
    pub(crate) config: String,
    /// What is changed in its source.
    pub(crate) edits: &'static [Edit],
    /// Changes when the options, the edits or the steps do.
    pub(crate) digest: String,
}

/// The recipe of a kernel, unless it is an image of the caller's.
pub(crate) fn of(id: &KernelId) -> Option<Recipe> {
    let (config, edits): (_, &[Edit]) = match id {
        KernelId::V6_1 => (merge(&[BASE, V6_1]), &[]),
        KernelId::V6_12 => (merge(&[BASE, V6_12]), &[]),
        KernelId::NoFail => (merge(&[BASE, NOFAIL]), &edits::CLONE),
        KernelId::Stock => (String::new(), &[]),
        KernelId::Path(_) => return None,
    };
    let (name, steps) = (id.to_string(), STEPS.to_string());
    let mut parts = vec![name.as_str(), &config, &steps];
    parts.extend(edits.iter().flat_map(|edit| [edit.file, edit.from, edit.to]));
    let digest = hash(&parts);
    Some(Recipe { kernel: name, config, edits, digest })
}

/// The key of one build: its recipe and the version of its source.
pub(crate) fn key(recipe: &Recipe, source: &str) -> String {
    format!("{}-{}", recipe.kernel, &hash(&[&recipe.digest, source])[..12])
}

/// Options that did not hold: asked for, but absent or another in the configuration that came out, or there although
/// `n` was asked for. kconfig drops an option whose dependencies are missing without a word.
pub(crate) fn lost(asked: &str, got: &str) -> Vec<String> {
    let got = options(got);
    let held = |name: &str, value: &str| match got.get(name) {
        Some(is) => *is == value,
        None => value == "n",
    };
    let lost = |(name, value): (&str, &str)| (!held(name, value)).then(|| format!("{name}={value}"));
    options(asked).into_iter().filter_map(lost).collect()
}

/// One fragment after the other; a later value wins.
fn merge(fragments: &[&str]) -> String {
    let merged: BTreeMap<&str, &str> = fragments.iter().flat_map(|fragment| options(fragment)).collect();
    merged.iter().map(|(name, value)| format!("{name}={value}\n")).collect()
}

fn options(config: &str) -> BTreeMap<&str, &str> {
    config
        .lines()
        .filter(|line| line.starts_with("CONFIG_"))
        .filter_map(|line| line.split_once('='))
        .collect()
}

fn hash(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_fragment_wins_and_comments_are_left_out() {
        let merged = merge(&["# A\nCONFIG_A=y\nCONFIG_B=1\n", "CONFIG_B=2\n# CONFIG_C is not set\n"]);
        assert_eq!(merged, "CONFIG_A=y\nCONFIG_B=2\n");
    }

    #[test]
    fn options_that_vanished_or_changed_are_named() {
        let asked = "CONFIG_A=y\nCONFIG_B=y\nCONFIG_C=\"bpf\"\nCONFIG_D=8\nCONFIG_E=n\nCONFIG_F=n\n";
        let got = "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=\"bpf\"\nCONFIG_D=64\nCONFIG_E=y\n";
        assert_eq!(lost(asked, got), ["CONFIG_B=y", "CONFIG_D=8", "CONFIG_E=n"]);
        assert!(lost(asked, asked).is_empty());
    }

    #[test]
    fn the_key_follows_the_kernel_its_options_and_its_source() {
        let recipe = |kernel: &str, config: &str| {
            let digest = hash(&[kernel, config]);
            Recipe { kernel: kernel.into(), config: config.into(), edits: &[], digest }
        };
        let first = key(&recipe("6.1", "CONFIG_A=y\n"), "6.1.1");
        assert_eq!(first, key(&recipe("6.1", "CONFIG_A=y\n"), "6.1.1"));
        assert!(first.starts_with("6.1-") && first.len() == 16);
        for other in
            [key(&recipe("6.1", "CONFIG_A=n\n"), "6.1.1"), key(&recipe("6.1", "CONFIG_A=y\n"), "6.1.2")]
        {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn parts_of_a_hash_do_not_run_into_each_other() {
        assert_ne!(hash(&["ab", "c"]), hash(&["a", "bc"]));
    }

    #[test]
    fn two_kernels_inject_one_is_like_production_and_one_lacks_the_options() {
        let (plain, production) = (of(&KernelId::V6_1).unwrap(), of(&KernelId::V6_12).unwrap());
        for recipe in [&plain, &production] {
            for option in
                ["FAILSLAB", "FAIL_PAGE_ALLOC", "FAIL_MAKE_REQUEST", "BPF_KPROBE_OVERRIDE", "BPF_LSM"]
            {
                assert!(
                    recipe.config.contains(&format!("CONFIG_{option}=y\n")),
                    "{} {option}",
                    recipe.kernel
                );
            }
        }
        let none = of(&KernelId::NoFail).unwrap();
        for option in ["FAILSLAB", "FAIL_PAGE_ALLOC", "FAIL_MAKE_REQUEST", "BPF_KPROBE_OVERRIDE"] {
            assert!(none.config.contains(&format!("CONFIG_{option}=n\n")), "{option}");
        }
        assert!(none.config.contains("CONFIG_FUNCTION_ERROR_INJECTION=y\n"));
        assert!(production.config.contains("CONFIG_PREEMPT_DYNAMIC=y"));
        assert!(!plain.config.contains("CONFIG_PREEMPT_DYNAMIC=y"));
    }
}
