//! Enrolment, guided by the picture.

use egui::{RichText, Ui};
use sudare_client_core::face::guide::Step;
use sudare_vision::enroll::Fault;

use super::note;
use super::picture::Canvas;
use crate::model::{Enrolment, Event, Model, Progressed, Taken};
use crate::words::{Language, Words};

pub(super) fn draw(ui: &mut Ui, model: &Model, canvas: &mut Canvas, asked: &mut Vec<Event>) {
    let language = model.language;
    ui.heading(language.of(["顔の登録", "Enrolment"]));
    match &model.enrolment {
        Enrolment::Idle => {
            intro(ui, language);
            start(ui, language, ["登録を始める", "Begin"], asked);
        }
        Enrolment::Running(progress) => running(ui, model, *progress, canvas, asked),
        Enrolment::Stopping => {
            ui.label(language.of(["カメラを閉じています…", "Closing the camera…"]));
        }
        Enrolment::Done(taken) => {
            done(ui, taken, language);
            start(ui, language, ["もう一度撮る", "Take it again"], asked);
        }
        Enrolment::Failed(why) => {
            note(ui, why.in_language(language));
            intro(ui, language);
            start(ui, language, ["もう一度始める", "Begin again"], asked);
        }
    }
}

fn intro(ui: &mut Ui, language: Language) {
    for words in [
        [
            "約 30 秒です。画面の言葉に合わせて、ゆっくり顔を動かしてください。",
            "It takes half a minute. Follow the words, and turn your head slowly.",
        ],
        [
            "明るい場所で、おひとりで。ふだん使う眼鏡やヘッドセットは途中で掛け外しします。",
            "Sit in good light, alone. Have the glasses or the headset that you use at hand.",
        ],
        [
            "写真は保存されません。この PC でしか使えない数値だけが残ります。",
            "No picture is kept: only numbers, which are of no use on any other PC.",
        ],
    ] {
        ui.label(format!("• {}", language.of(words)));
    }
}

fn start(ui: &mut Ui, language: Language, words: Words, asked: &mut Vec<Event>) {
    ui.add_space(6.0);
    if ui.button(RichText::new(language.of(words)).size(18.0)).clicked() {
        asked.push(Event::Enrol(true));
    }
}

fn running(ui: &mut Ui, model: &Model, now: Progressed, canvas: &mut Canvas, asked: &mut Vec<Event>) {
    let language = model.language;
    let step = now.step.map_or(["まもなく終わります…", "Nearly done…"], |step| {
        [step.japanese(), step.english()]
    });
    ui.label(RichText::new(language.of(step)).size(24.0).strong());
    let at = now.step.and_then(|step| Step::ALL.iter().position(|other| *other == step));
    let hint = now.fault.map_or(["そのまま続けてください", "Good, go on"], |fault| hint(&fault));
    ui.label(RichText::new(language.of(hint)).size(18.0));
    ui.label(format!(
        "{} {} / {}   ·   {} {}",
        language.of(["手順", "step"]),
        at.map_or(Step::ALL.len(), |at| at + 1),
        Step::ALL.len(),
        language.of(["良い画像", "good pictures"]),
        now.good
    ));
    // Above the picture, where a small window shows it as well.
    if ui.button(language.of(["中止する", "Give up"])).clicked() {
        asked.push(Event::Enrol(false));
    }
    canvas.draw(ui, model.picture.as_ref(), language);
}

/// What to do about a picture that cannot be used.
fn hint(fault: &Fault) -> Words {
    match fault {
        Fault::NoFace => ["顔が見えません。カメラの正面へ", "No face: sit in front of the camera"],
        Fault::SeveralFaces { .. } => ["ほかの人が映っています", "Somebody else is in view"],
        Fault::TooSmall { .. } => ["もう少し近づいてください", "Nearer, please"],
        Fault::Turned { .. } => ["少し正面へ戻してください", "A little back to the front"],
        Fault::Tilted { .. } => ["顔をまっすぐに起こしてください", "Keep your head upright"],
        Fault::Blurred => ["少し止まってください", "Hold still for a moment"],
        Fault::Dark => ["もっと明るくしてください", "More light, please"],
        Fault::Bright => {
            ["明るすぎます。窓や照明を避けてください", "Too bright: turn from the lamp or window"]
        }
        Fault::Covered => {
            ["顔が隠れています。手やマスクを外してください", "The face is covered: no hand, no mask"]
        }
    }
}

fn done(ui: &mut Ui, taken: &Taken, language: Language) {
    ui.label(RichText::new(language.of(["登録できました", "Enrolled"])).size(24.0).strong());
    ui.label(match language {
        Language::Japanese => {
            format!("{} 枚から、異なる {} 通りの顔を登録しました。", taken.pictures, taken.looks)
        }
        Language::English => format!("{} looks that differ, of {} pictures.", taken.looks, taken.pictures),
    });
    let quality: Words = if taken.is_poor {
        ["見分けやすさ: 低い", "How well you are told from others: poorly"]
    } else {
        ["見分けやすさ: 良い", "How well you are told from others: well"]
    };
    ui.label(format!("{} ({:.2})", language.of(quality), taken.margin));
    if taken.is_poor {
        note(
            ui,
            language.of([
                "ほかの人と見分けにくい登録です。明るい正面の光で、マスクや帽子を外して撮り直してください。",
                "This lies close to other people's faces. Take it again in light from the front, without mask or cap.",
            ]),
        );
    }
    if taken.is_few {
        note(
            ui,
            language.of([
                "顔の種類が少なめです。撮り直すと、暗い日や横向きでも認識されやすくなります。",
                "Few looks that differ. Take it again, and you are recognised in more light and poses.",
            ]),
        );
    }
    ui.label(
        language
            .of(["このファイルを VDI 管理者に送ってください:", "Send this file to your VDI administrator:"]),
    );
    ui.monospace(&taken.path);
}
