//! The writer's queue: bounded, and never waited for by those who put something in.

use std::{collections::VecDeque, time::Duration};

use parking_lot::{Condvar, Mutex};
use tokio::sync::{Notify, oneshot};

use super::{
    entry::{Name, RecordId},
    record::Record,
};

/// Removals that may wait. Whoever orders more has the store emptied: an order to remove is never lost.
pub(super) const REMOVALS_MAX: usize = 1 << 20;
/// What a record costs beside its bytes.
const RECORD_COST: u64 = 256;

/// What the writer is to do, in the order in which it was asked.
#[derive(Debug)]
pub(super) enum Order {
    Write(Record),
    /// Taken out of the index already; what is on its way is barred. These must be buried.
    Remove {
        name: Name,
        tag: Option<u64>,
        gone: Vec<RecordId>,
    },
    /// Taken out of the index already.
    Bury(RecordId),
    Sweep,
    /// All before it has been done; tells whether all removals are in the graves' file.
    Settled(oneshot::Sender<bool>),
}

/// How the writer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Everything is written first, and the snapshot.
    Stop,
    /// At once, as if the process had been killed.
    Abandon,
}

/// What the writer takes at once.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) orders: Vec<Order>,
    pub(super) end: Option<End>,
}

#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    freed: Notify,
    bytes_max: u64,
}

#[derive(Debug, Default)]
struct State {
    orders: VecDeque<Order>,
    bytes: u64,
    others: usize,
    end: Option<End>,
}

/// Why an order was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    Full,
    Ended,
}

fn cost(record: &Record) -> u64 {
    (record.meta.len() + record.body.len()) as u64 + RECORD_COST
}

impl Queue {
    pub(super) fn new(bytes_max: u64) -> Self {
        Self { state: Mutex::default(), filled: Condvar::new(), freed: Notify::new(), bytes_max }
    }

    pub(super) fn write(&self, record: Record) -> Result<(), Full> {
        let mut state = self.state.lock();
        if state.end.is_some() {
            return Err(Full::Ended);
        }
        let bytes = state.bytes + cost(&record);
        if bytes > self.bytes_max {
            return Err(Full::Full);
        }
        state.bytes = bytes;
        state.orders.push_back(Order::Write(record));
        self.filled.notify_one();
        Ok(())
    }

    /// Anything but a record.
    pub(super) fn push(&self, order: Order) -> Result<(), Full> {
        let mut state = self.state.lock();
        if state.end.is_some() {
            return Err(Full::Ended);
        }
        if state.others >= REMOVALS_MAX {
            return Err(Full::Full);
        }
        state.others += 1;
        state.orders.push_back(order);
        self.filled.notify_one();
        Ok(())
    }

    /// Bytes that wait.
    pub(super) fn bytes(&self) -> u64 {
        self.state.lock().bytes
    }

    /// Whether a record of so many bytes, meta and body, would be taken now.
    pub(super) fn has_room(&self, record_bytes: u64) -> bool {
        self.bytes().saturating_add(record_bytes).saturating_add(RECORD_COST) <= self.bytes_max
    }

    /// Waits until it would; false if that will never be.
    pub(super) async fn room(&self, record_bytes: u64) -> bool {
        if record_bytes.saturating_add(RECORD_COST) > self.bytes_max {
            return false;
        }
        loop {
            let mut freed = std::pin::pin!(self.freed.notified());
            // From here on it cannot be missed.
            freed.as_mut().enable();
            if self.state.lock().end.is_some() {
                return false;
            }
            if self.has_room(record_bytes) {
                return true;
            }
            freed.await;
        }
    }

    /// Nothing is taken in any more.
    pub(super) fn end(&self, end: End) {
        self.state.lock().end.get_or_insert(end);
        self.filled.notify_one();
        self.freed.notify_waiters();
    }

    /// Whether to leave everything and go.
    pub(super) fn is_abandoned(&self) -> bool {
        self.state.lock().end == Some(End::Abandon)
    }

    /// Waits for orders, but not longer than `wait`, and takes records of about that many bytes in all. The end comes after
    /// the last of them, unless it is to be at once.
    pub(super) fn take(&self, bytes: u64, wait: Duration) -> Taken {
        let mut state = self.state.lock();
        if state.orders.is_empty() && state.end.is_none() && !wait.is_zero() {
            self.filled.wait_for(&mut state, wait);
        }
        let mut taken = Taken { orders: Vec::new(), end: None };
        let mut taken_bytes = 0;
        while taken_bytes < bytes && taken.orders.len() < 4096 {
            match state.orders.pop_front() {
                None => break,
                Some(order) => {
                    match &order {
                        Order::Write(record) => taken_bytes += cost(record),
                        _ => state.others -= 1,
                    }
                    taken.orders.push(order);
                }
            }
        }
        state.bytes -= taken_bytes;
        if taken_bytes > 0 {
            self.freed.notify_waiters();
        }
        if state.orders.is_empty() || state.end == Some(End::Abandon) {
            taken.end = state.end;
        }
        taken
    }
}
