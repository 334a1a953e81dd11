//! NLA at the gate: the client proves its password to the gate, and the host behind it is told as it wants it.
//!
//! | scenario | client | host |
//! |---|---|---|
//! | `to_xrdp` | NLA | xrdp: TLS, log-on in Client Info |
//! | `to_shadow` | NLA | FreeRDP's shadow server: NLA, with the delegated password; bitmaps |
//! | `to_shadow_graphics` | the same, RDPGFX with AVC420 | with one password of its own for everybody |

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sudare_protocol::evidence::note::NoteCode;
use sudare_test_kit::scene::{ALONE, AWAY};
use sudare_test_kit::wait_until;

use super::acts::{Acts, KEYS_TAKE, POLICY};
use super::hostile;
use super::story::evidence;
use crate::xrdp::Count;
use crate::xrdp::client::{ClientOptions, LogOn};
use crate::xrdp::namespace::PROGRAMS;
use crate::xrdp::place::Place;
use crate::xrdp::process;
use crate::xrdp::report::Report;
use crate::xrdp::session::Session;
use crate::xrdp::shadow::{Shadow, hash_of};
use crate::xrdp::stack::{self, Stack, StackOptions};
use crate::xrdp::sudare::Sudare;
use crate::xrdp::users::{self, GUARD, OTHER, PASSWORD, USER};

/// STATUS_LOGON_FAILURE, as xfreerdp writes it.
const LOGON_FAILURE: &str = "LOGON_FAILURE";
/// Has a line for each connection.
const XRDP_LOG: &str = "/var/log/xrdp.log";
/// What the shadow server knows in the place of everybody's password.
const DESK: (&str, &str) = ("desk", "one password for a desk");

pub(super) fn to_xrdp(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    let options = StackOptions { home_files: hostile::files(), ..StackOptions::default() };
    let mut stack = Stack::raise(out, &options)?;
    let other = users::make_person(OTHER)?;
    stack::furnish(&other)?;
    let mut sudare = Sudare::start(out, POLICY)?;
    let mut device = sudare.device()?;
    allow(&sudare, &[USER, OTHER])?;
    // As on a host elsewhere, where no kernel tells.
    sudare.set("gate_owner = \"credentials\"")?;
    let heard = || std::fs::metadata(XRDP_LOG).map(|log| log.len());
    let before = heard()?;
    refusals(&mut stack, &sudare, report)?;
    report.check("nobody of them reached xrdp", heard()? == before, "");

    device.arguments.push("/sec:nla".to_owned());
    let camera = sudare.film()?;
    camera.show(AWAY);
    let others = ClientOptions { log_on: LogOn::Other, ..device.clone() };
    let mut acts = Acts { stack, camera, device, report, number: 0, keys_took: KEYS_TAKE };
    let client = acts.main_job()?;
    client.kill()?;
    acts.report.check("whoever logs on reaches xrdp", heard()? > before, "");

    // Somebody else's password with the own device.
    acts.camera.show(ALONE);
    let watch = acts.stack.watch_log_on("somebody-else")?;
    let mut client = acts.stack.connect(&others)?;
    wait_until("somebody else's desktop", || stack::is_shown_to(&other))?;
    let cover = |count: &Count| count.is_cover() && count.other > 100;
    acts.stack.wait_picture("the cover over somebody else's desktop", &mut client, cover)?;
    std::thread::sleep(std::time::Duration::from_secs(4));
    let seen = watch.stop()?;
    acts.picture("somebody else")?;
    acts.report.check("somebody else's desktop is never seen", seen.leaked_frames == 0, format!("{seen:?}"));
    client.kill()?;
    acts.stack.session()?.end()?;
    Session::wait(&other)?.end()?;
    evidence(&sudare.prove()?, out, report)
}

/// Who is refused before the host hears of them.
fn refusals(stack: &mut Stack, sudare: &Sudare, report: &mut Report) -> anyhow::Result<()> {
    for (name, arguments, words) in [
        ("a wrong password", &["/sec:nla", "/p:wrong"][..], "a user name or password was wrong"),
        ("an unknown user", &["/sec:nla", "/u:carol"], "a user name or password was wrong"),
        ("restricted admin", &["/sec:nla", "/restricted-admin"], "Restricted Admin"),
        ("no NLA", &["/sec:tls"], "does not offer the security"),
    ] {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let said_before = std::fs::read_to_string(sudare.gate_log())?.len();
        let mut client = stack.connect(&ClientOptions { arguments, ..ClientOptions::default() })?;
        client.wait_ended()?;
        let said = wait_until("the gate to say why", || {
            let log = std::fs::read_to_string(sudare.gate_log())?;
            let said = log.get(said_before..).unwrap_or_default().to_owned();
            Ok(if said.contains("ended") { Ok(said) } else { Err(said) })
        })?;
        report.check(&format!("{name}: refused in words"), said.contains(words), said);
        if words.contains("password") {
            let client = std::fs::read_to_string(&client.log)?;
            let told = client.contains(LOGON_FAILURE);
            report.check(&format!("{name}: the client has words for it"), told, client);
        }
    }
    Ok(())
}

pub(super) fn to_shadow(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    let ours = format!("{USER}:::{}:::\n", hash_of(PASSWORD)?);
    shadow(out, report, &ours, &["-gfx"], "gate_graphics = false", None)
}

pub(super) fn to_shadow_graphics(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    let (user, password) = DESK;
    let desk = format!("{user}:::{}:::\n", hash_of(password)?);
    let credential = format!("user = \"{user}\"\npassword = \"{password}\"\n");
    shadow(out, report, &desk, &["/gfx:AVC420"], "gate_graphics = true", Some(&credential))
}

/// The main job on a desktop that FreeRDP's shadow server shows.
fn shadow(
    out: &Path,
    report: &mut Report,
    sam: &str,
    arguments: &[&str],
    setting: &str,
    credential: Option<&str>,
) -> anyhow::Result<()> {
    let stack = Stack::raise(out, &StackOptions::default())?;
    let mut sudare = Sudare::start(out, POLICY)?;
    let mut device = sudare.device()?;
    device.arguments.extend(["/sec:nla"].iter().chain(arguments).map(|argument| (*argument).to_owned()));
    allow(&sudare, &[USER])?;
    let shadow = Shadow::start(Place::Here, &stack.user, out, sam, &[])?;
    sudare.set(setting)?;
    sudare.set("gate_host_security = \"nla\"")?;
    sudare.set(&format!("gate_target = \"{}\"", shadow.target()))?;
    if let Some(credential) = credential {
        let path = secret(&sudare, "host-credential", credential)?;
        sudare.set(&format!("gate_host_credential = \"{}\"", path.display()))?;
    }
    let camera = sudare.film()?;
    camera.show(AWAY);
    let mut acts = Acts { stack, camera, device, report, number: 0, keys_took: KEYS_TAKE };
    acts.desk_job()?.kill()?;
    let logged = sudare.logged()?;
    let by_credentials = logged.notes.contains(&(NoteCode::Owner.number(), 2));
    report.check("the log says that the credentials told whose desktop it is", by_credentials, "");
    let without = logged.notes.iter().filter(|note| note.0 == NoteCode::ScreenshotMissing.number()).count();
    let graphics = setting.ends_with("true");
    let told = (without > 0) == graphics;
    report.check("only where the host draws video, the log says that there is no screenshot", told, without);
    Ok(())
}

/// Lets users log on by NLA, with the commands of the guide.
pub(super) fn allow(sudare: &Sudare, users: &[&str]) -> anyhow::Result<()> {
    let file = sudare.stage.dir.join("host/nla.users");
    sudare.set(&format!("gate_nla_users = \"{}\"", file.display()))?;
    process::output(Command::new("install").args(["-d", "-o", GUARD, "-m", "700", "/run/sudare-gate"]))?;
    for user in users {
        let mut command = Command::new(Path::new(PROGRAMS).join("sudare-nla"));
        command.arg("--config").arg(sudare.stage.dir.join("host.toml")).args(["add", user]);
        // The report alone goes to standard output.
        command.stdout(Stdio::null());
        process::feed(command, format!("{PASSWORD}\n").as_bytes())?;
    }
    Ok(())
}

/// A file that only the gate's account can read.
pub(super) fn secret(sudare: &Sudare, name: &str, text: &str) -> anyhow::Result<PathBuf> {
    let path = sudare.stage.dir.join("host").join(name);
    std::fs::write(&path, text)?;
    process::set_mode(&path, 0o600)?;
    process::output(Command::new("chown").arg(GUARD).arg(&path))?;
    Ok(path)
}
