//! Pictures with captions on one sheet, to look at.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use sudare_guard::cover::canvas::{Canvas, Rect};
use sudare_guard::cover::fonts::Fonts;

/// Of a picture on the sheet.
pub const THUMB: (u32, u32) = (400, 225);
/// Of a line of text above it.
pub const TEXT_HEIGHT: u32 = 30;
pub const MARGIN: u32 = 12;
const PAPER: [u8; 3] = [245, 245, 240];
const INK: [u8; 3] = [30, 30, 30];

/// An empty sheet.
pub fn sheet(width: u32, height: u32) -> RgbImage {
    RgbImage::from_pixel(width, height, Rgb(PAPER))
}

/// Draws and saves pictures with their captions, three in a row.
pub fn draw(pictures: &[(String, PathBuf)], path: &Path) -> anyhow::Result<()> {
    let (columns, cell) = (3, (THUMB.0 + MARGIN, THUMB.1 + TEXT_HEIGHT + MARGIN));
    let rows = u32::try_from(pictures.len())?.div_ceil(columns);
    let mut page = sheet(columns * cell.0 + MARGIN, rows * cell.1 + MARGIN);
    let mut captions = Vec::new();
    for (n, (caption, file)) in (0u32..).zip(pictures) {
        let (x, y) = (MARGIN + n % columns * cell.0, MARGIN + n / columns * cell.1);
        let picture = image::open(file).with_context(|| file.display().to_string())?.to_rgb8();
        put(&mut page, &picture, (x, y + TEXT_HEIGHT), THUMB);
        captions.push((x, y, caption.clone()));
    }
    write_captions(&mut page, &captions);
    page.save(path).with_context(|| path.display().to_string())
}

/// Pastes a picture, scaled to fit into `size`.
pub fn put(sheet: &mut RgbImage, picture: &RgbImage, (x, y): (u32, u32), size: (u32, u32)) {
    let (w, h) = picture.dimensions();
    if w == 0 || h == 0 {
        return;
    }
    let (fit_w, fit_h) =
        if w * size.1 > h * size.0 { (size.0, h * size.0 / w) } else { (w * size.1 / h, size.1) };
    let small = imageops::resize(picture, fit_w.max(1), fit_h.max(1), FilterType::Triangle);
    imageops::replace(sheet, &small, x.into(), y.into());
}

/// Writes each text where it belongs.
pub fn write_captions(sheet: &mut RgbImage, captions: &[(u32, u32, String)]) {
    let fonts = Fonts::load();
    let (width, height) = sheet.dimensions();
    let side = |side: u32| u16::try_from(side).unwrap_or(u16::MAX);
    let mut bgra: Vec<u8> = sheet.pixels().flat_map(|p| [p.0[2], p.0[1], p.0[0], 255]).collect();
    let mut canvas = Canvas::new(&mut bgra, side(width), side(height));
    canvas.clip(Rect { x: 0, y: 0, width: side(width), height: side(height) });
    for (x, y, text) in captions {
        #[allow(clippy::cast_precision_loss, reason = "pixels of a sheet fit f32 exactly")]
        fonts.draw(&mut canvas, (*x as f32, *y as f32 + 4.0), 18.0, INK, text);
    }
    for (pixel, p) in sheet.pixels_mut().zip(bgra.chunks_exact(4)) {
        *pixel = Rgb([p[2], p[1], p[0]]);
    }
}
