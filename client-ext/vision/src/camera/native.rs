//! Webcams, through nokhwa.
//!
//! Workarounds for nokhwa 0.10: `query()` panics on a device name without a number, so devices are listed here;
//! `frame()` cannot time out and `CallbackCamera` swallows errors, so [`super::live`] monitors from outside; the
//! request `Closest` fails on a format the device lacks, so formats are listed and one is requested exactly; an MJPEG
//! buffer is the whole mapping, so it is cut at its end marker.

use std::path::Path;

use nokhwa::Camera;
use nokhwa::utils::{CameraFormat, CameraIndex, FrameFormat, RequestedFormat, RequestedFormatType};

use super::live::{Device, Encoded, Live, Mailbox};
use super::{CameraFault, Clock, MAX_FRAME_SIDE_PX, jpeg};

const WANTED: [FrameFormat; 2] = [FrameFormat::MJPEG, FrameFormat::YUYV];

const NOT_OFFERED: &str = "it offers neither MJPEG nor YUYV at a whole number of pictures a second";
const LEFT_ODD: &str = "another program left it in a format or rate that cannot be read";

/// A video device of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameraInfo {
    /// The N of `camera:N`.
    pub index: u32,
    pub name: String,
}

/// Lists the cameras, lowest number first, without opening any.
#[must_use]
pub fn list() -> Vec<CameraInfo> {
    let mut found = list_in(Path::new("/dev"));
    for camera in &mut found {
        let name = format!("/sys/class/video4linux/video{}/name", camera.index);
        if let Ok(text) = std::fs::read_to_string(name) {
            camera.name = text.trim().chars().take(80).collect();
        }
    }
    found
}

/// Whether a camera is a program (such as v4l2loopback): hardware is attached to a bus. If the system does not tell, it
/// counts as a program.
#[must_use]
pub fn is_virtual(index: u32) -> bool {
    let device = std::fs::canonicalize(format!("/sys/class/video4linux/video{index}"));
    device.map_or(true, |path| path.starts_with("/sys/devices/virtual"))
}

/// Prepares a camera; the first `next_frame` opens the device and reports whether it is busy.
///
/// # Errors
/// The camera does not exist.
pub fn open(index: u32, clock: Clock) -> Result<Live<Webcam>, CameraFault> {
    let cameras = list();
    if cameras.iter().any(|camera| camera.index == index) {
        return Ok(Live::new(Webcam { index }, clock));
    }
    let known: Vec<_> = cameras.iter().map(|c| format!("camera:{} ({})", c.index, c.name)).collect();
    let advice = if known.is_empty() {
        "Plug a camera in, or allow it in the settings; this machine has none".to_owned()
    } else {
        format!("This machine has {}", known.join(", "))
    };
    Err(CameraFault::NotFound { what: format!("camera:{index}"), advice })
}

/// See the module text.
#[derive(Debug)]
pub struct Webcam {
    index: u32,
}

impl Device for Webcam {
    fn name(&self) -> String {
        format!("camera:{}", self.index)
    }

    fn capture(&self, mailbox: &Mailbox) -> CameraFault {
        self.stream(mailbox).err().unwrap_or_else(|| CameraFault::Unplugged { what: self.name() })
    }
}

impl Webcam {
    fn stream(&self, mailbox: &Mailbox) -> Result<(), CameraFault> {
        let fault = |e: nokhwa::NokhwaError| classify(&self.name(), &e.to_string());
        let format = self.best_format()?;
        let mut camera = self.camera(RequestedFormatType::Exact(format), &[format.format()])?;
        camera.open_stream().map_err(fault)?;
        loop {
            let buffer = camera.frame().map_err(fault)?;
            let encoded = if format.format() == FrameFormat::MJPEG {
                match jpeg::end_of_picture(buffer.buffer()) {
                    Ok(Some(end)) => Encoded::Jpeg(buffer.buffer().get(..end).unwrap_or_default().to_vec()),
                    // Drop a damaged frame; the reader notices if no other one follows.
                    Ok(None) | Err(_) => continue,
                }
            } else {
                let data = buffer.buffer().to_vec();
                Encoded::Yuyv { width: format.width(), height: format.height(), data }
            };
            if !mailbox.put(encoded) {
                return Ok(());
            }
        }
    }

    fn best_format(&self) -> Result<CameraFormat, CameraFault> {
        let mut camera = self.camera(RequestedFormatType::None, &WANTED)?;
        let formats =
            camera.compatible_camera_formats().map_err(|e| classify(&self.name(), &e.to_string()))?;
        choose(&formats).ok_or_else(|| unsupported(&self.name(), NOT_OFFERED.to_owned()))
    }

    fn camera(&self, kind: RequestedFormatType, formats: &[FrameFormat]) -> Result<Camera, CameraFault> {
        let request = RequestedFormat::with_formats(kind, formats);
        Camera::new(CameraIndex::Index(self.index), request)
            .map_err(|e| classify(&self.name(), &e.to_string()))
    }
}

/// MJPEG of 640x480 at 10 to 30 fps if there is such a format, else what comes nearest.
fn choose(formats: &[CameraFormat]) -> Option<CameraFormat> {
    let usable = |f: &&CameraFormat| {
        WANTED.contains(&f.format()) && f.width().max(f.height()) <= MAX_FRAME_SIDE_PX && f.frame_rate() > 0
    };
    let rank = |f: &&CameraFormat| {
        let rate_is_odd = !(10..=30).contains(&f.frame_rate());
        let size_off = f.width().abs_diff(640) + f.height().abs_diff(480);
        // Of the rates that will do, the lowest leaves the sensor the most light.
        (rate_is_odd, size_off, f.format() != FrameFormat::MJPEG, f.frame_rate())
    };
    formats.iter().filter(usable).min_by_key(rank).copied()
}

/// nokhwa keeps the operating system's error only in its text, which ends in `(os error N)`.
fn classify(what: &str, text: &str) -> CameraFault {
    let what = what.to_owned();
    let code =
        text.rsplit_once("(os error ").and_then(|(_, tail)| tail.split(')').next()?.parse::<i32>().ok());
    match code {
        Some(16) => CameraFault::Busy { what },
        Some(19) => CameraFault::Unplugged { what },
        Some(1 | 13) => CameraFault::Denied { what },
        Some(2) => CameraFault::Unplugged { what },
        _ if text.contains("Fufill") => unsupported(&what, NOT_OFFERED.to_owned()),
        // nokhwa cannot open a device whose present format it does not know, whatever else that one offers. A
        // webcam forgets what it was set to when it is unplugged, so this is not final.
        _ if text.contains("FrameFormat: unsupported") || text.contains("not whole number") => {
            CameraFault::Driver { what, detail: LEFT_ODD.to_owned() }
        }
        _ => CameraFault::Driver { what, detail: text.to_owned() },
    }
}

fn unsupported(what: &str, detail: String) -> CameraFault {
    let advice = "Use a webcam that sends MJPEG or YUYV, or feed it through ffmpeg as mjpeg:PATH.".to_owned();
    CameraFault::Unsupported { what: what.to_owned(), detail, advice }
}

fn list_in(dev: &Path) -> Vec<CameraInfo> {
    let names = std::fs::read_dir(dev).into_iter().flatten().flatten();
    let mut found: Vec<_> = names
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let digits = name.strip_prefix("video")?;
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            Some(CameraInfo { index: plain.then(|| digits.parse().ok()).flatten()?, name })
        })
        .collect();
    found.sort_by_key(|camera| camera.index);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use nokhwa::utils::Resolution;

    fn format(width: u32, height: u32, format: FrameFormat, fps: u32) -> CameraFormat {
        CameraFormat::new(Resolution::new(width, height), format, fps)
    }

    #[test]
    fn the_best_format_is_chosen() {
        use FrameFormat::{MJPEG, NV12, YUYV};
        let all = [
            format(1920, 1080, MJPEG, 30),
            format(640, 480, YUYV, 30),
            format(640, 480, MJPEG, 60),
            format(640, 480, MJPEG, 30),
            format(640, 480, MJPEG, 15),
            format(640, 480, NV12, 15),
        ];
        assert_eq!(choose(&all), Some(all[4]));
        assert_eq!(choose(&all[..2]), Some(all[1]));
        assert_eq!(choose(&all[..1]), Some(all[0]));
        assert_eq!(choose(&all[5..]), None);
    }

    #[test]
    fn each_error_of_the_system_has_its_own_reason() {
        let say = |code: i32| format!("V4L2 Error: text (os error {code})");
        assert!(matches!(classify("camera:0", &say(16)), CameraFault::Busy { .. }));
        assert!(matches!(classify("camera:0", &say(19)), CameraFault::Unplugged { .. }));
        assert!(matches!(classify("camera:0", &say(13)), CameraFault::Denied { .. }));
        assert!(matches!(classify("camera:0", "Failed to Fufill"), CameraFault::Unsupported { .. }));
        assert!(matches!(classify("camera:0", "whatever"), CameraFault::Driver { .. }));
        for left in ["device property FrameFormat: unsupported", "Framerate not whole number: 15 / 2"] {
            let fault = classify("camera:0", left);
            assert!(!fault.is_final() && fault.to_string().contains(LEFT_ODD), "{fault}");
        }
    }

    #[test]
    fn odd_device_names_are_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["video10", "video2", "video", "video-x", "videocodec", "null"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let found: Vec<_> = list_in(dir.path()).into_iter().map(|c| c.index).collect();
        assert_eq!(found, [2, 10]);
    }

    #[test]
    fn an_unknown_camera_says_which_there_are() {
        let fault = open(4_000_000, || 0).err().unwrap();
        assert!(matches!(&fault, CameraFault::NotFound { what, .. } if what == "camera:4000000"), "{fault}");
    }
}
