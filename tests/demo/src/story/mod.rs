//! The demo: the main job on this machine, with the real programs over a real RDP connection.
//!
//! ```text
//!  stage  keys, records, enrolment; starts sudare-embedded, sudare connect     (the users' own commands)
//!  play   the scene, step by step; each step is asserted from the client's decoded framebuffer
//!  held   the step in which a picture of the operator is held up
//!  proof  sudare-audit verify, list, show, open, export
//!  sheet  the contact sheet
//! ```

mod edges;
mod held;
pub mod live;
mod play;
mod sheet;

use std::path::{Path, PathBuf};

use serde::Serialize;
use sudare_protocol::light;

pub use edges::{after_kill, log_on};
pub use play::{Player, STORY, Step};
pub use sheet::draw;

/// The lines of the demo's policy that ask for a check by light before each opening. Whatever cannot be measured stays
/// covered, so that no picture is let in because the check failed.
pub const POLICY: &str =
    "[eyes]\nliveness = \"light-required\"\nnot_measurable = \"cover\"\nholds_minutes = 0\n";

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

/// Whether a saved picture shows nothing of the desktop: black, or the light of a check, outside the panel with the
/// reason.
pub fn is_covered(png: &Path) -> anyhow::Result<bool> {
    Ok(count(png, |in_panel, pixel| !in_panel && pixel != [0; 3] && !light::is_light(pixel))? == 0)
}

/// How many pixels the words on the panel have.
pub fn words(png: &Path) -> anyhow::Result<usize> {
    count(png, |in_panel, pixel| in_panel && pixel != [0; 3])
}

/// Pixels of which this is true: whether they are on the panel, and their colour.
fn count(png: &Path, wanted: impl Fn(bool, [u8; 3]) -> bool) -> anyhow::Result<usize> {
    let picture = image::open(png)?.to_rgb8();
    let (width, height) = picture.dimensions();
    let side = |side: u32| u16::try_from(side).unwrap_or(u16::MAX);
    let [left, top, right, bottom] = sudare_protocol::screen::panel(side(width), side(height)).map(u32::from);
    let in_panel = |x: u32, y: u32| (left..right).contains(&x) && (top..bottom).contains(&y);
    Ok(picture.enumerate_pixels().filter(|(x, y, pixel)| wanted(in_panel(*x, *y), pixel.0)).count())
}
