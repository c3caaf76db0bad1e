//! Memory and disk as one cache: what is put into memory is written to the disk as well, and what only the disk has comes back to
//! memory when it is asked for.
//!
//! One record on disk is one response, or the head of one that is kept in blocks, or a block. Responses of one key have one name, and
//! differ in the tag, which stands for what they vary by. An object that is larger than a block and not kept in blocks is in memory
//! alone.

use std::{
    collections::HashSet,
    path::PathBuf,
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use http::StatusCode;
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;

use super::{
    Cache,
    blocks::{BLOCK_BYTES, Blocks},
    disk::{
        BODY_BYTES_MAX, Disk, DiskConfig, FileBody, Located, META_BYTES_MAX, Name, OpenError, Part,
        ReadError, Record, Seed,
    },
    invalidation::Invalidations,
    memory::{Change, Evicted},
    object::{Arena, Head, Object, SMALL_BYTES_MAX, encoded},
};
use crate::clock::{Clock, Timestamp};

/// The disk tier, and what makes invalidations outlive a restart with it.
#[derive(Debug)]
pub struct DiskTier {
    pub(super) disk: Arc<Disk>,
    pub(super) invalidations: Invalidations,
}

impl DiskTier {
    /// Opens the disk tier in this directory, or makes one of this size.
    ///
    /// # Errors
    /// If the directory cannot be used, or another process uses it.
    pub fn open(path: PathBuf, bytes: u64, clock: &Clock) -> Result<Self, OpenError> {
        let disk = Disk::open(DiskConfig::new(path.clone(), bytes), clock.clone())?;
        let invalidations = Invalidations::default();
        let kept = invalidations.keep_in(&path, clock.now());
        kept.map_err(|source| OpenError::Io { path, source })?;
        Ok(Self { disk, invalidations })
    }
}

/// What only the disk has.
#[derive(Debug)]
pub struct OnDisk {
    /// The head, and the body if it is small.
    pub object: Arc<Object>,
    /// A large body.
    pub body: Option<FileBody>,
    located: Located,
}

/// The tag of a response that does not vary.
const PLAIN: u64 = 0;
/// What comes from disk is put into memory if all of its object takes no more than one in so many of it.
const PROMOTED_FRACTION: u64 = 8;
/// A fill waits for the disk at most this long.
const ROOM_TIMEOUT: Duration = Duration::from_secs(1);
/// A viewer waits for the disk at most this long.
const READ_TIMEOUT: Duration = Duration::from_secs(1);
/// A response that came later than this from now was stored by a clock that was wrong.
const FUTURE_MAX: Duration = Duration::from_secs(60);
/// Blocks that are dropped at once with the object they belong to. What is left of a larger one is asked for by nobody, and leaves when
/// others need its place.
const DROPPED_AT_ONCE: u64 = 256;
/// What is over so soon is not worth writing.
const KEPT_MIN: Duration = Duration::from_secs(2);

impl Cache {
    /// Stores an object beside the other variants of its key, in place of those it replaces.
    pub fn insert(&self, key: Arc<[u8]>, object: Arc<Object>, now: Timestamp) {
        let change = self.memory.insert(Arc::clone(&key), object, now);
        self.follow(&key, change, now);
    }

    /// The origin failed: puts what knows of it where `old` is. The disk need not know.
    pub fn hold(&self, key: &Arc<[u8]>, old: &Arc<Object>, held: Arc<Object>) {
        let _ = self.memory.replace(key, old, Some(held));
    }

    /// What was found under a key is asked for again: moves its body to where it can be sent from without a copy, if it is large and
    /// not there. Returns what is to be used.
    #[must_use]
    pub(crate) fn asked_again(&self, key: &[u8], object: &Arc<Object>) -> Arc<Object> {
        if !object.is_to_be_moved(&self.arena) {
            return Arc::clone(object);
        }
        let moved = Arc::clone(object).moved_to(&self.arena);
        // The disk has the same already.
        let _ = self.memory.replace(&key.into(), object, Some(Arc::clone(&moved)));
        moved
    }

    /// Puts `new` where `old` is, or nothing. Does nothing if `old` has gone already.
    pub fn replace(&self, key: &Arc<[u8]>, old: &Arc<Object>, new: Option<Arc<Object>>, now: Timestamp) {
        let is_dropped = new.is_none();
        let change = self.memory.replace(key, old, new);
        match &self.disk {
            // Even if memory has had to let go of it meanwhile.
            Some(disk) if is_dropped => {
                disk.remove(name(disk, key), Some(tag(old)));
                self.drop_blocks_of(key, &change);
            }
            _ => self.follow(key, change, now),
        }
    }

    /// Does to the disk what was done to memory.
    fn follow(&self, key: &[u8], change: Change, now: Timestamp) {
        self.drop_blocks_of(key, &change);
        let Some(disk) = &self.disk else { return };
        let name = name(disk, key);
        let new_tag = change.come.as_deref().map(tag);
        if new_tag == Some(PLAIN) {
            // It replaces every variant, those that are not in memory included. One that is still on its way to the disk loses to it
            // when both are loaded.
            let variants = disk.find(name).into_iter().filter(|record| record.tag() != PLAIN);
            variants.for_each(|record| disk.remove(name, Some(record.tag())));
        }
        for object in &change.gone {
            let tag = tag(object);
            if new_tag != Some(tag) {
                disk.remove(name, Some(tag));
            }
        }
        if let (Some(object), Some(tag)) = (change.come, new_tag)
            && !write(disk, (name, tag), key, &object, now)
        {
            // What it has replaced in memory must not come back from disk, be it still on its way there.
            disk.remove(name, Some(tag));
        }
        demote(disk, &change.evicted, now);
    }

    /// Drops what is no longer worth keeping. Nothing goes to any origin because of it. Returns how many objects there were.
    pub fn sweep(&self, now: Timestamp) -> usize {
        let mut gone = Vec::new();
        let dropped = self.memory.sweep(now, |key, object| {
            gone.extend(object.head.blocks().map(|blocks| (key.to_vec(), blocks)));
        });
        gone.iter().for_each(|(key, blocks)| self.drop_blocks(key, *blocks));
        dropped
    }

    /// Stores a block of the object under `key`.
    pub fn insert_block(&self, key: &[u8], blocks: Blocks, index: u64, block: &Arc<Object>, now: Timestamp) {
        let key = blocks.key(key, index);
        let change = self.memory.insert_block(Arc::clone(&key), Arc::clone(block));
        let Some(disk) = &self.disk else { return };
        // What is not kept is counted by the disk.
        let _ = write(disk, (name(disk, &key), PLAIN), &key, block, now);
        demote(disk, &change.evicted, now);
    }

    /// A block of the object under `key`, from memory or from disk.
    pub async fn block(&self, key: &[u8], blocks: Blocks, index: u64, now: Timestamp) -> Option<Arc<Object>> {
        let block_key = blocks.key(key, index);
        if let Some(stored) = self.memory.get(&block_key) {
            return stored.as_slice().first().cloned();
        }
        let disk = self.disk.as_ref()?;
        let located = *disk.find(name(disk, &block_key)).first()?;
        let record = read(disk, &located).await.ok()?;
        disk.touch(&located);
        let mut block = object_of(&record, &block_key, &self.arena, now)?;
        if blocks.length <= self.limits.memory_bytes / PROMOTED_FRACTION {
            block = block.moved_to(&self.arena);
            let change = self.memory.insert_block(block_key, Arc::clone(&block));
            demote(disk, &change.evicted, now);
        }
        Some(block)
    }

    /// Whether a block of the object under `key` is in memory or on disk. Never waits.
    #[must_use]
    pub fn has_block(&self, key: &[u8], blocks: Blocks, index: u64) -> bool {
        let key = blocks.key(key, index);
        self.memory.peek(&key).is_some() || self.is_on_disk(&key, false)
    }

    /// Waits a while until the disk, if there is one, has room for another block, so that it need not be dropped.
    pub async fn room_for_a_block(&self) {
        if let Some(disk) = &self.disk {
            let _ = timeout(ROOM_TIMEOUT, disk.room(BLOCK_BYTES)).await;
        }
    }

    /// Forgets the object under `key` that these blocks are of: they are of a version that is no more.
    pub fn drop_object_in_blocks(&self, key: &Arc<[u8]>, blocks: Blocks, now: Timestamp) {
        match self.object_in_blocks(key, blocks) {
            Some(object) => self.replace(key, &object, None, now),
            None => self.drop_blocks(key, blocks),
        }
    }

    /// What is stored of the object that these blocks are of.
    #[must_use]
    pub fn object_in_blocks(&self, key: &[u8], blocks: Blocks) -> Option<Arc<Object>> {
        let stored = self.memory.peek(key)?;
        stored.as_slice().iter().find(|object| object.head.blocks() == Some(blocks)).cloned()
    }

    /// Drops the blocks of what has gone.
    fn drop_blocks_of(&self, key: &[u8], change: &Change) {
        let staying = change.come.as_ref().and_then(|object| object.head.blocks());
        let gone = change.gone.iter().filter_map(|object| object.head.blocks());
        gone.filter(|blocks| Some(*blocks) != staying).for_each(|blocks| self.drop_blocks(key, blocks));
    }

    fn drop_blocks(&self, key: &[u8], blocks: Blocks) {
        for index in 0..blocks.count().min(DROPPED_AT_ONCE) {
            let key = blocks.key(key, index);
            self.memory.remove_block(&key);
            if let Some(disk) = &self.disk {
                let name = name(disk, &key);
                if !disk.find(name).is_empty() {
                    disk.remove(name, None);
                }
            }
        }
    }

    /// Drops what the disk may have under a key and has not yet found, since the start: something else has taken its place.
    pub fn drop_unread(&self, key: &[u8]) {
        if let Some(disk) = self.disk.as_ref().filter(|disk| disk.is_loading()) {
            disk.remove(name(disk, key), None);
        }
    }

    /// Whether the disk may have something under a key that memory does not; counted if a viewer wants to know. Never waits.
    #[must_use]
    pub fn is_on_disk(&self, key: &[u8], counts: bool) -> bool {
        let Some(disk) = &self.disk else { return false };
        let name = name(disk, key);
        if counts { disk.look_up(name) } else { disk.has(name) }
    }

    /// Brings what the disk has under a key to memory. What cannot be read is as if it were not there.
    pub async fn load(&self, key: &[u8], now: Timestamp) {
        let Some(disk) = &self.disk else { return };
        let (name, mut found) = (name(disk, key), Vec::new());
        for located in disk.find(name) {
            found.extend(read(disk, &located).await.ok().map(|record| (located, record)));
        }
        self.take_up(disk, name, key, &found, now);
    }

    /// The same without ever waiting: does nothing, and says so, if the disk would have to be waited for.
    pub fn load_resident(&self, key: &[u8], now: Timestamp) -> bool {
        let Some(disk) = &self.disk else { return true };
        let (name, mut read) = (name(disk, key), Vec::new());
        for located in disk.find(name) {
            match disk.read_resident(&located, Part::Whole) {
                Err(ReadError::WouldBlock) => return false,
                record => read.extend(record.ok().map(|record| (located, record))),
            }
        }
        self.take_up(disk, name, key, &read, now);
        true
    }

    /// What the disk alone has under a key, read without ever waiting, to be sent from there. Nothing if it varies, is kept in blocks, is
    /// not in the page cache, or is asked for so often that it should be in memory: all that is for [`Cache::load`].
    #[must_use]
    pub fn on_disk(&self, key: &[u8], now: Timestamp) -> Option<OnDisk> {
        let disk = self.disk.as_ref()?;
        let name = name(disk, key);
        let &[located] = &disk.find(name)[..] else { return None };
        let is_large = located.body_bytes() > SMALL_BYTES_MAX;
        if located.tag() != PLAIN || self.promotion.is_due(name.0[0], located.body_bytes()) {
            return None;
        }
        let part = if is_large { Part::Meta } else { Part::Whole };
        let record = disk.read_resident(&located, part).ok()?;
        let head = head_of(&record, located.body_bytes(), key, now)?;
        let (object, body) = match is_large {
            true => (Object::without_body(head), Some(disk.body(&located).filter(FileBody::is_resident)?)),
            false => (Object::of_piece(head, record.body, &self.arena), None),
        };
        object.head.blocks().is_none().then(|| OnDisk { object: Arc::new(object), body, located })
    }

    /// Counts that a viewer is answered from disk. False if what was found there has been removed meanwhile, and must not be used.
    #[must_use]
    pub fn answers_from_disk(&self, found: &OnDisk) -> bool {
        self.disk.as_ref().is_some_and(|disk| disk.touch_for_viewer(&found.located))
    }

    /// Puts what was read into memory.
    fn take_up(&self, disk: &Disk, name: Name, key: &[u8], read: &[(Located, Record)], now: Timestamp) {
        // What was removed while it was read is not to come back.
        let still_there = disk.find(name);
        let is_there = |located: &Located| still_there.iter().any(|record| record.id() == located.id());
        let still = read.iter().filter(|(located, _)| is_there(located));
        let mut objects: Vec<_> = still
            .filter_map(|(located, record)| Some((located, object_of(record, key, &self.arena, now)?)))
            .collect();
        // So that of two that exclude each other the later one wins.
        objects.sort_by_key(|(_, object)| object.head.timing().request);
        for (located, object) in objects {
            let _ = disk.touch(located);
            let change = self.memory.insert(key.into(), object.moved_to(&self.arena), now);
            demote(disk, &change.evicted, now);
        }
    }
}

/// Reads a record: at once if it is in the page cache.
async fn read(disk: &Disk, located: &Located) -> Result<Record, ReadError> {
    match disk.read_resident(located, Part::Whole) {
        Err(ReadError::WouldBlock) => {
            let read = timeout(READ_TIMEOUT, disk.read(located, Part::Whole)).await;
            // A disk that hangs is a miss: the origin may be quicker.
            read.unwrap_or(Err(ReadError::Busy))
        }
        record => record,
    }
}

/// Has the disk ask memory, before it drops something, whether that is held there: what is used there is never asked for on
/// disk. It costs no hit anything: the disk's own thread walks through memory, once for each segment it gives up.
pub(super) fn ask_memory(disk: &Arc<Disk>, cache: Weak<Cache>) {
    // The disk keeps the question; it must not keep itself.
    let seed = disk.seed();
    disk.ask_above(move |names| {
        let Some(cache) = cache.upgrade() else { return HashSet::new() };
        cache.memory.keys().map(|key| name_of(seed, &key)).filter(|name| names.contains(name)).collect()
    });
}

/// What memory has no room for is written if the disk does not have it any more; otherwise its uses count for it there.
fn demote(disk: &Disk, evicted: &[Evicted], now: Timestamp) {
    for Evicted { key, variants, was_used } in evicted {
        let name = name(disk, key);
        let records = disk.find(name);
        for object in variants.as_slice() {
            let tag = tag(object);
            match records.iter().find(|record| record.tag() == tag) {
                Some(record) if *was_used => _ = disk.touch(record),
                Some(_) => {}
                // What is not kept is counted by the disk.
                None => _ = write(disk, (name, tag), key, object, now),
            }
        }
    }
}

fn name(disk: &Disk, key: &[u8]) -> Name {
    name_of(disk.seed(), key)
}

fn name_of(seed: Seed, key: &[u8]) -> Name {
    let digest = Sha256::new().chain_update(seed.0).chain_update(key).finalize();
    let half = |at: usize| digest[at..at + 8].try_into().map_or(0, u64::from_le_bytes);
    Name([half(0), half(8)])
}

/// What tells a response from others of its key: the values of the fields it varies by.
fn tag(object: &Object) -> u64 {
    let Some(vary) = object.head.vary() else { return PLAIN };
    let mut digest = Sha256::new();
    for (name, value) in vary.fields() {
        digest.update(name.as_str());
        // Neither names nor values can have these; a field that is not there is not one that is empty.
        if let Some(value) = value {
            digest.update("\r");
            digest.update(value);
        }
        digest.update("\n");
    }
    let digest = digest.finalize();
    digest[..8].try_into().map_or(PLAIN, u64::from_le_bytes).max(PLAIN + 1)
}

/// Has an object written, if it is one for the disk and the disk takes it.
fn write(disk: &Disk, (name, tag): (Name, u64), key: &[u8], object: &Arc<Object>, now: Timestamp) -> bool {
    let kept_until = object.head.kept_until();
    let length = usize::try_from(object.body_bytes()).unwrap_or(usize::MAX);
    if kept_until <= now.after(KEPT_MIN) || length > BODY_BYTES_MAX {
        return false;
    }
    let meta = encoded::encode(key, &object.head);
    if meta.len() > META_BYTES_MAX {
        return false;
    }
    // A body of this size is of one piece.
    let body = object.body_from(0).unwrap_or_default();
    disk.write(Record { name, tag, kept_until, meta: Bytes::from(meta), body }).is_ok()
}

/// The head in a record whose body has so many bytes, if it is of this key.
fn head_of(record: &Record, body_bytes: usize, key: &[u8], now: Timestamp) -> Option<Head> {
    let (written_key, head) = encoded::decode(&record.meta)
        .inspect_err(|error| tracing::warn!(%error, "a record of the disk cache is of no use"))
        .ok()?;
    let length = body_bytes as u64;
    let is_whole = match head.status() {
        _ if head.blocks().is_some() => length == 0,
        StatusCode::NO_CONTENT => length == 0,
        _ => head.content_length() == Some(length),
    };
    let is_of_the_future = head.timing().response > now.after(FUTURE_MAX);
    (*written_key == *key && is_whole && !is_of_the_future).then_some(head)
}

/// The object in a record, if it is of this key.
fn object_of(record: &Record, key: &[u8], arena: &Arena, now: Timestamp) -> Option<Arc<Object>> {
    let head = head_of(record, record.body.len(), key, now)?;
    Some(Arc::new(Object::of_piece(head, record.body.clone(), arena)))
}
