//! Common to films of every format: media time, and thinning to fewer frames a second.

use sudare_client_core::frame::Frame;

use super::{CameraFault, FrameSource, SourceOptions};

/// One film format.
pub trait FilmReader: Send {
    /// One line for people.
    fn describe(&self) -> String;
    /// Frames per second as numerator and denominator, both above zero.
    fn rate(&self) -> (u32, u32);
    /// Reads frame number `seq`, which is the next one; `None` when it is skipped or an empty repeat.
    ///
    /// # Errors
    /// [`CameraFault::Ended`] after the last frame, [`CameraFault::Damaged`] where the data breaks off.
    fn read(&mut self, seq: u64, skip: bool) -> Result<Option<Pixels>, CameraFault>;
}

/// Width, height and RGB8 pixels of one frame.
pub type Pixels = (u32, u32, Vec<u8>);

/// A film as a frame source.
#[derive(Debug)]
pub struct Film<R> {
    reader: R,
    /// At most this many frames a second are shown: one in each slot of that length.
    fps: Option<u32>,
    next_slot: u64,
    seq: u64,
    has_shown: bool,
}

impl<R: FilmReader> Film<R> {
    /// Starts at the first frame.
    pub fn new(reader: R, options: SourceOptions) -> Self {
        Self { reader, fps: options.fps, next_slot: 0, seq: 0, has_shown: false }
    }
}

impl<R: FilmReader> FrameSource for Film<R> {
    fn describe(&self) -> String {
        self.reader.describe()
    }

    fn next_frame(&mut self) -> Result<Frame, CameraFault> {
        loop {
            let (num, den) = self.reader.rate();
            let times = |per_second: u64| {
                self.seq.saturating_mul(u64::from(den)).saturating_mul(per_second) / u64::from(num.max(1))
            };
            let t_ms = times(1000);
            let slot = self.fps.map_or(self.seq, |fps| times(u64::from(fps)));
            let skip = slot < self.next_slot;
            let pixels = match self.reader.read(self.seq, skip) {
                // Whoever watches nothing at all must not be told that all is well.
                Err(CameraFault::Ended { what }) if !self.has_shown => {
                    let detail = "it holds no picture".to_owned();
                    return Err(CameraFault::Damaged { what, frame: 0, detail });
                }
                read => read?,
            };
            let seq = self.seq;
            self.seq += 1;
            if let Some((width, height, rgb)) = pixels {
                self.next_slot = slot + 1;
                self.has_shown = true;
                return Ok(Frame { width, height, rgb, t_ms, seq });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counter(u64);

    impl FilmReader for Counter {
        fn describe(&self) -> String {
            "counter".to_owned()
        }
        fn rate(&self) -> (u32, u32) {
            (30, 1)
        }
        fn read(&mut self, seq: u64, skip: bool) -> Result<Option<Pixels>, CameraFault> {
            if seq == self.0 {
                return Err(CameraFault::Ended { what: "counter".to_owned() });
            }
            Ok((!skip).then(|| (1, 1, vec![0; 3])))
        }
    }

    #[test]
    fn a_film_without_pictures_is_damaged_and_has_not_just_ended() {
        let mut film = Film::new(Counter(0), SourceOptions::default());
        let fault = film.next_frame().unwrap_err();
        assert!(matches!(&fault, CameraFault::Damaged { frame: 0, .. }), "{fault}");
        let mut film = Film::new(Counter(1), SourceOptions::default());
        assert!(film.next_frame().is_ok());
        assert!(matches!(film.next_frame(), Err(CameraFault::Ended { .. })));
    }

    fn shown(fps: Option<u32>) -> usize {
        let mut film = Film::new(Counter(60), SourceOptions { fps });
        std::iter::from_fn(|| film.next_frame().ok()).count()
    }

    #[test]
    fn thinning_keeps_the_wanted_rate() {
        assert_eq!(shown(None), 60);
        assert_eq!(shown(Some(10)), 20);
        assert_eq!(shown(Some(20)), 40);
        assert_eq!(shown(Some(60)), 60);
    }
}
