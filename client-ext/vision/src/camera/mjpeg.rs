//! A live stream of concatenated JPEGs from a FIFO or a file, as `ffmpeg -f mjpeg` writes it.
//!
//! A FIFO is paced by its writer. A regular file is played at [`super::spec::DEFAULT_FPS`] and then counts as
//! unplugged, as a FIFO does when its writer ends.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::live::{Device, Encoded, Live, Mailbox, Wish};
use super::spec::DEFAULT_FPS;
use super::{CameraFault, Clock, jpeg};

/// If this many bytes hold no whole JPEG, it is not an MJPEG stream.
const MAX_PICTURE_BYTES: usize = 8 * 1024 * 1024;
const READ_BYTES: usize = 64 * 1024;

/// Prepares the stream; a FIFO without a writer is a stall, not an error here.
///
/// # Errors
/// The path does not exist or may not be read.
pub fn open(path: &Path, clock: Clock) -> Result<Live<Stream>, CameraFault> {
    std::fs::metadata(path).map_err(|e| CameraFault::from_io(&path.display().to_string(), &e))?;
    Ok(Live::new(Stream { path: path.to_owned() }, clock))
}

/// See the module text.
#[derive(Debug)]
pub struct Stream {
    path: PathBuf,
}

impl Device for Stream {
    fn name(&self) -> String {
        format!("mjpeg:{}", self.path.display())
    }

    fn capture(&self, mailbox: &Mailbox) -> CameraFault {
        self.play(mailbox).err().unwrap_or_else(|| CameraFault::Unplugged { what: self.name() })
    }
}

impl Stream {
    fn play(&self, mailbox: &Mailbox) -> Result<(), CameraFault> {
        let fault = |e: std::io::Error| CameraFault::from_io(&self.name(), &e);
        let mut file = File::open(&self.path).map_err(fault)?;
        let gap = file
            .metadata()
            .map_err(fault)?
            .is_file()
            .then(|| Duration::from_millis(1000 / u64::from(DEFAULT_FPS)));
        let mut splitter = Splitter::default();
        let mut chunk = vec![0; READ_BYTES];
        loop {
            let count = file.read(&mut chunk).map_err(fault)?;
            if count == 0 {
                return Ok(());
            }
            splitter.push(chunk.get(..count).unwrap_or_default());
            while let Some(picture) = splitter.next_picture() {
                if mailbox.put(Encoded::Jpeg(picture)) == Wish::Stop {
                    return Ok(());
                }
                if let Some(gap) = gap {
                    std::thread::sleep(gap);
                }
            }
            if splitter.buffer.len() > MAX_PICTURE_BYTES {
                let detail = "the stream contains no JPEG pictures".to_owned();
                return Err(CameraFault::Driver { what: self.name(), detail });
            }
        }
    }
}

/// Cuts a byte stream into JPEGs.
#[derive(Debug, Default)]
struct Splitter {
    buffer: Vec<u8>,
}

impl Splitter {
    fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole picture. Other bytes are dropped up to the next start marker.
    fn next_picture(&mut self) -> Option<Vec<u8>> {
        loop {
            match jpeg::end_of_picture(&self.buffer) {
                Ok(Some(end)) => {
                    let rest = self.buffer.split_off(end);
                    return Some(std::mem::replace(&mut self.buffer, rest));
                }
                Ok(None) => return None,
                Err(_) => {
                    let start = self.buffer.windows(3).skip(1).position(|w| w == [0xFF, 0xD8, 0xFF]);
                    // Without a start marker, the last bytes may still be the beginning of one.
                    let drop_to = start.map_or(self.buffer.len().saturating_sub(2).max(1), |at| at + 1);
                    self.buffer.drain(..drop_to.min(self.buffer.len()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::FrameSource as _;
    use crate::camera::jpeg::tests::gradient;
    use crate::testing::boottime_ms;

    #[test]
    fn a_stream_is_cut_into_its_pictures_whatever_the_chunks() {
        let pictures: Vec<_> = (16..20).map(|w| gradient(w, 8)).collect();
        let bytes = [&b"noise"[..], &pictures.concat(), b"\xFF"].concat();
        for chunk in [1, 2, 3, 1000, bytes.len()] {
            let mut splitter = Splitter::default();
            let mut seen = Vec::new();
            for part in bytes.chunks(chunk) {
                splitter.push(part);
                seen.extend(std::iter::from_fn(|| splitter.next_picture()));
            }
            assert_eq!(seen, pictures, "chunks of {chunk}");
        }
    }

    #[test]
    fn a_file_plays_and_is_then_unplugged() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("feed");
        std::fs::write(&path, (16..20).flat_map(|w| gradient(w, 8)).collect::<Vec<_>>()).unwrap();
        let mut live = open(&path, boottime_ms).unwrap();
        let widths: Vec<_> = std::iter::from_fn(|| live.next_frame().ok()).map(|f| f.width).collect();
        assert!(widths.len() >= 3 && widths.is_sorted(), "{widths:?}");
        let missing = open(&dir.path().join("none"), boottime_ms).err();
        assert!(matches!(missing, Some(CameraFault::NotFound { .. })));
    }
}
