//! Interrupts the witness at every single step, cuts the power, and submits again: it never signs anything that
//! contradicts what it signed before.

use std::path::Path;

use sudare_evidence::store::simulated::SimulatedDisk;

use crate::memory::Memory;
use crate::submission::{Answer, Witness};
use crate::testing::{TestLog, cosigner};

const DIR: &str = "/var/witness";

/// Sizes that were answered with a cosignature.
fn work(disk: &SimulatedDisk, log: &mut TestLog) -> Vec<u64> {
    let mut answered = Vec::new();
    let Ok(mut witness) = Witness::open(disk.clone(), Path::new(DIR), cosigner(), vec![log.verifier()])
    else {
        return answered;
    };
    let known = |witness: &mut Witness<SimulatedDisk>, log: &TestLog| {
        let seen = witness.memory().seen(log.origin(), &[log.verifier()]);
        seen.map(|seen| seen.map_or(0, |seen| seen.checkpoint.size()))
    };
    for size in [4, 9, 20] {
        let Ok(old) = known(&mut witness, log) else { return answered };
        if old >= size {
            continue;
        }
        match witness.add_checkpoint(&log.submission(old, size), 100) {
            Ok(Answer::Cosigned(_)) => answered.push(size),
            Ok(other) => panic!("{size}: {other:?}"),
            Err(_) => return answered,
        }
    }
    answered
}

fn made() -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    Memory::create(disk.clone(), Path::new(DIR), cosigner().public()).unwrap();
    disk
}

#[test]
fn what_was_answered_is_never_forgotten() {
    let whole = made();
    let first = whole.steps();
    assert_eq!(work(&whole, &mut TestLog::new("sudare.example/log/a")), [4, 9, 20]);
    for step in first..=whole.steps() {
        for seed in 0..4 {
            let disk = made();
            disk.crash_at_step(step);
            let mut log = TestLog::new("sudare.example/log/a");
            let answered = work(&disk, &mut log);
            if seed == 0 {
                disk.kill();
            } else {
                disk.power_cut(seed);
            }
            let context = format!("step {step}, seed {seed}");
            let mut witness = Witness::open(disk.clone(), Path::new(DIR), cosigner(), vec![log.verifier()])
                .unwrap_or_else(|error| panic!("{context}: {error}"));
            let last = answered.last().copied().unwrap_or(0);
            let seen = witness.memory().seen(log.origin(), &[log.verifier()]);
            let seen = seen.unwrap_or_else(|error| panic!("{context}: {error}"));
            let known = seen.map_or(0, |seen| seen.checkpoint.size());
            assert!(known >= last, "{context}: {last} was answered, {known} is known");
            if last > 4 {
                let mut forked = log.fork_at(3);
                for size in [last, 40] {
                    let answer =
                        witness.add_checkpoint(&forked.submission(known.min(size), size), 100).unwrap();
                    assert!(!matches!(answer, Answer::Cosigned(_)), "{context}: a fork was cosigned");
                }
            }
            assert_eq!(work(&disk, &mut log).last().copied().unwrap_or(known), 20, "{context}: goes on");
        }
    }
}
