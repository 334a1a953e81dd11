//! Any interleaving of a host that draws, covers, uncovers, pulls and acknowledgements.

use ironrdp_graphics::zgfx::{CompressionMode, Compressor, compress_and_wrap_egfx};
use proptest::prelude::*;

use super::*;

/// One step of a run. Numbers choose among what there is.
#[derive(Debug, Clone)]
enum Step {
    Create(u8, bool),
    Delete(u8),
    Map(u8, u8),
    Fill(u8, u8),
    Pixel(u8, u8),
    Copy(u8, u8),
    ToCache(u8),
    FromCache(u8),
    Unknown,
    Frame,
    Reset,
    Bitmap,
    Flush(bool),
    Deliver(u8),
    Cover,
    Uncover,
    Pull(u8),
    Acknowledge,
    BeginAnew,
    Activate,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (any::<u8>(), any::<bool>()).prop_map(|(id, alpha)| Step::Create(id, alpha)),
        1 => any::<u8>().prop_map(Step::Delete),
        3 => (any::<u8>(), 0..4_u8).prop_map(|(id, kind)| Step::Map(id, kind)),
        3 => (any::<u8>(), 1..=200_u8).prop_map(|(id, colour)| Step::Fill(id, colour)),
        2 => (any::<u8>(), 1..=200_u8).prop_map(|(id, colour)| Step::Pixel(id, colour)),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(from, to)| Step::Copy(from, to)),
        1 => any::<u8>().prop_map(Step::ToCache),
        1 => any::<u8>().prop_map(Step::FromCache),
        1 => Just(Step::Unknown),
        4 => Just(Step::Frame),
        1 => Just(Step::Reset),
        1 => Just(Step::Bitmap),
        4 => any::<bool>().prop_map(Step::Flush),
        4 => (0..4_u8).prop_map(Step::Deliver),
        3 => Just(Step::Cover),
        3 => Just(Step::Uncover),
        5 => (0..5_u8).prop_map(Step::Pull),
        2 => Just(Step::Acknowledge),
        1 => Just(Step::BeginAnew),
        1 => Just(Step::Activate),
    ]
}

/// Numbers that hosts use, among them those that ours would be.
const IDS: [u16; 5] = [0, 1, 0xFFDF, 0xFFFE, 0xFFFF];

struct Mixed {
    run: Run,
    /// The client of a connection without a gate.
    direct: Client,
    compressor: Compressor,
    /// PDUs that the host has made, and frames that are on their way.
    made: Vec<u8>,
    on_their_way: VecDeque<Vec<u8>>,
    open: Option<u32>,
    frames: u32,
    /// Frames that the host has ended since the client's last beginning.
    ended: Vec<u32>,
    acknowledged: Vec<(u32, u32)>,
    /// The client has confirmed to be black, and nobody has uncovered since.
    black: bool,
}

impl Mixed {
    fn new(resets: Reset) -> Self {
        let mut run = Run::covered();
        run.client.resets = resets;
        let mut direct = Client::default();
        direct.resets = resets;
        Self {
            run,
            direct,
            compressor: Compressor::new(),
            made: Vec::new(),
            on_their_way: VecDeque::new(),
            open: None,
            frames: 0,
            ended: Vec::new(),
            acknowledged: Vec::new(),
            black: true,
        }
    }

    fn make(&mut self, pdus: &[u8]) {
        self.made.extend_from_slice(pdus);
        self.direct.draw(pdus);
    }

    /// One of the surfaces that there are.
    fn some(&self, choice: u8) -> Option<u16> {
        let ids: Vec<u16> = self.direct.surfaces.keys().copied().collect();
        (!ids.is_empty()).then(|| ids[usize::from(choice) % ids.len()])
    }

    fn draw(&mut self, step: &Step) -> Option<()> {
        match *step {
            Step::Create(choice, alpha) => {
                let id = IDS[usize::from(choice) % IDS.len()];
                if !self.direct.surfaces.contains_key(&id) {
                    let format = if alpha { ARGB } else { XRGB };
                    self.make(&create(id, 3 + u16::from(choice % 3), 4, format));
                }
            }
            Step::Delete(choice) => {
                let id = self.some(choice)?;
                self.make(&delete(id));
            }
            Step::Map(choice, kind) => {
                let id = self.some(choice)?;
                self.make(&match kind {
                    0 => map(id, 3, 4),
                    1 => map_scaled(id, 8, 8),
                    2 => map_window(id, false),
                    _ => map_window(id, true),
                });
            }
            Step::Fill(choice, colour) => {
                let id = self.some(choice)?;
                self.make(&fill(id, colour));
            }
            Step::Pixel(choice, colour) => {
                let id = self.some(choice)?;
                self.make(&pixel(id, colour, 1, u16::from(colour % 4)));
            }
            Step::Copy(from, to) => {
                let (from, to) = (self.some(from)?, self.some(to)?);
                self.make(&copy(from, to, [0, 0, 2, 2], 1, 1));
            }
            Step::ToCache(choice) => {
                let id = self.some(choice)?;
                self.make(&to_cache(id, u16::from(choice % 3)));
            }
            Step::FromCache(choice) => {
                let (id, slot) = (self.some(choice)?, u16::from(choice % 3));
                if self.direct.cache.contains_key(&slot) {
                    self.make(&from_cache(slot, id));
                }
            }
            Step::Unknown => self.make(&unknown(3_000)),
            Step::Frame => match self.open.take() {
                Some(frame) => {
                    self.make(&end(frame));
                    self.ended.push(frame);
                }
                None => {
                    self.frames += 1;
                    self.open = Some(self.frames);
                    self.make(&start(self.frames));
                }
            },
            Step::Reset => self.make(&reset(30, 20)),
            _ => {}
        }
        Some(())
    }

    fn flush(&mut self, compressed: bool) {
        let made = std::mem::take(&mut self.made);
        if made.is_empty() {
            return;
        }
        let mode = if compressed { CompressionMode::Always } else { CompressionMode::Auto };
        let message = compress_and_wrap_egfx(&made, &mut self.compressor, mode).unwrap();
        for pdu in dvc::write_data(ID, &message).unwrap() {
            self.on_their_way.extend(split(&frames(Side::Host, &pdu)));
        }
    }

    fn deliver(&mut self, count: usize) {
        for _ in 0..count {
            if let Some(frame) = self.on_their_way.pop_front() {
                host(&mut self.run.live, &frame);
            }
        }
    }

    fn pull(&mut self) -> bool {
        if self.run.pull_one().is_none() {
            return false;
        }
        self.look();
        true
    }

    fn look(&mut self) {
        self.black |= self.run.confirmed() > 0;
        self.black &= self.run.live.shown() == Shown::Covered;
        assert!(!self.black || !self.run.client.tells(), "something shows under a cover");
    }

    fn acknowledge(&mut self) {
        self.run.acknowledge();
        self.acknowledged.extend(self.run.totals());
        self.look();
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Bitmap => host(&mut self.run.live, &bitmap(1)),
            Step::Flush(compressed) => self.flush(compressed),
            Step::Deliver(count) => self.deliver(count.into()),
            Step::Cover => self.run.live.cover(0).unwrap(),
            Step::Uncover => {
                self.run.live.uncover(0).unwrap();
                self.black = false;
            }
            Step::Pull(count) => {
                for _ in 0..count {
                    self.pull();
                }
            }
            Step::Acknowledge => self.acknowledge(),
            Step::BeginAnew => self.begin_anew(),
            Step::Activate => {
                while self.pull() {}
                host(&mut self.run.live, &from_host(&control(share::DEACTIVATE_ALL, &[])));
                while self.pull() {}
                activate(&mut self.run.live, SIZE);
            }
            _ => drop(self.draw(step)),
        }
    }

    /// What the host has said before it hears of it is for nobody.
    fn begin_anew(&mut self) {
        // Of two that nobody has answered, no client could tell whose the first answer is.
        if self.run.client.resetting {
            return;
        }
        self.acknowledge();
        self.run.client.begin_anew();
        self.direct.begin_anew();
        self.run.answer(&advertise());
        self.acknowledged.clear();
        self.ended.clear();
        self.open = None;
        self.made.extend(confirm_caps());
        self.direct.draw(&confirm_caps());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_client_sees_black_under_covers_and_behind_them_what_it_would_see_without(
        gone: bool,
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let mut mixed = Mixed::new(if gone { Reset::Gone } else { Reset::White });
        for step in &steps {
            mixed.step(step);
        }
        if mixed.open.is_some() {
            mixed.step(&Step::Frame);
        }
        mixed.flush(true);
        mixed.deliver(100_000);
        mixed.step(&Step::Uncover);
        while mixed.pull() {}
        mixed.acknowledge();
        prop_assert_eq!(&mixed.run.client.surfaces, &mixed.direct.surfaces);
        prop_assert_eq!(&mixed.run.client.cache, &mixed.direct.cache);
        prop_assert_eq!(mixed.run.live.held_bytes(), 0);
        let counted: Vec<(u32, u32)> = mixed.ended.iter().copied().zip(1..).collect();
        prop_assert_eq!(&mixed.acknowledged, &counted);
    }
}
