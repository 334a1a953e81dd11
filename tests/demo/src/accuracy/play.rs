//! Plays one scene to the real eyes and the real decision, picture after picture in media time, and the plain rule
//! beside them: cover while the detector sees more than one face in a picture of 640 pixels.

use std::collections::BTreeMap;
use std::rc::Rc;

use image::RgbImage;
use sudare_client_core::face::iou;
use sudare_client_core::presence::{Decision, Presence, Who};
use sudare_protocol::eyes::Recognition;
use sudare_protocol::reason::Reason;
use sudare_protocol::timings::Timings;
use sudare_vision::engine::Engine;
use sudare_vision::faces::Detector;
use sudare_vision::{Mode, Seen, Vision};

use super::enrolment::Enrolled;
use super::moment::{self, Moment};
use super::painter::{Painter, Placed, compose, filmed, room_of};
use super::people::{Person, WHOLE_PICTURE};
use super::raise::Raised;
use super::scene::{Class, SEAT_METRES, Scene, clothes};
use super::sprite::{Look, Medium, Wardrobe};
use super::surroundings::Surroundings;

const STEP_MS: u64 = 100;
/// The desktop shows for so long before a lens is covered: the eyes need a while to learn the room.
const LEARN_MS: u64 = 6_000;
/// The desktop must have opened by then; lock-out counts from here on.
pub(super) const OPENS_BY_MS: u64 = 3_000;
/// Nobody comes to a desktop that is still covered then.
const GIVE_UP_MS: u64 = 12_000;
/// Between two scenes, so that nothing of one is left in the other.
const BETWEEN_MS: u64 = 120_000;
/// An onlooker who is still not noticed so long after being in view is worth a picture. At 3 m a face takes in little
/// more than half of what it does nearer by.
const LATE_MS: u64 = 1_200;
const LATE_FAR_MS: u64 = 2_300;
/// And a covered lens.
const LENS_MS: u64 = 1_000;
/// A phone comes at any point of the rhythm in which the eyes look for phones, which is up to 3 s long.
const PHONE_STEPS: u64 = 30;
/// Of scenes without an onlooker, the plain rule sees every second picture.
const PLAIN_EVERY: u64 = 2;

/// What became of an onlooker.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Noticed {
    /// From the first picture in which all of the face is inside, until the cover.
    pub(super) delay_ms: Option<u64>,
    pub(super) plain_delay_ms: Option<u64>,
    /// Pictures with the whole face inside, and those of them in which the eyes saw it.
    pub(super) shown: u32,
    pub(super) seen: u32,
    /// The greatest yaw of the face, by the clip.
    pub(super) yaw_deg: f32,
}

/// What became of a scene.
#[derive(Debug)]
pub(super) struct Played {
    pub(super) scene: Scene,
    pub(super) opened_ms: Option<u64>,
    /// Of a scene with an onlooker whose desktop opened.
    pub(super) noticed: Option<Noticed>,
    /// Counted, and covered of it, by reason.
    pub(super) counted_ms: u64,
    pub(super) locked_ms: BTreeMap<&'static str, u64>,
    /// How often a desktop that showed was covered.
    pub(super) covers: u32,
    /// How long the desktop showed during the scene.
    pub(super) visible_ms: u64,
    /// From when the lens was covered until the desktop was, for that reason.
    pub(super) lens_ms: Option<u64>,
    /// Of a phone that was raised before a desktop that showed.
    pub(super) raised: Option<Raised>,
    /// Whoever sits there was called a stranger.
    pub(super) stranger: bool,
    /// Pictures that the plain rule saw and would have covered, and how often it began to.
    pub(super) plain: [u32; 3],
    pub(super) moment: Option<Moment>,
}

/// Plays the scenes of one operator.
pub(super) struct Stage<'a> {
    people: &'a [Person],
    operator: &'a Enrolled,
    vision: Option<Vision>,
    plain: Detector,
    painter: Painter,
    wardrobe: Wardrobe,
    room: (usize, RgbImage),
    surroundings: Surroundings,
    now_ms: u64,
}

impl std::fmt::Debug for Stage<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stage({} people, at {} ms)", self.people.len(), self.now_ms)
    }
}

/// A scene under way.
struct Run {
    presence: Presence,
    played: Played,
    /// When the onlooker comes, or the scene begins.
    act_ms: Option<u64>,
    inside_ms: Option<u64>,
    /// A phone has begun to come up.
    rises: bool,
    shows: bool,
    plain_covers: bool,
}

impl<'a> Stage<'a> {
    pub(super) fn new(people: &'a [Person], operator: &'a Enrolled) -> anyhow::Result<Self> {
        Ok(Stage {
            people,
            operator,
            vision: None,
            plain: Engine::detector_from_cache()?,
            painter: Painter::default(),
            wardrobe: Wardrobe::default(),
            room: (usize::MAX, RgbImage::new(1, 1)),
            surroundings: Surroundings::default(),
            now_ms: 0,
        })
    }

    pub(super) fn play(&mut self, scene: &Scene) -> anyhow::Result<Played> {
        self.enter(scene.seated)?;
        let mut vision = self.eyes(scene)?;
        let mut run = Run::new(scene);
        let start_ms = self.now_ms;
        for n in 0_u64.. {
            let t_ms = n * STEP_MS;
            let act_s = run.act_s(t_ms);
            if act_s.is_some_and(|seconds| seconds > scene.seconds) || (act_s.is_none() && t_ms > GIVE_UP_MS)
            {
                break;
            }
            let placed = self.placed(scene, t_ms, act_s)?;
            let mut composed = compose(self.behind(scene, t_ms)?, &placed);
            if let Some(cover) = scene.lens.filter(|_| act_s.is_some()) {
                cover.put_over(&mut composed, n);
            }
            let painted = self.painter.expose(composed, scene.light, n ^ scene.seed);
            let frame = filmed(&painted, start_ms + t_ms, n)?;
            let noticed = run.played.noticed.is_some_and(|noticed| noticed.delay_ms.is_some());
            if !noticed {
                let seen = vision.process(&frame);
                let decision = run.presence.observe(&seen.observed(start_ms + t_ms));
                tracing::debug!(class = scene.class.as_str(), t_ms, ?act_s, "{decision:?} {seen:?}");
                run.note(t_ms, act_s.is_some(), &placed, &seen, &decision);
                run.note_phone(act_s, &placed, &seen, &decision);
                run.keep_moment(t_ms, &painted, &placed, &seen, &decision);
            }
            if act_s.is_some() && scene.class.has_plain() && (scene.class.waits() || n % PLAIN_EVERY == 0) {
                let score_min = self.plain.score_min();
                let found = self.plain.watch(&frame, &WHOLE_PICTURE)?;
                run.note_plain(t_ms, found.iter().filter(|face| face.score >= score_min).count());
            }
            if run.is_over() {
                break;
            }
        }
        self.now_ms += BETWEEN_MS;
        self.vision = scene.class.has_onlooker().then_some(vision);
        Ok(run.played)
    }

    /// Fresh ones, which have learnt nothing of another room. Onlookers are gone before anything is learnt of them, so
    /// that eyes serve for several: making some costs half a second.
    fn eyes(&mut self, scene: &Scene) -> anyhow::Result<Vision> {
        match self.vision.take().filter(|_| scene.class.has_onlooker()) {
            Some(vision) => Ok(vision),
            None => {
                let (engine, known) = (Engine::from_cache()?, self.operator.known());
                Ok(Vision::new(engine, known, Recognition::Normal, Mode::Lockstep)?)
            }
        }
    }

    /// The room of whoever sits there.
    fn enter(&mut self, seated: usize) -> anyhow::Result<()> {
        let clip = self.people.get(seated).and_then(|person| person.pictures.first());
        if let (Some(picture), true) = (clip, self.room.0 != seated) {
            self.room = (seated, room_of(&picture.load()?));
            self.surroundings.clear();
        }
        Ok(())
    }

    /// What is behind everybody: with somebody in the seat the clip's own picture, since a head that is cut out looks like
    /// a print; with a picture in a hand only the room.
    fn behind(&mut self, scene: &Scene, t_ms: u64) -> anyhow::Result<&RgbImage> {
        let seated = self.people.get(scene.seated).filter(|_| scene.seat.medium == Medium::Person);
        let Some(person) = seated else { return Ok(&self.room.1) };
        let picture = person.later(seconds(t_ms));
        self.surroundings.of(person, picture, &Look::at(SEAT_METRES), &self.room.1)
    }

    /// Who is where; the seat comes first.
    fn placed(&mut self, scene: &Scene, t_ms: u64, act_s: Option<f64>) -> anyhow::Result<Vec<Placed>> {
        let seconds = seconds(t_ms);
        let later = |who: usize, look: &Look| {
            let seconds = if look.medium.moves() { seconds } else { 0.0 };
            self.people.get(who).map_or(0, |person| person.later(seconds))
        };
        let look = scene.seat.look(act_s.unwrap_or(0.0));
        let seated = later(scene.seated, &look);
        let mut wanted = vec![(scene.seated, seated, look, scene.seat.at(seconds), SEAT_METRES)];
        for other in act_s.iter().flat_map(|_| &scene.others) {
            let Some(stand) = act_s.and_then(|seconds| other.stand(seconds)) else { continue };
            let picture = later(other.who, &stand.look);
            wanted.push((other.who, picture, stand.look, stand.at, other.metres));
        }
        let placed = wanted.into_iter().map(|(who, picture, look, at, metres)| {
            let sprite = self.wardrobe.sprite(self.people, who, picture, look)?;
            let clothes = (look.medium == Medium::Person).then(|| clothes(who));
            Ok(Placed { sprite: Rc::clone(&sprite), at, metres, clothes, yaw_deg: sprite.yaw_deg })
        });
        let mut placed = placed.collect::<anyhow::Result<Vec<Placed>>>()?;
        let phone = scene
            .raise
            .zip(act_s)
            .and_then(|(raise, act_s)| raise.placed(act_s, placed.get(raise.holder())?));
        placed.extend(phone);
        Ok(placed)
    }
}

impl Run {
    fn new(scene: &Scene) -> Self {
        let played = Played {
            scene: scene.clone(),
            opened_ms: None,
            noticed: None,
            counted_ms: 0,
            locked_ms: BTreeMap::new(),
            covers: 0,
            visible_ms: 0,
            lens_ms: None,
            raised: None,
            stranger: false,
            plain: [0; 3],
            moment: None,
        };
        Run {
            presence: Presence::new(&Timings::default()),
            played,
            act_ms: (!scene.class.waits()).then_some(0),
            inside_ms: None,
            rises: false,
            shows: false,
            plain_covers: false,
        }
    }

    /// Seconds since the act began.
    fn act_s(&self, t_ms: u64) -> Option<f64> {
        self.act_ms.and_then(|from| t_ms.checked_sub(from)).map(seconds)
    }

    fn note(&mut self, t_ms: u64, acting: bool, placed: &[Placed], seen: &Seen, decision: &Decision) {
        let played = &mut self.played;
        let has_onlooker = played.scene.class.has_onlooker();
        if self.shows && decision.cover {
            played.covers += 1;
        }
        self.shows = !decision.cover;
        if self.shows && played.opened_ms.is_none() {
            played.opened_ms = Some(t_ms);
            if played.scene.class.waits() {
                // Not always at the same point of the eyes' own rhythm.
                let (wait_ms, steps) = match played.scene.class {
                    Class::Lens => (LEARN_MS, 5),
                    class if class.raises_phone() => (300, PHONE_STEPS),
                    _ => (300, 5),
                };
                self.act_ms = Some(t_ms + wait_ms + played.scene.seed % steps * STEP_MS);
                played.noticed = has_onlooker.then(Noticed::default);
            }
        }
        let at_seat = |area: &[f32; 4]| placed.first().is_some_and(|seat| iou(area, &seat.head()) > 0.3);
        let marks = seen.marks.as_deref().unwrap_or_default();
        played.stranger |= marks.iter().any(|mark| mark.who == Who::Stranger && at_seat(&mark.area));
        let acts = self.act_ms.is_some_and(|from_ms| t_ms >= from_ms);
        if acts && self.shows {
            played.visible_ms += STEP_MS;
        }
        if let (Class::Lens, Some(from_ms), true) = (played.scene.class, self.act_ms, acts && decision.cover)
            && decision.reason == Reason::CameraBlocked
        {
            played.lens_ms.get_or_insert(t_ms - from_ms);
        }
        if !played.scene.class.waits() && t_ms >= OPENS_BY_MS {
            played.counted_ms += STEP_MS;
            if decision.cover {
                *played.locked_ms.entry(decision.reason.as_str()).or_default() += STEP_MS;
            }
        }
        let onlooker = placed.get(1).filter(|onlooker| acting && has_onlooker && onlooker.is_inside());
        let (Some(onlooker), Some(noticed)) = (onlooker, played.noticed.as_mut()) else { return };
        let inside_ms = *self.inside_ms.get_or_insert(t_ms);
        let is_seen = marks.iter().any(|mark| mark.seen && iou(&mark.area, &onlooker.head()) > 0.3);
        noticed.shown += 1;
        noticed.seen += u32::from(is_seen);
        noticed.yaw_deg = noticed.yaw_deg.max(onlooker.yaw_deg.abs());
        if decision.cover {
            noticed.delay_ms = Some(t_ms - inside_ms);
        }
    }

    /// What becomes of a phone, from when it begins to come up.
    fn note_phone(&mut self, act_s: Option<f64>, placed: &[Placed], seen: &Seen, decision: &Decision) {
        let Some((raise, act_s)) = self.played.scene.raise.zip(act_s) else { return };
        if act_s < raise.from_s {
            return;
        }
        // A desktop that is covered already says nothing about it.
        if !std::mem::replace(&mut self.rises, true) {
            self.played.raised = (!decision.cover).then(Raised::default);
        }
        let at_seat = |area: &[f32; 4]| placed.first().is_some_and(|seat| iou(area, &seat.head()) > 0.3);
        let sees_face = seen.marks.iter().flatten().any(|mark| mark.seen && at_seat(&mark.area));
        let cover = decision.cover.then_some(decision.reason);
        if let Some(raised) = &mut self.played.raised {
            raised.note(raise.held_ms(act_s), cover, sees_face, STEP_MS);
        }
    }

    fn note_plain(&mut self, t_ms: u64, faces: usize) {
        let covers = faces > 1;
        let [pictures, covered, begun] = &mut self.played.plain;
        *pictures += 1;
        *covered += u32::from(covers);
        *begun += u32::from(covers && !self.plain_covers);
        self.plain_covers = covers;
        if let (Some(noticed), Some(inside_ms), true) = (self.played.noticed.as_mut(), self.inside_ms, covers)
        {
            noticed.plain_delay_ms.get_or_insert(t_ms - inside_ms);
        }
    }

    /// A picture of what went wrong.
    fn keep_moment(
        &mut self,
        t_ms: u64,
        painted: &RgbImage,
        placed: &[Placed],
        seen: &Seen,
        decision: &Decision,
    ) {
        let last_s = self.act_s(t_ms + STEP_MS);
        let played = &mut self.played;
        let ends = last_s.is_some_and(|seconds| seconds > played.scene.seconds);
        let never_opened = played.opened_ms.is_none() && t_ms == GIVE_UP_MS;
        let late_ms = if played.scene.class == Class::Onlooker3m { LATE_FAR_MS } else { LATE_MS };
        let late = self.inside_ms.is_some_and(|inside_ms| t_ms >= inside_ms + late_ms) && !decision.cover;
        let wrong = match played.scene.class {
            class if class.has_onlooker() => late || never_opened,
            Class::Stranger | Class::Print | Class::Film => played.opened_ms.is_some(),
            class if class.raises_phone() => {
                never_opened || (ends && played.raised.is_some_and(|raised| raised.is_wrong(class)))
            }
            Class::Lens => {
                self.act_ms.is_some_and(|from_ms| t_ms > from_ms + LENS_MS) && played.lens_ms.is_none()
            }
            _ => played.covers > 0 || played.stranger || (played.opened_ms.is_none() && t_ms >= OPENS_BY_MS),
        };
        if wrong && played.moment.is_none() {
            played.moment = Some(moment::draw(painted, placed, seen));
        }
    }

    /// Both have noticed the onlooker, or a stranger has opened.
    fn is_over(&self) -> bool {
        let noticed = self.played.noticed.is_some_and(|n| n.delay_ms.is_some() && n.plain_delay_ms.is_some());
        noticed
            || self.played.lens_ms.is_some()
            || (self.played.scene.class == Class::Phone
                && self.played.raised.is_some_and(|raised| raised.noticed_ms.is_some()))
            || (self.played.scene.class == Class::Stranger && self.played.opened_ms.is_some())
    }
}

#[allow(clippy::cast_precision_loss, reason = "times of a scene")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}
