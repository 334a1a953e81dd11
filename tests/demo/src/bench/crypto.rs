//! Sign, frame, deframe and verify one attestation, both real ends.

use std::time::Instant;

use anyhow::{Context as _, anyhow};
use sudare_test_kit::pair::{self, frames, live};

const ROUNDS: u32 = 3_000;

/// Microseconds for making and accepting one attestation.
pub fn attest_sign_verify_us() -> anyhow::Result<f64> {
    let (mut client, mut host) = live(0).map_err(|e| anyhow!(e))?;
    let attest = pair::clear(1_000_000);
    let started = Instant::now();
    for n in 0..ROUNDS {
        let bytes = client.attest(attest)?;
        let frame = frames(&bytes).pop().context("no frame")?;
        // One attestation a second of virtual time: no flood.
        host.handle(&frame, u64::from(n) * 1_000)?;
    }
    Ok(started.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS))
}
