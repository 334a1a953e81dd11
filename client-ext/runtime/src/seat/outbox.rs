//! What waits for windows: of each thing the newest, so that nobody who puts something down ever waits.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sudare_client_core::event::Event;
use sudare_client_core::evidence::Picture;
use sudare_protocol::hex::hex;

use crate::seat::message::Told;
use crate::seat::state::SeatState;

/// Windows at once: the window, `sudare cover`, and room for another.
pub(crate) const WINDOWS_MAX: usize = 4;
/// Receipts that wait for a window; later ones are in the device's folder anyway.
const RECEIPTS_MAX: usize = 32;
/// Pictures are sent at most this often.
const PICTURE_STEP_MS: u64 = 100;

pub(crate) type SharedHub = Arc<Hub>;

/// One connection's state, and the windows that look at it.
pub(crate) struct Hub {
    inner: Mutex<Inner>,
    /// How many windows want pictures; read for each picture.
    previews: AtomicUsize,
}

struct Inner {
    state: SeatState,
    windows: Vec<Arc<Outbox>>,
}

impl Hub {
    pub(crate) fn new(camera: &str) -> Self {
        let inner = Inner { state: SeatState::new(camera), windows: Vec::new() };
        Hub { inner: Mutex::new(inner), previews: AtomicUsize::new(0) }
    }

    /// Never waits for a window.
    pub(crate) fn event(&self, event: &Event) {
        let mut inner = lock(&self.inner);
        if inner.state.take(event) {
            let Inner { state, windows } = &*inner;
            windows.iter().for_each(|window| window.put(|waiting| waiting.state = Some(state.clone())));
        }
        if let Event::Receipt(ack) = event {
            let receipt = Told::Receipt { incident: hex(&ack.incident_id), leaf_index: ack.leaf_index };
            inner.windows.iter().for_each(|window| window.put(|waiting| waiting.receipt(receipt.clone())));
        }
    }

    /// A window's outbox, which begins with the state; `None` if there are too many.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Entered> {
        let mut inner = lock(&self.inner);
        if inner.windows.len() >= WINDOWS_MAX {
            return None;
        }
        let outbox = Arc::new(Outbox::default());
        outbox.put(|waiting| waiting.state = Some(inner.state.clone()));
        inner.windows.push(Arc::clone(&outbox));
        Some(Entered { hub: Arc::clone(self), outbox })
    }

    /// All windows are to end.
    pub(crate) fn close(&self) {
        lock(&self.inner).windows.iter().for_each(|window| window.close());
    }
}

/// One window, until it is dropped.
pub(crate) struct Entered {
    hub: SharedHub,
    pub(crate) outbox: Arc<Outbox>,
}

impl Entered {
    pub(crate) fn preview(&self, on: bool) {
        let mut waiting = lock(&self.outbox.waiting);
        if waiting.preview != on {
            (waiting.preview, waiting.picture) = (on, None);
            let change = if on { AtomicUsize::fetch_add } else { AtomicUsize::fetch_sub };
            change(&self.hub.previews, 1, Ordering::AcqRel);
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.preview(false);
        lock(&self.hub.inner).windows.retain(|window| !Arc::ptr_eq(window, &self.outbox));
    }
}

/// What waits for one window.
#[derive(Default)]
pub(crate) struct Outbox {
    waiting: Mutex<Waiting>,
    more: Condvar,
}

#[derive(Default)]
struct Waiting {
    state: Option<SeatState>,
    receipts: VecDeque<Told>,
    picture: Option<Picture>,
    preview: bool,
    closed: bool,
}

/// The next thing for a window.
#[derive(Debug)]
pub(crate) enum Next {
    Told(Told),
    Picture(Box<Picture>),
    /// Nothing within the time.
    Nothing,
    Closed,
}

impl Outbox {
    fn put(&self, change: impl FnOnce(&mut Waiting)) {
        change(&mut lock(&self.waiting));
        self.more.notify_one();
    }

    pub(crate) fn close(&self) {
        self.put(|waiting| waiting.closed = true);
    }

    /// Waits for the next thing, for at most this long.
    pub(crate) fn next(&self, at_most: Duration) -> Next {
        let waiting = lock(&self.waiting);
        let waited = self.more.wait_timeout_while(waiting, at_most, |waiting| waiting.is_empty());
        let (mut waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        waiting.take()
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.state.is_none() && self.receipts.is_empty() && self.picture.is_none() && !self.closed
    }

    fn receipt(&mut self, receipt: Told) {
        if self.receipts.len() < RECEIPTS_MAX {
            self.receipts.push_back(receipt);
        }
    }

    fn take(&mut self) -> Next {
        if self.closed {
            return Next::Closed;
        }
        if let Some(state) = self.state.take() {
            return Next::Told(Told::State(state));
        }
        if let Some(receipt) = self.receipts.pop_front() {
            return Next::Told(receipt);
        }
        self.picture.take().map_or(Next::Nothing, |picture| Next::Picture(Box::new(picture)))
    }
}

/// Where the driver puts each picture it is shown. Costs nothing while no window asks.
#[derive(Clone)]
pub struct Pictures {
    hub: SharedHub,
    next_ms: u64,
}

impl std::fmt::Debug for Pictures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pictures")
    }
}

impl Pictures {
    pub(crate) fn new(hub: &SharedHub) -> Self {
        Pictures { hub: Arc::clone(hub), next_ms: 0 }
    }

    /// Never waits. The picture is shared, not copied.
    pub fn offer(&mut self, picture: &Picture) {
        let t_ms = picture.frame.t_ms;
        if self.hub.previews.load(Ordering::Acquire) == 0 || t_ms < self.next_ms {
            return;
        }
        self.next_ms = t_ms.saturating_add(PICTURE_STEP_MS * 9 / 10);
        for window in &lock(&self.hub.inner).windows {
            window.put(|waiting| {
                if waiting.preview {
                    waiting.picture = Some(picture.clone());
                }
            });
        }
    }
}

/// Every value behind these locks is valid after every statement, so a panicked holder does no harm.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing_pictures::picture;
    use sudare_protocol::message::Ack;

    fn soon(entered: &Entered) -> Next {
        entered.outbox.next(Duration::ZERO)
    }

    fn receipt() -> Event {
        let (checkpoint, entry, proof) = (String::new(), None, None);
        Event::Receipt(Ack { incident_id: [1; 16], leaf_index: 3, checkpoint, entry, proof })
    }

    #[test]
    fn a_window_that_does_not_read_gets_the_newest_and_holds_nothing_up() {
        let hub = Arc::new(Hub::new("camera:0"));
        let entered = hub.enter().unwrap();
        for text in ["first", "second"] {
            hub.event(&Event::Trouble(text.into()));
        }
        (0..2 * RECEIPTS_MAX).for_each(|_| hub.event(&receipt()));
        let Next::Told(Told::State(state)) = soon(&entered) else { panic!("no state") };
        assert_eq!(state.trouble.as_deref(), Some("second"));
        let receipts = std::iter::from_fn(|| matches!(soon(&entered), Next::Told(_)).then_some(())).count();
        assert_eq!(receipts, RECEIPTS_MAX);
        hub.close();
        assert!(matches!(soon(&entered), Next::Closed));
    }

    #[test]
    fn pictures_go_only_to_windows_that_ask_and_not_too_often() {
        let hub = Arc::new(Hub::new("camera:0"));
        let (mut pictures, entered, other) =
            (Pictures::new(&hub), hub.enter().unwrap(), hub.enter().unwrap());
        for window in [&entered, &other] {
            assert!(matches!(soon(window), Next::Told(_)));
        }
        pictures.offer(&picture(1_000));
        assert!(matches!(soon(&entered), Next::Nothing), "nobody asked");
        entered.preview(true);
        entered.preview(true);
        for t_ms in [2_000, 2_050, 2_100] {
            pictures.offer(&picture(t_ms));
        }
        let Next::Picture(seen) = soon(&entered) else { panic!("no picture") };
        assert_eq!(seen.frame.t_ms, 2_100);
        assert!(matches!(soon(&other), Next::Nothing));
        pictures.offer(&picture(2_150));
        assert!(matches!(soon(&entered), Next::Nothing), "too soon");
        drop(entered);
        assert_eq!(hub.previews.load(Ordering::Acquire), 0);
        assert_eq!(lock(&hub.inner).windows.len(), 1);
    }

    #[test]
    fn there_are_only_so_many_windows() {
        let hub = Arc::new(Hub::new("camera:0"));
        let mut entered: Vec<_> = (0..WINDOWS_MAX).map(|_| hub.enter().unwrap()).collect();
        assert!(hub.enter().is_none());
        entered.pop();
        assert!(hub.enter().is_some());
    }
}
