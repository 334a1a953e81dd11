//! YUV4MPEG2 (`.y4m`), 8 bits: mono, 4:2:0, 4:2:2, 4:4:4.
//!
//! Source: yuv4mpeg(5) of mjpegtools. Read by our own code because the `y4m` crate reports a film that is cut in
//! the middle of a frame as one that ended, and multiplies the header's sizes unchecked.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::replay::{FilmReader, Pixels};
use super::{CameraFault, MAX_FRAME_SIDE_PX, yuv};

/// What a film plays at that does not know its rate (`F0:0`), as everywhere else.
const UNKNOWN_RATE: (u32, u32) = (25, 1);
/// The longest header line that is read.
const MAX_LINE_BYTES: u64 = 1024;

/// See the module text.
#[derive(Debug)]
pub struct Y4m<R = BufReader<File>> {
    input: R,
    what: String,
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Format {
    width: u32,
    height: u32,
    rate: (u32, u32),
    /// How many pixels share one chroma sample, across and down; `None` for mono.
    chroma: Option<(usize, usize)>,
    range: yuv::Range,
}

impl Y4m {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// It cannot be read, or is not 8-bit YUV4MPEG2.
    pub fn open(path: &Path) -> Result<Self, CameraFault> {
        let what = path.display().to_string();
        let file = File::open(path).map_err(|e| CameraFault::from_io(&what, &e))?;
        Self::from_reader(BufReader::new(file), what)
    }
}

impl<R: BufRead> Y4m<R> {
    fn from_reader(mut input: R, what: String) -> Result<Self, CameraFault> {
        let line = read_line(&mut input).map_err(|e| CameraFault::from_io(&what, &e))?;
        let parsed = std::str::from_utf8(&line).ok().and_then(|line| line.strip_suffix('\n')).and_then(parse);
        let Some(format) = parsed else {
            let advice = "Convert it: ffmpeg -i IN -pix_fmt yuv420p OUT.y4m".to_owned();
            let detail = "it is not 8-bit YUV4MPEG2 of a usual size".to_owned();
            return Err(CameraFault::Unsupported { what, detail, advice });
        };
        Ok(Self { input, what, format })
    }

    fn damaged(&self, frame: u64, detail: &str) -> CameraFault {
        CameraFault::Damaged { what: self.what.clone(), frame, detail: detail.to_owned() }
    }
}

impl<R: BufRead + Send> FilmReader for Y4m<R> {
    fn describe(&self) -> String {
        let Format { width, height, rate: (num, den), .. } = self.format;
        format!("{}: {width}x{height} at {:.2} fps", self.what, f64::from(num) / f64::from(den))
    }

    fn rate(&self) -> (u32, u32) {
        self.format.rate
    }

    fn read(&mut self, seq: u64, skip: bool) -> Result<Option<Pixels>, CameraFault> {
        let line = read_line(&mut self.input).map_err(|e| self.damaged(seq, &e.to_string()))?;
        if line.is_empty() {
            return Err(CameraFault::Ended { what: self.what.clone() });
        }
        if !line.starts_with(b"FRAME") {
            return Err(self.damaged(seq, "no frame header where one belongs"));
        }
        if !line.ends_with(b"\n") {
            return Err(self.damaged(seq, "the file is cut off"));
        }
        let (luma, chroma) = self.format.plane_sizes();
        let mut planes = vec![0; luma + 2 * chroma];
        self.input.read_exact(&mut planes).map_err(|_| self.damaged(seq, "the file is cut off"))?;
        Ok((!skip).then(|| (self.format.width, self.format.height, self.format.to_rgb(&planes))))
    }
}

impl Format {
    /// Bytes of the luma plane and of each chroma plane. Sides are capped, so nothing can overflow.
    fn plane_sizes(&self) -> (usize, usize) {
        let (width, height) = (self.width as usize, self.height as usize);
        let chroma = self.chroma.map_or(0, |(x, y)| width.div_ceil(x) * height.div_ceil(y));
        (width * height, chroma)
    }

    fn to_rgb(self, planes: &[u8]) -> Vec<u8> {
        let (luma_len, chroma_len) = self.plane_sizes();
        let (luma, rest) = planes.split_at(luma_len.min(planes.len()));
        let (u, v) = rest.split_at(chroma_len.min(rest.len()));
        let width = self.width as usize;
        let mut rgb = Vec::with_capacity(luma_len * 3);
        for (y, row) in luma.chunks_exact(width).enumerate() {
            for (x, &luma) in row.iter().enumerate() {
                let sample = |plane: &[u8]| match self.chroma {
                    Some((by_x, by_y)) => {
                        let at = (y / by_y) * width.div_ceil(by_x) + x / by_x;
                        plane.get(at).copied().unwrap_or(128)
                    }
                    None => 128,
                };
                rgb.extend_from_slice(&yuv::to_rgb(luma, sample(u), sample(v), self.range));
            }
        }
        rgb
    }
}

fn read_line(input: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut line = Vec::new();
    input.take(MAX_LINE_BYTES).read_until(b'\n', &mut line)?;
    Ok(line)
}

fn parse(line: &str) -> Option<Format> {
    let mut words = line.split(' ');
    if words.next() != Some("YUV4MPEG2") {
        return None;
    }
    let mut format =
        Format { width: 0, height: 0, rate: UNKNOWN_RATE, chroma: Some((2, 2)), range: yuv::Range::Limited };
    for word in words.filter(|w| !w.is_empty()) {
        let mut letters = word.chars();
        let (letter, value) = (letters.next()?, letters.as_str());
        match letter {
            'W' => format.width = value.parse().ok()?,
            'H' => format.height = value.parse().ok()?,
            'F' => {
                let (num, den) = value.split_once(':')?;
                format.rate = match (num.parse().ok()?, den.parse().ok()?) {
                    (0, _) | (_, 0) => UNKNOWN_RATE,
                    rate => rate,
                };
            }
            'C' => {
                format.chroma = match value {
                    "420" | "420jpeg" | "420mpeg2" | "420paldv" => Some((2, 2)),
                    "422" => Some((2, 1)),
                    "411" => Some((4, 1)),
                    "444" => Some((1, 1)),
                    "mono" => None,
                    _ => return None,
                }
            }
            'X' if value == "COLORRANGE=FULL" => format.range = yuv::Range::Full,
            _ => {}
        }
    }
    let side_ok = |side: u32| (1..=MAX_FRAME_SIDE_PX).contains(&side);
    (side_ok(format.width) && side_ok(format.height)).then_some(format)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn film(header: &str, frame_bytes: usize, frames: usize) -> Vec<u8> {
        let mut out = format!("YUV4MPEG2 {header}\n").into_bytes();
        for _ in 0..frames {
            out.extend_from_slice(b"FRAME Ip\n");
            out.extend(std::iter::repeat_n(128, frame_bytes));
        }
        out
    }

    #[test]
    fn every_layout_is_read() {
        for (colour, bytes) in [("420jpeg", 27), ("422", 33), ("411", 27), ("444", 45), ("mono", 15)] {
            let bytes = film(&format!("W5 H3 F30:1 Ip A1:1 C{colour}"), bytes, 2);
            let mut y4m = Y4m::from_reader(&bytes[..], "film".to_owned()).unwrap();
            let (w, h, rgb) = y4m.read(0, false).unwrap().unwrap();
            assert_eq!((w, h, rgb), (5, 3, vec![130; 45]), "{colour}");
            assert_eq!(y4m.read(1, true), Ok(None));
            assert!(matches!(y4m.read(2, false), Err(CameraFault::Ended { .. })), "{colour}");
        }
    }

    #[test]
    fn a_cut_film_is_damaged_at_that_frame() {
        let bytes = film("W4 H4 F10:1", 24, 3);
        for cut in 1..30 {
            let mut y4m = Y4m::from_reader(&bytes[..bytes.len() - cut], "film".to_owned()).unwrap();
            assert!(y4m.read(0, false).is_ok() && y4m.read(1, false).is_ok());
            assert!(matches!(y4m.read(2, false), Err(CameraFault::Damaged { frame: 2, .. })), "cut {cut}");
        }
    }

    #[test]
    fn a_film_that_does_not_know_its_rate_plays_at_25_a_second() {
        for rate in ["", " F0:0", " F0:1", " F30:0"] {
            let bytes = film(&format!("W4 H4{rate}"), 24, 1);
            let mut y4m = Y4m::from_reader(&bytes[..], "film".to_owned()).unwrap();
            assert_eq!(y4m.rate(), (25, 1), "{rate}");
            assert!(matches!(y4m.read(0, false), Ok(Some(_))));
        }
    }

    #[test]
    fn odd_headers_are_refused() {
        let headers =
            ["W0 H4", "W99999999999 H4", "W5000 H5000", "W4", "W4 H4 C420p10", "W4 H4 F30", "W4 H4 F-1:1"];
        for header in headers {
            assert!(Y4m::from_reader(&film(header, 1, 0)[..], "film".to_owned()).is_err(), "{header}");
        }
    }
}
