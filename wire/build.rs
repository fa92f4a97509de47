//! Compiles the protocol without a `protoc`.

use std::error::Error;

const PROTO: &str = "faultline/agent/v1/agent.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto/{PROTO}");
    let descriptors = protox::compile([PROTO], ["proto"])?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
