//! One direction of the connection: ordered like TCP, with faults.

use std::collections::VecDeque;

use super::faults::{Fault, FaultKind};

#[derive(Debug, Default)]
pub(super) struct Wire {
    queue: VecDeque<(u64, Vec<u8>)>,
    last_due_ms: u64,
    /// Kept for a replay.
    seen: Vec<Vec<u8>>,
}

const BASE_MS: u64 = 20;

impl Wire {
    pub(super) fn send(&mut self, now_ms: u64, mut frame: Vec<u8>, faults: &[Fault]) {
        let mut due_ms = now_ms + BASE_MS;
        for fault in faults.iter().filter(|f| f.active(now_ms)) {
            match fault.kind {
                FaultKind::Slow { ms } => due_ms += ms,
                FaultKind::Stall => due_ms = due_ms.max(fault.until_ms),
                FaultKind::Drop => return,
                FaultKind::Corrupt => {
                    let middle = frame.len() / 2;
                    if let Some(byte) = frame.get_mut(middle) {
                        *byte ^= 1;
                    }
                }
                FaultKind::Replay => {
                    let old = self.seen.get(self.seen.len() / 2).cloned();
                    self.queue.extend(old.map(|frame| (due_ms.max(self.last_due_ms), frame)));
                }
                _ => {}
            }
        }
        // Order is kept: nothing overtakes what was sent before.
        self.last_due_ms = self.last_due_ms.max(due_ms);
        if self.seen.len() < 64 {
            self.seen.push(frame.clone());
        }
        self.queue.push_back((self.last_due_ms, frame));
    }

    pub(super) fn receive(&mut self, now_ms: u64) -> Option<Vec<u8>> {
        if self.queue.front().is_some_and(|(due, _)| *due <= now_ms) {
            return self.queue.pop_front().map(|(_, frame)| frame);
        }
        None
    }
}
