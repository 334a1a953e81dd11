//! What is played on the stack; each scenario has a namespace of its own.

mod acts;
mod as_before;
mod attacks;
mod channels;
mod control;
mod debian_13;
mod faults;
mod figures;
mod hostile;
mod lockers;
mod moving;
mod nla;
mod no_plugin;
mod other_user;
mod pairing;
mod powerless;
mod refused;
mod resize;
mod story;
mod takeover;
mod toggles;

use std::path::Path;
use std::time::Instant;

use super::report::Report;
use super::servers::Backend;
pub use story::INCIDENT_PAGE;

/// Plays a scenario inside a namespace.
type Play = fn(&Path, &mut Report) -> anyhow::Result<()>;

/// Name, sentence and what to play: on this machine's programs alone, and with those of Debian 13.
pub const ALL: [&[(&str, &str, Play)]; 2] = [STOCK, debian_13::ALL];

const STOCK: &[(&str, &str, Play)] = &[
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
    ("control-channels", "without Sudare: what is copied leaves the session", channels::control),
    (
        "no-plugin",
        "a client without the plugin sees the cover, and nobody reaches xrdp past the gate",
        no_plugin::play,
    ),
    ("nla", "clients prove their password to the gate, which logs them on to xrdp", nla::to_xrdp),
    ("nla-shadow", "NLA on both sides, to FreeRDP's shadow server: bitmaps", nla::to_shadow),
    ("nla-graphics", "the same with RDPGFX and one password of the host", nla::to_shadow_graphics),
    ("story", "the main job: log-on, stranger, operator away, camera lost, client killed", story::play),
    (
        "hostile",
        "what ~/startwm.sh and ~/.profile draw at log-on is seen by nobody before the desktop",
        hostile::behind_the_gate,
    ),
    (
        "other-user",
        "the operator logs on as somebody else, and nobody tells whose desktop it is",
        other_user::play,
    ),
    (
        "pairing",
        "from a code to the desktop in two commands, and covered when the enroller is revoked",
        pairing::play,
    ),
    (
        "channels",
        "a clipboard: closed by default, open by a setting, and nothing of it under a cover",
        channels::play,
    ),
    (
        "takeover",
        "several clients of one user: taken over, stalled, two at once, half-open, killed and back",
        takeover::play,
    ),
    (
        "faults",
        "recorder, gate, xrdp, client and whoever tells owners: killed or stopped while the desktop is seen",
        faults::play,
    ),
    (
        "attacks",
        "every attack from inside the session, seen at the client's pixels and pointer",
        attacks::all,
    ),
    ("attacks-worst", "the same with those that come closest", attacks::worst),
    ("attacks-xvnc", "the same on Xvnc, whose pictures come in another form", attacks::xvnc),
    (
        "lockers",
        "screen lockers and window managers of the session: as locked after a cover as before it",
        lockers::play,
    ),
    (
        "toggles",
        "covers and uncovers that follow each other faster than any person causes them",
        toggles::play,
    ),
    ("resize", "the client's window changes its size, seen and covered", resize::play),
    ("moving", "how many pictures of a moving desktop arrive, through the gate and without it", moving::play),
    ("refused", "a host that is missing or is another one: the client's screen says so", refused::play),
    ("figures", "how soon a client is black, and how soon it shows the desktop again", figures::small),
    ("figures-full-hd", "the same on a screen of 1920x1080", figures::full_hd),
];

/// Whether a scenario starts programs of Debian 13.
pub fn needs_debian_13(name: &str) -> bool {
    debian_13::ALL.iter().any(|(known, ..)| *known == name)
}

/// Plays the scenario of this name and says how it went, also when it broke off.
pub fn play(name: &str, out: &Path) -> Report {
    let started = Instant::now();
    let mut report = Report::new(name);
    if let Ok(namespace) = std::fs::read_link("/proc/self/ns/pid") {
        report.figure("pid_namespace", namespace.to_string_lossy());
    }
    let ended = match ALL.concat().iter().find(|(known, ..)| *known == name) {
        Some((_, _, play)) => play(out, &mut report),
        None => Err(anyhow::anyhow!("there is no scenario {name}")),
    };
    report.finish(started, ended)
}
