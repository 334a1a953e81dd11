//! One whole session between the real state machines: every message type once or more.

use sudare_protocol::SigningKey;
use sudare_protocol::client::{self, AwaitHello};
use sudare_protocol::error::{Code, Fault, Refusal};
use sudare_protocol::frame::Chunk;
use sudare_protocol::host::{self, AwaitOpen};
use sudare_protocol::light::{ABSENT, Check, Light, Lit, MEASURE_MS, PLACES, Sample};
use sudare_protocol::message::{
    Ack, Attest, Basis, Bye, CameraKind, CertificateCheck, KeyKept, Lock, Manifest, Moment, Piece, Shown,
    Status, Suspect, Unlock,
};
use sudare_protocol::reason::{Reason, State};
use sudare_protocol::session::{HELLO_CONTEXT, OPEN_CONTEXT, transcript};
use sudare_test_kit::pair;

const NOW_MS: u64 = 90_000;
pub(super) const HOST_NONCE: [u8; 32] = [0x30; 32];

/// A signed message with everything needed to make it again.
pub(super) struct Said {
    pub(super) name: String,
    pub(super) signer: &'static str,
    pub(super) key: SigningKey,
    pub(super) context: Vec<u8>,
    pub(super) message: Vec<u8>,
}

pub(super) struct Session {
    pub(super) said: Vec<Said>,
    pub(super) hello: Vec<u8>,
    pub(super) open: Vec<u8>,
    pub(super) transcript: [u8; 32],
    pub(super) chunk: Chunk,
}

pub(super) fn play() -> Session {
    let (host, hello) = AwaitOpen::new(pair::host_setup().unwrap(), HOST_NONCE, NOW_MS).unwrap();
    let hello = unframed(&hello);
    let (client, open) = AwaitHello::new(pair::client_setup(), pair::client_fresh()).handle(&hello).unwrap();
    let open = unframed(&open);
    let devices = pair::OneDevice::default();
    let (host, ready, _) = host.handle(&open, &devices, &pair::host_fresh(), NOW_MS).unwrap();
    let ready = unframed(&ready);
    let (client, _) = client.handle(&ready).unwrap();
    let mut said =
        vec![by_host("hello", HELLO_CONTEXT, hello.clone()), by_device("open", OPEN_CONTEXT, open.clone())];
    let context = transcript(&hello, &open);
    said.push(by_host("ready", &context, ready));
    let chunk = live(client, host, &context, &mut said);
    pairing(&hello, &mut said);
    withdrawing(&hello, &mut said);
    Session { said, hello, open, transcript: context, chunk }
}

/// What a device says instead that nobody knows yet.
fn pairing(hello: &[u8], said: &mut Vec<Said>) {
    let (_, bytes) = AwaitHello::new(pair::pairing_setup(), pair::client_fresh()).handle(hello).unwrap();
    let [open, enrol] = pair::frames(&bytes).try_into().unwrap();
    let context = transcript(hello, &open);
    said.push(by_device("open of a device that pairs", OPEN_CONTEXT, open));
    said.push(by_device("enrol", &context, enrol));
}

/// What a device says whose people have taken their consent back.
fn withdrawing(hello: &[u8], said: &mut Vec<Said>) {
    let setup = client::Setup { withdrawal: Some(pair::withdrawal()), ..pair::client_setup() };
    let (_, open) = AwaitHello::new(setup, pair::client_fresh()).handle(hello).unwrap();
    let open = unframed(&open);
    let (host, _) = AwaitOpen::new(pair::host_setup().unwrap(), HOST_NONCE, NOW_MS).unwrap();
    let taken_back = host.withdraw(&open, &pair::OneDevice::default(), NOW_MS).unwrap();
    let context = transcript(hello, &open);
    said.push(by_device("open that takes consent back", OPEN_CONTEXT, open));
    said.push(by_host("withdrawn", &context, unframed(&taken_back.reply)));
}

/// Everything after the handshake, in an order in which it could happen.
fn live(mut client: client::Live, mut host: host::Live, context: &[u8], said: &mut Vec<Said>) -> Chunk {
    let (manifest, chunk) = evidence();
    let mut device = |name: &str, framed: Vec<u8>| said.push(by_device(name, context, unframed(&framed)));
    device("attest clear", client.attest(attest(State::Clear, None)).unwrap());
    device("attest with the reserved fields", client.attest(attest(State::Onlooker, Some(1))).unwrap());
    device("suspect", client.suspect(Suspect { active: true, state: State::Onlooker, boot_ms: 20 }).unwrap());
    let lock = Lock { reason: Reason::Onlooker, incident_id: [0x1d; 16], boot_ms: 1_020 };
    device("lock", client.lock(lock).unwrap());
    let evidence = client::Evidence { manifest, pieces: vec![chunk.data.clone()] };
    client.queue(&evidence).unwrap();
    let manifest = client.next_evidence_frame().unwrap().unwrap();
    device("manifest", manifest);
    client.next_evidence_frame().unwrap().expect("its chunk");
    client.queue(&full_evidence(&evidence)).unwrap();
    let manifest = client.next_evidence_frame().unwrap().unwrap();
    device("manifest with a custodian and what was decided on", manifest);
    let places = i16::try_from(PLACES).unwrap();
    let values: Vec<i16> = (0..places * 3).map(|n| if n == 15 { ABSENT } else { n * 7 - 20 }).collect();
    let samples = [0, 78].map(|t_ms| Sample { t_ms, values: values.clone() }).to_vec();
    let lit = Lit { id: 1, check: Check::Light.number(), clipped_permille: 4, far_permille: 120, samples };
    device("lit", client.lit(&lit).unwrap());
    let samples = vec![Sample { t_ms: 3_000, values: vec![-231] }];
    let turned = Lit { id: 2, check: Check::Turn.number(), clipped_permille: 0, far_permille: 0, samples };
    device("lit after turns of the head", client.lit(&turned).unwrap());
    device("unlock", client.unlock(Unlock { boot_ms: 9_000 }).unwrap());
    device("error of the client", client.refuse(&Refusal::peer(Code::Sequence)).unwrap());
    device("bye", client.bye(Bye { reason: Reason::ClientGone }).unwrap());

    // The host learns all of it, so that its credit is a real one.
    for message in said.iter().filter(|s| s.signer == "device").skip(1) {
        host.handle(&message.message, NOW_MS).ok();
    }
    let mut host_says = |name: &str, framed: Vec<u8>| said.push(by_host(name, context, unframed(&framed)));
    host_says("challenge", host.challenge([0xc1; 16], NOW_MS + 500).unwrap().unwrap());
    let covered =
        Status { shown: Shown::Covered, reason: Reason::Onlooker, boot_ms: 7, incident_id: Some([0x1d; 16]) };
    host_says("status covered", host.status(covered).unwrap());
    let visible = Status { shown: Shown::Visible, reason: Reason::None, boot_ms: 8, incident_id: None };
    host_says("status visible", host.status(visible).unwrap());
    let light = Light { id: 1, check: Check::Light.number(), duration_ms: MEASURE_MS };
    host_says("light", host.light(&light).unwrap());
    host_says("credit", host.credit().unwrap().unwrap());
    let checkpoint = "the signed note of a checkpoint\n".into();
    let ack = Ack { incident_id: [0x1d; 16], leaf_index: 70_000, checkpoint, entry: None, proof: None };
    host_says("ack", host.acknowledge(&ack).unwrap());
    let refusal = Refusal::new(Code::EvidenceStore, Fault::Us, "");
    host_says("error of the host", host.refuse(&refusal).unwrap());
    chunk
}

fn attest(state: State, reserved: Option<u8>) -> Attest {
    Attest {
        nonce: [0; 16],
        state,
        cover: state != State::Clear,
        reason: if state == State::Clear { Reason::None } else { Reason::Onlooker },
        operator_confirmed_age_ms: if state == State::Clear { 40 } else { u64::MAX },
        not_alone_ms: 1_000,
        undecided_ms: 0,
        clear_ms: 70_000,
        frame_age_ms: 33,
        boot_ms: 5_000_000_000,
        dwell_ms: reserved.map(u64::from),
        distance_band: reserved,
        facing: reserved,
        phone: reserved.map(|_| true),
        assurance: reserved,
        recognised: reserved.map(|_| true),
        asked: reserved.map(|_| false),
        suspect: reserved.map(|_| false),
    }
}

fn evidence() -> (Manifest, Chunk) {
    use sha2::Digest as _;
    let data: Vec<u8> = (0..=255).collect();
    let piece = Piece {
        blob_id: [0xb1; 16],
        moment: Moment::Before,
        size: data.len() as u64,
        sha256: sha2::Sha256::digest(&data).into(),
        commitment: [0xcc; 32],
        chunks: client::chunk_digests(&data),
        boot_ms: 900,
        media: 0,
        header_size: None,
        pixelated: None,
    };
    let manifest = Manifest {
        incident_id: [0x1d; 16],
        reason: Reason::Onlooker,
        pieces: vec![piece],
        policy_digest: [0x9d; 32],
        decided_boot_ms: 1_020,
        wall_ms: pair::WALL_MS,
        cosine_milli: Some(-42),
        basis: None,
    };
    (manifest, Chunk { incident_id: [0x1d; 16], piece: 0, index: 0, data })
}

/// The same with every field.
fn full_evidence(plain: &client::Evidence) -> client::Evidence {
    let mut manifest = plain.manifest.clone();
    let hidden = Piece { pixelated: Some(true), ..manifest.pieces[0].clone() };
    let full = Piece {
        blob_id: [0xb2; 16],
        header_size: Some(100),
        pixelated: Some(false),
        ..manifest.pieces[0].clone()
    };
    manifest.incident_id = [0x2d; 16];
    manifest.pieces = vec![hidden, full];
    manifest.basis = Some(Basis {
        operator_min_milli: 420,
        same_person_min_milli: 363,
        stranger_max_milli: 300,
        not_alone_ms: 1_000,
        undecided_ms: 250,
        operator_confirmed_age_ms: 40,
        hold_ms: 1_000,
        models: vec![vec![0x3d; 32].into()],
        boot_id: [0xb0; 16],
        camera: Some(CameraKind::Virtual.number()),
        key_kept: Some(KeyKept::File.number()),
        certificate: CertificateCheck::Same,
        phone: Some(true),
        assurance: Some(1),
        recognised: Some(true),
    });
    client::Evidence { manifest, pieces: vec![plain.pieces[0].clone(), plain.pieces[0].clone()] }
}

fn by_host(name: &str, context: &[u8], message: Vec<u8>) -> Said {
    Said { name: name.into(), signer: "host", key: pair::host_key(), context: context.to_vec(), message }
}

fn by_device(name: &str, context: &[u8], message: Vec<u8>) -> Said {
    Said { name: name.into(), signer: "device", key: pair::device_key(), context: context.to_vec(), message }
}

#[track_caller]
pub(super) fn unframed(bytes: &[u8]) -> Vec<u8> {
    let mut frames = pair::frames(bytes);
    assert_eq!(frames.len(), 1);
    frames.remove(0)
}
