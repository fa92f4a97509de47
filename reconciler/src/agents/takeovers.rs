//! Agents that are called alike.
//!
//! An agent that comes back may find its old session still hanging, and takes its place: no reason to say anything.
//! Two agents of one name do so again and again.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Sessions of a node that take one another's place within this time do not do so because an agent came back.
const WHILE: Duration = Duration::from_secs(60);

/// The last takeover of each node, by the clock's monotonic side.
#[derive(Debug, Default)]
pub(super) struct Takeovers(Mutex<BTreeMap<String, Takeover>>);

#[derive(Debug)]
struct Takeover {
    at: Duration,
    /// Whose session ended.
    peer: String,
    /// When it was last said.
    said: Option<Duration>,
}

impl Takeovers {
    /// A session of `node`, held by `peer`, ended because a later one began. Returns whose session ended so before it,
    /// if the two are to be named now: once in a while.
    pub(super) fn happened(&self, node: &str, peer: String, now: Duration) -> Option<String> {
        let mut nodes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = |at: Duration| now.saturating_sub(at) < WHILE;
        let last = nodes.insert(node.to_owned(), Takeover { at: now, peer, said: None });
        let last = last.filter(|last| recent(last.at))?;
        let said = last.said.filter(|said| recent(*said));
        if let Some(this) = nodes.get_mut(node) {
            this.said = said.or(Some(now));
        }
        said.is_none().then_some(last.peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_that_drive_each_other_out_are_named_once_in_a_while_and_one_that_comes_back_never() {
        let takeovers = Takeovers::default();
        let at =
            |seconds, peer: &str| takeovers.happened("n1", peer.to_owned(), Duration::from_secs(seconds));
        assert_eq!(at(0, "a"), None, "it came back");
        assert_eq!(at(100, "a"), None, "and again, long after");
        assert_eq!(at(101, "b").as_deref(), Some("a"));
        assert_eq!(at(102, "a"), None, "it was said");
        assert_eq!(at(150, "b"), None);
        assert_eq!(at(162, "a").as_deref(), Some("b"), "it goes on");
        assert_eq!(takeovers.happened("n2", "a".to_owned(), Duration::from_secs(162)), None, "another node");
    }
}
