//! Ships again and again and keeps the status; waits grow while shipping fails.

use std::path::PathBuf;
use std::time::Duration;

use sudare_base::{clock, reload};
use sudare_evidence::status::ship::{NotaryStatus, Status};
use sudare_protocol::tlog::{VerifierKey, WitnessKey};
use tokio::sync::watch;

use crate::error::ShipError;
use crate::notaries::{Notaries, NotaryClient, NotaryTask};
use crate::shipper::{Places, Shipper};
use crate::source::Source;
use crate::state::{State, publish};

/// How often the recorder's checkpoint is read.
const POLL: Duration = Duration::from_millis(100);
const WAIT_MIN_MS: u64 = 500;
const WAIT_MAX_MS: u64 = 30_000;
/// With `once`, this many failed attempts in a row end it.
const ONCE_ATTEMPTS: u32 = 3;

/// What to ship, and where to.
#[derive(Clone, Debug)]
pub struct Options {
    /// The recorder's folder.
    pub store: PathBuf,
    /// The log's public line.
    pub key: VerifierKey,
    /// The shipper's own folder.
    pub state: PathBuf,
    /// `file:///folder` or `s3://bucket/prefix`.
    pub to: String,
    /// Another place for the headers of pictures.
    pub headers: Option<String>,
    /// Accept a bucket without default retention.
    pub allow_unlocked: bool,
    /// Exit once everything has been shipped.
    pub once: bool,
    /// Who cosigns and time-stamps what has been shipped.
    pub notaries: Notaries,
}

impl Options {
    fn places(&self) -> [String; 2] {
        [self.to.clone(), self.headers.clone().unwrap_or_else(|| self.to.clone())]
    }
}

/// The keys of a run, as their files have them.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The log's public line.
    pub log: VerifierKey,
    /// The witness's, where there is one.
    pub witness: Option<WitnessKey>,
}

/// Ends [`follow`], or renews what it read, from another task.
#[derive(Clone, Debug)]
pub struct Stopper {
    stop: watch::Sender<bool>,
    renewed: watch::Sender<Option<Keys>>,
}

impl Default for Stopper {
    fn default() -> Self {
        Self { stop: watch::Sender::new(false), renewed: watch::Sender::new(None) }
    }
}

impl Stopper {
    /// Abandons uploads in flight, as a kill would; the next run continues from there.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Uses these keys from the next round on, and reads certificate authorities anew.
    pub fn renew(&self, keys: Keys) {
        self.renewed.send_replace(Some(keys));
    }

    async fn stopped(&self) {
        let mut receiver = self.stop.subscribe();
        // The sender lives in self, so only `stop` ends the wait.
        drop(receiver.wait_for(|stopped| *stopped).await);
    }
}

/// How a run ended, and how things stood then.
#[derive(Debug)]
pub struct Ended {
    /// As in `status.json`.
    pub status: Status,
    /// Why it ended, if it was neither stopped nor finished.
    pub result: Result<(), ShipError>,
}

/// Runs until it is stopped, an error needs attention, or (with `once`) everything is shipped.
pub async fn follow(options: &Options, stopper: &Stopper) -> Ended {
    let (mut status, result) = match Run::start(options) {
        Err(error) => (Status { destination: options.to.clone(), ..Status::default() }, Err(error)),
        Ok(mut run) => {
            let result = tokio::select! {
                ended = run.until_final(options.clone(), stopper.renewed.subscribe()) => ended,
                () = stopper.stopped() => Ok(()),
            };
            (run.status, result)
        }
    };
    if let Err(error) = &result {
        (status.error, status.detail) = (Some(error.name().to_owned()), Some(error.to_string()));
    }
    Ended { status, result }
}

struct Run {
    phase: Option<Phase>,
    status: Status,
    state_dir: PathBuf,
    notaries: NotaryWork,
    /// Size of the checkpoint that the notaries were last asked about.
    submitted: u64,
    /// How far everything was at the last failure.
    moved: u64,
}

/// When the notaries are asked.
enum NotaryWork {
    None,
    /// Beside the shipping.
    Background(NotaryTask),
    /// At the end, with `once`.
    AtEnd(Box<NotaryClient>),
}

impl NotaryWork {
    fn start(options: &Options) -> Result<Self, ShipError> {
        Ok(match NotaryClient::new(&options.notaries, &options.store, &options.state)? {
            None => NotaryWork::None,
            Some(client) if options.once => NotaryWork::AtEnd(Box::new(client)),
            Some(client) => NotaryWork::Background(NotaryTask::start(client)),
        })
    }
}

enum Phase {
    Closed(State),
    Open(Box<Shipper>),
}

impl Phase {
    fn closed(self) -> Self {
        match self {
            Phase::Open(shipper) => Phase::Closed(shipper.into_state()),
            closed @ Phase::Closed(_) => closed,
        }
    }
}

impl Run {
    fn start(options: &Options) -> Result<Self, ShipError> {
        let state = State::open(&options.state, options.places())?;
        let old = Status::read(&options.state).ok().flatten().unwrap_or_default();
        let status = Status {
            destination: options.to.clone(),
            shipped: state.progress.shipped,
            last_success_ms: old.last_success_ms,
            failing_since_ms: old.failing_since_ms,
            ..Status::default()
        };
        let notaries = NotaryWork::start(options)?;
        let state_dir = options.state.clone();
        Ok(Self { phase: Some(Phase::Closed(state)), status, state_dir, notaries, submitted: 0, moved: 0 })
    }

    async fn until_final(
        &mut self,
        mut options: Options,
        mut renewed: watch::Receiver<Option<Keys>>,
    ) -> Result<(), ShipError> {
        loop {
            let pause = match self.step(&options).await {
                Ok(()) if options.once => return self.submit_at_end().await,
                Ok(()) => POLL,
                Err(error) => {
                    self.failed(&error);
                    if error.is_final() || (options.once && self.status.attempts >= ONCE_ATTEMPTS) {
                        return Err(error);
                    }
                    wait(self.status.attempts)
                }
            };
            // What was mended is tried at once. The sender lives as long as this.
            if let Ok(Ok(())) = tokio::time::timeout(pause, renewed.changed()).await {
                let keys = renewed.borrow_and_update().clone();
                if let Some(keys) = keys {
                    self.renew(&mut options, keys).await;
                }
            }
        }
    }

    /// Uses what was read anew, part by part; what is broken stays as it was.
    async fn renew(&mut self, options: &mut Options, keys: Keys) {
        if keys.log != options.key {
            // A line of another log would end the shipping.
            match Source::open(&options.store, keys.log.clone()).and_then(|source| source.checkpoint()) {
                Ok(_) => {
                    options.key = keys.log;
                    self.phase = self.phase.take().map(Phase::closed);
                }
                Err(error) => reload::kept(&error),
            }
        }
        let mut notaries = options.notaries.clone();
        if let (Some((_, key)), Some(new)) = (&mut notaries.witness, keys.witness) {
            *key = new;
        }
        let renewed = Options { notaries, ..options.clone() };
        match NotaryWork::start(&renewed) {
            Ok(work) => {
                (self.notaries, self.submitted) = (work, 0);
                *options = renewed;
            }
            Err(error) => reload::kept(&error),
        }
        // Otherwise it is opened with the next step.
        if let Some(Phase::Open(shipper)) = &mut self.phase {
            match Places::open(&options.to, options.headers.as_deref(), options.allow_unlocked).await {
                Ok(places) => shipper.places = places,
                Err(error) => reload::kept(&error),
            }
        }
    }

    /// Opens the destination if need be, and ships new entries.
    async fn step(&mut self, options: &Options) -> Result<(), ShipError> {
        let mut shipper = match self.phase.take() {
            Some(Phase::Open(shipper)) => shipper,
            Some(Phase::Closed(state)) => self.open(options, state).await?,
            // Only an attempt that was cut off in between leaves neither.
            None => self.open(options, State::open(&self.state_dir, options.places())?).await?,
        };
        let shipped = self.ship(&mut shipper).await;
        self.status.shipped = shipper.shipped();
        // After an error the destination is compared again: nothing is assumed about it.
        self.phase = Some(match &shipped {
            Ok(_) => Phase::Open(shipper),
            Err(_) => Phase::Closed(shipper.into_state()),
        });
        shipped.map(drop)
    }

    async fn open(&mut self, options: &Options, state: State) -> Result<Box<Shipper>, ShipError> {
        let places = Places::open(&options.to, options.headers.as_deref(), options.allow_unlocked).await;
        let places = match places {
            Ok(places) => places,
            Err(error) => {
                self.phase = Some(Phase::Closed(state));
                return Err(error);
            }
        };
        let retention = places.main.retention().map(ToString::to_string);
        self.status.retention = retention.unwrap_or_else(|| "none".to_owned());
        match Shipper::open(&options.store, options.key.clone(), state, places).await {
            Ok(shipper) => Ok(Box::new(shipper)),
            Err((state, error)) => {
                self.phase = Some(Phase::Closed(state));
                Err(error)
            }
        }
    }

    async fn ship(&mut self, shipper: &mut Shipper) -> Result<bool, ShipError> {
        let newest = shipper.newest()?;
        let news = match &newest {
            Some(newest) => shipper.ship(newest).await?,
            None => false,
        };
        shipper.erase().await?;
        let local = newest.map_or(0, |newest| newest.size());
        let status = Status {
            shipped: shipper.shipped(),
            local,
            absent_blobs: shipper.absent_blobs(),
            failing_since_ms: None,
            attempts: 0,
            error: None,
            detail: None,
            notaries: self.submit(shipper),
            ..self.status.clone()
        };
        if status != self.status || news {
            self.status = Status { last_success_ms: Some(clock::wall_ms()), ..status };
            publish(&self.state_dir, &self.status)?;
        }
        Ok(news)
    }

    /// Has the notaries asked about a new checkpoint, and returns their last answers.
    fn submit(&mut self, shipper: &Shipper) -> NotaryStatus {
        let NotaryWork::Background(task) = &self.notaries else { return self.status.notaries.clone() };
        if self.submitted != shipper.shipped()
            && let Some(shipped) = shipper.checkpoint()
        {
            self.submitted = shipper.shipped();
            task.submit(shipped);
        }
        task.status()
    }

    async fn submit_at_end(&mut self) -> Result<(), ShipError> {
        let shipped = match &self.phase {
            Some(Phase::Open(shipper)) => shipper.checkpoint(),
            _ => None,
        };
        let (NotaryWork::AtEnd(client), Some(shipped)) = (&mut self.notaries, shipped) else { return Ok(()) };
        client.submit(&shipped).await;
        self.status.notaries = client.status.clone();
        publish(&self.state_dir, &self.status)?;
        let answers = &self.status.notaries;
        let failed = answers.witness_error.as_ref().or(answers.stamper_error.as_ref());
        failed.map_or(Ok(()), |error| Err(ShipError::Notary(error.clone())))
    }

    fn failed(&mut self, error: &ShipError) {
        // A destination that takes some of it is slow, not away: no long waits, and no end.
        let moved = match &self.phase {
            Some(Phase::Closed(state)) => state.moved(),
            _ => self.moved,
        };
        if std::mem::replace(&mut self.moved, moved) != moved {
            self.status.attempts = 0;
        }
        self.status.attempts = self.status.attempts.saturating_add(1);
        self.status.failing_since_ms.get_or_insert(clock::wall_ms());
        self.status.error = Some(error.name().to_owned());
        self.status.detail = Some(error.to_string());
        tracing::error!(
            error = error.name(),
            attempts = self.status.attempts,
            "evidence did not leave the host: {error}"
        );
        if let Err(error) = publish(&self.state_dir, &self.status) {
            tracing::error!(%error, "the status could not be written");
        }
    }
}

/// Doubles from half a second to half a minute; half of it is random, so that many hosts do not return at the same moment.
fn wait(attempts: u32) -> Duration {
    let longest = WAIT_MIN_MS.saturating_mul(1 << attempts.saturating_sub(1).min(6)).min(WAIT_MAX_MS);
    // Without randomness every host waits the longest, which is safe.
    let random = clock::random().map_or(u64::from(u32::MAX), |bytes| u64::from(u32::from_be_bytes(bytes)));
    Duration::from_millis(longest / 2 + (longest / 2) * random / u64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_bounded() {
        for (attempts, most) in [(1, 500), (2, 1_000), (7, 30_000), (u32::MAX, 30_000)] {
            let waited = u64::try_from(wait(attempts).as_millis()).unwrap();
            assert!(waited <= most && waited >= most / 2, "{attempts}: {waited}");
        }
    }
}
