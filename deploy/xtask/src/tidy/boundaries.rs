//! Who may depend on whom, as docs/architecture.md draws it.

/// What each of our packages may name, in any kind of dependency.
const ALLOWED: &[(&str, &[&str])] = &[
    ("sudare-protocol", &[]),
    ("sudare-protocol-fuzz", &["sudare-protocol"]),
    ("sudare-models", &[]),
    ("sudare-client-ext", &["sudare-protocol", "sudare-models"]),
    // Without IronRDP: somebody else's program brings the connection.
    ("sudare-freerdp", &["sudare-protocol", "sudare-client-ext"]),
    // The messages between guard and blanker; the blanker itself is another process.
    ("sudare-host-ext", &["sudare-protocol", "sudare-blanker"]),
    ("sudare-blanker", &[]),
    ("xtask", &[]),
    // Preloaded into a program under test: whatever it knew would be twice in there.
    ("sudare-v4l2-shim", &[]),
    // Knows our programs by their names only.
    ("sudare-test-kit", &["sudare-protocol", "sudare-models"]),
    ("sudare-sim", &["sudare-protocol", "sudare-client-ext", "sudare-host-ext", "sudare-test-kit"]),
    (
        "sudare-stack",
        &[
            "sudare-protocol",
            "sudare-models",
            "sudare-client-ext",
            "sudare-host-ext",
            "sudare-blanker",
            "sudare-test-kit",
        ],
    ),
    (
        "sudare-demo",
        &[
            "sudare-protocol",
            "sudare-models",
            "sudare-client-ext",
            "sudare-host-ext",
            "sudare-stack",
            "sudare-test-kit",
        ],
    ),
    // The one test binary alone knows everybody: nothing links it.
    (
        "sudare-tests",
        &[
            "sudare-protocol",
            "sudare-models",
            "sudare-client-ext",
            "sudare-host-ext",
            "sudare-blanker",
            "sudare-test-kit",
            "sudare-sim",
            "sudare-stack",
            "sudare-demo",
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
    let crossed = dependencies(manifest).into_iter().filter(|dependency| !allowed.contains(dependency));
    crossed.map(|dependency| format!("{name}: {package} must not depend on {dependency}")).collect()
}

fn package_name(manifest: &str) -> Option<&str> {
    let in_package = lines_with_table(manifest).filter(|(table, _)| *table == "package");
    in_package
        .filter_map(|(_, line)| line.split_once('='))
        .find_map(|(key, value)| (key.trim() == "name").then(|| value.trim().trim_matches('"')))
}

/// Our own packages among the dependencies, whichever way they are written.
fn dependencies(manifest: &str) -> Vec<&str> {
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
        if (key.starts_with("sudare") || key == "xtask") && !found.contains(&key) {
            found.push(key);
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
            "[dependencies]\nsudare-host-ext.workspace = true\n",
            "[dev-dependencies]\nsudare-host-ext = { path = \"../host-ext\" }\n",
            "[dependencies.sudare-host-ext]\npath = \"../host-ext\"\n",
            "[target.'cfg(unix)'.build-dependencies]\nsudare-host-ext = \"1\"\n",
        ] {
            let found = findings("client-ext/Cargo.toml", &manifest("sudare-client-ext", rest));
            assert_eq!(
                found,
                ["client-ext/Cargo.toml: sudare-client-ext must not depend on sudare-host-ext"]
            );
        }
    }

    #[test]
    fn what_is_drawn_is_allowed() {
        let rest = "[dependencies]\nsudare-protocol.workspace = true\nserde.workspace = true\n";
        assert!(findings("x", &manifest("sudare-host-ext", rest)).is_empty());
        assert!(findings("x", &manifest("sudare-tests", rest)).is_empty());
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
