//! How far a site's sessions were under enforcement in a month, signed, for a client company to be shown.
//!
//! ```text
//! entries ──account──► Sums ──report──► Report ──signed──► note (C2SP signed-note) ──► .json or .html
//! ```
//! It is about a site, never about a person: no session, device, host or person is in it, no day is told
//! from another, and with fewer than [`DEVICES_MIN`] devices even the hours are left out, because they
//! would be somebody's working hours. Durations are whole minutes.

pub mod account;
mod page;
mod session;
pub mod signed;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sudare_protocol::hex::hex;
use sudare_protocol::reason::Reason;
use sudare_protocol::tlog::SignedCheckpoint;
use thiserror::Error;

pub use account::{Account, Month};

/// With fewer devices a sum tells something about a person.
pub const DEVICES_MIN: usize = 3;
/// Longest name of a site.
pub const SITE_MAX_BYTES: usize = 100;
const MINUTE_MS: u64 = 60_000;

/// Why a session was covered, in so few classes that none tells how somebody works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Away, a break, starting, not clearly seen.
    OperatorNotConfirmed,
    /// Stranger, onlooker, phone, picture of a face.
    SomebodyElse,
    /// Covered, lost, busy, not up to date.
    Camera,
    /// No client, silence, a bad message, a refused device.
    Connection,
    /// Evidence or cover could not be relied on, or the client asked.
    System,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::OperatorNotConfirmed, Self::SomebodyElse, Self::Camera, Self::Connection, Self::System];

    /// The class of a reason.
    pub fn of(reason: Option<Reason>) -> Self {
        match reason {
            Some(Reason::Absent | Reason::Break | Reason::Starting | Reason::Undecided) => {
                Self::OperatorNotConfirmed
            }
            Some(Reason::Stranger | Reason::Onlooker | Reason::Phone | Reason::Spoof) => Self::SomebodyElse,
            Some(Reason::CameraBlocked | Reason::CameraLost | Reason::CameraBusy | Reason::StaleView) => {
                Self::Camera
            }
            Some(
                Reason::NoClient
                | Reason::LinkLost
                | Reason::ClientGone
                | Reason::BadMessage
                | Reason::ClockJump
                | Reason::DeviceRefused,
            ) => Self::Connection,
            Some(Reason::None | Reason::EvidenceNotKept | Reason::CoverFault | Reason::ClientAsked)
            | None => Self::System,
        }
    }
}

/// The report. Its JSON names are stable; fields may be added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// 1.
    pub version: u16,
    /// Name that the maker gave.
    pub site: String,
    /// `2026-11`.
    pub month: String,
    /// Time zone of the month.
    pub zone: String,
    /// Unix time.
    pub made_ms: u64,
    /// Logs it was made from.
    pub logs: usize,
    /// All of them were intact.
    pub integrity: bool,
    /// SHA-256 over the checkpoints' notes, so that an auditor can tell from which logs it was made.
    pub basis_sha256: String,
    /// Number of devices, if there were enough to say.
    pub devices: Option<usize>,
    /// Fewer than three devices: only shares are given.
    pub suppressed: bool,
    /// Of the visible time, how much the device attested, in thousandths; `None` if nothing was visible.
    pub attested_milli: Option<u64>,
    /// Sums over all sessions of the site.
    pub sums: Option<Sums>,
}

/// Minutes and counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// The desktop was shown.
    pub visible_minutes: u64,
    /// Of it, under a lease that attestations in the log renewed.
    pub attested_minutes: u64,
    /// Of it, without attestations in the log.
    pub unattested_minutes: u64,
    /// Covered, by class.
    pub covered: Vec<Covered>,
    /// Covers put up.
    pub covers: u64,
    /// 99th percentile of the time from the decision to the cover.
    pub cover_p99_ms: Option<u64>,
    /// Incidents with evidence.
    pub incidents: u64,
    /// What was not as it should be.
    pub exceptions: Exceptions,
}

/// Covered time of one class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Covered {
    /// Why.
    pub class: Class,
    /// How long.
    pub minutes: u64,
    /// How often.
    pub times: u64,
}

/// Times when enforcement or record was not complete.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exceptions {
    /// Times that the host itself recorded as gaps.
    pub gaps: u64,
    /// Their length.
    pub gap_minutes: u64,
    /// Covers that nobody saw on the screen.
    pub unconfirmed_covers: u64,
    /// Incidents of which pictures never came.
    pub incomplete_incidents: u64,
    /// Sessions that end without an end: the host stopped.
    pub unended_sessions: u64,
    /// Evidence of a client that was refused.
    pub refused_evidence: u64,
    /// Operators who said that a cover was wrong.
    pub wrong_covers: u64,
    /// Restarts of the recorder that found the end of its file torn or behind.
    pub damaged_ends: u64,
}

/// Why there is no report.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CoverageError {
    /// Not a month.
    #[error("`{0}` is no month. Write it as 2026-11")]
    Month(String),
    /// Not a zone.
    #[error("`{0}` is no time zone that this machine knows. Write it as Asia/Tokyo or UTC")]
    Zone(String),
    /// Empty or too long.
    #[error(
        "the site's name must have 1 to {SITE_MAX_BYTES} bytes without control characters. Choose another"
    )]
    Site,
    /// Not made by us, changed, or signed by another.
    #[error("this is not a coverage report signed by that key: {0}. Ask for a new copy")]
    Refused(String),
}

/// What a report is made from.
#[derive(Debug)]
pub struct Basis<'a> {
    /// Name of the site.
    pub site: &'a str,
    /// Which month.
    pub month: &'a Month,
    /// Checkpoints of the logs.
    pub checkpoints: &'a [SignedCheckpoint],
    /// All logs were intact.
    pub integrity: bool,
    /// Unix time.
    pub made_ms: u64,
}

/// Makes the report of one site and month.
pub fn report(basis: &Basis<'_>, account: Account) -> Result<Report, CoverageError> {
    let site = basis.site.trim();
    if site.is_empty() || site.len() > SITE_MAX_BYTES || site.chars().any(char::is_control) {
        return Err(CoverageError::Site);
    }
    let totals = account.finish();
    let devices = totals.devices.len();
    let suppressed = devices < DEVICES_MIN;
    let hash = basis.checkpoints.iter().fold(Sha256::new(), |hash, note| hash.chain_update(note.note()));
    Ok(Report {
        version: 1,
        site: site.to_owned(),
        month: basis.month.name().to_owned(),
        zone: basis.month.zone().to_owned(),
        made_ms: basis.made_ms,
        logs: basis.checkpoints.len(),
        integrity: basis.integrity,
        basis_sha256: hex(&hash.finalize()),
        devices: (!suppressed).then_some(devices),
        suppressed,
        attested_milli: (totals.attested_ms * 1000).checked_div(totals.visible_ms),
        sums: (!suppressed).then(|| totals.into_sums()),
    })
}

impl account::Totals {
    fn into_sums(self) -> Sums {
        let minutes = |ms: u64| (ms + MINUTE_MS / 2) / MINUTE_MS;
        let covered = |class: Class| {
            let (ms, times) = self.covered.get(&class).copied().unwrap_or_default();
            Covered { class, minutes: minutes(ms), times }
        };
        let mut latencies = self.cover_ms.clone();
        latencies.sort_unstable();
        let p99 = (latencies.len() * 99).div_ceil(100).saturating_sub(1);
        Sums {
            visible_minutes: minutes(self.visible_ms),
            attested_minutes: minutes(self.attested_ms),
            unattested_minutes: minutes(self.visible_ms - self.attested_ms),
            covered: Class::ALL.into_iter().map(covered).collect(),
            covers: self.cover_ms.len() as u64,
            cover_p99_ms: latencies.get(p99).copied(),
            incidents: self.incidents,
            exceptions: Exceptions { gap_minutes: minutes(self.gap_ms), ..self.exceptions },
        }
    }
}
