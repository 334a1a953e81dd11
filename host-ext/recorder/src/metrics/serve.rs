//! Answers `GET /metrics`, with bounds on everything: whoever asks must not be able to slow down what keeps evidence.
//!
//! It is less of HTTP than a server of others would be, and all of it is here: one request for each connection, no body,
//! nothing but its first line is looked at.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use sudare_base::clock;

use super::Metrics;
use super::places::{Bound, Caller};
use super::readings::{self, Facts};
use super::text::{self, Page};

/// Callers at the same time; further ones are hung up on.
const CALLERS_MAX: usize = 4;
/// A whole request.
const REQUEST_MAX_BYTES: usize = 4 * 1024;
/// For all of a request and its answer.
const CALL_MAX_MS: u64 = 2_000;
/// Pause after a caller could not be accepted, which may last, so as not to flood the journal.
const ACCEPT_AGAIN: Duration = Duration::from_secs(1);

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

/// Answers in a thread of its own, as long as the process lives.
///
/// # Errors
/// If there is no thread to be had.
pub fn serve(bound: Bound, metrics: Metrics, facts: Facts) -> io::Result<()> {
    let (callers, facts) = (Arc::new(AtomicUsize::new(0)), Arc::new(facts));
    let accept = move || {
        loop {
            let caller = match bound.accept() {
                Ok(caller) => caller,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept who asks for figures; check the limit for open files");
                    thread::sleep(ACCEPT_AGAIN);
                    continue;
                }
            };
            let Some(turn) = Turn::take(&callers) else { continue };
            let (metrics, facts) = (metrics.clone(), facts.clone());
            let answer = move || {
                let _turn = turn;
                if let Err(error) = call(caller, || page(&metrics, &facts)) {
                    tracing::debug!(%error, "who asked for figures left, or took too long");
                }
            };
            // Without a thread this caller is hung up on.
            drop(thread::Builder::new().name("figures".into()).spawn(answer));
        }
    };
    thread::Builder::new().name("metrics".into()).spawn(accept).map(drop)
}

/// One of the few that may ask at the same time.
struct Turn(Arc<AtomicUsize>);

impl Turn {
    fn take(callers: &Arc<AtomicUsize>) -> Option<Self> {
        let turn = Turn(callers.clone());
        (callers.fetch_add(1, Ordering::SeqCst) < CALLERS_MAX).then_some(turn)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn page(metrics: &Metrics, facts: &Facts) -> String {
    let until_s = [
        ("host-record", facts.host_record_until_s),
        ("policy", facts.policy_until_s),
        ("certificate", readings::certificate_until_s(&facts.certificate)),
    ];
    let page = Page {
        tally: metrics.tally().clone(),
        now_ms: clock::monotonic_ms(),
        disk: readings::disk(&facts.evidence),
        until_s: until_s.into_iter().filter_map(|(what, until_s)| Some((what, until_s?))).collect(),
    };
    // Writing to a string cannot fail.
    text::render(page).unwrap_or_default()
}

/// One request and its answer.
fn call(mut caller: Caller, page: impl FnOnce() -> String) -> io::Result<()> {
    let until_ms = clock::monotonic_ms() + CALL_MAX_MS;
    let head = read_head(&mut caller, until_ms)?;
    let (status, kind, body) = match judge(&head) {
        Asked::Metrics => ("200 OK", OPENMETRICS, page()),
        Asked::Other => ("404 Not Found", PLAIN, "there is nothing but /metrics\n".to_owned()),
        Asked::Not => ("405 Method Not Allowed", PLAIN, "only GET /metrics is answered\n".to_owned()),
        Asked::TooMuch => {
            ("431 Request Header Fields Too Large", PLAIN, "the request is too long\n".to_owned())
        }
    };
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n{body}"
    );
    write_all(&mut caller, answer.as_bytes(), until_ms)
}

/// Up to the empty line that ends a request, or to the bound.
fn read_head(caller: &mut Caller, until_ms: u64) -> io::Result<Vec<u8>> {
    let (mut head, mut piece) = (Vec::new(), [0; 512]);
    while !is_whole(&head) && head.len() <= REQUEST_MAX_BYTES {
        caller.wait_at_most(left(until_ms)?)?;
        let read = caller.read(&mut piece)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        head.extend_from_slice(piece.get(..read).unwrap_or_default());
    }
    Ok(head)
}

fn is_whole(head: &[u8]) -> bool {
    head.windows(4).any(|end| end == b"\r\n\r\n") || head.windows(2).any(|end| end == b"\n\n")
}

fn write_all(caller: &mut Caller, mut bytes: &[u8], until_ms: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        caller.wait_at_most(left(until_ms)?)?;
        let written = caller.write(bytes)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}

fn left(until_ms: u64) -> io::Result<Duration> {
    match until_ms.saturating_sub(clock::monotonic_ms()) {
        0 => Err(io::ErrorKind::TimedOut.into()),
        left => Ok(Duration::from_millis(left)),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Metrics,
    /// Another page.
    Other,
    /// Something else than a page.
    Not,
    TooMuch,
}

fn judge(head: &[u8]) -> Asked {
    if !is_whole(head) {
        return Asked::TooMuch;
    }
    let line = head.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    match (words.next(), words.next(), words.next(), words.next()) {
        (Some(b"GET"), Some(page), Some(version), None) if version.starts_with(b"HTTP/1.") => {
            let path = page.split(|byte| *byte == b'?').next();
            if path == Some(b"/metrics") { Asked::Metrics } else { Asked::Other }
        }
        _ => Asked::Not,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;
    use std::path::PathBuf;
    use std::time::Instant;

    use sudare_base::metrics::MetricsPlace;

    use super::super::places::bind;
    use super::*;

    fn served() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics");
        std::fs::write(&path, "left by a dead recorder").unwrap();
        let bound = bind(&MetricsPlace::Unix(path.clone())).unwrap().unwrap();
        let facts = Facts { evidence: dir.path().to_owned(), ..Facts::default() };
        serve(bound, Metrics::default(), facts).unwrap();
        (dir, path)
    }

    fn ask(path: &PathBuf, request: &[u8]) -> String {
        let mut stream = UnixStream::connect(path).unwrap();
        // It may have hung up before it read all of it.
        drop(stream.write_all(request));
        let mut said = Vec::new();
        drop(stream.read_to_end(&mut said));
        String::from_utf8(said).unwrap()
    }

    #[test]
    fn one_page_is_answered_and_nothing_else() {
        assert_eq!(judge(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), Asked::Metrics);
        assert_eq!(judge(b"GET /metrics?x=1 HTTP/1.0\n\n"), Asked::Metrics);
        for other in ["/", "/metrics/", "/../metrics", "http://h/metrics", ""] {
            assert_eq!(judge(format!("GET {other} HTTP/1.1\r\n\r\n").as_bytes()), Asked::Other, "{other}");
        }
        for not in
            ["POST /metrics HTTP/1.1", "GET /metrics", "GET  /metrics HTTP/1.1", "", "get /metrics HTTP/1.1"]
        {
            assert_eq!(judge(format!("{not}\r\n\r\n").as_bytes()), Asked::Not, "{not}");
        }
        assert_eq!(judge(&[b'x'; REQUEST_MAX_BYTES + 1]), Asked::TooMuch);
    }

    #[test]
    fn the_answer_is_openmetrics_of_the_length_it_says() {
        let (_dir, path) = served();
        let said = ask(&path, b"GET /metrics HTTP/1.1\r\n\r\n");
        let (head, body) = said.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains(OPENMETRICS), "{head}");
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())) && body.ends_with("# EOF\n"));
        let mode = std::fs::metadata(&path).unwrap().permissions();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o660);
        assert!(ask(&path, b"DELETE / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
        assert!(ask(&path, b"GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
        assert!(
            ask(&path, &[b'a'; 3 * REQUEST_MAX_BYTES]).starts_with("HTTP/1.1 431 ")
                || !ask(&path, b"GET /metrics HTTP/1.1\r\n\r\n").is_empty()
        );
    }

    #[test]
    fn who_says_nothing_is_hung_up_on_and_takes_nobodys_place_for_long() {
        let (_dir, path) = served();
        let begun = Instant::now();
        let silent: Vec<UnixStream> = (0..CALLERS_MAX).map(|_| UnixStream::connect(&path).unwrap()).collect();
        let patience = Duration::from_secs(60);
        // While all places are taken, and until they are free again.
        while !ask(&path, b"GET /metrics HTTP/1.1\r\n\r\n").contains("# EOF") {
            assert!(begun.elapsed() < patience, "the silent ones are still there");
            thread::sleep(Duration::from_millis(20));
        }
        for mut stream in silent {
            stream.set_read_timeout(Some(patience)).unwrap();
            assert_eq!(stream.read(&mut [0; 9]).unwrap(), 0);
        }
    }
}
