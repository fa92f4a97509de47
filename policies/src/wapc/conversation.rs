//! What passes between the host and one instance.

use std::collections::BTreeSet;

use faultline_core::review::Undecided;

use super::log::Log;
use crate::{answer::shortened, call::Memory};

/// The host's side of one call, kept in the instance's store.
pub(super) struct Conversation {
    limits: Memory,
    pub(super) operation: &'static str,
    pub(super) payload: Vec<u8>,
    /// What the guest answers, as far as it has.
    pub(super) response: Option<Vec<u8>>,
    /// Why it does not, as far as it has said.
    pub(super) error: Option<Vec<u8>>,
    /// Why the guest's last call to the host was refused; empty where it was not.
    pub(super) refusal: String,
    /// What the guest asked the host for in vain.
    pub(super) unanswered: BTreeSet<String>,
    pub(super) log: Log,
    /// State of the generator behind `random_get`, the same for every instance.
    pub(super) random: u64,
}

/// What a guest said when it was asked.
pub(super) struct Spoken {
    pub(super) said: Vec<u8>,
    /// What it asked the host for in vain.
    pub(super) unanswered: BTreeSet<String>,
}

impl Conversation {
    pub(super) fn new(operation: &'static str, payload: Vec<u8>) -> Self {
        Self {
            limits: Memory::default(),
            operation,
            payload,
            response: None,
            error: None,
            refusal: String::new(),
            unanswered: BTreeSet::new(),
            log: Log::default(),
            random: 0,
        }
    }

    /// Forgets what was said before the guest was asked.
    pub(super) fn begin(&mut self) {
        (self.response, self.error) = (None, None);
    }

    /// The answer, where the guest `returned` from its call.
    ///
    /// # Errors
    /// It gave up, or it does not hold to the protocol: 1 with a response and no error, or 0.
    pub(super) fn end(&mut self, returned: u32) -> Result<Spoken, Undecided> {
        let bad = |why: String| Err(Undecided::BadAnswer(why));
        match (returned, self.response.take(), self.error.take()) {
            (1, Some(said), None) => Ok(Spoken { said, unanswered: std::mem::take(&mut self.unanswered) }),
            (1, Some(_), Some(_)) => bad("it answers and gives up at once".to_owned()),
            (1, None, _) => bad("it returns without an answer".to_owned()),
            (0, _, Some(why)) => Err(Undecided::GaveUp(shown(&why))),
            (0, _, None) => Err(Undecided::GaveUp("the module gives no reason".to_owned())),
            (other, ..) => bad(format!("it returns {other}, which is neither 0 nor 1")),
        }
    }

    /// Adds to a trap what the guest wrote last: panics say there where they came from.
    pub(super) fn explain(&self, why: Undecided) -> Undecided {
        match (why, self.log.tail()) {
            (Undecided::Trapped(trap), Some(tail)) => {
                Undecided::Trapped(format!("{trap} (it wrote: {tail})"))
            }
            (why, _) => why,
        }
    }
}

impl AsMut<Memory> for Conversation {
    fn as_mut(&mut self) -> &mut Memory {
        &mut self.limits
    }
}

/// A reason as text, at least a word.
fn shown(reason: &[u8]) -> String {
    let text = shortened(String::from_utf8_lossy(reason).into_owned());
    if text.trim().is_empty() { "the module gives no reason".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(returned: u32, response: Option<&str>, error: Option<&str>) -> Result<Vec<u8>, Undecided> {
        let mut conversation = Conversation::new("validate", vec![]);
        conversation.response = response.map(Into::into);
        conversation.error = error.map(Into::into);
        conversation.end(returned).map(|spoken| spoken.said)
    }

    #[test]
    fn only_one_with_a_response_alone_is_an_answer() {
        assert_eq!(ended(1, Some("{}"), None), Ok(b"{}".to_vec()));
        for (returned, response, error, part) in [
            (1, None, None, "without an answer"),
            (1, None, Some("no"), "without an answer"),
            (1, Some("{}"), Some("no"), "at once"),
            (0, None, None, "gave up: the module gives no reason"),
            (0, Some("{}"), Some(" \n"), "gave up: the module gives no reason"),
            (0, Some("{}"), Some("a\u{1b}b"), "gave up: a b"),
            (2, Some("{}"), None, "it returns 2"),
            (u32::MAX, Some("{}"), None, "it returns 4294967295"),
        ] {
            let why = ended(returned, response, error).unwrap_err().to_string();
            assert!(why.contains(part), "{part}: {why}");
        }
    }

    #[test]
    fn a_trap_is_told_with_what_the_guest_wrote_last() {
        let mut conversation = Conversation::new("validate", vec![]);
        let trap = || Undecided::Trapped("unreachable".into());
        assert_eq!(conversation.explain(trap()), trap());
        conversation.log.write(b"panicked at src/lib.rs:1\n");
        let told = "unreachable (it wrote: panicked at src/lib.rs:1)";
        assert_eq!(conversation.explain(trap()), Undecided::Trapped(told.into()));
        let other = Undecided::GaveUp("no".into());
        assert_eq!(conversation.explain(other.clone()), other);
    }
}
