//! What an error of etcd or of the way to it means for whoever called.

use std::error::Error as _;

use etcd_client::Error;
use tonic::{Code, ConnectError, Status};

use crate::store::StoreError;

/// Why one call to one member failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The member certainly did nothing: the call can be repeated on another.
    NotDone(String),
    /// No answer, or one that leaves open whether the member did it.
    Lost(String),
    /// The history that was asked for is gone.
    Compacted,
    /// The quota is used up. etcd may say so of the very commit that filled it, after applying it.
    NoSpace(String),
    /// Every member would answer the same.
    Final(String),
}

impl Trouble {
    /// What an error of the client library means.
    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::GRpcStatus(status) => Self::of_status(status),
            Error::IoError(_) | Error::WatchError(_) => Self::Lost(error.to_string()),
            other => Self::Final(other.to_string()),
        }
    }

    fn of_status(status: &Status) -> Self {
        let said = || match status.message() {
            "" => status.code().to_string(),
            message => message.to_owned(),
        };
        if let Some(reason) = failed_to_connect(status) {
            return Self::NotDone(reason);
        }
        let says = |text: &str| status.message().contains(text);
        match status.code() {
            // The leader was missed before anything was proposed.
            Code::Unavailable if says("no leader") => Self::NotDone(said()),
            Code::ResourceExhausted if says("database space exceeded") => Self::NoSpace(said()),
            Code::ResourceExhausted if says("too many requests") => Self::NotDone(said()),
            Code::OutOfRange if says("has been compacted") => Self::Compacted,
            // Users or roles changed while the request was under way; etcd wants it again.
            Code::InvalidArgument if says("auth store is old") => Self::NotDone(said()),
            Code::InvalidArgument
            | Code::OutOfRange
            | Code::ResourceExhausted
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::FailedPrecondition
            | Code::NotFound
            | Code::AlreadyExists
            | Code::Unimplemented => Self::Final(said()),
            _ => Self::Lost(said()),
        }
    }

    /// Names the member that it happened with.
    pub(super) fn at(self, endpoint: &str) -> Self {
        let named = |reason: String| format!("{endpoint}: {reason}");
        match self {
            Self::NotDone(reason) => Self::NotDone(named(reason)),
            Self::Lost(reason) => Self::Lost(named(reason)),
            Self::NoSpace(reason) => Self::NoSpace(named(reason)),
            Self::Final(reason) => Self::Final(named(reason)),
            Self::Compacted => Self::Compacted,
        }
    }

    /// What was said.
    pub(super) fn reason(&self) -> Option<&str> {
        match self {
            Self::NotDone(reason) | Self::Lost(reason) | Self::NoSpace(reason) | Self::Final(reason) => {
                Some(reason)
            }
            Self::Compacted => None,
        }
    }

    /// Whether another member may do better.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::NotDone(_) | Self::Lost(_))
    }

    /// What it means for a call that writes nothing.
    pub(super) fn of_a_read(self) -> StoreError {
        match self {
            Self::NotDone(reason) | Self::Lost(reason) => StoreError::Unavailable { reason },
            Self::NoSpace(reason) | Self::Final(reason) => StoreError::Failed { reason },
            Self::Compacted => {
                StoreError::Unavailable { reason: "etcd compacts faster than it is read".into() }
            }
        }
    }
}

/// If there was never a connection: why.
fn failed_to_connect(status: &Status) -> Option<String> {
    let mut source = status.source();
    while let Some(error) = source {
        if error.is::<ConnectError>() {
            return Some(innermost(error));
        }
        source = error.source();
    }
    None
}

/// "tcp connect error: Connection refused (os error 111)" says more than its first half.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let next = error.to_string();
        if !reason.ends_with(&next) {
            reason = format!("{reason}: {next}");
        }
        source = error.source();
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_of_etcd_has_one_meaning() {
        let not_done = Trouble::NotDone as fn(String) -> Trouble;
        let cases = [
            (Code::Unavailable, "etcdserver: no leader", not_done),
            (Code::Unavailable, "etcdserver: request timed out", Trouble::Lost),
            (Code::Unavailable, "etcdserver: leader changed", Trouble::Lost),
            (Code::Unavailable, "etcdserver: server stopped", Trouble::Lost),
            (Code::Cancelled, "operation was canceled", Trouble::Lost),
            (Code::DeadlineExceeded, "", Trouble::Lost),
            (Code::Unknown, "h2 protocol error: http2 error", Trouble::Lost),
            (Code::Internal, "transport", Trouble::Lost),
            (Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded", Trouble::NoSpace),
            (Code::ResourceExhausted, "etcdserver: too many requests", not_done),
            (Code::ResourceExhausted, "message larger than max", Trouble::Final),
            (Code::InvalidArgument, "etcdserver: revision of auth store is old", not_done),
            (
                Code::InvalidArgument,
                "etcdserver: authentication failed, invalid user ID or password",
                Trouble::Final,
            ),
            (Code::InvalidArgument, "etcdserver: duplicate key given in txn request", Trouble::Final),
            (Code::PermissionDenied, "etcdserver: permission denied", Trouble::Final),
            (Code::Unauthenticated, "etcdserver: invalid auth token", Trouble::Final),
        ];
        for (code, message, meaning) in cases {
            let said = if message.is_empty() { code.to_string() } else { message.to_owned() };
            let error = Error::GRpcStatus(Status::new(code, message));
            assert_eq!(Trouble::of(&error), meaning(said), "{code:?} {message}");
        }
        let compacted =
            Status::new(Code::OutOfRange, "etcdserver: mvcc: required revision has been compacted");
        assert_eq!(Trouble::of(&Error::GRpcStatus(compacted)), Trouble::Compacted);
    }

    #[test]
    fn a_connection_that_never_was_did_nothing() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let status = Status::from_error(Box::new(ConnectError(Box::new(refused))));
        let trouble = Trouble::of(&Error::GRpcStatus(status));
        assert_eq!(trouble, Trouble::NotDone("connection refused".to_owned()));
        assert_eq!(trouble.at("http://a"), Trouble::NotDone("http://a: connection refused".to_owned()));
    }
}
