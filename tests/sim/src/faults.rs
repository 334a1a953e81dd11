//! What goes wrong in a run, and when.

use rand::Rng;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// Everything takes this much longer, both ways.
    Slow { ms: u64 },
    /// Nothing arrives; it comes all at once afterwards.
    Stall,
    /// What is sent is gone for ever.
    Drop,
    /// The camera or the vision thread hangs; attestations go on.
    VisionStuck,
    /// The same, and the client does not notice: it attests the last view over and over, with true ages.
    VisionStuckUnnoticed,
    /// The whole client stands still (suspend, SIGSTOP), its clock goes on.
    ClientFrozen,
    /// The client ends without a word.
    ClientCrash,
    /// The host sleeps; its clock goes on (CLOCK_BOOTTIME).
    HostFrozen,
    /// Somebody on the way sends old frames again.
    Replay,
    /// Somebody on the way changes a byte.
    Corrupt,
    /// The client attests what it sees, but never asks for a cover.
    ClientStubborn,
    /// The recorder keeps nothing.
    StoreFails,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    pub from_ms: u64,
    pub until_ms: u64,
    pub kind: FaultKind,
}

impl Fault {
    pub(super) fn active(&self, t_ms: u64) -> bool {
        self.from_ms <= t_ms && t_ms < self.until_ms
    }

    /// None in every fourth run, so that the good case is judged as well.
    pub(super) fn random(rng: &mut impl Rng, end_ms: u64) -> Vec<Fault> {
        let count = [0, 1, 2, 4][rng.random_range(0..4)];
        let mut faults: Vec<Fault> = (0..count)
            .map(|_| {
                let from_ms = rng.random_range(0..end_ms);
                let until_ms = from_ms + rng.random_range(100..12_000);
                let kind = match rng.random_range(0..12) {
                    0 => FaultKind::Slow { ms: rng.random_range(50..4_000) },
                    1 => FaultKind::Stall,
                    2 => FaultKind::Drop,
                    3 => FaultKind::VisionStuck,
                    4 => FaultKind::ClientFrozen,
                    5 => FaultKind::ClientCrash,
                    6 => FaultKind::HostFrozen,
                    7 => FaultKind::Replay,
                    8 => FaultKind::Corrupt,
                    9 => FaultKind::ClientStubborn,
                    10 => FaultKind::VisionStuckUnnoticed,
                    _ => FaultKind::StoreFails,
                };
                Fault { from_ms, until_ms, kind }
            })
            .collect();
        // A client that stops for a while meets few strangers; only one that never asks again shows what the host
        // bounds alone.
        if count > 0 && rng.random_ratio(1, 3) {
            let from_ms = rng.random_range(0..end_ms / 2);
            faults.push(Fault { from_ms, until_ms: end_ms, kind: FaultKind::ClientStubborn });
        }
        faults
    }
}
