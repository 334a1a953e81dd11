//! A clipboard of an X display, as programs use it: one owns a text, another asks for it.

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use x11rb::connection::Connection as _;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ConnectionExt as _, CreateWindowAux, EventMask, PropMode, SELECTION_NOTIFY_EVENT,
    SelectionNotifyEvent, SelectionRequestEvent, Window, WindowClass,
};
use x11rb::rust_connection::{DefaultStream, RustConnection};
use x11rb::wrapper::ConnectionExt as _;

/// Between looks at events that others' programs cause.
const POLL: Duration = Duration::from_millis(20);
/// How often a text is asked for again, since it may not have arrived yet.
const ASK_AGAIN: Duration = Duration::from_millis(500);

x11rb::atom_manager! {
    Atoms: AtomsCookie { CLIPBOARD, UTF8_STRING, TARGETS, SUDARE_TEST, }
}

/// One display's.
pub struct Clipboard {
    connection: RustConnection,
    window: Window,
    atoms: Atoms,
    text: Option<String>,
}

impl std::fmt::Debug for Clipboard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clipboard")
    }
}

impl Clipboard {
    /// Of a display that lets everybody in, or whoever has the cookie.
    pub fn open(display: u32, cookie: Option<&[u8]>) -> anyhow::Result<Self> {
        let socket = UnixStream::connect(format!("/tmp/.X11-unix/X{display}"))?;
        let (stream, _) = DefaultStream::from_unix_stream(socket)?;
        let (name, cookie) = match cookie {
            Some(cookie) => (b"MIT-MAGIC-COOKIE-1".to_vec(), cookie.to_vec()),
            None => (Vec::new(), Vec::new()),
        };
        let connection = RustConnection::connect_to_stream_with_auth_info(stream, 0, name, cookie)?;
        let root = connection.setup().roots.first().context("the display has no screen")?.root;
        let window = connection.generate_id()?;
        let aux = CreateWindowAux::new().event_mask(EventMask::PROPERTY_CHANGE);
        connection.create_window(0, window, root, 0, 0, 1, 1, 0, WindowClass::INPUT_ONLY, 0, &aux)?;
        let atoms = Atoms::new(&connection)?.reply()?;
        Ok(Self { connection, window, atoms, text: None })
    }

    /// Puts a text into the clipboard.
    pub fn copy(&mut self, text: &str) -> anyhow::Result<()> {
        self.text = Some(text.to_owned());
        self.connection.set_selection_owner(self.window, self.atoms.CLIPBOARD, x11rb::CURRENT_TIME)?;
        Ok(self.connection.flush()?)
    }

    fn ask(&self) -> anyhow::Result<()> {
        let Atoms { CLIPBOARD, UTF8_STRING, SUDARE_TEST, .. } = self.atoms;
        let now = x11rb::CURRENT_TIME;
        self.connection.convert_selection(self.window, CLIPBOARD, UTF8_STRING, SUDARE_TEST, now)?;
        Ok(self.connection.flush()?)
    }

    /// Answers others, and gives the text that an answer to us brings.
    fn turn(&mut self) -> anyhow::Result<Option<String>> {
        let mut found = None;
        while let Some(event) = self.connection.poll_for_event()? {
            match event {
                Event::SelectionRequest(request) => self.answer(&request)?,
                Event::SelectionClear(_) => self.text = None,
                Event::SelectionNotify(notify) if notify.property != x11rb::NONE => {
                    let property = self.connection.get_property(
                        true,
                        self.window,
                        notify.property,
                        AtomEnum::ANY,
                        0,
                        4096,
                    )?;
                    found = Some(String::from_utf8_lossy(&property.reply()?.value).into_owned());
                }
                _ => {}
            }
        }
        Ok(found)
    }

    fn answer(&self, request: &SelectionRequestEvent) -> anyhow::Result<()> {
        let Atoms { UTF8_STRING, TARGETS, .. } = self.atoms;
        let SelectionRequestEvent { requestor, target, time, selection, .. } = *request;
        let property: Atom = if request.property == x11rb::NONE { target } else { request.property };
        let given = match &self.text {
            Some(_) if target == TARGETS => {
                let known = [TARGETS, UTF8_STRING];
                self.connection.change_property32(
                    PropMode::REPLACE,
                    requestor,
                    property,
                    AtomEnum::ATOM,
                    &known,
                )?;
                property
            }
            Some(text) if target == UTF8_STRING => {
                let bytes = text.as_bytes();
                self.connection.change_property8(
                    PropMode::REPLACE,
                    requestor,
                    property,
                    UTF8_STRING,
                    bytes,
                )?;
                property
            }
            _ => x11rb::NONE,
        };
        let event = SelectionNotifyEvent {
            response_type: SELECTION_NOTIFY_EVENT,
            sequence: 0,
            time,
            requestor,
            selection,
            target,
            property: given,
        };
        self.connection.send_event(false, requestor, EventMask::NO_EVENT, event)?;
        Ok(self.connection.flush()?)
    }
}

/// Pastes at one display what was copied at the other, for as long as told: whether that text arrived.
pub fn arrives(
    from: &mut Clipboard,
    to: &mut Clipboard,
    text: &str,
    within: Duration,
) -> anyhow::Result<bool> {
    let started = Instant::now();
    let mut asked: Option<Instant> = None;
    while started.elapsed() < within {
        if asked.is_none_or(|at| at.elapsed() > ASK_AGAIN) {
            to.ask()?;
            asked = Some(Instant::now());
        }
        from.turn()?;
        // What stands there from before is no sign of it.
        if to.turn()?.is_some_and(|found| found.trim_end_matches('\0') == text) {
            return Ok(true);
        }
        std::thread::sleep(POLL);
    }
    Ok(false)
}
