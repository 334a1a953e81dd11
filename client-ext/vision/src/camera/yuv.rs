//! YUV to RGB, ITU-R BT.601, 8 bits, in integers.

#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "values are clamped to 0..=255")]

/// Whether luma uses 16..=235 (video) or 0..=255 (JPEG).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    Limited,
    Full,
}

/// One pixel.
#[must_use]
pub fn to_rgb(y: u8, u: u8, v: u8, range: Range) -> [u8; 3] {
    let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
    // Coefficients times 2^16.
    let (luma, r_v, g_u, g_v, b_u) = match range {
        Range::Limited => ((i32::from(y) - 16) * 76_309, 104_597, 25_675, 53_279, 132_201),
        Range::Full => (i32::from(y) << 16, 91_881, 22_554, 46_802, 116_130),
    };
    let byte = |value: i32| ((value + (1 << 15)) >> 16).clamp(0, 255) as u8;
    [byte(luma + r_v * v), byte(luma - g_u * u - g_v * v), byte(luma + b_u * u)]
}

/// In which order packed 4:2:2 stores two pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Yuyv,
    Uyvy,
    Yvyu,
    Vyuy,
}

/// How a packed 4:2:2 picture lies in its buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed {
    pub width: u32,
    pub height: u32,
    /// Bytes from one row to the next. Drivers pad rows to what their hardware likes.
    pub stride: u32,
    pub order: Order,
}

/// Packed 4:2:2 as webcams send it. The last row need not be padded.
///
/// # Errors
/// The buffer is shorter than the picture, or its rows are.
pub fn packed_to_rgb(picture: &Packed, data: &[u8]) -> Result<Vec<u8>, String> {
    let [width, height, stride] = [picture.width, picture.height, picture.stride].map(to_usize);
    let row_bytes = width.div_ceil(2) * 4;
    if width == 0 || height == 0 || stride < row_bytes {
        return Err(format!("rows of {stride} bytes cannot hold {width} pixels"));
    }
    let needed = stride.saturating_mul(height - 1).saturating_add(row_bytes);
    let Some(data) = data.get(..needed) else {
        return Err(format!("it has {} bytes, and {width}x{height} pixels take {needed}", data.len()));
    };
    let [y0, u, y1, v] = match picture.order {
        Order::Yuyv => [0, 1, 2, 3],
        Order::Uyvy => [1, 0, 3, 2],
        Order::Yvyu => [0, 3, 2, 1],
        Order::Vyuy => [1, 2, 3, 0],
    };
    let mut rgb = Vec::with_capacity(width * height * 3);
    for row in data.chunks(stride) {
        for quad in row.as_chunks::<4>().0.iter().take(row_bytes / 4) {
            rgb.extend_from_slice(&to_rgb(quad[y0], quad[u], quad[v], Range::Limited));
            rgb.extend_from_slice(&to_rgb(quad[y1], quad[u], quad[v], Range::Limited));
        }
        // Of an odd width, the last pair has one pixel.
        rgb.truncate(rgb.len() - width % 2 * 3);
    }
    Ok(rgb)
}

fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_of_the_standard() {
        assert_eq!(to_rgb(16, 128, 128, Range::Limited), [0, 0, 0]);
        assert_eq!(to_rgb(235, 128, 128, Range::Limited), [255, 255, 255]);
        assert_eq!(to_rgb(81, 90, 240, Range::Limited), [254, 0, 0]);
        assert_eq!(to_rgb(255, 128, 128, Range::Full), [255, 255, 255]);
        assert_eq!(to_rgb(76, 85, 255, Range::Full), [254, 0, 0]);
    }

    fn packed(width: u32, height: u32, stride: u32, order: Order) -> Packed {
        Packed { width, height, stride, order }
    }

    #[test]
    fn a_short_buffer_or_row_is_refused() {
        let (two, row) = (packed(2, 1, 4, Order::Yuyv), [235, 128, 16, 128]);
        assert_eq!(packed_to_rgb(&two, &row), Ok(vec![255, 255, 255, 0, 0, 0]));
        for (width, height, stride) in
            [(2, 2, 4), (4, 1, 4), (3, 1, 6), (0, 1, 4), (2, 0, 4), (2, u32::MAX, 9)]
        {
            let picture = packed(width, height, stride, Order::Yuyv);
            assert!(packed_to_rgb(&picture, &row).is_err(), "{picture:?}");
        }
    }

    #[test]
    fn every_order_gives_the_same_pixels_and_padding_is_left_out() {
        let wanted = [to_rgb(81, 90, 240, Range::Limited), to_rgb(145, 90, 240, Range::Limited)].concat();
        for (order, quad) in [
            (Order::Yuyv, [81, 90, 145, 240]),
            (Order::Uyvy, [90, 81, 240, 145]),
            (Order::Yvyu, [81, 240, 145, 90]),
            (Order::Vyuy, [240, 81, 90, 145]),
        ] {
            // Two rows of one pair, seven bytes of padding after the first only.
            let data = [&quad[..], &[7; 7], &quad].concat();
            let rgb = packed_to_rgb(&packed(2, 2, 11, order), &data).unwrap();
            assert_eq!(rgb, [&wanted[..], &wanted].concat(), "{order:?}");
            let odd = packed_to_rgb(&packed(1, 2, 11, order), &data).unwrap();
            assert_eq!(odd, [&wanted[..3], &wanted[..3]].concat(), "{order:?}");
        }
    }
}
