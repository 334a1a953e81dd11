//! What the window shows, and what follows from what happens. Pure: events in, actions out; `Model` is what is drawn.
//!
//! ```text
//!  seats, camera, enrolment, doctor ─┐
//!  keys, buttons ────────────────────┴─► Event ─► Model ─► Action ─► edges
//! ```
//! The rules of the camera are here: it is open only while a preview or an enrolment shows so, and a connection that
//! begins takes it.

mod camera;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use sudare_client_runtime::receipts::Receipt;
use sudare_client_runtime::seat::message::Asked;
use sudare_client_runtime::seat::state::SeatState;

pub(crate) use self::camera::{Enrolment, Preview, Progressed, Taken, Use};
use crate::said::Said;
use crate::shown::Shown;
use crate::words::Language;

/// A page of the window. Pairing and consent will be one more: a line here, its name in `view`, and its drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    Seat,
    Enrol,
    Receipts,
    Check,
    Settings,
}

impl Page {
    pub(crate) const ALL: [Self; 5] = [Self::Seat, Self::Enrol, Self::Receipts, Self::Check, Self::Settings];

    /// As the command line names it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Seat => "seat",
            Self::Enrol => "enrol",
            Self::Receipts => "receipts",
            Self::Check => "check",
            Self::Settings => "settings",
        }
    }
}

/// One connection's socket.
pub(crate) type SeatId = PathBuf;

/// What happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// A connection's plugin told its state.
    Seat(SeatId, SeatState),
    /// A host keeps an incident.
    Receipt,
    /// A connection ended.
    SeatGone(SeatId),
    /// A picture, from a plugin or from our own camera.
    Picture(Use, Arc<Shown>),
    /// Our own camera was released, and why if it was not asked for.
    CameraOver(Use, Option<Said>),
    Enrolling(Progressed),
    Enrolled(Result<Taken, Said>),
    Receipts(Listing),
    Cameras(Vec<Camera>),
    /// A line of the diagnosis.
    CheckLine(String),
    CheckOver(Result<(), String>),
    /// Something that was wanted could not be done.
    Failed(Said),
    // The person at the window.
    Open(Page),
    CoverNow,
    EndCover,
    Preview(bool),
    Enrol(bool),
    Speak(Language),
    Choose(String),
    Check,
}

/// What to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    Ask(SeatId, Asked),
    /// Without a window, a cover is asked of each.
    AskAll(Asked),
    OpenCamera(Use),
    CloseCamera,
    ReadReceipts,
    ListCameras,
    RunCheck,
    /// Write the setting.
    SaveCamera(String),
}

/// Receipts, newest first, and what is not among them.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) receipts: Vec<Receipt>,
    pub(crate) unreadable: usize,
    pub(crate) waiting: usize,
}

/// A camera of this PC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Camera {
    /// As the settings name it.
    pub(crate) source: String,
    pub(crate) name: String,
}

/// The diagnosis.
#[derive(Debug, Default)]
pub(crate) struct Diagnosis {
    pub(crate) running: bool,
    pub(crate) lines: Vec<String>,
    /// How it ended.
    pub(crate) over: Option<Result<(), String>>,
}

/// Lines of a diagnosis that are kept.
const LINES_MAX: usize = 500;

/// Everything that is drawn.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) page: Page,
    pub(crate) language: Language,
    pub(crate) seats: BTreeMap<SeatId, SeatState>,
    pub(crate) preview: Preview,
    pub(crate) picture: Option<Arc<Shown>>,
    pub(crate) enrolment: Enrolment,
    pub(crate) listing: Listing,
    pub(crate) cameras: Vec<Camera>,
    /// In use, as the settings name it.
    pub(crate) camera: String,
    pub(crate) check: Diagnosis,
    pub(crate) failed: Option<Said>,
}

impl Model {
    pub(crate) fn new(language: Language, camera: String) -> Self {
        Model {
            page: Page::Seat,
            language,
            seats: BTreeMap::new(),
            preview: Preview::Off,
            picture: None,
            enrolment: Enrolment::Idle,
            listing: Listing::default(),
            cameras: Vec::new(),
            camera,
            check: Diagnosis::default(),
            failed: None,
        }
    }

    /// Whether a cover that the operator asked for is there to be ended.
    pub(crate) fn has_asked(&self) -> bool {
        self.seats.values().any(|seat| seat.covered && seat.reason == "operator-asked")
    }

    /// Takes one event.
    pub(crate) fn take(&mut self, event: Event) -> Vec<Action> {
        match event {
            Event::Seat(id, state) => self.seat(id, state),
            Event::SeatGone(id) => self.seat_gone(&id),
            Event::Receipt => vec![Action::ReadReceipts],
            Event::Picture(of, shown) => self.pictured(&of, shown),
            Event::CameraOver(of, why) => self.camera_over(&of, why),
            Event::Enrolling(progress) => self.enrolling(progress),
            Event::Enrolled(result) => self.enrolled(result),
            Event::Receipts(listing) => {
                self.listing = listing;
                Vec::new()
            }
            Event::Cameras(cameras) => {
                self.cameras = cameras;
                Vec::new()
            }
            Event::CheckLine(line) => {
                if self.check.lines.len() < LINES_MAX {
                    self.check.lines.push(line);
                }
                Vec::new()
            }
            Event::CheckOver(result) => {
                (self.check.running, self.check.over) = (false, Some(result));
                Vec::new()
            }
            Event::Failed(why) => {
                self.failed = Some(why);
                Vec::new()
            }
            Event::Open(page) => self.open(page),
            Event::CoverNow => vec![Action::AskAll(Asked::CoverNow)],
            Event::EndCover => vec![Action::AskAll(Asked::EndCover)],
            Event::Preview(on) => self.ask_preview(on),
            Event::Enrol(on) => self.ask_enrol(on),
            Event::Speak(language) => {
                self.language = language;
                Vec::new()
            }
            Event::Choose(source) => self.choose(source),
            Event::Check => self.run_check(),
        }
    }

    /// Another page. Whatever the page that is left had open is closed.
    fn open(&mut self, page: Page) -> Vec<Action> {
        if page == self.page {
            return Vec::new();
        }
        let mut actions = self.close_camera();
        self.page = page;
        self.failed = None;
        match page {
            Page::Receipts => actions.push(Action::ReadReceipts),
            Page::Settings => actions.push(Action::ListCameras),
            Page::Seat | Page::Enrol | Page::Check => {}
        }
        actions
    }

    fn choose(&mut self, source: String) -> Vec<Action> {
        if source == self.camera {
            return Vec::new();
        }
        self.camera.clone_from(&source);
        vec![Action::SaveCamera(source)]
    }

    fn run_check(&mut self) -> Vec<Action> {
        if self.check.running {
            return Vec::new();
        }
        self.check = Diagnosis { running: true, ..Diagnosis::default() };
        // It tries each camera, which would be busy.
        let mut actions = self.close_camera();
        actions.push(Action::RunCheck);
        actions
    }
}

#[cfg(test)]
mod tests;
