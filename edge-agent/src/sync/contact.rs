//! Which control planes this edge is in contact with, for metrics.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// One control plane, by configured URL and address.
#[derive(Debug)]
pub(crate) struct Contact {
    pub(crate) control_plane: String,
    pub(crate) address: String,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    connected: bool,
    /// When it last changed from one to the other.
    since: Instant,
}

impl Contact {
    /// Whether a stream is open. Keep-alive sees to it that this is soon false when the other side is gone.
    pub(crate) fn is_connected(&self) -> bool {
        self.open.lock().connected
    }

    /// Zero while a stream is open, then the time since it was.
    pub(crate) fn silence(&self) -> Duration {
        let open = self.open.lock();
        if open.connected { Duration::ZERO } else { open.since.elapsed() }
    }

    /// Notes whether a stream is open.
    pub(crate) fn set_connected(&self, connected: bool) {
        let mut open = self.open.lock();
        if open.connected != connected {
            *open = Open { connected, since: Instant::now() };
        }
    }
}

/// All control planes this edge tries to reach.
#[derive(Debug, Default)]
pub(crate) struct Contacts {
    list: Mutex<Vec<Arc<Contact>>>,
}

impl Contacts {
    /// One more.
    pub(crate) fn add(&self, control_plane: String, address: String) -> Arc<Contact> {
        let open = Mutex::new(Open { connected: false, since: Instant::now() });
        let contact = Arc::new(Contact { control_plane, address, open });
        self.list.lock().push(Arc::clone(&contact));
        contact
    }

    /// One less.
    pub(crate) fn remove(&self, contact: &Arc<Contact>) {
        self.list.lock().retain(|other| !Arc::ptr_eq(other, contact));
    }

    /// All, in the order they were added.
    pub(crate) fn list(&self) -> Vec<Arc<Contact>> {
        self.list.lock().clone()
    }
}
