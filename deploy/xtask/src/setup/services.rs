//! Keeps a package that is installed for tests from running a service on this machine.

use std::path::Path;

use crate::report;
use crate::run::Job;

/// There only where systemd runs; elsewhere nothing starts by itself.
const SYSTEMD: &str = "/run/systemd/system";

/// Masks services that are not installed yet, so that installing them opens no port. The mask
/// stays, for the service would otherwise start with the machine; the reader is told.
pub(super) fn keep_from_starting(services: &[&str]) {
    if !Path::new(SYSTEMD).is_dir() {
        return;
    }
    match Job::new("systemctl").args(["--quiet", "mask"]).args(services).stdout() {
        Ok(_) => report::note(&format!(
            "the tests bring their own settings, so these stay off: {0}. To use them: systemctl unmask {0}",
            services.join(" ")
        )),
        Err(error) => report::note(&format!("{} may start now: {error:#}", services.join(" "))),
    }
}
