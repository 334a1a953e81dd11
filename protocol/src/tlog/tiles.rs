//! Names of tile files and the layout of entry bundles (C2SP tlog-tiles, height 8).
//!
//! A log of `n` entries has full tiles of 256 and, at the right edge of each level, one
//! partial tile of width 1 to 255. A bundle holds the entries under one tile of level 0:
//! `u16 big-endian length ‖ entry`, repeated.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Hashes in a full tile, entries in a full bundle.
pub const TILE_WIDTH: usize = 256;

/// The longest entry that the u16 length of a bundle can carry.
pub const MAX_ENTRY_BYTES: usize = u16::MAX as usize;

/// The largest bundle file: 256 entries of the greatest length.
pub const MAX_BUNDLE_BYTES: usize = TILE_WIDTH * (2 + MAX_ENTRY_BYTES);

/// What a tile file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TileContent {
    /// Hashes of a level of the tree.
    Hashes(u8),
    /// The entries themselves.
    Entries,
}

/// Names one tile file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TilePath {
    /// Hashes of a level, or entries.
    pub content: TileContent,
    /// Position within the level.
    pub index: u64,
    /// 256 for a full tile; 1 to 255 for the partial one at the right edge.
    pub width: usize,
}

impl TilePath {
    /// The same tile once it is full.
    pub fn full(self) -> Self {
        Self { width: TILE_WIDTH, ..self }
    }

    /// True at the right edge.
    pub fn is_partial(self) -> bool {
        self.width < TILE_WIDTH
    }

    /// Folder of the partial versions of this tile, relative to the log.
    pub fn partial_folder(self) -> String {
        format!("{}.p", self.full())
    }
}

/// The path relative to the log: `tile/0/x001/x234/067`, `tile/entries/000.p/12`.
impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.content {
            TileContent::Hashes(level) => write!(f, "tile/{level}/")?,
            TileContent::Entries => f.write_str("tile/entries/")?,
        }
        write_index(f, self.index)?;
        if self.is_partial() { write!(f, ".p/{}", self.width) } else { Ok(()) }
    }
}

impl FromStr for TilePath {
    type Err = NotATile;

    /// Reads what [`Display`](fmt::Display) writes, and nothing else: one tile has one name.
    fn from_str(text: &str) -> Result<Self, NotATile> {
        let (content, rest) = text.strip_prefix("tile/").and_then(|t| t.split_once('/')).ok_or(NotATile)?;
        let content = match content {
            "entries" => TileContent::Entries,
            level => TileContent::Hashes(level.parse().map_err(|_| NotATile)?),
        };
        let (index, width) = match rest.split_once(".p/") {
            Some((index, width)) => (index, width.parse().map_err(|_| NotATile)?),
            None => (rest, TILE_WIDTH),
        };
        let index = index.split('/').try_fold(0u64, |index, group| {
            let group =
                group.strip_prefix('x').unwrap_or(group).parse().ok().filter(|group| *group < 1000)?;
            index.checked_mul(1000)?.checked_add(group)
        });
        let path = Self { content, index: index.ok_or(NotATile)?, width };
        if (1..=TILE_WIDTH).contains(&path.width) && path.to_string() == text {
            Ok(path)
        } else {
            Err(NotATile)
        }
    }
}

/// A path that is not the name of a tile file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("this is not the name of a tile. The specification is https://c2sp.org/tlog-tiles")]
pub struct NotATile;

/// Hashes or entries that the file of a tile holds in a log of `size` entries: 0 where that log has no such tile.
pub fn width_at(content: TileContent, index: u64, size: u64) -> usize {
    let all = match content {
        TileContent::Entries => size,
        TileContent::Hashes(level) => size.checked_shr(8 * u32::from(level)).unwrap_or(0),
    };
    let here = all.saturating_sub(index.saturating_mul(TILE_WIDTH as u64));
    usize::try_from(here).map_or(TILE_WIDTH, |here| here.min(TILE_WIDTH))
}

/// The first bytes of a bundle, up to the end of so many entries; `None` if it does not hold them.
pub fn first_entries(bundle: &[u8], count: usize) -> Option<&[u8]> {
    let mut end = 0usize;
    let mut all = entries(bundle);
    for _ in 0..count {
        end += 2 + all.next()?.ok()?.len();
    }
    bundle.get(..end)
}

/// Bundles of a log of `size` entries, in order.
pub fn bundles(size: u64) -> impl Iterator<Item = TilePath> {
    bundles_from(0, size)
}

/// The bundles that hold the entries from `from` on, in a log of `size` entries. The first one may begin
/// before `from`.
pub fn bundles_from(from: u64, size: u64) -> impl Iterator<Item = TilePath> {
    let width = TILE_WIDTH as u64;
    let end = if from < size { size.div_ceil(width) } else { 0 };
    (from / width..end).map(move |index| TilePath {
        content: TileContent::Entries,
        index,
        width: usize::try_from((size - index * width).min(width)).unwrap_or(TILE_WIDTH),
    })
}

/// A bundle that cannot be read to its end, or an entry that cannot be put into one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BundleError {
    /// An entry longer than its u16 length can say.
    #[error(
        "an entry is {0} bytes long, more than {MAX_ENTRY_BYTES}. Log the hash of large content, not the content"
    )]
    EntryTooLong(usize),
    /// The file ends inside an entry.
    #[error(
        "the bundle ends inside an entry, at byte {0}. The file is truncated: restore it from the copy on the audit server"
    )]
    Truncated(usize),
    /// The file ends before the last entry that its name promises.
    #[error(
        "the bundle holds {found} of its {expected} entries. The file is truncated: restore it from the copy on the audit server"
    )]
    Short {
        /// Entries in the file.
        found: usize,
        /// Entries by its name.
        expected: usize,
    },
}

/// Adds an entry to the end of a bundle.
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), BundleError> {
    let length = u16::try_from(entry.len()).map_err(|_| BundleError::EntryTooLong(entry.len()))?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// The entries of a bundle in order; an error is the last item.
pub fn entries(bundle: &[u8]) -> Entries<'_> {
    Entries { rest: bundle, at: 0 }
}

/// The entries that a bundle's name promises, each with its index in the log; an error is the last item. The file
/// may hold more: the full bundle stands in for a partial one that was replaced.
pub fn leaves(path: TilePath, bundle: &[u8]) -> impl Iterator<Item = Result<(u64, &[u8]), BundleError>> {
    let (mut entries, first) = (entries(bundle), path.index * TILE_WIDTH as u64);
    let mut is_broken = false;
    (0..path.width).map_while(move |at| {
        if is_broken {
            return None;
        }
        let short = Err(BundleError::Short { found: at, expected: path.width });
        let entry = entries.next().unwrap_or(short);
        is_broken = entry.is_err();
        Some(entry.map(|entry| (first + at as u64, entry)))
    })
}

/// Iterator of [`entries`].
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<&'a [u8], BundleError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let taken = self.rest.split_first_chunk::<2>().and_then(|(length, rest)| {
            let length = usize::from(u16::from_be_bytes(*length));
            rest.split_at_checked(length)
        });
        let Some((entry, rest)) = taken else {
            self.rest = &[];
            return Some(Err(BundleError::Truncated(self.at)));
        };
        self.rest = rest;
        self.at += 2 + entry.len();
        Some(Ok(entry))
    }
}

/// Writes an index in groups of three digits, all but the last marked with `x`.
fn write_index(f: &mut fmt::Formatter<'_>, index: u64) -> fmt::Result {
    if index >= 1000 {
        write_leading_groups(f, index / 1000)?;
    }
    write!(f, "{:03}", index % 1000)
}

fn write_leading_groups(f: &mut fmt::Formatter<'_>, groups: u64) -> fmt::Result {
    if groups >= 1000 {
        write_leading_groups(f, groups / 1000)?;
    }
    write!(f, "x{:03}/", groups % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(content: TileContent, index: u64, width: usize) -> String {
        TilePath { content, index, width }.to_string()
    }

    #[test]
    fn paths_follow_the_specification() {
        assert_eq!(path(TileContent::Hashes(0), 1_234_067, 256), "tile/0/x001/x234/067");
        assert_eq!(path(TileContent::Entries, 0, 12), "tile/entries/000.p/12");
        assert_eq!(path(TileContent::Hashes(1), 1_000, 256), "tile/1/x001/000");
        assert_eq!(path(TileContent::Hashes(2), 999, 1), "tile/2/999.p/1");
        let partial = TilePath { content: TileContent::Entries, index: 5, width: 3 };
        assert_eq!(partial.partial_folder(), "tile/entries/005.p");
    }

    #[test]
    fn one_tile_has_one_name() {
        for bad in [
            "",
            "tile/0",
            "tile/0/00",
            "tile/0/0000",
            "tile/0/000.p/256",
            "tile/0/000.p/0",
            "tile/0/000.p/+1",
            "tile/0/000.p/01",
            "tile/00/000",
            "tile/256/000",
            "tile/entries/x000/000",
            "tile/entries/001/000",
            "tile/entries/000.tmp",
            "tile/entries/../000",
            "tile/entries/x018/x446/x744/x073/x709/x551/616",
        ] {
            assert_eq!(bad.parse::<TilePath>(), Err(NotATile), "{bad}");
        }
    }

    #[test]
    fn a_tile_is_as_wide_as_the_log_is_long() {
        let hashes = TileContent::Hashes;
        for (content, index, size, width) in [
            (TileContent::Entries, 0, 0, 0),
            (TileContent::Entries, 0, 300, 256),
            (TileContent::Entries, 1, 300, 44),
            (hashes(0), 2, 300, 0),
            (hashes(1), 0, 300, 1),
            (hashes(2), 0, 300, 0),
            (hashes(255), 0, u64::MAX, 0),
            (hashes(0), u64::MAX, u64::MAX, 0),
        ] {
            assert_eq!(width_at(content, index, size), width, "{content:?} {index} {size}");
        }
    }

    #[test]
    fn bundles_cover_the_size_exactly() {
        let widths = |size| bundles(size).map(|b| b.width).collect::<Vec<_>>();
        assert_eq!(widths(0), [0usize; 0]);
        assert_eq!(widths(256), [256]);
        assert_eq!(widths(257), [256, 1]);
    }

    #[test]
    fn reading_on_begins_in_the_bundle_that_holds_the_next_entry() {
        let from = |from, size| bundles_from(from, size).map(|b| (b.index, b.width)).collect::<Vec<_>>();
        assert_eq!(from(255, 257), [(0, 256), (1, 1)]);
        assert_eq!(from(256, 257), [(1, 1)]);
        assert_eq!(from(257, 257), []);
        assert_eq!(from(u64::MAX, 5), []);
    }

    #[test]
    fn a_bundle_holds_what_its_name_promises_or_says_what_is_missing() {
        let mut bundle = Vec::new();
        for entry in [b"a", b"b", b"c"] {
            push_entry(&mut bundle, entry).unwrap();
        }
        let read = |width, bytes: &[u8]| {
            let path = TilePath { content: TileContent::Entries, index: 2, width };
            leaves(path, bytes)
                .map(|leaf| leaf.map(|(index, leaf)| (index, leaf.to_vec())))
                .collect::<Vec<_>>()
        };
        let (a, b) = (Ok((512, b"a".to_vec())), Ok((513, b"b".to_vec())));
        assert_eq!(read(2, &bundle), [a.clone(), b.clone()], "a full bundle stands in for a partial one");
        assert_eq!(read(3, &bundle[..6]), [a.clone(), b, Err(BundleError::Short { found: 2, expected: 3 })]);
        assert_eq!(read(3, &bundle[..5]), [a, Err(BundleError::Truncated(3))]);
        assert_eq!(read(1, b""), [Err(BundleError::Short { found: 0, expected: 1 })]);
    }

    #[test]
    fn an_entry_that_does_not_fit_is_refused() {
        let mut bundle = Vec::new();
        let error = push_entry(&mut bundle, &vec![0; MAX_ENTRY_BYTES + 1]).unwrap_err();
        assert_eq!(error, BundleError::EntryTooLong(MAX_ENTRY_BYTES + 1));
        assert!(bundle.is_empty());
        push_entry(&mut bundle, &vec![0; MAX_ENTRY_BYTES]).unwrap();
    }

    proptest! {
        #[test]
        fn a_bundle_gives_back_its_entries_and_every_cut_is_noticed(
            all in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..12),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bundle = Vec::new();
            let mut ends = vec![0];
            for entry in &all {
                push_entry(&mut bundle, entry).unwrap();
                ends.push(bundle.len());
            }
            let read: Vec<_> = entries(&bundle).map(|e| e.unwrap().to_vec()).collect();
            prop_assert_eq!(&read, &all);
            let cut = cut.index(bundle.len() + 1);
            let clean = entries(&bundle[..cut]).all(|entry| entry.is_ok());
            prop_assert_eq!(clean, ends.contains(&cut));
        }

        #[test]
        fn a_name_is_read_back(level in any::<Option<u8>>(), index in any::<u64>(), width in 1usize..=256) {
            let content = level.map_or(TileContent::Entries, TileContent::Hashes);
            let path = TilePath { content, index, width };
            prop_assert_eq!(path.to_string().parse::<TilePath>(), Ok(path));
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            prop_assert!(entries(&bytes).count() <= bytes.len());
        }
    }
}
