//! An independent reader of sealed files, written from the specification alone. It shares no code with the library: when
//! both agree on a file, the file is what the specification says.
//!
//! * [`read`] opens a sealed text and returns its leaves in walk order, its comments, its rule and whether its MAC verifies.
//! * [`violations`] lists what a layout-preserving writer must not do and did (spec 12 and 14, and the textual detectors of
//!   deployment tools); it needs no key. SOPS itself breaks one of these rules (comment tokens as list items), so it is for
//!   the library's output.
//! * [`plain`] reads a plaintext into the same leaves, to compare with what was sealed or opened.
//! * [`accept`] is the three in one for tests of writers: it panics unless everything is in order.

pub(crate) mod corpus;
pub(crate) mod fixtures;
mod json;
mod layouts;
mod lines;
mod metadata;
mod scalar;
mod selection;
mod shamir;
mod time;
mod token;
mod toml;
mod tree;
mod vectors;
mod violations;
mod yaml;

use std::fmt::Write as _;

use sha2::{Digest as _, Sha512};

pub(crate) use self::metadata::Metadata;
pub(crate) use self::violations::violations;

use self::selection::Selection;
use self::token::{START, Token};
use self::tree::{Entry, Node, Remark, Step, Value, What, aad, walk};

/// The stores of spec 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Yaml,
    Json,
    Dotenv,
    Ini,
    Toml,
    Binary,
}

impl Format {
    /// By suffix (spec 7.1).
    pub(crate) fn of_path(path: &str) -> Self {
        match path.rsplit_once('.').map(|(_, suffix)| suffix) {
            Some("yaml" | "yml") => Self::Yaml,
            Some("json") => Self::Json,
            Some("env") => Self::Dotenv,
            Some("ini") => Self::Ini,
            Some("toml") => Self::Toml,
            _ => Self::Binary,
        }
    }
}

/// What may open a file: the data key itself, or identities for its age entries.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    pub(crate) data_key: Option<[u8; 32]>,
    /// Texts that hold an `AGE-SECRET-KEY-1…` line, or OpenSSH private keys.
    pub(crate) identities: Vec<String>,
    /// For OpenSSH keys that ask for one.
    pub(crate) passphrase: String,
}

impl Keys {
    /// The data key, already known.
    pub(crate) fn of_data_key(key: [u8; 32]) -> Self {
        Self {
            data_key: Some(key),
            ..Self::default()
        }
    }

    /// Identity files' texts.
    pub(crate) fn of_identities(identities: impl IntoIterator<Item = String>) -> Self {
        Self {
            identities: identities.into_iter().collect(),
            ..Self::default()
        }
    }
}

/// A leaf that is not a comment (spec 3.3). Nulls are no leaves; empty strings are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    /// Additional data (spec 2): the path joined with `:`, one more `:` behind it.
    pub(crate) aad: String,
    /// `str`, `int`, `float`, `bool` or `time`.
    pub(crate) kind: &'static str,
    /// Canonical plaintext (spec 1.3), also for leaves in clear.
    pub(crate) bytes: Vec<u8>,
    pub(crate) sealed: bool,
}

impl Leaf {
    /// The canonical plaintext for messages and comparisons.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// A comment, its text without mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Comment {
    pub(crate) aad: String,
    pub(crate) text: String,
    pub(crate) sealed: bool,
    /// Whether the rule seals it and spec 7.2.4 leaves no doubt about where it belongs.
    pub(crate) due: bool,
}

/// A sealed file, opened.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub(crate) leaves: Vec<Leaf>,
    pub(crate) comments: Vec<Comment>,
    /// AADs of nulls, empty mappings and empty lists.
    pub(crate) blanks: Vec<String>,
    pub(crate) metadata: Metadata,
    pub(crate) data_key: [u8; 32],
    /// `Err` says how the check of spec 4.5 failed.
    pub(crate) mac: Result<(), String>,
    /// Writer's rules that only show once the tokens are open: plaintext that is not canonical (spec 1.5).
    pub(crate) faults: Vec<String>,
}

/// Opens a sealed text.
///
/// `Err` if SOPS would refuse to decrypt it before it looks at the MAC: a text that does not parse, no usable metadata,
/// no identity, a leaf that is not a token where the rule wants one, a token that does not open.
pub(crate) fn read(text: &str, format: Format, keys: &Keys) -> Result<Reading, String> {
    deep(|| open(text, format, keys))
}

fn open(text: &str, format: Format, keys: &Keys) -> Result<Reading, String> {
    let (documents, entry) = split(text, format)?;
    let metadata = Metadata::parse(&entry)?;
    let data_key = metadata.data_key(keys)?;
    let selection = Selection::new(&metadata.rule.0, &metadata.rule.1);
    let steps = walk(&documents);
    let mut opener = Opener {
        format,
        key: data_key,
        selection,
        steps: &steps,
        hash: Sha512::new(),
        all: !metadata.mac_only_encrypted,
        reading: (Vec::new(), Vec::new(), Vec::new(), Vec::new()),
    };
    if metadata.mac_only_encrypted {
        opener.hash.update(SEED);
    }
    for index in 0..steps.len() {
        opener.step(index)?;
    }
    let digest = hex(&opener.hash.finalize());
    let (leaves, comments, blanks, faults) = opener.reading;
    let mac = check_mac(&metadata, &data_key, &digest);
    Ok(Reading {
        leaves,
        comments,
        blanks,
        metadata,
        data_key,
        mac,
        faults,
    })
}

/// The leaves of a plaintext, as [`read`] would return them if nothing were sealed.
pub(crate) fn plain(text: &str, format: Format) -> Result<Vec<Leaf>, String> {
    deep(|| plain_leaves(text, format))
}

fn plain_leaves(text: &str, format: Format) -> Result<Vec<Leaf>, String> {
    let steps_of = |documents: &[Node]| {
        let steps = walk(documents).into_iter();
        steps
            .filter_map(|step| leaf_of(&step.path, &step.what, false))
            .collect()
    };
    if format == Format::Binary {
        let path = ["data".to_owned()];
        return Ok(leaf_of(&path, &What::Leaf(&Value::text(text)), false)
            .into_iter()
            .collect());
    }
    Ok(steps_of(&parse(text, format)?))
}

/// Reads the library's output and panics, with `name`, unless it opens, verifies and breaks no rule.
pub(crate) fn accept(name: &str, text: &str, format: Format, keys: &Keys) -> Reading {
    let reading = match read(text, format, keys) {
        Ok(reading) => reading,
        Err(error) => panic!("{name}: {error}"),
    };
    assert_eq!(reading.mac, Ok(()), "{name}: MAC");
    assert_eq!(reading.faults, [""; 0], "{name}: rules that need the key");
    assert_eq!(
        violations(text, format),
        [""; 0],
        "{name}: rules of the text"
    );
    reading
}

/// Runs `work` with room for trees as deep as the format allows: this reader recurses.
fn deep<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(512 << 20);
        thread
            .spawn_scoped(scope, work)
            .expect("a thread")
            .join()
            .expect("no panic")
    })
}

/// SHA-256 of `sops` (spec 4.2).
const SEED: [u8; 32] = [
    0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34, 0xf3, 0xd1, 0x47, 0xbe, 0x0b,
    0x0b, 0x97, 0x5b, 0x3b, 0xf4, 0x4f, 0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2, 0x7d, 0x69,
];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02X}");
        text
    })
}

fn check_mac(metadata: &Metadata, key: &[u8; 32], digest: &str) -> Result<(), String> {
    if metadata.mac.is_empty() {
        return Err("no MAC".to_owned());
    }
    let token = Token::parse(&metadata.mac).ok_or("Cannot decrypt MAC: not a token")?;
    let stored = token.open(key, &metadata.lastmodified)?;
    if token.kind != "str" {
        return Err("the MAC is not a string".to_owned());
    }
    if stored == digest.as_bytes() {
        Ok(())
    } else {
        Err("MAC mismatch".to_owned())
    }
}

/// The documents of a text.
fn parse(text: &str, format: Format) -> Result<Vec<Node>, String> {
    match format {
        Format::Yaml => Ok(yaml::parse(text)?.documents),
        Format::Json | Format::Binary => Ok(vec![json::parse(text)?]),
        Format::Dotenv => Ok(vec![lines::dotenv(text)?]),
        Format::Ini => Ok(vec![lines::ini(text)?]),
        Format::Toml => Ok(vec![toml::parse(text)?]),
    }
}

/// Parts a text into its documents without metadata, and the metadata (spec 5.4).
fn split(text: &str, format: Format) -> Result<(Vec<Node>, Node), String> {
    let mut documents = parse(text, format)?;
    let mut found = Vec::new();
    for (index, document) in documents.iter_mut().enumerate() {
        let Node::Map(entries) = document else {
            continue;
        };
        let is_metadata = |entry: &Entry| {
            let key = entry.key.as_deref();
            key.is_some_and(|key| match format {
                Format::Dotenv => key.starts_with("sops_"),
                _ => key == "sops",
            })
        };
        let (metadata, rest) = std::mem::take(entries).into_iter().partition(is_metadata);
        *entries = rest;
        if index == 0 {
            found = metadata;
        }
    }
    let entry = match format {
        Format::Dotenv => metadata::unflatten(&flat_lines(&found, "sops_"))?,
        _ if found.len() > 1 => return Err("Found duplicate sops entry".to_owned()),
        Format::Ini => match found.first() {
            Some(section) => metadata::unflatten(&flat_lines(section.node.entries(), ""))?,
            None => Node::Map(Vec::new()),
        },
        _ => found
            .into_iter()
            .next()
            .map_or(Node::Map(Vec::new()), |entry| entry.node),
    };
    if entry == Node::Map(Vec::new()) {
        return Err("sops metadata not found".to_owned());
    }
    Ok((documents, entry))
}

fn flat_lines(entries: &[Entry], prefix: &str) -> Vec<(String, String)> {
    let lines = entries.iter().filter_map(|entry| {
        let key = entry.key.as_deref()?.strip_prefix(prefix)?;
        Some((key.to_owned(), entry.node.as_text()?))
    });
    lines.collect()
}

fn leaf_of(path: &[String], what: &What<'_>, sealed: bool) -> Option<Leaf> {
    match what {
        What::Leaf(value) if **value != Value::Null => Some(Leaf {
            aad: aad(path),
            kind: value.word(),
            bytes: value.bytes(),
            sealed,
        }),
        _ => None,
    }
}

/// The walk that opens: spec 3 and 4.1.
struct Opener<'a> {
    format: Format,
    key: [u8; 32],
    selection: Selection,
    steps: &'a [Step<'a>],
    hash: Sha512,
    all: bool,
    reading: (Vec<Leaf>, Vec<Comment>, Vec<String>, Vec<String>),
}

impl Opener<'_> {
    fn step(&mut self, index: usize) -> Result<(), String> {
        let Some(step) = self.steps.get(index) else {
            return Ok(());
        };
        match step.what {
            What::Leaf(value) => self.leaf(step, value),
            What::Comment(remark) => {
                self.selection.comment(&remark.text);
                self.comment(index, step, remark);
                Ok(())
            }
            What::Open { empty } => {
                if empty && !step.path.is_empty() {
                    self.reading.2.push(aad(&step.path));
                }
                self.selection.open();
                Ok(())
            }
            What::Close => {
                self.selection.close();
                Ok(())
            }
            What::ItemDone => {
                self.selection.item_done();
                Ok(())
            }
        }
    }

    fn leaf(&mut self, step: &Step<'_>, value: &Value) -> Result<(), String> {
        let here = aad(&step.path);
        if *value == Value::Null {
            self.reading.2.push(here);
            return Ok(());
        }
        let selected = self.selection.selects(&step.path, false);
        let (value, sealed) = match value {
            Value::Str(text) if selected && !text.is_empty() => {
                let text = std::str::from_utf8(text).map_err(|error| error.to_string())?;
                let token = Token::parse(text);
                let token =
                    token.ok_or_else(|| format!("{here} does not match sops' data format"))?;
                let bytes = token.open(&self.key, &here)?;
                if token.kind == "comment" {
                    if !step.in_list {
                        return Err(format!("{here} is a comment where a value should be"));
                    }
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    self.reading.1.push(Comment {
                        aad: here,
                        text,
                        sealed: true,
                        due: true,
                    });
                    return Ok(());
                }
                let value = match self.format {
                    Format::Toml => toml::opened(&token.kind, bytes.clone())?,
                    _ => token::typed(&token.kind, bytes.clone())?,
                };
                if self.format != Format::Toml && value.bytes() != bytes {
                    self.reading
                        .3
                        .push(format!("plaintext under {here} is not canonical"));
                }
                (value, true)
            }
            Value::Str(_) => (value.clone(), false),
            _ if selected => {
                let word = value.word();
                return Err(format!(
                    "Expected encrypted value as string, but got {word} at {here}"
                ));
            }
            _ => (value.clone(), false),
        };
        if self.all || selected {
            self.hash.update(value.bytes());
        }
        self.reading
            .0
            .extend(leaf_of(&step.path, &What::Leaf(&value), sealed));
        Ok(())
    }

    fn comment(&mut self, index: usize, step: &Step<'_>, remark: &Remark) {
        let token = Token::parse(&remark.text).filter(|token| token.kind == "comment");
        for path in token
            .iter()
            .flat_map(|_| self.candidates(index, &step.path))
        {
            if !self.selection.selects(&path, true) {
                continue;
            }
            let opened = token
                .as_ref()
                .and_then(|token| token.open(&self.key, &aad(&path)).ok());
            if let Some(bytes) = opened {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                self.reading.1.push(Comment {
                    aad: aad(&path),
                    text,
                    sealed: true,
                    due: true,
                });
                return;
            }
        }
        let due =
            remark.certain && !remark.text.is_empty() && self.selection.selects(&step.path, true);
        let text = remark.text.clone();
        self.reading.1.push(Comment {
            aad: aad(&step.path),
            text,
            sealed: false,
            due,
        });
    }

    /// Where a comment may belong: its container, then every prefix of the path before it and of the path after it.
    fn candidates(&self, index: usize, path: &[String]) -> Vec<Vec<String>> {
        let is_place =
            |step: &&Step<'_>| !step.path.is_empty() && !matches!(step.what, What::Comment(_));
        let (before, after) = self.steps.split_at_checked(index).unwrap_or_default();
        let neighbours = [
            before.iter().rev().find(is_place),
            after.iter().find(is_place),
        ];
        let mut paths = vec![path.to_vec()];
        for neighbour in neighbours.into_iter().flatten() {
            for length in (0..=neighbour.path.len()).rev() {
                paths.push(neighbour.path.iter().take(length).cloned().collect());
            }
        }
        paths
    }
}

/// A comment token that opened under none of its candidates.
pub(crate) fn unopened(reading: &Reading) -> Vec<&Comment> {
    reading
        .comments
        .iter()
        .filter(|comment| !comment.sealed && comment.text.starts_with(START))
        .collect()
}
