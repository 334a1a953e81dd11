//! Sealed pictures as two files, so that deleting the small one erases the picture for good.

use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use sudare_protocol::evidence::{BlobRef, Id, Label, Media};
use sudare_protocol::seal::{self, Sealed};

use super::disk::Disk;
use super::durable::Durable;
use super::error::StoreError;

/// Folder of the age headers.
pub const HEADERS: &str = "headers";
/// Folder of the bodies.
pub const BODIES: &str = "blobs";

/// Where the two files of a blob lie in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobPaths {
    /// The age header, to and with its MAC line.
    pub header: PathBuf,
    /// Everything after it.
    pub body: PathBuf,
}

impl BlobPaths {
    /// Named by the blob's random id.
    pub fn of(store: &Path, blob_id: &Id) -> Self {
        let name = hex(blob_id);
        Self { header: store.join(HEADERS).join(&name), body: store.join(BODIES).join(&name) }
    }
}

/// Puts sealed pictures into a store.
#[derive(Clone, Debug)]
pub struct BlobStore {
    store: PathBuf,
}

impl BlobStore {
    /// Pictures of the store in this folder.
    pub fn new(store: &Path) -> Self {
        Self { store: store.to_owned() }
    }

    /// Stores a sealed picture durably.
    ///
    /// The same picture again is accepted (a client resends after a lost acknowledgement);
    /// another one under the same id is refused. A power cut may leave one of the two files: the log
    /// refers to neither before this returns, and the picture is then written again.
    pub fn put<D: Disk>(
        &self,
        durable: &mut Durable<D>,
        blob: &BlobRef,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let paths = BlobPaths::of(&self.store, &blob.blob_id);
        let sha256: [u8; 32] = Sha256::digest(bytes).into();
        if sha256 != blob.sha256 || bytes.len() as u64 != blob.size {
            return Err(StoreError::BlobDiffers(hex(&blob.blob_id)));
        }
        let (header, body) = split(bytes, blob)?;
        if self.stored_sha256(durable.disk(), &paths).is_some_and(|stored| stored != sha256) {
            return Err(StoreError::BlobExists(hex(&blob.blob_id)));
        }
        // Written again if it is there: the first time may not have reached the disk.
        durable.replace_all(&[(&paths.body, body), (&paths.header, header)])
    }

    /// Whether this picture is stored whole.
    pub fn holds<D: Disk>(&self, disk: &D, blob: &BlobRef) -> bool {
        self.stored_sha256(disk, &BlobPaths::of(&self.store, &blob.blob_id)) == Some(blob.sha256)
    }

    /// Hash of what is stored under the id, or `None` if it is not whole.
    fn stored_sha256<D: Disk>(&self, disk: &D, paths: &BlobPaths) -> Option<[u8; 32]> {
        let header = disk.read(&paths.header, seal::HEADER_MAX_BYTES).ok()?;
        let body = disk.read(&paths.body, seal::CIPHERTEXT_MAX_BYTES).ok()?;
        Some(Sha256::new().chain_update(header).chain_update(body).finalize().into())
    }
}

/// The header, which can be deleted, and the rest.
fn split<'a>(bytes: &'a [u8], blob: &BlobRef) -> Result<(&'a [u8], &'a [u8]), StoreError> {
    let Some(size) = blob.header_size else { return Ok(seal::split_header(bytes)?) };
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if size == 0 || size > seal::HEADER_MAX_BYTES {
        return Err(StoreError::BlobDiffers(hex(&blob.blob_id)));
    }
    bytes.split_at_checked(size).ok_or_else(|| StoreError::BlobDiffers(hex(&blob.blob_id)))
}

/// What the log says about a picture that was sealed here.
pub fn describe(blob_id: Id, label: Label, media: Media, sealed: &Sealed) -> BlobRef {
    BlobRef {
        blob_id,
        label: label.number(),
        media: media.number(),
        sha256: sealed.ciphertext_sha256,
        size: sealed.ciphertext.len() as u64,
        commitment: sealed.commitment,
        header_size: None,
    }
}

/// Reads a whole age file back from its two halves.
pub fn read_blob<D: Disk>(disk: &D, store: &Path, blob_id: &Id) -> io::Result<Vec<u8>> {
    let paths = BlobPaths::of(store, blob_id);
    let mut whole = disk.read(&paths.header, seal::HEADER_MAX_BYTES)?;
    whole.extend(disk.read(&paths.body, seal::CIPHERTEXT_MAX_BYTES)?);
    Ok(whole)
}

/// Lower-case hex, as ids are written everywhere.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads what `hex` wrote.
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}
