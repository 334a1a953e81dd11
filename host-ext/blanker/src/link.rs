//! The guard's end: messages over standard input, which is a connected socket.
//!
//! Never waits: a guard that is slow to take a picture must not hold up the next cover.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use sudare_blanker::wire::{MESSAGE_MAX_BYTES, Reply, Request, checked_length};

/// Read at once; a picture for a whole screen takes several turns, between which X is served.
const READ_MAX_BYTES: usize = 4 << 20;
/// A guard that lets more than this wait has stopped reading, which is as good as gone.
const UNSENT_MAX_BYTES: usize = 2 * MESSAGE_MAX_BYTES;
/// Messages of a few bytes that may wait while a picture is sent.
const UNSENT_MAX_MESSAGES: usize = 1024;

pub(crate) struct Link {
    socket: std::io::Stdin,
    incoming: Incoming,
    unsent: VecDeque<Vec<u8>>,
    unsent_bytes: usize,
    /// Bytes of the first unsent message that are already gone.
    sent: usize,
    open: bool,
}

impl Link {
    pub(crate) fn on_standard_input() -> Self {
        let (incoming, unsent) = (Incoming::default(), VecDeque::new());
        Self { socket: std::io::stdin(), incoming, unsent, unsent_bytes: 0, sent: 0, open: true }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    pub(crate) fn has_unsent(&self) -> bool {
        self.open && !self.unsent.is_empty()
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Tells the guard that nothing more will come.
    pub(crate) fn close(&mut self) {
        self.flush();
        self.open = false;
        // It may have gone already.
        shutdown(&self.socket, Shutdown::Both).ok();
    }

    /// What the guard has asked for until now. Its end, or a message that cannot be read, closes
    /// the link.
    pub(crate) fn receive(&mut self) -> Vec<Request> {
        let mut requests = Vec::new();
        let mut read = 0;
        let mut buffer = vec![0; 256 << 10];
        while self.open && read < READ_MAX_BYTES {
            match recv(&self.socket, &mut buffer[..], RecvFlags::DONTWAIT) {
                Ok((_, 0)) => self.open = false,
                Ok((_, length)) => {
                    read += length;
                    self.incoming.bytes.extend_from_slice(buffer.get(..length).unwrap_or_default());
                    self.open = self.incoming.parse(&mut requests);
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(_) => self.open = false,
            }
        }
        requests
    }

    pub(crate) fn send(&mut self, reply: &Reply) {
        if !self.open {
            return;
        }
        let message = reply.to_bytes();
        self.unsent_bytes += message.len();
        self.unsent.push_back(message);
        self.flush();
        if self.unsent_bytes > UNSENT_MAX_BYTES || self.unsent.len() > UNSENT_MAX_MESSAGES {
            self.open = false;
        }
    }

    /// Sends what the guard takes now.
    pub(crate) fn flush(&mut self) {
        while let Some(message) = self.unsent.front().filter(|_| self.open) {
            let rest = message.get(self.sent..).unwrap_or_default();
            match send(&self.socket, rest, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(length) if length == rest.len() => {
                    self.unsent_bytes -= message.len();
                    self.sent = 0;
                    self.unsent.pop_front();
                }
                Ok(length) => self.sent += length,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => self.open = false,
            }
        }
    }
}

#[derive(Default)]
struct Incoming {
    bytes: Vec<u8>,
}

impl Incoming {
    /// Takes the whole messages out; false if what came is no message.
    fn parse(&mut self, requests: &mut Vec<Request>) -> bool {
        let mut start = 0;
        while let Some(header) = self.bytes.get(start..).and_then(|rest| rest.first_chunk::<4>()) {
            let Ok(length) = checked_length(*header) else { return false };
            let Some(body) = self.bytes.get(start + 4..start + 4 + length) else { break };
            match Request::from_body(body) {
                Ok(request) => requests.push(request),
                Err(_) => return false,
            }
            start += 4 + length;
        }
        self.bytes.drain(..start);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_in_pieces_become_requests() {
        let bytes = [Request::Uncover { ticket: 1 }, Request::Cover { ticket: 2, picture: true }]
            .map(|r| r.to_bytes());
        let mut incoming = Incoming::default();
        let mut requests = Vec::new();
        for byte in bytes.concat() {
            incoming.bytes.push(byte);
            assert!(incoming.parse(&mut requests));
        }
        assert_eq!(requests, [Request::Uncover { ticket: 1 }, Request::Cover { ticket: 2, picture: true }]);
        assert!(incoming.bytes.is_empty());
    }

    #[test]
    fn nonsense_ends_the_conversation() {
        let mut incoming = Incoming { bytes: vec![255; 8] };
        assert!(!incoming.parse(&mut Vec::new()));
        let mut incoming = Incoming { bytes: vec![1, 0, 0, 0, 99] };
        assert!(!incoming.parse(&mut Vec::new()));
    }
}
