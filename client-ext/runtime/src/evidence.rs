//! Encodes and seals the pictures of an incident: each once pixelated and once unchanged.
//!
//! ```text
//!  each shot ─┬─ whom to hide ─► pixelate ─► JPEG ─► age ──────────────► piece, kept for long
//!             └─ unchanged ────────────────► JPEG ─► age ─► custodian ─► piece, kept for days
//! ```
//! A picture leaves this device only sealed, and only for an incident.

use jpeg_encoder::{ColorType, Encoder, EncodingError};
use sudare_client_core::evidence::{Area, Mark, Picture, Shots, intruders, pixelate};
use sudare_client_core::frame::Frame;
use sudare_protocol::client::{Evidence, chunk_digests};
use sudare_protocol::limits::{INCIDENT_MAX_BYTES, PIECE_MAX_BYTES, PIECES_MAX};
use sudare_protocol::message::{Basis, CertificateCheck, Digest, Id, KeyKept, Manifest, Moment, Piece};
use sudare_protocol::seal::{self, Custodian, HEADER_MAX_BYTES, Recipients, SealError, Sealed};
use sudare_vision::finder::Finder;

use crate::random::random;

/// Three moments, each pixelated and unchanged.
const PICTURES_MAX: usize = 6;
/// Limit of one picture, so that all pictures of an incident fit; sealing adds a little.
const JPEG_MAX_BYTES: usize = INCIDENT_MAX_BYTES / PICTURES_MAX - 4 * HEADER_MAX_BYTES;
/// Tried in this order: a coarse picture is better than none.
const JPEG_QUALITIES: [u8; 5] = [85, 70, 50, 30, 10];
/// `message::Piece::media`.
const MEDIA_JPEG: u8 = 0;

const _: () = assert!(PICTURES_MAX <= PIECES_MAX);
const _: () = assert!(JPEG_MAX_BYTES + JPEG_MAX_BYTES / 2048 + 2 * HEADER_MAX_BYTES <= PIECE_MAX_BYTES);

#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    #[error("cannot encode a camera picture: {0}. Choose a smaller picture size for the camera")]
    Encode(#[from] EncodingError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error("the operating system provides no random numbers, without which no picture can be sealed: {0}")]
    Random(#[from] getrandom::Error),
    #[error(
        "a camera picture has {0} bytes even at the lowest quality, but {JPEG_MAX_BYTES} is the limit. Choose a smaller picture size for the camera"
    )]
    TooLarge(usize),
}

/// What the session's policy says about sealing, and what its manifests state.
#[derive(Debug, Clone)]
pub struct Terms {
    /// age recipients of the policy.
    pub auditors: Vec<String>,
    /// age recipient to whom the headers of full pictures are sealed again.
    pub custodian: Option<String>,
    pub policy_digest: Digest,
    pub hold_ms: u64,
    /// Whether faces are compared.
    pub recognised: bool,
    pub certificate: CertificateCheck,
    pub models: Vec<Digest>,
    pub boot_id: Id,
}

/// Encodes and seals. Takes about 100 ms, and longer with a finder, so call it on a thread that may wait.
pub fn build(
    shots: &Shots,
    terms: &Terms,
    mut finder: Option<&mut Finder>,
    wall_ms: u64,
) -> Result<Evidence, EvidenceError> {
    let recipients = Recipients::parse(&terms.auditors)?;
    let custodian = terms.custodian.as_deref().map(Custodian::parse).transpose()?;
    let decided_on = shots.at().and_then(|at| at.marks.as_deref()).unwrap_or_default();
    let phones = shots.at().map(|at| at.phones.as_slice()).unwrap_or_default();
    let intruders = intruders(shots.incident.reason, decided_on, phones);
    let (mut described, mut pieces) = (Vec::new(), Vec::new());
    for (moment, picture) in &shots.shots {
        let found: Option<Vec<Area>> = match &mut finder {
            Some(finder) => finder.find(&picture.frame),
            None => Some(Vec::new()),
        };
        let areas = picture.areas(&intruders, found.as_deref());
        let hidden = seal::seal(&jpeg(&pixelate(&picture.frame, &areas))?, &random()?, &recipients)?;
        let full = seal::seal(&jpeg(&picture.frame)?, &random()?, &recipients)?;
        let (full, header_size) = match &custodian {
            Some(custodian) => {
                let (wrapped, size) = seal::seal_for_custodian(&full, custodian)?;
                (wrapped, Some(size))
            }
            None => (full, None),
        };
        for (sealed, header_size, pixelated) in [(hidden, None, true), (full, header_size, false)] {
            let piece = describe(&sealed, *moment, picture.frame.t_ms)?;
            described.push(Piece { header_size, pixelated: Some(pixelated), ..piece });
            pieces.push(sealed.ciphertext);
        }
    }
    let manifest = Manifest {
        incident_id: shots.incident.incident_id,
        reason: shots.incident.reason,
        pieces: described,
        policy_digest: terms.policy_digest,
        decided_boot_ms: shots.incident.decided_ms,
        wall_ms,
        cosine_milli: nearest(&intruders, decided_on),
        basis: basis(shots, terms),
    };
    Ok(Evidence { manifest, pieces })
}

fn describe(sealed: &Sealed, moment: Moment, boot_ms: u64) -> Result<Piece, EvidenceError> {
    Ok(Piece {
        blob_id: random()?,
        moment,
        size: sealed.ciphertext.len() as u64,
        sha256: sealed.ciphertext_sha256,
        commitment: sealed.commitment,
        chunks: chunk_digests(&sealed.ciphertext),
        boot_ms,
        media: MEDIA_JPEG,
        header_size: None,
        pixelated: None,
    })
}

/// The highest cosine of an intruder with an operator.
fn nearest(intruders: &[u64], marks: &[Mark]) -> Option<i32> {
    let cosines = marks.iter().filter(|m| intruders.contains(&m.track)).filter_map(|m| m.cosine);
    cosines.map(milli).max()
}

/// The thresholds of the picture on which the decision was made; `None` without one.
fn basis(shots: &Shots, terms: &Terms) -> Option<Basis> {
    let picture: &Picture = shots.at()?;
    let decision = &shots.incident.decision;
    Some(Basis {
        operator_min_milli: milli(picture.thresholds.operator_min),
        same_person_min_milli: milli(picture.thresholds.same_person_min),
        stranger_max_milli: milli(picture.thresholds.stranger_max),
        not_alone_ms: decision.not_alone_ms,
        undecided_ms: decision.undecided_ms,
        operator_confirmed_age_ms: decision.operator_confirmed_age_ms,
        hold_ms: terms.hold_ms,
        models: terms.models.iter().map(|model| model.to_vec().into()).collect(),
        boot_id: terms.boot_id,
        camera: picture.camera.map(|kind| kind.number()),
        key_kept: Some(KeyKept::File.number()),
        certificate: terms.certificate,
        phone: decision.phone,
        assurance: Some(decision.liveness.number()),
        recognised: Some(terms.recognised),
    })
}

#[allow(clippy::cast_possible_truncation, reason = "a cosine; anything else saturates")]
fn milli(cosine: f32) -> i32 {
    (cosine * 1000.0).round() as i32
}

fn jpeg(frame: &Frame) -> Result<Vec<u8>, EvidenceError> {
    let side = |side: u32| u16::try_from(side).unwrap_or(u16::MAX);
    let mut smallest = 0;
    for quality in JPEG_QUALITIES {
        let mut out = Vec::new();
        let encoder = Encoder::new(&mut out, quality);
        encoder.encode(&frame.rgb, side(frame.width), side(frame.height), ColorType::Rgb)?;
        if out.len() <= JPEG_MAX_BYTES {
            return Ok(out);
        }
        smallest = out.len();
    }
    Err(EvidenceError::TooLarge(smallest))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::path::Path;
    use std::process::{Command, Stdio};

    use sha2::Digest as _;

    use super::*;
    use crate::testing_pictures::{incident, picture};
    use sudare_client_core::presence::Who;
    use sudare_protocol::eyes::Recognition;
    use sudare_protocol::message::{self, CameraKind, kind};

    fn identities() -> [seal::Identity; 3] {
        std::array::from_fn(|_| seal::Identity::generate())
    }

    fn terms(auditors: &[seal::Identity], custodian: Option<&seal::Identity>) -> Terms {
        Terms {
            auditors: auditors.iter().map(seal::Identity::recipient).collect(),
            custodian: custodian.map(seal::Identity::recipient),
            policy_digest: [1; 32],
            recognised: true,
            hold_ms: 1_000,
            certificate: CertificateCheck::Same,
            models: vec![[2; 32]],
            boot_id: [3; 16],
        }
    }

    fn shots() -> Shots {
        let mark = Mark {
            track: 5,
            area: [2.0, 2.0, 8.0, 8.0],
            who: Who::Stranger,
            weight: 1.0,
            cosine: Some(0.1234),
            seen: true,
        };
        let at = Picture { marks: Some(vec![mark]), camera: Some(CameraKind::Hardware), ..picture(500) };
        Shots { incident: incident(500), shots: vec![(Moment::Before, picture(0)), (Moment::At, at)] }
    }

    #[test]
    fn every_picture_becomes_two_sealed_pieces_that_fit_their_manifest() {
        let [a, b, _] = identities();
        let terms = terms(&[a, b.clone()], None);
        let evidence = build(&shots(), &terms, None, 7).unwrap();
        let kinds: Vec<_> = evidence.manifest.pieces.iter().map(|p| (p.moment, p.pixelated)).collect();
        let expected = [Moment::Before, Moment::At].map(|m| [(m, Some(true)), (m, Some(false))]);
        assert_eq!(kinds, expected.concat());
        for (piece, bytes) in evidence.manifest.pieces.iter().zip(&evidence.pieces) {
            assert_eq!(piece.size, bytes.len() as u64);
            let jpeg = seal::open(bytes, &b, &piece.commitment).unwrap();
            assert!(jpeg.starts_with(&[0xff, 0xd8]));
        }
        // What the host's end reads of it, it takes.
        let sent = message::encode(kind::MANIFEST, 1, &evidence.manifest);
        let (_, _, body) = message::split(&sent).unwrap();
        assert_eq!(message::body::<Manifest>(body).unwrap(), evidence.manifest);
    }

    #[test]
    fn a_custodian_wraps_the_full_pictures_and_no_others() {
        let [a, b, custodian] = identities();
        let evidence = build(&shots(), &terms(&[a.clone(), b], Some(&custodian)), None, 7).unwrap();
        for (piece, stored) in evidence.manifest.pieces.iter().zip(&evidence.pieces) {
            assert_eq!(piece.header_size.is_some(), piece.pixelated == Some(false));
            let (first, body) = seal::split_stored(stored, piece.header_size).unwrap();
            let header = match piece.header_size {
                Some(_) => seal::unwrap_header(first, &custodian).unwrap().to_vec(),
                None => first.to_vec(),
            };
            assert!(seal::open(&[&header, body].concat(), &a, &piece.commitment).is_ok());
            assert_eq!(seal::open(stored, &a, &piece.commitment).is_ok(), piece.header_size.is_none());
        }
    }

    /// Debian's `age`, fed on standard input. `None`: it is not here, and that was said.
    fn age_decrypts(folder: &Path, identity: &seal::Identity, sealed: &[u8]) -> Option<Vec<u8>> {
        let key = folder.join("identity.txt");
        std::fs::write(&key, identity.to_file().as_bytes()).unwrap();
        let spawned = Command::new("age")
            .args(["--decrypt", "--identity"])
            .arg(&key)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut age) = spawned else {
            let required = std::env::var("SUDARE_REQUIRE_TOOLS").unwrap_or_default();
            assert!(!required.split(',').any(|tool| tool == "age"), "the package `age` is not installed");
            println!("SKIPPED: `age` is not there");
            return None;
        };
        age.stdin.take().unwrap().write_all(sealed).unwrap();
        let output = age.wait_with_output().unwrap();
        assert!(output.status.success());
        Some(output.stdout)
    }

    #[test]
    fn debians_age_opens_a_full_picture_in_two_steps_and_a_pixelated_one_in_one() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b, custodian] = identities();
        let evidence = build(&shots(), &terms(&[a.clone(), b], Some(&custodian)), None, 7).unwrap();
        for (piece, stored) in evidence.manifest.pieces.iter().zip(&evidence.pieces) {
            let whole = match piece.header_size {
                None => stored.clone(),
                Some(size) => {
                    let (first, body) = stored.split_at(usize::try_from(size).unwrap());
                    let Some(header) = age_decrypts(folder.path(), &custodian, first) else { return };
                    [&header, body].concat()
                }
            };
            let Some(plain) = age_decrypts(folder.path(), &a, &whole) else { return };
            assert_eq!(<[u8; 32]>::from(sha2::Sha256::digest(&plain)), piece.commitment);
            assert!(plain.starts_with(&[0xff, 0xd8]));
        }
    }

    #[test]
    fn the_manifest_tells_what_the_decision_was_made_from() {
        let [a, b, _] = identities();
        let manifest = build(&shots(), &terms(&[a, b], None), None, 7).unwrap().manifest;
        assert_eq!(manifest.cosine_milli, Some(123));
        let basis = manifest.basis.unwrap();
        let thresholds = (basis.operator_min_milli, basis.same_person_min_milli, basis.stranger_max_milli);
        assert_eq!(thresholds, (540, 420, 300));
        assert_eq!((basis.camera, basis.key_kept), (Some(0), Some(0)));
        assert_eq!((basis.hold_ms, basis.certificate), (1_000, CertificateCheck::Same));
        assert_eq!(basis.models[0].as_slice(), &[2; 32]);
        assert_eq!((basis.phone, basis.assurance), (None, Some(0)), "nobody looked for phones, nor for life");
    }

    #[test]
    fn the_manifest_tells_the_operating_point_that_was_in_use() {
        let [a, b, _] = identities();
        let terms = terms(&[a, b], None);
        for (recognition, operator_min) in
            [(Recognition::Strict, 600), (Recognition::Normal, 540), (Recognition::Lenient, 500)]
        {
            let mut shots = shots();
            for (_, picture) in &mut shots.shots {
                picture.thresholds = picture.thresholds.at(recognition);
            }
            let basis = build(&shots, &terms, None, 7).unwrap().manifest.basis.unwrap();
            assert_eq!((basis.operator_min_milli, basis.same_person_min_milli), (operator_min, 420));
        }
    }

    #[test]
    fn a_picture_that_compresses_badly_gets_coarser_and_is_not_lost() {
        let noise: Vec<u8> = (0..1920_u32 * 1080 * 3)
            .map(|n| u8::try_from(n.wrapping_mul(2_654_435_761) >> 24).unwrap())
            .collect();
        let noisy = Frame { width: 1920, height: 1080, rgb: noise, t_ms: 0, seq: 0 };
        assert!(jpeg(&noisy).unwrap().len() <= JPEG_MAX_BYTES);
    }
}
