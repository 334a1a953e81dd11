//! The classes of reasons that a report tells apart.

use serde::{Deserialize, Serialize};
use sudare_protocol::reason::Reason;

/// Why a session was covered, in classes so broad that none reveals how somebody works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The operator was away, on a break, not clearly seen, or asked for the cover, or the session was starting.
    OperatorNotConfirmed,
    /// A stranger, an onlooker, a phone, or a picture of a face.
    SomebodyElse,
    /// The camera was blocked, lost or busy, or its pictures were stale.
    Camera,
    /// No client, no message in time, a bad message, a refused device, or the desktop of somebody else.
    Connection,
    /// Evidence or cover was unreliable, or the client asked for the cover.
    System,
}

impl Class {
    /// All classes.
    pub const ALL: [Self; 5] =
        [Self::OperatorNotConfirmed, Self::SomebodyElse, Self::Camera, Self::Connection, Self::System];

    /// The class of a reason.
    pub fn of(reason: Option<Reason>) -> Self {
        match reason {
            Some(
                Reason::Absent
                | Reason::Break
                | Reason::Starting
                | Reason::Undecided
                | Reason::Observing
                | Reason::OperatorAsked,
            ) => Self::OperatorNotConfirmed,
            Some(Reason::Stranger | Reason::Onlooker | Reason::Phone | Reason::Spoof) => Self::SomebodyElse,
            Some(Reason::CameraBlocked | Reason::CameraLost | Reason::CameraBusy | Reason::StaleView) => {
                Self::Camera
            }
            Some(
                Reason::NoClient
                | Reason::LinkLost
                | Reason::ClientGone
                | Reason::BadMessage
                | Reason::ClockJump
                | Reason::DeviceRefused
                | Reason::OtherUser
                | Reason::RulesUnclear
                | Reason::NoConsent,
            ) => Self::Connection,
            Some(
                Reason::None
                | Reason::PolicyChanged
                | Reason::EvidenceNotKept
                | Reason::CoverFault
                | Reason::ClientAsked,
            )
            | None => Self::System,
        }
    }
}
