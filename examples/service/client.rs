//! A small HTTP client for one service on 127.0.0.1, with connections kept alive.

use core::time::Duration;

use anyhow::{Context, bail};
use axum::body::Bytes;
use axum::http::{Method, Request, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::{Client as Pool, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;

/// Longest that an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the client asks.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) kind: &'static str,
    pub(crate) body: Bytes,
}

/// What the service answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// The client. Copies share the connections.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    port: u16,
    pool: Pool<HttpConnector, Full<Bytes>>,
}

impl Client {
    pub(crate) fn new(port: u16) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self { port, pool: Pool::builder(TokioExecutor::new()).build(connector) }
    }

    /// Sends one request and receives the whole answer.
    pub(crate) async fn send(&self, ask: Ask) -> anyhow::Result<Answer> {
        let request = Request::builder()
            .method(ask.method)
            .uri(format!("http://127.0.0.1:{}{}", self.port, ask.path))
            .header(CONTENT_TYPE, ask.kind)
            .body(Full::new(ask.body))?;
        let exchange = async {
            let response = self.pool.request(request).await?;
            let status = response.status();
            let body = response.into_body().collect().await?.to_bytes();
            anyhow::Ok(Answer { status, body })
        };
        tokio::time::timeout(PATIENCE, exchange).await.with_context(|| format!("no answer within {PATIENCE:?}"))?
    }

    /// Fetches a page that has to be there.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Bytes> {
        let answer = self.send(Ask::new(Method::GET, path, Bytes::new())).await?;
        if answer.status != StatusCode::OK {
            bail!("GET {path} was answered with {}", answer.status);
        }
        Ok(answer.body)
    }
}

impl Ask {
    pub(crate) fn new(method: Method, path: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self { method, path: path.into(), kind: "text/plain; charset=utf-8", body: body.into() }
    }

    pub(crate) fn json(path: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self { kind: "application/json", ..Self::new(Method::POST, path, body) }
    }
}
