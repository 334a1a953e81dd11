//! Who belongs where, and what that changes.

use std::cell::RefCell;

use super::*;
use crate::SigningKey;
use crate::eyes::Liveness;
use crate::records::{Signed, tests as records};

const DAY_MS: u64 = 24 * 3_600_000;
const ID: Id = [0xab; 16];

fn group(name: &str, members: &[&str]) -> Group {
    Group {
        name: name.into(),
        members: members.iter().map(|member| (*member).to_owned()).collect(),
        timings: BTreeMap::new(),
        eyes: None,
        observed_until_ms: None,
    }
}

fn policy(groups: Vec<Group>) -> Policy {
    Policy { not_after_ms: 400 * DAY_MS, groups: Some(groups), ..records::policy() }
}

fn of<'p>(policy: &'p Policy, user: &str, answer: Membership) -> Result<Option<&'p str>, GroupError> {
    let group = policy.group_of(&Person { user, device_id: &ID }, &|_| false, &|_| answer)?;
    Ok(group.map(|group| group.name.as_str()))
}

#[test]
fn the_first_group_that_names_somebody_applies() {
    let policy = policy(vec![
        group("board", &["ceo", "device:ABABABABABABABABABABABABABABABAB"]),
        group("staff", &["@staff"]),
        group("rest", &["*"]),
    ]);
    let of = |user, answer| of(&policy, user, answer).unwrap();
    assert_eq!(of("ceo", Membership::Member), Some("board"));
    // By the device, whoever sits at it.
    assert_eq!(of("anybody", Membership::NotMember), Some("board"));
    let other = Person { user: "bob", device_id: &[1; 16] };
    let asked = RefCell::new(Vec::new());
    let found = policy.group_of(&other, &|_| false, &|group| {
        asked.borrow_mut().push(group.to_owned());
        Membership::Member
    });
    assert_eq!(found.unwrap().map(|group| group.name.as_str()), Some("staff"));
    assert_eq!(asked.into_inner(), ["staff"]);
    let found = policy.group_of(&other, &|_| false, &|_| Membership::NotMember);
    assert_eq!(found.unwrap().map(|group| group.name.as_str()), Some("rest"));
}

#[test]
fn a_directory_that_does_not_answer_lets_nobody_out_of_a_group() {
    let policy = policy(vec![group("strict", &["@strict", "carol"])]);
    assert!(matches!(of(&policy, "bob", Membership::Unknown), Err(GroupError::Unknown { .. })));
    assert!(matches!(of(&policy, "bob", Membership::NoSuchGroup), Err(GroupError::NoSuchGroup { .. })));
    // Whoever is written there by name needs no directory.
    assert_eq!(of(&policy, "carol", Membership::Unknown).unwrap(), Some("strict"));
    // By any of their names.
    let alias = Person { user: "EXAMPLE\\carol", device_id: &ID };
    let found = policy.group_of(&alias, &|name| name == "carol", &|_| Membership::Unknown).unwrap();
    assert_eq!(found.map(|group| group.name.as_str()), Some("strict"));
}

#[test]
fn a_group_changes_the_policy_and_not_the_defaults() {
    let mut strict = group("strict", &["*"]);
    strict.timings = BTreeMap::from([("absence_ms".to_owned(), 3_000)]);
    let policy = policy(vec![strict]);
    let in_force = policy.in_force(Some("strict")).unwrap();
    assert_eq!((in_force.timings.hold_ms, in_force.timings.absence_ms), (500, 3_000));
    assert_eq!(policy.in_force(None).unwrap().timings.absence_ms, Timings::default().absence_ms);
    assert!(matches!(policy.in_force(Some("other")), Err(RecordError::NoGroup(_))));
    assert_eq!((policy.group_number(Some("strict")), policy.group_number(None)), (1, 0));
}

#[test]
fn whoever_is_not_compared_may_not_be_away_for_long() {
    let mut present = group("present", &["*"]);
    present.eyes = Some(EyesRules { recognition: Recognition::Presence, ..EyesRules::default() });
    let in_force = policy(vec![present.clone()]).in_force(Some("present")).unwrap();
    assert!(!in_force.recognises());
    assert_eq!(in_force.timings.absence_ms, PRESENCE_ABSENCE_MAX_MS);
    // A shorter one stays.
    present.timings = BTreeMap::from([("absence_ms".to_owned(), 2_000)]);
    assert_eq!(policy(vec![present]).in_force(Some("present")).unwrap().timings.absence_ms, 2_000);
}

#[test]
fn a_pilot_ends() {
    let mut pilot = group("pilot", &["*"]);
    pilot.observed_until_ms = Some(1_000 + 30 * DAY_MS);
    let signed =
        |group: &Group| Signed::sign(&SigningKey::from_bytes(&[1; 32]), &policy(vec![group.clone()]));
    signed(&pilot).unwrap();
    let in_force = policy(vec![pilot.clone()]).in_force(Some("pilot")).unwrap();
    assert!(in_force.is_observed(30 * DAY_MS) && !in_force.is_observed(1_000 + 30 * DAY_MS));
    pilot.observed_until_ms = Some(1_001 + 30 * DAY_MS);
    assert_eq!(signed(&pilot), Err(RecordError::ObservedTooLong("pilot".into())));
}

#[test]
fn groups_that_nobody_could_follow_are_not_signed() {
    let key = SigningKey::from_bytes(&[1; 32]);
    let sign = |groups| Signed::sign(&key, &policy(groups)).unwrap_err();
    assert_eq!(sign(vec![group("a", &["x"]), group("a", &["y"])]), RecordError::GroupTwice("a".into()));
    assert!(matches!(sign(vec![group("a", &[])]), RecordError::GroupMembers { count: 0, .. }));
    assert!(matches!(sign(vec![group("", &["x"])]), RecordError::Text { .. }));
    assert!(matches!(sign(vec![group("a", &["\u{202e}"])]), RecordError::Text { .. }));
    assert_eq!(sign(vec![group("a", &["x"]); GROUPS_MAX + 1]), RecordError::Groups(GROUPS_MAX + 1));
    let mut wild = group("a", &["x"]);
    wild.timings = BTreeMap::from([("hold_ms".to_owned(), 60_000)]);
    assert!(matches!(sign(vec![wild.clone()]), RecordError::Timing(_)));
    wild.timings = BTreeMap::from([("lease_ms".to_owned(), 5_000)]);
    assert!(matches!(sign(vec![wild.clone()]), RecordError::GroupTiming { .. }));
    wild.timings.clear();
    wild.eyes = Some(EyesRules { liveness: Liveness::LightRequired, ..EyesRules::default() });
    assert!(matches!(sign(vec![wild]), RecordError::Eyes(_)));
}
