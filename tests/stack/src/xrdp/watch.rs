//! Looks at the client's screen all the time, so that not even a short leak passes unseen.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use serde::Serialize;

use super::client::PrivateScreen;
use super::observer::go_first;
use super::screen::{Count, Screen};

/// A little rest keeps two cores from doing nothing but this.
const PAUSE: Duration = Duration::from_millis(2);

/// What was seen while watching.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Seen {
    pub samples: u64,
    pub sample_gap_ms_max: u64,
    /// Pictures with pixels of the user, and the most pixels in one.
    pub leaked_frames: u64,
    pub leaked_pixels_max: usize,
    /// In how many places the desktop's bar was, one after the other.
    pub bar_places: usize,
    #[serde(skip)]
    bar_x: Option<usize>,
    /// From the start to the first picture with pixels of the user.
    pub first_leak_ms: Option<u64>,
    /// From the start to the first picture that was a cover, or the whole desktop.
    pub first_cover_ms: Option<u64>,
    pub first_desktop_ms: Option<u64>,
    /// From the start to the last picture that was no cover.
    pub last_uncovered_ms: Option<u64>,
}

impl Seen {
    fn add(&mut self, at: Duration, gap: Duration, count: &Count) {
        let at_ms = millis(at);
        self.samples += 1;
        self.sample_gap_ms_max = self.sample_gap_ms_max.max(millis(gap));
        if count.users() > 0 {
            self.leaked_frames += 1;
            self.leaked_pixels_max = self.leaked_pixels_max.max(count.users());
            self.first_leak_ms.get_or_insert(at_ms);
        }
        if count.bar_x.is_some() && count.bar_x != self.bar_x {
            (self.bar_x, self.bar_places) = (count.bar_x, self.bar_places + 1);
        }
        if count.is_cover() {
            self.first_cover_ms.get_or_insert(at_ms);
        } else {
            self.last_uncovered_ms = Some(at_ms);
        }
        if count.is_desktop() {
            self.first_desktop_ms.get_or_insert(at_ms);
        }
    }
}

/// A thread that samples until it is told to stop.
#[derive(Debug)]
pub struct Watch {
    stop: Sender<()>,
    thread: JoinHandle<anyhow::Result<Seen>>,
}

impl Watch {
    /// Starts to sample; `evidence` gets the worst leak, if there is one.
    pub fn start(private: &PrivateScreen, evidence: PathBuf) -> anyhow::Result<Self> {
        let screen = Screen::of(private)?;
        let (stop, stopped) = channel();
        let started = Instant::now();
        let thread = std::thread::Builder::new()
            .name("watch".into())
            .spawn(move || {
                go_first()?;
                sample(screen, &stopped, started, &evidence)
            })
            .context("cannot start a thread")?;
        Ok(Watch { stop, thread })
    }

    pub fn stop(self) -> anyhow::Result<Seen> {
        // A thread that ended on its own has its error ready.
        self.stop.send(()).ok();
        self.thread.join().map_err(|_| anyhow!("the watching thread panicked"))?
    }
}

fn sample(
    mut screen: Screen,
    stopped: &Receiver<()>,
    started: Instant,
    evidence: &Path,
) -> anyhow::Result<Seen> {
    let mut seen = Seen::default();
    let (mut last, mut worst) = (started.elapsed(), 0);
    while matches!(stopped.try_recv(), Err(TryRecvError::Empty)) {
        let count = screen.count(1)?;
        let now = started.elapsed();
        seen.add(now, now.saturating_sub(last), &count);
        last = now;
        // The worst one tells most about what came through.
        if count.users() > 0 && is_new_worst(&mut worst, count.users()) {
            screen.save_last(evidence)?;
        }
        std::thread::sleep(PAUSE);
    }
    Ok(seen)
}

/// Twice as bad as the one that was kept, so that saving does not keep us from looking.
fn is_new_worst(worst: &mut usize, pixels: usize) -> bool {
    let is_worse = pixels >= worst.saturating_mul(2).max(1);
    if is_worse {
        *worst = pixels;
    }
    is_worse
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_leak_is_kept_and_not_each_that_is_hardly_worse() {
        let mut worst = 0;
        let kept = [5, 9, 10, 3, 19, 40].map(|pixels| is_new_worst(&mut worst, pixels));
        assert_eq!(kept, [true, false, true, false, false, true]);
    }

    #[test]
    fn a_leak_of_one_picture_is_counted_and_dated() {
        let cover = Count { black: 100, ..Count::default() };
        let leak = Count { black: 99, hostile: 1, ..Count::default() };
        let mut seen = Seen::default();
        let at = Duration::from_millis;
        for (time, gap, count) in [(5, 5, &cover), (10, 5, &leak), (40, 30, &cover)] {
            seen.add(at(time), at(gap), count);
        }
        assert_eq!((seen.samples, seen.leaked_frames, seen.leaked_pixels_max), (3, 1, 1));
        assert_eq!((seen.first_leak_ms, seen.first_cover_ms), (Some(10), Some(5)));
        assert_eq!((seen.last_uncovered_ms, seen.sample_gap_ms_max), (Some(10), 30));
    }
}
