//! The check of liveness: light that the cover shows, or turns of the head that it asks for, and what the client
//! measured meanwhile.
//!
//! ```text
//!  host   nonce ─► Sequence / Turns ─► its cover draws it ──────────────► judge ─► Outcome
//!            LIGHT {id, how long} ─►  screen ~► face ~► camera   LIT {id, samples} ─┘
//!  client                             measures, and does not know what is shown
//! ```
//! The client never learns the sequence: a recording cannot answer what nobody could know, and a client that is in
//! order has nothing to decide. What is judged, and how, is in [`judge`] and [`turn`].

mod fit;
pub mod judge;
mod relief;
mod shade;
pub mod turn;

pub use self::shade::{Shade, Strength, is_light, linear};

use minicbor::{Decode, Encode};
use sha2::{Digest as _, Sha256};

use crate::limits::LIGHT_SAMPLES_MAX;
use crate::message::Bounded;

const STEP_COUNT: u32 = 5;
/// Steps of one sequence.
pub const STEPS: usize = STEP_COUNT as usize;
/// How long each is shown. Three changes take more than a second, so light never flashes faster than WCAG 2.3.1 allows.
pub const STEP_MS: u32 = 350;
/// Before the first step the cover stays as it is: what changes then is noise.
pub const QUIET_MS: u32 = 450;
/// How long after the last step the camera may still show it.
pub const TAIL_MS: u32 = 900;
/// How long the client measures light.
pub const MEASURE_MS: u32 = QUIET_MS + STEP_COUNT * STEP_MS + TAIL_MS;
/// The longest measurement that a client takes part in.
pub const MEASURE_MAX_MS: u32 = 15_000;

const _: () = assert!(3 * STEP_MS > 1_000);
const _: () = assert!(STEP_COUNT * STEP_MS <= 2_000);
const _: () = assert!(MEASURE_MS <= MEASURE_MAX_MS);

/// Places that the client measures: forehead, nose, the subject's right and left cheek, chin; what is beside the head
/// on the subject's right and left; what is far from it.
pub const PLACES: usize = 8;
/// The first of them that are on the face.
pub const FACE_PLACES: usize = 5;
/// The two places beside the head.
pub const BESIDE: [usize; 2] = [5, 6];
/// The place far from everybody.
pub const FAR: usize = 7;
/// Stands for a place that is not in the picture.
pub const ABSENT: i16 = i16::MIN;
/// Thousandths of a natural logarithm; beyond it there is nothing to measure.
pub const LOG_MILLI_MAX: i16 = 4_000;
/// Tenths of a degree.
pub const YAW_MAX: i16 = 900;

/// Bits of `Open::measures`.
pub const MEASURES_LIGHT: u8 = 1;
pub const MEASURES_TURN: u8 = 2;

/// The steps of one check, chosen by a nonce of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sequence {
    steps: [Shade; STEPS],
    strength: Strength,
}

impl Sequence {
    /// Every sequence that can be chosen. Neighbours differ; the first step lights, and light, dark and a hue are
    /// all among them, so that no sequence is a weak question.
    pub fn all() -> Vec<Sequence> {
        let count = Shade::ALL.len().pow(STEP_COUNT);
        (0..count).filter_map(Self::of_number).collect()
    }

    fn of_number(mut number: usize) -> Option<Sequence> {
        let mut steps = [Shade::Off; STEPS];
        for step in &mut steps {
            *step = *Shade::ALL.get(number % Shade::ALL.len())?;
            number /= Shade::ALL.len();
        }
        let has = |wanted: &[Shade]| steps.iter().any(|step| wanted.contains(step));
        let changes = steps.windows(2).all(|pair| pair.first() != pair.last());
        let lights_first = steps.first() != Some(&Shade::Off);
        let strong = has(&[Shade::Off]) && has(&[Shade::White]) && has(&[Shade::Warm, Shade::Cool]);
        (changes && lights_first && strong).then_some(Sequence { steps, strength: Strength::Full })
    }

    /// All sequences are equally likely for a random nonce.
    pub fn from_nonce(nonce: [u8; 32]) -> Sequence {
        let all = Self::all();
        let chosen = index(b"sudare/v1 light", &nonce, all.len());
        let fallback = [Shade::White, Shade::Off, Shade::Warm, Shade::Dim, Shade::Cool];
        all.get(chosen).copied().unwrap_or(Sequence { steps: fallback, strength: Strength::Full })
    }

    /// The same steps, as strong as this.
    #[must_use]
    pub fn at(self, strength: Strength) -> Sequence {
        Sequence { strength, ..self }
    }

    pub fn steps(&self) -> [Shade; STEPS] {
        self.steps
    }

    /// The colour of each step.
    pub fn colors(&self) -> [[u8; 3]; STEPS] {
        self.steps.map(|shade| shade.rgb(self.strength))
    }

    /// The light of each step, in units of a white screen of this strength.
    pub fn lights(&self) -> [[f64; 3]; STEPS] {
        self.steps.map(|shade| shade.light(self.strength))
    }
}

/// A number below `count` that the nonce chooses. The bias of the remainder is far below one in a billion.
fn index(context: &[u8], nonce: &[u8; 32], count: usize) -> usize {
    let hash = Sha256::new().chain_update(context).chain_update(nonce).finalize();
    let number = hash.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    usize::try_from(number % (count.max(1) as u64)).unwrap_or(0)
}

/// What a check asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    Light,
    Turn,
}

impl Check {
    pub fn number(self) -> u8 {
        match self {
            Check::Light => 0,
            Check::Turn => 1,
        }
    }

    /// `None` for a number of a later version.
    pub fn from_number(number: u8) -> Option<Self> {
        [Check::Light, Check::Turn].into_iter().find(|check| check.number() == number)
    }

    /// Values in each sample.
    fn values(self) -> usize {
        match self {
            Check::Light => PLACES * 3,
            Check::Turn => 1,
        }
    }

    fn value_max(self) -> i16 {
        match self {
            Check::Light => LOG_MILLI_MAX,
            Check::Turn => YAW_MAX,
        }
    }
}

/// Asks the client to measure from now on, and to answer with LIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Light {
    #[n(0)]
    pub id: u64,
    /// A number of [`Check`].
    #[n(1)]
    pub check: u8,
    #[n(2)]
    pub duration_ms: u32,
}

/// What the client measured.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Lit {
    /// That of the LIGHT.
    #[n(0)]
    pub id: u64,
    /// A number of [`Check`].
    #[n(1)]
    pub check: u8,
    /// Share of the face's pixels that were as bright as the camera can tell, at worst.
    #[n(2)]
    pub clipped_permille: u16,
    /// How bright what is far looked before the first step, of what the camera can tell.
    #[n(3)]
    pub far_permille: u16,
    /// In the order of time.
    #[n(4)]
    pub samples: Vec<Sample>,
}

/// One look, or the mean of a few.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Sample {
    /// Since the client heard of the check.
    #[n(0)]
    pub t_ms: u32,
    /// Light: for each place red, green and blue, in thousandths of the natural logarithm of the brightness against
    /// that before the first step. Turn: the yaw in tenths of a degree.
    #[n(1)]
    pub values: Vec<i16>,
}

impl Bounded for Light {}
impl Bounded for Lit {
    fn in_bounds(&self) -> bool {
        // Of a later version's check nothing is known but its length.
        let check = Check::from_number(self.check);
        let fits = |sample: &Sample| {
            sample.t_ms <= MEASURE_MAX_MS
                && sample.values.len() <= PLACES * 3
                && check.is_none_or(|check| sample.fits(check))
        };
        let in_order = self.samples.windows(2).all(|pair| match pair {
            [before, after] => before.t_ms < after.t_ms,
            _ => false,
        });
        self.samples.len() <= LIGHT_SAMPLES_MAX
            && in_order
            && self.clipped_permille <= 1_000
            && self.far_permille <= 1_000
            && self.samples.iter().all(fits)
    }
}

impl Sample {
    fn fits(&self, check: Check) -> bool {
        let bounded =
            |value: &i16| *value == ABSENT || value.unsigned_abs() <= check.value_max().unsigned_abs();
        self.values.len() == check.values() && self.values.iter().all(bounded)
    }
}

/// When the host's cover really showed each step, since LIGHT was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeline {
    pub starts_ms: [u32; STEPS],
    pub end_ms: u32,
}

impl Timeline {
    /// As planned: what a host without a late tick shows.
    pub fn planned() -> Self {
        let mut starts_ms = [0; STEPS];
        for (start_ms, step) in starts_ms.iter_mut().zip(0..) {
            *start_ms = step_at_ms(step);
        }
        Timeline { starts_ms, end_ms: step_at_ms(STEP_COUNT) }
    }
}

/// When a step is due.
pub fn step_at_ms(step: u32) -> u32 {
    QUIET_MS.saturating_add(step.saturating_mul(STEP_MS))
}

#[cfg(test)]
mod tests;
