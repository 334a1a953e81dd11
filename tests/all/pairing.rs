//! From a code to a seat, with the programs that people run: what lets a device in, and what does not.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sudare_test_kit::stage::{NOTICE, PROGRAMS, Stage, USER};
use sudare_test_kit::{needs, programs, wait_until};

/// A host of an organisation, an admin who may invite, and operator files of two devices.
struct Site {
    stage: Stage,
    photographs: PathBuf,
    _dir: tempfile::TempDir,
}

impl Site {
    fn new(users: &[&str], devices: u32, policy: &str) -> Option<Self> {
        let photographs = needs::photographs()?;
        let dir = tempfile::tempdir().unwrap();
        let bin = programs(&PROGRAMS).unwrap();
        let mut stage = Stage::new(&dir.path().join("site"), &bin).unwrap();
        stage.prepare_host(policy).unwrap();
        stage.make_enroller(users, devices).unwrap();
        stage.serve().unwrap();
        Some(Site { stage, photographs, _dir: dir })
    }

    /// `sudare` of a device.
    fn client(&self, device: &str) -> Command {
        self.stage.client_command(device)
    }

    /// An operator file of a device, from photographs.
    fn operator(&self, device: &str) -> PathBuf {
        let out = self.stage.dir.join(format!("{device}.operator"));
        if !out.exists() {
            let mut enrol = self.client(device);
            enrol.args(["enroll", "--out"]).arg(&out);
            for picture in Stage::enrolment_pictures(&self.photographs) {
                enrol.arg("--image").arg(picture);
            }
            succeeds(&mut enrol);
        }
        out
    }

    fn pair(&self, device: &str, code: &str) -> Output {
        self.pair_as(device, code, &self.operator(device))
    }

    fn pair_as(&self, device: &str, code: &str, operator: &Path) -> Output {
        let mut pair = self.client(device);
        pair.args(["pair", code, "--accept", "--name", "vdi", "--operator"]).arg(operator);
        pair.output().unwrap()
    }

    #[track_caller]
    fn is_refused(&self, device: &str, code: &str, why: &str) {
        let output = self.pair(device, code);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(why), "{said}");
    }

    #[track_caller]
    fn is_paired(&self, device: &str, code: &str) {
        let output = self.pair(device, code);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let home = self.stage.dir.join(device);
        assert!(home.join("organisation.pub").exists() && home.join("hosts/vdi.json").exists());
        assert!(!home.join("pairing.code").exists() && !home.join("pairing.operator").exists());
    }

    /// The table without its heading; nothing if there is no device.
    fn devices(&self) -> String {
        self.host(&["devices"]).lines().skip(1).map(|line| format!("{line}\n")).collect()
    }

    fn host(&self, arguments: &[&str]) -> String {
        let state = self.stage.dir.join("host").display().to_string();
        self.stage.host_tool(&[arguments, &["--state-dir", &state]].concat()).unwrap()
    }
}

fn succeeds(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn one_command_makes_a_seat_and_the_desktop_opens() {
    let Some(site) = Site::new(&[USER], 3, NOTICE) else { return };
    let code = site.stage.invite(USER, &[]).unwrap();
    // As people type it: small letters, O for 0, a hyphen less.
    let (address, symbols) = code.split_once('/').unwrap();
    let typed = format!("{address}/{}", symbols.to_lowercase().replace('0', "o").replacen('-', "", 1));
    site.is_paired("device", &typed);
    assert!(
        site.devices().contains("  alice  ") && site.devices().contains("usable  1"),
        "{}",
        site.devices()
    );
    let print = site.client("device").args(["open", "vdi", "--print"]).output().unwrap();
    let print = String::from_utf8(print.stdout).unwrap();
    assert!(print.contains("/u:alice /cert:deny,fingerprint:sha256:") && print.contains(address), "{print}");
    // The same code again, because its answer may have been lost.
    site.is_paired("device", &code);
    site.is_refused("second", &code, "used for another device");
    assert_eq!(site.devices().lines().count(), 1);
    what_was_agreed_to_is_in_the_log(site);
}

fn what_was_agreed_to_is_in_the_log(mut site: Site) {
    site.stage.end().unwrap();
    let organisation = site.stage.dir.join("organisation.pub");
    let mut consent = site.stage.audit_command();
    consent.arg("consent").arg(site.stage.evidence()).arg("--key").arg(&site.stage.log_vkey);
    let output = consent.arg("--org-key").arg(organisation).arg("--json").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let consents = told["consents"].as_array().unwrap();
    let only = &consents[0];
    assert!(consents.len() == 1 && only["version"] == 1 && only["sessions"] == 2, "{told}");
    assert!(site.devices().starts_with(only["device"].as_str().unwrap()), "{told}");
    let accepted = site.stage.dir.join("device/notices");
    let name = format!("{}.accepted", only["notice_sha256"].as_str().unwrap());
    assert!(accepted.join(name).exists(), "what the device keeps and what the log has are one notice");
}

#[test]
fn codes_that_let_nobody_in_say_why() {
    let Some(site) = Site::new(&[USER], 8, "") else { return };
    let code = site.stage.invite(USER, &[]).unwrap();
    site.is_refused("device", &code[..code.len() - 1], "55 letters and digits instead of 56");
    site.is_refused("device", &code.replacen('/', "/!", 1), "is in no pairing code");
    let (address, symbols) = code.split_once('/').unwrap();
    site.is_refused("device", &format!("localhost/{symbols}"), "mistyped");
    // Of another organisation, whose host is not this one.
    let Some(other) = Site::new(&[USER], 1, "") else { return };
    let foreign = other.stage.invite(USER, &[]).unwrap();
    assert_ne!(foreign.split_once('/').unwrap().0, address);
    site.is_paired("device", &code);
    other.is_paired("elsewhere", &foreign);
    let taken = site.stage.dir.join("device/organisation.pub");
    std::fs::copy(taken, other.stage.dir.join("elsewhere/organisation.pub")).unwrap();
    let another = other.stage.invite(USER, &[]);
    assert!(another.unwrap_err().to_string().contains("all it may"));
    other.stage.make_enroller(&[USER], 5).unwrap();
    let another = other.stage.invite(USER, &[]).unwrap();
    other.is_refused("elsewhere", &another, "not of the organisation");
}

#[test]
fn a_device_is_one_users_and_a_template_one_devices() {
    let Some(site) = Site::new(&[USER, "bob"], 8, "") else { return };
    let code = site.stage.invite(USER, &[]).unwrap();
    site.is_paired("device", &code);
    let bobs = site.stage.invite("bob", &[]).unwrap();
    site.is_refused("device", &bobs, "code 11: This device is enrolled for another user");
    // The code is as good as before.
    let output = site.pair_as("laptop", &bobs, &site.operator("device"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("was enrolled on another device"), "{said}");
    site.is_paired("laptop", &bobs);
    assert!(site.devices().contains("bob") && site.devices().contains("alice"));
}

#[test]
fn an_enroller_stays_within_its_limits_and_ends_with_one_record() {
    let Some(site) = Site::new(&["bob", "@sudo"], 1, "") else { return };
    let refused = site.stage.invite(USER, &[]).unwrap_err().to_string();
    assert!(refused.contains("may not invite"), "{refused}");
    let code = site.stage.invite("bob", &[]).unwrap();
    site.is_paired("device", &code);
    let refused = site.stage.invite("bob", &[]).unwrap_err().to_string();
    assert!(refused.contains("which is all it may"), "{refused}");
    // Its key is taken back: what it let in is out.
    let path = |name: &str| site.stage.dir.join(name).display().to_string();
    let line = std::fs::read_to_string(path("enroller/enroller.pub")).unwrap();
    site.stage.sign(&["revoke", "--public-key", line.trim()], &path("enroller.revocation")).unwrap();
    site.host(&["revoke", &path("enroller.revocation")]);
    assert!(site.devices().contains("revoked"), "{}", site.devices());
    site.is_refused("device", &code, "code 28");
}

#[test]
fn a_device_waits_where_the_invitation_says_so() {
    let Some(site) = Site::new(&["*"], 8, "") else { return };
    let code = site.stage.invite(USER, &["--approve"]).unwrap();
    let output = site.pair("device", &code);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("Waiting for your administrator"));
    let list = site.host(&["approve"]);
    let id = list.split_whitespace().next().unwrap();
    assert!(list.contains("waits") && list.contains(USER), "{list}");
    site.host(&["approve", id]);
    assert!(
        site.devices().contains("  alice  ") && site.devices().contains("usable  1"),
        "{}",
        site.devices()
    );
    site.is_paired("device", &code);
}

#[test]
fn nothing_looks_before_the_notice_was_accepted() {
    let Some(site) = Site::new(&["*"], 8, NOTICE) else { return };
    let code = site.stage.invite(USER, &[]).unwrap();
    let operator = site.operator("device");
    let mut pair = site.client("device");
    let output = pair.args(["pair", &code, "--operator"]).arg(&operator).output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    for words in ["れい株式会社", "Example Ltd.", "Work at the office", "14 days"] {
        assert!(shown.contains(words), "{shown}");
    }
    assert!(!output.status.success() && site.devices().is_empty());
    site.is_paired("device", &code);
    // A new version asks again: the host refuses, the client has its text, and nothing looks.
    let policy = site.stage.dir.join("policy.toml");
    let text = std::fs::read_to_string(&policy).unwrap().replace("version = 1", "version = 2");
    std::fs::write(&policy, text).unwrap();
    let path = |name: &str| site.stage.dir.join(name).display().to_string();
    site.stage.sign(&["sign-policy", "--in", &path("policy.toml")], &path("host/policy.record")).unwrap();
    let mut site = site;
    site.stage.end().unwrap();
    site.stage.serve().unwrap();
    let log = site.stage.dir.join("client.log");
    let listen = site.stage.listen.clone();
    let connect = || {
        let mut connect = site.client("device");
        connect.args(["connect", &listen, "--source"]).arg(&site.photographs).arg("--json");
        connect.stderr(std::fs::File::create(&log).unwrap()).stdin(std::process::Stdio::null());
        connect.stdout(std::process::Stdio::piped()).spawn().unwrap()
    };
    let notices = site.stage.dir.join("device/notices");
    let is_notice = |path: &Path| path.extension().is_some_and(|kind| kind == "cbor");
    let told =
        || std::fs::read_dir(&notices).unwrap().flatten().filter(|file| is_notice(&file.path())).count();
    let before = told();
    let mut client = connect();
    wait_until("the new notice", || Ok(told() > before)).unwrap();
    client.kill().unwrap();
    client.wait().unwrap();
    let pending = site.client("device").args(["consent"]).output().unwrap();
    assert!(String::from_utf8_lossy(&pending.stdout).contains("version 2") && !pending.status.success());
    succeeds(site.client("device").args(["consent", "--accept"]));
    let again = site.client("device").args(["consent"]).output().unwrap();
    assert!(String::from_utf8_lossy(&again.stdout).contains("nothing new"));
}
