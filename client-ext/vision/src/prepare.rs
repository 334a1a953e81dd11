//! From an RGB8 frame, or a part of it, to the detector's input: shrunk or enlarged, padded, blue-green-red planes of
//! f32.
//!
//! Shrinking averages areas (each output pixel is the mean of the source area under it), which keeps small faces
//! that bilinear sampling would lose; enlarging is bilinear. Rows are summed first, in one pass over the frame: this is most of the CPU
//! time outside the networks.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "picture sides are at most 65,535"
)]

use sudare_client_core::frame::Frame;

/// Planes blue, green, red; each `padded_height` rows of `padded_width` values from 0 to 255.
#[derive(Default)]
pub struct Planar {
    pub padded_width: usize,
    pub padded_height: usize,
    /// Size of the picture inside the padding (top left).
    pub width: usize,
    pub height: usize,
    pub data: Vec<f32>,
    columns: Vec<Span>,
    row_sum: Vec<f32>,
}

/// A part of a frame, in whole pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    pub left: usize,
    pub top: usize,
    pub width: usize,
    pub height: usize,
}

impl Region {
    /// All of it.
    pub fn whole(frame: &Frame) -> Self {
        Region { left: 0, top: 0, width: frame.width as usize, height: frame.height as usize }
    }

    /// Left, top, width, height in pixels, as far as they are inside the frame; at least one pixel.
    pub fn within(frame: &Frame, [x, y, w, h]: [f32; 4]) -> Self {
        let span = |from: f32, len: f32, side: u32| {
            let side = (side as usize).max(1);
            // The casts saturate, and NaN becomes 0.
            let start = (from.max(0.0) as usize).min(side - 1);
            (start, (len.max(1.0) as usize).clamp(1, side - start))
        };
        let ((left, width), (top, height)) = (span(x, w, frame.width), span(y, h, frame.height));
        Region { left, top, width, height }
    }
}

/// A run of source pixels that one output pixel averages: the first and last count in part.
#[derive(Clone, Copy)]
struct Span {
    first: usize,
    /// Exclusive.
    end: usize,
    first_weight: f32,
    last_weight: f32,
    /// One over the sum of all weights.
    scale: f32,
}

/// The size of a picture whose longer side is shrunk to `long_side` (never enlarged).
#[must_use]
pub fn shrunk_size(width: u32, height: u32, long_side: u32) -> (usize, usize) {
    let longest = width.max(height).max(1);
    if longest <= long_side {
        return (width as usize, height as usize);
    }
    let scaled =
        |side: u32| ((f64::from(side) * f64::from(long_side) / f64::from(longest)).round() as usize).max(1);
    (scaled(width), scaled(height))
}

impl Planar {
    /// Fills this buffer from a part of a frame; the buffer is reused from frame to frame. The frame must be
    /// consistent and hold the part.
    pub fn fill(&mut self, frame: &Frame, region: &Region, width: usize, height: usize, multiple: usize) {
        (self.width, self.height) = (width, height);
        self.padded_width = width.next_multiple_of(multiple);
        self.padded_height = height.next_multiple_of(multiple);
        let plane = self.padded_width * self.padded_height;
        self.data.clear();
        self.data.resize(plane * 3, 0.0);
        self.columns.clear();
        self.columns.extend((0..width).map(|x| Span::of(x, region.width, width).from(region.left)));
        let (blue, rest) = self.data.split_at_mut(plane);
        let (green, red) = rest.split_at_mut(plane);
        let rows = blue
            .chunks_exact_mut(self.padded_width)
            .zip(green.chunks_exact_mut(self.padded_width))
            .zip(red.chunks_exact_mut(self.padded_width));
        for (y, ((blue, green), red)) in rows.take(height).enumerate() {
            sum_rows(&mut self.row_sum, frame, &Span::of(y, region.height, height).from(region.top));
            let pixels = blue.iter_mut().zip(green).zip(red).zip(&self.columns);
            for (((blue, green), red), span) in pixels {
                [*red, *green, *blue] = span.average(&self.row_sum);
            }
        }
    }
}

impl std::fmt::Debug for Planar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Planar({}x{})", self.padded_width, self.padded_height)
    }
}

impl Span {
    fn of(index: usize, source_len: usize, len: usize) -> Self {
        let step = source_len as f64 / len as f64;
        if step < 1.0 {
            return Self::between(index as f64 * step + (step - 1.0) / 2.0, source_len);
        }
        let (from, to) = (index as f64 * step, ((index + 1) as f64 * step).min(source_len as f64));
        let first = from.floor() as usize;
        let end = ((to - 1e-9).ceil() as usize).clamp(first + 1, source_len.max(first + 1));
        let first_weight = (1.0 - (from - first as f64)).min(to - from);
        let last_weight = if end == first + 1 { first_weight } else { to - (end - 1) as f64 };
        Self {
            first,
            end,
            first_weight: first_weight as f32,
            last_weight: last_weight as f32,
            scale: (1.0 / (to - from)) as f32,
        }
    }

    /// The two source pixels about a place between them, as bilinear enlarging has it.
    fn between(at: f64, source_len: usize) -> Self {
        let at = at.clamp(0.0, source_len.saturating_sub(1) as f64);
        let first = (at.floor() as usize).min(source_len.saturating_sub(2));
        let part = (at - first as f64) as f32;
        let end = (first + 2).min(source_len.max(1));
        let first_weight = if end == first + 1 { 1.0 } else { 1.0 - part };
        Self { first, end, first_weight, last_weight: part, scale: 1.0 }
    }

    /// The same run, of a source that begins later.
    fn from(self, start: usize) -> Self {
        Self { first: self.first + start, end: self.end + start, ..self }
    }

    fn weight(&self, at: usize) -> f32 {
        if at == self.first {
            self.first_weight
        } else if at + 1 == self.end {
            self.last_weight
        } else {
            1.0
        }
    }

    fn average(&self, row: &[f32]) -> [f32; 3] {
        let mut sum = [0.0; 3];
        let pixels = row.get(self.first * 3..self.end * 3).unwrap_or_default();
        for (i, pixel) in pixels.chunks_exact(3).enumerate() {
            let weight = self.weight(self.first + i) * self.scale;
            sum[0] += weight * pixel[0];
            sum[1] += weight * pixel[1];
            sum[2] += weight * pixel[2];
        }
        sum
    }
}

/// The weighted mean of the rows of a span.
fn sum_rows(sum: &mut Vec<f32>, frame: &Frame, span: &Span) {
    let row_bytes = frame.width as usize * 3;
    sum.clear();
    sum.resize(row_bytes, 0.0);
    for y in span.first..span.end {
        let weight = span.weight(y) * span.scale;
        let row = frame.rgb.get(y * row_bytes..(y + 1) * row_bytes).unwrap_or_default();
        for (sum, &value) in sum.iter_mut().zip(row) {
            *sum += weight * f32::from(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(width: u32, height: u32, pixel: impl Fn(u32, u32) -> [u8; 3]) -> Frame {
        let rgb = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).flat_map(|(x, y)| pixel(x, y));
        Frame { width, height, rgb: rgb.collect(), t_ms: 0, seq: 0 }
    }

    #[test]
    fn halving_averages_four_pixels_and_pads_with_zeros() {
        let mut planar = Planar::default();
        let small = frame(4, 2, |x, y| [(x * 10) as u8, (y * 20) as u8, 7]);
        planar.fill(&small, &Region::whole(&small), 2, 1, 32);
        assert_eq!((planar.padded_width, planar.padded_height), (32, 32));
        assert_eq!(planar.data[..3], [7.0, 7.0, 0.0]);
        assert_eq!(planar.data[1024..1027], [10.0, 10.0, 0.0]);
        assert_eq!(planar.data[2048..2051], [5.0, 25.0, 0.0]);
        assert!(planar.data[32..1024].iter().all(|&v| v == 0.0));
    }

    #[test]
    fn any_ratio_keeps_the_mean() {
        for (width, height) in [(7, 5), (64, 48), (65, 47), (33, 63)] {
            let mut planar = Planar::default();
            let source = frame(65, 63, |x, y| [(x * 3) as u8, (y * 4) as u8, ((x * y) % 251) as u8]);
            planar.fill(&source, &Region::whole(&source), width, height, 1);
            for colour in 0..3 {
                let plane = width * height;
                let mean: f32 =
                    planar.data[colour * plane..(colour + 1) * plane].iter().sum::<f32>() / plane as f32;
                let exact: f32 =
                    source.rgb.iter().skip(2 - colour).step_by(3).map(|&v| f32::from(v)).sum::<f32>()
                        / (65.0 * 63.0);
                assert!((mean - exact).abs() < 0.01, "{width}x{height}: {mean} is not {exact}");
            }
        }
    }

    #[test]
    fn the_same_size_is_a_copy() {
        let mut planar = Planar::default();
        let same = frame(32, 32, |x, y| [x as u8, y as u8, 200]);
        planar.fill(&same, &Region::whole(&same), 32, 32, 32);
        assert_eq!((planar.data[33], planar.data[1024 + 33], planar.data[2048 + 33]), (200.0, 1.0, 1.0));
    }

    #[test]
    fn a_part_is_enlarged_smoothly_and_lies_where_it_was() {
        // A ramp stays a ramp, and the part begins at its own pixels.
        let ramp = frame(64, 48, |x, y| [(x * 4) as u8, (y * 5) as u8, 9]);
        let region = Region::within(&ramp, [16.0, 12.0, 32.0, 24.0]);
        let mut planar = Planar::default();
        planar.fill(&ramp, &region, 64, 48, 1);
        let red = &planar.data[64 * 48 * 2..];
        let green = &planar.data[64 * 48..64 * 48 * 2];
        assert!(
            (red[30] - (16.0 + 15.0 - 0.25) * 4.0).abs() < 0.1 && (red[0] - 64.0).abs() < 1.1,
            "{}",
            red[30]
        );
        assert!((green[24 * 64] - (12.0 + 12.0 - 0.25) * 5.0).abs() < 0.1);
        assert!(red.windows(2).take(60).all(|pair| pair[1] >= pair[0]));
    }

    #[test]
    fn a_part_is_always_inside() {
        let source = frame(64, 48, |_, _| [1; 3]);
        for part in [[-9.0, -9.0, 500.0, 500.0], [63.9, 47.9, 9.0, 9.0], [f32::NAN; 4], [1e9, 1e9, 0.0, 0.0]]
        {
            let Region { left, top, width, height } = Region::within(&source, part);
            assert!(left + width <= 64 && top + height <= 48 && width > 0 && height > 0, "{part:?}");
            Planar::default().fill(&source, &Region::within(&source, part), 32, 32, 32);
        }
    }

    #[test]
    fn sizes_shrink_and_never_grow() {
        assert_eq!(shrunk_size(640, 480, 320), (320, 240));
        assert_eq!(shrunk_size(100, 50, 320), (100, 50));
        assert_eq!(shrunk_size(65_535, 1, 320), (320, 1));
    }
}
