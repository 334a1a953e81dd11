//! The witness over HTTP: `POST /add-checkpoint`, nothing else (C2SP tlog-witness).
//!
//! Plain HTTP/1.1, for loopback or behind a reverse proxy that does TLS: requests and answers are signed and hold no
//! secrets. Size, time and number of connections are bounded.

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
use sudare_protocol::tlog::VerifierKey;
use sudare_protocol::tlog::submission::{MAX_SUBMISSION_BYTES, SIZE_TYPE, Submission, size_body};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::error::WitnessError;
use crate::status::SilenceWatch;
use crate::submission::{Answer, Witness};

/// Simultaneous connections; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 64;
/// Time for receiving a request's head, also that of the next request on a kept connection.
const HEAD_TIMEOUT_S: u64 = 30;
/// A kept connection is closed after this time, so that idle ones cannot occupy all places.
const CONNECTION_S: u64 = 120;
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Pause after a failed accept, for example because no file descriptor is free.
const ACCEPT_PAUSE_MS: u64 = 100;
/// How often the logs are checked for silence.
const LOOK_S: u64 = 1;

type SharedWitness = Arc<Mutex<Witness<OsDisk>>>;

/// A witness that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    witness: SharedWitness,
    silence_s: u64,
}

impl Server {
    /// Binds the port; requests are answered by [`Server::run`].
    pub async fn bind(address: SocketAddr, witness: Witness<OsDisk>, silence_s: u64) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { listener, witness: Arc::new(Mutex::new(witness)), silence_s })
    }

    /// The address it listens on, with the port that was chosen for port 0.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The way to change which logs it knows while it runs.
    pub fn logs(&self) -> Logs {
        Logs(Arc::clone(&self.witness))
    }

    /// Answers requests and watches for silence until the task is dropped.
    pub async fn run(self) {
        let routes = Router::new()
            .route("/add-checkpoint", post(add_checkpoint))
            .layer(DefaultBodyLimit::max(MAX_SUBMISSION_BYTES))
            .with_state(Arc::clone(&self.witness));
        tokio::join!(watch(self.witness, self.silence_s), accept(self.listener, routes));
    }
}

/// The logs that a running witness knows.
#[derive(Debug)]
pub struct Logs(SharedWitness);

impl Logs {
    /// Replaces them, for requests from here on. What was cosigned stays in memory.
    pub fn replace(&self, logs: Vec<VerifierKey>) -> Result<(), WitnessError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).watch(logs)
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

async fn add_checkpoint(State(witness): State<SharedWitness>, body: Bytes) -> Response {
    let submission = match Submission::parse(&body) {
        Ok(submission) => submission,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    };
    // A durable write takes milliseconds, and must not block other connections.
    let answered = tokio::task::spawn_blocking(move || {
        let mut witness = witness.lock().unwrap_or_else(PoisonError::into_inner);
        witness.add_checkpoint(&submission, clock::wall_ms() / 1000)
    });
    match answered.await {
        Ok(Ok(answer)) => response(answer),
        Ok(Err(error)) => {
            tracing::error!("{error}");
            // The details are only for the operator of the witness.
            let text = "the witness cannot cosign now; its log says why. Try again later\n";
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn response(answer: Answer) -> Response {
    match answer {
        Answer::Cosigned(line) => (StatusCode::OK, line).into_response(),
        Answer::UnknownLog => {
            let text = "this witness does not have the key of this log. Ask its operator to add it\n";
            (StatusCode::NOT_FOUND, text).into_response()
        }
        Answer::Unsigned(error) => (StatusCode::FORBIDDEN, format!("{error}\n")).into_response(),
        Answer::Malformed(what) => {
            (StatusCode::BAD_REQUEST, format!("the request is malformed: {what}\n")).into_response()
        }
        Answer::Conflict(known, _) => {
            (StatusCode::CONFLICT, [(header::CONTENT_TYPE, SIZE_TYPE)], size_body(known)).into_response()
        }
        Answer::Unproven => {
            let text = "the proof does not lead from the last cosigned checkpoint to this one\n";
            (StatusCode::UNPROCESSABLE_ENTITY, text).into_response()
        }
    }
}

async fn watch(witness: SharedWitness, silence_s: u64) {
    let mut watch = SilenceWatch::new(silence_s, clock::wall_ms() / 1000);
    loop {
        tokio::time::sleep(Duration::from_secs(LOOK_S)).await;
        let witness = Arc::clone(&witness);
        let looked = tokio::task::spawn_blocking(move || {
            let mut witness = witness.lock().unwrap_or_else(PoisonError::into_inner);
            let result = watch.look(witness.memory(), clock::wall_ms() / 1000);
            (watch, result)
        });
        let Ok((same, result)) = looked.await else { return };
        watch = same;
        if let Err(error) = result {
            tracing::error!("the logs could not be checked for silence: {error}");
        }
    }
}
