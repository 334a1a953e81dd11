//! Common to all live sources: a capture thread that may hang, and a reader that never does.
//!
//! ```text
//! capture thread: Device::capture ──put(encoded)──► one-frame mailbox ──► Live::next_frame: pace, decode, judge
//! ```
//! The mailbox holds only the newest frame, so a slow reader sees the present. The reader decodes frames, so skipped
//! ones cost nothing. There is never more than one capture thread: while it hangs in the driver, the reader gets
//! [`CameraFault::Stalled`]; once it has ended with a fault, a later call restarts it. When nothing that comes can be
//! read, the device is asked for another format.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use sudare_client_core::camera::repetition::{Repeats, Repetition, fingerprint};
use sudare_client_core::frame::Frame;
use sudare_client_core::light;

use super::{CameraFault, Clock, FrameSource};

pub use super::encoded::Encoded;

/// No new frame for this long is a stall.
pub const STALL_MS: u64 = 2_000;
/// A stall that lasts is reported this often.
const STALL_REPEAT_MS: u64 = 250;
/// Webcams damage a picture now and then. Nothing readable for so long asks for another format …
const OTHER_FORMAT_MS: u64 = 800;
/// … and again after so long …
const OTHER_FORMAT_AGAIN_MS: u64 = 5_000;
/// … and for so long is a fault.
const UNREADABLE_MS: u64 = 2_000;
/// Time between two attempts to open the device.
const REOPEN_MS: u64 = 1_000;
/// Live frames are thinned to ten a second, which is all that the face models need.
const FRAME_GAP_MS: u64 = 100;
/// A frame that comes a little early counts as on time.
const EARLY_MS: u64 = 15;

/// What the reader wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    More,
    /// It can read nothing of this. A device with only one format goes on with it.
    OtherFormat,
    Stop,
}

/// One kind of live device.
pub trait Device: Send + Sync + 'static {
    /// Its name in messages.
    fn name(&self) -> String;
    /// Opens the device and puts frames until `put` says to stop, or something fails. May block for ever.
    fn capture(&self, mailbox: &Mailbox) -> CameraFault;
}

/// The newest frame, and the fault that ended the capture.
pub struct Mailbox {
    clock: Clock,
    slot: Mutex<Slot>,
    changed: Condvar,
}

#[derive(Default)]
struct Slot {
    frame: Option<(Encoded, u64)>,
    fault: Option<CameraFault>,
    wants_other_format: bool,
    reader_gone: bool,
}

enum Mail {
    Frame(Encoded, u64),
    Fault(CameraFault),
    Nothing,
}

impl Mailbox {
    /// Frames are stamped by this clock when they arrive.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, slot: Mutex::default(), changed: Condvar::new() }
    }

    /// Replaces the frame in the box.
    pub fn put(&self, encoded: Encoded) -> Wish {
        let mut slot = self.lock();
        slot.frame = Some((encoded, (self.clock)()));
        self.changed.notify_all();
        match (slot.reader_gone, std::mem::take(&mut slot.wants_other_format)) {
            (true, _) => Wish::Stop,
            (false, true) => Wish::OtherFormat,
            (false, false) => Wish::More,
        }
    }

    fn fail(&self, fault: CameraFault) {
        self.lock().fault = Some(fault);
        self.changed.notify_all();
    }

    fn take(&self, wait: Duration) -> Mail {
        let empty = |slot: &mut Slot| slot.frame.is_none() && slot.fault.is_none();
        let waited = self.changed.wait_timeout_while(self.lock(), wait, empty);
        let mut slot = waited.unwrap_or_else(PoisonError::into_inner).0;
        if let Some((encoded, t_ms)) = slot.frame.take() {
            return Mail::Frame(encoded, t_ms);
        }
        slot.fault.take().map_or(Mail::Nothing, Mail::Fault)
    }

    /// The slot is plain data, valid after every statement, so a panicked holder does no harm.
    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A live source.
pub struct Live<D: Device> {
    device: Arc<D>,
    clock: Clock,
    mailbox: Arc<Mailbox>,
    thread: Option<JoinHandle<()>>,
    reopen_at_ms: u64,
    /// When the last frame came, or the device was opened.
    quiet_since_ms: u64,
    due_ms: u64,
    repetition: Repetition,
    unreadable: Unreadable,
    seq: u64,
    size: Option<(u32, u32)>,
}

impl<D: Device> Live<D> {
    /// Prepares the source; the first `next_frame` opens the device.
    pub fn new(device: D, clock: Clock) -> Self {
        Self {
            device: Arc::new(device),
            clock,
            mailbox: Arc::new(Mailbox::new(clock)),
            thread: None,
            reopen_at_ms: 0,
            quiet_since_ms: 0,
            due_ms: 0,
            repetition: Repetition::default(),
            unreadable: Unreadable::default(),
            seq: 0,
            size: None,
        }
    }

    fn ensure_thread(&mut self) -> Result<(), CameraFault> {
        if self.thread.is_some() {
            return Ok(());
        }
        let wait_ms = self.reopen_at_ms.saturating_sub((self.clock)()).min(REOPEN_MS);
        std::thread::sleep(Duration::from_millis(wait_ms));
        self.quiet_since_ms = (self.clock)();
        self.mailbox = Arc::new(Mailbox::new(self.clock));
        // What came before says nothing about what comes now: a file that is fed again is no loop.
        (self.repetition, self.unreadable) = (Repetition::default(), Unreadable::default());
        let (device, mailbox) = (Arc::clone(&self.device), Arc::clone(&self.mailbox));
        let body = move || {
            // Without this, a panic in the driver binding would look like a stall.
            let fault = catch_unwind(AssertUnwindSafe(|| device.capture(&mailbox)));
            mailbox.fail(fault.unwrap_or_else(|_| CameraFault::Driver {
                what: device.name(),
                detail: "its driver binding panicked".to_owned(),
            }));
        };
        let spawned = std::thread::Builder::new().name("camera".to_owned()).spawn(body);
        self.thread = Some(spawned.map_err(|e| CameraFault::from_io(&self.device.name(), &e))?);
        Ok(())
    }

    /// Takes the next frame that is due, still encoded.
    fn next_encoded(&mut self) -> Result<(Encoded, u64), CameraFault> {
        loop {
            let stall_in_ms = (self.quiet_since_ms + STALL_MS).saturating_sub((self.clock)());
            match self.mailbox.take(Duration::from_millis(stall_in_ms.max(STALL_REPEAT_MS))) {
                Mail::Frame(encoded, t_ms) => {
                    self.quiet_since_ms = t_ms;
                    self.seq += 1;
                    if t_ms + EARLY_MS >= self.due_ms {
                        // The rate is kept on average, without catching up after a pause.
                        let on_grid_ms = self.due_ms + FRAME_GAP_MS;
                        self.due_ms = if on_grid_ms > t_ms { on_grid_ms } else { t_ms + FRAME_GAP_MS };
                        return Ok((encoded, t_ms));
                    }
                }
                Mail::Fault(fault) => {
                    self.thread = None;
                    self.reopen_at_ms = (self.clock)() + REOPEN_MS;
                    return Err(fault);
                }
                Mail::Nothing => {
                    let silent_ms = (self.clock)().saturating_sub(self.quiet_since_ms);
                    if silent_ms >= STALL_MS {
                        return Err(CameraFault::Stalled { what: self.device.name(), silent_ms });
                    }
                }
            }
        }
    }
}

impl<D: Device> FrameSource for Live<D> {
    fn describe(&self) -> String {
        match self.size {
            Some((width, height)) => format!("{}: {width}x{height}, live", self.device.name()),
            None => format!("{}: live", self.device.name()),
        }
    }

    fn next_frame(&mut self) -> Result<Frame, CameraFault> {
        self.ensure_thread()?;
        loop {
            let (encoded, t_ms) = self.next_encoded()?;
            match encoded.decode() {
                Ok((width, height, rgb)) => {
                    self.unreadable = Unreadable::default();
                    self.size = Some((width, height));
                    return self.judge(Frame { width, height, rgb, t_ms, seq: self.seq - 1 });
                }
                Err(detail) => {
                    if self.unreadable.asks_for_other_format(t_ms) {
                        self.mailbox.lock().wants_other_format = true;
                    }
                    if self.unreadable.for_ms(t_ms) >= UNREADABLE_MS {
                        return Err(CameraFault::Unreadable { what: self.device.name(), detail });
                    }
                }
            }
        }
    }
}

impl<D: Device> Live<D> {
    /// Whether a picture is one of a live camera.
    fn judge(&mut self, frame: Frame) -> Result<Frame, CameraFault> {
        // A closed shutter may repeat the same black picture for ever; that has its own reason.
        if light::is_blocked(&frame) {
            return Ok(frame);
        }
        let what = || self.device.name();
        match self.repetition.note(fingerprint(&frame), frame.t_ms) {
            Repeats::No => Ok(frame),
            Repeats::Frozen { same_ms } => Err(CameraFault::Frozen { what: what(), same_ms }),
            Repeats::Looped { period_ms } => Err(CameraFault::Looped { what: what(), period_ms }),
        }
    }
}

/// Since when nothing that came could be read.
#[derive(Debug, Default)]
struct Unreadable {
    since_ms: Option<u64>,
    asked_ms: Option<u64>,
}

impl Unreadable {
    fn for_ms(&self, t_ms: u64) -> u64 {
        self.since_ms.map_or(0, |since_ms| t_ms.saturating_sub(since_ms))
    }

    /// Notes a picture that could not be read.
    fn asks_for_other_format(&mut self, t_ms: u64) -> bool {
        self.since_ms.get_or_insert(t_ms);
        let is_due = match self.asked_ms {
            None => self.for_ms(t_ms) >= OTHER_FORMAT_MS,
            Some(asked_ms) => t_ms.saturating_sub(asked_ms) >= OTHER_FORMAT_AGAIN_MS,
        };
        if is_due {
            self.asked_ms = Some(t_ms);
        }
        is_due
    }
}

impl<D: Device> Drop for Live<D> {
    fn drop(&mut self) {
        // The thread is not joined: it may hang in the driver.
        self.mailbox.lock().reader_gone = true;
    }
}

impl<D: Device> std::fmt::Debug for Live<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Live({})", self.describe())
    }
}

impl std::fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mailbox")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::jpeg::tests::gradient;
    use crate::camera::yuv::{Order, Packed};
    use crate::testing::boottime_ms;

    /// A device that runs a script once per opening.
    struct Script(fn(&Mailbox, &str) -> CameraFault);

    impl Device for Script {
        fn name(&self) -> String {
            "camera".to_owned()
        }
        fn capture(&self, mailbox: &Mailbox) -> CameraFault {
            (self.0)(mailbox, "camera")
        }
    }

    fn gone(what: &str) -> CameraFault {
        CameraFault::Unplugged { what: what.to_owned() }
    }

    fn sleep(ms: u64) {
        std::thread::sleep(Duration::from_millis(ms));
    }

    #[test]
    fn frames_are_thinned_to_the_newest_and_an_unplugged_camera_is_opened_again() {
        let mut live = Live::new(
            Script(|mailbox, what| {
                for width in 16..40 {
                    mailbox.put(Encoded::Jpeg(gradient(width, 8)));
                    sleep(20);
                }
                gone(what)
            }),
            boottime_ms,
        );
        let mut seen = Vec::new();
        let fault = loop {
            match live.next_frame() {
                Ok(frame) => seen.push(frame),
                Err(fault) => break fault,
            }
        };
        assert_eq!(fault, gone("camera"));
        let took_ms = seen.last().unwrap().t_ms - seen[0].t_ms;
        // At 10 fps, however long this machine took for them.
        assert!(seen.len() as u64 <= took_ms / FRAME_GAP_MS + 3, "{} frames in {took_ms} ms", seen.len());
        assert!(seen.len() > 1);
        let gaps: Vec<_> = seen.windows(2).map(|w| w[1].t_ms - w[0].t_ms).collect();
        assert!(gaps.iter().all(|&gap| gap >= FRAME_GAP_MS / 2), "{gaps:?}");
        assert!(live.next_frame().is_ok(), "it did not open again");
    }

    #[test]
    fn a_silent_device_is_a_stall_and_does_not_block_the_reader() {
        let mut live = Live::new(
            Script(|_, what| {
                sleep(120_000);
                gone(what)
            }),
            boottime_ms,
        );
        let started = std::time::Instant::now();
        let fault = live.next_frame().unwrap_err();
        assert!(matches!(fault, CameraFault::Stalled { silent_ms: 2_000.., .. }), "{fault}");
        assert!(live.next_frame().is_err());
        assert!(started.elapsed() < Duration::from_secs(60));
    }

    /// Packed pixels of 64x48.
    fn packed(data: Vec<u8>) -> Encoded {
        let picture = Packed { width: 64, height: 48, stride: 128, order: Order::Yuyv };
        Encoded::Packed { picture, data }
    }

    /// A picture whose pixels depend on a number.
    fn pattern(number: u32) -> Encoded {
        packed((0..64 * 48 * 2_u32).map(|i| (i * (7 + number)).to_le_bytes()[0]).collect())
    }

    /// The first fault within a time.
    fn fault_within(ms: u64, script: fn(&Mailbox, &str) -> CameraFault) -> Option<CameraFault> {
        let mut live = Live::new(Script(script), boottime_ms);
        let until_ms = boottime_ms() + ms;
        while boottime_ms() < until_ms {
            if let Err(fault) = live.next_frame() {
                return Some(fault);
            }
        }
        None
    }

    #[test]
    fn a_repeated_picture_is_frozen_but_a_repeated_black_one_is_not() {
        let fault = fault_within(10_000, |mailbox, what| {
            while mailbox.put(pattern(0)) != Wish::Stop {
                sleep(50);
            }
            gone(what)
        });
        assert!(matches!(fault, Some(CameraFault::Frozen { .. })), "{fault:?}");
        let fault = fault_within(3_000, |mailbox, what| {
            while mailbox.put(packed([16, 128].repeat(64 * 48))) != Wish::Stop {
                sleep(50);
            }
            gone(what)
        });
        assert_eq!(fault, None);
    }

    #[test]
    fn a_frozen_picture_is_told_although_its_bytes_change_with_a_comment_or_its_compression() {
        let fault = fault_within(10_000, |mailbox, what| {
            for number in 0_u64.. {
                // A time stamp in a comment, as cameras write it.
                let mut bytes = gradient(64, 48);
                let comment = [&[0xFF, 0xFE, 0, 10][..], &number.to_be_bytes()].concat();
                bytes.splice(2..2, comment);
                if mailbox.put(Encoded::Jpeg(bytes)) == Wish::Stop {
                    break;
                }
                sleep(50);
            }
            gone(what)
        });
        assert!(matches!(fault, Some(CameraFault::Frozen { .. })), "{fault:?}");
    }

    #[test]
    fn a_recording_in_a_cameras_place_is_told() {
        let fault = fault_within(30_000, |mailbox, what| {
            for number in (0..12).cycle() {
                if mailbox.put(pattern(number)) == Wish::Stop {
                    break;
                }
                sleep(100);
            }
            gone(what)
        });
        assert!(matches!(fault, Some(CameraFault::Looped { .. })), "{fault:?}");
        assert!(fault.is_some_and(|fault| !fault.is_final()));
    }

    #[test]
    fn what_cannot_be_read_is_named_after_another_format_was_asked_for() {
        let fault = fault_within(30_000, |mailbox, what| {
            while mailbox.put(Encoded::Jpeg(b"no picture at all".to_vec())) != Wish::Stop {
                sleep(50);
            }
            gone(what)
        });
        let said = fault.map(|fault| fault.to_string()).unwrap_or_default();
        assert!(
            said.contains("camera sends pictures, but they cannot be read: it has no JPEG start"),
            "{said}"
        );
        // This device has another one.
        let fault = fault_within(4_000, |mailbox, what| {
            while mailbox.put(Encoded::Jpeg(vec![0; 40])) == Wish::More {
                sleep(50);
            }
            for number in 0.. {
                if mailbox.put(pattern(number)) == Wish::Stop {
                    break;
                }
                sleep(50);
            }
            gone(what)
        });
        assert_eq!(fault, None);
    }

    #[test]
    fn a_size_that_changes_under_way_is_taken_as_it_comes() {
        let mut live = Live::new(
            Script(|mailbox, what| {
                for number in 0.. {
                    let picture = if number % 2 == 0 { gradient(64, 48) } else { gradient(32, 20) };
                    if mailbox.put(Encoded::Jpeg(picture)) == Wish::Stop {
                        break;
                    }
                    sleep(110);
                }
                gone(what)
            }),
            boottime_ms,
        );
        let sizes: Vec<_> = (0..6).map(|_| live.next_frame().map(|f| (f.width, f.height)).unwrap()).collect();
        assert!(sizes.contains(&(64, 48)) && sizes.contains(&(32, 20)), "{sizes:?}");
    }

    #[test]
    fn a_driver_that_panics_is_a_fault() {
        let mut live = Live::new(Script(|_, _| panic!("binding")), boottime_ms);
        assert!(matches!(live.next_frame(), Err(CameraFault::Driver { .. })));
    }
}
