//! Whether the system says that a camera is a program.
//!
//! v4l2loopback, OBS and their like hand on whatever they are given: a recording as well as a camera. Who hides that
//! (another name, a changed driver, a small computer that plays the webcam at the USB port) is not found here.

/// What the system tells about a camera; `None` where it does not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Where it hangs in the tree of devices, such as `/sys/devices/pci0000:00/…/video4linux/video0`.
    pub path: Option<String>,
    /// Its driver, such as `uvcvideo`.
    pub driver: Option<String>,
    /// What it calls itself.
    pub name: Option<String>,
}

/// Parts of paths below which nothing is plugged in. `vhci_hcd` is USB over a network; vivid and vimc are tests.
const PATHS: &[&str] = &["/sys/devices/virtual/", "/vhci_hcd", "/dummy_hcd", "/vivid.", "/vimc."];
const DRIVERS: &[&str] = &["v4l2loopback", "v4l2 loopback", "akvcam", "vcam", "vivid", "vimc", "vhci"];
/// Of drivers that nobody else uses, and of programs that feed them.
const NAMES: &[&str] = &[
    "virtual cam",
    "virtual webcam",
    "obs-cam",
    "obs cam",
    "loopback",
    "dummy video device",
    "droidcam",
    "iriun",
    "manycam",
    "splitcam",
    "xsplit",
    "snap camera",
    "akvcam",
    "webcamoid",
    "e2esoft",
];

/// Why a camera counts as a program; `None` if it seems to be hardware.
#[must_use]
pub fn why_virtual(facts: &Facts) -> Option<&'static str> {
    let holds = |text: &Option<String>, parts: &[&str]| {
        let text = text.as_deref().unwrap_or_default().to_lowercase();
        parts.iter().any(|part| text.contains(part))
    };
    if facts.path.is_none() {
        return Some("the system does not say what it is plugged into");
    }
    if holds(&facts.path, PATHS) {
        return Some("it is plugged into nothing");
    }
    if holds(&facts.driver, DRIVERS) {
        return Some("its driver hands on the pictures of programs");
    }
    holds(&facts.name, NAMES).then_some("it has the name of such a program")
}

#[cfg(test)]
mod tests {
    use super::*;

    const USB: &str = "/sys/devices/pci0000:00/0000:00:14.0/usb1/1-5/1-5:1.0/video4linux/video0";

    fn why(path: &str, driver: &str, name: &str) -> Option<&'static str> {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        why_virtual(&Facts { path: some(path), driver: some(driver), name: some(name) })
    }

    #[test]
    fn a_webcam_at_a_bus_is_hardware() {
        assert_eq!(why(USB, "uvcvideo", "HD Pro Webcam C920"), None);
        assert_eq!(why(USB, "", ""), None);
        let phone = "/sys/devices/platform/soc/fe801000.csi/video4linux/video0";
        assert_eq!(why(phone, "unicam", "unicam-image"), None);
    }

    #[test]
    fn programs_are_told_by_path_driver_or_name() {
        for (path, driver, name) in [
            ("/sys/devices/virtual/video4linux/video9", "", "HD Pro Webcam C920"),
            ("/sys/devices/platform/vhci_hcd.0/usb5/5-1/5-1:1.0/video4linux/video0", "uvcvideo", "Camera"),
            ("/sys/devices/platform/vivid.0/video4linux/video0", "vivid", "vivid-000-vid-cap"),
            (USB, "v4l2 loopback", "Camera"),
            (USB, "uvcvideo", "OBS Virtual Camera"),
            (USB, "uvcvideo", "Dummy video device (0x0000)"),
            ("", "uvcvideo", "Camera"),
        ] {
            assert!(why(path, driver, name).is_some(), "{path} {driver} {name}");
        }
    }
}
