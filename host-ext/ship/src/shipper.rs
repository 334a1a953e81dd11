//! One checkpoint after the other: everything it needs first, the checkpoint itself last.
//!
//! ```text
//! check     entries after the shipped ones lead to the new signed root       nothing is sent before
//! pictures  bodies, then headers, of the entries of a bundle       create    ┐ per full bundle, then
//! tiles     the bundle, and the tiles of hashes that it filled     create    ┘ `uploaded_to` is saved
//! edge      the partial bundle and tiles                           create
//! checkpoint                                                       replace the one that was there
//! shipped   the size, for the recorder                             here, durable
//! replaced  partial files that full ones have replaced             remove
//! ```
//! After a kill anywhere, the next run starts at the remote checkpoint and skips bundles below `uploaded_to`. Uploads that
//! were in flight are repeated: equal content is accepted, so nothing exists twice.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use sudare_evidence::store::blobs::{BODIES, HEADERS};
use sudare_protocol::evidence::{Entry, Id};
use sudare_protocol::hex::hex;
use sudare_protocol::tlog::merkle::{HashTile, Tree, leaf_hash};
use sudare_protocol::tlog::note::MAX_NOTE_BYTES;
use sudare_protocol::tlog::{SignedCheckpoint, TileContent, TilePath, VerifierKey, tiles};
use tokio::task::JoinSet;

use crate::destination::{Destination, Found, ShippedCheckpoint};
use crate::error::ShipError;
use crate::source::{Bundle, Source, reached};
use crate::state::State;

/// Pictures uploaded at the same time; at 16 MiB each they are the most that is held in memory.
const UPLOADS_MAX: usize = 4;

/// Where evidence goes.
#[derive(Debug)]
pub(super) struct Places {
    /// Everything but the headers.
    pub(super) main: Arc<Destination>,
    /// The headers of pictures, which must remain deletable; often the same place.
    pub(super) headers: Arc<Destination>,
}

impl Places {
    /// Opens and checks both; `allow_unlocked` accepts a bucket from which everything can be deleted.
    pub(super) async fn open(
        main: &str,
        headers: Option<&str>,
        allow_unlocked: bool,
    ) -> Result<Self, ShipError> {
        let main = Arc::new(Destination::open(main).await?);
        if !main.is_locked_or_folder() && !allow_unlocked {
            return Err(ShipError::NoRetention(main.shown().to_owned()));
        }
        let headers = match headers {
            Some(url) => Arc::new(Destination::open(url).await?),
            None => Arc::clone(&main),
        };
        match headers.keeps() {
            Some(why) => Err(ShipError::HeadersKept(headers.shown().to_owned(), why)),
            None => Ok(Self { main, headers }),
        }
    }
}

/// Copies one store to its places.
#[derive(Debug)]
pub(super) struct Shipper {
    pub(super) source: Source,
    pub(super) places: Places,
    pub(super) state: State,
    /// Over the shipped entries.
    pub(super) tree: Tree,
    /// The checkpoint that is there now.
    remote: Option<Found>,
    absent_blobs: u64,
}

impl Shipper {
    /// Compares the store with the destination; refuses if they contradict each other.
    pub(super) async fn open(
        store: &Path,
        key: VerifierKey,
        state: State,
        places: Places,
    ) -> Result<Self, (State, ShipError)> {
        match Self::compare(store, key, &state, &places).await {
            Ok((source, remote, tree)) => {
                let mut shipper = Self { source, places, state, tree, remote, absent_blobs: 0 };
                match shipper.settle() {
                    Ok(()) => Ok(shipper),
                    Err(error) => Err((shipper.state, error)),
                }
            }
            Err(error) => Err((state, error)),
        }
    }

    /// Entries at the destination.
    pub(super) fn shipped(&self) -> u64 {
        self.tree.size()
    }

    /// Pictures that the store no longer had when they were due.
    pub(super) fn absent_blobs(&self) -> u64 {
        self.absent_blobs
    }

    /// Returns the state, to start over with it.
    pub(super) fn into_state(self) -> State {
        self.state
    }

    /// The checkpoint at the destination; `None` before the first one.
    pub(super) fn checkpoint(&self) -> Option<ShippedCheckpoint> {
        let note = &self.remote.as_ref()?.bytes;
        // It was verified when it was read, or made here.
        let checkpoint = SignedCheckpoint::open(note, self.source.key()).ok()?;
        Some(ShippedCheckpoint { checkpoint, destination: Arc::clone(&self.places.main) })
    }

    /// The store's newest checkpoint.
    pub(super) fn newest(&self) -> Result<Option<SignedCheckpoint>, ShipError> {
        self.source.checkpoint()
    }

    /// Ships everything up to a checkpoint that [`Shipper::newest`] returned; false if there was
    /// nothing to do.
    pub(super) async fn ship(&mut self, to: &SignedCheckpoint) -> Result<bool, ShipError> {
        let from = self.tree.size();
        if to.size() < from {
            return Err(ShipError::RemoteAhead { remote: from, local: to.size() });
        }
        if to.size() == from {
            let same = to.root() == self.tree.root();
            return if same || from == 0 { Ok(false) } else { Err(ShipError::Forked { size: from }) };
        }
        self.source.check(self.tree.clone(), to)?;
        let mut tree = self.tree.clone();
        for path in tiles::bundles_from(from, to.size()) {
            self.bundle(path, &mut tree).await?;
        }
        // The bundles were read a second time: no checkpoint follows unless it signs exactly what was uploaded.
        reached(&tree, to)?;
        for tile in tree.partial_tiles() {
            let (path, bytes) = tile_file(&tile);
            self.places.main.create(&path.to_string(), bytes).await?;
        }
        let note = to.note().as_bytes();
        self.remote = Some(self.places.main.replace("checkpoint", note, self.remote.as_ref()).await?);
        let old = std::mem::replace(&mut self.tree, tree);
        self.settle()?;
        self.remove_replaced(&old).await;
        Ok(true)
    }

    async fn compare(
        store: &Path,
        key: VerifierKey,
        state: &State,
        places: &Places,
    ) -> Result<(Source, Option<Found>, Tree), ShipError> {
        let source = Source::open(store, key)?;
        let remote = places.main.read("checkpoint", MAX_NOTE_BYTES).await?;
        let there = remote.as_ref().map(|found| SignedCheckpoint::open(&found.bytes, source.key()));
        let there = there.transpose().map_err(ShipError::RemoteCheckpoint)?;
        let size = there.as_ref().map_or(0, SignedCheckpoint::size);
        if size < state.progress.shipped {
            return Err(ShipError::RemoteWentBack { remote: size, shipped: state.progress.shipped });
        }
        let Some(there) = there else { return Ok((source, None, Tree::new())) };
        let local = source.checkpoint()?.map_or(0, |local| local.size());
        if size > local {
            return Err(ShipError::RemoteAhead { remote: size, local });
        }
        let tree = source.tree_at(&there)?;
        Ok((source, remote, tree))
    }

    /// After a checkpoint has arrived: saves its size, and publishes it for the recorder.
    fn settle(&mut self) -> Result<(), ShipError> {
        let size = self.tree.size();
        self.state.progress.shipped = size;
        self.state.progress.uploaded_to = self.state.progress.uploaded_to.max(size);
        self.state.save()?;
        self.state.publish_shipped(size)
    }

    /// Pictures, entries and full tiles of one bundle; `tree` grows by its entries.
    async fn bundle(&mut self, path: TilePath, tree: &mut Tree) -> Result<(), ShipError> {
        let bundle = self.source.bundle(path)?;
        let start = tree.size();
        let skip = bundle.end() <= self.state.progress.uploaded_to;
        if !skip {
            self.pictures(&bundle, start).await?;
            self.places.main.create(&path.to_string(), bundle.bytes.clone()).await?;
        }
        for (_, leaf) in bundle.entries().filter(|(index, _)| *index >= start) {
            for tile in tree.push(leaf_hash(leaf)).iter().filter(|_| !skip) {
                let (path, bytes) = tile_file(tile);
                self.places.main.create(&path.to_string(), bytes).await?;
            }
        }
        if !skip && !path.is_partial() {
            self.state.progress.uploaded_to = bundle.end();
            self.state.save()?;
        }
        Ok(())
    }

    /// The pictures named by the entries from `start` on, a few at a time.
    async fn pictures(&mut self, bundle: &Bundle, start: u64) -> Result<(), ShipError> {
        let mut uploads = JoinSet::new();
        let begun = self.begin_pictures(bundle, start, &mut uploads).await;
        // Also after a failure: what is on its way is not sent again then, and so each attempt gets further.
        let ended = self.finish(&mut uploads, 0).await;
        begun.and(ended)
    }

    async fn begin_pictures(
        &mut self,
        bundle: &Bundle,
        start: u64,
        uploads: &mut JoinSet<Result<Id, ShipError>>,
    ) -> Result<(), ShipError> {
        let mut begun = BTreeSet::new();
        for (index, leaf) in bundle.entries().filter(|(index, _)| *index >= start) {
            let entry = Entry::open_unverified(leaf).map_err(|source| ShipError::Entry { index, source })?;
            for blob in &entry.blobs {
                if self.state.uploaded.has(&blob.blob_id) || !begun.insert(blob.blob_id) {
                    continue;
                }
                self.finish(uploads, UPLOADS_MAX - 1).await?;
                let halves = self.source.blob(&blob.blob_id)?;
                if halves.header.is_none() || halves.body.is_none() {
                    self.absent_blobs += 1;
                    tracing::warn!(
                        entry = index,
                        blob = hex(&blob.blob_id),
                        "a picture was erased or lost before it was shipped"
                    );
                }
                let (main, headers) = (Arc::clone(&self.places.main), Arc::clone(&self.places.headers));
                let id = blob.blob_id;
                uploads.spawn(async move {
                    let name = hex(&id);
                    // The header comes second: alone it would look as if the body had been lost.
                    if let Some(body) = halves.body {
                        main.create(&format!("{BODIES}/{name}"), body).await?;
                    }
                    if let Some(header) = halves.header {
                        headers.create(&format!("{HEADERS}/{name}"), header).await?;
                    }
                    Ok(id)
                });
            }
        }
        Ok(())
    }

    /// Waits until no more than `most` are on their way. Returns the first failure, once all of these have ended.
    async fn finish(
        &mut self,
        uploads: &mut JoinSet<Result<Id, ShipError>>,
        most: usize,
    ) -> Result<(), ShipError> {
        let mut outcome = Ok(());
        while uploads.len() > most
            && let Some(ended) = uploads.join_next().await
        {
            let failed = match ended {
                Ok(Ok(id)) => {
                    self.state.uploaded.add(id);
                    continue;
                }
                Ok(Err(error)) => error,
                Err(error) => {
                    ShipError::Remote { path: "a picture".to_owned(), action: "put", source: error.into() }
                }
            };
            outcome = outcome.and(Err(failed));
        }
        outcome
    }

    /// Removes partial files that a full one has replaced. Leftovers are correct, only superfluous.
    async fn remove_replaced(&self, old: &Tree) {
        if self.places.main.keeps().is_some() {
            return;
        }
        let full = |tile: &HashTile| tile_end(tile).is_some_and(|end| end <= self.tree.size());
        for tile in old.partial_tiles().iter().filter(|tile| full(tile)) {
            let (hashes, _) = tile_file(tile);
            let entries = TilePath { content: TileContent::Entries, ..hashes };
            for path in [Some(hashes), (tile.level == 0).then_some(entries)].into_iter().flatten() {
                if let Err(error) = self.places.main.remove_folder(&path.partial_folder()).await {
                    tracing::warn!(%error, "a partial tile was left at the destination");
                }
            }
        }
    }
}

fn tile_file(tile: &HashTile) -> (TilePath, Vec<u8>) {
    let path =
        TilePath { content: TileContent::Hashes(tile.level), index: tile.index, width: tile.hashes.len() };
    (path, tile.hashes.concat())
}

/// Size of a log in which this tile is full; `None` beyond what a log can hold.
fn tile_end(tile: &HashTile) -> Option<u64> {
    let leaves = 1u64.checked_shl(8 * (u32::from(tile.level) + 1))?;
    tile.index.checked_add(1)?.checked_mul(leaves)
}
