//! How much of a call stack the kernel shows.

use std::path::Path;
use std::thread;
use std::time::Duration;
use std::{fs, io};

use faultline_node_agent::kernel::{Engine, EngineConfig, Obstacle, preflight};

use crate::world::{mark, without_engine};

const LIMIT: &str = "/proc/sys/kernel/perf_event_max_stack";

/// The kernel refuses while anything takes stacks, and frees what did on its own time.
fn set(limit: &str) {
    for _ in 0..100 {
        if fs::write(LIMIT, limit).is_ok() {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("the limit stays at {}", fs::read_to_string(LIMIT).unwrap());
}

#[test]
fn stacks_that_would_be_cut_short_keep_the_engine_from_opening_and_an_open_one_keeps_them_whole() {
    let Some(_turn) = without_engine() else { return };
    let pins = Path::new("/sys/fs/bpf").join(format!("faultline-stacks-{}", mark()));
    let config = EngineConfig { pins, ..EngineConfig::default() };
    let whole = fs::read_to_string(LIMIT).unwrap();
    set("126");
    let (opened, report) = (Engine::open(&config), preflight(&config));
    set(&whole);
    let error = opened.unwrap_err().to_string();
    let advice = "`sysctl -w kernel.perf_event_max_stack=127`";
    assert!(error.contains("is 126") && error.contains(advice), "{error}");
    assert_eq!(report.obstacles, [Obstacle::Machine(error)]);
    let engine = Engine::open(&config).unwrap();
    let refused = fs::write(LIMIT, "126").unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ResourceBusy);
    drop(engine);
    let _ = fs::remove_dir_all(&config.pins);
}
