//! Pictures of an incident as the store takes them: sealed, described, labelled.

use std::path::Path;

use sudare_base::clock;
use sudare_evidence::report::NewBlob;
use sudare_evidence::store::StoreError;
use sudare_evidence::store::blobs::describe;
use sudare_protocol::evidence::{Id, Label, Media};
use sudare_protocol::intake::Complete;
use sudare_protocol::message::Piece;
use sudare_protocol::rules::Screenshot;
use sudare_protocol::seal::{self, Recipients};

use crate::screenshot;
use crate::transport::Picture;

/// Screenshots are sealed here, to the auditors of the signed policy, as far as it allows them.
pub(super) fn seal_shots(
    shots: &[(Label, Picture)],
    recipients: &Recipients,
    rule: Screenshot,
    device: Option<Id>,
) -> Result<Vec<NewBlob>, StoreError> {
    shots.iter().map(|(label, picture)| seal_shot(*label, picture, recipients, rule, device)).collect()
}

fn seal_shot(
    label: Label,
    picture: &Picture,
    recipients: &Recipients,
    rule: Screenshot,
    device: Option<Id>,
) -> Result<NewBlob, StoreError> {
    let masked;
    let shown = match rule {
        Screenshot::Masked => {
            masked = screenshot::mask(picture);
            &masked
        }
        Screenshot::Full | Screenshot::Hash => picture,
    };
    let png =
        screenshot::encode_png(shown).map_err(|e| StoreError::io(Path::new("screenshot"), "encoded", e))?;
    let (salt, blob_id) = (fresh()?, fresh()?);
    let (media, sealed) = match rule {
        Screenshot::Hash => {
            // Who has the same picture can show that it was this one; nobody else learns anything.
            let salt_alone = seal::seal(&[], &salt, recipients)?;
            (Media::Salt, seal::Sealed { commitment: seal::commit(&png, &salt), ..salt_alone })
        }
        Screenshot::Full | Screenshot::Masked => (Media::Png, seal::seal(&png, &salt, recipients)?),
    };
    Ok(NewBlob { blob: describe(blob_id, label, media, &sealed), device, bytes: sealed.ciphertext })
}

/// Camera pictures come sealed; their blob ids are the client's, so that its manifest names them.
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

fn fresh<const N: usize>() -> Result<[u8; N], StoreError> {
    clock::random()
        .map_err(|e| StoreError::io(Path::new("/dev/urandom"), "read", std::io::Error::other(e.to_string())))
}
