//! Verifies the evidence with the auditors' program, opens one incident, and hands it on as a page.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::{Stage, output_of};

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

/// Verifies the store, lists it, and tells and opens the incident in which somebody looked.
pub fn prove(stage: &Stage) -> anyhow::Result<Proof> {
    let store = stage.evidence();
    let audit = |command: &str| {
        let mut program = stage.audit_command();
        program.arg(command).arg(&store);
        program
    };
    let key = |program: &mut Command| json(program.arg("--key").arg(&stage.log_vkey).arg("--json"));
    let report = key(&mut audit("verify"))?;
    ensure!(report["ok"] == true, "the evidence does not verify: {report}");
    let listed = key(&mut audit("list"))?;
    let incidents: Vec<(String, String)> = listed["incidents"]
        .as_array()
        .context("no list of incidents")?
        .iter()
        .map(|i| (text(&i["id"]), text(&i["reason"])))
        .collect();
    let (id, _) =
        incidents.iter().find(|(_, reason)| reason == "onlooker").context("no incident for the onlooker")?;
    let told = key(audit("show").arg(id))?;
    ensure!(told["ok"] == true, "the incident cannot be told: {told}");
    let mut open = audit("open");
    open.arg(id).args(["--full", "--purpose", "demo", "--identity"]).arg(stage.auditor());
    let opened = key(open.arg("--out").arg(stage.dir.join("incident")))?;
    let pictures: Vec<(String, PathBuf)> = opened["opened"]
        .as_array()
        .context("no pictures")?
        .iter()
        .filter_map(|p| Some((text(&p["label"]), PathBuf::from(p["file"].as_str()?))))
        .collect();
    for needed in ["camera-before", "camera-at", "camera-after", "screenshot-suspect", "screenshot-at-cover"]
    {
        ensure!(pictures.iter().any(|(label, _)| label == needed), "the incident has no {needed}: {opened}");
    }
    for (label, file) in &pictures {
        let picture =
            image::open(file).with_context(|| format!("{label} cannot be opened: {}", file.display()))?;
        ensure!(picture.width() >= 320, "{label} is too small to show anything");
    }
    let page = hand_on(stage, id, &key)?;
    Ok(Proof { entries: report["entries"].as_u64().unwrap_or(0), incidents, pictures, page })
}

/// Exports the incident, checks the export as its receiver would, and unpacks it to be looked at.
fn hand_on(
    stage: &Stage,
    incident: &str,
    key: &impl Fn(&mut Command) -> anyhow::Result<Value>,
) -> anyhow::Result<PathBuf> {
    let (zip, folder) = (stage.dir.join("incident.zip"), stage.dir.join("incident-page"));
    let mut export = stage.audit_command();
    export.arg("export").arg(stage.evidence()).arg(incident).arg("--identity").arg(stage.auditor());
    key(export.args(["--purpose", "demo"]).arg("--out").arg(&zip))?;
    let checked = key(stage.audit_command().arg("verify-export").arg(&zip))?;
    ensure!(checked["ok"] == true, "the exported incident does not verify: {checked}");
    zip::ZipArchive::new(std::fs::File::open(&zip)?)?.extract(&folder)?;
    let page = folder.join("index.html");
    ensure!(page.exists(), "the export has no page");
    Ok(page)
}

fn json(command: &mut Command) -> anyhow::Result<Value> {
    let said = output_of(command)?;
    serde_json::from_str(&said).with_context(|| format!("{command:?} did not print JSON: {said}"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
