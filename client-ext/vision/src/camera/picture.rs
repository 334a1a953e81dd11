//! One still picture from a file: JPEG or PNG, upright, within limits, whole.

use std::fs::File;
use std::io::{Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use sudare_client_core::frame::Frame;
use thiserror::Error;

use super::exif;
use super::jpeg::{self, JpegError};

/// Larger files are refused before they are read.
pub const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;
/// Larger pictures are refused after their header.
pub const MAX_PIXELS: u64 = 64_000_000;
/// What a PNG's metadata may take in memory. Colour profiles and texts are not read at all.
const PNG_METADATA_MAX_BYTES: usize = 4 * 1024 * 1024;
/// The longest side that a JPEG can have at all.
pub const MAX_SIDE_PX: u32 = 65_535;

/// Why a picture cannot be used. The file is at fault in each case.
#[derive(Debug, Error)]
pub enum PictureError {
    /// The operating system could not read it.
    #[error("cannot read {path}: {source}. Check the path, and that this user may read it")]
    Unreadable { path: PathBuf, source: std::io::Error },
    /// It is over [`MAX_FILE_BYTES`] or [`MAX_PIXELS`].
    #[error("{path} is too large: {detail}. Save it smaller (a face 200 pixels wide is enough)")]
    TooLarge { path: PathBuf, detail: String },
    /// It is neither JPEG nor PNG.
    #[error("{path} is neither a JPEG nor a PNG picture. Convert it to one of them")]
    UnknownKind { path: PathBuf },
    /// It is whole, and of a kind that is not read.
    #[error(
        "{path} cannot be read: {detail}. Save it again as an ordinary JPEG (8 bits a colour) or as a PNG"
    )]
    Unsupported { path: PathBuf, detail: String },
    /// It starts like a picture but cannot be decoded.
    #[error("{path} is damaged: {detail}. Copy or take the picture again")]
    Damaged { path: PathBuf, detail: String },
}

/// Reads one picture. Its `t_ms` and `seq` are 0.
///
/// # Errors
/// A [`PictureError`] that names the file.
pub fn load(path: &Path) -> Result<Frame, PictureError> {
    decode(&read_capped(path)?, path)
}

fn read_capped(path: &Path) -> Result<Vec<u8>, PictureError> {
    let unreadable = |source| PictureError::Unreadable { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    // The cap also holds for FIFOs and growing files, whose size cannot be checked in advance.
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len > MAX_FILE_BYTES) {
        let detail = format!("more than {} MiB", MAX_FILE_BYTES >> 20);
        return Err(PictureError::TooLarge { path: path.to_owned(), detail });
    }
    Ok(bytes)
}

/// Decodes the bytes of a picture; `path` is for messages only.
///
/// # Errors
/// As [`load`].
pub fn decode(bytes: &[u8], path: &Path) -> Result<Frame, PictureError> {
    let path = || path.to_owned();
    let damaged = |detail: String| PictureError::Damaged { path: path(), detail };
    let (width, height, rgb, exif_block) = if bytes.starts_with(&[0xFF, 0xD8]) {
        let picture = jpeg::decode(bytes, MAX_SIDE_PX, MAX_PIXELS).map_err(|error| match error {
            JpegError::Damaged(detail) => damaged(detail),
            JpegError::Unsupported(detail) => PictureError::Unsupported { path: path(), detail },
            JpegError::TooLarge(detail) => PictureError::TooLarge { path: path(), detail },
        })?;
        (picture.width, picture.height, picture.rgb, picture.exif)
    } else if bytes.starts_with(b"\x89PNG") {
        // As for JPEG: whatever a picture makes its decoder do must not end the process.
        let decoded = catch_unwind(AssertUnwindSafe(|| decode_png(bytes)));
        decoded.map_err(|_| damaged("the decoder failed at it".to_owned()))?.map_err(|error| match error {
            PngError::TooLarge(detail) => PictureError::TooLarge { path: path(), detail },
            PngError::Damaged(detail) => damaged(detail),
        })?
    } else if bytes.is_empty() {
        return Err(damaged("it is empty".to_owned()));
    } else {
        return Err(PictureError::UnknownKind { path: path() });
    };
    let turned = exif_block.as_deref().map_or_else(|| exif::orientation(&[]), exif::orientation);
    let (width, height, rgb) = turned.apply(width, height, rgb);
    Ok(Frame { width, height, rgb, t_ms: 0, seq: 0 })
}

enum PngError {
    TooLarge(String),
    Damaged(String),
}

type RawPicture = (u32, u32, Vec<u8>, Option<Vec<u8>>);

fn decode_png(bytes: &[u8]) -> Result<RawPicture, PngError> {
    let damaged = |e: png::DecodingError| PngError::Damaged(e.to_string());
    let limits = png::Limits { bytes: PNG_METADATA_MAX_BYTES };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    // A profile of a gigabyte is a megabyte in the file.
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_ignore_text_chunk(true);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(damaged)?;
    let (width, height) = (reader.info().width, reader.info().height);
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(PngError::TooLarge(format!("{width}x{height} pixels")));
    }
    let size = reader.output_buffer_size().ok_or(PngError::TooLarge("its pixels".to_owned()))?;
    let mut pixels = vec![0; size];
    let info = reader.next_frame(&mut pixels).map_err(damaged)?;
    // Reading to the end detects truncated files and wrong checksums.
    reader.finish().map_err(damaged)?;
    let exif_block = reader.info().exif_metadata.as_ref().map(|block| block.to_vec());
    drop(reader);
    pixels.truncate(info.buffer_size());
    let rgb: Vec<u8> = match info.color_type {
        png::ColorType::Rgb => pixels,
        png::ColorType::Rgba => without_alpha(pixels),
        png::ColorType::Grayscale => pixels.iter().flat_map(|&g| [g; 3]).collect(),
        png::ColorType::GrayscaleAlpha => pixels.as_chunks::<2>().0.iter().flat_map(|p| [p[0]; 3]).collect(),
        png::ColorType::Indexed => return Err(PngError::Damaged("its palette was not expanded".to_owned())),
    };
    // The first picture of an animation may be smaller than the animation.
    if u64::try_from(rgb.len()) != Ok(u64::from(width) * u64::from(height) * 3) {
        return Err(PngError::Damaged("its first picture does not fill it".to_owned()));
    }
    Ok((width, height, rgb, exif_block))
}

/// In place, as both together may not fit.
fn without_alpha(mut pixels: Vec<u8>) -> Vec<u8> {
    let count = pixels.len() / 4;
    for pixel in 0..count {
        pixels.copy_within(pixel * 4..pixel * 4 + 3, pixel * 3);
    }
    pixels.truncate(count * 3);
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::jpeg::tests::gradient;

    fn png_of(width: u32, height: u32) -> Vec<u8> {
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, width, height);
        encoder.set_color(png::ColorType::Rgb);
        let mut writer = encoder.write_header().unwrap();
        let pixels: Vec<u8> = (0..width * height * 3).map(|i| i.to_le_bytes()[0]).collect();
        writer.write_image_data(&pixels).unwrap();
        writer.finish().unwrap();
        out
    }

    #[test]
    fn both_kinds_load() {
        let jpeg = decode(&gradient(30, 20), Path::new("a.jpg")).unwrap();
        let png = decode(&png_of(30, 20), Path::new("a.png")).unwrap();
        assert!(jpeg.is_consistent() && png.is_consistent());
        assert_eq!(png.rgb[3..6], [3, 4, 5]);
    }

    #[test]
    fn a_cut_picture_names_the_file_and_says_damaged() {
        for whole in [gradient(30, 20), png_of(30, 20)] {
            for len in (2..whole.len() - 4).step_by(7) {
                let error = decode(&whole[..len], Path::new("holiday.jpg")).unwrap_err();
                assert!(error.to_string().contains("holiday.jpg"), "{error}");
            }
            let error = decode(&whole[..whole.len() - 20], Path::new("x")).unwrap_err();
            assert!(matches!(error, PictureError::Damaged { .. }), "{error}");
        }
    }

    #[test]
    fn a_huge_picture_is_refused_by_its_header() {
        let mut jpeg = gradient(16, 16);
        let at = jpeg.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
        jpeg[at + 5..at + 9].copy_from_slice(&[0xFF, 0xFF, 0xFF, 0xFF]);
        let error = decode(&jpeg, Path::new("x")).unwrap_err();
        assert!(matches!(error, PictureError::TooLarge { .. }), "{error}");
        let mut png = png_of(16, 16);
        png[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
        // The header's checksum, so that only its size is wrong.
        let checksum = crc32(&png[12..29]);
        png[29..33].copy_from_slice(&checksum.to_be_bytes());
        let error = decode(&png, Path::new("x")).unwrap_err();
        assert!(matches!(error, PictureError::TooLarge { .. }), "{error}");
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0, |crc, &b| {
            (0..8).fold(crc ^ u32::from(b), |c, _| if c & 1 == 1 { c >> 1 ^ 0xEDB8_8320 } else { c >> 1 })
        })
    }

    /// Any bytes as a PNG: its chunks with their checksums.
    fn png_chunks(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
        for (name, body) in chunks {
            out.extend_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
            let named = [&name[..], body].concat();
            out.extend_from_slice(&named);
            out.extend_from_slice(&crc32(&named).to_be_bytes());
        }
        out
    }

    fn encoded(
        width: u32,
        height: u32,
        color: png::ColorType,
        depth: png::BitDepth,
        bytes: &[u8],
    ) -> Vec<u8> {
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, width, height);
        encoder.set_color(color);
        encoder.set_depth(depth);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(bytes).unwrap();
        writer.finish().unwrap();
        out
    }

    fn rgb_of(bytes: &[u8]) -> Vec<u8> {
        let frame = decode(bytes, Path::new("x")).unwrap();
        assert!(frame.is_consistent());
        frame.rgb
    }

    #[test]
    fn every_depth_and_kind_of_png_gives_eight_bits_of_three_colours() {
        use png::BitDepth::{Eight, One, Sixteen};
        use png::ColorType::{Grayscale, GrayscaleAlpha, Rgb, Rgba};
        assert_eq!(rgb_of(&encoded(2, 1, Grayscale, Eight, &[7, 9])), [7, 7, 7, 9, 9, 9]);
        assert_eq!(rgb_of(&encoded(1, 1, Grayscale, Sixteen, &[7, 200])), [7; 3]);
        assert_eq!(
            rgb_of(&encoded(3, 1, Grayscale, One, &[0b1010_0000])),
            [255, 255, 255, 0, 0, 0, 255, 255, 255]
        );
        assert_eq!(rgb_of(&encoded(1, 1, GrayscaleAlpha, Eight, &[7, 0])), [7; 3]);
        assert_eq!(rgb_of(&encoded(1, 1, Rgb, Sixteen, &[1, 0, 2, 0, 3, 0])), [1, 2, 3]);
        assert_eq!(rgb_of(&encoded(2, 1, Rgba, Eight, &[1, 2, 3, 0, 4, 5, 6, 255])), [1, 2, 3, 4, 5, 6]);
        assert_eq!(rgb_of(&encoded(1, 1, Rgba, Sixteen, &[1, 0, 2, 0, 3, 0, 0, 0])), [1, 2, 3]);
    }

    #[test]
    fn one_pixel_and_8k_are_read_and_grey_jpegs_too() {
        for bytes in [gradient(1, 1), png_of(1, 1)] {
            assert_eq!(rgb_of(&bytes).len(), 3);
        }
        let mut eight_k = Vec::new();
        let grey = vec![90; 7680 * 4320];
        let encoder = jpeg_encoder::Encoder::new(&mut eight_k, 30);
        encoder.encode(&grey, 7680, 4320, jpeg_encoder::ColorType::Luma).unwrap();
        let rgb = rgb_of(&eight_k);
        assert!(rgb.len() == 7680 * 4320 * 3 && rgb.iter().all(|byte| byte.abs_diff(90) < 4));
    }

    #[test]
    fn nothing_is_no_picture() {
        let of = |bytes: &[u8]| decode(bytes, Path::new("x")).unwrap_err();
        assert!(of(b"").to_string().contains("it is empty"));
        for size in [[0, 1], [1, 0], [0, 0]] {
            let header = [&[0, 0, 0, size[0], 0, 0, 0, size[1]][..], &[8, 2, 0, 0, 0]].concat();
            let png = png_chunks(&[(b"IHDR", &header), (b"IDAT", &[]), (b"IEND", &[])]);
            assert!(matches!(of(&png), PictureError::Damaged { .. }), "{size:?}");
        }
        let mut jpeg = gradient(16, 16);
        let frame = jpeg.windows(2).position(|two| two == [0xFF, 0xC0]).unwrap();
        jpeg[frame + 8] = 0;
        assert!(matches!(of(&jpeg), PictureError::Damaged { .. }));
    }

    #[test]
    fn a_rotated_picture_stands_upright_and_the_first_exif_block_says_how() {
        let exif = |tag: u8| {
            let tiff = [&b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0"[..], &[tag, 0, 0, 0, 0, 0, 0]]
                .concat();
            let length = u16::try_from(tiff.len() + 8).unwrap().to_be_bytes();
            [&[0xFF, 0xE1, length[0], length[1]][..], b"Exif\0\0", &tiff].concat()
        };
        let picture = gradient(30, 20);
        let with = |blocks: &[u8]| [&picture[..2], blocks, &picture[2..]].concat();
        let size = |bytes: &[u8]| decode(bytes, Path::new("x")).map(|f| (f.width, f.height)).unwrap();
        assert_eq!(size(&with(&exif(6))), (20, 30));
        assert_eq!(size(&with(&[exif(6), exif(1)].concat())), (20, 30));
        assert_eq!(size(&with(&[exif(1), exif(6)].concat())), (30, 20));
    }

    #[test]
    fn noise_is_an_error_or_a_picture_and_never_a_panic() {
        let dice = |n: u32| (n.wrapping_mul(2_654_435_761) >> 21).to_le_bytes()[0];
        let (jpeg, png) = (gradient(64, 64), png_of(64, 64));
        for start in [&jpeg[..700], &jpeg[..30], &jpeg[..3], &png[..60], &png[..8]] {
            for seed in 0..40_u32 {
                let noise = (0..20_000).map(|n| dice(n ^ seed << 16));
                let bytes: Vec<u8> = start.iter().copied().chain(noise).collect();
                // Noise behind whole headers may happen to be a picture of noise.
                match decode(&bytes, Path::new("x")) {
                    Ok(frame) => assert!(frame.is_consistent()),
                    Err(error) => assert!(!error.to_string().is_empty()),
                }
            }
        }
    }

    #[test]
    fn profiles_and_texts_that_unpack_to_much_are_not_unpacked() {
        let mut zlib = Vec::new();
        let mut encoder = png::Encoder::new(&mut zlib, 4_000, 4_000);
        encoder.set_color(png::ColorType::Grayscale);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&vec![0; 4_000 * 4_000]).unwrap();
        writer.finish().unwrap();
        let packed: Vec<u8> =
            zlib.windows(4).position(|w| w == b"IDAT").map(|at| zlib[at + 4..].to_vec()).unwrap();
        let plain = png_of(4, 4);
        // Behind the header (8 + 25 bytes): a profile of 16 MB, and texts of as much.
        let leads = [&b"icc\0\0"[..], &b"text\0\0"[..], &b"text\0\x01\0\0\0"[..]];
        for (name, lead) in [b"iCCP", b"zTXt", b"iTXt"].into_iter().zip(leads) {
            let chunk = &png_chunks(&[(name, &[lead, &packed].concat())])[8..];
            let bytes = [&plain[..33], chunk, &plain[33..]].concat();
            assert_eq!(rgb_of(&bytes), rgb_of(&plain), "{name:?}");
        }
    }

    #[test]
    fn a_kind_of_jpeg_that_is_not_read_is_not_called_damaged() {
        let mut jpeg = gradient(16, 16);
        let frame = jpeg.windows(2).position(|two| two == [0xFF, 0xC0]).unwrap();
        jpeg[frame + 1] = 0xC9;
        let error = decode(&jpeg, Path::new("me.jpg")).unwrap_err();
        assert!(matches!(error, PictureError::Unsupported { .. }), "{error}");
        let said = error.to_string();
        assert!(said.contains("me.jpg cannot be read: it is compressed by arithmetic"), "{said}");
    }

    #[test]
    fn other_files_are_told_apart() {
        assert!(matches!(decode(b"GIF89a", Path::new("x")), Err(PictureError::UnknownKind { .. })));
        assert!(matches!(load(Path::new("/no/such.jpg")), Err(PictureError::Unreadable { .. })));
    }
}
