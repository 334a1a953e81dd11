//! The main job on the real stack: xfreerdp with the plugin, a camera, an xrdp session.

use std::path::Path;

use anyhow::Context as _;
use sudare_test_kit::scene::{ALONE, AWAY, Scene};
use sudare_test_kit::stage::Proof;

use super::acts::{Acts, KEYS_TAKE, POLICY};
use super::hostile;
use crate::xrdp::palette::{self, Owner};
use crate::xrdp::report::Report;
use crate::xrdp::stack::{Stack, StackOptions};
use crate::xrdp::sudare::Sudare;

const UNPLUGGED: Scene = Scene { plugged: false, ..ALONE };

pub(super) fn play(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    let options = StackOptions { home_files: hostile::files(), ..StackOptions::default() };
    let stack = Stack::raise(out, &options)?;
    let mut sudare = Sudare::start(out, POLICY)?;
    let device = sudare.device()?;
    let camera = sudare.film()?;
    camera.show(AWAY);
    let mut story = Acts { stack, camera, device, report, number: 0, keys_took: KEYS_TAKE };

    let mut client = story.main_job()?;
    // Whoever accepts connections is not needed by those that there are.
    sudare.kill_gate()?;
    story.covers("camera unplugged", &mut client, UNPLUGGED)?;
    story.uncovers("camera back", &mut client, ALONE)?;
    client.kill()?;

    let session = story.stack.session()?;
    session.wait_connected(false)?;
    story.camera.show(AWAY);
    sudare.open_gate()?;
    let mut client = story.log_on("connected again", true)?;
    story.uncovers("operator alone again", &mut client, ALONE)?;
    client.kill()?;
    session.wait_connected(false)?;
    let client = story.log_on("connected without plugin", false)?;
    client.kill()?;
    story.report.check("the session outlived all of it", session.is_alive(), session.display);
    session.end()?;
    evidence(&sudare.prove()?, out, report)
}

/// The page of an exported incident, beside the pictures. It needs no other file.
pub const INCIDENT_PAGE: &str = "incident-page.html";

/// Whoever looked is in the log, with pictures that only auditors can open.
pub(super) fn evidence(proof: &Proof, out: &Path, report: &mut Report) -> anyhow::Result<()> {
    report.check("the evidence verifies", true, format!("{} entries: {}", proof.entries, proof.reasons()));
    for (label, file) in &proof.pictures {
        let copy = out.join(format!("evidence-{label}.png"));
        let picture = image::open(file).with_context(|| file.display().to_string())?;
        picture.save(&copy)?;
        if label.starts_with("screenshot") {
            let pixels = picture.to_rgb8();
            let of_the_desktop = pixels.pixels().filter(|p| palette::owner(p.0) == Owner::Desktop).count();
            let enough = of_the_desktop * 2 > pixels.pixels().len();
            report.check(&format!("{label} shows the desktop"), enough, of_the_desktop);
            // Neither black nor words, and not half of another picture.
            let whole = |owner| matches!(owner, Owner::Desktop | Owner::Moving | Owner::Other);
            let strange = pixels.pixels().filter(|p| !whole(palette::owner(p.0))).count();
            report.check(
                &format!("{label} shows nothing of a cover"),
                strange * 50 < pixels.pixels().len(),
                strange,
            );
        }
        report.pictures.push(copy);
    }
    std::fs::copy(&proof.page, out.join(INCIDENT_PAGE)).context("the exported page cannot be copied")?;
    Ok(())
}
