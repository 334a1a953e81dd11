//! What those who keep many hosts running are given: dashboard and alerts, the table of devices, the role for Ansible.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use sudare_base::config::HostConfig;
use sudare_protocol::evidence::note::NoteCode;
use sudare_protocol::hex::hex;
use sudare_protocol::keyfile;
use sudare_protocol::reason::Reason;
use sudare_protocol::records::{DeviceRecord, Signed};
use sudare_recorder::metrics::METRICS;
use sudare_records::{keys, state};
use sudare_test_kit::{needs, pair, program};

use crate::hardening::skip_or_fail;

/// What Grafana and Prometheus ask for has to be there.
#[test]
fn dashboard_and_alerts_use_figures_that_exist() {
    let series: BTreeSet<String> = METRICS.iter().flat_map(|metric| metric.series()).collect();
    let folder = sudare_test_kit::checkout().join("deploy/monitoring");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let (alerts, dashboard) = (read("alerts.yaml"), read("dashboard.json"));
    let mut asked = BTreeSet::new();
    for text in [&alerts, &dashboard] {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for word in words.filter(|word| word.starts_with("sudare_")) {
            assert!(series.contains(word), "there is no figure {word}");
            asked.insert(word.to_owned());
        }
        for value in
            ["reason", "note", "shown", "result", "what"].iter().flat_map(|label| chosen(text, label))
        {
            let is_one = Reason::ALL.iter().any(|reason| reason.as_str() == value)
                || NoteCode::ALL.iter().any(|code| code.as_str() == value)
                || ["visible", "covered"].contains(&value.as_str());
            assert!(is_one, "no figure has a label {value}");
        }
    }
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    rules_can_be_read(&folder.join("alerts.yaml"));
    assert!(dashboard["panels"].as_array().unwrap().len() > 10 && alerts.matches("alert: ").count() > 10);
    // What nobody looks at would not be worth its line.
    for metric in METRICS {
        assert!(metric.series().iter().any(|name| asked.contains(name)), "{metric:?} is in neither");
    }
    // Being away is nobody's alert, and figures do not say why somebody is.
    assert!(!alerts.contains("away\""));
}

/// The values that an expression chooses of a label.
fn chosen(text: &str, label: &str) -> Vec<String> {
    let text = text.replace("\\\"", "\"");
    let mut found = Vec::new();
    for begin in [format!("{{{label}=\""), format!("{{{label}=~\"")] {
        let after = text.split(&begin).skip(1).filter_map(|rest| rest.split('"').next());
        found.extend(after.flat_map(|values| values.split('|').map(str::to_owned)));
    }
    found
}

#[test]
fn devices_are_one_table_for_people_spreadsheets_and_programs() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    keys::init(dir.path()).unwrap();
    let organisation = pair::organisation_key();
    std::fs::write(path("organisation.pub"), keyfile::public_line(&organisation.verifying_key())).unwrap();
    let record = pair::host_record("vdi-1", pair::host_key().verifying_key().to_bytes());
    std::fs::write(path("host.record"), Signed::sign(&organisation, &record).unwrap()).unwrap();
    let registry = state::registry(dir.path()).unwrap();
    let device = pair::device_key().verifying_key();
    let record = DeviceRecord {
        device_id: keyfile::device_id(&device),
        device_key: device.to_bytes(),
        user: "=1+1".into(),
        not_before_ms: 0,
        not_after_ms: u64::MAX,
    };
    let id = registry.add(&Signed::sign(&organisation, &record).unwrap(), 5).unwrap();
    let run = |arguments: &[&str]| host_program_at(dir.path(), arguments);
    let csv = run(&["devices", "--csv"]);
    assert!(csv.contains(&format!("\"vdi-1\",\"{}\",\"'=1+1\",\"security team\"", hex(&id))), "{csv}");
    let json: Value = serde_json::from_str(&run(&["devices", "--json"])).unwrap();
    let row = &json["devices"][0];
    assert_eq!(
        (&row["state"], &row["user"], &row["templates"]),
        (&"no-operator".into(), &"=1+1".into(), &0.into())
    );
    let table = run(&["devices"]);
    assert!(table.contains("without operator") && table == run(&["device", "list"]), "{table}");
    registry.revoke(&id).unwrap();
    assert!(run(&["devices"]).contains("revoked"));

    let mut gone = Command::new(program("sudare-host").unwrap());
    let gone = gone.args(["status", "--state-dir"]).arg(path("none")).output().unwrap();
    assert_eq!(gone.status.code(), Some(2), "{}", String::from_utf8_lossy(&gone.stderr));
}

fn host_program_at(dir: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(program("sudare-host").unwrap());
    let output = command.args(arguments).arg("--state-dir").arg(dir).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// By another program than the one that wrote them.
fn rules_can_be_read(alerts: &Path) {
    let Some(python) = std::env::var_os("SUDARE_TEST_PYTHON") else {
        return skip_or_fail("python", "without SUDARE_TEST_PYTHON nobody reads the alerts as YAML");
    };
    let check = "import sys, yaml\n\
                 rules = [rule for group in yaml.safe_load(open(sys.argv[1]))['groups'] for rule in group['rules']]\n\
                 assert len(rules) > 10 and len({rule['alert'] for rule in rules}) == len(rules)\n\
                 for rule in rules:\n    assert set(rule) <= {'alert', 'expr', 'for', 'labels', 'annotations'}, rule\n    \
                 assert rule['labels']['severity'] in ('warning', 'critical'), rule\n    \
                 assert rule['annotations']['summary'] and rule['annotations']['action'], rule\n";
    let output = Command::new(python).args(["-c", check]).arg(alerts).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Runs `ansible-playbook` in the folder of the role; `None` where there is none.
fn ansible(arguments: &[&str]) -> Option<()> {
    let Some(ansible) = needs::find("ansible-playbook") else {
        skip_or_fail("ansible-playbook", "there is no ansible-playbook (pip install ansible-core)");
        return None;
    };
    let mut command = Command::new(ansible);
    command.args(arguments).current_dir(sudare_test_kit::checkout().join("deploy/ansible"));
    let output = command.env("ANSIBLE_NOCOLOR", "1").output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    Some(())
}

#[test]
fn the_role_for_ansible_can_be_read_with_its_examples() {
    ansible(&["-i", "inventory.example.yml", "-e", "@answers.example.yml", "--syntax-check", "site.yml"]);
}

#[test]
fn what_the_role_writes_are_settings_that_this_version_reads() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let role = sudare_test_kit::checkout().join("deploy/ansible/roles/sudare_host/templates");
    let play = format!(
        "- hosts: localhost\n  connection: local\n  gather_facts: false\n  vars:\n    sudare_host_settings: {{gate_graphics: true, \
         metrics: 'tcp:127.0.0.1:9464', gate_channels: [sound], max_sessions: 40}}\n    sudare_host_variables: {{A_KEY: 'a b=c'}}\n  \
         tasks:\n    - ansible.builtin.template: {{src: '{0}/host.toml.j2', dest: '{1}/host.toml', mode: '0644'}}\n    \
         - ansible.builtin.template: {{src: '{0}/service.env.j2', dest: '{1}/ship.env', mode: '0600'}}\n",
        role.display(),
        dir.path().display()
    );
    std::fs::write(path("play.yml"), play).unwrap();
    let play = path("play.yml").display().to_string();
    if ansible(&["-i", "localhost,", "-e", "ansible_python_interpreter={{ ansible_playbook_python }}", &play])
        .is_none()
    {
        return;
    }
    let config = HostConfig::load(Some(&path("host.toml")), &[]).unwrap();
    assert_eq!((config.max_sessions, config.gate_graphics), (40, true));
    assert_eq!(config.metrics().to_string(), "tcp:127.0.0.1:9464");
    assert_eq!(config.gate_channels, ["sound"]);
    assert_eq!(config.tls_certificate, Path::new("/etc/sudare/gate.pem"));
    assert!(std::fs::read_to_string(path("ship.env")).unwrap().contains("\nA_KEY=a b=c\n"));
}

/// Names of files, programs and units in the role are those of the package.
#[test]
fn the_role_names_what_the_package_has() {
    let read = |name: &str| std::fs::read_to_string(sudare_test_kit::checkout().join(name)).unwrap();
    let package = read("deploy/packages/debian/sudare-host.install");
    let tasks = ["install", "settings", "records", "services", "check"]
        .map(|name| read(&format!("deploy/ansible/roles/sudare_host/tasks/{name}.yml")))
        .concat();
    let words: BTreeSet<&str> =
        tasks.split(|c: char| !(c.is_ascii_alphanumeric() || "-.@_".contains(c))).collect();
    let ends = [".service", ".socket", ".timer"];
    let units: Vec<&&str> = words.iter().filter(|word| ends.iter().any(|end| word.ends_with(end))).collect();
    assert!(units.len() > 4, "{units:?}");
    for unit in units {
        assert!(package.contains(&format!("host/{unit} ")), "the package has no {unit}");
    }
    for command in tasks.split("cmd: ").skip(1).filter_map(|rest| rest.split_whitespace().next()) {
        let is_ours = command.trim_matches('"').starts_with("sudare-");
        assert!(!is_ours || package.contains(&format!("/{command} ")), "the package has no {command}");
    }
}

/// Programs of the package, as far as the role needs them, which only note what they were asked.
const STAND_INS: [(&str, &str); 2] = [
    (
        "sudare-setup",
        "case $1 in keys) mkdir -p /var/lib/sudare && echo key >/var/lib/sudare/host.key ;; \
         records) cp \"$2\"/* /var/lib/sudare/ && echo vdi+1+key >/etc/sudare/log.vkey ;; esac",
    ),
    (
        "sudare-host",
        "case $1 in key) echo 'sudare-ed25519 AAAA' ;; doctor) cat \"$STAND_IN_DOCTOR\"; grep -q false \"$STAND_IN_DOCTOR\" && exit 1; true ;; esac",
    ),
];

/// The role's steps that need neither a package nor systemd, in a mount namespace of their own.
struct Controlled {
    dir: tempfile::TempDir,
}

impl Controlled {
    fn new() -> Self {
        let controlled = Controlled { dir: tempfile::tempdir().unwrap() };
        let path = |name: &str| controlled.dir.path().join(name);
        for folder in ["bin", "etc", "etc.work", "lib", "lib.work"] {
            std::fs::create_dir(path(folder)).unwrap();
        }
        for (name, script) in STAND_INS {
            let program = path("bin").join(name);
            std::fs::write(&program, format!("#!/bin/sh\nset -e\n{script}\n")).unwrap();
            std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        }
        let play = "- hosts: localhost\n  gather_facts: false\n  tasks:\n    - ansible.builtin.file: {path: /etc/sudare, state: directory, mode: '0755'}\n";
        let step =
            |name| format!("    - ansible.builtin.include_role: {{name: sudare_host, tasks_from: {name}}}\n");
        let steps = ["settings", "records", "check"].map(step).concat();
        std::fs::write(path("play.yml"), format!("{play}{steps}")).unwrap();
        controlled
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    /// Whether it went well, and what was said. Doctor says this.
    fn play(&self, doctor: &str) -> (bool, String) {
        std::fs::write(self.path("doctor.json"), doctor).unwrap();
        let dir = self.dir.path().display();
        let mounts = format!(
            "mount -t overlay o -o lowerdir=/etc,upperdir={dir}/etc,workdir={dir}/etc.work /etc && \
             mount -t overlay o -o lowerdir=/var/lib,upperdir={dir}/lib,workdir={dir}/lib.work /var/lib && \
             exec \"$0\" -i localhost, -c local -e ansible_python_interpreter={{{{ansible_playbook_python}}}} \
             -e sudare_host_records={dir}/records -e sudare_host_lines={dir}/lines {dir}/play.yml"
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &mounts]).arg(needs::find("ansible-playbook").unwrap());
        let bin = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap_or_default());
        command.env("PATH", bin).env("ANSIBLE_NOCOLOR", "1").env("STAND_IN_DOCTOR", self.path("doctor.json"));
        command.env("ANSIBLE_ROLES_PATH", sudare_test_kit::checkout().join("deploy/ansible/roles"));
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.success(), said + &String::from_utf8_lossy(&output.stderr))
    }
}

#[test]
fn the_role_collects_a_line_uses_the_records_once_and_hears_doctor() {
    if !rustix::process::geteuid().is_root() {
        return skip_or_fail("root", "only root can mount");
    }
    if needs::find("ansible-playbook").is_none() {
        return skip_or_fail("ansible-playbook", "there is no ansible-playbook (pip install ansible-core)");
    }
    const WELL: &str = r#"{"ok":false,"findings":[{"part":"clock","ok":true,"text":"fine"},{"part":"enrolled devices","ok":false,"text":"none"}]}"#;
    let controlled = Controlled::new();
    let (went_well, said) = controlled.play(WELL);
    assert!(went_well && said.contains("waits for its records"), "{said}");
    let line = std::fs::read_to_string(controlled.path("lines/localhost.line")).unwrap();
    assert_eq!(line, "sudare-ed25519 AAAA\n");

    std::fs::create_dir_all(controlled.path("records/localhost")).unwrap();
    for name in ["organisation.pub", "host.record", "policy.record"] {
        std::fs::write(controlled.path("records/localhost").join(name), name).unwrap();
    }
    let (went_well, said) = controlled.play(WELL);
    assert!(went_well && said.contains("localhost is well"), "nobody is enrolled yet: {said}");
    assert_eq!(std::fs::read(controlled.path("lib/sudare/policy.record")).unwrap(), b"policy.record");
    assert!(controlled.path("lines/localhost.log.vkey").exists(), "{said}");
    let (went_well, said) = controlled.play(WELL);
    assert!(went_well && said.contains("changed=0 "), "a third run changes nothing: {said}");

    std::fs::write(controlled.path("records/localhost/policy.record"), "newer").unwrap();
    let full = WELL.replace(
        "\"clock\",\"ok\":true,\"text\":\"fine\"",
        "\"disk\",\"ok\":false,\"text\":\"full. Enlarge it\"",
    );
    let (went_well, said) = controlled.play(&full);
    assert!(
        !went_well && said.contains("disk: full. Enlarge it") && !said.contains("enrolled devices: none"),
        "{said}"
    );
    assert_eq!(std::fs::read(controlled.path("lib/sudare/policy.record")).unwrap(), b"newer");
}
