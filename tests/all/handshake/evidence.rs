//! Evidence on its way: credits, order, hashes, limits, acknowledgement, and a lost connection.

use sha2::{Digest as _, Sha256};
use sudare_client_core::event::{Event, Output};
use sudare_client_core::session::ClientSession;
use sudare_protocol::client::{Evidence, HostNews, chunk_digests};
use sudare_protocol::error::{Code, Fault};
use sudare_protocol::frame::Chunk;
use sudare_protocol::host::{AwaitOpen, ClientNews, Live};
use sudare_protocol::intake::Complete;
use sudare_protocol::limits::{
    CHUNK_BYTES, CREDITS, INCIDENT_MAX_BYTES, INCIDENTS_OPEN_MAX, MANIFEST_MAX_BYTES, PIECE_MAX_BYTES,
    PIECES_MAX,
};
use sudare_protocol::message::{Ack, Id, Manifest, Moment, Piece, kind};
use sudare_protocol::reason::Reason;
use sudare_protocol::receipt::ReceiptError;
use sudare_test_kit::pair;

use super::ends::{Ends, FIRST, Padded, assert_refused, one_frame, session};

const NOW_MS: u64 = 70_000;

fn piece(bytes: &[u8], number: u8) -> Piece {
    Piece {
        blob_id: [number; 16],
        moment: Moment::At,
        size: bytes.len() as u64,
        sha256: Sha256::digest(bytes).into(),
        commitment: [0xcc; 32],
        chunks: chunk_digests(bytes),
        boot_ms: 1,
        media: 0,
        header_size: None,
        pixelated: None,
    }
}

/// An incident with pictures of these sizes; their bytes tell pieces and chunks apart.
fn incident(incident_id: Id, sizes: &[usize]) -> Evidence {
    let picture = |(n, size): (u8, &usize)| {
        let mut bytes = vec![0; *size];
        for (chunk, index) in bytes.chunks_mut(CHUNK_BYTES).zip(0u8..) {
            chunk.fill(index.wrapping_add(7 * n));
        }
        bytes
    };
    let pieces: Vec<Vec<u8>> = (0u8..).zip(sizes).map(picture).collect();
    let manifest = Manifest {
        incident_id,
        reason: Reason::Stranger,
        pieces: (1u8..).zip(&pieces).map(|(n, bytes)| piece(bytes, n)).collect(),
        policy_digest: [0; 32],
        decided_boot_ms: 1,
        wall_ms: 1,
        cosine_milli: Some(123),
        basis: None,
    };
    Evidence { manifest, pieces }
}

fn ends() -> Ends {
    session([0x30; 32], NOW_MS)
}

/// A note that claims to cover more entries than any ACK here names.
const CLAIM: &str = "sudare.example/log\n9\nroot\n";

/// Hands frames over until the incident is whole, giving credit as it is used up.
fn deliver(ends: &mut Ends) -> (Box<Complete>, usize) {
    let mut frames = 0;
    loop {
        while let Some(frame) = ends.client.next_evidence_frame().unwrap() {
            frames += 1;
            if let Some(ClientNews::Evidence(complete)) =
                ends.host.handle(&one_frame(&frame), NOW_MS).unwrap()
            {
                return (complete, frames);
            }
        }
        let credit = ends.host.credit().unwrap().expect("the client waits, so credit is due");
        assert_eq!(ends.client.handle(&one_frame(&credit)).unwrap(), Some(HostNews::Credited));
    }
}

#[test]
fn evidence_is_queued_sent_on_credit_completed_and_acknowledged() {
    let mut ends = ends();
    let evidence = incident([5; 16], &[PIECE_MAX_BYTES, 1, CHUNK_BYTES + 1]);
    ends.client.queue(&evidence).unwrap();
    let (complete, frames) = deliver(&mut ends);
    assert_eq!((&complete.manifest, &complete.pieces), (&evidence.manifest, &evidence.pieces));
    assert_eq!(frames, 1 + PIECE_MAX_BYTES / CHUNK_BYTES + 1 + 2);
    assert!(ends.client.next_evidence_frame().unwrap().is_none());
    let ack = Ack { incident_id: [5; 16], leaf_index: 3, checkpoint: CLAIM.into(), entry: None, proof: None };
    let message = one_frame(&ends.host.acknowledge(&ack).unwrap());
    assert_eq!(ends.client.handle(&message).unwrap(), Some(HostNews::Acknowledged(ack)));
}

#[test]
fn an_acknowledgement_of_what_was_not_sent_whole_does_not_count() {
    let mut ends = ends();
    ends.client.queue(&incident([5; 16], &[CHUNK_BYTES * 2])).unwrap();
    let ack = Ack { incident_id: [5; 16], leaf_index: 1, checkpoint: CLAIM.into(), entry: None, proof: None };
    let say = |ends: &mut Ends, ack: &Ack| {
        let message = one_frame(&ends.host.acknowledge(ack).unwrap());
        ends.client.handle(&message).unwrap().unwrap()
    };
    for sent in 0..3 {
        let news = say(&mut ends, &ack);
        assert_eq!(news, HostNews::Unproven(ReceiptError::NotSent), "{sent} of 3 frames were sent");
        ends.client.next_evidence_frame().unwrap().unwrap();
    }
    let forged = Ack { leaf_index: u64::MAX, checkpoint: String::new(), ..ack.clone() };
    assert_eq!(say(&mut ends, &forged), HostNews::Unproven(ReceiptError::NoProof));
    let beyond = Ack { leaf_index: 9, ..ack.clone() };
    assert_eq!(say(&mut ends, &beyond), HostNews::Unproven(ReceiptError::NoProof));
    assert_eq!(say(&mut ends, &ack), HostNews::Acknowledged(ack.clone()));
    assert_eq!(say(&mut ends, &ack), HostNews::Unproven(ReceiptError::NotSent), "once");
}

#[test]
fn without_credit_the_client_waits_and_a_client_that_does_not_is_refused() {
    let mut ends = ends();
    ends.client.queue(&incident([5; 16], &[CHUNK_BYTES * 40])).unwrap();
    let sent = std::iter::from_fn(|| ends.client.next_evidence_frame().unwrap()).collect::<Vec<_>>();
    assert_eq!(sent.len(), CREDITS as usize);
    for frame in sent {
        ends.host.handle(&one_frame(&frame), NOW_MS).unwrap();
    }
    let data = vec![31u8; CHUNK_BYTES];
    let next = Chunk { incident_id: [5; 16], piece: 0, index: u16::try_from(CREDITS).unwrap() - 1, data };
    let refusal = ends.host.handle(&next.to_bytes(), NOW_MS).unwrap_err();
    assert_refused(&refusal, Code::NoCredit, Fault::Peer);
}

/// A host that was announced one picture of three chunks.
fn announced() -> (Live, Evidence) {
    let mut ends = ends();
    let evidence = incident([5; 16], &[CHUNK_BYTES * 2 + 10]);
    let manifest = ends.by_device(kind::MANIFEST, FIRST, &evidence.manifest);
    ends.host.handle(&manifest, NOW_MS).unwrap();
    (ends.host, evidence)
}

fn chunk(evidence: &Evidence, index: usize) -> Chunk {
    let data = evidence.pieces[0].chunks(CHUNK_BYTES).nth(index).unwrap().to_vec();
    Chunk { incident_id: evidence.manifest.incident_id, piece: 0, index: u16::try_from(index).unwrap(), data }
}

#[track_caller]
fn chunk_is_refused(change: impl FnOnce(&mut Chunk), code: Code) {
    let (mut host, evidence) = announced();
    let mut chunk = chunk(&evidence, 0);
    change(&mut chunk);
    let refusal = host.handle(&chunk.to_bytes(), NOW_MS).unwrap_err();
    assert_refused(&refusal, code, Fault::Peer);
}

#[test]
fn a_chunk_that_its_manifest_does_not_announce_is_refused() {
    chunk_is_refused(|c| c.incident_id = [6; 16], Code::EvidenceMismatch);
    chunk_is_refused(|c| c.index = 1, Code::EvidenceMismatch);
    chunk_is_refused(|c| c.piece = 1, Code::EvidenceMismatch);
    chunk_is_refused(|c| c.data[9] ^= 1, Code::EvidenceMismatch);
    chunk_is_refused(|c| c.data.truncate(CHUNK_BYTES - 1), Code::EvidenceMismatch);
    chunk_is_refused(|c| c.data.push(0), Code::Malformed);
    chunk_is_refused(|c| c.data.clear(), Code::Malformed);
    chunk_is_refused(|c| c.piece = u8::try_from(PIECES_MAX).unwrap(), Code::Malformed);
}

#[test]
fn chunks_come_in_order_and_once() {
    let (mut host, evidence) = announced();
    host.handle(&chunk(&evidence, 0).to_bytes(), NOW_MS).unwrap();
    let again = host.handle(&chunk(&evidence, 0).to_bytes(), NOW_MS).unwrap_err();
    assert_refused(&again, Code::EvidenceMismatch, Fault::Peer);
    let early = host.handle(&chunk(&evidence, 2).to_bytes(), NOW_MS).unwrap_err();
    assert_refused(&early, Code::EvidenceMismatch, Fault::Peer);
}

#[test]
fn a_picture_whose_whole_hash_is_wrong_is_refused() {
    let mut ends = ends();
    let mut evidence = incident([5; 16], &[100]);
    evidence.manifest.pieces[0].sha256 = [0; 32];
    let manifest = ends.by_device(kind::MANIFEST, FIRST, &evidence.manifest);
    ends.host.handle(&manifest, NOW_MS).unwrap();
    let refusal = ends.host.handle(&chunk(&evidence, 0).to_bytes(), NOW_MS).unwrap_err();
    assert_refused(&refusal, Code::EvidenceMismatch, Fault::Peer);
}

#[test]
fn too_many_incidents_at_once_are_refused() {
    let mut ends = ends();
    for n in 0..=INCIDENTS_OPEN_MAX {
        let manifest = incident([u8::try_from(n).unwrap(); 16], &[100]).manifest;
        let message = ends.by_device(kind::MANIFEST, FIRST + n as u64, &manifest);
        let taken = ends.host.handle(&message, NOW_MS);
        if n < INCIDENTS_OPEN_MAX {
            assert!(taken.is_ok(), "incident {n}");
        } else {
            assert_refused(&taken.unwrap_err(), Code::TooManyIncidents, Fault::Peer);
        }
    }
}

#[track_caller]
fn manifest_is_refused(change: impl FnOnce(&mut Manifest)) {
    let mut ends = ends();
    let mut manifest = incident([5; 16], &[CHUNK_BYTES + 1]).manifest;
    change(&mut manifest);
    let message = ends.by_device(kind::MANIFEST, FIRST, &manifest);
    assert_refused(&ends.host.handle(&message, NOW_MS).unwrap_err(), Code::Malformed, Fault::Peer);
}

#[test]
fn a_manifest_over_a_limit_or_at_odds_with_itself_is_refused() {
    let huge = |size: usize| Piece {
        size: size as u64,
        chunks: vec![vec![0; 32].into(); size.div_ceil(CHUNK_BYTES)],
        ..piece(b"x", 1)
    };
    manifest_is_refused(|m| m.pieces.clear());
    manifest_is_refused(|m| m.pieces = vec![piece(b"x", 1); PIECES_MAX + 1]);
    manifest_is_refused(|m| m.pieces = vec![huge(PIECE_MAX_BYTES + 1)]);
    manifest_is_refused(|m| m.pieces = vec![huge(PIECE_MAX_BYTES); INCIDENT_MAX_BYTES / PIECE_MAX_BYTES + 1]);
    manifest_is_refused(|m| m.pieces[0].size = u64::MAX);
    manifest_is_refused(|m| m.pieces[0].size = 0);
    manifest_is_refused(|m| m.pieces[0].chunks.truncate(1));
    manifest_is_refused(|m| m.pieces[0].chunks[0] = vec![0; 31].into());
    manifest_is_refused(|m| m.pieces[0].media = 2);
    // The largest that is allowed is one message.
    let mut ends = ends();
    let largest = vec![huge(INCIDENT_MAX_BYTES / PIECES_MAX); PIECES_MAX];
    let manifest = Manifest { pieces: largest, ..incident([5; 16], &[1]).manifest };
    let message = ends.by_device(kind::MANIFEST, FIRST, &manifest);
    assert!(sudare_protocol::frame::frame(&message).is_ok());
    assert!(ends.host.handle(&message, NOW_MS).is_ok());
    // Longer than any good one can be, and no longer an entry of the log.
    let small = incident([6; 16], &[1]).manifest;
    let message = ends.by_device(kind::MANIFEST, FIRST + 1, &Padded(small, MANIFEST_MAX_BYTES));
    assert_refused(&ends.host.handle(&message, NOW_MS).unwrap_err(), Code::TooLarge, Fault::Peer);
}

#[test]
fn the_client_queues_no_evidence_that_does_not_fit_its_manifest() {
    let mut ends = ends();
    let mut evidence = incident([5; 16], &[100]);
    evidence.pieces[0].pop();
    assert_refused(&ends.client.queue(&evidence).unwrap_err(), Code::EvidenceMismatch, Fault::Us);
}

/// The client's session on one connection to a host; `None` where a send is lost.
struct Connection {
    host: Live,
}

impl Connection {
    fn open(session: &mut ClientSession, host_nonce: [u8; 32]) -> Self {
        let (host, hello) = AwaitOpen::new(pair::host_setup().unwrap(), host_nonce, NOW_MS).unwrap();
        session.opened(pair::client_setup(), pair::client_fresh());
        let mut out = Vec::new();
        session.bytes(&hello, &mut out);
        let open = sent(out).remove(0);
        let devices = pair::OneDevice::default();
        let (host, ready, _) = host.handle(&open, &devices, &pair::host_fresh(), NOW_MS).unwrap();
        let mut out = Vec::new();
        session.bytes(&ready, &mut out);
        assert!(matches!(out.as_slice(), [Output::Tell(Event::Ready { .. }), Output::Watch(_)]), "{out:?}");
        Connection { host }
    }

    /// What the host takes from these frames.
    fn take(&mut self, frames: Vec<Vec<u8>>) -> Option<Box<Complete>> {
        frames.iter().fold(None, |done, frame| match self.host.handle(frame, NOW_MS).unwrap() {
            Some(ClientNews::Evidence(complete)) => Some(complete),
            _ => done,
        })
    }
}

fn sent(out: Vec<Output>) -> Vec<Vec<u8>> {
    let bytes: Vec<u8> = out
        .into_iter()
        .filter_map(|o| if let Output::Send(_, b) = o { Some(b) } else { None })
        .flatten()
        .collect();
    pair::frames(&bytes)
}

#[test]
fn a_lost_connection_loses_no_evidence() {
    let evidence = incident([5; 16], &[CHUNK_BYTES * 3]);
    let mut session = ClientSession::new(1);
    let mut first = Connection::open(&mut session, [0x41; 32]);
    let mut out = Vec::new();
    session.evidence(evidence.clone(), &mut out);
    let mut frames = sent(out);
    frames.pop();
    assert!(first.take(frames).is_none(), "the last chunk is lost with the connection");
    session.closed();

    // Sealed while disconnected.
    let offline = incident([6; 16], &[10]);
    session.evidence(offline, &mut Vec::new());
    assert_eq!(session.waiting(), 2);

    let mut second = Connection::open(&mut session, [0x42; 32]);
    let mut out = Vec::new();
    session.tick(NOW_MS, [0; 16], &mut out);
    let frames = sent(out);
    let mut whole = Vec::new();
    for frame in frames {
        whole.extend(second.take(vec![frame]));
    }
    assert_eq!(whole.len(), 2);
    assert_eq!(whole[0].pieces, evidence.pieces);

    for (left, complete) in [(1, &whole[0]), (0, &whole[1])] {
        let incident_id = complete.manifest.incident_id;
        let ack = Ack { incident_id, leaf_index: 1, checkpoint: CLAIM.into(), entry: None, proof: None };
        let mut out = Vec::new();
        session.bytes(&second.host.acknowledge(&ack).unwrap(), &mut out);
        assert!(matches!(out.as_slice(), [Output::Tell(Event::Receipt(got))] if *got == ack), "{out:?}");
        assert_eq!(session.waiting(), left, "only what is acknowledged is forgotten");
    }
}

#[test]
fn an_acknowledgement_of_something_else_forgets_nothing() {
    let mut session = ClientSession::new(1);
    let mut connection = Connection::open(&mut session, [0x43; 32]);
    session.evidence(incident([5; 16], &[10]), &mut Vec::new());
    let ack =
        Ack { incident_id: [99; 16], leaf_index: 1, checkpoint: CLAIM.into(), entry: None, proof: None };
    session.bytes(&connection.host.acknowledge(&ack).unwrap(), &mut Vec::new());
    assert_eq!(session.waiting(), 1);
}

#[test]
fn an_error_of_the_host_ends_the_link_covered_and_is_not_answered() {
    let mut session = ClientSession::new(1);
    let mut connection = Connection::open(&mut session, [0x44; 32]);
    let refusal = sudare_protocol::Refusal::new(Code::EvidenceStore, Fault::Us, "");
    let mut out = Vec::new();
    session.bytes(&connection.host.refuse(&refusal).unwrap(), &mut out);
    let last = out.pop();
    let Some(Output::Tell(Event::Refused { refusal: told, live: true })) = last else { panic!("{last:?}") };
    assert_refused(&told, Code::PeerEnded, Fault::Peer);
    assert!(told.to_string().contains(Code::EvidenceStore.text()));
    assert!(sent(out).is_empty() && session.covers_own());
}
