//! What scenarios with a camera do again and again: log on, expect the cover, expect the desktop.

use std::time::{Duration, Instant};

use sudare_test_kit::scene::{ALONE, AWAY, Camera, Scene};
use sudare_test_kit::wait_until;

use super::hostile;
use crate::xrdp::Count;
use crate::xrdp::client::{Client, ClientOptions};
use crate::xrdp::report::Report;
use crate::xrdp::stack::Stack;

/// The operator is away for 4 s before it counts: the default of 10 s would only make this longer.
pub(super) const POLICY: &str = "[timings]\nabsence_ms = 4000\n";
const KEYS: usize = 10;
/// Black pixels of the client's pointer, of which each fourth is counted; a tile of 64x64 has 1,024 of those.
const POINTER: usize = 64;
/// As long as keys take on an idle machine, and more.
pub(super) const KEYS_TAKE: Duration = Duration::from_millis(700);
/// How long each cover is watched.
const WATCHED: Duration = Duration::from_millis(1_500);

/// A stage with a camera and a report.
pub(super) struct Acts<'a> {
    pub(super) stack: Stack,
    pub(super) camera: Camera,
    pub(super) device: ClientOptions,
    pub(super) report: &'a mut Report,
    /// Of the pictures so far.
    pub(super) number: u32,
    /// The longest that keys took when they arrived.
    pub(super) keys_took: Duration,
}

impl Acts<'_> {
    /// What every way of covering has to get right: a log-on, work alone, somebody beside, an absence.
    pub(super) fn main_job(&mut self) -> anyhow::Result<Client> {
        let mut client = self.log_on("log-on", true)?;
        hostile::end(&self.stack.user)?;
        self.uncovers("operator alone", &mut client, ALONE)?;
        self.stranger(&mut client)?;
        self.uncovers("stranger gone", &mut client, ALONE)?;
        self.covers("operator away", &mut client, AWAY)?;
        self.uncovers("operator back", &mut client, ALONE)?;
        Ok(client)
    }

    /// The same on a desktop that another host than xrdp shows, where no log-on script runs.
    pub(super) fn desk_job(&mut self) -> anyhow::Result<Client> {
        let mut client = self.log_on("log-on", true)?;
        self.uncovers("operator alone", &mut client, ALONE)?;
        self.stranger(&mut client)?;
        self.uncovers("stranger gone", &mut client, ALONE)?;
        self.covers("operator away", &mut client, AWAY)?;
        self.uncovers("operator back", &mut client, ALONE)?;
        let whole = |count: &Count| count.is_desktop() && count.black < POINTER;
        let count = self.stack.wait_picture("the whole picture", &mut client, whole)?;
        self.report.check("nothing black is left of the cover", true, format!("{count:?}"));
        Ok(client)
    }

    /// Connects while nobody is before the camera: covered from the first picture on.
    pub(super) fn log_on(&mut self, name: &str, plugin: bool) -> anyhow::Result<Client> {
        let options = if plugin { self.device.clone() } else { ClientOptions::default() };
        let watch = self.stack.watch_log_on(&file_name(name))?;
        let mut client = self.stack.connect(&options)?;
        // Otherwise there would be nothing to hide yet.
        wait_until("the user's desktop", || self.stack.is_desk_shown())?;
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
    pub(super) fn uncovers(&mut self, name: &str, client: &mut Client, scene: Scene) -> anyhow::Result<()> {
        let started = Instant::now();
        self.camera.show(scene);
        let count = self.stack.wait_picture(name, client, |count| count.is_desktop())?;
        self.report.figure(&format!("{}_ms", file_name(name)), millis(started.elapsed()));
        self.report.check(&format!("{name}: the desktop is seen"), true, format!("{count:?}"));
        let places = self.stack.wait_moving()?;
        self.report.check(&format!("{name}: the desktop moves"), true, places);
        self.picture(name)?;
        let keys = self.keys_arrive()?;
        self.report.check(&format!("{name}: keys arrive"), keys == KEYS, keys);
        Ok(())
    }

    pub(super) fn stranger(&mut self, client: &mut Client) -> anyhow::Result<()> {
        self.camera.walk_in(Duration::from_millis(800));
        self.covers("stranger beside", client, Scene { stranger: 1.0, ..ALONE })
    }

    /// Shows a scene and waits for the cover; it holds, and no key arrives.
    pub(super) fn covers(&mut self, name: &str, client: &mut Client, scene: Scene) -> anyhow::Result<()> {
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

    /// Types, and waits until all keys arrived.
    fn keys_arrive(&mut self) -> anyhow::Result<usize> {
        let (before, started) = (self.stack.keys_received()?, Instant::now());
        self.stack.type_key('a', KEYS)?;
        let arrived = wait_until("the typed keys", || {
            let arrived = self.stack.keys_received()? - before;
            Ok(if arrived >= KEYS { Ok(arrived) } else { Err(format!("{arrived} of {KEYS}")) })
        })?;
        self.keys_took = self.keys_took.max(started.elapsed());
        Ok(arrived)
    }

    /// Types, gives the keys twice the time that they took when they arrived, and counts.
    fn keys_delivered(&self, typed: usize) -> anyhow::Result<usize> {
        let before = self.stack.keys_received()?;
        self.stack.type_key('a', typed)?;
        std::thread::sleep(KEYS_TAKE.max(2 * self.keys_took));
        Ok(self.stack.keys_received()? - before)
    }

    pub(super) fn picture(&mut self, name: &str) -> anyhow::Result<()> {
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
