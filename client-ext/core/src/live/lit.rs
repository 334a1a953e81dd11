//! The series that answers a check of the host: how each place changed since before the first step, or which way the
//! head turned.

#![allow(clippy::cast_precision_loss, reason = "a few dozen looks")]

use sudare_protocol::light::{
    ABSENT, Check, FAR, LOG_MILLI_MAX, Light, Lit, MEASURE_MAX_MS, PLACES, QUIET_MS, Sample, YAW_MAX,
};
use sudare_protocol::limits::LIGHT_SAMPLES_MAX;

use super::patches::Patches;
use crate::presence::{FaceSeen, Observation, Who};

const VALUES: usize = PLACES * 3;
/// Added before the logarithm: half a step of an 8-bit picture, so that black has one.
const DARKEST: f32 = 0.5 / 255.0 / 12.92;
const PERMILLE: f32 = 1_000.0;

/// A check in progress.
#[derive(Debug)]
pub struct Measuring {
    id: u64,
    check: Check,
    duration_ms: u32,
    begun_ms: Option<u64>,
    bins: Vec<Bin>,
    clipped: f32,
}

/// Looks that fall into the same part of the time: at most as many parts as a series has samples.
#[derive(Debug, Clone)]
struct Bin {
    number: u32,
    t_sum_ms: u64,
    looks: u32,
    sums: [f32; VALUES],
    counts: [u32; VALUES],
    /// Light of what is far, without the logarithm.
    far: f32,
}

impl Measuring {
    /// `None` for a check of a later version: the host hears nothing, as from a client that knows none.
    #[must_use]
    pub fn new(light: &Light) -> Option<Self> {
        let check = Check::from_number(light.check)?;
        let duration_ms = light.duration_ms;
        let is_possible = (1..=MEASURE_MAX_MS).contains(&duration_ms);
        is_possible.then(|| Measuring {
            id: light.id,
            check,
            duration_ms,
            begun_ms: None,
            bins: Vec::new(),
            clipped: 0.0,
        })
    }

    /// A look at the seat. Time is the client's own, from the moment in which it first acts on the check.
    pub fn observe(&mut self, seen: &Observation, now_ms: u64) {
        let begun_ms = *self.begun_ms.get_or_insert(now_ms);
        let Some(t_ms) = seen.t_ms.checked_sub(begun_ms).and_then(|t_ms| u32::try_from(t_ms).ok()) else {
            // Taken before it began.
            return;
        };
        if t_ms >= self.duration_ms {
            return;
        }
        let values = match self.check {
            Check::Light => seen.light.as_ref().map(logarithms),
            Check::Turn => yaw(&seen.faces),
        };
        let Some(values) = values else { return };
        if let Some(light) = seen.light.as_ref().filter(|_| self.check == Check::Light) {
            self.clipped = self.clipped.max(light.clipped);
        }
        let far = seen.light.as_ref().and_then(|light| light.places.get(FAR).copied().flatten());
        self.bin(t_ms).add(t_ms, &values, far.map_or(0.0, |[_, green, _]| green));
    }

    /// The answer, once the time is over.
    pub fn tick(&mut self, now_ms: u64) -> Option<Lit> {
        let begun_ms = *self.begun_ms.get_or_insert(now_ms);
        (now_ms.saturating_sub(begun_ms) >= u64::from(self.duration_ms)).then(|| self.answer())
    }

    fn bin(&mut self, t_ms: u32) -> &mut Bin {
        let bins = u32::try_from(LIGHT_SAMPLES_MAX).unwrap_or(1);
        let number = t_ms / (self.duration_ms / bins + 1);
        let at = match self.bins.binary_search_by_key(&number, |bin| bin.number) {
            Ok(at) => at,
            Err(at) => {
                self.bins.insert(at, Bin::new(number));
                at
            }
        };
        &mut self.bins[at]
    }

    fn answer(&self) -> Lit {
        let quiet = self.bins.iter().take_while(|bin| bin.t_ms() < QUIET_MS).count().max(1);
        let quiet: Vec<&Bin> = self.bins.iter().take(quiet).collect();
        let mut reference = [None; VALUES];
        if self.check == Check::Light {
            for (index, value) in reference.iter_mut().enumerate() {
                let means: Vec<f32> = quiet.iter().filter_map(|bin| bin.mean(index)).collect();
                // A place that was hidden at first is measured against its own first look.
                let first = || self.bins.iter().find_map(|bin| bin.mean(index));
                *value = if means.is_empty() { first() } else { Some(mean(&means)) };
            }
        }
        let far: Vec<f32> = quiet.iter().map(|bin| bin.far / bin.looks.max(1) as f32).collect();
        Lit {
            id: self.id,
            check: self.check.number(),
            clipped_permille: whole(self.clipped * PERMILLE, 1_000),
            far_permille: whole(mean(&far) * PERMILLE, 1_000),
            samples: self.bins.iter().map(|bin| bin.sample(self.check, &reference)).collect(),
        }
    }
}

impl Bin {
    fn new(number: u32) -> Self {
        Bin { number, t_sum_ms: 0, looks: 0, sums: [0.0; VALUES], counts: [0; VALUES], far: 0.0 }
    }

    fn add(&mut self, t_ms: u32, values: &[Option<f32>; VALUES], far: f32) {
        self.t_sum_ms = self.t_sum_ms.saturating_add(t_ms.into());
        self.looks = self.looks.saturating_add(1);
        self.far += far;
        for ((sum, count), value) in self.sums.iter_mut().zip(&mut self.counts).zip(values) {
            if let Some(value) = value.filter(|value| value.is_finite()) {
                *sum += value;
                *count += 1;
            }
        }
    }

    fn t_ms(&self) -> u32 {
        u32::try_from(self.t_sum_ms / u64::from(self.looks.max(1))).unwrap_or(u32::MAX)
    }

    fn mean(&self, index: usize) -> Option<f32> {
        let (sum, count) = (self.sums.get(index)?, self.counts.get(index)?);
        (*count > 0).then(|| sum / *count as f32)
    }

    fn sample(&self, check: Check, reference: &[Option<f32>; VALUES]) -> Sample {
        let (values, scale, most) = match check {
            Check::Light => (VALUES, 1_000.0, LOG_MILLI_MAX),
            Check::Turn => (1, 10.0, YAW_MAX),
        };
        let value = |(index, reference): (usize, &Option<f32>)| {
            let change = self.mean(index).map(|mean| mean - reference.unwrap_or(0.0));
            change.map_or(ABSENT, |change| signed(change * scale, most))
        };
        Sample { t_ms: self.t_ms(), values: reference.iter().enumerate().take(values).map(value).collect() }
    }
}

fn logarithms(light: &Patches) -> [Option<f32>; VALUES] {
    let mut values = [None; VALUES];
    for (to, place) in values.chunks_exact_mut(3).zip(&light.places) {
        if let Some(colors) = place {
            to.iter_mut().zip(colors).for_each(|(to, color)| *to = Some((color + DARKEST).ln()));
        }
    }
    values
}

/// Of the operator; while the head is turned, of whoever is nearest.
fn yaw(faces: &[FaceSeen]) -> Option<[Option<f32>; VALUES]> {
    let nearest = || faces.iter().max_by(|a, b| a.width_share.total_cmp(&b.width_share));
    let face = faces.iter().find(|face| face.who == Who::Operator).or_else(nearest)?;
    let mut values = [None; VALUES];
    *values.first_mut()? = Some(face.yaw_deg);
    Some(values)
}

fn mean(values: &[f32]) -> f32 {
    values.iter().sum::<f32>() / values.len().max(1) as f32
}

#[allow(clippy::cast_possible_truncation, reason = "clamped; NaN becomes 0")]
fn signed(value: f32, most: i16) -> i16 {
    value.round().clamp(-f32::from(most), f32::from(most)) as i16
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped; NaN becomes 0")]
fn whole(value: f32, most: u16) -> u16 {
    value.round().clamp(0.0, f32::from(most)) as u16
}

#[cfg(test)]
mod tests;
