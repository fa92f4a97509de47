//! A guest of the lab with a reconciler, an agent and containers, as they would be on a node: mutual TLS between the
//! two, metrics on the network.

use std::{fs, net::SocketAddr, time::Duration};

use faultline_lab::{
    Cache, Disk, Exec, HostFile, KernelId, Machine, PortForward, Process, Progress, Vm, artifacts, disk,
    kernel,
    packages::{self, Purpose},
    static_bins,
};
use faultline_tests::tally::{self, Attempt};

/// Name of the node.
pub(crate) const NODE: &str = "lab";
/// Namespace of the containers, as the example has it.
pub(crate) const NAMESPACE: &str = "chaos-mount";
/// How long a lease lasts. Long enough that none expires by accident on a slow machine.
const LEASE: &str = "6s";
/// Ports of the metrics in the guest.
const RECONCILER: u16 = 9464;
const AGENT: u16 = 9465;
/// For a short command on a slow machine.
const LIMIT: Duration = Duration::from_secs(60);
const SIGKILL: i32 = 9;

/// Programs that run in the guest, from its /bin.
const PROGRAMS: [&str; 3] = ["faultline", "faultline-agent", "victim"];

/// The guest. It ends when this is dropped.
pub(crate) struct Guest {
    vm: Vm,
}

impl Guest {
    /// Builds what runs in it and boots it, or says why it cannot be had on this machine.
    pub(crate) fn boot(cache: &Cache, progress: &Progress) -> Result<Self, String> {
        packages::ensure(&[Purpose::Boot, Purpose::Build, Purpose::Disk], progress)
            .map_err(|error| error.to_string())?;
        let step = progress.step("metrics-programs", "building what runs in the guest");
        let built = static_bins(&PROGRAMS, false).unwrap();
        let program = |(host, name)| HostFile { host, guest: format!("/bin/{name}") };
        let files = built.into_iter().zip(PROGRAMS).map(program).chain(guardrails()).collect();
        step.done();
        let kernel = kernel(&KernelId::V6_1, progress).unwrap();
        let image = disk::ext4(cache, disk::SAMPLE_MIB, progress).unwrap();
        let machine = Machine {
            memory_mib: 1024,
            files,
            disks: vec![Disk { image, persistent: false }],
            forwards: [RECONCILER, AGENT].map(|guest| PortForward { host: 0, guest }).into(),
            ..Machine::default()
        };
        let guest = Self { vm: machine.boot(&kernel).unwrap() };
        guest.sh("ln -s /dev/vda /dev/sdc && mkdir -p /stage/experiments");
        guest.sh(&format!("faultline certs init --dir /stage/certs --server 127.0.0.1 --node {NODE}"));
        Ok(guest)
    }

    /// Writes the inventory: one pod with one container for each name, in cgroups of the same names.
    pub(crate) fn inventory(&self, pods: &[&str]) {
        let pod = |name: &&str| {
            format!(
                "- {{ namespace: {NAMESPACE}, name: {name}, uid: uid-{name}, node: {NODE}, phase: Running, \
                 containers: [{{ name: main, cgroup: pods/{name} }}] }}\n"
            )
        };
        let text = format!(
            "observedAt: 2026-01-01T00:00:00Z\nnodes: {{ {NODE}: {{}} }}\nnamespaces: {{ {NAMESPACE}: {{}} }}\n\
             pods:\n{}",
            pods.iter().map(pod).collect::<String>()
        );
        pods.iter().for_each(|pod| drop(self.sh(&format!("mkdir -p /sys/fs/cgroup/pods/{pod}"))));
        self.write("/stage/inventory.yaml", &text);
    }

    /// Commits a file: written aside and renamed into place.
    pub(crate) fn commit(&self, name: &str, text: &str) {
        self.write("/stage/aside", text);
        self.sh(&format!("mv /stage/aside /stage/experiments/{name}"));
    }

    /// Removes a committed file.
    pub(crate) fn remove(&self, name: &str) {
        self.sh(&format!("rm /stage/experiments/{name}"));
    }

    pub(crate) fn reconciler(&self) -> Process {
        let metrics = format!("0.0.0.0:{RECONCILER}");
        self.start(
            "reconciler",
            "faultline run --source /stage/experiments --platform /stage/guardrails \
             --inventory /stage/inventory.yaml --state-dir /stage/state --admin-listen 127.0.0.1:9000 \
             --listen https://127.0.0.1:7443 --tls-ca /stage/certs/ca.crt --tls-cert /stage/certs/reconciler.crt \
             --tls-key /stage/certs/reconciler.key",
            &["--metrics-listen", &metrics, "--lease-ttl", LEASE],
        )
    }

    pub(crate) fn agent(&self) -> Process {
        let metrics = format!("0.0.0.0:{AGENT}");
        let (cert, key) = (format!("/stage/certs/{NODE}.crt"), format!("/stage/certs/{NODE}.key"));
        self.start(
            "agent",
            "faultline-agent --connect https://127.0.0.1:7443 --state-dir /stage/agent --tls-ca /stage/certs/ca.crt",
            &["--node", NODE, "--tls-cert", &cert, "--tls-key", &key, "--metrics-listen", &metrics],
        )
    }

    /// The sample program in a pod's cgroup, fifty times a second.
    pub(crate) fn victim(&self, pod: &str) -> Process {
        let (cgroup, at) = (format!("/sys/fs/cgroup/pods/{pod}"), format!("/stage/mnt-{pod}"));
        let (tally, leave) = (tally_of(pod), leave_of(pod));
        // It appends to the one, and may be asked for before it has begun.
        self.sh(&format!("touch {tally} {leave}"));
        let arguments = ["--cgroup", &cgroup, "--at", &at, "--tally", &tally, "--leave", &leave];
        self.start(pod, "victim --every-ms 20 --quiet", &arguments)
    }

    /// Somebody without a certificate dials the reconciler.
    pub(crate) fn stranger(&self) {
        self.sh("echo hello | nc -w 5 127.0.0.1 7443 >/dev/null || true");
    }

    /// Lets a pod's victim end what it is at, and waits for it.
    pub(crate) fn dismiss(&self, pod: &str, victim: &Process) {
        self.sh(&format!("rm {}", leave_of(pod)));
        victim.wait(Some(LIMIT)).unwrap();
    }

    /// Kills a process and waits for it.
    pub(crate) fn kill(&self, process: &Process) {
        process.signal(SIGKILL).unwrap();
        process.wait(Some(LIMIT)).unwrap();
    }

    /// What has happened to a pod's victim so far.
    pub(crate) fn attempts(&self, pod: &str) -> Vec<Attempt> {
        let copy = tempfile::NamedTempFile::new().unwrap();
        self.vm.get(&tally_of(pod), copy.path()).unwrap();
        tally::read(copy.path()).unwrap()
    }

    /// Where the reconciler's metrics are, on this machine.
    pub(crate) fn reconciler_metrics(&self) -> SocketAddr {
        self.forwarded(RECONCILER)
    }

    /// Where the agent's metrics are, on this machine.
    pub(crate) fn agent_metrics(&self) -> SocketAddr {
        self.forwarded(AGENT)
    }

    /// The logs, for a failure's message.
    pub(crate) fn logs(&self) -> String {
        self.sh("for log in reconciler agent target neighbour; do echo \"── $log\"; tail -n 40 /stage/$log.log; done 2>&1; true")
    }

    fn forwarded(&self, port: u16) -> SocketAddr {
        ([127, 0, 0, 1], self.vm.host_port(port).unwrap()).into()
    }

    /// Starts a program in the background; `words` are split at spaces, `arguments` are not.
    fn start(&self, name: &str, words: &str, arguments: &[&str]) -> Process {
        let shell = ["sh", "-c", r#"exec "$@" >"$0" 2>&1"#].map(String::from);
        let words = words.split_whitespace().chain(arguments.iter().copied()).map(String::from);
        let argv = shell.into_iter().chain([format!("/stage/{name}.log")]).chain(words);
        self.vm.exec(Exec::new(argv)).unwrap()
    }

    fn sh(&self, script: &str) -> String {
        let output = self.vm.run(Exec::shell(script), LIMIT).unwrap();
        assert!(output.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        output.text()
    }

    fn write(&self, path: &str, text: &str) {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        self.vm.put(file.path(), path).unwrap();
    }
}

/// The example's guardrail, with its module.
fn guardrails() -> [HostFile; 2] {
    let root = artifacts::workspace();
    [("examples/guardrails", "cap-limits.yaml"), ("policies", "modules/cap_limits.wasm")].map(
        |(from, file)| HostFile {
            host: root.join(from).join(file),
            guest: format!("/stage/guardrails/{file}"),
        },
    )
}

fn tally_of(pod: &str) -> String {
    format!("/stage/{pod}.tally")
}

fn leave_of(pod: &str) -> String {
    format!("/stage/{pod}.leave")
}
