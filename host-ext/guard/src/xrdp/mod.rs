//! One session of xrdp: its display, its channel, and the blanker that covers it.
//!
//! ```text
//!  detector (inotify) ── client came, left ──┐
//!  chansrv's socket ──── channel bytes ──────┼─► run (this file) ─► display (pure) ─► effects
//!  blanker (process) ─── confirmed, keys ────┘        │
//!                                                     └─► beats, for the supervisor
//! ```
//! xrdp's chansrv gives any process that may open its socket a dynamic channel to the client, as
//! raw bytes ([`wire`]). It tells nobody when the client goes, and it never frees what a failed
//! open cost ([`opening`]), so coming and going is read from a socket that is there only while
//! nobody is connected ([`sockets`]).
//!
//! | module | what |
//! |---|---|
//! | `display` | connects client, channel, driver and cover; pure: without a client, or without its driver's word, covered |
//! | `blanking`, `effect` | the cover as seen from here: requested is not yet confirmed; what to do when it fails |
//! | `detector`, `sockets` | a client came or left, read from a socket that is there only without one |
//! | `opening`, `api`, `wire` | when to open the channel, how, and in which of chansrv's two layouts |
//! | `channel` | the open channel's bytes, bounded both ways |

mod api;
mod blanking;
mod channel;
pub mod detector;
mod display;
mod effect;
mod opening;
mod sockets;
mod wire;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sudare_base::clock;
use sudare_base::heartbeat::Heartbeat;
use sudare_blanker::wire::Reply;
use sudare_protocol::screen::CHANNEL_NAME;
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use self::api::OpenError;
use self::channel::Channel;
use self::display::{Display, Input};
use self::effect::Effect;
use self::sockets::Sockets;
use self::wire::Layout;
use crate::cover::fonts::Fonts;
use crate::cover::x11::{Blanker, BlankerError, Cookie, Painter};
use crate::transport::DriverFactory;

const TICK: Duration = Duration::from_millis(50);

/// Which session, and where its parts are.
#[derive(Debug)]
pub struct Options {
    pub display: u32,
    /// The session's user, as the supervisor found it.
    pub user: String,
    pub uid: u32,
    /// The X server; a blanker talks to no other.
    pub server_pid: i32,
    pub cookie: Cookie,
    /// xrdp's folder of sockets.
    pub socket_dir: PathBuf,
    /// The program `sudare-blanker`.
    pub blanker: PathBuf,
}

/// Why a session cannot be guarded. It stays covered, and the supervisor starts another guard.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    #[error(transparent)]
    Blanker(#[from] BlankerError),
    #[error(transparent)]
    Detector(#[from] detector::DetectorError),
}

/// What the guard tells its supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tell {
    Heartbeat(Heartbeat),
    /// End the client's connection, and why.
    Disconnect(String),
    /// The cover that was ordered with this ticket was read back from the screen.
    Covered(u64),
}

/// What the supervisor tells the guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Cover, whatever the client may see: somebody signs in, who may take the session over.
    Cover(u64),
    /// Whoever that was is a client now, or gone.
    GoOn(u64),
    /// Cover and end.
    End,
}

impl Options {
    /// Starts the first blanker. Do this before anything that takes time.
    pub fn start_blanker(&self) -> Result<Blanker, BlankerError> {
        Blanker::start(&self.blanker, self.display, self.server_pid, &self.cookie)
    }
}

/// Guards the session until it is ordered to end. At the end the screen stays covered: the blanker sees
/// that nobody speaks to it any more.
pub async fn run(
    options: Options,
    blanker: Blanker,
    factory: Arc<dyn DriverFactory>,
    mut orders: mpsc::Receiver<Order>,
    tell: &mut (dyn FnMut(Tell) + Send),
) -> Result<(), GuardError> {
    let sockets = Sockets::new(&options.socket_dir, options.uid, options.display);
    let mut changes = detector::start(sockets.clone())?;
    let (mut display, effects) = Display::new(factory, options.user.clone());
    let mut parts = Parts::new(options, sockets, blanker);
    parts.carry_out(effects, tell)?;
    let mut painter = Painter::start(Fonts::load);
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        let input = tokio::select! {
            biased;
            order = orders.recv() => match order {
                Some(Order::Cover(ticket)) => Input::SignIn(ticket),
                Some(Order::GoOn(ticket)) => Input::SignedIn(ticket),
                Some(Order::End) | None => break,
            },
            reply = next_reply(&mut parts.blanker) => reply.map_or(Input::BlankerEnded, Input::Blanker),
            connected = changes.recv() => match connected {
                Some(connected) => Input::Client(connected),
                // The detector ended; without it nobody knows who looks.
                None => break,
            },
            opened = parts.opened.1.recv() => match opened.and_then(|opened| parts.take(opened)) {
                Some(input) => input,
                None => continue,
            },
            // Before the channel: a client that sends without pause must not keep the beats from the
            // supervisor, which would end a guard with evidence in its memory.
            _ = ticks.tick() => {
                tell(Tell::Heartbeat(heartbeat(&display, clock::boot_ms(), parts.blanker_pid())));
                Input::Tick
            }
            bytes = next_bytes(&mut parts.channel) => bytes.map_or(Input::ChannelClosed, Input::Bytes),
            paints = painter.painted() => {
                parts.paint(paints);
                continue;
            }
        };
        let effects = display.handle(clock::now(), input);
        parts.carry_out_with(effects, &mut painter, tell)?;
    }
    let effects = display.handle(clock::now(), Input::Client(false));
    parts.carry_out(effects, tell)?;
    Ok(())
}

/// The next reply; `None` when the blanker ended.
async fn next_reply(blanker: &mut Option<Blanker>) -> Option<Reply> {
    match blanker {
        Some(blanker) => blanker.next().await,
        None => std::future::pending().await,
    }
}

/// The channel's next bytes; `None` once, when it is gone.
async fn next_bytes(channel: &mut Option<Channel>) -> Option<Vec<u8>> {
    let Some(open) = channel else { return std::future::pending().await };
    let bytes = open.next().await;
    if bytes.is_none() {
        *channel = None;
    }
    bytes
}

/// What one attempt to open the channel gave.
struct Opened {
    attempt: u64,
    result: Result<UnixStream, OpenError>,
}

/// The parts at the edge: processes and sockets.
struct Parts {
    options: Options,
    sockets: Sockets,
    blanker: Option<Blanker>,
    channel: Option<Channel>,
    layout: Arc<Mutex<Layout>>,
    /// Answers to attempts before this one are of a client that is gone.
    attempt: u64,
    opened: (mpsc::Sender<Opened>, mpsc::Receiver<Opened>),
}

impl Parts {
    fn new(options: Options, sockets: Sockets, blanker: Blanker) -> Self {
        let layout = Arc::new(Mutex::new(Layout::Counted));
        let opened = mpsc::channel(4);
        Parts { options, sockets, blanker: Some(blanker), channel: None, layout, attempt: 0, opened }
    }

    fn blanker_pid(&self) -> u32 {
        self.blanker.as_ref().map_or(0, Blanker::pid)
    }

    /// What an attempt means now, if it still means anything.
    fn take(&mut self, opened: Opened) -> Option<Input> {
        if opened.attempt != self.attempt {
            return None;
        }
        Some(match opened.result {
            Ok(stream) => {
                self.channel = Some(Channel::start(stream));
                Input::Opened
            }
            Err(error) => {
                tracing::warn!(%error, "no channel to the client");
                if matches!(error, OpenError::NoListener) { Input::Missing } else { Input::OpenFailed }
            }
        })
    }

    fn paint(&mut self, paints: Vec<Vec<u8>>) {
        if let Some(blanker) = &self.blanker {
            paints.into_iter().for_each(|paint| blanker.send(paint));
        }
    }

    fn carry_out(
        &mut self,
        effects: Vec<Effect>,
        tell: &mut (dyn FnMut(Tell) + Send),
    ) -> Result<(), BlankerError> {
        for effect in effects {
            match effect {
                Effect::Blanker(request) => {
                    if let Some(blanker) = &self.blanker {
                        blanker.send(request.to_bytes());
                    }
                }
                Effect::StartBlanker { end_old } => {
                    self.let_go(end_old);
                    self.blanker = Some(self.options.start_blanker()?);
                }
                Effect::RestBlanker { end_old } => self.let_go(end_old),
                Effect::Open => self.open(),
                Effect::Write(bytes) => {
                    if let Some(channel) = &self.channel {
                        channel.send(bytes);
                    }
                }
                Effect::CloseChannel => {
                    self.attempt += 1;
                    self.channel = None;
                }
                Effect::Disconnect(advice) => tell(Tell::Disconnect(advice)),
                Effect::SignInCovered(ticket) => tell(Tell::Covered(ticket)),
                // Drawn by `carry_out_with`; before the first layout there is nothing to draw.
                Effect::Words { .. } => {}
            }
        }
        Ok(())
    }

    fn carry_out_with(
        &mut self,
        mut effects: Vec<Effect>,
        painter: &mut Painter,
        tell: &mut (dyn FnMut(Tell) + Send),
    ) -> Result<(), BlankerError> {
        for effect in &mut effects {
            if let Effect::Words { layout, monitors, text } = effect {
                painter.draw(*layout, std::mem::take(monitors), std::mem::take(text));
            }
        }
        self.carry_out(effects, tell)
    }

    fn let_go(&mut self, end: bool) {
        match self.blanker.take() {
            Some(old) if end => old.kill(),
            Some(old) => old.leave(),
            None => {}
        }
    }

    fn open(&mut self) {
        self.attempt += 1;
        let (attempt, uid, layout) = (self.attempt, self.options.uid, Arc::clone(&self.layout));
        let (path, answers) = (self.sockets.api(), self.opened.0.clone());
        tokio::spawn(async move {
            let mut tried = *layout.lock().unwrap_or_else(PoisonError::into_inner);
            let result = match path {
                Some(path) => api::open(&path, uid, CHANNEL_NAME, &mut tried).await,
                None => Err(OpenError::Io(std::io::ErrorKind::NotFound.into())),
            };
            *layout.lock().unwrap_or_else(PoisonError::into_inner) = tried;
            // Nobody waits any more when the guard ends.
            answers.send(Opened { attempt, result }).await.ok();
        });
    }
}

/// What the supervisor is told of the session.
fn heartbeat(display: &Display, now_ms: u64, blanker_pid: u32) -> Heartbeat {
    Heartbeat {
        covered: display.is_covered(),
        unconfirmed_ms: display.unconfirmed_ms(now_ms),
        client: display.has_client(),
        blanker_pid,
    }
}

#[cfg(test)]
mod tests;
