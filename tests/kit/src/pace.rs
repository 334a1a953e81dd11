//! How slow this machine is at the moment, so that a bound for the product is not a bound for the machine.
//!
//! A thread does the same piece of work again and again, and its time is compared with what a developer's idle machine
//! takes. A bound of the product stays as it is there; what is busy or slow gets as much more as it is slower.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A chain in which each step needs the one before: no optimisation shortens it, and no cache matters.
const STEPS: u64 = 6_000_000;
/// For all steps on an idle machine of the year 2020.
const REFERENCE: Duration = Duration::from_millis(15);
/// The measurement itself must not be what makes a machine slow.
const PAUSE: Duration = Duration::from_millis(250);

/// Measures until it is dropped.
#[derive(Debug)]
pub struct Pace {
    stop: Arc<AtomicBool>,
    measured: Arc<Mutex<Measured>>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Measured {
    worst: f64,
    lap_sum: f64,
    lap_count: f64,
}

impl Pace {
    /// Measures once, then goes on beside what follows.
    pub fn start() -> Self {
        let pace = Pace { stop: Arc::default(), measured: Arc::default() };
        note(&pace.measured, slowness());
        let (stop, measured) = (pace.stop.clone(), pace.measured.clone());
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                std::thread::sleep(PAUSE);
                note(&measured, slowness());
            }
        });
        pace
    }

    /// How many times slower than the reference the machine was at its slowest, at least 1.
    pub fn worst(&self) -> f64 {
        self.lock().worst.max(slowness()).max(1.0)
    }

    /// The mean since the last lap, at least 1.
    pub fn lap(&self) -> f64 {
        let mut measured = self.lock();
        let mean =
            if measured.lap_count > 0.0 { measured.lap_sum / measured.lap_count } else { measured.worst };
        (measured.lap_sum, measured.lap_count) = (0.0, 0.0);
        mean.max(1.0)
    }

    /// What work of the product may take that has this long on the reference machine.
    pub fn allow(&self, bound: Duration) -> Duration {
        bound.mul_f64(self.worst())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Measured> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pace {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn note(measured: &Mutex<Measured>, slowness: f64) {
    let mut measured = measured.lock().unwrap_or_else(PoisonError::into_inner);
    measured.worst = measured.worst.max(slowness);
    measured.lap_sum += slowness;
    measured.lap_count += 1.0;
}

fn slowness() -> f64 {
    let started = Instant::now();
    let mut state = std::hint::black_box(1_u64);
    for _ in 0..STEPS {
        state = (state ^ (state >> 29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    std::hint::black_box(state);
    started.elapsed().as_secs_f64() / REFERENCE.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_never_shortened() {
        let pace = Pace::start();
        assert!(pace.allow(Duration::from_secs(1)) >= Duration::from_secs(1));
        assert!(pace.lap() >= 1.0 && pace.worst() >= 1.0);
    }
}
