//! The shipper's `status.json`. Its keys are a stable format.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sudare_base::files::{self, FileError};

const MAX_BYTES: usize = 64 * 1024;

/// How shipping goes, as `doctor` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Where evidence goes; holds no secret.
    pub destination: String,
    /// Such as `COMPLIANCE, 30 days`; `none` for a folder.
    pub retention: String,
    /// Entries under the checkpoint at the destination.
    pub shipped: u64,
    /// Entries under the host's checkpoint.
    pub local: u64,
    /// Pictures that the log names and that the store no longer had when they were due: erased before, or lost.
    pub absent_blobs: u64,
    /// Unix time of the last success.
    pub last_success_ms: Option<u64>,
    /// Unix time of the first failure since the last success; absent while shipping works.
    pub failing_since_ms: Option<u64>,
    /// Failed attempts since then.
    pub attempts: u32,
    /// Name of the last error, such as `unreachable`.
    pub error: Option<String>,
    /// The same in words.
    pub detail: Option<String>,
    /// What the witness and the time-stamp service answered last.
    #[serde(default, rename = "others")]
    pub notaries: NotaryStatus,
}

impl Status {
    /// The status written last; `None` if the shipper never ran.
    pub fn read(dir: &Path) -> Result<Option<Self>, FileError> {
        let path = dir.join("status.json");
        let Some(bytes) = files::read_bounded(&path, MAX_BYTES)? else { return Ok(None) };
        let parsed = serde_json::from_slice(&bytes);
        parsed.map(Some).map_err(|e| FileError::new(&path, "read", e.into()))
    }
}

/// The last answers of the witness and the time-stamp service, for `doctor`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotaryStatus {
    /// Entries under the last cosigned checkpoint.
    pub cosigned: u64,
    /// When the witness cosigned it, Unix time in seconds.
    pub witness_time_s: u64,
    /// Why the last attempt failed.
    pub witness_error: Option<String>,
    /// Entries under the last time-stamped checkpoint.
    pub stamped: u64,
    /// Why the last attempt failed.
    pub stamper_error: Option<String>,
}
