//! What a client was promised, in a file that a kill cannot take back.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sudare_protocol::client::Evidence;
use sudare_protocol::hex::hex;
use sudare_protocol::message::Ack;

/// One line of JSON; ids in hexadecimal.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Note {
    /// The spool says that it keeps this incident.
    Stored { incident: String, pictures: Vec<String> },
    /// The host says that it keeps this incident.
    Acknowledged { incident: String, leaf_index: u64, checkpoint: String },
}

impl Note {
    pub(super) fn stored(evidence: &Evidence) -> Self {
        let manifest = &evidence.manifest;
        let pictures = manifest.pieces.iter().map(|piece| hex(&piece.blob_id)).collect();
        Note::Stored { incident: hex(&manifest.incident_id), pictures }
    }

    pub(super) fn acknowledged(ack: &Ack) -> Self {
        let checkpoint = ack.checkpoint.clone();
        Note::Acknowledged { incident: hex(&ack.incident_id), leaf_index: ack.leaf_index, checkpoint }
    }
}

/// The file of one client, over all its lives.
#[derive(Debug)]
pub(super) struct Notes {
    file: File,
}

const NAME: &str = "notes";

impl Notes {
    pub(super) fn open(home: &Path) -> anyhow::Result<Self> {
        let mut file = OpenOptions::new().create(true).append(true).open(home.join(NAME))?;
        // Ends a line that a kill cut short.
        file.write_all(b"\n")?;
        Ok(Notes { file })
    }

    pub(super) fn add(&mut self, note: &Note) -> anyhow::Result<()> {
        let line = serde_json::to_string(note)? + "\n";
        self.file.write_all(line.as_bytes())?;
        Ok(self.file.sync_data()?)
    }

    /// All that is whole.
    pub(super) fn read(home: &Path) -> anyhow::Result<Vec<Note>> {
        let mut notes = Vec::new();
        for line in BufReader::new(File::open(home.join(NAME))?).lines() {
            notes.extend(serde_json::from_str(&line?).ok());
        }
        Ok(notes)
    }
}
