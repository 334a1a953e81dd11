//! The worst errors of a run, on one sheet: people look at pictures before they believe a figure.

use std::path::Path;

use anyhow::Context as _;
use image::RgbImage;
use sudare_stack::gallery::{self, MARGIN, TEXT_HEIGHT, put, write_captions};

use super::people::{Person, Picture};
use super::play::Played;
use super::record::{CONDITIONS, Sitting};
use super::replay::{Sweep, Try};
use super::scene::Class;

/// Pictures on the sheet, and of one kind of error.
const ERRORS_MAX: usize = 10;
const OF_A_KIND_MAX: usize = 3;
const PICTURE: (u32, u32) = (480, 360);
const COLUMNS: u32 = 3;
/// Of a caption, and letters in each.
const LINES: u32 = 4;
const LETTERS: usize = 58;

/// One error: the greater `weight`, the worse among its kind.
#[derive(Debug, Clone)]
pub(super) struct Wrong {
    kind: String,
    weight: f64,
    pub(super) captions: [String; 2],
    pictures: Vec<RgbImage>,
}

/// From what was played and replayed, the worst of each kind in turn.
pub(super) fn choose(
    people: &[Person],
    played: &[Played],
    sweep: Option<&Sweep>,
) -> anyhow::Result<Vec<Wrong>> {
    let mut all: Vec<Wrong> = played.iter().filter_map(|played| of_scene(people, played)).collect();
    let mut sitting = Sitting::default();
    for t in sweep.into_iter().flat_map(|sweep| &sweep.tries) {
        if let Some(kind) = wrong_try(t) {
            all.push(of_try(people, &mut sitting, t, kind)?);
        }
    }
    all.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    let mut chosen: Vec<Wrong> = Vec::new();
    for wrong in all {
        let alike = chosen.iter().filter(|other| other.kind == wrong.kind).count();
        if chosen.len() < ERRORS_MAX && alike < OF_A_KIND_MAX {
            chosen.push(wrong);
        }
    }
    Ok(chosen)
}

fn of_scene(people: &[Person], played: &Played) -> Option<Wrong> {
    let moment = played.moment.as_ref()?;
    let scene = &played.scene;
    let name = |who: usize| people.get(who).map_or("nobody", |person| person.name.as_str());
    let (kind, weight) = match (scene.class, played.noticed) {
        (Class::Stranger, _) => ("a stranger opened", 100.0),
        (class, Some(noticed)) if class.has_onlooker() => match noticed.delay_ms {
            None => ("never noticed", 50.0 - f64::from(noticed.seen) / f64::from(noticed.shown.max(1))),
            Some(ms) => ("noticed late", 10.0 + f64::from(u32::try_from(ms).unwrap_or(u32::MAX)) / 1e3),
        },
        (_, _) if played.opened_ms.is_none() => ("never opened", 40.0),
        (class, _) if class.raises_phone() => match played.raised {
            Some(raised) if class == Class::PhoneBeforeFace => {
                let came_back = raised.is_covered_in_time();
                (if came_back { "shown again behind a phone" } else { "shown on behind a phone" }, 45.0)
            }
            _ => ("a phone not noticed", 35.0),
        },
        (_, _) if played.stranger => ("operator called stranger", 60.0),
        (_, _) if played.covers == 0 => ("opened late", 15.0),
        (_, _) => ("covered in vain", 20.0 + f64::from(played.covers)),
    };
    let about = played.noticed.map_or_else(String::new, |noticed| {
        let delay = noticed.delay_ms.map(|ms| format!(", after {ms} ms")).unwrap_or_default();
        format!(", seen in {} of {} pictures{delay}", noticed.seen, noticed.shown)
    });
    let other = scene.others.first().map(|other| format!(", {} at {:.1} m", name(other.who), other.metres));
    let captions = [
        format!("{kind}: {}, {} light{about}", scene.class.as_str(), scene.light.as_str()),
        format!(
            "{} at the desk of {}{}",
            name(scene.seated),
            name(scene.operator),
            other.unwrap_or_default()
        ),
    ];
    let [first, second] = captions;
    let captions = [first, format!("{second}. {}", moment.said)];
    let kind = format!("{kind} {}", scene.class.as_str());
    Some(Wrong { kind, weight, captions, pictures: vec![moment.picture.clone()] })
}

/// Strangers who opened, and operators who did not or were called strangers.
fn wrong_try(t: &Try) -> Option<&'static str> {
    match (t.operator == t.person, t.opened_ms) {
        (false, Some(_)) => Some("a stranger opened"),
        (true, _) if t.stranger => Some("operator called stranger"),
        (true, None) => Some("the operator is not let in"),
        _ => None,
    }
}

/// The operator's own picture, and the person as the eyes saw them.
fn of_try(people: &[Person], sitting: &mut Sitting, t: &Try, kind: &str) -> anyhow::Result<Wrong> {
    let [one, other] = [t.operator, t.person].map(|who| people.get(who));
    let (one, other) = (one.context("nobody has this number")?, other.context("nobody has this number")?);
    let condition = CONDITIONS.get(t.condition).map_or("", |condition| condition.name);
    let own = one.pictures.first().map(Picture::load).transpose()?;
    let (seen, _) = sitting.picture(people, t.person, t.condition, 0)?;
    let seen = RgbImage::from_raw(seen.width, seen.height, seen.rgb);
    let weight = match kind {
        "a stranger opened" => 90.0,
        "operator called stranger" => 56.0,
        _ => 55.0,
    };
    let captions = [
        format!("{kind}: replayed looks, {condition}"),
        format!("{} at the desk of {} (left)", other.name, one.name),
    ];
    Ok(Wrong {
        kind: format!("{kind} replayed"),
        weight,
        captions,
        pictures: own.into_iter().chain(seen).collect(),
    })
}

/// Draws and saves the sheet; with no errors it says so.
pub(super) fn draw(wrong: &[Wrong], path: &Path) -> anyhow::Result<()> {
    let cell = (PICTURE.0 + MARGIN, PICTURE.1 + LINES * TEXT_HEIGHT + MARGIN);
    let rows = u32::try_from(wrong.len().max(1))?.div_ceil(COLUMNS);
    let mut sheet = gallery::sheet(COLUMNS * cell.0 + MARGIN, rows * cell.1 + MARGIN);
    let mut captions = Vec::new();
    for (n, error) in (0_u32..).zip(wrong) {
        let (x, y) = (MARGIN + n % COLUMNS * cell.0, MARGIN + n / COLUMNS * cell.1);
        let wide = PICTURE.0 / u32::try_from(error.pictures.len().max(1))?;
        for (i, picture) in (0_u32..).zip(&error.pictures) {
            put(&mut sheet, picture, (x + i * wide, y + LINES * TEXT_HEIGHT), (wide, PICTURE.1));
        }
        for (i, line) in (0_u32..).zip(wrapped(&error.captions.join(". "))) {
            captions.push((x, y + i * TEXT_HEIGHT, line));
        }
    }
    if wrong.is_empty() {
        captions.push((MARGIN, MARGIN, "no errors in this run".to_owned()));
    }
    write_captions(&mut sheet, &captions);
    sheet.save(path).with_context(|| format!("{} cannot be written", path.display()))
}

/// As many lines as fit above a picture.
fn wrapped(words: &str) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in words.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() || line.len() + word.len() < LETTERS => {
                line.push_str(if line.is_empty() { "" } else { " " });
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.truncate(usize::try_from(LINES).unwrap_or(1));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_fit_above_their_pictures() {
        let words = "one two three ".repeat(40);
        let lines = wrapped(&words);
        assert_eq!(lines.len(), 4);
        assert!(lines.iter().all(|line| line.len() <= LETTERS && !line.is_empty()), "{lines:?}");
        assert_eq!(wrapped("short"), ["short"]);
    }
}
