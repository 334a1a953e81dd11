//! The synthetic desktop: a customer record and a running clock.
//!
//! It represents the confidential content of a real session. Everything on it is invented (the card numbers are the
//! test numbers that payment companies publish), it is the same in every run, and no pixel is exactly black, so that a
//! test can distinguish it from a cover.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sudare_guard::cover::canvas::{Canvas, Rect};
use sudare_guard::cover::fonts::Fonts;
use sudare_guard::screen::Screenshot;

/// How often the clock advances.
pub const CLOCK_STEP: Duration = Duration::from_millis(100);
/// The clock starts at nine in the morning.
const START_S: u64 = 9 * 3600;
const BAR_HEIGHT: u16 = 40;
const CLOCK_WIDTH: u16 = 192;
const INK: [u8; 3] = [34, 40, 49];
const PAPER: [u8; 3] = [246, 247, 249];
const BAR: [u8; 3] = [38, 50, 66];
const ACCENT: [u8; 3] = [30, 98, 168];
const STRIPE: [u8; 3] = [228, 235, 243];
const TITLE: &str = "Customer record 顧客情報 — CONFIDENTIAL 社外秘";
const HEADINGS: [&str; 4] = ["Name 氏名", "Card カード番号", "Balance 残高", "Note 備考"];
const ROWS: [[&str; 4]; 8] = [
    ["Sato Hanako 佐藤 花子", "4242 4242 4242 4242", "¥ 1,204,500", "VIP"],
    ["Suzuki Ichiro 鈴木 一郎", "5555 5555 5555 4444", "¥ 88,210", "住所変更"],
    ["Takahashi Mei 高橋 芽衣", "3782 822463 10005", "¥ 530,900", "Call back 折返し"],
    ["Tanaka Ken 田中 健", "6011 1111 1111 1117", "¥ 12,040", "—"],
    ["Ito Sakura 伊藤 さくら", "3566 0020 2036 0505", "¥ 2,910,000", "Loan 審査中"],
    ["Watanabe Jun 渡辺 純", "4000 0566 5566 5556", "¥ 7,300", "—"],
    ["Yamamoto Rin 山本 凛", "5200 8282 8282 8210", "¥ 415,660", "名義変更"],
    ["Kobayashi Sho 小林 翔", "5105 1051 0510 5100", "¥ 96,000", "Call back 折返し"],
];

/// The picture of the desktop and the clock on it.
pub struct Desktop {
    width: u16,
    height: u16,
    /// Shared with the pictures that were returned; copied only if it changes while one of them is in use.
    bgra: Arc<[u8]>,
    fonts: Arc<Fonts>,
    /// The clock step that is drawn.
    step: u128,
}

impl fmt::Debug for Desktop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Desktop({}x{})", self.width, self.height)
    }
}

impl Desktop {
    /// Draws the desktop with its clock at the start.
    #[must_use]
    pub fn new(width: u16, height: u16, fonts: Arc<Fonts>) -> Self {
        let mut bgra = vec![0; usize::from(width) * usize::from(height) * 4];
        draw_wallpaper(&mut bgra, width, height);
        let mut canvas = Canvas::new(&mut bgra, width, height);
        draw_record(&mut canvas, &fonts, width, height);
        draw_bar(&mut canvas, &fonts, width, height);
        let mut desktop = Self { width, height, bgra: Arc::from(bgra), fonts, step: 0 };
        desktop.draw_clock();
        desktop
    }

    /// The current desktop, without a copy.
    #[must_use]
    pub fn picture(&self) -> Screenshot {
        Screenshot { width: self.width, height: self.height, bgra: Arc::clone(&self.bgra) }
    }

    /// Advances to `now`, counted from the start of the session. Returns what changed.
    pub fn advance(&mut self, now: Duration) -> Vec<Rect> {
        let step = now.as_millis() / CLOCK_STEP.as_millis();
        if step == self.step {
            return Vec::new();
        }
        self.step = step;
        vec![self.draw_clock()]
    }

    fn draw_clock(&mut self) -> Rect {
        let bar = bar(self.width, self.height);
        let width = CLOCK_WIDTH.min(bar.width);
        let area = Rect { x: bar.width - width, width, ..bar };
        let tenths = u64::try_from(self.step).unwrap_or(0);
        let seconds = START_S + tenths / 10;
        let text = format!(
            "{:02}:{:02}:{:02}.{}",
            seconds / 3600 % 24,
            seconds / 60 % 60,
            seconds % 60,
            tenths % 10
        );

        let mut canvas = Canvas::new(Arc::make_mut(&mut self.bgra), self.width, self.height);
        canvas.clip(area);
        canvas.fill(area, BAR);
        // Even without a font the clock visibly runs: a block moves at each step.
        let travel = u64::from(area.width.saturating_sub(12)).max(1);
        let shift = u16::try_from(tenths * 4 % travel).unwrap_or(0);
        canvas.fill(Rect { x: area.x + shift, y: area.y + 2, width: 12, height: 4 }, PAPER);
        self.fonts.draw(&mut canvas, (f32::from(area.x) + 16.0, f32::from(area.y) + 9.0), 22.0, PAPER, &text);
        area
    }
}

/// A gradient from top to bottom, since rows of a single colour compress best.
fn draw_wallpaper(bgra: &mut [u8], width: u16, height: u16) {
    let rows = bgra.chunks_exact_mut(usize::from(width).max(1) * 4);
    for (y, row) in (0_u32..).zip(rows) {
        let shade = u8::try_from(y * 60 / u32::from(height.max(1))).unwrap_or(0);
        for pixel in row.chunks_exact_mut(4) {
            pixel.copy_from_slice(&[150 - shade / 2, 110 + shade, 70 + shade / 2, 255]);
        }
    }
}

fn draw_record(canvas: &mut Canvas<'_>, fonts: &Fonts, width: u16, height: u16) {
    let window = Rect {
        x: width / 16,
        y: height / 12,
        width: width - width / 8,
        height: (height - height / 6).saturating_sub(BAR_HEIGHT / 2),
    };
    canvas.fill(window, PAPER);
    canvas.fill(Rect { height: 44, ..window }, ACCENT);
    write(canvas, fonts, (window.x + 16, window.y + 8), 24.0, PAPER, TITLE);

    let column_x = |column: usize| {
        let share = [2_u16, 34, 62, 80].get(column).copied().unwrap_or(0);
        window.x + (u32::from(window.width) * u32::from(share) / 100).try_into().unwrap_or(0)
    };
    for (column, heading) in HEADINGS.iter().enumerate() {
        write(canvas, fonts, (column_x(column), window.y + 58), 18.0, ACCENT, heading);
    }
    let row_height = (window.height.saturating_sub(96) / 8).max(1);
    for (row, cells) in (0_u16..).zip(ROWS) {
        let y = window.y + 90 + row * row_height;
        if row % 2 == 0 {
            canvas.fill(Rect { y, height: row_height, ..window }, STRIPE);
        }
        for (column, cell) in cells.iter().enumerate() {
            write(canvas, fonts, (column_x(column), y + row_height / 4), 20.0, INK, cell);
        }
    }
}

fn draw_bar(canvas: &mut Canvas<'_>, fonts: &Fonts, width: u16, height: u16) {
    let bar = bar(width, height);
    canvas.fill(bar, BAR);
    write(canvas, fonts, (bar.x + 16, bar.y + 9), 18.0, PAPER, "Sudare demo desktop");
}

fn bar(width: u16, height: u16) -> Rect {
    let tall = BAR_HEIGHT.min(height);
    Rect { x: 0, y: height - tall, width, height: tall }
}

/// Writes text, or a row of boxes if no font has its characters.
fn write(canvas: &mut Canvas<'_>, fonts: &Fonts, at: (u16, u16), size_px: f32, color: [u8; 3], text: &str) {
    if fonts.can_draw(text) {
        fonts.draw(canvas, (f32::from(at.0), f32::from(at.1)), size_px, color, text);
        return;
    }
    let latin: String = text.chars().filter(char::is_ascii).collect();
    if fonts.can_draw(&latin) {
        fonts.draw(canvas, (f32::from(at.0), f32::from(at.1)), size_px, color, latin.trim());
        return;
    }
    for (index, c) in (0_u16..).zip(text.chars()) {
        if c != ' ' {
            canvas.fill(Rect { x: at.0 + index * 12, y: at.1 + 4, width: 9, height: 14 }, color);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_pixel_is_black_and_every_run_is_the_same() {
        for fonts in [Fonts::load(), Fonts::none()] {
            let fonts = Arc::new(fonts);
            for (width, height) in [(1280, 720), (320, 200), (801, 603)] {
                let desktop = Desktop::new(width, height, Arc::clone(&fonts)).picture();
                assert!(desktop.bgra.chunks_exact(4).all(|p| p[..3] != [0, 0, 0]));
                assert_eq!(desktop.bgra, Desktop::new(width, height, Arc::clone(&fonts)).picture().bgra);
            }
        }
    }

    #[test]
    fn the_clock_changes_only_what_it_reports_and_never_a_picture_given_out() {
        let mut desktop = Desktop::new(640, 480, Arc::new(Fonts::none()));
        assert!(desktop.advance(Duration::from_millis(99)).is_empty());
        let before = desktop.picture();
        let kept = before.bgra.to_vec();
        let changed = desktop.advance(Duration::from_millis(100));
        assert_eq!(changed.len(), 1);
        let after = desktop.picture();
        assert_eq!(before.bgra.to_vec(), kept);
        let mut differing = 0;
        for (i, (old, new)) in before.bgra.chunks(4).zip(after.bgra.chunks(4)).enumerate() {
            let (x, y) = (u16::try_from(i % 640).unwrap(), u16::try_from(i / 640).unwrap());
            if old != new {
                differing += 1;
                assert!(changed[0].contains(x, y));
            }
        }
        assert!(differing > 0);
    }
}
