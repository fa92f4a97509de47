//! Which chain functions are given numbers where there are too few for all.

use std::collections::BTreeSet;

/// The functions that are: chains take what they lack in their order, each all of it or nothing, so that one that does not
/// fit leaves what there is to those behind it. What a chain shares with one before it costs nothing.
///
/// `lacking` has the functions without a number of each chain, by any key; `room` is how many numbers there are.
pub(super) fn fitting(lacking: &[BTreeSet<u64>], mut room: usize) -> BTreeSet<u64> {
    let mut fitting = BTreeSet::new();
    for chain in lacking {
        let more: Vec<u64> = chain.difference(&fitting).copied().collect();
        if more.len() <= room {
            room -= more.len();
            fitting.extend(more);
        }
    }
    fitting
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(chains: &[&[u64]], room: usize) -> Vec<u64> {
        let lacking: Vec<_> = chains.iter().map(|chain| chain.iter().copied().collect()).collect();
        fitting(&lacking, room).into_iter().collect()
    }

    #[test]
    fn all_that_fits_is_given_numbers() {
        assert_eq!(given(&[&[3, 1], &[2]], 3), [1, 2, 3]);
        assert_eq!(given(&[&[], &[7]], 0), [0; 0]);
    }

    #[test]
    fn a_chain_that_does_not_fit_takes_nothing_from_those_behind_it() {
        assert_eq!(given(&[&[1, 2], &[3, 4, 5], &[6], &[7], &[8]], 4), [1, 2, 6, 7]);
    }

    #[test]
    fn functions_that_chains_share_are_given_one_number() {
        assert_eq!(given(&[&[1, 2], &[2, 3], &[3, 1]], 3), [1, 2, 3]);
        assert_eq!(given(&[&[1, 2, 3], &[2, 4], &[4]], 2), [2, 4], "not given on behalf of the first");
    }
}
