//! Serving HTTP to whoever asks, without waiting for whoever does not.

use std::{future::Future, pin::pin, time::Duration};

use axum::{Router, serve::Listener};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    task::JoinSet,
    time::timeout,
};

/// How long a client may take to say what it asks for, from when it connects or has its last answer. Whoever scrapes
/// less often connects anew.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an answer that was begun may take once serving is to stop.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// Serves `router` until `stop` completes. What was asked by then is answered, but nobody is waited for much longer
/// than two seconds.
pub async fn serve<L: Listener>(mut listener: L, router: Router, stop: impl Future<Output = ()>) {
    let mut stop = pin!(stop);
    let mut connections = JoinSet::new();
    let (stopping, stopped) = watch::channel(());
    loop {
        tokio::select! {
            () = &mut stop => break,
            (stream, _) = listener.accept() => {
                connections.spawn(answer(stream, router.clone(), stopped.clone()));
            }
            // One that ended is forgotten.
            Some(_ended) = connections.join_next() => {}
        }
    }
    drop((listener, stopping));
    // Those that are left are closed with the set.
    let _all_ended = timeout(STOP_GRACE, async { while connections.join_next().await.is_some() {} }).await;
}

/// Answers one client until it leaves, falls silent, or the sender of `stopped` is gone.
async fn answer<S>(stream: S, router: Router, mut stopped: watch::Receiver<()>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    tokio::select! {
        // How it ended is the client's affair.
        _ended = connection.as_mut() => return,
        _gone = stopped.changed() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ended = connection.await;
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
        sync::oneshot,
        task::JoinHandle,
        time::Instant,
    };

    use super::*;

    /// How long a machine that is busy may take for what should take nothing.
    const SLACK: Duration = Duration::from_secs(8);

    async fn served() -> (SocketAddr, oneshot::Sender<()>, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let router = Router::new().route("/", get(|| async { "here" }));
        let serving = tokio::spawn(serve(listener, router, async { stopped.await.unwrap_or(()) }));
        (at, stop, serving)
    }

    /// What comes back until the server closes.
    async fn said(at: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn nobody_who_is_half_way_through_a_request_keeps_it_from_stopping() {
        let (at, stop, serving) = served().await;
        let mut half = TcpStream::connect(at).await.unwrap();
        half.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").await.unwrap();
        let _silent = TcpStream::connect(at).await.unwrap();
        let whole = said(at, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        assert!(whole.starts_with("HTTP/1.1 200") && whole.ends_with("here"), "{whole}");
        stop.send(()).unwrap();
        timeout(STOP_GRACE + SLACK, serving).await.unwrap().unwrap();
        assert!(half.read(&mut [0; 64]).await.map_or(true, |read| read == 0), "it is closed");
        assert!(TcpStream::connect(at).await.is_err(), "nobody listens");
    }

    #[tokio::test]
    async fn a_client_has_so_long_to_say_what_it_asks_for() {
        let (at, _stop, _serving) = served().await;
        #[expect(clippy::disallowed_methods, reason = "a test of a timeout")]
        let began = Instant::now();
        let closed = timeout(HEAD_TIMEOUT + SLACK, said(at, "GET / HTTP/1.1\r\nHost: x\r\n")).await;
        assert!(closed.is_ok(), "it is still open");
        assert!(began.elapsed() >= HEAD_TIMEOUT - Duration::from_secs(1));
    }
}
