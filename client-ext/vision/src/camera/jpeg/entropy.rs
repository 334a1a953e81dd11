//! Where the data of a baseline scan end, for cameras that send no end marker.
//!
//! What follows in a driver's buffer is whatever was there before, and a picture that was cut would be filled up with
//! it. So the symbols are counted (T.81, F.2.2), without computing any pixel.

use super::layout::{FrameHeader, ScanHeader};

/// A Huffman table (T.81, C.2): how many codes there are of each length, and their symbols in order.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// DC or AC, and its number.
    pub(super) name: (bool, u8),
    counts: [u8; 16],
    symbols: Vec<u8>,
}

impl Table {
    /// All tables of a DHT segment; those that are cut are left out.
    pub(super) fn read_all(mut body: &[u8]) -> Vec<Self> {
        let mut tables = Vec::new();
        while let Some((&[name], rest)) = body.split_first_chunk()
            && let Some((counts, rest)) = rest.split_first_chunk::<16>()
            && let Some((symbols, rest)) =
                rest.split_at_checked(counts.iter().map(|count| usize::from(*count)).sum())
        {
            let name = (name >> 4 == 0, name & 0xF);
            tables.push(Self { name, counts: *counts, symbols: symbols.to_vec() });
            body = rest;
        }
        tables
    }

    fn symbol(&self, bits: &mut Bits<'_>) -> Option<u8> {
        let (mut code, mut first, mut index) = (0_usize, 0_usize, 0_usize);
        for count in self.counts.map(usize::from) {
            code = code << 1 | bits.one()?;
            first <<= 1;
            if code < first + count {
                return self.symbols.get(index + code.checked_sub(first)?).copied();
            }
            index += count;
            first += count;
        }
        None
    }
}

/// Counts the symbols of a scan; how many bytes of `data` they take. `None`: they are cut off, or are no symbols.
pub(super) fn end_of_scan(
    frame: &FrameHeader,
    scan: &ScanHeader,
    tables: &[Table],
    restart: usize,
    data: &[u8],
) -> Option<usize> {
    let find = |is_dc: bool, number: u8| tables.iter().find(|table| table.name == (is_dc, number));
    let (h_max, v_max) = frame.max_factors();
    // For each block of a unit, in order: its tables.
    let mut blocks = Vec::new();
    let mut unit_px = (8 * u32::from(h_max), 8 * u32::from(v_max));
    for (id, dc, ac) in &scan.components {
        let (h, v) = frame.components.iter().find(|c| c.id == *id)?.factors;
        let is_alone = scan.components.len() == 1;
        if is_alone {
            // The only component of a scan comes block by block, whatever its factors.
            unit_px = (unit_px.0 / u32::from(h).max(1), unit_px.1 / u32::from(v).max(1));
        }
        let count = if is_alone { 1 } else { usize::from(h) * usize::from(v) };
        blocks.extend(std::iter::repeat_n((find(true, *dc)?, find(false, *ac)?), count));
    }
    let across = u32::from(frame.size.0).div_ceil(unit_px.0.max(1));
    let units = usize::try_from(across * u32::from(frame.size.1).div_ceil(unit_px.1.max(1))).ok()?;
    let mut bits = Bits { data, at: 0, byte: 0, left: 0 };
    for unit in 0..units {
        if restart > 0 && unit > 0 && unit % restart == 0 {
            bits.restart()?;
        }
        for (dc, ac) in &blocks {
            skip_block(dc, ac, &mut bits)?;
        }
    }
    Some(bits.at)
}

fn skip_block(dc: &Table, ac: &Table, bits: &mut Bits<'_>) -> Option<()> {
    let size = dc.symbol(bits)?;
    bits.skip(size)?;
    let mut coefficient = 1;
    while coefficient < 64 {
        let symbol = ac.symbol(bits)?;
        match (symbol >> 4, symbol & 0xF) {
            (15, 0) => coefficient += 16,
            (_, 0) => return Some(()),
            (run, size) => {
                coefficient += u32::from(run) + 1;
                bits.skip(size)?;
            }
        }
    }
    Some(())
}

/// Bits of a scan; `None` at its end or at a marker.
struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    byte: u8,
    left: u8,
}

impl Bits<'_> {
    fn one(&mut self) -> Option<usize> {
        if self.left == 0 {
            self.byte = *self.data.get(self.at)?;
            self.at += if self.byte == 0xFF { 2 } else { 1 };
            if self.byte == 0xFF && self.data.get(self.at - 1) != Some(&0) {
                return None;
            }
            self.left = 8;
        }
        self.left -= 1;
        Some(usize::from(self.byte >> self.left & 1))
    }

    fn skip(&mut self, count: u8) -> Option<()> {
        (0..count).try_for_each(|_| self.one().map(drop))
    }

    /// Goes on behind the next restart marker.
    fn restart(&mut self) -> Option<()> {
        self.left = 0;
        let rest = self.data.get(self.at..)?;
        let is_restart = |pair: &[u8]| matches!(pair, [0xFF, 0xD0..=0xD7]);
        self.at += rest.windows(2).position(is_restart)? + 2;
        Some(())
    }
}
