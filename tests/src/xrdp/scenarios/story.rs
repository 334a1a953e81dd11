//! The main job on the real stack: xfreerdp with the plugin, a camera, an xrdp session.

use std::path::Path;
use std::time::{Duration, Instant};

use super::hostile;
use crate::scene::{ALONE, Camera, Scene};
use crate::xrdp::client::{Client, ClientOptions};
use crate::xrdp::process;
use crate::xrdp::report::Report;
use crate::xrdp::stack::{PATIENCE, Stack, StackOptions};
use crate::xrdp::sudare::Sudare;

const AWAY: Scene = Scene { operator: false, stranger: 0.0, blocked: false, plugged: true };
const UNPLUGGED: Scene = Scene { plugged: false, ..ALONE };
/// The operator is away for 4 s before it counts: the default of 10 s would only make this longer.
const POLICY: &str = "[numbers]\nabsence_ms = 4000\n";
const KEYS: usize = 10;
/// How long each cover is watched.
const WATCHED: Duration = Duration::from_millis(1_500);

pub(super) fn play(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    let options = StackOptions { home_files: hostile::files(), ..StackOptions::default() };
    let stack = Stack::raise(out, &options)?;
    let sudare = Sudare::start(out, POLICY)?;
    let device = sudare.device()?;
    let camera = sudare.film()?;
    camera.show(AWAY);
    let mut story = Story { stack, camera, device, report, number: 0 };

    let mut client = story.log_on("log-on", true)?;
    hostile::end(&story.stack.user)?;
    story.uncovers("operator alone", &mut client, ALONE)?;
    story.stranger(&mut client)?;
    story.uncovers("stranger gone", &mut client, ALONE)?;
    story.covers("operator away", &mut client, AWAY)?;
    story.uncovers("operator back", &mut client, ALONE)?;
    story.covers("camera unplugged", &mut client, UNPLUGGED)?;
    story.uncovers("camera back", &mut client, ALONE)?;
    client.kill()?;

    let session = story.stack.session()?;
    session.wait_connected(false)?;
    story.camera.show(AWAY);
    let mut client = story.log_on("connected again", true)?;
    story.uncovers("operator alone again", &mut client, ALONE)?;
    client.kill()?;
    session.wait_connected(false)?;
    let client = story.log_on("connected without plugin", false)?;
    client.kill()?;
    story.report.check("the session outlived all of it", session.is_alive(), session.display);
    session.end()
}

struct Story<'a> {
    stack: Stack,
    camera: Camera,
    device: ClientOptions,
    report: &'a mut Report,
    number: u32,
}

impl Story<'_> {
    /// Connects while nobody is before the camera: covered from the first picture on.
    fn log_on(&mut self, name: &str, plugin: bool) -> anyhow::Result<Client> {
        let options = if plugin { self.device.clone() } else { ClientOptions::default() };
        let watch = self.stack.watch(&file_name(name))?;
        let mut client = self.stack.connect(&options)?;
        let began = self.stack.user.home.join(hostile::BEGAN);
        process::wait_for("the user's log-on script", PATIENCE, || Ok(began.exists().then_some(())))?;
        self.stack.wait_picture(name, &mut client, |count| count.is_cover() && count.other > 100)?;
        std::thread::sleep(WATCHED);
        self.picture(name)?;
        let keys = self.keys_delivered(KEYS)?;
        let seen = watch.stop()?;
        self.report.check(
            &format!("{name}: covered from the first picture"),
            seen.leaked_frames == 0,
            format!("{seen:?}"),
        );
        self.report.check(&format!("{name}: no key arrives"), keys == 0, keys);
        Ok(client)
    }

    /// Shows a scene and waits for the desktop; then keys arrive.
    fn uncovers(&mut self, name: &str, client: &mut Client, scene: Scene) -> anyhow::Result<()> {
        let started = Instant::now();
        self.camera.show(scene);
        let count = self.stack.wait_picture(name, client, |count| count.is_desktop())?;
        self.report.figure(&format!("{}_ms", file_name(name)), millis(started.elapsed()));
        self.report.check(&format!("{name}: the desktop is seen"), true, format!("{count:?}"));
        let places = self.stack.wait_moving()?;
        self.report.check(&format!("{name}: the desktop moves"), true, places);
        self.picture(name)?;
        let keys = self.keys_delivered(KEYS)?;
        self.report.check(&format!("{name}: keys arrive"), keys == KEYS, keys);
        Ok(())
    }

    fn stranger(&mut self, client: &mut Client) -> anyhow::Result<()> {
        self.camera.walk_in(Duration::from_millis(800));
        self.covers("stranger beside", client, Scene { stranger: 1.0, ..ALONE })
    }

    /// Shows a scene and waits for the cover; it holds, and no key arrives.
    fn covers(&mut self, name: &str, client: &mut Client, scene: Scene) -> anyhow::Result<()> {
        let started = Instant::now();
        self.camera.show(scene);
        self.stack.wait_picture(name, client, |count| count.is_cover())?;
        self.report.figure(&format!("{}_ms", file_name(name)), millis(started.elapsed()));
        let watch = self.stack.watch(&file_name(name))?;
        let keys = self.keys_delivered(KEYS)?;
        std::thread::sleep(WATCHED);
        let seen = watch.stop()?;
        self.picture(name)?;
        self.report.check(&format!("{name}: stays covered"), seen.leaked_frames == 0, format!("{seen:?}"));
        self.report.check(&format!("{name}: no key arrives"), keys == 0, keys);
        Ok(())
    }

    /// Types, gives the keys the time they took when they arrived, and counts.
    fn keys_delivered(&self, typed: usize) -> anyhow::Result<usize> {
        let before = self.stack.keys_received()?;
        self.stack.type_key('a', typed)?;
        let until = Instant::now() + Duration::from_millis(700);
        loop {
            let arrived = self.stack.keys_received()? - before;
            if arrived >= typed || Instant::now() >= until {
                return Ok(arrived);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn picture(&mut self, name: &str) -> anyhow::Result<()> {
        self.number += 1;
        self.stack.save(&format!("{:02}-{}", self.number, file_name(name)), self.report)
    }
}

fn file_name(name: &str) -> String {
    name.replace(' ', "-")
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
