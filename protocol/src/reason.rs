//! Why a session is covered, in words that people see: Japanese and English, with what to do.

use minicbor::{Decode, Encode};

/// What the client sees at the seat. `as_str` is the stable name in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum State {
    #[n(0)]
    Clear,
    #[n(1)]
    Undecided,
    #[n(2)]
    Onlooker,
    #[n(3)]
    Stranger,
    #[n(4)]
    Absent,
    #[n(5)]
    CameraBlocked,
    #[n(6)]
    CameraLost,
    #[n(7)]
    Spoof,
    #[n(8)]
    Phone,
}

impl State {
    pub const ALL: [State; 9] = [
        State::Clear,
        State::Undecided,
        State::Onlooker,
        State::Stranger,
        State::Absent,
        State::CameraBlocked,
        State::CameraLost,
        State::Spoof,
        State::Phone,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            State::Clear => "clear",
            State::Undecided => "undecided",
            State::Onlooker => "onlooker",
            State::Stranger => "stranger",
            State::Absent => "absent",
            State::CameraBlocked => "camera-blocked",
            State::CameraLost => "camera-lost",
            State::Spoof => "spoof",
            State::Phone => "phone",
        }
    }

    /// States that are covered at once, without a hold.
    pub fn is_adverse(self) -> bool {
        matches!(self, State::CameraBlocked | State::CameraLost | State::Spoof)
    }
}

/// How bad something is, for people who watch many sessions; the numbers are OCSF's `severity_id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Informational = 1,
    Low = 2,
    Medium = 3,
    High = 4,
    Critical = 5,
}

macro_rules! reasons {
    ($($n:literal $variant:ident $name:literal $incident:literal $severity:ident $en:literal $en_advice:literal $ja:literal $ja_advice:literal;)*) => {
        /// Why the session is covered (or, for `None`, that it is not).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
        #[cbor(index_only)]
        pub enum Reason { $(#[n($n)] $variant,)* }

        impl Reason {
            pub const ALL: &'static [Reason] = &[$(Reason::$variant,)*];
            /// The stable name in JSON, in the log and in documents.
            pub fn as_str(self) -> &'static str { match self { $(Reason::$variant => $name,)* } }
            /// Whether covering for this reason opens an incident with evidence.
            pub fn is_incident(self) -> bool { match self { $(Reason::$variant => $incident,)* } }
            /// How bad it is that the session is covered for this reason.
            pub fn severity(self) -> Severity { match self { $(Reason::$variant => Severity::$severity,)* } }
            /// What happened, in English.
            pub fn english(self) -> &'static str { match self { $(Reason::$variant => $en,)* } }
            /// What to do, in English.
            pub fn english_advice(self) -> &'static str { match self { $(Reason::$variant => $en_advice,)* } }
            /// What happened, in Japanese.
            pub fn japanese(self) -> &'static str { match self { $(Reason::$variant => $ja,)* } }
            /// What to do, in Japanese.
            pub fn japanese_advice(self) -> &'static str { match self { $(Reason::$variant => $ja_advice,)* } }
            /// The number in messages and in the log.
            pub fn number(self) -> u8 { match self { $(Reason::$variant => $n,)* } }
        }
    };
}

reasons! {
    0 None "none" false Medium "The desktop is visible." "No action is needed." "画面は表示されています。" "操作は不要です。";
    1 Starting "starting" false Medium "Waiting for the operator." "Sit in front of the camera by yourself." "操作者を確認しています。" "おひとりでカメラの正面にお座りください。";
    2 NoClient "no-client" false Medium "This desktop requires Sudare, but your client has not started it." "Install the Sudare client extension, or contact your VDI administrator." "このデスクトップの利用には Sudare が必要です。" "クライアント拡張を導入するか、管理者にご連絡ください。";
    3 Stranger "stranger" true High "Someone else is in front of the screen." "Return to your seat by yourself; the desktop comes back automatically." "別の人が画面の前にいます。" "おひとりで席にお戻りください。自動的に再表示されます。";
    4 Onlooker "onlooker" true Medium "Someone else is looking at the screen." "Ask them to move out of the camera's view; the desktop comes back automatically." "ほかの人が画面を見ています。" "カメラに映らない場所へ移動してもらってください。自動的に再表示されます。";
    5 Absent "absent" false Medium "The operator is away." "Return to your seat; the desktop comes back automatically." "操作者が離席しています。" "席にお戻りください。自動的に再表示されます。";
    6 Undecided "undecided" false Medium "It is unclear who is in front of the screen." "Face the camera in good light." "画面の前の人を確認できません。" "明るい場所でカメラの正面を向いてください。";
    7 CameraBlocked "camera-blocked" true Medium "The camera is covered, or the room is too dark." "Uncover the camera, or turn on a light." "カメラが覆われているか、暗すぎます。" "カメラの覆いを外すか、部屋を明るくしてください。";
    8 CameraLost "camera-lost" true Medium "The camera has stopped sending pictures." "Reconnect the camera." "カメラの映像が途切れました。" "カメラを接続し直してください。";
    9 CameraBusy "camera-busy" false Medium "Another program is using the camera." "End the meeting, or close the program that is using the camera." "カメラがほかのソフトで使用中です。" "会議など、カメラを使っているソフトを終了してください。";
    10 Spoof "spoof" true High "The face in view may be a photograph." "Keep photographs and screens out of the camera's view." "写真などの可能性があります。" "写真や画面をカメラに映さないでください。";
    11 Phone "phone" true High "A phone is pointed at the screen." "Put the phone away." "スマートフォンが画面に向けられています。" "スマートフォンをしまってください。";
    12 LinkLost "link-lost" true Low "The client stopped responding." "Check the network; the desktop comes back when the client responds again." "クライアントからの応答が途絶えました。" "ネットワークを確認してください。応答が戻れば再表示されます。";
    13 ClientGone "client-gone" true Medium "The client extension has stopped." "Connect again." "クライアント拡張が終了しました。" "接続し直してください。";
    14 BadMessage "bad-message" true High "The client sent an invalid message." "Contact your VDI administrator; the error is in the client's log." "クライアントから不正な通知を受け取りました。" "管理者にご連絡ください（エラーはクライアントのログにあります）。";
    15 ClockJump "clock-jump" false Medium "The clock jumped, for example because the machine slept." "Wait a moment; the desktop comes back automatically." "時刻の飛びを検出しました（スリープなど）。" "しばらくお待ちください。自動的に再表示されます。";
    16 StaleView "stale-view" true Medium "The camera picture is not being updated." "Close programs that use the camera or slow the computer down." "カメラの映像が更新されていません。" "カメラを使うソフトや重いソフトを終了してください。";
    17 EvidenceNotKept "evidence-not-kept" false High "Evidence cannot be stored." "Contact your VDI administrator; the host's disk may be full." "証跡を保存できません。" "管理者にご連絡ください（ホストのディスク不足の可能性があります）。";
    18 CoverFault "cover-fault" false High "The cover could not be confirmed." "Contact your VDI administrator." "画面の保護を確認できません。" "管理者にご連絡ください。";
    19 ClientAsked "client-asked" true Low "The client requested the cover." "The desktop comes back when the client lifts it." "クライアントの要求により保護しています。" "クライアントの解除をお待ちください。";
    20 Break "break" false Medium "The operator is on a break; the camera is off." "End the break to continue." "休憩中です（カメラは停止しています）。" "休憩を終了すると再開します。";
    21 DeviceRefused "device-refused" false Medium "This device is not allowed to use this desktop." "Ask your VDI administrator to enrol it." "この端末は利用を許可されていません。" "管理者に端末の登録をご依頼ください。";
    22 OtherUser "other-user" false High "This desktop is not confirmed to be yours." "Log on as the user for whom this device is enrolled, or contact your VDI administrator." "ご本人のデスクトップであることを確認できません。" "この端末に登録された利用者でログオンするか、管理者にご連絡ください。";
    23 NoConsent "no-consent" false Medium "The notice about Sudare was not accepted on this device." "Read it and accept it with `sudare consent`; your VDI administrator knows the alternative." "この端末で Sudare のお知らせに同意されていません。" "sudare consent でお読みのうえ同意してください。代替手段は管理者にお尋ねください。";
    24 OperatorAsked "operator-asked" false Informational "You covered the desktop yourself." "Face the camera by yourself; the desktop comes back a few seconds after you end it, or after 10 seconds." "ご自身の操作で画面を隠しています。" "おひとりでカメラの正面を向いてください。解除するか 10 秒たつと、数秒後に再表示されます。";
    25 Observing "observing" false Informational "This is a pilot: Sudare observes and records, and does not cover your desktop." "The desktop appears in a few seconds." "試験運用中です。Sudare は監視と記録のみを行い、画面は隠しません。" "数秒後に画面が表示されます。";
    26 RulesUnclear "rules-unclear" false High "It cannot be determined which rules apply to you." "Contact your VDI administrator; the host's directory may be down." "適用される規則を確認できません。" "管理者にご連絡ください（ディレクトリサービスの停止の可能性があります）。";
    27 PolicyChanged "policy-changed" false Informational "Your organisation has new rules for Sudare." "Wait a few seconds; the desktop comes back under the new rules." "Sudare の新しい規則が届きました。" "数秒お待ちください。新しい規則のもとで再表示されます。";
}

impl Reason {
    /// The reason that goes with covering because of what the client saw.
    pub fn from_state(state: State) -> Reason {
        match state {
            State::Clear => Reason::None,
            State::Undecided => Reason::Undecided,
            State::Onlooker => Reason::Onlooker,
            State::Stranger => Reason::Stranger,
            State::Absent => Reason::Absent,
            State::CameraBlocked => Reason::CameraBlocked,
            State::CameraLost => Reason::CameraLost,
            State::Spoof => Reason::Spoof,
            State::Phone => Reason::Phone,
        }
    }

    /// What a cover says: what happened and what to do, in both languages.
    pub fn cover_lines(self) -> [&'static str; 4] {
        [self.japanese(), self.japanese_advice(), self.english(), self.english_advice()]
    }

    pub fn from_number(number: u8) -> Option<Reason> {
        Reason::ALL.iter().copied().find(|reason| reason.number() == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_unique_and_every_text_is_there() {
        for (i, a) in Reason::ALL.iter().enumerate() {
            assert_eq!(Reason::from_number(a.number()), Some(*a));
            assert!(a.cover_lines().iter().all(|line| !line.is_empty()));
            assert!(Reason::ALL[i + 1..].iter().all(|b| a.as_str() != b.as_str()));
        }
        for state in State::ALL {
            assert!(state == State::Clear || Reason::from_state(state).as_str() == state.as_str());
        }
    }
}
