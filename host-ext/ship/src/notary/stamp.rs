//! Times from outside: tokens of a time-stamp service over a checkpoint (RFC 3161).
//!
//! ```text
//! checkpoint's note ──SHA-256──► request (DER, nonce) ──HTTP POST──► service
//!                                <size>.tsr ◄── status, signed token {digest, nonce, time}
//! ```
//! A token proves that the checkpoint existed at that time, by the word of a third party. The stamped data is the
//! checkpoint file itself, so `openssl ts -verify -data checkpoint -in SIZE.tsr -CAfile ca.pem` checks it without us.
//!
//! Here a token is only checked against its *request*: status, digest, nonce. Its signature and certificates are checked
//! by auditors, who know which services they trust; until then nothing is concluded from the time.

use sha2::{Digest as _, Sha256};
use sudare_base::text::excerpt;
use sudare_evidence::timetoken::{self, NONCE_BYTES, Token, TokenError};
use thiserror::Error;

use crate::notary::http::{Http, HttpError};

/// Why there is no token.
#[derive(Debug, Error)]
pub enum StampError {
    /// No answer.
    #[error("the time-stamp service did not answer: {0}")]
    Http(#[from] HttpError),
    /// Not 200.
    #[error("the time-stamp service answered with status {status}: {text}. Check its address")]
    Unexpected {
        /// HTTP status.
        status: u16,
        /// The beginning of its response.
        text: String,
    },
    /// The response is not valid.
    #[error("{0}")]
    Token(#[from] TokenError),
}

/// A response that fits its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamped {
    /// The whole response in DER; store it as `timestamps/<size>.tsr`.
    pub response: Vec<u8>,
    /// The content of its token; the signature is not checked.
    pub token: Token,
}

/// A client of one time-stamp service.
#[derive(Debug)]
pub struct Stamper {
    http: Http,
    url: String,
}

impl Stamper {
    /// `url` is where the service accepts `application/timestamp-query`.
    pub fn new(url: &str) -> Result<Self, StampError> {
        Ok(Self { http: Http::new()?, url: url.to_owned() })
    }

    /// A token over a checkpoint's note; `nonce` must be random.
    pub async fn fetch(&self, note: &[u8], nonce: [u8; NONCE_BYTES]) -> Result<Stamped, StampError> {
        let digest = Sha256::digest(note).into();
        let query = timetoken::request(&digest, nonce)?;
        let reply = self.http.post(&self.url, "application/timestamp-query", query).await?;
        if reply.status != 200 {
            let text = excerpt(&String::from_utf8_lossy(&reply.body));
            return Err(StampError::Unexpected { status: reply.status, text });
        }
        let token = timetoken::parse(&reply.body, &digest, nonce)?;
        Ok(Stamped { response: reply.body, token })
    }
}
