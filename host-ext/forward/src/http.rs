//! A client of Splunk's HTTP Event Collector: one POST for a batch, accepted with status 200.
//!
//! Source: Splunk "Format events for HTTP Event Collector"; HTTP/1.1 of RFC 9112. The connection is closed after each
//! response, so that the client needs to understand little more than a status line.

use std::fmt;
use std::io::{Read as _, Write as _};

use zeroize::Zeroizing;

use crate::connection::Connection;
use crate::delivery::DeliveryError;
use crate::target::Address;
use crate::tls::Tls;

/// Longest response that is read.
const ANSWER_MAX_BYTES: usize = 16 * 1024;
/// Characters of it that are shown.
const SHOWN_MAX_CHARS: usize = 200;

/// An event collector and the token for it.
pub struct Collector {
    address: Address,
    path: String,
    tls: Option<Tls>,
    token: Zeroizing<String>,
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Collector({}{})", self.address, self.path)
    }
}

/// A token contains characters that a header must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token is empty or contains white space. Copy it again from the collector's settings")]
pub struct TokenError;

impl Collector {
    /// `path` begins with a slash.
    pub fn new(
        address: Address,
        path: String,
        tls: Option<Tls>,
        token: Zeroizing<String>,
    ) -> Result<Self, TokenError> {
        let usable = !token.is_empty() && token.len() <= 256 && token.bytes().all(|b| b.is_ascii_graphic());
        if usable { Ok(Self { address, path, tls, token }) } else { Err(TokenError) }
    }

    /// Returns once the collector has accepted all events.
    pub(crate) fn post(&self, events: &[String]) -> Result<(), DeliveryError> {
        let broken = |source| DeliveryError::Broken { address: self.address.to_string(), source };
        let mut connection = Connection::open(&self.address, self.tls.as_ref())?;
        let body = events.join("\n");
        let head = Zeroizing::new(format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nAuthorization: Splunk {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            self.path,
            self.address,
            self.token.as_str(),
            body.len()
        ));
        connection.write_all(head.as_bytes()).map_err(broken)?;
        connection.write_all(body.as_bytes()).map_err(broken)?;
        connection.flush().map_err(broken)?;
        let mut answer = Vec::new();
        let mut part = [0; 1024];
        while !is_whole(&answer) && answer.len() < ANSWER_MAX_BYTES {
            match connection.read(&mut part) {
                Ok(0) => break,
                Ok(count) => answer.extend_from_slice(part.get(..count).unwrap_or_default()),
                // Many servers end TLS without `close_notify`; the response decides, not how the connection ended.
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
                Err(error) => return Err(broken(error)),
            }
        }
        judge(&answer)
    }
}

/// Header and body, if the header is complete.
fn split(answer: &str) -> Option<(&str, &str)> {
    answer.split_once("\r\n\r\n")
}

/// Whether the header and the announced content have arrived.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = split(&text) else { return false };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok()).flatten()
    });
    length.is_some_and(|length| body.len() >= length)
}

fn judge(answer: &[u8]) -> Result<(), DeliveryError> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = split(&text).ok_or(DeliveryError::NotHttp)?;
    let mut words = head.split(' ');
    let version = words.next().unwrap_or_default();
    let status = words.next().and_then(|word| word.get(..3)).and_then(|word| word.parse::<u16>().ok());
    let Some(status) = status.filter(|_| version.starts_with("HTTP/1.")) else {
        return Err(DeliveryError::NotHttp);
    };
    if status == 200 {
        return Ok(());
    }
    let advice = match status {
        401 | 403 => "Set the collector's token in SUDARE_HEC_TOKEN, and check that it is enabled",
        404 => "Check the path in --to; usually it is /services/collector",
        _ => "The events are sent again",
    };
    let shown = |c: &char| c.is_ascii_graphic() || *c == ' ';
    let text = body.chars().filter(shown).take(SHOWN_MAX_CHARS).collect();
    Err(DeliveryError::Refused { status, text, advice })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_complete_response_of_200_accepts() {
        assert!(judge(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n{\"code\":0}").is_ok());
        let refused =
            judge(b"HTTP/1.1 403 Forbidden\r\n\r\n{\"text\":\"Invalid token\",\"code\":4}").unwrap_err();
        assert!(refused.to_string().contains("SUDARE_HEC_TOKEN"), "{refused}");
        for odd in [
            &b""[..],
            b"HTTP/1.1 200 OK\r\nA: b",
            b"220 smtp.example\r\n\r\n",
            b"HTTP/1.1 2\r\n\r\n",
            b"\xff\r\n\r\n",
        ] {
            assert!(matches!(judge(odd), Err(DeliveryError::NotHttp)), "{odd:?}");
        }
    }

    #[test]
    fn reading_ends_with_the_announced_content() {
        assert!(is_whole(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab"));
        assert!(!is_whole(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na"));
        assert!(!is_whole(b"HTTP/1.1 200 OK\r\n\r\nabc"));
    }

    #[test]
    fn a_token_cannot_add_a_header_and_is_not_shown() {
        let address = Address { host: "h".into(), port: 1 };
        let collector = |token: &str| {
            Collector::new(address.clone(), "/x".into(), None, Zeroizing::new(token.to_owned()))
        };
        assert_eq!(collector("a\r\nX: y").unwrap_err(), TokenError);
        assert!(collector("").is_err());
        assert!(!format!("{:?}", collector("secret-token").unwrap()).contains("secret"));
    }
}
