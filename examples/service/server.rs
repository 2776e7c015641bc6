//! The service: its routes, what they share, and how it starts and stops.

use core::net::Ipv4Addr;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use tokio::net::TcpListener;

use crate::sessions::Sessions;
use crate::words::Counters;
use crate::{Options, endpoints};

/// Longest body that is accepted; a longer one is answered with 413.
pub(crate) const BODY_LIMIT: usize = 1 << 20;

/// Bytes that the session store keeps before it evicts: small enough that the load runs into it.
const SESSION_BUDGET: usize = 16 << 20;

/// How long open requests may take to finish once the service is told to stop.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) started: Instant,
    pub(crate) requests: AtomicU64,
    pub(crate) sessions: Sessions,
    pub(crate) counters: Counters,
}

/// Serves until Ctrl-C, or until standard input closes when supervised.
pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let shared = Arc::new(Shared {
        started: Instant::now(),
        requests: AtomicU64::new(0),
        sessions: Sessions::new(SESSION_BUDGET),
        counters: Counters::start(2).context("cannot start the worker threads")?,
    });
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))
        .await
        .with_context(|| format!("cannot listen on 127.0.0.1:{}", options.port))?;
    announce(&listener).context("cannot say the address on standard output")?;

    // Small answers go out at once: waiting for more to send would be measured as latency.
    let listener = listener.tap_io(|connection| _ = connection.set_nodelay(true));
    let (stop, mut stopped) = tokio::sync::watch::channel(());
    let supervised = options.supervised;
    tokio::spawn(async move {
        told_to_stop(supervised).await;
        stop.send_replace(());
    });
    let mut last_call = stopped.clone();
    let server =
        axum::serve(listener, routes(shared)).with_graceful_shutdown(async move { _ = stopped.changed().await });
    tokio::select! {
        ended = server => ended.context("the server failed"),
        () = async { _ = last_call.changed().await; tokio::time::sleep(STOP_WITHIN).await } => Ok(()),
    }
}

fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/orders", post(endpoints::order))
        .route("/sessions/{id}", get(endpoints::fetch_session).put(endpoints::store_session))
        .route("/words", post(endpoints::count_words))
        .route("/compress", post(endpoints::compress))
        .route("/stats", get(endpoints::stats))
        .route("/stats/table", get(endpoints::stats_table))
        .route("/legacy/close", post(endpoints::close_twice))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(from_fn_with_state(Arc::clone(&shared), count))
        .with_state(shared)
}

async fn count(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    shared.requests.fetch_add(1, Relaxed);
    next.run(request).await
}

/// The line that the supervisor reads the port from.
fn announce(listener: &TcpListener) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening on {}", listener.local_addr()?)?;
    out.flush()
}

async fn told_to_stop(supervised: bool) {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            core::future::pending::<()>().await; // No handler to be had: the signal's default ends the process.
        }
    };
    if !supervised {
        return interrupt.await;
    }
    let (closed, at_close) = tokio::sync::oneshot::channel::<()>();
    // A thread of its own: a runtime's blocking thread that still reads would hold up the end of the process.
    std::thread::spawn(move || {
        _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        drop(closed);
    });
    tokio::select! {
        () = interrupt => {}
        _ = at_close => {}
    }
}
