//! A store with a life behind it: sessions of several devices, incidents of different ages, pictures
//! sealed to auditors, full ones to a custodian as well; and the programs that read it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output};

use image::{ImageEncoder as _, codecs::png::PngEncoder};
use sha2::{Digest as _, Sha256};
use sudare_base::clock;
use sudare_evidence::log::{BATCH_MAX_ENTRIES, Draft, LogKeys, LogWriter};
use sudare_evidence::store::blobs::describe;
use sudare_evidence::store::{BlobStore, OsDisk};
use sudare_protocol::client::chunk_digests;
use sudare_protocol::evidence::event::*;
use sudare_protocol::evidence::{BlobRef, Event, Id, Label, Media, Stamp};
use sudare_protocol::hex::hex;
use sudare_protocol::message::{
    self, Basis, CertificateCheck, Hello, Lock, Manifest, Moment, Open, Piece, kind,
};
use sudare_protocol::reason::Reason;
use sudare_protocol::records::{Policy, Signed};
use sudare_protocol::rules::{ByteKey, EvidenceRules};
use sudare_protocol::seal::{self, Custodian, Identity, Recipients};
use sudare_protocol::session::{HELLO_CONTEXT, OPEN_CONTEXT, transcript};
use sudare_protocol::{SigningKey, cose, keyfile};
use sudare_test_kit::pair;
use tempfile::TempDir;

pub(super) const HOUR_MS: u64 = 3_600_000;
const BOOT_ID: Id = [0xb0; 16];
/// The host has been up for 30 days at the time of the test.
const UPTIME_MS: u64 = 30 * 24 * HOUR_MS;
pub(super) const ORIGIN: &str = "sudare.example/log/vdi-1";

pub(super) fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

pub(super) const APPROVERS: [u8; 3] = [21, 22, 23];

/// Pictures of one incident, as they went into the log.
pub(super) struct Incident {
    pub(super) id: Id,
    pub(super) blobs: Vec<BlobRef>,
    /// In the order of `blobs`.
    pub(super) pictures: Vec<Vec<u8>>,
}

impl Incident {
    pub(super) fn hex(&self) -> String {
        hex(&self.id)
    }
}

pub(super) struct Case {
    pub(super) dir: TempDir,
    pub(super) auditor: Identity,
    pub(super) custodian: Identity,
    other: Identity,
    custody: bool,
    writer: Option<LogWriter<OsDisk>>,
    pub(super) now_ms: u64,
    /// What clients say they are.
    pub(super) software: String,
    sessions: BTreeMap<Id, (SigningKey, [u8; 32], u64, [u8; 32])>,
}

impl Case {
    /// An empty log; with `custody` the headers of full pictures are under a second seal.
    pub(super) fn new(custody: bool) -> Self {
        Self::at(clock::wall_ms(), custody)
    }

    /// The same at another time.
    pub(super) fn at(now_ms: u64, custody: bool) -> Self {
        let dir = TempDir::new().unwrap();
        let keys = LogKeys {
            origin: ORIGIN.into(),
            log: key(4),
            host_key: pair::host_key().verifying_key().to_bytes(),
        };
        let verifier = keys.verifier().unwrap();
        let writer = LogWriter::open(OsDisk, &dir.path().join("store"), keys, [7; 16]).unwrap().0;
        let mut case = Self {
            auditor: Identity::generate(),
            custodian: Identity::generate(),
            other: Identity::generate(),
            custody,
            writer: Some(writer),
            now_ms,
            software: "sudare 0.1.0".into(),
            sessions: BTreeMap::new(),
            dir,
        };
        case.write("log.vkey", format!("{verifier}\n").as_bytes());
        case.write("log.key", keyfile::secret_line(&key(4)).as_bytes());
        case.write("auditor.age", case.auditor.to_file().as_bytes());
        case.write("custodian.age", case.custodian.to_file().as_bytes());
        case.write("foreign.age", Identity::generate().to_file().as_bytes());
        case.write(
            "organisation.pub",
            keyfile::public_line(&pair::organisation_key().verifying_key()).as_bytes(),
        );
        case.write("sign.key", keyfile::secret_line(&key(30)).as_bytes());
        case.write("sign.pub", keyfile::public_line(&key(30).verifying_key()).as_bytes());
        for n in APPROVERS.into_iter().chain([29]) {
            case.write(&format!("approver-{n}.key"), keyfile::secret_line(&key(n)).as_bytes());
        }
        let start = LogStart {
            host_key: pair::host_key().verifying_key().to_bytes(),
            log_key: key(4).verifying_key().to_bytes(),
            host_record: host_record(),
        };
        case.append(UPTIME_MS - 1, Draft::of(Event::LogStart(start)));
        case
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn store(&self) -> PathBuf {
        self.path("store")
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// The checkpoint is written and the log is free for others.
    pub(super) fn close(mut self) -> Self {
        self.writer.take().unwrap().checkpoint().unwrap();
        self
    }

    pub(super) fn append(&mut self, ago_ms: u64, draft: Draft) {
        let (wall_ms, boot_ms) = (self.now_ms - ago_ms, UPTIME_MS - ago_ms);
        let stamp = Stamp { wall_ms, boot_ms, boot_id: BOOT_ID };
        self.writer.as_mut().unwrap().append(draft, stamp).unwrap();
    }

    /// So many entries that say nothing.
    pub(super) fn notes(&mut self, count: u64, ago_ms: u64) {
        let (wall_ms, boot_ms) = (self.now_ms - ago_ms, UPTIME_MS - ago_ms);
        let stamp = Stamp { wall_ms, boot_ms, boot_id: BOOT_ID };
        let notes = (0..count).map(|value| (Draft::of(Event::Note(Note { code: 1, value })), stamp));
        let notes: Vec<_> = notes.collect();
        for some in notes.chunks(BATCH_MAX_ENTRIES) {
            self.writer.as_mut().unwrap().append_all(some.to_vec()).unwrap();
        }
    }

    pub(super) fn policy(&self) -> Policy {
        let rules = EvidenceRules {
            custodian: self.custody.then(|| self.custodian.recipient()),
            approvers: APPROVERS.map(|n| ByteKey(key(n).verifying_key().to_bytes())).to_vec(),
            ..EvidenceRules::default()
        };
        let auditors = vec![self.auditor.recipient(), self.other.recipient()];
        Policy { auditors, rules: Some(rules), ..pair::policy() }
    }

    /// A handshake of device `n`, that long ago.
    pub(super) fn session(&mut self, n: u8, ago_ms: u64) -> Id {
        let (session_id, device) = ([n; 16], key(100 + n));
        let policy = Signed::sign(&pair::organisation_key(), &self.policy()).unwrap();
        let hello = Hello {
            versions: vec![1],
            host_nonce: [n; 32],
            session_id,
            boot_id: BOOT_ID,
            host_record: host_record(),
            policy: policy.clone(),
            tls_cert_sha256: [5; 32],
            tls_exporter: None,
            organisation: None,
            enrol_key: None,
            wall_ms: self.now_ms - ago_ms,
            credits: 32,
        };
        let policy_digest: [u8; 32] = Sha256::digest(&policy).into();
        let open = Open {
            version: 1,
            client_nonce: [n; 32],
            device_id: keyfile::device_id(&device.verifying_key()),
            session_id,
            boot_id: [9; 16],
            policy_digest,
            template_key: [6; 32],
            certificate: CertificateCheck::Same,
            software: self.software.clone(),
            models: vec![],
            wall_ms: self.now_ms - ago_ms + 3,
            key_assurance: Some(0),
            measures: None,
            enrolment: None,
            consent: None,
            withdrawal: None,
        };
        let hello = cose::sign1(&pair::host_key(), HELLO_CONTEXT, &message::encode(kind::HELLO, 0, &hello));
        let open = cose::sign1(&device, OPEN_CONTEXT, &message::encode(kind::OPEN, 0, &open));
        let bound = transcript(&hello, &open);
        let start = SessionStart {
            hello,
            open,
            device_key: device.verifying_key().to_bytes(),
            device_record_sha256: [8; 32],
            subject_id: Some([0x51; 16]),
        };
        self.sessions.insert(session_id, (device, bound, 1, policy_digest));
        self.append(ago_ms, of(session_id, Reason::Starting, Event::SessionStart(start)));
        session_id
    }

    pub(super) fn uncover(&mut self, session_id: Id, ago_ms: u64) {
        let event = Event::Uncover(Uncover { boot_ms: UPTIME_MS - ago_ms });
        self.append(ago_ms, of(session_id, Reason::None, event));
    }

    pub(super) fn cover(&mut self, session_id: Id, ago_ms: u64, reason: Reason) {
        let at = UPTIME_MS - ago_ms;
        let cover = Cover { asked_boot_ms: at - 31, effective_boot_ms: at, confirmed: true, cause_seq: None };
        self.append(ago_ms, of(session_id, reason, Event::Cover(cover)));
    }

    pub(super) fn attested(&mut self, session_id: Id, from_ago_ms: u64, to_ago_ms: u64) {
        let interval = PresenceInterval {
            from_boot_ms: UPTIME_MS - from_ago_ms,
            to_boot_ms: UPTIME_MS - to_ago_ms,
            state: 0,
            attestations: 10,
            nonce_age_max_ms: 700,
        };
        self.append(to_ago_ms, of(session_id, Reason::None, Event::PresenceInterval(interval)));
    }

    pub(super) fn end(&mut self, session_id: Id, ago_ms: u64) {
        let end = SessionEnd { boot_ms: UPTIME_MS - ago_ms };
        self.append(ago_ms, of(session_id, Reason::ClientGone, Event::SessionEnd(end)));
    }

    fn say(&mut self, session_id: Id, incident_id: Id, ago_ms: u64, kind: u8, body: impl Fn(u64) -> Vec<u8>) {
        let (device, bound, sequence, _) = self.sessions.get_mut(&session_id).unwrap();
        let payload = body(*sequence);
        let message = cose::sign1(device, bound, &payload);
        *sequence += 1;
        let _ = kind;
        let draft = Draft {
            session_id: Some(session_id),
            incident_id: Some(incident_id),
            ..Draft::of(Event::ClientMessage(ClientMessage { message }))
        };
        self.append(ago_ms, draft);
    }

    /// A stranger with all pictures that there can be.
    pub(super) fn incident(&mut self, session_id: Id, n: u8, ago_ms: u64) -> Incident {
        let id = [n; 16];
        let decided = UPTIME_MS - ago_ms;
        let lock = Lock { reason: Reason::Stranger, incident_id: id, boot_ms: decided };
        self.say(session_id, id, ago_ms, kind::LOCK, |n| message::encode(kind::LOCK, n, &lock));
        let opening =
            of(session_id, Reason::Stranger, Event::IncidentOpen(IncidentOpen { boot_ms: decided }));
        self.append(ago_ms - 2, Draft { incident_id: Some(id), ..opening });
        let at = decided + 38;
        let cover = Cover { asked_boot_ms: decided, effective_boot_ms: at, confirmed: true, cause_seq: None };
        let covering = of(session_id, Reason::Stranger, Event::Cover(cover));
        self.append(ago_ms - 40, Draft { incident_id: Some(id), ..covering });
        let wanted = [
            (Label::ScreenshotSuspect, None),
            (Label::ScreenshotAtCover, None),
            (Label::CameraAt, Some(Moment::At)),
            (Label::CameraAtPixelated, Some(Moment::At)),
            (Label::CameraAfter, Some(Moment::After)),
            (Label::CameraAfterPixelated, Some(Moment::After)),
        ];
        let (mut blobs, mut pictures, mut pieces) = (vec![], vec![], vec![]);
        for ((label, moment), at) in wanted.into_iter().zip(0u8..) {
            let picture = drawn(label, n);
            let (blob, stored) = self.sealed(&picture, [n ^ (at << 4) ^ 0xc0; 16], label);
            if let Some(moment) = moment {
                pieces.push(piece(&blob, &stored, moment, decided));
            }
            let durable = self.writer.as_mut().unwrap().durable();
            BlobStore::new(&self.dir.path().join("store")).put(durable, &blob, &stored).unwrap();
            blobs.push(blob);
            pictures.push(picture);
        }
        let stored = of(session_id, Reason::Stranger, Event::PicturesStored(PicturesStored {}));
        self.append(ago_ms - 60, Draft { incident_id: Some(id), blobs: blobs[..2].to_vec(), ..stored });
        let manifest = Manifest {
            incident_id: id,
            reason: Reason::Stranger,
            pieces,
            policy_digest: self.sessions[&session_id].3,
            decided_boot_ms: decided,
            wall_ms: self.now_ms - ago_ms,
            cosine_milli: Some(81),
            basis: Some(basis()),
        };
        self.say(session_id, id, ago_ms - 900, kind::MANIFEST, |n| {
            message::encode(kind::MANIFEST, n, &manifest)
        });
        let done = of(session_id, Reason::Stranger, Event::IncidentComplete(IncidentComplete { missing: 0 }));
        self.append(ago_ms - 900, Draft { incident_id: Some(id), blobs: blobs.clone(), ..done });
        Incident { id, blobs, pictures }
    }

    fn sealed(&self, picture: &[u8], blob_id: Id, label: Label) -> (BlobRef, Vec<u8>) {
        let recipients = Recipients::parse(&[self.auditor.recipient(), self.other.recipient()]).unwrap();
        let sealed = seal::seal(picture, &[blob_id[0]; 32], &recipients).unwrap();
        let full = matches!(label, Label::CameraAt | Label::CameraAfter);
        if !(self.custody && full) {
            return (describe(blob_id, label, Media::Png, &sealed), sealed.ciphertext);
        }
        let to = Custodian::parse(&self.custodian.recipient()).unwrap();
        let (stored, size) = seal::seal_for_custodian(&sealed, &to).unwrap();
        let blob = describe(blob_id, label, Media::Png, &stored);
        (BlobRef { header_size: Some(size), ..blob }, stored.ciphertext)
    }

    /// `sudare-audit`, in English.
    pub(super) fn audit(&self, args: &[&str]) -> Output {
        Command::new(program())
            .args(args)
            .args(["--lang", "en"])
            .current_dir(self.dir.path())
            .output()
            .unwrap()
    }

    /// The same, for its exit code and JSON.
    #[track_caller]
    pub(super) fn audited(&self, args: &[&str]) -> (i32, serde_json::Value) {
        let output = self.audit(&[args, &["--json"]].concat());
        let text = String::from_utf8_lossy(&output.stdout);
        let json = serde_json::from_str(&text).unwrap_or_else(|_| {
            serde_json::Value::String(format!("{text}{}", String::from_utf8_lossy(&output.stderr)))
        });
        (output.status.code().unwrap(), json)
    }

    /// All files of the store are as the log says.
    #[track_caller]
    pub(super) fn assert_intact(&self) {
        let (code, report) = self.audited(&["verify", "store", "--key", "log.vkey"]);
        assert_eq!(code, 0, "{report}");
    }

    pub(super) fn is_stored(&self, picture: &Id) -> (bool, bool) {
        let there = |folder: &str| self.store().join(folder).join(hex(picture)).exists();
        (there("headers"), there("blobs"))
    }
}

/// As the organisation signed it.
pub(super) fn host_record() -> Vec<u8> {
    let record = pair::host_record("vdi-1", pair::host_key().verifying_key().to_bytes());
    Signed::sign(&pair::organisation_key(), &record).unwrap()
}

fn of(session_id: Id, reason: Reason, event: Event) -> Draft {
    Draft { session_id: Some(session_id), reason: Some(reason), ..Draft::of(event) }
}

fn basis() -> Basis {
    Basis {
        operator_min_milli: 363,
        same_person_min_milli: 300,
        stranger_max_milli: 250,
        not_alone_ms: 1_040,
        undecided_ms: 0,
        operator_confirmed_age_ms: 240,
        hold_ms: 1_000,
        models: vec![vec![7; 32].into()],
        boot_id: [9; 16],
        camera: Some(0),
        key_kept: Some(0),
        certificate: CertificateCheck::Same,
        phone: None,
        assurance: Some(1),
        recognised: Some(true),
    }
}

fn piece(blob: &BlobRef, stored: &[u8], moment: Moment, boot_ms: u64) -> Piece {
    Piece {
        blob_id: blob.blob_id,
        moment,
        size: blob.size,
        sha256: blob.sha256,
        commitment: blob.commitment,
        chunks: chunk_digests(stored),
        boot_ms,
        media: blob.media,
        header_size: blob.header_size,
        pixelated: Label::from_number(blob.label).map(|label| label.as_str().ends_with("pixelated")),
    }
}

/// A picture that people can tell from others: two heads, or a screen with lines.
fn drawn(label: Label, n: u8) -> Vec<u8> {
    let (width, height) = (320u32, 200u32);
    let screen = label.as_str().starts_with("screen");
    let pixels: Vec<u8> = (0..width * height)
        .flat_map(|at| {
            let (x, y) = (at % width, at / width);
            let shade = u8::try_from(y * 90 / height).unwrap();
            if screen {
                let line = (y % 20) < 8 && x > 20 && x < 60 + (y * 7919 + u32::from(n)) % 240;
                if line { [40, 60, 110] } else { [236, 240, 245] }
            } else {
                let head = |cx: i64, cy: i64, r: i64| {
                    (i64::from(x) - cx).pow(2) + (i64::from(y) - cy).pow(2) < r * r
                };
                let block = |v: u32| if label.as_str().ends_with("pixelated") { v / 16 * 16 } else { v };
                let third = (i64::from(block(x)) - 270).pow(2) + (i64::from(block(y)) - 120).pow(2) < 24 * 24;
                if head(120, 100, 42) || head(215, 80, 34) {
                    [224, 182, 150]
                } else if third {
                    [190, 150, 120]
                } else {
                    [70 + shade, 80 + shade, 96 + shade]
                }
            }
        })
        .collect();
    let mut png = Vec::new();
    PngEncoder::new(&mut png).write_image(&pixels, width, height, image::ExtendedColorType::Rgb8).unwrap();
    png
}

pub(super) fn program() -> PathBuf {
    sudare_test_kit::program("sudare-audit").unwrap()
}
