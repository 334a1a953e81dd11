//! An open channel: bytes in both directions, each on a task of its own.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

/// chansrv forwards at most this much at a time.
const READ_BYTES: usize = 32 * 1024;
/// Blocks that wait for the guard; then chansrv has to wait, and the client with it.
const READS_MAX: usize = 16;
/// Messages that wait for chansrv. The protocol's credits keep the client's side far below.
const WRITES_MAX: usize = 64;

/// Dropping it closes the channel.
#[derive(Debug)]
pub(super) struct Channel {
    reads: mpsc::Receiver<Vec<u8>>,
    writes: mpsc::Sender<Vec<u8>>,
}

impl Channel {
    pub(super) fn start(stream: UnixStream) -> Self {
        let (reader, writer) = stream.into_split();
        let (reads_in, reads) = mpsc::channel(READS_MAX);
        let (writes, writes_out) = mpsc::channel(WRITES_MAX);
        tokio::spawn(read(reader, reads_in));
        tokio::spawn(write(writer, writes_out));
        Channel { reads, writes }
    }

    /// The next bytes; `None` when the channel is gone.
    pub(super) async fn next(&mut self) -> Option<Vec<u8>> {
        self.reads.recv().await
    }

    /// Sends a message, or gives the channel up: one that takes nothing is as good as gone.
    pub(super) fn send(&self, bytes: Vec<u8>) {
        if self.writes.try_send(bytes).is_err() {
            tracing::warn!("the channel takes no messages; the client's lease ends by itself");
        }
    }
}

async fn read(mut reader: OwnedReadHalf, reads: mpsc::Sender<Vec<u8>>) {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let taken = tokio::select! {
            taken = reader.read(&mut buffer) => taken,
            () = reads.closed() => return,
        };
        match taken {
            Ok(0) | Err(_) => return,
            Ok(n) => {
                if reads.send(buffer[..n].to_vec()).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn write(mut writer: OwnedWriteHalf, mut writes: mpsc::Receiver<Vec<u8>>) {
    while let Some(bytes) = writes.recv().await {
        if let Err(error) = writer.write_all(&bytes).await {
            // The reader sees the end as well, and tells it.
            tracing::debug!(%error, "the channel is gone");
            return;
        }
    }
}
