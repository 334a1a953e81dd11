//! What a desktop really comes as, by the client's own words: a host may take another codec than it is asked for.

use std::collections::BTreeSet;
use std::path::Path;

use sudare_test_kit::scene::AWAY;

use super::super::acts::{Acts, KEYS_TAKE};
use super::covers_are_logged;
use crate::xrdp::client::ClientOptions;
use crate::xrdp::report::Report;
use crate::xrdp::stack::Stack;
use crate::xrdp::sudare::Sudare;

/// What a host with RDPGFX has to get right, and that its desktop comes as one of `wanted`.
pub(super) fn desk_job(
    stack: Stack,
    mut sudare: Sudare,
    mut device: ClientOptions,
    report: &mut Report,
    wanted: &[&str],
) -> anyhow::Result<()> {
    tell(&mut device);
    let camera = sudare.film()?;
    camera.show(AWAY);
    let mut acts = Acts { stack, camera, device, report, number: 0, keys_took: KEYS_TAKE };
    let client = acts.desk_job()?;
    let log = client.log.clone();
    client.kill()?;
    check(report, &log, wanted)?;
    covers_are_logged(&mut sudare, report)
}

/// Lets a client name the codec of each picture.
pub(super) fn tell(device: &mut ClientOptions) {
    device.environment.push(("WLOG_FILTER".to_owned(), "com.freerdp.gdi:TRACE".to_owned()));
}

/// Of what the gate draws itself: the words of its covers.
const OWN: &str = "RDPGFX_CODECID_PLANAR";

/// Whether the host's pictures came as one of `wanted`, and as nothing else.
pub(super) fn check(report: &mut Report, log: &Path, wanted: &[&str]) -> anyhow::Result<()> {
    let said = std::fs::read_to_string(log)?;
    let named = said.split("codec=").skip(1).filter_map(|rest| Some(rest.split_once(' ')?.0));
    // The plugin writes there as well, perhaps in the middle of a word.
    let is_name = |codec: &&str| codec.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let found: BTreeSet<&str> = named.filter(is_name).filter(|codec| *codec != OWN).collect();
    let right =
        !found.is_empty() && found.iter().all(|codec| wanted.iter().any(|name| codec.ends_with(name)));
    report.check(&format!("the desktop comes as {}", wanted.join(" or ")), right, format!("{found:?}"));
    Ok(())
}
