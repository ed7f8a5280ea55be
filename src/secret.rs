//! Types for what must not leak: they wipe their memory when dropped and have no `Debug`, `Display` or serialisation.
//!
//! Knows nothing of encryption. Comparison of keys is in constant time.

use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, Zeroizing};

/// The key of one file: 32 random bytes that seal every value in it (spec 1.2), or one share of such a key.
///
/// Files made by other tools may carry 16- or 24-byte keys; a share has one byte more than the key. The bytes are wiped
/// on drop.
#[derive(Clone)]
pub struct DataKey(Zeroizing<Vec<u8>>);

impl DataKey {
    /// Length in bytes of the data keys that SOPS and this program create.
    pub const LEN: usize = 32;

    /// Takes over raw key bytes; any length.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The raw bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for DataKey {
    /// Equality in constant time.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl std::fmt::Debug for DataKey {
    /// Says that there is a key, and nothing about it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataKey(…)")
    }
}

/// A piece of plaintext: borrowed from a text that its owner wipes, or owned and wiped on drop.
#[derive(Clone)]
pub enum Plain<'a> {
    /// Part of a text that somebody else owns.
    Borrowed(&'a str),
    /// Decoded text of its own.
    Owned(Zeroizing<String>),
}

impl<'a> Plain<'a> {
    /// Takes over `text`, to be wiped on drop.
    #[must_use]
    pub fn owned(text: String) -> Self {
        Self::Owned(Zeroizing::new(text))
    }

    /// The text.
    #[must_use]
    pub fn expose(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Owned(text) => text,
        }
    }

    /// The same text without the borrow.
    #[must_use]
    pub fn into_owned(self) -> Plain<'static> {
        match self {
            Self::Borrowed(text) => Plain::owned(text.to_owned()),
            Self::Owned(text) => Plain::Owned(text),
        }
    }
}

impl<'a> From<&'a str> for Plain<'a> {
    fn from(text: &'a str) -> Self {
        Self::Borrowed(text)
    }
}

impl PartialEq for Plain<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl std::fmt::Debug for Plain<'_> {
    /// Says that there is text, and nothing about it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Plain(…)")
    }
}

/// Plaintext while it is written, of a length that nobody knows yet: where it was before it had to move is wiped.
#[derive(Default)]
pub struct PlainWriter(Zeroizing<String>);

impl PlainWriter {
    /// Room in bytes that the first write makes at least.
    const FLOOR: usize = 256;

    /// Adds `part` at the end.
    pub fn push_str(&mut self, part: &str) {
        let needed = self.0.len().saturating_add(part.len());
        if needed > self.0.capacity() {
            self.grow(needed.saturating_mul(2).max(Self::FLOOR));
        }
        self.0.push_str(part);
    }

    /// Makes room for so many bytes: for these alone, if nothing was written yet.
    pub fn reserve(&mut self, bytes: usize) {
        let needed = self.0.len().saturating_add(bytes);
        if needed > self.0.capacity() {
            // Twice as much at least, or many small pieces would be moved again and again.
            self.grow(needed.max(self.0.capacity().saturating_mul(2)));
        }
    }

    fn grow(&mut self, room: usize) {
        let mut larger = Zeroizing::new(String::with_capacity(room));
        larger.push_str(&self.0);
        self.0 = larger;
    }

    /// How many bytes were written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds `part` `count` times.
    pub fn repeat(&mut self, part: &str, count: usize) {
        for _ in 0..count {
            self.push_str(part);
        }
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was written.
    #[must_use]
    pub fn finish(self) -> Zeroizing<String> {
        self.0
    }
}

impl std::fmt::Debug for PlainWriter {
    /// Says that there is text, and nothing about it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PlainWriter(…)")
    }
}

/// Wipes a text that held plaintext and is no longer needed.
pub fn wipe(mut text: String) {
    text.zeroize();
}
