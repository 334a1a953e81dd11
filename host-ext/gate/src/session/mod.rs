//! The session: pulls what both sides get, asks the guard, and covers.
//!
//! ```text
//!  host ─ frames ─► Live ─ units, whole ─► block of 16 KiB ─► TLS ─► client
//!    ▲               │ ▲                                              │
//!    │ not read while│ │ cover, uncover, words, send                  │
//!    │ 256 KiB wait  │ └──────────── wishes ◄── guard's session ◄─────┤ SUDARE, F1 to F4
//!    └── block ◄─────┴──────────────────────────────────────── frames ┘
//! ```
//! One task. A unit is taken only when the writer is idle, and only after the guard was asked within the last
//! quarter of a second: so black waits behind one block, also on a machine that has just woken up.
//!
//! | module | what |
//! |---|---|
//! | `state` | what decides, apart from the network |
//! | `wishes` | what the guard wants of transport and cover, collected |
//! | `screen` | carries out what it wants of the cover |
//! | `painter` | draws the words, beside the loop |
//! | `tiles` | pictures and light as tiles. Pure |
//! | `pictures` | has screenshots decoded, in processes of their own |
//! | `pull` | units into blocks. Pure |

mod painter;
mod pictures;
mod pull;
mod screen;
mod state;
mod tiles;
mod wishes;

use std::convert::Infallible;
use std::io;
use std::path::PathBuf;

use sudare_base::clock;
use sudare_guard::transport::{LinkEvent, Owner, SessionDriver, SessionEvent};
use sudare_relay::Live;
use sudare_relay::error::{Fault, Side, Stage};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::error::Ended;
use crate::leg::Leg;
use crate::limits::{CLIENT_STALL_MAX_MS, FAREWELL_MAX, HOST_STALL_MAX_MS, IDLE_TICK, TICK};
use crate::owner::Owners;
use state::State;

/// MCS Disconnect Provider Ultimatum, provider-initiated ([T.125] 7, as [MS-RDPBCGR] 4.2.1 shows one).
const GOODBYE: [u8; 9] = [3, 0, 0, 9, 2, 0xF0, 0x80, 0x20, 0x80];

/// A session and its two legs.
pub(crate) struct Session<C, H> {
    client: Leg<C>,
    host: Leg<H>,
    state: State,
    /// Where the kernel tells whose desktop it is.
    owners: Option<Owners>,
}

impl<C, H> Session<C, H>
where
    C: AsyncRead + AsyncWrite + Unpin,
    H: AsyncRead + AsyncWrite + Unpin,
{
    /// `picture` is the program that decodes screenshots.
    pub(crate) fn new(
        client: Leg<C>,
        host: Leg<H>,
        live: Box<Live>,
        driver: Box<dyn SessionDriver>,
        picture: PathBuf,
    ) -> Self {
        Self { client, host, state: State::new(live, driver, picture, clock::boot_ms()), owners: None }
    }

    /// The same, and this tells the guard whose desktop it is.
    pub(crate) fn asking(self, owners: Option<Owners>) -> Self {
        Self { owners, ..self }
    }

    /// Runs to the end. Gives why, the client's stream, and whether it got all that it was sent: otherwise what is
    /// left must not leave this machine any more.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) -> (Ended, C, bool) {
        let Err(ended) = self.serve(&mut stop).await;
        let polite = ended.is_polite();
        let done = polite && matches!(timeout(FAREWELL_MAX, self.farewell()).await, Ok(Ok(())));
        if done {
            // A socket that is closed with something unread is reset, and the client would lose its black.
            timeout(FAREWELL_MAX, self.client.input.drain()).await.ok();
        }
        // What the driver still wants has no one to go to; what it reports, it reports itself.
        self.state.driver.handle(clock::now(), SessionEvent::Link(LinkEvent::Disconnected));
        (ended, self.client.into_stream(), done)
    }

    async fn serve(&mut self, stop: &mut watch::Receiver<bool>) -> Result<Infallible, Ended> {
        self.state.begin()?;
        // What was read together with the end of the phase before.
        self.take(Side::Client)?;
        self.take(Side::Host)?;
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut idle = false;
        loop {
            self.fill()?;
            if std::mem::replace(&mut idle, self.state.is_idle()) && !idle {
                ticks.reset_immediately();
            }
            let (reads_client, reads_host) = self.state.reads();
            let reads_host = reads_host && !self.owners.as_ref().is_some_and(Owners::is_awaited);
            // `select!` picks a ready branch at random, so no side can starve the other.
            tokio::select! {
                mark = self.client.output.write(clock::monotonic_ms) => {
                    if let Some(mark) = mark.map_err(Ended::Client)? {
                        self.state.written(mark)?;
                    }
                }
                mark = self.host.output.write(clock::monotonic_ms) => drop(mark.map_err(Ended::Host)?),
                read = self.client.input.read(), if reads_client => {
                    self.arrived(Side::Client, read.map_err(Ended::Client)?)?;
                }
                read = self.host.input.read(), if reads_host => {
                    self.arrived(Side::Host, read.map_err(Ended::Host)?)?;
                }
                (number, owner) = whose(&mut self.owners) => self.owned(number, owner)?,
                drawn = self.state.screen.painter.drawn() => self.state.drawn(drawn),
                taken = self.state.pictures.taken() => self.state.taken(taken)?,
                _ = ticks.tick() => {
                    self.tick()?;
                    if self.state.is_idle() {
                        ticks.reset_after(IDLE_TICK);
                    }
                }
                _ = stop.changed() => return Err(Ended::Stopped),
            }
        }
    }

    /// Starts the next block of each side whose writer is idle.
    fn fill(&mut self) -> Result<(), Ended> {
        while self.client.output.is_idle() {
            let block = self.state.block()?;
            let reacted = self.state.react()?;
            match block {
                Some(block) => self.client.output.start(block.bytes, block.mark, clock::monotonic_ms()),
                // What came of an event may be due now.
                None if reacted => {}
                None => break,
            }
        }
        self.state.react()?;
        if self.host.output.is_idle()
            && let Some(bytes) = self.state.host_block()
        {
            self.host.output.start(bytes, None, clock::monotonic_ms());
        }
        Ok(())
    }

    fn arrived(&mut self, side: Side, read: Result<bool, Fault>) -> Result<(), Ended> {
        match (read, side) {
            // What came may be a desktop that was attached meanwhile; it is taken after the answer.
            (Ok(true), Side::Host) if self.owners.as_mut().is_some_and(Owners::ask_first) => Ok(()),
            (Ok(true), _) => self.take(side),
            (Ok(false), Side::Client) => Err(Ended::ClientLeft),
            (Ok(false), Side::Host) => Err(Ended::HostLeft),
            (Err(fault), _) => Err(fault.of(side, Stage::Session).into()),
        }
    }

    /// Tells the guard whose desktop it is, which may cover, and only then takes what waited for that.
    fn owned(&mut self, number: u32, owner: Owner) -> Result<(), Ended> {
        let Some(owners) = &mut self.owners else { return Ok(()) };
        let waited = owners.is_awaited();
        owners.take(number, &owner);
        let waits = owners.is_awaited();
        self.state.drive(SessionEvent::Owner(owner))?;
        if waited && !waits { self.take(Side::Host) } else { Ok(()) }
    }

    /// Gives the relay the frames that were read.
    fn take(&mut self, side: Side) -> Result<(), Ended> {
        let broken = |fault: Fault| fault.of(side, Stage::Session);
        loop {
            let now_ms = clock::boot_ms();
            match side {
                Side::Client => match self.client.input.frame().map_err(broken)? {
                    Some(frame) => self.state.live.from_client(now_ms, frame)?,
                    None => break,
                },
                Side::Host => match self.host.input.frame().map_err(broken)? {
                    Some(frame) => self.state.live.from_host(now_ms, frame)?,
                    None => break,
                },
            }
        }
        self.state.react().map(drop)
    }

    fn tick(&mut self) -> Result<(), Ended> {
        let now_ms = clock::monotonic_ms();
        if self.client.output.is_stalled(now_ms, CLIENT_STALL_MAX_MS) {
            return Err(Ended::ClientStalled);
        }
        if self.host.output.is_stalled(now_ms, HOST_STALL_MAX_MS) {
            return Err(Ended::HostStalled);
        }
        self.state.tick()
    }

    /// Black and the last messages to the client, released keys to the host, and the end of both. The guard is not
    /// asked any more: it could only uncover.
    async fn farewell(&mut self) -> io::Result<()> {
        let covered = self.state.live.cover(clock::boot_ms());
        covered.map_err(io::Error::other)?;
        // The host may be gone already, or be the reason; its part must not cost the client its black.
        let (client, host, state) = (&mut self.client.output, &mut self.host.output, &mut self.state);
        let released = state.host_block();
        let to_client = async {
            if !client.is_idle() {
                client.write(clock::monotonic_ms).await?;
            }
            while let Some(block) = state.last_block().map_err(io::Error::other)? {
                client.write_all(&block.bytes).await?;
            }
            client.write_all(&GOODBYE).await?;
            client.shutdown().await
        };
        let to_host = async {
            if !host.is_idle() {
                host.write(clock::monotonic_ms).await?;
            }
            host.write_all(&released.unwrap_or_default()).await?;
            host.shutdown().await
        };
        let (client, _) = tokio::join!(to_client, to_host);
        client
    }
}

/// What is told next; nothing where nobody tells.
async fn whose(owners: &mut Option<Owners>) -> (u32, Owner) {
    match owners {
        Some(owners) => owners.next().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
