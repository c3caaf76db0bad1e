//! Circuit breakers: while an origin is down, one viewer at a time finds out whether it still is, and whoever can be served without
//! it does not wait.
//!
//! A breaker never keeps a request from the origin that cannot be answered otherwise: it only says whether asking is worth a wait.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;

use super::Fault;
use crate::clock::Timestamp;

/// Connections refused in a row that open a breaker. They cost nobody a wait.
const QUICK_FAILURES: u32 = 3;
/// How long nobody asks after the first failure; doubled with each further one.
const WINDOW: Duration = Duration::from_secs(1);
/// The longest that nobody asks.
const WINDOW_MAX: Duration = Duration::from_secs(16);
/// A probe that has not come back after this long is not waited for any more.
const PROBE_FORGOTTEN: Duration = Duration::from_secs(300);
/// Origins remembered before those that nobody uses are forgotten.
const ORIGINS_MAX: usize = 1024;

/// The breakers of all origins, shared by all workers.
#[derive(Debug, Default)]
pub struct Breakers {
    breakers: Mutex<HashMap<String, Arc<Breaker>>>,
    /// Origins that did not pass a health check, by how many.
    unwell: Mutex<HashMap<String, usize>>,
}

/// Says that an origin does not pass a health check, until it is dropped.
#[derive(Debug)]
pub(crate) struct Unwell {
    breakers: Arc<Breakers>,
    origin: String,
}

impl Drop for Unwell {
    fn drop(&mut self) {
        let mut unwell = self.breakers.unwell.lock();
        match unwell.get_mut(&self.origin) {
            Some(checks) if *checks > 1 => *checks -= 1,
            _ => _ = unwell.remove(&self.origin),
        }
    }
}

/// What one origin's last answers say about the next.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<State>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct State {
    /// Failures since the last answer.
    failures: u32,
    /// Open until then; not at all if it is `None`.
    open_until: Option<Timestamp>,
    /// When somebody set out to see whether the origin is back.
    probing_since: Option<Timestamp>,
    /// When it last answered anybody.
    answered: Option<Timestamp>,
}

#[derive(Debug, PartialEq, Eq)]
enum View {
    Good,
    /// It is time that somebody finds out.
    Due,
    Bad,
}

impl State {
    fn view(&self, now: Timestamp) -> View {
        let Some(until) = self.open_until else { return View::Good };
        let probing = self.probing_since.is_some_and(|since| now.since(since) < PROBE_FORGOTTEN);
        if now < until || probing { View::Bad } else { View::Due }
    }
}

impl Breakers {
    /// Whether an origin is known to be down from what it was asked for viewers. Changes nothing.
    #[must_use]
    pub fn is_bad(&self, origin: &str, now: Timestamp) -> bool {
        self.breakers.lock().get(origin).is_some_and(|breaker| breaker.is_bad(now))
    }

    /// The same, or because it does not pass a health check: whether another that can stand in for it had better be asked.
    #[must_use]
    pub fn is_bad_or_unwell(&self, origin: &str, now: Timestamp) -> bool {
        self.unwell.lock().contains_key(origin) || self.is_bad(origin, now)
    }

    /// An origin does not pass a health check.
    pub(crate) fn unwell(self: &Arc<Self>, origin: &str) -> Unwell {
        *self.unwell.lock().entry(origin.to_owned()).or_default() += 1;
        Unwell { breakers: Arc::clone(self), origin: origin.to_owned() }
    }

    /// How many origins do not pass a health check.
    pub(crate) fn unwell_count(&self) -> usize {
        self.unwell.lock().len()
    }

    /// The breaker of an origin.
    #[must_use]
    pub fn of(&self, origin: &str) -> Arc<Breaker> {
        let mut all = self.breakers.lock();
        if let Some(breaker) = all.get(origin) {
            return Arc::clone(breaker);
        }
        if all.len() >= ORIGINS_MAX {
            all.retain(|_, breaker| Arc::strong_count(breaker) > 1 || breaker.0.lock().failures > 0);
        }
        if all.len() >= ORIGINS_MAX {
            all.clear();
        }
        Arc::clone(all.entry(origin.to_owned()).or_default())
    }
}

/// Whether it is worth a wait to ask the origin.
#[derive(Debug)]
pub enum Outlook {
    /// As far as is known, it answers.
    Good,
    /// It was down; the holder finds out whether it still is.
    Probe(Probe),
    /// It is down, and either somebody is finding out already or that was a moment ago.
    Bad,
}

/// The duty to find out. Dropped without an answer, it leaves the duty to the next.
#[derive(Debug)]
pub struct Probe(Weak<Breaker>);

impl Drop for Probe {
    fn drop(&mut self) {
        if let Some(breaker) = self.0.upgrade() {
            breaker.0.lock().probing_since = None;
        }
    }
}

impl Breaker {
    /// Whether asking is worth a wait. [`Outlook::Probe`] is given to one at a time.
    #[must_use]
    pub fn outlook(self: &Arc<Self>, now: Timestamp) -> Outlook {
        let mut state = self.0.lock();
        match state.view(now) {
            View::Good => Outlook::Good,
            View::Bad => Outlook::Bad,
            View::Due => {
                state.probing_since = Some(now);
                Outlook::Probe(Probe(Arc::downgrade(self)))
            }
        }
    }

    /// Whether [`Breaker::outlook`] would be [`Outlook::Bad`] now, without taking a duty.
    #[must_use]
    pub fn is_bad(&self, now: Timestamp) -> bool {
        self.0.lock().view(now) == View::Bad
    }

    /// Whether the origin is down, as far as is known.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.0.lock().open_until.is_some_and(|until| now < until)
    }

    /// The origin answered, whatever it said.
    pub fn answered(&self, now: Timestamp) {
        let mut state = self.0.lock();
        *state = State { probing_since: state.probing_since, answered: Some(now), ..State::default() };
    }

    /// The origin has kept somebody waiting since `began`, for so long that others had better not wait for it, unless it answers after
    /// all. An origin that has answered others meanwhile is not down.
    pub fn suspected(&self, began: Timestamp, now: Timestamp) {
        let mut state = self.0.lock();
        if !state.has_answered_since(began) {
            let until = now.after(WINDOW);
            state.open_until = Some(state.open_until.map_or(until, |open_until| open_until.max(until)));
        }
    }

    /// The origin did not answer what was asked at `began`.
    pub fn failed(&self, fault: &Fault, began: Timestamp, now: Timestamp) {
        let slow = match fault {
            Fault::ConnectTimeout | Fault::ResponseTimeout => true,
            Fault::Connect(_) | Fault::Tls(_) => false,
            // Not the origin's doing; or it was there, and what it sent says nothing of what it will send to others.
            Fault::Credentials(_)
            | Fault::Request(_)
            | Fault::NoObject
            | Fault::Overloaded
            | Fault::Response(_) => return,
        };
        let mut state = self.0.lock();
        if state.has_answered_since(began) || state.open_until.is_some_and(|until| now < until) {
            // Only this one went wrong; or it set out before it was known, and of one outage the many failures count once.
            return;
        }
        state.failures = state.failures.saturating_add(1);
        if slow || state.failures >= QUICK_FAILURES || state.open_until.is_some() {
            // The more often it has failed since it was open, the longer.
            let beyond = state.failures.saturating_sub(if slow { 1 } else { QUICK_FAILURES });
            let window = WINDOW.saturating_mul(1 << beyond.min(10)).min(WINDOW_MAX);
            state.open_until = Some(now.after(window));
        }
    }
}

impl State {
    fn has_answered_since(&self, began: Timestamp) -> bool {
        self.answered.is_some_and(|answered| answered > began)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(1000 + seconds)
    }

    fn look(breaker: &Arc<Breaker>, now: Timestamp) -> &'static str {
        let is_bad = breaker.is_bad(now);
        let looked = look_and_take(breaker, now);
        assert_eq!(is_bad, looked == "bad");
        looked
    }

    fn look_and_take(breaker: &Arc<Breaker>, now: Timestamp) -> &'static str {
        match breaker.outlook(now) {
            Outlook::Good => "good",
            Outlook::Probe(_) => "probe",
            Outlook::Bad => "bad",
        }
    }

    #[test]
    fn a_time_out_opens_it_and_an_answer_closes_it() {
        let breaker = Arc::new(Breaker::default());
        assert_eq!(look(&breaker, at(0)), "good");
        breaker.failed(&Fault::ResponseTimeout, at(0), at(0));
        assert_eq!(look(&breaker, at(0)), "bad");
        assert_eq!(look(&breaker, at(1)), "probe");
        breaker.failed(&Fault::ResponseTimeout, at(1), at(1));
        assert_eq!(look(&breaker, at(2)), "bad", "the window has doubled");
        assert_eq!(look(&breaker, at(3)), "probe");
        breaker.answered(at(0));
        assert_eq!(look(&breaker, at(3)), "good");
    }

    #[test]
    fn one_at_a_time_finds_out() {
        let breaker = Arc::new(Breaker::default());
        breaker.failed(&Fault::ConnectTimeout, at(0), at(0));
        let Outlook::Probe(probe) = breaker.outlook(at(5)) else { panic!("it is time to find out") };
        assert_eq!(look(&breaker, at(6)), "bad");
        drop(probe);
        assert_eq!(look(&breaker, at(6)), "probe");
    }

    #[test]
    fn quick_failures_open_it_only_when_they_repeat() {
        let breaker = Arc::new(Breaker::default());
        let refused = Fault::Connect("refused".into());
        breaker.failed(&refused, at(0), at(0));
        breaker.failed(&refused, at(0), at(0));
        assert_eq!(look(&breaker, at(0)), "good");
        breaker.answered(at(0));
        (0..3).for_each(|_| breaker.failed(&refused, at(0), at(0)));
        assert_eq!(look(&breaker, at(0)), "bad");
        breaker.failed(&Fault::Overloaded, at(500), at(500));
        assert_eq!(look(&breaker, at(500)), "probe", "an overload of ours says nothing of the origin");
    }

    #[test]
    fn a_suspicion_lasts_until_an_answer() {
        let breaker = Arc::new(Breaker::default());
        breaker.suspected(at(0), at(0));
        assert_eq!(look(&breaker, at(0)), "bad");
        assert_eq!(look(&breaker, at(1)), "probe");
        breaker.answered(at(0));
        assert_eq!(look(&breaker, at(1)), "good");
    }

    #[test]
    fn an_origin_that_answers_others_is_not_down() {
        let breaker = Arc::new(Breaker::default());
        breaker.answered(at(5));
        breaker.failed(&Fault::ResponseTimeout, at(0), at(30));
        breaker.suspected(at(4), at(6));
        (0..10).for_each(|_| breaker.failed(&Fault::Response("closed".into()), at(40), at(40)));
        assert_eq!(look(&breaker, at(40)), "good");
        breaker.failed(&Fault::ResponseTimeout, at(6), at(36));
        assert_eq!(look(&breaker, at(36)), "bad");
    }

    #[test]
    fn the_window_has_an_end() {
        let breaker = Arc::new(Breaker::default());
        (0..100).for_each(|_| breaker.failed(&Fault::ResponseTimeout, at(0), at(0)));
        assert_eq!(look(&breaker, at(1)), "probe", "a hundred failures of one moment are one");
        (1..20).for_each(|i| breaker.failed(&Fault::ResponseTimeout, at(i * 100), at(i * 100)));
        assert_eq!(look(&breaker, at(1915)), "bad");
        assert_eq!(look(&breaker, at(1916)), "probe");
    }

    #[test]
    fn an_origin_is_unwell_as_long_as_any_check_says_so() {
        let breakers = Arc::new(Breakers::default());
        let (one, two) = (breakers.unwell("a"), breakers.unwell("a"));
        assert!(breakers.is_bad_or_unwell("a", at(0)) && !breakers.is_bad_or_unwell("b", at(0)));
        drop(one);
        assert!(breakers.is_bad_or_unwell("a", at(0)));
        assert_eq!((breakers.unwell_count(), breakers.is_bad("a", at(0))), (1, false));
        drop(two);
        assert!(!breakers.is_bad_or_unwell("a", at(0)));
        assert_eq!(breakers.unwell_count(), 0);
    }

    #[test]
    fn forgotten_origins_make_room() {
        let breakers = Breakers::default();
        (0..5000).for_each(|i| drop(breakers.of(&i.to_string())));
        assert!(breakers.breakers.lock().len() <= ORIGINS_MAX);
        assert!(Arc::ptr_eq(&breakers.of("a"), &breakers.of("a")));
    }
}
