//! What the machine has, for defaults: memory (its own and what the cgroup allows), cores, a name.

use std::{fs, num::NonZero, path::Path};

/// What defaults are derived from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Memory this process may use, in bytes: the machine's or the cgroup's, whichever is less.
    pub memory_bytes: u64,
    /// Threads that can run at once.
    pub parallelism: usize,
    /// The machine's name; empty if it has none.
    pub host_name: String,
}

/// Memory if the machine does not say.
const MEMORY_BYTES_UNKNOWN: u64 = 1 << 30;

impl Machine {
    /// This machine.
    #[must_use]
    pub fn detect() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let machine = mem_total(&read("/proc/meminfo"));
        let cgroup = cgroup_limit(&read("/proc/self/cgroup"), &|path| fs::read_to_string(path).ok());
        Self {
            memory_bytes: machine.into_iter().chain(cgroup).min().unwrap_or(MEMORY_BYTES_UNKNOWN),
            parallelism: std::thread::available_parallelism().map_or(1, NonZero::get),
            host_name: read("/proc/sys/kernel/hostname").trim().to_owned(),
        }
    }
}

/// `MemTotal` of /proc/meminfo, in bytes.
fn mem_total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The least memory limit of the cgroups this process is in, version 1 or 2, from the content of /proc/self/cgroup.
fn cgroup_limit(membership: &str, read: &dyn Fn(&Path) -> Option<String>) -> Option<u64> {
    membership
        .lines()
        .filter_map(|line| line.split_once(':')?.1.split_once(':'))
        .flat_map(|(controllers, path)| {
            let (root, file) = match controllers {
                "" => ("/sys/fs/cgroup", "memory.max"),
                _ if controllers.split(',').any(|c| c == "memory") => {
                    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
                }
                _ => return Vec::new(),
            };
            // A limit on any group above counts as well. "max" is no number, and so no limit.
            let groups = Path::new(path.trim_start_matches('/')).ancestors();
            let limit =
                |group: &Path| read(&Path::new(root).join(group).join(file))?.trim().parse::<u64>().ok();
            groups.filter_map(limit).collect()
        })
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_memory() {
        assert_eq!(mem_total("MemFree: 1 kB\nMemTotal:       16316412 kB\n"), Some(16_316_412 * 1024));
        assert_eq!(mem_total(""), None);
        assert_eq!(mem_total("MemTotal: lots"), None);
    }

    #[test]
    fn the_least_limit_of_all_groups_counts() {
        let files = [
            ("/sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("/sys/fs/cgroup/a/memory.max", "1000\n"),
            ("/sys/fs/cgroup/memory.max", "2000\n"),
            ("/sys/fs/cgroup/memory/c/memory.limit_in_bytes", "500\n"),
        ];
        let read = |path: &Path| {
            files.iter().find(|(name, _)| Path::new(name) == path).map(|(_, content)| (*content).to_owned())
        };
        for (membership, limit) in [
            ("0::/a/b\n", Some(1000)),
            ("0::/\n", Some(2000)),
            ("0::/x\n", Some(2000)),
            ("5:cpu,memory:/c\n1:name=systemd:/\n", Some(500)),
            ("5:cpu:/c\n", None),
            ("garbage", None),
            ("", None),
        ] {
            assert_eq!(cgroup_limit(membership, &read), limit, "{membership}");
        }
    }

    #[test]
    fn this_machine_has_something() {
        let machine = Machine::detect();
        assert!(machine.memory_bytes > 1 << 20 && machine.parallelism > 0, "{machine:?}");
    }
}
