//! Why a connection ended: who is at fault, and what to do.
//!
//! However it ends, the desktop is covered before anything else happens, and what the guard has reported is written
//! before the process ends.

use std::io;
use std::time::Duration;

use sudare_guard::screen::CoverText;
use sudare_protocol::hex;
use sudare_relay::credssp::Refusal;
use sudare_relay::error::{Broken, Fault, Side};

use crate::target::{Pin, Place};

/// Nobody answers where the desktop should be.
const ABSENT: [&str; 4] = [
    "デスクトップのあるコンピューターが応答しません。",
    "しばらくしてから接続し直してください。続く場合は管理者にご連絡ください。",
    "The computer with your desktop does not answer.",
    "Connect again in a few minutes. If it stays so, contact your VDI administrator.",
];
/// Somebody else answers.
const STRANGE: [&str; 4] = [
    "接続先が登録されたコンピューターではないため、接続を止めました。",
    "パスワードはその相手に渡していません。管理者にご連絡ください。",
    "This is not the computer that was expected, so you were not connected to it.",
    "It was not given your password. Contact your VDI administrator.",
];
/// The right one answers, in a way that the gate cannot use.
const UNPREPARED: [&str; 4] = [
    "デスクトップのあるコンピューターの設定が Sudare に対応していません。",
    "管理者にご連絡ください。お使いのパソコンに問題はありません。",
    "The computer with your desktop is not set up for Sudare.",
    "Contact your VDI administrator. Nothing is wrong with your own computer.",
];

/// The right one answers, and does not know the user.
const UNKNOWN_THERE: [&str; 4] = [
    "デスクトップのあるコンピューターが、このユーザー名とパスワードを受け付けませんでした。",
    "管理者にご連絡ください。ゲートでの確認は済んでいます。",
    "The computer with your desktop did not accept your user name and password.",
    "Contact your VDI administrator. The gate has accepted them.",
];

/// The end of a connection.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// Without a word, or after its own goodbye.
    #[error("the client disconnected")]
    ClientLeft,
    /// The same at the other end: a log-off, for example.
    #[error("the host ended the connection")]
    HostLeft,
    /// What the system says of the client's socket, or of TLS on it.
    #[error(
        "the connection to the client failed: {0}. The client ended without a word, or the network failed"
    )]
    Client(#[source] io::Error),
    /// What the system says of the host's.
    #[error("the connection to the host failed: {0}. Look at the log of the RDP server behind the gate")]
    Host(#[source] io::Error),
    /// The relay cannot follow any more.
    #[error("{0}")]
    Broken(#[from] Broken),
    /// Nobody listens at the target.
    #[error("the host at {place} does not answer: {source}. Start its RDP server, or correct `gate_target`")]
    Unreachable { place: Place, source: io::Error },
    /// It is not the host that was meant.
    #[error(
        "the host at {place} shows the certificate {seen}, but {expected} is pinned, so no client was led there. If \
         its certificate was changed on purpose, put the new one into `gate_target`; otherwise somebody is in between",
        seen = hex::hex(seen), expected = hex::hex(expected)
    )]
    WrongPin { place: Place, expected: Pin, seen: Pin },
    /// TLS to the host failed for another reason.
    #[error(
        "TLS to the host at {place} failed: {source}. It must offer TLS 1.2 or 1.3 and a certificate of X.509 v3"
    )]
    HostTls { place: Place, source: io::Error },
    /// It was asked for TLS alone.
    #[error(
        "the host at {0} demands NLA, and `gate_host_security` says tls. Set it to nla, or allow TLS without NLA there"
    )]
    HostWantsNla(Place),
    /// CredSSP did not end well.
    #[error("{}", .0.words())]
    Nla(Refusal),
    /// The process that ends CredSSP.
    #[error(
        "sudare-nla failed: {0}. Look for its own message above; its files are `gate_nla_users`, `gate_nla_attempts` \
         and `gate_host_credential`"
    )]
    NlaProgram(#[source] io::Error),
    /// TLS to the client failed.
    #[error(
        "TLS to the client failed: {0}. It insists on NLA or refused the certificate, or something in between ended it"
    )]
    ClientTls(#[source] io::Error),
    /// Bytes that cannot belong to anything yet.
    #[error("the {0} sent data before TLS began. It is no RDP {0}, or somebody is trying something")]
    Early(Side),
    /// Too slow to begin.
    #[error("{what} took more than {} s. The client or the host has stopped, or somebody is scanning this port", limit.as_secs())]
    Slow { what: &'static str, limit: Duration },
    /// It does not read what it is sent.
    #[error("the client stopped reading, so nobody knows what its screen shows. Connect again")]
    ClientStalled,
    /// The same of the host.
    #[error("the host stopped reading. Look at the log of the RDP server behind the gate")]
    HostStalled,
    /// The guard's decision.
    #[error("{0}")]
    Advised(String),
    /// Following a redirection is not there yet, and passing it on would lead past the gate.
    #[error(
        "the host wants the client to go to another host, which would lead past the gate. Turn redirection off there"
    )]
    Redirected,
    /// This process has to end.
    #[error("the gate was told to stop")]
    Stopped,
    /// A host that has taken the client and then says nothing.
    #[error(
        "the host has announced no screen for a minute. Look at the log of the RDP server behind the gate"
    )]
    NoScreen,
}

impl Ended {
    /// A frame that one side sent and the relay refuses; codes of the negotiation in words.
    pub(crate) fn broken(broken: Broken, place: &Place) -> Self {
        match broken.fault {
            Fault::Refused(code) if wants_nla(code) => Self::HostWantsNla(place.clone()),
            _ => Self::Broken(broken),
        }
    }

    /// What the client's person is told on a black screen, where a host is the reason that there is no session:
    /// Japanese first, as on every cover.
    pub(crate) fn words(&self) -> Option<CoverText> {
        let lines = match self {
            Self::Unreachable { .. } | Self::HostLeft | Self::Host(_) | Self::Slow { .. } => ABSENT,
            Self::WrongPin { .. } => STRANGE,
            Self::HostTls { .. } | Self::HostWantsNla(_) | Self::Early(Side::Host) => UNPREPARED,
            Self::Broken(Broken { side: Side::Host, .. }) => UNPREPARED,
            Self::Nla(Refusal::HostDenied) => UNKNOWN_THERE,
            Self::Nla(Refusal::HostNotItself) => STRANGE,
            Self::Nla(Refusal::HostMalformed) => UNPREPARED,
            _ => return None,
        };
        Some(CoverText { lines: lines.map(str::to_owned).to_vec() })
    }

    /// Whether the client may still read a black screen and a goodbye. Otherwise the socket is reset, so that the
    /// kernel forgets what it has not sent yet.
    pub(crate) fn is_polite(&self) -> bool {
        !matches!(self, Self::ClientLeft | Self::Client(_) | Self::ClientStalled | Self::ClientTls(_))
    }
}

/// HYBRID_REQUIRED_BY_SERVER ([MS-RDPBCGR] 2.2.1.2.2).
fn wants_nla(code: u32) -> bool {
    code == 5
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use sudare_relay::error::Stage;

    use super::*;

    #[test]
    fn a_person_is_told_of_what_hosts_do_and_not_of_what_their_own_client_does() {
        let place = Place::Unix(PathBuf::from("/run/x"));
        let broken = |side| Ended::Broken(Fault::Unknown.of(side, Stage::Negotiation));
        for (ended, told) in [
            (Ended::HostWantsNla(place), Some("not set up")),
            (broken(Side::Host), Some("not set up")),
            (Ended::HostLeft, Some("does not answer")),
            (broken(Side::Client), None),
            (Ended::ClientLeft, None),
            (Ended::Stopped, None),
        ] {
            let words = ended.words().map(|text| text.lines.concat());
            assert_eq!(words.is_some(), told.is_some(), "{ended}");
            assert!(words.unwrap_or_default().contains(told.unwrap_or_default()), "{ended}");
        }
    }

    #[test]
    fn a_host_that_demands_nla_is_named_and_other_refusals_keep_their_code() {
        let place = Place::Unix(PathBuf::from("/run/x"));
        let refused = |code| Fault::Refused(code).of(Side::Host, Stage::Negotiation);
        let said = Ended::broken(refused(5), &place).to_string();
        assert!(said.contains("unix:/run/x demands NLA"), "{said}");
        let said = Ended::broken(refused(3), &place).to_string();
        assert!(said.contains("the host refuses the negotiation with code 3"), "{said}");
    }

    #[test]
    fn a_wrong_pin_names_both_certificates() {
        let ended =
            Ended::WrongPin { place: Place::Tcp("h:1".into()), expected: [0xAA; 32], seen: [0xBB; 32] };
        let said = ended.to_string();
        assert!(said.contains(&"aa".repeat(32)) && said.contains(&"bb".repeat(32)), "{said}");
    }
}
