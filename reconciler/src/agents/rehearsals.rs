//! Asking agents what would come of experiments on their nodes.

use std::{
    collections::BTreeMap,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use faultline_core::rehearsal::{Chain, Rehearsal};
use faultline_wire::limits::MAX_CHAINS;
use tokio::{
    sync::mpsc,
    time::{Sleep, sleep},
};

use super::Fleet;

/// How long agents may take. They answer after what they are at, and each function takes their kernel a moment.
const PATIENCE: Duration = Duration::from_secs(8);

/// What would come of some experiments on each node that answered, in their order.
pub type Rehearsals = BTreeMap<String, Vec<Rehearsal>>;

/// A question to every session.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// At most as many as an agent takes at a time.
    pub(super) chains: Arc<[Chain]>,
    /// Where the answer goes, with the node's name.
    pub(super) answer: mpsc::UnboundedSender<(String, Vec<Rehearsal>)>,
}

impl Fleet {
    /// Asks every connected agent what would come of these on its node. Nodes whose agents do not answer in 8 s are left
    /// out.
    pub async fn rehearse(&self, chains: &[Chain]) -> Rehearsals {
        let mut end = pin!(sleep(PATIENCE));
        let mut known = Rehearsals::new();
        for (part, chains) in chains.chunks(MAX_CHAINS).enumerate() {
            let answered = self.ask(chains, end.as_mut()).await;
            // What a node has not said of an earlier part it does not say of this one either.
            known.retain(|node, _| answered.contains_key(node));
            for (node, rehearsals) in answered {
                match known.get_mut(&node) {
                    Some(known) => known.extend(rehearsals),
                    None if part == 0 => drop(known.insert(node, rehearsals)),
                    None => {}
                }
            }
        }
        known
    }

    async fn ask(&self, chains: &[Chain], mut end: Pin<&mut Sleep>) -> Rehearsals {
        let (answer, mut answers) = mpsc::unbounded_channel();
        // Nobody listens where no agent is connected. Each session drops its sender with the answer, or when it ends.
        drop(self.questions.send(Question { chains: chains.into(), answer }));
        let mut known = Rehearsals::new();
        loop {
            let answered = tokio::select! {
                answered = answers.recv() => answered,
                () = &mut end => None,
            };
            match answered {
                Some((node, rehearsals)) if rehearsals.len() == chains.len() => {
                    known.insert(node, rehearsals);
                }
                Some(_) => {}
                None => return known,
            }
        }
    }
}
