//! Other ways to hear what is typed and pointed at, to be a pointer, and to ring.
//!
//! Each is a mode of the program `sudare-hostile`, as those of [`super::hostile`] are.

use std::time::{Duration, Instant};

use x11rb::connection::Connection as _;
use x11rb::protocol::Event;
use x11rb::protocol::record::{self, ConnectionExt as _};
use x11rb::protocol::render::{Animcursorelt, ConnectionExt as _};
use x11rb::protocol::xfixes::ConnectionExt as _;
use x11rb::protocol::xinput::{
    ConnectionExt as _, Device, DeviceType, EventMask as InputMask, GrabOwner, XIEventMask,
};
use x11rb::protocol::xproto::{
    ChangeWindowAttributesAux, ConnectionExt as _, EventMask, GrabMode, KEY_PRESS_EVENT, ModMask,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

use super::hostile::Outcome;
use super::program::{Program, windows};

/// Where an event from the server begins in a recording, and how long it is.
const FROM_SERVER: u8 = 0;
const EVENT_BYTES: usize = 32;
/// Between the pictures of a pointer that moves by itself.
const FRAME_MS: u32 = 40;

/// The attacks, by the names of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Senses {
    /// Has the server record what all programs are told.
    Record,
    /// Holds the keyboard by XInput, which asks nobody's window.
    DeviceGrab,
    /// Asks for each key of the keyboard before anybody else.
    KeyGrab,
    /// Listens to the pointer's moves, and asks where it is.
    PointerSpy,
    /// A pointer that moves by itself, is hidden and shown, and is held by a grab.
    AnimatedPointers,
    /// Rings.
    Bell,
}

impl Senses {
    pub const ALL: [Self; 6] =
        [Self::Record, Self::DeviceGrab, Self::KeyGrab, Self::PointerSpy, Self::AnimatedPointers, Self::Bell];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::DeviceGrab => "device-grab",
            Self::KeyGrab => "key-grab",
            Self::PointerSpy => "pointer-spy",
            Self::AnimatedPointers => "animated-pointers",
            Self::Bell => "bell",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|attack| attack.name() == name)
    }
}

/// Attacks the display of the environment for so long.
pub fn attack(attack: Senses, duration: Duration) -> anyhow::Result<Outcome> {
    let mut program = Program::connect(duration)?;
    match attack {
        Senses::Record => program.record(),
        Senses::DeviceGrab => program.device_grab(),
        Senses::KeyGrab => program.key_grab(),
        Senses::PointerSpy => program.pointer_spy(),
        Senses::AnimatedPointers => program.animated_pointers(),
        Senses::Bell => program.bell(),
    }?;
    Ok(program.outcome)
}

impl Program {
    /// One connection is told, another one ends it.
    fn record(&mut self) -> anyhow::Result<()> {
        let empty = record::Range8 { first: 0, last: 0 };
        let none = record::ExtRange { major: empty, minor: record::Range16 { first: 0, last: 0 } };
        let keys = record::Range8 { first: KEY_PRESS_EVENT, last: KEY_PRESS_EVENT };
        let range = record::Range {
            core_requests: empty,
            core_replies: empty,
            ext_requests: none,
            ext_replies: none,
            delivered_events: empty,
            device_events: keys,
            errors: empty,
            client_started: false,
            client_died: false,
        };
        self.x.record_query_version(1, 13)?.reply()?;
        let (context, until) = (self.x.generate_id()?, self.until);
        self.x.record_create_context(context, 0, &[record::CS::ALL_CLIENTS.into()], &[range])?.check()?;
        self.x.sync()?;
        let (told, _) = RustConnection::connect(None)?;
        let (mut heard, mut told_at_all, x) = (0, 0, &self.x);
        std::thread::scope(|scope| -> anyhow::Result<()> {
            let end = scope.spawn(move || -> anyhow::Result<()> {
                std::thread::sleep(until.saturating_duration_since(Instant::now()));
                Ok(x.record_disable_context(context)?.check()?)
            });
            for part in told.record_enable_context(context)? {
                let part = part?;
                told_at_all += 1;
                if part.category == FROM_SERVER {
                    let events = part.data.chunks_exact(EVENT_BYTES);
                    heard += events.filter(|event| event.first() == Some(&KEY_PRESS_EVENT)).count();
                }
            }
            end.join().map_err(|_| anyhow::anyhow!("the end of the recording panicked"))?
        })?;
        self.outcome = Outcome { strikes: told_at_all, keys: u64::try_from(heard)? };
        Ok(())
    }

    fn device_grab(&mut self) -> anyhow::Result<()> {
        self.x.xinput_xi_query_version(2, 2)?.reply()?;
        let own = self.window(true)?;
        self.x.map_window(own)?;
        let mask = [u32::from(XIEventMask::KEY_PRESS)];
        let keyboards = self.x.xinput_xi_query_device(Device::ALL)?.reply()?.infos;
        let kinds = [DeviceType::MASTER_KEYBOARD, DeviceType::SLAVE_KEYBOARD];
        let is_keyboard = |kind| kinds.contains(&kind);
        let keyboards: Vec<u16> =
            keyboards.iter().filter(|info| is_keyboard(info.type_)).map(|info| info.deviceid).collect();
        self.every(10, |program| {
            for keyboard in &keyboards {
                let (now, none, mode) = (x11rb::CURRENT_TIME, x11rb::NONE, GrabMode::ASYNC);
                let owner = GrabOwner::NO_OWNER;
                // Somebody else may hold it.
                let asked = program
                    .x
                    .xinput_xi_grab_device(own, now, none, *keyboard, mode, mode, owner, &mask)?
                    .reply();
                drop(asked);
            }
            program.hear(|event| matches!(event, Event::XinputKeyPress(_) | Event::KeyPress(_)))
        })
    }

    fn key_grab(&mut self) -> anyhow::Result<()> {
        let (root, mode) = (self.screen.root, GrabMode::ASYNC);
        let setup = self.x.setup();
        for code in setup.min_keycode..=setup.max_keycode {
            // Some belong to the window manager.
            self.x.grab_key(false, root, ModMask::from(0_u8), code, mode, mode)?.ignore_error();
        }
        self.every(10, |program| program.hear(|event| matches!(event, Event::KeyPress(_))))
    }

    /// A client's pointer is input as its keys are.
    fn pointer_spy(&mut self) -> anyhow::Result<()> {
        self.x.xinput_xi_query_version(2, 2)?.reply()?;
        let (root, mut place) = (self.screen.root, None);
        let mask = vec![XIEventMask::RAW_MOTION | XIEventMask::RAW_BUTTON_PRESS];
        let all = InputMask { deviceid: Device::ALL.into(), mask };
        self.x.xinput_xi_select_events(root, &[all])?.check()?;
        self.every(5, |program| {
            let at = program.x.query_pointer(root)?.reply()?;
            let at = Some((at.root_x, at.root_y));
            program.outcome.keys += u64::from(place.is_some() && place != at);
            place = at;
            program.hear(|event| matches!(event, Event::XinputRawMotion(_) | Event::XinputRawButtonPress(_)))
        })
    }

    fn animated_pointers(&mut self) -> anyhow::Result<()> {
        self.x.xfixes_query_version(5, 0)?.reply()?;
        let (root, own) = (self.screen.root, self.window(true)?);
        let animated = self.x.generate_id()?;
        let sizes = [64, 48].into_iter();
        let frames = sizes.map(|size| Ok(Animcursorelt { cursor: self.pointer(size)?, delay: FRAME_MS }));
        let frames = frames.collect::<anyhow::Result<Vec<_>>>()?;
        self.x.render_create_anim_cursor(animated, &frames)?.check()?;
        let look = |cursor| ChangeWindowAttributesAux::new().cursor(cursor);
        self.x.change_window_attributes(own, &look(animated))?;
        self.x.map_window(own)?;
        self.every(40, |program| {
            let (x, mode, now) = (&program.x, GrabMode::ASYNC, x11rb::CURRENT_TIME);
            if program.outcome.strikes % 4 == 3 {
                x.xfixes_hide_cursor(root)?;
                x.xfixes_show_cursor(root)?;
            }
            for window in windows(x, root)?.into_iter().chain([root]) {
                x.change_window_attributes(window, &look(animated))?.ignore_error();
            }
            let mask = EventMask::BUTTON_PRESS;
            // Somebody else may hold it.
            drop(x.grab_pointer(false, root, mask, mode, mode, x11rb::NONE, animated, now)?.reply());
            let place = i16::try_from(program.outcome.strikes % 8)? * 30 + 100;
            x.warp_pointer(x11rb::NONE, root, 0, 0, 0, 0, place, place)?;
            x.ungrab_pointer(now)?;
            Ok(())
        })?;
        self.usual_pointer()
    }

    fn bell(&mut self) -> anyhow::Result<()> {
        self.every(50, |program| {
            program.x.bell(100)?;
            Ok(())
        })
    }

    /// Counts the events that are input.
    fn hear(&mut self, is_input: impl Fn(&Event) -> bool) -> anyhow::Result<()> {
        while let Some(event) = self.x.poll_for_event()? {
            self.outcome.keys += u64::from(is_input(&event));
        }
        Ok(())
    }
}
