//! The display with a driver that does as it is told.

use std::sync::Mutex;

use sudare_blanker::wire::{Key, Notice, Rect, Request};

use super::super::blanking::waiting_words;
use super::*;
use crate::transport::Action;

#[derive(Default)]
struct Received {
    heard: Vec<String>,
    next: Vec<Action>,
}

#[derive(Clone, Default)]
struct Puppet(Arc<Mutex<Received>>);

impl Puppet {
    fn will(&self, actions: Vec<Action>) {
        self.0.lock().unwrap().next = actions;
    }

    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().heard)
    }
}

impl DriverFactory for Puppet {
    fn session(&self, info: SessionInfo, _now: Now) -> Box<dyn SessionDriver> {
        assert!(info.keys && info.user.as_deref() == Some("alice"));
        Box::new(self.clone())
    }
}

impl SessionDriver for Puppet {
    fn handle(&mut self, _now: Now, event: SessionEvent) -> Vec<Action> {
        let mut told = self.0.lock().unwrap();
        let heard = match event {
            SessionEvent::Tick => None,
            SessionEvent::Link(event) => Some(format!("{event:?}")),
            SessionEvent::Cover(CoverEvent::Painted(shown)) => Some(format!("{shown:?}")),
            SessionEvent::Cover(CoverEvent::Screenshot { ticket, screenshot }) => {
                Some(format!("{ticket} {screenshot:?}"))
            }
            SessionEvent::Cover(CoverEvent::Key(key)) => Some(format!("{key:?}")),
            SessionEvent::Cover(CoverEvent::Notice(notice)) => {
                told.heard.push(format!("{notice:?}"));
                return Vec::new();
            }
            SessionEvent::Cover(other @ CoverEvent::ScreenshotMissing { .. }) => Some(format!("{other:?}")),
            SessionEvent::Owner(owner) => Some(format!("{owner:?}")),
        };
        told.heard.extend(heard);
        std::mem::take(&mut told.next)
    }
}

impl Display {
    fn at(&mut self, boot_ms: u64, input: Input) -> Vec<Effect> {
        self.handle(Now { boot_ms, wall_ms: 0 }, input)
    }
}

fn words(line: &str) -> CoverText {
    CoverText { lines: vec![line.into()] }
}

/// A display with its blanker at work and a client, whose driver wants the desktop shown.
fn visible() -> (Display, Puppet) {
    let (mut display, puppet) = covered();
    puppet.will(vec![Action::Uncover]);
    let effects = display.at(1_000, Input::Tick);
    let ticket = ticket_of(&effects);
    display.at(1_000, Input::Blanker(Reply::Uncovered { ticket }));
    assert_eq!((display.is_covered(), puppet.heard()), (false, vec!["Covered".into(), "Visible".into()]));
    (display, puppet)
}

fn covered() -> (Display, Puppet) {
    let puppet = Puppet::default();
    let (mut display, effects) = Display::new(Arc::new(puppet.clone()), "alice".into());
    let ticket = ticket_of(&effects);
    let whole = Rect { x: 0, y: 0, width: 800, height: 600 };
    display
        .at(10, Input::Blanker(Reply::Layout { layout: 1, width: 800, height: 600, monitors: vec![whole] }));
    display.at(20, Input::Blanker(Reply::Covered { ticket }));
    let effects = display.at(100, Input::Client(true));
    let ticket = ticket_of(&effects);
    display.at(110, Input::Blanker(Reply::Covered { ticket }));
    (display, puppet)
}

fn ticket_of(effects: &[Effect]) -> u64 {
    effects
        .iter()
        .find_map(|effect| match effect {
            Effect::Blanker(Request::Cover { ticket, .. } | Request::Uncover { ticket }) => Some(*ticket),
            _ => None,
        })
        .expect("something was asked of the blanker")
}

#[test]
fn the_picture_is_taken_with_the_cover_and_comes_back_under_the_drivers_name() {
    let (mut display, puppet) = visible();
    puppet.will(vec![Action::Screenshot(77), Action::Cover(words("onlooker"))]);
    let effects = display.at(2_000, Input::Tick);
    let covers: Vec<_> = effects
        .iter()
        .filter(|e| matches!(e, Effect::Blanker(Request::Cover { picture: true, .. })))
        .collect();
    assert_eq!(covers.len(), 1, "{effects:?}");
    assert!(effects.iter().any(|e| matches!(e, Effect::Words { text, .. } if text.lines == ["onlooker"])));
    let ticket = ticket_of(&effects);
    display.at(2_005, Input::Blanker(Reply::Covered { ticket }));
    display.at(2_009, Input::Blanker(Reply::Picture { ticket, width: 1, height: 1, bgra: vec![0; 4] }));
    assert_eq!(puppet.heard(), ["Covered", "77 Screenshot(1x1)"]);
}

#[test]
fn without_a_client_the_desktop_is_covered_and_no_late_answer_shows_it() {
    let (mut display, puppet) = visible();
    let effects = display.at(2_000, Input::Client(false));
    assert!(matches!(effects[0], Effect::Blanker(Request::Cover { .. })));
    assert!(matches!(effects.last(), Some(Effect::CloseChannel)));
    assert_eq!(puppet.heard(), ["Disconnected"]);
    puppet.will(vec![Action::Uncover]);
    for input in [Input::Tick, Input::Opened, Input::Bytes(vec![1]), Input::Client(false)] {
        let effects = display.at(2_100, input);
        let shows = |e: &Effect| matches!(e, Effect::Blanker(Request::Uncover { .. }));
        assert!(!effects.iter().any(shows), "{effects:?}");
    }
    assert!(display.is_covered());
}

#[test]
fn the_next_client_starts_with_a_driver_of_its_own_and_hears_the_cover_confirmed() {
    let (mut display, puppet) = visible();
    let effects = display.at(2_000, Input::Client(true));
    assert_eq!(puppet.heard(), ["Disconnected"], "a change that was missed ends the old one");
    let ticket = effects.iter().rev().find_map(|e| match e {
        Effect::Blanker(Request::Cover { ticket, .. }) => Some(*ticket),
        _ => None,
    });
    display.at(2_010, Input::Blanker(Reply::Covered { ticket: ticket.unwrap() }));
    assert_eq!(puppet.heard(), ["Covered"]);
    assert!(display.at(2_400, Input::Tick).iter().any(|e| matches!(e, Effect::Open)));
}

#[test]
fn a_cover_that_is_not_found_on_the_screen_counts_as_unconfirmed() {
    let (mut display, puppet) = visible();
    assert_eq!(display.unconfirmed_ms(60_000), 0, "nothing to confirm while visible");
    puppet.will(vec![Action::Cover(words("away"))]);
    let ticket = ticket_of(&display.at(2_000, Input::Tick));
    assert_eq!(display.unconfirmed_ms(2_400), 400);
    display.at(2_400, Input::Blanker(Reply::Health { pixels: false, input: true }));
    assert_eq!(display.unconfirmed_ms(2_600), 600);
    display.at(2_600, Input::Blanker(Reply::Covered { ticket }));
    assert_eq!(display.unconfirmed_ms(2_600), 0);
    display.at(2_700, Input::Blanker(Reply::Health { pixels: true, input: true }));
    assert_eq!(display.unconfirmed_ms(2_750), 50);
}

#[test]
fn a_blanker_that_dies_is_replaced_and_what_is_wanted_comes_back() {
    let (mut display, puppet) = visible();
    let effects = display.at(2_000, Input::BlankerEnded);
    assert!(matches!(effects[0], Effect::StartBlanker { end_old: false }), "it may hold the overlay");
    assert!(display.is_covered());
    let ticket = ticket_of(&effects);
    let effects = display.at(2_050, Input::Blanker(Reply::Covered { ticket }));
    assert!(matches!(effects[0], Effect::Blanker(Request::Uncover { .. })), "{effects:?}");
    assert!(puppet.heard().is_empty(), "the driver wanted it visible all the time");
}

#[test]
fn the_third_blanker_that_ends_disconnects_and_the_next_ones_come_after_growing_pauses() {
    let (mut display, puppet) = visible();
    let gives_up = |effects: &[Effect]| effects.iter().any(|e| matches!(e, Effect::Disconnect(_)));
    let starts = |effects: &[Effect]| effects.iter().any(|e| matches!(e, Effect::StartBlanker { .. }));
    for now_ms in [2_000, 2_100] {
        let effects = display.at(now_ms, Input::BlankerEnded);
        assert!(starts(&effects) && !gives_up(&effects), "{effects:?}");
    }
    let (mut now_ms, mut pauses) = (2_200, Vec::new());
    for _ in 0..7 {
        let effects = display.at(now_ms, Input::BlankerEnded);
        assert!(gives_up(&effects) && !starts(&effects), "{effects:?}");
        assert!(effects.iter().any(|e| matches!(e, Effect::RestBlanker { end_old: false })));
        let ended_ms = now_ms;
        while !starts(&display.at(now_ms, Input::Tick)) {
            // What the driver wants meanwhile must not count as shown: nobody could cover again.
            puppet.will(vec![Action::Uncover]);
            now_ms += 50;
            assert!(display.is_covered() && now_ms < ended_ms + 60_000);
        }
        pauses.push(now_ms - ended_ms);
        now_ms += 50;
    }
    assert_eq!(pauses, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    // A minute without a fault, and all is forgiven.
    let effects = display.at(now_ms + 60_000, Input::BlankerEnded);
    assert!(starts(&effects) && !gives_up(&effects), "{effects:?}");
}

#[test]
fn a_cover_that_no_client_comes_through_says_what_may_be_wrong() {
    let (mut display, _puppet) = covered();
    let told = |effects: &[Effect]| -> Vec<CoverText> {
        let words = |effect: &Effect| match effect {
            Effect::Words { text, .. } => Some(text.clone()),
            _ => None,
        };
        effects.iter().filter_map(words).collect()
    };
    display.at(1_000, Input::Client(false));
    let mut all = Vec::new();
    for now_ms in (1_000..20_000).step_by(50) {
        all.extend(told(&display.at(now_ms, Input::Tick)).into_iter().map(|text| (now_ms, text)));
        display.at(now_ms, Input::Blanker(Reply::Health { pixels: true, input: true }));
    }
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(all[0].0, 6_000);
    let text = all[0].1.lines.join("\n");
    assert!(text.contains("This desktop requires Sudare") && text.contains("allow_channels"), "{text}");
    // The next client's cover does not begin with it.
    assert_eq!(told(&display.at(20_000, Input::Client(true))), [waiting_words()]);
}

#[test]
fn a_blanker_that_hangs_is_replaced_but_one_that_waits_for_the_server_is_not() {
    let puppet = Puppet::default();
    let (mut waiting, _) = Display::new(Arc::new(puppet), "alice".into());
    assert!(waiting.at(9_000, Input::Tick).is_empty(), "the X server may take its time to start");
    let (mut hung, _) = covered();
    let starts =
        |effects: &[Effect]| effects.iter().any(|e| matches!(e, Effect::StartBlanker { end_old: true }));
    assert!(!starts(&hung.at(1_000, Input::Tick)));
    assert!(starts(&hung.at(1_200, Input::Tick)));
}

#[test]
fn keys_reach_the_driver_and_an_unfit_display_loses_its_client() {
    let (mut display, puppet) = covered();
    puppet.heard();
    display.at(200, Input::Blanker(Reply::Key(Key::Break)));
    assert_eq!(puppet.heard(), ["Break"]);
    let effects = display.at(300, Input::Blanker(Reply::Unfit { why: "no COMPOSITE".into() }));
    assert!(matches!(&effects[0], Effect::Disconnect(why) if why.contains("COMPOSITE")));
}

#[test]
fn nothing_is_confirmed_before_it_was_seen_and_early_notices_reach_the_first_driver() {
    let puppet = Puppet::default();
    let (mut display, effects) = Display::new(Arc::new(puppet.clone()), "alice".into());
    assert!(display.unconfirmed_ms(10) > 60_000);
    display.at(10, Input::Blanker(Reply::Notice(Notice::LateStart)));
    display.at(20, Input::Blanker(Reply::Covered { ticket: ticket_of(&effects) }));
    assert_eq!(display.unconfirmed_ms(30), 10);
    display.at(40, Input::Client(true));
    assert_eq!(puppet.heard(), ["LateStart"]);
}

/// What may happen next, in any order.
#[derive(Debug, Clone, Copy)]
enum Step {
    Client(bool),
    Want(bool),
    Answer,
    OldAnswer,
    BlankerEnds,
    Tick,
    ChannelCloses,
    SignIn,
    /// The newest one, or one before it.
    SignedIn(u64),
}

fn step() -> impl proptest::strategy::Strategy<Value = Step> {
    use proptest::prelude::*;
    prop_oneof![
        any::<bool>().prop_map(Step::Client),
        any::<bool>().prop_map(Step::Want),
        Just(Step::Answer),
        Just(Step::OldAnswer),
        Just(Step::BlankerEnds),
        Just(Step::Tick),
        Just(Step::ChannelCloses),
        Just(Step::SignIn),
        (0..3_u64).prop_map(Step::SignedIn),
    ]
}

proptest::proptest! {
    /// The desktop is asked for only while a client is connected, its own driver wants it, and nobody
    /// else is on the way.
    #[test]
    fn nothing_shows_the_desktop_but_the_driver_of_a_connected_client(
        steps in proptest::collection::vec(step(), 1..80)
    ) {
        let puppet = Puppet::default();
        let (mut display, mut effects) = Display::new(Arc::new(puppet.clone()), "alice".into());
        let (mut connected, mut wanted, mut now_ms) = (false, false, 0);
        let (mut asked, mut sign_ins, mut awaited) = (vec![], 0, false);
        for step in steps {
            for effect in &effects {
                match effect {
                    Effect::Blanker(Request::Cover { ticket, .. }) => asked.push((*ticket, true)),
                    Effect::Blanker(Request::Uncover { ticket }) => {
                        proptest::prop_assert!(connected && wanted && !awaited);
                        asked.push((*ticket, false));
                    }
                    _ => {}
                }
            }
            let last_covers = asked.last().is_none_or(|(_, covers)| *covers);
            proptest::prop_assert_eq!(display.is_covered(), last_covers);
            now_ms += 20;
            let answer = |(ticket, covers): (u64, bool)| {
                Input::Blanker(if covers { Reply::Covered { ticket } } else { Reply::Uncovered { ticket } })
            };
            let input = match step {
                Step::Client(on) => {
                    (connected, wanted) = (on, false);
                    puppet.will(vec![]);
                    Input::Client(on)
                }
                Step::Want(show) => {
                    if connected {
                        wanted = show;
                        puppet.will(vec![if show { Action::Uncover } else { Action::Cover(words("x")) }]);
                    }
                    Input::Tick
                }
                Step::Answer => asked.last().copied().map_or(Input::Tick, answer),
                Step::OldAnswer => asked.first().copied().map_or(Input::Tick, answer),
                Step::BlankerEnds => Input::BlankerEnded,
                Step::Tick => Input::Tick,
                Step::ChannelCloses => Input::ChannelClosed,
                Step::SignIn => {
                    (sign_ins, awaited) = (sign_ins + 1, true);
                    Input::SignIn(sign_ins)
                }
                Step::SignedIn(ago) => {
                    awaited &= ago > 0;
                    Input::SignedIn(sign_ins.saturating_sub(ago))
                }
            };
            effects = display.at(now_ms, input);
        }
    }
}

/// Time passes; the blanker is well.
fn later(display: &mut Display, now_ms: u64) -> Vec<Effect> {
    display.at(now_ms, Input::Blanker(Reply::Health { pixels: true, input: true }));
    display.at(now_ms, Input::Tick)
}

fn asked(effects: &[Effect]) -> Vec<&Request> {
    effects
        .iter()
        .filter_map(|e| if let Effect::Blanker(request) = e { Some(request) } else { None })
        .collect()
}

fn signed_in(effects: &[Effect]) -> Vec<u64> {
    effects.iter().filter_map(|e| if let Effect::SignInCovered(n) = e { Some(*n) } else { None }).collect()
}

#[test]
fn somebody_who_signs_in_is_answered_once_the_cover_is_read_back() {
    let (mut display, puppet) = visible();
    let first = display.at(2_000, Input::SignIn(7));
    assert!(display.is_covered() && matches!(asked(&first)[..], [Request::Cover { picture: false, .. }]));
    assert_eq!((signed_in(&first), display.unconfirmed_ms(2_010)), (vec![], 10));
    // Another one meanwhile: only the newest cover answers, and it answers both.
    let second = display.at(2_005, Input::SignIn(8));
    assert!(
        signed_in(&display.at(2_010, Input::Blanker(Reply::Covered { ticket: ticket_of(&first) })))
            .is_empty()
    );
    let covered = display.at(2_020, Input::Blanker(Reply::Covered { ticket: ticket_of(&second) }));
    assert_eq!(signed_in(&covered), [7, 8]);
    assert!(asked(&covered).is_empty(), "it stays covered for whoever comes");
    // The client takes over; what the driver of the one before wanted is gone with it.
    display.at(2_030, Input::Client(false));
    puppet.will(vec![]);
    display.at(2_031, Input::Client(true));
    assert!(asked(&later(&mut display, 30_000)).is_empty() && display.is_covered());
}

#[test]
fn the_desktop_comes_back_when_nobody_is_to_come_any_more() {
    let (mut display, puppet) = visible();
    let effects = display.at(2_000, Input::SignIn(7));
    display.at(2_020, Input::Blanker(Reply::Covered { ticket: ticket_of(&effects) }));
    // Also if the driver decides anew meanwhile, and however long it takes.
    puppet.will(vec![Action::Uncover]);
    assert!(asked(&later(&mut display, 5_000)).is_empty());
    assert!(asked(&later(&mut display, 500_000)).is_empty());
    let effects = display.at(500_010, Input::SignedIn(7));
    assert!(matches!(asked(&effects)[..], [Request::Uncover { .. }]));
    assert!(!display.is_covered());
    assert!(display.at(500_020, Input::SignedIn(7)).is_empty());
}

#[test]
fn another_client_does_not_end_the_cover_of_a_sign_in() {
    let (mut display, puppet) = visible();
    display.at(2_000, Input::SignIn(7));
    // The operator connects again and is trusted, while somebody else is still to come.
    display.at(2_500, Input::SignIn(8));
    display.at(2_600, Input::Client(false));
    display.at(2_601, Input::Client(true));
    puppet.will(vec![Action::Uncover]);
    assert!(asked(&later(&mut display, 3_000)).iter().all(|r| !matches!(r, Request::Uncover { .. })));
    assert!(display.at(3_100, Input::SignedIn(7)).is_empty() && display.is_covered());
    let effects = display.at(3_200, Input::SignedIn(8));
    assert!(matches!(asked(&effects)[..], [Request::Uncover { .. }]));
}

#[test]
fn a_covered_screen_is_read_back_anew_for_a_sign_in_and_goes_on_as_it_was() {
    let (mut display, puppet) = covered();
    let effects = display.at(2_000, Input::SignIn(7));
    let answer = display.at(2_020, Input::Blanker(Reply::Covered { ticket: ticket_of(&effects) }));
    assert_eq!(signed_in(&answer), [7]);
    // The driver's own reasons hold on longer than the sign-in.
    assert!(asked(&display.at(3_000, Input::SignedIn(7))).is_empty());
    puppet.will(vec![Action::Uncover]);
    assert!(matches!(asked(&later(&mut display, 13_000))[..], [Request::Uncover { .. }]));
}
