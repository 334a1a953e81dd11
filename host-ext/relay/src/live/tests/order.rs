//! Any interleaving of what both sides say, of covers, uncovers and pulls.

use proptest::prelude::*;

use super::*;
use crate::wire::input;

/// One step of a run.
#[derive(Debug, Clone, Copy)]
enum Step {
    Bitmap,
    SlowUpdate,
    Pointer,
    Fragments,
    Sound,
    Control,
    /// Two PDUs in one frame, of which the second draws.
    Both,
    Drives,
    Key,
    Cover,
    Uncover,
    Pull(u8),
    Activate,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Bitmap),
        1 => Just(Step::SlowUpdate),
        1 => Just(Step::Pointer),
        1 => Just(Step::Fragments),
        1 => Just(Step::Sound),
        2 => Just(Step::Control),
        1 => Just(Step::Both),
        1 => Just(Step::Drives),
        1 => Just(Step::Key),
        2 => Just(Step::Cover),
        2 => Just(Step::Uncover),
        4 => (0_u8..6).prop_map(Step::Pull),
        1 => Just(Step::Activate),
    ]
}

/// What a message was, and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Path {
    Draws,
    Sounds,
    Says,
    Drives,
}

/// A run with its own idea of what should be where.
struct Run {
    live: Live,
    number: u32,
    sent: Vec<(Path, Vec<u8>)>,
    got: Vec<Vec<u8>>,
    /// Everything that was taken, ours as well.
    taken: Vec<Unit>,
    /// The mark of the cover has been taken, and nobody has uncovered since.
    black: bool,
    /// Drawn for a share that ended while it was held or waited under a cover: may be gone.
    may_be_gone: bool,
}

impl Run {
    fn new() -> Self {
        Self {
            live: active(),
            number: 0,
            sent: Vec::new(),
            got: Vec::new(),
            taken: Vec::new(),
            black: true,
            may_be_gone: false,
        }
    }

    fn tagged(&mut self, length: usize) -> Vec<u8> {
        self.number += 1;
        [&self.number.to_le_bytes()[..], &vec![0xEE; length]].concat()
    }

    fn send(&mut self, path: Path, frame: Vec<u8>) {
        host(&mut self.live, &frame);
        self.sent.push((path, frame));
    }

    fn pull(&mut self) -> bool {
        let Some(unit) = self.live.next_to_client(0).unwrap() else { return false };
        self.taken.push(unit.clone());
        if self.live.shown() == Shown::Covered {
            // Not even before black: whatever had not been taken is held.
            assert!(unit.injected || !shows(&unit.bytes), "something shows under a cover");
        }
        match unit.mark.map(|mark| mark.shown) {
            Some(Shown::Covered) => self.black = self.live.shown() == Shown::Covered,
            Some(Shown::Visible) => assert!(!self.black),
            None => {}
        }
        if !unit.injected {
            self.got.push(unit.bytes);
        }
        true
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Bitmap => {
                let data = self.tagged(30);
                self.send(Path::Draws, fastpath::write(fastpath::BITMAP, &data).unwrap());
            }
            Step::SlowUpdate => {
                let data = self.tagged(30);
                self.send(Path::Draws, share_data(data::UPDATE, &data));
            }
            Step::Pointer => {
                let data = self.tagged(30);
                self.send(Path::Draws, fastpath::write(fastpath::POINTER_NEW, &data).unwrap());
            }
            Step::Fragments => {
                self.number += 1;
                let number = u8::try_from(self.number % 251).unwrap();
                let pieces = fragments(number);
                pieces.iter().for_each(|piece| host(&mut self.live, piece));
                self.sent.push((Path::Draws, pieces.concat()));
            }
            Step::Sound => {
                let data = self.tagged(4);
                self.send(Path::Sounds, share_data(data::PLAY_SOUND, &data));
            }
            Step::Control => {
                let data = self.tagged(4);
                self.send(Path::Says, share_data(data::CONTROL, &data));
            }
            Step::Both => {
                let (says, draws) = (self.tagged(4), self.tagged(9));
                let (says, draws) = (share_pdu(data::CONTROL, &says), share_pdu(data::UPDATE, &draws));
                host(&mut self.live, &from_host(&[&says[..], &draws].concat()));
                self.sent.push((Path::Says, from_host(&says)));
                self.sent.push((Path::Draws, from_host(&draws)));
            }
            Step::Drives => {
                let data = self.tagged(0);
                let chunk = [&[4, 0, 0, 0, 3, 0, 0, 0][..], &data].concat();
                self.send(Path::Drives, mcs::send_data(Side::Host, 1002, DRIVES, &chunk).unwrap());
            }
            Step::Key => {
                let key = input::Key { code: 30, prefix: 0 };
                let frame = input::write_fast(&[input::Event::Key(key, true)]).unwrap();
                to_host(&mut self.live);
                self.live.from_client(0, &frame).unwrap();
                assert_eq!(to_host(&mut self.live).is_empty(), self.live.shown() == Shown::Covered);
            }
            Step::Cover => self.live.cover(0).unwrap(),
            Step::Uncover => {
                self.live.uncover(0).unwrap();
                self.black = false;
            }
            Step::Pull(count) => {
                for _ in 0..count {
                    self.pull();
                }
            }
            Step::Activate => self.activate(),
        }
    }

    /// Everything that waits is taken first, so that the run knows what is held.
    fn activate(&mut self) {
        while self.pull() {}
        self.may_be_gone |= self.live.shown() == Shown::Covered;
        self.send(Path::Says, from_host(&control(share::DEACTIVATE_ALL, &[])));
        self.send(Path::Says, from_host(&demand(SIZE)));
        while self.pull() {}
        self.live.from_client(0, &from_client(&confirm())).unwrap();
        self.send(Path::Says, share_data(data::FONT_MAP, &[0; 8]));
        while self.pull() {}
    }
}

/// Whether `part` is `whole` with some left out.
fn is_within(part: &[&Vec<u8>], whole: &[&Vec<u8>]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|item| whole.any(|other| other == item))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn what_the_client_gets_is_what_the_host_sent_in_order(steps in prop::collection::vec(step(), 0..60)) {
        let mut run = Run::new();
        for step in steps {
            run.step(step);
        }
        run.step(Step::Uncover);
        while run.pull() {}
        for path in [Path::Draws, Path::Sounds, Path::Says, Path::Drives] {
            let sent: Vec<&Vec<u8>> =
                run.sent.iter().filter(|(of, _)| *of == path).map(|(_, bytes)| bytes).collect();
            let got: Vec<&Vec<u8>> = run.got.iter().filter(|bytes| sent.contains(bytes)).collect();
            prop_assert!(is_within(&got, &sent), "{path:?} out of order");
            let may_be_gone = path == Path::Sounds || path == Path::Draws && run.may_be_gone;
            prop_assert!(may_be_gone || got.len() == sent.len(), "{path:?}: {} of {}", got.len(), sent.len());
        }
        // And nothing besides.
        prop_assert!(run.got.iter().all(|bytes| run.sent.iter().any(|(_, sent)| sent == bytes)));
        prop_assert_eq!(run.live.held_bytes(), 0);
    }

    /// Whole and torn bitmaps among them, so that screenshots come to an end in each way.
    #[test]
    fn the_client_gets_the_same_whether_screenshots_are_taken_or_not(
        steps in prop::collection::vec((step(), any::<bool>(), any::<bool>()), 0..60),
    ) {
        let (mut plain, mut recorded) = (Run::new(), Run::new());
        for (number, (step, records, draws)) in (0_u64..).zip(steps) {
            if records {
                recorded.live.record(number, number * 100).unwrap();
            }
            for run in [&mut plain, &mut recorded] {
                if draws {
                    let whole = [1, 1, 0, 0, SIZE.width - 1, SIZE.height - 1, 4, 4, 32, 0, 4, 7, 7];
                    let whole: Vec<u8> = whole.iter().flat_map(|field: &u16| field.to_le_bytes()).collect();
                    host(&mut run.live, &fastpath::write(fastpath::BITMAP, &whole).unwrap());
                }
                run.step(step);
                run.live.tick(number * 100).unwrap();
            }
        }
        for run in [&mut plain, &mut recorded] {
            run.step(Step::Uncover);
            while run.pull() {}
        }
        prop_assert_eq!(&plain.taken, &recorded.taken);
        // The host hears the same, but for what it is asked to draw and when it need not.
        let heard = |run: &mut Run| -> Vec<Vec<u8>> {
            let ours = |frame: &Vec<u8>| match mcs::read(frame) {
                Ok(Domain::Send(send)) if send.channel == IO => share::split(send.data)
                    .unwrap()
                    .iter()
                    .filter_map(|pdu| pdu.data)
                    .any(|of| [data::REFRESH_RECT, data::SUPPRESS_OUTPUT].contains(&of.kind)),
                _ => false,
            };
            to_host(&mut run.live).into_iter().filter(|frame| !ours(frame)).collect()
        };
        prop_assert_eq!(heard(&mut plain), heard(&mut recorded));
    }
}
