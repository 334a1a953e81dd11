//! One side of a connection: frames come in, and one block at a time goes out.

use std::io;

use socket2::SockRef;
use sudare_relay::error::Fault;
use sudare_relay::frames::Frames;
use sudare_relay::live::Mark;
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader, ReadHalf, WriteHalf,
};
use tokio::net::TcpStream;

use crate::limits::{READ_BYTES, TLS_READ_BYTES, UNSENT_BYTES};

/// Sends at once, and lets little wait in the kernel: a cover would wait behind it.
pub(crate) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_BYTES)
}

/// What TLS stands on: whole records are read at once, and what is written goes straight through.
pub(crate) fn below_tls<S: AsyncRead>(stream: S) -> BufReader<S> {
    BufReader::with_capacity(TLS_READ_BYTES, stream)
}

/// Both directions of one side.
pub(crate) struct Leg<S> {
    pub(crate) input: Input<ReadHalf<S>>,
    pub(crate) output: Output<WriteHalf<S>>,
}

impl<S: AsyncRead + AsyncWrite> Leg<S> {
    pub(crate) fn new(stream: S) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self { input: Input::new(reader), output: Output::new(writer) }
    }

    /// The stream again. What waits is forgotten.
    pub(crate) fn into_stream(self) -> S
    where
        S: Unpin,
    {
        self.input.reader.unsplit(self.output.writer)
    }
}

/// What one side sends.
pub(crate) struct Input<R> {
    reader: R,
    buffer: Box<[u8]>,
    frames: Frames,
}

impl<R: AsyncRead + Unpin> Input<R> {
    fn new(reader: R) -> Self {
        Self { reader, buffer: vec![0; READ_BYTES].into_boxed_slice(), frames: Frames::default() }
    }

    /// Reads once; false at the end of the stream. Cancel safe. Take all frames before the next call.
    pub(crate) async fn read(&mut self) -> io::Result<Result<bool, Fault>> {
        let count = match self.reader.read(&mut self.buffer).await {
            Ok(count) => count,
            // A peer that goes without TLS's goodbye, as many do.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
            Err(error) => return Err(error),
        };
        let read = self.buffer.get(..count).unwrap_or_default();
        Ok(self.frames.push(read).map(|()| count > 0))
    }

    /// Reads to the end and forgets it.
    pub(crate) async fn drain(&mut self) {
        while self.reader.read(&mut self.buffer).await.is_ok_and(|count| count > 0) {}
    }

    /// The next whole frame of what was read.
    pub(crate) fn frame(&mut self) -> Result<Option<&[u8]>, Fault> {
        self.frames.take()
    }
}

/// Bytes that were taken from the relay, and so can be covered no more.
#[derive(Debug)]
struct Block {
    bytes: Vec<u8>,
    written: usize,
    mark: Option<Mark>,
    /// When the peer last took some of it.
    progress_ms: u64,
}

/// What one side gets.
pub(crate) struct Output<W> {
    writer: W,
    block: Option<Block>,
}

impl<W: AsyncWrite + Unpin> Output<W> {
    fn new(writer: W) -> Self {
        Self { writer, block: None }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.block.is_none()
    }

    /// Makes this the block in flight; only while idle.
    pub(crate) fn start(&mut self, bytes: Vec<u8>, mark: Option<Mark>, now_ms: u64) {
        self.block = Some(Block { bytes, written: 0, mark, progress_ms: now_ms });
    }

    /// Writes and flushes the block in flight, and gives its mark. Cancel safe. Waits for ever while idle.
    pub(crate) async fn write(&mut self, now_ms: impl Fn() -> u64) -> io::Result<Option<Mark>> {
        let Some(block) = &mut self.block else { return std::future::pending().await };
        while let Some(rest) = block.bytes.get(block.written..).filter(|rest| !rest.is_empty()) {
            let count = self.writer.write(rest).await?;
            if count == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            block.written = block.written.saturating_add(count);
            block.progress_ms = now_ms();
        }
        self.writer.flush().await?;
        Ok(self.block.take().and_then(|block| block.mark))
    }

    /// Whether the peer has taken nothing for longer than this.
    pub(crate) fn is_stalled(&self, now_ms: u64, limit_ms: u64) -> bool {
        self.block.as_ref().is_some_and(|block| now_ms.saturating_sub(block.progress_ms) > limit_ms)
    }

    /// Writes these bytes before anything else; not while a block is in flight.
    pub(crate) async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes).await?;
        self.writer.flush().await
    }

    /// Says that nothing more comes.
    pub(crate) async fn shutdown(&mut self) -> io::Result<()> {
        self.writer.shutdown().await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_cancelled_write_goes_on_where_it_stopped() {
        let (near, mut far) = tokio::io::duplex(10);
        let mut leg = Leg::new(near);
        let bytes: Vec<u8> = (0..100).collect();
        leg.output.start(bytes.clone(), None, 0);
        let mut got = Vec::new();
        while got.len() < 100 {
            let mut part = [0; 7];
            tokio::select! {
                biased;
                _ = leg.output.write(|| 0) => {}
                () = tokio::task::yield_now() => {}
            }
            let count = far.read(&mut part).await.unwrap();
            got.extend_from_slice(&part[..count]);
        }
        assert_eq!(got, bytes);
    }

    #[tokio::test]
    async fn a_peer_that_takes_a_little_has_not_stopped_and_one_that_takes_nothing_has() {
        let (near, mut far) = tokio::io::duplex(10);
        let mut leg = Leg::new(near);
        leg.output.start(vec![0; 100], None, 7);
        let wait = Duration::from_millis(20);
        timeout(wait, leg.output.write(|| 7)).await.unwrap_err();
        assert!(!leg.output.is_stalled(1_007, 1_000) && leg.output.is_stalled(1_008, 1_000));
        far.read_exact(&mut [0; 10]).await.unwrap();
        timeout(wait, leg.output.write(|| 1_500)).await.unwrap_err();
        assert!(!leg.output.is_stalled(2_500, 1_000));
    }

    #[tokio::test]
    async fn frames_come_whole_and_the_end_is_told() {
        let (near, mut far) = tokio::io::duplex(64);
        let mut leg = Leg::new(near);
        let frame = [3, 0, 0, 7, 2, 0xF0, 0x80];
        far.write_all(&frame[..3]).await.unwrap();
        assert_eq!(leg.input.read().await.unwrap(), Ok(true));
        assert_eq!(leg.input.frame(), Ok(None));
        far.write_all(&frame[3..]).await.unwrap();
        drop(far);
        assert_eq!(leg.input.read().await.unwrap(), Ok(true));
        assert_eq!(leg.input.frame(), Ok(Some(&frame[..])));
        assert_eq!(leg.input.read().await.unwrap(), Ok(false));
    }
}
