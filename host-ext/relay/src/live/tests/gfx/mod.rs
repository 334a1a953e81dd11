//! The graphics pipeline: a hostile host, and a client that shows what it gets.

mod acks;
mod cover;
mod host;
mod ironrdp;
mod model;
mod order;
mod paint;
mod stream;

use super::dynamic::{client_pdus, frames, host_pdus, say, split};
use super::*;
use crate::policy::GRAPHICS;
use crate::wire::dvc;
use crate::wire::gfx::command;
use host::*;
use model::{Client, Reset};

/// The number of the host's channel.
const ID: u32 = 9;

/// A session, with the channel open and both sides agreed on what they can do.
struct Run {
    live: Live,
    client: Client,
    /// Whether the client has been sent black, in bitmaps.
    painted: usize,
}

impl Run {
    /// Covered, as all sessions begin.
    fn covered() -> Self {
        let mut live = new(Policy { graphics: true, ..Policy::default() });
        activate(&mut live, SIZE);
        taken(&mut live);
        say(&mut live, Side::Host, &dvc::write_capabilities_request());
        taken(&mut live);
        say(&mut live, Side::Client, &dvc::write_capabilities_response(2));
        say(&mut live, Side::Host, &dvc::write_create(ID, GRAPHICS));
        let asked = client_pdus(&mut live);
        assert!(asked.contains(&dvc::write_create(ID, GRAPHICS)));
        say(&mut live, Side::Client, &dvc::write_create_response(ID, 0));
        let mut run = Self { live, client: Client::default(), painted: 0 };
        run.answer(&advertise());
        assert_eq!(run.heard().concat(), advertise());
        run.host(&confirm_caps());
        run.pull();
        assert_eq!(run.client.commands, [command::CAPS_CONFIRM]);
        run.client.commands.clear();
        run.live.events().for_each(drop);
        run
    }

    fn visible() -> Self {
        let mut run = Self::covered();
        run.uncover();
        to_host(&mut run.live);
        run
    }

    /// Visible, with one surface that fills the screen and has a picture.
    fn drawn() -> Self {
        let mut run = Self::visible();
        run.host(&[create(1, 4, 3, XRGB), map(1, 0, 0), start(5), fill(1, 7), end(5)].concat());
        run.pull();
        run.live.size = Some(Size { width: 4, height: 3 });
        run.acknowledge();
        assert_eq!(run.totals(), [(5, 1)]);
        run.client.commands.clear();
        run
    }

    /// PDUs of the host, as one message that is not compressed.
    fn host(&mut self, pdus: &[u8]) {
        self.host_message(&ironrdp_graphics::zgfx::wrap_uncompressed(pdus));
    }

    fn host_message(&mut self, message: &[u8]) {
        for pdu in dvc::write_data(ID, message).unwrap() {
            say(&mut self.live, Side::Host, &pdu);
        }
    }

    /// PDUs of the client.
    fn answer(&mut self, pdus: &[u8]) {
        for pdu in dvc::write_data(ID, pdus).unwrap() {
            say(&mut self.live, Side::Client, &pdu);
        }
    }

    /// The client takes everything that there is for it.
    fn pull(&mut self) {
        while self.pull_one().is_some() {}
    }

    fn pull_one(&mut self) -> Option<Unit> {
        let unit = self.live.next_to_client(0).unwrap()?;
        let covered = self.live.shown() == Shown::Covered;
        assert!(!covered || unit.injected || !shows(&unit.bytes), "a bitmap under a cover");
        self.painted += usize::from(shows(&unit.bytes));
        self.client.take(&unit.bytes);
        if let Some(mark) = unit.mark {
            self.live.written(mark);
        }
        Some(unit)
    }

    /// The client's acknowledgements of everything that it has decoded.
    fn acknowledge(&mut self) {
        for (frame, total) in std::mem::take(&mut self.client.acks) {
            self.answer(&acknowledge(frame, total));
        }
    }

    fn cover(&mut self) {
        self.live.cover(0).unwrap();
        self.pull();
    }

    fn uncover(&mut self) {
        self.live.uncover(0).unwrap();
        self.pull();
    }

    /// What the host gets on its channel.
    fn heard(&mut self) -> Vec<Vec<u8>> {
        let mut pieces = dvc::Pieces::default();
        let heard = host_pdus(&mut self.live);
        let messages = heard.iter().filter_map(|pdu| match dvc::read(pdu).unwrap() {
            dvc::Pdu::Data { id: ID, data } => pieces.add(None, data, 1 << 20).unwrap(),
            dvc::Pdu::DataFirst { id: ID, total, data } => pieces.add(Some(total), data, 1 << 20).unwrap(),
            _ => None,
        });
        messages.collect()
    }

    /// The frames that the host hears of, and the counts that come with them.
    fn totals(&mut self) -> Vec<(u32, u32)> {
        let heard = self.heard().concat();
        let pdus = crate::wire::gfx::split(&heard).unwrap();
        let answers = pdus.iter().map(|pdu| pdu.of_client().unwrap());
        let frames = answers.filter_map(|answer| match answer {
            crate::wire::gfx::Answer::Frame { frame, total } => Some((frame, total)),
            _ => None,
        });
        frames.collect()
    }

    fn events(&mut self) -> Vec<Event> {
        self.live.events().collect()
    }

    /// How often the client was said to be black.
    fn confirmed(&mut self) -> usize {
        self.live.events().filter(|event| *event == Event::Painted(Shown::Covered)).count()
    }
}
