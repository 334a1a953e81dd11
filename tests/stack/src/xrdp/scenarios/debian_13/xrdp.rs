//! FreeRDP 3 as the client, and xrdp.
//!
//! | scenario | client | host |
//! |---|---|---|
//! | `client` | xfreerdp 3.15 | Debian 12's xrdp 0.9 |
//! | `bitmaps` | the same | Debian 13's xrdp 0.10, as the gate's settings are at first |
//! | `graphics` | the same | the same, with RDPGFX |

use std::path::Path;

use sudare_test_kit::scene::AWAY;

use super::super::acts::{Acts, KEYS_TAKE, POLICY};
use super::super::hostile;
use super::super::story::evidence;
use super::{codecs, covers_are_logged};
use crate::xrdp::Place;
use crate::xrdp::report::Report;
use crate::xrdp::stack::{Stack, StackOptions};
use crate::xrdp::sudare::Sudare;

pub(super) fn client(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    play(out, report, Place::Here, None)
}

pub(super) fn bitmaps(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    play(out, report, Place::Debian13, None)
}

pub(super) fn graphics(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    play(out, report, Place::Debian13, Some("gate_graphics = true"))
}

fn play(out: &Path, report: &mut Report, place: Place, setting: Option<&str>) -> anyhow::Result<()> {
    let options = StackOptions { place, home_files: hostile::files(), ..StackOptions::default() };
    let stack = Stack::raise(out, &options)?;
    let mut sudare = Sudare::start(out, POLICY)?;
    setting.map_or(Ok(()), |line| sudare.set(line))?;
    let mut device = sudare.newer_device()?;
    codecs::tell(&mut device);
    let camera = sudare.film()?;
    camera.show(AWAY);
    let mut acts = Acts { stack, camera, device, report, number: 0, keys_took: KEYS_TAKE };
    let client = acts.main_job()?;
    let log = client.log.clone();
    client.kill()?;
    acts.stack.session()?.end()?;
    if setting.is_none() {
        return evidence(&sudare.prove()?, out, report);
    }
    codecs::check(report, &log, &["CAPROGRESSIVE"])?;
    covers_are_logged(&mut sudare, report)
}
