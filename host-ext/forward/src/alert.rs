//! Which leaves of the log are alarms, and what they say, before any receiver's format.
//!
//! An alarm holds ids, numbers and hashes that are in the log. It never holds a picture, a name, or text that a client or
//! a user chose: every word comes from the tables here and in `sudare_protocol::reason`.

use sudare_protocol::evidence::event::{Cover, Erasure, Gap, Liveness, Note, RecorderStart, Tombstone};
use sudare_protocol::evidence::note::NoteCode;
use sudare_protocol::evidence::{BlobRef, Entry, Event, Id};
use sudare_protocol::hex::hex;
use sudare_protocol::reason::{Reason, Severity};

/// How the alarm relates to its finding, as in OCSF (`activity_id`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// The first of a finding.
    Create = 1,
    /// More about a finding that was reported before.
    Update = 2,
}

/// One alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Leaf of the log that it comes from.
    pub leaf_index: u64,
    /// Host's Unix time of that leaf.
    pub wall_ms: u64,
    /// Stable name of the kind of alarm.
    pub kind: &'static str,
    /// Whether it opens a finding or adds to one.
    pub activity: Activity,
    /// How severe it is.
    pub severity: Severity,
    /// What happened, in a few words.
    pub title: &'static str,
    /// What happened, in a sentence.
    pub description: String,
    /// Why, if the leaf has a reason.
    pub reason: Option<Reason>,
    /// The session's id in the log.
    pub session_id: Option<Id>,
    /// The incident's id in the log.
    pub incident_id: Option<Id>,
    /// Sealed pictures: ids and hashes.
    pub blobs: Vec<BlobRef>,
    /// Numbers that belong to this kind, with the unit in the name.
    pub numbers: Vec<(&'static str, u64)>,
    /// Further ids, in hex.
    pub ids: Vec<(&'static str, String)>,
}

/// The checkpoint that covers a leaf: with it, anybody can demand a proof of the leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Name of the log.
    pub origin: String,
    /// Entries under the checkpoint.
    pub size: u64,
    /// Root over them.
    pub root: [u8; 32],
}

impl Alert {
    /// The alarm for a leaf, if it is one.
    pub fn of(leaf_index: u64, entry: &Entry) -> Option<Self> {
        let words = match entry.event() {
            Ok(event) => words(&event, entry.reason.and_then(Reason::from_number))?,
            Err(_) => Words::new("entry-unreadable", Severity::High, "A log entry cannot be read"),
        };
        let reason = entry.reason.and_then(Reason::from_number).filter(|reason| *reason != Reason::None);
        let description = match reason {
            Some(reason) => format!("{}. Reason: {}", words.title, reason.english()),
            None => format!("{}.", words.title),
        };
        Some(Self {
            leaf_index,
            wall_ms: entry.wall_ms,
            kind: words.kind,
            activity: words.activity,
            severity: words.severity,
            title: words.title,
            description,
            reason,
            session_id: entry.session_id,
            incident_id: entry.incident_id,
            blobs: entry.blobs.clone(),
            numbers: words.numbers,
            ids: words.ids,
        })
    }

    /// The alarm that the log contradicts itself or what was read of it before. It is not a leaf; its index is the one
    /// after the last leaf that was read.
    pub fn contradiction(after_leaves: u64, wall_ms: u64, detail: &str) -> Self {
        Self {
            leaf_index: after_leaves,
            wall_ms,
            kind: CONTRADICTION,
            activity: Activity::Create,
            severity: Severity::Critical,
            title: "The evidence log contradicts what was read of it before",
            description: format!(
                "{detail}. Keep a copy of the store and run `sudare-audit verify` on it: entries may have been changed."
            ),
            reason: None,
            session_id: None,
            incident_id: None,
            blobs: Vec::new(),
            numbers: Vec::new(),
            ids: Vec::new(),
        }
    }

    /// The id of this alarm: the same each time it is sent, and unique.
    pub fn uid(&self, origin: &str) -> String {
        let suffix = if self.kind == CONTRADICTION { "!contradiction" } else { "" };
        format!("{origin}#{}{suffix}", self.leaf_index)
    }
}

const CONTRADICTION: &str = "log-contradiction";

/// The content of one kind of alarm.
struct Words {
    kind: &'static str,
    severity: Severity,
    title: &'static str,
    activity: Activity,
    numbers: Vec<(&'static str, u64)>,
    ids: Vec<(&'static str, String)>,
}

impl Words {
    fn new(kind: &'static str, severity: Severity, title: &'static str) -> Self {
        Self { kind, severity, title, activity: Activity::Create, numbers: Vec::new(), ids: Vec::new() }
    }

    fn number(mut self, name: &'static str, value: u64) -> Self {
        self.numbers.push((name, value));
        self
    }

    fn id(mut self, name: &'static str, id: &[u8]) -> Self {
        self.ids.push((name, hex(id)));
        self
    }

    fn update(mut self) -> Self {
        self.activity = Activity::Update;
        self
    }
}

fn words(event: &Event, reason: Option<Reason>) -> Option<Words> {
    match event {
        Event::IncidentOpen(_) => {
            let title = "An incident was opened and the session covered";
            // A reason that this version does not know may be the worst one.
            let severity = reason.map_or(Severity::High, Reason::severity);
            Some(Words::new("incident-open", severity, title))
        }
        Event::IncidentComplete(complete) => {
            let severity = if complete.missing == 0 { Severity::Informational } else { Severity::Medium };
            let title = "The evidence of an incident is as complete as it will be";
            let words = Words::new("incident-complete", severity, title).update();
            Some(words.number("missing_pictures", complete.missing.into()))
        }
        Event::Cover(cover) => cover_words(cover, reason),
        Event::Gap(gap) => Some(gap_words(gap)),
        // Said at each session, so it is no alarm.
        Event::Note(note)
            if [NoteCode::Owner, NoteCode::Rules].iter().any(|said| said.number() == note.code) =>
        {
            None
        }
        Event::Note(note) => Some(note_words(*note)),
        Event::Liveness(check) => liveness_words(check),
        Event::RecorderStart(start) => recorder_words(start),
        Event::HostKeyChange(_) => {
            Some(Words::new("host-key-change", Severity::Medium, "The host has another key from here on"))
        }
        Event::Tombstone(tombstone) => Some(tombstone_words(tombstone)),
        Event::Approval(_) => {
            Some(Words::new("approval", Severity::Low, "An erasure or a view was approved"))
        }
        Event::View(view) => {
            let words = Words::new("view", Severity::Informational, "Somebody was shown a picture");
            let words = words.number("purpose", view.purpose.into());
            Some(words.id("viewed_blob_id", &view.blob_id).id("viewer_key_id", &view.viewer))
        }
        Event::Unknown { kind, .. } => {
            let words = Words::new("unknown-kind", Severity::Low, "The log holds a kind of a later version");
            Some(words.number("kind", (*kind).into()))
        }
        _ => None,
    }
}

/// A cover that worked belongs to an incident or to everyday use, and is not an alarm.
fn cover_words(cover: &Cover, reason: Option<Reason>) -> Option<Words> {
    let words = match reason {
        Some(reason @ Reason::EvidenceNotKept) => {
            let title = "The session was covered, because its evidence cannot be kept";
            Words::new(reason.as_str(), reason.severity(), title)
        }
        // The host then ends the connection.
        _ if !cover.confirmed => {
            let fault = Reason::CoverFault;
            Words::new(fault.as_str(), fault.severity(), "The cover could not be confirmed")
        }
        _ => return None,
    };
    Some(words.number("cover_ms", cover.effective_boot_ms.saturating_sub(cover.asked_boot_ms)))
}

fn gap_words(gap: &Gap) -> Words {
    let title = "There is a time without enforcement or record";
    let words = Words::new("gap", Severity::Medium, title);
    words.number("gap_ms", gap.to_boot_ms.saturating_sub(gap.from_boot_ms))
}

fn note_words(note: Note) -> Words {
    let words = match NoteCode::from_number(note.code) {
        Some(code) => Words::new(code.as_str(), code.severity(), code.english()),
        None => Words::new("note", Severity::Low, "Something was noted that this program has no words for"),
    };
    words.number("code", note.code.into()).number("value", note.value)
}

/// A check that was passed is everyday; one that failed may be a picture held to the camera.
fn liveness_words(check: &Liveness) -> Option<Words> {
    if check.opened {
        return None;
    }
    let title = "A check whether somebody alive is in front of the camera failed";
    Some(Words::new("liveness", Severity::Medium, title).number("result", check.result.into()))
}

/// Retention erases pictures routinely; people erasing some deserves attention.
fn tombstone_words(tombstone: &Tombstone) -> Words {
    let by_retention = tombstone.cause == Erasure::Retention.number();
    let severity = if by_retention { Severity::Informational } else { Severity::Medium };
    let words = Words::new("tombstone", severity, "Sealed pictures were erased");
    let words = words.number("erased_pictures", tombstone.blobs.len() as u64);
    words.number("cause", tombstone.cause.into())
}

/// A clean start is not an alarm; one that found less than was written is.
fn recorder_words(start: &RecorderStart) -> Option<Words> {
    if start.torn_bytes == 0 && start.wal_behind == 0 {
        return None;
    }
    let severity = if start.wal_behind > 0 { Severity::High } else { Severity::Medium };
    let title = "The recorder found its write-ahead file torn or shorter than it should be";
    let words = Words::new("recorder-recovered", severity, title);
    Some(words.number("torn_bytes", start.torn_bytes).number("wal_behind", start.wal_behind))
}

/// The host's own name: the last part of the log's name.
pub(crate) fn host_name(origin: &str) -> String {
    let last = origin.rsplit('/').next().unwrap_or(origin);
    let name: String = last.chars().filter(char::is_ascii_graphic).take(255).collect();
    if name.is_empty() { "-".to_owned() } else { name }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use sudare_protocol::evidence::event::{IncidentComplete, IncidentOpen, Uncover};
    use sudare_protocol::evidence::{Label, VERSION};

    pub(crate) fn entry(event: &Event, reason: Option<Reason>) -> Entry {
        let (kind, body) = event.encode();
        Entry {
            version: VERSION,
            seq: 7,
            wall_ms: 1_795_341_600_123,
            boot_ms: 5,
            boot_id: [3; 16],
            session_id: Some([5; 16]),
            incident_id: Some([0xab; 16]),
            kind,
            reason: reason.map(Reason::number),
            blobs: Vec::new(),
            body,
            source: None,
            serial: None,
        }
    }

    pub(crate) fn proof() -> Proof {
        Proof { origin: "sudare.example/log/vdi-0042".into(), size: 8, root: [6; 32] }
    }

    pub(crate) fn alert(blobs: usize) -> Alert {
        let blob = BlobRef {
            blob_id: [1; 16],
            label: Label::CameraBeforePixelated.number(),
            media: 0,
            sha256: [2; 32],
            size: u64::from(u32::MAX),
            commitment: [4; 32],
            header_size: None,
        };
        let mut entry =
            entry(&Event::IncidentComplete(IncidentComplete { missing: 1 }), Some(Reason::Onlooker));
        entry.blobs = vec![blob; blobs];
        Alert::of(7, &entry).unwrap()
    }

    fn kind_of(event: Event, reason: Reason) -> Option<&'static str> {
        Alert::of(7, &entry(&event, Some(reason))).map(|alert| alert.kind)
    }

    #[test]
    fn routine_is_not_an_alarm_and_failures_are() {
        let cover = |confirmed| {
            Event::Cover(Cover { asked_boot_ms: 1, effective_boot_ms: 31, confirmed, cause_seq: None })
        };
        assert_eq!(kind_of(cover(true), Reason::Absent), None);
        assert_eq!(kind_of(Event::Uncover(Uncover { boot_ms: 1 }), Reason::None), None);
        assert_eq!(kind_of(cover(false), Reason::CoverFault), Some("cover-fault"));
        assert_eq!(kind_of(cover(true), Reason::EvidenceNotKept), Some("evidence-not-kept"));
        let gap = Event::Gap(Gap { from_boot_ms: 1, to_boot_ms: 4 });
        assert_eq!(kind_of(gap, Reason::LinkLost), Some("gap"));
        let later = Event::Unknown { kind: 4000, body: vec![0xa0] };
        assert_eq!(kind_of(later, Reason::None), Some("unknown-kind"));
        let note = |code| Event::Note(Note { code, value: 3 });
        assert_eq!(kind_of(note(1), Reason::None), Some("evidence-refused"));
        assert_eq!(kind_of(note(2), Reason::None), Some("wrong-block"));
        assert_eq!(kind_of(note(3), Reason::None), Some("quota"));
        assert_eq!(kind_of(note(4), Reason::None), Some("refused"));
        assert_eq!(kind_of(note(999), Reason::None), Some("note"));
        let check = |opened| Event::Liveness(Liveness { boot_ms: 1, result: 4, opened });
        assert_eq!(kind_of(check(true), Reason::None), None);
        assert_eq!(kind_of(check(false), Reason::None), Some("liveness"));
    }

    #[test]
    fn severities_stay_as_the_rules_of_receivers_know_them() {
        let incident = Event::IncidentOpen(IncidentOpen { boot_ms: 1 });
        let of_incident = |reason| Alert::of(7, &entry(&incident, reason)).unwrap().severity;
        assert_eq!(of_incident(None), Severity::High);
        for reason in Reason::ALL.iter().copied().filter(|reason| reason.is_incident()) {
            let expected = match reason.as_str() {
                "stranger" | "spoof" | "phone" | "bad-message" => Severity::High,
                "link-lost" | "client-asked" => Severity::Low,
                _ => Severity::Medium,
            };
            assert_eq!(of_incident(Some(reason)), expected, "{reason:?}");
        }
        let note = |code| Alert::of(7, &entry(&Event::Note(Note { code, value: 0 }), None)).unwrap();
        for (code, severity) in
            [(1, 4), (2, 2), (3, 4), (4, 3), (16, 3), (17, 4), (18, 4), (19, 3), (20, 4), (21, 3)]
        {
            assert_eq!(note(code).severity as u32, severity, "note {code}");
        }
        assert_eq!((note(999).kind, note(999).severity), ("note", Severity::Low));
    }

    #[test]
    fn an_incident_is_opened_and_then_updated_under_one_id() {
        let open = entry(&Event::IncidentOpen(IncidentOpen { boot_ms: 1 }), Some(Reason::Stranger));
        let open = Alert::of(7, &open).unwrap();
        let done = entry(&Event::IncidentComplete(IncidentComplete { missing: 2 }), Some(Reason::Stranger));
        let done = Alert::of(9, &done).unwrap();
        assert_eq!((open.activity, done.activity), (Activity::Create, Activity::Update));
        assert_eq!(open.incident_id, done.incident_id);
        assert_eq!((open.severity, done.severity), (Severity::High, Severity::Medium));
        assert_eq!((open.uid("o"), done.uid("o")), ("o#7".into(), "o#9".into()));
        assert_eq!(Alert::contradiction(9, 0, "").uid("o"), "o#9!contradiction");
    }

    #[test]
    fn an_unreadable_body_is_reported_and_not_dropped() {
        let broken = Entry { body: vec![0xff], ..entry(&Event::Note(Note { code: 1, value: 0 }), None) };
        assert_eq!(Alert::of(7, &broken).unwrap().kind, "entry-unreadable");
    }

    #[test]
    fn hosts_are_named_as_their_logs_are() {
        assert_eq!(host_name("sudare.example/log/vdi-0042"), "vdi-0042");
        assert_eq!((host_name("a b/\u{7f}\u{e9} "), host_name("")), ("-".into(), "-".into()));
    }
}
