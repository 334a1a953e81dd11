//! One small POST, bounded in time and size: what witnesses and time-stamp services are asked with.

use std::time::Duration;

use sudare_evidence::timetoken::MAX_ANSWER_BYTES;
use thiserror::Error;

const CONNECT_TIMEOUT_S: u64 = 5;
const TIMEOUT_S: u64 = 15;

/// Nothing came back that could be judged.
#[derive(Debug, Error)]
pub enum HttpError {
    /// The client could not be made, or the address is none.
    #[error(
        "the address or the TLS settings cannot be used: {0}. Give a whole URL, beginning with http or https"
    )]
    Setup(reqwest::Error),
    /// No connection, no answer, or it broke off.
    #[error("{url}: {detail}. Is it running, and is the way to it open?")]
    Unreachable {
        /// Where.
        url: String,
        /// What the system said.
        detail: String,
    },
    /// Too much came back.
    #[error("{0} answered with more than {MAX_ANSWER_BYTES} bytes. This is not the service that was meant.")]
    TooLong(String),
}

/// A client for a few requests now and then. It follows no redirects and uses no proxy of the
/// environment: whom it asks is a setting.
#[derive(Clone, Debug)]
pub struct Http(reqwest::Client);

/// What came back, whatever its status.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Media type, if one was given.
    pub content_type: Option<String>,
    /// At most [`MAX_ANSWER_BYTES`].
    pub body: Vec<u8>,
}

impl Http {
    /// TLS trusts what the operating system trusts.
    pub fn new() -> Result<Self, HttpError> {
        // An error only says that another part of the program has chosen already.
        drop(tokio_rustls::rustls::crypto::ring::default_provider().install_default());
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(CONNECT_TIMEOUT_S))
            .timeout(Duration::from_secs(TIMEOUT_S))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build();
        client.map(Self).map_err(HttpError::Setup)
    }

    /// Sends a body and reads the answer.
    pub async fn post(&self, url: &str, media: &str, body: Vec<u8>) -> Result<Reply, HttpError> {
        let unreachable = |error: reqwest::Error| {
            // The chain tells "connection refused" from "unknown host"; the URL would repeat itself.
            let error = error.without_url();
            let mut detail = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                detail = format!("{detail}: {cause}");
                source = cause.source();
            }
            HttpError::Unreachable { url: url.to_owned(), detail }
        };
        let request = self.0.post(url).header("content-type", media).body(body);
        let mut response = request.send().await.map_err(unreachable)?;
        let content_type = response.headers().get("content-type").and_then(|value| value.to_str().ok());
        let mut reply = Reply {
            status: response.status().as_u16(),
            content_type: content_type.map(str::to_owned),
            body: vec![],
        };
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if reply.body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(HttpError::TooLong(url.to_owned()));
            }
            reply.body.extend_from_slice(&chunk);
        }
        Ok(reply)
    }
}
