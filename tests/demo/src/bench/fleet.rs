//! A seat from a code to the desktop, what takes it away again, and a bundle for ten thousand devices.

use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use sudare_protocol::bundle::Bundle;
use sudare_protocol::records::{DeviceRecord, Signed};
use sudare_protocol::{SigningKey, keyfile};
use sudare_records::fleet::Fleet;
use sudare_test_kit::pair;

use super::scenario;
use super::table::{Needed, Table};

const DEVICES: u32 = 10_000;
/// Of this many bundles the slowest counts.
const BUNDLES: u64 = 5;
/// What the scenario `pairing` tells in seconds, and what is needed.
const SECONDS: [(&str, &str, Needed); 4] = [
    ("pair_s", "a code to a paired PC", Needed::AtMost(20.0)),
    ("revoke_to_black_s", "a revocation in a bundle to black", Needed::AtMost(90.0)),
    ("withdrawal_to_black_s", "consent taken back to black", Needed::Nothing),
    ("newer_policy_to_desktop_s", "a newer policy to the desktop again", Needed::Nothing),
];

/// All of it.
pub fn measure(table: &mut Table, bin: &Path, out: &Path, step: &dyn Fn(&str)) -> anyhow::Result<()> {
    std::fs::create_dir_all(out)?;
    step("a seat by a code, before xrdp");
    seat(table, bin, out)?;
    step("a bundle of 10,000 devices");
    bundle(table, out)
}

fn seat(table: &mut Table, bin: &Path, out: &Path) -> anyhow::Result<()> {
    let report = scenario::play("pairing", bin, out)?;
    scenario::tell_failed(table, "fleet", &report);
    for (key, name, needed) in SECONDS {
        match report.figures.get(key).and_then(serde_json::Value::as_f64) {
            Some(seconds) => {
                table.keep(key, seconds);
                table.row(name, Some(seconds), "s", needed);
            }
            None => table.leave_out(&[key], &scenario::why_missing(&report)),
        }
    }
    Ok(())
}

fn bundle(table: &mut Table, out: &Path) -> anyhow::Result<()> {
    let organisation = pair::organisation_key();
    let device = |n: u32| {
        let mut seed = [0xb7; 32];
        seed.iter_mut().zip(n.to_be_bytes()).for_each(|(to, from)| *to = from);
        let key = SigningKey::from_bytes(&seed).verifying_key();
        let record = DeviceRecord {
            device_id: keyfile::device_id(&key),
            device_key: key.to_bytes(),
            user: format!("user-{n:05}"),
            not_before_ms: 0,
            not_after_ms: u64::MAX,
        };
        Signed::sign(&organisation, &record).map(Into::into)
    };
    let devices = (0..DEVICES).map(device).collect::<Result<Vec<_>, _>>()?;
    let policy = Signed::sign(&organisation, &pair::policy())?;
    let dir = out.join("host");
    let fleet = Fleet::new(&dir, organisation.verifying_key());
    let (mut slowest_ms, mut bytes) = (0.0_f64, 0);
    let first = fleet.mark()?.map_or(1, |mark| mark.serial + 1);
    for serial in first..first + BUNDLES {
        let bundle = Bundle {
            serial,
            made_ms: pair::WALL_MS,
            hosts: vec![],
            policy: policy.clone(),
            host_records: vec![],
            devices: devices.clone(),
            revocations: vec![],
        };
        let signed = bundle.sign(&organisation, pair::WALL_MS)?;
        bytes = signed.len();
        let started = Instant::now();
        fleet.take(&signed, "vdi-1").context("the bundle was not taken")?;
        slowest_ms = slowest_ms.max(started.elapsed().as_secs_f64() * 1000.0);
    }
    let mib = f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) / f64::from(1 << 20);
    table.keep("bundle_apply_ms", slowest_ms);
    table.keep("bundle_mib", mib);
    table.row("10,000 devices in place, slowest of 5", Some(slowest_ms), "ms", Needed::AtMost(1_000.0));
    table.row("their bundle", Some(mib), "MiB", Needed::AtMost(50.0));
    Ok(())
}
