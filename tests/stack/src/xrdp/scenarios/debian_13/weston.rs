//! Weston's RDP backend, which asks for no password: clients prove theirs to the gate.

use std::path::Path;

use sudare_test_kit::scene::AWAY;

use super::super::acts::{Acts, KEYS_TAKE, POLICY};
use super::super::nla::allow;
use super::covers_are_logged;
use crate::xrdp::Place;
use crate::xrdp::report::Report;
use crate::xrdp::stack::{Stack, StackOptions};
use crate::xrdp::sudare::Sudare;
use crate::xrdp::users::USER;
use crate::xrdp::weston::Weston;

/// It sends first pictures uncompressed before it hears that nobody looks: more of them than of any other host.
const FULL_HD: (u16, u16) = (1920, 1080);

pub(super) fn play(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    let stack = Stack::raise(out, &StackOptions { size: FULL_HD, ..StackOptions::default() })?;
    Place::Debian13.welcome(&stack.user)?;
    let mut sudare = Sudare::start(out, POLICY)?;
    allow(&sudare, &[USER])?;
    let weston = Weston::start(&stack.user, out)?;
    // Without a clipboard it refuses every client.
    for line in ["gate_owner = \"credentials\"", "gate_channels = [\"resize\", \"clipboard\"]"] {
        sudare.set(line)?;
    }
    sudare.set(&format!("gate_target = \"{}\"", weston.target()))?;
    let mut device = sudare.newer_device()?;
    device.arguments.push("/sec:nla".to_owned());
    let camera = sudare.film()?;
    camera.show(AWAY);
    let mut acts = Acts { stack, camera, device, report, number: 0, keys_took: KEYS_TAKE };
    acts.desk_job()?.kill()?;
    covers_are_logged(&mut sudare, report)
}
