//! What a note (kind 14) says: the one table of its codes, with names, severities and words.
//!
//! The guard writes notes by these codes; `sudare-audit` and the alarms for a SIEM read their words here,
//! and docs/evidence.md lists them. A code of a later version still has honest words: its numbers.

use super::event::Note;
use crate::error::Code;
use crate::groups::InForce;
use crate::reason::{Reason, Severity};

/// What the value of a note says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// Nothing; it is 0.
    Unused,
    /// Number of a `reason::Reason`.
    Reason,
    /// Number of an `error::Code`.
    Refusal,
    /// What told whose desktop it is: 1 the kernel, 2 the credentials at log-on, 3 the policy.
    OwnerRule,
    /// Number of a [`Missing`].
    Missing,
    /// See [`rules_value`].
    Rules,
}

/// The value of note 35: which group of the policy applies (from 1; 0 = none), and how far Sudare goes.
#[must_use]
pub fn rules_value(group: u64, in_force: &InForce, is_observed: bool) -> u64 {
    let presence = if in_force.recognises() { 0 } else { PRESENCE };
    let observed = if is_observed { OBSERVED } else { 0 };
    group << RULES_BITS | presence | observed
}

const PRESENCE: u64 = 1;
const OBSERVED: u64 = 2;
const RULES_BITS: u32 = 2;

/// Why there is no screenshot. The numbers are the values of note 34 and are never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Missing {
    /// By something that draws on what was drawn before, or with a codec that is not decoded (video among them).
    Codec = 1,
    /// More than is kept of one picture.
    TooMuch = 2,
    /// The host did not draw all of the screen within the time that it had.
    Incomplete = 3,
    /// The screen changed meanwhile, or the desktop was not shown at all.
    Interrupted = 4,
    /// What was recorded could not be decoded.
    Undecodable = 5,
    /// The program that decodes could not be started, or did not end in time.
    NoProgram = 6,
}

impl Missing {
    /// All of them, in the order of their numbers.
    pub const ALL: &'static [Self] = &[
        Self::Codec,
        Self::TooMuch,
        Self::Incomplete,
        Self::Interrupted,
        Self::Undecodable,
        Self::NoProgram,
    ];

    /// The number in the log.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Codec => 1,
            Self::TooMuch => 2,
            Self::Incomplete => 3,
            Self::Interrupted => 4,
            Self::Undecodable => 5,
            Self::NoProgram => 6,
        }
    }

    /// `None` for a number of a later version.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.iter().copied().find(|missing| u64::from(missing.number()) == number)
    }

    /// Why, in Japanese.
    #[must_use]
    pub fn japanese(self) -> &'static str {
        match self {
            Self::Codec => "復号しない方式で描画された画面",
            Self::TooMuch => "1枚の画像としては多過ぎる描画データ",
            Self::Incomplete => "ホストが時間内に画面全体を再描画しなかったため",
            Self::Interrupted => "画面の構成が途中で変わったため、または画面が表示されていなかったため",
            Self::Undecodable => "描画データを復号できなかったため",
            Self::NoProgram => "復号プログラムを起動できなかったか、時間内に終わらなかったため",
        }
    }

    /// Why, in English.
    #[must_use]
    pub fn english(self) -> &'static str {
        match self {
            Self::Codec => "the host draws in a way that is not decoded",
            Self::TooMuch => "the host drew more than is kept of one picture",
            Self::Incomplete => "the host did not draw the whole screen again in time",
            Self::Interrupted => "the screen changed meanwhile, or the desktop was not shown",
            Self::Undecodable => "what the host drew could not be decoded",
            Self::NoProgram => "the program that decodes could not be started, or did not end in time",
        }
    }
}

macro_rules! notes {
    ($($number:literal $variant:ident $name:literal $severity:ident $value:ident $ja:literal $en:literal;)*) => {
        /// What a note is about. The numbers are `Note::code` in the log and are never used again.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum NoteCode { $(#[doc = $en] $variant = $number,)* }

        impl NoteCode {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// The number in the log.
            pub const fn number(self) -> u16 { match self { $(Self::$variant => $number,)* } }
            /// `None` for a number of a later version.
            pub fn from_number(number: u16) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }
            /// The stable name in alarms and documents.
            pub fn as_str(self) -> &'static str { match self { $(Self::$variant => $name,)* } }
            /// A note of it.
            pub fn with(self, value: u64) -> Note { Note { code: self.number(), value } }
            /// How bad it is.
            pub fn severity(self) -> Severity { match self { $(Self::$variant => Severity::$severity,)* } }
            /// What the value says.
            pub fn value(self) -> Value { match self { $(Self::$variant => Value::$value,)* } }
            /// What happened, in Japanese, without the value.
            pub fn japanese(self) -> &'static str { match self { $(Self::$variant => $ja,)* } }
            /// What happened, in English, without the value.
            pub fn english(self) -> &'static str { match self { $(Self::$variant => $en,)* } }
        }
    };
}

notes! {
    1 EvidenceRefused "evidence-refused" High Unused "端末の証跡を拒否（保存できない内容のため）" "Evidence from a client was refused because it can never be stored";
    2 WrongBlock "wrong-block" Low Reason "操作者が「誤った遮蔽」と申告" "The operator reported a cover as wrong";
    3 Quota "quota" High Unused "端末の証跡が1日の保存上限に到達" "A device used up its daily quota of evidence";
    4 DeviceRefused "refused" Medium Refusal "端末の接続を拒否（セッションは開始されず）" "A device was refused, and no session began";
    // 16 to 21 are of hosts whose cover was inside of X11 sessions. Nobody writes them any more; logs are read for years.
    16 CompositorEnded "x11-compositor" Medium Unused "遮蔽の上に描画し得るコンポジタを終了" "A compositor was ended because it would have drawn over the cover";
    17 IntruderRemoved "x11-window-above" High Unused "遮蔽と同じ最前面の層に置かれたウィンドウを除去" "A window in the cover's own layer was removed together with its client";
    18 CoverRestored "x11-cover-unmapped" High Unused "遮蔽のウィンドウが非表示化または破棄されたため復元" "A window of the cover was unmapped or destroyed, and was restored";
    19 GrabTaken "x11-input-held" Medium Unused "アプリケーションがキーボードまたはポインタを占有（そのウィンドウを一時的に非表示）" "An application held the keyboard or pointer against the cover; its windows were hidden for a moment";
    20 CoverReplaced "x11-blanker-died" High Unused "停止した遮蔽プロセスのウィンドウを新しい遮蔽プロセスが引き継ぎ" "A new blanker took over the windows of one that had died";
    21 LateStart "x11-early-windows" Medium Unused "最初の遮蔽より前に画面上のウィンドウを検出" "Windows were on the screen before the first cover";
    32 Owner "owner" Informational OwnerRule "デスクトップの利用者を確認した方法" "What told whose desktop it is";
    33 OwnerMismatch "owner-mismatch" High Unused "操作者とは別の利用者のデスクトップへの接続（遮蔽を継続）" "The connection led to the desktop of another user than the operator, and stayed covered";
    34 ScreenshotMissing "screenshot-missing" Medium Missing "事案の画面画像を取得できず" "A screenshot of an incident could not be taken";
    35 Rules "rules" Informational Rules "この利用者に適用される方針" "Which rules of the policy apply to this user";
    36 Observed "observed" Medium Reason "試験運用のため遮蔽せず記録のみ" "Seen, and not covered, because the policy only observes";
}

impl Note {
    /// What it says, in Japanese, its value included.
    pub fn japanese(self) -> String {
        let Some(code) = NoteCode::from_number(self.code) else {
            return format!("この版では意味を判別できない注記（番号 {}、値 {}）", self.code, self.value);
        };
        let words = code.japanese();
        match code.value() {
            Value::Unused if self.value == 0 => words.to_owned(),
            Value::Unused => format!("{words}（値 {}）", self.value),
            Value::Reason => match reason(self.value) {
                Some(reason) => format!("{words}：{}", reason.japanese()),
                None => format!("{words}：この版では不明な理由（番号 {}）", self.value),
            },
            Value::Refusal => match refusal(self.value) {
                Some((ja, _)) => format!("{words}：{ja}"),
                None => format!("{words}：エラー {}", self.value),
            },
            Value::OwnerRule => match owner_rule(self.value) {
                Some((ja, _)) => format!("{words}：{ja}"),
                None => format!("{words}：この版では不明な方法（番号 {}）", self.value),
            },
            Value::Missing => match Missing::from_number(self.value) {
                Some(missing) => format!("{words}：{}", missing.japanese()),
                None => format!("{words}：この版では不明な理由（番号 {}）", self.value),
            },
            Value::Rules => format!("{words}：{}", rules(self.value).0),
        }
    }

    /// What it says, in English, its value included.
    pub fn english(self) -> String {
        let Some(code) = NoteCode::from_number(self.code) else {
            return format!(
                "A note that this version cannot interpret (number {}, value {})",
                self.code, self.value
            );
        };
        let words = code.english();
        match code.value() {
            Value::Unused if self.value == 0 => words.to_owned(),
            Value::Unused => format!("{words} (value {})", self.value),
            Value::Reason => match reason(self.value) {
                Some(reason) => format!("{words}: {}", reason.english()),
                None => format!("{words}: a reason that this version does not know (number {})", self.value),
            },
            Value::Refusal => match refusal(self.value) {
                Some((_, en)) => format!("{words}: {en}"),
                None => format!("{words}: error {}", self.value),
            },
            Value::OwnerRule => match owner_rule(self.value) {
                Some((_, en)) => format!("{words}: {en}"),
                None => format!("{words}: a way that this version does not know (number {})", self.value),
            },
            Value::Missing => match Missing::from_number(self.value) {
                Some(missing) => format!("{words}: {}", missing.english()),
                None => format!("{words}: a reason that this version does not know (number {})", self.value),
            },
            Value::Rules => format!("{words}: {}", rules(self.value).1),
        }
    }
}

/// Group and mode, in Japanese and English.
fn rules(value: u64) -> (String, String) {
    let group = value >> RULES_BITS;
    let (mut ja, mut en) = match group {
        0 => ("全員向けの設定".to_owned(), "those for everybody".to_owned()),
        _ => (format!("グループ {group} の設定"), format!("those of its group {group}")),
    };
    if value & PRESENCE != 0 {
        ja.push_str("、顔の照合なし（在席のみ）");
        en.push_str(", without comparing faces (presence only)");
    }
    if value & OBSERVED != 0 {
        ja.push_str("、試験運用（遮蔽なし）");
        en.push_str(", as a pilot that covers nothing");
    }
    (ja, en)
}

fn reason(value: u64) -> Option<Reason> {
    u8::try_from(value).ok().and_then(Reason::from_number)
}

/// What told whose desktop it is, in Japanese and English.
fn owner_rule(value: u64) -> Option<(&'static str, &'static str)> {
    match value {
        1 => Some(("OS カーネル（接続先の X サーバーの実行者）", "the kernel, by who runs the X server")),
        2 => Some(("ログオン時に検証した資格情報", "the credentials that were verified at log-on")),
        3 => Some(("方針（クライアントの申告を信頼）", "the policy, which trusts what the client says")),
        _ => None,
    }
}

/// The refusals that mean a device, in Japanese and English; no other is noted.
fn refusal(value: u64) -> Option<(&'static str, &'static str)> {
    match u16::try_from(value).ok().and_then(Code::from_number)? {
        Code::DeviceUnknown => Some(("未登録の端末", "it is not enrolled")),
        Code::DeviceRevoked => Some(("失効した端末", "it was revoked")),
        Code::WrongUser => Some(("別の利用者の端末", "it is enrolled for another user")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_are_unique_and_in_order() {
        for (i, a) in NoteCode::ALL.iter().enumerate() {
            assert_eq!(NoteCode::from_number(a.number()), Some(*a));
            assert_eq!(*a as u16, a.number());
            for b in &NoteCode::ALL[i + 1..] {
                assert!(a.number() < b.number() && a.as_str() != b.as_str(), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn a_note_never_reads_as_bare_numbers() {
        for code in NoteCode::ALL {
            for value in [0, 10, u64::MAX] {
                let note = Note { code: code.number(), value };
                assert!(note.english().starts_with(code.english()), "{note:?}");
                assert!(note.japanese().starts_with(code.japanese()), "{note:?}");
            }
        }
        let later = Note { code: 999, value: 5 };
        assert_eq!(later.english(), "A note that this version cannot interpret (number 999, value 5)");
        assert_eq!(later.japanese(), "この版では意味を判別できない注記（番号 999、値 5）");
    }

    #[test]
    fn values_are_put_into_words() {
        let note = |code: NoteCode, value| Note { code: code.number(), value };
        let wrong = note(NoteCode::WrongBlock, Reason::Onlooker.number().into());
        assert!(wrong.english().ends_with(Reason::Onlooker.english()), "{}", wrong.english());
        assert!(wrong.japanese().ends_with(Reason::Onlooker.japanese()), "{}", wrong.japanese());
        for code in [Code::DeviceUnknown, Code::DeviceRevoked, Code::WrongUser] {
            let refused = note(NoteCode::DeviceRefused, code.number().into());
            assert!(!refused.english().contains("error") && !refused.japanese().contains("エラー"));
        }
        assert_eq!(note(NoteCode::Quota, 0).english(), "A device used up its daily quota of evidence");
        assert!(note(NoteCode::Quota, 7).english().ends_with(" (value 7)"));
        assert!(note(NoteCode::WrongBlock, 300).english().ends_with("(number 300)"));
        assert!(note(NoteCode::DeviceRefused, 300).english().ends_with("error 300"));
        assert!(note(NoteCode::Owner, 1).english().contains(": the kernel"));
        assert!(note(NoteCode::Owner, 9).english().ends_with("(number 9)"));
        for (number, missing) in (1_u64..).zip(Missing::ALL) {
            assert_eq!((Missing::from_number(number), *missing as u64), (Some(*missing), number));
            let said = note(NoteCode::ScreenshotMissing, number);
            assert!(said.english().ends_with(missing.english()), "{}", said.english());
            assert!(said.japanese().ends_with(missing.japanese()), "{}", said.japanese());
        }
        assert!(note(NoteCode::ScreenshotMissing, 300).english().ends_with("(number 300)"));
    }
}
