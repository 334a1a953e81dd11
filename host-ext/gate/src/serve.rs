//! One connection, from its socket to its end.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sudare_base::clock;
use sudare_guard::transport::{DriverFactory, OwnerRule, SessionInfo};
use sudare_relay::Policy;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::connect::connect;
use crate::error::Ended;
use crate::host::Secured;
use crate::identity::Identity;
use crate::leg;
use crate::limits::CONNECT_MAX;
use crate::negotiate::{Client, Secure, Turned, negotiate};
use crate::nla::Helpers;
use crate::owner::Owners;
use crate::refusal;
use crate::session::Session;
use crate::targets::Targets;

/// What a connection is served with.
pub struct Gate {
    /// What the client sees.
    pub identity: Identity,
    /// Where it is led to.
    pub targets: Targets,
    /// What passes.
    pub policy: Policy,
    /// What tells whose desktop it is.
    pub owner: Asks,
    /// Who decides what it may see.
    pub factory: Arc<dyn DriverFactory>,
    /// The program that decodes screenshots.
    pub picture: PathBuf,
    /// Who ends CredSSP; none: clients come without NLA.
    pub nla: Option<Helpers>,
}

/// What tells a gate whose desktop it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asks {
    /// The kernel, through the service at this socket.
    Kernel(PathBuf),
    /// What the client has proved by CredSSP.
    Credentials,
    /// Nothing: the policy trusts the name that the client gives.
    Nobody,
}

impl Asks {
    fn rule(&self) -> OwnerRule {
        match self {
            Self::Kernel(_) => OwnerRule::Kernel,
            Self::Credentials => OwnerRule::Credentials,
            Self::Nobody => OwnerRule::Policy,
        }
    }

    fn begin(&self) -> Option<Owners> {
        match self {
            Self::Kernel(socket) => Some(Owners::ask_at(socket.clone())),
            Self::Credentials | Self::Nobody => None,
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gate({} hosts)", self.targets.all().count())
    }
}

/// Serves one client to its end. Logs name it by its port only, because an address may identify a person.
pub async fn serve(tcp: TcpStream, gate: &Gate, mut stop: watch::Receiver<bool>) -> Ended {
    let port = tcp.peer_addr().map_or(0, |peer| peer.port());
    let opened = tokio::select! {
        opened = open(tcp, gate) => opened,
        _ = stop.changed() => Err(Ended::Stopped.into()),
    };
    let ended = match opened {
        Ok(session) => {
            tracing::info!(port, "session started, covered");
            let (ended, client, done) = session.run(stop).await;
            close(client, !done);
            ended
        }
        Err(Turned { why, waiting }) => {
            if let Some(waiting) = waiting
                && let Some(text) = why.words()
            {
                // Whoever reads the journal must not wait until the client has read its screen.
                tracing::warn!(port, reason = %why, "the client is told so on a black screen");
                let told = refusal::show(waiting, &gate.identity, text, stop).await;
                tracing::info!(port, reason = %told, "ended");
                return why;
            }
            why
        }
    };
    match &ended {
        Ended::ClientLeft | Ended::HostLeft | Ended::Stopped => {
            tracing::info!(port, reason = %ended, "ended");
        }
        _ => tracing::warn!(port, reason = %ended, "ended"),
    }
    ended
}

/// As far as the session, which begins covered.
pub(crate) async fn open(tcp: TcpStream, gate: &Gate) -> Result<Session<Client, Secured>, Turned> {
    leg::prepare(&tcp).map_err(Ended::Client)?;
    let negotiated = negotiate(tcp, &gate.targets, &gate.identity, gate.policy.clone(), gate.nla.as_ref());
    let Secure { mut client, mut host, agreed, exporter, proved } = negotiated.await?;
    let connected = connect(&mut client, &mut host, agreed, clock::boot_ms);
    let live = within(CONNECT_MAX, "the beginning of the session", connected).await?;
    // Without a proof, and as the embedded host has it, this is what the client says of itself: it may select a
    // record, never grant.
    let user = proved.or_else(|| Some(live.logon().user.clone()).filter(|user| !user.is_empty()));
    let info = SessionInfo { user, keys: true, owner: Some(gate.owner.rule()), tls_exporter: Some(exporter) };
    let driver = gate.factory.session(info, clock::now());
    let session = Session::new(client, host, live, driver, gate.picture.clone());
    Ok(session.asking(gate.owner.begin()))
}

/// With a limit on how long it may take.
pub(crate) async fn within<T>(
    limit: Duration,
    what: &'static str,
    doing: impl Future<Output = Result<T, Ended>>,
) -> Result<T, Ended> {
    timeout(limit, doing).await.unwrap_or(Err(Ended::Slow { what, limit }))
}

/// `hard` makes the kernel forget what it has not sent yet, because that may be pixels of the desktop.
pub(crate) fn close(client: Client, hard: bool) {
    let tcp = client.into_inner().0.into_inner();
    if hard && let Err(error) = tcp.set_zero_linger() {
        tracing::debug!(%error, "the connection could not be reset");
    }
}
