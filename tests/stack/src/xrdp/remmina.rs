//! Remmina of Debian 13, with a profile of its own for each connection.

use std::path::Path;
use std::process::Command;

use super::client::ClientOptions;
use super::place::Place;
use super::process;
use super::users::PASSWORD;

/// Before what xfreerdp gets as an argument and Remmina as a key of its profile.
const DVC: &str = "/dvc:";
const SECURITY: &str = "/sec:";
const COLOURS: &str = "/colours:";

/// The command that connects. Without a window manager on its screen it would not fill it.
pub(super) fn command(
    options: &ClientOptions,
    name: &str,
    port: u16,
    (width, height): (u16, u16),
    home: &Path,
) -> anyhow::Result<Command> {
    let argument = |prefix| options.arguments.iter().find_map(|argument| argument.strip_prefix(prefix));
    let profile = home.join("gate.remmina");
    let lines = [
        "[remmina]".to_owned(),
        "protocol=RDP".to_owned(),
        "name=gate".to_owned(),
        format!("server=127.0.0.1:{port}"),
        format!("username={name}"),
        format!("dvc={}", argument(DVC).unwrap_or_default()),
        format!("security={}", argument(SECURITY).unwrap_or_default()),
        // 66: H.264, 63: progressive, 32: without the graphics pipeline.
        format!("colordepth={}", argument(COLOURS).unwrap_or("32")),
        "cert_ignore=1".to_owned(),
        "disableautoreconnect=1".to_owned(),
        "resolution_mode=2".to_owned(),
        format!("resolution_width={width}"),
        format!("resolution_height={height}"),
    ];
    std::fs::write(&profile, lines.map(|line| line + "\n").concat())?;
    let remmina = || {
        let mut command = Place::Debian13.command("remmina");
        command.env("HOME", home).env("DBUS_SESSION_BUS_ADDRESS", "disabled:").env("GDK_BACKEND", "x11");
        command
    };
    // It keeps passwords in a form of its own.
    let mut update = remmina();
    update.arg("--update-profile").arg(&profile).args(["--set-option", "password"]);
    update.stdout(std::process::Stdio::null());
    process::feed(update, format!("{PASSWORD}\n").as_bytes())?;
    let mut command = remmina();
    command.args(["--disable-news", "--disable-stats", "--disable-toolbar", "--enable-fullscreen"]);
    command.args(["--enable-extra-hardening", "--no-tray-icon", "-c"]).arg(profile);
    Ok(command)
}
