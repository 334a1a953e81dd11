//! From a code to the desktop, through the gate in front of a real xrdp: the connection that pairs stays covered, nobody
//! logs on for it, and whatever let the device in can be taken back while the desktop is seen.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::Context as _;
use serde_json::json;
use sudare_test_kit::scene::ALONE;
use sudare_test_kit::stage::{NOTICE, Stage};

use crate::xrdp::Count;
use crate::xrdp::client::Client;
use crate::xrdp::namespace::PROGRAMS;
use crate::xrdp::process;
use crate::xrdp::report::Report;
use crate::xrdp::servers::RDP_PORT;
use crate::xrdp::stack::{Stack, StackOptions};
use crate::xrdp::sudare::{Sudare, photographs};
use crate::xrdp::users::{GUARD, USER};

/// The words of a cover have at least so many bright pixels.
const WORDS: usize = 125;
/// What the folder of the paired device is called.
const HOME: &str = "paired";

pub(super) fn play(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    let mut stack = Stack::raise(out, &StackOptions::default())?;
    let mut sudare = Sudare::start(out, NOTICE)?;
    let mut device = sudare.device()?;
    let code = invite(&sudare)?;
    let started = Instant::now();
    let said = pair(&sudare, &code, &device.environment)?;
    let pair_s = started.elapsed().as_secs_f64();
    report.figure("pair_s", json!(pair_s));
    report.check("the code makes a seat", said.contains("This PC is paired"), &said);
    let nobody = process::output(Command::new("loginctl").arg("list-sessions")).unwrap_or_default();
    report.check("nobody had to log on for it", !nobody.contains(USER), nobody);
    // The same settings with the folder that has just been paired.
    let settings = sudare.stage.dir.join("paired.toml");
    let text = std::fs::read_to_string(sudare.stage.dir.join("client.toml"))?;
    let home = |name: &str| format!("home = \"{}\"", sudare.stage.dir.join(name).display());
    std::fs::write(&settings, text.replace(&home("device"), &home(HOME)))?;
    device.arguments = vec![format!("/dvc:sudare,config:{}", settings.display())];
    let camera = sudare.film()?;
    camera.show(ALONE);
    let mut client = stack.connect(&device)?;
    stack.wait_picture("the desktop of who was paired", &mut client, Count::is_desktop)?;
    stack.save("paired", report)?;
    report.check("the desktop opens to who was enrolled on the way", true, "");
    newer_policy(&sudare, &mut stack, &mut client, report)?;
    withdraw(&sudare, &mut stack, &mut client, &device.environment, report)?;
    client.kill()?;
    // Agreeing again takes another code, and nothing of before is left to open with.
    let code = code_for_one(&sudare)?;
    let said = pair(&sudare, &code, &device.environment)?;
    report.check("whoever agrees again is let in again", said.contains("This PC is paired"), &said);
    let mut client = stack.connect(&device)?;
    stack.wait_picture("the desktop after agreeing again", &mut client, Count::is_desktop)?;
    let path = |name: &str| sudare.stage.dir.join(name).display().to_string();
    let line = std::fs::read_to_string(path("enroller/enroller.pub"))?;
    sudare.stage.sign(&["revoke", "--public-key", line.trim()], &path("git/enroller.revocation"))?;
    let started = Instant::now();
    take_bundle(&sudare, 3)?;
    let covered = |count: &Count| count.is_cover() && count.other > WORDS;
    stack.wait_picture("the cover once the enroller is revoked", &mut client, covered)?;
    report.figure("revoke_to_black_s", json!(started.elapsed().as_secs_f64()));
    stack.save("revoked", report)?;
    let older = take_bundle(&sudare, 2);
    let said = format!("{older:?}");
    report.check("an older bundle is refused", said.contains("serial 2"), said);
    client.kill()?;
    revoke(&sudare)?;
    let again = pair(&sudare, &code, &device.environment);
    report.check("the code is worth nothing any more", again.is_err(), format!("{again:?}"));
    let logged = sudare.logged()?;
    report.check(
        "the log says that a device was refused",
        !logged.notes.is_empty(),
        format!("{:?}", logged.notes),
    );
    Ok(())
}

/// What the admin does, once the security team has said who may invite.
fn invite(sudare: &Sudare) -> anyhow::Result<String> {
    sudare.stage.make_enroller(&[USER], 3)?;
    code_for_one(sudare)
}

fn code_for_one(sudare: &Sudare) -> anyhow::Result<String> {
    let enroller = sudare.stage.dir.join("enroller");
    let mut invite = sudare.host_program();
    invite.args(["invite", USER, "--address", &format!("127.0.0.1:{RDP_PORT}"), "--enroller"]).arg(enroller);
    let said = process::output(&mut invite)?;
    Ok(said.lines().next().context("no code was printed")?.to_owned())
}

/// What the employee does.
fn pair(sudare: &Sudare, code: &str, environment: &[(String, String)]) -> anyhow::Result<String> {
    let mut pair = Command::new(Path::new(PROGRAMS).join("sudare"));
    pair.args(["pair", code, "--accept", "--name", "vdi", "--image"]);
    pair.args(Stage::enrolment_pictures(&photographs()?));
    pair.env("SUDARE_HOME", sudare.stage.dir.join(HOME)).envs(environment.iter().cloned());
    process::output(&mut pair)
}

/// A policy that the host is given while the desktop is seen: the session begins anew under it, and nobody is
/// disconnected.
fn newer_policy(
    sudare: &Sudare,
    stack: &mut Stack,
    client: &mut Client,
    report: &mut Report,
) -> anyhow::Result<()> {
    let path = |name: &str| sudare.stage.dir.join(name).display().to_string();
    std::fs::create_dir_all(path("git"))?;
    let text = std::fs::read_to_string(path("policy.toml"))?;
    std::fs::write(path("policy-2.toml"), text.replace("serial = 1", "serial = 2"))?;
    sudare.stage.sign(&["sign-policy", "--in", &path("policy-2.toml")], &path("git/policy.record"))?;
    take_bundle(sudare, 2)?;
    let started = Instant::now();
    stack.wait_picture("a cover that says that the policy changed", client, |count| {
        count.is_cover() && count.other > WORDS
    })?;
    stack.save("newer-policy", report)?;
    stack.wait_picture("the desktop under the newer policy", client, Count::is_desktop)?;
    report.figure("newer_policy_to_desktop_s", json!(started.elapsed().as_secs_f64()));
    client.ensure_running()?;
    report.check("the same connection goes on under the newer policy", true, "");
    Ok(())
}

/// The employee takes the consent back while the desktop is seen.
fn withdraw(
    sudare: &Sudare,
    stack: &mut Stack,
    client: &mut Client,
    environment: &[(String, String)],
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut consent = Command::new(Path::new(PROGRAMS).join("sudare"));
    consent.args(["consent", "--withdraw"]).env("SUDARE_HOME", sudare.stage.dir.join(HOME));
    consent.envs(environment.iter().cloned());
    let started = Instant::now();
    let said = process::output(&mut consent)?;
    report.check(
        "the host erases what it had, and signs for it",
        said.contains("your data are erased"),
        &said,
    );
    let covered = |count: &Count| count.is_cover() && count.other > WORDS;
    stack.wait_picture("the cover once consent is taken back", client, covered)?;
    report.figure("withdrawal_to_black_s", json!(started.elapsed().as_secs_f64()));
    stack.save("withdrawn", report)?;
    let receipts = std::fs::read_dir(sudare.stage.dir.join(HOME).join("withdrawals"))?.count();
    report.check("the receipt is kept", receipts == 1, receipts.to_string());
    Ok(())
}

/// What the security team and the host do, with the records of a folder.
fn take_bundle(sudare: &Sudare, serial: u64) -> anyhow::Result<String> {
    let path = |name: &str| sudare.stage.dir.join(name).display().to_string();
    let (serial, bundle) = (serial.to_string(), path("fleet.bundle"));
    sudare.stage.sign(&["bundle", "--from", &path("git"), "--serial", &serial], &bundle)?;
    let mut fleet = Command::new(Path::new(PROGRAMS).join("sudare-fleet"));
    fleet.arg("--config").arg(path("host.toml")).args(["--once", "--from", &format!("file://{bundle}")]);
    process::output(&mut fleet)
}

/// One record of the security team, put into the host by its admin.
fn revoke(sudare: &Sudare) -> anyhow::Result<()> {
    let path = |name: &str| sudare.stage.dir.join(name);
    let line = std::fs::read_to_string(path("enroller/enroller.pub"))?;
    let record = path("enroller.revocation");
    sudare.stage.sign(&["revoke", "--public-key", line.trim()], &record.display().to_string())?;
    process::output(sudare.host_program().arg("revoke").arg(&record))?;
    let seats = process::output(Command::new("stat").args(["-c", "%U"]).arg(path("host/seats")))?;
    anyhow::ensure!(seats.trim() == GUARD, "the seats belong to {seats}");
    Ok(())
}
