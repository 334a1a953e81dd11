//! `sudare enroll`: creates an operator file from a short clip, or from pictures.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use indicatif::ProgressBar;
use sudare_client_core::face::marked;
use sudare_client_core::face::separation::{PEOPLE, Separation};
use sudare_client_runtime::random::random;
use sudare_client_runtime::{clock, drift, operator};
use sudare_protocol::template::{OperatorTemplate, Region};
use sudare_vision::camera::{self, SourceOptions, SourceSpec};
use sudare_vision::engine::Engine;
use sudare_vision::enroll::{self, Clip, Enrolled, LOOKS_MIN, Progress, Request};

use crate::output;

/// Create an operator file from a short clip or from pictures of one person
///
/// The best is a clip from the camera at the seat: it says what to do, takes half a minute, and keeps five or six looks
/// that differ. Pictures must show nobody else. The file works on this device only.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudare enroll --clip camera:0 --out me.operator
  sudare enroll --clip camera:0 --not-a-person still --out me.operator
  sudare enroll --image glasses.jpg --image evening.jpg --out me.operator

A region is left, top, width and height in shares of the picture, such as 0.7,0.05,0.2,0.25. At most four, a quarter of
the picture in all, and none near the seat.")]
pub(crate) struct Arguments {
    /// A JPEG or PNG picture of the operator; may be repeated, or list several files
    #[arg(long = "image", value_name = "FILE", required_unless_present = "clip", num_args = 1..)]
    images: Vec<PathBuf>,
    /// A clip instead: camera:N, a folder of JPEG pictures, an .avi or a .y4m file (see `sudare watch --help`)
    #[arg(long, value_name = "SOURCE", conflicts_with = "images")]
    clip: Option<String>,
    /// A region in which nobody ever is, such as a poster or a television; or `still`: where the clip saw faces that
    /// never moved
    #[arg(long, value_name = "REGION", value_parser = not_a_person)]
    not_a_person: Vec<NotAPerson>,
    /// The operator file to write
    #[arg(long, value_name = "OPERATOR")]
    out: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NotAPerson {
    Region(Region),
    Still,
}

fn not_a_person(text: &str) -> Result<NotAPerson, marked::MarkError> {
    if text == "still" {
        return Ok(NotAPerson::Still);
    }
    let numbers: Vec<f32> = text.split(',').map(|number| number.trim().parse().unwrap_or(f32::NAN)).collect();
    let area: [f32; 4] = numbers.try_into().map_err(|_| marked::MarkError::Malformed)?;
    marked::region(area).map(NotAPerson::Region)
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mark_still = arguments.not_a_person.contains(&NotAPerson::Still);
    anyhow::ensure!(
        arguments.clip.is_some() || !mark_still,
        "pictures do not tell what stays still. Give --clip, or the region as numbers"
    );
    let regions = arguments.not_a_person.iter().filter_map(|marked| match marked {
        NotAPerson::Region(region) => Some(*region),
        NotAPerson::Still => None,
    });
    let (enrolled, from) =
        looks(arguments.clip.as_deref(), &arguments.images, mark_still, regions.collect())?;
    let bytes = enrolled.template.to_bytes().context("cannot create the operator file")?;
    operator::write_private(&arguments.out, &bytes)?;
    // What sessions with the template before have left says nothing about this one.
    drift::forget(&operator::device_dir()?);
    output::line(&format!("{from}: {}", arguments.out.display()));
    tell_about(&enrolled);
    Ok(())
}

/// Takes looks from a clip or from pictures, and says what the template is worth.
pub(crate) fn take(clip: Option<&str>, images: &[PathBuf]) -> anyhow::Result<OperatorTemplate> {
    let (enrolled, from) = looks(clip, images, false, Vec::new())?;
    drift::forget(&operator::device_dir()?);
    output::line(&from);
    tell_about(&enrolled);
    Ok(enrolled.template)
}

fn looks(
    clip: Option<&str>,
    images: &[PathBuf],
    mark_still: bool,
    regions: Vec<Region>,
) -> anyhow::Result<(Enrolled, String)> {
    let source = clip.map(open).transpose()?;
    let mut engine = Engine::from_cache()?;
    let rotation = operator::device_rotation(&operator::device_dir()?)?;
    let operator_id = random().map_err(|_| operator::OperatorError::NoRandomness)?;
    let request = Request { rotation: &rotation, operator_id, regions };
    let Some((mut source, guided)) = source else {
        let enrolled = enroll::stills(&mut engine, images, request)?;
        let count = enrolled.template.vectors.len();
        return Ok((enrolled, format!("enrolled from {count} picture(s)")));
    };
    let how = Clip { guided, mark_still };
    let spinner = output::spinner(false);
    let mut step = None;
    let mut tell = |progress: &Progress| {
        let is_new = progress.step != std::mem::replace(&mut step, progress.step);
        show(&spinner, progress, is_new);
    };
    let taken = enroll::clip(&mut engine, source.as_mut(), how, request, &mut tell);
    spinner.finish_and_clear();
    let taken = taken?;
    for region in &taken.still {
        output::note(&propose(region));
    }
    let count = taken.enrolled.template.vectors.len();
    Ok((taken.enrolled, format!("enrolled with {count} looks of {} pictures", taken.pictures)))
}

/// The source, and whether somebody sits before it who can be told what to do.
fn open(text: &str) -> anyhow::Result<(Box<dyn camera::FrameSource>, bool)> {
    let spec: SourceSpec = text.parse()?;
    let guided = matches!(spec, SourceSpec::Camera(_) | SourceSpec::Mjpeg(_));
    let source = camera::open(&spec, SourceOptions { fps: None }, clock::boottime_ms)?;
    Ok((source, guided))
}

/// The progress line. Each new step also gets a line of its own, which stays.
fn show(spinner: &ProgressBar, progress: &Progress, is_new_step: bool) {
    let words = progress.step.map(|step| format!("{} / {}", step.japanese(), step.english()));
    if let Some(words) = words.as_deref().filter(|_| is_new_step) {
        spinner.suspend(|| output::note(words));
    }
    let fault = progress.fault.map(|fault| fault.in_short());
    let fault = fault.map(|[japanese, english]| format!(" · {japanese} / {english}")).unwrap_or_default();
    spinner.set_message(format!("{} good look(s){fault} · {}", progress.good, words.unwrap_or_default()));
    spinner.tick();
}

fn propose(region: &Region) -> String {
    format!(
        "動かない顔があります。ポスターなどなら次を付けて登録し直してください / a face never moved; if it is a poster or a photograph, enrol again with: --not-a-person {}",
        shares(region)
    )
}

/// As `--not-a-person` takes it.
pub(crate) fn shares(region: &Region) -> String {
    let share = |thousandths: u16| f32::from(thousandths) / 1000.0;
    let Region { left, top, width, height } = *region;
    [left, top, width, height].map(|side| share(side).to_string()).join(",")
}

/// What the template is worth.
fn tell_about(enrolled: &Enrolled) {
    let Enrolled { template, alike, separation } = enrolled;
    for region in &template.regions {
        output::line(&format!("not a person: {}", shares(region)));
    }
    output::line(&told(separation));
    if *alike > 0 {
        output::note(&format!("{alike} picture(s) left out: nearly the same as another one"));
    }
    if template.vectors.len() < LOOKS_MIN {
        output::note(&format!(
            "登録した顔が少ないため、照明や向きが変わると認識されにくくなります。sudare enroll --clip camera:0 をお勧めします\n\
             warning: only {} of at least {LOOKS_MIN} looks that differ: in other light, with or without glasses, or turned aside you will be recognised late or not at all. Better: sudare enroll --clip camera:0",
            template.vectors.len()
        ));
    }
    if separation.is_poor() {
        output::note(
            "ほかの人と見分けにくい登録です。明るい正面の光で登録し直してください\n\
             warning: this template lies close to other people's faces, so that somebody who looks like you may be taken for you. Enrol again in good light from the front, without mask, cap or dark glasses; if it stays so, tell the VDI admin",
        );
    }
}

fn told(separation: &Separation) -> String {
    let Separation { one_in_100, margin } = separation;
    format!(
        "separation: {margin:.2} (of other people's single looks one in a hundred reaches {one_in_100:.2}, and the desktop opens at a mean of {:.2}; estimated from only {PEOPLE} people)",
        one_in_100 + margin
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_read_as_it_is_written() {
        let NotAPerson::Region(region) = not_a_person("0.7, 0.05,0.2,0.25").unwrap() else { panic!() };
        assert_eq!(shares(&region), "0.7,0.05,0.2,0.25");
        assert_eq!(not_a_person(&shares(&region)), Ok(NotAPerson::Region(region)));
        assert_eq!(not_a_person("still"), Ok(NotAPerson::Still));
        for text in
            ["", "0.1,0.1,0.1", "0.1,0.1,0.1,0.1,0.1", "a,b,c,d", "1,1,1,1", "0,0,0,0", "-0.1,0,0.1,0.1"]
        {
            assert!(not_a_person(text).is_err(), "{text}");
        }
    }
}
