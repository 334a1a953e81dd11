//! The device itself, without any call to the system: requests and time in, effects out.

use std::collections::VecDeque;

use crate::abi::{self, Errno, buffer, capability, format, get_u32, put, put_u32};
use crate::formats::Formats;
use crate::outage::Outages;
use crate::pictures::Pictures;
use crate::plan::{Plan, Trouble};

/// As many as a driver gives.
const MAX_BUFFERS: u32 = 8;
const PAGE_BYTES: u64 = 4096;

/// An emulated camera.
#[derive(Debug)]
pub struct Camera {
    formats: Formats,
    pictures: Pictures,
    row_padding: u32,
    loop_after: Option<u64>,
    renumbers: bool,
    /// It was plugged in again.
    is_back: bool,
    outages: Outages,
    /// What was wrong when it was last looked at.
    was: Option<Trouble>,
    /// Descriptors that were opened and have not lost their device.
    handles: Vec<i32>,
    buffers: u32,
    queue: VecDeque<u32>,
    streaming: bool,
    sent: u64,
    /// Number of the picture that was sent last.
    shown: u64,
}

/// When something is asked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Moment {
    /// CLOCK_MONOTONIC.
    pub now_ms: u64,
    /// How often the device's timer fired since it was last asked. Only read by DQBUF.
    pub ticks: u64,
}

/// What must be done in the world for a request that succeeded.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Fresh memory of this size takes the place of the buffers.
    pub allocate_bytes: Option<u64>,
    /// Bytes that go into that memory, and where.
    pub fill: Option<(u64, Vec<u8>)>,
    pub timer: Option<Timer>,
}

/// How the descriptor becomes readable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    Never,
    Every { first_ns: u64, then_ns: u64 },
}

type Done = Result<Effects, Errno>;

impl Camera {
    #[must_use]
    pub fn new(plan: &Plan, pictures: Pictures) -> Option<Self> {
        Some(Self {
            formats: Formats::new(plan)?,
            pictures,
            row_padding: plan.row_padding,
            loop_after: plan.loop_after,
            renumbers: plan.renumbers,
            is_back: false,
            outages: Outages::new(plan.outage.clone()),
            was: None,
            handles: Vec::new(),
            buffers: 0,
            queue: VecDeque::new(),
            streaming: false,
            sent: 0,
            shown: 0,
        })
    }

    /// Notes whether the file of [`crate::plan::When::While`] exists.
    pub fn note_outage_file(&mut self, exists: bool) {
        self.outages.note_file(exists);
    }

    /// Whether there is a device node.
    pub fn is_there(&mut self, now_ms: u64) -> bool {
        self.trouble(now_ms) != Some(Trouble::Unplug)
    }

    /// Whether it has another number than at first.
    pub fn is_renumbered(&mut self, now_ms: u64) -> bool {
        self.trouble(now_ms);
        self.renumbers && self.is_back
    }

    /// Opens the node as this descriptor.
    ///
    /// # Errors
    /// It is not there, in use or not allowed.
    pub fn open(&mut self, descriptor: i32, now_ms: u64) -> Result<(), Errno> {
        match self.trouble(now_ms) {
            Some(Trouble::Unplug) => Err(abi::ENOENT),
            Some(Trouble::BusyOpen) => Err(abi::EBUSY),
            Some(Trouble::Denied) => Err(abi::EACCES),
            _ => {
                self.handles.push(descriptor);
                Ok(())
            }
        }
    }

    /// The last use of the descriptor frees what it held.
    pub fn close(&mut self, descriptor: i32) {
        self.handles.retain(|handle| *handle != descriptor);
        if self.handles.is_empty() {
            self.stop();
            self.buffers = 0;
        }
    }

    /// Answers one request in its argument.
    ///
    /// # Errors
    /// As a driver would refuse it.
    pub fn ioctl(&mut self, descriptor: i32, request: u32, argument: &mut [u8], moment: Moment) -> Done {
        let trouble = self.trouble(moment.now_ms);
        if !self.handles.contains(&descriptor) {
            return Err(abi::ENODEV);
        }
        let changes = matches!(request, abi::S_FMT | abi::S_PARM | abi::REQBUFS | abi::STREAMON);
        if changes && trouble == Some(Trouble::Busy) {
            return Err(abi::EBUSY);
        }
        if self.streaming && matches!(request, abi::S_FMT | abi::S_PARM) {
            return Err(abi::EBUSY);
        }
        if let Some(done) = self.formats.ioctl(request, argument) {
            return done.map(|()| Effects::default());
        }
        match request {
            abi::QUERYCAP => Ok(describe(argument)),
            abi::REQBUFS => self.request_buffers(argument),
            abi::QUERYBUF => self.describe_buffer(argument),
            abi::QBUF => self.queue_buffer(argument),
            abi::DQBUF => self.send(argument, moment, trouble),
            abi::STREAMON => Ok(self.start(moment.now_ms)),
            abi::STREAMOFF => Ok(self.stop()),
            _ => Err(abi::ENOTTY),
        }
    }

    /// What is wrong now. A cable that is out takes the device from everybody who had it open.
    fn trouble(&mut self, now_ms: u64) -> Option<Trouble> {
        let trouble = self.outages.now(self.sent, now_ms);
        let pulled = trouble == Some(Trouble::Unplug) && self.was != trouble;
        let replugged = self.was == Some(Trouble::StallUntilReplugged) && trouble.is_none();
        if pulled || replugged {
            self.handles.clear();
            self.stop();
        }
        self.is_back |= self.was == Some(Trouble::Unplug) && trouble.is_none();
        self.was = trouble;
        trouble
    }

    fn request_buffers(&mut self, argument: &mut [u8]) -> Done {
        if self.streaming {
            return Err(abi::EBUSY);
        }
        self.buffers = get_u32(argument, buffer::COUNT).min(MAX_BUFFERS);
        self.queue.clear();
        put_u32(argument, buffer::COUNT, self.buffers);
        put_u32(argument, buffer::CAPABILITIES, buffer::CAN_MMAP);
        let bytes = self.buffer_bytes() * u64::from(self.buffers);
        Ok(Effects { allocate_bytes: Some(bytes), ..Effects::default() })
    }

    fn describe_buffer(&self, argument: &mut [u8]) -> Done {
        let number = self.buffer_number(argument)?;
        self.place_buffer(argument, number)?;
        Ok(Effects::default())
    }

    fn queue_buffer(&mut self, argument: &[u8]) -> Done {
        let number = self.buffer_number(argument)?;
        if self.queue.contains(&number) {
            return Err(abi::EINVAL);
        }
        self.queue.push_back(number);
        Ok(Effects::default())
    }

    /// Puts the next picture into the oldest queued buffer and hands it over.
    fn send(&mut self, argument: &mut [u8], moment: Moment, trouble: Option<Trouble>) -> Done {
        if !self.streaming {
            return Err(abi::EINVAL);
        }
        if moment.ticks == 0 {
            return Err(abi::EAGAIN);
        }
        if trouble == Some(Trouble::Io) {
            return Err(abi::EIO);
        }
        let number = self.queue.pop_front().ok_or(abi::EAGAIN)?;
        let offset = self.place_buffer(argument, number)?;
        if trouble != Some(Trouble::Freeze) {
            self.shown = self.sent;
        }
        let number = self.loop_after.map_or(self.shown, |pictures| self.shown % pictures);
        let mut picture = self.pictures.picture(&self.formats.current, self.row_padding, number);
        picture.truncate(usize::try_from(self.formats.picture_bytes()).unwrap_or(0));
        put_u32(argument, buffer::BYTESUSED, u32::try_from(picture.len()).unwrap_or(0));
        put_u32(argument, buffer::FLAGS, buffer::DONE);
        put_u32(argument, buffer::FIELD, format::PROGRESSIVE);
        put(argument, buffer::TIMESTAMP_S, &(moment.now_ms / 1000).to_le_bytes());
        put(argument, buffer::TIMESTAMP_US, &(moment.now_ms % 1000 * 1000).to_le_bytes());
        put_u32(argument, buffer::SEQUENCE, u32::try_from(self.sent).unwrap_or(u32::MAX));
        self.sent += moment.ticks;
        // A stall must begin before the descriptor is readable again, or the reader would be told EAGAIN.
        let stalls = self.trouble(moment.now_ms).is_some_and(Trouble::is_silent);
        let timer = stalls.then(|| self.timer(true));
        Ok(Effects { fill: Some((offset, picture)), timer, allocate_bytes: None })
    }

    fn start(&mut self, now_ms: u64) -> Effects {
        self.streaming = true;
        let stalls = self.trouble(now_ms).is_some_and(Trouble::is_silent);
        Effects { timer: Some(self.timer(stalls)), ..Effects::default() }
    }

    fn stop(&mut self) -> Effects {
        self.streaming = false;
        self.queue.clear();
        Effects { timer: Some(Timer::Never), ..Effects::default() }
    }

    fn timer(&self, stalls: bool) -> Timer {
        let (seconds, pictures) = self.formats.current.interval;
        let then_ns = u64::from(seconds) * 1_000_000_000 / u64::from(pictures.max(1));
        match (stalls, self.outages.lasts_ms()) {
            (false, _) => Timer::Every { first_ns: then_ns, then_ns },
            (true, Some(ms)) => Timer::Every { first_ns: ms.max(1) * 1_000_000, then_ns },
            (true, None) => Timer::Never,
        }
    }

    fn buffer_bytes(&self) -> u64 {
        u64::from(self.formats.picture_bytes()).next_multiple_of(PAGE_BYTES)
    }

    fn buffer_number(&self, argument: &[u8]) -> Result<u32, Errno> {
        let number = get_u32(argument, buffer::INDEX);
        if number < self.buffers { Ok(number) } else { Err(abi::EINVAL) }
    }

    fn place_buffer(&self, argument: &mut [u8], number: u32) -> Result<u64, Errno> {
        let length = self.buffer_bytes();
        let offset = length * u64::from(number);
        put_u32(argument, buffer::INDEX, number);
        put_u32(argument, buffer::OFFSET, u32::try_from(offset).map_err(|_| abi::EINVAL)?);
        put_u32(argument, buffer::LENGTH, u32::try_from(length).map_err(|_| abi::EINVAL)?);
        Ok(offset)
    }
}

fn describe(argument: &mut [u8]) -> Effects {
    put(argument, capability::DRIVER, b"sudare-shim\0");
    put(argument, capability::CARD, b"Emulated camera\0");
    put(argument, capability::BUS_INFO, b"test\0");
    put_u32(argument, capability::VERSION, 0x0006_0100);
    put_u32(argument, capability::CAPABILITIES, abi::CAPTURE_AND_STREAMING | abi::HAS_DEVICE_CAPS);
    put_u32(argument, capability::DEVICE_CAPS, abi::CAPTURE_AND_STREAMING);
    Effects::default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Format, Outage, When};

    const FD: i32 = 5;

    fn camera(outage: Option<Outage>) -> Camera {
        let yuyv = Format { fourcc: *b"YUYV", width: 16, height: 8, interval: (1, 25) };
        let formats = vec![yuyv];
        let plan = Plan { formats, outage, renumbers: true, loop_after: Some(3), ..Plan::default() };
        let mut camera = Camera::new(&plan, Pictures::default()).unwrap();
        camera.open(FD, 0).unwrap();
        camera
    }

    fn outage(trouble: Trouble, pictures: u64, lasts_ms: Option<u64>) -> Option<Outage> {
        Some(Outage { trouble, when: When::After { pictures, lasts_ms } })
    }

    fn ask(camera: &mut Camera, request: u32, value: u32, now_ms: u64) -> (Done, Vec<u8>) {
        let mut argument = vec![0; abi::argument_bytes(request)];
        put_u32(&mut argument, 0, value);
        let done = camera.ioctl(FD, request, &mut argument, Moment { now_ms, ticks: 1 });
        (done, argument)
    }

    fn stream(camera: &mut Camera, now_ms: u64) {
        ask(camera, abi::REQBUFS, 2, now_ms).0.unwrap();
        for number in 0..2 {
            ask(camera, abi::QBUF, number, now_ms).0.unwrap();
        }
        ask(camera, abi::STREAMON, 1, now_ms).0.unwrap();
    }

    /// Takes a picture and gives its buffer back.
    fn take(camera: &mut Camera, now_ms: u64) -> Done {
        let (done, argument) = ask(camera, abi::DQBUF, 0, now_ms);
        if done.is_ok() {
            ask(camera, abi::QBUF, get_u32(&argument, buffer::INDEX), now_ms).0.unwrap();
        }
        done
    }

    #[test]
    fn pictures_go_through_the_queue_in_turn() {
        let mut camera = camera(None);
        assert_eq!(take(&mut camera, 0), Err(abi::EINVAL), "before it streams");
        stream(&mut camera, 0);
        let offsets: Vec<u64> = (0..3).map(|n| take(&mut camera, n * 40).unwrap().fill.unwrap().0).collect();
        assert_eq!(offsets, [0, 4096, 0]);
        ask(&mut camera, abi::DQBUF, 0, 0).0.unwrap();
        ask(&mut camera, abi::DQBUF, 0, 0).0.unwrap();
        assert_eq!(ask(&mut camera, abi::DQBUF, 0, 0).0, Err(abi::EAGAIN), "no buffer is queued");
        assert_eq!(ask(&mut camera, abi::QBUF, 2, 0).0, Err(abi::EINVAL));
        ask(&mut camera, abi::QBUF, 1, 0).0.unwrap();
        assert_eq!(ask(&mut camera, abi::QBUF, 1, 0).0, Err(abi::EINVAL), "twice");
    }

    #[test]
    fn a_pulled_cable_takes_the_device_for_good_from_who_had_it() {
        let mut camera = camera(outage(Trouble::Unplug, 1, Some(500)));
        stream(&mut camera, 0);
        ask(&mut camera, abi::DQBUF, 0, 0).0.unwrap();
        assert_eq!(ask(&mut camera, abi::DQBUF, 0, 40).0, Err(abi::ENODEV));
        assert!(!camera.is_there(400) && !camera.is_renumbered(400));
        assert_eq!(camera.open(9, 400), Err(abi::ENOENT));
        assert!(camera.is_there(540) && camera.is_renumbered(540));
        assert_eq!(ask(&mut camera, abi::STREAMOFF, 0, 540).0, Err(abi::ENODEV));
        assert_eq!(camera.open(9, 540), Ok(()));
    }

    #[test]
    fn an_outage_can_come_and_go_with_a_file() {
        let when = When::While("file".into());
        let mut camera = camera(Some(Outage { trouble: Trouble::Unplug, when }));
        for _ in 0..2 {
            camera.note_outage_file(true);
            assert_eq!(ask(&mut camera, abi::G_FMT, 1, 0).0, Err(abi::ENODEV));
            assert_eq!(camera.open(FD, 0), Err(abi::ENOENT));
            camera.note_outage_file(false);
            assert_eq!(ask(&mut camera, abi::G_FMT, 1, 0).0, Err(abi::ENODEV));
            assert_eq!(camera.open(FD, 0), Ok(()));
            assert!(ask(&mut camera, abi::G_FMT, 1, 0).0.is_ok());
        }
    }

    #[test]
    fn a_stall_stops_the_timer_with_the_last_picture() {
        let mut camera = camera(outage(Trouble::Stall, 2, Some(700)));
        stream(&mut camera, 0);
        assert_eq!(take(&mut camera, 0).unwrap().timer, None);
        let timer = take(&mut camera, 40).unwrap().timer;
        assert_eq!(timer, Some(Timer::Every { first_ns: 700_000_000, then_ns: 40_000_000 }));
    }

    #[test]
    fn a_silent_camera_that_is_plugged_in_again_must_be_opened_again() {
        let mut camera = camera(outage(Trouble::StallUntilReplugged, 1, Some(700)));
        stream(&mut camera, 0);
        assert!(take(&mut camera, 0).unwrap().timer.is_some());
        assert_eq!(ask(&mut camera, abi::DQBUF, 0, 700).0, Err(abi::ENODEV));
        assert_eq!(camera.open(FD, 700), Ok(()));
        stream(&mut camera, 700);
        assert!(take(&mut camera, 740).is_ok());
    }

    #[test]
    fn a_busy_camera_opens_and_cannot_be_changed() {
        let mut camera = camera(outage(Trouble::Busy, 0, Some(100)));
        assert!(ask(&mut camera, abi::G_FMT, 1, 50).0.is_ok());
        assert_eq!(ask(&mut camera, abi::REQBUFS, 4, 50).0, Err(abi::EBUSY));
        assert!(ask(&mut camera, abi::REQBUFS, 4, 100).0.is_ok());
    }

    #[test]
    fn a_recording_starts_over() {
        let mut camera = camera(None);
        stream(&mut camera, 0);
        let sent: Vec<_> = (0..7).map(|n| take(&mut camera, n * 40).unwrap().fill.unwrap().1).collect();
        assert!(sent[0] != sent[1] && sent[0] == sent[3] && sent[1] == sent[4] && sent[0] == sent[6]);
    }

    #[test]
    fn a_frozen_camera_sends_the_same_picture() {
        let mut camera = camera(outage(Trouble::Freeze, 2, None));
        stream(&mut camera, 0);
        let sent: Vec<_> = (0..4).map(|n| take(&mut camera, n * 40).unwrap().fill.unwrap().1).collect();
        assert!(sent[0] != sent[1] && sent[1] == sent[2] && sent[2] == sent[3]);
    }
}
