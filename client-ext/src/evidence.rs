//! Camera pictures of an incident: kept for a moment, then sealed to the auditors.
//!
//! ```text
//!  frames ─ 2 a second, the last 3 s ─► Ring ─ before, at, after ─► JPEG ─► age ─► Evidence
//! ```
//! A picture leaves this device only sealed, and only for an incident. The ring is memory only.

use std::collections::VecDeque;
use std::sync::Arc;

use jpeg_encoder::{ColorType, Encoder, EncodingError};
use sha2::{Digest as _, Sha256};
use sudare_protocol::client::{Evidence, chunk_digests};
use sudare_protocol::limits::PIECE_MAX_BYTES;
use sudare_protocol::message::{Digest, Manifest, Moment, Piece};
use sudare_protocol::seal::{self, Recipients, SealError};

use crate::camera::Frame;
use crate::report::Incident;

/// How far apart kept frames are, and how far back they go.
const RING_STEP_MS: u64 = 500;
const RING_MS: u64 = 3_000;
/// How long after the decision the last picture is taken.
const AFTER_MS: u64 = 1_000;
const JPEG_QUALITY: u8 = 85;
/// `message::Piece::media`.
const MEDIA_JPEG: u8 = 0;

#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    #[error("a camera picture could not be encoded: {0}. Choose a smaller picture size for the camera")]
    Encode(#[from] EncodingError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error("this system gives no randomness, and no picture can be sealed without it: {0}")]
    Random(#[from] getrandom::Error),
    #[error(
        "a camera picture has {0} bytes after sealing, more than {PIECE_MAX_BYTES}. Choose a smaller picture size for the camera"
    )]
    TooLarge(usize),
}

/// The last moments, and incidents whose picture after the decision is still to come.
#[derive(Debug, Default)]
pub struct Ring {
    frames: VecDeque<Arc<Frame>>,
    latest: Option<Arc<Frame>>,
    due: Vec<Due>,
}

#[derive(Debug)]
struct Due {
    incident: Incident,
    shots: Vec<(Moment, Arc<Frame>)>,
}

/// Pictures of an incident, not yet sealed.
#[derive(Debug)]
pub struct Shots {
    pub incident: Incident,
    pub shots: Vec<(Moment, Arc<Frame>)>,
}

impl Ring {
    pub fn push(&mut self, frame: Arc<Frame>) {
        let now_ms = frame.t_ms;
        if self.frames.back().is_none_or(|last| now_ms.saturating_sub(last.t_ms) >= RING_STEP_MS) {
            self.frames.push_back(frame.clone());
        }
        while self.frames.front().is_some_and(|f| now_ms.saturating_sub(f.t_ms) > RING_MS) {
            self.frames.pop_front();
        }
        for due in &mut self.due {
            let has_after = due.shots.iter().any(|(moment, _)| *moment == Moment::After);
            if !has_after && now_ms >= due.incident.decided_ms + AFTER_MS {
                due.shots.push((Moment::After, frame.clone()));
            }
        }
        self.latest = Some(frame);
    }

    /// An incident began: remember the moment before it and the moment itself.
    pub fn begin(&mut self, incident: Incident) {
        let at = self.latest.clone();
        let at_ms = at.as_ref().map_or(0, |f| f.t_ms);
        let before = self.frames.iter().rev().find(|f| f.t_ms + 2 * RING_STEP_MS <= at_ms).cloned();
        let shots = [(Moment::Before, before), (Moment::At, at)];
        let shots = shots.into_iter().filter_map(|(moment, frame)| Some((moment, frame?))).collect();
        self.due.push(Due { incident, shots });
    }

    /// Incidents whose pictures are complete, or will not come any more (no camera).
    pub fn ready(&mut self, now_ms: u64) -> Vec<Shots> {
        let complete = |due: &Due| {
            due.shots.iter().any(|(m, _)| *m == Moment::After)
                || now_ms > due.incident.decided_ms + 2 * AFTER_MS
        };
        let (done, waiting) = std::mem::take(&mut self.due).into_iter().partition(complete);
        self.due = waiting;
        done.into_iter()
            .filter(|due: &Due| !due.shots.is_empty())
            .map(|due| Shots { incident: due.incident, shots: due.shots })
            .collect()
    }
}

/// Encodes and seals. Takes some 30 ms; call it away from anything that must not wait.
pub fn build(
    shots: &Shots,
    recipients: &Recipients,
    policy_digest: Digest,
    wall_ms: u64,
) -> Result<Evidence, EvidenceError> {
    let (mut described, mut pieces) = (Vec::new(), Vec::new());
    for (moment, frame) in &shots.shots {
        let sealed = seal::seal(&jpeg(frame)?, &random()?, recipients)?;
        if sealed.ciphertext.len() > PIECE_MAX_BYTES {
            return Err(EvidenceError::TooLarge(sealed.ciphertext.len()));
        }
        described.push(Piece {
            blob_id: random()?,
            moment: *moment,
            size: sealed.ciphertext.len() as u64,
            sha256: Sha256::digest(&sealed.ciphertext).into(),
            commitment: sealed.commitment,
            chunks: chunk_digests(&sealed.ciphertext),
            boot_ms: frame.t_ms,
            media: MEDIA_JPEG,
            header_size: None,
            pixelated: None,
        });
        pieces.push(sealed.ciphertext);
    }
    let manifest = Manifest {
        incident_id: shots.incident.incident_id,
        reason: shots.incident.reason,
        pieces: described,
        policy_digest,
        decided_boot_ms: shots.incident.decided_ms,
        wall_ms,
        cosine_milli: None,
        basis: None,
    };
    Ok(Evidence { manifest, pieces })
}

fn jpeg(frame: &Frame) -> Result<Vec<u8>, EvidenceError> {
    let side = |side: u32| u16::try_from(side).unwrap_or(u16::MAX);
    let mut out = Vec::new();
    Encoder::new(&mut out, JPEG_QUALITY).encode(
        &frame.rgb,
        side(frame.width),
        side(frame.height),
        ColorType::Rgb,
    )?;
    Ok(out)
}

/// Fresh bytes from the operating system.
pub fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sudare_protocol::reason::Reason;

    fn frame(t_ms: u64) -> Arc<Frame> {
        Arc::new(Frame { width: 8, height: 8, rgb: vec![100; 8 * 8 * 3], t_ms, seq: t_ms })
    }

    fn incident(decided_ms: u64) -> Incident {
        Incident { incident_id: [1; 16], reason: Reason::Stranger, decided_ms }
    }

    #[test]
    fn an_incident_has_the_moment_before_at_and_after() {
        let mut ring = Ring::default();
        for t_ms in (0..=5_000).step_by(100) {
            ring.push(frame(t_ms));
        }
        ring.begin(incident(5_000));
        assert!(ring.ready(5_500).is_empty());
        for t_ms in (5_100..=6_100).step_by(100) {
            ring.push(frame(t_ms));
        }
        let shots = ring.ready(6_100).remove(0);
        let times: Vec<_> = shots.shots.iter().map(|(m, f)| (*m, f.t_ms)).collect();
        assert_eq!(times, [(Moment::Before, 4_000), (Moment::At, 5_000), (Moment::After, 6_000)]);
        assert!(ring.frames.len() <= 7, "bounded");
    }

    #[test]
    fn a_camera_that_is_gone_still_gives_what_was_seen_before() {
        let mut ring = Ring::default();
        for t_ms in (0..=2_000).step_by(100) {
            ring.push(frame(t_ms));
        }
        ring.begin(incident(2_050));
        assert_eq!(ring.ready(4_051).remove(0).shots.len(), 2);
        assert!(ring.ready(9_000).is_empty());
    }

    #[test]
    fn sealed_pictures_fit_their_manifest_and_open_for_an_auditor() {
        let (a, b) = (seal::Identity::generate(), seal::Identity::generate());
        let recipients = Recipients::parse(&[a.recipient(), b.recipient()]).unwrap();
        let shots = Shots { incident: incident(0), shots: vec![(Moment::At, frame(0))] };
        let evidence = build(&shots, &recipients, [0; 32], 0).unwrap();
        let piece = &evidence.manifest.pieces[0];
        assert_eq!(piece.size, evidence.pieces[0].len() as u64);
        let jpeg = seal::open(&evidence.pieces[0], &b, &piece.commitment).unwrap();
        assert!(jpeg.starts_with(&[0xff, 0xd8]));
    }
}
