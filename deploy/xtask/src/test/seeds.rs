//! Seeds for the fuzz targets, made from the vectors of the protocol when they are run.
//!
//! ```text
//! tests/data/vectors/*.json ─ each "…" ─► hex is decoded, other text is kept ─► corpus/<target>/vector-N
//! ```
//! Every target gets every seed: libFuzzer keeps what reaches something new.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Writes the seeds into `corpus`; returns how many.
pub(super) fn write(vectors: &Path, corpus: &Path) -> Result<usize> {
    fs::create_dir_all(corpus).with_context(|| format!("cannot create {}", corpus.display()))?;
    let seeds = forms(&values(vectors)?);
    for (number, seed) in seeds.iter().enumerate() {
        let path = corpus.join(format!("vector-{number}"));
        fs::write(&path, seed).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(seeds.len())
}

/// Every value of every vector file, as bytes.
fn values(vectors: &Path) -> Result<Vec<Vec<u8>>> {
    let unreadable = || format!("{} is unreadable. Restore it from the repository", vectors.display());
    let mut files: Vec<_> = fs::read_dir(vectors)
        .with_context(unreadable)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .with_context(unreadable)?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    let mut values = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).with_context(unreadable)?;
        values.extend(strings(&text));
    }
    Ok(values)
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

/// Each value as it is and with a length before it, and all of them as one row.
fn forms(values: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let with_length = |value: &Vec<u8>| {
        u16::try_from(value.len()).map(|length| [&length.to_be_bytes()[..], value].concat()).ok()
    };
    let rows: Vec<Vec<u8>> = values.iter().filter_map(with_length).collect();
    let all = rows.concat();
    values.iter().cloned().chain(rows).chain([all]).collect()
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
        let values = values(&root.join("tests/data/vectors")).expect("the vectors are there");
        // A signed message begins with the tag of COSE_Sign1.
        assert!(values.iter().any(|value| value.starts_with(&[0xd2, 0x84])));
        assert!(forms(&values).len() > 2 * values.len());
    }
}
