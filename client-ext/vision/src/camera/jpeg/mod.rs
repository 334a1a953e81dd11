//! JPEG bytes: where a picture ends, and its pixels.
//!
//! ```text
//!  bytes ─► walk: segments ─► layout: is it read rightly? ─► clean copy ─► zune-jpeg ─► RGB
//!                              entropy: is it whole, where no end marker says so?
//! ```
//! The decoder gets a copy that holds nothing but what decoding takes: no stray bytes, no second start marker, no
//! metadata. Source: ITU-T T.81, and the AVI1 convention of MJPEG.

mod entropy;
mod layout;
#[cfg(test)]
mod layout_tests;
mod walk;

use std::panic::{AssertUnwindSafe, catch_unwind};

use thiserror::Error;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

pub use walk::end_of_picture;

use entropy::Table;
use layout::{FrameHeader, ScanHeader};
use walk::{SOS, Step, Walker};

const DQT: u8 = 0xDB;
const DHT: u8 = 0xC4;
const DRI: u8 = 0xDD;
const APP1: u8 = 0xE1;
const APP14: u8 = 0xEE;
/// Of tables, frames, scans and their data. A progressive picture has about forty.
const SEGMENTS_MAX: usize = 1_000;
/// The last symbols of a scan may be all zeros, up to this many bytes.
const ZEROS_MAX: usize = 2;
/// Some cameras put a few bytes of their own in front of each picture.
const LEAD_MAX_BYTES: usize = 1_024;

/// A decoded picture, not yet turned upright.
pub struct Decoded {
    pub width: u32,
    pub height: u32,
    pub rgb: Vec<u8>,
    /// The first EXIF block as stored, if any.
    pub exif: Option<Vec<u8>>,
}

impl std::fmt::Debug for Decoded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Decoded({}x{})", self.width, self.height)
    }
}

/// Why there are no pixels.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JpegError {
    /// The bytes are not what they should be.
    #[error("{0}")]
    Damaged(String),
    /// The bytes are well, and of a kind that is not read.
    #[error("{0}")]
    Unsupported(String),
    /// It has more pixels than are allowed here.
    #[error("{0}")]
    TooLarge(String),
}

/// The data of a scan, and the tables that hold for it.
struct Counted<'a> {
    data: &'a [u8],
    tables: Vec<Table>,
    restart: usize,
}

/// What decoding needs of a picture.
#[derive(Default)]
struct Parts<'a> {
    /// Tables, frame and scans in their order; a scan's data follow it with the marker 0.
    segments: Vec<(u8, &'a [u8])>,
    scans: Vec<ScanHeader>,
    /// What each scan's data are counted with.
    counted: Vec<Counted<'a>>,
    frame: Option<FrameHeader>,
    tables: Vec<Table>,
    restart: usize,
    adobe: Option<&'a [u8]>,
    exif: Option<&'a [u8]>,
    has_end: bool,
}

/// Decodes one JPEG to RGB8. A picture that is cut is an error; one that only lacks its end marker is not.
///
/// # Errors
/// What is wrong with the bytes, or what about them is not read.
pub fn decode(bytes: &[u8], max_side: u32, max_pixels: u64) -> Result<Decoded, JpegError> {
    let damaged = |detail: &str| JpegError::Damaged(detail.to_owned());
    let start = start_of_picture(bytes).ok_or_else(|| damaged("it has no JPEG start marker"))?;
    let parts = Parts::read(bytes.get(start..).unwrap_or_default()).map_err(damaged)?;
    let frame = parts.frame.as_ref().filter(|_| !parts.scans.is_empty());
    let frame = frame.ok_or_else(|| damaged("it is cut off before its pixels"))?;
    let (width, height) = (u32::from(frame.size.0), u32::from(frame.size.1));
    if width.max(height) > max_side || u64::from(width) * u64::from(height) > max_pixels {
        let limit = format!("{max_side} pixels a side or {max_pixels} pixels in all are allowed");
        return Err(JpegError::TooLarge(format!("{width}x{height}, and {limit}")));
    }
    layout::check(frame, &parts.scans, parts.adobe.is_some())?;
    let rgb = parts.decode(frame)?;
    Ok(Decoded { width, height, rgb, exif: parts.exif.map(<[u8]>::to_vec) })
}

fn start_of_picture(bytes: &[u8]) -> Option<usize> {
    if bytes.starts_with(&[0xFF, 0xD8]) {
        return Some(0);
    }
    let lead = bytes.get(..LEAD_MAX_BYTES.min(bytes.len()))?;
    lead.windows(3).position(|three| three == [0xFF, 0xD8, 0xFF])
}

/// The only place that calls the decoder. A picture of another shape than it expects must not end the process.
fn decode_clean(picture: &[u8], rgb_bytes: u64) -> Result<Vec<u8>, JpegError> {
    let decode = || {
        let options =
            DecoderOptions::default().set_strict_mode(true).jpeg_set_out_colorspace(ColorSpace::RGB);
        let side = usize::from(u16::MAX);
        let options = options.set_max_width(side).set_max_height(side);
        JpegDecoder::new_with_options(ZCursor::new(picture), options).decode()
    };
    let rgb = catch_unwind(AssertUnwindSafe(decode))
        .map_err(|_| JpegError::Damaged("the decoder failed at it".to_owned()))?
        .map_err(|e| JpegError::Damaged(e.to_string()))?;
    if u64::try_from(rgb.len()) == Ok(rgb_bytes) {
        Ok(rgb)
    } else {
        Err(JpegError::Damaged("the decoder gave an unexpected number of bytes".to_owned()))
    }
}

impl<'a> Parts<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, &'static str> {
        let mut parts = Self::default();
        let Some(mut walker) = Walker::new(bytes)? else { return Ok(parts) };
        loop {
            match walker.step()? {
                Step::Segment { marker, body } => parts.segment(marker, body)?,
                Step::Data(data) => {
                    let (tables, restart) = (parts.tables.clone(), parts.restart);
                    parts.counted.push(Counted { data, tables, restart });
                    parts.segments.push((0, data));
                }
                Step::End { marked, .. } => {
                    parts.has_end = marked;
                    return Ok(parts);
                }
                Step::More => return Ok(parts),
            }
        }
    }

    fn segment(&mut self, marker: u8, body: &'a [u8]) -> Result<(), &'static str> {
        match marker {
            DHT => {
                for table in Table::read_all(body) {
                    self.tables.retain(|earlier| earlier.name != table.name);
                    self.tables.push(table);
                }
            }
            DRI => self.restart = body.first_chunk().map_or(0, |two| usize::from(u16::from_be_bytes(*two))),
            SOS => self.scans.push(ScanHeader::read(body).ok_or("a scan header is too short")?),
            // Of several, the first tells how the picture was taken; later ones belong to previews.
            APP1 if self.exif.is_none() && body.starts_with(b"Exif\0\0") => self.exif = Some(body),
            APP14 if body.starts_with(b"Adobe") && body.len() >= 12 => self.adobe = Some(body),
            DQT => {}
            _ if walk::is_frame_header(marker) => {
                if self.frame.is_some() {
                    return Err("it has two frame headers");
                }
                self.frame = Some(FrameHeader::read(marker, body).ok_or("its frame header is too short")?);
            }
            _ => return Ok(()),
        }
        if self.segments.len() >= SEGMENTS_MAX {
            return Err("it has too many segments");
        }
        if !matches!(marker, APP1 | APP14) {
            self.segments.push((marker, body));
        }
        Ok(())
    }

    /// At an end marker that comes too early the decoder would fill the rest with grey and call that a success; where
    /// the bytes simply end, it complains. It also complains where the last rows take very few bytes; then the data are
    /// counted, as they are where no end marker came.
    fn decode(&self, frame: &FrameHeader) -> Result<Vec<u8>, JpegError> {
        let cut = || JpegError::Damaged("it is cut off before its end".to_owned());
        let bytes = u64::from(frame.size.0) * u64::from(frame.size.1) * 3;
        let marked = || decode_clean(&self.clean(frame, true), bytes);
        if frame.is_progressive() {
            let is_whole = self.has_end || self.has_every_bit(frame);
            return if is_whole { marked() } else { Err(cut()) };
        }
        if self.scans.len() > 1 {
            return if self.is_whole(frame) { marked() } else { Err(cut()) };
        }
        // Without tables in the picture the data cannot be counted.
        if !self.has_end && !self.tables.is_empty() && !self.is_whole(frame) {
            return Err(cut());
        }
        match decode_clean(&self.clean(frame, false), bytes) {
            Err(_) if self.is_whole(frame) => marked(),
            decoded => decoded,
        }
    }

    fn has_every_bit(&self, frame: &FrameHeader) -> bool {
        self.counted.last().is_some_and(|last| !last.data.is_empty())
            && layout::is_complete(frame, &self.scans)
    }

    /// Whether each scan of a baseline picture has all its data.
    fn is_whole(&self, frame: &FrameHeader) -> bool {
        let is_whole = |(header, of): (&ScanHeader, &Counted<'_>)| {
            let data = if self.has_end { of.data } else { without_zeros(of.data) };
            entropy::end_of_scan(frame, header, &of.tables, of.restart, data).is_some()
        };
        self.scans.len() == self.counted.len() && self.scans.iter().zip(&self.counted).all(is_whole)
    }

    /// The picture as the decoder gets it.
    fn clean(&self, frame: &FrameHeader, with_end: bool) -> Vec<u8> {
        let bytes: usize = self.segments.iter().map(|(_, body)| body.len() + 4).sum();
        let mut out = Vec::with_capacity(bytes + 64);
        out.extend_from_slice(&[0xFF, 0xD8]);
        if self.tables.is_empty() {
            // Many webcams leave out the Huffman tables of annex K.3, which MJPEG allows. The decoder fills them in
            // when it sees this segment.
            push_segment(&mut out, 0xE0, b"AVI1\0\0");
        }
        if let Some(adobe) = self.adobe.filter(|_| frame.components.len() > 1) {
            push_segment(&mut out, APP14, adobe.get(..12).unwrap_or_default());
        }
        for (marker, body) in &self.segments {
            match *marker {
                0 => out.extend_from_slice(body),
                marker if walk::is_frame_header(marker) => {
                    push_segment(&mut out, marker, &frame_header(frame, body));
                }
                marker => push_segment(&mut out, marker, body),
            }
        }
        if with_end {
            out.extend_from_slice(&[0xFF, 0xD9]);
        }
        out
    }
}

/// The frame header without what may follow it. The factors of a single component mean nothing, and confuse decoders.
fn frame_header(frame: &FrameHeader, body: &[u8]) -> Vec<u8> {
    let mut header = body.get(..6 + 3 * frame.components.len()).unwrap_or(body).to_vec();
    if let ([_], Some(factors)) = (frame.components.as_slice(), header.get_mut(7)) {
        *factors = 0x11;
    }
    header
}

/// Lengths come from segments that were read, so they fit.
fn push_segment(out: &mut Vec<u8>, marker: u8, body: &[u8]) {
    out.extend_from_slice(&[0xFF, marker]);
    out.extend_from_slice(&u16::try_from(body.len() + 2).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(body);
}

/// Without the zeros that fill a driver's buffer up, but for the few that may belong to the data.
fn without_zeros(data: &[u8]) -> &[u8] {
    let end = data.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1 + ZEROS_MAX);
    data.get(..end).unwrap_or(data)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A small JPEG whose pixels follow a gradient, so that tests need no photograph.
    pub(crate) fn gradient(width: u16, height: u16) -> Vec<u8> {
        encoded(width, height, |_| {})
    }

    type Encoder<'a> = jpeg_encoder::Encoder<&'a mut Vec<u8>>;

    fn encoded(width: u16, height: u16, set: impl Fn(&mut Encoder<'_>)) -> Vec<u8> {
        let rgb: Vec<u8> = (0..height)
            .flat_map(|y| (0..width).flat_map(move |x| [x.to_le_bytes()[0], y.to_le_bytes()[0], 90]))
            .collect();
        let mut out = Vec::new();
        let mut encoder = jpeg_encoder::Encoder::new(&mut out, 95);
        set(&mut encoder);
        encoder.encode(&rgb, width, height, jpeg_encoder::ColorType::Rgb).unwrap();
        out
    }

    fn pixels(bytes: &[u8]) -> Result<Vec<u8>, JpegError> {
        decode(bytes, 4096, 1 << 20).map(|picture| picture.rgb)
    }

    /// Places of segments' markers up to the first scan.
    fn segments(picture: &[u8]) -> Vec<usize> {
        let mut at = vec![2];
        while picture[at[at.len() - 1] + 1] != SOS {
            let last = at[at.len() - 1];
            at.push(last + 2 + usize::from(u16::from_be_bytes([picture[last + 2], picture[last + 3]])));
        }
        at
    }

    fn with(picture: &[u8], at: usize, inserted: &[u8]) -> Vec<u8> {
        [&picture[..at], inserted, &picture[at..]].concat()
    }

    #[test]
    fn what_viewers_forgive_is_forgiven() {
        let picture = gradient(48, 32);
        let wanted = pixels(&picture).unwrap();
        // Bytes between segments, before the first one too.
        for at in segments(&picture) {
            for stray in [&[0x00_u8][..], &[0x42], &[0xFF], &[0xFF, 0x00, 0x17], &[0x55; 40]] {
                assert_eq!(pixels(&with(&picture, at, stray)), Ok(wanted.clone()), "{stray:02x?} at {at}");
            }
        }
        for start in [&[0xFF_u8, 0xD8][..], &[0xFF, 0xD8, 0xFF, 0xD8], b"lead"] {
            assert_eq!(pixels(&with(&picture, 0, start)), Ok(wanted.clone()), "{start:02x?}");
        }
        let end = picture.len() - 2;
        for tail in [&[0_u8; 0][..], &[0xFF], &[0; 600], &[0xFF, 0xD9, 0xFF, 0xD9, 1, 2, 3]] {
            let bytes = [&picture[..end], tail].concat();
            assert_eq!(pixels(&bytes), Ok(wanted.clone()), "{} bytes behind it", tail.len());
        }
    }

    #[test]
    fn no_end_marker_is_forgiven_in_every_form() {
        use jpeg_encoder::SamplingFactor::{F_1_1, F_2_1, F_2_2};
        for factors in [F_1_1, F_2_1, F_2_2] {
            for (progressive, restart) in [(false, 0), (false, 3), (true, 0)] {
                let picture = encoded(70, 41, |encoder| {
                    encoder.set_sampling_factor(factors);
                    encoder.set_progressive(progressive);
                    encoder.set_restart_interval(restart);
                });
                let wanted = pixels(&picture).unwrap();
                assert_eq!(
                    pixels(&picture[..picture.len() - 2]),
                    Ok(wanted),
                    "{factors:?} {progressive} {restart}"
                );
            }
        }
    }

    #[test]
    fn a_progressive_picture_has_the_pixels_of_a_plain_one() {
        use jpeg_encoder::SamplingFactor::{F_1_1, F_1_2, F_2_1, F_2_2};
        for factors in [F_1_1, F_2_1, F_1_2, F_2_2] {
            for (width, height) in [(64, 64), (70, 41), (17, 33), (8, 8)] {
                for restart in [0, 2] {
                    let picture = |progressive| {
                        encoded(width, height, |encoder| {
                            encoder.set_sampling_factor(factors);
                            encoder.set_progressive(progressive);
                            encoder.set_restart_interval(restart);
                        })
                    };
                    let plain = pixels(&picture(false));
                    assert!(plain.is_ok());
                    assert_eq!(pixels(&picture(true)), plain, "{factors:?} {width}x{height} {restart}");
                }
            }
        }
    }

    #[test]
    fn every_truncation_is_an_error_and_never_a_panic() {
        let bytes = gradient(40, 24);
        // The end marker may be missing, and so may the padding of the last byte of data.
        for len in 0..bytes.len() - 3 {
            let cut = decode(&bytes[..len], 64, 4096);
            assert!(matches!(cut, Err(JpegError::Damaged(_))), "cut at {len}: {cut:?}");
            let filled = [&bytes[..len], &[0; 5_000]].concat();
            // A few of the zeros may stand for what was cut.
            let is_whole = len + 12 > bytes.len();
            assert!(is_whole || decode(&filled, 64, 4096).is_err(), "cut at {len} in a larger buffer");
        }
    }

    #[test]
    fn a_progressive_picture_that_lacks_scans_and_its_end_is_cut() {
        let picture = encoded(64, 64, |encoder| encoder.set_progressive(true));
        let last = picture.windows(2).rposition(|two| two == [0xFF, SOS]).unwrap();
        assert!(pixels(&picture[..last]).is_err());
        assert!(pixels(&picture[..last + 6]).is_err(), "cut in the header of its last scan");
    }

    #[test]
    fn a_picture_with_a_hole_is_an_error_although_it_has_its_end_marker() {
        let mut bytes = gradient(400, 240);
        let middle = bytes.len() / 2;
        bytes.drain(middle..bytes.len() - 2);
        assert_eq!(end_of_picture(&bytes), Ok(Some(bytes.len())));
        assert!(decode(&bytes, 4096, 1 << 20).is_err());
    }

    #[test]
    fn even_pictures_of_a_few_bytes_decode() {
        for side in [1_u16, 8, 9, 16, 17, 64, 250] {
            for height in [1_u16, 8, 16, 40, 200] {
                let mut jpeg = Vec::new();
                let grey = vec![128; usize::from(side) * usize::from(height) * 3];
                let encoder = jpeg_encoder::Encoder::new(&mut jpeg, 30);
                encoder.encode(&grey, side, height, jpeg_encoder::ColorType::Rgb).unwrap();
                assert!(decode(&jpeg, 4096, 1 << 20).is_ok(), "{side}x{height}");
                jpeg.truncate(jpeg.len() - 2);
                assert!(decode(&jpeg, 4096, 1 << 20).is_ok(), "{side}x{height} without its end marker");
            }
        }
    }

    #[test]
    fn a_picture_over_the_limits_is_refused_before_it_is_decoded() {
        let bytes = gradient(80, 60);
        assert!(matches!(decode(&bytes, 79, 1 << 20), Err(JpegError::TooLarge(_))));
        let error = decode(&bytes, 4096, 4799).err().unwrap();
        assert!(error.to_string().contains("4799 pixels"), "{error}");
    }

    #[test]
    fn webcam_pictures_without_huffman_tables_decode() {
        let whole = gradient(48, 32);
        let starts = segments(&whole);
        let kept = starts.windows(2).filter(|pair| whole[pair[0] + 1] != DHT);
        let mut bare = whole[..2].to_vec();
        kept.for_each(|pair| bare.extend_from_slice(&whole[pair[0]..pair[1]]));
        bare.extend_from_slice(&whole[starts[starts.len() - 1]..]);
        assert!(bare.len() < whole.len());
        assert_eq!(pixels(&bare), pixels(&whole));
        assert_eq!(pixels(&bare[..bare.len() - 2]), pixels(&whole), "and without its end marker");
    }

    #[test]
    fn metadata_is_not_handed_on_and_the_first_exif_block_counts() {
        let picture = gradient(16, 8);
        let segment = |marker: u8, body: &[u8]| {
            let mut out = Vec::new();
            push_segment(&mut out, marker, body);
            out
        };
        let (first, second) = (segment(APP1, b"Exif\0\0first"), segment(APP1, b"Exif\0\0second"));
        // Metadata that break the decoder when it reads them.
        let odd =
            [segment(0xED, b"Photoshop 3.0\0"), segment(0xE2, b"ICC_PROFILE\0\0\0"), segment(APP14, b"Ad")];
        let bytes = with(&picture, 2, &[first, odd.concat(), second].concat());
        let decoded = decode(&bytes, 64, 4096).unwrap();
        assert_eq!(decoded.exif.as_deref(), Some(&b"Exif\0\0first"[..]));
        assert_eq!(Ok(decoded.rgb), pixels(&picture));
    }
}
