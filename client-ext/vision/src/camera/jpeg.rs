//! JPEG bytes: finds where a picture ends, and decodes it strictly.
//!
//! Source: ITU-T T.81 (markers, annex B; typical Huffman tables, annex K.3) and the AVI1 convention of MJPEG.

use std::borrow::Cow;

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;
const DHT: u8 = 0xC4;

/// A decoded picture, not yet turned upright.
pub struct Decoded {
    pub width: u32,
    pub height: u32,
    pub rgb: Vec<u8>,
    /// The EXIF block as stored, if any.
    pub exif: Option<Vec<u8>>,
}

impl std::fmt::Debug for Decoded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Decoded({}x{})", self.width, self.height)
    }
}

/// Where the JPEG that starts at byte 0 ends, counted after its EOI marker.
///
/// `Ok(None)` means that more bytes are needed. The walk follows segment lengths, so an EOI inside an embedded
/// thumbnail does not end the picture.
///
/// # Errors
/// The bytes are not a JPEG.
pub fn end_of_picture(bytes: &[u8]) -> Result<Option<usize>, &'static str> {
    match bytes {
        [0xFF, SOI, ..] => {}
        [] | [0xFF] => return Ok(None),
        _ => return Err("no JPEG start marker"),
    }
    let mut at = 2;
    let mut in_scan = false;
    while let Some(&byte) = bytes.get(at) {
        if byte != 0xFF {
            if !in_scan {
                return Err("bytes between JPEG segments");
            }
            at += 1;
            continue;
        }
        let Some(&marker) = bytes.get(at + 1) else { return Ok(None) };
        match marker {
            EOI => return Ok(Some(at + 2)),
            // A fill byte: the marker follows.
            0xFF => at += 1,
            // Stuffed data bytes and restart markers belong to the scan.
            0x00 | 0xD0..=0xD7 if in_scan => at += 2,
            _ => {
                let (Some(&high), Some(&low)) = (bytes.get(at + 2), bytes.get(at + 3)) else {
                    return Ok(None);
                };
                let length = usize::from(u16::from_be_bytes([high, low]));
                if length < 2 {
                    return Err("a JPEG segment with an impossible length");
                }
                in_scan = marker == SOS;
                at += 2 + length;
            }
        }
    }
    Ok(None)
}

/// Width and height from the frame header, read without decoding anything.
#[must_use]
pub fn size(bytes: &[u8]) -> Option<(u16, u16)> {
    let is_frame_header = |marker| matches!(marker, 0xC0..=0xCF) && !matches!(marker, DHT | 0xC8 | 0xCC);
    let at = find_segment(bytes, is_frame_header)?;
    let header: [u8; 4] = bytes.get(at + 5..at + 9)?.try_into().ok()?;
    let [h1, h0, w1, w0] = header;
    Some((u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0])))
}

/// Decodes one JPEG to RGB8. A picture that is cut, or has more than `max_pixels`, is an error.
///
/// # Errors
/// What is wrong with the bytes.
pub fn decode(bytes: &[u8], max_side: u32, max_pixels: u64) -> Result<Decoded, String> {
    let end = end_of_picture(bytes)?.ok_or("the picture is cut off before its end")?;
    let picture = with_huffman_tables(bytes.get(..visible_end(bytes, end)).unwrap_or(bytes));
    let side = usize::try_from(max_side).unwrap_or(usize::MAX);
    let options = DecoderOptions::default()
        .set_max_width(side)
        .set_max_height(side)
        .set_strict_mode(true)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(picture.as_ref()), options);
    decoder.decode_headers().map_err(|e| e.to_string())?;
    let info = decoder.info().ok_or("no JPEG header")?;
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    if u64::from(width) * u64::from(height) > max_pixels {
        return Err(format!("{width}x{height} is more than {max_pixels} pixels"));
    }
    let rgb = decoder.decode().map_err(|e| e.to_string())?;
    if u64::try_from(rgb.len()) != Ok(u64::from(width) * u64::from(height) * 3) {
        return Err("the decoder gave an unexpected number of bytes".to_owned());
    }
    Ok(Decoded { width, height, rgb, exif: decoder.exif().cloned() })
}

/// How much of a picture the decoder gets to see. At an end marker that comes too early it would fill the rest with
/// grey and call that a success; where the bytes simply end, it complains. A progressive picture needs its marker.
fn visible_end(bytes: &[u8], end: usize) -> usize {
    let is_progressive = find_segment(bytes, |marker| marker == 0xC2).is_some();
    if is_progressive { end } else { end.saturating_sub(2) }
}

/// Many webcams leave out the Huffman tables of annex K.3, which MJPEG allows. The decoder fills them in when it
/// sees an `AVI1` segment, so one is put in front.
fn with_huffman_tables(picture: &[u8]) -> Cow<'_, [u8]> {
    if find_segment(picture, |marker| marker == DHT).is_some() {
        return Cow::Borrowed(picture);
    }
    const AVI1: [u8; 12] = [0xFF, SOI, 0xFF, 0xE0, 0x00, 0x08, b'A', b'V', b'I', b'1', 0x00, 0x00];
    let mut out = Vec::with_capacity(picture.len() + AVI1.len());
    out.extend_from_slice(&AVI1);
    out.extend_from_slice(picture.get(2..).unwrap_or_default());
    Cow::Owned(out)
}

/// Where the first segment of a kind starts, looking no further than the first scan.
fn find_segment(picture: &[u8], wanted: impl Fn(u8) -> bool) -> Option<usize> {
    let mut at = 2;
    while let Some(&[0xFF, marker, high, low]) = picture.get(at..at + 4) {
        if wanted(marker) {
            return Some(at);
        }
        match marker {
            SOS => return None,
            0xFF => at += 1,
            _ => at += 2 + usize::from(u16::from_be_bytes([high, low])),
        }
    }
    None
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A small JPEG whose pixels follow a gradient, so that tests need no photograph.
    pub(crate) fn gradient(width: u16, height: u16) -> Vec<u8> {
        let rgb: Vec<u8> = (0..height)
            .flat_map(|y| (0..width).flat_map(move |x| [x.to_le_bytes()[0], y.to_le_bytes()[0], 90]))
            .collect();
        let mut out = Vec::new();
        jpeg_encoder::Encoder::new(&mut out, 95)
            .encode(&rgb, width, height, jpeg_encoder::ColorType::Rgb)
            .unwrap();
        out
    }

    #[test]
    fn the_end_is_found_behind_a_whole_buffer_and_behind_thumbnails() {
        let mut bytes = gradient(32, 16);
        let len = bytes.len();
        bytes.resize(len + 5000, 0);
        assert_eq!(end_of_picture(&bytes), Ok(Some(len)));
        // An APP1 segment that holds an EOI marker, as a thumbnail does.
        let mut with_thumbnail = vec![0xFF, 0xD8, 0xFF, 0xE1, 0x00, 0x06, 0xFF, 0xD8, 0xFF, 0xD9];
        with_thumbnail.extend_from_slice(&bytes[2..len]);
        assert_eq!(end_of_picture(&with_thumbnail), Ok(Some(with_thumbnail.len())));
        assert_eq!(decode(&bytes, 64, 4096).unwrap().width, 32);
    }

    #[test]
    fn every_truncation_is_an_error_and_never_a_panic() {
        let bytes = gradient(40, 24);
        for len in 0..bytes.len() {
            assert!(decode(&bytes[..len], 64, 4096).is_err(), "cut at {len}");
        }
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
            }
        }
    }

    #[test]
    fn a_picture_over_the_limits_is_refused_before_it_is_decoded() {
        let bytes = gradient(80, 60);
        assert!(decode(&bytes, 79, 1 << 20).is_err());
        let error = decode(&bytes, 4096, 4799).err().unwrap();
        assert!(error.contains("4799 pixels"), "{error}");
    }

    #[test]
    fn webcam_pictures_without_huffman_tables_decode() {
        let whole = gradient(48, 32);
        let mut bare = whole[..2].to_vec();
        let mut at = 2;
        while whole[at + 1] != SOS {
            let length = 2 + usize::from(u16::from_be_bytes([whole[at + 2], whole[at + 3]]));
            if whole[at + 1] != DHT {
                bare.extend_from_slice(&whole[at..at + length]);
            }
            at += length;
        }
        bare.extend_from_slice(&whole[at..]);
        assert!(bare.len() < whole.len());
        assert_eq!(decode(&bare, 64, 4096).unwrap().rgb, decode(&whole, 64, 4096).unwrap().rgb);
    }
}
