//! Reads what commands are given: keys, identities, files, an incident's id, a purpose.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use sudare_audit::incidents::find;
use sudare_audit::{Incident, Incidents, Report, Walk};
use sudare_evidence::reader::Store;
use sudare_evidence::store::disk::read_bounded;
use sudare_protocol::seal::Identity;
use sudare_protocol::tlog::note::MAX_VKEY_BYTES;
use sudare_protocol::tlog::{VerifierKey, WitnessKey};
use zeroize::Zeroizing;

/// Advice for a key file that cannot be used.
pub(crate) const KEY_ADVICE: &str = "Give the file that Sudare wrote, or that the security team gave you";

const IDENTITY_MAX_BYTES: usize = 16 * 1024;
/// Longest purpose or reason.
const REMARK_MAX_BYTES: usize = 400;

/// The incident whose id begins with `prefix`.
pub(crate) fn find_one<'a>(incidents: &'a [Incident], prefix: &str) -> anyhow::Result<&'a Incident> {
    match find(incidents, prefix).as_slice() {
        [one] => Ok(one),
        [] => bail!("no incident's id begins with `{prefix}`. Run `sudare-audit list` to see them all"),
        several => bail!("{} incidents' ids begin with `{prefix}`. Give more digits", several.len()),
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

/// Reads the log's public key, which must not lie in the store that it is to verify.
pub(crate) fn read_key(dir: &Path, key: &Path) -> anyhow::Result<VerifierKey> {
    require_outside(dir, key)?;
    let text = read(key, MAX_VKEY_BYTES)?;
    let key_line = String::from_utf8_lossy(&text).parse();
    key_line.with_context(|| format!("{} cannot be used", key.display()))
}

/// Reads the public keys of witnesses.
pub(crate) fn read_witnesses(paths: &[PathBuf]) -> anyhow::Result<Vec<WitnessKey>> {
    let one = |path: &PathBuf| {
        let line = String::from_utf8_lossy(&read(path, MAX_VKEY_BYTES)?).into_owned();
        line.parse().with_context(|| format!("{} cannot be used", path.display()))
    };
    paths.iter().map(one).collect()
}

/// A key or certificate must not lie in what it is to verify.
pub(crate) fn require_outside(dir: &Path, key: &Path) -> anyhow::Result<()> {
    let inside = |dir: PathBuf| key.canonicalize().is_ok_and(|key| key.starts_with(dir));
    if dir.canonicalize().is_ok_and(inside) {
        bail!(
            "{} lies inside the evidence that it is to verify. Whoever changed the evidence could have changed it as \
             well: use the one that reached you by another way",
            key.display()
        );
    }
    Ok(())
}

/// Output files are never overwritten.
pub(crate) fn require_new(path: &Path) -> anyhow::Result<()> {
    if path.exists() {
        bail!("{} is there already and is not overwritten. Give another name", path.display());
    }
    Ok(())
}

/// Reads an age identity.
pub(crate) fn read_identity(path: &Path) -> anyhow::Result<Identity> {
    let text = Zeroizing::new(read(path, IDENTITY_MAX_BYTES)?);
    let text = std::str::from_utf8(&text).with_context(|| format!("{} is not text", path.display()))?;
    Identity::parse(text).with_context(|| format!("{} cannot be used", path.display()))
}

/// Reads a file of at most `max_bytes`.
pub(crate) fn read(path: &Path, max_bytes: usize) -> anyhow::Result<Vec<u8>> {
    read_bounded(path, max_bytes).with_context(|| format!("{} cannot be read", path.display()))
}

/// A purpose or reason that goes into a record: not empty, short, and on one line.
pub(crate) fn remark<'a>(text: &'a str, flag: &str) -> anyhow::Result<&'a str> {
    let text = text.trim();
    if text.is_empty() || text.len() > REMARK_MAX_BYTES || text.chars().any(char::is_control) {
        bail!(
            "{flag} must be one line of 1 to {REMARK_MAX_BYTES} bytes. It is kept with the record: give a case number, \
             no names"
        );
    }
    Ok(text)
}
