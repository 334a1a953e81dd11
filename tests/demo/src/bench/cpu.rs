//! CPU per watched second: `sudare watch`, and the same work in OpenCV, on the same pictures.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use sudare_models::{FetchOptions, Role, Store};
use sudare_test_kit::scene;
use sudare_test_kit::stage::Stage;

use super::clips::{self, Clip};

/// How often both are measured, in turn.
const ROUNDS: usize = 3;

/// CPU milliseconds per watched second, medians.
#[derive(Debug)]
pub struct Cpu {
    pub sudare: f64,
    pub opencv: f64,
}

impl Cpu {
    pub fn ratio(&self) -> f64 {
        self.sudare / self.opencv
    }
}

/// The peer: detector and recogniser on every frame, on one thread.
const OPENCV: &str = "
import cv2, glob, sys, time
cv2.setNumThreads(1)
detector = cv2.FaceDetectorYN.create(sys.argv[1], '', (640, 480), 0.6, 0.3)
embedder = cv2.FaceRecognizerSF.create(sys.argv[2], '')
files = sorted(glob.glob(sys.argv[3] + '/*.jpg'))
def look(name):
    frame = cv2.imread(name)
    faces = detector.detect(frame)[1]
    for face in (faces if faces is not None else []):
        embedder.feature(embedder.alignCrop(frame, face))
    return 0 if faces is None else len(faces)
look(files[0])
start = time.process_time()
faces = sum(look(name) for name in files)
print((time.process_time() - start) * 1000, len(files), faces, cv2.__version__)
";

/// Measures both in turn on a clip.
pub fn measure(stage: &Stage, clip: &Clip, python: &Path, models: &Path) -> anyhow::Result<Cpu> {
    let short = clips::first_picture(clip)?;
    let (mut ours, mut peers) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        // The start-up (loading models) is not watching; the peer's is left out too.
        let start_up = watch_cpu_ms(stage, &short, 1)?;
        ours.push(watch_cpu_ms(stage, &clip.folder, clip.frames)? - start_up);
        peers.push(opencv_cpu_ms(python, models, clip)?);
    }
    let seconds = f64::from(u32::try_from(clip.frames)?) / f64::from(u32::try_from(scene::FPS)?);
    Ok(Cpu { sudare: median(ours) / seconds, opencv: median(peers) / seconds })
}

fn watch_cpu_ms(stage: &Stage, clip: &Path, frames: u64) -> anyhow::Result<f64> {
    let output = stage
        .client_command("device")
        .args(["watch", "--json", "--source"])
        .arg(clip)
        .arg("--operator")
        .arg(stage.dir.join("operator.template"))
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let last = said.lines().last().context("sudare watch told nothing")?;
    let end: Value = serde_json::from_str(last)?;
    ensure!(end["frames"] == frames, "sudare watch saw {last}, and {frames} frames were shown");
    end["cpu_ms"].as_f64().context("no cpu_ms")
}

fn opencv_cpu_ms(python: &Path, models: &Path, clip: &Clip) -> anyhow::Result<f64> {
    let output =
        Command::new(python).args(["-c", OPENCV]).args(peers_models(models)?).arg(&clip.folder).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let problem = String::from_utf8_lossy(&output.stderr);
    let fields: Vec<&str> = said.split_whitespace().collect();
    let [cpu_ms, frames, faces, _version] = fields.as_slice() else {
        anyhow::bail!("OpenCV could not be measured: {problem}");
    };
    ensure!(*frames == clip.frames.to_string(), "OpenCV saw {frames} frames");
    // Otherwise it would be compared with less work than ours.
    ensure!(faces.parse::<u64>()? >= clip.faces, "OpenCV found only {faces} faces of {}", clip.faces);
    Ok(cpu_ms.parse()?)
}

/// The same detector as ours, and the embedder as it was before its PRelu was rewritten for us: both by their hashes,
/// since a cache may hold several files of a role.
fn peers_models(models: &Path) -> anyhow::Result<[PathBuf; 2]> {
    let store = Store::open(models)?;
    let detector = store.load(Role::FaceDetector).context("run `cargo xtask setup`")?;
    let embedder = sudare_models::fetch_original_embedder(&store, &FetchOptions::default(), &mut |_| {})?;
    Ok([store.path(Role::FaceDetector, detector.sha256), embedder])
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
