//! What is looked for beside faces: phones, and whether the operator's face is a picture. When to look is decided by
//! `sudare_client_core::{phone, live}`; this carries it out, as far as the networks are installed.
//!
//! ```text
//!  motion, tracked faces ─► phone (when?) ─► worker thread: phones (YOLOX-nano) ─► phone (2 of 3)
//!  the operator's face ──► passive (when?) ─► antispoof (MiniFASNetV2) ──────────► passive (may deny)
//! ```

use sudare_client_core::evidence::Area;
use sudare_client_core::face::track::Tracked;
use sudare_client_core::frame::Frame;
use sudare_client_core::live::{Liveness, passive::Passive};
use sudare_client_core::motion::Motion;
use sudare_client_core::phone::{PhoneView, PhoneWatch, Surroundings};
use sudare_client_core::presence::Who;

use crate::antispoof::AntiSpoof;
use crate::phone_worker::{Answer, PhoneWorker};
use crate::phones::PhoneDetector;

/// The networks that are there, and what they said so far.
#[derive(Debug)]
pub(crate) struct Cues {
    phones: Option<PhoneWorker>,
    watch: PhoneWatch,
    /// Faces in view and those just missed; reused from picture to picture.
    seen: Vec<Area>,
    missed: Vec<Area>,
    anti_spoof: Option<(AntiSpoof, Passive)>,
    liveness: Liveness,
    /// It was said that the network does not work.
    told: bool,
}

impl Cues {
    /// # Errors
    /// The operating system refused a thread.
    pub(crate) fn start(
        anti_spoof: Option<AntiSpoof>,
        phones: Option<PhoneDetector>,
    ) -> std::io::Result<Self> {
        let passive = |network: AntiSpoof| {
            let passive = Passive::new(network.facts().denied_below);
            (network, passive)
        };
        Ok(Self {
            phones: phones.map(PhoneWorker::start).transpose()?,
            watch: PhoneWatch::default(),
            seen: Vec::new(),
            missed: Vec::new(),
            anti_spoof: anti_spoof.map(passive),
            liveness: Liveness::None,
            told: false,
        })
    }

    /// Looks at a frame, as far as it is due. With `wait`, what is found counts with this very frame.
    pub(crate) fn look(&mut self, frame: &Frame, motion: &Motion, known: &[Tracked], wait: bool) {
        self.look_for_phones(frame, motion, known, wait);
        self.look_for_life(frame, known);
    }

    /// What is known about phones.
    pub(crate) fn phone(&self) -> PhoneView {
        self.watch.view()
    }

    /// Where phones were last seen.
    pub(crate) fn phones(&self) -> Vec<Area> {
        self.watch.places().to_vec()
    }

    /// What is known about the operator's face.
    pub(crate) fn liveness(&self) -> Liveness {
        self.liveness
    }

    fn look_for_phones(&mut self, frame: &Frame, motion: &Motion, known: &[Tracked], wait: bool) {
        let Some(phones) = &mut self.phones else { return };
        let size = [frame.width, frame.height].map(precise);
        for (places, are_seen) in [(&mut self.seen, true), (&mut self.missed, false)] {
            places.clear();
            places.extend(known.iter().filter(|t| t.seen == are_seen && !t.still).map(|t| t.face.bbox));
        }
        let changed = |part: &Area| motion.share_in(part, size);
        let (seen, missed) = (&self.seen, &self.missed);
        let now = Surroundings { t_ms: frame.t_ms, size, seen, missed, changed: &changed };
        let note = |watch: &mut PhoneWatch, answer: Option<Answer>| match answer {
            Some(Answer::Found(found)) => {
                tracing::trace!(t_ms = now.t_ms, ?found, "looked for phones");
                watch.looked(&now, &found);
            }
            Some(Answer::Failed) => watch.failed(),
            None => {}
        };
        note(&mut self.watch, phones.answer(false));
        // A look that is still under way must not use up the next one.
        if let Some(look) = phones.is_idle().then(|| self.watch.due(&now)).flatten() {
            tracing::trace!(t_ms = now.t_ms, part = ?look.part, "looks for phones");
            phones.look(frame, look.part);
            if wait {
                note(&mut self.watch, phones.answer(true));
            }
        }
    }

    fn look_for_life(&mut self, frame: &Frame, known: &[Tracked]) {
        let Some((network, passive)) = &mut self.anti_spoof else { return };
        let Some(operator) = seat(known).filter(|tracked| tracked.who == Who::Operator) else {
            self.liveness = Liveness::None;
            return;
        };
        let bbox = &operator.face.bbox;
        if operator.seen && network.suits(frame, bbox) && passive.is_due(frame.t_ms, operator.id) {
            match network.live(frame, bbox) {
                Ok(Some(live)) => {
                    tracing::trace!(live, "looked whether the face is alive");
                    passive.look(frame.t_ms, live);
                }
                Ok(None) => {}
                Err(error) => {
                    if !self.told {
                        self.told = true;
                        tracing::error!(%error, "nothing tells pictures of faces from faces");
                    }
                }
            }
        }
        self.liveness = passive.liveness(frame.t_ms, operator.id);
    }
}

/// Whose seat it is: the largest operator's face, or else the largest face.
fn seat(known: &[Tracked]) -> Option<&Tracked> {
    let size = |tracked: &&Tracked| (tracked.who == Who::Operator, tracked.face.bbox[2]);
    known.iter().max_by(|a, b| {
        let ((a_operator, a_width), (b_operator, b_width)) = (size(a), size(b));
        a_operator.cmp(&b_operator).then(a_width.total_cmp(&b_width))
    })
}

/// Picture sides are at most 65,535, which f32 holds exactly.
#[allow(clippy::cast_precision_loss, reason = "see above")]
fn precise(side: u32) -> f32 {
    side.max(1) as f32
}
