//! Whether each device that is enrolled, and not revoked, would be let in.

use std::path::Path;

use sudare_protocol::hex::{hex, unhex};
use sudare_protocol::host::Device;
use sudare_protocol::utc::utc;
use sudare_records::state;

use super::{advise, dates};

/// Without one, nobody is shown anything; and each that cannot be used locks somebody out.
pub(super) fn check(state_dir: &Path, now_ms: u64) -> Result<String, String> {
    let registry = state::registry(state_dir).map_err(|e| e.to_string())?;
    strays(&state_dir.join("devices"))?;
    let devices = registry.list().map_err(|e| e.to_string())?;
    let policy = state::policy(state_dir).ok();
    let (mut usable, mut revoked, mut withdrawn, mut said) = (0, 0, 0, String::new());
    for id in &devices {
        let name = hex(id);
        // Whatever else is wrong with it.
        if state_dir.join(format!("devices/{name}.revoked")).exists() {
            revoked += 1;
            continue;
        }
        let device = registry.device(id).map_err(|e| {
            advise(
                format!("device {name} cannot be used: {e}"),
                "Until then its desktop stays covered; if it is to stay so, revoke it",
            )
        })?;
        if let Some(device) = device {
            if device.revoked {
                revoked += 1;
                continue;
            }
            if device.withdrawn {
                withdrawn += 1;
                continue;
            }
            usable += 1;
            let needs_one =
                policy.as_ref().is_none_or(|policy| registry.is_compared(&device.record, policy.record()));
            said.push_str(&judged(&name, &device, needs_one, now_ms)?);
        }
    }
    if withdrawn > 0 {
        said.insert_str(0, &format!(", of {withdrawn} consent was taken back"));
    }
    match usable {
        0 => Err(
            "there is none with an operator, so every desktop stays covered. Run `sudare-host invite` or `sudare-host device add`"
                .into(),
        ),
        _ if revoked > 0 => Ok(format!("{usable} can be used, {revoked} are revoked{said}")),
        _ => Ok(format!("{usable} can be used{said}")),
    }
}

fn judged(name: &str, device: &Device, needs_operator: bool, now_ms: u64) -> Result<String, String> {
    let record = &device.record;
    let sign = "The security team signs a new record, for `sudare-host device add`; or revoke it with `sudare-host device revoke`";
    if now_ms < record.not_before_ms {
        return Err(format!(
            "the record of device {name} is not valid before {}, so its desktop stays covered. See this host's clock. {sign}",
            utc(record.not_before_ms)
        ));
    }
    if now_ms > record.not_after_ms {
        return Err(format!(
            "the record of device {name} ended at {}, so its desktop stays covered. {sign}",
            utc(record.not_after_ms)
        ));
    }
    if needs_operator && device.templates.is_empty() {
        return Err(format!(
            "device {name} has no operator, so its desktop stays covered. Run `sudare-host device operator`, or revoke it with `sudare-host device revoke`"
        ));
    }
    Ok(dates::soon(&format!("record of device {name}"), record.not_after_ms, now_ms))
}

/// A record that was copied there by hand is nobody's.
fn strays(devices: &Path) -> Result<(), String> {
    for path in std::fs::read_dir(devices).into_iter().flatten().flatten().map(|entry| entry.path()) {
        let is_record = path.extension().is_some_and(|end| end == "record");
        let is_named =
            path.file_stem().and_then(|stem| stem.to_str()).is_some_and(|stem| unhex::<16>(stem).is_some());
        if is_record && !is_named {
            return Err(format!(
                "{} counts for no device, because its name is no device's. Run `sudare-host device add` with it, and remove it there",
                path.display()
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sudare_protocol::host::Devices as _;
    use sudare_protocol::limits::VECTOR_DIM;
    use sudare_protocol::records::{DeviceRecord, Signed};
    use sudare_protocol::template::OperatorTemplate;
    use sudare_protocol::withdrawal::Withdrawal;
    use sudare_protocol::{SigningKey, keyfile};
    use sudare_records::registry::Registry;

    use super::*;

    const NOW_MS: u64 = 1_700_000_000_000;
    const YEAR_MS: u64 = 365 * 24 * 3_600 * 1_000;

    fn organisation() -> SigningKey {
        SigningKey::from_bytes(&[9; 32])
    }

    fn host() -> (tempfile::TempDir, Registry) {
        let dir = tempfile::tempdir().unwrap();
        sudare_records::keys::init(dir.path()).unwrap();
        let line = keyfile::public_line(&organisation().verifying_key());
        std::fs::write(dir.path().join("organisation.pub"), line).unwrap();
        let registry = state::registry(dir.path()).unwrap();
        (dir, registry)
    }

    fn add(registry: &Registry, device: u8, from_ms: u64, until_ms: u64) -> [u8; 16] {
        let key = SigningKey::from_bytes(&[device; 32]).verifying_key();
        let record = DeviceRecord {
            device_id: keyfile::device_id(&key),
            device_key: key.to_bytes(),
            user: "alice".into(),
            not_before_ms: from_ms,
            not_after_ms: until_ms,
        };
        registry.add(&Signed::sign(&organisation(), &record).unwrap(), from_ms).unwrap()
    }

    fn with_operator(registry: &Registry, id: &[u8; 16]) {
        let mut vector = vec![0.0; VECTOR_DIM];
        vector[0] = 1.0;
        let template = OperatorTemplate {
            operator_id: [7; 16],
            model_sha256: [8; 32],
            rotation_id: [9; 16],
            vectors: vec![vector],
            regions: Vec::new(),
            self_cosine: None,
        };
        registry.add_operator(id, template).unwrap();
    }

    #[test]
    fn a_host_on_which_nobody_is_enrolled_is_found() {
        let bare = tempfile::tempdir().unwrap();
        // Not even keys.
        assert!(check(bare.path(), NOW_MS).is_err());
        let (dir, registry) = host();
        assert!(check(dir.path(), NOW_MS).unwrap_err().contains("device add"));
        let id = add(&registry, 1, 0, NOW_MS + YEAR_MS);
        with_operator(&registry, &id);
        assert_eq!(check(dir.path(), NOW_MS).unwrap(), "1 can be used");
        registry.revoke(&id).unwrap();
        assert!(check(dir.path(), NOW_MS).unwrap_err().contains("there is none"));
    }

    #[test]
    fn who_took_consent_back_is_no_problem_and_nobody_is_told_to_enrol_them() {
        let (dir, registry) = host();
        with_operator(&registry, &add(&registry, 1, 0, NOW_MS + YEAR_MS));
        let left = add(&registry, 2, 0, NOW_MS + YEAR_MS);
        with_operator(&registry, &left);
        let key = SigningKey::from_bytes(&[2; 32]);
        let withdrawal = Withdrawal { device_key: key.verifying_key().to_bytes(), at_ms: NOW_MS };
        let withdrawal = Signed::sign(&key, &withdrawal).unwrap();
        let withdrawal = Signed::verify_any_time(&key.verifying_key(), &withdrawal).unwrap();
        registry.withdraw(&left, &withdrawal).unwrap();
        assert_eq!(check(dir.path(), NOW_MS).unwrap(), "1 can be used, of 1 consent was taken back");
    }

    #[test]
    fn one_device_that_is_locked_out_is_found_beside_one_that_is_not_and_a_revoked_one_is_none() {
        let (dir, registry) = host();
        let said = || check(dir.path(), NOW_MS);
        with_operator(&registry, &add(&registry, 1, 0, NOW_MS + YEAR_MS));
        let second = add(&registry, 2, 0, NOW_MS + YEAR_MS);
        assert!(said().unwrap_err().contains("has no operator"));
        with_operator(&registry, &second);
        assert_eq!(said().unwrap(), "2 can be used");

        add(&registry, 2, 0, NOW_MS - 1);
        assert!(said().unwrap_err().contains("ended at 20"));
        add(&registry, 2, NOW_MS + 1, NOW_MS + YEAR_MS);
        assert!(said().unwrap_err().contains("clock"));
        add(&registry, 2, 0, NOW_MS + YEAR_MS / 100);
        assert!(said().unwrap().contains("ends in 3 days"));

        std::fs::write(dir.path().join(format!("devices/{}.operators", hex(&second))), "other").unwrap();
        assert!(said().unwrap_err().contains("another storage key"));
        registry.revoke(&second).unwrap();
        assert!(said().unwrap().contains("1 are revoked"));
        std::fs::write(dir.path().join("devices/laptop.record"), "").unwrap();
        assert!(said().unwrap_err().contains("laptop.record counts for no device"));
    }
}
