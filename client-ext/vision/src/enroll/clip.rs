//! A template from a short clip: the camera, or a film of it.
//!
//! A live clip is guided and ends with the last step; a film is looked through to its end, within bounds. Pictures are
//! wiped as they pass; of each good look only vector, place and yaw are kept until the template is made.

mod room;

use sudare_client_core::attention::{Pass, WHOLE};
use sudare_client_core::evidence::Area;
use sudare_client_core::face::Face;
use sudare_client_core::face::embedding::Embedding;
use sudare_client_core::face::enrol::{self, Person};
use sudare_client_core::face::guide::{ALL_STEPS_MAX_MS, Guide, Step};
use sudare_client_core::face::marked::Marked;
use sudare_client_core::frame::Frame;
use sudare_protocol::template::Region;

use self::room::Room;
use super::fault::{Fault, Tally};
use super::look::{Look, look, share};
use super::{EnrollError, Enrolled, LOOKS_MIN, Request, finish, precise};
use crate::camera::{CameraFault, FrameSource};
use crate::engine::{Engine, EngineError};

/// A picture this often is enough: looks nearer to each other are nearly the same.
const LOOK_EACH_MS: u64 = 200;
/// Good looks that are kept until the end.
const LOOKS_MAX: usize = 300;
/// A film is looked through up to here.
const FILM_MAX_MS: u64 = 120_000;
/// Pictures are examined at up to this size.
const LONG_SIDE_PX: u32 = 640;
/// A camera may be silent for so many times before its first picture.
const SILENCES_MAX: u32 = 5;
const _: () = assert!(ALL_STEPS_MAX_MS < FILM_MAX_MS);

/// How the clip is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clip {
    /// The person sees what to do; a film's cannot.
    pub guided: bool,
    /// Marks where faces never moved as "not a person".
    pub mark_still: bool,
}

/// What is to be shown while it lasts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// What to do, if it is guided.
    pub step: Option<Step>,
    /// Good looks so far.
    pub good: usize,
    /// What was wrong with the newest picture.
    pub fault: Option<Fault>,
}

/// Besides the template: what the clip was like.
#[derive(Debug)]
pub struct FromClip {
    pub enrolled: Enrolled,
    /// Pictures that were examined.
    pub pictures: usize,
    /// Where faces never moved that are not marked.
    pub still: Vec<Region>,
}

/// Creates the template from a clip.
///
/// # Errors
/// The camera fails, the clip shows too little or several people, or a region cannot be marked.
pub fn clip(
    engine: &mut Engine,
    source: &mut dyn FrameSource,
    how: Clip,
    request: Request<'_>,
    tell: &mut dyn FnMut(&Progress),
) -> Result<FromClip, EnrollError> {
    let mut taken = Taken { marked: Marked::of(request.regions.iter().copied()), ..Taken::default() };
    let mut guide = how.guided.then(Guide::default);
    let (mut start_ms, mut next_ms, mut step) = (None, 0, how.guided.then_some(Step::Ahead));
    tell(&Progress { step, good: 0, fault: None });
    while let Some(frame) = next(source, taken.pictures > 0)? {
        let start_ms = *start_ms.get_or_insert(frame.t_ms);
        if frame.t_ms < next_ms {
            continue;
        }
        next_ms = frame.t_ms + LOOK_EACH_MS;
        let fault = taken.take(engine, &frame, how.mark_still)?;
        if let Some(guide) = &mut guide {
            let yaw_deg = taken.looks.last().filter(|_| fault.is_none()).map(|(look, _)| look.yaw_deg);
            step = guide.see(frame.t_ms, yaw_deg);
        }
        tell(&Progress { step, good: taken.looks.len(), fault });
        let is_over = frame.t_ms.saturating_sub(start_ms) >= FILM_MAX_MS || taken.looks.len() >= LOOKS_MAX;
        if is_over || (guide.is_some() && step.is_none()) {
            break;
        }
    }
    taken.finish(engine, how, request)
}

/// The next picture; `None` at the end of a film. A camera may take its time for the first one.
fn next(source: &mut dyn FrameSource, has_begun: bool) -> Result<Option<Frame>, CameraFault> {
    let mut silences = 0;
    loop {
        match source.next_frame() {
            Ok(frame) => return Ok(Some(frame)),
            Err(CameraFault::Ended { .. }) => return Ok(None),
            Err(CameraFault::Stalled { .. }) if !has_begun && silences < SILENCES_MAX => silences += 1,
            Err(fault) => return Err(fault),
        }
    }
}

/// What came of the clip so far.
#[derive(Default)]
struct Taken {
    marked: Marked,
    pictures: usize,
    /// Good looks, with the places of other faces in their pictures.
    looks: Vec<(Look, Vec<Area>)>,
    faults: Tally,
    room: Room,
}

impl Taken {
    /// Examines one picture; returns what is wrong with it.
    fn take(
        &mut self,
        engine: &mut Engine,
        frame: &Frame,
        mark_still: bool,
    ) -> Result<Option<Fault>, EngineError> {
        self.pictures += 1;
        let pass = Pass { kind: WHOLE, part: None, long_side: LONG_SIDE_PX };
        let mut faces = engine.detector.watch(frame, &pass)?.to_vec();
        let (size, least) = ([frame.width, frame.height].map(precise), engine.detector.score_min());
        faces.retain(|face| face.score >= least && !self.marked.hides(&face.bbox, size));
        faces.sort_by(|a, b| b.bbox[2].total_cmp(&a.bbox[2]));
        let places: Vec<Area> = faces.iter().map(|face| share(&face.bbox, frame)).collect();
        self.room.see(frame.t_ms, size, &places);
        let fault = match &*faces {
            [] => Some(Fault::NoFace),
            [_, _, ..] if !mark_still => Some(Fault::SeveralFaces { count: faces.len() }),
            [face, ..] => self.examine(engine, frame, face, places.get(1..).unwrap_or_default())?,
        };
        if let Some(fault) = &fault {
            self.faults.add(fault);
        }
        Ok(fault)
    }

    fn examine(
        &mut self,
        engine: &mut Engine,
        frame: &Frame,
        face: &Face,
        others: &[Area],
    ) -> Result<Option<Fault>, EngineError> {
        Ok(match look(engine, frame, face)? {
            Ok(look) => {
                self.looks.push((look, others.to_vec()));
                None
            }
            Err(fault) => Some(fault),
        })
    }

    fn finish(
        mut self,
        engine: &Engine,
        how: Clip,
        mut request: Request<'_>,
    ) -> Result<FromClip, EnrollError> {
        let seats: Vec<Area> = self.looks.iter().map(|(look, _)| look.place).collect();
        let mut still = self.room.still(&request.regions, &seats);
        if how.mark_still {
            request.regions.append(&mut still);
            self.marked = Marked::of(request.regions.iter().copied());
        }
        // Other faces are excused where nobody is; in all other places they were somebody.
        let (marked, faults) = (&self.marked, &mut self.faults);
        self.looks.retain(|(_, others)| {
            let is_alone = others.iter().all(|place| marked.hides(place, [1.0, 1.0]));
            if !is_alone {
                faults.add(&Fault::SeveralFaces { count: others.len() + 1 });
            }
            is_alone
        });
        let chosen = self.choose()?;
        let enrolled = finish(engine, &chosen, 0, request)?;
        Ok(FromClip { enrolled, pictures: self.pictures, still })
    }

    /// The varied looks of one person.
    fn choose(&self) -> Result<Vec<&Look>, EnrollError> {
        let embeddings: Vec<&Embedding> = self.looks.iter().map(|(look, _)| &look.embedding).collect();
        let person = Person::among(&embeddings);
        if person.is_mixed() {
            return Err(EnrollError::Mixed { others: person.others, looks: embeddings.len() });
        }
        let of_person: Vec<&Look> =
            person.looks.iter().filter_map(|i| self.looks.get(*i)).map(|(look, _)| look).collect();
        let candidates: Vec<&Embedding> = of_person.iter().map(|look| &look.embedding).collect();
        let kept = enrol::varied(&candidates, enrol::ALIKE_IN_CLIP);
        if kept.len() < LOOKS_MIN {
            let (good, pictures) = (self.looks.len(), self.pictures);
            return Err(EnrollError::FewLooks {
                looks: kept.len(),
                good,
                pictures,
                faults: self.faults.clone(),
            });
        }
        Ok(kept.iter().filter_map(|i| of_person.get(*i)).copied().collect())
    }
}
