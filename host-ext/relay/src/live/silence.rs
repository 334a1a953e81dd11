//! Sound on rdpsnd ([MS-RDPEA] 2.2.3): under a cover it goes on, as silence.
//!
//! Waves that were held would be heard minutes later, and dropped ones would never be confirmed, so that hosts stop
//! or wait. So formats and confirmations pass at all times, and of a wave its header does.

/// Message types whose bodies are nothing that is heard: close, volume, pitch, confirm, training, formats, key,
/// quality.
const SILENT: [u8; 8] = [1, 3, 4, 5, 6, 7, 8, 12];
/// WaveInfo: the first four bytes of a wave, whose rest is the next message.
const WAVE_INFO: u8 = 2;
const WAVE_INFO_HEADER_BYTES: usize = 12;
const WAVE2: u8 = 13;
const WAVE2_HEADER_BYTES: usize = 16;

/// Where the host is within its sound.
#[derive(Debug, Default, Clone)]
pub(super) struct Silence {
    /// Bytes of this message that have passed.
    seen: usize,
    /// How many of them are not heard.
    header: usize,
    is_wave_info: bool,
}

impl Silence {
    /// The next chunk of the host, as the client gets it.
    pub(super) fn step(&mut self, first: bool, data: &[u8], covered: bool) -> Vec<u8> {
        if first {
            let behind_info = std::mem::take(&mut self.is_wave_info);
            let kind = data.first().copied();
            self.is_wave_info = !behind_info && kind == Some(WAVE_INFO);
            self.seen = 0;
            self.header = match kind {
                _ if behind_info => 0,
                Some(WAVE_INFO) => WAVE_INFO_HEADER_BYTES,
                Some(WAVE2) => WAVE2_HEADER_BYTES,
                Some(kind) if SILENT.contains(&kind) => usize::MAX,
                // Whatever it is, it may be heard.
                _ => 0,
            };
        }
        let kept = self.header.saturating_sub(self.seen).min(data.len());
        self.seen = self.seen.saturating_add(data.len());
        let mut passes = data.to_vec();
        if covered {
            passes.iter_mut().skip(kept).for_each(|byte| *byte = 0);
        }
        passes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waves_are_silent_and_all_else_passes() {
        let mut silence = Silence::default();
        let formats = [7, 0, 4, 0, 1, 2, 3, 4];
        let info = [2, 0, 40, 0, 1, 1, 2, 0, 9, 0, 0, 0, 0xAA, 0xAA, 0xAA, 0xAA];
        // A wave of two chunks, which begins like formats.
        let (wave, more) = ([7, 0, 0, 0, 0xBB, 0xBB], [0xCC; 3]);
        let wave2 = [13, 0, 20, 0, 1, 1, 2, 0, 9, 0, 0, 0, 5, 5, 5, 5, 0xDD, 0xDD];
        for covered in [false, true] {
            let heard = |data: &[u8], header: usize| {
                if covered {
                    [&data[..header], &vec![0; data.len() - header]].concat()
                } else {
                    data.to_vec()
                }
            };
            for _ in 0..2 {
                assert_eq!(silence.step(true, &formats, covered), formats);
                assert_eq!(silence.step(true, &info, covered), heard(&info, 12));
                assert_eq!(silence.step(true, &wave, covered), heard(&wave, 0));
                assert_eq!(silence.step(false, &more, covered), heard(&more, 0));
                assert_eq!(silence.step(true, &wave2[..7], covered), heard(&wave2[..7], 7));
                assert_eq!(silence.step(false, &wave2[7..], covered), heard(&wave2[7..], 9));
                assert_eq!(silence.step(true, &[99, 1, 2], covered), heard(&[99, 1, 2], 0));
                assert_eq!(silence.step(true, &[], covered), [0; 0]);
            }
        }
    }
}
