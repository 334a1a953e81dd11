//! The guard's end of the connection to the recorder.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sudare_protocol::evidence::Id;

use super::socket::Connection;
use super::wire::{self, Answer, CHUNK_BYTES, Recorded, Report, Request, State, VERSION, Why};
use super::{EvidenceSink, NewBlob, NewEntries};
use crate::store::StoreError;

/// A recorder that does not answer for this long counts as failed.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// A connection to the recorder.
#[derive(Debug)]
pub struct Remote {
    path: PathBuf,
    connection: Connection,
    buffer: Vec<u8>,
    last_serial: u64,
    log_vkey: String,
}

impl Remote {
    /// Connects and announces the source.
    pub fn connect(path: &Path, source: Id) -> Result<Self, StoreError> {
        let lost = |source: io::Error| StoreError::NoRecorder { path: path.to_owned(), source };
        let connection = Connection::open(path).map_err(lost)?;
        connection.set_timeout(ANSWER_TIMEOUT).map_err(lost)?;
        let (path, buffer) = (path.to_owned(), Vec::new());
        let mut remote = Remote { path, connection, buffer, last_serial: 0, log_vkey: String::new() };
        match remote.ask(&Request::Hello { version: VERSION, source })? {
            Answer::Welcome { version: VERSION, last_serial, log_vkey } => {
                (remote.last_serial, remote.log_vkey) = (last_serial, log_vkey);
                Ok(remote)
            }
            other => Err(unexpected(other)),
        }
    }

    /// The public line of the recorder's log.
    pub fn log_vkey(&self) -> &str {
        &self.log_vkey
    }

    fn ask(&mut self, request: &Request) -> Result<Answer, StoreError> {
        self.send(request)?;
        self.answer()
    }

    fn send(&self, request: &Request) -> Result<(), StoreError> {
        let packet = wire::encode(request).map_err(|garbled| StoreError::Refused(garbled.to_string()))?;
        self.connection.send(&packet).map_err(|source| self.lost(source))
    }

    fn answer(&mut self) -> Result<Answer, StoreError> {
        let received = self.connection.receive(&mut self.buffer);
        match received {
            Ok(Some(packet)) => {
                wire::decode_answer(packet).map_err(|garbled| StoreError::Recorder(garbled.to_string()))
            }
            Ok(None) => Err(self.lost(io::ErrorKind::ConnectionReset.into())),
            Err(source) => Err(self.lost(source)),
        }
    }

    fn lost(&self, source: io::Error) -> StoreError {
        StoreError::NoRecorder { path: self.path.clone(), source }
    }
}

impl EvidenceSink for Remote {
    fn put_blob(&mut self, new: &NewBlob) -> Result<(), StoreError> {
        self.send(&Request::Blob { device: new.device, blob: new.blob.clone() })?;
        for chunk in new.bytes.chunks(CHUNK_BYTES) {
            self.send(&Request::Chunk { bytes: chunk.to_vec() })?;
        }
        match self.answer()? {
            Answer::Stored => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    fn record(&mut self, new: &NewEntries) -> Result<Recorded, StoreError> {
        let report =
            Report { serial: new.serial, entries: new.entries.clone(), receipt: new.receipt, once: new.once };
        match self.ask(&Request::Report { report })? {
            Answer::Recorded { recorded } => {
                self.last_serial = recorded.last_serial;
                Ok(recorded)
            }
            other => Err(unexpected(other)),
        }
    }

    /// Of the source that this connection is for; it knows no other.
    fn last_serial(&self, _: &Id) -> u64 {
        self.last_serial
    }

    fn has_room(&mut self, device: &Id) -> Result<bool, StoreError> {
        match self.ask(&Request::Room { device: *device })? {
            Answer::Room { is_left } => Ok(is_left),
            other => Err(unexpected(other)),
        }
    }

    fn state(&mut self) -> Result<State, StoreError> {
        match self.ask(&Request::State)? {
            Answer::State { state } => Ok(state),
            other => Err(unexpected(other)),
        }
    }
}

fn unexpected(answer: Answer) -> StoreError {
    match answer {
        Answer::Refused { why: Why::Content, text } => StoreError::Refused(text),
        Answer::Refused { why: Why::Quota, .. } => StoreError::Quota,
        Answer::Refused { text, .. } => StoreError::Recorder(text),
        _ => StoreError::Recorder(wire::Garbled.to_string()),
    }
}
