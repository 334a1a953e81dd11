//! Puts a notification on the desktop, where there is one.
//!
//! One thread for the whole process, because the desktop's bus may be missing, slow or stuck. What
//! does not fit its queue is dropped: everything said here was logged, and the cover says it too.

use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use notify_rust::{Notification, Urgency};

use crate::plugin::notices::Say;

const WAITING_MAX: usize = 8;

/// Shows it soon. Never waits, never fails.
pub(crate) fn show(say: Say) {
    static QUEUE: OnceLock<SyncSender<Say>> = OnceLock::new();
    let queue = QUEUE.get_or_init(|| {
        let (queue, waiting) = sync_channel(WAITING_MAX);
        if let Err(error) = thread::Builder::new().name("notices".into()).spawn(move || serve(&waiting)) {
            tracing::warn!("no thread for notifications: {error}");
        }
        queue
    });
    tracing::info!("{}: {}", say.title, say.body);
    if queue.try_send(say).is_err() {
        tracing::warn!("a notification could not be shown; the desktop takes none");
    }
}

fn serve(waiting: &Receiver<Say>) {
    for say in waiting {
        let shown = Notification::new()
            .appname("Sudare")
            .summary(&say.title)
            .body(&say.body)
            .icon("security-high")
            .urgency(Urgency::Normal)
            .show();
        if let Err(error) = shown {
            tracing::debug!("no notification was shown: {error}");
        }
    }
}
