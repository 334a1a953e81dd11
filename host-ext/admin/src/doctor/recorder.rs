//! Checks that the recorder keeps what guards report.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::statvfs;
use sudare_base::accounts;
use sudare_base::config::HostConfig;
use sudare_base::harden::{self, Enforced};
use sudare_evidence::report::socket::Connection;
use sudare_evidence::report::wire::State;
use sudare_evidence::report::{EvidenceSink as _, Remote};
use sudare_evidence::store::StoreError;
use sudare_records::state::{HostState, RecorderState};

use super::{Finding, advise, dates, writable};

/// About what 50 busy sessions write in a day, so there is time to act.
const FREE_MIN_BYTES: u64 = 2 << 30;
/// An incident takes about ten files.
const FREE_MIN_FILES: u64 = 20_000;
/// NTP corrects clocks by less; a checkpoint further in the future means that the clock was set back.
const CLOCK_SLACK: Duration = Duration::from_secs(60);

/// A recorder that answers: which process, how far, and the public line of its log.
pub(super) struct Reached {
    peer: Peer,
    state: State,
    pub(super) log_vkey: String,
}

impl Reached {
    pub(super) fn is_run_by(&self, uid: u32) -> bool {
        self.peer.uid == uid
    }
}

/// All checks, or a single note where no recorder is set up.
pub(super) fn checks(
    config: &HostConfig,
    guards_here: bool,
    reached: &Result<Reached, String>,
) -> Vec<Finding> {
    if !guards_here && !config.recorder_dir.exists() {
        let text = "not installed; only sudare-embedded, which keeps its own evidence, works without it";
        return vec![("recorder", Ok(text.into()))];
    }
    let dir = config.recorder_evidence_dir();
    let mut findings = match reached {
        Ok(Reached { peer, state, .. }) => vec![
            ("recorder", user(peer, &config.run_as)),
            ("recorder's log", Ok(size(state))),
            ("recorder's process", process(&status_of(peer.pid))),
        ],
        Err(text) => vec![("recorder", Err(text.clone()))],
    };
    findings.extend([
        ("recorder's key and records", records(&config.recorder_dir, &config.state_dir)),
        ("recorder's folder", folder(&config.recorder_dir, &config.run_as)),
        ("recorder's evidence", evidence(&dir, &config.recorder_dir)),
        ("disk of the evidence", space(&dir)),
        ("clock", clock(&dir.join("checkpoint"), sudare_base::clock::wall())),
        ("restriction by the kernel", kernel(harden::offered())),
    ]);
    // One that was started by hand has no account, which is a finding already.
    let process =
        reached.as_ref().ok().filter(|reached| reached.peer.uid != 0).map(|reached| reached.peer.pid);
    if let Ok(owner) = look(&config.recorder_dir)
        && guards_here
        && owner.uid() != 0
    {
        findings.push(("evidence can be written", writable::check(&dir, owner.uid(), process)));
    }
    findings
}

/// The process that listens at the socket.
struct Peer {
    pid: i32,
    uid: u32,
}

pub(super) fn reach(socket: &Path) -> Result<Reached, String> {
    let advice =
        "Run `systemctl enable --now sudare-recorder`, and see `journalctl -u sudare-recorder` if it exits";
    if !socket.exists() {
        return Err(format!(
            "no process listens at {}, so sessions stay covered. {advice}",
            socket.display()
        ));
    }
    let connection = Connection::open(socket).map_err(|e| format!("{}: {e}. {advice}", socket.display()))?;
    let who = (connection.peer_pid(), connection.peer_uid());
    let (Ok(pid), Ok(uid)) = who else {
        return Err(format!(
            "the process listening at {} cannot be identified. Run doctor as root",
            socket.display()
        ));
    };
    drop(connection);
    let asked = Remote::connect(socket, [0; 16]).and_then(|mut remote| {
        let state = remote.state()?;
        Ok((state, remote.log_vkey().to_owned()))
    });
    let (state, log_vkey) = asked.map_err(|e| match e {
        StoreError::NoRecorder { .. } => advise(
            e,
            &format!("It answers only root and the guards' user: run doctor as root. Otherwise: {advice}"),
        ),
        refused => format!("answers that it cannot record: {refused}"),
    })?;
    Ok(Reached { peer: Peer { pid, uid }, state, log_vkey })
}

fn user(peer: &Peer, guards: &str) -> Result<String, String> {
    let restart = "Install sudare-recorder.service, which has a user of its own, and restart it";
    if peer.uid == 0 {
        return Err(format!(
            "runs as root, which a service that takes input from others should not. {restart}"
        ));
    }
    let name = accounts::name_of(peer.uid).unwrap_or_else(|| peer.uid.to_string());
    if name == guards {
        return Err(format!(
            "runs as {guards}, like the guards, so they could change the evidence. {restart}"
        ));
    }
    Ok(format!("answers, process {} of {name}", peer.pid))
}

fn size(state: &State) -> String {
    match state.shipped {
        Some(shipped) => format!("{} entries, {shipped} of them known to be off this host", state.size),
        None => format!("{} entries", state.size),
    }
}

fn status_of(pid: i32) -> String {
    // Empty if the process has ended by now, which is a finding too.
    std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default()
}

/// Other processes cannot see Landlock, but it requires `NoNewPrivs`.
fn process(status: &str) -> Result<String, String> {
    let is = |name: &str, value: &str| {
        status.lines().any(|line| line.strip_prefix(name).is_some_and(|rest| rest.trim() == value))
    };
    match (is("NoNewPrivs:", "1"), is("Seccomp:", "2")) {
        (true, true) => Ok("cannot gain privileges, and its system calls are filtered".into()),
        (true, false) => Err(
            "its system calls are not filtered. Start it with `systemctl start sudare-recorder`, not by hand"
                .into(),
        ),
        (false, _) => {
            Err("is not restricted. Install sudare-recorder.service of this version and restart it".into())
        }
    }
}

/// Its own copies, which have to be those of the gates.
fn records(dir: &Path, gates: &Path) -> Result<String, String> {
    let state = RecorderState::load(dir).map_err(|e| {
        advise(e, &format!("Its folder is {}; `sudare-host init --recorder` makes its key", dir.display()))
    })?;
    let record = state.host_record.record();
    // Those of the gates are a finding of their own.
    let theirs = HostState::load(gates).ok();
    if theirs.is_some_and(|theirs| theirs.host_record.record().host_key != record.host_key) {
        return Err(format!(
            "{} is of another host key than the gates', so nobody could tell whose evidence this is. Put the same three records at both places: `sudare-setup records DIR`",
            dir.join("host.record").display()
        ));
    }
    let soon = dates::soon("host record", record.not_after_ms, sudare_base::clock::wall_ms());
    Ok(format!("of host {}{soon}", record.host_id))
}

fn folder(dir: &Path, guards: &str) -> Result<String, String> {
    let meta = look(dir)?;
    private(dir, &meta)?;
    let owner = accounts::name_of(meta.uid()).unwrap_or_else(|| meta.uid().to_string());
    if owner == guards {
        return Err(format!("{} belongs to the guards. Run `chown -R sudare-recorder` on it", dir.display()));
    }
    let key = dir.join("log.key");
    let key_meta = look(&key)?;
    if key_meta.mode() & 0o077 != 0 || key_meta.uid() != meta.uid() {
        return Err(format!(
            "{} can be read by others, who could sign as this host. Run `chown {owner}` and `chmod 600` on it",
            key.display()
        ));
    }
    Ok(format!("{} belongs to {owner}", dir.display()))
}

fn evidence(dir: &Path, recorder_dir: &Path) -> Result<String, String> {
    let meta = look(dir)?;
    private(dir, &meta)?;
    let owner = look(recorder_dir)?.uid();
    if meta.uid() != owner {
        return Err(format!(
            "{} does not belong to the recorder, which cannot write there. Run `systemd-tmpfiles --create`",
            dir.display()
        ));
    }
    // A file that another user put there stops the recorder on the day it must replace it.
    let foreign = ["checkpoint", "wal", "lock"]
        .map(|name| dir.join(name))
        .into_iter()
        .find(|path| path.metadata().is_ok_and(|meta| meta.uid() != owner));
    match foreign {
        Some(path) => Err(format!(
            "{} belongs to another user, perhaps after a command run as root. Run `chown -R --reference={} {}`",
            path.display(),
            recorder_dir.display(),
            dir.display()
        )),
        None if meta.mode() & 0o2050 == 0o2050 => {
            Ok("can be read by the recorder and the services that copy it".into())
        }
        None => Ok("can be read by the recorder only".into()),
    }
}

fn look(path: &Path) -> Result<Metadata, String> {
    std::fs::metadata(path).map_err(|e| {
        format!(
            "{}: {e}. Run doctor as root; if it does not exist, run `systemd-tmpfiles --create`",
            path.display()
        )
    })
}

fn private(path: &Path, meta: &Metadata) -> Result<(), String> {
    match meta.mode() & 0o027 {
        0 => Ok(()),
        _ => Err(format!(
            "{} has mode {:o}, so others could read or change evidence. Run `chmod g-w,o-rwx` on it",
            path.display(),
            meta.mode() & 0o7777
        )),
    }
}

fn space(dir: &Path) -> Result<String, String> {
    let disk = statvfs(dir).map_err(|e| format!("{}: {e}. Run doctor as root", dir.display()))?;
    // A file system without an inode table reports 0 for both.
    let files = if disk.f_files == 0 { u64::MAX } else { disk.f_favail };
    enough(disk.f_bavail.saturating_mul(disk.f_frsize), files)
}

fn enough(bytes: u64, files: u64) -> Result<String, String> {
    let advice = "Without space sessions stay covered. Enlarge the disk, or run `sudare-audit retention` to erase what is due";
    if bytes < FREE_MIN_BYTES {
        return Err(format!("only {} MiB are free. {advice}", bytes >> 20));
    }
    if files < FREE_MIN_FILES {
        return Err(format!("only {files} more files fit. {advice}"));
    }
    Ok(format!("{} GiB are free", bytes >> 30))
}

fn clock(checkpoint: &Path, now: SystemTime) -> Result<String, String> {
    let Ok(written) = checkpoint.metadata().and_then(|meta| meta.modified()) else {
        return Ok("nothing has been recorded yet to compare it with".into());
    };
    match written.duration_since(now) {
        Ok(ahead) if ahead > CLOCK_SLACK => Err(format!(
            "is {} s behind the newest evidence, so times in the log would go back. Set it, and keep it right with NTP",
            ahead.as_secs()
        )),
        _ => Ok("is not behind the newest evidence".into()),
    }
}

fn kernel(offered: Enforced) -> Result<String, String> {
    match offered {
        Enforced::Not | Enforced::Forbidden => Err(offered.sentence()),
        Enforced::Fully | Enforced::Partly => Ok(offered.sentence()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn set(path: &Path, mode: u32) {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_recorder_that_does_not_run_is_reported_with_how_to_start_it() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("socket");
        assert!(
            reach(&socket).err().is_some_and(|text| text.contains("systemctl enable --now sudare-recorder"))
        );
        // A socket that a dead recorder left.
        drop(sudare_evidence::report::socket::Listener::bind(&socket).unwrap());
        assert!(
            reach(&socket).err().is_some_and(|text| text.contains("refused") && text.contains("journalctl"))
        );
    }

    #[test]
    fn a_recorder_under_the_wrong_user_is_found() {
        let peer = |uid| Peer { pid: 1, uid };
        assert!(user(&peer(0), "sudare").unwrap_err().contains("root"));
        assert!(user(&peer(65_534), "nobody").unwrap_err().contains("like the guards"));
        assert!(user(&peer(65_534), "sudare").unwrap().contains("nobody"));
    }

    #[test]
    fn a_process_without_a_filter_was_started_by_hand() {
        assert!(process("NoNewPrivs:\t1\nSeccomp:\t2\n").is_ok());
        assert!(process("NoNewPrivs:\t1\nSeccomp:\t0\n").unwrap_err().contains("by hand"));
        assert!(process("NoNewPrivs:\t0\nSeccomp:\t2\n").unwrap_err().contains("not restricted"));
        assert!(process("").is_err());
    }

    #[test]
    fn folders_and_keys_that_others_reach_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        assert!(folder(&dir.join("none"), "sudare").unwrap_err().contains("systemd-tmpfiles"));
        set(dir, 0o750);
        assert!(folder(dir, "sudare").unwrap_err().contains("log.key"));
        let key = dir.join("log.key");
        std::fs::write(&key, "key").unwrap();
        set(&key, 0o640);
        assert!(folder(dir, "sudare").unwrap_err().contains("chmod 600"));
        set(&key, 0o600);
        assert!(folder(dir, "sudare").is_ok());
        let me = accounts::name_of(rustix::process::geteuid().as_raw()).unwrap_or_default();
        assert!(folder(dir, &me).unwrap_err().contains("belongs to the guards"));
        set(dir, 0o755);
        assert!(folder(dir, "sudare").unwrap_err().contains("mode 755"));
        assert!(records(dir, dir).unwrap_err().contains("organisation.pub"));
    }

    #[test]
    fn evidence_that_belongs_to_others_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("evidence");
        std::fs::create_dir(&store).unwrap();
        for (mode, word) in [(0o770, "mode 770"), (0o705, "mode 705")] {
            set(&store, mode);
            assert!(evidence(&store, dir.path()).unwrap_err().contains(word));
        }
        set(&store, 0o2750);
        assert!(evidence(&store, dir.path()).unwrap().contains("services"));
        set(&store, 0o700);
        assert!(evidence(&store, dir.path()).unwrap().contains("only"));
        let wal = store.join("wal");
        std::fs::write(&wal, "").unwrap();
        // Only root can give a file away.
        if std::os::unix::fs::chown(&wal, Some(65_534), None).is_ok() {
            assert!(evidence(&store, dir.path()).unwrap_err().contains("chown -R --reference"));
            std::os::unix::fs::chown(&store, Some(65_534), None).unwrap();
            assert!(evidence(&store, dir.path()).unwrap_err().contains("does not belong"));
        }
    }

    #[test]
    fn a_disk_that_fills_up_and_a_clock_that_was_set_back_are_found() {
        assert!(enough(FREE_MIN_BYTES - 1, u64::MAX).unwrap_err().contains("MiB"));
        assert!(enough(u64::MAX, FREE_MIN_FILES - 1).unwrap_err().contains("files"));
        assert!(enough(FREE_MIN_BYTES, FREE_MIN_FILES).is_ok());
        assert!(space(Path::new("/nonexistent")).is_err());
        let dir = tempfile::tempdir().unwrap();
        let checkpoint = dir.path().join("checkpoint");
        let now = SystemTime::now();
        assert!(clock(&checkpoint, now).unwrap().contains("nothing has been recorded"));
        std::fs::write(&checkpoint, "").unwrap();
        assert!(clock(&checkpoint, now).is_ok());
        let back = now.checked_sub(Duration::from_secs(3600)).unwrap();
        assert!(clock(&checkpoint, back).unwrap_err().contains("NTP"));
    }

    #[test]
    fn a_kernel_that_restricts_nothing_is_a_problem() {
        assert!(kernel(Enforced::Not).unwrap_err().contains("lsm=landlock"));
        assert!(kernel(Enforced::Forbidden).unwrap_err().contains("landlock_create_ruleset"));
        assert!(kernel(Enforced::Partly).is_ok());
    }
}
