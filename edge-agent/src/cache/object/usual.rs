//! Times in little room: what the terms of nearly all responses come to.

use std::time::Duration;

use crate::{
    cache::{reuse::Failing, terms::Terms},
    clock::Timestamp,
};

/// The times of nearly all responses: in whole seconds, and after the response is received.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Usual {
    pub(super) initial_age: u32,
    pub(super) lifetime: u32,
    /// Seconds after the response, as are the others; zero is never.
    pub(super) while_revalidate: u32,
    pub(super) if_error: u32,
    pub(super) if_unreachable: u32,
    pub(super) kept: u32,
}

impl Usual {
    /// `None` if they are not.
    pub(super) fn of(terms: &Terms, response: Timestamp) -> Option<Self> {
        let seconds = |duration: Duration| {
            u32::try_from(duration.as_secs()).ok().filter(|_| duration.subsec_nanos() == 0)
        };
        let after = |until: Timestamp| match until.since(response) {
            _ if until == Timestamp::default() => Some(0),
            Duration::ZERO => None,
            duration => seconds(duration),
        };
        let is_held = terms.hold_until != Timestamp::default() || terms.held_for != Failing::Error;
        Some(Self {
            initial_age: seconds(terms.freshness.initial_age)?,
            lifetime: seconds(terms.freshness.lifetime)?,
            while_revalidate: after(terms.while_revalidate_until)?,
            if_error: after(terms.if_error_until)?,
            if_unreachable: after(terms.if_unreachable_until)?,
            kept: after(terms.kept_until)?,
        })
        .filter(|_| !is_held)
    }
}
