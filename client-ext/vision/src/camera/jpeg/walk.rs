//! The segments of a JPEG, and where it ends.
//!
//! Source: ITU-T T.81, annex B. Cameras are forgiven what every viewer forgives them: bytes between segments, a second
//! start marker, no end marker.

const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;
pub(super) const SOS: u8 = 0xDA;

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    Segment {
        marker: u8,
        body: &'a [u8],
    },
    /// What a scan holds, restart markers included; up to the next marker, or to the end of the bytes.
    Data(&'a [u8]),
    /// The picture ends before this byte: behind its end marker, or where another picture starts.
    End {
        at: usize,
        marked: bool,
    },
    /// The bytes end first.
    More,
}

/// Walks through the bytes of one picture, which begin with its start marker.
#[derive(Debug)]
pub(super) struct Walker<'a> {
    bytes: &'a [u8],
    at: usize,
    in_scan: bool,
    /// A start marker behind a frame header is the next picture's.
    has_frame: bool,
}

/// Whether this can be the second byte of a marker. The others are reserved, or stand alone (RST, TEM).
const fn is_marker(byte: u8) -> bool {
    matches!(byte, 0xC0..=0xCF | SOI..=0xEF | 0xFE)
}

/// Whether a marker begins a frame.
pub(super) const fn is_frame_header(marker: u8) -> bool {
    matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC)
}

impl<'a> Walker<'a> {
    /// `Ok(None)`: more bytes are needed.
    pub(super) fn new(bytes: &'a [u8]) -> Result<Option<Self>, &'static str> {
        match bytes {
            [0xFF, SOI, ..] => Ok(Some(Self { bytes, at: 2, in_scan: false, has_frame: false })),
            [] | [0xFF] => Ok(None),
            _ => Err("it has no JPEG start marker"),
        }
    }

    pub(super) fn step(&mut self) -> Result<Step<'a>, &'static str> {
        let (bytes, from) = (self.bytes, self.at);
        let in_scan = std::mem::take(&mut self.in_scan);
        let Some((at, marker)) = self.next_marker() else {
            self.at = bytes.len();
            let rest = bytes.get(from..).unwrap_or_default();
            // The first byte of a marker that was cut is no data.
            let data = rest.strip_suffix(&[0xFF]).unwrap_or(rest);
            return Ok(if in_scan { Step::Data(data) } else { Step::More });
        };
        if in_scan {
            self.at = at;
            return Ok(Step::Data(bytes.get(from..at).unwrap_or_default()));
        }
        self.at = at + 2;
        match marker {
            EOI => return Ok(Step::End { at: at + 2, marked: true }),
            SOI if self.has_frame => return Ok(Step::End { at, marked: false }),
            _ => {}
        }
        let Some(&[high, low]) = bytes.get(at + 2..).and_then(|rest| rest.first_chunk()) else {
            return Ok(Step::More);
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length < 2 {
            return Err("a JPEG segment has an impossible length");
        }
        let Some(body) = bytes.get(at + 4..at + 2 + length) else { return Ok(Step::More) };
        self.at = at + 2 + length;
        self.has_frame |= is_frame_header(marker);
        self.in_scan = marker == SOS;
        Ok(Step::Segment { marker, body })
    }

    /// The next marker and where it is. Other bytes are data of a scan, or strayed in.
    fn next_marker(&self) -> Option<(usize, u8)> {
        let mut at = self.at;
        loop {
            let rest = self.bytes.get(at..)?;
            at += rest.iter().position(|byte| *byte == 0xFF)?;
            match self.bytes.get(at + 1) {
                // A second start marker before anything else starts the same picture.
                Some(&SOI) if !self.has_frame => at += 2,
                Some(&byte) if is_marker(byte) => return Some((at, byte)),
                Some(_) => at += 1,
                None => return None,
            }
        }
    }
}

/// Where the JPEG that starts at byte 0 ends. `Ok(None)` means that more bytes are needed. The walk follows segment
/// lengths, so an end marker inside an embedded thumbnail does not end the picture.
///
/// # Errors
/// The bytes are not a JPEG.
pub fn end_of_picture(bytes: &[u8]) -> Result<Option<usize>, &'static str> {
    let Some(mut walker) = Walker::new(bytes)? else { return Ok(None) };
    loop {
        match walker.step()? {
            Step::End { at, .. } => return Ok(Some(at)),
            Step::More => return Ok(None),
            Step::Segment { .. } | Step::Data(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::gradient;
    use super::*;

    #[test]
    fn the_end_is_found_behind_a_whole_buffer_and_behind_thumbnails() {
        let mut bytes = gradient(32, 16);
        let len = bytes.len();
        bytes.resize(len + 5000, 0);
        assert_eq!(end_of_picture(&bytes), Ok(Some(len)));
        // An APP1 segment that holds an end marker, as a thumbnail does.
        let mut with_thumbnail = vec![0xFF, 0xD8, 0xFF, 0xE1, 0x00, 0x06, 0xFF, 0xD8, 0xFF, 0xD9];
        with_thumbnail.extend_from_slice(&bytes[2..len]);
        assert_eq!(end_of_picture(&with_thumbnail), Ok(Some(with_thumbnail.len())));
    }

    #[test]
    fn a_picture_without_its_end_marker_ends_where_the_next_one_starts() {
        let picture = gradient(32, 16);
        let cut = &picture[..picture.len() - 2];
        assert_eq!(end_of_picture(cut), Ok(None));
        assert_eq!(end_of_picture(&[cut, &picture].concat()), Ok(Some(cut.len())));
        let twice = [&picture[..2], &picture].concat();
        assert_eq!(end_of_picture(&twice), Ok(Some(twice.len())), "two start markers begin one picture");
    }

    #[test]
    fn any_bytes_at_all_come_to_an_end() {
        let dice = |n: u32| (n.wrapping_mul(2_654_435_761) >> 24).to_le_bytes()[0];
        for seed in 0..200 {
            let noise = (0..2_000).map(|n| if dice(n ^ seed) < 90 { 0xFF } else { dice(n * 7 + seed) });
            let bytes: Vec<u8> = [0xFF, 0xD8].into_iter().chain(noise).collect();
            // No panic, and no endless loop.
            assert!(!matches!(end_of_picture(&bytes), Ok(Some(at)) if at > bytes.len()));
        }
    }
}
