//! One incident as a file: its host, its manifest and its sealed pictures.
//!
//! ```text
//! "sudare spool 1\n" ‖ u32 length ‖ head (CBOR map) ‖ pieces, as long as the manifest says ‖ SHA-256 of all before
//! ```
//! The digest detects a damaged file; whoever could forge one could just as well delete it.

use minicbor::{Decode, Encode};
use sha2::{Digest as _, Sha256};
use sudare_client_core::spool::HostKey;
use sudare_protocol::client::Evidence;
use sudare_protocol::limits::{INCIDENT_MAX_BYTES, MESSAGE_MAX_BYTES};
use sudare_protocol::message::{Bounded as _, Id, Manifest};

const MAGIC: &[u8] = b"sudare spool 1\n";
const DIGEST_BYTES: usize = 32;
/// Size of the largest possible file.
pub(super) const PARCEL_MAX_BYTES: usize =
    INCIDENT_MAX_BYTES + MESSAGE_MAX_BYTES + MAGIC.len() + DIGEST_BYTES + 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum ParcelError {
    #[error("it is not a spool file of this version")]
    Foreign,
    #[error("it is damaged or was changed")]
    Torn,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Head {
    #[cbor(n(0), with = "minicbor::bytes")]
    organisation: [u8; 32],
    #[n(1)]
    host_id: String,
    #[n(2)]
    manifest: Manifest,
}

pub(super) fn encode(host: &HostKey, evidence: &Evidence) -> Vec<u8> {
    let head = Head {
        organisation: host.organisation,
        host_id: host.host_id.clone(),
        manifest: evidence.manifest.clone(),
    };
    // Writing to a Vec cannot fail, and a manifest that is one message has far fewer than 2^32 bytes.
    let head = minicbor::to_vec(&head).unwrap_or_default();
    let length = u32::try_from(head.len()).unwrap_or(u32::MAX);
    let mut out = [MAGIC, &length.to_be_bytes(), &head].concat();
    out.reserve(evidence.bytes() + DIGEST_BYTES);
    evidence.pieces.iter().for_each(|piece| out.extend_from_slice(piece));
    let digest = Sha256::digest(&out);
    out.extend_from_slice(&digest);
    out
}

pub(super) fn decode(file: &[u8]) -> Result<(HostKey, Evidence), ParcelError> {
    let body = file.strip_prefix(MAGIC).ok_or(ParcelError::Foreign)?;
    let (whole, digest) = file.split_last_chunk::<DIGEST_BYTES>().ok_or(ParcelError::Torn)?;
    if Sha256::digest(whole).as_slice() != digest {
        return Err(ParcelError::Torn);
    }
    let rest = body.strip_suffix(digest).ok_or(ParcelError::Torn)?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or(ParcelError::Torn)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    let (head, mut rest) = rest.split_at_checked(length).ok_or(ParcelError::Torn)?;
    let head: Head = minicbor::decode(head).map_err(|_| ParcelError::Foreign)?;
    if !head.manifest.in_bounds() {
        return Err(ParcelError::Foreign);
    }
    let mut pieces = Vec::with_capacity(head.manifest.pieces.len());
    for piece in &head.manifest.pieces {
        let size = usize::try_from(piece.size).unwrap_or(usize::MAX);
        let (bytes, after) = rest.split_at_checked(size).ok_or(ParcelError::Torn)?;
        pieces.push(bytes.to_vec());
        rest = after;
    }
    if !rest.is_empty() {
        return Err(ParcelError::Torn);
    }
    let host = HostKey { organisation: head.organisation, host_id: head.host_id };
    Ok((host, Evidence { manifest: head.manifest, pieces }))
}

/// `<host>-<Unix ms>-<incident>.sealed`, in hexadecimal: sorted by name is sorted by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    host: u64,
    pub(super) wall_ms: u64,
    incident_id: Id,
}

const ENDING: &str = ".sealed";

impl Name {
    pub(super) fn of(host: &HostKey, evidence: &Evidence) -> Self {
        let Manifest { wall_ms, incident_id, .. } = evidence.manifest;
        Name { host: tag(host), wall_ms, incident_id }
    }

    /// `None` if we did not name the file.
    pub(super) fn parse(file_name: &str) -> Option<Self> {
        let mut parts = file_name.strip_suffix(ENDING)?.split('-');
        let mut number = |digits: usize| {
            let part = parts.next().filter(|p| p.len() == digits && p.is_ascii())?;
            u128::from_str_radix(part, 16).ok()
        };
        let (host, wall_ms, incident_id) = (number(16)?, number(16)?, number(32)?);
        let name = Name {
            host: u64::try_from(host).ok()?,
            wall_ms: u64::try_from(wall_ms).ok()?,
            incident_id: incident_id.to_be_bytes(),
        };
        // We would not write it in any other way (capitals, a sign).
        (name.file_name() == file_name).then_some(name)
    }

    pub(super) fn is_for(&self, host: &HostKey) -> bool {
        self.host == tag(host)
    }

    pub(super) fn file_name(&self) -> String {
        let incident = u128::from_be_bytes(self.incident_id);
        format!("{:016x}-{:016x}-{incident:032x}{ENDING}", self.host, self.wall_ms)
    }
}

/// A short name of a host in its organisation; the full one is in the file.
fn tag(host: &HostKey) -> u64 {
    let digest = Sha256::new().chain_update(host.organisation).chain_update(&host.host_id).finalize();
    digest.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{evidence, host};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_parcel_survives_and_every_damage_is_found() {
        let sent = evidence(7, 300);
        let file = encode(&host("a"), &sent);
        let (to, read) = decode(&file).unwrap();
        assert_eq!((to, &read.manifest, &read.pieces), (host("a"), &sent.manifest, &sent.pieces));
        for at in 0..file.len() {
            let mut bad = file.clone();
            bad[at] ^= 1;
            assert!(decode(&bad).is_err(), "byte {at}");
            assert!(decode(&file[..at]).is_err(), "cut at {at}");
        }
        assert!(decode(&[file.as_slice(), b"x"].concat()).is_err());
    }

    #[test]
    fn names_lead_back_and_sort_by_time() {
        let name = Name::of(&host("a"), &evidence(7, 1));
        assert_eq!(Name::parse(&name.file_name()), Some(name));
        assert!(name.is_for(&host("a")) && !name.is_for(&host("b")));
        let later = Name { wall_ms: name.wall_ms + 1, ..name };
        assert!(later.file_name() > name.file_name());
        for foreign in ["", "x.sealed", "lock", &name.file_name().to_uppercase()] {
            assert_eq!(Name::parse(foreign), None, "{foreign}");
        }
    }

    proptest! {
        #[test]
        fn garbage_is_refused_even_with_a_right_digest(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut file = [MAGIC, &bytes].concat();
            let digest = Sha256::digest(&file);
            file.extend_from_slice(&digest);
            prop_assert!(decode(&file).is_err());
            prop_assert!(decode(&bytes).is_err());
        }
    }
}
