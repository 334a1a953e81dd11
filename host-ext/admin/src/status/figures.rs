//! The recorder's figures, read where it shows them.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use sudare_base::metrics::MetricsPlace;

/// The recorder hangs up by then.
const WAIT: Duration = Duration::from_secs(3);
/// Many times what there is.
const ANSWER_MAX_BYTES: u64 = 1 << 20;

/// Each line of the page: its name with its label, and its value.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Figures(BTreeMap<String, f64>);

/// Reads the page.
pub(super) fn read(place: &MetricsPlace) -> Result<Figures, String> {
    let told = match place {
        MetricsPlace::Off => return Err("not shown, since `metrics` is off".into()),
        MetricsPlace::Unix(path) => UnixStream::connect(path).and_then(|stream| {
            stream.set_read_timeout(Some(WAIT))?;
            stream.set_write_timeout(Some(WAIT))?;
            ask(stream)
        }),
        MetricsPlace::Loopback(at) => TcpStream::connect_timeout(at, WAIT).and_then(|stream| {
            stream.set_read_timeout(Some(WAIT))?;
            stream.set_write_timeout(Some(WAIT))?;
            ask(stream)
        }),
    };
    let told = told
        .map_err(|e| format!("{place}: {e}. The recorder shows them there once it runs with this setting"))?;
    parse(&told).ok_or_else(|| format!("what answers at {place} is no recorder of this version"))
}

fn ask(mut stream: impl Read + Write) -> io::Result<String> {
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut bytes = Vec::new();
    stream.take(ANSWER_MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn parse(answer: &str) -> Option<Figures> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    // Cut short, or something else.
    if !head.starts_with("HTTP/1.1 200 ") || !body.ends_with("# EOF\n") {
        return None;
    }
    let lines = body.lines().filter(|line| !line.starts_with('#'));
    let pair = |line: &str| {
        let (name, value) = line.rsplit_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    lines.map(pair).collect::<Option<BTreeMap<_, _>>>().map(Figures)
}

/// The value of the one label of a line, if it is of this name.
fn label_of<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    line.strip_prefix(name)?.strip_prefix('{')?.split('"').nth(1)
}

impl Figures {
    /// Of one without a label.
    pub(super) fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }

    /// Of one with a label: its values that are not 0, the largest first.
    pub(super) fn by_label(&self, name: &str) -> Vec<(&str, f64)> {
        let lines = self.0.iter().filter(|(_, value)| **value > 0.0);
        let mut found: Vec<(&str, f64)> =
            lines.filter_map(|(line, value)| Some((label_of(line, name)?, *value))).collect();
        found.sort_by(|a, b| b.1.total_cmp(&a.1));
        found
    }

    pub(super) fn sum(&self, name: &str) -> f64 {
        // A sum of nothing would be -0.
        self.by_label(name).iter().fold(0.0, |sum, (_, value)| sum + value)
    }

    /// The time within which so large a part of what a histogram counted was, in seconds; `None` if it counted nothing.
    pub(super) fn within(&self, histogram: &str, part: f64) -> Option<f64> {
        let count = self.get(&format!("{histogram}_count")).filter(|count| *count > 0.0)?;
        let mut classes: Vec<(f64, f64)> = self
            .by_label(&format!("{histogram}_bucket"))
            .into_iter()
            .filter_map(|(end, below)| Some((end.replace("+Inf", "inf").parse().ok()?, below)))
            .collect();
        classes.sort_by(|a, b| a.0.total_cmp(&b.0));
        classes.into_iter().find(|(_, below)| *below >= part * count).map(|(end, _)| end)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn figures(lines: &str) -> Figures {
        parse(&format!("HTTP/1.1 200 OK\r\n\r\n{lines}# EOF\n")).unwrap()
    }

    #[test]
    fn figures_are_read_by_name_and_label() {
        let figures = figures(
            "# TYPE x counter\nx_total{reason=\"absent\"} 2\nx_total{reason=\"phone\"} 5\nx_total{reason=\"spoof\"} 0\ny 7.5\n\
             h_bucket{le=\"0.01\"} 3\nh_bucket{le=\"0.1\"} 4\nh_bucket{le=\"+Inf\"} 4\nh_count 4\n",
        );
        assert_eq!(figures.by_label("x_total"), [("phone", 5.0), ("absent", 2.0)]);
        assert_eq!((figures.sum("x_total"), figures.get("y"), figures.get("z")), (7.0, Some(7.5), None));
        assert_eq!((figures.within("h", 0.5), figures.within("h", 0.95)), (Some(0.01), Some(0.1)));
        assert_eq!(figures.within("none", 0.5), None);
    }

    #[test]
    fn what_is_cut_short_or_no_page_is_none() {
        for answer in [
            "",
            "HTTP/1.1 200 OK\r\n\r\ny 1\n",
            "HTTP/1.1 404 Not Found\r\n\r\n# EOF\n",
            "HTTP/1.1 200 OK\r\n\r\ny\n# EOF\n",
        ] {
            assert_eq!(parse(answer), None, "{answer}");
        }
        assert!(read(&MetricsPlace::Off).unwrap_err().contains("off"));
        assert!(read(&MetricsPlace::Unix("/nonexistent/metrics".into())).is_err());
    }
}
