//! What waits to be written to the client: one block in flight, and a bounded queue of channel messages.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::time::Instant;

use crate::gate::Block;

/// The client must accept one block (a few kilobytes) within this time.
const BLOCK_TIMEOUT: Duration = Duration::from_secs(5);
/// Limit of queued channel messages for a slow client. The protocol's credits keep the queue far below it.
const MAX_QUEUED_BYTES: usize = 1024 * 1024;

#[derive(Default)]
pub(super) struct Outbox {
    in_flight: Option<InFlight>,
    messages: VecDeque<Vec<u8>>,
    queued_bytes: usize,
}

struct InFlight {
    block: Block,
    written: usize,
    since: Instant,
}

impl Outbox {
    /// Queues channel data; returns false if the client is too far behind.
    #[must_use]
    pub(super) fn queue(&mut self, bytes: Vec<u8>) -> bool {
        self.queued_bytes += bytes.len();
        self.messages.push_back(bytes);
        self.queued_bytes <= MAX_QUEUED_BYTES
    }

    pub(super) fn next_message(&mut self) -> Option<Block> {
        let bytes = self.messages.pop_front()?;
        self.queued_bytes = self.queued_bytes.saturating_sub(bytes.len());
        Some(Block { bytes, then: None })
    }

    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_none()
    }

    /// Makes this the block in flight; to be called only while idle.
    pub(super) fn start(&mut self, block: Block, now: Instant) {
        self.in_flight = Some(InFlight { block, written: 0, since: now });
    }

    /// Writes and flushes the block in flight and returns it. Cancel safe: it remembers how much was written. Waits
    /// forever while idle.
    pub(super) async fn write(&mut self, writer: &mut (impl AsyncWrite + Unpin)) -> io::Result<Block> {
        let Some(flight) = &mut self.in_flight else { return std::future::pending().await };
        while let Some(rest) = flight.block.bytes.get(flight.written..).filter(|rest| !rest.is_empty()) {
            let written = writer.write(rest).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            flight.written += written;
        }
        writer.flush().await?;
        match self.in_flight.take() {
            Some(flight) => Ok(flight.block),
            None => std::future::pending().await,
        }
    }

    /// Whether the client has stopped reading.
    pub(super) fn is_stalled(&self, now: Instant) -> bool {
        self.in_flight.as_ref().is_some_and(|flight| now.duration_since(flight.since) > BLOCK_TIMEOUT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;

    #[tokio::test]
    async fn a_cancelled_write_goes_on_where_it_stopped() {
        let (mut near, mut far) = tokio::io::duplex(10);
        let mut outbox = Outbox::default();
        let bytes: Vec<u8> = (0..100).collect();
        outbox.start(Block { bytes: bytes.clone(), then: None }, Instant::now());
        let mut got = Vec::new();
        while got.len() < 100 {
            let mut part = [0; 7];
            tokio::select! {
                biased;
                _ = outbox.write(&mut near) => {}
                () = tokio::task::yield_now() => {}
            }
            let n = far.read(&mut part).await.unwrap();
            got.extend_from_slice(&part[..n]);
        }
        assert_eq!(got, bytes);
    }

    #[tokio::test]
    async fn a_client_that_stops_reading_is_noticed() {
        let (mut near, _far) = tokio::io::duplex(10);
        let mut outbox = Outbox::default();
        let start = Instant::now();
        outbox.start(Block { bytes: vec![0; 100], then: None }, start);
        let blocked = tokio::time::timeout(Duration::from_millis(20), outbox.write(&mut near)).await;
        assert!(blocked.is_err());
        assert!(!outbox.is_stalled(start + BLOCK_TIMEOUT));
        assert!(outbox.is_stalled(start + BLOCK_TIMEOUT + Duration::from_millis(1)));
    }

    #[test]
    fn the_queue_is_bounded() {
        let mut outbox = Outbox::default();
        assert!(outbox.queue(vec![0; MAX_QUEUED_BYTES]));
        assert!(!outbox.queue(vec![0]));
        outbox.next_message();
        assert!(outbox.queue(vec![0]));
    }
}
