//! Which looks make a template: of one person only, and as varied as they come. Pure.
//!
//! * **One person.** Looks of one person form a chain: from one to the next, a head turns little. Looks of different
//!   people reach 0.57 at most, so what hangs together by [`LINK_MIN`] is one person, however far its ends are apart.
//! * **Varied.** From the most typical look on, always the one that is least like those chosen (farthest point, Gonzalez
//!   1985), until the template is full or nothing new is left.

use std::collections::VecDeque;

use sudare_protocol::limits::VECTORS_MAX;

use super::embedding::Embedding;

/// With fewer looks, another pose or another light is soon nobody's.
pub const LOOKS_MIN: usize = 5;
/// Pictures that are more alike than this are the same picture.
pub const ALIKE: f32 = 0.98;
/// Looks of a clip that are more alike than this are the same look: of a photograph that is held to the camera no two
/// differ more, while a living face does so from one quarter of a second to the next.
pub const ALIKE_IN_CLIP: f32 = 0.94;
/// Neighbours in the chain of one person's looks.
const LINK_MIN: f32 = 0.60;
/// So many looks that do not belong are another person, and not a look that went wrong.
const OTHERS_MIN: usize = 3;

/// The looks of the person who was seen most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Numbers of these looks.
    pub looks: Vec<usize>,
    /// How many others there are.
    pub others: usize,
}

impl Person {
    /// The largest chain among the looks; of equal ones the first.
    #[must_use]
    pub fn among(looks: &[&Embedding]) -> Self {
        let mut chain_of: Vec<Option<usize>> = vec![None; looks.len()];
        let mut chains: Vec<Vec<usize>> = Vec::new();
        for start in 0..looks.len() {
            if chain_of.get(start).copied().flatten().is_some() {
                continue;
            }
            let number = chains.len();
            let (mut chain, mut next) = (Vec::new(), VecDeque::from([start]));
            while let Some(at) = next.pop_front() {
                let Some((slot @ None, look)) = chain_of.get_mut(at).zip(looks.get(at)) else { continue };
                *slot = Some(number);
                chain.push(at);
                let near = looks.iter().enumerate().filter(|(_, other)| look.cosine(other) >= LINK_MIN);
                next.extend(near.map(|(i, _)| i).filter(|i| chain_of.get(*i) == Some(&None)));
            }
            chain.sort_unstable();
            chains.push(chain);
        }
        let largest = chains.into_iter().rev().max_by_key(Vec::len).unwrap_or_default();
        let others = looks.len() - largest.len();
        Person { looks: largest, others }
    }

    /// Whether the others are more than looks that went wrong.
    #[must_use]
    pub const fn is_mixed(&self) -> bool {
        self.others >= OTHERS_MIN
    }
}

/// Numbers of the most varied looks, at most as many as a template holds; no two are more alike than `alike`.
#[must_use]
pub fn varied(looks: &[&Embedding], alike: f32) -> Vec<usize> {
    let mut kept: Vec<usize> = most_typical(looks).into_iter().collect();
    while kept.len() < VECTORS_MAX {
        let candidates = (0..looks.len()).filter(|i| !kept.contains(i));
        let farthest = candidates
            .map(|i| (i, nearest(looks, i, &kept)))
            // Written so that a value that is no number is never chosen.
            .filter(|(_, nearest)| *nearest <= alike)
            .min_by(|a, b| a.1.total_cmp(&b.1));
        let Some((look, _)) = farthest else { break };
        kept.push(look);
    }
    kept
}

/// How alike the looks of a template are, in thousandths: the mean of each one's cosine with the nearest other.
#[must_use]
pub fn self_cosine(looks: &[&Embedding]) -> Option<u16> {
    if looks.len() < 2 {
        return None;
    }
    let all: Vec<usize> = (0..looks.len()).collect();
    let sum: f32 = all
        .iter()
        .map(|i| nearest(looks, *i, &all.iter().copied().filter(|j| j != i).collect::<Vec<_>>()))
        .sum();
    #[allow(clippy::cast_precision_loss, reason = "a few looks")]
    let mean = sum / looks.len() as f32;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 0 to 1000")]
    let thousandths = (mean.clamp(0.0, 1.0) * 1000.0).round() as u16;
    mean.is_finite().then_some(thousandths)
}

/// The one that is most like all.
fn most_typical(looks: &[&Embedding]) -> Option<usize> {
    let likeness = |look: &Embedding| looks.iter().map(|other| look.cosine(other)).sum::<f32>();
    let finite = looks.iter().enumerate().map(|(i, look)| (i, likeness(look))).filter(|(_, l)| l.is_finite());
    finite.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(i, _)| i)
}

/// The cosine of a look with the most alike of others.
fn nearest(looks: &[&Embedding], look: usize, others: &[usize]) -> f32 {
    let Some(look) = looks.get(look) else { return f32::NAN };
    let cosines = others.iter().filter_map(|i| looks.get(*i)).map(|other| look.cosine(other));
    cosines.fold(-1.0, f32::max)
}

#[cfg(test)]
mod tests {
    use sudare_protocol::limits::VECTOR_DIM;

    use super::*;

    /// A look of a person, turned away from the middle by so many degrees of the vector's direction.
    fn look(person: usize, degrees: f32) -> Embedding {
        let mut values = [0.0; VECTOR_DIM];
        let (sin, cos) = degrees.to_radians().sin_cos();
        (values[person * 2], values[person * 2 + 1]) = (cos, sin);
        Embedding::from_values(&values).unwrap()
    }

    fn looks(all: &[(usize, f32)]) -> Vec<Embedding> {
        all.iter().map(|(person, degrees)| look(*person, *degrees)).collect()
    }

    #[test]
    fn a_person_hangs_together_and_another_one_does_not() {
        // From one end to the other 100 degrees: less alike than strangers, but each step is small.
        let turning: Vec<(usize, f32)> = (0..11_u16).map(|i| (0, f32::from(i) * 10.0)).collect();
        let among = |all: &[(usize, f32)]| Person::among(&looks(all).iter().collect::<Vec<_>>());
        let alone = among(&turning);
        assert_eq!((alone.looks.len(), alone.others, alone.is_mixed()), (11, 0, false));
        let with = |others: usize| {
            let mut all = turning.clone();
            (0..others).for_each(|i| all.insert(i * 3, (7, 1.0)));
            among(&all)
        };
        assert_eq!((with(2).others, with(2).is_mixed()), (2, false));
        assert_eq!((with(3).others, with(3).is_mixed()), (3, true));
        assert!(!with(3).looks.contains(&0), "the first look was the other person's");
        let halves = [vec![(1, 0.0); 5], vec![(2, 0.0); 5]].concat();
        assert_eq!(among(&halves).looks, [0, 1, 2, 3, 4]);
        assert_eq!(Person::among(&[]), Person { looks: Vec::new(), others: 0 });
    }

    #[test]
    fn varied_looks_are_kept_and_the_same_look_only_once() {
        let many: Vec<(usize, f32)> = (0..40_u16).map(|i| (0, f32::from(i))).collect();
        let all = looks(&many);
        let kept = varied(&all.iter().collect::<Vec<_>>(), ALIKE);
        assert!(kept.contains(&0) && kept.contains(&39), "both ends: {kept:?}");
        for (n, i) in kept.iter().enumerate() {
            for j in &kept[..n] {
                assert!(all[*i].cosine(&all[*j]) <= ALIKE, "{i} and {j}");
            }
        }
        let still = looks(&[(0, 0.0); 30]);
        assert_eq!(varied(&still.iter().collect::<Vec<_>>(), ALIKE).len(), 1);
        let wide = looks(&(0..30_u16).map(|i| (0, f32::from(i) * 12.0)).collect::<Vec<_>>());
        assert_eq!(varied(&wide.iter().collect::<Vec<_>>(), ALIKE).len(), VECTORS_MAX);
        assert!(varied(&[], ALIKE).is_empty());
        // With a wider step fewer are left.
        assert_eq!(varied(&all.iter().collect::<Vec<_>>(), ALIKE_IN_CLIP).len(), 2);
    }

    #[test]
    fn a_template_knows_how_alike_its_looks_are() {
        let of = |all: &[(usize, f32)]| self_cosine(&looks(all).iter().collect::<Vec<_>>());
        assert_eq!(of(&[(0, 0.0)]), None);
        assert_eq!(of(&[(0, 0.0), (0, 60.0)]), Some(500));
        assert_eq!(of(&[(0, 0.0), (0, 60.0), (0, 60.0)]), Some((500 + 1000 + 1000) / 3));
        assert_eq!(of(&[(0, 0.0), (0, 180.0)]), Some(0));
    }
}
