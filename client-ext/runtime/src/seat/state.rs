//! What a window is told of a session, folded from the session's events. Pure.

use serde::{Deserialize, Serialize};
use sudare_client_core::event::Event;
use sudare_protocol::message::{CertificateCheck, Shown};
use sudare_protocol::reason::{Reason, State};

use crate::seat::message::short;

/// One connection, as it stands. Names of reasons and states are those of the documents, so that a later version's are
/// read as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatState {
    /// The host that proved itself; none before that, and after the end.
    pub host: Option<String>,
    /// Whether the host's certificate was compared with the one that the connection showed.
    pub certificate_checked: bool,
    /// What the seat shows: a name of a [`State`].
    pub seat: String,
    /// Whether the desktop is covered, as the host last said; covered until it says otherwise.
    pub covered: bool,
    /// Why: a name of a [`Reason`].
    pub reason: String,
    /// The camera as the settings name it.
    pub camera: String,
    pub on_break: bool,
    /// Incidents that wait for their host on this PC.
    pub waiting: usize,
    /// Why nothing can be seen, or why the host was refused.
    pub trouble: Option<String>,
    /// The operator is recognised less and less well.
    pub enrol_again: bool,
}

impl SeatState {
    pub fn new(camera: &str) -> Self {
        SeatState {
            host: None,
            certificate_checked: false,
            seat: State::Absent.as_str().to_owned(),
            covered: true,
            reason: Reason::Starting.as_str().to_owned(),
            camera: short(camera),
            on_break: false,
            waiting: 0,
            trouble: None,
            enrol_again: false,
        }
    }

    /// The reason, if this version knows it.
    pub fn known_reason(&self) -> Option<Reason> {
        Reason::ALL.iter().copied().find(|reason| reason.as_str() == self.reason)
    }

    /// What the seat shows, if this version knows it.
    pub fn known_seat(&self) -> Option<State> {
        State::ALL.iter().copied().find(|state| state.as_str() == self.seat)
    }

    /// Takes an event; returns whether there is something new to tell.
    pub(crate) fn take(&mut self, event: &Event) -> bool {
        let before = self.clone();
        match event {
            Event::Ready { host_id, certificate, .. } => {
                self.host = Some(short(host_id));
                self.certificate_checked = *certificate == CertificateCheck::Same;
                self.cover(true, Reason::Starting);
                self.trouble = None;
            }
            Event::Decided(decision) => {
                self.seat = decision.state.as_str().to_owned();
                // The host says when the desktop is shown; that it is covered is asked for already.
                if decision.cover && !self.covered {
                    self.cover(true, decision.reason);
                }
                if decision.state != State::CameraLost {
                    self.trouble = None;
                }
            }
            Event::Status(status) => self.cover(status.shown == Shown::Covered, status.reason),
            Event::Break(on) => self.on_break = *on,
            Event::Trouble(text) => self.trouble = Some(short(text)),
            Event::Refused { refusal, live } if *live || self.host.is_none() => {
                self.trouble = Some(short(&refusal.to_string()));
            }
            Event::EnrolAgain => self.enrol_again = true,
            // It waits under another page, and the host's refusal says why nothing is shown.
            Event::Notice(_) => {}
            Event::Withdrawn(_) => self.cover(true, Reason::NoConsent),
            Event::Over { waiting } => {
                (self.host, self.waiting, self.on_break) = (None, *waiting, false);
                self.cover(true, Reason::ClientGone);
            }
            // Of a liar beside the host, or told in another line.
            Event::Refused { .. } | Event::Receipt(_) | Event::Unproven(_) | Event::Dropped(_) => {}
        }
        *self != before
    }

    fn cover(&mut self, covered: bool, reason: Reason) {
        self.covered = covered;
        self.reason = reason.as_str().to_owned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sudare_client_core::presence::Decision;
    use sudare_protocol::error::{Code, Fault, Refusal};
    use sudare_protocol::message::Status;

    fn ready() -> Event {
        Event::Ready { host_id: "vdi-1".into(), certificate: CertificateCheck::Same, user: None }
    }

    fn status(shown: Shown, reason: Reason) -> Event {
        Event::Status(Status { shown, reason, boot_ms: 0, incident_id: None })
    }

    fn decided(state: State, cover: bool, reason: Reason) -> Event {
        Event::Decided(Decision { state, cover, reason, ..Decision::on_break() })
    }

    #[test]
    fn the_host_says_when_the_desktop_shows_and_a_cover_is_told_before_it_answers() {
        let mut seat = SeatState::new("camera:0");
        assert!(seat.covered);
        assert!(seat.take(&ready()) && seat.certificate_checked);
        assert!(seat.take(&decided(State::Clear, false, Reason::None)));
        assert!(seat.covered, "the host has not said so");
        assert!(seat.take(&status(Shown::Visible, Reason::None)) && !seat.covered);
        assert!(seat.take(&decided(State::Onlooker, true, Reason::Onlooker)));
        assert_eq!((seat.covered, seat.known_reason()), (true, Some(Reason::Onlooker)));
        assert!(!seat.take(&status(Shown::Covered, Reason::Onlooker)), "nothing new");
        // The host may know better why.
        assert!(seat.take(&status(Shown::Covered, Reason::EvidenceNotKept)));
        assert_eq!(seat.known_seat(), Some(State::Onlooker));
    }

    #[test]
    fn an_end_covers_and_trouble_goes_when_something_is_seen_again() {
        let mut seat = SeatState::new("camera:0");
        seat.take(&ready());
        seat.take(&Event::Trouble("no models\u{7}".into()));
        assert_eq!(seat.trouble.as_deref().map(|text| text.contains('\u{7}')), Some(false));
        seat.take(&decided(State::CameraLost, true, Reason::CameraLost));
        assert!(seat.trouble.is_some());
        seat.take(&decided(State::Clear, true, Reason::Starting));
        assert_eq!(seat.trouble, None);
        seat.take(&status(Shown::Visible, Reason::None));
        seat.take(&Event::Over { waiting: 2 });
        assert_eq!((seat.host.as_deref(), seat.waiting, seat.covered), (None, 2, true));
    }

    #[test]
    fn a_liar_beside_the_host_is_not_told_and_an_unknown_host_is() {
        let refused = |live| {
            let refusal = Refusal::new(Code::HostUnknown, Fault::Peer, "");
            Event::Refused { refusal, live }
        };
        let mut seat = SeatState::new("camera:0");
        assert!(seat.take(&refused(false)) && seat.trouble.is_some());
        seat.take(&ready());
        assert!(!seat.take(&refused(false)));
        assert!(seat.take(&refused(true)));
    }
}
