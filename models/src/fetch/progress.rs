//! What a user may want to see while files are fetched.

use std::fmt;
use std::path::PathBuf;

use super::Fetched;
use crate::{Attempt, Manifest, ModelError, Place, Role};

/// One step. Printed with `{}`, it is a line for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Another process fills the same directory; we wait for it.
    Waiting {
        /// The directory.
        directory: PathBuf,
    },
    /// A source is asked.
    Trying {
        /// The role, or `test photographs`.
        what: String,
        /// The kind of source.
        place: Place,
        /// The file asked for.
        file: String,
        /// Its size.
        bytes: u64,
    },
    /// A source did not deliver.
    Failed(Attempt),
    /// A model is being folded or rewritten.
    Preparing {
        /// The model.
        role: Role,
    },
    /// A file is in the cache.
    Ready(Fetched),
    /// An optional file is not, and will not be.
    Lacking(Lacking),
}

/// An optional role that no source fills. Printed with `{}`, it says what that costs and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacking {
    /// What it would be for.
    pub role: Role,
    /// Each file that would do, for a mirror folder.
    pub files: Vec<String>,
}

impl Lacking {
    /// What to say where the file of `role` is not there.
    pub fn of(role: Role) -> Result<Self, ModelError> {
        Ok(Self { role, files: Manifest::embedded()?.files(role) })
    }
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cost = self.role.without().unwrap_or("nothing can be seen");
        let files = self.files.join(" or ");
        let why = match self.role {
            Role::FaceMesh => "No source delivered it",
            _ => "No registry has it",
        };
        write!(
            f,
            "not there, so {cost}. {why}: copy {files} to a folder and run `sudare models fetch --from FOLDER`"
        )
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting { directory } => {
                write!(f, "waiting for another process that fills {}", directory.display())
            }
            Self::Trying { what, place, file, bytes } => {
                write!(f, "{what}: asking the {place} for {file} ({} KiB)", bytes.div_ceil(1024))
            }
            Self::Failed(attempt) => write!(f, "{attempt}"),
            Self::Preparing { role } => write!(f, "{role}: preparing the model"),
            Self::Ready(fetched) => {
                write!(f, "{}: ready, {} from the {}", fetched.role, fetched.file, fetched.place)
            }
            Self::Lacking(lacking) => write!(f, "{}: {lacking}", lacking.role),
        }
    }
}
