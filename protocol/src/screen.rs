//! The channel's name and the layout of a cover, as both ends know them.

/// Name of the dynamic virtual channel ([MS-RDPEDYC] 2.2.2.1): at most 8 characters would also fit a static one.
pub const CHANNEL_NAME: &str = "SUDARE";
/// One write to the channel carries at most this many bytes, in either direction.
pub const CHANNEL_WRITE_MAX_BYTES: usize = 256 * 1024;

const PANEL_WIDTH_PERCENT: u32 = 70;
const PANEL_HEIGHT_PERCENT: u32 = 50;

/// Where a cover shows its text: the centred 70 % by 50 % of the screen, rounded down. All other
/// pixels of a cover are exactly black. Left, top, right, bottom; the latter two exclusive.
pub fn panel(width: u16, height: u16) -> [u16; 4] {
    let part = |whole: u16, percent: u32| u16::try_from(u32::from(whole) * percent / 100).unwrap_or(whole);
    let (w, h) = (part(width, PANEL_WIDTH_PERCENT), part(height, PANEL_HEIGHT_PERCENT));
    let (left, top) = ((width - w) / 2, (height - h) / 2);
    [left, top, left + w, top + h]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_panel_is_centred_and_never_larger_than_the_screen() {
        assert_eq!(panel(1280, 720), [192, 180, 1088, 540]);
        assert_eq!(panel(1, 1), [0, 0, 0, 0]);
        assert_eq!(panel(u16::MAX, u16::MAX)[2..], [55_704, 49_151]);
    }
}
