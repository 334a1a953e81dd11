//! From the sockets of one xrdp process to whose desktop it shows. Pure.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use crate::wire::{Answer, Refused, Why};

/// What a socket of xrdp, besides that of its gate, leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    /// The session manager: somebody signs in.
    Sesman,
    /// On its way to something.
    Connecting,
    /// A display, or the channels of one. None while nobody has accepted the connection.
    Desktop(Option<u32>),
    /// Another client: this process does not serve its gate alone.
    Client,
    /// Another machine, or something unknown, which may be a desktop.
    Elsewhere,
}

/// Whose desktop they lead to. What is unknown is never taken for a login screen.
pub(crate) fn of(links: &[Link]) -> Answer {
    let refused = |why| Answer::Refused(Refused { why, errno: 0 });
    if links.contains(&Link::Client) {
        return refused(Why::Several);
    }
    if links.contains(&Link::Elsewhere) {
        return refused(Why::Elsewhere);
    }
    let mut uids = links.iter().filter_map(|link| match link {
        Link::Desktop(uid) => Some(*uid),
        Link::Sesman | Link::Connecting | Link::Client | Link::Elsewhere => None,
    });
    match uids.next() {
        None if links.is_empty() => Answer::LoginScreen,
        None | Some(None) => Answer::SigningIn,
        Some(Some(uid)) => {
            let mut others = uids.filter(|other| *other != Some(uid));
            match others.next() {
                None => Answer::Session { uid },
                Some(None) => Answer::SigningIn,
                Some(Some(_)) => refused(Why::Several),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Link::{Client, Connecting, Desktop, Elsewhere, Sesman};
    use super::*;

    #[test]
    fn a_desktop_is_somebodys_only_when_all_that_leads_to_it_agrees() {
        assert_eq!(of(&[]), Answer::LoginScreen);
        for links in [&[Sesman][..], &[Connecting], &[Desktop(None)], &[Desktop(Some(7)), Desktop(None)]] {
            assert_eq!(of(links), Answer::SigningIn, "{links:?}");
        }
        // The display and its channels; xrdp 0.10 keeps its connection to sesman for a while.
        let session = Answer::Session { uid: 7 };
        assert_eq!(of(&[Desktop(Some(7))]), session);
        assert_eq!(of(&[Sesman, Desktop(Some(7)), Desktop(Some(7))]), session);
    }

    #[test]
    fn what_is_unknown_or_more_than_one_is_refused() {
        let why = |links: &[Link]| match of(links) {
            Answer::Refused(Refused { why, errno: 0 }) => Some(why),
            _ => None,
        };
        assert_eq!(why(&[Desktop(Some(7)), Desktop(Some(8))]), Some(Why::Several));
        assert_eq!(why(&[Client]), Some(Why::Several));
        assert_eq!(why(&[Elsewhere]), Some(Why::Elsewhere));
        assert_eq!(why(&[Desktop(Some(7)), Elsewhere]), Some(Why::Elsewhere));
    }
}
