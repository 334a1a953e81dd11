//! One file of the host reads clocks, so that everything else can run on a clock of its own. (For the client,
//! clippy sees to that: client-ext/clippy.toml.)

use super::without_tests;

const READER: &str = "host-ext/base/src/clock.rs";
/// Put together from halves so that this file passes itself.
const READS: &[&str] = &[
    concat!("Instant::", "now"),
    concat!("SystemTime::", "now"),
    concat!("Zoned::", "now"),
    concat!("Timestamp::", "now"),
    concat!("clock_", "gettime("),
    concat!(".elap", "sed()"),
];

/// Says where `text`, the content of the file `name`, reads a clock by itself.
pub(super) fn findings(name: &str, text: &str) -> Vec<String> {
    if !name.starts_with("host-ext/") || name == READER {
        return Vec::new();
    }
    let reads = |line: &str| {
        let code = line.split("//").next().unwrap_or_default();
        READS.iter().any(|read| code.contains(read))
    };
    (1..)
        .zip(without_tests(name, text).lines())
        .filter(|(_, line)| reads(line))
        .map(|(number, _)| {
            format!("{name}:{number}: reads a clock. Take the time as an argument, or read {READER}'s.")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_read_in_one_file_and_in_tests() {
        for read in READS {
            let text = format!("fn f() {{\n    let at = {read}();\n}}\n");
            let found = findings("host-ext/guard/src/decision.rs", &text);
            assert!(
                found.len() == 1 && found.iter().all(|f| f.contains("decision.rs:2: reads")),
                "{found:?}"
            );
            for name in [READER, "host-ext/recorder/src/tests.rs", "tests/all/a.rs"] {
                assert!(findings(name, &text).is_empty(), "{name}");
            }
            for seen in ["", "pub(super) "] {
                let tested = format!("// not {read}()\n#[cfg(test)]\n{seen}mod tests {{\n{text}}}\n");
                assert!(findings("host-ext/guard/src/decision.rs", &tested).is_empty());
            }
        }
    }
}
