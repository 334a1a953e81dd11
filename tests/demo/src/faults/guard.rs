//! A guard as the gate runs it, without an RDP connection: the session's own code, the evidence thread, and
//! the connection to the recorder are the real ones.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use sudare_base::clock;
use sudare_guard::assemble::{self, Assembled};
use sudare_guard::screen::Screenshot;
use sudare_guard::session::Sessions;
use sudare_guard::transport::{
    Action, CoverEvent, DriverFactory as _, LinkEvent, SessionDriver, SessionEvent, SessionInfo,
};
use sudare_protocol::message::Shown;
use sudare_records::state::HostState;

use super::incident;
use super::place::{Place, USER};

/// Of the TLS that these clients do not have.
const CERTIFICATE_SHA256: [u8; 32] = [0; 32];
const TICK: Duration = Duration::from_millis(20);
const LOOK: Duration = Duration::from_millis(3);

/// Serves one client after the other, until it is killed.
pub fn run(place: &Path, number: usize) -> anyhow::Result<()> {
    super::crew::die_with_parent()?;
    let place = Place::at(place);
    let config = place.load()?;
    let state = HostState::load(&config.state_dir)?;
    let Assembled { shared, evidence: _thread } =
        assemble::reporting(state, CERTIFICATE_SHA256, config.recorder_socket)?;
    let who = SessionInfo { user: Some(USER.to_owned()), keys: false, owner: None, tls_exporter: None };
    let driver = Sessions::new(shared).session(who, clock::now());
    let socket = place.guard_socket(number);
    std::fs::remove_file(&socket)
        .or_else(|e| if e.kind() == ErrorKind::NotFound { Ok(()) } else { Err(e) })?;
    let listener = UnixListener::bind(&socket)?;
    listener.set_nonblocking(true)?;
    let screen = incident::screen()?;
    let mut display = FakeDisplay { driver, stream: None, screen, is_covered: true, ticked: Instant::now() };
    display.tell(SessionEvent::Cover(CoverEvent::Painted(Shown::Covered)));
    loop {
        match listener.accept() {
            Ok((stream, _)) => display.meet(stream)?,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        display.listen();
        if display.ticked.elapsed() >= TICK {
            display.ticked = Instant::now();
            display.tell(SessionEvent::Tick);
        }
    }
}

/// What a transport does, without any screen.
struct FakeDisplay {
    driver: Box<dyn SessionDriver>,
    stream: Option<UnixStream>,
    screen: Screenshot,
    is_covered: bool,
    ticked: Instant,
}

impl FakeDisplay {
    fn meet(&mut self, stream: UnixStream) -> anyhow::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(LOOK))?;
        stream.set_write_timeout(Some(Duration::from_secs(1)))?;
        if self.stream.replace(stream).is_some() {
            self.link(LinkEvent::Closed);
        }
        self.link(LinkEvent::Opened);
        Ok(())
    }

    /// What the client says, if it says something.
    fn listen(&mut self) {
        let mut bytes = [0; 64 * 1024];
        let Some(stream) = &mut self.stream else { return std::thread::sleep(LOOK) };
        match stream.read(&mut bytes) {
            Ok(read @ 1..) => self.link(LinkEvent::Bytes(bytes.get(..read).unwrap_or_default().to_vec())),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Ok(0) | Err(_) => {
                self.stream = None;
                self.link(LinkEvent::Closed);
            }
        }
    }

    fn link(&mut self, event: LinkEvent) {
        self.tell(SessionEvent::Link(event));
    }

    fn tell(&mut self, event: SessionEvent) {
        let actions = self.driver.handle(clock::now(), event);
        self.carry_out(actions);
    }

    /// Carries out the session's actions; follow-up actions go before the rest.
    fn carry_out(&mut self, actions: Vec<Action>) {
        let mut waiting = actions;
        waiting.reverse();
        while let Some(action) = waiting.pop() {
            let event = match action {
                Action::Send(bytes) => {
                    self.send(&bytes);
                    continue;
                }
                Action::Light(_) => continue,
                // Only the text changes.
                Action::Cover(_) if self.is_covered => continue,
                Action::Cover(_) => {
                    self.is_covered = true;
                    CoverEvent::Painted(Shown::Covered)
                }
                Action::Uncover => {
                    self.is_covered = false;
                    CoverEvent::Painted(Shown::Visible)
                }
                Action::Screenshot(ticket) => {
                    CoverEvent::Screenshot { ticket, screenshot: self.screen.clone() }
                }
                Action::Reopen => continue,
                Action::Disconnect { advice } => {
                    tracing::warn!(advice, "disconnected");
                    self.stream = None;
                    continue;
                }
            };
            waiting.extend(self.driver.handle(clock::now(), SessionEvent::Cover(event)).into_iter().rev());
        }
    }

    /// A client that is gone is noticed when it is read from.
    fn send(&mut self, bytes: &[u8]) {
        let sent = self.stream.as_mut().map(|stream| stream.write_all(bytes));
        if let Some(Err(error)) = sent {
            tracing::debug!(%error, "the client is gone");
        }
    }
}
