//! One bundle from a folder of signed records.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use sudare_base::{clock, files, output};
use sudare_protocol::bundle::Bundle;
use sudare_protocol::enrol::Revocation;
use sudare_protocol::limits::{BUNDLE_DEVICES_MAX, RECORD_MAX_BYTES};
use sudare_protocol::records::{DeviceRecord, HostRecord, Policy, Record, Signed};
use sudare_protocol::{SigningKey, VerifyingKey};

/// What is read of one folder and those in it.
const FILES_MAX: usize = BUNDLE_DEVICES_MAX + 65_536;
const DEPTH_MAX: usize = 16;

/// Reads, signs and writes, and says what is in it.
pub(crate) fn write(
    key: &SigningKey,
    from: &Path,
    out: &Path,
    hosts: &[String],
    serial: Option<u64>,
) -> anyhow::Result<()> {
    let now_ms = clock::wall_ms();
    let serial = serial.unwrap_or(now_ms / 1_000);
    let mut bundle = Bundle {
        serial,
        made_ms: now_ms,
        hosts: hosts.to_vec(),
        policy: Vec::new(),
        host_records: Vec::new(),
        devices: Vec::new(),
        revocations: Vec::new(),
    };
    let mut found = Vec::new();
    find(from, 0, &mut found)?;
    let mut newest = None;
    for path in &found {
        add(&mut bundle, &mut newest, &key.verifying_key(), path)?;
    }
    ensure!(
        !bundle.policy.is_empty(),
        "{} has no signed policy. Put the file of `sudare-authority sign-policy` there",
        from.display()
    );
    let bytes = bundle.sign(key, now_ms)?;
    files::write_public(out, &bytes)?;
    output::line(&format!(
        "Signed: {}: serial {serial}, {} devices, {} hosts, {} revocations, {} bytes",
        out.display(),
        bundle.devices.len(),
        bundle.host_records.len(),
        bundle.revocations.len(),
        bytes.len()
    ));
    Ok(())
}

/// Records in this folder and below, in the order of their names, so that one folder makes one bundle.
fn find(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    ensure!(depth <= DEPTH_MAX, "{} is too deep. Put the records nearer to the top", folder.display());
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        let is_record = path.extension().is_some_and(|kind| kind == "record" || kind == "revocation");
        if path.is_dir() {
            find(&path, depth + 1, found)?;
        } else if is_record {
            ensure!(
                found.len() < FILES_MAX,
                "{} has more than {FILES_MAX} records. Split the fleet",
                folder.display()
            );
            found.push(path);
        }
    }
    Ok(())
}

/// A record says by its signature what it is.
fn add(
    bundle: &mut Bundle,
    newest_policy: &mut Option<u64>,
    key: &VerifyingKey,
    path: &Path,
) -> anyhow::Result<()> {
    let bytes = files::read_bounded(path, RECORD_MAX_BYTES)?.unwrap_or_default();
    if is_one::<DeviceRecord>(key, &bytes) {
        bundle.devices.push(bytes.into());
    } else if is_one::<HostRecord>(key, &bytes) {
        bundle.host_records.push(bytes.into());
    } else if is_one::<Revocation>(key, &bytes) {
        bundle.revocations.push(bytes.into());
    } else if let Ok(policy) = Signed::<Policy>::verify_any_time(key, &bytes) {
        // A folder that is kept for years has earlier ones, too.
        if newest_policy.is_none_or(|newest| newest < policy.record().serial) {
            *newest_policy = Some(policy.record().serial);
            bundle.policy = bytes;
        }
    } else if !is_one::<sudare_protocol::enrol::EnrollerRecord>(key, &bytes) {
        bail!(
            "{} is no record of this organisation. Take it out of the folder, or sign it with this key",
            path.display()
        );
    }
    Ok(())
}

fn is_one<R: Record>(key: &VerifyingKey, bytes: &[u8]) -> bool {
    Signed::<R>::verify_any_time(key, bytes).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy_file;
    use sudare_protocol::bundle::SignedBundle;
    use sudare_protocol::keyfile;

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[1; 32])
    }

    fn policy(serial: u64) -> Vec<u8> {
        let policy = policy_file::tests::policy("").unwrap();
        Signed::sign(&key(), &Policy { serial, not_after_ms: u64::MAX, ..policy }).unwrap()
    }

    #[test]
    fn a_folder_becomes_a_bundle_with_its_newest_policy() {
        let dir = tempfile::tempdir().unwrap();
        let devices = dir.path().join("seats/tokyo");
        fs::create_dir_all(&devices).unwrap();
        for n in 0..3_u8 {
            let public = SigningKey::from_bytes(&[n; 32]).verifying_key();
            let record = DeviceRecord {
                device_id: keyfile::device_id(&public),
                device_key: public.to_bytes(),
                user: "alice".into(),
                not_before_ms: 0,
                not_after_ms: u64::MAX,
            };
            fs::write(devices.join(format!("{n}.record")), Signed::sign(&key(), &record).unwrap()).unwrap();
        }
        let lost = SigningKey::from_bytes(&[7; 32]).verifying_key().to_bytes();
        let revocation = Signed::sign(&key(), &Revocation { key: lost, at_ms: 1 });
        fs::write(dir.path().join("lost.revocation"), revocation.unwrap()).unwrap();
        let policies = [2, 9, 4].map(policy);
        for (n, policy) in policies.iter().enumerate() {
            fs::write(dir.path().join(format!("policy-{n}.record")), policy).unwrap();
        }
        fs::write(dir.path().join("README.md"), "of no interest").unwrap();
        let out = dir.path().join("fleet.bundle");
        write(&key(), dir.path(), &out, &[], Some(5)).unwrap();
        let signed = SignedBundle::verify(&key().verifying_key(), &fs::read(&out).unwrap()).unwrap();
        let bundle = signed.bundle();
        assert_eq!((bundle.serial, bundle.devices.len(), bundle.revocations.len()), (5, 3, 1));
        assert_eq!(bundle.policy, policies[1]);
    }

    #[test]
    fn what_nobody_signed_and_a_folder_without_a_policy_make_none() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("fleet.bundle");
        let fails = || format!("{:#}", write(&key(), dir.path(), &out, &[], None).unwrap_err());
        assert!(fails().contains("no signed policy"), "{}", fails());
        fs::write(dir.path().join("a.record"), policy(1)).unwrap();
        fs::write(dir.path().join("b.record"), b"torn").unwrap();
        assert!(fails().contains("b.record"), "{}", fails());
        assert!(!out.exists());
    }
}
