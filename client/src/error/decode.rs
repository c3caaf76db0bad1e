//! What the control plane answered, read from a gRPC status and its google.rpc details.

use std::error::Error as _;

use tonic::{Code, ConnectError, Status, TimeoutExpired};
use tonic_types::StatusExt;

use super::{Error, ErrorKind, Violation};

/// Domain of the control plane's own reasons. What else stands between may answer with reasons of its own.
const REASON_DOMAIN: &str = "headland";

/// Reasons that say that nothing was done, though nothing was wrong with the request.
const REASONS_NOT_DONE: &[&str] = &["STORE_UNAVAILABLE", "CONTENTION", "SNAPSHOT_INCOMPLETE"];

impl Error {
    /// Reads a failed call. `doing` is what was attempted, as a fragment that fits after "failed to"; `endpoint` is
    /// where the call went. Violations are named as in the request: `config.origins[0].id`.
    #[must_use]
    pub fn from_status(doing: &str, endpoint: &str, status: &Status) -> Self {
        let reason = reason(status);
        let kind = kind(status, reason.as_deref());
        let violations = violations(status);
        let message = message(doing, endpoint, kind, status, &violations);
        let mut error = Self::new(kind, message).with_violations(violations);
        // A reason that says no more than the kind would be a second name for the same thing.
        error.0.hint = hint(kind, reason.as_deref(), endpoint).map(str::to_owned);
        error.0.reason = reason
            .map(|r| r.to_ascii_lowercase().replace('_', "-"))
            .filter(|_| !matches!(kind, ErrorKind::Invalid | ErrorKind::NotFound | ErrorKind::StaleEtag));
        error
    }
}

fn violations(status: &Status) -> Vec<Violation> {
    let details = status.get_error_details();
    let listed = details.bad_request().map(|b| b.field_violations.as_slice()).unwrap_or_default();
    let read = |v: &tonic_types::FieldViolation| Violation {
        field: v.field.clone(),
        description: v.description.clone(),
        place: None,
    };
    listed.iter().map(read).collect()
}

/// The control plane's own reason, as it stands in its table.
fn reason(status: &Status) -> Option<String> {
    let details = status.get_error_details();
    let info = details.error_info().filter(|info| info.domain == REASON_DOMAIN)?;
    Some(info.reason.clone())
}

/// Whether the call certainly changed nothing, so that repeating it cannot do anything twice.
pub(crate) fn was_not_done(status: &Status) -> bool {
    was_not_sent(status) || reason(status).is_some_and(|r| REASONS_NOT_DONE.contains(&r.as_str()))
}

/// Whether another try may succeed.
pub(crate) fn is_transient(status: &Status) -> bool {
    let kind = kind(status, reason(status).as_deref());
    matches!(kind, ErrorKind::Unreachable | ErrorKind::Unavailable)
}

/// Whether the call never left this machine.
fn was_not_sent(status: &Status) -> bool {
    caused_by::<ConnectError>(status)
}

fn kind(status: &Status, reason: Option<&str>) -> ErrorKind {
    match status.code() {
        _ if was_not_sent(status) => ErrorKind::Unreachable,
        _ if caused_by::<TimeoutExpired>(status) => ErrorKind::Deadline,
        Code::InvalidArgument => ErrorKind::Invalid,
        Code::NotFound => ErrorKind::NotFound,
        Code::AlreadyExists => ErrorKind::AlreadyExists,
        Code::Aborted if reason == Some("CONTENTION") => ErrorKind::Unavailable,
        Code::Aborted => ErrorKind::StaleEtag,
        Code::FailedPrecondition => ErrorKind::Precondition,
        Code::Unavailable | Code::ResourceExhausted => ErrorKind::Unavailable,
        Code::DeadlineExceeded | Code::Cancelled => ErrorKind::Deadline,
        Code::PermissionDenied | Code::Unauthenticated => ErrorKind::Denied,
        // Out of range is what a message that is too large for this client looks like.
        Code::Unimplemented | Code::OutOfRange => ErrorKind::Unsupported,
        Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss => ErrorKind::Internal,
    }
}

fn caused_by<E: std::error::Error + 'static>(status: &Status) -> bool {
    let mut source = status.source();
    while let Some(error) = source {
        if error.is::<E>() {
            return true;
        }
        source = error.source();
    }
    false
}

fn message(
    doing: &str,
    endpoint: &str,
    kind: ErrorKind,
    status: &Status,
    violations: &[Violation],
) -> String {
    let what = match (kind, violations) {
        (ErrorKind::Invalid, [_]) => "one thing is wrong".to_owned(),
        // The last one counts those that did not fit.
        (ErrorKind::Invalid, [_, .., last]) if last.field.is_empty() => "many things are wrong".to_owned(),
        (ErrorKind::Invalid, [_, ..]) => format!("{} things are wrong", violations.len()),
        (ErrorKind::Unreachable, _) => {
            format!("no connection to the control plane at {endpoint}: {}", root_cause(status))
        }
        (ErrorKind::Deadline, _) => format!("the control plane at {endpoint} did not answer in time"),
        (ErrorKind::NotFound, _) => "there is none with this id".to_owned(),
        (ErrorKind::StaleEtag, _) => "it was changed since this etag was given out".to_owned(),
        _ if status.message().is_empty() => status.code().to_string(),
        // "delete distribution E1: it is enabled" already says what was attempted.
        _ => match status.message().strip_prefix(doing).and_then(|m| m.strip_prefix(": ")) {
            Some(rest) => rest.to_owned(),
            None if reason(status).is_some() => format!("the control plane failed to {}", status.message()),
            None => status.message().to_owned(),
        },
    };
    format!("{doing}: {what}")
}

fn root_cause(status: &Status) -> String {
    let mut cause = status.message().to_owned();
    let mut source = status.source();
    while let Some(error) = source {
        cause = error.to_string();
        source = error.source();
    }
    cause
}

fn hint(kind: ErrorKind, reason: Option<&str>, endpoint: &str) -> Option<&'static str> {
    let hint = match kind {
        ErrorKind::Unreachable if endpoint.starts_with("https://") => {
            "check that the control plane runs there with a certificate this machine trusts, or name another one with \
             --endpoint, HEADLAND_ENDPOINT or --ca-certificate"
        }
        ErrorKind::Unreachable => {
            "start a control plane there (headland-control-plane, or headland dev for a whole CDN on this machine), or name \
             another one with --endpoint or HEADLAND_ENDPOINT"
        }
        ErrorKind::Invalid => "nothing was changed: correct what is listed and try again",
        ErrorKind::AlreadyExists if reason == Some("NAME_TAKEN") => {
            "choose another name, or use the one that has it"
        }
        ErrorKind::Precondition if reason == Some("IN_USE") => {
            "let those that use it refer to another one first: headland distribution get ID -o yaml shows where they do"
        }
        ErrorKind::Precondition if reason == Some("MANAGED") => {
            "make one of your own from it: get ID -o yaml, give it another name, remove the id, and create -f it"
        }
        ErrorKind::AlreadyExists => {
            "host names and caller references belong to one distribution at a time: choose others, or take them from the \
             distribution that has them (headland distribution list)"
        }
        ErrorKind::NotFound => {
            "list what there is: headland distribution list, headland edge list, headland cache-policy list"
        }
        ErrorKind::StaleEtag => {
            "somebody else changed it meanwhile: look at it again (get) and repeat the change"
        }
        ErrorKind::Unavailable => {
            "try again in a moment; with the same caller reference or etag that is safe"
        }
        ErrorKind::Deadline => {
            "whether it was done is not known: look (get) before trying again, or allow more time with \
             --call-timeout"
        }
        ErrorKind::Denied => "ask who runs the control plane for access",
        ErrorKind::Unsupported => {
            "client and control plane are of different versions, or the endpoint is something else: compare with headland version"
        }
        ErrorKind::Internal => "this is a fault in the control plane: its log says more",
        _ => return None,
    };
    Some(hint)
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    const ENDPOINT: &str = "http://127.0.0.1:1";

    fn with_reason(code: Code, reason: &str, domain: &str) -> Status {
        let mut details = ErrorDetails::new();
        details.set_error_info(reason, domain, std::collections::HashMap::new());
        Status::with_error_details(code, "claim a.example.com", details)
    }

    fn check(status: &Status, code: &str, exit_code: u8, message: &str) {
        let error = Error::from_status("delete distribution E1", ENDPOINT, status);
        assert_eq!((error.code(), error.exit_code()), (code, exit_code), "{status:?}");
        assert_eq!(error.to_string(), format!("delete distribution E1: {message}"));
    }

    #[test]
    fn every_violation_is_listed() {
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation("config.origins[0].id", "is required");
        details.add_bad_request_violation("config.comment", "is too long");
        let status = Status::with_error_details(Code::InvalidArgument, "accept the request", details);
        check(&status, "invalid-argument", 2, "2 things are wrong");
        let error = Error::from_status("x", ENDPOINT, &status);
        let fields: Vec<_> = error.violations().iter().map(|v| v.field.as_str()).collect();
        assert_eq!(fields, ["config.origins[0].id", "config.comment"]);
    }

    #[test]
    fn the_control_planes_reason_is_the_code() {
        let taken = |domain| with_reason(Code::AlreadyExists, "HOST_NAME_TAKEN", domain);
        check(&taken("headland"), "host-name-taken", 4, "the control plane failed to claim a.example.com");
        check(&taken("proxy.example.com"), "already-exists", 4, "claim a.example.com");
    }

    #[test]
    fn each_code_has_its_exit_code() {
        let plain = |code| Status::new(code, "y");
        check(&plain(Code::NotFound), "not-found", 3, "there is none with this id");
        check(&plain(Code::Aborted), "stale-etag", 4, "it was changed since this etag was given out");
        check(&plain(Code::Unavailable), "unavailable", 5, "y");
        check(&plain(Code::Internal), "internal", 1, "y");
        check(&plain(Code::PermissionDenied), "permission-denied", 1, "y");
        let enabled = Status::failed_precondition("delete distribution E1: it is enabled");
        check(&enabled, "failed-precondition", 4, "it is enabled");
        let late = Status::deadline_exceeded("y");
        check(
            &late,
            "deadline-exceeded",
            5,
            "the control plane at http://127.0.0.1:1 did not answer in time",
        );
    }

    #[test]
    fn what_was_not_done_is_told_from_what_may_have_been() {
        let mut unsent = Status::unavailable("tcp connect error");
        assert!(!was_not_done(&unsent) && is_transient(&unsent));
        unsent.set_source(std::sync::Arc::new(ConnectError("refused".into())));
        check(&unsent, "unreachable", 5, "no connection to the control plane at http://127.0.0.1:1: refused");
        for (status, not_done) in [
            (unsent, true),
            (with_reason(Code::Unavailable, "STORE_UNAVAILABLE", "headland"), true),
            (with_reason(Code::Aborted, "CONTENTION", "headland"), true),
            (with_reason(Code::Unavailable, "OUTCOME_UNKNOWN", "headland"), false),
            (with_reason(Code::Unavailable, "STORE_UNAVAILABLE", "elsewhere"), false),
        ] {
            assert!(is_transient(&status), "{status:?}");
            assert_eq!(was_not_done(&status), not_done, "{status:?}");
        }
    }
}
