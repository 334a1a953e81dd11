//! What a policy sets for some people only: their timings, their eyes, and how far Sudare goes with them.
//!
//! ```text
//!  policy ── groups, in order ── the first that names this person ──► InForce: timings, eyes, observed until
//!               │ nobody does                                           ▲
//!               └── what the policy sets for everybody ─────────────────┘
//! ```
//! The host finds the group, because only its name service knows who belongs to which; READY names it, and both ends
//! reckon with the same signed values. A group of the name service that cannot be asked is no answer: nobody may fall
//! out of a strict group because a directory is down.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};

use crate::eyes::{EyesRules, Recognition};
use crate::limits::{GROUP_MEMBERS_MAX, GROUPS_MAX};
use crate::message::Id;
use crate::records::{Policy, Record as _, RecordError, text};
use crate::timings::Timings;

/// Before the name of a group of the host's name service, in `members` and wherever else users are listed.
pub const OF_HOST: char = '@';
/// Timings that are the same for everybody: what an attestation is worth does not depend on who sits there, and whoever
/// reads a log needs no group to know it.
const OF_HOST_ONLY: [&str; 2] = ["attestation_interval_ms", "lease_ms"];
/// Whoever the host knows, in the same places.
pub const EVERYBODY: &str = "*";
/// Before the id of a device, in the same place.
pub const DEVICE: &str = "device:";
/// The longest that a policy may only observe: a pilot ends.
pub const OBSERVED_MAX_MS: u64 = 30 * 24 * 3_600_000;
/// Without comparing faces an empty seat is all that tells one person from the next, so it must not stay open for long.
pub const PRESENCE_ABSENCE_MAX_MS: u64 = 5_000;

/// Some people, and what differs for them.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Group {
    /// For people and for READY; different within a policy.
    #[n(0)]
    pub name: String,
    /// User names, `@group` for those of a group of the host, `device:<id>`, or `*`.
    #[n(1)]
    pub members: Vec<String>,
    /// Timings that differ from the policy's, by name.
    #[n(2)]
    pub timings: BTreeMap<String, u64>,
    /// Instead of the policy's.
    #[n(3)]
    pub eyes: Option<EyesRules>,
    /// Until then (Unix milliseconds) nothing that the eyes see covers these people: it is decided and recorded only.
    #[n(4)]
    pub observed_until_ms: Option<u64>,
}

/// Whose session it is.
#[derive(Debug, Clone, Copy)]
pub struct Person<'a> {
    pub user: &'a str,
    pub device_id: &'a Id,
}

/// What the host's name service says of a user and a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    Member,
    NotMember,
    /// The name service knows no such group.
    NoSuchGroup,
    /// The name service did not answer.
    Unknown,
}

/// Why nobody can tell what applies to a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    #[error(
        "the policy's group {name:?} is for members of {of_host:?}, and this host knows no such group. The security team must correct the policy, or the VDI admin must make that group"
    )]
    NoSuchGroup { name: String, of_host: String },
    #[error(
        "the policy's group {name:?} is for members of {of_host:?}, and this host's directory does not answer. The VDI admin must look at it (`getent group`)"
    )]
    Unknown { name: String, of_host: String },
}

/// What a policy sets for one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// The group, if one names this person.
    pub group: Option<String>,
    pub timings: Timings,
    pub eyes: EyesRules,
    /// Until then what is seen is recorded, and does not cover.
    pub observed_until_ms: Option<u64>,
}

impl InForce {
    /// Whether faces are compared with the operator's.
    pub fn recognises(&self) -> bool {
        self.eyes.recognition != Recognition::Presence
    }

    /// Whether what is seen does not cover at this moment.
    pub fn is_observed(&self, wall_ms: u64) -> bool {
        self.observed_until_ms.is_some_and(|until_ms| wall_ms < until_ms)
    }
}

impl Policy {
    /// The group of a person: the first that names them. `is_user` says whether a name is another one of theirs.
    ///
    /// # Errors
    /// Whether they belong to a group of the host cannot be told before the answer is clear.
    pub fn group_of(
        &self,
        person: &Person<'_>,
        is_user: &dyn Fn(&str) -> bool,
        membership: &dyn Fn(&str) -> Membership,
    ) -> Result<Option<&Group>, GroupError> {
        for group in self.groups() {
            if group.names(person, is_user, membership)? {
                return Ok(Some(group));
            }
        }
        Ok(None)
    }

    /// What applies to a group of this policy, or to everybody else.
    ///
    /// # Errors
    /// There is no such group, or its values contradict each other.
    pub fn in_force(&self, group: Option<&str>) -> Result<InForce, RecordError> {
        let found = group.map(|name| {
            let by_name = self.groups().iter().find(|group| group.name == name);
            by_name.ok_or_else(|| RecordError::NoGroup(name.to_owned()))
        });
        let found = found.transpose()?;
        let mut timings = Timings::default();
        let changes = self.timings.iter().chain(found.iter().flat_map(|group| &group.timings));
        for (name, value) in changes {
            timings.set(name, *value)?;
        }
        let eyes = found.and_then(|group| group.eyes).unwrap_or_else(|| self.eyes());
        if eyes.recognition == Recognition::Presence {
            timings.absence_ms = timings.absence_ms.min(PRESENCE_ABSENCE_MAX_MS);
        }
        timings.check()?;
        let observed_until_ms = found.and_then(|group| group.observed_until_ms);
        Ok(InForce { group: group.map(str::to_owned), timings, eyes, observed_until_ms })
    }

    /// The number of a group in the log: its place in the policy, from 1; 0 = none.
    pub fn group_number(&self, name: Option<&str>) -> u64 {
        let place = name.and_then(|name| self.groups().iter().position(|group| group.name == name));
        place.map_or(0, |place| place as u64 + 1)
    }

    pub fn groups(&self) -> &[Group] {
        self.groups.as_deref().unwrap_or_default()
    }

    pub(crate) fn check_groups(&self) -> Result<(), RecordError> {
        let groups = self.groups();
        if groups.len() > GROUPS_MAX {
            return Err(RecordError::Groups(groups.len()));
        }
        for (i, group) in groups.iter().enumerate() {
            group.check(self.not_before_ms)?;
            if groups.iter().take(i).any(|before| before.name == group.name) {
                return Err(RecordError::GroupTwice(group.name.clone()));
            }
            self.in_force(Some(&group.name))?;
        }
        Ok(())
    }
}

impl Group {
    fn names(
        &self,
        person: &Person<'_>,
        is_user: &dyn Fn(&str) -> bool,
        membership: &dyn Fn(&str) -> Membership,
    ) -> Result<bool, GroupError> {
        let mut unclear = None;
        for member in &self.members {
            let Some(of_host) = member.strip_prefix(OF_HOST) else {
                if is_named(member, person, is_user) {
                    return Ok(true);
                }
                continue;
            };
            let (name, of_host) = (self.name.clone(), of_host.to_owned());
            match membership(&of_host) {
                Membership::Member => return Ok(true),
                Membership::NotMember => {}
                Membership::NoSuchGroup => unclear = Some(GroupError::NoSuchGroup { name, of_host }),
                Membership::Unknown => unclear = Some(GroupError::Unknown { name, of_host }),
            }
        }
        // A name that is written there needs no directory.
        unclear.map_or(Ok(false), Err)
    }

    fn check(&self, from_ms: u64) -> Result<(), RecordError> {
        text(&self.name, Policy::KIND)?;
        if self.members.is_empty() || self.members.len() > GROUP_MEMBERS_MAX {
            return Err(RecordError::GroupMembers { name: self.name.clone(), count: self.members.len() });
        }
        self.members.iter().try_for_each(|member| text(member, Policy::KIND))?;
        if let Some(timing) = self.timings.keys().find(|name| OF_HOST_ONLY.contains(&name.as_str())) {
            return Err(RecordError::GroupTiming { name: self.name.clone(), timing: timing.clone() });
        }
        self.eyes.map_or(Ok(()), |eyes| eyes.check())?;
        let too_long = |until_ms: u64| until_ms.saturating_sub(from_ms) > OBSERVED_MAX_MS;
        if self.observed_until_ms.is_some_and(too_long) {
            return Err(RecordError::ObservedTooLong(self.name.clone()));
        }
        Ok(())
    }
}

fn is_named(member: &str, person: &Person<'_>, is_user: &dyn Fn(&str) -> bool) -> bool {
    match member.strip_prefix(DEVICE) {
        Some(id) => id.eq_ignore_ascii_case(&crate::hex::hex(person.device_id)),
        None => member == EVERYBODY || member == person.user || is_user(member),
    }
}

#[cfg(test)]
mod tests;
