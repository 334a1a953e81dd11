//! Who may depend on whom, as docs/architecture.md draws it.

/// What each of our packages may name as a dependency of its library and programs.
const ALLOWED: &[(&str, &[&str])] = &[
    ("sudare-protocol", &[]),
    ("sudare-protocol-fuzz", &["sudare-protocol"]),
    ("sudare-models", &[]),
    // The employee's PC.
    ("sudare-client-core", &["sudare-protocol"]),
    ("sudare-vision", &["sudare-protocol", "sudare-models", "sudare-client-core"]),
    ("sudare-client-runtime", &["sudare-protocol", "sudare-client-core", "sudare-vision"]),
    // Without IronRDP: somebody else's program brings the connection.
    ("sudare-freerdp", &["sudare-protocol", "sudare-client-runtime"]),
    ("sudare-headless", &["sudare-protocol", "sudare-client-runtime"]),
    (
        "sudare-cli",
        &[
            "sudare-protocol",
            "sudare-models",
            "sudare-client-core",
            "sudare-vision",
            "sudare-client-runtime",
            "sudare-headless",
        ],
    ),
    // Beside the command line, so that nothing but the window links what draws it.
    ("sudare-window", &["sudare-protocol", "sudare-client-core", "sudare-vision", "sudare-client-runtime"]),
    // The host, one package for each account or audience.
    ("sudare-base", &[]),
    ("sudare-records", &["sudare-base", "sudare-protocol"]),
    ("sudare-evidence", &["sudare-base", "sudare-protocol"]),
    ("sudare-guard", &["sudare-base", "sudare-protocol", "sudare-records", "sudare-evidence"]),
    ("sudare-recorder", &["sudare-base", "sudare-protocol", "sudare-records", "sudare-evidence"]),
    ("sudare-ship", &["sudare-base", "sudare-protocol", "sudare-evidence"]),
    ("sudare-forward", &["sudare-base", "sudare-protocol", "sudare-evidence"]),
    // Of the evidence the form of its status only.
    ("sudare-fleet", &["sudare-base", "sudare-protocol", "sudare-records", "sudare-evidence"]),
    ("sudare-witness", &["sudare-base", "sudare-protocol", "sudare-evidence"]),
    ("sudare-audit", &["sudare-base", "sudare-protocol", "sudare-records", "sudare-evidence"]),
    // Pure: what it knows of ours is the name of the channel.
    ("sudare-relay", &["sudare-protocol"]),
    // Of the relay the format of recordings: it has no key, and decodes what strangers drew.
    ("sudare-picture", &["sudare-relay"]),
    ("sudare-relay-fuzz", &["sudare-relay"]),
    // Of the relay TSRequest and the packets: it reads passwords, and no gate links what reads them.
    ("sudare-nla", &["sudare-base", "sudare-relay"]),
    // The relay with sockets: what it decides is the guard's.
    (
        "sudare-gate",
        &[
            "sudare-base",
            "sudare-protocol",
            "sudare-records",
            "sudare-evidence",
            "sudare-guard",
            // The packets only.
            "sudare-owner",
            "sudare-relay",
        ],
    ),
    // It may look into every process.
    ("sudare-owner", &["sudare-base"]),
    // The offline key: no other program of ours makes or reads it.
    ("sudare-authority", &["sudare-base", "sudare-protocol", "sudare-records"]),
    (
        "sudare-embedded",
        &[
            "sudare-base",
            "sudare-protocol",
            "sudare-records",
            "sudare-evidence",
            "sudare-guard",
            "sudare-recorder",
        ],
    ),
    (
        "sudare-admin",
        &[
            "sudare-base",
            "sudare-protocol",
            "sudare-records",
            "sudare-evidence",
            // Settings, keys and targets are read as a gate reads them.
            "sudare-gate",
            "sudare-guard",
            // The packets only.
            "sudare-owner",
        ],
    ),
    ("xtask", &[]),
    // Preloaded into a program under test: whatever it knew would be twice in there.
    ("sudare-v4l2-shim", &[]),
    // Knows our programs by their names only.
    ("sudare-test-kit", &["sudare-protocol"]),
    (
        "sudare-sim",
        &[
            "sudare-base",
            "sudare-client-core",
            "sudare-evidence",
            "sudare-guard",
            "sudare-protocol",
            "sudare-test-kit",
        ],
    ),
    (
        "sudare-stack",
        &[
            "sudare-client-core",
            "sudare-client-runtime",
            "sudare-guard",
            "sudare-models",
            "sudare-owner",
            "sudare-protocol",
            "sudare-test-kit",
            "sudare-vision",
        ],
    ),
    // Not forward: touching an encoder of alarms relinks one program.
    (
        "sudare-demo",
        &[
            "sudare-audit",
            "sudare-base",
            "sudare-client-core",
            "sudare-client-runtime",
            "sudare-evidence",
            // Its runtime with a guard that shows everything, to be measured.
            "sudare-gate",
            "sudare-guard",
            "sudare-headless",
            "sudare-models",
            "sudare-protocol",
            "sudare-recorder",
            "sudare-records",
            "sudare-relay",
            "sudare-stack",
            "sudare-test-kit",
            "sudare-vision",
        ],
    ),
    ("sudare-tests", &[]),
];

/// What tests alone may name besides. They check what a package wrote with the program that will read it.
const ALLOWED_IN_TESTS: &[(&str, &[&str])] = &[
    ("sudare-recorder", &["sudare-audit"]),
    ("sudare-gate", &["sudare-nla", "sudare-test-kit"]),
    ("sudare-relay", &["sudare-test-kit"]),
    ("sudare-ship", &["sudare-audit", "sudare-witness"]),
    // The one test binary alone knows everybody: nothing links it.
    (
        "sudare-tests",
        &[
            "sudare-audit",
            "sudare-base",
            "sudare-client-core",
            "sudare-client-runtime",
            "sudare-demo",
            "sudare-embedded",
            "sudare-evidence",
            "sudare-guard",
            "sudare-headless",
            "sudare-models",
            "sudare-protocol",
            "sudare-recorder",
            "sudare-records",
            "sudare-relay",
            "sudare-ship",
            "sudare-sim",
            "sudare-stack",
            "sudare-test-kit",
        ],
    ),
];

/// Says where `manifest`, the content of the Cargo.toml `name`, crosses a boundary.
pub(super) fn findings(name: &str, manifest: &str) -> Vec<String> {
    let Some(package) = package_name(manifest) else {
        // The workspace's own manifest: what it lists is used by nobody yet.
        return Vec::new();
    };
    let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| *known == package) else {
        return vec![format!(
            "{name}: {package} is new. Draw it in docs/architecture.md and add it to {}",
            file!()
        )];
    };
    let in_tests = ALLOWED_IN_TESTS.iter().find(|(known, _)| *known == package);
    let in_tests = in_tests.map_or(&[][..], |(_, dependencies)| dependencies);
    let crossed = dependencies(manifest).into_iter().filter(|(dependency, of_tests)| {
        !(allowed.contains(dependency) || *of_tests && in_tests.contains(dependency))
    });
    crossed.map(|(dependency, _)| format!("{name}: {package} must not depend on {dependency}")).collect()
}

fn package_name(manifest: &str) -> Option<&str> {
    let in_package = lines_with_table(manifest).filter(|(table, _)| *table == "package");
    in_package
        .filter_map(|(_, line)| line.split_once('='))
        .find_map(|(key, value)| (key.trim() == "name").then(|| value.trim().trim_matches('"')))
}

/// Our own packages among the dependencies, whichever way they are written, and whether only tests have them.
fn dependencies(manifest: &str) -> Vec<(&str, bool)> {
    let mut found = Vec::new();
    for (table, line) in lines_with_table(manifest) {
        let last = table.rsplit('.').next().unwrap_or_default();
        let key = if last.ends_with("dependencies") {
            // `sudare-models.workspace = true` or `sudare-models = { … }`
            line.split(['.', '=', ' ']).next().unwrap_or_default()
        } else if table.contains("dependencies.") {
            // `[dependencies.sudare-models]`
            last
        } else {
            continue;
        };
        let key = key.trim_matches('"');
        let dependency = (key, table.contains("dev-dependencies"));
        if (key.starts_with("sudare") || key == "xtask") && !found.contains(&dependency) {
            found.push(dependency);
        }
    }
    found
}

/// Each line with the table that it stands in.
fn lines_with_table(manifest: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut table = "";
    manifest.lines().map(str::trim).filter(|line| !line.starts_with('#')).filter_map(move |line| {
        if let Some(header) = line.strip_prefix('[') {
            table = header.trim_start_matches('[').trim_end_matches(']');
            return None;
        }
        Some((table, line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(package: &str, rest: &str) -> String {
        format!("[package]\nname = \"{package}\"\nversion = \"1.0.0\"\n\n{rest}")
    }

    #[test]
    fn a_crossed_boundary_is_found_however_it_is_written() {
        for rest in [
            "[dependencies]\nsudare-guard.workspace = true\n",
            "[dev-dependencies]\nsudare-guard = { path = \"../guard\" }\n",
            "[dependencies.sudare-guard]\npath = \"../guard\"\n",
            "[target.'cfg(unix)'.build-dependencies]\nsudare-guard = \"1\"\n",
        ] {
            let found = findings("client-ext/core/Cargo.toml", &manifest("sudare-client-core", rest));
            assert_eq!(
                found,
                ["client-ext/core/Cargo.toml: sudare-client-core must not depend on sudare-guard"]
            );
        }
    }

    #[test]
    fn what_is_drawn_is_allowed() {
        let rest = "[dependencies]\nsudare-protocol.workspace = true\nserde.workspace = true\n";
        assert!(findings("x", &manifest("sudare-guard", rest)).is_empty());
        // What tests alone may name, nothing else may.
        let audit = "sudare-audit.workspace = true\n";
        let in_tests = format!("{rest}[dev-dependencies]\n{audit}");
        assert!(findings("x", &manifest("sudare-recorder", &in_tests)).is_empty());
        assert_eq!(findings("x", &manifest("sudare-recorder", &format!("{rest}{audit}"))).len(), 1);
        assert_eq!(findings("x", &manifest("sudare-models", rest)).len(), 1);
    }

    #[test]
    fn a_new_package_must_be_drawn_first() {
        assert_eq!(findings("x", &manifest("sudare-new", "")).len(), 1);
        assert!(
            findings("Cargo.toml", "[workspace]\nmembers = []\n[workspace.dependencies]\nx = 1\n").is_empty()
        );
    }
}
