//! Says on a black screen why a client is not led to its host.
//!
//! ```text
//!  client ⇄ TLS ⇄ leg ⇄ session ⇄ leg ⇄ pipe ⇄ relay::StandIn
//!                          ▲
//!                 Told: covers with these words, and never uncovers
//! ```
//! An RDP client that is turned away before its session says that the password is wrong or the network is down. The
//! person in front of it then types the password again, or calls the wrong people. So they get a session that is
//! covered from its first to its last moment, by the same relay and the same cover as every other one.

use std::path::PathBuf;

use sudare_base::clock::{self, Now};
use sudare_guard::screen::CoverText;
use sudare_guard::transport::{Action, SessionDriver, SessionEvent};
use sudare_relay::connect::negotiate::{Negotiate, confirmation};
use sudare_relay::error::{Side, Stage};
use sudare_relay::frames::Frames;
use sudare_relay::policy::protocol;
use sudare_relay::{Policy, StandIn};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::connect::connect;
use crate::error::Ended;
use crate::identity::Identity;
use crate::leg::Leg;
use crate::limits::{CONNECT_MAX, NEGOTIATE_MAX, READ_BYTES, TOLD_MAX_MS};
use crate::negotiate::secured;
use crate::serve;
use crate::session::Session;

/// A client that has asked and waits for its answer.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) reached: Reached,
    /// Its X.224 request.
    pub(crate) request: Vec<u8>,
}

/// How far it has come.
#[derive(Debug)]
pub(crate) enum Reached {
    /// It has been answered nothing.
    Plain(TcpStream),
    /// It has proved who it is.
    Proved(Box<crate::negotiate::Client>),
}

/// Shows it these words until it leaves or some minutes are over.
/// Gives how it ended, which interests only whoever looks for a fault in the client.
pub(crate) async fn show(
    waiting: Waiting,
    identity: &Identity,
    text: CoverText,
    stop: watch::Receiver<bool>,
) -> Ended {
    let (near, far) = tokio::io::duplex(READ_BYTES);
    tokio::select! {
        ended = client(waiting, identity, near, text, stop) => ended,
        failed = stand_in(far) => failed,
    }
}

async fn client(
    waiting: Waiting,
    identity: &Identity,
    host: DuplexStream,
    text: CoverText,
    stop: watch::Receiver<bool>,
) -> Ended {
    match open(waiting, identity, host, text).await {
        Ok(session) => {
            let (ended, client, done) = session.run(stop).await;
            serve::close(client, !done);
            ended
        }
        Err(ended) => ended,
    }
}

async fn open(
    Waiting { reached, request }: Waiting,
    identity: &Identity,
    host: DuplexStream,
    text: CoverText,
) -> Result<Session<crate::negotiate::Client, DuplexStream>, Ended> {
    // Nothing but the screen, whatever the policy lets through to hosts.
    let client_protocol = match reached {
        Reached::Plain(_) => protocol::TLS,
        Reached::Proved(_) => protocol::HYBRID,
    };
    let policy = Policy { client_protocol, ..Policy::default() };
    let (asked, _) = Negotiate::new(policy).request(&request)?;
    let (agreed, to_client) = asked.confirm(&confirmation(protocol::TLS))?;
    let client = match reached {
        Reached::Plain(tcp) => {
            let secured = secured(tcp, &to_client, identity);
            serve::within(NEGOTIATE_MAX, "the negotiation", secured).await?
        }
        Reached::Proved(client) => *client,
    };
    let (mut client, mut host) = (Leg::new(client), Leg::new(host));
    let connected = connect(&mut client, &mut host, agreed, clock::boot_ms);
    let live = serve::within(CONNECT_MAX, "the beginning of the session", connected).await?;
    let driver = Told { text: Some(text), until_ms: clock::boot_ms().saturating_add(TOLD_MAX_MS) };
    // Nobody asks for a picture of it.
    Ok(Session::new(client, host, live, Box::new(driver), PathBuf::new()))
}

/// The far end of the pipe. Comes back only if the client says what no host understands.
async fn stand_in(mut pipe: DuplexStream) -> Ended {
    let (mut host, mut frames) = (StandIn::default(), Frames::default());
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let count = match pipe.read(&mut buffer).await {
            // The session has ended or is about to, and says so itself.
            Ok(0) | Err(_) => std::future::pending().await,
            Ok(count) => count,
        };
        let mut said = Vec::new();
        let mut answer = || {
            frames.push(buffer.get(..count).unwrap_or_default())?;
            while let Some(frame) = frames.take()? {
                said.extend(host.take(frame)?);
            }
            Ok(())
        };
        if let Err(fault) = answer() {
            return Ended::Broken(sudare_relay::Fault::of(fault, Side::Client, Stage::Session));
        }
        pipe.write_all(&said).await.ok();
    }
}

/// A driver that has one thing to say.
struct Told {
    text: Option<CoverText>,
    until_ms: u64,
}

impl SessionDriver for Told {
    fn handle(&mut self, now: Now, _: SessionEvent) -> Vec<Action> {
        if let Some(text) = self.text.take() {
            return vec![Action::Cover(text)];
        }
        if now.boot_ms < self.until_ms {
            return Vec::new();
        }
        let advice = "the client has been told for long enough why it is not led to its host";
        vec![Action::Disconnect { advice: advice.to_owned() }]
    }
}

#[cfg(test)]
mod tests;
