//! A short run of each fuzz target: libFuzzer on the stable compiler.

use std::path::{Path, PathBuf};
use std::{fs, thread};

use anyhow::{Context, Result, anyhow, bail};

use super::reached::{Reached, table};
use super::seeds;
use crate::project::Project;
use crate::run::{Job, on_path};

/// How long each target runs in seconds.
const SMOKE_S: u32 = 10;
const LONG_S: u32 = 300;
/// Where targets are; each folder is a workspace of its own.
const FOLDERS: &[&str] = &["protocol/fuzz", "host-ext/relay/fuzz"];
/// Inputs above this teach nothing: the largest message is 64 KiB.
const INPUT_BYTES_MAX: u32 = 128 * 1024;

/// What cargo-fuzz would pass to rustc: coverage counters that libFuzzer reads, and the address
/// sanitizer. The sanitizer watches `memcmp` too, which is how libFuzzer learns what bytes a
/// comparison wants; without it a magic number is never found.
const FLAGS: &[&str] = &[
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cdebug-assertions",
    "-Zsanitizer=address",
];

/// Whether this checkout has fuzz targets.
pub(super) fn is_present(project: &Project) -> bool {
    FOLDERS.iter().all(|folder| project.root.join(folder).join("Cargo.toml").is_file())
}

/// Builds the targets and runs each for a while.
///
/// # Errors
/// Names the targets that found an input which ends the program; the inputs lie in `artifacts`,
/// beside the targets.
pub(super) fn smoke(project: &Project, long: bool) -> Result<((), String)> {
    if on_path("c++").is_none() && on_path("g++").is_none() {
        bail!("libFuzzer needs a C++ compiler. Install the package g++");
    }
    let mut targets = Vec::new();
    for folder in FOLDERS {
        let found = build(project, folder)?;
        if found.is_empty() {
            bail!("{folder} declares no target. Add one, or remove the folder");
        }
        targets.extend(found);
    }
    let seconds = if long { LONG_S } else { SMOKE_S };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let (mut failures, mut reached) = (Vec::new(), Vec::new());
    for group in targets.chunks(cores) {
        let results = thread::scope(|scope| {
            let runs: Vec<_> =
                group.iter().map(|target| scope.spawn(|| run(project, target, seconds))).collect();
            runs.into_iter()
                .map(|run| run.join().unwrap_or_else(|_| bail!("the run broke off")))
                .collect::<Vec<_>>()
        });
        for result in results {
            match result {
                Ok(one) => reached.push(one),
                Err(error) => failures.push(format!("{error:#}")),
            }
        }
    }
    // Also of those beside one that failed.
    let log = project.own.join("fuzz").join("reached.txt");
    fs::write(&log, table(&reached, seconds)).with_context(|| format!("cannot write {}", log.display()))?;
    if !failures.is_empty() {
        bail!("{}", failures.join("\n"));
    }
    let executions: u64 = reached.iter().map(|one| one.executions).sum();
    let note = "what each reached";
    Ok((
        (),
        format!(
            "{} targets, {seconds} s each, {executions} executions; {note}: {}",
            targets.len(),
            log.display()
        ),
    ))
}

/// One program, and the folder that it comes from.
struct Target {
    folder: PathBuf,
    program: PathBuf,
}

/// Compiles the targets of a folder.
fn build(project: &Project, folder: &str) -> Result<Vec<Target>> {
    let triple = host_triple(&project.root)?;
    // Beside our other builds, and apart from them: the flags differ. Names of targets may be the
    // same in two folders.
    let target = project.own.join("fuzz").join(folder.replace('/', "-"));
    let folder = project.root.join(folder);
    Job::cargo(&folder)
        // A target triple keeps the flags away from build scripts and procedural macros.
        .args(["build", "--release", "--bins", "--quiet", "--target", &triple, "--target-dir"])
        .args([&target])
        // The sanitizer is a compiler option that only this variable unlocks.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}"))
        .run()?;
    let manifest = folder.join("Cargo.toml");
    let manifest =
        fs::read_to_string(&manifest).with_context(|| format!("{} is unreadable", manifest.display()))?;
    let programs = target.join(&triple).join("release");
    let found = target_names(&manifest).into_iter();
    Ok(found.map(|name| Target { folder: folder.clone(), program: programs.join(name) }).collect())
}

fn run(project: &Project, target: &Target, seconds: u32) -> Result<Reached> {
    let Target { folder, program } = target;
    let name = program.file_name().unwrap_or_default();
    let corpus = folder.join("corpus").join(name);
    let artifacts = folder.join("artifacts").join(name);
    let recorded = folder.join("seeds").join(name);
    if !recorded.is_dir() {
        seeds::write(&project.root.join("tests/data/vectors"), &name.to_string_lossy(), &corpus)?;
    }
    for folder in [&corpus, &artifacts] {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let mut prefix = artifacts.into_os_string();
    prefix.push("/");
    let mut artifact_prefix = std::ffi::OsString::from("-artifact_prefix=");
    artifact_prefix.push(prefix);
    // What is found goes into the first folder, and the others are only read.
    let corpora = [corpus].into_iter().chain(recorded.is_dir().then_some(recorded));
    let words = Job::new(program)
        .args([format!("-max_total_time={seconds}"), format!("-max_len={INPUT_BYTES_MAX}")])
        // It says what it reached, and how often it ran.
        .args(["-timeout=10", "-print_final_stats=1"])
        .args([artifact_prefix])
        .args(corpora)
        .stderr()
        .map_err(|error| anyhow!("{} failed\n{}", program.display(), findings(&error.to_string())))?;
    let package = folder.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    Reached::read(&format!("{package}/{}", name.to_string_lossy()), &words)
}

/// Of libFuzzer's many words, those that say what happened and which input did it. Give that
/// input to the program as its only argument to see it again.
fn findings(words: &str) -> String {
    let tells =
        |line: &&str| ["panicked at", "SUMMARY", "ERROR", "Test unit"].iter().any(|mark| line.contains(mark));
    let lines: Vec<&str> = words.lines().filter(tells).collect();
    if lines.is_empty() { words.to_owned() } else { lines.join("\n") }
}

/// The triple of this machine, from `rustc -vV`.
fn host_triple(root: &Path) -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let words = Job::new(rustc).args(["-vV"]).dir(root).stdout()?;
    let host = words.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not say what machine this is. Install it again")?.to_owned())
}

/// The names of the `[[bin]]` tables, in their order.
fn target_names(manifest: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut in_bin = false;
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            in_bin = line == "[[bin]]";
        } else if in_bin
            && let Some((key, value)) = line.split_once('=')
            && key.trim() == "name"
        {
            names.push(value.trim().trim_matches('"').to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_input_that_did_it_is_told() {
        let words =
            "`frame` failed\n #1 0x5 in main\nSUMMARY: libFuzzer: timeout\nTest unit written to a/crash-1";
        assert_eq!(findings(words), "SUMMARY: libFuzzer: timeout\nTest unit written to a/crash-1");
        assert_eq!(findings("cannot start frame"), "cannot start frame");
    }

    #[test]
    fn only_names_of_targets_are_taken() {
        let manifest = "[package]\nname = \"fuzz\"\n[[bin]]\nname = \"frame\"\npath = \"a.rs\"\n\
                        [dependencies]\nname = \"1\"\n[[bin]]\nname=\"message\"\n";
        assert_eq!(target_names(manifest), ["frame", "message"]);
    }
}
