//! Recorder, guards and clients are killed in the middle of incidents, and disks fail: nothing is lost, nothing
//! comes twice, and the guard knows whether evidence is kept.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]

mod disk;
mod killed;
mod spool;

use rand::Rng as _;
use sudare_demo::faults::{self, Place, Plan, Programs};
use sudare_test_kit::programs as built;

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

fn programs() -> Programs {
    let folder = built(&["sudare-recorder", "sudare-faults"]).unwrap();
    Programs { recorder: folder.join("sudare-recorder"), sudare_faults: folder.join("sudare-faults") }
}
