//! One line for the system's log (RFC 3164, as syslog(3) writes it), for a program without a terminal.

use std::os::unix::net::UnixDatagram;

const SOCKET: &str = "/dev/log";
/// Facility authpriv (10), severity err (3).
const PRIORITY: u8 = 10 * 8 + 3;
const TEXT_MAX_CHARS: usize = 800;

/// Writes the line if there is a log; nothing depends on it.
pub fn error(text: &str) {
    let sent = UnixDatagram::unbound().and_then(|socket| {
        socket.set_nonblocking(true)?;
        socket.send_to(line(text, std::process::id()).as_bytes(), SOCKET)
    });
    if let Err(error) = sent {
        tracing::debug!(%error, "the system log cannot be reached");
    }
}

fn line(text: &str, pid: u32) -> String {
    let text: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TEXT_MAX_CHARS).collect();
    format!("<{PRIORITY}>sudare-sign-in[{pid}]: {text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_one_bounded_line() {
        assert_eq!(line("no\nway", 7), "<83>sudare-sign-in[7]: no way");
        assert!(line(&"x".repeat(9_000), 7).len() < 1_000);
    }
}
