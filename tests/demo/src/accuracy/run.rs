//! A whole run, in order: people, templates, looks, scenes, and what they come to.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::ensure;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};
use sudare_client_core::face::identity::Thresholds;
use sudare_client_core::face::rotate::Rotated;
use sudare_models::Role;
use sudare_vision::Lacking;
use sudare_vision::engine::Engine;
use sudare_vision::pipeline::thresholds;

use super::classes::{Extent, QUICK, WHOLE, scenes};
use super::crew::each;
use super::curve;
use super::enrolment::Enrolled;
use super::figures::Tally;
use super::light_lab::ROOMS;
use super::light_loop::{self, Checked};
use super::light_tries::{self, Tried};
use super::outcome::Outcome;
use super::page::page;
use super::people::Person;
use super::play::{Played, Stage};
use super::points::{self, AtPoint};
use super::record::{CONDITIONS, Recorder, Recording};
use super::replay::Sweep;
use super::report::Report;
use super::scene::{Class, Scene};
use super::unpack::{sources, unpack};
use super::worst;

/// Of a quick run: people, half of them from either end of the list, conditions, and rooms.
const QUICK_PEOPLE: usize = 4;
const QUICK_CONDITIONS: usize = 2;
const QUICK_ROOMS: usize = 5;
/// Rooms of whole tries: evening, a lamp and an office, each with a laptop.
const TRIED_ROOMS: [usize; 3] = [0, 2, 4];

/// What to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Who opens whose desktop.
    Identity,
    /// The check by light.
    Light,
    Scenes(Class),
}

impl Part {
    #[must_use]
    pub fn all() -> Vec<Part> {
        [Part::Identity, Part::Light].into_iter().chain(Class::ALL.map(Part::Scenes)).collect()
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Part::Identity => "identity",
            Part::Light => "light",
            Part::Scenes(class) => class.as_str(),
        }
    }
}

/// How to measure it.
#[derive(Debug)]
pub struct Options {
    pub people: PathBuf,
    pub python: PathBuf,
    pub out: PathBuf,
    pub quick: bool,
    pub only: Option<Part>,
}

/// How long each part of the run took.
struct Watch {
    since: Instant,
    took_s: Map<String, Value>,
}

impl Default for Watch {
    fn default() -> Self {
        Watch { since: Instant::now(), took_s: Map::new() }
    }
}

impl Watch {
    fn note(&mut self, part: &str) {
        let took = std::mem::replace(&mut self.since, Instant::now()).elapsed();
        self.took_s.insert(part.to_owned(), json!(took.as_secs_f64().round()));
    }
}

/// People and their templates.
struct Cast {
    people: Vec<Person>,
    enrolled: Vec<Enrolled>,
}

/// Measures, writes everything into the output folder, and returns the lines of the table.
pub fn run(options: &Options) -> anyhow::Result<Vec<String>> {
    let mut watch = Watch::default();
    std::fs::create_dir_all(&options.out)?;
    let cast = cast(options)?;
    watch.note("people");
    let wanted = |part: Part| options.only.is_none_or(|only| only == part);
    let (recordings, thresholds) =
        if wanted(Part::Identity) { record(&cast, options.quick)? } else { Default::default() };
    let points = thresholds.map(|thresholds| points::sweeps(&recordings, cast.people.len(), thresholds));
    let points = points.unwrap_or_default();
    let sweep = points::normal(&points);
    watch.note("looks");
    let (checked, tried) =
        if wanted(Part::Light) { by_light(&cast, options.quick)? } else { Default::default() };
    watch.note("light");
    let no_phones = why_no_phones(options)?;
    let played = play(&cast, options, no_phones.is_none())?;
    watch.note("scenes");
    let outcome = Outcome { people: &cast.people, played: &played };
    let mut report = Report::default();
    tell_people(&mut report, &cast);
    if let Some(sweep) = sweep {
        tell_identity(&mut report, sweep, &points, &recordings, &cast.people);
    }
    let single = light_loop::figures(&checked, &cast.people);
    for (key, figure) in single.into_iter().chain(light_tries::figures(&tried, &cast.people)) {
        report.keep(key, figure);
    }
    tell_scenes(&mut report, &outcome, sweep);
    for key in ["phone_recall_2s", "phone_hidden_face_reopens"] {
        no_phones.iter().for_each(|why| report.lacks(key, why));
    }
    report.keep("run", json!(run_name(options)));
    report.keep("took_s", Value::Object(watch.took_s));
    report.complete("left out of this run by --only");
    let wrong = worst::choose(&cast.people, &played, sweep)?;
    worst::draw(&wrong, &options.out.join("errors.png"))?;
    std::fs::write(options.out.join("index.html"), page(&report, &outcome, &wrong))?;
    std::fs::write(options.out.join("accuracy.json"), serde_json::to_vec_pretty(report.figures())?)?;
    Ok(report.lines())
}

fn run_name(options: &Options) -> String {
    let only = options.only.map(|part| format!(", only {}", part.as_str())).unwrap_or_default();
    format!("{}{only}", if options.quick { "quick" } else { "whole" })
}

/// Unpacks, looks for faces, enrols.
fn cast(options: &Options) -> anyhow::Result<Cast> {
    let mut sources = sources(&options.people)?;
    if options.quick && sources.len() > QUICK_PEOPLE {
        sources.drain(QUICK_PEOPLE / 2..sources.len() - QUICK_PEOPLE / 2);
    }
    let folder = options.out.join("people");
    let bar = bar("clips", sources.len());
    unpack(&sources, &folder, &options.python, &bar)?;
    bar.finish_and_clear();
    let bar = self::bar("people", sources.len());
    let found = each(
        &sources,
        || Ok(Engine::from_cache()?),
        |engine, _, source| {
            let person = Person::load(&source.name, &folder.join(&source.name), &mut engine.detector);
            let both = person.and_then(|person| Ok((Enrolled::of(engine, &person)?, person)));
            bar.inc(1);
            Ok(both.map_err(|error| format!("{error:#}")))
        },
    )?;
    bar.finish_and_clear();
    let (mut cast, mut refused) = (Cast { people: Vec::new(), enrolled: Vec::new() }, Vec::new());
    for one in found {
        match one {
            Ok((enrolled, person)) => {
                cast.enrolled.push(enrolled);
                cast.people.push(person);
            }
            Err(why) => refused.push(why),
        }
    }
    for why in &refused {
        tracing::error!("{why}");
    }
    ensure!(
        cast.people.len() >= 2,
        "{} people can be used, and two are needed. Give clips of faces that look into the camera: {}",
        cast.people.len(),
        refused.join("; ")
    );
    Ok(cast)
}

/// Everybody in all conditions, and the thresholds of the embedder.
fn record(cast: &Cast, quick: bool) -> anyhow::Result<(Vec<Recording>, Option<Thresholds>)> {
    let templates: Vec<Vec<Rotated>> = cast.enrolled.iter().map(Enrolled::rotated).collect();
    let conditions = if quick { QUICK_CONDITIONS } else { CONDITIONS.len() };
    let jobs: Vec<(usize, usize)> = (0..cast.people.len())
        .flat_map(|person| (0..conditions).map(move |condition| (person, condition)))
        .collect();
    let bar = bar("looks", jobs.len());
    let recordings = each(&jobs, Recorder::new, |recorder, _, (person, condition)| {
        let recording = recorder.record(&cast.people, *person, *condition, &templates);
        bar.inc(1);
        Ok((recording?, thresholds(recorder.engine.embedder.facts())))
    })?;
    bar.finish_and_clear();
    let thresholds = recordings.first().map(|(_, thresholds)| *thresholds);
    Ok((recordings.into_iter().map(|(recording, _)| recording).collect(), thresholds))
}

/// Everybody, and pictures of everybody: single checks in each room, and whole tries in some.
fn by_light(cast: &Cast, quick: bool) -> anyhow::Result<(Vec<Checked>, Vec<Tried>)> {
    let rooms = if quick { QUICK_ROOMS } else { ROOMS.len() };
    let tried_rooms = if quick { TRIED_ROOMS.get(1..2) } else { TRIED_ROOMS.get(..) }.unwrap_or_default();
    let people: Vec<usize> = (0..cast.people.len()).collect();
    let bar = bar("light", people.len());
    let checked = each(
        &people,
        || Ok(()),
        |(), _, person| {
            let checked = light_loop::check(&cast.people, *person, rooms)?;
            let tried = light_tries::try_all(&cast.people, *person, tried_rooms)?;
            bar.inc(1);
            Ok((checked, tried))
        },
    )?;
    bar.finish_and_clear();
    let (checked, tried): (Vec<_>, Vec<_>) = checked.into_iter().unzip();
    Ok((checked.concat(), tried.concat()))
}

/// Why scenes with phones say nothing here: without its model, which is optional, nothing looks for phones.
fn why_no_phones(options: &Options) -> anyhow::Result<Option<String>> {
    if !Class::ALL.iter().any(|class| class.raises_phone() && wants(options, *class)) {
        return Ok(None);
    }
    let engine = Engine::from_cache()?;
    let lacking = engine.lacking.iter().find(|lacking| lacking.role == Role::PhoneDetector);
    Ok(lacking.map(without))
}

fn without(Lacking { role, is_missing, why }: &Lacking) -> String {
    if *is_missing {
        format!("{role} is not installed: nothing looks for phones")
    } else {
        format!("{role} does not run, so that nothing looks for phones: {why}")
    }
}

fn wants(options: &Options, class: Class) -> bool {
    options.only.is_none_or(|only| only == Part::Scenes(class))
}

/// All scenes that are wanted, by operator: each has eyes of their own.
fn play(cast: &Cast, options: &Options, with_phones: bool) -> anyhow::Result<Vec<Played>> {
    let extent: &Extent = if options.quick { &QUICK } else { &WHOLE };
    let wanted = |class: &Class| wants(options, *class) && (with_phones || !class.raises_phone());
    let classes = Class::ALL.into_iter().filter(wanted);
    let all: Vec<Scene> = classes.flat_map(|class| scenes(class, cast.people.len(), extent)).collect();
    if all.is_empty() {
        return Ok(Vec::new());
    }
    let bar = bar("scenes", all.len());
    let played = each(
        &cast.enrolled,
        || Ok(()),
        |(), operator, enrolled| {
            let own = all.iter().filter(|scene| scene.operator == operator);
            let mut stage = Stage::new(&cast.people, enrolled)?;
            let played = own.map(|scene| {
                let played = stage.play(scene);
                bar.inc(1);
                played
            });
            played.collect::<anyhow::Result<Vec<_>>>()
        },
    )?;
    bar.finish_and_clear();
    Ok(played.into_iter().flatten().collect())
}

fn tell_people(report: &mut Report, cast: &Cast) {
    let told = cast.people.iter().zip(&cast.enrolled).map(|(person, enrolled)| {
        json!({
            "name": person.name, "kind": person.kind.as_str(), "pictures": person.pictures.len(),
            "face_px": person.face_px.round(), "enrolment_checked": enrolled.is_checked,
            "pictures_refused": enrolled.refused.0, "first_refusal": enrolled.refused.1,
        })
    });
    report.keep("people", Value::Array(told.collect()));
}

fn tell_identity(
    report: &mut Report,
    sweep: &Sweep,
    points: &[AtPoint],
    recordings: &[Recording],
    people: &[Person],
) {
    for (key, figure) in sweep.figures(people) {
        report.keep(&key, figure);
    }
    let mut told = curve::told(recordings, people.len());
    if let Some(told) = told.as_object_mut() {
        told.insert("by_condition".to_owned(), Value::Object(sweep.by_condition(people)));
        told.insert("by_point".to_owned(), points::figures(points, people));
    }
    report.keep("identity", told);
}

fn tell_scenes(report: &mut Report, outcome: &Outcome<'_>, sweep: Option<&Sweep>) {
    for (key, class) in [
        ("onlooker_recall_2m", Class::Onlooker2m),
        ("onlooker_recall_masked_2m", Class::OnlookerMasked2m),
        ("onlooker_recall_3m", Class::Onlooker3m),
    ] {
        report.keep(key, outcome.recall(class));
    }
    let kept_out =
        [Class::Alone, Class::Habits, Class::Street, Class::SeatedBehind, Class::Poster, Class::Tv];
    for class in kept_out {
        report.keep(&format!("lockout_share.{}", class.as_str()), outcome.lockout(class));
    }
    report.keep("false_covers_per_hour.home", outcome.false_covers(&[Class::Alone, Class::Habits]));
    report.keep("false_covers_per_hour.cafe", outcome.false_covers(&[Class::Street, Class::SeatedBehind]));
    report.keep("lens_detected_1s", outcome.lens());
    report.keep("phone_recall_2s", outcome.phones());
    report.keep("phone_hidden_face_reopens", outcome.reopened());
    report.keep("spoof_visible_s_max.print_without_light", outcome.visible(Class::Print));
    report.keep("spoof_visible_s_max.replay_without_light", outcome.visible(Class::Film));
    let own = sweep.map_or_else(Tally::default, |sweep| sweep.called_stranger(outcome.people));
    report.keep("operator_called_stranger", outcome.called_stranger(own).figure());
    report.keep(
        "stage",
        json!({ "stranger_opens": outcome.stranger_opens(), "own_opening": outcome.opening() }),
    );
}

fn bar(what: &str, len: usize) -> ProgressBar {
    let bar = ProgressBar::new(u64::try_from(len).unwrap_or(u64::MAX));
    bar.set_style(
        ProgressStyle::with_template("{msg:8} {bar:30} {pos}/{len} {elapsed}, {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar.set_message(what.to_owned());
    bar
}

/// Where a run puts its files.
#[must_use]
pub fn files(out: &Path) -> [PathBuf; 3] {
    ["accuracy.json", "index.html", "errors.png"].map(|name| out.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_is_not_there_and_one_that_is_damaged_are_told_apart() {
        let role = Role::PhoneDetector;
        let said = |is_missing| without(&Lacking { role, is_missing, why: "the file is damaged".to_owned() });
        assert_eq!(said(true), "phone-detector is not installed: nothing looks for phones");
        assert!(said(false).ends_with("the file is damaged") && !said(false).contains("not installed"));
    }
}
