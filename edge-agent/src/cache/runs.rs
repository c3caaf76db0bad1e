//! Runs: stretches of blocks under way. One request to the origin brings block after block, everybody who needs one of them reads along,
//! and the next is begun only when somebody wants it.
//!
//! A `Run` belongs to the blocks of one object. Its `Conductor` fetches; its `Follower`s are viewers, each of whom is somewhere else.

use std::{collections::HashMap, ops::Range, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::timeout};

use super::coalescing::body::{FillBody, Reader};

/// A viewer who is this many blocks ahead of a run does not wait for it.
const NEAR_BLOCKS: u64 = 8;
/// How long a run that nobody has followed yet waits for somebody.
const FIRST_FOLLOWER: Duration = Duration::from_secs(1);

/// The runs under way, by the id of the blocks.
#[derive(Debug, Default)]
pub struct Runs(Mutex<HashMap<u64, Vec<Arc<Run>>>>);

/// One stretch of blocks under way.
#[derive(Debug)]
pub struct Run {
    end: u64,
    state: Mutex<State>,
    /// For followers: the conductor has got on, or has stopped.
    moved: Notify,
    /// For the conductor: somebody wants more, or has left.
    wanted: Notify,
}

#[derive(Debug)]
struct State {
    /// The block that is under way, or will be next.
    at: u64,
    body: Option<Arc<FillBody>>,
    /// The block before it, for those who come for it a moment late: the cache may have had no room for it.
    last: Option<Arc<FillBody>>,
    /// The furthest block that somebody has asked for.
    wanted: Option<u64>,
    followers: usize,
    /// Whether there has ever been one.
    was_followed: bool,
    end: Option<End>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Nobody wanted more, or there is no more.
    Over,
    /// The rest cannot be had.
    Failed,
}

/// What a run has for one who wants a block.
#[derive(Debug)]
pub enum Next {
    /// The block, as it comes.
    Body(Reader),
    /// It is not this run's, or no longer: look in the cache, or fetch it.
    Passed,
    /// It cannot be had.
    Failed,
}

/// What became of asking for a run.
#[derive(Debug)]
pub enum Joined {
    /// One is under way.
    Along(Follower),
    /// There is none: it is for the caller to fetch, and to follow.
    Begun(Follower, Conductor),
}

impl Runs {
    /// Joins a run that has this block or comes to it soon, or begins one from it up to `end`.
    #[must_use]
    pub fn join(self: &Arc<Self>, id: u64, index: u64, end: u64) -> Joined {
        let mut runs = self.0.lock();
        let of_object = runs.entry(id).or_default();
        let nearest = of_object.iter().filter_map(|run| Some((run.distance(index)?, run)));
        if let Some((_, run)) = nearest.min_by_key(|(distance, _)| *distance) {
            return Joined::Along(Follower::new(run));
        }
        let run = Run::new(index..end);
        of_object.push(Arc::clone(&run));
        Joined::Begun(Follower::new(&run), Conductor { runs: Arc::clone(self), id, run })
    }

    /// Begins a run of these blocks, which nobody follows yet.
    #[must_use]
    pub fn begin(self: &Arc<Self>, id: u64, blocks: Range<u64>) -> Conductor {
        let run = Run::new(blocks);
        self.0.lock().entry(id).or_default().push(Arc::clone(&run));
        Conductor { runs: Arc::clone(self), id, run }
    }
}

impl Run {
    fn new(blocks: Range<u64>) -> Arc<Self> {
        let state = State {
            at: blocks.start,
            body: None,
            last: None,
            wanted: None,
            followers: 0,
            was_followed: false,
            end: None,
        };
        Arc::new(Self {
            end: blocks.end,
            state: Mutex::new(state),
            moved: Notify::new(),
            wanted: Notify::new(),
        })
    }

    /// How many blocks before one it is, if it will come to it soon.
    fn distance(&self, index: u64) -> Option<u64> {
        self.state.lock().distance(index, self.end)
    }
}

impl State {
    fn distance(&self, index: u64, end: u64) -> Option<u64> {
        let distance = index.checked_sub(self.at).filter(|&ahead| ahead <= NEAR_BLOCKS && index < end)?;
        let comes_to_it = self.body.as_ref().is_none_or(|body| match distance {
            0 => body.can_begin(),
            // Others may take their time over the one that is under way.
            _ => !body.may_be_held_up(),
        });
        (self.end.is_none() && comes_to_it).then_some(distance)
    }
}

/// One who reads blocks of a run as they come.
#[derive(Debug)]
pub struct Follower(Arc<Run>);

impl Follower {
    fn new(run: &Arc<Run>) -> Self {
        let mut state = run.state.lock();
        state.followers += 1;
        state.was_followed = true;
        Self(Arc::clone(run))
    }

    /// Waits until the run comes to a block.
    pub async fn next(&self, index: u64) -> Next {
        let run = &self.0;
        loop {
            // Registered before looking, so that nothing in between is missed.
            let moved = run.moved.notified();
            {
                let mut state = run.state.lock();
                let body = if index == state.at { &state.body } else { &state.last };
                if (index..=index + 1).contains(&state.at)
                    && let Some(reader) = body.as_ref().and_then(|body| body.reader())
                {
                    run.wanted.notify_one();
                    return Next::Body(reader);
                }
                match state.end {
                    Some(End::Failed) => return Next::Failed,
                    None if state.distance(index, run.end).is_some() => {
                        state.wanted = state.wanted.max(Some(index));
                    }
                    _ => return Next::Passed,
                }
            }
            run.wanted.notify_one();
            moved.await;
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.state.lock().followers -= 1;
        self.0.wanted.notify_one();
    }
}

/// The duty to fetch the blocks of a run. Dropped, it ends the run.
#[derive(Debug)]
pub struct Conductor {
    runs: Arc<Runs>,
    id: u64,
    run: Arc<Run>,
}

impl Conductor {
    /// The blocks from the first that is not there yet.
    #[must_use]
    pub fn left(&self) -> Range<u64> {
        self.run.state.lock().at..self.run.end
    }

    /// Waits until the next block is wanted. False if nobody is there any more who could want it.
    pub async fn is_wanted(&self) -> bool {
        let mut first = true;
        loop {
            {
                let state = self.run.state.lock();
                if state.wanted >= Some(state.at) {
                    return true;
                }
                if state.followers == 0 && (state.was_followed || !first) {
                    return false;
                }
            }
            match timeout(FIRST_FOLLOWER, self.run.wanted.notified()).await {
                Ok(()) => {}
                Err(_) => first = false,
            }
        }
    }

    /// Whether somebody waits for what comes after the block that is under way.
    #[must_use]
    pub fn is_wanted_beyond(&self) -> bool {
        let state = self.run.state.lock();
        state.wanted > Some(state.at)
    }

    /// Whether anybody may still want something of it.
    #[must_use]
    pub fn is_followed(&self) -> bool {
        self.run.state.lock().followers > 0
    }

    /// Waits until a follower begins to read, wants more or leaves.
    pub async fn stirred(&self) {
        self.run.wanted.notified().await;
    }

    /// Begins the next block, which arrives in `body`.
    pub fn begin(&self, body: &Arc<FillBody>) {
        {
            let mut state = self.run.state.lock();
            (state.body, state.last) = (Some(Arc::clone(body)), None);
        }
        self.run.moved.notify_waiters();
    }

    /// The block that was begun is where everybody finds it.
    pub fn done(&self) {
        {
            let mut state = self.run.state.lock();
            state.last = state.body.take();
            state.at += 1;
        }
        self.run.moved.notify_waiters();
    }

    /// The rest cannot be had: tells all who wait for it.
    pub fn fail(self) {
        self.end(End::Failed);
    }

    fn end(&self, end: End) {
        let body = {
            let mut state = self.run.state.lock();
            state.end.get_or_insert(end);
            state.body.take()
        };
        // One that is complete does not hear of it.
        body.iter().for_each(|body| body.break_off());
        self.run.moved.notify_waiters();
    }
}

impl Drop for Conductor {
    fn drop(&mut self) {
        self.end(End::Over);
        let mut runs = self.runs.0.lock();
        if let Some(of_object) = runs.get_mut(&self.id) {
            of_object.retain(|run| !Arc::ptr_eq(run, &self.run));
            if of_object.is_empty() {
                runs.remove(&self.id);
            }
        }
    }
}

#[cfg(test)]
mod tests;
