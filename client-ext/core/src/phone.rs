//! When to look for phones, and when there is one. Pure.
//!
//! | a look is due | when |
//! |---|---|
//! | each 3 s | nothing moves |
//! | each second | something does |
//! | at once, then each 250 ms for a second | a face vanished while something moves where it was; something is raised before somebody |
//! | each 250 ms | a look saw one, and the next ones must tell |
//! | each 500 ms | a phone is in view |
//!
//! Looks see the whole picture; where a far face is or vanished, each second one sees a quarter of it enlarged, because a
//! phone at 2 m is too small in the whole.
//!
//! Two of three looks make a phone. It stays in view until it was not seen for [`HOLD_MS`], because a hand that turns
//! hides it for a moment. Whoever raises it hides their own face: while such a face is not back, the phone is believed
//! to be there for [`BEHIND_MS`], so that the desktop does not come back for somebody who seems to have left.

use crate::evidence::Area;

/// A phone in a picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Phone {
    pub area: Area,
    /// 0 to 1.
    pub score: f32,
}

/// What is known about phones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PhoneView {
    /// Nobody looks: there is no model, it failed, or there is no picture.
    #[default]
    Unknown,
    Clear,
    /// One look saw something, which is not enough.
    Maybe,
    InView,
}

impl PhoneView {
    /// As the protocol has it: whether a phone is in view, or absent.
    #[must_use]
    pub const fn attested(self) -> Option<bool> {
        match self {
            PhoneView::Unknown => None,
            PhoneView::Clear | PhoneView::Maybe => Some(false),
            PhoneView::InView => Some(true),
        }
    }
}

/// One look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// At this part of the picture; `None` is all of it.
    pub part: Option<Area>,
}

/// What one picture shows apart from phones.
pub struct Surroundings<'a> {
    pub t_ms: u64,
    /// Width and height.
    pub size: [f32; 2],
    /// Faces in view.
    pub seen: &'a [Area],
    /// Faces that were in view a moment ago, at their last places.
    pub missed: &'a [Area],
    /// The share of a part of the picture that changed since the picture before.
    pub changed: &'a dyn Fn(&Area) -> f32,
}

impl std::fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Surroundings({} ms, {} faces, {} missed)", self.t_ms, self.seen.len(), self.missed.len())
    }
}

const IDLE_MS: u64 = 3_000;
const EACH_MS: u64 = 1_000;
const STEADY_MS: u64 = 500;
const QUICK_MS: u64 = 250;
/// A camera's time stamps are this uneven.
const JITTER_MS: u64 = 20;
/// How long a cue asks for quick looks.
const ALERT_MS: u64 = 1_000;
/// Movement before the seat is a raised hand if there was none for this long.
const CALM_MS: u64 = 1_000;
/// Something moves there if this share of it changed.
const STIRRED_SHARE: f32 = 0.15;
/// Looks that are compared, how many must agree, and how old they may be.
const LOOKS: usize = 3;
const AGREE: usize = 2;
const STALE_MS: u64 = 4_000;
/// A phone that is not seen any more is believed to be there for this long,
const HOLD_MS: u64 = 2_000;
/// and for this long while it may hide somebody's face.
const BEHIND_MS: u64 = 10_000;
/// Its longer side, over the width of the picture: 2.7 m away, as far as a face is near enough to read along.
const NEAR_SHARE: f32 = 0.04;
/// A face is behind a phone that covers this share of the smaller of the two boxes.
const BEHIND_SHARE: f32 = 0.15;
const PLACES_MAX: usize = 8;
/// Whoever has a face of this width (of the picture's) holds a phone that is better seen enlarged: beyond 0.9 m.
const FAR_SHARE: f32 = 0.12;

/// Remembers when it looked, and what was seen.
#[derive(Debug, Default)]
pub struct PhoneWatch {
    /// The model works: its newest answer was one.
    works: bool,
    begun_ms: Option<u64>,
    /// Something moved since then.
    moved: bool,
    stirred_ms: Option<u64>,
    alert_until_ms: u64,
    /// A face that vanished, or before which something is raised, and whether the next look is at that part.
    place: Option<Area>,
    enlarge: bool,
    looks: Vec<(u64, bool)>,
    seen_ms: u64,
    in_view: bool,
    places: Vec<Area>,
    /// Faces that vanished behind a phone.
    behind: Vec<Area>,
}

impl PhoneWatch {
    /// Notes what a picture shows, and gives the look that is due; from then on it counts as begun.
    pub fn due(&mut self, now: &Surroundings<'_>) -> Option<Look> {
        self.settle(now);
        let [width, height] = now.size;
        self.moved |= (now.changed)(&[0.0, 0.0, width, height]) > 0.0;
        let moves = |place: &Area| (now.changed)(place) >= STIRRED_SHARE;
        let vanished = now.missed.iter().find(|face| moves(face)).copied();
        let raised = now.seen.iter().find(|face| moves(&before(face))).copied();
        let was_calm = self.stirred_ms.is_none_or(|at| now.t_ms.saturating_sub(at) >= CALM_MS);
        if raised.is_some() {
            self.stirred_ms = Some(now.t_ms);
        }
        if vanished.is_some() || (raised.is_some() && was_calm) {
            self.alert_until_ms = now.t_ms.saturating_add(ALERT_MS);
        }
        self.place = vanished.or(raised).or(self.place);
        let unsure = !self.in_view && self.looks.iter().any(|(_, saw)| *saw);
        let each_ms = if unsure || now.t_ms < self.alert_until_ms {
            QUICK_MS
        } else if self.in_view {
            STEADY_MS
        } else if self.moved {
            EACH_MS
        } else {
            IDLE_MS
        };
        if self.begun_ms.is_some_and(|at| now.t_ms.saturating_sub(at) + JITTER_MS < each_ms) {
            return None;
        }
        if each_ms >= EACH_MS {
            self.place = None;
        }
        (self.begun_ms, self.moved, self.enlarge) = (Some(now.t_ms), false, !self.enlarge);
        let is_far = |face: &Area| face[2] < FAR_SHARE * width;
        let place = self.place.filter(is_far).or_else(|| now.seen.iter().copied().find(is_far));
        Some(Look { part: place.filter(|_| self.enlarge).map(|face| around(&face, now.size)) })
    }

    /// What a look found.
    pub fn looked(&mut self, now: &Surroundings<'_>, found: &[Phone]) {
        self.works = true;
        let near = |phone: &&Phone| {
            let [x, y, w, h] = phone.area;
            [x, y, w, h].iter().all(|v| v.is_finite()) && w.max(h) >= NEAR_SHARE * now.size[0]
        };
        let places: Vec<Area> = found.iter().filter(near).map(|phone| phone.area).take(PLACES_MAX).collect();
        self.looks.retain(|(at, _)| now.t_ms.saturating_sub(*at) < STALE_MS);
        if self.looks.len() >= LOOKS {
            self.looks.remove(0);
        }
        self.looks.push((now.t_ms, !places.is_empty()));
        if places.is_empty() {
            return;
        }
        (self.seen_ms, self.places) = (now.t_ms, places);
        self.in_view |= self.looks.iter().filter(|(_, saw)| *saw).count() >= AGREE;
        let hides = |face: &&Area| self.places.iter().any(|place| covers(place, face));
        let hidden: Vec<Area> = now.missed.iter().filter(hides).copied().collect();
        for face in hidden {
            if self.behind.len() < PLACES_MAX && !self.behind.contains(&face) {
                self.behind.push(face);
            }
        }
    }

    /// A look came to nothing: the model does not work.
    pub fn failed(&mut self) {
        self.works = false;
    }

    /// What the looks come to.
    #[must_use]
    pub fn view(&self) -> PhoneView {
        if self.in_view {
            PhoneView::InView
        } else if !self.works {
            PhoneView::Unknown
        } else if self.looks.iter().any(|(_, saw)| *saw) {
            PhoneView::Maybe
        } else {
            PhoneView::Clear
        }
    }

    /// Where phones were last seen, while any may be in view.
    #[must_use]
    pub fn places(&self) -> &[Area] {
        &self.places
    }

    /// Forgets a phone that is gone, and faces that are back.
    fn settle(&mut self, now: &Surroundings<'_>) {
        self.behind.retain(|face| !now.seen.iter().any(|seen| covers(seen, face)));
        self.looks.retain(|(at, _)| now.t_ms.saturating_sub(*at) < STALE_MS);
        let hold_ms = if self.behind.is_empty() { HOLD_MS } else { BEHIND_MS };
        if self.in_view && now.t_ms.saturating_sub(self.seen_ms) >= hold_ms {
            self.in_view = false;
            self.looks.retain(|(_, saw)| !saw);
        }
        if !self.in_view && self.looks.iter().all(|(_, saw)| !saw) {
            self.places.clear();
            self.behind.clear();
        }
    }
}

/// Where a hand with a phone comes up before somebody with this face: below the chin, shoulders wide.
fn before([x, y, w, h]: &Area) -> Area {
    [x - w, y + h, w * 3.0, h * 2.0]
}

/// A quarter of the picture, with the chin of this face in the middle as far as possible: a phone is held before the face
/// or below it.
fn around([x, y, w, h]: &Area, [width, height]: [f32; 2]) -> Area {
    let (part_w, part_h) = (width / 2.0, height / 2.0);
    let left = (x + w / 2.0 - part_w / 2.0).clamp(0.0, width - part_w);
    let top = (y + h - part_h / 2.0).clamp(0.0, height - part_h);
    [left, top, part_w, part_h]
}

/// Whether two boxes overlap by [`BEHIND_SHARE`] of the smaller one.
fn covers(a: &Area, b: &Area) -> bool {
    let overlap =
        |a0: f32, a_len: f32, b0: f32, b_len: f32| ((a0 + a_len).min(b0 + b_len) - a0.max(b0)).max(0.0);
    let both = overlap(a[0], a[2], b[0], b[2]) * overlap(a[1], a[3], b[1], b[3]);
    both > 0.0 && both >= BEHIND_SHARE * (a[2] * a[3]).min(b[2] * b[3])
}

#[cfg(test)]
mod tests;
