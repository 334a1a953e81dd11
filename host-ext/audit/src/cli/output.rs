//! What commands print: text for people, one JSON object for programs, and the progress of long ones.

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use sudare_base::output;
pub(crate) use sudare_base::output::line;

/// The result as one JSON object.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    output::json(&serde_json::to_string(value)?);
    Ok(())
}

/// A progress bar on standard error, drawn only if that is a terminal.
pub(crate) fn progress(steps: u64) -> ProgressBar {
    let bar = ProgressBar::new(steps);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    bar
}
