//! Decides when the session is covered. Pure: events and time in, actions out.
//!
//! ```text
//!  link, attestations, lock/unlock, cover health, time
//!            │
//!            ▼            None = may be shown
//!     why_cover() ──► Reason ──► Cover ─ painted ─► status "covered"
//!            │ None, and released()
//!            └────────────────► Uncover ─ painted ─► status "visible"
//! ```
//! Every unknown means cover. The host bounds absence, hold and undecided time itself from the
//! ages in the attestations, so a client that is stuck (or wishes to be) cannot stretch them.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

mod liveness;
mod pilot;

use sudare_protocol::evidence::event::LivenessResult;
use sudare_protocol::eyes::EyesRules;
use sudare_protocol::host::Attested;
use sudare_protocol::light::{Light, Lit};
use sudare_protocol::limits::{CLOCK_JUMP_MS, FRAME_STALE_MS};
use sudare_protocol::message::{Attest, Id, Lock, Shown, Status, Suspect};
use sudare_protocol::reason::{Reason, State};
use sudare_protocol::timings::Timings;

use self::liveness::Liveness;
pub use self::liveness::Prompt;
use self::pilot::Pilot;

/// A cover that stays unconfirmed for longer cannot be relied on: the session is disconnected.
pub const COVER_CONFIRM_MAX_MS: u64 = 2_000;
/// A client with the extension opens the channel within this time of its log-on.
pub const CLIENT_START_MS: u64 = 5_000;

/// What happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// The handshake is complete.
    LinkUp {
        timings: Timings,
        /// Until then what is seen is recorded only.
        observed_until_ms: Option<u64>,
    },
    /// There is no client, or it can no longer be trusted.
    LinkDown {
        reason: Reason,
    },
    /// What must show that somebody alive is there, and what this client can measure of it. Before `LinkUp`.
    Eyes {
        rules: EyesRules,
        measures: u8,
    },
    /// The client measured what the cover showed.
    Lit(Lit),
    Attested(Attested),
    Suspect(Suspect),
    Lock(Lock),
    Unlock,
    /// The operator began or ended a break, with a key on the cover.
    Break(bool),
    /// The cover was drawn or taken away, and this was confirmed.
    Painted(Shown),
    /// Whether evidence can be kept, where the policy requires it.
    EvidenceKept(bool),
    /// Whose desktop it is.
    Owner(Whose),
    Tick,
}

/// Whose desktop it is, seen from the operator for whom the device is enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The operator's own, or nobody's: a log-on screen. Also where nothing can tell, and the policy has decided.
    Own,
    /// Not known yet, or somebody is signing in.
    Pending,
    /// Somebody else's, or it cannot be told.
    Other,
}

impl Whose {
    fn why_cover(self) -> Option<Reason> {
        match self {
            Self::Own => None,
            Self::Pending => Some(Reason::Starting),
            Self::Other => Some(Reason::OtherUser),
        }
    }
}

/// What to do about it, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Take a screenshot to memory: at the first suspicion, or at a cover.
    Screenshot(Shot),
    /// The suspicion came to nothing: forget its screenshot.
    DropSuspect,
    Cover(Reason),
    Uncover,
    /// Ask the client to measure the light that follows.
    Measure(Light),
    /// Light the cover with this colour, or put it back to black.
    Light(Option<[u8; 3]>),
    /// Say this on the cover.
    Prompt(Prompt),
    /// A check of liveness is over; worth an entry in the log.
    Checked {
        result: LivenessResult,
        /// The desktop opens because of it.
        opened: bool,
    },
    /// Tell the client what is shown now.
    Status(Status),
    /// An incident began; its screenshots were requested by an earlier action.
    OpenIncident {
        incident_id: Id,
        reason: Reason,
    },
    /// A pilot: this would have covered. Worth an entry in the log.
    Observed(Reason),
    /// A silence ended well: worth an entry in the log, but no incident.
    Gap {
        ms: u64,
    },
    /// The cover cannot be confirmed.
    Disconnect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shot {
    Suspect,
    Cover,
}

/// What an authenticated client has said.
#[derive(Debug)]
struct Link {
    timings: Timings,
    lease_until_ms: u64,
    latest: Option<Latest>,
    /// The client's own lock, until it asks to unlock.
    latch: Option<Reason>,
    /// Since when every attestation was clear, by the host's clock.
    clear_since_ms: Option<u64>,
    undecided_used_ms: u64,
}

#[derive(Debug, Clone, Copy)]
struct Latest {
    attest: Attest,
    received_ms: u64,
    nonce_issued_ms: u64,
}

/// A silence in progress; the view was clear before it.
#[derive(Debug, Clone, Copy)]
struct Silence {
    since_ms: u64,
    incident_id: Id,
}

/// The decision as it stands, and what it rests on.
#[derive(Debug)]
pub struct Decider {
    link: Option<Link>,
    /// Why there is no link.
    no_link: Reason,
    shown: Shown,
    reason: Reason,
    incident_id: Option<Id>,
    /// A cover or uncover that was requested and is not confirmed yet.
    pending: Option<(Shown, u64)>,
    silence: Option<Silence>,
    liveness: Liveness,
    pilot: Pilot,
    owner: Whose,
    suspect: bool,
    evidence_kept: bool,
    jumped: bool,
    on_break: bool,
    was_visible: bool,
    started_ms: u64,
    last_ms: u64,
}

impl Decider {
    /// A new session. It is covered: every screen starts black.
    pub fn new(now_ms: u64) -> Self {
        Decider {
            link: None,
            no_link: Reason::Starting,
            shown: Shown::Covered,
            reason: Reason::None,
            incident_id: None,
            pending: Some((Shown::Covered, now_ms)),
            silence: None,
            liveness: Liveness::off(),
            pilot: Pilot::default(),
            owner: Whose::Own,
            suspect: false,
            evidence_kept: true,
            jumped: false,
            on_break: false,
            was_visible: false,
            started_ms: now_ms,
            last_ms: now_ms,
        }
    }

    /// Whether desktop pixels may leave, as last decided.
    pub fn shown(&self) -> Shown {
        self.shown
    }

    /// Why it is covered, as last decided.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    pub fn incident_id(&self) -> Option<Id> {
        self.incident_id
    }

    /// Why the client keeps it covered, until it asks to unlock.
    pub fn latch(&self) -> Option<Reason> {
        self.link.as_ref().and_then(|link| link.latch)
    }

    /// Takes one event at `now_ms` (CLOCK_BOOTTIME). `fresh` is 16 random bytes, used if an incident begins.
    pub fn handle(&mut self, now_ms: u64, event: Event, fresh: Id) -> Vec<Action> {
        let mut actions = Vec::new();
        self.advance(now_ms);
        let mut wanted_id = None;
        let greets = matches!(event, Event::LinkUp { .. });
        match event {
            Event::Tick => {}
            Event::LinkUp { timings, observed_until_ms } => {
                self.link = Some(Link::new(timings));
                self.pilot = Pilot::until(observed_until_ms, now_ms);
            }
            Event::LinkDown { reason } => {
                (self.link, self.no_link, self.pilot) = (None, reason, Pilot::default());
                self.liveness.abandon(&mut actions);
                self.liveness.end_with_client();
            }
            Event::Eyes { rules, measures } => {
                self.liveness.abandon(&mut actions);
                self.liveness.begin_with(rules, measures);
            }
            Event::Lit(lit) => self.lit(&lit, now_ms, &mut actions),
            Event::Attested(attested) => {
                self.jumped = false;
                if let Some(link) = &mut self.link {
                    link.attested(attested, now_ms);
                }
            }
            Event::Suspect(suspect) => self.suspect(suspect.active, &mut actions),
            Event::Lock(lock) => {
                wanted_id = Some(lock.incident_id);
                if let Some(link) = &mut self.link {
                    link.latch =
                        Some(if lock.reason == Reason::None { Reason::ClientAsked } else { lock.reason });
                }
            }
            Event::Unlock => {
                if let Some(link) = &mut self.link {
                    link.latch = None;
                }
            }
            Event::Break(on) => self.take_break(on),
            Event::Painted(shown) => self.painted(shown, now_ms, &mut actions),
            Event::EvidenceKept(kept) => self.evidence_kept = kept,
            Event::Owner(owner) => self.owner = owner,
        }
        self.liveness.advance(now_ms, &mut actions);
        self.settle_silence(now_ms, &mut actions);
        self.decide(now_ms, fresh, wanted_id, &mut actions);
        // A client that has just connected knows nothing yet, even if its coming changes nothing.
        let told = actions.iter().any(|action| matches!(action, Action::Status(_)));
        if greets && !told && self.pending.is_none() {
            actions.push(self.status(now_ms));
        }
        actions
    }

    /// Accounts for the time since the last event. A long gap means that this process did not run: nothing
    /// that was attested before still holds.
    fn advance(&mut self, now_ms: u64) {
        let passed_ms = now_ms.saturating_sub(self.last_ms);
        self.last_ms = self.last_ms.max(now_ms);
        if passed_ms > CLOCK_JUMP_MS {
            self.jumped = true;
            // No confirmation could arrive meanwhile: its time starts now.
            self.pending = self.pending.map(|(shown, _)| (shown, now_ms));
            if let Some(link) = &mut self.link {
                (link.latest, link.lease_until_ms, link.clear_since_ms) = (None, 0, None);
            }
        }
        if let Some(link) = &mut self.link {
            link.charge_undecided(passed_ms);
        }
    }

    fn suspect(&mut self, active: bool, actions: &mut Vec<Action>) {
        if active == self.suspect {
            return;
        }
        self.suspect = active;
        if active && self.shown == Shown::Visible {
            actions.push(Action::Screenshot(Shot::Suspect));
        } else if !active && self.shown == Shown::Visible {
            actions.push(Action::DropSuspect);
        }
    }

    /// An answer counts only if the view was clear from before the check until now.
    fn lit(&mut self, lit: &Lit, now_ms: u64, actions: &mut Vec<Action>) {
        let clear_since_ms = self.link.as_ref().and_then(|link| link.clear_since_ms);
        let unbroken =
            clear_since_ms.zip(self.liveness.begun_ms()).is_some_and(|(clear, begun)| clear <= begun);
        self.liveness.answered(lit, unbroken, now_ms, actions);
    }

    /// During a break the camera is off, so what was attested before it no longer holds after it.
    fn take_break(&mut self, on: bool) {
        if self.on_break
            && !on
            && let Some(link) = &mut self.link
        {
            (link.latest, link.clear_since_ms) = (None, None);
        }
        self.on_break = on;
    }

    fn status(&self, now_ms: u64) -> Action {
        let (shown, reason, incident_id) = (self.shown, self.reason, self.incident_id);
        Action::Status(Status { shown, reason, boot_ms: now_ms, incident_id })
    }

    fn painted(&mut self, shown: Shown, now_ms: u64, actions: &mut Vec<Action>) {
        // A late confirmation of something that is no longer wanted means nothing.
        if shown != self.shown {
            return;
        }
        self.pending = None;
        actions.push(self.status(now_ms));
    }

    /// A silence with an unbroken clear view on both sides is a fault of the network, not an incident.
    fn settle_silence(&mut self, now_ms: u64, actions: &mut Vec<Action>) {
        let Some(silence) = self.silence else { return };
        let lasted_ms = now_ms.saturating_sub(silence.since_ms);
        let limit_ms = self.link.as_ref().map_or(0, |l| l.timings.silence_ms);
        let latest = self.link.as_ref().and_then(|l| l.latest).filter(|l| l.received_ms > silence.since_ms);
        let ended_well = latest.is_some_and(|l| {
            l.attest.state == State::Clear && !l.attest.cover && l.attest.clear_ms >= lasted_ms
        });
        if ended_well && lasted_ms <= limit_ms {
            actions.push(Action::Gap { ms: lasted_ms });
            if let Some(link) = &mut self.link {
                // The view was clear for longer than the silence lasted: there is nothing to wait for.
                link.clear_since_ms = Some(silence.since_ms.saturating_sub(link.timings.release_ms));
            }
            (self.silence, self.incident_id) = (None, None);
        } else if latest.is_some() || lasted_ms > limit_ms || self.link.is_none() {
            self.incident_id = Some(silence.incident_id);
            self.liveness.doubt();
            actions.push(Action::OpenIncident { incident_id: silence.incident_id, reason: Reason::LinkLost });
            self.silence = None;
        }
    }

    /// `fresh` is the host's own randomness; `wanted_id` is the client's name for an incident that begins.
    fn decide(&mut self, now_ms: u64, fresh: Id, wanted_id: Option<Id>, actions: &mut Vec<Action>) {
        let incident_id = wanted_id.unwrap_or(fresh);
        let why = self.why_cover(now_ms);
        match self.observe(why, now_ms, incident_id, actions) {
            Some(reason) => {
                self.liveness.abandon(actions);
                self.cover(reason, now_ms, incident_id, actions);
            }
            None if self.shown == Shown::Covered && self.pilot.is_on(now_ms) => self.uncover(now_ms, actions),
            None if self.shown == Shown::Covered && self.released(now_ms) => {
                // A check begins on a cover that is confirmed, and not without randomness, or it could be known.
                let fresh = Some(fresh).filter(|fresh| self.pending.is_none() && *fresh != [0; 16]);
                if self.liveness.prove(now_ms, fresh, actions) {
                    self.uncover(now_ms, actions);
                } else if let Some(reason) = self.liveness.denies() {
                    self.cover(reason, now_ms, incident_id, actions);
                }
            }
            None => {}
        }
        if let Some((Shown::Covered, asked_ms)) = self.pending
            && now_ms.saturating_sub(asked_ms) > COVER_CONFIRM_MAX_MS
        {
            self.pending = None;
            actions.push(Action::Disconnect);
        }
    }

    fn uncover(&mut self, now_ms: u64, actions: &mut Vec<Action>) {
        (self.shown, self.reason, self.incident_id) = (Shown::Visible, Reason::None, None);
        self.was_visible = true;
        self.pending = Some((Shown::Visible, now_ms));
        actions.push(Action::Uncover);
    }

    fn cover(&mut self, reason: Reason, now_ms: u64, incident_id: Id, actions: &mut Vec<Action>) {
        let from_visible = self.shown == Shown::Visible;
        if !from_visible && reason == self.reason {
            return;
        }
        if from_visible {
            actions.push(Action::Screenshot(Shot::Cover));
            self.pending = Some((Shown::Covered, now_ms));
        }
        (self.shown, self.reason) = (Shown::Covered, reason);
        self.liveness.covered(reason, from_visible, now_ms);
        actions.push(Action::Cover(reason));
        if !from_visible && self.pending.is_none() {
            // Only the words change; the cover itself is confirmed already.
            actions.push(self.status(now_ms));
        }
        // Only what was visible can have been seen; a worse reason later is the same incident.
        let is_new = self.incident_id.is_none() && self.was_visible && self.silence.is_none();
        if reason.is_incident() && is_new {
            let clear_before =
                self.link.as_ref().and_then(|l| l.latest).is_some_and(|l| l.attest.state == State::Clear);
            if reason == Reason::LinkLost && clear_before && from_visible {
                self.silence = Some(Silence { since_ms: now_ms, incident_id });
            } else {
                self.incident_id = Some(incident_id);
                actions.push(Action::OpenIncident { incident_id, reason });
            }
        }
    }

    /// The reason to cover now, or `None` if the desktop may be shown.
    fn why_cover(&self, now_ms: u64) -> Option<Reason> {
        if self.on_break {
            return Some(Reason::Break);
        }
        let Some(link) = &self.link else { return Some(self.no_link(now_ms)) };
        if let Some(reason) = self.owner.why_cover() {
            return Some(reason);
        }
        if self.jumped {
            return Some(Reason::ClockJump);
        }
        let Some(latest) = link.latest else { return Some(Reason::Starting) };
        if now_ms >= link.lease_until_ms {
            return Some(Reason::LinkLost);
        }
        // Before what is only seen: in a pilot that covers nothing, and must not hide this.
        if !self.evidence_kept {
            return Some(Reason::EvidenceNotKept);
        }
        if let Some(reason) = link.latch {
            return Some(reason);
        }
        link.why_cover(latest, now_ms)
    }

    /// Why there is no link: just after the log-on the client's extension may still be starting.
    fn no_link(&self, now_ms: u64) -> Reason {
        let starting = now_ms.saturating_sub(self.started_ms) < CLIENT_START_MS;
        if self.no_link == Reason::Starting && !starting { Reason::NoClient } else { self.no_link }
    }

    /// Whether a clear view has lasted long enough to show the desktop again.
    fn released(&self, now_ms: u64) -> bool {
        let Some(link) = &self.link else { return false };
        let Some(latest) = link.latest else { return false };
        let timings = &link.timings;
        // The client measures more finely, but its measure can be invented; the host's cannot. Both must agree
        // within two intervals.
        let own_ms = link.clear_since_ms.map_or(0, |since| now_ms.saturating_sub(since));
        let slack_ms = 2 * timings.attestation_interval_ms;
        let unbroken = latest.attest.clear_ms >= timings.release_ms || own_ms >= timings.release_ms;
        latest.attest.state == State::Clear && unbroken && own_ms + slack_ms >= timings.release_ms
    }
}

impl Link {
    fn new(timings: Timings) -> Self {
        Link {
            timings,
            lease_until_ms: 0,
            latest: None,
            latch: None,
            clear_since_ms: None,
            undecided_used_ms: 0,
        }
    }

    fn attested(&mut self, attested: Attested, now_ms: u64) {
        let Attested { attest, nonce_issued_ms, lease_until_ms } = attested;
        self.lease_until_ms = lease_until_ms;
        // A run of clear views must be seen without a gap; after a silence it starts over.
        if self.latest.is_some_and(|l| now_ms.saturating_sub(l.received_ms) > self.timings.lease_ms) {
            self.clear_since_ms = None;
        }
        if attest.state == State::Clear {
            let since = *self.clear_since_ms.get_or_insert(now_ms);
            if now_ms.saturating_sub(since) >= self.timings.undecided_refill_ms {
                self.undecided_used_ms = 0;
            }
        } else {
            self.clear_since_ms = None;
        }
        self.latest = Some(Latest { attest, received_ms: now_ms, nonce_issued_ms });
    }

    fn charge_undecided(&mut self, passed_ms: u64) {
        if self.latest.is_some_and(|l| l.attest.state == State::Undecided) {
            self.undecided_used_ms = self.undecided_used_ms.saturating_add(passed_ms);
        }
    }

    fn why_cover(&self, latest: Latest, now_ms: u64) -> Option<Reason> {
        let (attest, timings) = (&latest.attest, &self.timings);
        let from_state = Reason::from_state(attest.state);
        if attest.cover {
            return Some(if attest.reason == Reason::None { Reason::ClientAsked } else { attest.reason });
        }
        if attest.state.is_adverse() || attest.state == State::Phone {
            return Some(from_state);
        }
        if attest.frame_age_ms > FRAME_STALE_MS {
            return Some(Reason::StaleView);
        }
        // The attestation was made after its nonce was issued, so the operator was confirmed no
        // later than this age says. Counted from the issue, no delay on the way can stretch it.
        let since_nonce_ms = now_ms.saturating_sub(latest.nonce_issued_ms);
        if attest.operator_confirmed_age_ms.saturating_add(since_nonce_ms) >= timings.absence_ms {
            return Some(if attest.state == State::Clear { Reason::Absent } else { from_state });
        }
        // The next attestation is due within an interval; a delay beyond two counts in full.
        let overdue_ms =
            now_ms.saturating_sub(latest.received_ms).saturating_sub(2 * timings.attestation_interval_ms);
        let not_alone = matches!(attest.state, State::Onlooker | State::Stranger);
        if not_alone && attest.not_alone_ms.saturating_add(overdue_ms) >= timings.hold_ms {
            return Some(from_state);
        }
        if attest.state == State::Undecided && self.undecided_used_ms >= timings.undecided_ms {
            return Some(Reason::Undecided);
        }
        None
    }
}

#[cfg(test)]
mod tests;
