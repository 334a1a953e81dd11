//! What a client that holds the right key may do to a live host: messages of any type and body, signed and numbered as
//! they should be, and chunks, in any order, while time passes and challenges are issued. The input is a row of
//! `u16 length ‖ item`; an item is a message, signed by anybody or by nobody, or a chunk. An empty one stands for the
//! chunk that is due, and one of one byte for time that passes.
#![no_main]
#![allow(dead_code, reason = "the ends are shared, and each target uses some of them")]

mod ends;
mod pictures;

use std::collections::{BTreeSet, VecDeque};

use ends::{DEVICE, Ends, NONCE, NOW_MS, Said, ends, items, said, signed};
use libfuzzer_sys::fuzz_target;
use sudare_protocol::host::{ClientNews, Live};
use sudare_protocol::limits::INCIDENT_MAX_BYTES;
use sudare_protocol::message::{Attest, Id, Manifest, body, kind};

/// A challenge is due after a few.
const STEP_MS: u64 = 100;

fuzz_target!(|data: &[u8]| {
    let mut stage = Stage::new();
    for item in items(data) {
        if !stage.take(item) {
            return;
        }
    }
});

struct Stage {
    host: Live,
    transcript: [u8; 32],
    sequence: u64,
    now_ms: u64,
    /// Every nonce that the host has issued; the last is the newest.
    nonce: Id,
    issued: BTreeSet<Id>,
    /// Of announced pictures, in their order.
    chunks: VecDeque<Vec<u8>>,
}

impl Stage {
    fn new() -> Self {
        let Ends { host, transcript, .. } = ends(None);
        Stage {
            host,
            transcript,
            sequence: 1,
            now_ms: NOW_MS,
            nonce: NONCE,
            issued: BTreeSet::from([NONCE]),
            chunks: VecDeque::new(),
        }
    }

    /// Whether the session goes on.
    fn take(&mut self, item: &[u8]) -> bool {
        let before = self.host.lease_until_ms();
        let (frame, echoes) = match (item, said(item)) {
            ([], _) => (self.chunks.pop_front().unwrap_or_default(), None),
            ([steps], _) => {
                self.challenge(u64::from(*steps));
                return true;
            }
            (_, Some(said)) => self.message(&said),
            (chunk, None) => (chunk.to_vec(), None),
        };
        match self.host.handle(&frame, self.now_ms) {
            Ok(Some(ClientNews::Evidence(whole))) => {
                assert!(whole.pieces.iter().map(Vec::len).sum::<usize>() <= INCIDENT_MAX_BYTES);
            }
            Ok(_) => {}
            // The host ends the session at its first refusal, and can always say why.
            Err(refusal) => {
                assert!(refusal.to_string().contains(". "));
                assert!(self.host.refuse(&refusal).is_some());
                return false;
            }
        }
        // Nothing but a nonce that was issued lets pixels flow.
        assert!(
            self.host.lease_until_ms() == before || echoes.is_some_and(|nonce| self.issued.contains(&nonce))
        );
        assert!(self.host.lease_until_ms() <= self.now_ms + self.host.timings().lease_ms);
        self.host.credit().expect("credit can be given");
        true
    }

    /// The message, and the nonce that it echoes.
    fn message(&mut self, said: &Said<'_>) -> (Vec<u8>, Option<Id>) {
        let mut echoes = None;
        let mut whole = said.body.to_vec();
        if said.kind == kind::ATTEST
            && let Ok(attest) = body::<Attest>(said.body)
        {
            let attest = Attest { nonce: if said.fit { self.nonce } else { attest.nonce }, ..attest };
            echoes = Some(attest.nonce);
            whole = minicbor::to_vec(attest).expect("a Vec");
        } else if said.kind == kind::MANIFEST
            && said.fit
            && let Ok(manifest) = minicbor::decode::<Manifest>(said.body)
        {
            let (manifest, pieces) = pictures::fitted(manifest);
            self.chunks.extend(pictures::chunks(manifest.incident_id, &pieces));
            whole = minicbor::to_vec(manifest).expect("a Vec");
        }
        let frame = signed(DEVICE, &self.transcript, said.kind, self.sequence, &whole);
        self.sequence += 1;
        (frame, echoes)
    }

    /// Time passes, and the host asks anew when it is time for that.
    fn challenge(&mut self, steps: u64) {
        self.now_ms += STEP_MS * steps;
        let nonce = self.now_ms.to_be_bytes().repeat(2).try_into().expect("16 bytes");
        if self.host.challenge(nonce, self.now_ms).expect("a challenge").is_some() {
            (self.nonce, _) = (nonce, self.issued.insert(nonce));
        }
    }
}
