//! The screen and its monitors.

use sudare_blanker::wire::{MONITORS_MAX, Rect, Reply};
use x11rb::protocol::randr::{ConnectionExt as _, MonitorInfo};

use crate::display::Display;
use crate::error::{BlankerError, if_there};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Counts up with each change, so that words made for another layout are recognised.
    pub(crate) number: u32,
    pub(crate) width: u16,
    pub(crate) height: u16,
    monitors: Vec<Rect>,
}

impl Layout {
    /// As it is now; `number` is kept by the caller.
    pub(crate) fn read(display: &Display, number: u32) -> Result<Self, BlankerError> {
        let (width, height) = display.size()?;
        let answer = if_there(display.x.randr_get_monitors(display.root, true)?.reply())?;
        let found = answer.map(|answer| answer.monitors).unwrap_or_default();
        Ok(Self { number, width, height, monitors: monitors(&found, width, height) })
    }

    pub(crate) fn size(&self) -> (u16, u16) {
        (self.width, self.height)
    }

    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        self.size() == other.size() && self.monitors == other.monitors
    }

    pub(crate) fn to_reply(&self) -> Reply {
        let Self { number, width, height, monitors } = self.clone();
        Reply::Layout { layout: number, width, height, monitors }
    }
}

/// The parts of the monitors that are on the screen; the whole screen if there are none.
fn monitors(found: &[MonitorInfo], width: u16, height: u16) -> Vec<Rect> {
    let mut monitors: Vec<Rect> = Vec::new();
    for monitor in found.iter().take(MONITORS_MAX) {
        let (Ok(x), Ok(y)) = (u16::try_from(monitor.x), u16::try_from(monitor.y)) else { continue };
        if x >= width || y >= height {
            continue;
        }
        let place =
            Rect { x, y, width: monitor.width.min(width - x), height: monitor.height.min(height - y) };
        if place.bytes() > 0 && !monitors.contains(&place) {
            monitors.push(place);
        }
    }
    if monitors.is_empty() {
        monitors.push(Rect { x: 0, y: 0, width, height });
    }
    monitors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn monitor(x: i16, y: i16, width: u16, height: u16) -> MonitorInfo {
        MonitorInfo {
            name: 0,
            primary: false,
            automatic: true,
            x,
            y,
            width,
            height,
            width_in_millimeters: 0,
            height_in_millimeters: 0,
            outputs: Vec::new(),
        }
    }

    #[test]
    fn monitors_are_cut_to_the_screen_and_told_once() {
        let found = [
            monitor(0, 0, 800, 600),
            monitor(800, 0, 800, 600),
            monitor(0, 0, 800, 600),
            monitor(-5, 0, 9, 9),
            monitor(5000, 0, 9, 9),
        ];
        let right = Rect { x: 800, y: 0, width: 400, height: 600 };
        let left = Rect { x: 0, y: 0, width: 800, height: 600 };
        assert_eq!(monitors(&found, 1200, 600), [left, right]);
    }

    #[test]
    fn without_monitors_the_screen_is_one() {
        assert_eq!(monitors(&[], 640, 480), [Rect { x: 0, y: 0, width: 640, height: 480 }]);
    }
}
