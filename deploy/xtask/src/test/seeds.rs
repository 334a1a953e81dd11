//! Seeds for the fuzz targets, made from the vectors of the protocol when they are run.
//!
//! ```text
//! tests/data/vectors/*.json ─ each "…" ─► hex is decoded, other text is kept ─► corpus/<target>/vector-N
//!                           └ what each signer says, in its order ─► a row from each message on
//! ```
//! Targets that read rows of `u16 length ‖ item` get rows, the others get the values: libFuzzer keeps what reaches
//! something new.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Items without content, each a length of 0.
const DUE: [u8; 16] = [0; 16];
/// Targets that read rows of items.
const OF_ROWS: [&str; 3] = ["session", "client", "bundle"];

/// Writes the seeds of a target into `corpus`; returns how many.
pub(super) fn write(vectors: &Path, target: &str, corpus: &Path) -> Result<usize> {
    fs::create_dir_all(corpus).with_context(|| format!("cannot create {}", corpus.display()))?;
    let texts = texts(vectors)?;
    let seeds = if OF_ROWS.contains(&target) { rows(&texts) } else { values(&texts) };
    for (number, seed) in seeds.iter().enumerate() {
        let path = corpus.join(format!("vector-{number}"));
        fs::write(&path, seed).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(seeds.len())
}

/// Every vector file.
fn texts(vectors: &Path) -> Result<Vec<String>> {
    let unreadable = || format!("{} is unreadable. Restore it from the repository", vectors.display());
    let mut files: Vec<_> = fs::read_dir(vectors)
        .with_context(unreadable)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .with_context(unreadable)?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    files.iter().map(|path| fs::read_to_string(path).with_context(unreadable)).collect()
}

/// Every value, as bytes.
fn values(texts: &[String]) -> Vec<Vec<u8>> {
    texts.iter().flat_map(|text| strings(text)).collect()
}

/// What stands between quotation marks. Vectors hold no escape but `\n`.
fn strings(json: &str) -> Vec<Vec<u8>> {
    let mut strings: Vec<Vec<u8>> = json
        .split('"')
        .skip(1)
        .step_by(2)
        .map(|text| unhex(text).unwrap_or_else(|| text.replace("\\n", "\n").into_bytes()))
        .filter(|bytes| bytes.len() > 1)
        .collect();
    let mut seen = std::collections::HashSet::new();
    strings.retain(|bytes| seen.insert(bytes.clone()));
    strings
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let whole = text.len().is_multiple_of(2) && text.bytes().all(|b| b.is_ascii_hexdigit());
    let pairs = || (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok());
    if whole { pairs().collect() } else { None }
}

/// Each value with a length before it; then what each signer says in one file, from each of its messages on, since a
/// session ends at the first that does not belong there; and each of these behind short items and before them, which
/// stand for whatever is due.
fn rows(texts: &[String]) -> Vec<Vec<u8>> {
    let mut rows: Vec<Vec<u8>> = values(texts).iter().filter_map(|value| with_length(value)).collect();
    for text in texts {
        let mut by_signer: BTreeMap<&str, Vec<Vec<u8>>> = BTreeMap::new();
        for (message, signer) in signed(text) {
            by_signer.entry(signer).or_default().extend(with_length(&message));
        }
        for said in by_signer.values() {
            for from in 0..said.len() {
                let row = said.get(from..).unwrap_or_default().concat();
                let first = said.get(from).cloned().unwrap_or_default();
                rows.extend([[&DUE[..], &row].concat(), [&first[..], &DUE].concat(), row]);
            }
        }
    }
    rows
}

fn with_length(value: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(value.len()).ok()?;
    Some([&length.to_be_bytes()[..], value].concat())
}

/// The messages of a file without their signatures, so that a fuzzer can change them, each with who signed it.
fn signed(json: &str) -> Vec<(Vec<u8>, &str)> {
    let vectors = json.split("\"payload\": \"").skip(1);
    let parts = vectors.filter_map(|vector| {
        let message = unhex(vector.split('"').next()?)?;
        let (_, signer) = vector.split_once("\"signer\": \"")?;
        Some((message, signer.split('"').next()?))
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_decoded_and_text_is_kept() {
        let found = strings("{\"cose\": \"d2FF\", \"note\": \"two\\nlines\", \"n\": 3, \"odd\": \"d2f\"}");
        assert!(found.contains(&vec![0xd2, 0xff]));
        assert!(found.contains(&b"two\nlines".to_vec()));
        assert!(found.contains(&b"d2f".to_vec()));
    }

    #[test]
    fn the_vectors_of_this_checkout_give_seeds() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let texts = texts(&root.join("tests/data/vectors")).expect("the vectors are there");
        // A signed message begins with the tag of COSE_Sign1.
        assert!(values(&texts).iter().any(|value| value.starts_with(&[0xd2, 0x84])));
        // Many messages in a row.
        assert!(rows(&texts).iter().any(|seed| seed.len() > 1_000));
    }

    #[test]
    fn what_a_signer_says_is_a_row_from_each_of_its_messages_on() {
        let vector = |hex: &str, who: &str| format!("{{\"payload\": \"{hex}\", \"signer\": \"{who}\"}}");
        let text = [vector("aaaa", "host"), vector("bbbb", "device"), vector("cccc", "host")].concat();
        let rows = rows(&[text]);
        assert!(rows.contains(&vec![0, 2, 0xaa, 0xaa, 0, 2, 0xcc, 0xcc]));
        assert!(rows.contains(&vec![0, 2, 0xcc, 0xcc]) && rows.contains(&vec![0, 2, 0xbb, 0xbb]));
    }
}
