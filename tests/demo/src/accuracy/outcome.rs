//! From scenes that were played to figures: who was noticed and how soon, and how long the desktop was locked in vain.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::figures::{Kind, Tally, count, percentile, rate};
use super::people::Person;
use super::play::Played;
use super::replay::with;
use super::scene::Class;

/// Which scenes a figure is about.
type Wanted<'w> = &'w dyn Fn(&Played) -> bool;

/// All scenes of a run.
#[derive(Debug)]
pub(super) struct Outcome<'a> {
    pub(super) people: &'a [Person],
    pub(super) played: &'a [Played],
}

impl<'a> Outcome<'a> {
    pub(super) fn of(&self, class: Class) -> impl Iterator<Item = &'a Played> {
        self.played.iter().filter(move |played| played.scene.class == class)
    }

    /// Onlookers who were noticed while they looked, and the delays.
    #[must_use]
    pub(super) fn recall(&self, class: Class) -> Value {
        let told = self.recall_where(class, |_| true);
        if told.is_null() {
            return Value::Null;
        }
        let by = |key: &dyn Fn(&Played) -> String| {
            self.strata(class, key, &|wanted| self.recall_where(class, wanted))
        };
        with(with(told, "by_light", by(&light)), "by_metres", by(&metres))
    }

    /// A figure of each part of the scenes of a class, by what the parts are called.
    fn strata(
        &self,
        class: Class,
        key: &dyn Fn(&Played) -> String,
        figure: &dyn Fn(Wanted<'_>) -> Value,
    ) -> Value {
        let mut names: Vec<String> = self.of(class).map(key).collect();
        names.sort();
        names.dedup();
        let each = names.into_iter().map(|name| {
            let told = figure(&|played| key(played) == name);
            (name, told)
        });
        Value::Object(each.collect())
    }

    fn recall_where(&self, class: Class, wanted: impl Fn(&Played) -> bool) -> Value {
        let (mut ours, mut plain) = (Tally::default(), Tally::default());
        let (mut delays, mut frontal, mut plain_delays, mut not_open) =
            (Vec::new(), Vec::new(), Vec::new(), 0_u32);
        for played in self.of(class).filter(|played| wanted(played)) {
            let Some(noticed) = played.noticed else {
                not_open += 1;
                continue;
            };
            let kind = self.kind(played);
            ours.add(f64::from(u8::from(noticed.delay_ms.is_some())), kind);
            plain.add(f64::from(u8::from(noticed.plain_delay_ms.is_some())), kind);
            // Who is never noticed has no delay; the recall counts them.
            delays.extend(noticed.delay_ms.map(ms));
            frontal.extend(noticed.delay_ms.filter(|_| noticed.yaw_deg < 30.0).map(ms));
            plain_delays.extend(noticed.plain_delay_ms.map(ms));
        }
        let mut figure = ours.figure();
        for (key, value) in [
            ("delay_ms", delay(&delays)),
            ("delay_ms_yaw_below_30", delay(&frontal)),
            ("plain", with(plain.figure(), "delay_ms", delay(&plain_delays))),
            ("desktop_not_open", json!(not_open)),
        ] {
            figure = with(figure, key, value);
        }
        figure
    }

    /// The part of the time in which the desktop was covered although nobody read it.
    #[must_use]
    pub(super) fn lockout(&self, class: Class) -> Value {
        let (mut ours, mut plain) = (Tally::default(), Tally::default());
        let mut causes: BTreeMap<&str, f64> = BTreeMap::new();
        let mut seconds = 0.0;
        for played in self.of(class).filter(|played| played.counted_ms > 0) {
            let locked_ms: u64 = played.locked_ms.values().sum();
            ours.add(ms(locked_ms) / ms(played.counted_ms), self.kind(played));
            let [pictures, covered, _] = played.plain;
            plain.add(f64::from(covered) / f64::from(pictures.max(1)), self.kind(played));
            seconds += ms(played.counted_ms) / 1e3;
            for (cause, locked_ms) in &played.locked_ms {
                *causes.entry(cause).or_default() += ms(*locked_ms) / 1e3;
            }
        }
        let figure = with(ours.figure(), "seconds", json!(seconds));
        with(with(figure, "seconds_by_reason", json!(causes)), "plain", plain.figure())
    }

    /// Covers of a desktop that showed and that nobody read, per hour.
    #[must_use]
    pub(super) fn false_covers(&self, classes: &[Class]) -> Value {
        let all: Vec<&Played> = classes.iter().flat_map(|class| self.of(*class)).collect();
        let hours = all.iter().map(|played| ms(played.counted_ms)).sum::<f64>() / 3.6e6;
        let kind = all.iter().map(|played| self.kind(played)).min().unwrap_or(Kind::Synthetic);
        let plain = rate(all.iter().map(|played| played.plain[2]).sum(), hours, kind);
        with(rate(all.iter().map(|played| played.covers).sum(), hours, kind), "plain", plain)
    }

    /// Operators alone who were called strangers.
    #[must_use]
    pub(super) fn called_stranger(&self, mut tally: Tally) -> Tally {
        for played in [Class::Alone, Class::Habits].into_iter().flat_map(|class| self.of(class)) {
            tally.add(f64::from(u8::from(played.stranger)), self.kind(played));
        }
        tally
    }

    /// Strangers before the real eyes who opened; `replay` asks more of them.
    #[must_use]
    pub(super) fn stranger_opens(&self) -> Value {
        let mut tally = Tally::default();
        for played in self.of(Class::Stranger) {
            tally.add(f64::from(u8::from(played.opened_ms.is_some())), self.kind(played));
        }
        tally.figure()
    }

    /// How soon the operator's own desktop opened, of scenes of all classes with the operator in the seat.
    #[must_use]
    pub(super) fn opening(&self) -> Value {
        let own = || self.played.iter().filter(|played| played.scene.seated == played.scene.operator);
        let opened: Vec<f64> = own().filter_map(|played| played.opened_ms).map(ms).collect();
        json!({ "scenes": own().count(), "opened": opened.len(), "ms": delay(&opened) })
    }

    /// Covered lenses that covered the desktop for that reason within a second.
    #[must_use]
    pub(super) fn lens(&self) -> Value {
        let mut tally = Tally::default();
        let mut by_cover: BTreeMap<String, [u32; 2]> = BTreeMap::new();
        let mut delays = Vec::new();
        for played in self.of(Class::Lens).filter(|played| played.opened_ms.is_some()) {
            let in_time = played.lens_ms.is_some_and(|delay_ms| delay_ms <= 1_000);
            tally.add(f64::from(u8::from(in_time)), self.kind(played));
            delays.extend(played.lens_ms.map(ms));
            let name = played.scene.lens.map(|cover| format!("{cover:?}").to_lowercase()).unwrap_or_default();
            let [hits, tries] = by_cover.entry(name).or_default();
            *hits += u32::from(in_time);
            *tries += 1;
        }
        with(with(tally.figure(), "by_cover", json!(by_cover)), "delay_ms", delay(&delays))
    }

    /// Phones that were the reason of a cover within 2 s of being held up.
    #[must_use]
    pub(super) fn phones(&self) -> Value {
        let told = self.phones_where(|_| true);
        if told.is_null() {
            return Value::Null;
        }
        let by = |key: &dyn Fn(&Played) -> String| {
            self.strata(Class::Phone, key, &|wanted| self.phones_where(wanted))
        };
        with(with(told, "by_light", by(&light)), "by_holder", by(&holder))
    }

    fn phones_where(&self, wanted: impl Fn(&Played) -> bool) -> Value {
        let (mut tally, mut delays) = (Tally::default(), Vec::new());
        let [mut otherwise, mut covered, mut not_open] = [0_u32; 3];
        for played in self.of(Class::Phone).filter(|played| wanted(played)) {
            let Some(raised) = played.raised else {
                not_open += 1;
                continue;
            };
            tally.add(f64::from(u8::from(raised.is_in_time())), self.kind(played));
            delays.extend(raised.noticed_ms.map(ms));
            otherwise += u32::from(raised.otherwise);
            covered += u32::from(raised.is_covered_in_time());
        }
        let mut figure = tally.figure();
        for (key, value) in [
            ("delay_ms", delay(&delays)),
            ("covered_otherwise", json!(otherwise)),
            ("covered_for_any_reason", json!(covered)),
            ("desktop_not_open", json!(not_open)),
        ] {
            figure = with(figure, key, value);
        }
        figure
    }

    /// Operators behind a phone whose desktop showed when it should have been gone: it came back, or never went.
    #[must_use]
    pub(super) fn reopened(&self) -> Value {
        let mut tally = Tally::default();
        let [mut late, mut never, mut face_seen, mut not_open] = [0_u32; 4];
        let mut longest_ms = 0;
        for played in self.of(Class::PhoneBeforeFace) {
            let Some(raised) = played.raised else {
                not_open += 1;
                continue;
            };
            tally.add(f64::from(u8::from(raised.visible_ms > 0)), self.kind(played));
            never += u32::from(raised.covered_ms.is_none());
            late += u32::from(raised.covered_ms.is_some() && !raised.is_covered_in_time());
            face_seen += u32::from(raised.face_ms > 0);
            longest_ms = raised.visible_ms.max(longest_ms);
        }
        let mut figure = tally.figure();
        for (key, value) in [
            ("covered_late", json!(late)),
            ("never_covered", json!(never)),
            ("visible_s_max", json!(ms(longest_ms) / 1e3)),
            // The phone did not hide all of it.
            ("face_seen", json!(face_seen)),
            ("desktop_not_open", json!(not_open)),
        ] {
            figure = with(figure, key, value);
        }
        figure
    }

    /// For how many seconds of its tries a print or a film of the operator showed the desktop, at most.
    #[must_use]
    pub(super) fn visible(&self, class: Class) -> Value {
        let all: Vec<f64> = self.of(class).map(|played| ms(played.visible_ms) / 1e3).collect();
        let kind = self.of(class).map(|played| self.kind(played)).min().unwrap_or(Kind::Synthetic);
        let opened = self.of(class).filter(|played| played.opened_ms.is_some()).count();
        let Some(most) = all.iter().copied().reduce(f64::max) else { return Value::Null };
        json!({
            "value": most, "n": all.len(), "opened": opened, "kind": kind.as_str(),
            "of_seconds": self.of(class).map(|played| played.scene.seconds).reduce(f64::max),
            "p50": percentile(&all, 0.5), "liveness": "passive",
        })
    }

    /// The weaker word of everybody in it.
    fn kind(&self, played: &Played) -> Kind {
        let scene = &played.scene;
        let all = scene.others.iter().map(|other| other.who).chain([scene.operator, scene.seated]);
        all.filter_map(|who| self.people.get(who)).map(|person| person.kind).min().unwrap_or(Kind::Synthetic)
    }
}

/// The distance of the onlooker.
#[must_use]
pub(super) fn metres(played: &Played) -> String {
    played.scene.others.first().map(|other| other.metres.to_string()).unwrap_or_default()
}

fn light(played: &Played) -> String {
    played.scene.light.as_str().to_owned()
}

/// Who raises the phone.
fn holder(played: &Played) -> String {
    let by_other = played.scene.raise.is_some_and(|raise| raise.by_other);
    if by_other { "second_person" } else { "operator" }.to_owned()
}

fn delay(values: &[f64]) -> Value {
    let most = values.iter().copied().reduce(f64::max);
    json!({ "p50": percentile(values, 0.5), "p95": percentile(values, 0.95), "max": most, "n": values.len() })
}

fn ms(ms: u64) -> f64 {
    count(usize::try_from(ms).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accuracy::classes::{QUICK, scenes};
    use crate::accuracy::play::Noticed;
    use crate::accuracy::raise::Raised;

    fn played(class: Class) -> Played {
        Played {
            scene: scenes(class, 3, &QUICK).remove(0),
            opened_ms: Some(2_300),
            noticed: None,
            counted_ms: 10_000,
            locked_ms: BTreeMap::new(),
            covers: 0,
            visible_ms: 0,
            lens_ms: None,
            raised: None,
            stranger: false,
            plain: [50, 0, 0],
            moment: None,
        }
    }

    #[test]
    fn a_desktop_that_never_opened_is_no_try_and_is_told() {
        let noticed = |delay_ms| Some(Noticed { delay_ms, shown: 20, seen: 20, ..Noticed::default() });
        let all = [
            Played { noticed: noticed(Some(1_100)), ..played(Class::Onlooker3m) },
            Played { noticed: noticed(None), ..played(Class::Onlooker3m) },
            Played { opened_ms: None, ..played(Class::Onlooker3m) },
        ];
        let figure = Outcome { people: &[], played: &all }.recall(Class::Onlooker3m);
        assert_eq!((&figure["value"], &figure["n"]), (&json!(0.5), &json!(2)));
        assert_eq!((&figure["desktop_not_open"], &figure["delay_ms"]["p95"]), (&json!(1), &json!(1_100.0)));
        assert_eq!(figure["by_metres"]["3"]["n"], json!(2));
        assert_eq!(Outcome { people: &[], played: &[] }.recall(Class::Onlooker3m), Value::Null);
    }

    #[test]
    fn a_lens_counts_within_a_second_and_a_picture_by_the_longest_time() {
        let lens = |lens_ms| Played { lens_ms, ..played(Class::Lens) };
        let all = [lens(Some(600)), lens(Some(1_100)), lens(None), Played { opened_ms: None, ..lens(None) }];
        let figure = Outcome { people: &[], played: &all }.lens();
        assert_eq!((&figure["n"], &figure["delay_ms"]["max"]), (&json!(3), &json!(1_100.0)));
        assert!((figure["value"].as_f64().unwrap() - 1.0 / 3.0).abs() < 1e-9);
        let print = |visible_ms| Played { visible_ms, ..played(Class::Print) };
        let all = [print(0), print(5_700)];
        let figure = Outcome { people: &[], played: &all }.visible(Class::Print);
        assert_eq!((&figure["value"], &figure["n"]), (&json!(5.7), &json!(2)));
    }

    #[test]
    fn a_phone_counts_by_its_own_reason_and_a_desktop_behind_one_by_any_sight_of_it() {
        let of = |class, raised| Played { raised, ..played(class) };
        let noticed = Raised { noticed_ms: Some(400), covered_ms: Some(400), ..Raised::default() };
        let otherwise = Raised { covered_ms: Some(300), otherwise: true, ..Raised::default() };
        let raised = [Some(noticed), Some(otherwise), Some(Raised::default()), None];
        let all = raised.map(|raised| of(Class::Phone, raised));
        let figure = Outcome { people: &[], played: &all }.phones();
        assert_eq!((&figure["n"], &figure["delay_ms"]["max"]), (&json!(3), &json!(400.0)));
        assert!((figure["value"].as_f64().unwrap() - 1.0 / 3.0).abs() < 1e-9);
        assert_eq!(
            ["covered_otherwise", "covered_for_any_reason", "desktop_not_open"].map(|key| &figure[key]),
            [&json!(1), &json!(2), &json!(1)]
        );
        assert_eq!(figure["by_holder"]["operator"]["n"], json!(3));
        let never = Raised { visible_ms: 6_000, face_ms: 200, ..Raised::default() };
        let all = [of(Class::PhoneBeforeFace, Some(noticed)), of(Class::PhoneBeforeFace, Some(never))];
        let figure = Outcome { people: &[], played: &all }.reopened();
        assert_eq!((&figure["value"], &figure["visible_s_max"]), (&json!(0.5), &json!(6.0)));
        assert_eq!((&figure["never_covered"], &figure["face_seen"]), (&json!(1), &json!(1)));
        let nothing = Outcome { people: &[], played: &[] };
        assert!(nothing.phones().is_null() && nothing.reopened().is_null());
    }

    #[test]
    fn lock_out_is_a_share_of_time_with_its_reasons() {
        let locked = Played {
            locked_ms: [("onlooker", 4_000)].into(),
            covers: 2,
            plain: [50, 25, 3],
            ..played(Class::Street)
        };
        let all = [locked, played(Class::Street)];
        let outcome = Outcome { people: &[], played: &all };
        let figure = outcome.lockout(Class::Street);
        assert_eq!((&figure["value"], &figure["n"]), (&json!(0.2), &json!(2)));
        assert_eq!(
            (&figure["seconds_by_reason"]["onlooker"], &figure["plain"]["value"]),
            (&json!(4.0), &json!(0.25))
        );
        let covers = outcome.false_covers(&[Class::Street]);
        assert_eq!((&covers["events"], &covers["plain"]["events"]), (&json!(2), &json!(3)));
        assert_eq!(outcome.lockout(Class::Alone), Value::Null);
    }
}
