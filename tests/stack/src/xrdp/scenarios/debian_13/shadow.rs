//! FreeRDP 3's shadow server, with NLA on both sides.
//!
//! | scenario | what the desktop comes as |
//! |---|---|
//! | `progressive` | RemoteFX progressive |
//! | `avc444` | H.264 with full colour |

use std::path::Path;

use super::super::acts::POLICY;
use super::super::nla::allow;
use super::codecs;
use crate::xrdp::Place;
use crate::xrdp::report::Report;
use crate::xrdp::shadow::{Shadow, hash_of};
use crate::xrdp::stack::{Stack, StackOptions};
use crate::xrdp::sudare::Sudare;
use crate::xrdp::users::{PASSWORD, USER};

pub(super) fn progressive(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    let others = ["-gfx-avc420", "-gfx-avc444", "-gfx-planar", "-gfx-rfx"];
    play(out, report, &others, "/gfx:progressive", &["CAPROGRESSIVE"])
}

pub(super) fn avc444(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    let others = ["-gfx-avc420", "-gfx-progressive", "-gfx-planar", "-gfx-rfx"];
    play(out, report, &others, "/gfx:AVC444", &["AVC444", "AVC444v2"])
}

/// A host that has all codecs but `others`.
fn play(
    out: &Path,
    report: &mut Report,
    others: &[&str],
    codec: &str,
    wanted: &[&str],
) -> anyhow::Result<()> {
    let stack = Stack::raise(out, &StackOptions::default())?;
    Place::Debian13.welcome(&stack.user)?;
    let sudare = Sudare::start(out, POLICY)?;
    allow(&sudare, &[USER])?;
    let sam = format!("{USER}:::{}:::\n", hash_of(PASSWORD)?);
    let shadow = Shadow::start(Place::Debian13, &stack.user, out, &sam, others)?;
    for line in ["gate_graphics = true", "gate_host_security = \"nla\""] {
        sudare.set(line)?;
    }
    sudare.set(&format!("gate_target = \"{}\"", shadow.target()))?;
    let mut device = sudare.newer_device()?;
    device.arguments.extend(["/sec:nla".to_owned(), codec.to_owned()]);
    codecs::desk_job(stack, sudare, device, report, wanted)
}
