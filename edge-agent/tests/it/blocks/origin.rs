//! An origin with one large object, which does ranges, breaks off, changes, or takes no notice of Range, as it is told.

use std::{
    io::Write,
    net::TcpStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
};

use crate::support::origin::{Origin, Received};

/// What it does from now on.
#[derive(Debug, Clone)]
pub(crate) struct Manner {
    /// Of the object and its validator.
    pub(crate) version: u8,
    pub(crate) length: u64,
    pub(crate) validator: &'static str,
    /// Whether it takes notice of Range.
    pub(crate) ranges: bool,
    /// Bytes of a body after which it breaks off.
    pub(crate) breaks_after: Option<u64>,
    /// Bytes that it gives at once of a range, however many are asked for.
    pub(crate) gives: Option<u64>,
    pub(crate) cache_control: &'static str,
    /// The status of every answer, if it has nothing to give.
    pub(crate) refuses: Option<&'static str>,
    /// The validator in a 304, if it is another.
    pub(crate) not_modified: Option<&'static str>,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            version: 1,
            length: 10 << 20,
            validator: "etag: \"v1\"",
            ranges: true,
            breaks_after: None,
            gives: None,
            cache_control: "max-age=600",
            refuses: None,
            not_modified: None,
        }
    }
}

/// The byte of a version at a position.
fn byte(version: u8, position: u64) -> u8 {
    let block = (position >> 16) as u8;
    (position as u8).wrapping_mul(31).wrapping_add(block).wrapping_add(version.wrapping_mul(101))
}

/// Those bytes of a version.
pub(crate) fn bytes(version: u8, range: std::ops::Range<u64>) -> Vec<u8> {
    range.map(|position| byte(version, position)).collect()
}

pub(crate) struct Large {
    pub(crate) origin: Origin,
    manner: Arc<Mutex<Manner>>,
    sent: Arc<AtomicU64>,
    breaks: Arc<AtomicUsize>,
}

impl Large {
    pub(crate) fn start(manner: Manner) -> Self {
        let manner = Arc::new(Mutex::new(manner));
        let (sent, breaks) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicUsize::new(0)));
        let origin = Origin::start({
            let (manner, sent, breaks) = (Arc::clone(&manner), Arc::clone(&sent), Arc::clone(&breaks));
            move |request, stream| {
                let manner = manner.lock().expect("lock").clone();
                answer(request, stream, &manner, &sent, &breaks)
            }
        });
        Self { origin, manner, sent, breaks }
    }

    /// Changes what it does with the next request.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Manner)) {
        change(&mut self.manner.lock().expect("lock"));
    }

    /// Bytes of bodies that it was able to send.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(SeqCst)
    }

    /// How often it broke off.
    pub(crate) fn breaks(&self) -> usize {
        self.breaks.load(SeqCst)
    }

    /// The ranges it was asked for.
    pub(crate) fn ranges(&self) -> Vec<Option<String>> {
        self.origin.received().iter().map(|request| request.header("range").map(str::to_owned)).collect()
    }
}

fn answer(
    request: &Received,
    stream: &mut TcpStream,
    manner: &Manner,
    sent: &AtomicU64,
    breaks: &AtomicUsize,
) -> bool {
    let Manner { version, length, validator, cache_control, .. } = *manner;
    if let Some(status) = manner.refuses {
        return write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").is_ok();
    }
    let tag = validator.split_once(": ").map_or("", |(_, value)| value);
    if request.header("if-none-match") == Some(tag) {
        let validator = manner.not_modified.unwrap_or(validator);
        let head =
            format!("HTTP/1.1 304 Not Modified\r\n{validator}\r\ncache-control: {cache_control}\r\n\r\n");
        return stream.write_all(head.as_bytes()).is_ok();
    }
    let asked = request.header("range").filter(|_| manner.ranges);
    let asked = asked.filter(|_| request.header("if-range").is_none_or(|condition| condition == tag));
    let range = asked.and_then(|text| {
        let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
        Some(match (first.parse::<u64>().ok(), last.parse::<u64>().ok()) {
            (Some(first), last) => first..last.map_or(length, |last| (last + 1).min(length)),
            (None, last) => length - last?.min(length)..length,
        })
    });
    let given = |range: std::ops::Range<u64>| {
        range.start..range.end.min(manner.gives.map_or(u64::MAX, |gives| range.start + gives))
    };
    let (status, content_range, range) = match range.map(given) {
        Some(range) if range.start >= length => {
            return write!(stream, "HTTP/1.1 416 Range Not Satisfiable\r\ncontent-range: bytes */{length}\r\ncontent-length: 0\r\n\r\n").is_ok();
        }
        Some(range) => {
            let line = format!("content-range: bytes {}-{}/{length}\r\n", range.start, range.end - 1);
            ("206 Partial Content", line, range)
        }
        None => ("200 OK", String::new(), 0..length),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\ncache-control: {cache_control}\r\n{validator}\r\n{content_range}\r\n",
        range.end - range.start
    );
    if stream.write_all(head.as_bytes()).is_err() {
        return false;
    }
    let mut position = range.start;
    let breaks_at = manner.breaks_after.map_or(u64::MAX, |after| range.start + after);
    while position < range.end {
        let end = (position + (64 << 10)).min(range.end).min(breaks_at);
        if stream.write_all(&bytes(version, position..end)).is_err() {
            return false;
        }
        sent.fetch_add(end - position, SeqCst);
        position = end;
        if position == breaks_at && position < range.end {
            breaks.fetch_add(1, SeqCst);
            return false;
        }
    }
    true
}
