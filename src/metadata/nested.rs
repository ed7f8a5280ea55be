//! The metadata as a tree: reading it as leniently as SOPS does (spec 5.2), writing it exactly as SOPS does (spec 5.1).

use std::collections::BTreeMap;

use crate::recipient::{Recipient, RecipientKind, WrappedKey};
use crate::selection::RuleKind;
use crate::tree::Tree;

use super::weak::Field;
use super::{Metadata, MetadataError, MetadataProblem, is_known, list_name};

pub(super) fn read(tree: &Tree) -> Result<Metadata, MetadataError> {
    let sops = Field::root(tree);
    sops.mapping()?;
    let mut unknown: Vec<_> = sops.entries(|name| !is_known(name)).collect();
    let groups = read_groups(&sops, &mut unknown)?;
    let lastmodified = sops.get("lastmodified").time()?;
    let version = sops.get("version").version()?;
    Ok(Metadata {
        groups,
        shamir_threshold: sops.get("shamir_threshold").count()?,
        lastmodified,
        mac: sops.get("mac").text()?,
        version,
        rule: read_rule(&sops)?,
        mac_only_encrypted: sops.get("mac_only_encrypted").flag()?,
        unknown,
    })
}

fn read_rule(sops: &Field<'_>) -> Result<Option<(RuleKind, String)>, MetadataError> {
    let mut rule: Option<(RuleKind, String)> = None;
    for kind in RuleKind::ALL {
        let text = sops.get(kind.name()).text()?;
        if text.is_empty() {
            continue;
        }
        if let Some((first, _)) = rule {
            return Err(sops.error(MetadataProblem::SeveralRules(first, kind)));
        }
        rule = Some((kind, text));
    }
    Ok(rule)
}

/// The key groups. Unknown top-level lists of keys move from `unknown` into the single group.
fn read_groups(
    sops: &Field<'_>,
    unknown: &mut Vec<(String, Tree)>,
) -> Result<Vec<Vec<WrappedKey>>, MetadataError> {
    let single = read_group(sops)?;
    let grouped = sops.get("key_groups").items()?;
    let mut groups = Vec::new();
    if single.is_empty() && !grouped.is_empty() {
        for group in &grouped {
            group.mapping()?;
            let mut keys = read_group(group)?;
            for (list, tree) in group.entries(is_foreign) {
                // A single group is written at the top, where some names mean something else, and where only lists of keys
                // are taken for recipients.
                if grouped.len() == 1 && is_known(&list) {
                    continue;
                }
                if grouped.len() == 1 && !is_list_of_keys(&tree) {
                    if unknown.iter().all(|(name, _)| *name != list) {
                        unknown.push((list, tree));
                    }
                } else {
                    keys.extend(foreign(&list, &tree));
                }
            }
            groups.push(keys);
        }
    } else {
        let (lists, rest) = unknown
            .drain(..)
            .partition(|(_, tree)| is_list_of_keys(tree));
        *unknown = rest;
        let lists: Vec<(String, Tree)> = lists;
        let foreign = lists.iter().flat_map(|(list, tree)| foreign(list, tree));
        groups.push(single.into_iter().chain(foreign).collect());
    }
    if groups.iter().all(Vec::is_empty) {
        return Err(sops.error(MetadataProblem::NoRecipients));
    }
    Ok(groups)
}

/// The known keys of a group, in the order in which SOPS loads them.
fn read_group(group: &Field<'_>) -> Result<Vec<WrappedKey>, MetadataError> {
    let mut keys = Vec::new();
    for kind in RecipientKind::LOAD_ORDER {
        for entry in group.get(kind.name()).items()? {
            entry.mapping()?;
            keys.push(read_key(kind, &entry)?);
        }
    }
    Ok(keys)
}

/// Whether an entry of a group in `key_groups` is none of the lists SOPS knows.
fn is_foreign(name: &str) -> bool {
    !RecipientKind::LOAD_ORDER
        .iter()
        .any(|kind| name.eq_ignore_ascii_case(kind.name()))
}

/// Keys of an unknown kind; anything else under an unknown name is kept whole, as one.
fn foreign(list: &str, tree: &Tree) -> Vec<WrappedKey> {
    let entries = match tree {
        Tree::List(items) if is_list_of_keys(tree) => items.clone(),
        _ => vec![tree.clone()],
    };
    let text = |entry: &Tree, key: &str| match entry.get(key) {
        Some(Tree::Str(text)) => text.clone(),
        _ => String::new(),
    };
    let key = |entry: Tree| WrappedKey {
        created_at: text(&entry, "created_at"),
        enc: text(&entry, "enc"),
        unknown: Vec::new(),
        recipient: Recipient::Unknown {
            list: list.to_owned(),
            entry,
        },
    };
    entries.into_iter().map(key).collect()
}

fn is_list_of_keys(tree: &Tree) -> bool {
    matches!(tree, Tree::List(items) if !items.is_empty() && items.iter().all(is_key))
}

fn is_key(entry: &Tree) -> bool {
    entry.get("enc").is_some()
}

fn read_key(kind: RecipientKind, entry: &Field<'_>) -> Result<WrappedKey, MetadataError> {
    let text = |name: &str| entry.get(name).text();
    let recipient = match kind {
        RecipientKind::Age => Recipient::Age {
            recipient: text("recipient")?,
        },
        RecipientKind::Pgp => Recipient::Pgp {
            fingerprint: text("fp")?,
        },
        RecipientKind::Kms => Recipient::Kms {
            arn: text("arn")?,
            role: text("role")?,
            context: entry.get("context").context()?,
            aws_profile: text("aws_profile")?,
        },
        RecipientKind::GcpKms => Recipient::GcpKms {
            resource_id: text("resource_id")?,
        },
        RecipientKind::AzureKv => Recipient::AzureKv {
            vault_url: text("vault_url")?,
            name: text("name")?,
            version: text("version")?,
        },
        RecipientKind::Vault => Recipient::Vault {
            vault_address: text("vault_address")?,
            engine_path: text("engine_path")?,
            key_name: text("key_name")?,
        },
        RecipientKind::Hckms => {
            let key_id = text("key_id")?;
            if Recipient::parse_hckms(&key_id).is_err() {
                return Err(entry.get("key_id").error(MetadataProblem::NotAHckmsKey));
            }
            Recipient::Hckms { key_id }
        }
        RecipientKind::Unknown => Recipient::Unknown {
            list: String::new(),
            entry: Tree::Null,
        },
    };
    let created_at = if has_created_at(kind) {
        entry.get("created_at").time()?
    } else {
        String::new()
    };
    let known = fields(kind);
    let is_unknown = |name: &str| !known.iter().any(|known| name.eq_ignore_ascii_case(known));
    let unknown = entry.entries(is_unknown).collect();
    Ok(WrappedKey {
        recipient,
        created_at,
        enc: text("enc")?,
        unknown,
    })
}

/// age keys carry no time (spec 5.1).
fn has_created_at(kind: RecipientKind) -> bool {
    !matches!(kind, RecipientKind::Age | RecipientKind::Unknown)
}

/// The fields of an entry (spec 5.1).
fn fields(kind: RecipientKind) -> &'static [&'static str] {
    match kind {
        RecipientKind::Age => &["enc", "recipient"],
        RecipientKind::AzureKv => &["created_at", "enc", "name", "vault_url", "version"],
        RecipientKind::GcpKms => &["created_at", "enc", "resource_id"],
        RecipientKind::Vault => &[
            "created_at",
            "enc",
            "engine_path",
            "key_name",
            "vault_address",
        ],
        RecipientKind::Hckms => &["created_at", "enc", "key_id"],
        RecipientKind::Kms => &["arn", "aws_profile", "context", "created_at", "enc", "role"],
        RecipientKind::Pgp => &["created_at", "enc", "fp"],
        RecipientKind::Unknown => &[],
    }
}

pub(super) fn tree(metadata: &Metadata) -> Tree {
    let mut entries = metadata.unknown.clone();
    match metadata.groups.as_slice() {
        [group] => entries.extend(group_entries(group)),
        groups => {
            let groups = groups.iter().map(|group| group_tree(group)).collect();
            entries.push(("key_groups".to_owned(), Tree::List(groups)));
        }
    }
    if metadata.shamir_threshold != 0 {
        let threshold = i64::try_from(metadata.shamir_threshold).unwrap_or(i64::MAX);
        entries.push(("shamir_threshold".to_owned(), Tree::Int(threshold)));
    }
    if metadata.mac_only_encrypted {
        entries.push(("mac_only_encrypted".to_owned(), Tree::Bool(true)));
    }
    if let Some((kind, text)) = &metadata.rule {
        entries.push(text_entry(kind.name(), text));
    }
    entries.push(text_entry("lastmodified", &metadata.lastmodified));
    entries.push(text_entry("mac", &metadata.mac));
    entries.push(text_entry("version", &metadata.version));
    sorted(entries)
}

/// A group of `key_groups`: two lists are there even if they are empty.
fn group_tree(group: &[WrappedKey]) -> Tree {
    let mut entries = group_entries(group);
    for always in ["age", "hc_vault"] {
        if entries.iter().all(|(name, _)| name != always) {
            entries.push((always.to_owned(), Tree::List(Vec::new())));
        }
    }
    sorted(entries)
}

/// The lists of one group, one for each kind it has.
fn group_entries(group: &[WrappedKey]) -> Vec<(String, Tree)> {
    let mut lists: BTreeMap<&str, Vec<Tree>> = BTreeMap::new();
    for key in group {
        lists
            .entry(list_name(&key.recipient))
            .or_default()
            .push(key_tree(key));
    }
    lists
        .into_iter()
        .map(|(name, items)| (name.to_owned(), list_tree(items)))
        .collect()
}

/// What is not a list of keys was kept whole by [`foreign`].
fn list_tree(mut items: Vec<Tree>) -> Tree {
    match items.as_slice() {
        [single] if !is_key(single) => items.pop().unwrap_or(Tree::Null),
        _ => Tree::List(items),
    }
}

fn key_tree(key: &WrappedKey) -> Tree {
    let kind = key.recipient.kind();
    let mut entries = key.unknown.clone();
    match &key.recipient {
        Recipient::Unknown { entry, .. } => return entry.clone(),
        Recipient::Age { recipient } => entries.push(text_entry("recipient", recipient)),
        Recipient::Pgp { fingerprint } => entries.push(text_entry("fp", fingerprint)),
        Recipient::Kms {
            arn,
            role,
            context,
            aws_profile,
        } => {
            entries.push(text_entry("arn", arn));
            entries.push(text_entry("aws_profile", aws_profile));
            if !role.is_empty() {
                entries.push(text_entry("role", role));
            }
            if !context.is_empty() {
                let pairs = context
                    .iter()
                    .map(|(key, value)| text_entry(key, value))
                    .collect();
                entries.push(("context".to_owned(), sorted(pairs)));
            }
        }
        Recipient::GcpKms { resource_id } => entries.push(text_entry("resource_id", resource_id)),
        Recipient::AzureKv {
            vault_url,
            name,
            version,
        } => {
            entries.push(text_entry("vault_url", vault_url));
            entries.push(text_entry("name", name));
            entries.push(text_entry("version", version));
        }
        Recipient::Vault {
            vault_address,
            engine_path,
            key_name,
        } => {
            entries.push(text_entry("vault_address", vault_address));
            entries.push(text_entry("engine_path", engine_path));
            entries.push(text_entry("key_name", key_name));
        }
        Recipient::Hckms { key_id } => entries.push(text_entry("key_id", key_id)),
    }
    if has_created_at(kind) {
        entries.push(text_entry("created_at", &key.created_at));
    }
    entries.push(text_entry("enc", &key.enc));
    sorted(entries)
}

fn text_entry(name: &str, text: &str) -> (String, Tree) {
    (name.to_owned(), Tree::Str(text.to_owned()))
}

/// A mapping in byte order of its keys.
fn sorted(mut entries: Vec<(String, Tree)>) -> Tree {
    entries.sort_by(|(one, _), (other, _)| one.cmp(other));
    Tree::Map(entries)
}
