//! What the log says, read without the audit, for what no audit command prints.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context as _;
use sudare_protocol::evidence::Entry;
use sudare_protocol::evidence::event::Event;
use sudare_protocol::reason::Reason;

/// Covers and notes, in the order of the log.
#[derive(Debug, Default)]
pub struct Logged {
    /// Why it was covered, and when this was recorded, by the clock that counts suspend.
    pub covers: Vec<(Reason, f64)>,
    /// Code and value.
    pub notes: Vec<(u16, u64)>,
    /// A bundle that grew is there in each of its sizes.
    read: BTreeSet<Vec<u8>>,
}

impl Logged {
    /// Of this store. Its entries are bundles in which each has its length before it.
    pub fn read(store: &Path) -> anyhow::Result<Self> {
        let mut logged = Self::default();
        logged.folder(&store.join("tile/entries"))?;
        Ok(logged)
    }

    fn folder(&mut self, folder: &Path) -> anyhow::Result<()> {
        let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
        let mut paths: Vec<_> = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<_>>()?;
        paths.sort();
        for path in paths {
            if path.is_dir() {
                self.folder(&path)?;
            } else {
                self.bundle(&std::fs::read(&path)?)?;
            }
        }
        Ok(())
    }

    fn bundle(&mut self, mut bytes: &[u8]) -> anyhow::Result<()> {
        while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*length));
            let (leaf, rest) = rest.split_at_checked(length).context("a bundle is cut off")?;
            bytes = rest;
            if !self.read.insert(leaf.to_vec()) {
                continue;
            }
            let entry = Entry::open_unverified(leaf)?;
            match entry.event()? {
                Event::Note(note) => self.notes.push((note.code, note.value)),
                Event::Cover(_) => {
                    let reason = entry.reason.and_then(Reason::from_number);
                    #[allow(clippy::cast_precision_loss, reason = "milliseconds since the machine began")]
                    self.covers.extend(reason.map(|reason| (reason, entry.boot_ms as f64)));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
