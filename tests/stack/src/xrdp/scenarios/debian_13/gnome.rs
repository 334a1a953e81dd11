//! GNOME Remote Desktop without a screen: NLA with one password for everybody, and nothing but RDPGFX.

use std::path::Path;

use sudare_test_kit::scene::AWAY;

use super::super::acts::{Acts, KEYS_TAKE, POLICY};
use super::super::nla::{allow, secret};
use super::{codecs, covers_are_logged};
use crate::xrdp::Place;
use crate::xrdp::gnome::{CREDENTIAL, Gnome};
use crate::xrdp::report::Report;
use crate::xrdp::stack::{Stack, StackOptions};
use crate::xrdp::sudare::Sudare;
use crate::xrdp::users::USER;

pub(super) fn play(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    let stack = Stack::raise(out, &StackOptions::default())?;
    Place::Debian13.welcome(&stack.user)?;
    let mut sudare = Sudare::start(out, POLICY)?;
    allow(&sudare, &[USER])?;
    let gnome = Gnome::start(&stack.user, out)?;
    let (user, password) = CREDENTIAL;
    let credential = format!("user = \"{user}\"\npassword = \"{password}\"\n");
    let credential = secret(&sudare, "host-credential", &credential)?;
    for line in ["gate_graphics = true", "gate_host_security = \"nla\""] {
        sudare.set(line)?;
    }
    sudare.set(&format!("gate_host_credential = \"{}\"", credential.display()))?;
    sudare.set(&format!("gate_target = \"{}\"", gnome.target()))?;
    let mut device = sudare.newer_device()?;
    device.arguments.push("/sec:nla".to_owned());
    codecs::tell(&mut device);
    let camera = sudare.film()?;
    camera.show(AWAY);
    let mut acts = Acts { stack, camera, device, report, number: 0, keys_took: KEYS_TAKE };
    let client = acts.desk_job()?;
    let log = client.log.clone();
    client.kill()?;
    codecs::check(report, &log, &["AVC420", "AVC444", "AVC444v2", "CAPROGRESSIVE"])?;
    covers_are_logged(&mut sudare, report)
}
