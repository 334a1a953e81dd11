//! Verifies an export from an untrusted source with nothing but the log's public key.

use serde::Serialize;
use sudare_protocol::tlog::{VerifierKey, WitnessKey, cosignature};
use sudare_protocol::utc::utc;

use super::bundle::{ALWAYS, Bundle, LIST};
use super::gather::TOOLS;
use super::proof::{Facts, made_by};
use super::{contents, page};

/// Files beside an export that are named; more are counted.
const EXTRA_NAMED_MAX: usize = 10;

/// Result of a check. The JSON names are stable; fields may be added.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// True if everything verifies and nothing was left uncompared.
    pub ok: bool,
    /// True if all that the log's key signed verifies; the page or the tools may still be other ones.
    pub evidence_ok: bool,
    /// The parts that were checked, in order, up to the first without which the others cannot be checked.
    pub checks: Vec<Check>,
    /// Id of the incident in hex.
    pub incident: Option<String>,
    /// Stable name of its reason.
    pub reason: Option<String>,
    /// When it happened, UTC, by the host's clock.
    pub time: Option<String>,
    /// Entries under the checkpoint.
    pub size: Option<u64>,
    /// The page, made from what was verified.
    #[serde(skip)]
    pub page: Option<String>,
}

impl Outcome {
    /// The file is not an export at all.
    pub fn refused(why: String) -> Self {
        let checks = vec![Check { name: "files", ok: false, detail: why }];
        Self { checks, ..Self::default() }
    }
}

/// One part of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// `files`, `checkpoint`, `facts`, `entries`, `sessions`, `pictures`, `tools`, `page`, `witness`.
    pub name: &'static str,
    /// Whether it passed.
    pub ok: bool,
    /// What was found.
    pub detail: String,
}

/// Verifies every file of an export. What cannot be compared does not pass.
pub fn check(bundle: &Bundle, verifier: &VerifierKey) -> Outcome {
    let mut outcome = Outcome::default();
    match steps(bundle, verifier, &mut outcome.checks) {
        Ok(contents) => {
            outcome.ok = outcome.checks.iter().all(|check| check.ok);
            outcome.evidence_ok = true;
            outcome.page = Some(page::render(bundle, &contents));
            outcome.incident = Some(contents.incident.id);
            outcome.reason = Some(contents.incident.reason);
            outcome.time = Some(contents.incident.time);
            outcome.size = Some(contents.facts.size);
        }
        Err((name, detail)) => outcome.checks.push(Check { name, ok: false, detail }),
    }
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
    let extra = match bundle.extra() {
        [] => String::new(),
        extra => format!("; beside them, not read and not to be relied on: {}", named(extra)),
    };
    good("files", format!("{} files, as listed in {LIST}{extra}", bundle.names().count()));
    let contents = contents::read(bundle, verifier)?;
    let (facts, size) = (&contents.facts, contents.checkpoint.size());
    good("checkpoint", format!("{} with {size} entries, signed by the given key", facts.origin));
    good("entries", format!("{} entries, signed and under the checkpoint", contents.entries.len()));
    let (sessions, messages) = (contents.sessions.len(), contents.sessions.messages);
    good("sessions", format!("{sessions} handshakes and {messages} client messages, signed"));
    let opened = contents.pictures.iter().filter(|(_, fact)| fact.opened.is_some()).count();
    let sealed = contents.pictures.iter().filter(|(_, fact)| fact.sealed.is_some()).count();
    good("pictures", format!("{sealed} sealed, {opened} opened, as the log vouches"));
    for (name, compared) in [("tools", tools(bundle, facts)), ("page", page(bundle, &contents))] {
        let (ok, detail) = match compared {
            Ok(detail) => (true, detail),
            Err(detail) => (false, detail),
        };
        checks.push(Check { name, ok, detail });
    }
    Ok(contents)
}

/// The texts and the program that are part of every export.
fn tools(bundle: &Bundle, facts: &Facts) -> Result<String, String> {
    let other = TOOLS.iter().find(|(name, ours)| bundle.get(name) != Some(ours.as_bytes()));
    match other {
        None => Ok("README.txt and verify.py are those of this version".to_owned()),
        Some((name, _)) => Err(not_ours(name, facts)),
    }
}

/// The page is made again from what was verified.
fn page(bundle: &Bundle, contents: &contents::Contents) -> Result<String, String> {
    if bundle.get("index.html") == Some(page::render(bundle, contents).as_bytes()) {
        Ok("shows exactly what was verified".to_owned())
    } else {
        Err(format!(
            "{}. Read the page that `verify-export --page FILE` makes from the evidence instead",
            not_ours("index.html", &contents.facts)
        ))
    }
}

/// A version cannot make what another one made: its wording may be different, or somebody changed it.
fn not_ours(name: &str, facts: &Facts) -> String {
    if facts.made_by == made_by() {
        format!("{name} is not the one that {} makes: somebody changed it", facts.made_by)
    } else {
        format!("{name} cannot be compared by {}: it says that {} made it", made_by(), facts.made_by)
    }
}

/// Some names, for people.
fn named(names: &[String]) -> String {
    let some = names.iter().take(EXTRA_NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(EXTRA_NAMED_MAX).filter(|more| *more > 0) {
        Some(more) => format!("{some} and {more} more"),
        None => some,
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use sha2::{Digest as _, Sha256};
    use sudare_protocol::evidence::Label;
    use sudare_protocol::evidence::event::LivenessResult;
    use sudare_protocol::evidence::note::{Missing, NoteCode};
    use sudare_protocol::hex::hex;
    use sudare_protocol::reason::{Reason, State};

    use super::*;
    use crate::html::STYLE;
    use crate::summary::messages::{of_label, of_reason};

    /// The second implementation makes the page with words of its own, which must be the same.
    #[test]
    fn the_independent_script_has_the_words_and_files_of_this_version() {
        let [(_, readme), (_, script)] = TOOLS;
        let mut wanted = vec![
            format!("MADE_BY = \"{}\"", made_by()),
            format!("README_SHA256 = \"{}\"", hex(&Sha256::digest(readme))),
            format!("STYLE_SHA256 = \"{}\"", STANDARD.encode(Sha256::digest(STYLE))),
        ];
        let mut words = |ja: &str, en: &str| wanted.extend([ja.to_owned(), en.to_owned()]);
        for reason in Reason::ALL {
            let text = of_reason(Some(*reason));
            words(&text.ja, &text.en);
            words(reason.as_str(), &format!("    {}: (", reason.number()));
        }
        NoteCode::ALL.iter().for_each(|code| words(code.japanese(), code.english()));
        Missing::ALL.iter().for_each(|missing| words(missing.japanese(), missing.english()));
        for result in LivenessResult::ALL {
            let (ja, en) = result.words();
            words(ja, en);
        }
        for label in Label::ALL {
            let text = of_label(Some(*label));
            words(&text.ja, &text.en);
        }
        State::ALL.iter().for_each(|state| words(state.as_str(), state.as_str()));
        for text in wanted {
            assert!(script.contains(&text), "verify.py lacks {text:?}");
        }
    }
}
