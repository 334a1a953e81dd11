//! The program under test, and what its events say of themselves.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use super::log::Log;

fn sudare_forward() -> PathBuf {
    sudare_test_kit::program("sudare-forward").unwrap()
}

/// `sudare-forward` from this log.
pub(crate) fn forward(log: &Log, to: &str, format: &str) -> Command {
    let mut command = Command::new(sudare_forward());
    command.arg("--store").arg(log.path("store")).arg("--state").arg(log.path("state"));
    command.arg("--key").arg(log.path("log.vkey")).args(["--to", to, "--format", format]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Sends what is there and ends.
pub(crate) fn forward_once(log: &Log, to: &str, format: &str, more: &[&str]) -> Output {
    let mut command = forward(log, to, format);
    command.arg("--once").args(more).stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap()
}

/// The same, and it must succeed.
pub(crate) fn forwarded(log: &Log, to: &str, format: &str, more: &[&str]) {
    let output = forward_once(log, to, format, more);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// `sudare-forward --status --json`.
pub(crate) fn status(log: &Log) -> serde_json::Value {
    let mut command = Command::new(sudare_forward());
    command.args(["--status", "--json", "--state"]).arg(log.path("state"));
    let output = command.output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"))
}

/// The id of an event in any of the forms.
pub(crate) fn uid(event: &str) -> String {
    if let Some((_, rest)) = event.split_once("externalId=") {
        return rest.split(' ').next().unwrap().to_owned();
    }
    let at = event.find('{').unwrap_or_else(|| panic!("neither CEF nor JSON: {event}"));
    let value: serde_json::Value =
        serde_json::from_str(&event[at..]).unwrap_or_else(|e| panic!("{e}: {event}"));
    let event = value.get("event").unwrap_or(&value);
    event["metadata"]["uid"].as_str().unwrap().to_owned()
}
