//! A place outside the host. Files there never change once written; only checkpoints are replaced.

use std::path::Path as FilePath;
use std::sync::Arc;

use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    Error, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload, PutResult, UpdateVersion,
};
use sudare_protocol::tlog::SignedCheckpoint;

use crate::error::ShipError;
use crate::s3::{self, Retention};

/// An open destination.
#[derive(Debug)]
pub(super) struct Destination {
    shown: String,
    base: Path,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Folder(Arc<LocalFileSystem>),
    S3(s3::Bucket),
}

/// A checkpoint that is at the destination.
#[derive(Clone, Debug)]
pub(super) struct ShippedCheckpoint {
    pub(super) checkpoint: SignedCheckpoint,
    pub(super) destination: Arc<Destination>,
}

/// A file as it was read, with the version that it must still have when it is replaced.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// The content.
    pub(super) bytes: Vec<u8>,
    version: UpdateVersion,
}

impl Destination {
    /// Opens `file:///folder` (made if it is missing) or `s3://bucket/prefix`; queries a bucket's retention and
    /// versioning.
    pub(super) async fn open(url: &str) -> Result<Self, ShipError> {
        let refuse = |why| ShipError::Url(url.to_owned(), why);
        if url.contains(|c: char| c.is_control()) {
            return Err(refuse("it contains a control character, such as the end of a line"));
        }
        if url.contains(['?', '#', '@']) {
            return Err(refuse("it contains a query, a fragment or a user"));
        }
        if let Some(folder) = url.strip_prefix("file://") {
            if !folder.starts_with('/') {
                return Err(refuse("a folder is an absolute path after file://"));
            }
            let kind = Kind::Folder(Arc::new(open_folder(FilePath::new(folder))?));
            return Ok(Self { shown: url.to_owned(), base: Path::default(), kind });
        }
        let Some(rest) = url.strip_prefix("s3://") else {
            return Err(refuse("it begins with neither file:/// nor s3://"));
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(refuse("it names no bucket"));
        }
        let base = Path::parse(prefix).map_err(|_| refuse("its prefix has empty or forbidden parts"))?;
        Ok(Self { shown: url.to_owned(), base, kind: Kind::S3(s3::Bucket::open(bucket).await?) })
    }

    /// The address; it holds no secret.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// A bucket's default retention; a folder has none.
    pub(super) fn retention(&self) -> Option<&Retention> {
        match &self.kind {
            Kind::Folder(_) => None,
            Kind::S3(bucket) => bucket.retention.as_ref(),
        }
    }

    /// Why files here could not be deleted for good; `None` if they can.
    pub(super) fn keeps(&self) -> Option<&'static str> {
        match &self.kind {
            Kind::S3(bucket) if bucket.retention.is_some() => Some("it has a default retention"),
            Kind::S3(bucket) if bucket.versioned => Some("it keeps the versions of deleted objects"),
            _ => None,
        }
    }

    /// False for a bucket without default retention, from which everything can be deleted at once.
    pub(super) fn is_locked_or_folder(&self) -> bool {
        matches!(&self.kind, Kind::Folder(_)) || self.retention().is_some()
    }

    /// Puts a file that never changes. The same content is accepted, so that an upload can be repeated.
    pub(super) async fn create(&self, path: &str, bytes: Vec<u8>) -> Result<(), ShipError> {
        let payload = PutPayload::from(bytes);
        match self.put(path, payload.clone(), PutMode::Create).await {
            Ok(_) => Ok(()),
            Err(Error::AlreadyExists { .. }) => {
                let there = self.read(path, payload.content_length()).await?;
                let ours = payload.iter().flat_map(|part| part.iter());
                let same = there.is_some_and(|found| found.bytes.iter().eq(ours));
                if same { Ok(()) } else { Err(ShipError::Differs { path: path.to_owned() }) }
            }
            Err(source) => Err(remote(path, "put", source)),
        }
    }

    /// Replaces exactly the checkpoint that was read, and no other.
    pub(super) async fn replace(
        &self,
        path: &str,
        bytes: &[u8],
        old: Option<&Found>,
    ) -> Result<Found, ShipError> {
        let result = match (&self.kind, old) {
            // A folder cannot compare and write in one step, so it is read once more just before.
            (Kind::Folder(_), _) => {
                let now = self.read(path, bytes.len() + MORE_BYTES).await?;
                if now.map(|found| found.bytes) != old.map(|found| found.bytes.clone()) {
                    return Err(ShipError::OtherWriter);
                }
                self.put(path, bytes.to_vec().into(), PutMode::Overwrite).await
            }
            (Kind::S3(_), Some(old)) => {
                self.put(path, bytes.to_vec().into(), PutMode::Update(old.version.clone())).await
            }
            (Kind::S3(_), None) => self.put(path, bytes.to_vec().into(), PutMode::Create).await,
        };
        match result {
            Ok(put) => Ok(Found {
                bytes: bytes.to_vec(),
                version: UpdateVersion { e_tag: put.e_tag, version: put.version },
            }),
            Err(Error::Precondition { .. } | Error::AlreadyExists { .. }) => {
                // The answer to an earlier request may have been lost: then ours is there already.
                let there = self.read(path, bytes.len()).await.ok().flatten();
                there.filter(|found| found.bytes == bytes).ok_or(ShipError::OtherWriter)
            }
            Err(source) => Err(remote(path, "put", source)),
        }
    }

    /// Puts a file that anything newer may replace.
    pub(super) async fn overwrite(&self, path: &str, bytes: Vec<u8>) -> Result<(), ShipError> {
        let put = self.put(path, bytes.into(), PutMode::Overwrite).await;
        put.map(drop).map_err(|source| remote(path, "put", source))
    }

    /// A file of at most `max_bytes`; a longer one cannot be ours.
    pub(super) async fn read(&self, path: &str, max_bytes: usize) -> Result<Option<Found>, ShipError> {
        let result = match self.reader().get(&self.full(path)).await {
            Ok(result) => result,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(source) => return Err(remote(path, "read", source)),
        };
        if result.meta.size > max_bytes as u64 {
            return Err(ShipError::Differs { path: path.to_owned() });
        }
        let version =
            UpdateVersion { e_tag: result.meta.e_tag.clone(), version: result.meta.version.clone() };
        let bytes = result.bytes().await.map_err(|source| remote(path, "read", source))?;
        Ok(Some(Found { bytes: bytes.into(), version }))
    }

    /// Deletes a file; a missing one is not an error.
    pub(super) async fn remove(&self, path: &str) -> Result<(), ShipError> {
        match self.reader().delete(&self.full(path)).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(remote(path, "deleted", source)),
        }
    }

    /// Deletes the files of a folder.
    pub(super) async fn remove_folder(&self, folder: &str) -> Result<(), ShipError> {
        let listed = self.reader().list_with_delimiter(Some(&self.full(folder))).await;
        for object in listed.map_err(|source| remote(folder, "listed", source))?.objects {
            match self.reader().delete(&object.location).await {
                Ok(()) | Err(Error::NotFound { .. }) => {}
                Err(source) => return Err(remote(folder, "deleted", source)),
            }
        }
        Ok(())
    }

    async fn put(&self, path: &str, payload: PutPayload, mode: PutMode) -> object_store::Result<PutResult> {
        let options = PutOptions { mode, ..PutOptions::default() };
        self.writer().put_opts(&self.full(path), payload, options).await
    }

    fn full(&self, path: &str) -> Path {
        let name = Path::from(path);
        self.base.parts().chain(name.parts()).collect()
    }

    fn reader(&self) -> &dyn ObjectStore {
        match &self.kind {
            Kind::Folder(folder) => folder.as_ref(),
            Kind::S3(bucket) => &bucket.reader,
        }
    }

    fn writer(&self) -> &dyn ObjectStore {
        match &self.kind {
            Kind::Folder(folder) => folder.as_ref(),
            Kind::S3(bucket) => &bucket.writer,
        }
    }
}

/// The older checkpoint may be longer than the new one because of its cosignatures.
const MORE_BYTES: usize = sudare_protocol::tlog::note::MAX_NOTE_BYTES;

fn remote(path: &str, action: &'static str, source: Error) -> ShipError {
    ShipError::Remote { path: path.to_owned(), action, source }
}

fn open_folder(folder: &FilePath) -> Result<LocalFileSystem, ShipError> {
    sudare_base::files::make_private_dir(folder)?;
    let opened = LocalFileSystem::new_with_prefix(folder);
    // Without fsync a power cut could undo an acknowledged upload.
    opened
        .map(|store| store.with_fsync(true).with_automatic_cleanup(true))
        .map_err(|source| remote(&folder.display().to_string(), "opened", source))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn folder(dir: &FilePath) -> Destination {
        Destination::open(&format!("file://{}", dir.display())).await.unwrap()
    }

    #[tokio::test]
    async fn files_never_change_and_the_same_again_is_accepted() {
        let dir = tempfile::tempdir().unwrap();
        let place = folder(dir.path()).await;
        place.create("tile/entries/x001/000.p/12", b"one".to_vec()).await.unwrap();
        place.create("tile/entries/x001/000.p/12", b"one".to_vec()).await.unwrap();
        for other in [&b"two"[..], b"on", b"ones"] {
            let error = place.create("tile/entries/x001/000.p/12", other.to_vec()).await.unwrap_err();
            assert!(matches!(error, ShipError::Differs { .. }), "{error}");
        }
        let file = dir.path().join("tile/entries/x001/000.p/12");
        assert_eq!(std::fs::read(&file).unwrap(), b"one");
        place.remove_folder("tile/entries/x001/000.p").await.unwrap();
        assert!(!file.exists());
        place.remove("tile/entries/x001/000.p/12").await.unwrap();
    }

    #[tokio::test]
    async fn a_checkpoint_replaces_only_the_one_that_was_read() {
        let dir = tempfile::tempdir().unwrap();
        let place = folder(dir.path()).await;
        assert!(place.read("checkpoint", 10).await.unwrap().is_none());
        let first = place.replace("checkpoint", b"1", None).await.unwrap();
        let error = place.replace("checkpoint", b"2", None).await.unwrap_err();
        assert!(matches!(error, ShipError::OtherWriter), "{error}");
        place.replace("checkpoint", b"2", Some(&first)).await.unwrap();
        assert_eq!(place.read("checkpoint", 10).await.unwrap().unwrap().bytes, b"2");
        assert!(matches!(place.read("checkpoint", 0).await, Err(ShipError::Differs { .. })));
    }

    #[tokio::test]
    async fn an_invalid_destination_is_refused() {
        for url in [
            "/folder",
            "file://folder",
            "s3://",
            "https://x/y",
            "s3://key@bucket/a",
            "s3://b/a//b",
            "s3://b?x",
            "s3://b\r/x",
        ] {
            assert!(matches!(Destination::open(url).await, Err(ShipError::Url(..))), "{url}");
        }
    }
}
