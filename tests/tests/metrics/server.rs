//! A real Prometheus, for one test.

use std::{
    fs,
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::{Command, Stdio},
};

use faultline_lab::prometheus::Prometheus;
use faultline_tests::{http, process::Process};
use serde_json::Value;

/// A server that scrapes every second, on a loopback port of its own.
pub(crate) struct Server {
    address: SocketAddr,
    process: Process,
    _folder: tempfile::TempDir,
}

/// One series of an answer, and its value.
pub(crate) type Sample = (Value, f64);

impl Server {
    /// Starts it on targets, each a job's name and an address.
    pub(crate) fn start(programs: &Prometheus, targets: &[(&str, SocketAddr)]) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("prometheus.yml");
        fs::write(&config, configuration(targets))?;
        run(Command::new(&programs.promtool).args(["check", "config"]).arg(&config), "")?;
        let address = free_address()?;
        let mut command = Command::new(&programs.server);
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=warn");
        let process = Process::start(&mut command, &folder.path().join("log"))?;
        Ok(Self { address, process, _folder: folder })
    }

    /// What an expression comes to now: a vector's samples, by their labels.
    pub(crate) fn query(&self, expression: &str) -> io::Result<Vec<Sample>> {
        let data = self.ask(&format!("/api/v1/query?query={}", encode(expression)))?;
        let sample = |sample: &Value| {
            let value = sample["value"][1].as_str().and_then(|value| value.parse().ok());
            value.map(|value| (sample["metric"].clone(), value))
        };
        let samples = data["result"].as_array().map(|samples| samples.iter().map(sample).collect());
        samples.flatten().ok_or_else(|| io::Error::other(format!("{expression}: not a vector: {data}")))
    }

    /// The sum of an expression's samples; 0 without any.
    pub(crate) fn sum(&self, expression: &str) -> io::Result<f64> {
        Ok(self.query(expression)?.iter().map(|(_, value)| value).sum())
    }

    /// The values that a label of a metric has.
    pub(crate) fn label_values(&self, metric: &str, label: &str) -> io::Result<Vec<String>> {
        let data = self.ask(&format!("/api/v1/label/{label}/values?match%5B%5D={metric}"))?;
        serde_json::from_value(data).map_err(io::Error::other)
    }

    /// Whether it has met a metric under a name. A counter has its name without `_total` where it came in OpenMetrics.
    pub(crate) fn knows(&self, metric: &str) -> io::Result<bool> {
        let data = self.ask(&format!("/api/v1/metadata?metric={metric}"))?;
        Ok(data.get(metric).is_some())
    }

    /// What it has logged, for a failure's message.
    pub(crate) fn log(&self) -> String {
        self.process.output()
    }

    fn ask(&self, path: &str) -> io::Result<Value> {
        let mut answer: Value = serde_json::from_str(&http::get(self.address, path)?)?;
        if answer["status"] == "success" && answer.get("warnings").is_none() {
            return Ok(answer["data"].take());
        }
        Err(io::Error::other(answer.to_string()))
    }
}

/// Has promtool judge a page of metrics, in the one format that it judges: the text format 0.0.4.
pub(crate) fn check_metrics(programs: &Prometheus, page: &str) -> io::Result<()> {
    run(Command::new(&programs.promtool).args(["check", "metrics"]), page)
}

/// The labels of the samples win over those of the target, as they must where the agents are pods themselves.
fn configuration(targets: &[(&str, SocketAddr)]) -> String {
    let job = |(name, address): &(&str, SocketAddr)| {
        format!(
            "- job_name: {name}\n  honor_labels: true\n  static_configs:\n  \
             - targets: ['{address}']\n    labels: {{ namespace: faultline-system, pod: {name}-0, container: main }}\n"
        )
    };
    let jobs: String = targets.iter().map(job).collect();
    format!("global: {{ scrape_interval: 1s, scrape_timeout: 1s }}\nscrape_configs:\n{jobs}")
}

fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn run(command: &mut Command, input: &str) -> io::Result<()> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(input.as_bytes()))?;
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let program = Path::new(command.get_program()).display();
    Err(io::Error::other(format!("{program}: {}\n{input}", String::from_utf8_lossy(&said))))
}

/// For a query: everything but letters and digits as `%` and two hexadecimal digits.
fn encode(text: &str) -> String {
    let byte = |byte: u8| {
        let plain = byte.is_ascii_alphanumeric();
        if plain { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(byte).collect()
}

#[test]
fn an_expression_goes_into_a_query_as_it_is() {
    assert_eq!(encode("a{b=\"c d\"} > 0"), "a%7Bb%3D%22c%20d%22%7D%20%3E%200");
}
