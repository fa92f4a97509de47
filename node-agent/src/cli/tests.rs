use clap::error::ErrorKind;

use super::*;

fn parse(line: &str) -> Result<AgentConfig, clap::Error> {
    let cli = Cli::try_parse_from(line.split_whitespace())?;
    Ok(configure(cli.run).unwrap())
}

#[test]
fn the_definition_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn the_examples_of_the_help_are_valid() {
    let config = parse("faultline-agent --connect unix:/run/faultline/agents.sock").unwrap();
    assert_eq!(config.connect, Address::Unix("/run/faultline/agents.sock".into()));
    assert_eq!(config.metrics_listen, Some(DEFAULT_METRICS_LISTEN.parse().unwrap()));
    let config = parse(
        "faultline-agent --connect https://faultline.example:7443 --node worker-1 --tls-ca ca.crt \
         --tls-cert worker-1.crt --tls-key worker-1.key",
    )
    .unwrap();
    assert_eq!((&*config.node, config.tls.unwrap().key), ("worker-1", "worker-1.key".into()));
    Cli::try_parse_from(["faultline-agent", "preflight"]).unwrap();
    Cli::try_parse_from(["faultline-agent", "preflight", "-o", "json"]).unwrap();
    Cli::try_parse_from(["faultline-agent", "completions", "bash"]).unwrap();
}

#[test]
fn what_cannot_work_is_refused_by_name() {
    let refused = |line: &str| parse(line).unwrap_err();
    assert_eq!(refused("faultline-agent").kind(), ErrorKind::MissingRequiredArgument);
    let plain = refused("faultline-agent --connect http://10.0.0.1:80");
    assert!(plain.to_string().contains("plain text to 10.0.0.1 is refused"), "{plain}");
    let half = refused("faultline-agent --connect https://a:1 --tls-ca ca.crt");
    assert_eq!(half.kind(), ErrorKind::MissingRequiredArgument);
    for name in ["--node=", "--node=../c", "--node=a\u{1b}b", "--node=UPPER"] {
        let named = refused(&format!("faultline-agent --connect unix:/a {name}"));
        assert!(named.to_string().contains("the name of a node is"), "{named}");
    }
    let log = refused("faultline-agent --connect unix:/a --log-format xml");
    assert!(log.to_string().contains("[possible values: text, json]"), "{log}");
}
