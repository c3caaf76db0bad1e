//! What people and programs see: stdout is data, stderr is talk.

mod table;

use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
};

use headland::error::{Error, ErrorKind};
use serde::Serialize;

pub(crate) use self::table::Table;

/// How data is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Columns, for people.
    Table,
    /// For programs.
    Json,
    /// For people who edit it: a printed distribution is accepted by `update -f`.
    Yaml,
}

impl Format {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Json => "json",
            Self::Yaml => "yaml",
        }
    }
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Table, Self::Json, Self::Yaml]
            .into_iter()
            .find(|f| f.as_str() == text)
            .ok_or_else(|| format!("{text:?} is not an output format: use table, json or yaml"))
    }
}

/// Where a command writes.
pub(crate) struct Output {
    stdout: Box<dyn Write>,
    stderr: Box<dyn Write>,
    colour: bool,
}

impl Output {
    /// The process's own streams. Colour only on a terminal, and only if NO_COLOR is unset (no-color.org).
    pub(crate) fn of_process() -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        Self {
            stdout: Box::new(io::stdout()),
            stderr: Box::new(io::stderr()),
            colour: io::stderr().is_terminal() && !no_color,
        }
    }

    /// Writes data: a table or another text for people, without control characters, or the documents themselves.
    pub(crate) fn data<T: Display>(
        &mut self,
        format: Format,
        documents: &impl Serialize,
        table: impl FnOnce() -> T,
    ) -> Result<(), Error> {
        let not_written = |e: &dyn Display| Error::new(ErrorKind::Internal, format!("write the result: {e}"));
        let text = match format {
            Format::Table => table().to_string(),
            Format::Json => serde_json::to_string_pretty(documents).map_err(|e| not_written(&e))?,
            Format::Yaml => serde_saphyr::to_string(documents).map_err(|e| not_written(&e))?,
        };
        self.text(text.trim_end_matches('\n'))
    }

    /// Writes data that is a text already, and a line end. Whoever has read enough may close the pipe: that is success.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), Error> {
        let written = writeln!(self.stdout, "{text}").and_then(|()| self.stdout.flush());
        match written {
            Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
                Err(Error::new(ErrorKind::Io, format!("write the result: {e}")))
            }
            _ => Ok(()),
        }
    }

    /// Says something besides the data. Nobody may be listening: that is no failure.
    pub(crate) fn say(&mut self, text: &str) {
        drop(writeln!(self.stderr, "{}", plain(text)));
    }

    /// Says why a command failed.
    pub(crate) fn failure(&mut self, error: &Error) {
        let (red, bold, end) = if self.colour { ("\x1b[1;31m", "\x1b[1m", "\x1b[0m") } else { ("", "", "") };
        let mut text =
            format!("{red}error[{}]:{end} failed to {}\n", plain(error.code()), plain(&error.to_string()));
        for violation in error.violations() {
            text.push_str(&format!("  {}\n", plain(&violation.to_string())));
        }
        for line in error.snippet().unwrap_or_default().lines() {
            text.push_str(&format!("{}\n", plain(line)));
        }
        if let Some(hint) = error.hint() {
            text.push_str(&format!("{bold}hint:{end} {}\n", plain(hint)));
        }
        drop(self.stderr.write_all(text.as_bytes()));
    }
}

/// The text without what a terminal would act upon: comments, locations and reasons come from elsewhere.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            out.extend(c.escape_debug());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use headland::error::Violation;

    use super::*;

    /// A stream that fails in one way, or keeps what was written.
    #[derive(Clone, Default)]
    struct Pipe {
        broken: Option<io::ErrorKind>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.broken {
                Some(kind) => Err(kind.into()),
                None => self.written.lock().expect("lock").write(bytes),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn output(stdout: &Pipe, stderr: &Pipe, colour: bool) -> Output {
        Output { stdout: Box::new(stdout.clone()), stderr: Box::new(stderr.clone()), colour }
    }

    fn text(pipe: &Pipe) -> String {
        String::from_utf8(pipe.written.lock().expect("lock").clone()).expect("UTF-8")
    }

    #[test]
    fn a_closed_pipe_is_success_and_a_full_disk_is_not() {
        for (kind, ok) in [(io::ErrorKind::BrokenPipe, true), (io::ErrorKind::StorageFull, false)] {
            let broken = Pipe { broken: Some(kind), ..Pipe::default() };
            assert_eq!(output(&broken, &Pipe::default(), false).text("x").is_ok(), ok, "{kind}");
        }
    }

    #[test]
    fn a_failure_lists_everything_and_colours_only_on_request() {
        let violation =
            |field: &str| Violation { field: field.into(), description: "is wrong".into(), place: None };
        let error = Error::new(ErrorKind::Invalid, "create the distribution: 2 things are wrong")
            .with_violations(vec![violation("comment"), violation("aliases[0]")])
            .with_snippet("1 | a\n  | ^")
            .with_hint("correct them");
        let (out, err) = (Pipe::default(), Pipe::default());
        output(&out, &err, false).failure(&error);
        assert_eq!(
            text(&err),
            "error[invalid-argument]: failed to create the distribution: 2 things are wrong\n  comment: is wrong\n  \
             aliases[0]: is wrong\n1 | a\n  | ^\nhint: correct them\n"
        );
        assert!(text(&out).is_empty());
        let err = Pipe::default();
        output(&out, &err, true).failure(&error);
        assert!(text(&err).contains("\x1b[1;31merror"));
    }

    #[test]
    fn terminals_are_not_told_what_to_do() {
        assert_eq!(plain("a\x1b[2Jb\nü"), "a\\u{1b}[2Jb\\nü");
    }
}
