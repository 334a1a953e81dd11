//! Keeps a foreign object alive while threads use it and another thread ends it.
//!
//! A channel of FreeRDP dies when its OnClose returns. So users are counted in first, and OnClose admits nobody any
//! more and then waits until everybody is out. No lock is held during use, because a use (a write of nothing) may run
//! OnClose on the same thread; a thread does not wait for itself.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

/// Guards a value that one thread may end while others use it.
#[derive(Debug)]
pub(crate) struct Gate<T> {
    state: Mutex<State<T>>,
    left: Condvar,
}

#[derive(Debug)]
struct State<T> {
    value: Option<T>,
    /// One entry for each use under way.
    inside: Vec<ThreadId>,
}

impl<T: Copy> Gate<T> {
    pub(crate) fn new(value: T) -> Self {
        Gate { state: Mutex::new(State { value: Some(value), inside: Vec::new() }), left: Condvar::new() }
    }

    /// Uses the value if it is alive; it stays alive until `work` returns.
    pub(crate) fn with<R>(&self, work: impl FnOnce(T) -> R) -> Option<R> {
        let value = {
            let mut state = self.lock();
            let value = state.value?;
            state.inside.push(thread::current().id());
            value
        };
        // Counts out even if `work` panics.
        let _inside = Inside { gate: self };
        Some(work(value))
    }

    /// When this returns the value is dead: nobody is inside, except this very thread further up its stack, and nobody
    /// can enter any more.
    pub(crate) fn close(&self) {
        let me = thread::current().id();
        let mut state = self.lock();
        state.value = None;
        while state.inside.iter().any(|id| *id != me) {
            state = self.left.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The state is valid after every statement, so a panicked holder does no harm.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Inside<'a, T: Copy> {
    gate: &'a Gate<T>,
}

impl<T: Copy> Drop for Inside<'_, T> {
    fn drop(&mut self) {
        let me = thread::current().id();
        let mut state = self.gate.lock();
        if let Some(at) = state.inside.iter().rposition(|id| *id == me) {
            state.inside.remove(at);
        }
        self.gate.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    use std::time::Duration;

    #[test]
    fn nobody_is_inside_after_the_close_and_nobody_comes_in() {
        for _ in 0..200 {
            let alive = Arc::new(AtomicBool::new(true));
            let gate = Arc::new(Gate::new(()));
            let uses = Arc::new(AtomicU32::new(0));
            let users: Vec<_> = (0..3)
                .map(|_| {
                    let (alive, gate, uses) = (Arc::clone(&alive), Arc::clone(&gate), Arc::clone(&uses));
                    thread::spawn(move || {
                        while gate
                            .with(|()| {
                                assert!(alive.load(Ordering::SeqCst), "used after its end");
                                thread::yield_now();
                                assert!(alive.load(Ordering::SeqCst), "ended while in use");
                                uses.fetch_add(1, Ordering::Relaxed);
                            })
                            .is_some()
                        {}
                    })
                })
                .collect();
            while uses.load(Ordering::Relaxed) < 20 {
                thread::yield_now();
            }
            gate.close();
            alive.store(false, Ordering::SeqCst);
            for user in users {
                user.join().unwrap();
            }
        }
    }

    #[test]
    fn a_use_may_end_the_value_itself_and_a_panic_counts_out() {
        let gate = Arc::new(Gate::new(7));
        let panicked = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || gate.with(|_| panic!("inside"))).join()
        };
        assert!(panicked.is_err());
        let inner = gate.with(|seven| {
            gate.close();
            (seven, gate.with(|_| ()))
        });
        assert_eq!(inner, Some((7, None)));
    }

    #[test]
    fn the_close_waits_for_another_thread() {
        let gate = Arc::new(Gate::new(()));
        let (inside_in, inside) = std::sync::mpsc::channel();
        let done = Arc::new(AtomicBool::new(false));
        let user = {
            let (gate, done) = (Arc::clone(&gate), Arc::clone(&done));
            thread::spawn(move || {
                gate.with(|()| {
                    inside_in.send(()).unwrap();
                    thread::sleep(Duration::from_millis(100));
                    done.store(true, Ordering::SeqCst);
                })
            })
        };
        inside.recv().unwrap();
        gate.close();
        assert!(done.load(Ordering::SeqCst));
        user.join().unwrap();
    }
}
