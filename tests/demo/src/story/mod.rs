//! The demo: the main job on this machine, with the real programs over a real RDP connection.
//!
//! ```text
//!  stage  keys, records, enrolment; starts sudare-embedded, sudare connect     (the users' own commands)
//!  play   the scene, step by step; each step is asserted from the client's decoded framebuffer
//!  proof  sudare-audit verify, list, show, open, export
//!  sheet  the contact sheet
//! ```

mod edges;
pub mod live;
mod play;
mod sheet;

use std::path::{Path, PathBuf};

use serde::Serialize;

pub use edges::{after_kill, log_on};
pub use play::{Player, STORY, Step};
pub use sheet::draw;

/// What happened in one step.
#[derive(Debug, Clone, Serialize)]
pub struct Played {
    pub step: String,
    /// From the start of the demo.
    pub t_ms: u64,
    pub covered: bool,
    pub reason: String,
    /// From the client's decision (or the fault) to the picture at the client.
    pub latency_ms: Option<u64>,
    /// From what happened in the scene to the picture at the client.
    pub reaction_ms: u64,
    /// How many times slower than a developer's idle machine this one was meanwhile.
    pub slowness: f64,
    pub picture: PathBuf,
    #[serde(skip)]
    pub camera: Option<image::RgbImage>,
}

/// Whether a saved picture shows nothing of the desktop: black outside the panel with the reason.
pub fn is_covered(png: &Path) -> anyhow::Result<bool> {
    Ok(lit(png, false)? == 0)
}

/// How many pixels the words on the panel have.
pub fn words(png: &Path) -> anyhow::Result<usize> {
    lit(png, true)
}

/// Pixels on the panel, or around it, that are not black.
fn lit(png: &Path, on_panel: bool) -> anyhow::Result<usize> {
    let picture = image::open(png)?.to_rgb8();
    let (width, height) = picture.dimensions();
    let side = |side: u32| u16::try_from(side).unwrap_or(u16::MAX);
    let [left, top, right, bottom] = sudare_protocol::screen::panel(side(width), side(height)).map(u32::from);
    let in_panel = |x: u32, y: u32| (left..right).contains(&x) && (top..bottom).contains(&y);
    Ok(picture
        .enumerate_pixels()
        .filter(|(x, y, p)| p.0 != [0, 0, 0] && in_panel(*x, *y) == on_panel)
        .count())
}
