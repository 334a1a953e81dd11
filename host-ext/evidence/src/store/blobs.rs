//! Sealed pictures as two files, so that deleting the small one erases the picture for good.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};
use sudare_protocol::evidence::{BlobRef, Id, Label, Media};
use sudare_protocol::hex::hex;
use sudare_protocol::seal::{self, Sealed};

use super::disk::Disk;
use super::durable::Durable;
use super::error::StoreError;

/// Folder of the age headers.
pub const HEADERS: &str = "headers";
/// Folder of the bodies.
pub const BODIES: &str = "blobs";
/// Folder of empty files named after erased pictures.
pub const ERASED: &str = "erased";

/// Paths of a blob's two files in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobPaths {
    /// The age header, including its MAC line.
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

/// Puts sealed pictures into a store. Clones know which pictures the others are writing.
#[derive(Clone, Debug)]
pub struct BlobStore {
    store: PathBuf,
    writing: Arc<Writing>,
}

impl BlobStore {
    /// The pictures of the store in this folder.
    pub fn new(store: &Path) -> Self {
        Self { store: store.to_owned(), writing: Arc::default() }
    }

    /// Stores a sealed picture durably.
    ///
    /// The same picture again is accepted (a client resends after a lost acknowledgement). Another one under the same id
    /// is refused, and so is the same one split at another byte: its files would no longer be those that the log vouches
    /// for. An erased picture is not written again. A power cut may leave one of the two files: the log refers to neither
    /// before this returns, and the client resends the picture.
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
        let _alone = self.writing.claim(blob.blob_id);
        match stored(durable.disk(), &paths) {
            Some(there) if there != Stored { sha256, header_bytes: header.len() } => {
                return Err(StoreError::BlobExists(hex(&blob.blob_id)));
            }
            None if self.is_erased(durable.disk(), &blob.blob_id)? => return Ok(()),
            _ => {}
        }
        // Written again even if it is there: the first time may not have reached the disk.
        durable.replace_all(&[(&paths.body, body), (&paths.header, header)])
    }

    /// Whether storing this picture takes no space: it is stored whole, or was erased.
    pub fn knows<D: Disk>(&self, disk: &D, blob: &BlobRef) -> bool {
        let there = stored(disk, &BlobPaths::of(&self.store, &blob.blob_id));
        match there {
            Some(there) => there.sha256 == blob.sha256,
            None => self.is_erased(disk, &blob.blob_id).unwrap_or(false),
        }
    }

    /// Marks pictures as erased, durably: a client that resends one, because the acknowledgement was lost, must not
    /// restore it.
    pub fn mark_erased<D: Disk>(&self, durable: &mut Durable<D>, blobs: &[Id]) -> Result<(), StoreError> {
        let marks: Vec<PathBuf> = blobs.iter().map(|id| self.mark(id)).collect();
        let files: Vec<(&Path, &[u8])> = marks.iter().map(|mark| (mark.as_path(), &[][..])).collect();
        if files.is_empty() { Ok(()) } else { durable.replace_all(&files) }
    }

    /// An unreadable mark is an error: it must neither restore a picture nor lose one.
    fn is_erased<D: Disk>(&self, disk: &D, blob_id: &Id) -> Result<bool, StoreError> {
        let mark = self.mark(blob_id);
        match disk.read(&mark, 0) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(StoreError::io(&mark, "read", error)),
        }
    }

    fn mark(&self, blob_id: &Id) -> PathBuf {
        self.store.join(ERASED).join(hex(blob_id))
    }
}

/// Ids that are being written: of two pictures that arrive at once under one id, the second must see the first.
#[derive(Debug, Default)]
struct Writing {
    ids: Mutex<BTreeSet<Id>>,
    freed: Condvar,
}

impl Writing {
    /// Waits until nobody else writes a picture under this id.
    fn claim(&self, id: Id) -> Claim<'_> {
        let mut ids = self.lock();
        while !ids.insert(id) {
            ids = self.freed.wait(ids).unwrap_or_else(PoisonError::into_inner);
        }
        Claim { writing: self, id }
    }

    /// A set is whole after every statement, so a panicked holder leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, BTreeSet<Id>> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Claim<'a> {
    writing: &'a Writing,
    id: Id,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.writing.lock().remove(&self.id);
        self.writing.freed.notify_all();
    }
}

#[derive(PartialEq, Eq)]
struct Stored {
    sha256: [u8; 32],
    header_bytes: usize,
}

/// The picture stored under the id, or `None` if it is not whole.
fn stored<D: Disk>(disk: &D, paths: &BlobPaths) -> Option<Stored> {
    let header = disk.read(&paths.header, seal::HEADER_MAX_BYTES).ok()?;
    let body = disk.read(&paths.body, seal::CIPHERTEXT_MAX_BYTES).ok()?;
    let sha256 = Sha256::new().chain_update(&header).chain_update(body).finalize().into();
    Some(Stored { sha256, header_bytes: header.len() })
}

/// The first part, which erasing deletes, and the rest. Whatever the sender says, the first part must hold the whole age
/// header: otherwise deleting it would erase nothing.
fn split<'a>(bytes: &'a [u8], blob: &BlobRef) -> Result<(&'a [u8], &'a [u8]), StoreError> {
    let differs = || StoreError::BlobDiffers(hex(&blob.blob_id));
    let (header, body) = seal::split_header(bytes)?;
    let Some(size) = blob.header_size else { return Ok((header, body)) };
    let size = usize::try_from(size).map_err(|_| differs())?;
    if size < header.len() || size > seal::HEADER_MAX_BYTES {
        return Err(differs());
    }
    bytes.split_at_checked(size).ok_or_else(differs)
}

/// The log's reference to a picture that was sealed here.
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

/// Reads a whole age file back from its two files.
pub fn read_blob<D: Disk>(disk: &D, store: &Path, blob_id: &Id) -> io::Result<Vec<u8>> {
    let paths = BlobPaths::of(store, blob_id);
    let mut whole = disk.read(&paths.header, seal::HEADER_MAX_BYTES)?;
    whole.extend(disk.read(&paths.body, seal::CIPHERTEXT_MAX_BYTES)?);
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;
    use crate::store::OsDisk;
    use sudare_protocol::seal::{Custodian, Identity, Recipients, seal_for_custodian};

    const ID: Id = [7; 16];

    fn sealed(picture: &[u8]) -> Sealed {
        let auditors = [Identity::generate().recipient(), Identity::generate().recipient()];
        seal::seal(picture, &[1; 32], &Recipients::parse(&auditors).unwrap()).unwrap()
    }

    fn blob_of(sealed: &Sealed, header_size: Option<usize>) -> BlobRef {
        let header_size = header_size.map(|size| u32::try_from(size).unwrap());
        BlobRef { header_size, ..describe(ID, Label::CameraAt, Media::Jpeg, sealed) }
    }

    fn files(dir: &Path) -> Option<(Vec<u8>, Vec<u8>)> {
        let paths = BlobPaths::of(dir, &ID);
        Some((std::fs::read(paths.header).ok()?, std::fs::read(paths.body).ok()?))
    }

    #[test]
    fn the_same_picture_divided_elsewhere_is_refused_and_the_stored_files_stay() {
        let dir = tempfile::tempdir().unwrap();
        let (store, mut durable) = (BlobStore::new(dir.path()), Durable::new(OsDisk, dir.path()));
        let sealed = sealed(b"picture");
        let header = seal::split_header(&sealed.ciphertext).unwrap().0.len();
        let first = blob_of(&sealed, Some(header + 1));
        store.put(&mut durable, &first, &sealed.ciphertext).unwrap();
        store.put(&mut durable, &first, &sealed.ciphertext).unwrap();
        let before = files(dir.path());
        for other in [Some(header + 2), None] {
            let refused = store.put(&mut durable, &blob_of(&sealed, other), &sealed.ciphertext);
            assert!(matches!(refused, Err(StoreError::BlobExists(_))), "{other:?}: {refused:?}");
            assert_eq!(files(dir.path()), before);
        }
    }

    #[test]
    fn a_first_part_that_erasing_would_not_erase_is_refused_and_that_of_a_custodian_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let (store, mut durable) = (BlobStore::new(dir.path()), Durable::new(OsDisk, dir.path()));
        let sealed = sealed(b"picture");
        let header = seal::split_header(&sealed.ciphertext).unwrap().0.len();
        for size in [0, 1, header - 1, seal::HEADER_MAX_BYTES + 1, usize::try_from(u32::MAX).unwrap()] {
            let refused = store.put(&mut durable, &blob_of(&sealed, Some(size)), &sealed.ciphertext);
            assert!(matches!(refused, Err(StoreError::BlobDiffers(_))), "{size}: {refused:?}");
            assert_eq!(files(dir.path()), None);
        }
        let custodian = Custodian::parse(&Identity::generate().recipient()).unwrap();
        let (wrapped, size) = seal_for_custodian(&sealed, &custodian).unwrap();
        let size = usize::try_from(size).unwrap();
        store.put(&mut durable, &blob_of(&wrapped, Some(size)), &wrapped.ciphertext).unwrap();
        assert_eq!(files(dir.path()).unwrap().0.len(), size);
    }

    #[test]
    fn what_was_erased_is_not_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let (store, mut durable) = (BlobStore::new(dir.path()), Durable::new(OsDisk, dir.path()));
        let sealed = sealed(b"picture");
        let blob = blob_of(&sealed, None);
        store.put(&mut durable, &blob, &sealed.ciphertext).unwrap();
        store.mark_erased(&mut durable, &[ID]).unwrap();
        let paths = BlobPaths::of(dir.path(), &ID);
        std::fs::remove_file(&paths.header).unwrap();
        std::fs::remove_file(&paths.body).unwrap();
        store.put(&mut durable, &blob, &sealed.ciphertext).unwrap();
        assert!(!paths.header.exists() && !paths.body.exists());
        assert!(store.knows(durable.disk(), &blob));
    }

    #[test]
    fn of_two_pictures_that_come_at_once_under_one_id_one_is_refused() {
        let sealed = [sealed(b"one"), sealed(b"another")];
        for _ in 0..50 {
            let dir = tempfile::tempdir().unwrap();
            let (store, barrier) = (BlobStore::new(dir.path()), Barrier::new(2));
            let put = |sealed: &Sealed| {
                let mut durable = Durable::new(OsDisk, dir.path());
                barrier.wait();
                store.clone().put(&mut durable, &blob_of(sealed, None), &sealed.ciphertext)
            };
            let stored = thread::scope(|scope| {
                let each = [scope.spawn(|| put(&sealed[0])), scope.spawn(|| put(&sealed[1]))];
                each.map(|thread| thread.join().unwrap())
            });
            let refused = stored.iter().filter(|one| matches!(one, Err(StoreError::BlobExists(_)))).count();
            assert_eq!((refused, stored.iter().filter(|one| one.is_ok()).count()), (1, 1), "{stored:?}");
        }
    }
}
