//! Who has the camera: a connection's plugin, our own preview, an enrolment, or nobody. Pure.

use std::sync::Arc;

use sudare_client_core::face::guide::Step;
use sudare_client_runtime::seat::message::Asked;
use sudare_client_runtime::seat::state::SeatState;
use sudare_vision::enroll::Fault;

use super::{Action, Model, Page, SeatId};
use crate::said::Said;
use crate::shown::Shown;
use crate::words::Words;

/// What pictures are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Use {
    /// The preview, by a connection's plugin.
    Seat(SeatId),
    /// The preview, by our own camera.
    Own,
    /// An enrolment, by our own camera.
    Enrol,
}

/// The preview of the first page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Preview {
    Off,
    On(Use),
    /// It ended by itself.
    Ended(Said),
}

/// How an enrolment goes on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Progressed {
    pub(crate) step: Option<Step>,
    pub(crate) good: usize,
    pub(crate) fault: Option<Fault>,
}

/// What came of an enrolment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Taken {
    pub(crate) looks: usize,
    pub(crate) pictures: usize,
    pub(crate) is_few: bool,
    /// Close to other people's faces.
    pub(crate) is_poor: bool,
    pub(crate) margin: f32,
    pub(crate) path: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Enrolment {
    Idle,
    Running(Progressed),
    /// Given up by the person, and still closing.
    Stopping,
    Done(Taken),
    Failed(Said),
}

/// A sentence of ours for something that ended by itself.
const CONNECTED: Words =
    ["接続が始まったため、カメラを接続に渡しました。", "A connection began, and has the camera now."];
const BUSY: Words = [
    "接続中はカメラが使用中です。登録する前にリモートデスクトップを切断してください。",
    "The connection uses the camera. Disconnect the remote desktop before you enrol.",
];
const GONE: Words =
    ["接続が終わったため、プレビューを閉じました。", "The connection ended, and the preview with it."];

impl Model {
    fn own_camera(&self) -> bool {
        self.preview == Preview::On(Use::Own)
            || matches!(self.enrolment, Enrolment::Running(_) | Enrolment::Stopping)
    }

    pub(super) fn seat(&mut self, id: SeatId, state: SeatState) -> Vec<Action> {
        let is_new = self.seats.insert(id, state).is_none();
        if !is_new || !self.own_camera() {
            return Vec::new();
        }
        let why = Said::of(CONNECTED);
        if self.preview == Preview::On(Use::Own) {
            self.preview = Preview::Ended(why);
        } else {
            self.enrolment = Enrolment::Failed(why);
        }
        self.picture = None;
        vec![Action::CloseCamera]
    }

    pub(super) fn seat_gone(&mut self, id: &SeatId) -> Vec<Action> {
        self.seats.remove(id);
        if self.preview == Preview::On(Use::Seat(id.clone())) {
            self.preview = Preview::Ended(Said::of(GONE));
            self.picture = None;
        }
        Vec::new()
    }

    pub(super) fn ask_preview(&mut self, on: bool) -> Vec<Action> {
        match (&self.preview, on) {
            (Preview::On(_), true) => Vec::new(),
            (_, false) => self.close_camera(),
            (_, true) => {
                // A connection that has its host looks already; one without has no picture to show.
                let looking =
                    self.seats.iter().find(|(_, state)| state.host.is_some()).map(|(id, _)| id.clone());
                let (of, action) = match looking.or_else(|| self.seats.keys().next().cloned()) {
                    Some(id) => (Use::Seat(id.clone()), Action::Ask(id, Asked::Preview { on: true })),
                    None => (Use::Own, Action::OpenCamera(Use::Own)),
                };
                self.preview = Preview::On(of);
                vec![action]
            }
        }
    }

    pub(super) fn ask_enrol(&mut self, on: bool) -> Vec<Action> {
        match (&self.enrolment, on) {
            (Enrolment::Running(_), true) | (Enrolment::Stopping, _) => Vec::new(),
            (Enrolment::Running(_), false) => self.close_camera(),
            (_, false) => {
                self.enrolment = Enrolment::Idle;
                Vec::new()
            }
            (_, true) if !self.seats.is_empty() => {
                self.enrolment = Enrolment::Failed(Said::of(BUSY));
                Vec::new()
            }
            (_, true) => {
                let mut actions = self.close_camera();
                let (step, good, fault) = (Some(Step::Ahead), 0, None);
                self.enrolment = Enrolment::Running(Progressed { step, good, fault });
                actions.push(Action::OpenCamera(Use::Enrol));
                actions
            }
        }
    }

    /// Closes whatever is open for a picture.
    pub(super) fn close_camera(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        match std::mem::replace(&mut self.preview, Preview::Off) {
            Preview::On(Use::Seat(id)) => actions.push(Action::Ask(id, Asked::Preview { on: false })),
            Preview::On(_) => actions.push(Action::CloseCamera),
            Preview::Off | Preview::Ended(_) => {}
        }
        if matches!(self.enrolment, Enrolment::Running(_)) {
            self.enrolment = Enrolment::Stopping;
            actions.push(Action::CloseCamera);
        }
        self.picture = None;
        actions
    }

    /// Pictures that come late, after the preview was closed, are not shown.
    pub(super) fn pictured(&mut self, of: &Use, shown: Arc<Shown>) -> Vec<Action> {
        let is_wanted = match of {
            Use::Enrol => self.page == Page::Enrol && matches!(self.enrolment, Enrolment::Running(_)),
            of => self.page == Page::Seat && self.preview == Preview::On(of.clone()),
        };
        if is_wanted {
            self.picture = Some(shown);
        }
        Vec::new()
    }

    pub(super) fn camera_over(&mut self, of: &Use, why: Option<Said>) -> Vec<Action> {
        if *of == Use::Enrol {
            // What came of it is told by itself.
            if self.enrolment == Enrolment::Stopping {
                self.enrolment = Enrolment::Idle;
            }
        } else if self.preview == Preview::On(of.clone()) {
            self.picture = None;
            self.preview = why.map_or(Preview::Off, Preview::Ended);
        }
        Vec::new()
    }

    pub(super) fn enrolling(&mut self, progress: Progressed) -> Vec<Action> {
        if let Enrolment::Running(now) = &mut self.enrolment {
            *now = progress;
        }
        Vec::new()
    }

    /// One that was given up, or that a connection ended, comes to nothing whatever it found.
    pub(super) fn enrolled(&mut self, result: Result<Taken, Said>) -> Vec<Action> {
        if matches!(self.enrolment, Enrolment::Running(_)) {
            self.picture = None;
            self.enrolment = result.map_or_else(Enrolment::Failed, Enrolment::Done);
        }
        Vec::new()
    }
}
