//! The `sops` entry of spec 5, in whichever store, and the data key of spec 6.

use std::io::Read as _;

use super::Keys;
use super::time;
use super::tree::{Entry, Node, Value};

/// What the metadata says.
#[derive(Clone, Debug)]
pub(crate) struct Metadata {
    /// Already re-formatted to seconds (spec 4.4).
    pub(crate) lastmodified: String,
    pub(crate) mac: String,
    pub(crate) version: String,
    /// Name and text of the selection rule; the default if none is set.
    pub(crate) rule: (String, String),
    pub(crate) mac_only_encrypted: bool,
    pub(crate) shamir_threshold: usize,
    /// For every key group, the `(type, recipient, enc)` of its keys.
    pub(crate) groups: Vec<Vec<Wrapped>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Wrapped {
    pub(crate) kind: String,
    pub(crate) recipient: String,
    pub(crate) enc: String,
}

/// Type name and the field that says which key it is.
const KINDS: [(&str, &str); 7] = [
    ("age", "recipient"),
    ("azure_kv", "vault_url"),
    ("gcp_kms", "resource_id"),
    ("hc_vault", "vault_address"),
    ("hckms", "key_id"),
    ("kms", "arn"),
    ("pgp", "fp"),
];

const RULES: [&str; 6] = [
    "unencrypted_suffix",
    "encrypted_suffix",
    "unencrypted_regex",
    "encrypted_regex",
    "unencrypted_comment_regex",
    "encrypted_comment_regex",
];

impl Metadata {
    /// Decodes the tree of the `sops` entry.
    pub(crate) fn parse(node: &Node) -> Result<Self, String> {
        if !matches!(node, Node::Map(_)) {
            return Err("Found sops entry that is not a mapping".to_owned());
        }
        let text = |key: &str| node.get(key).and_then(Node::as_text).unwrap_or_default();
        let stamp = time::rfc3339(&text("lastmodified")).ok_or("lastmodified is not RFC 3339")?;
        let version = text("version");
        if !version.starts_with("1.") {
            let parts: Vec<&str> = version.trim_start_matches('v').split('.').collect();
            let number = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            if parts.len() < 3 || !parts.iter().take(2).all(number) {
                return Err("version is not a semantic version".to_owned());
            }
        }
        let mut rules = RULES
            .into_iter()
            .map(|rule| (rule.to_owned(), text(rule)))
            .filter(|(_, text)| !text.is_empty());
        let default = || ("unencrypted_suffix".to_owned(), "_unencrypted".to_owned());
        let rule = rules.next().unwrap_or_else(default);
        if rules.next().is_some() {
            return Err("more than one selection rule".to_owned());
        }
        let top = group(node);
        let groups = if !top.is_empty() {
            vec![top]
        } else {
            node.get("key_groups")
                .map_or(&[][..], Node::entries)
                .iter()
                .map(|e| group(&e.node))
                .collect()
        };
        if groups.iter().all(Vec::is_empty) {
            return Err("No keys found in file".to_owned());
        }
        Ok(Self {
            lastmodified: stamp.text(false),
            mac: text("mac"),
            version,
            rule,
            mac_only_encrypted: matches!(
                text("mac_only_encrypted").as_str(),
                "1" | "t" | "T" | "true" | "True" | "TRUE"
            ),
            shamir_threshold: text("shamir_threshold").parse().unwrap_or(0),
            groups,
        })
    }

    /// The data key: the one given, or what the identities recover from every group.
    pub(crate) fn data_key(&self, keys: &Keys) -> Result<[u8; 32], String> {
        if let Some(key) = keys.data_key {
            return Ok(key);
        }
        let mut parts: Vec<Vec<u8>> = Vec::new();
        for group in &self.groups {
            parts.extend(group.iter().find_map(|wrapped| unwrap(wrapped, keys)));
        }
        let key = if let [_] = self.groups.as_slice() {
            parts
                .into_iter()
                .next()
                .ok_or("no identity opens this file")?
        } else {
            if parts.len() < self.shamir_threshold {
                return Err(format!("only {} shares recovered", parts.len()));
            }
            super::shamir::combine(&parts)?
        };
        key.try_into()
            .map_err(|_| "the data key is not 32 bytes".to_owned())
    }
}

fn group(node: &Node) -> Vec<Wrapped> {
    let mut group = Vec::new();
    for (kind, name) in KINDS {
        for entry in node.get(kind).map_or(&[][..], Node::entries) {
            let field = |key: &str| {
                entry
                    .node
                    .get(key)
                    .and_then(Node::as_text)
                    .unwrap_or_default()
            };
            group.push(Wrapped {
                kind: kind.to_owned(),
                recipient: field(name),
                enc: field("enc"),
            });
        }
    }
    group
}

/// Answers an SSH key's question for its passphrase.
#[derive(Clone)]
struct Passphrase(String);

impl age::Callbacks for Passphrase {
    fn display_message(&self, _: &str) {}

    fn confirm(&self, _: &str, _: &str, _: Option<&str>) -> Option<bool> {
        None
    }

    fn request_public_string(&self, _: &str) -> Option<String> {
        None
    }

    fn request_passphrase(&self, _: &str) -> Option<age::secrecy::SecretString> {
        Some(self.0.clone().into())
    }
}

fn unwrap(wrapped: &Wrapped, keys: &Keys) -> Option<Vec<u8>> {
    if wrapped.kind != "age" {
        return None;
    }
    keys.identities
        .iter()
        .find_map(|identity| open_age(&wrapped.enc, identity, &keys.passphrase))
}

fn open_age(enc: &str, identity: &str, passphrase: &str) -> Option<Vec<u8>> {
    let identity: Box<dyn age::Identity> = if identity.contains("OPENSSH PRIVATE KEY") {
        let key = age::ssh::Identity::from_buffer(identity.as_bytes(), None).ok()?;
        Box::new(key.with_callbacks(Passphrase(passphrase.to_owned())))
    } else {
        let line = identity
            .lines()
            .find(|line| line.starts_with("AGE-SECRET-KEY-1"))?;
        Box::new(line.parse::<age::x25519::Identity>().ok()?)
    };
    let armored = age::armor::ArmoredReader::new(enc.as_bytes());
    let decryptor = age::Decryptor::new_buffered(armored).ok()?;
    let mut plain = Vec::new();
    decryptor
        .decrypt(std::iter::once(&*identity))
        .ok()?
        .read_to_end(&mut plain)
        .ok()?;
    Some(plain)
}

/// Builds the metadata tree from flattened keys (spec 5.5).
pub(crate) fn unflatten(lines: &[(String, String)]) -> Result<Node, String> {
    let mut root = Node::Map(Vec::new());
    for (key, value) in lines {
        let marked = key.replace("__list_", "\0L").replace("__map_", "\0M");
        let mut parts = marked.split('\0');
        let first = format!("M{}", parts.next().unwrap_or_default());
        let path: Vec<&str> = std::iter::once(first.as_str()).chain(parts).collect();
        insert(&mut root, &path, &value.replace("\\n", "\n"))?;
    }
    Ok(root)
}

fn insert(node: &mut Node, path: &[&str], value: &str) -> Result<(), String> {
    let Some((part, rest)) = path.split_first() else {
        return Err("Type mismatch".to_owned());
    };
    let (kind, name) = part.split_at_checked(1).ok_or("Type mismatch")?;
    let list = kind == "L";
    let entries = match node {
        Node::Map(entries) if !list => entries,
        Node::List(entries) if list => entries,
        _ => return Err("Type mismatch".to_owned()),
    };
    // Items of a list are kept under their index, so that the order of lines does not matter.
    let index = if list {
        name.parse::<usize>().unwrap_or(0).to_string()
    } else {
        name.to_owned()
    };
    if !entries
        .iter()
        .any(|entry| entry.key.as_deref() == Some(&index))
    {
        let fresh = match rest.first() {
            None => Node::Leaf(Value::text(value)),
            Some(next) if next.starts_with('L') => Node::List(Vec::new()),
            Some(_) => Node::Map(Vec::new()),
        };
        entries.push(Entry::keyed(index.clone(), fresh));
        if rest.is_empty() {
            return Ok(());
        }
    } else if rest.is_empty() {
        return Err("Duplicate value".to_owned());
    }
    let found = entries
        .iter_mut()
        .find(|entry| entry.key.as_deref() == Some(&index));
    insert(&mut found.ok_or("Type mismatch")?.node, rest, value)
}
