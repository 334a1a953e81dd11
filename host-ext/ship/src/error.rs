//! Why shipping failed, in words that an administrator can act on.

use sudare_base::files::FileError;
use sudare_evidence::reader::ReadError;
use sudare_protocol::evidence::EntryError;
use sudare_protocol::tlog::NoteError;
use thiserror::Error;

/// Nothing counts as shipped if one of these is returned.
#[derive(Debug, Error)]
pub enum ShipError {
    #[error(
        "`{0}` is not a valid destination: {1}. Use file:///FOLDER or s3://BUCKET/PREFIX, and put credentials into the environment"
    )]
    Url(String, &'static str),
    #[error(
        "the variable {0} contains a character that cannot be sent, such as the carriage return of a file written on Windows. Write it again"
    )]
    Variable(String),
    #[error(
        "AWS_ENDPOINT_URL is {0}, and without TLS evidence would cross the network unprotected. Use https://; http:// is for this machine only"
    )]
    Insecure(String),
    #[error(
        "the bucket {0} does not protect objects from deletion: it has no default retention. Use a bucket with Object Lock and a default retention (mode COMPLIANCE), or accept this with --allow-unlocked"
    )]
    NoRetention(String),
    #[error(
        "{0} would prevent the headers of pictures from being deleted ({1}), so that no picture could ever be erased. Give a bucket without retention and without versioning, or a folder, with --headers"
    )]
    HeadersKept(String, &'static str),
    #[error(
        "another shipper uses {0}. One log has one shipper: stop the other one, or give another folder with --state"
    )]
    StateLocked(String),
    #[error(
        "the folder of --state belongs to {before}. Give another folder with --state for another destination. Headers that were shipped must be moved by hand, and deleted from the old place"
    )]
    Moved { before: String },
    #[error(
        "{path} already exists at the destination and differs. Something else writes there, or files of this store were changed after they had been shipped. Keep both, run `sudare-audit verify` on each, and ship this log to a place of its own"
    )]
    Differs { path: String },
    #[error(
        "the checkpoint at the destination changed while it was being replaced. Find the other writer: one log has one shipper"
    )]
    OtherWriter,
    #[error(
        "the checkpoint at the destination has {remote} entries and this host only {local}. The store here was rolled back to an older state. Nothing was changed at the destination: keep both and tell the security team"
    )]
    RemoteAhead { remote: u64, local: u64 },
    #[error(
        "the checkpoint at the destination has {remote} entries, and {shipped} had been shipped. Somebody rolled it back: tell the security team, and check the bucket's earlier versions"
    )]
    RemoteWentBack { remote: u64, shipped: u64 },
    #[error(
        "the first {size} entries of this store are not those that were shipped. One of the two was rewritten. Nothing was changed at the destination: keep both and tell the security team"
    )]
    Forked { size: u64 },
    #[error(
        "the checkpoint at the destination is not accepted: {0}. Either it belongs to another log, or it was changed: ship this log to a place of its own"
    )]
    RemoteCheckpoint(NoteError),
    #[error("the store's checkpoint is not accepted: {0}. Give the key file of this log with --key")]
    LocalCheckpoint(NoteError),
    #[error(
        "the store's files do not lead to the root signed by its checkpoint of {size} entries. The store was changed or is damaged; none of this was shipped. Run `sudare-audit verify` on it"
    )]
    LocalRoot { size: u64 },
    #[error("entry {index} cannot be read: {source}")]
    Entry { index: u64, source: EntryError },
    /// The recorder may just have replaced it, so shipping retries.
    #[error("{0} is missing from the store, or truncated. If this persists, run `sudare-audit verify` on it")]
    LocalMissing(String),
    #[error("{0}")]
    Local(#[from] ReadError),
    #[error("{0}")]
    State(#[from] FileError),
    #[error(
        "{path} could not be {action} at the destination: {}. The shipper retries. Check the network, the credentials and their permissions",
        cause(source)
    )]
    Remote { path: String, action: &'static str, source: object_store::Error },
    /// Only with `once`: otherwise the notary is asked again, and shipping continues.
    #[error("everything was shipped, but a witness or time-stamp service failed: {0}")]
    Notary(String),
    #[error(
        "the bucket could not be queried about {about}: {detail}. Check the network, and that the credentials allow s3:GetBucketObjectLockConfiguration and s3:GetBucketVersioning"
    )]
    Bucket { about: &'static str, detail: String },
}

impl ShipError {
    /// True if a retry cannot help: somebody has to look first.
    pub fn is_final(&self) -> bool {
        match self {
            Self::LocalMissing(_)
            | Self::Local(_)
            | Self::State(_)
            | Self::Remote { .. }
            | Self::Bucket { .. } => false,
            Self::Notary(_)
            | Self::Url(..)
            | Self::Variable(_)
            | Self::Insecure(_)
            | Self::NoRetention(_)
            | Self::HeadersKept(..)
            | Self::StateLocked(_)
            | Self::Moved { .. }
            | Self::Differs { .. }
            | Self::OtherWriter
            | Self::RemoteAhead { .. }
            | Self::RemoteWentBack { .. }
            | Self::Forked { .. }
            | Self::RemoteCheckpoint(_)
            | Self::LocalCheckpoint(_)
            | Self::LocalRoot { .. }
            | Self::Entry { .. } => true,
        }
    }

    /// The stable name in `status.json`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Url(..) => "url",
            Self::Variable(_) => "variable",
            Self::Insecure(_) => "insecure",
            Self::NoRetention(_) => "no-retention",
            Self::HeadersKept(..) => "headers-kept",
            Self::StateLocked(_) => "state-locked",
            Self::Moved { .. } => "moved",
            Self::Differs { .. } => "differs",
            Self::OtherWriter => "other-writer",
            Self::RemoteAhead { .. } => "remote-ahead",
            Self::RemoteWentBack { .. } => "remote-went-back",
            Self::Forked { .. } => "forked",
            Self::RemoteCheckpoint(_) => "remote-checkpoint",
            Self::LocalCheckpoint(_) => "local-checkpoint",
            Self::LocalRoot { .. } => "local-root",
            Self::Entry { .. } => "entry",
            Self::LocalMissing(_) => "local-missing",
            Self::Local(_) => "local",
            Self::State(_) => "state",
            Self::Remote { .. } => "remote",
            Self::Notary(_) => "outside",
            Self::Bucket { .. } => "bucket",
        }
    }
}

/// The words of the outermost error, and the innermost cause where they do not have it: an unknown issuer, a refused
/// connection and an unknown name all begin with "error sending request".
pub(crate) fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    let outermost = error.to_string();
    let innermost = std::iter::successors(Some(error), |error| error.source()).last();
    match innermost.map(ToString::to_string) {
        Some(inner) if !outermost.contains(&inner) => format!("{outermost}: {inner}"),
        _ => outermost,
    }
}
