//! Closes to the services that tell others of evidence what they do not need. Before their first thread.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use sudare_host_ext::files;
use sudare_host_ext::harden::{self, Rules};
use sudare_host_ext::siem::Target;

/// `places` are addresses: `file://` ones are folders of this machine, all others need the network.
pub(crate) fn shipper<'a>(
    store: &Path,
    state: &Path,
    places: impl Iterator<Item = &'a str>,
) -> anyhow::Result<()> {
    let (folders, addresses): (Vec<&str>, Vec<&str>) =
        places.partition(|place| place.starts_with("file:///"));
    let folders: Vec<&Path> =
        folders.into_iter().filter_map(|url| url.strip_prefix("file://")).map(Path::new).collect();
    // Rules are about what is there. The recorder, which is another user, reads in the state folder.
    DirBuilder::new().recursive(true).mode(0o755).create(state)?;
    folders.iter().try_for_each(|folder| files::make_private_dir(folder))?;
    close(store, state, &authorities(), &folders, !addresses.is_empty())
}

/// `own` are files that were named on the command line.
pub(crate) fn forwarder<'a>(
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
    // Rules are about what is there.
    files::make_private_dir(state)?;
    let files: Vec<PathBuf> = own.cloned().chain(authorities()).collect();
    let folders: Vec<&Path> = folder.into_iter().collect();
    close(store, state, &files, &folders, folders.is_empty())
}

fn close(
    store: &Path,
    state: &Path,
    files: &[PathBuf],
    folders: &[&Path],
    connects: bool,
) -> anyhow::Result<()> {
    harden::protect()?;
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    harden::confine(&Rules::reader(store, state, &files, folders, connects))?;
    Ok(())
}

/// Where the environment says that authorities of certificates are, instead of the system's places.
fn authorities() -> Vec<PathBuf> {
    ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().filter_map(std::env::var_os).map(PathBuf::from).collect()
}
