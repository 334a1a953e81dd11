//! Clips become folders of pictures, once, by the pinned OpenCV: nothing of ours decodes H.264.
//!
//! What may be given: a folder of clips (one person each), or of folders with pictures. Only this machine's `target`
//! ever holds the pictures.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use indicatif::ProgressBar;

/// Pictures a second that are kept of a clip.
pub(super) const FPS: f64 = 12.5;
const CLIP_ENDINGS: [&str; 6] = ["mp4", "avi", "mov", "mkv", "webm", "m4v"];
const PICTURE_ENDINGS: [&str; 3] = ["jpg", "jpeg", "png"];
/// People that are looked at; of a larger folder the first ones by name.
const PEOPLE_MAX: usize = 200;

/// `out`, pictures a second, pictures at most, then for each person: name, rows to cut off below, source.
/// Prints the name of each person that is done.
const SCRIPT: &str = "
import cv2, glob, os, sys
out, fps, most, wide = sys.argv[1], float(sys.argv[2]), 375, 512
def pictures(source):
    if os.path.isdir(source):
        for name in sorted(os.listdir(source)):
            if name.lower().endswith(('.jpg', '.jpeg', '.png')):
                yield cv2.imread(os.path.join(source, name))
        return
    clip = cv2.VideoCapture(source)
    rate, n, kept = clip.get(cv2.CAP_PROP_FPS) or 25.0, 0, 0
    while True:
        good, picture = clip.read()
        if not good:
            return
        if n / rate >= kept / fps - 1e-6:
            kept += 1
            yield picture
        n += 1
for i in range(3, len(sys.argv), 3):
    name, below, source = sys.argv[i], int(sys.argv[i + 1]), sys.argv[i + 2]
    folder = os.path.join(out, name)
    os.makedirs(folder, exist_ok=True)
    for old in glob.glob(glob.escape(folder) + '/*'):
        os.remove(old)
    kept = 0
    for picture in pictures(source):
        if picture is None or kept >= most:
            continue
        picture = picture[:picture.shape[0] - below]
        scale = min(1.0, wide / picture.shape[1])
        if scale < 1.0:
            picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        cv2.imwrite('%s/%05d.jpg' % (folder, kept), picture, [cv2.IMWRITE_JPEG_QUALITY, 95])
        kept += 1
    print(name, flush=True)
";

/// Somebody in a folder of people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) name: String,
    pub(super) path: PathBuf,
}

/// The clips, or the folders with pictures, in a folder, by name.
pub(super) fn sources(people: &Path) -> anyhow::Result<Vec<Source>> {
    let entries = std::fs::read_dir(people).with_context(|| {
        format!("{} cannot be read. Give a folder of clips with --people", people.display())
    })?;
    let mut found: Vec<Source> = entries.flatten().filter_map(|entry| source(entry.path())).collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found.dedup_by(|a, b| a.name == b.name);
    found.truncate(PEOPLE_MAX);
    ensure!(
        found.len() >= 2,
        "{} holds {} clips of people. Give a folder with a clip, or a folder of pictures, of each of at least two people",
        people.display(),
        found.len()
    );
    Ok(found)
}

fn source(path: PathBuf) -> Option<Source> {
    let is_person = if path.is_dir() {
        std::fs::read_dir(&path).ok()?.flatten().any(|entry| ends_with(&entry.path(), &PICTURE_ENDINGS))
    } else {
        ends_with(&path, &CLIP_ENDINGS)
    };
    let name = if path.is_dir() { path.file_name() } else { path.file_stem() };
    let name = name?.to_str()?.to_owned();
    is_person.then_some(Source { name, path })
}

fn ends_with(path: &Path, endings: &[&str]) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_lowercase();
    endings.contains(&ending.as_str())
}

/// Generated clips have a second face in the lower left corner: so many rows are cut off below.
fn rows_below(name: &str) -> u32 {
    if name.starts_with("synthetic_") { 56 } else { 0 }
}

/// Unpacks whoever is not unpacked yet into `out/NAME/00000.jpg` and so on.
pub(super) fn unpack(sources: &[Source], out: &Path, python: &Path, bar: &ProgressBar) -> anyhow::Result<()> {
    std::fs::create_dir_all(out)?;
    let due: Vec<&Source> = sources.iter().filter(|source| !is_unpacked(source, out)).collect();
    bar.inc(u64::try_from(sources.len() - due.len())?);
    if due.is_empty() {
        return Ok(());
    }
    let mut command = Command::new(python);
    command.args(["-c", SCRIPT]).arg(out).arg(FPS.to_string());
    for source in &due {
        command.arg(&source.name).arg(rows_below(&source.name).to_string()).arg(&source.path);
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}. Run `cargo xtask accuracy`", python.display()))?;
    let said = child.stdout.take().context("the output of Python is not readable")?;
    for name in BufReader::new(said).lines() {
        let name = name?;
        if let Some(source) = due.iter().find(|source| source.name == name) {
            std::fs::write(stamp_file(source, out), stamp(source))?;
        }
        bar.inc(1);
    }
    let status = child.wait()?;
    ensure!(status.success(), "the clips were not unpacked ({status}). See Python's words above");
    Ok(())
}

fn is_unpacked(source: &Source, out: &Path) -> bool {
    std::fs::read_to_string(stamp_file(source, out)).is_ok_and(|old| old == stamp(source))
}

fn stamp_file(source: &Source, out: &Path) -> PathBuf {
    out.join(format!("{}.stamp", source.name))
}

/// Changes when the source does.
fn stamp(source: &Source) -> String {
    let about = std::fs::metadata(&source.path).ok();
    let changed = about.as_ref().and_then(|about| about.modified().ok());
    format!("{} {changed:?} {FPS} {}", about.map_or(0, |about| about.len()), rows_below(&source.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clips_and_folders_of_pictures_are_people_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["b.mp4", "README.md", "c.MOV"] {
            std::fs::write(at(name), "").unwrap();
        }
        assert!(sources(&at("none")).is_err());
        for folder in ["a", "empty"] {
            std::fs::create_dir(at(folder)).unwrap();
        }
        std::fs::write(at("a/1.JPG"), "").unwrap();
        let names: Vec<_> = sources(dir.path()).unwrap().into_iter().map(|source| source.name).collect();
        assert_eq!(names, ["a", "b", "c"]);
        std::fs::remove_file(at("b.mp4")).unwrap();
        std::fs::remove_file(at("c.MOV")).unwrap();
        let error = sources(dir.path()).unwrap_err().to_string();
        assert!(error.contains("holds 1 clips") && error.contains("at least two"), "{error}");
    }

    #[test]
    fn a_clip_that_changed_is_unpacked_again() {
        let dir = tempfile::tempdir().unwrap();
        let source = Source { name: "a".into(), path: dir.path().join("a.mp4") };
        std::fs::write(&source.path, "1").unwrap();
        assert!(!is_unpacked(&source, dir.path()));
        std::fs::write(stamp_file(&source, dir.path()), stamp(&source)).unwrap();
        assert!(is_unpacked(&source, dir.path()));
        std::fs::write(&source.path, "12").unwrap();
        assert!(!is_unpacked(&source, dir.path()));
    }
}
