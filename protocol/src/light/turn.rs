//! The check without light: turn your head as the cover asks. For people whom changing light disturbs, and for rooms
//! that are too bright for it.
//!
//! A sheet of paper cannot turn its nose out of the line of its eyes. A film can show turns, but not in an order that
//! nobody could know.

use super::{ABSENT, Lit, index};

/// Turns of one check.
pub const TURNS: usize = 3;
/// The face looks at the screen for this long before each turn, then turns for this long.
pub const FRONT_MS: u32 = 1_200;
pub const TURN_MS: u32 = 2_000;
/// When the last turn is asked for: no answer can be older.
pub const LAST_TURN_MS: u32 = (FRONT_MS + TURN_MS) * 3 - TURN_MS;
/// How long the client measures.
pub const TURNS_MS: u32 = (FRONT_MS + TURN_MS) * 3 + REACTION_MS;
/// People start after they have read.
const REACTION_MS: u32 = 600;
/// Tenths of a degree: so far the head must turn to the side asked for, and no farther to the other.
const TURNED: i16 = 140;
const ASTRAY: i16 = 100;
/// So far it may still be turned when the next turn is asked for.
const FRONT: i16 = 110;
const SAMPLES_MIN: usize = 20;

const _: () = assert!(TURNS == 3 && TURNS_MS <= super::MEASURE_MAX_MS);

/// The side of the person who turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
}

/// Turns in the order of a nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turns([Side; TURNS]);

/// What the cover asks for at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pose {
    Front,
    Turned(Side),
}

impl Turns {
    pub fn from_nonce(nonce: [u8; 32]) -> Turns {
        let chosen = index(b"sudare/v1 turn", &nonce, 1 << TURNS);
        let side = |bit: usize| if (chosen >> bit) & 1 == 0 { Side::Left } else { Side::Right };
        Turns([side(0), side(1), side(2)])
    }

    pub fn sides(&self) -> [Side; TURNS] {
        self.0
    }

    /// What is asked for, this long after the check began; `None` when it is over.
    pub fn at(&self, since_ms: u32) -> Option<Pose> {
        let turn = usize::try_from(since_ms / (FRONT_MS + TURN_MS)).unwrap_or(usize::MAX);
        let side = *self.0.get(turn)?;
        let is_front = since_ms % (FRONT_MS + TURN_MS) < FRONT_MS;
        Some(if is_front { Pose::Front } else { Pose::Turned(side) })
    }
}

/// The result of a check by turning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Turned,
    DidNotTurn,
    /// The camera gave too little.
    NotMeasurable,
}

/// Judges a series of yaws; positive is towards the person's own left.
pub fn judge(turns: &Turns, lit: &Lit) -> Outcome {
    let yaws: Vec<(u32, i16)> = lit
        .samples
        .iter()
        .filter_map(|sample| Some((sample.t_ms, *sample.values.first()?)))
        .filter(|(_, yaw)| *yaw != ABSENT)
        .collect();
    let covers_all = yaws.first().is_some_and(|(t_ms, _)| *t_ms <= FRONT_MS)
        && yaws.last().is_some_and(|(t_ms, _)| *t_ms >= TURNS_MS - REACTION_MS - TURN_MS / 2);
    if yaws.len() < SAMPLES_MIN || !covers_all {
        return Outcome::NotMeasurable;
    }
    let followed = (0..).zip(turns.sides()).all(|(turn, side)| is_followed(turn, side, &yaws));
    if followed { Outcome::Turned } else { Outcome::DidNotTurn }
}

/// Front before it, then to the side and never to the other.
fn is_followed(turn: u32, side: Side, yaws: &[(u32, i16)]) -> bool {
    let asked_ms = turn * (FRONT_MS + TURN_MS) + FRONT_MS;
    let within = |from_ms: u32, to_ms: u32| {
        yaws.iter().filter(move |(t_ms, _)| (from_ms..to_ms).contains(t_ms)).map(move |(_, yaw)| match side {
            Side::Left => *yaw,
            Side::Right => yaw.saturating_neg(),
        })
    };
    let mut before = within(asked_ms.saturating_sub(FRONT_MS / 3), asked_ms + REACTION_MS / 3);
    let turning = || within(asked_ms + REACTION_MS / 3, asked_ms + TURN_MS + REACTION_MS);
    let front = before.any(|yaw| yaw.saturating_abs() <= FRONT);
    front && turning().any(|yaw| yaw >= TURNED) && turning().all(|yaw| yaw >= -ASTRAY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::light::Sample;
    use crate::limits::LIGHT_SAMPLES_MAX;

    /// Somebody who does what these turns ask for, after a moment.
    fn follow(turns: &Turns) -> Lit {
        let every = TURNS_MS / u32::try_from(LIGHT_SAMPLES_MAX).unwrap() + 1;
        let yaw = |t_ms: u32| match t_ms.checked_sub(450).and_then(|seen| turns.at(seen)) {
            Some(Pose::Turned(Side::Left)) => 230,
            Some(Pose::Turned(Side::Right)) => -210,
            _ => 20,
        };
        let samples =
            (0..TURNS_MS).step_by(every as usize).map(|t_ms| Sample { t_ms, values: vec![yaw(t_ms)] });
        Lit { id: 1, check: 1, clipped_permille: 0, far_permille: 0, samples: samples.collect() }
    }

    fn every() -> Vec<Turns> {
        let mut all: Vec<Turns> = Vec::new();
        for n in 0..=255 {
            let turns = Turns::from_nonce([n; 32]);
            if !all.contains(&turns) {
                all.push(turns);
            }
        }
        all
    }

    #[test]
    fn whoever_turns_as_asked_is_believed_and_only_then() {
        let all = every();
        assert_eq!(all.len(), 8);
        for asked in &all {
            for done in &all {
                let wanted = if asked == done { Outcome::Turned } else { Outcome::DidNotTurn };
                assert_eq!(judge(asked, &follow(done)), wanted, "{asked:?} {done:?}");
            }
        }
    }

    #[test]
    fn a_face_that_stays_or_is_not_seen_is_not_believed() {
        let turns = Turns::from_nonce([0; 32]);
        let mut still = follow(&turns);
        still.samples.iter_mut().for_each(|sample| sample.values = vec![15]);
        assert_eq!(judge(&turns, &still), Outcome::DidNotTurn);
        let mut gone = follow(&turns);
        gone.samples.iter_mut().for_each(|sample| sample.values = vec![ABSENT]);
        assert_eq!(judge(&turns, &gone), Outcome::NotMeasurable);
        let mut part = follow(&turns);
        part.samples.truncate(20);
        assert_eq!(judge(&turns, &part), Outcome::NotMeasurable);
        // Swings both ways all the time.
        let mut swing = follow(&turns);
        for (sample, n) in swing.samples.iter_mut().zip(0..) {
            sample.values = vec![if n % 2 == 0 { 250 } else { -250 }];
        }
        assert_eq!(judge(&turns, &swing), Outcome::DidNotTurn);
    }
}
