//! A reconciler without IO: the same stages in the same order.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::{Agents, Scripted, documents::source, inventories::node};
use crate::{
    Cache, Defaults, admit, commit, desired_set, due,
    inventory::{Inventory, Pod},
    judge,
    ledger::{Ledger, Run},
    observe, parse,
    parse::Obtained,
    plan,
    plan::Plan,
    rebuild, select,
    tree::{Fetched, Role},
};

/// When every world begins, in seconds since 1970.
pub const START: i64 = 1_700_000_000;

/// An instant after [`START`].
#[must_use]
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(START + seconds)
}

/// Everything that a pass works with.
#[derive(Debug)]
pub struct World {
    /// Files of the experiments' source, by path.
    pub files: BTreeMap<String, String>,
    /// Files of the guardrails' source, by path; `None`: there is no such source.
    pub platform: Option<BTreeMap<String, String>>,
    /// What comes of getting modules from registries.
    pub registries: Obtained,
    /// What a fetch comes to, where it is not simply the files.
    pub fetched: Option<Vec<Fetched>>,
    /// Pods and nodes.
    pub inventory: Option<Inventory>,
    /// What is remembered.
    pub ledger: Ledger,
    /// The nodes' agents.
    pub agents: Agents,
    /// What holds where nobody said otherwise.
    pub defaults: Defaults,
    /// The instant.
    pub now: Timestamp,
    /// What the last pass left for the next.
    pub cache: Cache,
}

impl World {
    /// Nodes `n0` to `n2` with agents, these pods, an empty source, a fresh ledger.
    #[must_use]
    pub fn with(pods: Vec<Pod>) -> Self {
        let nodes = ["n0", "n1", "n2"];
        let inventory = Inventory {
            observed_at: at(0),
            nodes: nodes.iter().map(|name| ((*name).to_owned(), node(true))).collect(),
            namespaces: BTreeMap::new(),
            pods,
        };
        Self {
            files: BTreeMap::new(),
            platform: None,
            registries: Obtained::new(),
            fetched: None,
            inventory: Some(inventory),
            ledger: Ledger { epoch: 1, ..Ledger::default() },
            agents: Agents::on(&nodes),
            defaults: Defaults::default(),
            now: at(0),
            cache: Cache::default(),
        }
    }

    /// Writes a file of the experiments' source.
    pub fn write(&mut self, path: &str, text: impl Into<String>) -> &mut Self {
        self.files.insert(path.to_owned(), text.into());
        self
    }

    /// Writes a guardrail and its script.
    pub fn guard(&mut self, name: &str, spec: &str, script: &str) -> &mut Self {
        let platform = self.platform.get_or_insert_default();
        platform.insert(format!("{name}.yaml"), super::guardrail(name, spec));
        platform.insert(format!("modules/{name}"), script.to_owned());
        self
    }

    /// Lets time pass.
    pub fn wait(&mut self, seconds: u32) -> &mut Self {
        self.now += SignedDuration::from_secs(i64::from(seconds));
        self
    }

    /// The pods.
    ///
    /// # Panics
    /// There is no inventory.
    #[expect(clippy::expect_used, reason = "a test without an inventory has no pods to change")]
    pub fn pods(&mut self) -> &mut Vec<Pod> {
        &mut self.inventory.as_mut().expect("an inventory").pods
    }

    /// What the sources hold now.
    #[must_use]
    pub fn fetch(&self) -> Vec<Fetched> {
        if let Some(fetched) = &self.fetched {
            return fetched.clone();
        }
        let files = |files: &BTreeMap<String, String>| files.clone().into_iter().collect::<Vec<_>>();
        let platform = self.platform.as_ref().map(|own| source("platform", Role::Platform, &files(own)));
        let experiments = source("team", Role::Experiments, &files(&self.files));
        platform.into_iter().chain([experiments]).collect()
    }

    /// The plan, and the ledger that it was made from, as made with nothing in the cache. Changes nothing.
    #[must_use]
    pub fn plan(&self) -> (Plan, Ledger) {
        self.plan_with(&mut Cache::default())
    }

    fn plan_with(&self, cache: &mut Cache) -> (Plan, Ledger) {
        let Self { defaults, now, .. } = self;
        let fetched = self.fetch();
        let parsed = parse(&fetched, &self.ledger, &mut cache.files);
        let ledger = rebuild(&self.ledger, &parsed, &self.agents.reports(), defaults, *now);
        let parsed = if ledger == self.ledger { parsed } else { parse(&fetched, &ledger, &mut cache.files) };
        let parsed = parsed.bound_to(&self.registries);
        let judged = judge(&parsed, &ledger, defaults, &Scripted, &mut cache.verdicts, *now);
        let due = due(&judged, &ledger, defaults, *now);
        let selected = select(due, self.inventory.as_ref(), defaults);
        let admitted = admit(selected, &Scripted, &mut cache.verdicts, defaults, *now);
        (plan(admitted, &ledger, defaults, *now), ledger)
    }

    /// One pass: plan, commit, tell the agents that reported, observe.
    pub fn pass(&mut self) -> Plan {
        let mut cache = std::mem::take(&mut self.cache);
        let reports = self.agents.reports();
        let (plan, ledger) = self.plan_with(&mut cache);
        self.cache = cache;
        let committed = commit(&ledger, &plan);
        for report in &reports {
            let set = desired_set(&committed, &plan, &report.node);
            if let Some(agent) = self.agents.all.get_mut(&report.node) {
                agent.accept(&set, self.now);
            }
        }
        self.ledger = observe(&committed, &plan, &reports, self.now).ledger;
        plan
    }

    /// Passes until the ledger stands still.
    ///
    /// # Panics
    /// It does not.
    #[expect(clippy::panic, reason = "a world that never settles is a failed test")]
    pub fn settle(&mut self) -> Plan {
        for _ in 0..8 {
            let before = self.ledger.clone();
            let plan = self.pass();
            if self.ledger == before {
                return plan;
            }
        }
        panic!("the ledger changes with every pass");
    }

    /// The newest run of an experiment of the namespace `app`.
    ///
    /// # Panics
    /// It never ran.
    #[must_use]
    #[expect(clippy::panic, reason = "a run that is not there is a failed test")]
    pub fn run(&self, name: &str) -> &Run {
        let newest = self.ledger.runs.iter().rfind(|(key, _)| key.experiment.name == name);
        newest.map_or_else(|| panic!("{name} never ran"), |(_, run)| run)
    }

    /// Activations of an experiment that the ledger knows.
    #[must_use]
    pub fn activations(&self, name: &str) -> Vec<u64> {
        let keys = self.ledger.runs.keys().filter(|key| key.experiment.name == name);
        keys.map(|key| key.activation.0).collect()
    }

    /// Uids of the pods in which an experiment is attached, as its agents have it.
    #[must_use]
    pub fn hit(&self, name: &str) -> BTreeSet<String> {
        let attached = self.agents.attached().filter(|probe| probe.run.experiment.name == name);
        attached.map(|probe| probe.uid.clone()).collect()
    }
}
