//! Law 2 and its company: what is sealed opens again, to the same values and, but for a closed list, the same bytes.

use sops_rs::document::{Document, Step};
use sops_rs::edit::{Edit, splice};
use sops_rs::format::Format;
use sops_rs::metadata::{Metadata, SOPS_VERSION};
use sops_rs::node::{Form, Kind, Node, ScanError, Tag};
use sops_rs::ops::binary;
use sops_rs::ops::decrypt::{Decrypted, Opening, Warning, decrypt};
use sops_rs::ops::encrypt::{EncryptError, Encrypted, Previous, Sealer, encrypt, reencrypt};
use sops_rs::random::Random;
use sops_rs::recipient::{Recipient, WrappedKey};
use sops_rs::secret::DataKey;
use sops_rs::selection::RuleKind;
use sops_rs::span::Span;
use sops_rs::value::Value;

/// The moment at which everything here is sealed: 2026-11-23T00:00:00Z.
const NOW: i64 = 1_795_392_000;

/// Counts, so that no IV comes twice and every run seals alike.
#[derive(Debug, Default)]
pub struct Counter(u64);

impl Random for Counter {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0 += 1;
        for (byte, count) in bytes
            .iter_mut()
            .zip(self.0.to_le_bytes().into_iter().cycle())
        {
            *byte = count;
        }
    }
}

/// What is sealed, by the name of its field in the metadata; `None` is the default.
pub type Rule<'r> = Option<(RuleKind, &'r str)>;

/// The data key of everything here.
#[must_use]
pub fn data_key() -> DataKey {
    DataKey::new((0..32).collect())
}

/// Metadata with one recipient, who got no key: nothing here asks for it.
#[must_use]
pub fn metadata(rule: Rule<'_>, mac_only_encrypted: bool) -> Metadata {
    Metadata {
        groups: vec![vec![WrappedKey {
            recipient: Recipient::Age {
                recipient: "age1q0000000000000000000000000000000000000000000000000000000000"
                    .to_owned(),
            },
            created_at: String::new(),
            enc: "-----BEGIN AGE ENCRYPTED FILE-----\nAAAA\n-----END AGE ENCRYPTED FILE-----\n"
                .to_owned(),
            unknown: Vec::new(),
        }]],
        shamir_threshold: 0,
        lastmodified: String::new(),
        mac: String::new(),
        version: SOPS_VERSION.to_owned(),
        rule: rule.map(|(kind, text)| (kind, text.to_owned())),
        mac_only_encrypted,
        unknown: Vec::new(),
    }
}

/// Seals `text`; `None` if it is refused for a reason that a document can give.
pub fn seal(
    format: Format,
    text: &str,
    metadata: &mut Metadata,
    random: &mut Counter,
) -> Option<Encrypted> {
    let document = Document::parse(format, text).ok()?;
    let selection = metadata.strict_selection().expect("a valid rule");
    let mut sealer = Sealer {
        selection: &selection,
        key: &data_key(),
        allow_clear: true,
        now: NOW,
        random,
    };
    match encrypt(document, metadata, &mut sealer) {
        Ok(encrypted) => Some(encrypted),
        Err(
            EncryptError::AlreadyEncrypted(_)
            | EncryptError::DoubtfulComment(_)
            | EncryptError::HeaderComment(_)
            | EncryptError::LaterDocumentHasSops(_)
            | EncryptError::Leaf(_)
            | EncryptError::TokenMatchesRule(_),
        ) => None,
        Err(EncryptError::Expansion(error)) if error.message.contains("nest") => None,
        Err(defect) => panic!("a defect: {defect}\n{text:?}"),
    }
}

/// Opens what [`seal`] made; its metadata must be as it was given.
#[must_use]
pub fn open(format: Format, sealed: &str, metadata: &Metadata) -> Decrypted {
    let document = Document::parse(format, sealed).unwrap_or_else(|error| {
        panic!(
            "the sealed text cannot be read: {error} at {:?}\n{sealed}",
            error.span
        )
    });
    let found = Metadata::of(&document)
        .unwrap_or_else(|error| panic!("{error}\n{sealed}"))
        .unwrap_or_else(|| panic!("no metadata\n{sealed}"));
    assert_eq!(&found, metadata, "the metadata changed\n{sealed}");
    let (selection, bad) = found.selection();
    assert_eq!(bad, None);
    decrypt(
        &document,
        &found,
        &selection,
        &data_key(),
        Opening {
            remember: true,
            ..Opening::default()
        },
    )
    .unwrap_or_else(|error| panic!("{error}\n{sealed}"))
}

/// Seals, opens, edits nothing, and seals and opens again.
pub fn roundtrip(format: Format, rule: Rule<'_>, mac_only_encrypted: bool, text: &str) {
    let mut metadata = metadata(rule, mac_only_encrypted);
    let mut random = Counter::default();
    let Some(sealed) = seal(format, text, &mut metadata, &mut random) else {
        return;
    };
    let opened = open(format, &sealed.text, &metadata);
    // The metadata may move the comment above it to a container where the rule would seal it.
    let odd = |warning: &&Warning| {
        format != Format::Yaml || !matches!(warning, Warning::CommentInClear(_))
    };
    assert_eq!(
        opened.warnings.iter().find(odd),
        None,
        "{text:?}\n{}",
        sealed.text
    );
    let plain = opened.text.clone();
    check_opened(format, text, &plain, &sealed);
    no_change(format, &sealed.text, &metadata, opened, &mut random);
    let mut second = self::metadata(rule, mac_only_encrypted);
    let again = seal(format, &plain, &mut second, &mut random)
        .unwrap_or_else(|| panic!("what was opened is refused\n{:?}", *plain));
    let twice = open(format, &again.text, &second).text;
    assert!(
        *twice == *plain || format == Format::Yaml && has_rare_breaks(&plain),
        "what was opened is not spelled as it can come back\n{:?}\n{:?}",
        *plain,
        *twice
    );
}

/// The same for the envelope of a binary file, where nothing may change at all.
pub fn binary(bytes: &[u8]) {
    let mut metadata = metadata(None, false);
    let text = binary::encrypt(
        bytes,
        &mut metadata,
        &data_key(),
        NOW,
        &mut Counter::default(),
    )
    .expect("any bytes can be sealed");
    let document = Document::parse(Format::Binary, &text).expect("JSON");
    let found = Metadata::of(&document)
        .expect("good metadata")
        .expect("metadata");
    assert_eq!(found, metadata);
    let opened = binary::decrypt(&document, &found, &data_key(), false).expect("it opens");
    assert_eq!(*opened, bytes);
}

/// Law 4: an edit that changes nothing writes nothing.
fn no_change(
    format: Format,
    sealed: &str,
    metadata: &Metadata,
    opened: Decrypted,
    random: &mut Counter,
) {
    let text = opened.text.clone();
    let again = reseal(format, sealed, metadata, opened, &text, random);
    if let Some(again) = again {
        assert_eq!(
            again.text, sealed,
            "an edit without a change changed the file"
        );
        panic!("an edit without a change was written");
    }
}

/// Seals `text` as the changed plaintext of `sealed`, of which `opened` was made; `None` if nothing changed.
pub fn reseal(
    format: Format,
    sealed: &str,
    metadata: &Metadata,
    opened: Decrypted,
    text: &str,
    random: &mut Counter,
) -> Option<Encrypted> {
    let before = Document::parse(format, sealed).expect("it was read before");
    let after = Document::parse(format, text).unwrap_or_else(|error| {
        panic!("the opened text cannot be read: {error}\n{text:?}\n{sealed}")
    });
    let selection = metadata.strict_selection().expect("a valid rule");
    let mut sealer = Sealer {
        selection: &selection,
        key: &data_key(),
        allow_clear: true,
        now: NOW + 1,
        random,
    };
    let previous = Previous {
        document: &before,
        metadata,
        decrypted: opened,
    };
    reencrypt(after, previous, &mut sealer).unwrap_or_else(|error| panic!("{error}\n{text:?}"))
}

/// The same values; and the same bytes, but for those of values in a spelling that the wire format has no room for.
fn check_opened(format: Format, text: &str, opened: &str, sealed: &Encrypted) {
    if text == opened {
        return;
    }
    let before = Document::parse(format, text).expect("it was read before");
    let after = Document::parse(format, opened).unwrap_or_else(|error| {
        panic!(
            "the opened text cannot be read: {error}\n{text:?}\n{opened:?}\n{}",
            sealed.text
        )
    });
    let (mut then, mut now) = (content(&before), content(&after));
    // A comment behind a tag that goes may stand behind the value before it then; a line break stays.
    let moves = |node: &Node| {
        let gap = Span::new(node.props.end(), node.span.start().max(node.props.end()));
        is_core(node.tag) && gap.of(text).contains(['#', '\n', '\r'])
    };
    let moved = before.nodes().iter().any(moves);
    if moved {
        // Values are in order still, comments perhaps not.
        for content in [&mut then, &mut now] {
            content.sort_by_key(|(_, kind, text)| (*kind == "comment").then(|| text.clone()));
        }
    }
    if sealed.report.expanded_aliases > 0 {
        // A comment behind an alias stands behind a collection then, which is inside of it.
        for content in [&mut then, &mut now] {
            content.retain(|(_, kind, _)| *kind != "comment");
        }
    }
    assert_eq!(
        then, now,
        "values changed\n{text:?}\n{opened:?}\n{}",
        sealed.text
    );
    // Blanks at the end that no line break ends belong to a block before them, or to nothing.
    let ragged = text.ends_with(' ');
    if moved
        || sealed.report.expanded_aliases > 0
        || format == Format::Yaml && (ragged || has_rare_breaks(text))
    {
        return;
    }
    let mut changed = exceptions(&before);
    let (then, now) = (before.nodes(), after.nodes());
    for (changed, (then, now)) in changed.iter_mut().zip(then.iter().zip(now)) {
        // A plain text that another reader could take for something else comes back in quotes.
        *changed |= format == Format::Yaml && then.form == Form::Plain && now.form != Form::Plain;
    }
    assert_eq!(
        without(&before, &changed),
        without(&after, &changed),
        "bytes changed that are no exception\n{text:?}\n{opened:?}\n{}",
        sealed.text
    );
}

/// Every value and comment with its place and type, the values spelled as the MAC has them.
fn content(document: &Document<'_>) -> Vec<(String, &'static str, Vec<u8>)> {
    let mut found = Vec::new();
    document
        .walk(|step| {
            let (id, path, is_comment) = match step {
                Step::Leaf { id, path, .. } => (id, path, false),
                Step::Comment {
                    id,
                    path,
                    alias: None,
                } => (id, path, true),
                _ => return Ok(()),
            };
            let value = document.value(document.node(id).expect("a node"))?;
            let kind = match value.token_type() {
                _ if is_comment => "comment",
                Some(kind) => kind.word(),
                None => "null",
            };
            found.push((
                path.additional_data().to_owned(),
                kind,
                value.canonical().into_owned(),
            ));
            Ok::<(), ScanError>(())
        })
        .expect("it was walked before");
    found
}

/// The closed list of law 2: which nodes may come back in another spelling.
fn exceptions(document: &Document<'_>) -> Vec<bool> {
    document
        .nodes()
        .iter()
        .map(|node| node.kind == Kind::Scalar && is_exception(document, node))
        .collect()
}

/// The text without the nodes of these numbers, and without a version directive that SOPS cannot read.
fn without(document: &Document<'_>, changed: &[bool]) -> String {
    assert_eq!(document.nodes().len(), changed.len(), "nodes came or went");
    let edits: Vec<Edit> = document
        .nodes()
        .iter()
        .zip(changed)
        .filter(|(_, changed)| **changed)
        .map(|(node, _)| {
            // A tag that a token cannot have goes with the value, an anchor stays.
            let gone = Span::new(node.props.start(), node.span.end());
            // The line breaks that a block keeps are part of it, those behind other texts are not.
            let ended = gone.of(document.source()).ends_with('\n');
            Edit::new(gone, if ended { "\n" } else { "" })
        })
        .collect();
    let text = splice(document.source(), &edits).expect("leaves do not overlap");
    let lines = text
        .split_inclusive('\n')
        .filter(|line| !line.trim_start_matches('\u{feff}').starts_with("%YAML"));
    lines.collect()
}

fn is_core(tag: Tag) -> bool {
    !matches!(tag, Tag::None | Tag::Str | Tag::Other)
}

fn is_exception(document: &Document<'_>, node: &Node) -> bool {
    let written = node.inner.of(document.source());
    let Ok(value) = document.value(node) else {
        return false;
    };
    if document.format() == Format::Toml {
        // A token holds the spelling itself.
        return false;
    }
    let several_lines = written.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']);
    let plain_ini = document.format() == Format::Ini && node.form == Form::Plain;
    if (several_lines && !matches!(node.form, Form::Literal | Form::Triple))
        || (plain_ini && written.ends_with('\\'))
        || is_core(node.tag)
    {
        return true;
    }
    if matches!(node.form, Form::Literal | Form::Folded) && is_odd_block(document.source(), node) {
        return true;
    }
    match &value {
        Value::Null | Value::Bytes(_) | Value::Lexeme(..) => false,
        Value::Str(_) => {
            node.form == Form::Double && (written.contains('\t') || has_long_escape(written))
        }
        Value::Bool(value) => written != value.to_string(),
        Value::Float(number) => {
            let text = String::from_utf8_lossy(&value.canonical()).into_owned();
            // JSON takes an exponent for the largest and smallest, as ECMAScript does.
            let exponent =
                document.format() == Format::Json && !(1e-6..1e21).contains(&number.abs());
            let whole = document.format() == Format::Yaml && !text.contains('.');
            let now = if whole {
                format!("{text}.0")
            } else {
                text.clone()
            };
            exponent || written != now && (whole || written != format!("{text}.0"))
        }
        Value::Int(_) | Value::Time(_) => value.canonical() != written.as_bytes(),
    }
}

/// Whether a text has line breaks that only YAML 1.1 knows: they come back as others.
fn has_rare_breaks(text: &str) -> bool {
    text.replace("\r\n", "\n")
        .contains(['\r', '\u{85}', '\u{2028}', '\u{2029}'])
}

/// Whether a block has lines of nothing but blanks, other line breaks than its header and its last line have (or the text at
/// first, if these two differ), or keeps a last one that it does not have: a token has no room for these.
fn is_odd_block(source: &str, node: &Node) -> bool {
    let lines = node.inner.of(source);
    let is_crlf = |at: usize| source.as_bytes().get(at.wrapping_sub(1)) == Some(&b'\r');
    let first = source.find('\n').is_some_and(is_crlf);
    let header = is_crlf(node.inner.start().saturating_sub(1));
    let text = lines.trim_end_matches(['\r', '\n']);
    let last = source
        .get(node.inner.start() + text.len()..)
        .and_then(|rest| rest.rfind('\n').map(|_| rest.starts_with('\r')));
    let crlf = match last {
        Some(last) if last != header => first,
        _ => header,
    };
    let breaks = lines.matches('\n').count();
    let mixed = lines.matches("\r\n").count() != if crlf { breaks } else { 0 };
    let blank = |line: &str| line.len() > 1 && line.trim_matches([' ', '\r']).is_empty();
    let keeps_nothing = || {
        let header = node.span.of(source).lines().next().unwrap_or_default();
        header.contains('+') && node.inner.end() == source.len() && !lines.ends_with('\n')
    };
    mixed || lines.split('\n').any(|line| line == " " || blank(line)) || keeps_nothing()
}

/// Whether a quoted text has an escape that need not be one, or could be shorter.
fn has_long_escape(written: &str) -> bool {
    let mut rest = written.chars();
    while let Some(character) = rest.next() {
        if character == '\\' && !matches!(rest.next(), Some('\\' | '"' | 'n' | 't' | 'r')) {
            return true;
        }
    }
    false
}

/// Reads an input of the fuzzer: one byte for the format, one for the rule, and the text.
pub fn any(input: &[u8]) {
    let [format, rule, rest @ ..] = input else {
        return;
    };
    let format = match format {
        b'j' => Format::Json,
        b'd' => Format::Dotenv,
        b'i' => Format::Ini,
        b't' => Format::Toml,
        b'b' => return binary(rest),
        b'y' => Format::Yaml,
        _ => return,
    };
    let Ok(text) = std::str::from_utf8(rest) else {
        return;
    };
    let rule = match rule {
        b'1' => Some((RuleKind::EncryptedRegex, "^(s|a.*)$")),
        b'2' => Some((RuleKind::UnencryptedRegex, "^(s|a.*)$")),
        b'3' => Some((RuleKind::EncryptedCommentRegex, "seal")),
        b'4' => Some((RuleKind::UnencryptedCommentRegex, "clear")),
        b'5' => Some((RuleKind::EncryptedSuffix, "_s")),
        _ => None,
    };
    roundtrip(format, rule, rule.is_some(), text);
}
