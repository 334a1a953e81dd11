//! A small organisation with one host, its recorder, and devices, in one folder.
//!
//! ```text
//! host/  recorder/    as `sudare-host init` makes them, records signed
//! host.toml           settings of recorder and guards
//! evidence/           the store
//! guard-K.socket      where client K finds its guard
//! client-K/           spool, receipts and notes of client K
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use sudare_base::{accounts, clock};
use sudare_protocol::records::{DeviceRecord, Policy, Signed};
use sudare_protocol::rules::EvidenceRules;
use sudare_protocol::seal::Identity;
use sudare_protocol::tlog::VerifierKey;
use sudare_protocol::{SigningKey, keyfile};
use sudare_recorder::setup;
use sudare_records::{keys, state};
use sudare_test_kit::pair;

pub(super) const HOST_ID: &str = "vdi-1";
pub(super) const USER: &str = "alice";
/// More than any client uses up: a device may store so much in a day.
pub(super) const DEVICES: u8 = 24;
/// Short ones, so that many incidents fit into a run.
const TIMINGS: [(&str, u64); 3] =
    [("attestation_interval_ms", 200), ("lease_ms", 2_000), ("release_ms", 1_000)];

/// The folder; whoever made it removes it.
#[derive(Debug, Clone)]
pub struct Place {
    dir: PathBuf,
}

impl Place {
    /// Makes all keys, records and settings in an empty folder. `evidence` is where the store shall be.
    pub fn prepare(dir: &Path, evidence: &Path) -> anyhow::Result<Self> {
        let place = Place { dir: dir.to_owned() };
        let (host, recorder) = (dir.join("host"), dir.join("recorder"));
        keys::init(&host)?;
        keys::init_recorder(&recorder)?;
        let organisation = pair::organisation_key();
        let public = keyfile::public_line(&organisation.verifying_key());
        let host_key = keys::read_secret(&host.join("host.key"), "")?.verifying_key().to_bytes();
        let record = pair::host_record(HOST_ID, host_key);
        let record = Signed::sign(&organisation, &record)?;
        for folder in [&host, &recorder] {
            fs::write(folder.join("organisation.pub"), &public)?;
            fs::write(folder.join("host.record"), &record)?;
        }
        fs::write(host.join("policy.record"), Signed::sign(&organisation, &policy())?)?;
        let registry = state::registry(&host)?;
        for number in 0..DEVICES {
            let device_key = device_key(number).verifying_key();
            let device_id = keyfile::device_id(&device_key);
            let device_key = device_key.to_bytes();
            let user = USER.into();
            let record =
                DeviceRecord { device_id, device_key, user, not_before_ms: 0, not_after_ms: u64::MAX };
            let id = registry.add(&Signed::sign(&organisation, &record)?, clock::wall_ms())?;
            registry.add_operator(&id, pair::template())?;
        }
        fs::write(place.config(), place.settings(evidence)?)?;
        Ok(place)
    }

    /// One that was prepared before.
    pub fn at(dir: &Path) -> Self {
        Place { dir: dir.to_owned() }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn config(&self) -> PathBuf {
        self.dir.join("host.toml")
    }

    pub fn recorder_socket(&self) -> PathBuf {
        self.dir.join("recorder.socket")
    }

    /// Where the client of this number finds its guard.
    pub fn guard_socket(&self, number: usize) -> PathBuf {
        self.dir.join(format!("guard-{number}.socket"))
    }

    /// Folder of a client.
    pub(super) fn client(&self, number: usize) -> PathBuf {
        self.dir.join(format!("client-{number}"))
    }

    pub(super) fn load(&self) -> anyhow::Result<sudare_base::config::HostConfig> {
        Ok(sudare_base::config::HostConfig::load(Some(&self.config()), &[])?)
    }

    /// Where the store is.
    pub fn evidence(&self) -> anyhow::Result<PathBuf> {
        Ok(self.load()?.recorder_evidence_dir())
    }

    /// The log's key, as auditors are given it.
    pub fn verifier(&self) -> anyhow::Result<VerifierKey> {
        Ok(setup::log_vkey(&self.load()?)?.parse()?)
    }

    fn settings(&self, evidence: &Path) -> anyhow::Result<String> {
        let path = |path: PathBuf| path.display().to_string();
        // Guards of a test run as its user; root always may report, and no system user is root.
        let uid = rustix::process::geteuid();
        let run_as = if uid.is_root() { Some("daemon".to_owned()) } else { accounts::name_of(uid.as_raw()) };
        let settings = [
            ("state_dir", path(self.dir.join("host"))),
            ("recorder_dir", path(self.dir.join("recorder"))),
            ("recorder_socket", path(self.recorder_socket())),
            ("evidence_dir", path(evidence.to_owned())),
            ("run_as", run_as.unwrap_or_default()),
        ];
        Ok(settings.map(|(name, value)| format!("{name} = {value:?}\n")).concat())
    }
}

/// Secret key of a device, known to all processes of a run.
pub fn device_key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[100 + number; 32])
}

fn policy() -> Policy {
    // Nobody opens the pictures of a run.
    let auditors = [Identity::generate(), Identity::generate()].map(|auditor| auditor.recipient()).to_vec();
    let timings = TIMINGS.map(|(name, value)| (name.to_owned(), value)).into();
    Policy { auditors, timings, rules: Some(EvidenceRules::default()), ..pair::policy() }
}
