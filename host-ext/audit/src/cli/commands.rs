//! What each command does; `Ok(true)` means that nothing was found wrong.

use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::json;
use sudare_audit::incidents::find;
use sudare_audit::{Incident, Incidents, Report, Walk};
use sudare_base::language::Language;
use sudare_evidence::reader::Store;
use sudare_evidence::store::disk::read_bounded;
use sudare_protocol::seal::Identity;
use sudare_protocol::tlog::VerifierKey;
use sudare_protocol::tlog::note::MAX_VKEY_BYTES;
use zeroize::Zeroizing;

use crate::cli::args::{Args, Command};
use crate::cli::{coverage, erase, export, open, output, retention, show, verify, words};

const IDENTITY_MAX_BYTES: usize = 16 * 1024;

pub(crate) fn run(args: &Args) -> anyhow::Result<bool> {
    let language = args.language();
    match &args.command {
        Command::Verify(args) => verify::verify(args, language),
        Command::List { dir, key, json } => list(dir, key, *json, language),
        Command::Show(args) => show::show(args, language),
        Command::Open(args) => open::open(args, language),
        Command::Release(args) => open::release(args, language),
        Command::Export(args) => export::export(args, language),
        Command::VerifyExport(args) => export::verify_export(args, language),
        Command::Approve(args) => erase::approve(args, language),
        Command::Erase(args) => erase::erase(args, language),
        Command::Retention(args) => retention::retention(args, language),
        Command::Coverage(args) => coverage::coverage(args, language),
    }
}

fn list(dir: &Path, key: &Path, json: bool, language: Language) -> anyhow::Result<bool> {
    let (_, report, incidents) = collect(dir, key)?;
    if json {
        output::json(&json!({ "ok": report.ok, "findings": report.findings, "incidents": incidents }))?;
    } else {
        incidents.iter().for_each(|incident| output::line(&words::incident(incident, language)));
        output::line(&words::listed(&report, incidents.len(), language));
    }
    Ok(report.ok)
}

/// The incident whose id begins so.
pub(crate) fn find_one<'a>(incidents: &'a [Incident], prefix: &str) -> anyhow::Result<&'a Incident> {
    match find(incidents, prefix).as_slice() {
        [one] => Ok(one),
        [] => bail!("No incident's id begins with `{prefix}`. `sudare-audit list` shows them all."),
        several => bail!("{} incidents begin with `{prefix}`. Give more of the id.", several.len()),
    }
}

/// Verifies the log and collects its incidents on the way (the sealed pictures are not hashed).
pub(crate) fn collect(dir: &Path, key: &Path) -> anyhow::Result<(Store, Report, Vec<Incident>)> {
    let verifier = read_key(dir, key)?;
    let store = Store::open(dir)?;
    let mut incidents = Incidents::default();
    let report = Walk::new(&store, &verifier, &[]).run(|index, entry, _| {
        incidents.add(index, entry);
        Ok(())
    })?;
    Ok((store, report, incidents.into_list()))
}

/// Reads the verifier key, which must not lie in the store that it is to verify.
pub(crate) fn read_key(dir: &Path, key: &Path) -> anyhow::Result<VerifierKey> {
    from_elsewhere(dir, key)?;
    let text = read(key, MAX_VKEY_BYTES)?;
    let key_line = String::from_utf8_lossy(&text).parse();
    key_line.with_context(|| format!("{} cannot be used", key.display()))
}

/// A key or certificate must not lie in what it is to verify.
pub(crate) fn from_elsewhere(dir: &Path, key: &Path) -> anyhow::Result<()> {
    let inside = |dir: std::path::PathBuf| key.canonicalize().is_ok_and(|key| key.starts_with(dir));
    if dir.canonicalize().is_ok_and(inside) {
        bail!(
            "{} lies inside the evidence store. Whoever changed the evidence could have changed it too: use the \
             one that you were given by another way.",
            key.display()
        );
    }
    Ok(())
}

pub(crate) fn read_identity(path: &Path) -> anyhow::Result<Identity> {
    let text = Zeroizing::new(read(path, IDENTITY_MAX_BYTES)?);
    let text = std::str::from_utf8(&text).with_context(|| format!("{} is no text", path.display()))?;
    Identity::parse(text).with_context(|| format!("{} cannot be used", path.display()))
}

pub(crate) fn read(path: &Path, max_bytes: usize) -> anyhow::Result<Vec<u8>> {
    read_bounded(path, max_bytes).with_context(|| format!("{} cannot be read", path.display()))
}
