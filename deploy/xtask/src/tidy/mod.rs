//! Rules about the sources that no compiler checks.

mod boundaries;
mod clocks;
mod errors;
mod sources;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Far above what this repository holds; a loop of links would pass it.
const FILES_MAX: usize = 20_000;

/// Looks at all Rust files and manifests of the checkout.
///
/// # Errors
/// Lists every place that breaks a rule.
pub(crate) fn check(root: &Path) -> Result<((), String)> {
    let mut findings = Vec::new();
    let mut count = 0;
    for path in files(root)? {
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        let read = || fs::read_to_string(&path).with_context(|| format!("{name} is unreadable"));
        if path.extension().is_some_and(|extension| extension == "rs") {
            let text = read()?;
            findings.extend(sources::findings(&name, &text));
            findings.extend(errors::findings(&name, &text));
            findings.extend(clocks::findings(&name, &text));
            count += 1;
        } else if path.file_name().is_some_and(|file| file == "Cargo.toml") {
            findings.extend(boundaries::findings(&name, &read()?));
        }
    }
    if !findings.is_empty() {
        bail!("{} places break a rule\n{}", findings.len(), findings.join("\n"));
    }
    Ok(((), format!("{count} Rust files")))
}

/// The part of a file that programs are made of; what comes after the tests of its own is theirs.
fn without_tests<'t>(name: &str, text: &'t str) -> &'t str {
    let is_test = name.starts_with("tests/")
        || name.ends_with("tests.rs")
        || ["/tests/", "/fuzz/", "/stage"].iter().any(|part| name.contains(part));
    // Some lend what they are made of to their neighbours' tests.
    let begins = ["", "pub(super) ", "pub(crate) "].map(|seen| format!("#[cfg(test)]\n{seen}mod tests {{"));
    let before = |text: &'t str, begin: &String| text.split(begin.as_str()).next().unwrap_or(text);
    if is_test { "" } else { begins.iter().fold(text, before) }
}

/// All files below `root` that could be sources, in a fixed order.
fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let unreadable = || format!("{} is unreadable", folder.display());
        for entry in fs::read_dir(&folder).with_context(unreadable)? {
            let entry = entry.with_context(unreadable)?;
            let kind = entry.file_type().with_context(unreadable)?;
            let name = entry.file_name();
            if kind.is_dir() && !is_left_out(&name.to_string_lossy()) {
                folders.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            }
            if files.len() > FILES_MAX {
                bail!(
                    "more than {FILES_MAX} files lie in the checkout. Move what is not part of it elsewhere"
                );
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Builds, what the fuzzer collects, and git's own files. (Links are not followed at all.)
fn is_left_out(folder: &str) -> bool {
    matches!(folder, "target" | "corpus" | "artifacts") || folder.starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_file_is_named_wherever_it_lies_but_not_in_a_build() {
        let root = std::env::temp_dir().join(format!("xtask-tidy-{}", std::process::id()));
        for folder in ["a/b", "a/target"] {
            fs::create_dir_all(root.join(folder)).expect("a folder for the test");
        }
        fs::write(root.join("a/target/built.rs"), "unsafe {}").expect("a file of a build");
        assert_eq!(check(&root).expect("nothing of ours is there").1, "0 Rust files");
        fs::write(root.join("a/b/bad.rs"), "unsafe {}").expect("a bad file");
        let error = check(&root).expect_err("it breaks a rule").to_string();
        assert!(error.contains("a/b/bad.rs:1: unsafe outside sys.rs"), "{error}");
        fs::remove_dir_all(&root).expect("the folder goes");
    }
}
