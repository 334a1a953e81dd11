//! From the versions that covered inside of xrdp's sessions, and from the gate's trial: the files, and the order in which
//! `install.sh` replaces what runs, with a systemd that only keeps a diary.

use std::path::Path;
use std::process::{Command, Stdio};

use super::installing::{INI, INI_BEHIND, Installed, PROGRAMS, read, script, text};
use super::skip_or_fail;

const DEBIANS: &str = "#%PAM-1.0\n@include common-auth\n@include common-account\n";
const WANTS: &str = "etc/systemd/system/multi-user.target.wants";
const SOCKETS: &str = "etc/systemd/system/sockets.target.wants";

/// A layout that somebody may upgrade from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Old {
    /// `sudare-host` did the work of most programs.
    Host,
    /// A supervisor, guards and blankers.
    Supervisor,
    /// The gate, by an option.
    Trial,
}

impl Old {
    const ALL: [Self; 3] = [Self::Host, Self::Supervisor, Self::Trial];

    fn unit(self) -> &'static str {
        match self {
            Self::Host => "sudare-host.service",
            Self::Supervisor => "sudare-supervisor.service",
            Self::Trial => "sudare-gate.socket",
        }
    }

    fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Host => &["sudare-host", "sudare-audit", "sudare-blanker"],
            Self::Supervisor => {
                &["sudare-host", "sudare-supervisor", "sudare-sign-in", "sudare-guard", "sudare-blanker"]
            }
            Self::Trial => &["sudare-host", "sudare-gate"],
        }
    }

    /// PAM's line, if the layout had one.
    fn pam(self) -> &'static str {
        match self {
            Self::Host => {
                "account required pam_exec.so quiet /usr/local/bin/sudare-host --config /etc/sudare/host.toml sign-in\n"
            }
            Self::Supervisor => {
                "account required pam_exec.so quiet /usr/local/bin/sudare-sign-in --config /etc/sudare/host.toml\n"
            }
            Self::Trial => "",
        }
    }

    /// Files as the last version of that layout left them, with the unit enabled.
    fn lay_out(self) -> Installed {
        let installed = Installed::nothing();
        for name in self.programs() {
            installed.put(&format!("usr/local/bin/{name}"), "an old program");
        }
        installed.put(&format!("etc/systemd/system/{}", self.unit()), "[Unit]\nDescription=an old program\n");
        let drop_in = format!("[Unit]\nRequires={0}\nAfter={0}\n", self.unit());
        installed.put("etc/systemd/system/xrdp.service.d/sudare.conf", drop_in);
        installed.put("etc/sudare/host.toml", "max_sessions = 7\n");
        installed.put("etc/pam.d/xrdp-sesman", format!("{}{DEBIANS}", self.pam()));
        installed.put("etc/xrdp/xrdp.ini", if self == Self::Trial { INI_BEHIND } else { INI });
        if self == Self::Trial {
            for folder in ["sysusers.d", "tmpfiles.d"] {
                installed.put(&format!("usr/lib/{folder}/sudare-gate.conf"), "# an old program\n");
            }
            enable(&installed, SOCKETS, self.unit());
        } else {
            enable(&installed, WANTS, self.unit());
        }
        enable(&installed, WANTS, "sudare-recorder.service");
        installed
    }
}

fn enable(installed: &Installed, wants: &str, unit: &str) {
    std::fs::create_dir_all(installed.root(wants)).unwrap();
    let target = format!("/etc/systemd/system/{unit}");
    std::os::unix::fs::symlink(target, installed.root(wants).join(unit)).unwrap();
}

/// Nothing but the page for administrators names a program, a unit or a command that is gone.
fn nothing_old_is_left(installed: &Installed) {
    for line in installed.all().into_iter().filter(|line| !line.contains("/usr/share/doc/")) {
        let path = Path::new(line.split(' ').next().unwrap());
        let said = std::fs::read_to_string(path).unwrap_or_default();
        for old in
            ["sudare-host.service", "sudare-supervisor", "sudare-sign-in", "sudare-blanker", "an old program"]
        {
            assert!(!line.contains(old) && !said.contains(old), "{} says {old:?}", path.display());
        }
    }
}

#[test]
fn an_upgrade_leaves_the_gate_and_a_second_one_changes_nothing() {
    for old in Old::ALL {
        let installed = old.lay_out();
        installed.install();
        nothing_old_is_left(&installed);
        assert_eq!(installed.names("usr/local/bin"), PROGRAMS, "{old:?}");
        assert_eq!(installed.names(SOCKETS), ["sudare-gate.socket"], "{old:?}");
        let services = installed.names(WANTS);
        let expected = ["sudare-owner.service", "sudare-recorder.service"];
        assert!(services == expected || old == Old::Trial, "{old:?}: {services:?}");
        let drop_in = read(&installed.root("etc/systemd/system/xrdp.service.d/sudare.conf"));
        assert!(drop_in.contains("SocketBindDeny=tcp\n"), "{drop_in}");
        assert_eq!(read(&installed.root("etc/pam.d/xrdp-sesman")), DEBIANS, "{old:?}");
        assert_eq!(read(&installed.root("etc/xrdp/xrdp.ini")), INI_BEHIND, "{old:?}");
        assert_eq!(read(&installed.root("etc/sudare/host.toml")), "max_sessions = 7\n");
        let once = installed.all();
        installed.install();
        assert_eq!(installed.all(), once);
    }
}

#[test]
fn an_upgrade_is_the_same_as_an_installation() {
    let fresh = Installed::nothing();
    fresh.put("etc/pam.d/xrdp-sesman", DEBIANS);
    fresh.put("etc/xrdp/xrdp.ini", INI);
    fresh.install();
    for old in Old::ALL {
        let upgraded = old.lay_out();
        upgraded.install();
        for folder in [
            "etc/pam.d",
            "etc/xrdp",
            "etc/systemd/system",
            "etc/systemd/system/xrdp.service.d",
            "usr/local/bin",
            "usr/lib/sysusers.d",
            "usr/lib/tmpfiles.d",
        ] {
            assert_eq!(upgraded.names(folder), fresh.names(folder), "{old:?}: {folder}");
            for name in fresh.names(folder) {
                let file = |installed: &Installed| read(&installed.root(folder).join(&name));
                assert_eq!(file(&upgraded), file(&fresh), "{old:?}: {folder}/{name}");
            }
        }
    }
}

#[test]
fn what_was_not_enabled_stays_so_and_an_administrators_changes_are_pointed_out() {
    let installed = Old::Supervisor.lay_out();
    std::fs::remove_file(installed.root(WANTS).join("sudare-supervisor.service")).unwrap();
    let theirs =
        installed.put("etc/systemd/system/sudare-supervisor.service.d/override.conf", "[Service]\nNice=1\n");
    let said = installed.install();
    assert_eq!(installed.names(WANTS), ["sudare-recorder.service"]);
    assert_eq!(installed.names(SOCKETS), Vec::<String>::new());
    assert!(said.contains("sudare-supervisor.service.d no longer count") && theirs.exists(), "{said}");
}

#[test]
fn a_setting_that_is_gone_stops_the_upgrade_before_anything_is_changed() {
    let installed = Old::Supervisor.lay_out();
    installed.put("etc/sudare/host.toml", "max_sessions = 7\nblanker = \"/opt/sudare-blanker\"\n");
    let before = installed.all();
    let output = installed.script(&["--programs", installed.path("programs").to_str().unwrap()]);
    let said = text(&output);
    assert!(output.status.code() == Some(2) && said.contains("sets blanker"), "{said}");
    assert_eq!(installed.all(), before);
}

#[test]
fn pam_s_other_lines_stay_byte_for_byte_and_lines_that_only_look_like_ours_stay() {
    let installed = Installed::nothing();
    let pam = installed.root("etc/pam.d/xrdp-sesman");
    for line in [
        Old::Host.pam(),
        Old::Supervisor.pam(),
        "-account requisite pam_exec.so /opt/sudare-sign-in\n",
        "  account\trequired pam_exec.so /x/sudare-sign-in\t--config /y  # ours\n",
        "  account\trequired pam_exec.so /x/sudare-host\tsign-in  # ours\n",
    ] {
        for rest in [&b"# caf\xe9\n\n\n"[..], b"session optional pam_x.so"] {
            let others = [DEBIANS.as_bytes(), rest].concat();
            installed.put("etc/pam.d/xrdp-sesman", [line.as_bytes(), &others].concat());
            installed.install();
            assert_eq!(std::fs::read(&pam).unwrap(), others, "{line}");
            // One that stayed would lock everybody out.
            installed.put("etc/pam.d/xrdp-sesman", [line.as_bytes(), &others].concat());
            installed.uninstall();
            assert_eq!(std::fs::read(&pam).unwrap(), others, "{line}");
        }
    }
    let others =
        "account required pam_exec.so /opt/sudare-host doctor\n# account sudare-sign-in\nauth x sign-in\n";
    installed.put("etc/pam.d/xrdp-sesman", others);
    installed.install();
    installed.uninstall();
    assert_eq!(read(&pam), others);
    assert_eq!(installed.names("etc/pam.d"), ["xrdp-sesman"], "nothing is left beside it");
}

#[test]
fn an_uninstallation_removes_each_layout_or_what_an_upgrade_made_of_it() {
    for (old, upgrade) in Old::ALL.into_iter().flat_map(|old| [(old, false), (old, true)]) {
        let installed = old.lay_out();
        if upgrade {
            installed.install();
        }
        for _ in 0..2 {
            installed.uninstall();
            assert_eq!(read(&installed.root("etc/pam.d/xrdp-sesman")), DEBIANS);
            assert_eq!(read(&installed.root("etc/xrdp/xrdp.ini")), INI);
            let theirs = ["/etc/sudare/", "/etc/pam.d/", "/etc/xrdp/"];
            let left = installed.all().into_iter();
            let left: Vec<_> =
                left.filter(|line| !theirs.iter().any(|folder| line.contains(folder))).collect();
            assert_eq!(left, Vec::<String>::new(), "{old:?}, upgraded: {upgrade}");
        }
    }
}

/// Notes each command, and what a crash or a log-on at this moment would find. Which units run are files.
const DIARY: &str = r#"#!/bin/sh
state=$0.state
pam=$(sed -n 's/^account required .*\(sudare-[a-z-]*\) .*/\1/p' /etc/pam.d/xrdp-sesman | tr '\n' ' ')
port=$(sed -n '/^port=/{s/.*=\(.\).*/\1/p;q}' /etc/xrdp/xrdp.ini)
printf '%s|pam %s|port %s|%s|' "$*" "$pam" "$port" "$(cat /usr/local/bin/sudare-host)" >>"$0.diary"
for unit in "$state"/*; do [ ! -e "$unit" ] || printf '%s ' "${unit##*/}" >>"$0.diary"; done
echo >>"$0.diary"
command=$1
shift
for unit; do
    case $unit in *.service | *.socket) ;; *) unit=$unit.service ;; esac
    case $command in
    is-active) [ -e "$state/$unit" ] && echo active && exit 0 || exit 3 ;;
    stop) rm "$state/$unit" ;;
    start) : >"$state/$unit" ;;
    esac
    [ "$command" != "$FAILING" ] || exit 1
done
"#;

/// The commands after the units were read anew, each with what it found; and how the script ended.
fn upgrade_a_running_host(
    installed: &Installed,
    running: &[&str],
    failing: &str,
) -> (Vec<String>, Option<i32>, String) {
    let systemctl = installed.write("tools/systemctl", DIARY);
    for name in ["systemd-sysusers", "systemd-tmpfiles", "setpriv"] {
        installed.write(&format!("tools/{name}"), "#!/bin/sh\n");
    }
    std::fs::create_dir_all(installed.path("tools/systemctl.state")).unwrap();
    for unit in running {
        installed.write(&format!("tools/systemctl.state/{unit}"), "");
    }
    let tools = systemctl.parent().unwrap();
    for tool in ["systemctl", "systemd-sysusers", "systemd-tmpfiles", "setpriv"] {
        std::fs::set_permissions(tools.join(tool), std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
    }
    // In a mount namespace of its own the made root lies over the real one.
    let enter = r#"set -e
        for folder in etc usr/local/bin usr/lib/sysusers.d usr/lib/tmpfiles.d usr/share/doc; do
            mkdir -p "$ROOT/$folder"
            mount --bind "$ROOT/$folder" "/$folder"
        done
        exec sh "$SCRIPT" --programs "$PROGRAMS""#;
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", enter]).stdin(Stdio::null());
    command.env("ROOT", installed.path("root")).env("PROGRAMS", installed.path("programs"));
    command.env("SCRIPT", script()).env("FAILING", failing);
    command.env("PATH", format!("{}:{}", tools.display(), std::env::var("PATH").unwrap()));
    let output = command.output().unwrap();
    println!("{}", text(&output));
    let diary = read(&tools.join("systemctl.diary"));
    println!("{diary}");
    let asks = |line: &&str| line.starts_with("is-active ") || line.starts_with("reset-failed ");
    let told = diary.lines().filter(|line| !asks(line)).map(str::to_owned).collect();
    (told, output.status.code(), text(&output))
}

/// Whether this process may mount, as root outside of a narrow container may.
fn may_mount() -> bool {
    let tried = Command::new("unshare").args(["--mount", "true"]).output();
    let may = tried.is_ok_and(|output| output.status.success());
    if !may {
        skip_or_fail("root", "only root can put a made root over the real one");
    }
    may
}

#[test]
fn nobody_looks_while_the_gate_takes_the_place_of_what_covered_in_sessions() {
    if !may_mount() {
        return;
    }
    for (old, pam) in [(Old::Host, "sudare-host "), (Old::Supervisor, "sudare-sign-in ")] {
        let installed = old.lay_out();
        let running = [old.unit(), "sudare-recorder.service", "xrdp.service"];
        let (diary, code, _) = upgrade_a_running_host(&installed, &running, "");
        assert_eq!(code, Some(0));
        let mut ran = running;
        ran.sort_unstable();
        let without_xrdp = &ran[..2];
        let expected = [
            format!("stop xrdp|pam {pam}|port 3|an old program|{} ", ran.join(" ")),
            format!("stop {}|pam {pam}|port 3|an old program|{} ", old.unit(), without_xrdp.join(" ")),
            // From here on nothing but the gate can open a port.
            "daemon-reload|pam |port u|a new program|sudare-recorder.service ".into(),
            "try-restart sudare-recorder|pam |port u|a new program|sudare-recorder.service ".into(),
            "try-restart sudare-ship|pam |port u|a new program|sudare-recorder.service ".into(),
            "try-restart sudare-forward|pam |port u|a new program|sudare-recorder.service ".into(),
            "start sudare-owner sudare-gate.socket|pam |port u|a new program|sudare-recorder.service ".into(),
            "start xrdp|pam |port u|a new program|sudare-gate.socket sudare-owner.service sudare-recorder.service "
                .into(),
        ];
        assert_eq!(diary, expected);
        nothing_old_is_left(&installed);
    }
}

#[test]
fn a_step_that_fails_leaves_xrdp_stopped_or_guarded_as_before() {
    if !may_mount() {
        return;
    }
    for (failing, code, last, why) in [
        ("stop", 2, "stop xrdp|", "the old supervisor goes on"),
        ("start", 2, "start sudare-owner sudare-gate.socket|", "xrdp stays stopped"),
        ("try-restart", 0, "start xrdp|", "gates cover without a recorder"),
    ] {
        let installed = Old::Supervisor.lay_out();
        let running = [Old::Supervisor.unit(), "sudare-recorder.service", "xrdp.service"];
        let (diary, ended, _) = upgrade_a_running_host(&installed, &running, failing);
        assert_eq!(ended, Some(code), "{failing}");
        assert!(diary.last().unwrap().starts_with(last), "{why}: {diary:?}");
        // The rest is done when it is run again.
        installed.install();
        nothing_old_is_left(&installed);
        assert_eq!(installed.names(SOCKETS), ["sudare-gate.socket"]);
    }
}

#[test]
fn an_update_ends_no_connection_and_restarts_only_services_that_changed() {
    if !may_mount() {
        return;
    }
    let installed = Installed::nothing();
    installed.put("etc/pam.d/xrdp-sesman", DEBIANS);
    installed.put("etc/xrdp/xrdp.ini", INI);
    installed.install();
    let running = ["sudare-gate.socket", "sudare-owner.service", "sudare-recorder.service", "xrdp.service"];
    let (diary, code, said) = upgrade_a_running_host(&installed, &running, "");
    assert_eq!(code, Some(0));
    assert!(matches!(&diary[..], [one] if one.starts_with("daemon-reload|")), "{diary:?}");
    assert!(said.contains("Open connections go on"), "{said}");
    installed.write("programs/sudare-gate", "a newer gate");
    installed.write("programs/sudare-owner", "a newer owner");
    let (diary, _, _) = upgrade_a_running_host(&installed, &running, "");
    let told: Vec<_> = diary.iter().map(|line| line.split('|').next().unwrap()).collect();
    assert_eq!(told, ["daemon-reload", "daemon-reload", "try-restart sudare-owner"]);
}

#[test]
fn what_did_not_run_is_not_started() {
    if !may_mount() {
        return;
    }
    for running in [&[][..], &["xrdp.service"]] {
        let (diary, code, said) = upgrade_a_running_host(&Old::Supervisor.lay_out(), running, "");
        assert_eq!(code, Some(0));
        assert!(diary.iter().all(|line| line.starts_with("daemon-reload|")), "{diary:?}");
        assert_eq!(said.contains("WARNING: xrdp runs"), !running.is_empty(), "{said}");
    }
    let running = [Old::Supervisor.unit()];
    let (diary, _, _) = upgrade_a_running_host(&Old::Supervisor.lay_out(), &running, "");
    assert!(diary.last().unwrap().starts_with("start sudare-owner"), "xrdp was stopped: {diary:?}");
}
