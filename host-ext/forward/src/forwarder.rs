//! The loop: read verified entries, queue their events in the outbox, send the oldest batch, remember that it was
//! accepted.

use std::path::PathBuf;
use std::time::Duration;

use sudare_base::files::FileError;
use sudare_base::signals::Reloads;
use sudare_base::{clock, reload};
use sudare_evidence::reader::ReadError;
use sudare_evidence::status::forward::{State, Status, StatusFile};
use sudare_protocol::tlog::VerifierKey;

use crate::alert::{Alert, Proof};
use crate::delivery::DeliveryError;
use crate::format::Format;
use crate::outbox::{BATCH_MAX_EVENTS, Outbox, OutboxError};
use crate::receiver::Receiver;
use crate::syslog;
use crate::tail::{Tail, TailError};

/// How often the log is read while there is nothing to do. An incident makes a checkpoint at once.
pub const POLL: Duration = Duration::from_millis(500);
/// How often the position is saved after entries without alarms.
const REMEMBER: Duration = Duration::from_secs(10);
/// Wait after the first failed try; each further one doubles it, up to [`BACKOFF_MAX`].
const BACKOFF_MIN: Duration = Duration::from_millis(500);
/// Longest wait between tries.
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// The settings of a forwarder.
#[derive(Debug)]
pub struct Settings {
    /// Folder of the evidence store, or of a copy.
    pub store: PathBuf,
    /// Folder for this forwarder's own state.
    pub state: PathBuf,
    /// The log's public line, received out of band.
    pub verifier: VerifierKey,
    /// Format of events.
    pub format: Format,
    /// Whether events carry a syslog header.
    pub syslog: bool,
    /// Where they go.
    pub receiver: Receiver,
    /// The same as text.
    pub to: String,
}

/// Why a try failed.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// Reading the log.
    #[error(transparent)]
    Tail(#[from] TailError),
    /// Opening the store's folder.
    #[error(transparent)]
    Store(#[from] ReadError),
    /// The forwarder's own state.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// A file of that state.
    #[error(transparent)]
    File(#[from] FileError),
    /// Delivering to the receiver.
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
}

/// The result of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// Something was read or sent; there may be more.
    Moved,
    /// The receiver has everything that is verified.
    Idle,
}

/// Forwards one log to one receiver.
#[derive(Debug)]
pub struct Forwarder {
    settings: Settings,
    outbox: Outbox,
    tail: Tail,
    status_file: StatusFile,
    status: Status,
    remembered: Duration,
}

impl Forwarder {
    /// Opens log and state; sends nothing yet.
    pub fn open(settings: Settings) -> Result<Self, ForwardError> {
        let framing = if settings.syslog { "syslog" } else { "lines" };
        let origin = settings.verifier.name();
        let owner = format!("{} as {} in {framing}", settings.verifier, settings.format.as_str());
        let outbox = Outbox::open(&settings.state, &owner)?;
        let tail = Tail::new(&settings.store, settings.verifier.clone(), outbox.read().clone())?;
        let status = Status {
            origin: origin.to_owned(),
            to: settings.to.clone(),
            format: settings.format.as_str().to_owned(),
            ..Status::default()
        };
        let status_file = StatusFile::open(&settings.state)?;
        Ok(Self { outbox, tail, status_file, status, settings, remembered: clock::monotonic() })
    }

    /// Sends everything that is waiting and returns; the first failure ends it.
    pub fn run_once(&mut self) -> Result<(), ForwardError> {
        while self.round_with_status()? == Round::Moved {}
        Ok(self.outbox.remember()?)
    }

    /// Forwards until the process ends. It may be killed at any moment. Where a reload is asked for, `again` gives the
    /// log's public line and the receiver with its certificates, as their files are then.
    pub fn run(
        &mut self,
        reloads: &Reloads,
        again: impl Fn() -> anyhow::Result<(VerifierKey, Receiver)>,
    ) -> ! {
        loop {
            let pause = match self.round_with_status() {
                Ok(Round::Moved) => Duration::ZERO,
                Ok(Round::Idle) => POLL,
                Err(_) => backoff(self.status.failed_tries),
            };
            let begun = clock::monotonic();
            // What was mended is tried at once.
            while !reloads.is_asked() && clock::monotonic().saturating_sub(begun) < pause {
                std::thread::sleep(pause.min(POLL));
            }
            if reloads.take() {
                match again() {
                    Ok((verifier, receiver)) => self.renew(&verifier, receiver),
                    Err(error) => reload::kept(&error),
                }
            }
        }
    }

    fn renew(&mut self, verifier: &VerifierKey, receiver: Receiver) {
        if *verifier != self.settings.verifier {
            // What was read and sent belongs to the log that it began with.
            return reload::kept(
                &"the file of --key has another log's public line now. Restart with a state folder of its own",
            );
        }
        self.settings.receiver = receiver;
        tracing::info!(
            "certificates were read anew. Options and variables, such as the token, count from the next start"
        );
    }

    /// The current status.
    pub fn status(&self) -> &Status {
        &self.status
    }

    fn round_with_status(&mut self) -> Result<Round, ForwardError> {
        let result = self.round();
        let before = self.status.clone();
        self.count();
        match &result {
            Ok(round) => {
                self.status.state = if *round == Round::Idle { State::Idle } else { State::Sending };
                self.status.last_error = None;
                self.status.failed_tries = 0;
            }
            Err(error) => {
                let contradicts = matches!(error, ForwardError::Tail(TailError::Contradiction(_)));
                self.status.state = if contradicts { State::Contradiction } else { State::Waiting };
                self.status.last_error = Some(error.to_string());
                self.status.failed_tries = self.status.failed_tries.saturating_add(1);
            }
        }
        if self.status.last_error != before.last_error {
            match &result {
                Ok(_) => tracing::info!("forwarding works again"),
                Err(error) => tracing::error!(%error, "alarms are delayed; none is lost"),
            }
        }
        if self.status != before {
            self.status.wall_ms = clock::wall_ms();
            if let Err(error) = self.status_file.write(&self.status) {
                tracing::warn!(%error, "the status cannot be written");
            }
        }
        result
    }

    fn count(&mut self) {
        self.status.verified_entries = self.tail.verified();
        self.status.read_entries = self.outbox.read().size();
        // If nothing is waiting, entries without alarms count as accepted too.
        let all = self.outbox.waiting_events() == 0;
        self.status.accepted_entries =
            if all { self.status.read_entries } else { self.outbox.accepted_leaves() };
        self.status.last_leaf = self.status.accepted_entries.checked_sub(1);
        self.status.accepted_events = self.outbox.accepted_events();
        self.status.waiting_events = self.outbox.waiting_events();
    }

    /// Reads a batch if there is room, and sends one. An unreadable log does not hold up events that were read before.
    fn round(&mut self) -> Result<Round, ForwardError> {
        let read = self.fill();
        let sent = self.send();
        match (read?, sent?) {
            (Round::Idle, Round::Idle) => {
                if clock::monotonic().saturating_sub(self.remembered) >= REMEMBER {
                    self.remembered = clock::monotonic();
                    self.outbox.remember()?;
                }
                Ok(Round::Idle)
            }
            _ => Ok(Round::Moved),
        }
    }

    fn fill(&mut self) -> Result<Round, ForwardError> {
        if !self.outbox.has_room() {
            return Ok(Round::Idle);
        }
        // After a disk error the tail may be ahead of the outbox.
        if self.tail.read().size() != self.outbox.read().size() {
            self.tail =
                Tail::new(&self.settings.store, self.settings.verifier.clone(), self.outbox.read().clone())?;
        }
        match self.read_batch() {
            Err(ForwardError::Tail(TailError::Contradiction(detail))) => {
                self.report_contradiction(&detail)?;
                Err(TailError::Contradiction(detail).into())
            }
            other => other,
        }
    }

    fn read_batch(&mut self) -> Result<Round, ForwardError> {
        if self.tail.unread() == 0 {
            self.tail.refresh()?;
        }
        if self.tail.unread() == 0 {
            return Ok(Round::Idle);
        }
        let step = self.tail.next(BATCH_MAX_EVENTS)?;
        let proof = self.tail.proof();
        let events = step.alerts.iter().map(|alert| self.encode(alert, &proof)).collect();
        self.outbox.push(&step.position, events)?;
        Ok(Round::Moved)
    }

    fn report_contradiction(&mut self, detail: &str) -> Result<(), ForwardError> {
        let proof = self.tail.proof();
        let alert = Alert::contradiction(self.outbox.read().size(), clock::wall_ms(), detail);
        let event = self.encode(&alert, &proof);
        Ok(self.outbox.push_contradiction(&alert.uid(&proof.origin), event)?)
    }

    fn encode(&self, alert: &Alert, proof: &Proof) -> String {
        let text = self.settings.format.encode(alert, proof);
        if self.settings.syslog { syslog::message(alert, &proof.origin, &text) } else { text }
    }

    fn send(&mut self) -> Result<Round, ForwardError> {
        let Some(batch) = self.outbox.front()? else { return Ok(Round::Idle) };
        self.settings.receiver.deliver(&batch.events)?;
        self.outbox.accept(&batch)?;
        Ok(Round::Moved)
    }
}

fn backoff(failed_tries: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(failed_tries.saturating_sub(1).min(16));
    BACKOFF_MIN.saturating_mul(doubled).min(BACKOFF_MAX)
}

#[cfg(test)]
mod tests;
