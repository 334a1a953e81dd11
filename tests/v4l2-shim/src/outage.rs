//! When something is wrong with the camera.

use crate::plan::{Outage, Trouble, When};

/// Follows the plan. Pure: time, pictures and the file are arguments.
#[derive(Debug)]
pub struct Outages {
    plan: Option<Outage>,
    since_ms: Option<u64>,
    file_exists: bool,
}

impl Outages {
    #[must_use]
    pub fn new(plan: Option<Outage>) -> Self {
        Self { plan, since_ms: None, file_exists: false }
    }

    /// Notes whether the file of [`When::While`] exists.
    pub fn note_file(&mut self, exists: bool) {
        self.file_exists = exists;
    }

    /// What is wrong now, after so many pictures.
    pub fn now(&mut self, sent: u64, now_ms: u64) -> Option<Trouble> {
        let plan = self.plan.as_ref()?;
        let is_now = match plan.when {
            When::While(_) => self.file_exists,
            When::After { pictures, .. } if sent < pictures => false,
            When::After { lasts_ms, .. } => {
                let since_ms = *self.since_ms.get_or_insert(now_ms);
                lasts_ms.is_none_or(|lasts_ms| now_ms.saturating_sub(since_ms) < lasts_ms)
            }
        };
        is_now.then_some(plan.trouble)
    }

    /// How long it lasts, where the plan says so.
    #[must_use]
    pub fn lasts_ms(&self) -> Option<u64> {
        match self.plan.as_ref()?.when {
            When::After { lasts_ms, .. } => lasts_ms,
            When::While(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_after_its_pictures_and_lasts_its_time_once() {
        let when = When::After { pictures: 2, lasts_ms: Some(100) };
        let mut outages = Outages::new(Some(Outage { trouble: Trouble::Io, when }));
        let seen =
            [(0, 0), (1, 900), (2, 1000), (2, 1099), (2, 1100), (9, 5000)].map(|(n, t)| outages.now(n, t));
        assert_eq!(seen, [None, None, Some(Trouble::Io), Some(Trouble::Io), None, None]);
        assert_eq!(Outages::new(None).now(9, 9), None);
    }

    #[test]
    fn it_comes_and_goes_with_its_file() {
        let when = When::While("file".into());
        let mut outages = Outages::new(Some(Outage { trouble: Trouble::Unplug, when }));
        for exists in [false, true, false, true] {
            outages.note_file(exists);
            assert_eq!(outages.now(0, 0).is_some(), exists);
        }
    }
}
