//! Exit codes: the only file that chooses them.

use std::process::ExitCode;

/// Why the program ends. Wrong usage ends it with 2 too, by clap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// As asked.
    Done,
    /// A part of it ended unexpectedly; starting again may help.
    Failed,
    /// The configuration cannot be used.
    Config,
    /// The store cannot be opened.
    Store,
    /// An address cannot be listened on.
    Listen,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Config => 2,
            Exit::Store => 3,
            Exit::Listen => 4,
        })
    }
}
