//! One attempt after the other, and how they went.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use sudare_base::clock;
use sudare_evidence::status::fleet::Status;
use sudare_records::fleet::{Fleet, Taken};

use crate::source::Source;

/// One attempt takes no longer, whatever the other end does.
const ATTEMPT_MAX: Duration = Duration::from_secs(50);

pub(crate) struct Follower {
    fleet: Fleet,
    host_id: String,
    folder: PathBuf,
    source: Source,
    status: Status,
    /// What was said last, so that the journal has each thing once.
    said: Option<String>,
}

impl Follower {
    pub(crate) fn new(fleet: Fleet, host_id: String, state_dir: &Path, source: Source) -> Self {
        let folder = state_dir.join("fleet");
        let status = Status::read(&folder).ok().flatten().unwrap_or_default();
        let status = Status { from: source.describe(), ..status };
        Follower { fleet, host_id, folder, source, status, said: None }
    }

    /// Looks, and says what came of it where that has changed.
    pub(crate) async fn look_and_tell(&mut self) {
        match self.look().await {
            Ok(said) if self.said.as_ref() != Some(&said) => {
                tracing::info!("{said}");
                self.said = Some(said);
            }
            Ok(_) => {}
            Err(error) => {
                let said = format!("{error:#}");
                if self.said.as_ref() != Some(&said) {
                    tracing::error!("{said}");
                    self.said = Some(said);
                }
            }
        }
    }

    /// One attempt; what this host has now, in words.
    ///
    /// # Errors
    /// What keeps the next bundle away, or why it is refused. What the host has stays in force.
    pub(crate) async fn look(&mut self) -> anyhow::Result<String> {
        let looked = self.attempt().await;
        let now_ms = clock::wall_ms();
        match &looked {
            Ok(serial) => {
                (self.status.serial, self.status.last_success_ms) = (Some(*serial), Some(now_ms));
                (self.status.failing_since_ms, self.status.error) = (None, None);
            }
            Err(error) => {
                self.status.failing_since_ms.get_or_insert(now_ms);
                self.status.error = Some(format!("{error:#}"));
            }
        }
        self.status.write(&self.folder)?;
        let serial = looked?;
        Ok(format!("the bundle with the serial {serial} is in place"))
    }

    async fn attempt(&mut self) -> anyhow::Result<u64> {
        let fetched = tokio::time::timeout(ATTEMPT_MAX, self.source.fetch()).await;
        let fetched = fetched.with_context(|| {
            format!(
                "{} did not answer within {} s. Look at its network",
                self.status.from,
                ATTEMPT_MAX.as_secs()
            )
        })??;
        if let Some(bytes) = fetched {
            match self.fleet.take(&bytes, &self.host_id) {
                Ok(Taken::New { serial, devices }) => {
                    tracing::info!(serial, devices, "a newer bundle was put in place");
                }
                Ok(Taken::Same { .. }) => {}
                Err(error) => {
                    // Fetched again, so that what is mended at the same place is seen.
                    self.source.forget();
                    return Err(error.into());
                }
            }
        }
        let mark = self.fleet.mark();
        if !matches!(mark, Ok(Some(_))) {
            // Somebody has removed what was in place.
            self.source.forget();
        }
        let mark = mark?.context("there is no bundle in place; it is fetched again with the next look")?;
        Ok(mark.serial)
    }
}
