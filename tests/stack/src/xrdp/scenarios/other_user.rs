//! The operator is recognised, and yet the desktop is somebody else's: whoever knows another user's password logs on
//! with the own device. xrdp's log-on screen is nobody's, and is shown.

use std::path::Path;
use std::time::Duration;

use sudare_protocol::evidence::note::NoteCode;
use sudare_protocol::reason::Reason;
use sudare_test_kit::scene::{ALONE, Camera};
use sudare_test_kit::wait_until;

use crate::xrdp::Count;
use crate::xrdp::client::{Client, ClientOptions, LogOn};
use crate::xrdp::report::Report;
use crate::xrdp::session::Session;
use crate::xrdp::stack::{self, Stack, StackOptions};
use crate::xrdp::sudare::Sudare;
use crate::xrdp::users::{self, OTHER, User};

/// How long a cover is watched once it is there.
const WATCHED: Duration = Duration::from_secs(3);
const WORDS: usize = 125;

pub(super) fn play(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    let options = StackOptions::default();
    let stack = Stack::raise(out, &options)?;
    let other = users::make_person(OTHER)?;
    stack::furnish(&other)?;
    let mut sudare = Sudare::start(out, "")?;
    let device = sudare.device()?;
    let camera = sudare.film()?;
    camera.show(ALONE);
    let mut scene = Scene { stack, other, device, _camera: camera, report };
    scene.at_connecting()?;
    scene.log_on_screen()?;
    scene.unknown(&mut sudare)?;
    let Scene { report, .. } = scene;
    let logged = sudare.logged()?;
    let other = logged.covers.iter().any(|(reason, _)| *reason == Reason::OtherUser);
    report.check("the log says why it was covered", other, format!("{:?}", logged.covers));
    let by_kernel = (NoteCode::Owner.number(), 1);
    let rules = logged.notes.iter().filter(|note| **note == by_kernel).count();
    report.check("the log says that the kernel told whose desktop it is", rules >= 3, rules);
    let mismatches = logged.notes.iter().filter(|note| note.0 == NoteCode::OwnerMismatch.number()).count();
    report.check("the log has each log-on as somebody else", mismatches == 1, mismatches);
    Ok(())
}

struct Scene<'a> {
    stack: Stack,
    other: User,
    device: ClientOptions,
    _camera: Camera,
    report: &'a mut Report,
}

fn covered(count: &Count) -> bool {
    count.is_cover() && count.other > WORDS
}

/// Neither a cover nor anybody's desktop: xrdp's own blue, with its dialog.
fn asks_who(count: &Count) -> bool {
    count.users() == 0 && count.other * 10 > count.all() * 8
}

impl Scene<'_> {
    fn connect(&mut self, log_on: LogOn) -> anyhow::Result<Client> {
        self.stack.connect(&ClientOptions { log_on, ..self.device.clone() })
    }

    fn at_connecting(&mut self) -> anyhow::Result<()> {
        let watch = self.stack.watch_log_on("other-at-connecting")?;
        let mut client = self.connect(LogOn::Other)?;
        self.others_desktop()?;
        self.stack.wait_picture("the cover over somebody else's desktop", &mut client, covered)?;
        std::thread::sleep(WATCHED);
        self.stack.save("other-at-connecting", self.report)?;
        let seen = watch.stop()?;
        let tight = seen.leaked_frames == 0 && seen.first_desktop_ms.is_none();
        self.report.check("at connecting: nothing of somebody else is seen", tight, format!("{seen:?}"));
        self.report.figure("watched-at-connecting", serde_json::to_value(&seen)?);
        client.kill()?;
        self.end(&self.other.clone())
    }

    /// xrdp tries what the client gave, says that it failed, and would ask: nobody's desktop yet.
    fn log_on_screen(&mut self) -> anyhow::Result<()> {
        let mut client = self.connect(LogOn::Typed)?;
        let count = self.stack.wait_picture("xrdp's log-on screen", &mut client, asks_who)?;
        self.stack.save("log-on-screen", self.report)?;
        self.report.check("the log-on screen is shown to the operator", true, format!("{count:?}"));
        client.kill()
    }

    /// Nobody tells any more, and then somebody does again.
    fn unknown(&mut self, sudare: &mut Sudare) -> anyhow::Result<()> {
        let mut client = self.connect(LogOn::User)?;
        self.stack.wait_picture("the own desktop", &mut client, Count::is_desktop)?;
        sudare.kill_owners()?;
        self.stack.wait_picture("the cover while nobody tells", &mut client, covered)?;
        std::thread::sleep(WATCHED);
        self.stack.save("nobody-tells", self.report)?;
        let count = self.stack.count()?;
        self.report.check("nobody tells: covered", covered(&count), format!("{count:?}"));
        sudare.tell_owners()?;
        self.stack.wait_picture("the own desktop again", &mut client, Count::is_desktop)?;
        self.report.check("told again: the same session is seen", true, "");
        client.kill()?;
        self.end(&self.stack.user.clone())
    }

    fn others_desktop(&self) -> anyhow::Result<()> {
        wait_until("somebody else's desktop", || stack::is_shown_to(&self.other))
    }

    /// Ends a session, so that the next one begins like the first.
    fn end(&self, user: &User) -> anyhow::Result<()> {
        let session = Session::wait(user)?;
        session.wait_connected(false)?;
        session.end()?;
        stack::forget_shown(user)
    }
}
