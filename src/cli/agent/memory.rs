//! A small piece of memory for data keys: pages of their own, kept out of swap where the system allows it, wiped when a key
//! goes.
//!
//! Knows nothing of when that is.

use std::io;

use memmap2::MmapMut;
use sops_rs::secret::DataKey;
use zeroize::Zeroize as _;

/// Room for one key, in bytes: those of SOPS have 32, a share one more.
const SLOT_LEN: usize = 64;

/// How many keys there is room for: 64 KiB, which is what even old systems let anybody lock.
pub(crate) const SLOTS: usize = 1024;

/// The pages.
pub(crate) struct Memory {
    pages: MmapMut,
    free: Vec<usize>,
    locked: bool,
}

/// The place of one key. Whoever has it gives it back with [`Memory::wipe`], once.
#[derive(Debug)]
pub(crate) struct Slot {
    start: usize,
    len: usize,
}

impl Memory {
    /// Takes the pages and tries to lock them.
    ///
    /// # Errors
    /// If there is no memory.
    pub(crate) fn new() -> io::Result<Self> {
        let pages = MmapMut::map_anon(SLOT_LEN * SLOTS)?;
        let locked = pages.lock().is_ok();
        Ok(Self {
            pages,
            free: (0..SLOTS).rev().map(|number| number * SLOT_LEN).collect(),
            locked,
        })
    }

    /// Whether the pages are kept out of swap.
    pub(crate) fn is_locked(&self) -> bool {
        self.locked
    }

    /// Whether a key has room in a slot at all.
    pub(crate) fn takes(key: &DataKey) -> bool {
        key.expose().len() <= SLOT_LEN
    }

    /// Keeps a key; `None` if there is no room.
    pub(crate) fn put(&mut self, key: &DataKey) -> Option<Slot> {
        let len = key.expose().len();
        if !Self::takes(key) {
            return None;
        }
        let start = self.free.pop()?;
        self.pages
            .get_mut(start..start + len)?
            .copy_from_slice(key.expose());
        Some(Slot { start, len })
    }

    /// A copy of a key.
    pub(crate) fn get(&self, slot: &Slot) -> Option<DataKey> {
        let bytes = self.pages.get(slot.start..slot.start + slot.len)?;
        Some(DataKey::new(bytes.to_vec()))
    }

    /// Forgets a key.
    pub(crate) fn wipe(&mut self, slot: &Slot) {
        if let Some(bytes) = self.pages.get_mut(slot.start..slot.start + SLOT_LEN) {
            bytes.zeroize();
            self.free.push(slot.start);
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.pages.zeroize();
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Memory({} of {SLOTS} slots free)", self.free.len())
    }
}

#[cfg(test)]
mod tests {
    use sops_rs::secret::DataKey;

    use super::{Memory, SLOT_LEN, SLOTS};

    #[test]
    fn a_key_comes_back_as_it_was_and_leaves_nothing() {
        let mut memory = Memory::new().unwrap();
        let (key, share) = (DataKey::new(vec![7; 32]), DataKey::new(vec![9; 33]));
        let (first, second) = (memory.put(&key).unwrap(), memory.put(&share).unwrap());
        assert!(memory.get(&first).unwrap() == key && memory.get(&second).unwrap() == share);
        assert!(memory.pages.contains(&7));
        memory.wipe(&first);
        assert!(!memory.pages.contains(&7));
        assert!(memory.get(&second).unwrap() == share);
    }

    #[test]
    fn there_is_room_for_so_many_and_no_longer_ones() {
        let mut memory = Memory::new().unwrap();
        assert!(memory.put(&DataKey::new(vec![1; SLOT_LEN + 1])).is_none());
        let key = DataKey::new(vec![1; SLOT_LEN]);
        let mut slots: Vec<_> = (0..SLOTS).map(|_| memory.put(&key).unwrap()).collect();
        assert!(memory.put(&key).is_none());
        memory.wipe(&slots.pop().unwrap());
        assert!(memory.put(&key).is_some());
    }
}
