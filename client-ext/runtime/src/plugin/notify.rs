//! Shows notifications on the desktop, where there is one.
//!
//! One thread for the whole process, because the desktop's service may be missing, slow or stuck. When its queue is
//! full, notifications are dropped: each was logged, and the cover says the same.

use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::platform;
use crate::plugin::notices::Notice;

const WAITING_MAX: usize = 8;

/// Shows it soon. Never waits, never fails.
pub(crate) fn show(notice: Notice) {
    static QUEUE: OnceLock<SyncSender<Notice>> = OnceLock::new();
    let queue = QUEUE.get_or_init(|| {
        let (queue, waiting) = sync_channel(WAITING_MAX);
        if let Err(error) = thread::Builder::new().name("notices".into()).spawn(move || serve(&waiting)) {
            tracing::warn!("cannot start a thread for notifications: {error}");
        }
        queue
    });
    tracing::info!("{}: {}", notice.title, notice.body);
    if queue.try_send(notice).is_err() {
        tracing::warn!("a notification was dropped, because the desktop does not show the earlier ones");
    }
}

fn serve(waiting: &Receiver<Notice>) {
    for notice in waiting {
        if let Err(error) = platform::notify(&notice.title, &notice.body) {
            tracing::debug!("no notification was shown: {error}");
        }
    }
}
