//! One small POST, bounded in time and size, for requests to witnesses and time-stamp services.

use std::time::Duration;

use sudare_evidence::timetoken::MAX_ANSWER_BYTES;
use thiserror::Error;

const CONNECT_TIMEOUT_S: u64 = 5;
const TIMEOUT_S: u64 = 15;

/// No usable response.
#[derive(Debug, Error)]
pub enum HttpError {
    /// The client could not be set up, or the address is not valid.
    #[error(
        "the address or the TLS settings are not valid: {0}. Give a complete URL that begins with http or https"
    )]
    Setup(reqwest::Error),
    /// No connection, no response, or it broke off.
    #[error("{url}: {detail}. Check that it is running and reachable from here")]
    Unreachable {
        /// Where.
        url: String,
        /// What the system said.
        detail: String,
    },
    /// The response is too long.
    #[error(
        "{0} answered with more than {MAX_ANSWER_BYTES} bytes. Check that the address is the right service's"
    )]
    TooLong(String),
}

/// A client for occasional requests. It follows no redirects and ignores proxies of the environment: only the configured
/// service is contacted.
#[derive(Clone, Debug)]
pub struct Http(reqwest::Client);

/// A response, whatever its status.
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
        // An error only means that another part of the program has installed one already.
        drop(tokio_rustls::rustls::crypto::ring::default_provider().install_default());
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(CONNECT_TIMEOUT_S))
            .timeout(Duration::from_secs(TIMEOUT_S))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build();
        client.map(Self).map_err(HttpError::Setup)
    }

    /// Sends a body and reads the response.
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
