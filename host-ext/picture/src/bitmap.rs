//! One bitmap of an update ([MS-RDPBCGR] 2.2.9.1.1.3.1.2.2), bounded before anything of it is decompressed.

use ironrdp_graphics::rdp6::BitmapStreamDecoder;
use ironrdp_graphics::rle;
use sudare_relay::wire::bitmap::Bitmap;

use crate::decode::{Canvas, Palette, Undecodable};

/// Pixels of one bitmap: hosts send bands and tiles, and no more than 64 KiB of data for each.
const BITMAP_MAX_PIXELS: usize = 4 * 1024 * 1024;
/// Rows that are not compressed are filled up to a multiple of this.
const ROW_PAD_BYTES: usize = 4;

/// How a pixel is written.
#[derive(Clone, Copy)]
enum Pixel {
    /// Its number in the palette.
    Indexed,
    /// Five bits of red, green and blue.
    Rgb555,
    /// Six of green.
    Rgb565,
    /// Three bytes.
    Bgr,
    /// Three bytes, red first.
    Rgb,
    /// Four bytes, of which one means nothing.
    Bgrx,
}

impl Pixel {
    fn bytes(self) -> usize {
        match self {
            Self::Indexed => 1,
            Self::Rgb555 | Self::Rgb565 => 2,
            Self::Bgr | Self::Rgb => 3,
            Self::Bgrx => 4,
        }
    }

    /// Blue, green and red. Black for what is none.
    fn colour(self, bytes: &[u8], palette: &Palette) -> [u8; 3] {
        match (self, bytes) {
            (Self::Indexed, [number]) => palette.get(usize::from(*number)).copied().unwrap_or_default(),
            (Self::Rgb555, [low, high]) => packed(u16::from_le_bytes([*low, *high]), 5),
            (Self::Rgb565, [low, high]) => packed(u16::from_le_bytes([*low, *high]), 6),
            (Self::Bgr, [blue, green, red]) | (Self::Rgb, [red, green, blue]) => [*blue, *green, *red],
            (Self::Bgrx, [blue, green, red, _]) => [*blue, *green, *red],
            _ => [0; 3],
        }
    }
}

/// Of a pixel in two bytes, whose green has this many bits. The highest bits fill up the lowest, so that white is white.
fn packed(pixel: u16, green_bits: u16) -> [u8; 3] {
    let part = |shift: u16, bits: u16| {
        let value = (pixel >> shift) & ((1 << bits) - 1);
        let wide = (value << (8 - bits)) | (value >> (2 * bits - 8));
        u8::try_from(wide).unwrap_or(u8::MAX)
    };
    [part(0, 5), part(5, green_bits), part(5 + green_bits, 5)]
}

/// Draws one bitmap.
pub(crate) fn draw(canvas: &mut Canvas, bitmap: &Bitmap<'_>, palette: &Palette) -> Result<(), Undecodable> {
    let [left, top, right, bottom] = bitmap.corners.map(usize::from);
    let (width, height) = (usize::from(bitmap.width), usize::from(bitmap.height));
    let wrong_size = Undecodable::Size { width: bitmap.width, height: bitmap.height };
    let place = right.checked_sub(left).zip(bottom.checked_sub(top)).map(|(x, y)| (x + 1, y + 1));
    let fits = |(across, down): &(usize, usize)| *across <= width && *down <= height;
    let Some((across, down)) = place.filter(fits) else { return Err(wrong_size) };
    if width.saturating_mul(height) > BITMAP_MAX_PIXELS {
        return Err(wrong_size);
    }
    let mut plain = Vec::new();
    let (pixel, data, stride) = if bitmap.compressed {
        let pixel = decompress(bitmap, &mut plain)?;
        (pixel, plain.as_slice(), width.saturating_mul(pixel.bytes()))
    } else {
        let pixel = uncompressed(bitmap.bits)?;
        let stride = width.saturating_mul(pixel.bytes()).next_multiple_of(ROW_PAD_BYTES);
        (pixel, bitmap.data, stride)
    };
    let needed = stride.saturating_mul(height);
    let data = data
        .get(..needed)
        .ok_or_else(|| Undecodable::Damaged(format!("{} bytes in place of {needed}", data.len())))?;
    // The bottom row comes first.
    let rows = data.chunks_exact(stride.max(1)).rev().take(down);
    let pixels = rows.map(|row| row.chunks_exact(pixel.bytes()).map(|bytes| pixel.colour(bytes, palette)));
    canvas.rows((left, top), across, pixels);
    Ok(())
}

fn uncompressed(bits: u16) -> Result<Pixel, Undecodable> {
    match bits {
        8 => Ok(Pixel::Indexed),
        15 => Ok(Pixel::Rgb555),
        16 => Ok(Pixel::Rgb565),
        24 => Ok(Pixel::Bgr),
        32 => Ok(Pixel::Bgrx),
        other => Err(Undecodable::Depth(other)),
    }
}

/// 32 bits are planar ([MS-RDPEGDI] 2.2.2.5.1), fewer have run lengths ([MS-RDPBCGR] 2.2.9.1.1.3.1.2.4).
fn decompress(bitmap: &Bitmap<'_>, plain: &mut Vec<u8>) -> Result<Pixel, Undecodable> {
    let (width, height) = (usize::from(bitmap.width), usize::from(bitmap.height));
    if bitmap.bits == 32 {
        let decoded =
            BitmapStreamDecoder::default().decode_bitmap_stream_to_rgb24(bitmap.data, plain, width, height);
        return decoded.map(|()| Pixel::Rgb).map_err(|error| Undecodable::Damaged(error.to_string()));
    }
    let pixel = uncompressed(bitmap.bits)?;
    let decoded = rle::decompress(bitmap.data, plain, width, height, bitmap.bits.into());
    decoded.map(|_| pixel).map_err(|error| Undecodable::Damaged(error.to_string()))
}
