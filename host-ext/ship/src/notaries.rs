//! The notaries of a checkpoint that has left the host: a witness cosigns it, a time-stamp service dates it.
//!
//! This runs beside the shipping and never holds it up. It stores `checkpoint.cosigned` here and at the destination, and
//! `timestamps/<size>.tsr` (RFC 3161) with the stamped note, `timestamps/<size>.note`, at the destination. The witness is
//! asked after each checkpoint and once a minute, so that it notices a silent host; the time-stamp service at most every
//! ten minutes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sudare_base::{clock, files};
use sudare_evidence::reader::Store;
use sudare_evidence::status::ship::NotaryStatus;
use sudare_protocol::tlog::WitnessKey;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::destination::ShippedCheckpoint;
use crate::error::ShipError;
use crate::notary::cosign::Submitter;
use crate::notary::stamp::Stamper;

/// A witness raises an alarm after two minutes of silence.
const WITNESS_EVERY: Duration = Duration::from_secs(60);
const STAMP_EVERY: Duration = Duration::from_secs(600);

/// The notaries to ask.
#[derive(Clone, Debug, Default)]
pub struct Notaries {
    /// Submission prefix and public line of a witness.
    pub witness: Option<(String, WitnessKey)>,
    /// Address of a time-stamp service.
    pub stamper: Option<String>,
}

/// Asks the notaries in the background until it is dropped.
#[derive(Debug)]
pub(super) struct NotaryTask {
    shipped: watch::Sender<Option<ShippedCheckpoint>>,
    status: watch::Receiver<NotaryStatus>,
}

impl NotaryTask {
    pub(super) fn start(mut client: NotaryClient) -> Self {
        let (shipped, mut news) = watch::channel(None::<ShippedCheckpoint>);
        let (publish, status) = watch::channel(NotaryStatus::default());
        tokio::spawn(async move {
            // Ends when the sender is dropped.
            while !matches!(timeout(WITNESS_EVERY, news.changed()).await, Ok(Err(_))) {
                let newest = news.borrow_and_update().clone();
                if let Some(newest) = newest {
                    client.submit(&newest).await;
                    publish.send_replace(client.status.clone());
                }
            }
        });
        Self { shipped, status }
    }

    pub(super) fn submit(&self, shipped: ShippedCheckpoint) {
        self.shipped.send_replace(Some(shipped));
    }

    pub(super) fn status(&self) -> NotaryStatus {
        self.status.borrow().clone()
    }
}

/// A client of both notaries; handles one checkpoint at a time.
#[derive(Debug)]
pub(super) struct NotaryClient {
    store: Store,
    state_dir: PathBuf,
    witness: Option<Submitter>,
    stamper: Option<Stamper>,
    stamped_at: Option<Duration>,
    pub(super) status: NotaryStatus,
}

impl NotaryClient {
    /// `None` if no notary is configured.
    pub(super) fn new(
        notaries: &Notaries,
        store: &Path,
        state_dir: &Path,
    ) -> Result<Option<Self>, ShipError> {
        if notaries.witness.is_none() && notaries.stamper.is_none() {
            return Ok(None);
        }
        let unusable = |error: &dyn std::error::Error| ShipError::Notary(error.to_string());
        let witness = notaries.witness.clone().map(|(prefix, key)| Submitter::new(&prefix, key));
        let stamper = notaries.stamper.as_deref().map(Stamper::new);
        Ok(Some(Self {
            store: Store::open(store)?,
            state_dir: state_dir.to_owned(),
            witness: witness.transpose().map_err(|e| unusable(&e))?,
            stamper: stamper.transpose().map_err(|e| unusable(&e))?,
            stamped_at: None,
            status: NotaryStatus::default(),
        }))
    }

    pub(super) async fn submit(&mut self, shipped: &ShippedCheckpoint) {
        self.status.witness_error = self.cosign(shipped).await.err();
        if let Some(error) = &self.status.witness_error {
            tracing::error!("the witness did not cosign the checkpoint: {error}");
        }
        self.status.stamper_error = self.stamp(shipped).await.err();
        if let Some(error) = &self.status.stamper_error {
            tracing::error!("the checkpoint was not time-stamped: {error}");
        }
    }

    async fn cosign(&mut self, shipped: &ShippedCheckpoint) -> Result<(), String> {
        let Some(witness) = &mut self.witness else { return Ok(()) };
        let cosignature =
            witness.submit(&self.store, &shipped.checkpoint).await.map_err(|e| e.to_string())?;
        let note = cosignature.note.into_bytes();
        files::write_public(&self.state_dir.join("checkpoint.cosigned"), &note).map_err(|e| e.to_string())?;
        if self.status.cosigned != shipped.checkpoint.size() {
            // A fresh time alone does not justify another version in a bucket.
            shipped.destination.overwrite("checkpoint.cosigned", note).await.map_err(|e| e.to_string())?;
        }
        self.status.cosigned = shipped.checkpoint.size();
        self.status.witness_time_s = cosignature.time_s;
        Ok(())
    }

    async fn stamp(&mut self, shipped: &ShippedCheckpoint) -> Result<(), String> {
        let size = shipped.checkpoint.size();
        let early = self.stamped_at.is_some_and(|at| clock::monotonic().saturating_sub(at) < STAMP_EVERY);
        let Some(stamper) = self.stamper.as_ref().filter(|_| !early && self.status.stamped != size) else {
            return Ok(());
        };
        let note = shipped.checkpoint.note().as_bytes();
        let nonce = clock::random().map_err(|e| e.to_string())?;
        let stamped = stamper.fetch(note, nonce).await.map_err(|e| e.to_string())?;
        let files = [("note", note.to_vec()), ("tsr", stamped.response)];
        for (kind, bytes) in files {
            match shipped.destination.create(&format!("timestamps/{size}.{kind}"), bytes).await {
                // An earlier run that was killed left a token for this size, which is as good.
                Ok(()) | Err(ShipError::Differs { .. }) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        self.status.stamped = size;
        self.stamped_at = Some(clock::monotonic());
        Ok(())
    }
}
