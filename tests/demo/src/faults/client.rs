//! A client without camera and RDP: handshake, messages, spool and receipts are the real ones.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rand::Rng as _;
use sudare_base::clock;
use sudare_client_core::spool::HostKey;
use sudare_client_runtime::spool::Spools;
use sudare_protocol::client::{AwaitHello, Evidence, Fresh, HostNews, Live, Setup};
use sudare_protocol::frame::Deframer;
use sudare_protocol::keyfile;
use sudare_protocol::message::{Ack, Digest, Id, Lock, Shown, Unlock};
use sudare_protocol::reason::Reason;
use sudare_protocol::seal::Recipients;
use sudare_protocol::session::incident_id;
use sudare_test_kit::pair;

use super::incident::incident;
use super::notes::{Note, Notes};
use super::place::{HOST_ID, Place, device_key};

const ATTEST_EVERY: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(5);
/// Incidents sealed while no host is connected.
const OFFLINE_MAX: usize = 2;

/// Makes incidents and delivers them, until it is killed. With `quiet` it only delivers what is left.
pub fn run(place: &Path, number: usize, device: u8, quiet: bool) -> anyhow::Result<()> {
    super::crew::die_with_parent()?;
    let place = Place::at(place);
    let home = place.client(number);
    std::fs::create_dir_all(&home)?;
    let mut client = Client {
        notes: Notes::open(&home)?,
        spools: Spools::at(&home),
        host: HostKey {
            organisation: pair::organisation_key().verifying_key().to_bytes(),
            host_id: HOST_ID.into(),
        },
        socket: place.guard_socket(number),
        device,
        quiet,
        terms: None,
        held: BTreeMap::new(),
    };
    loop {
        client.adopt()?;
        client.seal_offline()?;
        if let Err(error) = client.session() {
            tracing::info!(%error, "the session is over; there will be another one");
        }
        thread::sleep(Duration::from_millis(20));
    }
}

struct Client {
    notes: Notes,
    spools: Spools,
    host: HostKey,
    socket: PathBuf,
    device: u8,
    quiet: bool,
    /// To whom pictures are sealed, and the session that incidents are named in; known after the first
    /// handshake.
    terms: Option<(Recipients, Digest, Id)>,
    /// Stored and not acknowledged.
    held: BTreeMap<Id, Evidence>,
}

/// A handshake that succeeded.
struct Line {
    stream: UnixStream,
    deframer: Deframer,
    live: Live,
    is_visible: bool,
    attested: Instant,
    /// When the next incident begins.
    next: Instant,
}

impl Client {
    /// What an earlier life of this client left.
    fn adopt(&mut self) -> anyhow::Result<()> {
        for evidence in self.spools.adopt(&self.host)? {
            // The kill may have come before the first note.
            self.notes.add(&Note::stored(&evidence))?;
            self.held.insert(evidence.manifest.incident_id, evidence);
        }
        Ok(())
    }

    /// The link was down when these happened.
    fn seal_offline(&mut self) -> anyhow::Result<()> {
        if self.quiet || self.terms.is_none() || self.held.len() > OFFLINE_MAX {
            return Ok(());
        }
        for _ in 0..rand::rng().random_range(0..=OFFLINE_MAX) {
            self.happen()?;
        }
        Ok(())
    }

    /// An incident: durable here before anybody hears of it.
    fn happen(&mut self) -> anyhow::Result<Evidence> {
        let (recipients, policy_digest, session_id) = self.terms.as_ref().context("no policy yet")?;
        let evidence = incident(incident_id(session_id, clock::random()?), recipients, *policy_digest)?;
        self.spools.store(&self.host, &evidence)?;
        self.notes.add(&Note::stored(&evidence))?;
        self.held.insert(evidence.manifest.incident_id, evidence.clone());
        Ok(evidence)
    }

    fn session(&mut self) -> anyhow::Result<()> {
        let mut line = self.connect()?;
        let policy = line.live.policy();
        self.terms =
            Some((Recipients::parse(&policy.record().auditors)?, policy.digest(), line.live.session_id()));
        for evidence in self.held.values() {
            line.live.queue(evidence)?;
        }
        loop {
            self.listen(&mut line)?;
            while let Some(frame) = line.live.next_evidence_frame()? {
                line.stream.write_all(&frame)?;
            }
            if line.attested.elapsed() >= ATTEST_EVERY {
                line.attested = Instant::now();
                let attest = line.live.attest(pair::clear(clock::boot_ms()))?;
                line.stream.write_all(&attest)?;
            }
            if line.is_visible && !self.quiet && Instant::now() >= line.next {
                self.intrude(&mut line)?;
            }
        }
    }

    /// Somebody comes, is seen, and goes.
    fn intrude(&mut self, line: &mut Line) -> anyhow::Result<()> {
        let evidence = self.happen()?;
        let incident_id = evidence.manifest.incident_id;
        let lock = Lock { reason: Reason::Stranger, incident_id, boot_ms: clock::boot_ms() };
        let lock = line.live.lock(lock)?;
        line.stream.write_all(&lock)?;
        line.live.queue(&evidence)?;
        let unlock = line.live.unlock(Unlock { boot_ms: clock::boot_ms() })?;
        line.stream.write_all(&unlock)?;
        line.is_visible = false;
        line.next = Instant::now() + Duration::from_millis(rand::rng().random_range(0..100));
        Ok(())
    }

    fn listen(&mut self, line: &mut Line) -> anyhow::Result<()> {
        line.read()?;
        while let Some(frame) = line.deframer.next_frame()? {
            match line.live.handle(&frame)? {
                Some(HostNews::Status(status)) => line.is_visible = status.shown == Shown::Visible,
                Some(HostNews::Acknowledged(ack)) => self.acknowledged(&ack)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn acknowledged(&mut self, ack: &Ack) -> anyhow::Result<()> {
        self.notes.add(&Note::acknowledged(ack))?;
        self.spools.delivered(ack, clock::wall_ms())?;
        self.held.remove(&ack.incident_id);
        Ok(())
    }

    fn connect(&self) -> anyhow::Result<Line> {
        let stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(LOOK))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let device_key = device_key(self.device);
        let device_id = keyfile::device_id(&device_key.verifying_key());
        let wall_ms = clock::wall_ms();
        let setup = Setup { device_key, device_id, wall_ms, tls_cert_sha256: None, ..pair::client_setup() };
        let fresh = Fresh {
            nonce: clock::random()?,
            template_secret: clock::random()?,
            enrol_secret: clock::random()?,
        };
        let mut shake = Shake { stream, deframer: Deframer::default() };
        let hello = shake.frame()?;
        let (waiting, open) =
            AwaitHello::new(setup, fresh).handle(&hello).map_err(|refused| refused.refusal)?;
        shake.stream.write_all(&open)?;
        let ready = shake.frame()?;
        let (live, _) = waiting.handle(&ready).map_err(|refused| refused.refusal)?;
        let Shake { stream, deframer } = shake;
        let now = Instant::now();
        Ok(Line { stream, deframer, live, is_visible: false, attested: now, next: now })
    }
}

impl Line {
    fn read(&mut self) -> anyhow::Result<()> {
        read_into(&mut self.stream, &mut self.deframer)
    }
}

/// A connection before the handshake is over.
struct Shake {
    stream: UnixStream,
    deframer: Deframer,
}

impl Shake {
    fn frame(&mut self) -> anyhow::Result<Vec<u8>> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(frame) = self.deframer.next_frame()? {
                return Ok(frame.to_vec());
            }
            read_into(&mut self.stream, &mut self.deframer)?;
        }
        bail!("the host says nothing")
    }
}

/// Whatever came within a moment.
fn read_into(stream: &mut UnixStream, deframer: &mut Deframer) -> anyhow::Result<()> {
    let mut bytes = [0; 64 * 1024];
    match stream.read(&mut bytes) {
        Ok(0) => bail!("the host is gone"),
        Ok(read) => deframer.push(bytes.get(..read).unwrap_or_default()),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
