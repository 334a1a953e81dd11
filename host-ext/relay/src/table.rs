//! Everything that RDP carries, and what the gate does with it: one row each.
//!
//! The relay looks its own classes up here (share data, fast-path updates), and docs/reference/rdp.md is this table,
//! compared by a test. What is in no row ends the connection, or is closed where it is a channel.

mod rows;

pub use rows::ROWS;

use std::fmt::Write as _;

use crate::error::Side;

/// Something that RDP carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// How it is told from others.
    pub key: Key,
    /// Who sends it; none: both.
    pub from: Option<Side>,
    /// Its name.
    pub name: &'static str,
    /// Where it is specified.
    pub source: &'static str,
    /// What the gate does with it.
    pub class: Class,
}

/// How something is told from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// The phase before the session, or a channel's name.
    Place,
    /// A share control PDU's type.
    Control(u8),
    /// A share data PDU's type.
    Data(u8),
    /// A fast-path update's code.
    Fast(u8),
    /// A command of the graphics pipeline.
    Graphics(u16),
}

/// Defines the classes with what happens: visible, covered, at a cover, at an uncover.
macro_rules! classes {
    ($($(#[$doc:meta])* $name:ident: $visible:literal, $covered:literal, $cover:literal, $uncover:literal;)*) => {
        /// What the gate does with something.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Class { $($(#[$doc])* $name,)* }

        impl Class {
            /// What happens while visible, while covered, at a cover and at an uncover.
            #[must_use]
            pub fn words(self) -> [&'static str; 4] {
                match self { $(Self::$name => [$visible, $covered, $cover, $uncover],)* }
            }
        }
    };
}

classes! {
    /// Nothing of the desktop is in it.
    Pass: "passes", "passes", "–", "–";
    /// It passes with some fields changed.
    Edited: "passes, edited", "–", "–", "–";
    /// It is not passed on.
    Dropped: "dropped", "dropped", "–", "–";
    /// The connection ends in words.
    Ends: "ends the connection", "ends the connection", "–", "–";
    /// A picture.
    Picture: "passes", "held", "black before all that waits; Suppress Output", "what was held, in order; repaint asked for";
    /// A pointer, which is a picture.
    Pointer: "passes", "held", "hidden", "what was held; the newest one again";
    /// A beep.
    Beep: "passes", "dropped", "–", "–";
    /// What the host can do.
    Demand: "passes; share and size noted", "as visible", "–", "–";
    /// What the client can do.
    Confirm: "passes without codecs and orders", "as visible", "–", "–";
    /// The end of an activation.
    FontMap: "passes", "passes; black and Suppress Output behind it", "–", "–";
    /// An activation begins anew.
    Deactivate: "passes", "passes; what was held for the old share is dropped", "–", "–";
    /// Keys and the mouse.
    Input: "passes; what is down is noted", "dropped; F1 to F4 reach the cover", "all that is down is let go", "lock keys told";
    /// The client's own wish to see nothing.
    Suppress: "passes, noted", "noted", "the gate's own", "allowed again if the client looks";
    /// The client's wish for a repaint.
    Refresh: "passes", "dropped", "–", "the gate's own, of everything";
    /// A channel that policy may open, held while covered.
    Held: "passes by policy", "held, both ways", "–", "what was held, in order";
    /// Sound, which goes on as silence.
    Silence: "passes by policy", "waves are zeros; all else passes", "–", "–";
    /// A channel that policy may open, and that knows nothing of the desktop.
    Open: "passes by policy", "passes", "–", "–";
    /// The size that the client wants.
    Layout: "passes by policy", "the newest is kept", "–", "the newest, behind Suppress Output off";
    /// The channels' own channel.
    Dynamic: "passes; version 2 at most", "as visible", "–", "–";
    /// Data of a dynamic channel.
    ByChannel: "by the channel's row", "by the channel's row", "–", "–";
    /// The gate's own channel.
    Own: "the gate's; refused to the host", "as visible", "–", "–";
    /// Closed to everybody.
    Closed: "closed", "closed", "–", "–";
    /// The graphics pipeline as a whole.
    Pipeline: "passes by policy, decompressed", "by command", "surfaces copied away and black", "copied back; what was held";
    /// Something drawn on a surface.
    Drawn: "passes", "held", "–", "what was held, in order";
    /// A surface, its place or the output.
    Surface: "passes, followed", "passes, black, while nothing is held; then held", "copied away and black", "copied back";
    /// A frame of the graphics pipeline.
    Frame: "passes", "held", "an open one is ended", "opened again";
    /// What a client says of a frame.
    Acknowledge: "passes; the gate's own frames are not told", "as visible", "–", "–";
}

/// What the gate does with a share data PDU of this side.
#[must_use]
pub fn share_data(side: Side, kind: u8) -> Option<Class> {
    class(Key::Data(kind), side)
}

/// What the gate does with a share control PDU of this side that is not share data.
#[must_use]
pub fn share_control(side: Side, kind: u8) -> Option<Class> {
    class(Key::Control(kind), side)
}

/// What the gate does with a fast-path update.
#[must_use]
pub fn fast_path(code: u8) -> Option<Class> {
    class(Key::Fast(code), Side::Host)
}

fn class(key: Key, side: Side) -> Option<Class> {
    let row = ROWS.iter().find(|row| row.key == key && row.from.is_none_or(|from| from == side));
    row.map(|row| row.class)
}

/// The table as pages have it.
#[must_use]
pub fn markdown() -> String {
    let mut page = "| what | from | source | visible | covered | at cover | at uncover |\n".to_owned();
    page.push_str("|---|---|---|---|---|---|---|\n");
    for row in ROWS {
        let from = row.from.map_or("both".to_owned(), |side| side.to_string());
        let [visible, covered, cover, uncover] = row.class.words();
        let Row { name, source, .. } = row;
        // A string takes everything.
        writeln!(page, "| {name} | {from} | {source} | {visible} | {covered} | {cover} | {uncover} |").ok();
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::gfx::{Answer, Command, Pdu};

    #[test]
    fn nothing_has_two_rows() {
        for (at, row) in ROWS.iter().enumerate() {
            let again = ROWS.iter().skip(at + 1).find(|other| {
                let keyed = row.key != Key::Place && other.key == row.key;
                (keyed && (other.from == row.from || row.from.is_none() || other.from.is_none()))
                    || (other.name == row.name && other.from == row.from)
            });
            assert_eq!(again, None, "{row:?}");
        }
    }

    /// The pipeline's own reading of its commands is the table's.
    #[test]
    fn commands_of_the_graphics_pipeline_are_read_as_the_table_says() {
        let body = [0; 64];
        let mut count = 0;
        for row in ROWS {
            let Key::Graphics(command) = row.key else { continue };
            count += 1;
            let pdu = Pdu { bytes: &body, command, body: &body };
            let read = match row.from {
                Some(Side::Client) => match pdu.of_client().unwrap() {
                    Answer::Frame { .. } | Answer::Quality { .. } => Class::Acknowledge,
                    Answer::CapsAdvertise | Answer::Other => Class::Pass,
                },
                _ => match pdu.of_host().unwrap() {
                    Command::Draw { .. } | Command::Other => Class::Drawn,
                    Command::Start { .. } | Command::End { .. } => Class::Frame,
                    Command::CapsConfirm | Command::CacheImportReply => Class::Pass,
                    Command::Create { .. } | Command::Delete { .. } => Class::Surface,
                    Command::Map { .. } | Command::Reset { .. } => Class::Surface,
                },
            };
            assert_eq!(read, row.class, "{}", row.name);
        }
        assert!(count > 20, "{count}");
    }

    #[test]
    fn unknown_things_have_no_row() {
        assert_eq!(share_data(Side::Host, 99), None);
        // The client's words are not the host's.
        assert_eq!(share_data(Side::Host, crate::wire::share::data::INPUT), None);
        assert_eq!([7, 13, 14, 15].map(fast_path), [None; 4]);
    }
}
