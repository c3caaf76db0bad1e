//! Reuse (RFC 9111 section 4): whether a stored response may answer a request now, and why not.

use std::time::Duration;

use super::{cache_control::RequestDirectives, object::Head, terms::Terms};
use crate::{clock::Timestamp, closed::closed};

/// Whether a stored response may answer a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// It is fresh enough.
    Fresh,
    /// It is stale, and allowed all the same.
    Stale(Permission),
    /// Not before the origin has been asked.
    Validate(Cause),
}

closed! {
    /// What allows the use of a stale response.
    pub enum Permission {
        /// `stale-while-revalidate`: the origin is asked in the background (RFC 5861 section 3).
        WhileRevalidate = "stale-while-revalidate",
        /// The viewer's `max-stale` (RFC 9111 section 5.2.1.2).
        MaxStale = "max-stale",
        /// The origin failed a moment ago, and the response may stand in for that.
        Hold = "hold",
        /// The origin has just answered with an error (RFC 5861 section 4).
        Error = "stale-if-error",
        /// The origin cannot be reached (RFC 9111 section 4.2.4).
        Unreachable = "unreachable",
    }
}

closed! {
    /// Why the origin has to be asked.
    pub enum Cause {
        /// It is stale.
        Expired = "expired",
        /// It says `no-cache`.
        NoCache = "no-cache",
        /// The request says `no-cache`.
        RequestNoCache = "request-no-cache",
        /// It is older than the request's `max-age`.
        RequestMaxAge = "request-max-age",
        /// It will not be fresh for the request's `min-fresh`.
        RequestMinFresh = "request-min-fresh",
        /// An unsafe request has changed what it stands for (RFC 9111 section 4.4), or its group was invalidated (RFC 9875).
        Invalidated = "invalidated",
    }
}

impl Cause {
    /// Whether it lies in the request alone: the response itself is still good.
    #[must_use]
    pub fn is_the_requests(self) -> bool {
        matches!(self, Self::RequestNoCache | Self::RequestMaxAge | Self::RequestMinFresh)
    }
}

/// How an origin failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failing {
    /// It answered 500, 502, 503 or 504.
    Error,
    /// It could not be reached, or broke off before an answer.
    Unreachable,
}

/// Decides. With CloudFront semantics `request` is empty: a viewer's Cache-Control is ignored.
#[must_use]
pub fn decide(head: &Head, request: &RequestDirectives, now: Timestamp) -> Reuse {
    let terms = &head.terms();
    if request.no_cache {
        return Reuse::Validate(Cause::RequestNoCache);
    }
    if terms.validate_always {
        return Reuse::Validate(Cause::NoCache);
    }
    let fresh_until = terms.freshness.fresh_until;
    if now < fresh_until {
        // max-age=0 asks for validation however quick the request was (RFC 9111 section 5.2.1.1).
        let overaged =
            request.max_age.is_some_and(|max| max == 0 || head.age(now) > Duration::from_secs(max));
        if overaged && !terms.immutable {
            return Reuse::Validate(Cause::RequestMaxAge);
        }
        let left = fresh_until.since(now);
        if request.min_fresh.is_some_and(|min| left < Duration::from_secs(min)) {
            return Reuse::Validate(Cause::RequestMinFresh);
        }
        return Reuse::Fresh;
    }
    let staleness = now.since(fresh_until);
    let wanted = request.max_stale.is_some_and(|max| staleness <= Duration::from_secs(max));
    let not_too_old = request.max_age.is_none_or(|max| head.age(now) <= Duration::from_secs(max));
    if wanted && not_too_old && request.min_fresh.is_none() && terms.stale_on_request {
        return Reuse::Stale(Permission::MaxStale);
    }
    // Who sets a limit to age or asks for freshness to come has no use for what is stale.
    if request.max_age.is_none() && request.min_fresh.is_none() {
        let while_revalidate = now < terms.while_revalidate_until;
        if now < terms.hold_until && (while_revalidate || may_stand_in(terms, terms.held_for, now)) {
            return Reuse::Stale(Permission::Hold);
        }
        if while_revalidate {
            return Reuse::Stale(Permission::WhileRevalidate);
        }
    }
    Reuse::Validate(Cause::Expired)
}

/// Whether a response that has to be validated for `cause` may stand in when the origin fails.
///
/// What only the request forbids is a wish (section 5.2.1): it is set aside when the origin cannot be reached. The request's own
/// stale-if-error (RFC 5861 section 4) counts where its max-stale would, too.
#[must_use]
pub fn on_failure(
    head: &Head,
    request: &RequestDirectives,
    cause: Cause,
    failing: Failing,
    now: Timestamp,
) -> Option<Permission> {
    let terms = &head.terms();
    let unreachable = failing == Failing::Unreachable;
    let fresh = now < terms.freshness.fresh_until;
    let staleness = now.since(terms.freshness.fresh_until);
    let asked_for = terms.stale_on_request
        && request.stale_if_error.is_some_and(|max| staleness <= Duration::from_secs(max));
    let allowed = match cause {
        Cause::Expired => may_stand_in(terms, failing, now) || asked_for,
        cause if cause.is_the_requests() => {
            unreachable && !terms.validate_always && (fresh || may_stand_in(terms, failing, now))
        }
        _ => false,
    };
    allowed.then_some(match failing {
        Failing::Error => Permission::Error,
        Failing::Unreachable => Permission::Unreachable,
    })
}

fn may_stand_in(terms: &Terms, failing: Failing, now: Timestamp) -> bool {
    now < match failing {
        Failing::Error => terms.if_error_until,
        Failing::Unreachable => terms.if_unreachable_until,
    }
}

#[cfg(test)]
mod tests;
