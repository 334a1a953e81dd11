//! Hardened hosts set umask 077. Whatever one account writes for another has the mode that the other needs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use sudare_test_kit::{program, wait_until};

use super::{Place, text};

/// The program, under that umask.
fn strict(program: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "umask 077; exec \"$@\"", "sh"]).arg(program);
    command
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).permissions().mode() & 0o7777
}

/// Ends with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn start(place: &Place, name: &str, begun: &str) -> Running {
    let path = place.path(&format!("{name}.log"));
    let mut command = strict(&program(name).unwrap());
    command.arg("--config").arg(place.path("host.toml")).stdin(Stdio::null()).stdout(Stdio::null());
    let running = Running(command.stderr(fs::File::create(&path).unwrap()).spawn().unwrap());
    wait_until(begun, || {
        let said = fs::read_to_string(&path)?;
        Ok(if said.contains(begun) { Ok(()) } else { Err(said) })
    })
    .unwrap();
    running
}

#[test]
fn what_services_write_for_each_other_can_be_read_by_them() {
    let place = Place::new();
    let store = place.path("recorder/evidence");
    fs::create_dir(&store).unwrap();
    // As tmpfiles.conf makes it.
    fs::set_permissions(&store, fs::Permissions::from_mode(0o2750)).unwrap();
    fs::remove_dir(place.path("run")).unwrap();
    let settings = fs::read_to_string(place.path("host.toml")).unwrap();
    let owner = place.path("owner.socket");
    fs::write(
        place.path("host.toml"),
        format!("{settings}owner_socket = {:?}\n", owner.display().to_string()),
    )
    .unwrap();
    let recorder = start(&place, "sudare-recorder", "recording; auditors need this line");
    assert_eq!((mode(&place.path("run")), mode(&place.socket())), (0o755, 0o666));
    assert_eq!((mode(&store.join("checkpoint")), mode(&store.join("tile"))), (0o640, 0o2750));
    let _owner = start(&place, "sudare-owner", "answering gates");
    assert_eq!(mode(&owner), 0o660);
    drop(recorder);

    let mut asked = Command::new(program("sudare-recorder").unwrap());
    let line = asked.arg("--config").arg(place.path("host.toml")).arg("--print-key").output().unwrap();
    fs::write(place.path("log.vkey"), &line.stdout).unwrap();
    let state = place.path("ship");
    let mut ship = strict(&program("sudare-ship").unwrap());
    ship.arg("--store").arg(&store).arg("--key").arg(place.path("log.vkey")).arg("--state").arg(&state);
    ship.arg("--to").arg(format!("file://{}", place.path("copy").display())).arg("--once");
    let output = ship.output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(mode(&state), 0o755, "the recorder reads in there");
    for name in ["shipped", "status.json"] {
        assert_eq!(mode(&state.join(name)), 0o644, "{name}");
    }
    assert_eq!(mode(&state.join("ship-state")), 0o600, "and this is nobody else's");
}
