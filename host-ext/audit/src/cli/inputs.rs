//! Reads what commands are given: keys, identities, files, an incident's id, a purpose.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use sudare_audit::incidents::find;
use sudare_audit::{Consents, Incident, Incidents, Report, Walk};
use sudare_evidence::reader::Store;
use sudare_protocol::seal::{self, Identity};
use sudare_protocol::text;
use sudare_protocol::tlog::note::{MAX_NOTE_BYTES, MAX_VKEY_BYTES};
use sudare_protocol::tlog::{VerifierKey, WitnessKey};
use sudare_records::keys;
use zeroize::Zeroizing;

use crate::cli::passphrase;

/// Advice for a key file that cannot be used.
pub(crate) const KEY_ADVICE: &str = "Give the file that Sudare wrote, or that the security team gave you";

/// A line in UTF-16, with room around it.
pub(crate) const VKEY_FILE_MAX_BYTES: usize = 3 * MAX_VKEY_BYTES;
const IDENTITY_MAX_BYTES: usize = 64 * 1024;
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

/// Verifies the log, and with the organisation's key its policies, and collects what was agreed to on the way.
pub(crate) fn collect_consents(
    dir: &Path,
    key: &Path,
    organisation: Option<&Path>,
) -> anyhow::Result<(Report, Consents)> {
    let verifier = read_key(dir, key)?;
    let organisation = organisation
        .map(|path| {
            require_outside(dir, path)?;
            keys::read_public(path, KEY_ADVICE).map_err(anyhow::Error::from)
        })
        .transpose()?;
    let store = Store::open(dir)?;
    let mut consents = Consents::default();
    let walk = Walk::new(&store, &verifier, &[]).with_organisation(organisation);
    let report = walk.run(|index, entry, _| {
        consents.add(index, entry);
        Ok(())
    })?;
    Ok((report, consents))
}

/// Reads the log's public key, which must not lie in the store that it is to verify.
pub(crate) fn read_key(dir: &Path, key: &Path) -> anyhow::Result<VerifierKey> {
    require_outside(dir, key)?;
    let line = read_text(key, VKEY_FILE_MAX_BYTES)?;
    line.parse().with_context(|| format!("{} cannot be used", key.display()))
}

/// Reads the public keys of witnesses.
pub(crate) fn read_witnesses(paths: &[PathBuf]) -> anyhow::Result<Vec<WitnessKey>> {
    let one = |path: &PathBuf| {
        let line = read_text(path, VKEY_FILE_MAX_BYTES)?;
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
    let file = Zeroizing::new(read(path, IDENTITY_MAX_BYTES)?);
    let text = if seal::is_protected(&file) {
        let passphrase = passphrase::ask(&format!("Passphrase of {}", path.display()))?;
        seal::unlock(&file, &passphrase)
    } else {
        let text = text::given(&file).with_context(|| format!("{} is not text", path.display()))?;
        Ok(Zeroizing::new(text))
    };
    text.and_then(|text| Identity::parse(&text)).with_context(|| format!("{} cannot be used", path.display()))
}

/// Reads a checkpoint or receipt, which people mail and copy as text.
pub(crate) fn read_note(path: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = read(path, MAX_NOTE_BYTES)?;
    Ok(text::given(&bytes).map_or(bytes, String::into_bytes))
}

/// Reads a text file, whatever an editor did to its beginning and to its line ends.
pub(crate) fn read_text(path: &Path, max_bytes: usize) -> anyhow::Result<String> {
    text::given(&read(path, max_bytes)?).with_context(|| format!("{} is not text", path.display()))
}

/// Reads a file of at most `max_bytes` that the command line names. It may be a pipe or a link, unlike a file of a store.
pub(crate) fn read(path: &Path, max_bytes: usize) -> anyhow::Result<Vec<u8>> {
    let unreadable = || format!("{} cannot be read", path.display());
    let mut bytes = Vec::new();
    let most = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes)).with_context(unreadable)?;
    if bytes.len() > max_bytes {
        bail!("{}: it is longer than {max_bytes} bytes, so it is not the file it should be", unreadable());
    }
    Ok(bytes)
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
