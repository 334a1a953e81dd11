//! The operator's own wish to be covered: at once, for a while, and not forgotten when the seat looks well.

/// Covered for so long, unless the operator ends it. Long enough for a visitor to be greeted, and short enough for a key
/// that was pressed by mistake.
pub(super) const ASKED_MS: u64 = 10_000;

#[derive(Debug, Default)]
pub(super) struct Asked {
    until_ms: Option<u64>,
}

impl Asked {
    /// From now on; asked again, it begins anew.
    pub(super) fn begin(&mut self, now_ms: u64) {
        self.until_ms = Some(now_ms.saturating_add(ASKED_MS));
    }

    /// Nobody needs it any longer. An end that came before stays where it was.
    pub(super) fn end(&mut self, now_ms: u64) {
        self.until_ms = self.until_ms.map(|until_ms| until_ms.min(now_ms));
    }

    pub(super) fn holds(&self, now_ms: u64) -> bool {
        self.until_ms.is_some_and(|until_ms| now_ms < until_ms)
    }

    /// Since it ended; whoever looked on before that may still be there, so the view before it does not count.
    pub(super) fn ended_ago_ms(&self, now_ms: u64) -> u64 {
        self.until_ms.map_or(u64::MAX, |until_ms| now_ms.saturating_sub(until_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_until_its_end_and_an_end_is_never_later_than_it_was() {
        let mut asked = Asked::default();
        assert!(!asked.holds(0));
        assert_eq!(asked.ended_ago_ms(5), u64::MAX, "nothing was asked");
        asked.begin(1_000);
        assert!(asked.holds(1_000) && asked.holds(10_999) && !asked.holds(11_000));
        asked.end(3_000);
        asked.end(4_000);
        assert_eq!((asked.holds(3_000), asked.ended_ago_ms(4_500)), (false, 1_500));
        asked.begin(20_000);
        assert!(asked.holds(29_999));
    }
}
