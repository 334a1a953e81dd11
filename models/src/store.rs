//! The cache on the device: files by hash, checked each time they are read.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{env, fmt, fs, io};

use crate::manifest::Source;
use crate::{Digest, Facts, Manifest, ModelError, Role, bounded, durable};

/// A folder with the files that [`crate::fetch`] has obtained. Nothing here uses a network.
///
/// A file is called `ROLE-SHA256.onnx`; its content is hashed whenever it is read. Whoever can
/// write to the folder can therefore delete a model, but not exchange it.
#[derive(Debug, Clone)]
pub struct Store {
    directory: PathBuf,
    platform: String,
}

/// A model whose bytes have been read once and hashed. These are the bytes to use; the file
/// may change afterwards.
pub struct VerifiedModel {
    /// What it is for.
    pub role: Role,
    /// SHA-256 of `bytes`.
    pub sha256: Digest,
    /// Of an embedder: names the space of its vectors, as operator files do. Files that compute the same vectors
    /// have the same name here.
    pub vectors_of: Digest,
    /// The ONNX model.
    pub bytes: Vec<u8>,
    /// How to feed it and how to read its answer.
    pub facts: Facts,
}

impl fmt::Debug for VerifiedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifiedModel({}, {} bytes, SHA-256 {})", self.role, self.bytes.len(), self.sha256)
    }
}

/// A file of the cache that is what it should be.
#[derive(Debug)]
pub(crate) struct Verified<'a> {
    pub(crate) source: &'a Source,
    pub(crate) path: PathBuf,
    bytes: Vec<u8>,
}

impl Store {
    /// The cache in `directory`, which is created (for this user only) if it is not there.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, ModelError> {
        let directory = directory.into();
        durable::create_directory(&directory).map_err(ModelError::io("create", &directory))?;
        Ok(Self { directory, platform: format!("{}-{}", env::consts::OS, env::consts::ARCH) })
    }

    /// `SUDARE_CACHE`, else `sudare/models` in the user's cache directory.
    pub fn default_dir() -> Result<PathBuf, ModelError> {
        directory_from(|name| env::var_os(name))
    }

    /// Where the files lie.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Reads a model. A damaged file is set aside, so that the next fetch replaces it.
    pub fn load(&self, role: Role) -> Result<VerifiedModel, ModelError> {
        let manifest = Manifest::embedded()?;
        let facts = match role {
            Role::FaceDetector => Facts::Detector(manifest.face_detector.facts.clone()),
            Role::FaceEmbedder => Facts::Embedder(manifest.face_embedder.facts.clone()),
            Role::FaceMesh => Facts::Mesh(manifest.face_mesh.facts.clone()),
            Role::AntiSpoof => Facts::AntiSpoof(manifest.anti_spoof.facts.clone()),
            Role::PhoneDetector => Facts::Phones(manifest.phone_detector.facts.clone()),
            Role::OnnxRuntime => return Err(ModelError::NotAModel { role }),
        };
        let found = self.verified(manifest, role)?.ok_or_else(|| self.missing(role))?;
        let (sha256, vectors_of) = (found.source.cached_sha256(), found.source.vectors_of());
        Ok(VerifiedModel { role, sha256, vectors_of, bytes: found.bytes, facts })
    }

    /// The ONNX Runtime library, checked just now. The system's loader reads the file once more,
    /// so this is as safe as the folder, which only its owner may write to.
    pub fn runtime_library(&self) -> Result<PathBuf, ModelError> {
        let role = Role::OnnxRuntime;
        let found = self.verified(Manifest::embedded()?, role)?.ok_or_else(|| self.missing(role))?;
        Ok(found.path)
    }

    pub(crate) fn sources<'a>(
        &'a self,
        manifest: &'a Manifest,
        role: Role,
    ) -> Result<Vec<&'a Source>, ModelError> {
        let sources: Vec<_> = manifest.sources(role, &self.platform).collect();
        if sources.is_empty() {
            return Err(ModelError::UnsupportedPlatform { role, platform: self.platform.clone() });
        }
        Ok(sources)
    }

    /// The best file for `role` that the cache holds whole, or `None`.
    pub(crate) fn verified<'a>(
        &'a self,
        manifest: &'a Manifest,
        role: Role,
    ) -> Result<Option<Verified<'a>>, ModelError> {
        let mut damaged = None;
        for source in self.sources(manifest, role)? {
            let path = self.path(role, source.cached_sha256());
            match bounded::read_file(&path, source.cached_bytes()) {
                Ok(bytes) if Digest::of(&bytes) == source.cached_sha256() => {
                    return Ok(Some(Verified { source, path, bytes }));
                }
                Ok(_) => damaged = Some(put_aside(role, path, "its SHA-256 is another".to_owned())?),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                    damaged = Some(put_aside(role, path, error.to_string())?);
                }
                Err(error) => return Err(ModelError::io("read", &path)(error)),
            }
        }
        damaged.map_or(Ok(None), Err)
    }

    /// Keeps `bytes`, which the caller has checked against the hash of `source`.
    pub(crate) fn put(&self, role: Role, source: &Source, bytes: &[u8]) -> Result<PathBuf, ModelError> {
        self.put_as(role, source.cached_sha256(), bytes)
    }

    /// Keeps `bytes`, which the caller has checked against this hash.
    pub(crate) fn put_as(&self, role: Role, sha256: Digest, bytes: &[u8]) -> Result<PathBuf, ModelError> {
        let path = self.path(role, sha256);
        durable::write(&path, bytes).map_err(ModelError::io("write", &path))?;
        Ok(path)
    }

    /// Where the file of `role` with this hash lies, or would lie.
    #[must_use]
    pub fn path(&self, role: Role, sha256: Digest) -> PathBuf {
        let extension = if role == Role::OnnxRuntime { env::consts::DLL_EXTENSION } else { "onnx" };
        self.directory.join(format!("{role}-{sha256}.{extension}"))
    }

    fn missing(&self, role: Role) -> ModelError {
        ModelError::Missing { role, directory: self.directory.clone() }
    }
}

fn put_aside(role: Role, path: PathBuf, detail: String) -> Result<ModelError, ModelError> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".damaged");
    fs::rename(&path, &aside).map_err(ModelError::io("set aside", &path))?;
    Ok(ModelError::Damaged { role, path, detail })
}

fn directory_from(variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, ModelError> {
    let path = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // The XDG specification: a relative path is to be ignored.
    let absolute = |name| path(name).filter(|path| path.is_absolute());
    path("SUDARE_CACHE")
        .or_else(|| Some(absolute("XDG_CACHE_HOME")?.join("sudare/models")))
        .or_else(|| Some(absolute("LOCALAPPDATA")?.join("sudare\\models")))
        .or_else(|| Some(absolute("HOME")?.join(".cache/sudare/models")))
        .ok_or(ModelError::NoCacheDirectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_follows_the_variables() {
        let from = |pairs: &[(&str, &str)]| {
            let value = |name: &str| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| OsString::from(*v));
            directory_from(value).map(|path| path.to_string_lossy().into_owned()).ok()
        };
        assert_eq!(from(&[("SUDARE_CACHE", "here"), ("HOME", "/h")]).unwrap(), "here");
        assert_eq!(from(&[("XDG_CACHE_HOME", "/x"), ("HOME", "/h")]).unwrap(), "/x/sudare/models");
        assert_eq!(from(&[("XDG_CACHE_HOME", "x"), ("HOME", "/h")]).unwrap(), "/h/.cache/sudare/models");
        assert_eq!(from(&[("SUDARE_CACHE", ""), ("HOME", "/h")]).unwrap(), "/h/.cache/sudare/models");
        assert_eq!(from(&[]), None);
    }

    #[test]
    fn an_empty_cache_says_what_to_type() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        for error in [store.load(Role::FaceDetector).unwrap_err(), store.runtime_library().unwrap_err()] {
            assert!(error.to_string().ends_with("Run `sudare models fetch`"), "{error}");
        }
        assert!(matches!(store.load(Role::OnnxRuntime), Err(ModelError::NotAModel { .. })));
    }

    #[test]
    fn another_platform_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store { platform: "plan9-vax".to_owned(), ..Store::open(directory.path()).unwrap() };
        assert!(store.runtime_library().unwrap_err().to_string().contains("plan9-vax"));
    }

    #[test]
    fn a_damaged_file_is_put_aside() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let manifest = Manifest::embedded().unwrap();
        let source = &store.sources(manifest, Role::FaceDetector).unwrap()[0];
        for content in [b"short".to_vec(), vec![0; usize::try_from(source.cached_bytes()).unwrap() + 1]] {
            let path = store.put(Role::FaceDetector, source, &content).unwrap();
            let error = store.load(Role::FaceDetector).unwrap_err();
            assert!(matches!(error, ModelError::Damaged { .. }), "{error}");
            assert!(!path.exists() && fs::read_dir(directory.path()).unwrap().count() == 1);
            assert!(matches!(store.load(Role::FaceDetector), Err(ModelError::Missing { .. })));
        }
    }
}
