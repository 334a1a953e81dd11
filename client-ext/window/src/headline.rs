//! A connection in one word and one colour, with the reason and what to do. Pure.

use sudare_client_runtime::seat::state::SeatState;
use sudare_protocol::reason::Reason;

use crate::words::{Words, of_reason};

/// What a colour stands for; the word says the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tone {
    /// Nothing is running.
    Quiet,
    /// The desktop is visible.
    Good,
    /// Covered because the operator wanted it.
    Wanted,
    /// Covered, and it will pass.
    Waiting,
    /// Covered because of somebody, or something is broken.
    Alarm,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Headline {
    pub(crate) tone: Tone,
    pub(crate) word: Words,
    pub(crate) what: Words,
    pub(crate) advice: Words,
}

/// Of one connection; `None`: there is none.
pub(crate) fn headline(seat: Option<&SeatState>) -> Headline {
    let Some(seat) = seat else {
        return plain(
            Tone::Quiet,
            ["未接続", "Not connected"],
            ["リモートデスクトップに接続していません。", "No remote desktop is connected."],
            ["接続すると、ここに状態が表示されます。", "Connect, and this window shows its state."],
        );
    };
    if seat.host.is_none() {
        return plain(
            Tone::Quiet,
            ["接続中", "Connecting"],
            ["ホストを確認しています。", "Waiting for the host to prove itself."],
            [
                "続く場合は、ホストに Sudare があるか管理者にお尋ねください。",
                "If this stays, ask your VDI administrator whether the host runs Sudare.",
            ],
        );
    }
    let reason = seat.known_reason().unwrap_or(Reason::ClientAsked);
    if !seat.covered {
        let [what, _] = of_reason(Reason::None);
        let advice = ["カメラはこの PC の中だけで使われています。", "The camera is used on this PC only."];
        return plain(Tone::Good, ["表示中", "Visible"], what, advice);
    }
    let [what, advice] = of_reason(reason);
    let word = if seat.on_break { ["休憩中", "Break"] } else { ["遮蔽中", "Covered"] };
    plain(tone(reason), word, what, advice)
}

fn plain(tone: Tone, word: Words, what: Words, advice: Words) -> Headline {
    Headline { tone, word, what, advice }
}

fn tone(reason: Reason) -> Tone {
    match reason {
        Reason::OperatorAsked | Reason::Break => Tone::Wanted,
        Reason::Stranger | Reason::Onlooker | Reason::Spoof | Reason::Phone => Tone::Alarm,
        Reason::BadMessage | Reason::EvidenceNotKept | Reason::CoverFault | Reason::OtherUser => Tone::Alarm,
        _ => Tone::Waiting,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Language;

    fn seat(covered: bool, reason: &str) -> SeatState {
        let host = Some("vdi-1".to_owned());
        SeatState { host, covered, reason: reason.to_owned(), ..SeatState::new("camera:0") }
    }

    #[test]
    fn every_state_is_one_word_in_both_languages_and_never_good_while_it_is_covered() {
        for reason in Reason::ALL {
            let shown = headline(Some(&seat(true, reason.as_str())));
            assert_ne!(shown.tone, Tone::Good, "{reason:?}");
            assert!(!Language::English.of(shown.word).contains(' ') && !shown.what[0].is_ascii());
        }
        assert_eq!(headline(Some(&seat(false, "none"))).tone, Tone::Good);
        assert_eq!(headline(None).tone, Tone::Quiet);
        let connecting = SeatState { host: None, ..seat(false, "none") };
        assert_eq!(headline(Some(&connecting)).tone, Tone::Quiet, "nobody proved anything");
    }

    #[test]
    fn what_the_operator_wanted_looks_different_from_what_others_did() {
        assert_eq!(headline(Some(&seat(true, "operator-asked"))).tone, Tone::Wanted);
        assert_eq!(headline(Some(&seat(true, "onlooker"))).tone, Tone::Alarm);
        assert_eq!(headline(Some(&seat(true, "absent"))).tone, Tone::Waiting);
        let on_break = SeatState { on_break: true, ..seat(true, "break") };
        assert_eq!(headline(Some(&on_break)).word[1], "Break");
        // Of a later version: covered is what counts.
        assert_eq!(headline(Some(&seat(true, "not-invented"))).word[1], "Covered");
    }
}
