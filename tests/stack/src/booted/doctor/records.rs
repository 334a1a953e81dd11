//! What the security team signs for the matrix: a device with an operator, and records that have ended or are of others.

use anyhow::Context as _;
use sudare_protocol::records::{DeviceRecord, HostRecord, Policy, Record, Signed};
use sudare_protocol::tlog::VerifierKey;
use sudare_protocol::{SigningKey, keyfile};
use sudare_test_kit::pair;

use super::super::Machine;
use super::OFFICE;

/// Any time that the machine's clock has passed.
const LONG_AGO_MS: u64 = 1_700_000_000_000;
/// For whom the device is enrolled.
const USER: &str = "doctors-user";

/// Enrols a device of a user of the machine, and puts records for the rows that need them into the office's folder.
///
/// # Errors
/// The machine has no office, or refuses the device.
pub fn enrol(machine: &Machine) -> anyhow::Result<()> {
    let secret = machine.must(&format!("cat {OFFICE}/organisation.key"), "")?;
    let organisation = keyfile::parse_secret(&secret).context("organisation.key")?;
    let host = machine.must("sudare-host key --config /etc/sudare/host.toml", "")?;
    let (host_key, _) = keyfile::parse_host(host.trim()).context("sudare-host key")?;
    let host_key = host_key.to_bytes();
    machine.must(&format!("useradd -m -s /bin/bash {USER}; mkdir -p {OFFICE}/bad"), "")?;

    let device = SigningKey::from_bytes(&[3; 32]).verifying_key();
    let device = |from: u64, until: u64| DeviceRecord {
        device_id: keyfile::device_id(&device),
        device_key: device.to_bytes(),
        user: USER.to_owned(),
        not_before_ms: from,
        not_after_ms: until,
    };
    let host = |until: u64| HostRecord { not_after_ms: until, ..pair::host_record("vdi-1", host_key) };
    let other_log = HostRecord { log: Some(other_log()?), ..host(u64::MAX) };
    let policy = |until: u64| Policy { not_after_ms: until, ..pair::policy() };
    let other = SigningKey::from_bytes(&[5; 32]);
    put(machine, "device.record", &signed(&organisation, &device(0, u64::MAX))?)?;
    put(machine, "me.operator", &pair::template().to_bytes()?)?;
    put(machine, "bad/device-ended.record", &signed(&organisation, &device(0, LONG_AGO_MS))?)?;
    put(machine, "bad/host-ended.record", &signed(&organisation, &host(LONG_AGO_MS))?)?;
    put(machine, "bad/host-other-log.record", &signed(&organisation, &other_log)?)?;
    put(machine, "bad/policy-ended.record", &signed(&organisation, &policy(LONG_AGO_MS))?)?;
    put(machine, "bad/policy-of-others.record", &signed(&other, &policy(u64::MAX))?)?;
    machine.must(ENROL, "").map(drop)
}

/// As the admin's page says it; and a policy of the office's own auditors that wants evidence off the host.
const ENROL: &str = r#"set -e
    cd /srv/office
    (cat policy.toml; printf '[rules]\ndurable = "remote"\n') >bad/elsewhere.toml
    sudare-authority sign-policy --key organisation.key --in bad/elsewhere.toml --out bad/policy-elsewhere.record
    sudare-host device add device.record --operator me.operator
    rm device.record me.operator"#;

fn other_log() -> anyhow::Result<String> {
    let key = SigningKey::from_bytes(&[6; 32]).verifying_key();
    Ok(VerifierKey::new("sudare/another", key)?.to_string())
}

fn signed<R: Record>(key: &SigningKey, record: &R) -> anyhow::Result<Vec<u8>> {
    Ok(Signed::sign(key, record)?)
}

/// A script's argument has no zero bytes, so that they are spelt out.
fn put(machine: &Machine, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let spelt: String = bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect();
    machine.must(&format!("printf \"$1\" >{OFFICE}/{name}"), &spelt).map(drop)
}
