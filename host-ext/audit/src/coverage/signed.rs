//! The signature of a report: a C2SP signed note whose text is the report's JSON, so that it can be verified without
//! our tools.
//!
//! ```text
//! .json   {"report": {…}, "note": "{…}\n\n— sudare-coverage …\n"}
//! .html   a page made from the report, with the note in it
//! ```

use serde::{Deserialize, Serialize};
use sudare_protocol::tlog::note::{self, VerifierKey};
use sudare_protocol::{SigningKey, VerifyingKey};

use super::error::CoverageError;
use super::page;
use super::report::Report;

/// Name of the signer in the note.
pub const SIGNER: &str = "sudare-coverage";
/// Largest file that is read back.
pub const FILE_MAX_BYTES: usize = 256 * 1024;

#[derive(Serialize, Deserialize)]
struct File {
    report: Report,
    note: String,
}

/// The form in which a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For programs.
    Json,
    /// For people.
    Html,
}

/// Signs a report and returns it as a file.
pub fn sign(report: &Report, key: &SigningKey, form: Form) -> Result<String, CoverageError> {
    let refused = |why: String| CoverageError::Refused(why);
    let text = serde_json::to_string_pretty(report).map_err(|e| refused(e.to_string()))?;
    let note = note::sign(&format!("{text}\n"), SIGNER, key).map_err(|e| refused(e.to_string()))?;
    match form {
        Form::Html => Ok(page::render(report, &note)),
        Form::Json => {
            let file = File { report: report.clone(), note };
            serde_json::to_string_pretty(&file).map(|text| text + "\n").map_err(|e| refused(e.to_string()))
        }
    }
}

/// Reads a report back after verifying that `key` signed it and that the visible part agrees with the signed text.
pub fn open(text: &str, key: &VerifyingKey) -> Result<Report, CoverageError> {
    let refused = |why: &str| CoverageError::Refused(why.to_owned());
    let verifier = VerifierKey::new(SIGNER, *key).map_err(|e| refused(&e.to_string()))?;
    let read = |note: &str| -> Result<Report, CoverageError> {
        let text = note::open(note.as_bytes(), &verifier).map_err(|e| refused(&e.to_string()))?;
        serde_json::from_str(text).map_err(|_| refused("its signed text is not a report"))
    };
    if text.trim_start().starts_with('{') {
        let file: File =
            serde_json::from_str(text).map_err(|_| refused("it does not have the form of a report"))?;
        let report = read(&file.note)?;
        return if report == file.report {
            Ok(report)
        } else {
            Err(refused("the report and its signed note differ"))
        };
    }
    let note = page::note(text).ok_or_else(|| refused("it does not contain a signed note"))?;
    let report = read(&note)?;
    if page::render(&report, &note) == text {
        Ok(report)
    } else {
        Err(refused("the page and its signed note differ, or it was made by another version"))
    }
}
