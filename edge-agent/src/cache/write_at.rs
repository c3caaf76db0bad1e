//! Writing at a position: parts that lie anywhere in memory, one behind the other in a file.

use std::{
    io::{self, IoSlice},
    os::fd::AsFd,
};

use rustix::io::Errno;

/// Parts that the kernel takes at once.
const PARTS_MAX: usize = 1024;

/// Writes all of these at an offset. After an error nobody can tell how far it came, and `parts` are of no use any more.
pub(super) fn write_all_at(
    file: impl AsFd,
    mut parts: &mut [IoSlice<'_>],
    mut offset: u64,
) -> io::Result<()> {
    while !parts.is_empty() {
        let now = parts.len().min(PARTS_MAX);
        let written = match rustix::io::pwritev(&file, &parts[..now], offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => written,
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        offset += written as u64;
        IoSlice::advance_slices(&mut parts, written);
    }
    Ok(())
}
