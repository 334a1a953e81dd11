//! The whole stage: users, servers, the private screen.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sudare_test_kit::wait_until;

use super::client::{self, Client, ClientOptions, PrivateScreen};
use super::keys::Keyboard;
use super::namespace::PROGRAMS;
use super::place::Place;
use super::report::Report;
use super::screen::{Count, Screen};
use super::secret_desktop::{self, Received};
use super::servers::{Backend, Door, Servers};
use super::session::Session;
use super::users::{self, User};
use super::watch::Watch;

/// Until a picture is as wanted; a cold log-on takes about 3 s.
/// In how many places the desktop's bar must be seen.
const PLACES: usize = 3;
/// The file of `sudare-secret-desktop` in the user's home folder.
const RECEIVED: &str = "received.jsonl";

/// Gives a person the desktop that nobody else may see.
pub fn furnish(user: &User) -> anyhow::Result<()> {
    // As a startup command it comes after the window manager, which then gives it the keyboard.
    let desk = format!("{PROGRAMS}/sudare-secret-desktop --log $HOME/{RECEIVED}");
    let session = format!("#!/bin/sh\nexec openbox --startup \"{desk}\"\n");
    user.write(".xsession", &session, 0o755)
}

/// Whether a person's desktop was mapped, behind a cover or not.
pub fn is_shown_to(user: &User) -> anyhow::Result<bool> {
    Ok(secret_desktop::received(&user.home.join(RECEIVED))?.contains(&Received::Shown))
}

/// Forgets that it was, for a session that begins anew.
pub fn forget_shown(user: &User) -> anyhow::Result<()> {
    Ok(std::fs::remove_file(user.home.join(RECEIVED))?)
}

/// What differs between stages.
#[derive(Debug, Clone)]
pub struct StackOptions {
    /// Whose xrdp it is.
    pub place: Place,
    pub backend: Backend,
    pub door: Door,
    /// Files of the user besides ~/.xsession: name and text; all may be run.
    pub home_files: Vec<(&'static str, String)>,
    /// Width and height of the private screen and the remote desktop.
    pub size: (u16, u16),
}

impl Default for StackOptions {
    fn default() -> Self {
        StackOptions {
            place: Place::Here,
            backend: Backend::Xorg,
            door: Door::Gate,
            home_files: Vec::new(),
            size: client::SIZE,
        }
    }
}

/// A raised stage. Everything ends with it, and with the namespace at the latest.
#[derive(Debug)]
pub struct Stack {
    pub out: PathBuf,
    pub user: User,
    _servers: Servers,
    pub private: PrivateScreen,
    screen: Screen,
    keyboard: Keyboard,
    clients: u32,
}

impl Stack {
    /// Raises the stage; only inside a namespace (see [`super::namespace::isolate`]).
    pub fn raise(out: &Path, options: &StackOptions) -> anyhow::Result<Self> {
        let user = users::make_all()?;
        options.place.welcome(&user)?;
        furnish(&user)?;
        for (name, text) in &options.home_files {
            user.write(name, text, 0o755)?;
        }
        std::fs::create_dir_all(out)?;
        let servers = Servers::start(options.place, options.backend, options.door, out)?;
        let private = PrivateScreen::start(options.size)?;
        let screen = Screen::of(&private)?;
        let keyboard = Keyboard::open(&private.display)?;
        Ok(Stack { out: out.to_owned(), user, _servers: servers, private, screen, keyboard, clients: 0 })
    }

    /// Connects a client, with a log and a home folder of its own.
    pub fn connect(&mut self, options: &ClientOptions) -> anyhow::Result<Client> {
        self.clients += 1;
        let log = self.out.join(format!("xfreerdp-{}.log", self.clients));
        Client::start(&self.private, options, Path::new("/run/sudare-stack/client"), &log)
    }

    pub fn session(&self) -> anyhow::Result<Session> {
        Session::wait(&self.user)
    }

    /// Starts to look at the client's screen; the worst leak is saved under this name.
    pub fn watch(&self, name: &str) -> anyhow::Result<Watch> {
        Watch::start(&self.private, self.out.join(format!("leak-{name}.png")))
    }

    /// The same, for a client that is about to connect: what one before it showed goes with its window, which takes a
    /// moment.
    pub fn watch_log_on(&mut self, name: &str) -> anyhow::Result<Watch> {
        wait_until("an empty screen", || Ok(self.count()?.users() == 0))?;
        self.watch(name)
    }

    /// Counts every pixel of the client's screen.
    pub fn count(&mut self) -> anyhow::Result<Count> {
        self.screen.count(1)
    }

    /// Waits until the client's screen is as wanted, and gives the count.
    pub fn wait_picture(
        &mut self,
        what: &str,
        client: &mut Client,
        wanted: impl Fn(&Count) -> bool,
    ) -> anyhow::Result<Count> {
        wait_until(what, || {
            client.ensure_running()?;
            let count = self.screen.count(2)?;
            Ok(if wanted(&count) { Ok(count) } else { Err(format!("a picture with {count:?}")) })
        })
    }

    /// Waits until the desktop's bar was seen in several places: the picture goes on.
    pub fn wait_moving(&mut self) -> anyhow::Result<usize> {
        let mut places = BTreeSet::new();
        wait_until("the desktop to move", || {
            places.extend(self.screen.count(2)?.bar_x);
            Ok((places.len() >= PLACES).then_some(places.len()))
        })
    }

    /// Saves the client's screen, and notes it in the report.
    pub fn save(&mut self, name: &str, report: &mut Report) -> anyhow::Result<()> {
        let path = self.out.join(format!("{name}.png"));
        self.screen.save(&path)?;
        report.pictures.push(path);
        Ok(())
    }

    /// Types on the private keyboard.
    pub fn type_key(&self, character: char, times: usize) -> anyhow::Result<()> {
        self.keyboard.type_key(character, times)
    }

    /// Presses Shift on the private keyboard, or lets go of it.
    pub fn hold_shift(&self, down: bool) -> anyhow::Result<()> {
        self.keyboard.hold_shift(down)
    }

    /// Moves the pointer of the private computer.
    pub fn move_pointer(&self) -> anyhow::Result<()> {
        self.keyboard.move_pointer()
    }

    /// Whether the desktop was mapped, behind a cover or not.
    pub fn is_desk_shown(&self) -> anyhow::Result<bool> {
        is_shown_to(&self.user)
    }

    /// How many keys the desktop got so far.
    pub fn keys_received(&self) -> anyhow::Result<usize> {
        let all = secret_desktop::received(&self.user.home.join(RECEIVED))?;
        Ok(all.iter().filter(|received| matches!(received, Received::Key(_))).count())
    }
}
