//! A device whose daily quota is exhausted: every session stays covered until there is room again.

use std::fs;

use sudare_base::clock;
use sudare_guard::transport::LinkEvent;
use sudare_protocol::limits::DEVICE_DAY_MAX_BYTES;
use sudare_protocol::reason::Reason;
use sudare_recorder::blob_intake::QUOTA_FILE;
use sudare_recorder::quota::Quota;
use sudare_test_kit::pair;

use super::seat::{Host, Seat, Shown, USER};

#[test]
fn another_session_does_not_show_the_desktop_to_a_device_that_may_store_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let evidence = dir.path().join("evidence");
    let device_id = sudare_protocol::keyfile::device_id(&pair::device_key().verifying_key());
    let mut quota = Quota::default();
    quota.take(&device_id, DEVICE_DAY_MAX_BYTES, clock::wall_ms()).unwrap();
    fs::create_dir(&evidence).unwrap();
    fs::write(evidence.join(QUOTA_FILE), quota.to_text()).unwrap();
    let host = Host::keeping_evidence_in(evidence, dir);

    let mut seat = Seat::connect(&host, USER);
    for _ in 0..2 {
        seat.open();
        seat.attest_for_ms(2_500);
        assert_eq!(seat.shown, Shown::Covered(Reason::EvidenceNotKept));
        seat.link(LinkEvent::Closed);
    }
    let mut another = Seat::connect(&host, USER);
    another.open();
    another.attest_for_ms(2_500);
    assert!(!seat.was_visible && !another.was_visible);
}
