//! The `status.json` of `sudare-fleet`. Its keys are a stable format.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sudare_base::files::{self, FileError};

const MAX_BYTES: usize = 64 * 1024;

/// How it goes with the organisation's bundle, as `doctor` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Where bundles come from; holds no secret.
    pub from: String,
    /// Of the bundle in place.
    pub serial: Option<u64>,
    /// Unix time of the last look that succeeded.
    pub last_success_ms: Option<u64>,
    /// Unix time of the first failure since then.
    pub failing_since_ms: Option<u64>,
    /// Why, in words.
    pub error: Option<String>,
}

impl Status {
    /// The status written last; `None` if no bundle was ever looked for.
    pub fn read(folder: &Path) -> Result<Option<Self>, FileError> {
        let path = folder.join("status.json");
        let Some(bytes) = files::read_bounded(&path, MAX_BYTES)? else { return Ok(None) };
        let parsed = serde_json::from_slice(&bytes);
        parsed.map(Some).map_err(|e| FileError::new(&path, "read", e.into()))
    }

    /// Replaces it.
    pub fn write(&self, folder: &Path) -> Result<(), FileError> {
        let path = folder.join("status.json");
        let bytes = serde_json::to_vec(self).map_err(|e| FileError::new(&path, "written", e.into()))?;
        files::write_private(&path, &bytes)
    }
}
