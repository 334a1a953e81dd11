//! A grey picture for tests.

use std::sync::Arc;

use sudare_client_core::evidence::Picture;
use sudare_client_core::face::identity::Thresholds;
use sudare_client_core::frame::Frame;
use sudare_client_core::presence::Decision;
use sudare_client_core::report::Incident;
use sudare_protocol::reason::Reason;

pub(crate) const THRESHOLDS: Thresholds =
    Thresholds { operator_min: 0.54, same_person_min: 0.42, stranger_max: 0.30 };

/// A small grey picture without faces.
pub(crate) fn picture(t_ms: u64) -> Picture {
    let frame = Frame { width: 16, height: 16, rgb: vec![100; 16 * 16 * 3], t_ms, seq: t_ms };
    let (frame, marks) = (Arc::new(frame), Some(Vec::new()));
    Picture { frame, marks, phones: Vec::new(), camera: None, thresholds: THRESHOLDS }
}

pub(crate) fn incident(decided_ms: u64) -> Incident {
    let decision = Decision { reason: Reason::Stranger, ..Decision::on_break() };
    Incident { incident_id: [1; 16], reason: Reason::Stranger, decided_ms, decision }
}
