//! Sentences about what went wrong, in both languages. Pure.
//!
//! The libraries speak English; what happens to employees again and again is said in Japanese here.

use sudare_client_runtime::operator::OperatorError;
use sudare_vision::camera::CameraFault;
use sudare_vision::engine::EngineError;
use sudare_vision::enroll::{EnrollError, LOOKS_MIN};

use crate::words::{Language, Words};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    japanese: String,
    english: String,
}

impl Said {
    pub(crate) fn of([japanese, english]: Words) -> Self {
        Said { japanese: japanese.to_owned(), english: english.to_owned() }
    }

    /// What only the English sentence is known of.
    pub(crate) fn english(text: impl Into<String>) -> Self {
        let english = text.into();
        Said { japanese: format!("問題が起きました: {english}"), english }
    }

    /// An error with its causes.
    pub(crate) fn error(error: &anyhow::Error) -> Self {
        let english = format!("{error:#}");
        let known = error.chain().find_map(|cause| {
            let enrol = cause.downcast_ref::<EnrollError>().and_then(of_enrolment);
            let camera = cause.downcast_ref::<CameraFault>().and_then(of_camera);
            enrol.or(camera).or_else(|| of_models(cause)).or_else(|| of_files(cause))
        });
        match known {
            Some(japanese) => Said { japanese, english },
            None => Self::english(english),
        }
    }

    pub(crate) fn in_language(&self, language: Language) -> &str {
        match language {
            Language::Japanese => &self.japanese,
            Language::English => &self.english,
        }
    }
}

fn of_enrolment(error: &EnrollError) -> Option<String> {
    Some(match error {
        EnrollError::FewLooks { looks, good, pictures, .. } => format!(
            "異なる顔が {looks} 通りしか撮れませんでした（{LOOKS_MIN} 通り必要です。{pictures} 枚のうち良い画像は {good} 枚）。明るい場所で、言葉に合わせてゆっくり顔を動かして撮り直してください"
        ),
        EnrollError::Mixed { .. } => {
            "別の人の顔も映っていました。ほかの人が映らないようにして、おひとりずつ登録してください"
                .to_owned()
        }
        EnrollError::Camera(fault) => return of_camera(fault),
        EnrollError::Engine(error) => return of_models(error),
        EnrollError::PictureCount { .. }
        | EnrollError::Picture(_)
        | EnrollError::Unfit { .. }
        | EnrollError::Mismatch { .. }
        | EnrollError::Marked(_) => return None,
    })
}

fn of_camera(fault: &CameraFault) -> Option<String> {
    Some(match fault {
        CameraFault::Busy { what } => format!(
            "カメラ（{what}）はほかのソフトで使用中です。ビデオ会議やブラウザーのタブなど、使っているソフトを終了してください"
        ),
        CameraFault::NotFound { what, .. } => {
            format!("カメラ（{what}）が見つかりません。接続するか、「設定」で別のカメラを選んでください")
        }
        CameraFault::Denied { what } => format!(
            "カメラ（{what}）を使う許可がありません。ユーザーをグループ video に加え（sudo adduser $USER video）、ログインし直してください"
        ),
        CameraFault::Unplugged { what } => {
            format!("カメラ（{what}）が外れました。接続し直してください")
        }
        CameraFault::Stalled { what, .. } => {
            format!("カメラ（{what}）から映像が届きません。接続し直してください")
        }
        CameraFault::Frozen { what, .. } | CameraFault::Looped { what, .. } => format!(
            "カメラ（{what}）から同じ映像が繰り返し届いています。映像を差し替えるソフトを終了するか、別のカメラを選んでください"
        ),
        CameraFault::Unreadable { what, .. }
        | CameraFault::Unsupported { what, .. }
        | CameraFault::Driver { what, .. } => {
            format!("カメラ（{what}）の映像を読めません。接続し直すか、別のカメラを選んでください")
        }
        CameraFault::Ended { what } => format!("映像（{what}）が終わりました"),
        CameraFault::NotASource { .. } | CameraFault::Damaged { .. } => return None,
    })
}

fn of_models(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    error.downcast_ref::<EngineError>().map(|_| {
        "顔を見つけるモデルを使えません。sudare models fetch を実行し、続けて「診断」を見てください"
            .to_owned()
    })
}

fn of_files(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    Some(match error.downcast_ref::<OperatorError>()? {
        OperatorError::Io { path, .. } => {
            format!(
                "ファイル {} を読み書きできません。ディスクの空きと、所有者を確かめてください",
                path.display()
            )
        }
        OperatorError::OtherDevice { .. } | OperatorError::OtherModel { .. } => {
            "この登録は別の端末か別のモデルのものです。登録し直してください".to_owned()
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(error: impl Into<anyhow::Error>) -> [String; 2] {
        let said = Said::error(&error.into());
        [Language::Japanese, Language::English].map(|language| said.in_language(language).to_owned())
    }

    #[test]
    fn what_often_happens_is_said_in_japanese_and_says_what_to_do() {
        let busy = CameraFault::Busy { what: "camera:0".into() };
        for error in [anyhow::Error::from(busy.clone()), EnrollError::Camera(busy).into()] {
            let [japanese, english] = both(error);
            assert!(japanese.contains("使用中") && japanese.contains("終了してください"), "{japanese}");
            assert!(english.contains("in use by another program"), "{english}");
        }
        let [japanese, _] = both(EngineError::Runtime { detail: "x".into() });
        assert!(japanese.contains("sudare models fetch"));
        let mixed = anyhow::Error::from(EnrollError::Mixed { others: 3, looks: 9 }).context("outside");
        assert!(both(mixed)[0].contains("おひとりずつ"));
        let [japanese, english] = both(anyhow::anyhow!("no idea"));
        assert_eq!((japanese.as_str(), english.as_str()), ("問題が起きました: no idea", "no idea"));
    }
}
