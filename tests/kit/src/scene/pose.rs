//! How somebody at a desk keeps moving: a head that swings, eyelids, a mouth, breath. Only time goes in, so that each
//! run shows the same.

use std::f32::consts::TAU;

/// Somebody at one moment. Lengths are pixels of the frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pose {
    /// Sway of the whole person.
    pub(super) shift: [f32; 2],
    /// How far the head is turned aside and bent, in radians.
    pub(super) turn: [f32; 2],
    /// How far the lids are closed, 0 to 1.
    pub(super) lids: f32,
    /// How far the jaw is lowered.
    pub(super) jaw: f32,
    /// How far the shoulders are lifted.
    pub(super) breath: f32,
}

impl Pose {
    /// As the photograph was taken.
    pub(super) const STILL: Pose = Pose { shift: [0.0; 2], turn: [0.0; 2], lids: 0.0, jaw: 0.0, breath: 0.0 };

    /// A person so many seconds after the scene began. Different numbers move differently.
    pub(super) fn at(seconds: f32, number: u8) -> Pose {
        // No two of these periods are multiples of each other, so that nothing ever repeats.
        let wave = |period_s: f32| (seconds / period_s * TAU + f32::from(number) * 2.1).sin();
        // Now and then something is said: for a few seconds the mouth moves, and then it rests.
        let speaks = (wave(11.3) - 0.2).max(0.0);
        Pose {
            shift: [2.0 * wave(9.1) + 0.3 * wave(2.3), 1.2 * wave(5.7) + 0.2 * wave(1.9)],
            turn: [0.05 * wave(9.7) + 0.01 * wave(2.9), 0.03 * wave(8.1) + 0.006 * wave(2.7)],
            lids: lids(seconds, number),
            jaw: 0.3 * wave(4.1) + 1.2 * speaks * wave(0.43),
            breath: wave(3.7),
        }
    }
}

/// A blink in each of these, at another time in each.
const BLINKS_EACH_S: f32 = 3.3;
/// Lids are on their way for so long, down and up again,
const LIDS_MOVE_S: f32 = 0.10;
/// and closed for at least one picture.
const LIDS_CLOSED_S: f32 = 0.12;

fn lids(seconds: f32, number: u8) -> f32 {
    let since_s = seconds + f32::from(number) * 1.3;
    let (which, inside_s) = ((since_s / BLINKS_EACH_S).floor(), since_s.rem_euclid(BLINKS_EACH_S));
    let begins_s = 0.4 + (which * 0.618_034).fract() * (BLINKS_EACH_S - 1.2);
    let middle_s = begins_s + LIDS_MOVE_S + LIDS_CLOSED_S / 2.0;
    let open = ((inside_s - middle_s).abs() - LIDS_CLOSED_S / 2.0) / LIDS_MOVE_S;
    1.0 - open.clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten pictures a second for a minute.
    fn minute(number: u8) -> Vec<Pose> {
        (0..600_u16).map(|n| Pose::at(f32::from(n) / 10.0, number)).collect()
    }

    #[test]
    fn eyes_close_for_a_moment_some_fifteen_times_a_minute() {
        for number in 0..3 {
            let lids: Vec<f32> = minute(number).iter().map(|pose| pose.lids).collect();
            let blinks = lids.windows(2).filter(|pair| pair[0] < 0.5 && pair[1] >= 0.5).count();
            assert!((14..=20).contains(&blinks), "{blinks}");
            let closed = lids.iter().filter(|lids| **lids >= 0.99).count();
            assert!(closed >= blinks - 1 && closed < 60, "{closed} pictures with closed eyes");
        }
    }

    #[test]
    fn a_head_swings_by_degrees_and_never_far() {
        let yaws: Vec<f32> = minute(0).iter().map(|pose| pose.turn[0].to_degrees()).collect();
        let most = yaws.iter().fold(0.0_f32, |most, yaw| most.max(yaw.abs()));
        assert!((2.0..10.0).contains(&most), "{most} degrees");
        let fastest = yaws.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0_f32, f32::max);
        assert!(fastest < 1.5, "{fastest} degrees in a tenth of a second");
    }

    #[test]
    fn no_two_poses_are_the_same_and_two_people_are_not_in_step() {
        let poses = minute(0);
        for (n, pose) in poses.iter().enumerate() {
            assert!(!poses[n + 1..].contains(pose), "picture {n} comes again");
        }
        assert!(minute(1).iter().zip(&poses).all(|(one, other)| one != other));
    }
}
