//! The files of a store that an audit did not vouch for, by name: whoever changes them is not noticed, so nobody should
//! rely on them.
//!
//! ```text
//! tile/…          compared with the tile of the walk, as far as it is under the checkpoint; a narrower version of a
//!                 tile that has grown is its beginning, and is compared with that
//! headers/ blobs/ erased/   covered if an entry lists them
//! the notes       covered if each of their signatures was checked
//! anything else   the recorder's own files, what waits for another option, and what nobody knows
//! ```
//! A recorder may be running: files that vanish in between are passed over.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use sudare_evidence::reader::Store;
use sudare_evidence::store::blobs::{BODIES, ERASED, HEADERS};
use sudare_protocol::hex::{hex, unhex};
use sudare_protocol::tlog::tiles::{self, MAX_BUNDLE_BYTES, TILE_WIDTH};
use sudare_protocol::tlog::{TileContent, TilePath};
use sudare_protocol::verify::{FindingKind, Findings};

use crate::blobs::Pictures;
use crate::error::AuditError;

/// Names that are listed; further ones are only counted.
const LISTED_MAX: usize = 100_000;
/// Folders inside folders; the deepest of a store are those of tiles.
const DEPTH_MAX: usize = 16;

/// What the audit of a store vouches for.
#[derive(Debug, Default)]
pub(super) struct Covered {
    /// Entries under the checkpoint.
    pub size: u64,
    /// Notes and time tokens, relative to the store, of which every byte was checked.
    pub files: BTreeSet<PathBuf>,
    /// The sealed pictures; `None` if they were not looked at.
    pub pictures: Option<Pictures>,
}

/// Paths relative to the store.
#[derive(Clone, Debug, Default)]
pub(super) struct Uncovered {
    /// Sorted.
    pub paths: Vec<String>,
    /// How many more there are.
    pub unlisted: u64,
}

/// Looks at each file of the store once. What can be compared and differs becomes a finding.
pub(super) fn find(
    store: &Store,
    covered: &Covered,
    findings: &mut Findings,
) -> Result<Uncovered, AuditError> {
    let mut uncovered = Uncovered::default();
    let mut folders = vec![(PathBuf::new(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let Ok(files) = fs::read_dir(store.dir().join(&folder)) else {
            // Not ours to read, or gone: nothing in it was covered.
            uncovered.add(&folder);
            continue;
        };
        for file in files.flatten() {
            let path = folder.join(file.file_name());
            let Ok(kind) = file.file_type() else { continue };
            if kind.is_dir() && depth < DEPTH_MAX {
                folders.push((path, depth + 1));
            } else if !kind.is_file() || !is_covered(store, &path, covered, findings)? {
                uncovered.add(&path);
            }
        }
    }
    uncovered.paths.sort_unstable();
    Ok(uncovered)
}

impl Uncovered {
    fn add(&mut self, path: &Path) {
        if self.paths.len() < LISTED_MAX {
            self.paths.push(path.to_string_lossy().into_owned());
        } else {
            self.unlisted += 1;
        }
    }
}

fn is_covered(
    store: &Store,
    path: &Path,
    covered: &Covered,
    findings: &mut Findings,
) -> Result<bool, AuditError> {
    let Some(name) = path.to_str() else { return Ok(false) };
    if covered.files.contains(path) {
        return Ok(true);
    }
    if let Ok(tile) = name.parse() {
        return is_covered_tile(store, tile, covered.size, findings);
    }
    let (Some((folder, id)), Some(pictures)) = (name.split_once('/'), &covered.pictures) else {
        return Ok(false);
    };
    let Some(blob_id) = unhex(id).filter(|blob_id| hex(blob_id) == id) else { return Ok(false) };
    Ok(match folder {
        HEADERS | BODIES => pictures.compared.contains(&blob_id),
        // Empty, so that there is nothing in it to be changed.
        ERASED => pictures.erased.contains(&blob_id) && is_empty(&store.dir().join(path)),
        _ => false,
    })
}

fn is_empty(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|about| about.len() == 0)
}

/// Whether a tile is under the checkpoint. Its newest version was compared with the entries by the walk.
fn is_covered_tile(
    store: &Store,
    tile: TilePath,
    size: u64,
    findings: &mut Findings,
) -> Result<bool, AuditError> {
    let newest = TilePath { width: tiles::width_at(tile.content, tile.index, size), ..tile };
    if tile.width > newest.width {
        return Ok(false);
    }
    if !tile.is_partial() {
        return Ok(true);
    }
    let max_bytes = if tile.content == TileContent::Entries { MAX_BUNDLE_BYTES } else { TILE_WIDTH * 32 };
    let path = store.dir().join(tile.to_string());
    // Gone already, or its full version: the walk has reported that.
    let (Some(stored), Some(whole)) = (store.read(&path, max_bytes)?, store.tile(newest)?) else {
        return Ok(true);
    };
    if beginning(tile, &whole) != Some(stored.as_slice()) {
        let detail = format!("{tile}: it is not the beginning of {newest}");
        findings.add(FindingKind::TileDiffers, None, detail);
    }
    Ok(true)
}

/// What a narrower version of this tile holds.
fn beginning(tile: TilePath, whole: &[u8]) -> Option<&[u8]> {
    match tile.content {
        TileContent::Entries => tiles::first_entries(whole, tile.width),
        TileContent::Hashes(_) => whole.get(..tile.width * 32),
    }
}
