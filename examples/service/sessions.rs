//! A session store that keeps what was used last and stays within a budget of bytes.
//!
//! A session is stored by one thread and evicted by whichever thread stores the next one: most of its memory is
//! freed by a thread that did not allocate it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;

/// The store.
#[derive(Debug)]
pub(crate) struct Sessions {
    budget: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    cache: LruCache<String, Arc<[u8]>>,
    bytes: usize,
    evicted: u64,
}

/// What the store holds now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) entries: usize,
    pub(crate) bytes: usize,
    pub(crate) evicted: u64,
}

impl Sessions {
    pub(crate) fn new(budget: usize) -> Self {
        let inner = Inner { cache: LruCache::unbounded(), bytes: 0, evicted: 0 };
        Self { budget, inner: Mutex::new(inner) }
    }

    /// Keeps a session's bytes; what was used longest ago goes until the rest fits the budget.
    pub(crate) fn store(&self, id: String, bytes: Arc<[u8]>) {
        // Dropped after the lock is released: freeing is no reason for others to wait.
        let mut gone = Vec::new();
        let mut inner = self.lock();
        inner.bytes += bytes.len();
        if let Some(old) = inner.cache.put(id, bytes) {
            inner.bytes -= old.len();
            gone.push(old);
        }
        while inner.bytes > self.budget {
            let Some((_, old)) = inner.cache.pop_lru() else { break };
            inner.bytes -= old.len();
            inner.evicted += 1;
            gone.push(old);
        }
        drop(inner);
    }

    /// A session's bytes, if it is still kept.
    pub(crate) fn fetch(&self, id: &str) -> Option<Arc<[u8]>> {
        self.lock().cache.get(id).cloned()
    }

    pub(crate) fn held(&self) -> Held {
        let inner = self.lock();
        Held { entries: inner.cache.len(), bytes: inner.bytes, evicted: inner.evicted }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
