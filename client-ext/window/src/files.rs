//! What the window reads and writes of this device's folder, and the diagnosis, which is another program.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use sudare_client_runtime::operator;
use sudare_client_runtime::receipts::Receipts;
use sudare_client_runtime::spool;
use sudare_vision::camera::native;

use crate::model::{Camera, Event, Listing};
use crate::post::Post;

/// The settings of the plugin, which the window shares.
const SETTINGS: &str = "client.toml";
const SETTINGS_MAX_BYTES: u64 = 64 * 1024;
/// A line of the diagnosis.
const LINE_MAX_BYTES: u64 = 4 * 1024;

pub(crate) fn listing(home: &Path) -> anyhow::Result<Listing> {
    let listed = Receipts::at(home).list().context("the receipts cannot be read")?;
    let waiting = spool::waiting(home).incidents;
    Ok(Listing { receipts: listed.receipts, unreadable: listed.unreadable, waiting })
}

pub(crate) fn cameras() -> Vec<Camera> {
    let camera =
        |info: native::CameraInfo| Camera { source: format!("camera:{}", info.index), name: info.name };
    native::list().into_iter().map(camera).collect()
}

/// Writes which camera is used. What else the file says stays.
pub(crate) fn save_camera(home: &Path, source: &str) -> anyhow::Result<()> {
    let path = home.join(SETTINGS);
    let before = match std::fs::File::open(&path) {
        Ok(file) => {
            let mut text = String::new();
            file.take(SETTINGS_MAX_BYTES).read_to_string(&mut text).context("the settings cannot be read")?;
            text
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).context("the settings cannot be read"),
    };
    let after = with_camera(&before, source)?;
    operator::write_private(&path, after.as_bytes())?;
    Ok(())
}

/// The settings with another camera: the line is replaced, or put first.
fn with_camera(before: &str, source: &str) -> anyhow::Result<String> {
    let by_hand = "Write camera = … there by hand";
    let mut wanted: toml::Table =
        before.parse().with_context(|| format!("{SETTINGS} is damaged. {by_hand}"))?;
    let line = format!("camera = {}", toml::Value::String(source.to_owned()));
    let is_camera = |line: &str| line.split('=').next().is_some_and(|key| key.trim() == "camera");
    let mut after: Vec<&str> = before.lines().filter(|line| !is_camera(line)).collect();
    after.insert(0, &line);
    let after = after.join("\n") + "\n";
    wanted.insert("camera".into(), source.into());
    let read_back = after.parse::<toml::Table>().ok();
    anyhow::ensure!(read_back == Some(wanted), "{SETTINGS} has an unusual form. {by_hand}");
    Ok(after)
}

/// Runs `sudare doctor`, line by line.
pub(crate) fn check(post: &Post) {
    let result = run_doctor(post).map_err(|error| format!("{error:#}"));
    post.send(Event::CheckOver(result));
}

fn run_doctor(post: &Post) -> anyhow::Result<()> {
    let program = std::env::current_exe()?.with_file_name("sudare");
    let program = program.with_extension(std::env::consts::EXE_EXTENSION);
    let mut command = Command::new(&program);
    command.arg("doctor").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().with_context(|| {
        format!("{} cannot be started. Install the package sudare-client as a whole", program.display())
    })?;
    if let Some(out) = child.stdout.take() {
        let mut lines = BufReader::new(out);
        let mut line = Vec::new();
        while (&mut lines).take(LINE_MAX_BYTES).read_until(b'\n', &mut line)? > 0 {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            post.send(Event::CheckLine(text));
            line.clear();
        }
    }
    let status = child.wait()?;
    anyhow::ensure!(status.success(), "{status}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_camera_leaves_the_other_settings_and_comments_as_they_are() {
        assert_eq!(with_camera("", "camera:1").unwrap(), "camera = \"camera:1\"\n");
        let before = "# mine\nlog_level = \"info\"\n  camera = 0 # built in\nbattery = \"on\"\n";
        let after = with_camera(before, "mjpeg:/run/\"x\"").unwrap();
        assert!(after.contains("# mine\nlog_level = \"info\"\nbattery = \"on\""), "{after}");
        assert_eq!(with_camera(&after, "camera:2").unwrap().matches("camera").count(), 2);
        let odd = "note = \"\"\"\ncamera = 1\n\"\"\"\n";
        for refused in ["camera = ", odd] {
            assert!(with_camera(refused, "camera:1").is_err(), "{refused}");
        }
    }

    #[test]
    fn the_settings_that_are_written_are_those_that_the_plugin_reads() {
        let home = tempfile::tempdir().unwrap();
        save_camera(home.path(), "camera:1").unwrap();
        save_camera(home.path(), "mjpeg:/run/feed").unwrap();
        let argument = format!("config:{}", home.path().join(SETTINGS).display());
        let settings = sudare_client_runtime::plugin::settings::Settings::load(&[argument]).unwrap();
        assert_eq!(settings.camera.to_string(), "mjpeg:/run/feed");
        assert_eq!(listing(home.path()).unwrap().receipts.len(), 0);
    }
}
