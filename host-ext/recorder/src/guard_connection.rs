//! One guard at the recorder: reads its packets, stores its pictures, passes its entries to the committer.

use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};

use sudare_evidence::report::socket::Connection;
use sudare_evidence::report::wire::{self, Answer, Garbled, Request, VERSION, Why, refused};
use sudare_evidence::report::{NewBlob, NewEntries};
use sudare_protocol::evidence::{BlobRef, Id};
use sudare_protocol::seal::CIPHERTEXT_MAX_BYTES;

use crate::blob_intake::BlobIntake;
use crate::committer::{LogRequest, Operation, answer_to};
use crate::metrics::Metrics;
use crate::role::Role;

/// A connection, from its first packet on counted as one.
pub(super) struct GuardConnection {
    connection: Connection,
    requests: SyncSender<LogRequest>,
    intake: BlobIntake,
    role: Role,
    metrics: Metrics,
    source: Option<Id>,
    arriving: Option<NewBlob>,
}

impl Drop for GuardConnection {
    fn drop(&mut self) {
        if let Some(source) = self.source {
            self.metrics.tally().left(source);
        }
    }
}

impl GuardConnection {
    pub(super) fn new(
        connection: Connection,
        requests: SyncSender<LogRequest>,
        intake: BlobIntake,
        role: Role,
        metrics: Metrics,
    ) -> Self {
        GuardConnection { connection, requests, intake, role, metrics, source: None, arriving: None }
    }

    /// Serves until the guard leaves or sends something malformed.
    pub(super) fn serve(&mut self) {
        let mut buffer = Vec::new();
        loop {
            let request = match self.connection.receive(&mut buffer) {
                Ok(Some(packet)) => wire::decode_request(packet),
                Ok(None) | Err(_) => return,
            };
            let answer = request.and_then(|request| self.handle(request));
            let answered = match answer {
                Ok(None) => Ok(()),
                Ok(Some(answer)) => self.say(&answer),
                Err(garbled) => {
                    tracing::error!(%garbled, "closing a guard's connection");
                    // The guard learns why, if it still listens, and has to connect again.
                    drop(self.say(&refused(Why::Packet, &garbled.to_string())));
                    return;
                }
            };
            if answered.is_err() {
                return;
            }
        }
    }

    fn handle(&mut self, request: Request) -> Result<Option<Answer>, Garbled> {
        match (request, self.source) {
            (Request::Hello { version: VERSION, source }, None) => {
                self.source = Some(source);
                self.metrics.tally().connected(source);
                Ok(Some(self.ask(Operation::LastSerial(source))))
            }
            // Anybody who may connect may ask for the state.
            (Request::State, _) => Ok(Some(self.ask(Operation::State))),
            (Request::Room { device }, Some(_)) if self.arriving.is_none() => {
                Ok(Some(Answer::Room { is_left: self.intake.has_room(&device) }))
            }
            (Request::Blob { device, blob }, Some(_)) if self.arriving.is_none() => {
                self.announced(device, blob).map(|()| None)
            }
            (Request::Chunk { bytes }, Some(_)) => self.chunk(&bytes),
            (Request::Report { report }, Some(source)) if self.arriving.is_none() => {
                Ok(Some(self.report(source, report)))
            }
            _ => Err(Garbled),
        }
    }

    fn report(&mut self, source: Id, report: wire::Report) -> Answer {
        if let Err(forbidden) = self.role.may_report(&report.entries) {
            tracing::warn!(%forbidden, "refused a report");
            return refused(Why::Content, &forbidden.to_string());
        }
        let wire::Report { serial, entries, receipt, once } = report;
        let bill = self.intake.bill(&entries);
        let answer = self.ask(Operation::Record(NewEntries { source, serial, entries, receipt, once }));
        if let Answer::Recorded { recorded } = &answer {
            self.intake.charge(&bill, serial, recorded);
        }
        answer
    }

    fn announced(&mut self, device: Option<Id>, blob: BlobRef) -> Result<(), Garbled> {
        let size = usize::try_from(blob.size).unwrap_or(usize::MAX);
        if size == 0 || size > CIPHERTEXT_MAX_BYTES {
            return Err(Garbled);
        }
        self.arriving = Some(NewBlob { blob, device, bytes: Vec::with_capacity(size) });
        Ok(())
    }

    fn chunk(&mut self, bytes: &[u8]) -> Result<Option<Answer>, Garbled> {
        let mut new = self.arriving.take().ok_or(Garbled)?;
        new.bytes.extend_from_slice(bytes);
        let size = usize::try_from(new.blob.size).unwrap_or(usize::MAX);
        if new.bytes.len() > size {
            return Err(Garbled);
        }
        if new.bytes.len() < size {
            self.arriving = Some(new);
            return Ok(None);
        }
        Ok(Some(self.intake.put(&new).map_or_else(|error| answer_to(&error), |()| Answer::Stored)))
    }

    /// Asks the thread that owns the ledger.
    fn ask(&self, operation: Operation) -> Answer {
        let (reply, answered) = sync_channel(1);
        let gone = || refused(Why::Store, "the recorder is ending. Try again");
        match self.requests.send(LogRequest { operation, reply }) {
            Ok(()) => answered.recv().unwrap_or_else(|_| gone()),
            Err(_) => gone(),
        }
    }

    fn say(&self, answer: &Answer) -> io::Result<()> {
        let packet = wire::encode(answer).map_err(io::Error::other)?;
        self.connection.send(&packet)
    }
}
