//! Who else is on the stage. Each is a copy of this program under another name and user.

use std::io::Read as _;
use std::net::TcpStream;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::*;
use crate::process::{self, Process};

/// A session as sesman 0.9 makes it: a process of root, the X server, and the user's first program.
pub(super) struct Session {
    leader: Child,
    display: u32,
    server: &'static str,
}

impl Session {
    /// The session of Alice; her first program leaves a file when it runs.
    pub(super) fn begin(display: u32) -> Self {
        Self::begin_as(display, ALICE)
    }

    pub(super) fn begin_as(display: u32, uid: u32) -> Self {
        Self::begin_on("Xorg", display, uid)
    }

    /// With another X server.
    pub(super) fn begin_on(server: &'static str, display: u32, uid: u32) -> Self {
        let mut leader = actor("xrdp-sesman", "leader", display);
        leader.env("SUDARE_TEST_UID", uid.to_string()).env("SUDARE_TEST_SERVER", server);
        Session { leader: leader.spawn().unwrap(), display, server }
    }

    pub(super) fn server(&self) -> Option<Process> {
        let leader = Pid::from_child(&self.leader);
        process::children(leader).unwrap().into_iter().find(|p| p.exe.name == self.server && p.is_same())
    }

    pub(super) fn listens(&self) -> bool {
        UnixStream::connect(screen_socket(self.display)).is_ok()
    }

    /// Whether the user's own code ran.
    pub(super) fn began(&self) -> bool {
        file_of(&format!("began-{}", self.display)).exists()
    }

    pub(super) fn end_server(&self) {
        kill_process(self.server().unwrap().pid, Signal::KILL).unwrap();
    }
}

/// An RDP connection: a process of xrdp that is attached to the display.
pub(super) struct Connection(Child);

impl Connection {
    pub(super) fn to(display: u32) -> Self {
        Self::by(display, "xrdp", XRDP)
    }

    /// By any program under any user.
    pub(super) fn by(display: u32, program: &str, uid: u32) -> Self {
        Self::playing("client", display, program, uid)
    }

    /// To sesman, and not to a display yet.
    pub(super) fn signing_in() -> Self {
        Self::playing("asker", 0, "xrdp", XRDP)
    }

    fn playing(role: &str, display: u32, program: &str, uid: u32) -> Self {
        let mut child =
            actor(program, role, display).uid(uid).gid(uid).stdout(Stdio::piped()).spawn().unwrap();
        // It says so when it is attached, after what a test program says by itself.
        let mut said = String::new();
        let mut out = child.stdout.take().unwrap();
        while !said.contains("attached") {
            let mut byte = [0];
            out.read_exact(&mut byte).unwrap();
            said.push(char::from(byte[0]));
        }
        child.stdout = Some(out);
        Connection(child)
    }

    pub(super) fn is_there(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    pub(super) fn end(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// What a supervisor says that Alice starts.
pub(super) fn supervisor_of_alices() -> String {
    let said = actor("other", "supervisor", 0).uid(ALICE).gid(ALICE).output().unwrap();
    String::from_utf8_lossy(&said.stderr).into_owned()
}

/// An X server that somebody starts, not sesman.
pub(super) fn other_server(program: &str, role: &str, display: u32, uid: u32) -> Child {
    let child =
        actor(program, role, display).uid(uid).gid(uid).env("SUDARE_TEST_UID", uid.to_string()).spawn();
    until("a server of somebody's own", || UnixStream::connect(x_socket(display)).is_ok());
    child.unwrap()
}

pub(super) fn x_socket(display: u32) -> String {
    format!("/tmp/.X11-unix/X{display}")
}

pub(super) fn screen_socket(display: u32) -> String {
    format!("/run/sockdir/xrdp_display_{display}")
}

fn actor(program: &str, role: &str, display: u32) -> Command {
    let mut command = Command::new(file_of(program));
    // Everything after `--` is for whoever reads the arguments of an X server.
    command.args(["--exact", "stage::actors::play", "--nocapture", "--"]);
    command.args([&format!(":{display}"), "-auth", ".Xauthority"]);
    command.env(ROLE, role).env("SUDARE_TEST_DISPLAY", display.to_string()).stdout(Stdio::null());
    command
}

/// Not a test: this is how a copy of the program comes to play its part.
#[test]
fn play() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u32>().ok());
    let display = number("SUDARE_TEST_DISPLAY").unwrap();
    let uid = number("SUDARE_TEST_UID").unwrap_or(0);
    match role.as_str() {
        "leader" => lead(display, uid),
        "server" => serve(display),
        "manager" => manage(display, uid),
        "client" => attach(display),
        "asker" => {
            let _sesman = TcpStream::connect(("127.0.0.1", 3350)).unwrap();
            println!("attached");
            sleep(1_000_000);
        }
        "supervisor" => panic!("{}", Supervisor::new(options()).unwrap_err()),
        _ => panic!("no such part"),
    }
}

fn lead(display: u32, uid: u32) {
    let mut children = Vec::new();
    if rustix::process::getuid().is_root() {
        // The same program, still root's: it waits for the X server like sesman's own copy.
        let mut manager = actor("xrdp-sesman", "manager", display);
        children.push(manager.env("SUDARE_TEST_UID", uid.to_string()).spawn().unwrap());
    }
    let program = std::env::var("SUDARE_TEST_SERVER").unwrap_or_else(|_| "Xorg".into());
    let mut server = actor(&program, "server", display);
    if rustix::process::getuid().is_root() {
        server.uid(uid).gid(uid);
    }
    server.current_dir(file_of(if uid == BOB { "bob" } else { "alice" }));
    children.push(server.spawn().unwrap());
    for mut child in children {
        child.wait().unwrap();
    }
}

/// Answers like an X server that has just begun to listen, a little after which it is ready.
fn serve(display: u32) {
    let abstract_name = SocketAddr::from_abstract_name(x_socket(display)).unwrap();
    let _abstract = UnixListener::bind_addr(&abstract_name).unwrap();
    let cookie = [
        &[1, 0][..],
        &word(b"vm"),
        &word(display.to_string().as_bytes()),
        &word(b"MIT-MAGIC-COOKIE-1"),
        &word(&[0xab; 16]),
    ]
    .concat();
    let home = std::env::current_dir().unwrap();
    if home.starts_with(HOME) {
        // Whose home this is not may not write here, and is refused for other reasons.
        fs::write(home.join(".Xauthority"), cookie).ok();
    }
    let _x = UnixListener::bind(x_socket(display)).unwrap();
    sleep(100);
    let screen = UnixListener::bind(screen_socket(display)).unwrap();
    fs::set_permissions(screen_socket(display), fs::Permissions::from_mode(0o666)).unwrap();
    loop {
        let (mut connection, _) = screen.accept().unwrap();
        // Like Xorg's, its end closes when the other does.
        thread::spawn(move || connection.read_to_end(&mut Vec::new()));
    }
}

fn word(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

fn manage(display: u32, uid: u32) {
    while UnixStream::connect(screen_socket(display)).is_err() {
        sleep(5);
    }
    let began = file_of(&format!("began-{display}"));
    fs::write(&began, "").unwrap();
    panic!("{}", Command::new("sleep").arg("1000").uid(uid).gid(uid).exec());
}

fn attach(display: u32) {
    let _screen = UnixStream::connect(screen_socket(display)).unwrap();
    println!("attached");
    sleep(1_000_000);
}
