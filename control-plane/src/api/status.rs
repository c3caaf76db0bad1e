//! gRPC codes and reasons: the only file that chooses them.
//!
//! Every error carries a `google.rpc.ErrorInfo` of domain [`DOMAIN`] with one of these reasons. Reasons are stable.
//!
//! | reason | code | further details | meaning |
//! |---|---|---|---|
//! | `INVALID` | `INVALID_ARGUMENT` | `BadRequest`, every violation | the request breaks rules |
//! | `NOT_FOUND` | `NOT_FOUND` | `ResourceInfo` | no such distribution, policy or edge |
//! | `HOST_NAME_TAKEN` | `ALREADY_EXISTS` | `ResourceInfo`, the first such name and its owner | another distribution holds a host name |
//! | `CALLER_REFERENCE_TAKEN` | `ALREADY_EXISTS` | `ResourceInfo`, what it created | the caller reference was used with other content |
//! | `ETAG_STALE` | `ABORTED` | `ResourceInfo` | changed since the etag was given out: get it anew |
//! | `CONTENTION` | `ABORTED` | `RetryInfo` | others kept changing the same things: repeat |
//! | `NAME_TAKEN` | `ALREADY_EXISTS` | `ResourceInfo`, who has it | another policy of the kind has the name |
//! | `IN_USE` | `FAILED_PRECONDITION` | `PreconditionFailure`, some of the users | distributions refer to the policy |
//! | `MANAGED` | `FAILED_PRECONDITION` | `PreconditionFailure` | the policy comes with the program and cannot be changed |
//! | `DISTRIBUTION_ENABLED` | `FAILED_PRECONDITION` | `PreconditionFailure` | disable it before deleting it |
//! | `STORE_UNAVAILABLE` | `UNAVAILABLE` | `RetryInfo` | the store does not answer; nothing was written: repeat |
//! | `OUTCOME_UNKNOWN` | `UNAVAILABLE` | `RetryInfo` | it may have been written: repeat with the same caller reference or etag |
//! | `STORE_FAILED` | `INTERNAL` | | the store failed in a way that repeating will not mend |
//! | `STORED_VALUE_UNREADABLE` | `DATA_LOSS` | | the store holds something that cannot be read |
//! | `SNAPSHOT_INCOMPLETE` | `UNAVAILABLE` | `RetryInfo` | this control plane has not read the store yet |
//! | `FLEET_FULL` | `RESOURCE_EXHAUSTED` | | too many edges are connected to this control plane |
//! | `NO_LIVE_EDGE` | `UNAVAILABLE` | `RetryInfo` | no edge that serves is connected to this control plane |
//! | `EDGE_GONE` | `UNAVAILABLE` | `RetryInfo` | the edge is not connected to this control plane |
//! | `EDGE_SILENT` | `UNAVAILABLE` | `RetryInfo` | the edge did not answer a question in time |
//! | `EDGE_BUSY` | `RESOURCE_EXHAUSTED` | | too many questions wait for the edge's answers |
//! | `EDGE_SUPERSEDED` | `ABORTED` | | a newer stream of the same edge has taken over |
//! | `CLUSTER_CHANGED` | `UNAVAILABLE` | `RetryInfo` | the store belongs to another cluster now: connect again |
//! | `SHUTTING_DOWN` | `UNAVAILABLE` | `RetryInfo` | this control plane is about to stop |

use std::{collections::HashMap, time::Duration};

use headland_proto::model::{Violations, resources::Kind};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::{
    distributions::{Error, TakenName},
    fleet::{FleetFull, Unanswered},
    resources,
    store::StoreError,
};

/// The domain of every `google.rpc.ErrorInfo`.
const DOMAIN: &str = "headland";
/// Bytes of violations in one status. A status travels in HTTP/2 headers, of which clients take 16 KiB, in base64.
const VIOLATIONS_BYTES_MAX: usize = 6 * 1024;
/// Bytes of a message, for the same reason.
const MESSAGE_BYTES_MAX: usize = 1024;
/// When to repeat what may succeed a little later.
const RETRY_DELAY: Duration = Duration::from_secs(1);
const DISTRIBUTION_TYPE: &str = "headland.v1.Distribution";
const EDGE_TYPE: &str = "headland.v1.Edge";
const HOST_NAME_TYPE: &str = "headland.v1.HostName";

/// Why a sync stream is not opened, or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SyncEnd {
    #[error("say what should be: this control plane has not read its store yet")]
    SnapshotIncomplete,
    #[error("keep this stream: a newer one of the same edge has taken over")]
    Superseded,
    #[error("keep this stream: the store belongs to another cluster now")]
    ClusterChanged,
    #[error("keep this stream: the control plane is shutting down")]
    ShuttingDown,
}

/// A status with a reason and whatever else is known.
fn build(code: Code, reason: &str, message: &str, mut details: ErrorDetails) -> Status {
    details.set_error_info(reason, DOMAIN, HashMap::new());
    if matches!(code, Code::Unavailable) || reason == "CONTENTION" {
        details.set_retry_info(Some(RETRY_DELAY));
    }
    Status::with_error_details(code, cut(message), details)
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MESSAGE_BYTES_MAX)]
}

/// `INVALID_ARGUMENT` with every violation that fits.
pub(crate) fn invalid(violations: &Violations) -> Status {
    let mut listed: Vec<FieldViolation> = Vec::new();
    let mut bytes = 0;
    for violation in violations.list() {
        bytes += violation.field.len() + violation.description.len();
        if bytes > VIOLATIONS_BYTES_MAX {
            break;
        }
        listed.push(FieldViolation::new(&violation.field, &violation.description));
    }
    let omitted = violations.list().len() - listed.len() + violations.omitted();
    if omitted > 0 {
        listed.push(FieldViolation::new("", format!("and {omitted} more violations")));
    }
    let message = format!("accept the request: {violations}");
    build(Code::InvalidArgument, "INVALID", &message, ErrorDetails::with_bad_request(listed))
}

/// `NOT_FOUND` for an edge.
pub(crate) fn edge_not_found(id: &str) -> Status {
    let message = format!("find edge {id}");
    not_found(EDGE_TYPE, id, &message)
}

fn not_found(resource_type: &str, name: &str, message: &str) -> Status {
    build(Code::NotFound, "NOT_FOUND", message, resource(resource_type, name, "", message))
}

fn resource(resource_type: &str, name: &str, owner: &str, description: &str) -> ErrorDetails {
    ErrorDetails::with_resource_info(resource_type, cut(name), owner, cut(description))
}

/// What went wrong with a distribution.
pub(crate) fn from_distributions(error: &Error) -> Status {
    let message = error.to_string();
    match error {
        Error::Invalid(violations) => invalid(violations),
        Error::NotFound { id } => not_found(DISTRIBUTION_TYPE, id, &message),
        Error::HostNamesTaken(taken) => host_names_taken(taken, &message),
        Error::CallerReferenceTaken { distribution_id } => {
            let details = resource(DISTRIBUTION_TYPE, distribution_id, "", &message);
            build(Code::AlreadyExists, "CALLER_REFERENCE_TAKEN", &message, details)
        }
        Error::EtagStale { id } => {
            let details = resource(DISTRIBUTION_TYPE, id.as_str(), "", &message);
            build(Code::Aborted, "ETAG_STALE", &message, details)
        }
        Error::Enabled { id } => {
            let reason = "DISTRIBUTION_ENABLED";
            let details = ErrorDetails::with_precondition_failure_violation(
                reason,
                id.as_str(),
                "disable the distribution before deleting it",
            );
            build(Code::FailedPrecondition, reason, &message, details)
        }
        Error::Contention => build(Code::Aborted, "CONTENTION", &message, ErrorDetails::new()),
        Error::Store(error) => from_store(error),
        Error::Corrupt(_) => unreadable(&message),
    }
}

/// What went wrong with a policy.
pub(crate) fn from_resources(error: &resources::Error) -> Status {
    use resources::Error;
    let message = error.to_string();
    match error {
        Error::Invalid(violations) => invalid(violations),
        Error::NotFound { kind, id } => not_found(type_of(*kind), id, &message),
        Error::NameTaken { kind, id, .. } => {
            let details = resource(type_of(*kind), id, "", &message);
            build(Code::AlreadyExists, "NAME_TAKEN", &message, details)
        }
        Error::EtagStale { kind, id } => {
            let details = resource(type_of(*kind), id.as_str(), "", &message);
            build(Code::Aborted, "ETAG_STALE", &message, details)
        }
        Error::InUse { id, users, .. } => {
            let description = format!("nothing may use it: change {}", users.join(", "));
            let details =
                ErrorDetails::with_precondition_failure_violation("IN_USE", id.as_str(), description);
            build(Code::FailedPrecondition, "IN_USE", &message, details)
        }
        Error::Managed { id, .. } => {
            let description = "create a policy of your own from it";
            let details = ErrorDetails::with_precondition_failure_violation("MANAGED", id, description);
            build(Code::FailedPrecondition, "MANAGED", &message, details)
        }
        Error::Contention => build(Code::Aborted, "CONTENTION", &message, ErrorDetails::new()),
        Error::Store(error) => from_store(error),
        Error::Corrupt(_) => unreadable(&message),
    }
}

fn unreadable(message: &str) -> Status {
    tracing::error!(error = message, "a stored value is unreadable");
    build(Code::DataLoss, "STORED_VALUE_UNREADABLE", message, ErrorDetails::new())
}

fn type_of(kind: Kind) -> &'static str {
    match kind {
        Kind::CachePolicy => "headland.v1.CachePolicy",
        Kind::OriginRequestPolicy => "headland.v1.OriginRequestPolicy",
        Kind::ResponseHeadersPolicy => "headland.v1.ResponseHeadersPolicy",
        Kind::PublicKey => "headland.v1.PublicKey",
        Kind::KeyGroup => "headland.v1.KeyGroup",
    }
}

fn host_names_taken(taken: &[TakenName], message: &str) -> Status {
    let first = taken.first();
    let name = first.map_or("", |t| t.name.as_str());
    let owner = first.map_or("", |t| t.distribution_id.as_str());
    let details = resource(HOST_NAME_TYPE, name, owner, message);
    build(Code::AlreadyExists, "HOST_NAME_TAKEN", message, details)
}

fn from_store(error: &StoreError) -> Status {
    let message = error.to_string();
    let (code, reason) = match error {
        StoreError::Unavailable { .. } => (Code::Unavailable, "STORE_UNAVAILABLE"),
        StoreError::OutcomeUnknown { .. } => (Code::Unavailable, "OUTCOME_UNKNOWN"),
        StoreError::Compacted { .. } | StoreError::Failed { .. } => (Code::Internal, "STORE_FAILED"),
    };
    tracing::warn!(error = message, reason, "the store did not do as asked");
    build(code, reason, &message, ErrorDetails::new())
}

/// No room for another edge.
pub(crate) fn from_fleet_full(error: FleetFull) -> Status {
    build(Code::ResourceExhausted, "FLEET_FULL", &error.to_string(), ErrorDetails::new())
}

/// A question without an answer.
pub(crate) fn from_unanswered(unanswered: Unanswered) -> Status {
    let (code, reason) = match unanswered {
        Unanswered::Unknown(id) => return edge_not_found(&id.to_string()),
        Unanswered::NobodyLive => (Code::Unavailable, "NO_LIVE_EDGE"),
        Unanswered::Gone(_) => (Code::Unavailable, "EDGE_GONE"),
        Unanswered::Silent(_) => (Code::Unavailable, "EDGE_SILENT"),
        Unanswered::Busy(_) => (Code::ResourceExhausted, "EDGE_BUSY"),
    };
    build(code, reason, &unanswered.to_string(), ErrorDetails::new())
}

/// The end of a sync stream.
pub(crate) fn from_sync_end(end: SyncEnd) -> Status {
    let (code, reason) = match end {
        SyncEnd::SnapshotIncomplete => (Code::Unavailable, "SNAPSHOT_INCOMPLETE"),
        SyncEnd::Superseded => (Code::Aborted, "EDGE_SUPERSEDED"),
        SyncEnd::ClusterChanged => (Code::Unavailable, "CLUSTER_CHANGED"),
        SyncEnd::ShuttingDown => (Code::Unavailable, "SHUTTING_DOWN"),
    };
    build(code, reason, &end.to_string(), ErrorDetails::new())
}

/// The code's name as gRPC writes it, for metrics.
pub(crate) fn code_name<T>(result: &Result<T, Status>) -> &'static str {
    match result.as_ref().err().map_or(Code::Ok, Status::code) {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(error: &Error, code: Code, reason: &str) {
        let status = from_distributions(error);
        assert_eq!(status.code(), code, "{error}");
        let details = status.get_error_details();
        let info = details.error_info().expect("error info");
        assert_eq!((info.reason.as_str(), info.domain.as_str()), (reason, DOMAIN));
    }

    #[test]
    fn every_error_has_its_code_and_reason() {
        let id = || "EABCDEFGHIJKLM".parse().unwrap();
        let reason = || String::from("r");
        let mut violations = Violations::default();
        violations.add("config.comment", "is too long");
        check(&Error::Invalid(violations), Code::InvalidArgument, "INVALID");
        check(&Error::NotFound { id: "E".into() }, Code::NotFound, "NOT_FOUND");
        let taken = TakenName { name: "a.b".into(), distribution_id: "E".into() };
        check(&Error::HostNamesTaken(vec![taken]), Code::AlreadyExists, "HOST_NAME_TAKEN");
        let reference = Error::CallerReferenceTaken { distribution_id: "E".into() };
        check(&reference, Code::AlreadyExists, "CALLER_REFERENCE_TAKEN");
        check(&Error::EtagStale { id: id() }, Code::Aborted, "ETAG_STALE");
        check(&Error::Enabled { id: id() }, Code::FailedPrecondition, "DISTRIBUTION_ENABLED");
        check(&Error::Contention, Code::Aborted, "CONTENTION");
        let unavailable = Error::Store(StoreError::Unavailable { reason: reason() });
        check(&unavailable, Code::Unavailable, "STORE_UNAVAILABLE");
        let unknown = Error::Store(StoreError::OutcomeUnknown { reason: reason() });
        check(&unknown, Code::Unavailable, "OUTCOME_UNKNOWN");
        let failed = Error::Store(StoreError::Failed { reason: reason() });
        check(&failed, Code::Internal, "STORE_FAILED");
    }

    #[test]
    fn a_status_fits_into_the_headers_a_client_takes() {
        let mut violations = Violations::default();
        (0..150).for_each(|i| violations.add(format!("config.origins[{i}].s3.bucket"), "ä".repeat(200)));
        let taken: Vec<TakenName> = (0..100)
            .map(|i| TakenName { name: format!("{i}{}", "x".repeat(240)), distribution_id: "E".repeat(14) })
            .collect();
        let statuses = [
            invalid(&violations),
            from_distributions(&Error::HostNamesTaken(taken)),
            from_distributions(&Error::NotFound { id: "x".repeat(100_000) }),
        ];
        for status in statuses {
            // Base64 makes 4 of 3; a byte of the message may become 3.
            let bytes = status.details().len() * 4 / 3 + status.message().len() * 3;
            assert!(bytes < 16 * 1024, "{bytes} bytes of headers");
        }
        let details = invalid(&violations).get_error_details();
        let listed = &details.bad_request().expect("bad request").field_violations;
        assert_eq!(listed.last().unwrap().description, format!("and {} more violations", 151 - listed.len()));
    }
}
