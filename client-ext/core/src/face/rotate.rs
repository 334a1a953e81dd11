//! The device's secret rotation of face vectors.
//!
//! A template leaves the device only after multiplication with an orthogonal 128 x 128 matrix that only this device
//! can make. Cosines stay the same, so matching works; the vector fits nothing else, and a new seed revokes it
//! (cancellable biometrics, ISO/IEC 24745; random orthonormal projection after Teoh et al., 2006).
//!
//! ```text
//! numbers = SHA-256("sudare rotation matrix" || seed || counter), 8 bytes each -> uniform -> Box-Muller -> Gaussian
//! matrix  = Gram-Schmidt over 128 rows of 128 Gaussians, twice, in f64 (uniform over the rotations)
//! id      = first 16 bytes of SHA-256("sudare rotation id" || seed)
//! ```

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "53 random bits fill an f64 exactly; vectors are stored in f32"
)]

use sha2::{Digest as _, Sha256};
use sudare_protocol::limits::VECTOR_DIM;
use zeroize::{Zeroize as _, Zeroizing};

use super::embedding::Embedding;
use super::marked::Marked;

/// The matrix of one device, derived from its seed; wiped when dropped.
pub struct Rotation {
    rows: Vec<[f64; VECTOR_DIM]>,
    id: [u8; 16],
}

/// A face vector after rotation: a type of its own, so that it cannot be compared with one before it.
pub struct Rotated(Embedding);

/// The operators' vectors on this device.
#[derive(Debug)]
pub struct Known {
    pub rotation: Rotation,
    pub vectors: Vec<Rotated>,
    /// Where they said that nobody ever is.
    pub marked: Marked,
    /// Of the template, if there is one operator only; see [`super::drift`].
    pub self_cosine: Option<u16>,
}

impl Rotation {
    /// The matrix of this seed; the same seed always gives the same matrix.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let mut numbers = Gaussian::new(seed);
        let mut rows: Vec<[f64; VECTOR_DIM]> = Vec::with_capacity(VECTOR_DIM);
        while rows.len() < VECTOR_DIM {
            let mut row = [0.0; VECTOR_DIM];
            row.iter_mut().for_each(|v| *v = numbers.draw());
            // The second pass removes what rounding left of the first.
            for _ in 0..2 {
                for done in &rows {
                    let along = dot(&row, done);
                    row.iter_mut().zip(done).for_each(|(v, d)| *v -= along * d);
                }
            }
            let length = dot(&row, &row).sqrt();
            // A row within the span of the others is all but impossible; then another one is drawn.
            if length > 1e-6 {
                row.iter_mut().for_each(|v| *v /= length);
                rows.push(row);
            }
            row.zeroize();
        }
        let digest = Sha256::new().chain_update(b"sudare rotation id").chain_update(seed).finalize();
        let mut id = [0; 16];
        id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Self { rows, id }
    }

    /// Identifies the matrix without revealing anything about it.
    #[must_use]
    pub const fn id(&self) -> [u8; 16] {
        self.id
    }

    /// Rotates one vector.
    #[must_use]
    pub fn apply(&self, embedding: &Embedding) -> Rotated {
        let mut out = [0.0; VECTOR_DIM];
        for (out, row) in out.iter_mut().zip(&self.rows) {
            *out = row.iter().zip(&embedding.0).map(|(r, v)| r * f64::from(*v)).sum::<f64>() as f32;
        }
        Rotated(Embedding(out))
    }
}

impl Rotated {
    /// Reads a vector of a template; `None` if its length is wrong.
    #[must_use]
    pub fn from_template(values: &[f32]) -> Option<Self> {
        Embedding::from_values(values).map(Self)
    }

    /// The numbers, for a template.
    #[must_use]
    pub fn to_template(&self) -> Vec<f32> {
        self.0.0.to_vec()
    }

    /// As [`Embedding::cosine`].
    #[must_use]
    pub fn cosine(&self, other: &Self) -> f32 {
        self.0.cosine(&other.0)
    }
}

impl Drop for Rotation {
    fn drop(&mut self) {
        self.rows.iter_mut().for_each(|row| row.zeroize());
    }
}

impl std::fmt::Debug for Rotation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rotation(secret)")
    }
}

impl std::fmt::Debug for Rotated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rotated(128 numbers)")
    }
}

/// Normally distributed numbers from a seed.
struct Gaussian {
    seed: Zeroizing<[u8; 32]>,
    counter: u64,
    words: Vec<u64>,
}

impl Gaussian {
    fn new(seed: &[u8; 32]) -> Self {
        Self { seed: Zeroizing::new(*seed), counter: 0, words: Vec::new() }
    }

    fn draw(&mut self) -> f64 {
        // Box-Muller; the first number is kept away from 0, whose logarithm is infinite.
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// From 0 to below 1.
    fn uniform(&mut self) -> f64 {
        (self.word() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn word(&mut self) -> u64 {
        loop {
            if let Some(word) = self.words.pop() {
                return word;
            }
            let hash = Sha256::new()
                .chain_update(b"sudare rotation matrix")
                .chain_update(self.seed.as_slice())
                .chain_update(self.counter.to_le_bytes());
            self.counter += 1;
            let block = hash.finalize();
            let words = block.chunks_exact(8).filter_map(|c| c.try_into().ok().map(u64::from_le_bytes));
            // Words are taken from the end.
            self.words.extend(words.rev());
        }
    }
}

impl Drop for Gaussian {
    fn drop(&mut self) {
        self.words.zeroize();
    }
}

fn dot(a: &[f64; VECTOR_DIM], b: &[f64; VECTOR_DIM]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(seed: u8) -> Embedding {
        let mut numbers = Gaussian::new(&[seed; 32]);
        Embedding::from_values(&std::array::from_fn::<f32, VECTOR_DIM, _>(|_| numbers.draw() as f32)).unwrap()
    }

    #[test]
    fn the_matrix_is_orthogonal() {
        let rotation = Rotation::from_seed(&[7; 32]);
        for (i, a) in rotation.rows.iter().enumerate() {
            for (j, b) in rotation.rows.iter().enumerate() {
                let expected = if i == j { 1.0 } else { 0.0 };
                assert!((dot(a, b) - expected).abs() < 1e-12, "rows {i} and {j}");
            }
        }
    }

    #[test]
    fn cosines_stay_the_same() {
        let rotation = Rotation::from_seed(&[7; 32]);
        for seed in 0..20 {
            let (a, b) = (vector(seed), vector(seed + 1));
            let mixed =
                Embedding::from_values(&a.0.iter().zip(&b.0).map(|(a, b)| a + b / 2.0).collect::<Vec<_>>());
            let mixed = mixed.unwrap();
            let rotated = rotation.apply(&a).cosine(&rotation.apply(&mixed));
            assert!((rotated - a.cosine(&mixed)).abs() < 1e-5);
        }
    }

    #[test]
    fn the_same_face_on_two_devices_looks_like_two_strangers() {
        let (one, two) = (Rotation::from_seed(&[1; 32]), Rotation::from_seed(&[2; 32]));
        assert_ne!(one.id(), two.id());
        for seed in 0..20 {
            let face = vector(seed);
            // Unrelated directions in 128 dimensions: a standard deviation of 0.09.
            assert!(one.apply(&face).cosine(&two.apply(&face)).abs() < 0.36);
            assert!(one.apply(&face).0.cosine(&face).abs() < 0.36);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_matrix_for_ever() {
        let a = Rotation::from_seed(&[9; 32]);
        assert_eq!(a.rows, Rotation::from_seed(&[9; 32]).rows);
        // Pinned, as numpy's QR decomposition gives them for the same Gaussians: a change here would lock every
        // enrolled operator out.
        assert_eq!(a.id()[..4], PINNED_ID);
        assert!((a.rows[0][0] - PINNED_FIRST).abs() < 1e-12, "{}", a.rows[0][0]);
        assert!((a.rows[127][127] - PINNED_LAST).abs() < 1e-9, "{}", a.rows[127][127]);
    }

    const PINNED_ID: [u8; 4] = [12, 46, 217, 255];
    const PINNED_FIRST: f64 = -0.089_188_380_988_281_19;
    const PINNED_LAST: f64 = 0.155_715_444_660_381_1;
}
