//! The report itself, and how it is made from the totals.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sudare_protocol::hex::hex;
use sudare_protocol::tlog::SignedCheckpoint;

use super::account::{Account, Exceptions, Totals};
use super::class::Class;
use super::error::{CoverageError, SITE_MAX_BYTES};
use super::month::Month;

/// With fewer devices, a sum would say something about a person.
pub const DEVICES_MIN: usize = 3;
const MINUTE_MS: u64 = 60_000;

/// The report. Its JSON names are stable; fields may be added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Version of the format: 1.
    pub version: u16,
    /// Name of the site, as its maker gave it.
    pub site: String,
    /// The month, such as `2026-11`.
    pub month: String,
    /// Time zone of the month.
    pub zone: String,
    /// Unix time at which it was made.
    pub made_ms: u64,
    /// Number of logs it was made from.
    pub logs: usize,
    /// True if all of them were intact.
    pub integrity: bool,
    /// SHA-256 over the checkpoints' notes, so that an auditor can tell which logs it was made from.
    pub basis_sha256: String,
    /// Number of devices, unless it is too small to publish.
    pub devices: Option<usize>,
    /// True if there were fewer than three devices: then only the attested share is given.
    pub suppressed: bool,
    /// Share of the visible time that devices attested, in thousandths; `None` if nothing was visible.
    pub attested_milli: Option<u64>,
    /// Sums over all sessions of the site.
    pub sums: Option<Sums>,
}

/// Minutes and counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// Time during which the desktop was visible.
    pub visible_minutes: u64,
    /// The part of it under a lease that attestations in the log renewed.
    pub attested_minutes: u64,
    /// The part of it without attestations in the log.
    pub unattested_minutes: u64,
    /// Covered time by class.
    pub covered: Vec<Covered>,
    /// Number of covers.
    pub covers: u64,
    /// 99th percentile of the time from the decision to the cover.
    pub cover_p99_ms: Option<u64>,
    /// Number of incidents with evidence.
    pub incidents: u64,
    /// Irregularities.
    pub exceptions: Exceptions,
}

/// Covered time of one class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Covered {
    /// Why.
    pub class: Class,
    /// Total time.
    pub minutes: u64,
    /// Number of covers.
    pub times: u64,
}

/// What a report is made from.
#[derive(Debug)]
pub struct Basis<'a> {
    /// Name of the site.
    pub site: &'a str,
    /// The month.
    pub month: &'a Month,
    /// Checkpoints of the logs.
    pub checkpoints: &'a [SignedCheckpoint],
    /// True if all logs were intact.
    pub integrity: bool,
    /// Unix time at which it is made.
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

impl Totals {
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
