//! The contact sheet: for each step what the camera saw and what the client decoded, then the
//! opened evidence of one incident.

use std::path::Path;

use anyhow::Context as _;
use sudare_stack::gallery::{self, MARGIN, TEXT_HEIGHT, THUMB, put, write_captions};
use sudare_test_kit::stage::Proof;

use super::Played;

const CAMERA: (u32, u32) = (300, 225);
const COLUMNS: u32 = 2;
const EVIDENCE_COLUMNS: u32 = 5;

/// Draws and saves the sheet.
pub fn draw(dir: &Path, played: &[Played], proof: &Proof, path: &Path) -> anyhow::Result<()> {
    let cell = (CAMERA.0 + THUMB.0 + 2 * MARGIN, THUMB.1 + TEXT_HEIGHT + MARGIN);
    let rows = u32::try_from(played.len())?.div_ceil(COLUMNS);
    let evidence_rows = u32::try_from(proof.pictures.len())?.div_ceil(EVIDENCE_COLUMNS);
    let width = COLUMNS * cell.0 + MARGIN;
    let height = MARGIN + (rows + evidence_rows) * cell.1 + 2 * TEXT_HEIGHT;
    let mut sheet = gallery::sheet(width, height);
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
        "Evidence of the onlooker incident, opened with an auditor's identity:".into(),
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

fn caption(number: u32, done: &Played) -> String {
    let shown = if done.covered { format!("covered: {}", done.reason) } else { "desktop".to_owned() };
    let latency = done.latency_ms.map(|ms| format!(", {ms} ms after the decision")).unwrap_or_default();
    format!("{number}. {} | {shown}{latency}", done.step)
}
