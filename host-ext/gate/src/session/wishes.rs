//! What the guard wants of transport and cover, collected so that both can be done to the one relay afterwards.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use sudare_guard::screen::CoverText;
use sudare_guard::transport::{Action, Cover, Transport, carry_out};

/// In the order in which they are to be done: first the cover, then what is said about it.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    pub(super) steps: Vec<Step>,
    pub(super) messages: Vec<Vec<u8>>,
    /// The channel is to begin anew.
    pub(super) reopens: bool,
    /// The connection is to end, with this advice.
    pub(super) advice: Option<String>,
}

/// What is to be done to the screen.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Takes a screenshot of what is visible, with this ticket.
    Screenshot(u64),
    Cover(CoverText),
    Light(Option<[u8; 3]>),
    Uncover,
}

impl Wishes {
    /// Of these actions.
    pub(super) fn of(actions: Vec<Action>, now_ms: u64) -> Self {
        let (mut said, mut screen) = (Said::default(), Shown::default());
        carry_out(actions, now_ms, &mut said, &mut screen);
        Self { steps: screen.steps, messages: said.messages, reopens: said.reopens, advice: said.advice }
    }
}

#[derive(Default)]
struct Said {
    messages: Vec<Vec<u8>>,
    reopens: bool,
    advice: Option<String>,
}

impl Transport for Said {
    fn send(&mut self, message: Vec<u8>) {
        self.messages.push(message);
    }

    fn disconnect(&mut self, advice: String) {
        self.advice = Some(advice);
    }

    fn reopen(&mut self) {
        self.reopens = true;
    }
}

#[derive(Default)]
struct Shown {
    steps: Vec<Step>,
}

impl Cover for Shown {
    /// The screenshot comes first: it is asked of what is visible, which costs the cover no time.
    fn cover(&mut self, text: CoverText, screenshot: Option<u64>, _: u64) {
        screenshot.into_iter().for_each(|ticket| self.screenshot(ticket));
        self.steps.push(Step::Cover(text));
    }

    fn light(&mut self, rgb: Option<[u8; 3]>) {
        self.steps.push(Step::Light(rgb));
    }

    fn uncover(&mut self) {
        self.steps.push(Step::Uncover);
    }

    fn screenshot(&mut self, ticket: u64) {
        self.steps.push(Step::Screenshot(ticket));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cover_comes_before_what_is_said_about_it() {
        let text = CoverText { lines: vec!["away".into()] };
        let actions = vec![
            Action::Send(vec![1]),
            Action::Screenshot(7),
            Action::Cover(text.clone()),
            Action::Light(Some([1, 2, 3])),
            Action::Uncover,
            Action::Send(vec![2]),
            Action::Disconnect { advice: "why".into() },
        ];
        let wishes = Wishes::of(actions, 5);
        let light = Step::Light(Some([1, 2, 3]));
        assert_eq!(wishes.steps, [Step::Screenshot(7), Step::Cover(text), light, Step::Uncover]);
        assert_eq!(wishes.messages, [vec![1], vec![2]]);
        assert_eq!(wishes.advice.as_deref(), Some("why"));
    }
}
