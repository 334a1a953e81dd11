//! Verifies an export from an untrusted source with nothing but the log's public key.

use serde::Serialize;
use sudare_protocol::tlog::{VerifierKey, WitnessKey, cosignature};
use sudare_protocol::utc::utc;

use super::bundle::{ALWAYS, Bundle, LIST};
use super::proof::made_by;
use super::{contents, page};

/// Result of a check. The JSON names are stable; fields may be added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// True if everything verifies.
    pub ok: bool,
    /// The parts that were checked, in order, up to the first that failed.
    pub checks: Vec<Check>,
    /// Id of the incident in hex.
    pub incident: Option<String>,
    /// Stable name of its reason.
    pub reason: Option<String>,
    /// When it happened, UTC, by the host's clock.
    pub time: Option<String>,
    /// Entries under the checkpoint.
    pub size: Option<u64>,
}

impl Outcome {
    /// The file is not an export at all.
    pub fn refused(why: String) -> Self {
        let checks = vec![Check { name: "files", ok: false, detail: why }];
        Self { ok: false, checks, incident: None, reason: None, time: None, size: None }
    }
}

/// One part of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// `files`, `checkpoint`, `facts`, `entries`, `sessions`, `pictures`, `page`, `witness`.
    pub name: &'static str,
    /// Whether it passed.
    pub ok: bool,
    /// What was found.
    pub detail: String,
}

/// Verifies every file of an export.
pub fn check(bundle: &Bundle, verifier: &VerifierKey) -> Outcome {
    let mut checks = Vec::new();
    let mut outcome =
        Outcome { ok: false, checks: vec![], incident: None, reason: None, time: None, size: None };
    match steps(bundle, verifier, &mut checks) {
        Ok(contents) => {
            outcome.ok = true;
            outcome.incident = Some(contents.incident.id);
            outcome.reason = Some(contents.incident.reason);
            outcome.time = Some(contents.incident.time);
            outcome.size = Some(contents.facts.size);
        }
        Err((name, detail)) => checks.push(Check { name, ok: false, detail }),
    }
    outcome.checks = checks;
    outcome
}

/// Verifies that a witness cosigned the checkpoint of an export.
pub fn check_witness(bundle: &Bundle, witness: &WitnessKey) -> Check {
    let note = bundle.get("checkpoint").unwrap_or_default();
    let (ok, detail) = match cosignature::check(note, std::slice::from_ref(witness)) {
        Err(error) => (false, error.to_string()),
        Ok(seen) => match seen.first() {
            Some(seen) => {
                (true, format!("{} cosigned it at {}", seen.name, utc(seen.time_s.saturating_mul(1000))))
            }
            None => (false, format!("{} did not cosign the checkpoint", witness.name())),
        },
    };
    Check { name: "witness", ok, detail }
}

fn steps(
    bundle: &Bundle,
    verifier: &VerifierKey,
    checks: &mut Vec<Check>,
) -> Result<contents::Contents, contents::Failure> {
    let mut good = |name, detail| checks.push(Check { name, ok: true, detail });
    if let Some(missing) = ALWAYS.iter().find(|name| bundle.get(name).is_none()) {
        return Err(("files", format!("{missing} is missing")));
    }
    if bundle.get(LIST) != Some(bundle.list().as_bytes()) {
        return Err(("files", format!("they differ from the list in {LIST}")));
    }
    good("files", format!("{} files, as listed in {LIST}", bundle.names().count()));
    let contents = contents::read(bundle, verifier)?;
    let (facts, size) = (&contents.facts, contents.checkpoint.size());
    good("checkpoint", format!("{} with {size} entries, signed by the given key", facts.origin));
    good("entries", format!("{} entries, signed and under the checkpoint", contents.entries.len()));
    let (sessions, messages) = (contents.sessions.len(), contents.sessions.messages);
    good("sessions", format!("{sessions} handshakes and {messages} client messages, signed"));
    let opened = contents.pictures.iter().filter(|(_, fact)| fact.opened.is_some()).count();
    let sealed = contents.pictures.iter().filter(|(_, fact)| fact.sealed.is_some()).count();
    good("pictures", format!("{sealed} sealed, {opened} opened, as the log vouches"));
    if facts.made_by != made_by() {
        // The wording changes between versions; the evidence does not.
        good("page", format!("not compared: it was made by {}", facts.made_by));
    } else if bundle.get("index.html") == Some(page::render(bundle, &contents).as_bytes()) {
        good("page", "shows exactly what was verified".to_owned());
    } else {
        return Err(("page", "index.html does not show what the evidence says".to_owned()));
    }
    Ok(contents)
}
