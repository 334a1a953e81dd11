//! What the shipper gives up once it runs; call it before the first thread.

use std::path::Path;

use sudare_base::files;
use sudare_base::harden::confine_reader;

use crate::state;

/// `keys` are read anew while it runs. `places` are addresses: `file://` ones are folders on this host, all others need
/// the network.
pub fn confine<'a>(
    store: &Path,
    state_dir: &Path,
    keys: &[&Path],
    places: impl Iterator<Item = &'a str>,
) -> anyhow::Result<()> {
    let (folders, addresses): (Vec<&str>, Vec<&str>) =
        places.partition(|place| place.starts_with("file:///"));
    let folders: Vec<&Path> =
        folders.into_iter().filter_map(|url| url.strip_prefix("file://")).map(Path::new).collect();
    // Landlock rules are about existing folders.
    state::make_dir(state_dir)?;
    folders.iter().try_for_each(|folder| files::make_private_dir(folder))?;
    confine_reader(store, state_dir, keys, &folders, !addresses.is_empty())?;
    Ok(())
}
