//! The house itself: how much a program is built on, what one change compiles and links again, and whether the demo
//! passes on a machine that has no time for it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::table::{Needed, Table};

/// Programs whose packages are counted: the key, the package, and how many there may be.
const COUNTED: [(&str, &str, Needed); 2] = [
    // It may look into every process.
    ("owner_packages", "sudare-owner", Needed::AtMost(70.0)),
    ("gate_packages", "sudare-gate", Needed::Nothing),
];
/// What is touched: the key, and the file.
const TOUCHED: [(&str, &str); 3] = [
    ("cef", "host-ext/forward/src/cef.rs"),
    ("presence", "client-ext/core/src/presence.rs"),
    ("guard", "host-ext/guard/src/decision.rs"),
];
/// Of our packages and programs after a change in the CEF encoder.
const CEF_PACKAGES_MAX: f64 = 2.0;
const CEF_PROGRAMS_MAX: f64 = 1.0;
const LOOPS_PER_CORE: usize = 8;

/// Measures in the checkout at `root`; the demo's files go to `out`.
pub fn measure(table: &mut Table, root: &Path, out: &Path) -> anyhow::Result<()> {
    for (key, package, needed) in COUNTED {
        match packages(root, package) {
            Ok(count) => {
                table.row(&key.replace('_', " "), Some(f64::from(count)), "", needed);
                table.keep(key, count);
            }
            Err(error) => table.leave_out(&[key], &format!("{error:#}")),
        }
    }
    rebuilds(table, root)?;
    demo_under_load(table, root, out)
}

/// Different packages that one is built on, itself included.
fn packages(root: &Path, package: &str) -> anyhow::Result<u32> {
    let mut tree = cargo(root);
    let output =
        tree.args(["tree", "--offline", "-e", "normal", "--prefix", "none", "-p", package]).output()?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr).trim());
    let told = String::from_utf8_lossy(&output.stdout);
    // `name v1.2.3 (path) (*)`
    let named = told.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        Some((words.next()?, words.next()?))
    });
    Ok(u32::try_from(named.collect::<BTreeSet<_>>().len())?)
}

/// What one build did.
#[derive(Debug, Default)]
struct Built {
    seconds: f64,
    /// Of ours, compiled again.
    packages: BTreeSet<String>,
    /// Programs, and libraries that others load, linked again.
    programs: BTreeSet<String>,
}

fn rebuilds(table: &mut Table, root: &Path) -> anyhow::Result<()> {
    build(root).context("the whole workspace does not build")?;
    let [mut seconds, mut packages, mut programs] = [json!({}), json!({}), json!({})];
    for (key, file) in TOUCHED {
        let built = match touched(root, &root.join(file)) {
            Ok(built) => built,
            Err(error) => {
                table.leave_out(&[&format!("rebuild_after_touch_s.{key}")], &format!("{file}: {error:#}"));
                continue;
            }
        };
        let (count, linked) = (built.packages.len(), built.programs.len());
        let is_cef = key == "cef";
        let at_most = |most: f64| if is_cef { Needed::AtMost(most) } else { Needed::Nothing };
        table.row(&format!("rebuild after touching {key}"), Some(built.seconds), "s", Needed::Nothing);
        table.row(&format!("  of our packages ({key})"), number(count), "", at_most(CEF_PACKAGES_MAX));
        table.row(&format!("  programs linked ({key})"), number(linked), "", at_most(CEF_PROGRAMS_MAX));
        seconds[key] = json!(built.seconds);
        packages[key] = json!(built.packages);
        programs[key] = json!(built.programs);
    }
    table.keep("rebuild_after_touch_s", seconds);
    table.keep("rebuild_after_touch_packages", packages);
    table.keep("rebuild_after_touch_programs", programs);
    Ok(())
}

fn number(count: usize) -> Option<f64> {
    u32::try_from(count).ok().map(f64::from)
}

/// Builds after the file was written anew with what it had; its time is put back afterwards.
fn touched(root: &Path, file: &Path) -> anyhow::Result<Built> {
    let modified = fs::metadata(file)?.modified()?;
    fs::write(file, fs::read(file)?)?;
    let built = build(root);
    File::options().write(true).open(file)?.set_modified(modified)?;
    built
}

fn build(root: &Path) -> anyhow::Result<Built> {
    let started = Instant::now();
    let mut child = cargo(root)
        .args(["build", "--quiet", "--offline", "--workspace", "--message-format", "json"])
        .stdout(Stdio::piped())
        .spawn()
        .context("cargo cannot be started")?;
    let mut built = Built::default();
    for line in BufReader::new(child.stdout.take().context("no output of cargo")?).lines() {
        if let Ok(message) = serde_json::from_str(&line?) {
            note(&mut built, &message);
        }
    }
    let status = child.wait()?;
    ensure!(status.success(), "cargo build ended with {status}; its own words stand above");
    built.seconds = started.elapsed().as_secs_f64();
    Ok(built)
}

fn note(built: &mut Built, message: &Value) {
    let id = message["package_id"].as_str().unwrap_or_default();
    if message["reason"] != "compiler-artifact" || message["fresh"] != false || !id.starts_with("path+") {
        return;
    }
    built.packages.insert(package_name(id).to_owned());
    let kinds = message["target"]["kind"].as_array().map(Vec::as_slice).unwrap_or_default();
    if kinds.iter().any(|kind| kind == "bin" || kind == "cdylib") {
        built.programs.extend(message["target"]["name"].as_str().map(str::to_owned));
    }
}

/// `path+file:///a/b#name@1.0.0`, or `path+file:///a/name#1.0.0`.
fn package_name(id: &str) -> &str {
    let (path, rest) = id.split_once('#').unwrap_or((id, ""));
    rest.split_once('@').map_or_else(|| path.rsplit('/').next().unwrap_or(path), |(name, _)| name)
}

/// The demo of the build that was just made, while others take all processors.
fn demo_under_load(table: &mut Table, root: &Path, out: &Path) -> anyhow::Result<()> {
    let program = programs(root)?.join("sudare-demo");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = Load::start(LOOPS_PER_CORE * cores)?;
    let started = Instant::now();
    let demo = Command::new(&program)
        .arg("--out")
        .arg(out)
        .env("SUDARE_BIN_DIR", program.parent().unwrap_or(root))
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", program.display()));
    let seconds = started.elapsed().as_secs_f64();
    drop(load);
    let demo = demo?;
    let passes = demo.status.success();
    if !passes {
        let words = String::from_utf8_lossy(&demo.stderr);
        table
            .broke_off("build", &format!("the demo under load ended with {}: {}", demo.status, words.trim()));
    }
    let name = format!("demo beside {LOOPS_PER_CORE} busy loops a core passes");
    table.row(&name, Some(f64::from(u8::from(passes))), "", Needed::AtLeast(1.0));
    table.row("  and takes", Some(seconds), "s", Needed::Nothing);
    table.keep("demo_under_load", passes);
    table.keep("demo_under_load_s", seconds);
    Ok(())
}

/// Where cargo puts the programs of a developer's build.
fn programs(root: &Path) -> anyhow::Result<PathBuf> {
    let output =
        cargo(root).args(["metadata", "--offline", "--no-deps", "--format-version", "1"]).output()?;
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata told nothing")?;
    Ok(Path::new(metadata["target_directory"].as_str().context("no target folder")?).join("debug"))
}

fn cargo(root: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root).stdin(Stdio::null());
    cargo
}

/// Loops that do nothing as fast as they can; ended with this value, and with this process.
struct Load(Vec<Child>);

impl Load {
    fn start(loops: usize) -> anyhow::Result<Self> {
        let mut load = Load(Vec::new());
        for _ in 0..loops {
            let child = Command::new("setpriv")
                .args(["--pdeathsig", "KILL", "sh", "-c", "while :; do :; done"])
                .stdin(Stdio::null())
                .spawn()
                .context("setpriv cannot be started. Install util-linux")?;
            load.0.push(child);
        }
        Ok(load)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // Killing what has ended is no error worth telling.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_compiled_and_linked_is_told_from_what_was_fresh() {
        let artifact = |id: &str, kind: &str, name: &str, fresh: bool| {
            json!({ "reason": "compiler-artifact", "package_id": id, "fresh": fresh,
                    "target": { "kind": [kind], "name": name } })
        };
        let mut built = Built::default();
        for message in [
            artifact("path+file:///w/host-ext/forward#sudare-forward@0.1.0", "lib", "sudare_forward", false),
            artifact("path+file:///w/host-ext/forward#sudare-forward@0.1.0", "bin", "sudare-forward", false),
            artifact("path+file:///w/xtask#0.1.0", "bin", "xtask", true),
            artifact(
                "registry+https://github.com/rust-lang/crates.io-index#serde@1.0.0",
                "lib",
                "serde",
                false,
            ),
            json!({ "reason": "build-finished", "success": true }),
        ] {
            note(&mut built, &message);
        }
        assert_eq!(built.packages, BTreeSet::from(["sudare-forward".to_owned()]));
        assert_eq!(built.programs, BTreeSet::from(["sudare-forward".to_owned()]));
        assert_eq!(package_name("path+file:///w/xtask#0.1.0"), "xtask");
    }

    #[test]
    fn the_load_ends_with_its_owner() {
        let load = Load::start(2).unwrap();
        let pids: Vec<u32> = load.0.iter().map(Child::id).collect();
        drop(load);
        assert!(pids.iter().all(|pid| !Path::new(&format!("/proc/{pid}")).exists()));
    }
}
