//! Verifies the evidence with the auditors' program, opens one incident, and hands it on as a page.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use sudare_protocol::verify::FindingKind;

use super::Stage;
use crate::wait_until;

/// What the auditor found.
#[derive(Debug)]
pub struct Proof {
    pub entries: u64,
    pub incidents: Vec<(String, String)>,
    /// Opened pictures of the onlooker's incident: label and file.
    pub pictures: Vec<(String, PathBuf)>,
    /// The page of that incident, which verifies without us.
    pub page: PathBuf,
}

impl Proof {
    /// The reasons of all incidents, for people.
    pub fn reasons(&self) -> String {
        let reasons: Vec<&str> = self.incidents.iter().map(|(_, reason)| reason.as_str()).collect();
        reasons.join(", ")
    }
}

/// Labels of what the onlooker's incident must have.
const CAMERA: [&str; 3] = ["camera-before", "camera-at", "camera-after"];
const SCREENSHOTS: [&str; 2] = ["screenshot-suspect", "screenshot-at-cover"];
/// What the audit finds while pictures are still on their way.
const ON_THEIR_WAY: [&str; 3] = ["incident-incomplete", "manifest-uncompleted", "pictures-missing"];

/// Waits until every picture that is due is in the evidence, as an auditor would find it now.
///
/// # Errors
/// Something did not arrive within minutes: the findings, in words.
pub fn wait_durable(stage: &Stage) -> anyhow::Result<()> {
    wait_until("all pictures to be in the evidence", || {
        let report = key(stage, &mut audit(stage, "verify"))?;
        let waits = |finding: &&Value| ON_THEIR_WAY.iter().any(|kind| finding["kind"] == *kind);
        let still: Vec<String> = findings(&report).iter().filter(waits).map(in_words).collect();
        Ok(if still.is_empty() { Ok(()) } else { Err(still.join("; ")) })
    })
}

/// Verifies the store, lists it, and tells and opens the incident in which somebody looked.
///
/// # Errors
/// Something was found, and what; or something is missing.
pub fn prove(stage: &Stage) -> anyhow::Result<Proof> {
    prove_with(stage, &[&CAMERA[..], &SCREENSHOTS].concat())
}

/// The same where the cover takes no screenshots.
///
/// # Errors
/// As [`prove`].
pub fn prove_camera(stage: &Stage) -> anyhow::Result<Proof> {
    prove_with(stage, &CAMERA)
}

fn prove_with(stage: &Stage, needed: &[&str]) -> anyhow::Result<Proof> {
    let report = key(stage, &mut audit(stage, "verify"))?;
    let found: Vec<String> = findings(&report).iter().map(in_words).collect();
    ensure!(report["ok"] == true, "the audit found: {}", found.join("; "));
    let listed = key(stage, &mut audit(stage, "list"))?;
    let listed = listed["incidents"].as_array().context("the audit gave no list of incidents")?;
    let id = onlooker(listed, needed)?;
    let told = key(stage, audit(stage, "show").arg(&id))?;
    ensure!(told["ok"] == true, "incident {id} cannot be shown: {told}");
    let mut open = audit(stage, "open");
    open.arg(&id).args(["--full", "--purpose", "demo", "--identity"]).arg(stage.auditor());
    let opened = key(stage, open.arg("--out").arg(stage.dir.join("incident")))?;
    let pictures: Vec<(String, PathBuf)> = opened["opened"]
        .as_array()
        .context("the audit opened no pictures")?
        .iter()
        .filter_map(|p| Some((text(&p["label"]), PathBuf::from(p["file"].as_str()?))))
        .collect();
    for (label, file) in &pictures {
        let picture =
            image::open(file).with_context(|| format!("{label} cannot be opened: {}", file.display()))?;
        ensure!(picture.width() >= 320, "{label} is too small to show anything");
    }
    let page = hand_on(stage, &id)?;
    let incidents = listed.iter().map(|i| (text(&i["id"]), text(&i["reason"]))).collect();
    Ok(Proof { entries: report["entries"].as_u64().unwrap_or(0), incidents, pictures, page })
}

/// The incident of the onlooker that has everything. On a slow machine there may be others before it, with less.
fn onlooker(listed: &[Value], needed: &[&str]) -> anyhow::Result<String> {
    let mut lacking = Vec::new();
    for incident in listed.iter().filter(|incident| incident["reason"] == "onlooker") {
        let pictures = incident["pictures"].as_array().map(Vec::as_slice).unwrap_or_default();
        let missing: Vec<&str> = needed
            .iter()
            .copied()
            .filter(|label| !pictures.iter().any(|one| one["label"] == *label))
            .collect();
        if missing.is_empty() {
            return Ok(text(&incident["id"]));
        }
        lacking.push(format!("incident {} has no {}", text(&incident["id"]), missing.join(", ")));
    }
    ensure!(!lacking.is_empty(), "there is no incident for the onlooker among {} incidents", listed.len());
    bail!("no incident of the onlooker is whole: {}", lacking.join("; "))
}

fn audit(stage: &Stage, command: &str) -> Command {
    let mut program = stage.audit_command();
    program.arg(command).arg(stage.evidence());
    program
}

fn key(stage: &Stage, program: &mut Command) -> anyhow::Result<Value> {
    json(program.arg("--key").arg(&stage.log_vkey).arg("--json"))
}

fn findings(report: &Value) -> &[Value] {
    report["findings"].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn in_words(finding: &Value) -> String {
    let kind = text(&finding["kind"]);
    let known = FindingKind::ALL.iter().find(|known| known.as_str() == kind);
    let sentence = known.map(|known| known.sentence().trim_end_matches('.')).unwrap_or_default();
    let entry = finding["entry"].as_u64().map(|entry| format!(" at entry {entry}")).unwrap_or_default();
    format!("{kind}{entry} ({}): {sentence}", text(&finding["detail"]))
}

/// Exports the incident, checks the export as its receiver would, and unpacks it to be looked at.
fn hand_on(stage: &Stage, incident: &str) -> anyhow::Result<PathBuf> {
    let (zip, folder) = (stage.dir.join("incident.zip"), stage.dir.join("incident-page"));
    let mut export = stage.audit_command();
    export.arg("export").arg(stage.evidence()).arg(incident).arg("--identity").arg(stage.auditor());
    key(stage, export.args(["--purpose", "demo"]).arg("--out").arg(&zip))?;
    let checked = key(stage, stage.audit_command().arg("verify-export").arg(&zip))?;
    ensure!(checked["ok"] == true, "the exported incident does not verify: {checked}");
    zip::ZipArchive::new(std::fs::File::open(&zip)?)?.extract(&folder)?;
    let page = folder.join("index.html");
    ensure!(page.exists(), "the export has no page");
    Ok(page)
}

/// What an audit printed; one that found something ends with 1, and has printed what.
fn json(command: &mut Command) -> anyhow::Result<Value> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    let (said, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let report = serde_json::from_str(&said).ok().filter(|_| matches!(output.status.code(), Some(0 | 1)));
    report
        .with_context(|| format!("{command:?} ended with {}: {}{}", output.status, said.trim(), error.trim()))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
