//! One still picture from a file: JPEG or PNG, upright, within limits, whole.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use sudare_client_core::frame::Frame;
use thiserror::Error;

use super::{exif, jpeg};

/// Larger files are refused before they are read.
pub const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;
/// Larger pictures are refused after their header.
pub const MAX_PIXELS: u64 = 64_000_000;
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
    let damaged = |detail: String| PictureError::Damaged { path: path.to_owned(), detail };
    let too_large = |detail: String| PictureError::TooLarge { path: path.to_owned(), detail };
    let (width, height, rgb, exif_block) = if bytes.starts_with(&[0xFF, 0xD8]) {
        let size = jpeg::size(bytes);
        if let Some((w, h)) = size.filter(|&(w, h)| u64::from(w) * u64::from(h) > MAX_PIXELS) {
            return Err(too_large(format!("{w}x{h} pixels")));
        }
        let picture = jpeg::decode(bytes, MAX_SIDE_PX, MAX_PIXELS).map_err(damaged)?;
        (picture.width, picture.height, picture.rgb, picture.exif)
    } else if bytes.starts_with(b"\x89PNG") {
        decode_png(bytes).map_err(|e| match e {
            PngError::TooLarge(detail) => too_large(detail),
            PngError::Damaged(detail) => damaged(detail),
        })?
    } else {
        return Err(PictureError::UnknownKind { path: path.to_owned() });
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
    let limits = png::Limits { bytes: usize::try_from(MAX_PIXELS * 8).unwrap_or(usize::MAX) };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
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
    let pixels = pixels.get(..info.buffer_size()).unwrap_or(&pixels);
    let rgb: Vec<u8> = match info.color_type {
        png::ColorType::Rgb => pixels.to_vec(),
        png::ColorType::Rgba => pixels.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect(),
        png::ColorType::Grayscale => pixels.iter().flat_map(|&g| [g; 3]).collect(),
        png::ColorType::GrayscaleAlpha => pixels.chunks_exact(2).flat_map(|p| [p[0]; 3]).collect(),
        png::ColorType::Indexed => return Err(PngError::Damaged("its palette was not expanded".to_owned())),
    };
    Ok((width, height, rgb, exif_block))
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
            for len in (2..whole.len()).step_by(7) {
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

    #[test]
    fn other_files_are_told_apart() {
        assert!(matches!(decode(b"GIF89a", Path::new("x")), Err(PictureError::UnknownKind { .. })));
        assert!(matches!(load(Path::new("/no/such.jpg")), Err(PictureError::Unreadable { .. })));
    }
}
