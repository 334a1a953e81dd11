//! A client of Splunk's HTTP Event Collector: one POST for a batch, accepted with status 200 and `"code":0`.
//!
//! Source: Splunk "Format events for HTTP Event Collector"; HTTP/1.1 of RFC 9112. The status alone proves nothing: a proxy
//! or a log-on page answers 200, too. We ask for the connection to be closed after each response; it may be kept all the
//! same, so its length is understood in every form.

use std::fmt;
use std::io::{self, Read, Write as _};
use std::time::Duration;

use sudare_base::clock;
use zeroize::Zeroizing;

use crate::connection::Connection;
use crate::delivery::DeliveryError;
use crate::target::Address;
use crate::tls::Tls;

/// Longest response that is read.
const ANSWER_MAX_BYTES: usize = 16 * 1024;
/// Longest time for all of it; each read has its own limit besides.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
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
        judge(&read_answer(&mut connection).map_err(broken)?)
    }
}

/// Until the response is complete, the connection ends, or it has taken too long.
fn read_answer(connection: &mut impl Read) -> io::Result<Vec<u8>> {
    let begun = clock::monotonic();
    let mut answer = Vec::new();
    let mut part = [0; 1024];
    while body(&answer).is_none_or(|body| !body.whole) && answer.len() < ANSWER_MAX_BYTES {
        if clock::monotonic().saturating_sub(begun) > ANSWER_TIMEOUT {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "its answer did not end in time"));
        }
        match connection.read(&mut part) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(part.get(..count).unwrap_or_default()),
            // Many servers end TLS without `close_notify`; the response decides, not how the connection ended.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
    }
    Ok(answer)
}

/// A response's content, as far as it has come.
#[derive(Debug, PartialEq, Eq)]
struct Body {
    content: Vec<u8>,
    /// Whether that is all of it. Without an announced length only the end of the connection tells.
    whole: bool,
}

/// The head of the final response, and what follows it, if the head is complete.
fn split(answer: &[u8]) -> Option<(String, &[u8])> {
    let at = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let (head, rest) = (answer.get(..at)?, answer.get(at + 4..)?);
    let head = String::from_utf8_lossy(head).into_owned();
    // 100 Continue and the like come before it.
    if status(&head).is_some_and(|status| (100..200).contains(&status)) {
        split(rest)
    } else {
        Some((head, rest))
    }
}

fn body(answer: &[u8]) -> Option<Body> {
    let (head, rest) = split(answer)?;
    let header = |wanted: &str| {
        head.lines().skip(1).find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(wanted).then(|| value.trim().to_ascii_lowercase())
        })
    };
    if header("transfer-encoding").is_some_and(|coding| coding.ends_with("chunked")) {
        return Some(unchunk(rest));
    }
    let length = header("content-length").and_then(|length| length.parse::<usize>().ok());
    let whole = match length {
        Some(length) => rest.len() >= length,
        // Then the end of the connection tells; but some keep it.
        None => serde_json::from_slice::<serde_json::Map<_, serde_json::Value>>(rest).is_ok(),
    };
    Some(Body { content: rest.to_vec(), whole })
}

/// RFC 9112, section 7.1: length in hexadecimal, perhaps an extension, data; a length of 0 is the end.
fn unchunk(mut rest: &[u8]) -> Body {
    let mut content = Vec::new();
    while let Some(end) = rest.windows(2).position(|bytes| bytes == b"\r\n") {
        let line = String::from_utf8_lossy(rest.get(..end).unwrap_or_default());
        let length = line.split(';').next().unwrap_or_default().trim();
        // Nobody can say where one of no length ends: nothing more is read.
        let Ok(length) = usize::from_str_radix(length, 16) else { return Body { content, whole: true } };
        if length == 0 {
            return Body { content, whole: true };
        }
        let data = rest.get(end + 2..).unwrap_or_default();
        content.extend_from_slice(data.get(..length.min(data.len())).unwrap_or_default());
        let Some(next) = length.checked_add(2).and_then(|length| data.get(length..)) else { break };
        rest = next;
    }
    Body { content, whole: false }
}

fn status(head: &str) -> Option<u16> {
    let mut words = head.split([' ', '\r']);
    let version = words.next().unwrap_or_default();
    let status = words.next()?.get(..3)?.parse().ok()?;
    version.starts_with("HTTP/1.").then_some(status)
}

fn judge(answer: &[u8]) -> Result<(), DeliveryError> {
    let (head, _) = split(answer).ok_or(DeliveryError::NotHttp)?;
    let status = status(&head).ok_or(DeliveryError::NotHttp)?;
    let content = body(answer).map(|body| body.content).unwrap_or_default();
    let code = serde_json::from_slice::<serde_json::Value>(&content).ok();
    let code = code.as_ref().and_then(|answer| answer.get("code")).and_then(serde_json::Value::as_i64);
    if (status, code) == (200, Some(0)) {
        return Ok(());
    }
    let advice = match (status, code) {
        // Those of Splunk's "HTTP Event Collector error codes".
        (_, Some(10 | 11)) => "Add a channel to --to: ?channel=, and a GUID of your own",
        (200, _) => {
            "That is no collector, which answers with a code of 0: check the address and path in --to, and what is in \
             between"
        }
        (401 | 403, _) => "Set the collector's token in SUDARE_HEC_TOKEN, and check that it is enabled",
        (404, _) => "Check the path in --to; usually it is /services/collector",
        _ => "The events are sent again",
    };
    let shown = |c: &char| c.is_ascii_graphic() || *c == ' ';
    let text = String::from_utf8_lossy(&content).chars().filter(shown).take(SHOWN_MAX_CHARS).collect();
    Err(DeliveryError::Refused { status, text, advice })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_complete_response_of_200_with_the_code_0_accepts() {
        assert!(judge(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n{\"text\":\"Success\",\"code\":0}").is_ok());
        let early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n{\"code\":0,\"ackId\":7}";
        assert!(judge(early).is_ok());
        let refused =
            judge(b"HTTP/1.1 403 Forbidden\r\n\r\n{\"text\":\"Invalid token\",\"code\":4}").unwrap_err();
        assert!(refused.to_string().contains("SUDARE_HEC_TOKEN"), "{refused}");
        let channel = judge(b"HTTP/1.1 400 Bad\r\n\r\n{\"text\":\"missing\",\"code\":10}").unwrap_err();
        assert!(channel.to_string().contains("?channel="), "{channel}");
        for page in [
            &b"HTTP/1.1 200 OK\r\n\r\n<html><title>Log on</title></html>"[..],
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n{}",
            b"HTTP/1.1 200 OK\r\n\r\n{\"code\":\"0\"}",
            b"HTTP/1.1 200 OK\r\n\r\n{\"code\":9}",
            b"HTTP/1.1 200 OK\r\n\r\n{\"code\":0",
            b"HTTP/1.1 204 No Content\r\n\r\n",
            b"HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n{\"code\":0}",
        ] {
            assert!(matches!(judge(page), Err(DeliveryError::Refused { .. })), "{page:?}");
        }
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
        let whole = |answer: &[u8]| body(answer).is_some_and(|body| body.whole);
        assert!(whole(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab"));
        assert!(!whole(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na"));
        assert!(!whole(b"HTTP/1.1 200 OK\r\n\r\nabc") && !whole(b"HTTP/1.1 200 OK\r\n"));
    }

    #[test]
    fn chunks_are_one_content_however_they_come() {
        let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\n{\"cod\r\n4\r\ne\":0\r\n1\r\n}\r\n0\r\n\r\n";
        let all = body(answer).unwrap();
        assert_eq!((all.content.as_slice(), all.whole), (&b"{\"code\":0}"[..], true));
        judge(answer).unwrap();
        // Cut anywhere before the last chunk, it is not whole, and what is read never grows beyond what came.
        for end in 0..answer.len() - 4 {
            let cut = body(&answer[..end]);
            assert!(cut.is_none_or(|body| !body.whole && body.content.len() <= 10), "{end}");
        }
        let absurd = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nab";
        assert!(body(absurd).is_some_and(|body| !body.whole && body.content == b"ab"));
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
