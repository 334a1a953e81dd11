//! From the bytes that a camera sends to a picture that the eyes can look at.

use std::path::Path;
use std::time::Instant;

use sudare_vision::camera::picture;

use super::clips::Clip;

/// Rounds over the clip.
const ROUNDS: usize = 3;

/// Milliseconds for each picture of a clip, decoded in this process.
pub fn capture_ms(clip: &Clip) -> anyhow::Result<Vec<f64>> {
    let mut paths: Vec<_> = std::fs::read_dir(&clip.folder)?.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let pictures: Vec<Vec<u8>> = paths.iter().map(std::fs::read).collect::<Result<_, _>>()?;
    let mut took_ms = Vec::new();
    for bytes in (0..ROUNDS).flat_map(|_| &pictures) {
        let started = Instant::now();
        std::hint::black_box(picture::decode(bytes, Path::new("a picture of the benchmark"))?);
        took_ms.push(started.elapsed().as_secs_f64() * 1e3);
    }
    Ok(took_ms)
}
