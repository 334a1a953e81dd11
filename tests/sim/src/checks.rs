//! The rules, checked at every step against a truth that neither end knows.

use sudare_protocol::limits::FRAME_STALE_MS;
use sudare_protocol::timings::Timings;

use super::host::TICK_MS;
use super::truth::Truth;
use super::world::STEP_MS;

/// Time that detection, comparing, one frame and one tick take in this world.
const SEEING_MS: u64 = 600;
/// Two looks at the recorder, and a tick.
const STORE_NOTICED_MS: u64 = 600;

/// What can be seen at the host's end at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) now_ms: u64,
    pub(super) visible: bool,
    pub(super) newest_echo_issued_ms: Option<u64>,
    /// When the client's camera last gave it a picture.
    pub(super) newest_picture_ms: u64,
    /// No evidence can be kept.
    pub(super) store_fails: bool,
    /// A fault has begun, so that covering is no wonder.
    pub(super) troubled: bool,
}

#[derive(Debug, Default)]
pub(super) struct Checks {
    operator_seen_ms: u64,
    stranger_since_ms: Option<u64>,
    unclear_since_ms: Option<u64>,
    good_since_ms: Option<u64>,
    store_failed_ms: u64,
    pub(super) visible_ms: u64,
    /// Longest time that a stranger was in truth present while the host showed the desktop.
    pub(super) worst_exposed_ms: u64,
}

impl Checks {
    pub(super) fn check(&mut self, truth: &Truth, seen: Seen) -> Result<(), String> {
        let (timings, now_ms) = (Timings::default(), seen.now_ms);
        let (scene, since_ms) = truth.at(now_ms);
        if scene.operator {
            self.operator_seen_ms = now_ms;
        }
        if scene.stranger && !scene.unclear {
            self.stranger_since_ms.get_or_insert(since_ms);
        } else {
            self.stranger_since_ms = None;
        }
        if scene.unclear && (scene.operator || scene.stranger) {
            self.unclear_since_ms.get_or_insert(since_ms);
        } else {
            self.unclear_since_ms = None;
        }
        // Of the time in which this host ran.
        self.store_failed_ms = if seen.store_fails { self.store_failed_ms + STEP_MS } else { 0 };
        self.check_liveness(seen, scene.operator && !scene.stranger && !scene.unclear)?;
        if !seen.visible {
            return Ok(());
        }
        self.visible_ms += STEP_MS;
        let echoed = seen.newest_echo_issued_ms.ok_or("visible although no nonce was ever echoed")?;
        if now_ms > echoed + timings.lease_ms + TICK_MS {
            return Err(format!("visible {} ms after the newest echoed nonce was issued", now_ms - echoed));
        }
        // The newest attestation was made after its nonce was issued, of a picture that was not stale then.
        let picture_ms = seen.newest_picture_ms;
        if picture_ms + FRAME_STALE_MS + TICK_MS < echoed {
            return Err(format!(
                "visible on a picture that was {} ms old when attested",
                echoed - picture_ms
            ));
        }
        let away_ms = now_ms - self.operator_seen_ms;
        if away_ms > timings.absence_ms + SEEING_MS {
            return Err(format!("visible although the operator is away for {away_ms} ms"));
        }
        let exposed_ms = self.stranger_since_ms.map_or(0, |since| now_ms - since);
        self.worst_exposed_ms = self.worst_exposed_ms.max(exposed_ms);
        if exposed_ms > timings.hold_ms + timings.lease_ms + SEEING_MS {
            return Err(format!("visible although a stranger is there for {exposed_ms} ms"));
        }
        let unclear_ms = self.unclear_since_ms.map_or(0, |since| now_ms - since);
        if unclear_ms > timings.undecided_ms + timings.lease_ms + SEEING_MS {
            return Err(format!("visible although it is unclear for {unclear_ms} ms who is there"));
        }
        if self.store_failed_ms > STORE_NOTICED_MS {
            return Err(format!("visible although no evidence is kept for {} ms", self.store_failed_ms));
        }
        Ok(())
    }

    /// A cover that never opens would break no safety rule; in good times the desktop must be there.
    fn check_liveness(&mut self, seen: Seen, alone: bool) -> Result<(), String> {
        if seen.troubled || !alone {
            self.good_since_ms = None;
            return Ok(());
        }
        let since = *self.good_since_ms.get_or_insert(seen.now_ms);
        let patience_ms = Timings::default().release_ms + SEEING_MS;
        if seen.now_ms - since > patience_ms && !seen.visible {
            return Err("covered although the operator is alone and nothing is wrong".into());
        }
        Ok(())
    }
}
