//! The ends: a real client, a real host, a gate between them, and a guard that does what a test says.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ironrdp_acceptor::{Acceptor, accept_finalize};
use ironrdp_connector::{ClientConnector, Config, ConnectorResult, Credentials, DesktopSize};
use ironrdp_pdu::nego::SecurityProtocol;
use ironrdp_pdu::rdp::client_info::Credentials as Said;
use ironrdp_tokio::{
    NetworkClient, TokioFramed, connect_begin, connect_finalize, mark_as_upgraded, single_sequence_step,
};
use sha2::{Digest as _, Sha256};
use sudare_base::clock::Now;
use sudare_guard::screen::CoverText;
use sudare_guard::transport::{Action, DriverFactory, OwnerRule, SessionDriver, SessionEvent, SessionInfo};
use sudare_nla::certificate::public_key;
use sudare_nla::server::Server;
use sudare_relay::Policy;
use sudare_relay::frames::Frames;
use sudare_relay::policy::protocol;
use sudare_relay::wire::fastpath;
use sudare_test_kit::rdp::{SIZE, capabilities, config};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use tokio_rustls::{client, server};

use crate::error::Ended;
use crate::host::any_certificate;
use crate::identity::Identity;
use crate::nla::Helpers;
use crate::serve::{Asks, Gate, serve};
use crate::session::Session;
use crate::target::{Pin, Place, Target};
use crate::targets::Targets;
use crate::tests::nla::log_on;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// What the desktop is made of, which appears in nothing else that is sent.
pub(crate) const SECRET: [u8; 8] = *b"\xC5\x3Asecret";

/// An identity, and the pin that fits it.
pub(crate) fn identity() -> (Identity, Pin) {
    let made = rcgen::generate_simple_self_signed(vec!["host".to_owned()]).unwrap();
    let der: CertificateDer<'static> = made.cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let pin: Pin = Sha256::digest(der.as_ref()).into();
    (Identity::of(vec![der], key.into(), pin).unwrap(), pin)
}

/// A guard that does what it is told with its next tick, and remembers what it was told of.
#[derive(Clone, Default)]
pub(crate) struct Guard(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    wants: VecDeque<Action>,
    told: Vec<String>,
    exporter: Option<[u8; 32]>,
    user: Option<String>,
    rule: Option<OwnerRule>,
    ticks: usize,
}

impl Guard {
    pub(crate) fn want(&self, action: Action) {
        self.0.lock().unwrap().wants.push_back(action);
    }

    pub(crate) fn cover(&self) {
        self.want(Action::Cover(CoverText { lines: vec!["somebody looks".into()] }));
    }

    /// What HELLO would say of the session's TLS.
    pub(crate) fn exporter(&self) -> [u8; 32] {
        self.0.lock().unwrap().exporter.expect("a gate ends TLS itself")
    }

    /// Whose desktop it is, and what says so.
    pub(crate) fn owner(&self) -> (Option<String>, Option<OwnerRule>) {
        let script = self.0.lock().unwrap();
        (script.user.clone(), script.rule)
    }

    pub(crate) fn told(&self) -> Vec<String> {
        self.0.lock().unwrap().told.clone()
    }

    pub(crate) async fn wait_told(&self, what: &str) {
        let told = async {
            while !self.told().iter().any(|told| told.contains(what)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(timeout(PATIENCE, told).await.is_ok(), "never told {what}: {:?}", self.told());
    }
}

impl SessionDriver for Guard {
    fn handle(&mut self, _: Now, event: SessionEvent) -> Vec<Action> {
        let mut script = self.0.lock().unwrap();
        match event {
            SessionEvent::Tick => {
                script.ticks += 1;
                script.wants.drain(..).collect()
            }
            event => {
                script.told.push(format!("{event:?}"));
                Vec::new()
            }
        }
    }
}

impl DriverFactory for Guard {
    fn session(&self, info: SessionInfo, _: Now) -> Box<dyn SessionDriver> {
        let mut script = self.0.lock().unwrap();
        (script.exporter, script.user, script.rule) = (info.tls_exporter, info.user, info.owner);
        drop(script);
        Box::new(self.clone())
    }
}

/// What this end of a TLS session knows of it.
pub(crate) fn exporter_of(tls: &client::TlsStream<TcpStream>) -> [u8; 32] {
    tls.get_ref().1.export_keying_material([0; 32], b"EXPORTER-sudare", None).unwrap()
}

/// A gate that listens, and its host.
pub(crate) struct Stage {
    pub(crate) address: SocketAddr,
    pub(crate) host: TcpListener,
    pub(crate) host_identity: Identity,
    host_target: Target,
    pub(crate) guard: Guard,
    gate: Arc<Gate>,
    listener: TcpListener,
    _stop: watch::Sender<bool>,
    stop: watch::Receiver<bool>,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let host = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (host_identity, pin) = identity();
        let place = Place::Tcp(host.local_addr().unwrap().to_string());
        Self::with(host, host_identity, Target { place, pin: Some(pin) }).await
    }

    /// One that ends NLA: the protocols of the host's leg, and who ends CredSSP.
    pub(crate) async fn proving(host_protocols: u32, nla: Helpers) -> Self {
        let mut stage = Self::new().await;
        let gate = Arc::get_mut(&mut stage.gate).unwrap();
        gate.policy = Policy { client_protocol: protocol::HYBRID, host_protocols, ..Policy::default() };
        (gate.owner, gate.nla) = (Asks::Credentials, Some(nla));
        stage
    }

    /// Has a host of its own for one user.
    pub(crate) fn lead(&mut self, user: &str, target: Target) {
        let gate = Arc::get_mut(&mut self.gate).unwrap();
        gate.targets = Targets::new(self.host_target.clone(), vec![(user.to_owned(), target)]).unwrap();
    }

    pub(crate) async fn with(host: TcpListener, host_identity: Identity, target: Target) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let guard = Guard::default();
        let factory = Arc::new(guard.clone());
        let (policy, owner) = (Policy::default(), Asks::Nobody);
        let picture = PathBuf::from("/nonexistent/sudare-picture");
        let targets = Targets::one(target.clone());
        let gate = Gate { identity: identity().0, targets, policy, owner, factory, picture, nla: None };
        let (_stop, stop) = watch::channel(false);
        let gate = Arc::new(gate);
        Self { address, host, host_identity, host_target: target, guard, gate, listener, _stop, stop }
    }

    /// What the gate shows, and proves with: a thief of its key has the same.
    pub(crate) fn gate_identity(&self) -> Identity {
        self.gate.identity.clone()
    }

    /// Serves the next client.
    pub(crate) async fn serve(&self) -> JoinHandle<Ended> {
        let (tcp, _) = self.listener.accept().await.unwrap();
        let (gate, stop) = (Arc::clone(&self.gate), self.stop.clone());
        tokio::task::spawn_local(async move { serve(tcp, &gate, stop).await })
    }

    /// A session that nobody runs yet.
    pub(crate) async fn open(&self) -> Session<crate::negotiate::Client, crate::host::Secured> {
        let (tcp, _) = self.listener.accept().await.unwrap();
        crate::serve::open(tcp, &self.gate).await.unwrap()
    }

    /// A whole connection, its guard, and how it ends.
    pub(crate) async fn connect(&self) -> (Client, Host, JoinHandle<Ended>) {
        let connected = async {
            let client = tokio::task::spawn_local(Client::connect(self.address));
            let served = self.serve().await;
            let (tcp, _) = self.host.accept().await.unwrap();
            let host = Host::accept(tcp, &self.host_identity).await.unwrap();
            (client.await.unwrap().unwrap(), host, served)
        };
        timeout(PATIENCE, connected).await.expect("both ends connect")
    }
}

/// How a connection ended.
pub(crate) async fn ended(served: JoinHandle<Ended>) -> Ended {
    timeout(PATIENCE, served).await.expect("it ends").unwrap()
}

/// A host after its handshake.
pub(crate) struct Host(pub(crate) server::TlsStream<TcpStream>);

impl Host {
    pub(crate) async fn accept(tcp: TcpStream, identity: &Identity) -> Result<Self, String> {
        Self::accept_with(tcp, identity, None).await.map(|(host, _)| host)
    }

    /// With CredSSP, if it has users. Also what Client Info said.
    pub(crate) async fn accept_with(
        tcp: TcpStream,
        identity: &Identity,
        nla: Option<&mut Server>,
    ) -> Result<(Self, Option<Said>), String> {
        let security = if nla.is_some() { SecurityProtocol::HYBRID } else { SecurityProtocol::SSL };
        let size = DesktopSize { width: SIZE.0, height: SIZE.1 };
        let mut acceptor = Acceptor::new(security, size, capabilities(), None);
        let mut framed = TokioFramed::new(tcp);
        let mut buffer = ironrdp_core::WriteBuf::new();
        while acceptor.reached_security_upgrade().is_none() {
            let step = single_sequence_step(&mut framed, &mut acceptor, &mut buffer).await;
            step.map_err(|error| error.to_string())?;
        }
        let tls = identity.acceptor.accept(framed.into_inner().0).await;
        let mut tls = tls.map_err(|error| error.to_string())?;
        acceptor.mark_security_upgrade_as_done();
        if let Some(server) = nla {
            let logon = log_on(&mut tls, server).await?;
            assert!(!logon.credential.password.is_empty());
            acceptor.mark_credssp_as_done();
        }
        let finalized = accept_finalize(TokioFramed::new(tls), &mut acceptor).await;
        let (framed, result) = finalized.map_err(|error| error.to_string())?;
        Ok((Self(framed.into_inner().0), result.credentials))
    }

    /// Draws something of the desktop: so many times the secret, and a number.
    pub(crate) async fn draw(&mut self, number: u8, times: usize) {
        self.0.write_all(&drawn(number, times)).await.unwrap();
        self.0.flush().await.unwrap();
    }
}

pub(crate) fn drawn(number: u8, times: usize) -> Vec<u8> {
    let picture = [&[number][..], &SECRET.repeat(times)].concat();
    fastpath::write(fastpath::BITMAP, &picture).unwrap()
}

/// A client after its handshake.
pub(crate) struct Client {
    pub(crate) tls: client::TlsStream<TcpStream>,
    frames: Frames,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self, String> {
        Self::over(TcpStream::connect(address).await.unwrap()).await
    }

    pub(crate) async fn over(tcp: TcpStream) -> Result<Self, String> {
        Self::with(tcp, config()).await
    }

    /// With NLA, as this user.
    pub(crate) async fn prove(address: SocketAddr, user: &str, password: &str) -> Result<Self, String> {
        let credentials = Credentials::UsernamePassword { username: user.into(), password: password.into() };
        let config = Config { credentials, enable_tls: false, enable_credssp: true, ..config() };
        Self::with(TcpStream::connect(address).await.unwrap(), config).await
    }

    async fn with(tcp: TcpStream, config: Config) -> Result<Self, String> {
        let local = tcp.local_addr().unwrap();
        let mut connector = ClientConnector::new(config, local);
        let mut framed = TokioFramed::new(tcp);
        let fail = |error: ironrdp_connector::ConnectorError| error.to_string();
        let upgrade = connect_begin(&mut framed, &mut connector).await;
        let upgrade = upgrade.map_err(fail)?;
        let name = ServerName::try_from("host").unwrap();
        let tls = TlsConnector::from(Arc::new(any_certificate().unwrap()));
        let tls = tls.connect(name, framed.into_inner().0).await.map_err(|error| error.to_string())?;
        let shown = tls.get_ref().1.peer_certificates().unwrap().first().unwrap().to_vec();
        let upgraded = mark_as_upgraded(upgrade, &mut connector);
        let mut framed = TokioFramed::new(tls);
        let mut no_network = NoNetwork;
        let finalized = connect_finalize(
            upgraded,
            connector,
            &mut framed,
            &mut no_network,
            "host".to_owned().into(),
            public_key(&shown).unwrap(),
            None,
        );
        finalized.await.map_err(fail)?.into_connected().map_err(fail)?;
        let (tls, early) = framed.into_inner();
        let mut frames = Frames::default();
        frames.push(&early).unwrap();
        Ok(Self { tls, frames })
    }

    /// The next frame; none when the connection ended.
    pub(crate) async fn frame(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(frame) = self.frames.take().unwrap() {
                return Some(frame.to_vec());
            }
            let mut read = vec![0; 16 * 1024];
            let count = timeout(PATIENCE, self.tls.read(&mut read)).await.expect("something comes");
            match count {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.frames.push(&read[..count]).unwrap(),
            }
        }
    }

    /// Everything until the end of the connection.
    pub(crate) async fn rest(&mut self) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(frame) = self.frame().await {
            all.push(frame);
        }
        all
    }

    /// Reads until the number of the next picture of the desktop.
    pub(crate) async fn picture(&mut self) -> Option<u8> {
        loop {
            if let Some(number) = number(&self.frame().await?) {
                return Some(number);
            }
        }
    }
}

/// The number of a picture of the desktop.
pub(crate) fn number(frame: &[u8]) -> Option<u8> {
    let at = frame.windows(SECRET.len()).position(|part| part == SECRET)?;
    frame.get(at.checked_sub(1)?).copied()
}

struct NoNetwork;

impl NetworkClient for NoNetwork {
    async fn send(
        &mut self,
        _: &ironrdp_connector::sspi::generator::NetworkRequest,
    ) -> ConnectorResult<Vec<u8>> {
        Err(ironrdp_connector::general_err!("no Kerberos here"))
    }
}
