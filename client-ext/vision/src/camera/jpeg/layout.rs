//! What a JPEG's headers say about how its pixels are stored, and which of that is read rightly.
//!
//! zune-jpeg decodes some layouts to wrong pixels without a word, or panics at them; a template or a face in such a
//! picture would be wrong. So a layout is read if a test has seen it come out right, and refused in words otherwise.

use super::JpegError;
use super::walk::is_frame_header;

/// Larger progressive pictures are refused: all their coefficients are in memory at once. 8K has 33 million.
const PROGRESSIVE_MAX_PIXELS: u64 = 36_000_000;
/// Progressive pictures have about ten scans.
const SCANS_MAX: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Component {
    pub(super) id: u8,
    /// Samples across and down, relative to those of the other components.
    pub(super) factors: (u8, u8),
}

/// A frame header (T.81, B.2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) marker: u8,
    pub(super) size: (u16, u16),
    pub(super) components: Vec<Component>,
    bits: u8,
}

/// A scan header (T.81, B.2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ScanHeader {
    /// Component and its tables for DC and AC coefficients.
    pub(super) components: Vec<(u8, u8, u8)>,
    /// First and last coefficient.
    spectrum: (u8, u8),
    /// The lowest bit of a coefficient that this scan holds.
    low_bit: u8,
}

impl FrameHeader {
    pub(super) fn read(marker: u8, body: &[u8]) -> Option<Self> {
        let (&[bits, h1, h0, w1, w0, count], rest) = body.split_first_chunk()?;
        let components: Vec<Component> = (rest.as_chunks::<3>().0.iter())
            .map(|&[id, factors, _]| Component { id, factors: (factors >> 4, factors & 0xF) })
            .collect();
        let size = (u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0]));
        let is_whole = is_frame_header(marker) && components.len() == usize::from(count);
        is_whole.then_some(Self { marker, size, components, bits })
    }

    pub(super) fn is_progressive(&self) -> bool {
        self.marker == 0xC2
    }

    /// The largest factors.
    pub(super) fn max_factors(&self) -> (u8, u8) {
        let factors = self.components.iter().map(|c| c.factors);
        factors.fold((1, 1), |(h, v), (h2, v2)| (h.max(h2), v.max(v2)))
    }
}

impl ScanHeader {
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let (&count, rest) = body.split_first()?;
        let (pairs, rest) = rest.split_at_checked(usize::from(count) * 2)?;
        let components = pairs.as_chunks::<2>().0.iter().map(|&[id, tables]| (id, tables >> 4, tables & 0xF));
        let &[first, last, bits] = rest.first_chunk()?;
        Some(Self { components: components.collect(), spectrum: (first, last), low_bit: bits & 0xF })
    }
}

/// Refuses what is not read rightly. `is_adobe`: there is a segment that tells how four colours are meant.
pub(super) fn check(frame: &FrameHeader, scans: &[ScanHeader], is_adobe: bool) -> Result<(), JpegError> {
    check_coding(frame)?;
    let (width, height) = frame.size;
    let pixels = u64::from(width) * u64::from(height);
    if frame.is_progressive() && pixels > PROGRESSIVE_MAX_PIXELS {
        return Err(JpegError::TooLarge(format!("{width}x{height} pixels in progressive form")));
    }
    let most = if frame.is_progressive() { SCANS_MAX } else { frame.components.len() };
    if scans.len() > most {
        return Err(JpegError::Damaged(format!("it has {} scans", scans.len())));
    }
    check_factors(frame, is_adobe)?;
    let count = |id| scans.iter().flat_map(|scan| &scan.components).filter(|(of, ..)| *of == id).count();
    if !frame.is_progressive() && frame.components.iter().any(|component| count(component.id) != 1) {
        return Err(JpegError::Damaged("its scans do not hold each colour once".to_owned()));
    }
    let is_split = scans.iter().any(|scan| scan.components.len() < frame.components.len());
    if is_split && !frame.is_progressive() && frame.max_factors() != (1, 1) {
        return unsupported("it stores reduced colours one after another (non-interleaved)");
    }
    Ok(())
}

fn check_coding(frame: &FrameHeader) -> Result<(), JpegError> {
    match frame.marker {
        0xC0..=0xC2 => {}
        0xC9..=0xCB | 0xCD..=0xCF => {
            return unsupported("it is compressed by arithmetic coding, and only Huffman coding is read");
        }
        0xC3 => return unsupported("it is a lossless JPEG"),
        _ => return unsupported("it is a hierarchical JPEG"),
    }
    match (frame.bits, frame.size) {
        (8, (0, _)) => Err(JpegError::Damaged("its width is 0".to_owned())),
        (8, (_, 0)) => unsupported("its height is told only behind its pixels"),
        (8, _) => Ok(()),
        (bits, _) => Err(JpegError::Unsupported(format!("it has {bits} bits a colour, and only 8 are read"))),
    }
}

fn check_factors(frame: &FrameHeader, is_adobe: bool) -> Result<(), JpegError> {
    let factors: Vec<(u8, u8)> = frame.components.iter().map(|c| c.factors).collect();
    match factors.as_slice() {
        // The factors of a single component mean nothing.
        [_] | [(1 | 2 | 4, 1 | 2), (1, 1), (1, 1)] => Ok(()),
        [luma, blue, red] if blue.0.max(red.0) > luma.0 || blue.1.max(red.1) > luma.1 => {
            unsupported("it stores brightness more coarsely than colours")
        }
        [_, _, _] => unsupported("it reduces its colours in an unusual way"),
        [(1, 1), (1, 1), (1, 1), (1, 1)] if is_adobe => Ok(()),
        [_, _, _, _] => unsupported("it is made for printing (CMYK)"),
        _ => unsupported("it has neither one nor three colours"),
    }
}

fn unsupported(detail: &str) -> Result<(), JpegError> {
    Err(JpegError::Unsupported(detail.to_owned()))
}

/// Whether the scans of a progressive picture hold every bit of every coefficient. Its end marker says nothing else,
/// so without one this must do.
pub(super) fn is_complete(frame: &FrameHeader, scans: &[ScanHeader]) -> bool {
    frame.components.iter().all(|component| {
        let mut missing = [true; 64];
        for scan in scans.iter().filter(|s| s.components.iter().any(|(id, ..)| *id == component.id)) {
            let (first, last) = scan.spectrum;
            let held = missing.get_mut(usize::from(first)..=usize::from(last).min(63));
            held.unwrap_or_default().fill(scan.low_bit > 0);
        }
        !missing.contains(&true)
    })
}
