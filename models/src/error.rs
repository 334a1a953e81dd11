//! What can go wrong, who is at fault, and what to do next.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use crate::Role;

/// Why a model is not available.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The manifest inside the program does not hold together.
    #[error(
        "the model manifest built into this program is invalid: {detail}. This is a fault of the build: install Sudare again"
    )]
    Manifest {
        /// What is wrong.
        detail: String,
    },
    /// No directory for the cache can be derived.
    #[error(
        "no directory for the model cache: none of SUDARE_CACHE, XDG_CACHE_HOME and HOME is set. Set SUDARE_CACHE to a directory of yours"
    )]
    NoCacheDirectory,
    /// No file of this role exists for this platform.
    #[error(
        "the {role} is not available for {platform}. Sudare supports Linux (x86_64, aarch64), macOS (aarch64) and Windows (x86_64)"
    )]
    UnsupportedPlatform {
        /// What was asked for.
        role: Role,
        /// Operating system and architecture of this machine.
        platform: String,
    },
    /// The cache does not hold the file.
    #[error("the {role} is not in the model cache {}. Run `sudare models fetch`", directory.display())]
    Missing {
        /// What was asked for.
        role: Role,
        /// The cache.
        directory: PathBuf,
    },
    /// A file in the cache is not what it was; it has been put aside.
    #[error("the {role} in the model cache was damaged or changed ({}: {detail}) and has been set aside. Run `sudare models fetch`", path.display())]
    Damaged {
        /// What was asked for.
        role: Role,
        /// The file.
        path: PathBuf,
        /// How it differs.
        detail: String,
    },
    /// A role was requested as a model but is a library.
    #[error("the {role} is a library, not a model. This is a bug in the calling program: ask for its path")]
    NotAModel {
        /// What was asked for.
        role: Role,
    },
    /// Every source failed.
    #[error("{what} could not be obtained; {}", listed(attempts, files))]
    Unobtainable {
        /// What was asked for.
        what: String,
        /// Each source that was tried, in order.
        attempts: Vec<Attempt>,
        /// Each file that would do, for a mirror folder.
        files: Vec<String>,
    },
    /// Another process holds the cache.
    #[error("another process has been filling the model cache {} for more than {waited_s} s. Wait until it ends, or end it, then run the command again", directory.display())]
    Busy {
        /// The cache.
        directory: PathBuf,
        /// How long we waited.
        waited_s: u64,
    },
    /// A model computed something else than stored.
    #[error(
        "the {role} computes wrong values: {detail}. The ONNX Runtime library does not suit this machine: run `sudare doctor` and report what it prints"
    )]
    WrongOutput {
        /// The model.
        role: Role,
        /// Which number differs, and by how much.
        detail: String,
    },
    /// The operating system refused.
    #[error("cannot {action} {}: {source}. Check that the directory is yours and that the disk is not full", path.display())]
    Io {
        /// What we wanted to do.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl ModelError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// Where a file may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It lay in the cache already.
    Cache,
    /// A folder of the site.
    Mirror,
    /// The Python package registry, through pip.
    Registry,
    /// The address of the authors.
    Upstream,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cache => "cache",
            Self::Mirror => "mirror folder",
            Self::Registry => "package registry",
            Self::Upstream => "upstream address",
        })
    }
}

/// One source that did not deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Where we looked.
    pub place: Place,
    /// For what.
    pub file: String,
    /// Why it failed, and whose fault that is.
    pub reason: String,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}: {}", self.place, self.file, self.reason)
    }
}

fn listed(attempts: &[Attempt], files: &[String]) -> String {
    let attempts: String = attempts.iter().map(|attempt| format!("\n  - {attempt}")).collect();
    format!(
        "tried in this order:{attempts}\n\
         Without a network, copy one of these to a folder and run `sudare models fetch --from FOLDER`: {}",
        files.join(", ")
    )
}
