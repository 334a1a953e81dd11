//! How threads reach the window: their events wake it. Pictures never pile up, because only one is on its way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use winit::event_loop::EventLoopProxy;

use crate::model::{Event, Use};
use crate::shown::Shown;

#[derive(Clone)]
pub(crate) struct Post {
    proxy: EventLoopProxy<Event>,
    /// A picture was sent and is not taken yet.
    picture: Arc<AtomicBool>,
}

impl Post {
    pub(crate) fn new(proxy: EventLoopProxy<Event>) -> Self {
        Post { proxy, picture: Arc::default() }
    }

    /// Returns false once the window is gone.
    pub(crate) fn send(&self, event: Event) -> bool {
        self.proxy.send_event(event).is_ok()
    }

    /// The window is slow: the next picture will be newer.
    pub(crate) fn picture(&self, of: Use, shown: Shown) {
        if !self.picture.swap(true, Ordering::AcqRel) {
            self.send(Event::Picture(of, Arc::new(shown)));
        }
    }

    /// The window took an event.
    pub(crate) fn taken(&self, event: &Event) {
        if matches!(event, Event::Picture(..)) {
            self.picture.store(false, Ordering::Release);
        }
    }
}
