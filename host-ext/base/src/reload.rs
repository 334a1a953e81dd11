//! Reads the settings anew while a service runs (SIGHUP, `systemctl reload`). What is broken changes nothing, and what
//! cannot change while it runs is said.

use crate::config::HostConfig;
use crate::program::Settings;

/// A setting that counts from the next start only, and how to read its value.
pub type Fixed = (&'static str, fn(&HostConfig) -> String);

/// The settings as they are now, unless they cannot be read: then those before stay, which is said.
pub fn settings(settings: &Settings, started: &HostConfig, fixed: &[Fixed]) -> Option<HostConfig> {
    match settings.load(&[]) {
        Ok(now) => {
            for name in changed(started, &now, fixed) {
                tracing::warn!(
                    setting = name,
                    "a changed setting cannot change while this service runs. Restart it when you want it to count"
                );
            }
            tracing::info!("the settings were read anew");
            Some(now)
        }
        Err(error) => {
            kept(&error);
            None
        }
    }
}

/// Says that something could not be read anew.
pub fn kept(error: &dyn std::fmt::Display) {
    tracing::error!("not read anew, what was read before stays in use: {error}");
}

fn changed(started: &HostConfig, now: &HostConfig, fixed: &[Fixed]) -> Vec<&'static str> {
    fixed.iter().filter(|(_, of)| of(started) != of(now)).map(|(name, _)| *name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIXED: [Fixed; 2] =
        [("run_as", |of| of.run_as.clone()), ("max_sessions", |of| of.max_sessions.to_string())];

    #[test]
    fn only_changed_settings_are_named_and_a_broken_file_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("host.toml");
        let given = Settings { config: Some(file.clone()), state_dir: None };
        std::fs::write(&file, "run_as = \"a\"").unwrap();
        let started = given.load(&[]).unwrap();
        std::fs::write(&file, "run_as = \"b\"").unwrap();
        let now = settings(&given, &started, &FIXED).unwrap();
        assert_eq!(now.run_as, "b");
        assert_eq!(changed(&started, &now, &FIXED), ["run_as"]);
        assert!(changed(&now, &now, &FIXED).is_empty());
        std::fs::write(&file, "run_as = ").unwrap();
        assert!(settings(&given, &started, &FIXED).is_none());
    }
}
