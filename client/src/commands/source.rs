//! Reading a spec from a file or from stdin.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use headland::{
    error::{Error, ErrorKind},
    spec::{Source, Spec},
};

const BYTES_MAX: usize = <Source>::BYTES_MAX;

/// Reads and parses a spec; `-` is stdin.
pub(crate) fn read<S: Spec>(path: &Path) -> Result<Source<S>, Error> {
    let (name, text) = text(path)?;
    Source::parse(&name, &text)
}

/// What a file is called in messages, and what is in it; `-` is stdin.
pub(crate) fn text(path: &Path) -> Result<(String, String), Error> {
    let (name, text) = if path == Path::new("-") {
        ("stdin".to_owned(), read_to_string(io::stdin().lock()))
    } else {
        (path.display().to_string(), File::open(path).and_then(read_to_string))
    };
    let text = text.map_err(|e| Error::new(ErrorKind::Spec, format!("read {name}: {e}")))?;
    Ok((name, text))
}

fn read_to_string(from: impl Read) -> io::Result<String> {
    let mut text = String::new();
    from.take(BYTES_MAX as u64 + 1).read_to_string(&mut text)?;
    if text.len() > BYTES_MAX {
        return Err(io::Error::other(format!("it has more than {} bytes", BYTES_MAX)));
    }
    Ok(text)
}
