//! For whom devices are enrolled, and who that is by the name service of this host.
//!
//! Gates compare users, not names: `DOMAIN\\user`, `user@domain` and a second name of one uid are the same person, if the
//! name service says so. A name that it does not know is nobody's.

use sudare_base::accounts;
use sudare_base::config::{GateOwner, HostConfig};
use sudare_records::state;

pub(super) fn check(config: &HostConfig) -> Result<String, String> {
    if !asks_the_kernel(config) {
        return Ok("not looked up here, because the desktops are another host's".into());
    }
    told(names(config).into_iter().map(|name| {
        let canonical = accounts::uid_of(&name).and_then(accounts::name_of);
        (name, canonical)
    }))
}

/// Of the devices that are not revoked. What is wrong with them otherwise, another line says.
pub(super) fn names(config: &HostConfig) -> Vec<String> {
    let Ok(registry) = state::registry(&config.state_dir) else { return Vec::new() };
    let devices = registry.list().unwrap_or_default();
    let enrolled = devices.iter().filter_map(|id| registry.device(id).ok().flatten());
    enrolled.filter(|device| !device.revoked).map(|device| device.record.user).collect()
}

/// As the gate decides it (`assemble`), for one host.
fn asks_the_kernel(config: &HostConfig) -> bool {
    match config.gate_owner {
        Some(owner) => owner == GateOwner::Kernel,
        None => config.gate_target.starts_with("unix:"),
    }
}

/// Of each name in a record, and the name that this host has for the same user.
fn told(users: impl Iterator<Item = (String, Option<String>)>) -> Result<String, String> {
    let (known, unknown): (Vec<_>, Vec<_>) = users.partition(|(_, canonical)| canonical.is_some());
    if let Some((name, _)) = unknown.first() {
        return Err(format!(
            "a device is enrolled for {name:?}, whom this host does not know, so its desktop stays covered. See `getent passwd {name:?}`, and enrol the device for a name that it finds",
        ));
    }
    let others: Vec<String> = known
        .iter()
        .filter_map(|(name, canonical)| {
            canonical.as_ref().filter(|canonical| *canonical != name).map(|c| (name, c))
        })
        .map(|(name, canonical)| format!("{name} is {canonical}"))
        .collect();
    match others[..] {
        [] => Ok("this host knows all of them".into()),
        _ => Ok(format!("this host knows all of them; {}", others.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str, canonical: Option<&str>) -> (String, Option<String>) {
        (name.into(), canonical.map(str::to_owned))
    }

    #[test]
    fn names_of_another_host_s_users_are_not_looked_up_here() {
        let mut config = HostConfig::load(None, &[]).unwrap();
        assert!(asks_the_kernel(&config));
        config.gate_owner = Some(GateOwner::Policy);
        assert!(check(&config).unwrap().contains("another host"));
        (config.gate_owner, config.gate_target) = (None, format!("tcp:192.0.2.7:3389#{}", "ab".repeat(32)));
        assert!(!asks_the_kernel(&config));
    }

    #[test]
    fn another_name_of_a_user_is_told_and_one_of_nobody_is_a_problem() {
        assert!(told([user("hanako", Some("hanako"))].into_iter()).unwrap().ends_with("all of them"));
        let domain = told([user("CORP\\hanako", Some("hanako@corp.example"))].into_iter()).unwrap();
        assert!(domain.contains("CORP\\hanako is hanako@corp.example"), "{domain}");
        let nobody = told([user("a", Some("a")), user("taro@corp", None)].into_iter()).unwrap_err();
        assert!(nobody.contains("taro@corp") && nobody.contains("getent passwd"), "{nobody}");
    }
}
