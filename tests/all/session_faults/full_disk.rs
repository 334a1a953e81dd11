//! The disk of the evidence store is full: covered, nothing acknowledged, and nothing lost.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering;

use sudare_guard::session::evidence::{Job, What};
use sudare_guard::transport::LinkEvent;
use sudare_protocol::evidence::Event;
use sudare_protocol::evidence::event::Note;
use sudare_protocol::message::Unlock;
use sudare_protocol::reason::Reason;

use super::seat::{Host, Seat, Shown};

/// A small file system of its own in memory; only root can make one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Option<SmallDisk> {
        fs::create_dir_all(at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=512k,mode=0700", "tmpfs"]).arg(at);
        let done = mount.output().is_ok_and(|output| output.status.success());
        done.then(|| SmallDisk(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the store may still be open when a test fails.
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

#[test]
fn a_full_disk_covers_and_what_waited_is_kept_once_there_is_space() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("disk");
    let Some(disk) = SmallDisk::mount(&at) else {
        println!("SKIPPED: the full disk was not tried. Only root may mount the small one that it needs.");
        return;
    };
    let host = Host::keeping_evidence_in(at.join("evidence"), dir);
    let mut seat = Seat::visible(&host);
    let filler = at.join("filler");
    fill(&filler);

    let evidence = seat.lock_with_picture(&host, Reason::Stranger);
    assert_eq!(seat.shown, Shown::Covered(Reason::Stranger));
    let unlock = seat.client.as_mut().unwrap().unlock(Unlock { boot_ms: 1 }).unwrap();
    seat.send(&unlock);
    seat.until("the cover for the full disk", |s| s.shown == Shown::Covered(Reason::EvidenceNotKept));
    seat.attest_for_ms(2_500);
    assert_eq!(seat.shown, Shown::Covered(Reason::EvidenceNotKept), "a clear view is not enough");
    assert!(seat.receipts.is_empty(), "nothing is acknowledged that is not stored");

    fs::remove_file(&filler).unwrap();
    seat.until("the receipt", |seat| !seat.receipts.is_empty());
    assert_eq!(seat.receipts[0].incident_id, evidence.manifest.incident_id);
    seat.until("the desktop", |seat| seat.shown == Shown::Desktop);
    drop(seat);
    let incidents = host.verified_incidents();
    assert_eq!(incidents.len(), 1);
    assert!(incidents[0].complete);
    let labels: Vec<&str> = incidents[0].pictures.iter().map(|p| p.label.as_str()).collect();
    assert!(labels.contains(&"camera-at") && labels.contains(&"screenshot-at-cover"), "{labels:?}");
    drop(disk);
}

/// Writes until nothing more goes in.
fn fill(path: &Path) {
    use std::io::Write as _;
    let mut file = fs::File::create(path).unwrap();
    for size in [4096, 512, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

#[test]
fn where_evidence_is_no_duty_the_session_goes_on_and_the_gap_is_recorded() {
    let host = Host::best_effort_without_store().pictures_withheld();
    let mut seat = Seat::visible(&host);
    // Nothing is kept for so long that a host which must keep it would refuse everybody.
    for _ in 0..300 {
        let what = What::Note(Note { code: 2, value: 0 });
        host.shared.evidence.keep(Job { session_id: [1; 16], incident_id: None, what });
    }
    let named = seat.client.as_ref().unwrap().incident_id([5; 16]);
    seat.lock(Reason::Stranger, named);
    seat.unlock();
    seat.until("the desktop", |seat| seat.shown == Shown::Desktop);
    assert!(seat.refused.is_none(), "{:?}", seat.refused);
    seat.attest_for_ms(600);

    host.keeps.store(true, Ordering::Relaxed);
    // Of no session in particular.
    seat.until("the store", |_| host.shared.evidence.health().is_kept(&[0; 16]));
    seat.attest_for_ms(1_000);
    seat.link(LinkEvent::Disconnected);
    drop(seat);
    let events = host.verified_events();
    let gap = |event: &Event| if let Event::Gap(gap) = event { Some(*gap) } else { None };
    let gaps: Vec<_> = events.iter().filter_map(gap).collect();
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert!(gaps[0].to_boot_ms - gaps[0].from_boot_ms > 500, "{gaps:?}");
    let missing =
        |event: &Event| if let Event::IncidentComplete(done) = event { Some(done.missing) } else { None };
    // The client's six and the host's screenshot, which took more memory than was left to it.
    assert_eq!(events.iter().filter_map(missing).collect::<Vec<_>>(), [7]);
}
