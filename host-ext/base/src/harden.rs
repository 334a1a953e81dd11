//! The rights that a service gives up once it has started, so that a fault in it reaches nothing else.
//!
//! ```text
//! settings and keys read ─► protect() ─► confine(rules) ─► first thread, first byte from outside
//! ```
//! The rules are Landlock's (landlock(7)): they bind this process and its children for good, even as root. Rules that
//! the kernel does not support are left out, and the log says so: Linux 5.13 restricts files, 6.2 also truncation,
//! 6.7 also TCP, 6.12 also signals and abstract sockets. The units in deploy/linux/host impose the same restrictions
//! from outside.
//!
//! [`rules`] says which service needs what; pure.

pub mod rules;

use std::io;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, NetPort,
    PathBeneath, PathFd, RestrictionStatus, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr,
    RulesetError, RulesetStatus, Scope,
};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

pub use rules::{Right, Rules, parent};

/// The requested version. The rules were tested with it, so newer ones are not used automatically.
const ABI_REQUESTED: ABI = ABI::V6;
/// The Linux version that supports all of it.
const LINUX_REQUESTED: &str = "6.12";

#[derive(Debug, thiserror::Error)]
pub enum HardenError {
    #[error("this process cannot be protected from debuggers and core dumps: {0}. Start it by its unit")]
    Protect(io::Error),
    #[error(
        "{path} cannot be opened to restrict this process to it: {source}. Create it, or correct the settings"
    )]
    Missing { path: PathBuf, source: landlock::PathFdError },
    #[error("the kernel refuses to restrict this process: {0}. Check whether a security module forbids it")]
    Landlock(#[from] RulesetError),
    #[error("{}", Enforced::Forbidden.sentence())]
    Forbidden,
}

/// How many of the rules the kernel enforces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enforced {
    /// All of them.
    Fully,
    /// Those that this kernel supports.
    Partly,
    /// None.
    Not,
    /// None, because somebody forbids to ask the kernel for it.
    Forbidden,
}

impl Enforced {
    /// For the log and for doctor.
    pub fn sentence(self) -> String {
        match self {
            Enforced::Fully => "files, TCP and signals are restricted".into(),
            Enforced::Partly => format!(
                "files are restricted; this kernel is too old for the rest. Linux {LINUX_REQUESTED} restricts TCP and signals too"
            ),
            Enforced::Forbidden => {
                "a filter of system calls forbids Landlock (Operation not permitted), as those of containers do. Allow \
                 landlock_create_ruleset, landlock_add_rule and landlock_restrict_self there"
                    .into()
            }
            Enforced::Not => {
                "this kernel restricts nothing. Boot it with `lsm=landlock,…`; until then only the unit protects"
                    .into()
            }
        }
    }
}

/// Protects keys and evidence in memory from debuggers of the same user, and keeps them out of core dumps.
pub fn protect() -> Result<(), HardenError> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|e| HardenError::Protect(e.into()))?;
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none).map_err(|e| HardenError::Protect(e.into()))
}

/// Restricts this thread and the threads that it will start: call it before the first one.
pub fn confine(rules: &Rules) -> Result<Enforced, HardenError> {
    impose(requested(CompatLevel::BestEffort, !rules.connects)?.create()?, rules)
}

/// The same for a process that may open TCP connections to these ports only.
pub fn confine_to_ports(rules: &Rules, ports: &[u16]) -> Result<Enforced, HardenError> {
    let mut ruleset = requested(CompatLevel::BestEffort, true)?.create()?;
    for port in ports {
        ruleset = ruleset.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    impose(ruleset, rules)
}

fn impose(mut ruleset: RulesetCreated, rules: &Rules) -> Result<Enforced, HardenError> {
    if is_forbidden() {
        return Err(HardenError::Forbidden);
    }
    for (path, right) in &rules.paths {
        ruleset = allow(ruleset, path, *right)?;
    }
    let enforced = enforced(&ruleset.restrict_self()?);
    tracing::info!(enforced = enforced.sentence(), "what this process does not need is closed to it");
    Ok(enforced)
}

/// Confines a service that reads evidence and sends it elsewhere (see [`Rules::reader`]). `files` are read anew while it
/// runs.
pub fn confine_reader(
    store: &Path,
    state: &Path,
    files: &[&Path],
    folders: &[&Path],
    connects: bool,
) -> Result<Enforced, HardenError> {
    protect()?;
    let variable = |name| std::env::var_os(name).unwrap_or_default();
    let authorities = rules::authorities(&variable("SSL_CERT_FILE"), &variable("SSL_CERT_DIR"));
    let again: Vec<PathBuf> = files
        .iter()
        .map(|file| file.to_path_buf())
        .chain(authorities)
        // A renewed certificate is often a link that leads to another file now.
        .flat_map(|path| [path.canonicalize().ok(), Some(path)])
        .flatten()
        .collect();
    confine(&Rules::reader(store, state, &again, folders, connects))
}

/// Whether the kernel was never asked. One without Landlock says so by other errors, and an old kernel is no fault.
fn is_forbidden() -> bool {
    // The library asks for the version here, and keeps the error to itself.
    let ruleset = Ruleset::default();
    let refused = io::Error::last_os_error().kind() == io::ErrorKind::PermissionDenied;
    let files =
        ruleset.set_compatibility(CompatLevel::HardRequirement).handle_access(AccessFs::from_all(ABI::V1));
    refused && files.and_then(Ruleset::create).is_err()
}

/// How many rules this kernel could enforce; restricts nothing.
pub fn offered() -> Enforced {
    if is_forbidden() {
        return Enforced::Forbidden;
    }
    let created = |level| requested(level, true).and_then(|ruleset| ruleset.create());
    if created(CompatLevel::HardRequirement).is_ok() {
        return Enforced::Fully;
    }
    let files = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    match files.handle_access(AccessFs::from_all(ABI::V1)).and_then(Ruleset::create) {
        Ok(_) => Enforced::Partly,
        Err(_) => Enforced::Not,
    }
}

/// Refuses everything that no rule allows: files, TCP, signals to other processes.
fn requested(level: CompatLevel, no_connections: bool) -> Result<Ruleset, RulesetError> {
    let net = if no_connections { AccessNet::from_all(ABI_REQUESTED) } else { AccessNet::BindTcp.into() };
    let ruleset = Ruleset::default().set_compatibility(level);
    ruleset
        .handle_access(AccessFs::from_all(ABI_REQUESTED))?
        .handle_access(net)?
        .scope(Scope::from_all(ABI_REQUESTED))
}

fn allow(ruleset: RulesetCreated, path: &Path, right: Right) -> Result<RulesetCreated, HardenError> {
    let fd = match PathFd::new(path) {
        Ok(fd) => fd,
        Err(_) if !right.must_exist() => {
            tracing::debug!(path = %path.display(), "does not exist, and stays closed until the next start");
            return Ok(ruleset);
        }
        Err(source) => return Err(HardenError::Missing { path: path.to_owned(), source }),
    };
    let rights =
        if path.is_dir() { access(right) } else { access(right) & AccessFs::from_file(ABI_REQUESTED) };
    Ok(ruleset.add_rule(PathBeneath::new(fd, rights))?)
}

fn access(right: Right) -> BitFlags<AccessFs> {
    match right {
        Right::List => AccessFs::ReadDir.into(),
        Right::Read | Right::ReadIfThere => AccessFs::ReadFile | AccessFs::ReadDir,
        Right::WriteIfThere => {
            AccessFs::ReadFile
                | AccessFs::ReadDir
                | AccessFs::WriteFile
                | AccessFs::Truncate
                | AccessFs::MakeReg
        }
        Right::Keep => {
            AccessFs::ReadFile
                | AccessFs::ReadDir
                | AccessFs::WriteFile
                | AccessFs::Truncate
                | AccessFs::MakeReg
                | AccessFs::MakeDir
                | AccessFs::RemoveFile
                | AccessFs::RemoveDir
                | AccessFs::Refer
        }
        Right::Listen => AccessFs::MakeSock | AccessFs::RemoveFile,
        Right::RunIfThere => AccessFs::Execute | AccessFs::ReadFile,
        Right::Device => AccessFs::ReadFile | AccessFs::WriteFile,
    }
}

fn enforced(status: &RestrictionStatus) -> Enforced {
    match (&status.ruleset, &status.landlock) {
        (RulesetStatus::FullyEnforced, _) => Enforced::Fully,
        (RulesetStatus::PartiallyEnforced, LandlockStatus::Available { .. }) => Enforced::Partly,
        _ => Enforced::Not,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_says_what_it_lacks_and_what_to_do() {
        for (enforced, word) in [
            (Enforced::Fully, "TCP"),
            (Enforced::Partly, "6.12"),
            (Enforced::Not, "lsm=landlock"),
            (Enforced::Forbidden, "landlock_create_ruleset"),
        ] {
            assert!(enforced.sentence().contains(word));
        }
    }

    #[test]
    fn keep_makes_files_and_folders_but_neither_programs_nor_sockets() {
        let kept = access(Right::Keep);
        for never in [
            AccessFs::Execute,
            AccessFs::MakeSock,
            AccessFs::MakeSym,
            AccessFs::MakeFifo,
            AccessFs::MakeBlock,
        ] {
            assert!(!kept.contains(never));
        }
        assert!(!access(Right::Listen).contains(AccessFs::WriteFile));
        assert_eq!(access(Right::Read) & AccessFs::from_write(ABI_REQUESTED), BitFlags::EMPTY);
    }

    #[test]
    fn a_confined_thread_reads_only_what_its_rules_allow() {
        if offered() == Enforced::Not {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let (own, other) = (dir.path().join("own"), dir.path().join("other"));
        std::fs::create_dir(&own).unwrap();
        std::fs::write(&other, "secret").unwrap();
        // Only this thread is confined; other tests are not affected.
        let confined = std::thread::spawn(move || {
            assert!(std::fs::read(&other).is_ok());
            let rules = Rules { paths: vec![(own.clone(), Right::Keep)], connects: false };
            confine(&rules).unwrap();
            std::fs::write(own.join("file"), "evidence").unwrap();
            (std::fs::read(&other), std::fs::write(&other, ""), std::fs::read(own.join("file")))
        });
        let (read, written, own) = confined.join().unwrap();
        let denied = io::ErrorKind::PermissionDenied;
        assert_eq!((read.unwrap_err().kind(), written.unwrap_err().kind()), (denied, denied));
        assert_eq!(own.unwrap(), b"evidence");
    }

    #[test]
    fn where_a_filter_forbids_landlock_nothing_starts_and_the_cause_is_said() {
        use seccompiler::{SeccompAction, SeccompFilter};
        // landlock_create_ruleset has this number on all machines.
        let call = std::collections::BTreeMap::from([(444, vec![])]);
        let (allow, refuse) = (SeccompAction::Allow, SeccompAction::Errno(1));
        let machine = std::env::consts::ARCH.try_into().unwrap();
        let filter: seccompiler::BpfProgram =
            SeccompFilter::new(call, allow, refuse, machine).unwrap().try_into().unwrap();
        // Of this thread only.
        let refused = std::thread::spawn(move || {
            rustix::thread::set_no_new_privs(true).unwrap();
            seccompiler::apply_filter(&filter).unwrap();
            (offered(), confine(&Rules { paths: Vec::new(), connects: true }))
        });
        let (offered, confined) = refused.join().unwrap();
        assert_eq!(offered, Enforced::Forbidden);
        let said = confined.unwrap_err().to_string();
        assert!(
            said.contains("filter of system calls") && said.contains("Allow landlock_create_ruleset"),
            "{said}"
        );
        assert!(!is_forbidden(), "only that thread was filtered");
    }

    #[test]
    fn a_required_path_must_exist() {
        let missing = PathBuf::from("/nonexistent/evidence");
        let confined = std::thread::spawn(move || {
            let rules = |right| Rules { paths: vec![(missing.clone(), right)], connects: true };
            (confine(&rules(Right::Keep)), confine(&rules(Right::ReadIfThere)))
        });
        let (needed, optional) = confined.join().unwrap();
        assert!(needed.unwrap_err().to_string().contains("/nonexistent/evidence"));
        assert!(optional.is_ok());
    }
}
