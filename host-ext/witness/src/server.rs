//! The witness over HTTP: `POST /add-checkpoint`, nothing else (C2SP tlog-witness).
//!
//! Plain HTTP/1.1 for loopback or behind a reverse proxy that does TLS: what is said is signed on
//! both sides and holds no secret. Body, head, time and number of connections are bounded.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use sudare_base::clock;
use sudare_evidence::store::OsDisk;
use sudare_protocol::tlog::submission::{MAX_SUBMISSION_BYTES, SIZE_TYPE, Submission, size_body};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::status::SilenceWatch;
use crate::submission::{Answer, Desk};

/// Connections at once; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 64;
/// A request's head must be there by then, also the next one's on a connection that is kept.
const HEAD_TIMEOUT_S: u64 = 30;
/// A connection that is kept is closed by then, so that idle ones cannot hold all places.
const CONNECTION_S: u64 = 120;
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// A full file table is waited out.
const ACCEPT_PAUSE_MS: u64 = 100;
/// How often silence is looked for.
const LOOK_S: u64 = 1;

type SharedDesk = Arc<Mutex<Desk<OsDisk>>>;

/// A witness that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    desk: SharedDesk,
    silence_s: u64,
}

impl Server {
    /// Takes the port; nothing is answered before [`Server::run`].
    pub async fn bind(address: SocketAddr, desk: Desk<OsDisk>, silence_s: u64) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { listener, desk: Arc::new(Mutex::new(desk)), silence_s })
    }

    /// Where it listens, for port 0.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until the task is dropped, and watches for silence meanwhile.
    pub async fn run(self) {
        let routes = Router::new()
            .route("/add-checkpoint", post(add_checkpoint))
            .layer(DefaultBodyLimit::max(MAX_SUBMISSION_BYTES))
            .with_state(Arc::clone(&self.desk));
        tokio::join!(watch(self.desk, self.silence_s), accept(self.listener, routes));
    }
}

async fn accept(listener: TcpListener, routes: Router) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let routes = routes.clone();
                tokio::spawn(async move {
                    serve(stream, routes).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, routes: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(HEAD_TIMEOUT_S))
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    match tokio::time::timeout(Duration::from_secs(CONNECTION_S), connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection ended early"),
        Err(_) => tracing::debug!("a connection took too long"),
    }
}

async fn add_checkpoint(State(desk): State<SharedDesk>, body: Bytes) -> Response {
    let submission = match Submission::parse(&body) {
        Ok(submission) => submission,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    };
    // Writing durably takes milliseconds, which other connections should not wait for here.
    let answered = tokio::task::spawn_blocking(move || {
        let mut desk = desk.lock().unwrap_or_else(PoisonError::into_inner);
        desk.add(&submission, clock::wall_ms() / 1000)
    });
    match answered.await {
        Ok(Ok(answer)) => response(answer),
        Ok(Err(error)) => {
            tracing::error!("{error}");
            // The details are for the witness's operator.
            let text =
                "The witness cannot cosign now; its operator finds the reason in its log. Try again later.\n";
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn response(answer: Answer) -> Response {
    match answer {
        Answer::Cosigned(line) => (StatusCode::OK, line).into_response(),
        Answer::UnknownLog => {
            let text = "This witness was not given the key of such a log.\n";
            (StatusCode::NOT_FOUND, text).into_response()
        }
        Answer::Unsigned(error) => (StatusCode::FORBIDDEN, format!("{error}\n")).into_response(),
        Answer::Malformed(what) => {
            (StatusCode::BAD_REQUEST, format!("The request is malformed: {what}.\n")).into_response()
        }
        Answer::Conflict(known, _) => {
            (StatusCode::CONFLICT, [(header::CONTENT_TYPE, SIZE_TYPE)], size_body(known)).into_response()
        }
        Answer::Unproven => {
            let text = "The proof does not lead from the last cosigned checkpoint to this one.\n";
            (StatusCode::UNPROCESSABLE_ENTITY, text).into_response()
        }
    }
}

async fn watch(desk: SharedDesk, silence_s: u64) {
    let mut watch = SilenceWatch::new(silence_s, clock::wall_ms() / 1000);
    loop {
        tokio::time::sleep(Duration::from_secs(LOOK_S)).await;
        let desk = Arc::clone(&desk);
        let looked = tokio::task::spawn_blocking(move || {
            let mut desk = desk.lock().unwrap_or_else(PoisonError::into_inner);
            let result = watch.look(desk.memory(), clock::wall_ms() / 1000);
            (watch, result)
        });
        let Ok((same, result)) = looked.await else { return };
        watch = same;
        if let Err(error) = result {
            tracing::error!("silence could not be judged: {error}");
        }
    }
}
