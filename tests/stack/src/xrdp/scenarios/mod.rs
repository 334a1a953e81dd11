//! What is played on the stack; each scenario has a namespace of its own.

mod acts;
mod attacks;
mod control;
mod faults;
mod figures;
mod gate;
mod gate_attacks;
mod gate_channels;
mod gate_faults;
mod gate_lockers;
mod gate_nla;
mod gate_resize;
mod gate_takeover;
mod gate_toggles;
mod hostile;
mod no_plugin;
mod other_user;
mod story;
mod takeover;
mod xvnc;

use std::path::Path;
use std::time::Instant;

use super::report::Report;
use super::servers::Backend;
pub use story::INCIDENT_PAGE;

/// Plays a scenario inside a namespace.
type Play = fn(&Path, &mut Report) -> anyhow::Result<()>;

/// Name, sentence and what to play.
pub const ALL: &[(&str, &str, Play)] = &[
    (
        "control",
        "without Sudare: the desktop is seen and keys arrive, so the checks can fail",
        |out, report| control::play(Backend::Xorg, out, report),
    ),
    (
        "control-hostile",
        "without Sudare: what ~/startwm.sh and ~/.profile draw at log-on is seen, so hiding it means something",
        hostile::control,
    ),
    ("control-xvnc", "the same with Xvnc as the session's X server", |out, report| {
        control::play(Backend::Xvnc, out, report)
    }),
    ("no-plugin", "a client without the plugin sees the cover from the first picture on", no_plugin::play),
    (
        "no-chansrv",
        "nobody tells the guard of the client: the cover stays and says what may be wrong",
        no_plugin::without_chansrv,
    ),
    ("xvnc", "a session on Xvnc, which several clients could see at once, is ended unseen", xvnc::play),
    ("story", "the main job: log-on, stranger, operator away, camera lost, client killed", story::play),
    (
        "takeover",
        "a second client without the plugin takes the session over while the desktop is seen",
        takeover::play,
    ),
    (
        "faults",
        "guard and blanker killed, the user's own attempts, an X server that stands still",
        faults::play,
    ),
    (
        "gate-no-plugin",
        "before xrdp, the gate: a client without the plugin sees the cover, wherever it comes from",
        gate::no_plugin,
    ),
    ("gate-story", "the main job through the gate, on an xrdp that knows nothing of it", gate::story),
    (
        "gate-other-user",
        "the operator logs on as somebody else, and nobody tells whose desktop it is",
        other_user::play,
    ),
    ("gate-nla", "clients prove their password to the gate, which logs them on to xrdp", gate_nla::to_xrdp),
    ("gate-nla-shadow", "NLA on both sides, to FreeRDP's shadow server: bitmaps", gate_nla::to_shadow),
    ("gate-nla-graphics", "the same with RDPGFX and one password of the host", gate_nla::to_shadow_graphics),
    (
        "gate-channels",
        "a clipboard through the gate: closed by default, open by a setting, and nothing of it under a cover",
        gate_channels::play,
    ),
    (
        "gate-hostile",
        "what ~/startwm.sh and ~/.profile draw at log-on is seen by nobody before the desktop",
        hostile::behind_the_gate,
    ),
    (
        "gate-lockers",
        "screen lockers and window managers of the session: as locked after a cover as before it",
        gate_lockers::play,
    ),
    (
        "gate-toggles",
        "covers and uncovers that follow each other faster than any person causes them",
        gate_toggles::play,
    ),
    ("gate-resize", "the client's window changes its size, seen and covered", gate_resize::play),
    (
        "gate-faults",
        "recorder, gate, xrdp, client and whoever tells owners: killed or stopped while the desktop is seen",
        gate_faults::play,
    ),
    (
        "gate-takeover",
        "several clients of one user: taken over, stalled, two at once, half-open, killed and back",
        gate_takeover::play,
    ),
    (
        "gate-attacks",
        "every attack from inside the session, seen at the client's pixels and pointer",
        gate_attacks::all,
    ),
    ("gate-attacks-worst", "the same with those that come closest", gate_attacks::worst),
    ("gate-attacks-xvnc", "the same on Xvnc, whose pictures come in another form", gate_attacks::xvnc),
    ("attacks", "the cover of a session at 1080p, attacked in every way", attacks::all),
    ("attacks-worst", "the same with the worst attacks only", attacks::worst),
    ("figures", "how soon the cover comes after the plugin's lock, and after its silence", figures::play),
];

/// Plays the scenario of this name and says how it went, also when it broke off.
pub fn play(name: &str, out: &Path) -> Report {
    let started = Instant::now();
    let mut report = Report::new(name);
    if let Ok(namespace) = std::fs::read_link("/proc/self/ns/pid") {
        report.figure("pid_namespace", namespace.to_string_lossy());
    }
    let ended = match ALL.iter().find(|(known, ..)| *known == name) {
        Some((_, _, play)) => play(out, &mut report),
        None => Err(anyhow::anyhow!("there is no scenario {name}")),
    };
    report.finish(started, ended)
}
