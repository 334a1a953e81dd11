//! Who meets at a host: the security team, which signs; the administrator, who types what the page says; and an employee
//! with a private screen, a client and a camera.
//!
//! All of them are on one machine here, each in a folder of their own.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use sudare_models::Store;
use sudare_test_kit::scene::{self, Camera, Scene};
use sudare_test_kit::wait_until;

use super::packages::{self, INSIDE};
use super::{Machine, Release};
use crate::xrdp::framebuffer::Framebuffer;

/// Where packages lie, and the administrator types.
pub const DESK: &str = "/srv/desk";
/// Where the photographs of people and the models are seen inside.
const PHOTOGRAPHS: &str = "/photographs";
const MODELS: &str = "/models";
/// How much a codec that loses something may change a part of a colour.
const CODEC: u8 = 40;
/// A window of xterm's, 80 by 24, has more of them.
const WINDOW_PX: usize = 10_000;
/// Of the words on a cover.
const WORDS_PX: usize = 500;

/// The administrator's folder with the packages, in which the page's commands are typed.
const SET_UP: &str = "set -e; mkdir -p /srv/desk /srv/office; cp /packages/*.deb /srv/desk
    # Everybody here may read what is private where it comes from.
    cp -r /models /srv/models; cp -r /photographs /srv/photographs; chmod -R a+rX /srv/models /srv/photographs
    chmod 755 /srv /srv/desk
    apt-get -qq install -y /packages/sudare-authority_*.deb >/dev/null 2>&1 || dpkg -i /packages/sudare-authority_*.deb";
/// What the security team does with the host's line, and where the admin puts what comes back.
const SIGN: &str = r#"set -e
    mkdir -p /srv/desk/records; cd /srv/office
    if [ ! -e organisation.key ]; then
        sudare-authority new --out organisation.key >/dev/null
        a=$(sudare-authority new-auditor --out a.age); b=$(sudare-authority new-auditor --out b.age)
        printf 'organisation = "Demo"\nserial = 1\nauditors = ["%s", "%s"]\n' "$a" "$b" >policy.toml
    fi
    sudare-authority sign-host --key organisation.key --host-id vdi-1 --public-key "$1" --out host.record
    sudare-authority sign-policy --key organisation.key --in policy.toml --out policy.record
    mv host.record policy.record /srv/desk/records; cp organisation.pub /srv/desk/records"#;
/// The user of the host, whose desktop has a yellow window, and the employee's own account, with a screen.
const PEOPLE: &str = r#"set -e
    id alice >/dev/null 2>&1 || useradd -m -s /bin/bash alice; echo 'alice:a desk' | chpasswd
    printf '#!/bin/sh\nexec openbox --startup "xterm -geometry 80x24+0+0 -bg yellow"\n' >/home/alice/.xsession
    chmod +x /home/alice/.xsession; chown alice: /home/alice/.xsession
    id taro >/dev/null 2>&1 || useradd -m -s /bin/bash taro
    rm -rf /shared/screen; install -d -o taro /shared/screen
    setpriv --reuid taro --regid taro --clear-groups \
        Xvfb :99 -screen 0 1024x700x24 -noreset -fbdir /shared/screen >/dev/null 2>&1 </dev/null &
    for try in $(seq 240); do [ ! -S /tmp/.X11-unix/X99 ] || break; sleep 0.25; done
    [ -S /tmp/.X11-unix/X99 ]"#;
/// What the employee's page says, up to the files that others need; the models are there already.
const ENROL: &str = r#"set -e
    cd /srv/desk && apt-get -qq install -y ./sudare-client_*.deb >/dev/null
    install -o taro -m 600 /srv/office/organisation.pub /home/taro/organisation.pub
    cat >/home/taro/enrol <<'END'
set -e
export SUDARE_CACHE=/srv/models
install -m 0700 -d ~/.config/sudare; cp ~/organisation.pub ~/.config/sudare/
sudare device-key >~/device.line
sudare enroll $IMAGES --out ~/me.operator
END
    IMAGES="$1" HOME=/home/taro setpriv --reuid taro --regid taro --clear-groups bash /home/taro/enrol
    cd /srv/office
    sudare-authority sign-device --key organisation.key --user alice --public-key "$(cat /home/taro/device.line)" --out device.record
    mv device.record /srv/desk; cp /home/taro/me.operator /srv/desk
    printf 'camera = "mjpeg:/shared/camera.fifo"\nlog_level = "info"\n' >/home/taro/.config/sudare/client.toml
    chown taro: /home/taro/.config/sudare/client.toml"#;
/// Ends the client that there is, and starts another; the argument names the plug-in, if it has it.
const CONNECT: &str = r#"set -e
    [ ! -e /srv/client.pid ] || kill $(cat /srv/client.pid) 2>/dev/null || true
    client=$(command -v xfreerdp || command -v xfreerdp3)
    DISPLAY=:99 HOME=/home/taro SUDARE_CACHE=/srv/models nohup setpriv --reuid taro --regid taro --clear-groups \
        $client /v:127.0.0.1:3389 /u:alice '/p:a desk' /size:1024x700 /cert:ignore -decorations $1 \
        >/srv/client.log 2>&1 </dev/null &
    echo $! >/srv/client.pid"#;
const PLUGIN: &str = "/dvc:sudare,config:/home/taro/.config/sudare/client.toml";
/// What has to stay: the X server, the gate's process, its connection, the client.
const STATE: &str = r#"
    client=$(cat /srv/client.pid); kill -0 $client 2>/dev/null || client=gone
    tcp=$(ss -tneH state established 'sport = :3389' 2>/dev/null | grep -o 'ino:[0-9]*')
    echo Xorg $(pgrep -x Xorg) gate $(pgrep -x sudare-gate) tcp $tcp client $client"#;

/// A host, and who uses it.
#[derive(Debug)]
pub struct Seat {
    pub machine: Machine,
    shared: tempfile::TempDir,
    photographs: PathBuf,
    camera: Option<Camera>,
    screen: Option<Framebuffer>,
}

/// What a client shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Neither words nor the desktop.
    Black,
    /// A cover with its words.
    Words,
    /// The user's window.
    Desktop,
}

impl Seat {
    /// At a machine of this release that has just started, with packages of the programs that are built here. `kept` is
    /// the folder in which releases and packages are kept.
    ///
    /// # Errors
    /// The release cannot be had, or packages cannot be made.
    pub fn meet(release: Release, kept: &Path, photographs: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(kept)?;
        let (packed, models) = (kept.join("packages"), Store::default_dir()?);
        packages::pack(&packed)?;
        for folder in [photographs, &models] {
            ensure!(folder.is_dir(), "{} does not exist. Type `cargo xtask setup`", folder.display());
        }
        let shared = tempfile::Builder::new().prefix("sudare-shared-").tempdir()?;
        // Everybody inside may enter it.
        std::fs::set_permissions(shared.path(), PermissionsExt::from_mode(0o777))?;
        let binds = [(packed.as_path(), INSIDE), (photographs, PHOTOGRAPHS), (&models, MODELS)];
        let machine = Machine::boot(release, kept, shared.path(), &binds)?;
        machine.must(SET_UP, INSIDE)?;
        Ok(Self { machine, shared, photographs: photographs.to_owned(), camera: None, screen: None })
    }

    /// As the administrator types it.
    ///
    /// # Errors
    /// The command fails.
    pub fn types(&self, command: &str) -> anyhow::Result<String> {
        self.machine.must(&format!("cd {DESK} && {command}"), "")
    }

    /// The security team signs what the host's line says.
    ///
    /// # Errors
    /// There is no such line, or it is not signed.
    pub fn sign(&self, said: &str) -> anyhow::Result<()> {
        let line = said.lines().find(|line| line.starts_with("sudare-ed25519 "));
        self.machine.must(SIGN, line.with_context(|| format!("no line for the security team: {said}"))?)?;
        Ok(())
    }

    /// The employee's account and screen, also after the machine has been restarted.
    ///
    /// # Errors
    /// The screen does not start.
    pub fn sit_down(&mut self) -> anyhow::Result<()> {
        self.machine.must(PEOPLE, "")?;
        self.screen = Some(Framebuffer::open(&self.shared.path().join("screen"))?);
        Ok(())
    }

    /// Installs the client, makes the device's key, enrols the operator from photographs, and starts to play the camera.
    /// What the administrator needs lies on the desk.
    ///
    /// # Errors
    /// A step fails.
    pub fn enrol(&mut self) -> anyhow::Result<()> {
        let images = scene::ENROL.map(|name| format!("--image /srv{PHOTOGRAPHS}/{name}")).join(" ");
        self.machine.must(ENROL, &images)?;
        let seat = scene::Seat::load(&self.photographs)?;
        let fifo = self.shared.path().join("camera.fifo");
        self.camera = Some(Camera::start(seat, &fifo)?);
        std::fs::set_permissions(&fifo, PermissionsExt::from_mode(0o644))?;
        Ok(())
    }

    /// Who is before the camera, once it plays.
    pub fn show(&self, scene: Scene) {
        if let Some(camera) = &self.camera {
            camera.show(scene);
        }
    }

    /// As the employee types it.
    ///
    /// # Errors
    /// The command fails.
    pub fn employee_types(&self, command: &str) -> anyhow::Result<String> {
        let script = "HOME=/home/taro SUDARE_CACHE=/srv/models setpriv --reuid taro --regid taro --clear-groups bash -c \"$1\"";
        self.machine.must(script, command)
    }

    /// A client of the employee's, instead of the one that there is.
    ///
    /// # Errors
    /// It does not start.
    pub fn connect(&self, with_plugin: bool) -> anyhow::Result<()> {
        self.machine.must(CONNECT, if with_plugin { PLUGIN } else { "" })?;
        Ok(())
    }

    /// Processes and connection that a session is made of.
    ///
    /// # Errors
    /// The machine has gone.
    pub fn state(&self) -> anyhow::Result<String> {
        self.machine.must(STATE, "")
    }

    /// What the client shows now.
    ///
    /// # Errors
    /// Nobody has sat down.
    pub fn shown(&self) -> anyhow::Result<Shown> {
        let screen = self.screen.as_ref().context("nobody has sat down")?;
        let mut pixels = Vec::new();
        screen.read(&mut pixels)?;
        let pixels = pixels.as_chunks::<4>().0;
        // Yellow, which nothing else on any screen is: blue comes first.
        let of_window = |pixel: &&[u8; 4]| {
            let [blue, green, red, _] = **pixel;
            blue < CODEC && green > u8::MAX - CODEC && red > u8::MAX - CODEC
        };
        if pixels.iter().filter(of_window).count() > WINDOW_PX {
            return Ok(Shown::Desktop);
        }
        let lit = pixels.iter().filter(|pixel| pixel[..3].iter().any(|part| *part > 0x50)).count();
        Ok(if lit > WORDS_PX { Shown::Words } else { Shown::Black })
    }

    /// Waits until the client shows it.
    ///
    /// # Errors
    /// It does not within minutes; what the client said.
    pub fn wait_for(&self, wanted: Shown) -> anyhow::Result<()> {
        let what = format!("{wanted:?} on the client's screen");
        wait_until(&what, || {
            let shown = self.shown()?;
            Ok(if shown == wanted { Ok(()) } else { Err(format!("{shown:?}; {}", self.client_said())) })
        })
    }

    fn client_said(&self) -> String {
        let log = self.machine.run("tail -n 3 /srv/client.log", "");
        log.map(|log| String::from_utf8_lossy(&log.stdout).into_owned()).unwrap_or_default()
    }

    /// Whether there is a desktop in the session, whatever its client is shown.
    ///
    /// # Errors
    /// There is none within minutes.
    pub fn wait_for_session(&self) -> anyhow::Result<()> {
        let look = r#"XAUTHORITY=/home/alice/.Xauthority DISPLAY=:10 import -window root /tmp/session.png 2>/dev/null &&
            convert /tmp/session.png -fill black +opaque yellow -format '%[fx:int(mean*w*h*3/2+0.5)]' info:"#;
        wait_until("a desktop in the session", || {
            let said = self.machine.run(look, "")?;
            let count = String::from_utf8_lossy(&said.stdout).trim().parse::<usize>().unwrap_or_default();
            Ok(if count > WINDOW_PX { Ok(()) } else { Err(self.client_said()) })
        })
    }
}
