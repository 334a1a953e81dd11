//! The RDP server: accepts connections and gives each session a thread.
//!
//! ```text
//! accept thread ─┬─ session thread: handshake ──► session (one task: decide, gate, write)
//!                ├─ session thread …
//! ```

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{fmt, io};

use sudare_base::clock;
use sudare_guard::cover::fonts::Fonts;
use sudare_guard::transport::{DriverFactory, SessionInfo};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::identity::TlsIdentity;
use crate::{handshake, session};

/// A client that has not completed its handshake by then is disconnected.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Send buffer of the system for one client (Linux doubles it). A cover waits behind it, so it is small. It also limits
/// the throughput to this much per round trip, which is enough.
const SEND_BUFFER_BYTES: u32 = 32 * 1024;
const LISTEN_BACKLOG: u32 = 32;

/// The settings of an embedded host; [`Self::start`] makes it run.
pub struct EmbeddedHost {
    /// Where to listen; port 0 takes any free port.
    pub listen: SocketAddr,
    /// The TLS certificate and its key.
    pub tls: TlsIdentity,
    /// Creates the driver that decides for each session.
    pub factory: Arc<dyn DriverFactory>,
    /// Width of the desktop in pixels: a multiple of 4, from 200 to 8192.
    pub width: u16,
    /// Height of the desktop in pixels, from 200 to 8192.
    pub height: u16,
    /// Largest number of simultaneous connections, including handshakes; more are closed at once.
    pub max_sessions: usize,
}

impl fmt::Debug for EmbeddedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmbeddedHost({}, {}x{})", self.listen, self.width, self.height)
    }
}

/// Why the host could not start.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// Listening failed.
    #[error("cannot listen on {address}: {source}. If another program uses the port, choose another one")]
    Listen {
        /// The requested address.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The desktop's size is out of range.
    #[error(
        "a desktop of {width}x{height} is not possible. Choose 200 to 8192 pixels each, with a width that is a multiple \
         of 4"
    )]
    Size {
        /// Requested width.
        width: u16,
        /// Requested height.
        height: u16,
    },
    /// The system has no thread or event queue left.
    #[error("the system could not provide a thread or an event queue: {0}. Free resources and start again")]
    System(#[source] io::Error),
}

/// A running host. Dropping it stops the host.
#[derive(Debug)]
pub struct HostHandle {
    local_addr: SocketAddr,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl HostHandle {
    /// Where the host listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Covers and ends all sessions and waits for them (about a second at most).
    pub fn stop(self) {}
}

impl Drop for HostHandle {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the accept thread of the RDP host panicked");
        }
    }
}

impl EmbeddedHost {
    /// Listens, and serves clients in its own threads.
    ///
    /// # Errors
    /// If the size is out of range, the address is in use, or the system has no resources left.
    pub fn start(self) -> Result<HostHandle, HostError> {
        let (width, height) = (self.width, self.height);
        if !(200..=8192).contains(&width) || !(200..=8192).contains(&height) || !width.is_multiple_of(4) {
            return Err(HostError::Size { width, height });
        }
        let runtime = runtime().map_err(HostError::System)?;
        let listener = {
            let _inside = runtime.enter();
            listen(self.listen).map_err(|source| HostError::Listen { address: self.listen, source })?
        };
        let local_addr = listener.local_addr().map_err(HostError::System)?;
        let (stop, stopped) = watch::channel(false);
        let shared = Arc::new(Shared { host: self, fonts: Arc::new(Fonts::load()) });
        let thread = thread::Builder::new()
            .name("rdp-accept".to_owned())
            .spawn(move || runtime.block_on(accept_all(listener, shared, stopped)))
            .map_err(HostError::System)?;
        Ok(HostHandle { local_addr, stop, thread: Some(thread) })
    }
}

struct Shared {
    host: EmbeddedHost,
    fonts: Arc<Fonts>,
}

/// A runtime for one thread, because the acceptor's future cannot move between threads.
fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    // Connections inherit the size from the listening socket.
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.bind(address)?;
    socket.listen(LISTEN_BACKLOG)
}

async fn accept_all(listener: TcpListener, shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let mut sessions: Vec<JoinHandle<()>> = Vec::new();
    while !*stop.borrow_and_update() {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.changed() => break,
        };
        sessions.retain(|session| !session.is_finished());
        match accepted {
            Ok((_, peer)) if sessions.len() >= shared.host.max_sessions => {
                tracing::warn!(
                    port = peer.port(),
                    "connection closed, because the maximum number of sessions is reached. Raise max_sessions or wait"
                );
            }
            Ok((tcp, peer)) => match spawn(tcp, peer, &shared, &stop) {
                Ok(session) => sessions.push(session),
                Err(error) => tracing::error!(port = peer.port(), %error, "no thread for a new session"),
            },
            Err(error) => {
                tracing::error!(%error, "a connection could not be accepted. Check the limit of open files");
                // Otherwise the error might repeat at once.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    for session in sessions {
        if session.join().is_err() {
            tracing::error!("a session's thread panicked; its connection was closed");
        }
    }
}

fn spawn(
    tcp: TcpStream,
    peer: SocketAddr,
    shared: &Arc<Shared>,
    stop: &watch::Receiver<bool>,
) -> io::Result<JoinHandle<()>> {
    // A socket is bound to the runtime that created it.
    let tcp = tcp.into_std()?;
    let (shared, stop) = (Arc::clone(shared), stop.clone());
    thread::Builder::new().name("rdp-session".to_owned()).spawn(move || {
        let served = runtime().map(|runtime| runtime.block_on(serve(tcp, peer, &shared, stop)));
        if let Err(error) | Ok(Err(error)) = served {
            tracing::error!(port = peer.port(), %error, "the session could not start");
        }
    })
}

/// Logs identify a connection by the client's port only, because an address may identify a person.
async fn serve(
    tcp: std::net::TcpStream,
    peer: SocketAddr,
    shared: &Shared,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let tcp = TcpStream::from_std(tcp)?;
    tcp.set_nodelay(true)?;
    let host = &shared.host;
    let size = (host.width, host.height);
    let accepted = tokio::select! {
        accepted = timeout(HANDSHAKE_TIMEOUT, handshake::accept(tcp, &host.tls.acceptor, size)) => accepted,
        _ = stop.changed() => return Ok(()),
    };
    match accepted {
        Ok(Ok(accepted)) => {
            let info =
                SessionInfo { user: accepted.user.clone(), keys: false, owner: None, tls_exporter: None };
            let driver = host.factory.session(info, clock::now());
            tracing::info!(port = peer.port(), "session started, covered");
            let ended = session::run(accepted, driver, size, Arc::clone(&shared.fonts), stop).await;
            tracing::info!(port = peer.port(), reason = %ended, "session ended");
        }
        Ok(Err(error)) => tracing::warn!(port = peer.port(), %error, "no session"),
        Err(_) => tracing::warn!(
            port = peer.port(),
            "no session: the client did not complete its handshake within 10 s"
        ),
    }
    Ok(())
}
