//! Recorder, guards and clients are killed in the middle of incidents, and disks fail: nothing is lost, nothing
//! comes twice, and the guard knows whether evidence is kept.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]

mod disk;
mod killed;
mod spool;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rand::Rng as _;
use sudare_tests::faults::{self, Place, Plan, Programs};

#[test]
fn killed_at_any_step_nothing_is_lost_and_nothing_comes_twice() {
    let is_long = std::env::var_os("SUDARE_LONG").is_some();
    let kills = if is_long { 500 } else { 50 };
    let seed =
        std::env::var("SUDARE_SEED").map_or_else(|_| rand::rng().random(), |seed| seed.parse().unwrap());
    println!("SUDARE_SEED={seed}");
    let dir = tempfile::Builder::new().prefix("sudare-faults-").tempdir().unwrap();
    let place = Place::prepare(dir.path(), &dir.path().join("evidence")).unwrap();
    let outcome = faults::run(&place, &programs(), Plan { kills, seed, pairs: 3 }).unwrap();
    println!("{outcome:#?}");
    assert_eq!(outcome.kills, kills);
    // Or the steps are not seen any more, and all kills come at any moment.
    let most = if is_long { 0 } else { faults::named_steps() / 2 };
    assert!(outcome.unseen.len() <= most, "nobody was killed at {:?}", outcome.unseen);
    assert!(outcome.verdict.acknowledged > 10, "there was something to lose");
    assert!(outcome.verdict.is_good(), "see above");
}

/// Built now: `cargo test` builds no programs of other packages. With the whole workspace selected the libraries
/// are those that the tests were linked with, so that this only links.
fn programs() -> Programs {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let sudare_host = PROGRAM.get_or_init(|| {
        if let Some(dir) = std::env::var_os("SUDARE_BIN_DIR") {
            return Path::new(&dir).join("sudare-host");
        }
        let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = std::process::Command::new(cargo)
            .args(["build", "--quiet", "--offline", "--workspace", "--bin", "sudare-host", "--target-dir"])
            .arg(&target)
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "sudare-host cannot be built: {said}");
        target.join("debug/sudare-host")
    });
    let sudare_faults = env!("CARGO_BIN_EXE_sudare-faults").into();
    Programs { sudare_host: sudare_host.clone(), sudare_faults }
}
