//! `faultline get` and `explain` where no reconciler answers, though somebody listens.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    process::{Command, Output},
    thread,
};

fn asked(command: &[&str], at: SocketAddr) -> (Output, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_faultline"))
        .args(command)
        .arg(format!("--admin={at}"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, text)
}

#[test]
fn whoever_else_listens_is_no_reconciler() {
    let foreign = [
        "HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>",
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]",
        "220 mail.example ESMTP\r\n",
    ];
    for says in foreign {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let serving = thread::spawn(move || {
            for _ in 0..2 {
                let mut stream = listener.accept().unwrap().0;
                let _read = stream.read(&mut [0; 1024]).unwrap();
                stream.write_all(says.as_bytes()).unwrap();
            }
        });
        for command in [["get", "runs"].as_slice(), &["explain", "chaos/web"]] {
            let (output, text) = asked(command, at);
            assert_eq!(output.status.code(), Some(2), "{text}");
            let expected = format!("error: what answers at http://{at} is no Faultline reconciler\n");
            assert_eq!((text, output.stdout), (expected, vec![]), "{says}");
        }
        serving.join().unwrap();
    }
}

#[test]
fn who_never_answers_is_not_waited_for() {
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = deaf.local_addr().unwrap();
    let (output, text) = asked(&["get", "nodes"], at);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert_eq!(text, format!("error: no answer came from http://{at} within 10 s\n"));
}
