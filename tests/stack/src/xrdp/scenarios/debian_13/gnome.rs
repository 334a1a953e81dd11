//! GNOME Remote Desktop without a screen: NLA with one password for everybody, and nothing but RDPGFX.

use std::path::Path;

use super::super::acts::POLICY;
use super::super::nla::{allow, secret};
use super::codecs;
use crate::xrdp::Place;
use crate::xrdp::gnome::{CREDENTIAL, Gnome};
use crate::xrdp::report::Report;
use crate::xrdp::stack::{Stack, StackOptions};
use crate::xrdp::sudare::Sudare;
use crate::xrdp::users::USER;

pub(super) fn play(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    let stack = Stack::raise(out, &StackOptions::default())?;
    Place::Debian13.welcome(&stack.user)?;
    let sudare = Sudare::start(out, POLICY)?;
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
    codecs::desk_job(stack, sudare, device, report, &["AVC420", "AVC444", "AVC444v2", "CAPROGRESSIVE"])
}
