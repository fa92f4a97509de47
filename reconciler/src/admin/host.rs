//! Who the admin interface is asked for. A page of any site can have its own name lead to loopback, and its scripts
//! then read what is served here as if it came from their site. They cannot ask under another name than that.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header::HOST, uri::Authority},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};

const LOCALHOST_V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LOCALHOST_V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
const MISDIRECTED: &str = "this is served as localhost, 127.0.0.1 and [::1] only\n";

/// `router` for those who ask for this machine by a name that only it has, or by `own`, the address that is listened
/// on. All others are told that their request is misdirected.
pub(super) fn only_local(router: Router, own: IpAddr) -> Router {
    router.layer(middleware::from_fn_with_state(own, answer_local))
}

async fn answer_local(State(own): State<IpAddr>, request: Request, next: Next) -> Response {
    if is_local(request.headers(), own) {
        next.run(request).await
    } else {
        (StatusCode::MISDIRECTED_REQUEST, MISDIRECTED).into_response()
    }
}

/// Whether the one host that is asked for is local, whatever the port: it may have been forwarded.
fn is_local(headers: &HeaderMap, own: IpAddr) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let Ok(authority) = Authority::try_from(host.as_bytes()) else { return false };
    let name = authority.host();
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|asked| [own, LOCALHOST_V4, LOCALHOST_V6].contains(&asked))
}

#[cfg(test)]
mod tests {
    use std::{
        future::pending,
        net::{SocketAddr, TcpListener},
        sync::Arc,
    };

    use jiff::Timestamp;
    use serde_json::Value;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
        sync::Notify,
    };

    use crate::{
        admin::{
            AdminAddress, Shown,
            client::{AskError, ask},
            metrics_router, router, serve, serve_tcp,
        },
        agents::Fleet,
        clock::ManualClock,
        metrics::Metrics,
        publish::Board,
    };

    fn shown() -> Shown {
        let (clock, metrics) = (Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH)), Arc::new(Metrics::new()));
        let fleet = Arc::new(Fleet::new(clock, Arc::clone(&metrics), Arc::new(Notify::new())));
        Shown { board: Arc::new(Board::default()), fleet, metrics }
    }

    /// An address that nobody listens on.
    fn free(ip: &str) -> SocketAddr {
        TcpListener::bind((ip, 0)).unwrap().local_addr().unwrap()
    }

    /// The status of the answer to a request with these lines of header.
    async fn status(at: SocketAddr, path: &str, headers: &str) -> u16 {
        let mut stream = TcpStream::connect(at).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }

    #[tokio::test]
    async fn whoever_asks_for_another_host_is_told_so_whatever_the_path() {
        let at = free("127.0.0.2");
        let _served = serve(&AdminAddress::Loopback(at), router(shown()), pending()).await.unwrap();
        for host in
            ["localhost", "LocalHost:80", "127.0.0.1", "127.0.0.1:9464", "[::1]", "[::1]:1", "127.0.0.2"]
        {
            assert_eq!(status(at, "/metrics", &format!("Host: {host}\r\n")).await, 200, "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:9464",
            "localhost.evil.example",
            "127.0.0.3",
            "10.0.0.1",
            "",
            "::1",
        ] {
            for path in ["/metrics", "/healthz", "/v1/plan", "/v1/experiments/app/x"] {
                assert_eq!(status(at, path, &format!("Host: {host}\r\n")).await, 421, "{host:?} {path}");
            }
        }
        assert_eq!(status(at, "/metrics", "Host: localhost\r\nHost: evil.example\r\n").await, 421);
        assert_eq!(status(at, "/metrics", "").await, 421, "no host at all");
    }

    #[tokio::test]
    async fn the_client_is_heard() {
        let address = AdminAddress::Loopback(free("127.0.0.1"));
        let _served = serve(&address, router(shown()), pending()).await.unwrap();
        let error = ask::<Value>(&address, "/v1/runs").await.err().unwrap();
        assert!(matches!(error, AskError::NotReady(_)), "no pass has gone through yet: {error}");
    }

    #[tokio::test]
    async fn metrics_alone_are_served_under_every_name() {
        let at = free("127.0.0.1");
        let _served = serve_tcp(at, metrics_router(shown()), pending()).await.unwrap();
        assert_eq!(status(at, "/metrics", "Host: node-1.example:9464\r\n").await, 200);
    }
}
