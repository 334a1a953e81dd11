//! What a host that holds the right key may do to a client: a READY with any templates, then messages of any type and
//! body, signed and numbered as they should be. The input is a row of `u16 length ‖ item`; an item is a message, signed
//! by anybody or by nobody, and a short one has the client send evidence. The first one that is no READY leaves the host's own in its place.
#![no_main]
#![allow(dead_code, reason = "the ends are shared, and each target uses some of them")]

mod ends;
mod made;
mod pictures;

use ends::{Ends, HOST, NONCE, Said, ends, items, key, said, sealed, signed};
use libfuzzer_sys::fuzz_target;
use made::made;
use sudare_protocol::client::{Evidence, HostNews, Live};
use sudare_protocol::evidence::event::{Event, IncidentComplete};
use sudare_protocol::evidence::{BlobRef, Entry, Label, Media};
use sudare_protocol::message::{Ack, Challenge, Id, Manifest, Moment, Piece, Ready, body, kind};
use sudare_protocol::reason::Reason;
use sudare_protocol::template::OperatorTemplate;
use sudare_protocol::tlog::merkle::leaf_hash;
use sudare_protocol::tlog::{Checkpoint, VerifierKey};

const INCIDENT: Id = [5; 16];
const ORIGIN: &str = "sudare.example/log";
const LOG: u8 = 4;

fuzz_target!(|data: &[u8]| {
    let log = VerifierKey::new(ORIGIN, key(LOG).verifying_key()).expect("a log");
    let Ends { client, ready, transcript, .. } = ends(Some(log.to_string()));
    let mut items = items(data).peekable();
    let first = items.next_if(|item| said(item).is_some_and(|said| said.kind == kind::READY)).and_then(said);
    let ready = first.map_or_else(|| ready[4..].to_vec(), |said| ready_of(&said, &transcript));
    let (mut live, _) = match client.handle(&ready) {
        Ok(live) => live,
        Err(refused) => {
            assert!(refused.refusal.to_string().contains(". "));
            return;
        }
    };
    let mut host = Host { transcript, sequence: 2 };
    queue(&mut live);
    for item in items {
        match said(item) {
            Some(said) if !host.say(&mut live, &said) => return,
            Some(_) => {}
            None => drop(live.next_evidence_frame().expect("a frame of its own")),
        }
    }
});

/// Each template that the input names is sealed to this connection.
fn ready_of(said: &Said<'_>, transcript: &[u8; 32]) -> Vec<u8> {
    let mut whole = said.body.to_vec();
    if said.fit
        && let Ok(ready) = minicbor::decode::<Ready>(said.body)
    {
        let templates =
            ready.templates.iter().map(|bytes| sealed(&plain(bytes), transcript).into()).collect();
        whole = minicbor::to_vec(Ready { templates, nonce: NONCE, user: None, group: None }).expect("a Vec");
    }
    signed(HOST, transcript, kind::READY, 1, &whole)
}

/// A template if the bytes are one, or can be made one, with marks or without.
fn plain(bytes: &[u8]) -> Vec<u8> {
    if OperatorTemplate::from_bytes(bytes).is_ok() {
        return bytes.to_vec();
    }
    let written = made(bytes).and_then(|mut made| {
        made.to_bytes().ok().or_else(|| {
            made.regions.clear();
            made.self_cosine = None;
            made.to_bytes().ok()
        })
    });
    written.map_or_else(|| bytes.to_vec(), |written| written.to_vec())
}

/// The same acknowledgement from a log of one entry, the one that it names, signed by the log. Where it is the fourth of
/// something, the entry also has the pictures that the client has sent.
fn proof(ack: &Ack) -> Option<Ack> {
    let named = ack.entry.as_ref().and_then(|entry| Entry::open_unverified(entry).ok());
    let mut entry = named.unwrap_or_else(complete);
    entry.seq = 0;
    if ack.leaf_index.is_multiple_of(4) {
        entry.blobs = manifest().0.pieces.iter().map(stored).collect();
    }
    let leaf = entry.sign(&key(LOG)).ok()?;
    let checkpoint = Checkpoint { origin: ORIGIN.into(), size: 1, root: leaf_hash(&leaf) };
    let checkpoint = checkpoint.sign(&key(LOG)).expect("a checkpoint").note().to_owned();
    let proof = Some(ack.proof.clone().filter(|proof| proof.len() > 1).unwrap_or_default());
    Some(Ack { leaf_index: 0, checkpoint, entry: Some(leaf), proof, ..ack.clone() })
}

/// The entry that completes an incident, for an acknowledgement that names none.
fn complete() -> Entry {
    let (kind, body) = Event::IncidentComplete(IncidentComplete { missing: 0 }).encode();
    Entry {
        version: sudare_protocol::evidence::VERSION,
        seq: 0,
        wall_ms: 0,
        boot_ms: 0,
        boot_id: [0; 16],
        session_id: Some([1; 16]),
        incident_id: Some(INCIDENT),
        kind,
        reason: None,
        blobs: Vec::new(),
        body,
        source: None,
        serial: None,
    }
}

/// A picture as the log names it.
fn stored(piece: &Piece) -> BlobRef {
    BlobRef {
        blob_id: piece.blob_id,
        label: Label::CameraAt.number(),
        media: Media::Jpeg.number(),
        sha256: piece.sha256,
        size: piece.size,
        commitment: piece.commitment,
        header_size: None,
    }
}

/// Pictures of one incident wait for the host's credit.
fn queue(live: &mut Live) {
    let (manifest, pieces) = manifest();
    live.queue(&Evidence { manifest, pieces }).expect("it fits");
}

fn manifest() -> (Manifest, Vec<Vec<u8>>) {
    let piece = Piece {
        blob_id: [1; 16],
        moment: Moment::At,
        size: 40_000,
        sha256: [0; 32],
        commitment: [2; 32],
        chunks: vec![],
        boot_ms: 0,
        media: 0,
        header_size: None,
        pixelated: None,
    };
    let manifest = Manifest {
        incident_id: INCIDENT,
        reason: Reason::Stranger,
        pieces: vec![piece],
        policy_digest: [0; 32],
        decided_boot_ms: 0,
        wall_ms: 0,
        cosine_milli: None,
        basis: None,
    };
    pictures::fitted(manifest)
}

struct Host {
    transcript: [u8; 32],
    sequence: u64,
}

impl Host {
    /// Whether the session goes on.
    fn say(&mut self, live: &mut Live, said: &Said<'_>) -> bool {
        let (mut whole, mut proven) = (said.body.to_vec(), false);
        if said.kind == kind::ACK
            && said.fit
            && let Ok(ack) = body::<Ack>(said.body)
        {
            let ack = Ack { incident_id: INCIDENT, ..ack };
            let proof = ack.leaf_index.is_multiple_of(2).then(|| proof(&ack)).flatten();
            proven = proof.is_some();
            whole = minicbor::to_vec(proof.unwrap_or(ack)).expect("a Vec");
        }
        let message = signed(HOST, &self.transcript, said.kind, self.sequence, &whole);
        self.sequence += 1;
        match live.handle(&message) {
            Ok(Some(HostNews::Acknowledged(_))) => {
                assert!(proven, "evidence was given up without a proof");
                true
            }
            Ok(Some(HostNews::Challenged)) => {
                body::<Challenge>(said.body).expect("it was read");
                true
            }
            Ok(_) => true,
            Err(refusal) => {
                assert!(refusal.to_string().contains(". "));
                assert!(live.refuse(&refusal).is_some());
                false
            }
        }
    }
}
