//! Every device of a host with how it was let in and whether it is let in now, for people who look after it.

use sudare_protocol::enrol::Admission;
use sudare_protocol::message::Id;
use sudare_protocol::records::{DeviceRecord, Policy};

use super::{Registry, RegistryError, ids_in};

/// Who let a device in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// The organisation signed its record.
    Organisation,
    /// Somebody whom the organisation lets invite.
    Invitation { enroller: String, number: u32 },
}

/// Whether a device is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    Usable,
    /// The admin has not let it in yet.
    Waiting,
    Revoked,
    /// Its consent was taken back.
    Withdrawn,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    Early,
    /// Nobody has enrolled an operator on it.
    NoOperator,
    /// What the host has of it cannot be used, and why.
    Unusable(String),
}

/// A device. Where its record cannot be read, only its id is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub device_id: Id,
    pub standing: Standing,
    pub operators: usize,
    pub known: Option<Known>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub user: String,
    pub way: Way,
    pub not_before_ms: u64,
    pub not_after_ms: u64,
}

impl Registry {
    /// All devices, those that wait and those that are revoked included, by their ids. By the policy some need no operator.
    pub fn overview(&self, now_ms: u64, policy: Option<&Policy>) -> Result<Vec<Listed>, RegistryError> {
        let ids = self.list()?;
        // One that is let in and was invited anew is there twice: as what it is, and as what it asks for.
        let waiting = ids_in(&self.dir.join("seats"), "waiting")?;
        // One that cannot be read waits for nobody: see `Registry::waiting`.
        let waits = |id: Id| {
            let admission = self.admission(&self.seat(&id, "waiting")).ok()??;
            let known = Some(by_invitation(&admission));
            Some(Listed { device_id: id, standing: Standing::Waiting, operators: 0, known })
        };
        let mut all: Vec<Listed> = waiting.into_iter().filter_map(waits).collect();
        all.extend(ids.iter().filter_map(|id| self.listed(id, now_ms, policy)));
        all.sort_by_key(|device| device.device_id);
        Ok(all)
    }

    fn listed(&self, id: &Id, now_ms: u64, policy: Option<&Policy>) -> Option<Listed> {
        let known = self.known(id);
        let is_refused = self.path(id, "revoked").exists();
        let (standing, operators) = match self.device(id) {
            // A gate wrote it as if it had been approved: it counts for nothing.
            Ok(None) => return None,
            Ok(Some(device)) => {
                let operators = device.templates.len();
                let needs_one = policy.is_none_or(|policy| self.is_compared(&device.record, policy));
                let standing = match () {
                    () if device.revoked => Standing::Revoked,
                    () if device.withdrawn => Standing::Withdrawn,
                    () => at(&device.record, operators > 0 || !needs_one, now_ms),
                };
                (standing, operators)
            }
            Err(_) if is_refused => (Standing::Revoked, 0),
            Err(error) => (Standing::Unusable(error.to_string()), 0),
        };
        Some(Listed { device_id: *id, standing, operators, known })
    }

    fn known(&self, id: &Id) -> Option<Known> {
        for path in [self.path(id, "record"), self.seat(id, "record")] {
            if let Ok(Some(admission)) = self.admission(&path) {
                return Some(by_invitation(&admission));
            }
        }
        let (record, ..) = self.record(id).ok()??;
        Some(of(&record, Way::Organisation))
    }
}

fn at(record: &DeviceRecord, has_operator: bool, now_ms: u64) -> Standing {
    match () {
        () if now_ms < record.not_before_ms => Standing::Early,
        () if now_ms > record.not_after_ms => Standing::Expired,
        () if !has_operator => Standing::NoOperator,
        () => Standing::Usable,
    }
}

fn by_invitation(admission: &Admission) -> Known {
    let (by, invitation) = (admission.invited().enroller(), admission.invited().invitation());
    of(&admission.device(), Way::Invitation { enroller: by.name.clone(), number: invitation.number })
}

fn of(record: &DeviceRecord, way: Way) -> Known {
    Known {
        user: record.user.clone(),
        way,
        not_before_ms: record.not_before_ms,
        not_after_ms: record.not_after_ms,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use sudare_protocol::eyes::{EyesRules, Recognition};
    use sudare_protocol::groups::Group;
    use sudare_protocol::host::Devices as _;

    use super::super::seats::tests::{admission, id, registry, template, withdrawal};
    use super::super::tests::enrolled;
    use super::*;
    use crate::fleet::tests::plain_policy;

    #[test]
    fn each_device_says_how_it_came_and_whether_it_is_let_in() {
        let dir = tempfile::tempdir().unwrap();
        let registry = registry(dir.path());
        let waits = admission(4, "alice", true);
        registry.admit(&waits, Some(&template())).unwrap();
        let signed = enrolled(&registry);
        let standing = |id: &Id, now_ms| {
            let all = registry.overview(now_ms, None).unwrap();
            all.into_iter().find(|device| device.device_id == *id).unwrap()
        };
        let waiting = standing(&id(4), 5);
        let desk = Way::Invitation { enroller: "desk".into(), number: 1 };
        assert_eq!((waiting.standing, waiting.known.unwrap().way), (Standing::Waiting, desk.clone()));
        registry.approve(&id(4)).unwrap();
        let approved = standing(&id(4), 5);
        assert_eq!((approved.standing, approved.operators), (Standing::Usable, 1));
        let known = approved.known.unwrap();
        assert_eq!((known.user.as_str(), known.way), ("alice", desk));

        let bare = standing(&signed, 5);
        assert_eq!((bare.standing, bare.known.unwrap().way), (Standing::NoOperator, Way::Organisation));
        registry.add_operator(&signed, template()).unwrap();
        assert_eq!(standing(&signed, 5).standing, Standing::Usable);
        assert_eq!(standing(&signed, u64::MAX).standing, Standing::Expired);
        fs::write(registry.path(&signed, "operators"), b"torn").unwrap();
        assert!(matches!(standing(&signed, 5).standing, Standing::Unusable(_)));
        registry.revoke(&signed).unwrap();
        assert_eq!(standing(&signed, 5).standing, Standing::Revoked);
        assert_eq!(registry.overview(5, None).unwrap().len(), 2);
    }

    #[test]
    fn where_nobody_is_compared_nobody_needs_an_operator() {
        let dir = tempfile::tempdir().unwrap();
        let registry = registry(dir.path());
        registry.admit(&admission(4, "alice", false), None).unwrap();
        let standing = |policy: &Policy| registry.overview(5, Some(policy)).unwrap().remove(0).standing;
        assert_eq!(standing(&policy(&["alice"])), Standing::Usable);
        assert_eq!(standing(&policy(&["bob"])), Standing::NoOperator);
        // Nobody knows whether she belongs to it.
        assert_eq!(standing(&policy(&["@no-such-group", "bob"])), Standing::NoOperator);
        registry.withdraw(&id(4), &withdrawal(4)).unwrap();
        assert_eq!(standing(&policy(&["alice"])), Standing::Withdrawn);
    }

    /// One that compares everybody but these.
    fn policy(members: &[&str]) -> Policy {
        let eyes = EyesRules { recognition: Recognition::Presence, ..EyesRules::default() };
        let group = Group {
            name: "present".into(),
            members: members.iter().map(|member| (*member).to_owned()).collect(),
            timings: [].into(),
            eyes: Some(eyes),
            observed_until_ms: None,
        };
        Policy { groups: Some(vec![group]), ..plain_policy() }
    }

    #[test]
    fn a_record_that_a_gate_wrote_as_if_it_were_approved_is_listed_as_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let registry = registry(dir.path());
        let waits = admission(4, "alice", true);
        registry.admit(&waits, Some(&template())).unwrap();
        fs::write(registry.seat(&id(4), "record"), waits.bytes()).unwrap();
        let all = registry.overview(5, None).unwrap();
        assert_eq!(all.iter().map(|device| &device.standing).collect::<Vec<_>>(), [&Standing::Waiting]);
    }
}
