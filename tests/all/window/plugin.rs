//! The plugin's end of the socket, told by the test what happens.

use std::path::Path;
use std::sync::Arc;

use sudare_client_core::evidence::{Mark, Picture};
use sudare_client_core::face::identity::Thresholds;
use sudare_client_core::frame::Frame;
use sudare_client_core::presence::{Decision, Who};
use sudare_client_runtime::Event;
use sudare_client_runtime::inbox::{Inbox, Inputs};
use sudare_client_runtime::seat::{Pictures, Seat};
use sudare_protocol::message::{CertificateCheck, Shown, Status};
use sudare_protocol::reason::{Reason, State};

/// Of the picture that it offers; not a colour of the window.
pub(super) const WALL: [u8; 3] = [30, 60, 200];

pub(super) struct Plugin {
    seat: Seat,
    pub(super) inbox: Inbox,
    _inputs: Inputs,
    pictures: Pictures,
    t_ms: u64,
}

impl Plugin {
    pub(super) fn start(home: &Path) -> Self {
        let (inbox, inputs) = Inbox::new();
        let seat = Seat::open_in(&home.join("run"), "camera:0", inbox.clone()).unwrap();
        let pictures = seat.pictures();
        Plugin { seat, inbox, _inputs: inputs, pictures, t_ms: 0 }
    }

    pub(super) fn ready(&self) {
        let certificate = CertificateCheck::Same;
        self.seat.event(&Event::Ready { host_id: "vdi-1.example".into(), certificate, user: None });
    }

    pub(super) fn event(&self, event: &Event) {
        self.seat.event(event);
    }

    /// The seat looks like this, and the host shows the desktop or covers it.
    pub(super) fn seen(&self, state: State, reason: Reason) {
        let cover = reason != Reason::None;
        self.seat.event(&Event::Decided(Decision { state, cover, reason, ..Decision::on_break() }));
        let shown = if cover { Shown::Covered } else { Shown::Visible };
        self.seat.event(&Event::Status(Status { shown, reason, boot_ms: 0, incident_id: None }));
    }

    /// A picture of a wall with two people before it, whom nobody could recognise.
    pub(super) fn picture(&mut self) {
        self.t_ms += 100;
        let (width, height) = (640u32, 480u32);
        let rgb = (0..height).flat_map(|y| (0..width).flat_map(move |x| pixel(x, y))).collect();
        let frame = Frame { width, height, rgb, t_ms: self.t_ms, seq: self.t_ms };
        let face = |track, area, who| Mark { track, area, who, weight: 1.0, cosine: None, seen: true };
        let marks = vec![
            face(1, [240.0, 140.0, 120.0, 150.0], Who::Operator),
            face(2, [460.0, 120.0, 70.0, 90.0], Who::Stranger),
        ];
        let thresholds = Thresholds { operator_min: 0.54, same_person_min: 0.42, stranger_max: 0.30 };
        let (frame, marks, phones) = (Arc::new(frame), Some(marks), vec![[560.0, 260.0, 40.0, 70.0]]);
        self.pictures.offer(&Picture { frame, marks, phones, camera: None, thresholds });
    }
}

fn pixel(x: u32, y: u32) -> [u8; 3] {
    let within = |cx: u32, cy: u32, r: u32| x.abs_diff(cx).pow(2) + y.abs_diff(cy).pow(2) < r * r;
    match () {
        () if within(300, 215, 62) || within(495, 165, 38) => [225, 180, 150],
        () if within(300, 420, 130) || within(495, 330, 90) => [70, 90, 80],
        () => WALL,
    }
}
