//! The journal of invalidations: what makes a change known after a restart, to a cache that is kept on disk.
//!
//! A file of a header and records, each with the number of a barrier and what it was raised for. A record that was cut off was not
//! acknowledged. Anything else that is wrong with the file makes it as good as lost, and then nothing that was stored before counts.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use crc_fast::{CrcAlgorithm, checksum};

use crate::{clock::Timestamp, durable};

const FILE_NAME: &str = "invalidations";
const MAGIC: &[u8; 8] = b"HlInv\0\0\x01";
const HEADER_BYTES: usize = 32;
/// What a record has beside its subject: length, said twice, checksum, and number of the barrier.
const RECORD_BYTES: usize = 4 + 4 + 8 + 8;
/// Bytes of what a barrier is raised for: a key's URI, or scope and group. No viewer or origin can send more.
const SUBJECT_BYTES_MAX: usize = 64 << 10;
/// A journal that has grown beyond this is written anew, with the last record of each subject.
const BYTES_MAX: u64 = 16 << 20;
/// Bytes of records that are left of it then: the latest.
const BYTES_KEPT: usize = 8 << 20;
/// Between the numbers of one start and those of the next: what was raised and not kept has numbers that are never used again.
const NUMBERS_PER_START: u64 = 1 << 20;
/// A journal that begins anew begins with the time in so many parts of a millisecond: more than there are numbers in a millisecond,
/// so that it is above one that was lost.
const NUMBERS_PER_MILLISECOND: u64 = 1 << 16;

/// A barrier that was raised, and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Raised {
    pub(super) barrier: u64,
    pub(super) subject: Vec<u8>,
}

/// The journal, open for more.
#[derive(Debug)]
pub(super) struct Journal {
    dir: PathBuf,
    file: File,
    bytes: u64,
}

/// What a journal says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Content {
    /// What began before this does not count.
    pub(super) base: u64,
    /// Higher than every number before this start.
    pub(super) start: u64,
    /// In the order of their numbers.
    pub(super) raised: Vec<Raised>,
}

impl Journal {
    /// Opens the journal of this directory, or begins one, and tells what it says. `now` is for a new one, whose numbers must be
    /// higher than those of one that was lost.
    pub(super) fn open(dir: &Path, now: Timestamp) -> io::Result<(Self, Content)> {
        let read = match fs::read(dir.join(FILE_NAME)) {
            Ok(bytes) => decode(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let is_whole = read.is_some();
        let mut content = read.unwrap_or_else(|| {
            let base = now.unix_millis().saturating_mul(NUMBERS_PER_MILLISECOND);
            Content { base, start: base, raised: Vec::new() }
        });
        content.start = content.start.saturating_add(NUMBERS_PER_START);
        // Written anew each time: what was cut off goes, and what was said twice.
        let journal = match Self::write(dir, &mut content) {
            // On a full disk what is there will do.
            Err(_) if is_whole => Self::append_to(dir)?,
            written => written?,
        };
        Ok((journal, content))
    }

    fn append_to(dir: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).open(dir.join(FILE_NAME))?;
        let bytes = file.metadata()?.len();
        Ok(Self { dir: dir.to_owned(), file, bytes })
    }

    /// Writes the latest of it. What that leaves out makes all that began before it count no more.
    fn write(dir: &Path, content: &mut Content) -> io::Result<Self> {
        let mut bytes = 0;
        let is_left_out = |raised: &Raised| {
            bytes += raised.subject.len() + RECORD_BYTES;
            bytes > BYTES_KEPT
        };
        if let Some(last) = content.raised.iter().rposition(is_left_out) {
            let left_out = content.raised.drain(..=last).map(|raised| raised.barrier).max();
            content.base = content.base.max(left_out.unwrap_or(0));
        }
        let mut contents = header(content.base, content.start).to_vec();
        content.raised.iter().for_each(|raised| encode(raised, &mut contents));
        durable::write(dir, FILE_NAME, &[&contents])?;
        Self::append_to(dir)
    }

    /// Adds barriers. When this returns they outlive the process, though not a loss of power within the next seconds.
    pub(super) fn add(&mut self, raised: &[Raised]) -> io::Result<()> {
        let mut bytes = Vec::new();
        raised.iter().for_each(|raised| encode(raised, &mut bytes));
        self.file.write_all(&bytes)?;
        self.bytes += bytes.len() as u64;
        if self.bytes > BYTES_MAX {
            let said = fs::read(self.dir.join(FILE_NAME))?;
            let mut content = decode(&said).ok_or(io::ErrorKind::InvalidData)?;
            *self = Self::write(&self.dir, &mut content)?;
        }
        Ok(())
    }

    /// Gives the journal up: at the next start nothing that was stored before counts.
    pub(super) fn give_up(&self) -> io::Result<()> {
        fs::remove_file(self.dir.join(FILE_NAME))
    }
}

fn header(base: u64, start: u64) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..16].copy_from_slice(&base.to_le_bytes());
    bytes[16..24].copy_from_slice(&start.to_le_bytes());
    let sum = checksum(CrcAlgorithm::Crc64Nvme, &bytes[..24]);
    bytes[24..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn encode(raised: &Raised, out: &mut Vec<u8>) {
    let subject = &raised.subject[..raised.subject.len().min(SUBJECT_BYTES_MAX)];
    let start = out.len();
    // At most SUBJECT_BYTES_MAX.
    let length = u32::try_from(subject.len()).unwrap_or(0);
    out.extend_from_slice(&length.to_le_bytes());
    // Said twice, so that a length that is damaged is not taken for that of a record that was cut off.
    out.extend_from_slice(&(!length).to_le_bytes());
    out.extend_from_slice(&raised.barrier.to_le_bytes());
    out.extend_from_slice(subject);
    let sum = checksum(CrcAlgorithm::Crc64Nvme, &out[start..]);
    out.extend_from_slice(&sum.to_le_bytes());
}

/// What a journal of these bytes says, the last word on each subject; `None` if it is not to be trusted.
fn decode(bytes: &[u8]) -> Option<Content> {
    let base = u64::from_le_bytes(bytes.get(8..16)?.try_into().ok()?);
    let start = u64::from_le_bytes(bytes.get(16..24)?.try_into().ok()?);
    if bytes.get(..HEADER_BYTES)? != header(base, start) {
        return None;
    }
    let mut last: HashMap<&[u8], u64> = HashMap::new();
    let mut rest = &bytes[HEADER_BYTES..];
    while !rest.is_empty() {
        let number = |at: usize| rest.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
        let (Some(length), Some(again)) = (number(0), number(4)) else { break };
        let length = usize::try_from(length).ok().filter(|&n| length == !again && n <= SUBJECT_BYTES_MAX)?;
        let Some(record) = rest.get(..length + RECORD_BYTES) else { break };
        let (said, sum) = record.split_at(length + RECORD_BYTES - 8);
        if checksum(CrcAlgorithm::Crc64Nvme, said).to_le_bytes() != sum {
            return None;
        }
        let barrier = u64::from_le_bytes(said[8..16].try_into().ok()?);
        // Two that were raised at once may have been written in the other order.
        let highest = last.entry(&said[16..]).or_default();
        *highest = barrier.max(*highest);
        rest = &rest[record.len()..];
    }
    let mut raised: Vec<_> =
        last.into_iter().map(|(subject, barrier)| Raised { barrier, subject: subject.to_vec() }).collect();
    raised.sort_unstable_by_key(|raised| raised.barrier);
    let start = raised.last().map_or(start, |last| last.barrier.max(start));
    Some(Content { base, start, raised })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raised(barrier: u64, subject: &str) -> Raised {
        Raised { barrier, subject: subject.as_bytes().to_vec() }
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::default().after(std::time::Duration::from_millis(millis))
    }

    #[test]
    fn what_was_added_is_there_at_the_next_start_the_last_word_on_each() {
        let dir = tempfile::tempdir().expect("directory");
        let (mut journal, content) = Journal::open(dir.path(), at(5)).expect("new");
        let base = 5 * NUMBERS_PER_MILLISECOND;
        assert_eq!(content, Content { base, start: base + NUMBERS_PER_START, raised: vec![] });
        journal.add(&[raised(6, "a"), raised(7, "b")]).expect("add");
        journal.add(&[raised(9, "a")]).expect("add");
        journal.add(&[raised(8, "a")]).expect("add");
        drop(journal);
        let (_, content) = Journal::open(dir.path(), at(100)).expect("again");
        let start = base + 2 * NUMBERS_PER_START;
        assert_eq!(content, Content { base, start, raised: vec![raised(7, "b"), raised(9, "a")] });
    }

    #[test]
    fn what_was_cut_off_is_forgotten_and_what_is_wrong_forgets_all() {
        let dir = tempfile::tempdir().expect("directory");
        let (mut journal, _) = Journal::open(dir.path(), at(5)).expect("new");
        journal.add(&[raised(6, "a"), raised(7, "bcd")]).expect("add");
        let path = dir.path().join(FILE_NAME);
        let whole = fs::read(&path).expect("read");
        let second = HEADER_BYTES + RECORD_BYTES + 1;
        for end in 0..=whole.len() {
            let expected = match end {
                _ if end < HEADER_BYTES => None,
                _ if end < second => Some(0),
                _ if end < whole.len() => Some(1),
                _ => Some(2),
            };
            assert_eq!(decode(&whole[..end]).map(|content| content.raised.len()), expected, "{end}");
        }
        for flipped in 0..whole.len() {
            let mut garbled = whole.clone();
            garbled[flipped] ^= 0x10;
            assert_eq!(decode(&garbled), None, "{flipped}");
        }
    }

    #[test]
    fn a_journal_that_was_given_up_or_garbled_begins_above_all_before() {
        let dir = tempfile::tempdir().expect("directory");
        let (journal, _) = Journal::open(dir.path(), at(5)).expect("new");
        journal.give_up().expect("remove");
        assert_eq!(Journal::open(dir.path(), at(50)).expect("again").1.base, 50 * NUMBERS_PER_MILLISECOND);
        fs::write(dir.path().join(FILE_NAME), b"garbage").expect("write");
        assert_eq!(Journal::open(dir.path(), at(500)).expect("again").1.base, 500 * NUMBERS_PER_MILLISECOND);
    }

    #[test]
    fn a_journal_does_not_grow_for_ever() {
        let dir = tempfile::tempdir().expect("directory");
        let (mut journal, _) = Journal::open(dir.path(), at(5)).expect("new");
        // Each another subject, as long as they may be.
        let filler = "x".repeat(SUBJECT_BYTES_MAX - 8);
        let subject = |barrier: u64| format!("{barrier:08}{filler}");
        // Above where a new journal begins, as numbers are.
        let first = 6 * NUMBERS_PER_MILLISECOND;
        for barrier in first..first + 600 {
            journal.add(&[raised(barrier, &subject(barrier))]).expect("add");
        }
        assert!(fs::metadata(dir.path().join(FILE_NAME)).expect("file").len() <= BYTES_MAX + (1 << 20));
        drop(journal);
        let (_, content) = Journal::open(dir.path(), at(100)).expect("again");
        assert_eq!(content.raised.last(), Some(&raised(first + 599, &subject(first + 599))));
        let oldest = content.raised.first().expect("some").barrier;
        assert_eq!(content.base, oldest - 1, "all before counts as changed");
    }
}
