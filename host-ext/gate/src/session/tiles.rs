//! Words and light as tiles. Pure.
//!
//! The panel is cut into squares small enough for one frame each; what surrounds it is of one colour, black or lit,
//! and goes before the words, so that nobody sees a cover that is lit in part.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use sudare_guard::cover::canvas::Rect;
use sudare_guard::cover::panel;
use sudare_guard::screen::Screenshot;
use sudare_relay::{Size, Tile};

/// Uncompressed, such a square takes 8 kB.
const SIDE: u16 = 64;
/// The field with the size of a bitmap allows for this many pixels ([MS-RDPBCGR] 2.2.9.1.1.3.1.2.2).
const FLAT_MAX_PIXELS: u16 = 32_767;

/// The panel of this picture.
pub(super) fn words(picture: &Screenshot) -> Vec<Tile> {
    let panel = panel(picture.width, picture.height);
    let tops = (0..panel.height).step_by(SIDE.into());
    tops.flat_map(|y| (0..panel.width).step_by(SIDE.into()).map(move |x| (x, y)))
        .filter_map(|(x, y)| {
            let size = Size { width: SIDE.min(panel.width - x), height: SIDE.min(panel.height - y) };
            let (left, top) = (panel.x + x, panel.y + y);
            Tile::new(left, top, size, &pixels(picture, left, top, size))
        })
        .collect()
}

fn pixels(picture: &Screenshot, left: u16, top: u16, size: Size) -> Vec<u16> {
    let row = |y: u16| {
        let start = usize::from(y) * usize::from(picture.width) + usize::from(left);
        let bytes = picture.bgra.get(start * 4..(start + usize::from(size.width)) * 4);
        bytes.unwrap_or_default().chunks_exact(4).map(|pixel| match *pixel {
            [blue, green, red, _] => rgb565([red, green, blue]),
            _ => 0,
        })
    };
    (top..top.saturating_add(size.height)).flat_map(row).collect()
}

/// Everything outside the panel in one colour.
pub(super) fn border(screen: Size, rgb: [u8; 3]) -> Vec<Tile> {
    let flat = |band: Rect| {
        let size = Size { width: band.width, height: band.height };
        Tile::flat(band.x, band.y, size, rgb565(rgb))
    };
    around(screen).filter_map(flat).collect()
}

/// Bands that make up everything outside the panel.
fn around(Size { width, height }: Size) -> impl Iterator<Item = Rect> {
    let panel = panel(width, height);
    let (right, bottom) = (panel.x + panel.width, panel.y + panel.height);
    let parts = [
        Rect { x: 0, y: 0, width, height: panel.y },
        Rect { x: 0, y: panel.y, width: panel.x, height: panel.height },
        Rect { x: right, y: panel.y, width: width - right, height: panel.height },
        Rect { x: 0, y: bottom, width, height: height - bottom },
    ];
    parts.into_iter().flat_map(bands)
}

/// Whole rows, as many at once as fit into one bitmap.
fn bands(part: Rect) -> impl Iterator<Item = Rect> {
    let stride = part.width.next_multiple_of(4).max(4);
    let rows = (FLAT_MAX_PIXELS / stride).max(1);
    let height = if part.width == 0 { 0 } else { part.height };
    (0..height).step_by(rows.into()).map(move |y| Rect {
        y: part.y + y,
        height: rows.min(height - y),
        ..part
    })
}

/// Exact for the colours of `sudare_protocol::light`, which have no more bits than this.
fn rgb565([red, green, blue]: [u8; 3]) -> u16 {
    let [red, green, blue] = [red, green, blue].map(u16::from);
    ((red >> 3) << 11) | ((green >> 2) << 5) | (blue >> 3)
}

#[cfg(test)]
mod tests {
    use sudare_guard::cover::black_picture;
    use sudare_protocol::light::{Shade, Strength};

    use super::*;

    const SIZES: [(u16, u16); 5] = [(1280, 720), (1024, 700), (1, 1), (201, 203), (7680, 4320)];

    #[test]
    fn every_pixel_outside_the_panel_is_in_one_band_and_none_inside() {
        for (width, height) in SIZES {
            let (screen, panel) = (Size { width, height }, panel(width, height));
            let mut lit = vec![0_u8; usize::from(width) * usize::from(height)];
            for band in around(screen) {
                for y in band.y..band.y + band.height {
                    let start = usize::from(y) * usize::from(width) + usize::from(band.x);
                    lit[start..start + usize::from(band.width)].iter_mut().for_each(|times| *times += 1);
                }
            }
            for (y, row) in (0..height).zip(lit.chunks(width.into())) {
                let outside = |x| u8::from(!panel.contains(x, y));
                assert!((0..width).zip(row).all(|(x, times)| *times == outside(x)), "{screen:?}, row {y}");
            }
            assert_eq!(border(screen, [255, 0, 0]).len(), around(screen).count(), "each fits into a tile");
        }
    }

    #[test]
    fn a_panel_is_cut_without_a_gap() {
        for (width, height) in SIZES {
            let panel = panel(width, height);
            let count = usize::from(panel.width.div_ceil(SIDE)) * usize::from(panel.height.div_ceil(SIDE));
            assert_eq!(words(&black_picture(width, height)).len(), count, "{width}x{height}");
        }
    }

    #[test]
    fn a_pixel_comes_to_its_place() {
        let (width, height) = (1280, 720);
        let panel = panel(width, height);
        let mut picture = black_picture(width, height);
        let at = (usize::from(panel.y) * usize::from(width) + usize::from(panel.x)) * 4;
        let mut bgra = picture.bgra.to_vec();
        bgra[at..at + 4].copy_from_slice(&[0, 0, 255, 0]);
        picture.bgra = bgra.into();
        let size = Size { width: SIDE, height: SIDE };
        let mut expected = vec![0; 64 * 64];
        expected[0] = 0xF800;
        assert_eq!(words(&picture).first(), Tile::new(panel.x, panel.y, size, &expected).as_ref());
    }

    #[test]
    fn every_light_is_exact() {
        let all = Shade::ALL.into_iter().flat_map(|shade| Strength::ALL.map(|strength| shade.rgb(strength)));
        for light in all {
            let code = rgb565(light);
            let wide = |code: u16, bits: u32| (code << (8 - bits)) | (code >> (2 * bits - 8));
            let rgb = [wide(code >> 11, 5), wide((code >> 5) & 63, 6), wide(code & 31, 5)];
            assert_eq!(rgb, light.map(u16::from));
        }
    }
}
