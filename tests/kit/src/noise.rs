//! The noise of a camera's sensor: different in each picture, the same in each run.

/// Where the noise of a picture may begin in the table.
const STARTS: u64 = 65_536;

/// Numbers of a normal distribution with the spread 1, in hundredths.
#[derive(Debug)]
pub struct Noise(Vec<i16>);

impl Noise {
    /// For pictures of so many values.
    pub fn for_values(values: u32) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut draw = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            // The sum of eight bytes is as good as normal: its mean is 1,020 and its spread 209.
            let sum: i32 = state.to_le_bytes().iter().map(|byte| i32::from(*byte)).sum();
            i16::try_from((sum - 1_020) * 100 / 209).unwrap_or(0)
        };
        Noise((0..u64::from(values) + STARTS).map(|_| draw()).collect())
    }

    /// The noise of picture number `n`, value by value, in hundredths: it begins elsewhere in each.
    pub fn of(&self, n: u64) -> impl Iterator<Item = i32> + '_ {
        let from = (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) % STARTS;
        self.0.iter().skip(usize::try_from(from).unwrap_or(0)).map(|value| i32::from(*value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_spread_that_it_claims_and_each_picture_its_own() {
        let noise = Noise::for_values(100_000);
        let values: Vec<f64> = noise.of(1).take(100_000).map(f64::from).collect();
        let n = 100_000.0;
        let mean = values.iter().sum::<f64>() / n;
        let spread = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
        assert!(mean.abs() < 2.0 && (spread - 100.0).abs() < 3.0, "{mean} {spread}");
        assert!(noise.of(1).take(50).ne(noise.of(2).take(50)));
        assert!(noise.of(7).take(50).eq(noise.of(7).take(50)));
    }
}
