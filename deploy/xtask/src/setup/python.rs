//! A private Python in `target/xtask/venv`: pip for the models, and packages whose versions
//! and hashes are pinned in `deploy/xtask/python/`.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Purpose;
use crate::project::Project;
use crate::run::Job;

/// Makes the environment and installs what this purpose needs; returns its interpreter.
pub(super) fn install_missing(project: &Project, purpose: Purpose) -> Result<(PathBuf, String)> {
    let environment = folder(project);
    let interpreter = environment.join("bin").join("python");
    let mut changed = Vec::new();
    if !Job::new(&interpreter).args(["-c", "import pip"]).succeeds() {
        create(&environment)?;
        changed.push("made");
    }
    for list in lists(purpose) {
        let file = project.root.join("deploy/xtask/python").join(list);
        if install(&environment, &interpreter, &file, list)? {
            changed.push(list);
        }
    }
    let note = if changed.is_empty() { "all there".to_owned() } else { changed.join(", ") };
    Ok((interpreter, note))
}

/// PATH with the environment first, so that `pip` and `python3` are its own.
pub(super) fn search_path(project: &Project) -> Result<OsString> {
    let old = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder(project).join("bin")).chain(std::env::split_paths(&old));
    std::env::join_paths(folders).context("the path of this checkout holds a colon. Clone it elsewhere")
}

fn folder(project: &Project) -> PathBuf {
    project.own.join("venv")
}

fn lists(purpose: Purpose) -> &'static [&'static str] {
    match purpose {
        Purpose::Demo | Purpose::Stack | Purpose::Package => &[],
        Purpose::Test | Purpose::LongTest => &["test.txt", "peers.txt"],
        Purpose::Bench => &["bench.txt"],
        Purpose::Everything => &["test.txt", "peers.txt", "bench.txt"],
    }
}

fn create(environment: &Path) -> Result<()> {
    // What is there is damaged, or belongs to a Python that was replaced.
    if environment.exists() {
        fs::remove_dir_all(environment)
            .with_context(|| format!("cannot remove {}. Remove it by hand", environment.display()))?;
    }
    Job::new("python3").args(["-m", "venv"]).args([environment]).stdout().map(drop)
}

/// Installs one list unless the very same list was installed before.
fn install(environment: &Path, interpreter: &Path, file: &Path, list: &str) -> Result<bool> {
    let wanted =
        fs::read(file).with_context(|| format!("{} is missing from the checkout", file.display()))?;
    // The stamp is the list itself, and lies in the environment that it speaks of.
    let stamp = environment.join(format!("installed-{list}"));
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(false);
    }
    Job::new(interpreter)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        // Hashes pin what was tried; what a package says of Python's version is stricter than it needs.
        .args(["--require-hashes", "--only-binary", ":all:", "--ignore-requires-python", "--requirement"])
        .args([file])
        .stdout()
        .context("pip could not install pinned packages. Check the network, or how pip is configured")?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unchanged_list_is_not_installed_again() {
        let folder = std::env::temp_dir().join(format!("xtask-python-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for the test");
        let list = folder.join("list.txt");
        fs::write(&list, "cwt==3.3.0").expect("a list");
        fs::write(folder.join("installed-list.txt"), "cwt==3.3.0").expect("a stamp");
        // An interpreter that does not exist shows that nothing is started.
        let nobody = Path::new("/no/such/python");
        assert!(!install(&folder, nobody, &list, "list.txt").expect("nothing to do"));
        fs::write(&list, "cwt==3.4.0").expect("a newer list");
        let error = format!("{:#}", install(&folder, nobody, &list, "list.txt").expect_err("must install"));
        assert!(error.contains("not installed"), "{error}");
        fs::remove_dir_all(&folder).expect("the folder goes");
    }

    #[test]
    fn every_pinned_package_has_a_version_and_a_hash() {
        for list in lists(Purpose::Everything) {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(list);
            let text = fs::read_to_string(&file).expect("the list is in the checkout");
            let text = text.replace("\\\n", " ");
            let packages: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
            assert!(!packages.is_empty());
            for package in packages {
                assert!(package.contains("==") && package.contains("--hash=sha256:"), "{package}");
            }
        }
    }
}
