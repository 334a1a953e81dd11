//! Debian's xfreerdp with our plugin, against the embedded host: what a user sees in its window.
//!
//! Needs root, xfreerdp, Xvfb, imagemagick, the models and the photographs; says so and does
//! nothing without them, unless `SUDARE_REQUIRE_TOOLS` demands them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use sudare_tests::demo::Stage;
use sudare_tests::plugin::{self, Client, STRANGER_BESIDE, UNPLUGGED};
use sudare_tests::scene::{ALONE, Camera, Seat};

const PATIENCE: Duration = Duration::from_secs(30);

/// Host, device, enrolment, and a camera that plays a scene.
struct Desk {
    stage: Stage,
    fifo: PathBuf,
    _dir: tempfile::TempDir,
}

impl Desk {
    fn set() -> Option<Self> {
        let photographs = photographs()?;
        let dir = tempfile::tempdir().unwrap();
        let bin = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned();
        let mut stage = Stage::new(&dir.path().join("stage"), &bin).unwrap();
        stage.prepare(&Stage::enrolment_pictures(&photographs)).unwrap();
        stage.serve().unwrap();
        let fifo = stage.dir.join("camera.fifo");
        Some(Desk { stage, fifo, _dir: dir })
    }

    fn camera(&self) -> Camera {
        Camera::start(Seat::load(&photographs().unwrap()).unwrap(), &self.fifo).unwrap()
    }

    /// A client with the plugin; `more` are further arguments of it.
    fn client(&self, options: &[&str], more: &str) -> Client {
        let settings = plugin::settings(&self.stage, &self.fifo, "info").unwrap();
        let mut all: Vec<String> = options.iter().map(|o| (*o).to_owned()).collect();
        all.push(format!("/dvc:sudare,config:{}{more}", settings.display()));
        Client::start(&self.stage.listen, &self.stage.dir.join("client"), &all).unwrap()
    }

    /// Keeps a picture of the window for people, if they ask for it.
    fn keep(&self, client: &Client, name: &str) {
        if let Some(dir) = std::env::var_os("SUDARE_KEEP_SCREENSHOTS") {
            client.save(&Path::new(&dir).join(format!("plugin-{name}.png"))).unwrap();
        }
    }
}

fn photographs() -> Option<PathBuf> {
    let folder = std::env::var_os("SUDARE_TEST_PICTURES").map(PathBuf::from);
    let missing = plugin::missing().or(folder.is_none().then_some("photographs"));
    if let Some(missing) = missing {
        let required = std::env::var("SUDARE_REQUIRE_TOOLS").unwrap_or_default();
        assert!(!required.split(',').any(|tool| tool == missing), "{missing} is missing");
        println!("not run: {missing} is missing. `cargo xtask test` sets everything up");
        return None;
    }
    folder
}

#[test]
fn the_window_shows_the_desktop_to_its_operator_alone() {
    let Some(desk) = Desk::set() else { return };
    let camera = desk.camera();
    let mut client = desk.client(&["/cert:ignore"], "");
    client.wait_desktop(PATIENCE).unwrap();
    desk.keep(&client, "alone");

    camera.show(STRANGER_BESIDE);
    client.wait_covered(PATIENCE).unwrap();
    std::thread::sleep(Duration::from_millis(1_500));
    desk.keep(&client, "stranger");
    camera.show(ALONE);
    client.wait_desktop(PATIENCE).unwrap();

    camera.show(UNPLUGGED);
    client.wait_covered(PATIENCE).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    desk.keep(&client, "unplugged");
    camera.show(ALONE);
    client.wait_desktop(PATIENCE).unwrap();
}
