//! Starts programs that see the emulated camera, and reads what they print.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;
use sudare_test_kit::program;

/// What the programs call the emulated camera.
pub(crate) const SOURCE: &str = "camera:77";
/// Afterwards the emulated camera changes them a little.
const JPEGS: u64 = 44;

/// A line that the probe prints.
pub(crate) type Line = Value;

/// A command that sees the emulated camera.
pub(crate) fn with_shim(program: impl AsRef<std::ffi::OsStr>, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(program);
    command.env("LD_PRELOAD", shim()).envs(settings.iter().copied());
    command
}

/// What the client's camera code gives within this time, from its start.
pub(crate) fn probe(settings: &[(&str, &str)], seconds: u32) -> Vec<Line> {
    probe_source(SOURCE, settings, seconds)
}

/// The same for a camera that is named otherwise.
pub(crate) fn probe_source(source: &str, settings: &[(&str, &str)], seconds: u32) -> Vec<Line> {
    let mut command = with_shim(program("sudare-camera-probe").unwrap(), settings);
    super::pace();
    let output = command.args([source, &seconds.to_string()]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the probe ended with {}: {said}", output.status);
    lines(&output.stdout)
}

/// Cameras that something is wrong with: a name, the settings, and for how many seconds they are read.
const CAMERAS: [(&str, Settings, u32); 23] = [
    ("unplug", &[SMALL, (OUTAGE, "unplug"), (AFTER, "30"), (MS, "1500")], 5),
    ("stall", &[SMALL, (OUTAGE, "stall"), (AFTER, "30"), (MS, "3500")], 6),
    ("stall-replug", &[SMALL, (OUTAGE, "stall-replug"), (AFTER, "15"), (MS, "2500")], 5),
    ("stall-at-once", &[SMALL, (OUTAGE, "stall")], 3),
    ("freeze", &[SMALL, (OUTAGE, "freeze"), (AFTER, "30")], 5),
    ("busy", &[SMALL, (OUTAGE, "busy"), (MS, "700")], 3),
    ("busy-open", &[SMALL, (OUTAGE, "busy-open"), (MS, "700")], 3),
    ("denied", &[SMALL, (OUTAGE, "denied")], 1),
    ("io", &[SMALL, (OUTAGE, "io"), (AFTER, "15"), (MS, "500")], 3),
    ("nv12-only", &[(FORMATS, "NV12:640x480@30")], 1),
    ("h264-only", &[(FORMATS, "H264:640x480@30")], 1),
    ("odd-rate-only", &[(FORMATS, "YUYV:640x480@15/2")], 3),
    ("left-in-h264", &[(FORMATS, "H264:1920x1080@30,YUYV:640x480@30")], 2),
    ("left-at-odd-rate", &[(FORMATS, "YUYV:640x480@15/2,YUYV:640x480@30")], 2),
    ("rate-of-256ths", &[(FORMATS, "YUYV:160x120@900/30")], 2),
    ("ranges", &[(FORMATS, "YUYV:32x32@30"), ("SHIM_RANGES", "1")], 2),
    ("padded-rows", &[(FORMATS, "YUYV:162x122@30"), ("SHIM_ROW_PADDING", "60")], 2),
    ("uyvy", &[(FORMATS, "UYVY:160x120@30")], 2),
    ("padded-uyvy", &[(FORMATS, "UYVY:162x122@30"), ("SHIM_ROW_PADDING", "2")], 2),
    ("looped", &[SMALL, ("SHIM_LOOP", "45")], 8),
    ("renumbered", &[SMALL, (OUTAGE, "unplug"), (AFTER, "30"), (MS, "700"), ("SHIM_RENUMBER", "1")], 5),
    ("odd-size", &[(FORMATS, "YUYV:162x122@30")], 2),
    ("slow", &[(FORMATS, "YUYV:160x120@5")], 2),
];
const FORMATS: &str = "SHIM_FORMATS";
const OUTAGE: &str = "SHIM_OUTAGE";
const AFTER: &str = "SHIM_OUTAGE_AFTER";
const MS: &str = "SHIM_OUTAGE_MS";
/// Little work, as all are read at once.
const SMALL: (&str, &str) = (FORMATS, "YUYV:160x120@30");

type Settings = &'static [(&'static str, &'static str)];

/// What one of these cameras gave. They mostly wait, so the first who asks reads all of them at once.
pub(crate) fn seen(name: &str) -> &'static [Line] {
    static SEEN: OnceLock<Vec<Vec<Line>>> = OnceLock::new();
    let seen = SEEN.get_or_init(|| {
        std::thread::scope(|scope| {
            let threads = CAMERAS.map(|(_, settings, seconds)| scope.spawn(move || probe(settings, seconds)));
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    });
    let at = CAMERAS.iter().position(|(known, ..)| *known == name).expect("a camera of this name");
    &seen[at]
}

pub(crate) fn lines(output: &[u8]) -> Vec<Line> {
    let text = std::str::from_utf8(output).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub(crate) fn pictures(lines: &[Line]) -> impl Iterator<Item = &Line> {
    lines.iter().filter(|line| line["fault"].is_null())
}

/// The names of the faults, in order.
pub(crate) fn faults(lines: &[Line]) -> impl Iterator<Item = &str> {
    lines.iter().filter_map(|line| line["fault"].as_str())
}

/// Colour bars over a strip that changes, as an MJPEG camera would send them.
pub(crate) fn bars_as_jpegs(width: u16, height: u16) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (w, h) = (usize::from(width), usize::from(height));
    for number in 0..JPEGS {
        let strip = u8::try_from(number * 5).unwrap();
        let mut rgb = Vec::new();
        for y in 0..h {
            for x in 0..w {
                let bar = super::COLOURS[x * 8 / w].map(|value| u8::try_from(value).unwrap());
                rgb.extend_from_slice(&if y < h - h / 8 { bar } else { [strip; 3] });
            }
        }
        let mut out = Vec::new();
        let encoder = jpeg_encoder::Encoder::new(&mut out, 90);
        encoder.encode(&rgb, width, height, jpeg_encoder::ColorType::Rgb).unwrap();
        std::fs::write(folder.path().join(format!("{number:03}.jpg")), out).unwrap();
    }
    folder
}

/// Cargo's target folder: this program lies in `<target>/<profile>/deps/`.
pub(crate) fn target() -> PathBuf {
    std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned()
}

/// The library, built now: `cargo test` does not build the libraries of other packages that nothing links. It has
/// a target folder of its own so that it need not wait for whoever builds in the other.
fn shim() -> &'static Path {
    static SHIM: OnceLock<PathBuf> = OnceLock::new();
    SHIM.get_or_init(|| {
        let folder = target().join("v4l2-shim");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo)
            .args(["build", "--quiet", "--offline", "--package", "sudare-v4l2-shim", "--target-dir"])
            .arg(&folder)
            .current_dir(sudare_test_kit::checkout())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "sudare-v4l2-shim cannot be built: {said}");
        folder.join("debug/libsudare_v4l2_shim.so")
    })
}
