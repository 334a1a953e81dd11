//! From the request to black, and to the confirmed cover, with a snapshot taken on the way.

use std::time::{Duration, Instant};

use anyhow::ensure;
use sudare_blanker::wire::{Reply, Request};

use super::desktop::Desktop;
use super::display::Access;
use super::matrix::ready;
use super::sampler::Screen;

/// Everywhere on the screen: two corners, the middle, and the desktop's stripes.
const POINTS: [(u32, u32); 4] = [(1, 1), (50, 50), (94, 94), (10, 80)];
/// A client that asks without a pause would keep the server from what is measured.
const LOOK_EVERY: Duration = Duration::from_micros(200);
const DESKTOP_SHOWN: Duration = Duration::from_millis(30);

/// Times in milliseconds, counted from before the request was written.
#[derive(Debug, Default, Clone)]
pub struct Latency {
    /// Until a client that looks all the time saw black everywhere.
    pub to_black_ms: Vec<f64>,
    /// Until the blanker had read the whole screen back and told so.
    pub to_covered_ms: Vec<f64>,
    /// Until the snapshot of the desktop was there.
    pub to_picture_ms: Vec<f64>,
}

/// Covers and uncovers a display so often.
pub fn measure(access: &Access, rounds: usize) -> anyhow::Result<Latency> {
    let desktop = Desktop::show(access)?;
    let screen = Screen::open(access)?;
    let mut blanker = ready(access)?;
    let mut latency = Latency::default();
    for _ in 0..rounds {
        blanker.uncover()?;
        desktop.delivered()?;
        std::thread::sleep(DESKTOP_SHOWN);
        ensure!(!is_black(&screen)?, "the desktop is not seen before the cover");
        let asked = blanker.ticket();
        let start = Instant::now();
        blanker.ask(&Request::Cover { ticket: asked, picture: true })?;
        while !is_black(&screen)? {
            std::thread::sleep(LOOK_EVERY);
        }
        latency.to_black_ms.push(start.elapsed().as_secs_f64() * 1e3);
        let covered = blanker.covered(asked)?;
        latency.to_covered_ms.push((covered - start).as_secs_f64() * 1e3);
        let picture = |reply: &Reply| matches!(reply, Reply::Picture { .. }).then_some(());
        let (arrived, ()) = blanker.wait_for("picture", picture)?;
        latency.to_picture_ms.push((arrived - start).as_secs_f64() * 1e3);
    }
    blanker.uncover()?;
    Ok(latency)
}

/// The value below which this share of the samples lies.
pub fn percentile(samples: &[f64], share: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index below the length")]
    let index = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(index.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

fn is_black(screen: &Screen) -> anyhow::Result<bool> {
    let part = |side: u16, percent: u32| u16::try_from(u32::from(side) * percent / 100).unwrap_or(0);
    screen.are_black(POINTS.map(|(x, y)| (part(screen.width, x), part(screen.height, y))))
}
