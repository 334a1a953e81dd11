//! From the layout in which `sudare-host` did everything: the files, and the order in which `install.sh` replaces
//! what runs, with a systemd that only keeps a diary.

use std::path::Path;
use std::process::{Command, Stdio};

use super::installing::{DEBIANS, Installed, LINE, PROGRAMS, read, script, text};
use super::skip_or_fail;

const OLD_LINE: &str =
    "account required pam_exec.so quiet /usr/local/bin/sudare-host --config /etc/sudare/host.toml sign-in\n";
const OLD_UNIT: &str = "\
[Unit]
Before=xrdp.service
[Service]
ExecStart=/usr/local/bin/sudare-host supervise --config /etc/sudare/host.toml
KillMode=process
[Install]
WantedBy=multi-user.target
";
const OLD_DROP_IN: &str = "[Unit]\nRequires=sudare-host.service\nAfter=sudare-host.service\n";
const WANTS: &str = "etc/systemd/system/multi-user.target.wants";

/// Files as the last version of that layout left them, with the unit enabled.
fn old_layout() -> Installed {
    let installed = Installed::nothing();
    for name in ["sudare-host", "sudare-audit", "sudare-blanker"] {
        installed.put(&format!("usr/local/bin/{name}"), "an old program");
    }
    installed.put("etc/systemd/system/sudare-host.service", OLD_UNIT);
    for name in ["recorder", "ship", "forward"] {
        let unit = format!("[Service]\nExecStart=/usr/local/bin/sudare-host {name}\n");
        installed.put(&format!("etc/systemd/system/sudare-{name}.service"), unit);
    }
    installed.put("etc/systemd/system/xrdp.service.d/sudare.conf", OLD_DROP_IN);
    installed.put("etc/sudare/host.toml", "max_sessions = 7\n");
    installed.put("etc/pam.d/xrdp-sesman", format!("{OLD_LINE}{DEBIANS}"));
    std::fs::create_dir_all(installed.root(WANTS)).unwrap();
    enable(&installed, "sudare-host.service");
    enable(&installed, "sudare-recorder.service");
    installed
}

fn enable(installed: &Installed, unit: &str) {
    let target = format!("/etc/systemd/system/{unit}");
    std::os::unix::fs::symlink(target, installed.root(WANTS).join(unit)).unwrap();
}

/// Nothing but the page for administrators names a program, a unit or a command that is gone.
fn nothing_old_is_left(installed: &Installed) {
    assert!(!installed.root("etc/systemd/system/sudare-host.service").exists());
    for line in installed.all().into_iter().filter(|line| !line.contains("/usr/share/doc/")) {
        let path = Path::new(line.split(' ').next().unwrap());
        assert!(!line.contains("sudare-host.service"), "{line}");
        let said = std::fs::read_to_string(path).unwrap_or_default();
        for old in ["sudare-host.service", "an old program", " sign-in", "sudare-host recorder"] {
            assert!(!said.contains(old), "{} says {old:?}", path.display());
        }
    }
}

#[test]
fn an_upgrade_leaves_the_new_layout_and_a_second_one_changes_nothing() {
    let installed = old_layout();
    installed.install();
    nothing_old_is_left(&installed);
    assert_eq!(installed.names("usr/local/bin"), PROGRAMS);
    assert_eq!(installed.names(WANTS), ["sudare-recorder.service", "sudare-supervisor.service"]);
    let link = installed.root(WANTS).join("sudare-supervisor.service").read_link().unwrap();
    assert_eq!(link, Path::new("/etc/systemd/system/sudare-supervisor.service"));
    let drop_in = read(&installed.root("etc/systemd/system/xrdp.service.d/sudare.conf"));
    assert!(drop_in.contains("Requires=sudare-supervisor.service\n"), "{drop_in}");
    assert_eq!(read(&installed.root("etc/pam.d/xrdp-sesman")), format!("{LINE}{DEBIANS}"));
    assert_eq!(read(&installed.root("etc/sudare/host.toml")), "max_sessions = 7\n");
    let once = installed.all();
    installed.install();
    assert_eq!(installed.all(), once);
}

#[test]
fn an_upgrade_is_the_same_as_an_installation() {
    let (upgraded, fresh) = (old_layout(), Installed::nothing());
    fresh.put("etc/pam.d/xrdp-sesman", DEBIANS);
    upgraded.install();
    fresh.install();
    for folder in ["etc/pam.d", "etc/systemd/system", "etc/systemd/system/xrdp.service.d", "usr/local/bin"] {
        assert_eq!(upgraded.names(folder), fresh.names(folder), "{folder}");
        for name in fresh.names(folder) {
            let file = |installed: &Installed| read(&installed.root(folder).join(&name));
            assert_eq!(file(&upgraded), file(&fresh), "{folder}/{name}");
        }
    }
}

#[test]
fn a_supervisor_that_was_not_enabled_stays_so_and_an_administrators_changes_are_pointed_out() {
    let installed = old_layout();
    std::fs::remove_file(installed.root(WANTS).join("sudare-host.service")).unwrap();
    let theirs =
        installed.put("etc/systemd/system/sudare-host.service.d/override.conf", "[Service]\nNice=1\n");
    let said = installed.install();
    assert_eq!(installed.names(WANTS), ["sudare-recorder.service"]);
    assert!(said.contains("sudare-host.service.d no longer count") && theirs.exists(), "{said}");
}

#[test]
fn an_uninstallation_removes_either_layout_or_both() {
    for (old, upgrade) in [(true, false), (true, true), (false, true)] {
        let installed = if old { old_layout() } else { Installed::nothing() };
        installed.put("etc/pam.d/xrdp-sesman", format!("{}{DEBIANS}", if old { OLD_LINE } else { "" }));
        if upgrade {
            installed.install();
        }
        for _ in 0..2 {
            installed.uninstall();
            assert_eq!(read(&installed.root("etc/pam.d/xrdp-sesman")), DEBIANS);
            let left = installed.all().into_iter();
            let left: Vec<_> =
                left.filter(|line| !line.contains("/etc/sudare/") && !line.contains("/etc/pam.d/")).collect();
            assert_eq!(left, Vec::<String>::new());
        }
    }
}

/// Notes each command, and what a crash or a sign-in at this moment would find. Which units run are files.
const DIARY: &str = r#"#!/bin/sh
state=$0.state
pam=$(sed -n 's/^account required .*\(sudare-[a-z-]*\) .*/\1/p' /etc/pam.d/xrdp-sesman | tr '\n' ' ')
printf '%s|pam %s|%s|' "$*" "$pam" "$(cat /usr/local/bin/sudare-host)" >>"$0.diary"
for unit in "$state"/*; do printf '%s ' "${unit##*/}" >>"$0.diary"; done
echo >>"$0.diary"
command=$1
shift
for unit; do
    case $unit in *.service) ;; *) unit=$unit.service ;; esac
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
) -> (Vec<String>, Option<i32>) {
    let systemctl = installed.write("tools/systemctl", DIARY);
    for name in ["systemd-sysusers", "systemd-tmpfiles"] {
        installed.write(&format!("tools/{name}"), "#!/bin/sh\n");
    }
    for unit in running {
        installed.write(&format!("tools/systemctl.state/{unit}.service"), "");
    }
    let tools = systemctl.parent().unwrap();
    for tool in ["systemctl", "systemd-sysusers", "systemd-tmpfiles"] {
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
    (diary.lines().filter(|line| !asks(line)).map(str::to_owned).collect(), output.status.code())
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
fn nobody_looks_while_the_supervisor_is_replaced_and_every_sign_in_is_covered_or_refused() {
    if !may_mount() {
        return;
    }
    let installed = old_layout();
    let running = ["sudare-host", "sudare-recorder", "xrdp"];
    let (diary, code) = upgrade_a_running_host(&installed, &running, "");
    assert_eq!(code, Some(0));
    let old = "an old program|sudare-host.service sudare-recorder.service xrdp.service ";
    let expected = [
        format!("daemon-reload|pam sudare-host |{old}"),
        format!("stop xrdp|pam sudare-sign-in |{old}"),
        "stop sudare-host.service|pam sudare-sign-in |an old program|sudare-host.service sudare-recorder.service "
            .into(),
        "daemon-reload|pam sudare-sign-in |an old program|sudare-recorder.service ".into(),
        "try-restart sudare-recorder|pam sudare-sign-in |a new program|sudare-recorder.service ".into(),
        "try-restart sudare-ship|pam sudare-sign-in |a new program|sudare-recorder.service ".into(),
        "try-restart sudare-forward|pam sudare-sign-in |a new program|sudare-recorder.service ".into(),
        "start sudare-supervisor|pam sudare-sign-in |a new program|sudare-recorder.service ".into(),
        "start xrdp|pam sudare-sign-in |a new program|sudare-recorder.service sudare-supervisor.service ".into(),
    ];
    assert_eq!(diary, expected);
    nothing_old_is_left(&installed);
}

#[test]
fn a_step_that_fails_leaves_xrdp_stopped_or_guarded_as_before() {
    if !may_mount() {
        return;
    }
    for (failing, code, last, why) in [
        ("stop", 2, "stop xrdp|", "the old supervisor goes on"),
        ("start", 2, "start sudare-supervisor|", "xrdp stays stopped"),
        ("try-restart", 0, "start xrdp|", "guards cover without a recorder"),
    ] {
        let installed = old_layout();
        let running = ["sudare-host", "sudare-recorder", "xrdp"];
        let (diary, ended) = upgrade_a_running_host(&installed, &running, failing);
        assert_eq!(ended, Some(code), "{failing}");
        assert!(diary.last().unwrap().starts_with(last), "{why}: {diary:?}");
        // The rest is done when it is run again.
        installed.install();
        nothing_old_is_left(&installed);
        assert_eq!(installed.names(WANTS), ["sudare-recorder.service", "sudare-supervisor.service"]);
    }
}

#[test]
fn what_did_not_run_is_not_started() {
    if !may_mount() {
        return;
    }
    for running in [&[][..], &["xrdp"]] {
        let (diary, code) = upgrade_a_running_host(&old_layout(), running, "");
        assert_eq!(code, Some(0));
        assert!(diary.iter().all(|line| line.starts_with("daemon-reload|")), "{diary:?}");
    }
    let (diary, _) = upgrade_a_running_host(&old_layout(), &["sudare-host"], "");
    assert!(diary.last().unwrap().starts_with("start sudare-supervisor|"), "xrdp was stopped: {diary:?}");
}
