//! Pictures of an incident, ready for the store: sealed, described, labelled. Pure.

use std::path::Path;

use sudare_base::clock::RandomSource;
use sudare_evidence::report::NewBlob;
use sudare_evidence::store::StoreError;
use sudare_evidence::store::blobs::describe;
use sudare_protocol::evidence::{Id, Label, Media};
use sudare_protocol::intake::Complete;
use sudare_protocol::message::Piece;
use sudare_protocol::rules;
use sudare_protocol::seal::{self, Recipients};

use crate::screen::Screenshot;
use crate::screenshot;

/// Seals screenshots to the auditors of the signed policy, in the form that the policy allows.
pub(super) fn seal_shots(
    shots: &[(Label, Screenshot)],
    recipients: &Recipients,
    rule: rules::Screenshot,
    device: Option<Id>,
    random: &dyn RandomSource,
) -> Result<Vec<NewBlob>, StoreError> {
    shots.iter().map(|(label, shot)| seal_shot(*label, shot, recipients, rule, device, random)).collect()
}

fn seal_shot(
    label: Label,
    picture: &Screenshot,
    recipients: &Recipients,
    rule: rules::Screenshot,
    device: Option<Id>,
    random: &dyn RandomSource,
) -> Result<NewBlob, StoreError> {
    let masked;
    let shown = match rule {
        rules::Screenshot::Masked => {
            masked = screenshot::mask(picture);
            &masked
        }
        rules::Screenshot::Full | rules::Screenshot::Hash => picture,
    };
    let png =
        screenshot::encode_png(shown).map_err(|e| StoreError::io(Path::new("screenshot"), "encoded", e))?;
    let (salt, blob_id) = (fresh(random)?, fresh(random)?);
    let (media, sealed) = match rule {
        rules::Screenshot::Hash => {
            // Whoever has the same picture can show that it was this one; nobody else learns anything.
            let salt_alone = seal::seal(&[], &salt, recipients)?;
            (Media::Salt, seal::Sealed { commitment: seal::commit(&png, &salt), ..salt_alone })
        }
        rules::Screenshot::Full | rules::Screenshot::Masked => {
            (Media::Png, seal::seal(&png, &salt, recipients)?)
        }
    };
    Ok(NewBlob { blob: describe(blob_id, label, media, &sealed), device, bytes: sealed.ciphertext })
}

/// Camera pictures arrive sealed; they keep the client's blob ids, which its manifest names.
pub(super) fn pieces(complete: &Complete, device: Option<Id>) -> Vec<NewBlob> {
    let all = complete.manifest.pieces.iter().zip(&complete.pieces);
    all.map(|(piece, ciphertext)| {
        let media = Media::from_number(piece.media).unwrap_or(Media::Jpeg);
        let sealed = seal::Sealed::received(ciphertext.clone(), piece.commitment);
        let mut blob = describe(piece.blob_id, label(piece), media, &sealed);
        blob.header_size = piece.header_size;
        NewBlob { blob, device, bytes: sealed.ciphertext }
    })
    .collect()
}

fn label(piece: &Piece) -> Label {
    Label::of_camera(piece.moment, piece.pixelated == Some(true))
}

fn fresh<const N: usize>(random: &dyn RandomSource) -> Result<[u8; N], StoreError> {
    random
        .fresh()
        .map_err(|e| StoreError::io(Path::new("/dev/urandom"), "read", std::io::Error::other(e.to_string())))
}
