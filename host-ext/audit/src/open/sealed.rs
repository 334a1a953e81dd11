//! Reads a sealed picture after comparing it with the log, and what became of it afterwards.

use std::path::PathBuf;

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use sudare_evidence::reader::Store;
use sudare_protocol::evidence::BlobRef;
use sudare_protocol::seal;

use crate::error::AuditError;
use crate::incidents::Picture;

/// What became of one picture.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// Which picture.
    #[serde(flatten)]
    pub picture: Picture,
    /// Where it was written.
    pub file: Option<PathBuf>,
    /// Why it was not written.
    pub problem: Option<String>,
}

/// A sealed picture as it is stored, if it is the one that the log vouches for.
pub fn sealed(store: &Store, blob: &BlobRef) -> Result<Result<Vec<u8>, String>, AuditError> {
    let paths = store.blob(&blob.blob_id);
    let header = store.read(&paths.header, seal::HEADER_MAX_BYTES)?;
    let body = store.read(&paths.body, seal::CIPHERTEXT_MAX_BYTES)?;
    let (Some(header), Some(body)) = (header, body) else {
        return Ok(Err(
            "it is not in the store: it was erased or removed. Run `sudare-audit verify`".to_owned()
        ));
    };
    let whole = [header, body].concat();
    let same = <[u8; 32]>::from(Sha256::digest(&whole)) == blob.sha256;
    Ok(if same { Ok(whole) } else { Err("it is not the file that the log vouches for".to_owned()) })
}
