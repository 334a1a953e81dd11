//! Debian's xfreerdp with our plugin, against the embedded host: what a user sees in its window.
//!
//! Needs root, xfreerdp, Xvfb, imagemagick, the models and the photographs; says so and does
//! nothing without them, unless `SUDARE_REQUIRE_TOOLS` demands them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]

use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sudare_stack::xfreerdp::{self, Client, STRANGER_BESIDE, UNPLUGGED};
use sudare_test_kit::programs;
use sudare_test_kit::scene::{ALONE, Camera, Seat};
use sudare_test_kit::stage::{self, Stage};

const ANY: &str = "/cert:ignore";
/// What is covered and stays so is looked at for this long.
const A_WHILE: Duration = Duration::from_secs(3);

/// Host, device, enrolment, and a camera that plays a scene.
struct Setup {
    stage: Stage,
    fifo: PathBuf,
    _dir: tempfile::TempDir,
}

impl Setup {
    fn new() -> Option<Self> {
        let photographs = photographs()?;
        let dir = tempfile::tempdir().unwrap();
        let bin = programs(&stage::PROGRAMS).unwrap();
        let mut stage = Stage::new(&dir.path().join("stage"), &bin).unwrap();
        stage.prepare(&Stage::enrolment_pictures(&photographs)).unwrap();
        stage.serve().unwrap();
        let fifo = stage.dir.join("camera.fifo");
        Some(Setup { stage, fifo, _dir: dir })
    }

    fn camera(&self) -> Camera {
        Camera::start(Seat::load(&photographs().unwrap()).unwrap(), &self.fifo).unwrap()
    }

    /// A client with the plugin.
    fn client(&self, options: &[&str]) -> Client {
        self.client_at(&self.stage.listen, options, &[])
    }

    fn client_at(&self, listen: &str, options: &[&str], environment: &[(&str, &Path)]) -> Client {
        let settings = xfreerdp::settings(&self.stage, &self.fifo, "info").unwrap();
        let dvc = format!("/dvc:sudare,config:{}", settings.display());
        self.plain(listen, &[options, &[&dvc]].concat(), environment)
    }

    /// A client with just these options.
    fn plain(&self, listen: &str, options: &[&str], environment: &[(&str, &Path)]) -> Client {
        let all: Vec<String> = options.iter().map(|o| (*o).to_owned()).collect();
        Client::start(listen, &self.stage.dir.join("client"), &all, environment).unwrap()
    }

    /// Keeps a picture of the window for people, if they ask for it.
    fn keep(&self, client: &Client, name: &str) {
        if let Some(dir) = std::env::var_os("SUDARE_KEEP_SCREENSHOTS") {
            client.save(&Path::new(&dir).join(format!("plugin-{name}.png"))).unwrap();
        }
    }
}

fn photographs() -> Option<PathBuf> {
    let folder = std::env::var_os("SUDARE_TEST_PICTURES").map(PathBuf::from);
    let missing = xfreerdp::missing().or(folder.is_none().then_some("photographs"));
    if let Some(missing) = missing {
        let required = std::env::var("SUDARE_REQUIRE_TOOLS").unwrap_or_default();
        assert!(!required.split(',').any(|tool| tool == missing), "{missing} is missing");
        println!("not run: {missing} is missing. `cargo xtask test` sets everything up");
        return None;
    }
    folder
}

#[test]
fn the_window_shows_the_desktop_to_its_operator_alone() {
    let Some(setup) = Setup::new() else { return };
    let camera = setup.camera();
    let mut client = setup.client(&[ANY]);
    client.wait_desktop().unwrap();
    setup.keep(&client, "alone");

    camera.show(STRANGER_BESIDE);
    client.wait_covered().unwrap();
    std::thread::sleep(Duration::from_millis(1_500));
    setup.keep(&client, "stranger");
    camera.show(ALONE);
    client.wait_desktop().unwrap();

    camera.show(UNPLUGGED);
    client.wait_covered().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    setup.keep(&client, "unplugged");
    camera.show(ALONE);
    client.wait_desktop().unwrap();
}

/// Forwards bytes until the test cuts the connections.
struct Cable {
    address: SocketAddr,
    ends: Arc<Mutex<Vec<TcpStream>>>,
}

impl Cable {
    fn to(host: &str) -> Self {
        let host: SocketAddr = host.parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, ends) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let shared = Arc::clone(&ends);
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Ok(far) = TcpStream::connect(host) else { continue };
                for (mut from, mut to) in [(&near, &far), (&far, &near)]
                    .map(|(a, b)| (a.try_clone().unwrap(), b.try_clone().unwrap()))
                {
                    std::thread::spawn(move || std::io::copy(&mut from, &mut to));
                }
                shared.lock().unwrap().extend([near, far]);
            }
        });
        Cable { address, ends }
    }

    fn cut(&self) {
        for end in self.ends.lock().unwrap().drain(..) {
            end.shutdown(Shutdown::Both).ok();
        }
    }
}

#[test]
fn a_cut_connection_comes_back_with_the_camera() {
    let Some(setup) = Setup::new() else { return };
    let _camera = setup.camera();
    let cable = Cable::to(&setup.stage.listen);
    let mut client = setup.client_at(&cable.address.to_string(), &[ANY, "+auto-reconnect"], &[]);
    client.wait_desktop().unwrap();
    for round in 2..4 {
        cable.cut();
        // FreeRDP shows its last picture until it is connected again, so the plugin's own words count.
        client.wait_said_times("the host proved itself", round).unwrap();
        client.wait_covered().unwrap();
        client.wait_desktop().unwrap();
    }
}

#[test]
fn a_pinned_certificate_is_compared() {
    let Some(setup) = Setup::new() else { return };
    let _camera = setup.camera();
    let pem = std::fs::read(setup.stage.dir.join("host/rdp-tls.pem")).unwrap();
    let pin = format!("/cert:deny,fingerprint:sha256:{}", fingerprint(&pem));
    let mut client = setup.client(&[&pin]);
    client.wait_desktop().unwrap();
    assert!(client.said().contains("certificate_checked=true"), "{}", client.said());
    drop(client);
    let mut client = setup.client(&[ANY]);
    client.wait_desktop().unwrap();
    assert!(client.said().contains("certificate_checked=false"), "{}", client.said());
}

/// SHA-256 of the first certificate of a PEM file, as FreeRDP takes it.
fn fingerprint(pem: &[u8]) -> String {
    use base64::Engine as _;
    use sha2::Digest as _;
    let text = String::from_utf8(pem.to_vec()).unwrap();
    let body: String = text
        .lines()
        .skip_while(|line| *line != "-----BEGIN CERTIFICATE-----")
        .skip(1)
        .take_while(|line| !line.starts_with("-----"))
        .collect();
    let der = base64::engine::general_purpose::STANDARD.decode(body).unwrap();
    sha2::Sha256::digest(der).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

/// It stays covered and connected, and says these words.
fn stays_covered(mut client: Client, words: &str) {
    client.wait_said(words).unwrap();
    client.wait_covered().unwrap();
    let until = std::time::Instant::now() + A_WHILE;
    while std::time::Instant::now() < until {
        assert!(client.is_covered().unwrap(), "it was covered and is not any more: {}", client.said());
    }
    assert!(client.runs().unwrap(), "the connection goes on: {}", client.said());
}

#[test]
fn what_is_missing_is_said_and_covered_and_the_connection_goes_on() {
    let Some(setup) = Setup::new() else { return };
    let _camera = setup.camera();
    let listen = setup.stage.listen.clone();
    stays_covered(setup.plain(&listen, &[ANY, "/dvc:sudare,camra:0"], &[]), "\"camra:0\" is not an argument");
    // No settings: an empty home, so no organisation.
    stays_covered(setup.plain(&listen, &[ANY, "/dvc:sudare"], &[]), "this device has no organisation yet");
    let empty = setup.stage.dir.join("empty");
    std::fs::create_dir_all(&empty).unwrap();
    stays_covered(setup.client_at(&listen, &[ANY], &[("SUDARE_CACHE", &empty)]), "sudare models fetch");

    // Another organisation than the host's.
    let pinned = setup.stage.dir.join("device/organisation.pub");
    let right = std::fs::read(&pinned).unwrap();
    std::fs::write(&pinned, "sudare-ed25519 iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w=\n").unwrap();
    stays_covered(setup.client(&[ANY]), "record is not signed by this organisation");
    std::fs::write(&pinned, right).unwrap();
}

/// Below a folder that vanishes with the test, as somebody with an empty home.
#[test]
fn plugin_and_program_are_installed_together_and_removed_without_touching_the_home() {
    if xfreerdp::missing() == Some("xfreerdp") {
        return println!("not run: xfreerdp is missing. `cargo xtask test` sets everything up");
    }
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    for name in ["library", "program", "home/.config/sudare/device.key"] {
        std::fs::create_dir_all(Path::new(&path(name)).parent().unwrap()).unwrap();
        std::fs::write(path(name), "").unwrap();
    }
    let script = |arguments: &[&str]| {
        let script = sudare_test_kit::checkout().join("deploy/linux/client/install.sh");
        let mut command = std::process::Command::new("sh");
        command.arg(script).args(arguments).args(["--root", &path("root")]).env("HOME", path("home"));
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    };
    let (code, said) = script(&["--library", &path("library"), "--program", &path("none")]);
    assert!(code == Some(2) && said.contains("cargo build --release -p sudare-cli"), "{said}");
    assert!(!Path::new(&path("root")).exists(), "nothing, if it cannot be all");
    let (code, said) = script(&["--library", &path("library"), "--program", &path("program")]);
    assert_eq!(code, Some(0), "{said}");
    let installed: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("installed ")).collect();
    assert!(installed.len() >= 2 && installed.contains(&&*path("root/usr/local/bin/sudare")), "{said}");
    assert!(installed.iter().all(|file| Path::new(file).is_file()));
    let (code, said) = script(&["--uninstall"]);
    assert!(code == Some(0) && said.contains("~/.cache/sudare"), "{said}");
    assert!(installed.iter().all(|file| !Path::new(file).exists()));
    assert!(Path::new(&path("home/.config/sudare/device.key")).exists(), "it is the user's");
}
