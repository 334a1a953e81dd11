//! The figures as OpenMetrics text. One table says what there is; a page of the reference repeats it, and a test compares
//! both. Pure.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use sudare_protocol::evidence::event::LivenessResult;
use sudare_protocol::evidence::note::NoteCode;
use sudare_protocol::reason::Reason;

use super::readings::Disk;
use super::sessions::Shown;
use super::tally::{CLASSES_MS, Counts, Tally, Times, label};

/// Everything that one answer is made of.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) tally: Tally,
    /// The monotonic clock, as the tally's.
    pub(super) now_ms: u64,
    pub(super) disk: Option<Disk>,
    /// What ends when: Unix time in seconds.
    pub(super) until_s: Vec<(&'static str, u64)>,
}

/// Values with the value of their label; one without a label has an empty one.
type Values = Vec<(&'static str, u64)>;

/// How a figure is read off.
#[derive(Clone, Copy)]
enum Of {
    Counter(fn(&Page) -> Values),
    Gauge(fn(&Page) -> Values),
    Histogram(fn(&Page) -> &Times),
    Info(&'static str),
}

/// One figure.
pub struct Metric {
    /// Without the ending that OpenMetrics adds: `_total`, `_info`, or those of a histogram.
    pub name: &'static str,
    /// Name of its one label, or empty.
    pub label: &'static str,
    pub help: &'static str,
    of: Of,
}

impl fmt::Debug for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Metric {
    /// Its type in the format's words.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.of {
            Of::Counter(_) => "counter",
            Of::Gauge(_) => "gauge",
            Of::Histogram(_) => "histogram",
            Of::Info(_) => "info",
        }
    }

    /// How its lines begin.
    #[must_use]
    pub fn series(&self) -> Vec<String> {
        let ends: &[&str] = match self.of {
            Of::Counter(_) => &["_total"],
            Of::Gauge(_) => &[""],
            Of::Histogram(_) => &["_bucket", "_count", "_sum"],
            Of::Info(_) => &["_info"],
        };
        ends.iter().map(|end| format!("{}{end}", self.name)).collect()
    }
}

const fn metric(name: &'static str, label: &'static str, help: &'static str, of: Of) -> Metric {
    Metric { name, label, help, of }
}

/// All figures there are.
pub const METRICS: &[Metric] = &[
    metric("sudare_build", "version", "Version of the recorder", Of::Info(env!("CARGO_PKG_VERSION"))),
    metric("sudare_gates_connected", "", "Gates that are connected to the recorder", Of::Gauge(guards)),
    metric("sudare_sessions", "shown", "Sessions now, by what is shown of them", Of::Gauge(sessions)),
    metric("sudare_sessions_covered", "reason", "Covered sessions now, by why", Of::Gauge(covered)),
    metric("sudare_sessions_started", "", "Sessions that began", Of::Counter(|page| one(page.tally.started))),
    metric("sudare_sessions_ended", "", "Sessions that ended", Of::Counter(|page| one(page.tally.ended))),
    metric(
        "sudare_covers",
        "reason",
        "How often a desktop that was shown, or may have been, was covered, by why",
        Of::Counter(|page| by_reason(&page.tally.covers)),
    ),
    metric(
        "sudare_cover_latency_seconds",
        "",
        "From the decision to cover until the client was sent black",
        Of::Histogram(|page| &page.tally.black),
    ),
    metric(
        "sudare_covers_unconfirmed",
        "",
        "Covers that nobody saw black in time, after which the client was disconnected",
        Of::Counter(|page| one(page.tally.unconfirmed)),
    ),
    metric(
        "sudare_lease_losses",
        "",
        "How often the reports of a client stayed out until its lease ended, also while it was covered",
        Of::Counter(|page| one(page.tally.lease_losses)),
    ),
    metric(
        "sudare_wrong_block_reports",
        "reason",
        "How often an operator said that a cover was wrong, by why it was covered",
        Of::Counter(|page| by_reason(&page.tally.wrong)),
    ),
    metric(
        "sudare_incidents",
        "reason",
        "Incidents that began, by why",
        Of::Counter(|page| by_reason(&page.tally.incidents)),
    ),
    metric(
        "sudare_gaps",
        "reason",
        "Times without enforcement or without a record, by why",
        Of::Counter(|page| by_reason(&page.tally.gaps)),
    ),
    metric("sudare_notes", "note", "Notes in the log, by what they are about", Of::Counter(notes)),
    metric("sudare_liveness_checks", "result", "Checks of liveness, by their result", Of::Counter(liveness)),
    metric("sudare_log_entries", "", "Entries in the log", Of::Gauge(|page| one(page.tally.log.entries))),
    metric(
        "sudare_log_unsigned_entries",
        "",
        "Entries that are stored and under no checkpoint yet",
        Of::Gauge(|page| one(page.tally.log.entries.saturating_sub(page.tally.log.signed))),
    ),
    metric(
        "sudare_record_seconds",
        "",
        "From when the recorder took reports until they were stored",
        Of::Histogram(|page| &page.tally.recording),
    ),
    metric(
        "sudare_evidence_waiting_seconds",
        "",
        "For how long reports have been waiting that could not be stored; 0 if there are none",
        Of::Gauge(|page| one(page.age_s(page.tally.waiting_since_ms))),
    ),
    metric(
        "sudare_store_failing",
        "",
        "1 while nothing can be stored",
        Of::Gauge(|page| one(page.tally.store_fails.into())),
    ),
    metric(
        "sudare_recorder_turn_age_seconds",
        "",
        "Since the thread that owns the log last did something; it does so five times a second",
        Of::Gauge(|page| one(page.age_s(page.tally.turned_ms))),
    ),
    metric(
        "sudare_evidence_unshipped_entries",
        "",
        "Entries that the copy off this host lacks; absent where there is no copy",
        Of::Gauge(|page| {
            let shipped = page.tally.log.shipped;
            shipped
                .map(|(shipped, _)| ("", page.tally.log.entries.saturating_sub(shipped)))
                .into_iter()
                .collect()
        }),
    ),
    metric(
        "sudare_evidence_unshipped_seconds",
        "",
        "Age of the oldest entry that the copy off this host lacks; absent where there is no copy",
        Of::Gauge(|page| page.tally.log.shipped.map(|(_, ms)| ("", ms / 1_000)).into_iter().collect()),
    ),
    metric(
        "sudare_disk_free_bytes",
        "",
        "Free space where the evidence is kept",
        Of::Gauge(|page| read(page, |disk| Some(disk.free_bytes))),
    ),
    metric(
        "sudare_disk_size_bytes",
        "",
        "Size of the disk with the evidence",
        Of::Gauge(|page| read(page, |disk| Some(disk.size_bytes))),
    ),
    metric(
        "sudare_disk_free_files",
        "",
        "Files that still fit there; absent where the file system sets no limit",
        Of::Gauge(|page| read(page, |disk| disk.free_files)),
    ),
    metric(
        "sudare_valid_until_timestamp_seconds",
        "what",
        "When the host's record, its policy and its certificate end; absent where the recorder may not read it",
        Of::Gauge(|page| page.until_s.clone()),
    ),
];

fn one(value: u64) -> Values {
    vec![("", value)]
}

fn read(page: &Page, of: fn(&Disk) -> Option<u64>) -> Values {
    page.disk.as_ref().and_then(of).map(|value| ("", value)).into_iter().collect()
}

/// Also those that never happened, so that the first time is an increase; a number of a later version only if it did.
fn with_zeros(counts: &Counts, names: impl Iterator<Item = &'static str>) -> Values {
    let mut all: Counts = names.map(|name| (name, 0)).collect();
    all.extend(counts);
    all.into_iter().collect()
}

fn by_reason(counts: &Counts) -> Values {
    let reasons = Reason::ALL.iter().filter(|reason| **reason != Reason::None);
    with_zeros(counts, reasons.map(|reason| label(*reason)))
}

fn notes(page: &Page) -> Values {
    with_zeros(&page.tally.notes, NoteCode::ALL.iter().map(|code| code.as_str()))
}

fn liveness(page: &Page) -> Values {
    with_zeros(&page.tally.liveness, LivenessResult::ALL.iter().map(|result| result.as_str()))
}

fn guards(page: &Page) -> Values {
    one(page.tally.guards() as u64)
}

fn sessions(page: &Page) -> Values {
    let mut counts = Counts::from([("covered", 0), ("visible", 0)]);
    for shown in page.tally.shown() {
        let name = if shown == Shown::Visible { "visible" } else { "covered" };
        *counts.entry(name).or_default() += 1;
    }
    counts.into_iter().collect()
}

fn covered(page: &Page) -> Values {
    let mut counts = Counts::new();
    for shown in page.tally.shown() {
        if let Shown::Covered(reason) = shown {
            *counts.entry(label(reason)).or_default() += 1;
        }
    }
    by_reason(&counts)
}

impl Page {
    fn age_s(&self, since_ms: Option<u64>) -> u64 {
        since_ms.map_or(0, |since_ms| self.now_ms.saturating_sub(since_ms) / 1_000)
    }

    fn encode_one(&self, metric: &Metric, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let kind = match metric.of {
            Of::Counter(_) => MetricType::Counter,
            Of::Gauge(_) => MetricType::Gauge,
            Of::Histogram(_) => MetricType::Histogram,
            Of::Info(_) => MetricType::Info,
        };
        let mut into = encoder.encode_descriptor(metric.name, metric.help, None, kind)?;
        let none = None::<&prometheus_client::metrics::exemplar::Exemplar<NoLabelSet, u64>>;
        match metric.of {
            Of::Info(value) => into.encode_info(&[(metric.label, value)]),
            Of::Histogram(of) => {
                let times = of(self);
                let seconds = |ms| Duration::from_millis(ms).as_secs_f64();
                let ends = CLASSES_MS.map(seconds).into_iter().chain([f64::INFINITY]);
                let classes: Vec<(f64, u64)> = ends.zip(times.counts).collect();
                let count = times.counts.iter().sum();
                into.encode_histogram::<NoLabelSet>(seconds(times.sum_ms), count, &classes, None)
            }
            Of::Counter(of) | Of::Gauge(of) => {
                let is_counter = matches!(metric.of, Of::Counter(_));
                for (name, value) in of(self) {
                    let labels: &[(&str, &str)] = &[(metric.label, name)];
                    let labels = if metric.label.is_empty() { &[] } else { labels };
                    let mut into = into.encode_family(&labels)?;
                    if is_counter { into.encode_counter(&value, none) } else { into.encode_gauge(&value) }?;
                }
                Ok(())
            }
        }
    }
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        METRICS.iter().try_for_each(|metric| self.encode_one(metric, &mut encoder))
    }
}

/// The whole page.
pub(super) fn render(page: Page) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(page));
    let mut said = String::new();
    text::encode(&mut said, &registry)?;
    Ok(said)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use sudare_protocol::evidence::Event;
    use sudare_protocol::evidence::event::Cover;

    use super::super::tally::LogSize;
    use super::super::tally::tests::{SESSION, entry, report};
    use super::*;

    fn page() -> Page {
        let mut tally = Tally::default();
        let cover = Cover { asked_boot_ms: 5, effective_boot_ms: 17, confirmed: true, cause_seq: None };
        tally.take(&report(vec![
            crate::accounting::tests::start(SESSION),
            entry(None, &Event::Uncover(sudare_protocol::evidence::event::Uncover { boot_ms: 1 })),
            entry(Some(Reason::Stranger), &Event::Cover(cover)),
        ]));
        tally.connected([1; 16]);
        tally.not_recorded(4_000);
        tally.turned(Some(LogSize { entries: 9, signed: 7, shipped: Some((5, 3_999)) }), 9_000);
        let disk = Disk { free_bytes: 10, size_bytes: 20, free_files: Some(30) };
        Page { tally, now_ms: 11_000, disk: Some(disk), until_s: vec![("policy", 1_893_456_000)] }
    }

    #[test]
    fn every_figure_is_there_with_its_type_and_nothing_else() {
        let said = render(page()).unwrap();
        assert!(said.ends_with("# EOF\n"), "{said}");
        let mut seen = BTreeSet::new();
        for line in said.lines().filter(|line| !line.starts_with('#')) {
            seen.insert(line.split(['{', ' ']).next().unwrap().to_owned());
        }
        assert_eq!(seen, METRICS.iter().flat_map(Metric::series).collect());
        for metric in METRICS {
            assert!(said.contains(&format!("# TYPE {} {}\n", metric.name, metric.kind())), "{metric:?}");
            assert!(metric.name.starts_with("sudare_") && !metric.help.ends_with('.'), "{metric:?}");
        }
    }

    #[test]
    fn figures_are_what_was_counted() {
        let said = render(page()).unwrap();
        for line in [
            "sudare_covers_total{reason=\"stranger\"} 1",
            "sudare_covers_total{reason=\"away\"} 0",
            "sudare_cover_latency_seconds_bucket{le=\"0.01\"} 0",
            "sudare_cover_latency_seconds_bucket{le=\"0.02\"} 1",
            "sudare_cover_latency_seconds_bucket{le=\"+Inf\"} 1",
            "sudare_cover_latency_seconds_sum 0.012",
            "sudare_sessions{shown=\"covered\"} 1",
            "sudare_sessions_covered{reason=\"stranger\"} 1",
            "sudare_evidence_waiting_seconds 7",
            "sudare_recorder_turn_age_seconds 2",
            "sudare_log_unsigned_entries 2",
            "sudare_evidence_unshipped_entries 4",
            "sudare_evidence_unshipped_seconds 3",
            "sudare_disk_free_files 30",
            "sudare_valid_until_timestamp_seconds{what=\"policy\"} 1893456000",
        ] {
            assert!(said.lines().any(|said| said == line), "{line} is missing:\n{said}");
        }
    }

    #[test]
    fn what_is_not_there_has_no_figure() {
        let page = Page { tally: Tally::default(), now_ms: 1, disk: None, until_s: vec![] };
        let said = render(page).unwrap();
        for absent in ["disk_free_bytes ", "unshipped_seconds ", "valid_until_timestamp_seconds{"] {
            let named = format!("sudare_{absent}");
            assert!(
                !said.lines().any(|line| line.starts_with(named.trim_start_matches("sudare_evidence_"))
                    && !line.starts_with('#')),
                "{said}"
            );
        }
        assert!(said.contains("sudare_sessions{shown=\"visible\"} 0"), "{said}");
    }
}
