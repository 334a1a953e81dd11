//! One webcam over Video4Linux, through the crate `v4l`.
//!
//! Formats are asked for, and the driver's answer is what counts: its size, its rows' padding, its rate. A camera that
//! comes back under another number is known by its name. Waiting has no time limit here; [`super::live`] watches from
//! outside.

use std::sync::{Mutex, PoisonError};

use sudare_client_core::camera::cadence::Cadence;
use v4l::buffer::Type;
use v4l::frameinterval::FrameIntervalEnum;
use v4l::framesize::FrameSizeEnum;
use v4l::io::traits::CaptureStream as _;
use v4l::prelude::MmapStream;
use v4l::video::Capture as _;
use v4l::video::capture::Parameters;
use v4l::{Device as V4lDevice, Format, FourCC, Fraction};

use super::formats::{self, Kind, Offer, Range};
use super::live::{Device, Encoded, Mailbox, Wish};
use super::native::{CameraInfo, Wanted, list};
use super::{CameraFault, MAX_FRAME_SIDE_PX, yuv};

/// As many as hide the time that the reader takes for one.
const BUFFERS: u32 = 4;
/// A driver that lists more is malfunctioning.
const OFFERS_MAX: usize = 1_000;
/// So many offers are tried before a camera is given up.
const TRIES_MAX: usize = 8;
const ENOENT: i32 = 2;
const EPERM: i32 = 1;
const EACCES: i32 = 13;
const EBUSY: i32 = 16;
const EINVAL: i32 = 22;
const ENODEV: i32 = 19;
const ENOTTY: i32 = 25;

/// See the module text.
#[derive(Debug)]
pub struct Webcam {
    wanted: Wanted,
    /// The camera as it was when it was found last.
    known: Mutex<CameraInfo>,
}

impl Device for Webcam {
    fn name(&self) -> String {
        self.wanted.source()
    }

    fn capture(&self, mailbox: &Mailbox) -> CameraFault {
        self.stream(mailbox).err().unwrap_or_else(|| self.unplugged())
    }
}

impl Webcam {
    pub(super) fn new(wanted: Wanted, known: CameraInfo) -> Self {
        Self { wanted, known: Mutex::new(known) }
    }

    fn stream(&self, mailbox: &Mailbox) -> Result<(), CameraFault> {
        let camera = self.find(&list()).ok_or_else(|| self.unplugged())?;
        let index = usize::try_from(camera.index).unwrap_or(usize::MAX);
        let device = V4lDevice::new(index).map_err(|e| self.fault(&e))?;
        let mut refused = Vec::new();
        loop {
            let format = match self.negotiate(&device, &refused) {
                // Nothing else is left: what was refused may have been a bad cable.
                Err(CameraFault::Unsupported { .. }) if !refused.is_empty() => {
                    refused.clear();
                    self.negotiate(&device, &refused)?
                }
                format => format?,
            };
            match self.play(&device, &format, mailbox)? {
                Wish::Stop => return Ok(()),
                Wish::More | Wish::OtherFormat => refused.push(format.fourcc.repr),
            }
        }
    }

    /// The camera that is meant now. Numbers are given anew whenever something is plugged in.
    fn find(&self, cameras: &[CameraInfo]) -> Option<CameraInfo> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = self.wanted.find(cameras);
        let is_same = |camera: &&CameraInfo| camera.name == known.name;
        let found = match found {
            Some(camera) if is_same(&&camera) => camera,
            other => cameras.iter().find(is_same).cloned().or(other)?,
        };
        if *known != found {
            let CameraInfo { index, name } = &found;
            tracing::warn!("{} is camera:{index} ({name}) now", self.wanted.source());
        }
        *known = found.clone();
        Some(found)
    }

    /// Sets the best format that the driver grants and that can be read.
    fn negotiate(&self, device: &V4lDevice, refused: &[[u8; 4]]) -> Result<Format, CameraFault> {
        let offers = self.offers(device)?;
        let ranked = formats::ranked(&offers, refused);
        if ranked.is_empty() {
            let codes: Vec<String> = offers.iter().map(|offer| code(offer.code)).collect();
            return Err(self.unsupported(&codes));
        }
        for offer in ranked.iter().take(TRIES_MAX) {
            let (width, height) = offer.size;
            let wanted = Format::new(width, height, FourCC::new(&offer.code));
            let granted = match device.set_format(&wanted) {
                Ok(granted) => granted,
                // This one it does not take; it may take another.
                Err(error) if error.raw_os_error() == Some(EINVAL) => continue,
                Err(error) => return Err(self.fault(&error)),
            };
            let sides = (1..=MAX_FRAME_SIDE_PX).contains(&granted.width.max(granted.height));
            if granted.fourcc.repr != offer.code || !sides {
                continue;
            }
            if let Some((numerator, denominator)) = offer.interval {
                let rate = Parameters::new(Fraction::new(numerator, denominator));
                // Many drivers have one rate only, and say so with an error.
                if let Err(error) = device.set_params(&rate)
                    && error.raw_os_error() == Some(EBUSY)
                {
                    return Err(self.fault(&error));
                }
            }
            return Ok(granted);
        }
        let detail = "it grants none of the formats that it offers".to_owned();
        Err(CameraFault::Driver { what: self.name(), detail })
    }

    fn offers(&self, device: &V4lDevice) -> Result<Vec<Offer>, CameraFault> {
        let listed = device.enum_formats().map_err(|e| self.fault(&e))?;
        if listed.is_empty() {
            // A file of that name, or a device that gives something else than pictures, or a program that gives none yet.
            device.format().map_err(|e| self.fault(&e))?;
            let detail = "it offers no pictures at present".to_owned();
            return Err(CameraFault::Driver { what: self.name(), detail });
        }
        let mut offers = Vec::new();
        for format in listed.iter().map(|listed| listed.fourcc) {
            for size in sizes(device, format) {
                let intervals = intervals(device, format, size);
                let rates = if intervals.is_empty() { vec![None] } else { intervals };
                offers.extend(rates.into_iter().map(|interval| Offer { code: format.repr, size, interval }));
            }
            if offers.len() > OFFERS_MAX {
                break;
            }
        }
        Ok(offers)
    }

    /// Hands pictures on until the reader wants something else.
    fn play(&self, device: &V4lDevice, format: &Format, mailbox: &Mailbox) -> Result<Wish, CameraFault> {
        let fault = |e: std::io::Error| self.fault(&e);
        let mut stream = MmapStream::with_buffers(device, Type::VideoCapture, BUFFERS).map_err(fault)?;
        let (mut cadence, mut is_even) = (Cadence::default(), false);
        loop {
            let (buffer, about) = stream.next().map_err(fault)?;
            let used = usize::try_from(about.bytesused).ok().filter(|used| (1..=buffer.len()).contains(used));
            let bytes = buffer.get(..used.unwrap_or(buffer.len())).unwrap_or_default();
            let stamp_us = u64::try_from(about.timestamp.sec).unwrap_or(0).saturating_mul(1_000_000);
            let stamp_us = stamp_us.saturating_add(u64::try_from(about.timestamp.usec).unwrap_or(0));
            if cadence.is_too_even(stamp_us) && !is_even {
                is_even = true;
                tracing::info!("{}: its pictures come as evenly as a program counts", self.name());
            }
            match mailbox.put(self.encoded(format, bytes)?) {
                Wish::More => {}
                wish => return Ok(wish),
            }
        }
    }

    fn encoded(&self, format: &Format, bytes: &[u8]) -> Result<Encoded, CameraFault> {
        let data = bytes.to_vec();
        match formats::kind_of(format.fourcc.repr) {
            Some(Kind::Jpeg) => Ok(Encoded::Jpeg(data)),
            Some(Kind::Packed(order)) => {
                let (width, height) = (format.width, format.height);
                // Drivers that do not pad rows may leave it at 0.
                let stride = if format.stride == 0 { width.div_ceil(2) * 4 } else { format.stride };
                Ok(Encoded::Packed { picture: yuv::Packed { width, height, stride, order }, data })
            }
            None => Err(self.unsupported(&[code(format.fourcc.repr)])),
        }
    }

    fn fault(&self, error: &std::io::Error) -> CameraFault {
        let what = self.name();
        match error.raw_os_error() {
            Some(EBUSY) => CameraFault::Busy { what },
            Some(ENODEV | ENOENT) => CameraFault::Unplugged { what },
            Some(EPERM | EACCES) => CameraFault::Denied { what },
            Some(ENOTTY) => CameraFault::Unsupported {
                what,
                detail: "it is no camera".to_owned(),
                advice: "Choose another one; sudare doctor lists them.".to_owned(),
            },
            _ => CameraFault::Driver { what, detail: error.to_string() },
        }
    }

    fn unplugged(&self) -> CameraFault {
        CameraFault::Unplugged { what: self.name() }
    }

    fn unsupported(&self, codes: &[String]) -> CameraFault {
        let mut codes = codes.to_vec();
        codes.dedup();
        CameraFault::Unsupported {
            what: self.name(),
            detail: format!("it offers {} and none of MJPEG, YUYV and UYVY", codes.join(", ")),
            advice: "Use a webcam that sends MJPEG or YUYV, or feed it through ffmpeg as mjpeg:PATH."
                .to_owned(),
        }
    }
}

/// A format's four letters, for people.
fn code(code: [u8; 4]) -> String {
    code.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '?' }).collect()
}

/// Sizes to ask for. A driver that lists none is asked for the usual one, and answers with its own.
fn sizes(device: &V4lDevice, format: FourCC) -> Vec<(u32, u32)> {
    let listed = device.enum_framesizes(format).unwrap_or_default();
    let mut sizes: Vec<(u32, u32)> = Vec::new();
    for size in listed.into_iter().take(OFFERS_MAX) {
        sizes.push(match size.size {
            FrameSizeEnum::Discrete(size) => (size.width, size.height),
            FrameSizeEnum::Stepwise(of) => formats::size_within(
                Range { least: of.min_width, most: of.max_width, step: of.step_width },
                Range { least: of.min_height, most: of.max_height, step: of.step_height },
            ),
        });
    }
    if sizes.is_empty() {
        sizes.push(formats::WANTED_PX);
    }
    sizes
}

fn intervals(device: &V4lDevice, format: FourCC, (width, height): (u32, u32)) -> Vec<Option<(u32, u32)>> {
    let pair = |fraction: Fraction| (fraction.numerator, fraction.denominator);
    let listed = device.enum_frameintervals(format, width, height).unwrap_or_default();
    let intervals = listed.into_iter().take(OFFERS_MAX).map(|listed| match listed.interval {
        FrameIntervalEnum::Discrete(interval) => Some(pair(interval)),
        FrameIntervalEnum::Stepwise(of) => Some(formats::interval_within(pair(of.min), pair(of.max))),
    });
    intervals.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera(index: u32, name: &str) -> CameraInfo {
        CameraInfo { index, name: name.to_owned() }
    }

    #[test]
    fn a_camera_that_comes_back_under_another_number_is_found_by_its_name() {
        let webcam = Webcam::new(Wanted::Number(0), camera(0, "C920"));
        let find = |cameras: &[CameraInfo]| webcam.find(cameras).map(|found| found.index);
        assert_eq!(find(&[camera(0, "C920"), camera(1, "C920")]), Some(0), "the second is not for pictures");
        assert_eq!(find(&[]), None);
        assert_eq!(find(&[camera(2, "C920"), camera(3, "C920")]), Some(2));
        assert_eq!(find(&[camera(0, "Other"), camera(5, "C920")]), Some(5), "another took its number");
        assert_eq!(find(&[camera(0, "Other")]), Some(0), "the only one with the number that was asked for");
        assert_eq!(find(&[camera(1, "Third")]), None);
    }

    #[test]
    fn each_error_of_the_system_has_its_own_reason() {
        let webcam = Webcam::new(Wanted::Number(0), camera(0, "C920"));
        let of = |code| webcam.fault(&std::io::Error::from_raw_os_error(code));
        assert!(matches!(of(EBUSY), CameraFault::Busy { .. }));
        assert!(matches!(of(ENODEV), CameraFault::Unplugged { .. }));
        assert!(matches!(of(EACCES), CameraFault::Denied { .. }));
        assert!(matches!(of(ENOTTY), CameraFault::Unsupported { .. }));
        assert!(matches!(of(5), CameraFault::Driver { .. }));
    }
}
