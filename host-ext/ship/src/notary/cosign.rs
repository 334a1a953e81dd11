//! Submits a checkpoint to a witness and checks the cosignature.

use sudare_base::text::excerpt;
use sudare_evidence::proofs::{self, TileError};
use sudare_evidence::reader::Store;
use sudare_protocol::tlog::consistency::ProveError;
use sudare_protocol::tlog::cosignature::{attach, check};
use sudare_protocol::tlog::note::MAX_NOTE_BYTES;
use sudare_protocol::tlog::submission::{Submission, parse_size_body};
use sudare_protocol::tlog::{CosignatureError, SignedCheckpoint, WitnessKey};
use thiserror::Error;

use crate::notary::http::{Http, HttpError};

/// The first try may start at an outdated size, the second at one that another submitter has just changed.
const TRIES: u32 = 3;

/// Why there is no cosignature.
#[derive(Debug, Error)]
pub enum SubmitError {
    /// No answer.
    #[error("the witness did not answer: {0}")]
    Http(#[from] HttpError),
    /// 404.
    #[error(
        "the witness at {0} does not know this log. Give the log's public line to its operator \
         (`sudare-witness serve --log`)"
    )]
    UnknownLog(String),
    /// 403.
    #[error(
        "the witness at {0} knows this log under another key. Give its operator the log's current public line"
    )]
    Unsigned(String),
    /// The witness has seen more than we have.
    #[error(
        "the witness has cosigned {known} entries of this log, and this store has only {size}: THIS STORE WAS CUT BACK or \
         restored from an old copy. Stop using it: keep it, and look for the missing entries in other copies"
    )]
    RolledBack {
        /// Ours.
        size: u64,
        /// Theirs.
        known: u64,
    },
    /// The witness has seen something else.
    #[error(
        "the witness has cosigned another history of this log, up to {known} entries: THIS STORE WAS REWRITTEN, or \
         two hosts use the same log key. Stop using it, and keep it as evidence"
    )]
    Forked {
        /// Size of the log that the witness cosigned last.
        known: u64,
    },
    /// Another process submits at the same time.
    #[error(
        "the witness's state of this log kept changing. Check whether another process submits the same log"
    )]
    Busy,
    /// Any other response.
    #[error("the witness answered with status {status}: {text}. Ask its operator")]
    Unexpected {
        /// HTTP status.
        status: u16,
        /// The beginning of its response.
        text: String,
    },
    /// The response is not a valid cosignature by the expected witness.
    #[error("the witness's response is not a valid cosignature: {0}")]
    BadAnswer(CosignatureError),
    /// The response has no signature line of this witness.
    #[error(
        "the response contains no cosignature by {0}. Compare the witness's public line with the one you were given"
    )]
    Missing(String),
    /// The proof could not be made.
    #[error("{0}")]
    Prove(#[from] ProveError<TileError>),
}

/// A verified cosignature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosignature {
    /// The signature line, with its newline.
    pub line: String,
    /// The checkpoint with that line; store it as `checkpoint.cosigned`.
    pub note: String,
    /// When the witness signed it, Unix time in seconds.
    pub time_s: u64,
}

/// Submits the checkpoints of one log to one witness, and remembers the size that the witness knows.
#[derive(Debug)]
pub struct Submitter {
    http: Http,
    url: String,
    witness: WitnessKey,
    known_size: u64,
}

impl Submitter {
    /// `prefix` is the submission prefix, such as `https://witness.example` or `http://127.0.0.1:8790`.
    pub fn new(prefix: &str, witness: WitnessKey) -> Result<Self, SubmitError> {
        let url = format!("{}/add-checkpoint", prefix.trim_end_matches('/'));
        Ok(Self { http: Http::new()?, url, witness, known_size: 0 })
    }

    /// Asks for a cosignature; the same checkpoint again gives a fresh time.
    ///
    /// The store must hold the tiles of `checkpoint`. At most three requests are made; a failed one changes nothing, so
    /// the caller retries later.
    pub async fn submit(
        &mut self,
        store: &Store,
        checkpoint: &SignedCheckpoint,
    ) -> Result<Cosignature, SubmitError> {
        let size = checkpoint.size();
        for _ in 0..TRIES {
            let old_size = self.known_size.min(size);
            let proof = proofs::prove(store, old_size, size)?;
            let submission = Submission { old_size, proof, note: checkpoint.note().to_owned() };
            let reply = self.http.post(&self.url, "text/plain", submission.to_body().into_bytes()).await?;
            let text = String::from_utf8_lossy(&reply.body).into_owned();
            match reply.status {
                200 => return self.accept(checkpoint, &text),
                404 => return Err(SubmitError::UnknownLog(self.url.clone())),
                403 => return Err(SubmitError::Unsigned(self.url.clone())),
                409 => self.known_size = conflict(&text, old_size, size)?,
                422 => return Err(SubmitError::Forked { known: old_size }),
                status => return Err(SubmitError::Unexpected { status, text: excerpt(&text) }),
            }
        }
        Err(SubmitError::Busy)
    }

    fn accept(&mut self, checkpoint: &SignedCheckpoint, answer: &str) -> Result<Cosignature, SubmitError> {
        let longest = MAX_NOTE_BYTES - checkpoint.note().len().min(MAX_NOTE_BYTES);
        // The witness may add lines of others, which are dropped.
        for line in answer.lines().filter(|_| answer.len() <= longest) {
            let note = attach(checkpoint.note(), line);
            let seen = check(note.as_bytes(), std::slice::from_ref(&self.witness));
            let seen = seen.map_err(SubmitError::BadAnswer)?;
            if let Some(time_s) = seen.last().map(|seen| seen.time_s) {
                self.known_size = checkpoint.size();
                return Ok(Cosignature { line: format!("{line}\n"), note, time_s });
            }
        }
        Err(SubmitError::Missing(self.witness.name().to_owned()))
    }
}

/// What a 409 means: the size to start from, or that the witness knows entries that this store lacks.
fn conflict(body: &str, sent_old: u64, size: u64) -> Result<u64, SubmitError> {
    let unexpected = || SubmitError::Unexpected { status: 409, text: excerpt(body) };
    let known = parse_size_body(body).ok_or_else(unexpected)?;
    if known > size {
        return Err(SubmitError::RolledBack { size, known });
    }
    // The request started at the size that the witness knows, and was refused all the same.
    if known == sent_old {
        return Err(SubmitError::Forked { known });
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::{Path, PathBuf};
    use sudare_evidence::store::OsDisk;
    use sudare_protocol::SigningKey;
    use sudare_witness::server::Server;
    use sudare_witness::testing::{TestLog, cosigner};
    use sudare_witness::{Memory, Witness};

    struct Place {
        root: tempfile::TempDir,
        url: String,
    }

    async fn place(logs: &[&TestLog]) -> Place {
        let root = tempfile::tempdir().unwrap();
        let state = root.path().join("state");
        Memory::create(OsDisk, &state, cosigner().public()).unwrap();
        let logs = logs.iter().map(|log| log.verifier()).collect();
        let witness = Witness::open(OsDisk, &state, cosigner(), logs).unwrap();
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), witness, 120).await.unwrap();
        let url = format!("http://{}", server.address().unwrap());
        tokio::spawn(server.run());
        Place { root, url }
    }

    impl Place {
        fn folder(&self, name: &str) -> PathBuf {
            let folder = self.root.path().join(name);
            std::fs::create_dir_all(&folder).unwrap();
            folder
        }

        fn submitter(&self) -> Submitter {
            Submitter::new(&self.url, cosigner().public()).unwrap()
        }
    }

    async fn submit(
        to: &mut Submitter,
        log: &mut TestLog,
        dir: &Path,
        size: u64,
    ) -> Result<u64, SubmitError> {
        let checkpoint = log.write(dir, size);
        let cosigned = to.submit(&Store::open(dir).unwrap(), &checkpoint).await?;
        assert_eq!(
            check(cosigned.note.as_bytes(), &[cosigner().public()]).unwrap()[0].time_s,
            cosigned.time_s
        );
        Ok(cosigned.time_s)
    }

    #[tokio::test]
    async fn a_log_is_cosigned_over_http_also_by_a_submitter_that_was_restarted() {
        let mut log = TestLog::new("sudare.example/log/a");
        let place = place(&[&log]).await;
        let dir = place.folder("store");
        let mut first = place.submitter();
        for size in [1, 5, 5, 300] {
            assert!(submit(&mut first, &mut log, &dir, size).await.unwrap() > 1_700_000_000);
        }
        submit(&mut place.submitter(), &mut log, &dir, 600).await.unwrap();
        submit(&mut first, &mut log, &dir, 700).await.unwrap();
    }

    #[tokio::test]
    async fn a_store_that_was_cut_back_or_rewritten_learns_it() {
        let mut log = TestLog::new("sudare.example/log/a");
        let place = place(&[&log]).await;
        submit(&mut place.submitter(), &mut log, &place.folder("store"), 300).await.unwrap();
        let back = submit(&mut place.submitter(), &mut log, &place.folder("old"), 20).await;
        assert!(matches!(back, Err(SubmitError::RolledBack { size: 20, known: 300 })), "{back:?}");
        let mut forked = log.fork_at(7);
        for size in [300, 301] {
            let fork = submit(&mut place.submitter(), &mut forked, &place.folder("forked"), size).await;
            assert!(matches!(fork, Err(SubmitError::Forked { known: 300 })), "{size}: {fork:?}");
        }
        submit(&mut place.submitter(), &mut log, &place.folder("store"), 301).await.unwrap();
    }

    #[tokio::test]
    async fn strangers_and_foreign_witnesses_are_named() {
        let mut log = TestLog::new("sudare.example/log/a");
        let place = place(&[&log]).await;
        let mut other = TestLog::new("sudare.example/log/b");
        let unknown = submit(&mut place.submitter(), &mut other, &place.folder("b"), 3).await;
        assert!(matches!(unknown, Err(SubmitError::UnknownLog(_))), "{unknown:?}");
        let key = SigningKey::from_bytes(&[1; 32]).verifying_key();
        let expected = WitnessKey::new("witness.example/audit", key).unwrap();
        let mut foreign = Submitter::new(&place.url, expected).unwrap();
        let missing = submit(&mut foreign, &mut log, &place.folder("a"), 3).await;
        assert!(matches!(missing, Err(SubmitError::Missing(_))), "{missing:?}");
        let mut nobody = Submitter::new("http://127.0.0.1:9", cosigner().public()).unwrap();
        let silent = submit(&mut nobody, &mut log, &place.folder("a"), 3).await;
        assert!(matches!(silent, Err(SubmitError::Http(_))), "{silent:?}");
    }

    #[tokio::test]
    async fn the_server_answers_as_the_specification_says() {
        let mut log = TestLog::new("sudare.example/log/a");
        let place = place(&[&log]).await;
        let http = Http::new().unwrap();
        let url = format!("{}/add-checkpoint", place.url);
        let post = async |body: String| http.post(&url, "text/plain", body.into_bytes()).await.unwrap();
        assert_eq!(post("old 1\n".into()).await.status, 400);
        assert_eq!(post("x".repeat(40_000)).await.status, 413);
        assert_eq!(post(log.submission(0, 9).to_body()).await.status, 200);
        let conflict = post(log.submission(0, 12).to_body()).await;
        assert_eq!((conflict.status, &conflict.body[..]), (409, &b"9\n"[..]));
        assert_eq!(conflict.content_type.as_deref(), Some("text/x.tlog.size"));
        let mut unproven = log.submission(9, 12);
        unproven.proof[0] = [0; 32];
        assert_eq!(post(unproven.to_body()).await.status, 422);
        assert_eq!(post(log.fork_at(2).submission(9, 9).to_body()).await.status, 409);
        let mut unsigned = log.submission(9, 12);
        unsigned.note = unsigned.note.replacen("\n12\n", "\n13\n", 1);
        assert_eq!(post(unsigned.to_body()).await.status, 403);
        assert_eq!(http.post(&format!("{}/", place.url), "text/plain", vec![]).await.unwrap().status, 404);
    }
}
