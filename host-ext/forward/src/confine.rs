//! What the forwarder gives up once it runs; call it before the first thread.

use std::path::{Path, PathBuf};

use sudare_base::files;
use sudare_base::harden::confine_reader;

use crate::target::Target;

/// `own` are files given on the command line.
pub fn confine<'a>(
    store: &Path,
    state: &Path,
    own: impl Iterator<Item = &'a PathBuf>,
    target: &Target,
) -> anyhow::Result<()> {
    let folder = match target {
        Target::File(path) => {
            Some(path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))
        }
        _ => None,
    };
    // Landlock rules are about existing folders.
    files::make_private_dir(state)?;
    let files: Vec<&Path> = own.map(PathBuf::as_path).collect();
    let folders: Vec<&Path> = folder.into_iter().collect();
    confine_reader(store, state, &files, &folders, folders.is_empty())?;
    Ok(())
}
