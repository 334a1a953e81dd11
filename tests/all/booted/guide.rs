//! The commands of a section of the admin's page, as somebody would type them.

use sudare_test_kit::checkout;

/// The lines of the code blocks below this heading, up to the next one.
pub(super) fn commands(heading: &str) -> Vec<String> {
    let page = std::fs::read_to_string(checkout().join("docs/guide/vdi-admin.md")).unwrap();
    let section = page.split("\n## ").find(|part| part.starts_with(heading.trim_start_matches("## ")));
    let blocks = section.expect("the section").split("\n```").skip(1).step_by(2);
    blocks.flat_map(str::lines).map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}
