//! What others say about a checkpoint that has left: a witness's cosignature, a time-stamp service's time.
//!
//! It runs beside the shipping and never holds it up. Kept: `checkpoint.cosigned` here and at the
//! destination; `timestamps/<size>.tsr` (RFC 3161) with the note it is about, `timestamps/<size>.note`,
//! at the destination. A witness is asked after each checkpoint and once a minute, so that it notices a
//! host that has gone silent; a time-stamp service at most every ten minutes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sudare_base::{clock, files};
use sudare_evidence::reader::Store;
use sudare_evidence::status::ship::Said;
use sudare_protocol::tlog::{SignedCheckpoint, WitnessKey};
use tokio::sync::watch;
use tokio::time::timeout;

use super::destination::Destination;
use super::error::ShipError;
use crate::notary::cosign::Submitter;
use crate::notary::stamp::Stamper;

/// A witness that hears nothing for two minutes raises an alarm.
const WITNESS_EVERY: Duration = Duration::from_secs(60);
const STAMP_EVERY: Duration = Duration::from_secs(600);

/// Whom to ask.
#[derive(Clone, Debug, Default)]
pub struct Notaries {
    /// Submission prefix and public line of a witness.
    pub witness: Option<(String, WitnessKey)>,
    /// Address of a time-stamp service.
    pub stamper: Option<String>,
}

/// A checkpoint that is at the destination.
#[derive(Clone, Debug)]
pub(super) struct Left {
    pub(super) checkpoint: SignedCheckpoint,
    pub(super) destination: Arc<Destination>,
}

/// Asks in the background until it is dropped.
#[derive(Debug)]
pub(super) struct Asking {
    left: watch::Sender<Option<Left>>,
    said: watch::Receiver<Said>,
}

impl Asking {
    pub(super) fn start(mut asker: Asker) -> Self {
        let (left, mut news) = watch::channel(None::<Left>);
        let (tell, said) = watch::channel(Said::default());
        tokio::spawn(async move {
            // Ends when the sender is dropped.
            while !matches!(timeout(WITNESS_EVERY, news.changed()).await, Ok(Err(_))) {
                let newest = news.borrow_and_update().clone();
                if let Some(newest) = newest {
                    asker.ask(&newest).await;
                    tell.send_replace(asker.said.clone());
                }
            }
        });
        Self { left, said }
    }

    pub(super) fn tell(&self, left: Left) {
        self.left.send_replace(Some(left));
    }

    pub(super) fn said(&self) -> Said {
        self.said.borrow().clone()
    }
}

/// Asks both, one checkpoint at a time.
#[derive(Debug)]
pub(super) struct Asker {
    store: Store,
    state_dir: PathBuf,
    witness: Option<Submitter>,
    stamper: Option<Stamper>,
    stamped_at: Option<Duration>,
    pub(super) said: Said,
}

impl Asker {
    /// `None` if there is nobody to ask.
    pub(super) fn new(others: &Notaries, store: &Path, state_dir: &Path) -> Result<Option<Self>, ShipError> {
        if others.witness.is_none() && others.stamper.is_none() {
            return Ok(None);
        }
        let outside = |error: &dyn std::error::Error| ShipError::Outside(error.to_string());
        let witness = others.witness.clone().map(|(prefix, key)| Submitter::new(&prefix, key));
        let stamper = others.stamper.as_deref().map(Stamper::new);
        Ok(Some(Self {
            store: Store::open(store)?,
            state_dir: state_dir.to_owned(),
            witness: witness.transpose().map_err(|e| outside(&e))?,
            stamper: stamper.transpose().map_err(|e| outside(&e))?,
            stamped_at: None,
            said: Said::default(),
        }))
    }

    pub(super) async fn ask(&mut self, left: &Left) {
        self.said.witness_error = self.cosign(left).await.err();
        if let Some(error) = &self.said.witness_error {
            tracing::error!("the witness did not cosign the checkpoint: {error}");
        }
        self.said.stamper_error = self.stamp(left).await.err();
        if let Some(error) = &self.said.stamper_error {
            tracing::error!("the checkpoint got no time stamp: {error}");
        }
    }

    async fn cosign(&mut self, left: &Left) -> Result<(), String> {
        let Some(witness) = &mut self.witness else { return Ok(()) };
        let cosignature = witness.submit(&self.store, &left.checkpoint).await.map_err(|e| e.to_string())?;
        let note = cosignature.note.into_bytes();
        files::write_public(&self.state_dir.join("checkpoint.cosigned"), &note).map_err(|e| e.to_string())?;
        if self.said.cosigned != left.checkpoint.size() {
            // A fresh time alone is no reason to fill a bucket with versions.
            left.destination.overwrite("checkpoint.cosigned", note).await.map_err(|e| e.to_string())?;
        }
        self.said.cosigned = left.checkpoint.size();
        self.said.witness_time_s = cosignature.time_s;
        Ok(())
    }

    async fn stamp(&mut self, left: &Left) -> Result<(), String> {
        let size = left.checkpoint.size();
        let early = self.stamped_at.is_some_and(|at| clock::monotonic().saturating_sub(at) < STAMP_EVERY);
        let Some(stamper) = self.stamper.as_ref().filter(|_| !early && self.said.stamped != size) else {
            return Ok(());
        };
        let note = left.checkpoint.note().as_bytes();
        let nonce = clock::random().map_err(|e| e.to_string())?;
        let stamped = stamper.fetch(note, nonce).await.map_err(|e| e.to_string())?;
        let files = [("note", note.to_vec()), ("tsr", stamped.response)];
        for (kind, bytes) in files {
            match left.destination.create(&format!("timestamps/{size}.{kind}"), bytes).await {
                // A run that was killed had a token for this size already: it is as good.
                Ok(()) | Err(ShipError::Differs { .. }) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        self.said.stamped = size;
        self.stamped_at = Some(clock::monotonic());
        Ok(())
    }
}
