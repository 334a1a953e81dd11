//! From two sockets to TLS on both legs.
//!
//! ```text
//!  client ── X.224 request ──► gate ── its own request ──► host
//!                              gate ◄── confirmation ───── host
//!                              gate ◄─── TLS, the pin ───► host
//!  client ◄── confirmation ─── gate
//!  client ◄────── TLS ───────► gate
//! ```
//! The client is told to go on only once the host is the right one, so that it never sends a password for another.
//!
//! With NLA the client comes first, and nothing is opened towards the host before it has proved who it is:
//!
//! ```text
//!  client ── X.224 request ──► gate
//!  client ◄─── confirmation ── gate
//!  client ◄──── TLS, CredSSP ─► gate ── its own request ──► host
//!                              gate ◄── confirmation ───── host
//!                              gate ◄── TLS, pin, CredSSP ─► host
//! ```

use std::io;

use sudare_protocol::message::TLS_EXPORTER_LABEL;
use sudare_relay::Policy;
use sudare_relay::connect::negotiate::{Agreed, Asked, Negotiate, failure, failure_code};
use sudare_relay::error::{Broken, Fault, Side, Stage};
use sudare_relay::frames::{self, Kind};
use sudare_relay::policy::protocol;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::error::Ended;
use crate::host::{self, Plain, Secured};
use crate::identity::Identity;
use crate::leg::{Leg, below_tls};
use crate::limits::{NEGOTIATE_MAX, NLA_MAX, TLS_BUFFER_BYTES};
use crate::nla::{Helpers, Nla};
use crate::refusal::{Reached, Waiting};
use crate::serve::within;
use crate::target::Target;
use crate::targets::Targets;

/// The client's leg.
pub(crate) type Client = TlsStream<BufReader<TcpStream>>;
const TPKT_HEADER_BYTES: usize = 4;
/// What takes too long, for the journal.
const ASKING: &str = "the client's request";
const MEETING: &str = "meeting the host";
const SECURING: &str = "TLS with the client";
const PROVING: &str = "CredSSP with the client";

/// Both legs behind TLS.
pub(crate) struct Secure {
    pub(crate) client: Leg<Client>,
    pub(crate) host: Leg<Secured>,
    pub(crate) agreed: Agreed,
    /// What only the two ends of the client's TLS session know.
    pub(crate) exporter: [u8; 32],
    /// Who has proved to be it, as the file of users writes it.
    pub(crate) proved: Option<String>,
}

/// Why there is no session, and the client if it still waits for its answer.
#[derive(Debug)]
pub(crate) struct Turned {
    pub(crate) why: Ended,
    pub(crate) waiting: Option<Waiting>,
}

impl From<Ended> for Turned {
    fn from(why: Ended) -> Self {
        Self { why, waiting: None }
    }
}

/// Takes the client's first words, and ends with TLS on both legs.
pub(crate) async fn negotiate(
    mut tcp: TcpStream,
    targets: &Targets,
    identity: &Identity,
    policy: Policy,
    helpers: Option<&Helpers>,
) -> Result<Secure, Turned> {
    let request = within(NEGOTIATE_MAX, ASKING, first_frame(&mut tcp, Side::Client)).await?;
    let asked = Negotiate::new(policy).request(&request);
    let (asked, to_host) = match asked {
        Ok(asked) => asked,
        Err(broken) => return Err(refuse(tcp, broken, helpers.is_some()).await.into()),
    };
    if let Some(helpers) = helpers {
        let nla = Nla::begin(helpers)?;
        return proved(tcp, request, (asked, to_host), targets, identity, nla).await;
    }
    let target = targets.of_hint(asked.user_hint());
    let met = within(NEGOTIATE_MAX, MEETING, meet(asked, &to_host, target)).await;
    let (agreed, to_client, host) = match met {
        Ok(met) => met,
        Err(why) => {
            return Err(Turned { why, waiting: Some(Waiting { reached: Reached::Plain(tcp), request }) });
        }
    };
    let client = within(NEGOTIATE_MAX, SECURING, secured(tcp, &to_client, identity)).await?;
    let exporter = exporter(&client)?;
    Ok(Secure { client: Leg::new(client), host: Leg::new(host), agreed, exporter, proved: None })
}

/// The same for a client that has to prove who it is before the host hears of it.
async fn proved(
    tcp: TcpStream,
    request: Vec<u8>,
    (asked, to_host): (Asked, Vec<u8>),
    targets: &Targets,
    identity: &Identity,
    mut nla: Nla,
) -> Result<Secure, Turned> {
    let mut client = within(NEGOTIATE_MAX, SECURING, secured(tcp, &asked.answer(), identity)).await?;
    let exporter = exporter(&client)?;
    let logon = within(NLA_MAX, PROVING, nla.client(&mut client, &identity.certificate)).await?;
    let met = async {
        let (agreed, _, mut host) = meet(asked, &to_host, targets.of_user(&logon.user)).await?;
        if agreed.host == protocol::HYBRID {
            let certificate = host::certificate(&host);
            nla.host(&mut host, &certificate).await?;
        }
        Ok((agreed, host))
    };
    match within(NEGOTIATE_MAX, MEETING, met).await {
        Ok((mut agreed, host)) => {
            agreed.logon = Some(logon.logon);
            let (client, host) = (Leg::new(client), Leg::new(host));
            Ok(Secure { client, host, agreed, exporter, proved: Some(logon.user) })
        }
        Err(why) => {
            let reached = Reached::Proved(Box::new(client));
            Err(Turned { why, waiting: Some(Waiting { reached, request }) })
        }
    }
}

/// The client's leg behind TLS.
pub(crate) async fn secured(
    mut tcp: TcpStream,
    to_client: &[u8],
    identity: &Identity,
) -> Result<Client, Ended> {
    tcp.write_all(to_client).await.map_err(Ended::Client)?;
    let mut client = identity.acceptor.accept(below_tls(tcp)).await.map_err(Ended::ClientTls)?;
    client.get_mut().1.set_buffer_limit(Some(TLS_BUFFER_BYTES));
    Ok(client)
}

fn exporter(client: &Client) -> Result<[u8; 32], Ended> {
    let exported = client.get_ref().1.export_keying_material([0; 32], TLS_EXPORTER_LABEL.as_bytes(), None);
    exported.map_err(|error| Ended::ClientTls(io::Error::other(error)))
}

/// The host, as far as TLS; what both sides agreed on, and the answer for the client.
async fn meet(asked: Asked, to_host: &[u8], target: &Target) -> Result<(Agreed, Vec<u8>, Secured), Ended> {
    let mut plain = host::reach(&target.place).await?;
    plain.write_all(to_host).await.map_err(Ended::Host)?;
    let confirm = first_frame(&mut plain, Side::Host).await?;
    let confirmed = asked.confirm(&confirm);
    let (agreed, to_client) = confirmed.map_err(|broken| Ended::broken(broken, &target.place))?;
    Ok((agreed, to_client, host::secure(quiet(plain).await?, target).await?))
}

/// Exactly one frame: what follows it is TLS's.
async fn first_frame(stream: &mut (impl AsyncRead + Unpin), side: Side) -> Result<Vec<u8>, Ended> {
    let failed = |error: io::Error| match (error.kind(), side) {
        (io::ErrorKind::UnexpectedEof, Side::Client) => Ended::ClientLeft,
        (io::ErrorKind::UnexpectedEof, Side::Host) => Ended::HostLeft,
        (_, Side::Client) => Ended::Client(error),
        (_, Side::Host) => Ended::Host(error),
    };
    let broken = |fault: Fault| Ended::Broken(fault.of(side, Stage::Negotiation));
    let mut frame = vec![0; TPKT_HEADER_BYTES];
    stream.read_exact(&mut frame).await.map_err(failed)?;
    let first = frame.first().copied().unwrap_or_default();
    if frames::kind(first).map_err(broken)? != Kind::Tpkt {
        return Err(broken(Fault::OutOfTurn));
    }
    let length = frames::length(&frame).map_err(broken)?.unwrap_or_default();
    frame.resize(length, 0);
    let rest = frame.get_mut(TPKT_HEADER_BYTES..).unwrap_or_default();
    stream.read_exact(rest).await.map_err(failed)?;
    Ok(frame)
}

/// The host speaks no more before TLS; what it said too early would be taken for its handshake, which fails there
/// with a reason that misleads.
async fn quiet(mut plain: Plain) -> Result<Plain, Ended> {
    let mut early = [0];
    tokio::select! {
        biased;
        read = plain.read(&mut early) => match read {
            Ok(0) => Err(Ended::HostLeft),
            Ok(_) => Err(Ended::Early(Side::Host)),
            Err(error) => Err(Ended::Host(error)),
        },
        () = std::future::ready(()) => Ok(plain),
    }
}

/// Tells a client without TLS or NLA that it needs it; its own message says so then.
async fn refuse(mut tcp: TcpStream, broken: Broken, nla: bool) -> Ended {
    if broken.fault == Fault::NoTls {
        let code = if nla { failure_code::HYBRID_REQUIRED } else { failure_code::TLS_REQUIRED };
        // It is refused either way.
        tcp.write_all(&failure(code)).await.ok();
        tcp.shutdown().await.ok();
    }
    Ended::Broken(broken)
}
