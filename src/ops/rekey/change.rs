//! What becomes of the recipients of a file, as facts for a plan that a person looks at (spec 9.8).
//!
//! Groups are compared by position, recipients by kind and identity string; their order inside a group means nothing.

use crate::metadata::Metadata;
use crate::recipient::Recipient;

/// What becomes of the recipients of a file. Files with equal changes can be shown as one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Change {
    /// For every group, old or new, by position.
    pub groups: Vec<GroupChange>,
    /// The threshold before and after; 0 if there is none.
    pub threshold: (usize, usize),
}

/// What becomes of one group, as identity strings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct GroupChange {
    /// Who is there before and after.
    pub kept: Vec<String>,
    /// Who gains access.
    pub added: Vec<String>,
    /// Who loses the wrapped key. Whoever could open the file knows the data key still.
    pub removed: Vec<String>,
}

impl Change {
    /// From what the file says to `groups` and `threshold`.
    #[must_use]
    pub fn of(metadata: &Metadata, groups: &[Vec<Recipient>], threshold: usize) -> Self {
        let empty = Vec::new();
        let count = metadata.groups.len().max(groups.len());
        let group = |index: usize| {
            let old: Vec<&Recipient> = metadata.groups.get(index).map_or_else(Vec::new, |keys| {
                keys.iter().map(|wrapped| &wrapped.recipient).collect()
            });
            let new: Vec<&Recipient> = groups.get(index).unwrap_or(&empty).iter().collect();
            let within = |all: &[&Recipient], one: &Recipient| all.iter().any(|r| same(r, one));
            let names = |all: &[&Recipient], keep: &dyn Fn(&Recipient) -> bool| {
                let kept = all.iter().filter(|recipient| keep(recipient));
                kept.map(|recipient| recipient.identity()).collect()
            };
            GroupChange {
                kept: names(&new, &|recipient| within(&old, recipient)),
                added: names(&new, &|recipient| !within(&old, recipient)),
                removed: names(&old, &|recipient| !within(&new, recipient)),
            }
        };
        Self {
            groups: (0..count).map(group).collect(),
            threshold: (metadata.shamir_threshold, threshold),
        }
    }

    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let (before, after) = self.threshold;
        let unchanged = |group: &GroupChange| group.added.is_empty() && group.removed.is_empty();
        before == after && self.groups.iter().all(unchanged)
    }
}

/// Whether both are the same recipient: equal in kind and identity string, or equal entries of a kind that is not known. A
/// key of Azure whose version a config leaves open is any version of it (spec 10.5).
#[must_use]
pub fn same(one: &Recipient, other: &Recipient) -> bool {
    match one {
        // The most common by far, and compared most often.
        Recipient::Age { recipient } => {
            matches!(other, Recipient::Age { recipient: other } if recipient == other)
        }
        Recipient::AzureKv {
            vault_url,
            name,
            version,
        } => match other {
            Recipient::AzureKv {
                vault_url: other_url,
                name: other_name,
                version: other_version,
            } => {
                let open = version.is_empty() || other_version.is_empty();
                vault_url == other_url && name == other_name && (open || version == other_version)
            }
            _ => false,
        },
        Recipient::Unknown { .. } => one == other,
        _ => one.kind() == other.kind() && one.identity() == other.identity(),
    }
}
