//! A frame with what is known about the faces in it, and which of them an incident may show. Pure.
//!
//! ```text
//!  marks of the decision's picture ─► intruders: the faces that caused it
//!  marks of each picture, faces found again in it at full size ─► areas to hide, areas to keep
//! ```
//! When in doubt, a face is hidden: one not yet compared, one missed in this very picture, one found only by the
//! second search.

use std::sync::Arc;

use sudare_protocol::message::CameraKind;
use sudare_protocol::reason::Reason;

use crate::face::identity::Thresholds;
use crate::face::iou;
use crate::frame::Frame;
use crate::presence::Who;

/// Left, top, width, height, in pixels.
pub type Area = [f32; 4];

/// Whoever holds a phone has their face within this many face widths of it.
const HOLDER_WIDTHS: f32 = 3.0;
/// Boxes that overlap this much belong to the same face.
const SAME_FACE_IOU: f32 = 0.3;
/// A stranger whose exposure grows at least at this share of the most exposed one's is an intruder too.
const INTRUDER_SHARE: f64 = 0.5;

/// One face that the tracker knows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mark {
    pub track: u64,
    pub area: Area,
    pub who: Who,
    /// How fast exposure to it grows, 0 to 1 (see `presence`).
    pub weight: f64,
    /// Of the latest comparison with the nearest operator.
    pub cosine: Option<f32>,
    /// Whether this very picture shows it; otherwise it was in view a moment ago.
    pub seen: bool,
}

/// A picture of the seat, and the faces seen in it.
#[derive(Debug, Clone)]
pub struct Picture {
    pub frame: Arc<Frame>,
    /// `None`: it could not be examined.
    pub marks: Option<Vec<Mark>>,
    /// Where phones were seen, in this picture or a moment ago.
    pub phones: Vec<Area>,
    /// `None`: not known.
    pub camera: Option<CameraKind>,
    pub thresholds: Thresholds,
}

/// What to do with the faces of one picture.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Areas {
    pub hide: Vec<Area>,
    pub keep: Vec<Area>,
}

/// The faces that caused an incident, by their tracks; none if the reason is not about a face.
pub fn intruders(reason: Reason, decided_on: &[Mark], phones: &[Area]) -> Vec<u64> {
    if reason == Reason::Phone {
        return phones.iter().filter_map(|phone| holder(phone, decided_on)).collect();
    }
    if !matches!(reason, Reason::Stranger | Reason::Onlooker) {
        return Vec::new();
    }
    let strangers: Vec<&Mark> = decided_on.iter().filter(|m| m.seen && m.who == Who::Stranger).collect();
    let most = strangers.iter().map(|m| m.weight).fold(0.0, f64::max);
    strangers.iter().filter(|m| m.weight >= most * INTRUDER_SHARE).map(|m| m.track).collect()
}

/// Whose face is nearest to a phone, seen or hidden behind it, unless that is the operator.
fn holder(phone: &Area, marks: &[Mark]) -> Option<u64> {
    let middle = |[x, y, w, h]: &Area| [x + w / 2.0, y + h / 2.0];
    let [px, py] = middle(phone);
    let distance = |mark: &Mark| {
        let [x, y] = middle(&mark.area);
        (x - px).hypot(y - py) / mark.area[2].max(1.0)
    };
    let near = marks.iter().map(|mark| (distance(mark), mark)).filter(|(widths, _)| *widths <= HOLDER_WIDTHS);
    let (_, mark) = near.min_by(|a, b| a.0.total_cmp(&b.0))?;
    (mark.who != Who::Operator).then_some(mark.track)
}

impl Picture {
    /// Which faces are hidden and which stay. `found` are the faces that a search of the whole picture found; `None`
    /// if it failed.
    pub fn areas(&self, intruders: &[u64], found: Option<&[Area]>) -> Areas {
        let (Some(marks), Some(found)) = (&self.marks, found) else { return self.everything() };
        let may_show = |m: &Mark| m.who == Who::Operator || intruders.contains(&m.track);
        let keep: Vec<Area> = marks.iter().filter(|m| m.seen && may_show(m)).map(|m| m.area).collect();
        let known = marks.iter().filter(|m| !may_show(m)).map(|m| m.area);
        let is_kept = |area: &Area| keep.iter().any(|kept| iou(kept, area) >= SAME_FACE_IOU);
        let others = found.iter().filter(|area| !is_kept(area)).copied();
        Areas { hide: known.chain(others).collect(), keep }
    }

    /// It is unknown who is where.
    #[allow(clippy::cast_precision_loss, reason = "picture sides are at most 65,535")]
    fn everything(&self) -> Areas {
        let whole = [0.0, 0.0, self.frame.width as f32, self.frame.height as f32];
        Areas { hide: vec![whole], keep: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(track: u64, who: Who, weight: f64) -> Mark {
        let x = f32::from(u8::try_from(track).unwrap()) * 100.0;
        Mark { track, area: [x, 0.0, 50.0, 60.0], who, weight, cosine: None, seen: true }
    }

    fn picture(marks: Option<Vec<Mark>>) -> Picture {
        let frame = Frame { width: 640, height: 480, rgb: vec![0; 640 * 480 * 3], t_ms: 0, seq: 0 };
        let thresholds = Thresholds { operator_min: 0.54, same_person_min: 0.42, stranger_max: 0.30 };
        Picture { frame: Arc::new(frame), marks, phones: Vec::new(), camera: None, thresholds }
    }

    #[test]
    fn the_most_exposed_stranger_is_the_intruder_and_those_like_it() {
        let marks = [
            mark(0, Who::Operator, 1.0),
            mark(1, Who::Stranger, 0.9),
            mark(2, Who::Stranger, 0.5),
            mark(3, Who::Stranger, 0.2),
            mark(4, Who::Undecided, 1.0),
            Mark { seen: false, ..mark(5, Who::Stranger, 1.0) },
        ];
        assert_eq!(intruders(Reason::Onlooker, &marks, &[]), [1, 2]);
        assert_eq!(intruders(Reason::CameraLost, &marks, &[]), [0; 0]);
        assert_eq!(intruders(Reason::Stranger, &[], &[]), [0; 0]);
    }

    #[test]
    fn whoever_holds_a_phone_is_the_intruder_also_behind_it_and_the_phone_stays_to_be_seen() {
        let operator = mark(0, Who::Operator, 1.0);
        let behind = Mark { seen: false, ..mark(4, Who::Undecided, 1.0) };
        let marks = [operator, behind];
        let (theirs, nobodys) = ([405.0, 5.0, 30.0, 55.0], [300.0, 400.0, 30.0, 55.0]);
        assert_eq!(intruders(Reason::Phone, &marks, &[theirs]), [4]);
        assert_eq!(
            intruders(Reason::Phone, &marks, &[[10.0, 5.0, 30.0, 55.0]]),
            [0; 0],
            "the operator's own"
        );
        assert_eq!(intruders(Reason::Phone, &marks, &[nobodys]), [0; 0]);
        assert_eq!(intruders(Reason::Phone, &marks, &[[f32::NAN; 4]]), [0; 0]);
        let shown = picture(Some(marks.to_vec())).areas(&[4], Some(&[operator.area]));
        assert_eq!((shown.keep, shown.hide), (vec![operator.area], vec![]));
    }

    #[test]
    fn everybody_but_operator_and_intruder_is_hidden_and_doubt_hides_too() {
        let operator = mark(0, Who::Operator, 1.0);
        let intruder = mark(1, Who::Undecided, 1.0);
        let bystander = mark(2, Who::Stranger, 0.1);
        let missed = Mark { seen: false, ..mark(3, Who::Undecided, 0.1) };
        let gone = Mark { seen: false, ..mark(4, Who::Operator, 1.0) };
        let found_only = [500.0, 300.0, 20.0, 25.0];
        let found = [[2.0, 2.0, 50.0, 60.0], gone.area, found_only];
        let areas =
            picture(Some(vec![operator, intruder, bystander, missed, gone])).areas(&[1], Some(&found));
        assert_eq!(areas.keep, [operator.area, intruder.area]);
        assert_eq!(areas.hide, [bystander.area, missed.area, gone.area, found_only]);
    }

    #[test]
    fn a_picture_that_was_not_examined_is_hidden_as_a_whole() {
        let whole = Areas { hide: vec![[0.0, 0.0, 640.0, 480.0]], keep: vec![] };
        assert_eq!(picture(None).areas(&[], Some(&[])), whole);
        assert_eq!(picture(Some(vec![mark(0, Who::Operator, 1.0)])).areas(&[], None), whole);
    }
}
