//! Remmina and Debian 12's xrdp.

use std::path::Path;
use std::process::Command;

use sudare_test_kit::scene::AWAY;

use super::super::acts::{Acts, KEYS_TAKE, POLICY};
use super::super::hostile;
use super::covers_are_logged;
use crate::xrdp::client::Program;
use crate::xrdp::process::Running;
use crate::xrdp::report::Report;
use crate::xrdp::stack::{Stack, StackOptions};
use crate::xrdp::sudare::Sudare;

pub(super) fn play(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    let options = StackOptions { home_files: hostile::files(), ..StackOptions::default() };
    let stack = Stack::raise(out, &options)?;
    // It makes windows fill the screen that ask for it.
    let mut manager = Command::new("openbox");
    let _manager = Running::start(manager.env("DISPLAY", &stack.private.display), &out.join("openbox.log"))?;
    let mut sudare = Sudare::start(out, POLICY)?;
    let mut device = sudare.newer_device()?;
    device.program = Program::Remmina;
    let camera = sudare.film()?;
    camera.show(AWAY);
    let mut acts = Acts { stack, camera, device, report, number: 0, keys_took: KEYS_TAKE };
    acts.main_job()?.kill()?;
    acts.stack.session()?.end()?;
    covers_are_logged(&mut sudare, report)
}
