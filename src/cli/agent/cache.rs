//! The unwrapped data keys that an agent remembers: by what they were wrapped as, for a time, each unwrapped once even if
//! many ask at once.
//!
//! Knows times and places in memory. How a key is unwrapped is handed in; what time it is, too.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use sops_rs::keys::service::Refusal;
use sops_rs::recipient::Recipient;
use sops_rs::secret::DataKey;

use super::memory::Memory;

/// How long a failure is remembered. A history of a thousand files asks a thousand times for a key that nobody here has; a
/// person who has just corrected something asks once more.
const REFUSAL_AGE: Duration = Duration::from_secs(10);

/// How many failures are remembered at most.
const MAX_REFUSALS: usize = 1024;

/// What a key was wrapped as: SHA-256 of the recipient and the wrapped key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Id([u8; 32]);

impl Id {
    /// The id of the key that was wrapped for `recipient` as `enc`.
    pub(crate) fn of(recipient: &Recipient, enc: &str) -> Self {
        // Not its identity string, which is the same for some encryption contexts of KMS that are not.
        let recipient = format!("{recipient:?}");
        let mut hash = Sha256::new();
        for part in [recipient.as_str(), enc] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }
}

/// How long keys are remembered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetime {
    /// How long without use.
    pub(crate) idle: Duration,
    /// How long in all.
    pub(crate) max_age: Duration,
}

/// The keys.
pub(crate) struct Cache {
    lifetime: Lifetime,
    clock: Box<dyn Fn() -> Instant + Send + Sync>,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    memory: Memory,
    entries: HashMap<Id, Entry>,
}

enum Entry {
    /// Somebody is unwrapping it.
    Busy,
    Held {
        slot: super::memory::Slot,
        since: Instant,
        used: Instant,
    },
    Refused {
        refusal: Refusal,
        since: Instant,
    },
}

impl Entry {
    /// When it is to be forgotten.
    fn due(&self, lifetime: Lifetime) -> Option<Instant> {
        match self {
            Self::Busy => None,
            Self::Held { since, used, .. } => {
                let idle = used.checked_add(lifetime.idle);
                let aged = since.checked_add(lifetime.max_age);
                idle.into_iter().chain(aged).min()
            }
            Self::Refused { since, .. } => since.checked_add(REFUSAL_AGE),
        }
    }
}

impl State {
    fn forget(&mut self, id: &Id) {
        if let Some(Entry::Held { slot, .. }) = self.entries.remove(id) {
            self.memory.wipe(&slot);
        }
    }

    /// Forgets what is due at `now`; when the next is.
    fn forget_due(&mut self, lifetime: Lifetime, now: Instant) -> Option<Instant> {
        let due = |entry: &Entry| entry.due(lifetime).is_some_and(|due| due <= now);
        let ids: Vec<Id> = (self.entries.iter())
            .filter(|(_, entry)| due(entry))
            .map(|(id, _)| *id)
            .collect();
        for id in &ids {
            self.forget(id);
        }
        (self.entries.values())
            .filter_map(|entry| entry.due(lifetime))
            .min()
    }

    /// Keeps a key. If there is no room for it, that which was not used for the longest time goes.
    fn hold(&mut self, id: Id, key: &DataKey, now: Instant) {
        if !Memory::takes(key) {
            return;
        }
        let slot = self.memory.put(key).or_else(|| {
            let used = |(id, entry): (&Id, &Entry)| match entry {
                Entry::Held { used, .. } => Some((*used, *id)),
                Entry::Busy | Entry::Refused { .. } => None,
            };
            let oldest = (self.entries.iter())
                .filter_map(used)
                .min_by_key(|(used, _)| *used);
            let (_, oldest) = oldest?;
            self.forget(&oldest);
            self.memory.put(key)
        });
        if let Some(slot) = slot {
            let entry = Entry::Held {
                slot,
                since: now,
                used: now,
            };
            self.entries.insert(id, entry);
        }
    }

    fn refusals(&self) -> usize {
        let refused = |entry: &&Entry| matches!(entry, Entry::Refused { .. });
        self.entries.values().filter(refused).count()
    }
}

impl Cache {
    /// An empty cache in `memory` that knows the time from `clock`.
    pub(crate) fn new(
        memory: Memory,
        lifetime: Lifetime,
        clock: impl Fn() -> Instant + Send + Sync + 'static,
    ) -> Self {
        Self {
            lifetime,
            clock: Box::new(clock),
            state: Mutex::new(State {
                memory,
                entries: HashMap::new(),
            }),
            changed: Condvar::new(),
        }
    }

    /// The key, remembered or unwrapped now. Who asks while another unwraps it waits for the outcome.
    ///
    /// # Errors
    /// The error of `unwrap`, which is remembered for a moment.
    pub(crate) fn get_or(
        &self,
        id: Id,
        unwrap: impl FnOnce() -> Result<DataKey, Refusal>,
    ) -> Result<DataKey, Refusal> {
        let mut state = self.lock();
        loop {
            let now = (self.clock)();
            state.forget_due(self.lifetime, now);
            let State { memory, entries } = &mut *state;
            match entries.get_mut(&id) {
                None => break,
                Some(Entry::Refused { refusal, .. }) => return Err(refusal.clone()),
                Some(Entry::Held { slot, used, .. }) => {
                    *used = now;
                    match memory.get(slot) {
                        Some(key) => return Ok(key),
                        None => break,
                    }
                }
                Some(Entry::Busy) => {
                    let woken = self.changed.wait(state);
                    state = woken.unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
        state.entries.insert(id, Entry::Busy);
        drop(state);
        // However it ends, nobody waits for it any longer.
        let turn = Turn { cache: self, id };
        let result = unwrap();
        turn.end(&result);
        result
    }

    /// How many keys are held, and whether they are kept out of swap.
    pub(crate) fn count(&self) -> (usize, bool) {
        let mut state = self.lock();
        state.forget_due(self.lifetime, (self.clock)());
        let held = |entry: &&Entry| matches!(entry, Entry::Held { .. });
        let keys = state.entries.values().filter(held).count();
        (keys, state.memory.is_locked())
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        let mut state = self.lock();
        let held: Vec<Id> = (state.entries.iter())
            .filter(|(_, entry)| !matches!(entry, Entry::Busy))
            .map(|(id, _)| *id)
            .collect();
        for id in &held {
            state.forget(id);
        }
    }

    /// Forgets what is due, for ever; for a thread of its own.
    pub(crate) fn keep_clean(&self) {
        let mut state = self.lock();
        loop {
            let now = (self.clock)();
            let next = state.forget_due(self.lifetime, now);
            state = match next {
                None => (self.changed.wait(state)).unwrap_or_else(PoisonError::into_inner),
                Some(next) => {
                    let pause = next.saturating_duration_since(now);
                    let woken = self.changed.wait_timeout(state, pause);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to unwrap one key, while others wait.
struct Turn<'a> {
    cache: &'a Cache,
    id: Id,
}

impl Turn<'_> {
    fn end(self, result: &Result<DataKey, Refusal>) {
        let now = (self.cache.clock)();
        let mut state = self.cache.lock();
        state.entries.remove(&self.id);
        match result {
            Ok(key) => state.hold(self.id, key, now),
            Err(refusal) if state.refusals() < MAX_REFUSALS => {
                let refusal = refusal.clone();
                let entry = Entry::Refused {
                    refusal,
                    since: now,
                };
                state.entries.insert(self.id, entry);
            }
            Err(_) => {}
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.cache.lock();
        if matches!(state.entries.get(&self.id), Some(Entry::Busy)) {
            state.entries.remove(&self.id);
        }
        drop(state);
        self.cache.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
    use std::sync::{Arc, Barrier};
    use std::time::{Duration, Instant};

    use sops_rs::keys::service::Refusal;
    use sops_rs::recipient::Recipient;
    use sops_rs::secret::DataKey;

    use super::super::memory::{Memory, SLOTS};
    use super::{Cache, Id, Lifetime, MAX_REFUSALS};

    /// A cache that forgets after 10 seconds without use and after 30 in all, and its time in seconds.
    fn cache() -> (Arc<Cache>, Arc<AtomicU64>) {
        let time = Arc::new(AtomicU64::new(0));
        let (start, seconds) = (Instant::now(), Arc::clone(&time));
        let clock = move || start + Duration::from_secs(seconds.load(Ordering::SeqCst));
        let lifetime = Lifetime {
            idle: Duration::from_secs(10),
            max_age: Duration::from_secs(30),
        };
        let cache = Cache::new(Memory::new().unwrap(), lifetime, clock);
        (Arc::new(cache), time)
    }

    fn id(enc: &str) -> Id {
        let recipient = "age1x".to_owned();
        Id::of(&Recipient::Age { recipient }, enc)
    }

    fn key() -> DataKey {
        DataKey::new(vec![7; 32])
    }

    /// Asks for a key; whether it had to be unwrapped.
    fn unwrapped(cache: &Cache, enc: &str) -> bool {
        let mut unwrapped = false;
        let found = cache.get_or(id(enc), || {
            unwrapped = true;
            Ok(key())
        });
        assert!(found.unwrap() == key());
        unwrapped
    }

    #[test]
    fn ids_differ_in_every_part() {
        let age = |recipient: &str| Recipient::Age {
            recipient: recipient.to_owned(),
        };
        let pgp = Recipient::Pgp {
            fingerprint: "a".to_owned(),
        };
        let kms = |context: &[(&str, &str)]| Recipient::Kms {
            arn: "a".to_owned(),
            role: String::new(),
            context: (context.iter())
                .map(|&(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            aws_profile: String::new(),
        };
        let ids = [
            Id::of(&age("a"), "bc"),
            Id::of(&age("ab"), "c"),
            Id::of(&age("a"), "b"),
            Id::of(&pgp, "bc"),
            Id::of(&kms(&[("a", "b,c:d")]), "bc"),
            Id::of(&kms(&[("a", "b"), ("c", "d")]), "bc"),
        ];
        for (at, one) in ids.iter().enumerate() {
            assert!(!ids[at + 1..].contains(one));
        }
    }

    #[test]
    fn a_key_is_unwrapped_once() {
        let (cache, _) = cache();
        assert!(unwrapped(&cache, "a") && unwrapped(&cache, "b"));
        assert!(!unwrapped(&cache, "a") && !unwrapped(&cache, "b"));
        assert_eq!(cache.count().0, 2);
    }

    #[test]
    fn who_asks_at_once_waits_for_the_first() {
        let (cache, _) = cache();
        let (calls, barrier) = (AtomicU32::new(0), Barrier::new(8));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    barrier.wait();
                    let found = cache.get_or(id("a"), || {
                        calls.fetch_add(1, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_millis(20));
                        Ok(key())
                    });
                    assert!(found.unwrap() == key());
                });
            }
        });
        assert_eq!(calls.into_inner(), 1);
    }

    #[test]
    fn an_idle_key_is_forgotten_and_a_used_one_too_in_the_end() {
        let (cache, time) = cache();
        let at = |seconds| time.store(seconds, Ordering::SeqCst);
        unwrapped(&cache, "idle");
        unwrapped(&cache, "used");
        at(9);
        assert!(!unwrapped(&cache, "used"));
        at(10);
        assert_eq!(cache.count().0, 1);
        assert!(unwrapped(&cache, "idle"));
        at(18);
        assert!(!unwrapped(&cache, "used"));
        at(27);
        assert!(!unwrapped(&cache, "used"));
        at(30);
        assert!(unwrapped(&cache, "used"), "used, but too old");
    }

    #[test]
    fn clearing_forgets_all() {
        let (cache, _) = cache();
        unwrapped(&cache, "a");
        cache.clear();
        assert_eq!(cache.count().0, 0);
        assert!(unwrapped(&cache, "a"));
    }

    #[test]
    fn a_failure_is_remembered_for_a_moment() {
        let (cache, time) = cache();
        let refused = || cache.get_or(id("a"), || Err(Refusal::NotMine));
        assert!(matches!(refused(), Err(Refusal::NotMine)));
        let again = cache.get_or(id("a"), || Ok(key()));
        assert!(matches!(again, Err(Refusal::NotMine)));
        time.store(10, Ordering::SeqCst);
        assert!(unwrapped(&cache, "a"));
    }

    #[test]
    fn a_panic_lets_nobody_wait() {
        let (cache, _) = cache();
        let held = Arc::clone(&cache);
        let panicked = std::thread::spawn(move || held.get_or(id("a"), || panic!("on purpose")));
        assert!(panicked.join().is_err());
        assert!(unwrapped(&cache, "a"));
    }

    #[test]
    fn there_are_bounds() {
        let (cache, time) = cache();
        for number in 0..=SLOTS {
            time.store(u64::from(number > 0), Ordering::SeqCst);
            unwrapped(&cache, &number.to_string());
        }
        assert_eq!(cache.count().0, SLOTS);
        assert!(unwrapped(&cache, "0"), "the oldest had to go");
        for number in 0..MAX_REFUSALS + 10 {
            let refused = cache.get_or(id(&format!("x{number}")), || Err(Refusal::NotMine));
            assert!(refused.is_err());
        }
        assert_eq!(cache.lock().refusals(), MAX_REFUSALS);
        let long = DataKey::new(vec![1; 200]);
        let found = cache.get_or(id("long"), || Ok(long.clone()));
        assert!(found.unwrap() == long, "too long to keep, not to answer");
    }
}
