//! The embedder as it was before its PRelu was rewritten, for those who compare with others.
//!
//! A benchmark that lets another program run the rewritten file measures our work on both sides. Nobody else needs
//! this file, so it is made when it is asked for.

use std::path::PathBuf;

use super::carrier::Carriers;
use super::tools::Tools;
use super::{FetchOptions, Progress};
use crate::scratch::Scratch;
use crate::{Digest, Manifest, ModelError, Place, Role, Store, bounded, onnx};

/// Brings the embedder whose SHA-256 operator files name into the cache and returns its path. A second call does not
/// touch the network; neither does the first where an earlier version of Sudare has left the file.
///
/// # Errors
/// No source delivers it.
pub fn fetch_original_embedder(
    store: &Store,
    options: &FetchOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<PathBuf, ModelError> {
    fetch_with(store, Manifest::embedded()?, &options.with_environment(), &Tools::installed(), progress)
}

pub(super) fn fetch_with(
    store: &Store,
    manifest: &Manifest,
    options: &FetchOptions,
    tools: &Tools,
    progress: &mut dyn FnMut(Progress),
) -> Result<PathBuf, ModelError> {
    let (role, directory) = (Role::FaceEmbedder, store.directory());
    let sources = store.sources(manifest, role)?;
    for source in &sources {
        let path = store.path(role, source.vectors_of());
        let there = bounded::read_file(&path, crate::manifest::ARTIFACT_BYTES_MAX);
        if there.is_ok_and(|bytes| Digest::of(&bytes) == source.vectors_of()) {
            return Ok(path);
        }
    }
    let scratch =
        Scratch::take(directory, || progress(Progress::Waiting { directory: directory.to_owned() }))?;
    let mut carriers = Carriers::new(manifest, options, tools, scratch.folder(), progress);
    let mut attempts = Vec::new();
    for place in [Place::Mirror, Place::Registry, Place::Upstream] {
        if carriers.may_ask(place).is_err() {
            continue;
        }
        for source in &sources {
            let Some(published) = carriers.published(place, source, role.name(), &mut attempts) else {
                continue;
            };
            match onnx::prepare(published, source.steps_to_original()) {
                Ok(bytes) if Digest::of(&bytes) == source.vectors_of() => {
                    return store.put_as(role, source.vectors_of(), &bytes);
                }
                Ok(_) => attempts.push(carriers.failed(place, &source.file, &"it gave another file")),
                Err(error) => attempts.push(carriers.failed(place, &source.file, &error)),
            }
        }
    }
    let files = carriers.files(&sources);
    Err(ModelError::Unobtainable { what: format!("the original {role}"), attempts, files })
}
