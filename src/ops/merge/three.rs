//! Three of a kind: what a merge knows of each version.
//!
//! Knows how three of anything are compared. Knows nothing of what they are.

use std::cmp::Ordering;

/// One of the versions that are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The version both others come from.
    Base,
    /// The version that is merged into.
    Ours,
    /// The version that is merged.
    Theirs,
}

impl Side {
    /// All sides.
    pub(in crate::ops) const ALL: [Self; 3] = [Self::Base, Self::Ours, Self::Theirs];

    /// Theirs for ours, and the other way round; the base for itself.
    pub(in crate::ops) fn other(self) -> Self {
        match self {
            Self::Base => Self::Base,
            Self::Ours => Self::Theirs,
            Self::Theirs => Self::Ours,
        }
    }
}

/// One value for each side.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::ops) struct Three<T> {
    pub(in crate::ops) base: T,
    pub(in crate::ops) ours: T,
    pub(in crate::ops) theirs: T,
}

impl<T> Three<T> {
    /// What `make` gives for each side.
    pub(in crate::ops) fn of(mut make: impl FnMut(Side) -> T) -> Self {
        Self {
            base: make(Side::Base),
            ours: make(Side::Ours),
            theirs: make(Side::Theirs),
        }
    }

    pub(in crate::ops) fn get(&self, side: Side) -> &T {
        match side {
            Side::Base => &self.base,
            Side::Ours => &self.ours,
            Side::Theirs => &self.theirs,
        }
    }

    pub(in crate::ops) fn get_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Base => &mut self.base,
            Side::Ours => &mut self.ours,
            Side::Theirs => &mut self.theirs,
        }
    }
}

impl<T: PartialEq> Three<T> {
    /// The side whose value the merge has: the one that changed it, or either if both changed it alike; `None` if they
    /// changed it to different values.
    pub(in crate::ops) fn choose(&self) -> Option<Side> {
        if self.ours == self.theirs || self.theirs == self.base {
            Some(Side::Ours)
        } else if self.ours == self.base {
            Some(Side::Theirs)
        } else {
            None
        }
    }
}

/// Of two equal values in different spellings the one that both directions of a merge agree on.
pub(in crate::ops) fn agreed(ours: &str, theirs: &str) -> Side {
    match ours.cmp(theirs) {
        Ordering::Greater => Side::Theirs,
        Ordering::Less | Ordering::Equal => Side::Ours,
    }
}
