//! Common to all live sources: a capture thread that may hang, and a reader that never does.
//!
//! ```text
//! capture thread: Device::capture ──put(encoded)──► one-frame mailbox ──► Live::next_frame: pace, decode, judge
//! ```
//! The mailbox holds only the newest frame, so a slow reader sees the present. The reader decodes frames, so skipped
//! ones cost nothing. There is never more than one capture thread: while it hangs in the driver, the reader gets
//! [`CameraFault::Stalled`]; once it has ended with a fault, a later call restarts it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use sudare_client_core::frame::Frame;
use sudare_client_core::light;

use super::frozen::{FROZEN_MS, FreezeWatch};
use super::{CameraFault, Clock, FrameSource, MAX_FRAME_SIDE_PX, jpeg, yuv};

/// No new frame for this long is a stall.
pub const STALL_MS: u64 = 2_000;
/// A stall that lasts is reported this often.
const STALL_REPEAT_MS: u64 = 250;
/// Time between two attempts to open the device.
const REOPEN_MS: u64 = 1_000;
/// Live frames are thinned to ten a second, which is all that the face models need.
const FRAME_GAP_MS: u64 = 100;
/// A frame that comes a little early counts as on time.
const EARLY_MS: u64 = 15;

/// A frame as the device sent it.
pub enum Encoded {
    Jpeg(Vec<u8>),
    Yuyv { width: u32, height: u32, data: Vec<u8> },
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

    /// Replaces the frame in the box. `false` asks the capture thread to stop.
    pub fn put(&self, encoded: Encoded) -> bool {
        let mut slot = self.lock();
        slot.frame = Some((encoded, (self.clock)()));
        self.changed.notify_all();
        !slot.reader_gone
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
    freeze: FreezeWatch,
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
            freeze: FreezeWatch::default(),
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
        let give_up_ms = (self.clock)() + STALL_MS;
        loop {
            let (encoded, t_ms) = self.next_encoded()?;
            let same_ms = self.freeze.same_for_ms(encoded.bytes(), t_ms);
            let Some((width, height, rgb)) = encoded.decode() else {
                // Webcams damage a frame now and then; a camera that sends only such frames counts as silent.
                if (self.clock)() > give_up_ms {
                    return Err(CameraFault::Stalled { what: self.device.name(), silent_ms: STALL_MS });
                }
                continue;
            };
            self.size = Some((width, height));
            let frame = Frame { width, height, rgb, t_ms, seq: self.seq - 1 };
            // A closed shutter may repeat the same black picture for ever; that has its own reason.
            if same_ms > FROZEN_MS && !light::is_blocked(&frame) {
                return Err(CameraFault::Frozen { what: self.device.name(), same_ms });
            }
            return Ok(frame);
        }
    }
}

impl<D: Device> Drop for Live<D> {
    fn drop(&mut self) {
        // The thread is not joined: it may hang in the driver.
        self.mailbox.lock().reader_gone = true;
    }
}

impl Encoded {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Jpeg(data) | Self::Yuyv { data, .. } => data,
        }
    }

    fn decode(&self) -> Option<(u32, u32, Vec<u8>)> {
        match self {
            Self::Jpeg(data) => {
                let max_pixels = u64::from(MAX_FRAME_SIDE_PX) * u64::from(MAX_FRAME_SIDE_PX);
                let picture = jpeg::decode(data, MAX_FRAME_SIDE_PX, max_pixels).ok()?;
                Some((picture.width, picture.height, picture.rgb))
            }
            Self::Yuyv { width, height, data } => {
                Some((*width, *height, yuv::yuyv_to_rgb(*width, *height, data)?))
            }
        }
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

impl std::fmt::Debug for Encoded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Encoded({} bytes)", self.bytes().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::jpeg::tests::gradient;
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

    #[test]
    fn a_repeated_picture_is_frozen_but_a_repeated_black_one_is_not() {
        fn repeat(mailbox: &Mailbox, data: &[u8]) -> CameraFault {
            while mailbox.put(Encoded::Yuyv { width: 64, height: 48, data: data.to_vec() }) {
                sleep(50);
            }
            gone("camera")
        }
        let watch_for_ms = |script| {
            let mut live = Live::new(Script(script), boottime_ms);
            let started = std::time::Instant::now();
            while started.elapsed() < Duration::from_millis(3_000) {
                live.next_frame()?;
            }
            Ok(())
        };
        let picture: fn(&Mailbox, &str) -> CameraFault = |mailbox, _| {
            let data: Vec<u8> = (0..64 * 48 * 2_u32).map(|i| (i * 7).to_le_bytes()[0]).collect();
            repeat(mailbox, &data)
        };
        let fault = watch_for_ms(picture).unwrap_err();
        assert!(matches!(fault, CameraFault::Frozen { .. }), "{fault}");
        let black: fn(&Mailbox, &str) -> CameraFault =
            |mailbox, _| repeat(mailbox, &[16, 128].repeat(64 * 48));
        assert_eq!(watch_for_ms(black), Ok(()));
    }

    #[test]
    fn a_driver_that_panics_is_a_fault() {
        let mut live = Live::new(Script(|_, _| panic!("binding")), boottime_ms);
        assert!(matches!(live.next_frame(), Err(CameraFault::Driver { .. })));
    }
}
