//! The contact sheet: for each step what the camera saw and what the client decoded, then the
//! opened evidence of one incident.

use std::path::Path;

use anyhow::Context as _;
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use sudare_guard::cover::canvas::{Canvas, Rect};
use sudare_guard::cover::fonts::Fonts;

use super::{Played, Proof};

const THUMB: (u32, u32) = (400, 225);
const CAMERA: (u32, u32) = (300, 225);
const TEXT_HEIGHT: u32 = 30;
const MARGIN: u32 = 12;
const COLUMNS: u32 = 2;
const EVIDENCE_COLUMNS: u32 = 5;
const PAPER: [u8; 3] = [245, 245, 240];
const INK: [u8; 3] = [30, 30, 30];

/// Draws and saves the sheet.
pub fn draw(dir: &Path, played: &[Played], proof: &Proof, path: &Path) -> anyhow::Result<()> {
    let cell = (CAMERA.0 + THUMB.0 + 2 * MARGIN, THUMB.1 + TEXT_HEIGHT + MARGIN);
    let rows = u32::try_from(played.len())?.div_ceil(COLUMNS);
    let evidence_rows = u32::try_from(proof.pictures.len())?.div_ceil(EVIDENCE_COLUMNS);
    let width = COLUMNS * cell.0 + MARGIN;
    let height = MARGIN + (rows + evidence_rows) * cell.1 + 2 * TEXT_HEIGHT;
    let mut sheet = RgbImage::from_pixel(width, height, Rgb(PAPER));
    let mut captions = Vec::new();
    for (n, done) in (0u32..).zip(played) {
        let (x, y) = (MARGIN + n % COLUMNS * cell.0, MARGIN + n / COLUMNS * cell.1);
        captions.push((x, y, caption(n + 1, done)));
        if let Some(camera) = &done.camera {
            put(&mut sheet, camera, (x, y + TEXT_HEIGHT), CAMERA);
        }
        let remote = image::open(dir.join(&done.picture))?.to_rgb8();
        put(&mut sheet, &remote, (x + CAMERA.0 + MARGIN, y + TEXT_HEIGHT), THUMB);
    }
    let top = MARGIN + rows * cell.1;
    captions.push((
        MARGIN,
        top,
        "Evidence of the onlooker's incident, opened with the auditor's identity:".into(),
    ));
    for (n, (label, file)) in (0u32..).zip(&proof.pictures) {
        let (x, y) = (
            MARGIN + n % EVIDENCE_COLUMNS * ((width - MARGIN) / EVIDENCE_COLUMNS),
            top + TEXT_HEIGHT + n / EVIDENCE_COLUMNS * cell.1,
        );
        captions.push((x, y, label.clone()));
        let picture = image::open(file).with_context(|| file.display().to_string())?.to_rgb8();
        put(
            &mut sheet,
            &picture,
            (x, y + TEXT_HEIGHT),
            ((width - MARGIN) / EVIDENCE_COLUMNS - MARGIN, THUMB.1),
        );
    }
    write_captions(&mut sheet, &captions);
    sheet.save(path).with_context(|| path.display().to_string())
}

/// Draws and saves pictures with their captions, three in a row.
pub fn gallery(pictures: &[(String, std::path::PathBuf)], path: &Path) -> anyhow::Result<()> {
    let (columns, cell) = (3, (THUMB.0 + MARGIN, THUMB.1 + TEXT_HEIGHT + MARGIN));
    let rows = u32::try_from(pictures.len())?.div_ceil(columns);
    let mut sheet = RgbImage::from_pixel(columns * cell.0 + MARGIN, rows * cell.1 + MARGIN, Rgb(PAPER));
    let mut captions = Vec::new();
    for (n, (caption, file)) in (0u32..).zip(pictures) {
        let (x, y) = (MARGIN + n % columns * cell.0, MARGIN + n / columns * cell.1);
        let picture = image::open(file).with_context(|| file.display().to_string())?.to_rgb8();
        put(&mut sheet, &picture, (x, y + TEXT_HEIGHT), THUMB);
        captions.push((x, y, caption.clone()));
    }
    write_captions(&mut sheet, &captions);
    sheet.save(path).with_context(|| path.display().to_string())
}

fn caption(number: u32, done: &Played) -> String {
    let shown = if done.covered { format!("covered: {}", done.reason) } else { "desktop".to_owned() };
    let latency = done.latency_ms.map(|ms| format!(", {ms} ms after the decision")).unwrap_or_default();
    format!("{number}. {} | {shown}{latency}", done.step)
}

/// Pastes a picture, scaled to fit into `size`.
fn put(sheet: &mut RgbImage, picture: &RgbImage, (x, y): (u32, u32), size: (u32, u32)) {
    let (w, h) = picture.dimensions();
    if w == 0 || h == 0 {
        return;
    }
    let (fit_w, fit_h) =
        if w * size.1 > h * size.0 { (size.0, h * size.0 / w) } else { (w * size.1 / h, size.1) };
    let small = imageops::resize(picture, fit_w.max(1), fit_h.max(1), FilterType::Triangle);
    imageops::replace(sheet, &small, x.into(), y.into());
}

fn write_captions(sheet: &mut RgbImage, captions: &[(u32, u32, String)]) {
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
