//! Deletes the files of pictures so that no power cut brings them back.
//!
//! ```text
//! unlink(headers/<id>) … · fsync(headers) · unlink(blobs/<id>) … · fsync(blobs)
//! ```

use std::io;
use std::path::{Path, PathBuf};

use sudare_evidence::store::blobs::{BODIES, BlobPaths, HEADERS};
use sudare_evidence::store::{Disk, StoreError};
use sudare_protocol::evidence::Id;

/// Deletes headers, then bodies; returns how many files were deleted. A file that is already gone is not an error, so
/// that the call can be repeated after a crash.
pub fn remove<D: Disk>(disk: &D, dir: &Path, pictures: &[Id]) -> Result<usize, StoreError> {
    if pictures.is_empty() {
        return Ok(0);
    }
    let paths: Vec<BlobPaths> = pictures.iter().map(|id| BlobPaths::of(dir, id)).collect();
    let headers = remove_files(disk, &dir.join(HEADERS), paths.iter().map(|paths| &paths.header))?;
    let bodies = remove_files(disk, &dir.join(BODIES), paths.iter().map(|paths| &paths.body))?;
    Ok(headers + bodies)
}

fn remove_files<'a, D: Disk>(
    disk: &D,
    folder: &Path,
    paths: impl Iterator<Item = &'a PathBuf>,
) -> Result<usize, StoreError> {
    let mut removed = 0;
    for path in paths {
        match disk.remove(path) {
            Ok(()) => removed += 1,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::io(path, "deleted", error)),
        }
    }
    // Even if nothing was deleted: an earlier run may have ended before its sync.
    match disk.sync_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(removed),
        synced => synced.map(|()| removed).map_err(|error| StoreError::io(folder, "synced", error)),
    }
}
