//! Every layout of colours that comes out must come out right; the others are refused in words.

use super::*;

/// Two by two fields of one colour each: brightness, blueness, redness.
const FIELDS: [[u8; 3]; 4] = [[60, 128, 128], [200, 90, 150], [120, 170, 100], [160, 110, 200]];
/// What rounding and the smoothing of reduced colours may change away from the fields' edges.
const OFF_MAX: i32 = 3;
/// Nearer to an edge than this, colours are mixed on purpose.
const EDGE_PX: u32 = 20;

/// How a picture is stored.
struct Layout<'a> {
    size: (u16, u16),
    factors: &'a [(u8, u8)],
    /// Components of each scan.
    scans: &'a [&'a [usize]],
    /// Tables are repeated before each scan, as some encoders do.
    repeats_tables: bool,
}

/// Writes bits, most significant first, with stuffed bytes.
#[derive(Default)]
struct BitWriter {
    out: Vec<u8>,
    byte: u32,
    count: u32,
}

impl BitWriter {
    fn put(&mut self, value: u32, count: u32) {
        for bit in (0..count).rev() {
            self.byte = self.byte << 1 | (value >> bit & 1);
            self.count += 1;
            if self.count == 8 {
                let byte = self.byte.to_le_bytes()[0];
                self.out.push(byte);
                if byte == 0xFF {
                    self.out.push(0);
                }
                (self.byte, self.count) = (0, 0);
            }
        }
    }

    fn finish(mut self) -> Vec<u8> {
        while self.count != 0 {
            self.put(1, 1);
        }
        self.out
    }
}

impl Layout<'_> {
    /// Blocks of one value each: only the first coefficient of each block is not 0.
    fn encode(&self) -> Vec<u8> {
        let mut out = vec![0xFF, 0xD8];
        let adobe = [&b"Adobe\0\x64\0\0\0\0"[..], &[0]].concat();
        if self.factors.len() == 4 {
            push_segment(&mut out, APP14, &adobe);
        }
        push_segment(&mut out, DQT, &[&[0][..], &[8; 64]].concat());
        let (width, height) = self.size;
        let mut frame = vec![8];
        frame.extend_from_slice(&height.to_be_bytes());
        frame.extend_from_slice(&width.to_be_bytes());
        frame.push(u8::try_from(self.factors.len()).unwrap());
        for (id, (h, v)) in (1_u8..).zip(self.factors) {
            frame.extend_from_slice(&[id, h << 4 | v, 0]);
        }
        push_segment(&mut out, 0xC0, &frame);
        for (number, scan) in self.scans.iter().enumerate() {
            if number == 0 || self.repeats_tables {
                // Sizes 0 to 11 have four bits each; the only other symbol is the end of a block.
                let dc: Vec<u8> = [0, 0, 0, 0, 12].into_iter().chain([0; 12]).chain(0..12).collect();
                push_segment(&mut out, DHT, &dc);
                let ac: Vec<u8> = [0x10, 1].into_iter().chain([0; 15]).chain([0]).collect();
                push_segment(&mut out, DHT, &ac);
            }
            let mut header = vec![u8::try_from(scan.len()).unwrap()];
            scan.iter().for_each(|c| header.extend_from_slice(&[u8::try_from(*c).unwrap() + 1, 0]));
            header.extend_from_slice(&[0, 63, 0]);
            push_segment(&mut out, SOS, &header);
            out.extend(self.scan(scan));
        }
        out.extend_from_slice(&[0xFF, 0xD9]);
        out
    }

    fn scan(&self, scan: &[usize]) -> Vec<u8> {
        let (width, height) = (u32::from(self.size.0), u32::from(self.size.1));
        let largest = |of: fn(&(u8, u8)) -> u8| u32::from(self.factors.iter().map(of).max().unwrap());
        let (h_max, v_max) = (largest(|f| f.0), largest(|f| f.1));
        let mut bits = BitWriter::default();
        let mut before = vec![0; self.factors.len()];
        let mut block = |component: usize, bx: u32, by: u32| {
            let (h, v) = self.factors[component];
            let x = (bx * 8 + 4) * h_max / u32::from(h);
            let y = (by * 8 + 4) * v_max / u32::from(v);
            let field = usize::from(x >= width / 2) + 2 * usize::from(y >= height / 2);
            let value = i32::from(FIELDS[field].get(component).copied().unwrap_or(255)) - 128;
            let difference = value - before[component];
            before[component] = value;
            let size = 32 - difference.unsigned_abs().leading_zeros();
            bits.put(size, 4);
            let code = if difference < 0 { difference - 1 } else { difference };
            bits.put(code.cast_unsigned(), size);
            bits.put(0, 1);
        };
        if let [component] = scan {
            let (h, v) = self.factors[*component];
            let across = (width * u32::from(h)).div_ceil(h_max).div_ceil(8);
            let down = (height * u32::from(v)).div_ceil(v_max).div_ceil(8);
            (0..down).for_each(|y| (0..across).for_each(|x| block(*component, x, y)));
            return bits.finish();
        }
        for my in 0..height.div_ceil(8 * v_max) {
            for mx in 0..width.div_ceil(8 * h_max) {
                for component in scan {
                    let (h, v) =
                        (u32::from(self.factors[*component].0), u32::from(self.factors[*component].1));
                    for by in my * v..my * v + v {
                        (mx * h..mx * h + h).for_each(|bx| block(*component, bx, by));
                    }
                }
            }
        }
        bits.finish()
    }

    /// Whether it comes out, and then whether rightly.
    fn try_it(&self) -> Result<bool, JpegError> {
        let picture = decode(&self.encode(), 4096, 1 << 22)?;
        let (width, height) = (picture.width, picture.height);
        let is_grey = self.factors.len() == 1;
        let is_far = |at: u32, side: u32| at.abs_diff(side / 2) > EDGE_PX;
        let places = (0..height).step_by(3).flat_map(|y| (0..width).step_by(3).map(move |x| (x, y)));
        Ok(places.filter(|(x, y)| is_far(*x, width) && is_far(*y, height)).all(|(x, y)| {
            let field = usize::from(x >= width / 2) + 2 * usize::from(y >= height / 2);
            let [luma, blue, red] = FIELDS[field];
            let (blue, red) = if is_grey { (128, 128) } else { (blue, red) };
            let wanted = crate::camera::yuv::to_rgb(luma, blue, red, crate::camera::yuv::Range::Full);
            let at = usize::try_from((y * width + x) * 3).unwrap();
            wanted
                .iter()
                .zip(&picture.rgb[at..at + 3])
                .all(|(a, b)| (i32::from(*a) - i32::from(*b)).abs() <= OFF_MAX)
        }))
    }
}

const TOGETHER: &[&[usize]] = &[&[0, 1, 2]];
const APART: &[&[usize]] = &[&[0], &[1], &[2]];
const SIZES: [(u16, u16); 4] = [(128, 96), (131, 101), (97, 160), (16, 17)];

#[test]
fn usual_layouts_come_out_right() {
    for luma in [(1, 1), (2, 1), (1, 2), (2, 2), (4, 1), (4, 2)] {
        for size in SIZES {
            let factors = &[luma, (1, 1), (1, 1)];
            let layout = Layout { size, factors, scans: TOGETHER, repeats_tables: false };
            assert_eq!(layout.try_it(), Ok(true), "{luma:?} {size:?}");
        }
    }
}

#[test]
fn the_factors_of_a_grey_picture_mean_nothing() {
    for factors in [(1, 1), (2, 1), (1, 2), (2, 2), (4, 4), (3, 1)] {
        for size in SIZES {
            let layout = Layout { size, factors: &[factors], scans: &[&[0]], repeats_tables: false };
            assert_eq!(layout.try_it(), Ok(true), "{factors:?} {size:?}");
        }
    }
}

#[test]
fn every_other_layout_is_right_or_refused() {
    let one = [1, 2, 3, 4].map(|h| [1, 2, 3, 4].map(|v| (h, v))).concat();
    let scans: [&[&[usize]]; 6] =
        [TOGETHER, APART, &[&[1], &[2], &[0]], &[&[0, 1], &[2]], &[&[0], &[1, 2]], &[&[0]]];
    let mut refused = 0;
    for luma in &one {
        for chroma in &one {
            for (number, scans) in scans.iter().enumerate() {
                for (size, repeats_tables) in [((128, 96), false), ((17, 33), true)] {
                    let factors = [*luma, *chroma, *chroma];
                    match (Layout { size, factors: &factors, scans, repeats_tables }).try_it() {
                        Ok(is_right) => assert!(is_right, "{factors:?} {number} {size:?} came out wrong"),
                        Err(JpegError::Unsupported(_)) => refused += 1,
                        Err(error) => assert_eq!(number, 5, "{factors:?} {size:?}: {error}"),
                    }
                }
            }
        }
    }
    assert!(refused > 1_000, "{refused}");
}

#[test]
fn layouts_that_are_not_read_are_named() {
    let said = |factors: &[(u8, u8)], scans: &[&[usize]]| {
        let layout = Layout { size: (64, 64), factors, scans, repeats_tables: true };
        layout.try_it().unwrap_err().to_string()
    };
    let reduced = [(2, 2), (1, 1), (1, 1)];
    assert!(said(&reduced, APART).contains("one after another"));
    assert!(said(&reduced, &[&[1], &[2], &[0]]).contains("one after another"));
    assert!(said(&[(1, 1), (2, 2), (2, 2)], TOGETHER).contains("brightness more coarsely"));
    assert!(said(&[(1, 1), (2, 1), (2, 1)], APART).contains("brightness more coarsely"));
    assert!(said(&[(1, 1), (1, 1)], &[&[0, 1]]).contains("neither one nor three colours"));
}

#[test]
fn codings_that_are_not_read_are_named() {
    let picture = tests::gradient(32, 32);
    let frame = picture.windows(2).position(|two| two == [0xFF, 0xC0]).unwrap();
    let said = |marker: u8, at: usize, value: u8| {
        let mut bytes = picture.clone();
        bytes[frame + 1] = marker;
        bytes[frame + at] = value;
        decode(&bytes, 4096, 1 << 20).unwrap_err()
    };
    for (marker, word) in
        [(0xC9, "arithmetic"), (0xCA, "arithmetic"), (0xC3, "lossless"), (0xC5, "hierarchical")]
    {
        let error = said(marker, 4, 8);
        assert!(matches!(&error, JpegError::Unsupported(text) if text.contains(word)), "{error}");
    }
    for marker in [0xC1, 0xC2] {
        assert!(said(marker, 4, 12).to_string().contains("12 bits"));
    }
    assert!(matches!(said(0xC0, 6, 0), JpegError::Unsupported(_)), "32 rows are 0 now");
    assert!(matches!(said(0xC0, 8, 0), JpegError::Damaged(_)), "as wide as nothing");
}

/// The files of people who met them, if a variable names their folder. Nothing of them is in this repository.
#[test]
fn collected_files_come_out_or_are_refused_in_words() {
    let Some(folder) = std::env::var_os("SUDARE_CASE_FILES").map(std::path::PathBuf::from) else {
        println!("SKIPPED: SUDARE_CASE_FILES names no folder of collected pictures");
        return;
    };
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    assert!(decode(&read("interleaved_420.jpg"), 4096, 1 << 20).is_ok());
    for name in
        ["noninterleaved_420.jpg", "luma_coarser_than_chroma.jpg", "panic.jpg", "chroma_scan_first.jpg"]
    {
        let error = decode(&read(name), 4096, 1 << 20).err();
        assert!(matches!(error, Some(JpegError::Unsupported(_))), "{name}: {error:?}");
    }
}
