//! Conversions: any content in any format, and types that come through formats without types.

use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::{collection, option};
use zeroize::Zeroizing;

use super::{of_bytes, open, values, with_types, write};
use crate::content::{Comment, Content, Entry, Part};
use crate::document::Document;
use crate::format::Format;
use crate::format::emit::{CannotEmit, OutputFormat};
use crate::metadata::{Metadata, SOPS_VERSION};
use crate::ops::encrypt::{Sealer, encrypt};
use crate::random::Random;
use crate::recipient::{Recipient, WrappedKey};
use crate::secret::{DataKey, Plain};
use crate::selection::Selection;
use crate::value::{Time, Value};

/// Texts that mean something to one format or another.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z]{1,6}",
        3 => "[ a-c0-9=:;#'\"`\\\\n\\[\\]{}$!&*%|<>~,.\\-\u{1}\r\n\t\u{e4}\u{2028}]{0,12}",
        1 => any::<String>(),
        1 => prop_oneof![
            Just("null"), Just("yes"), Just("0o17"), Just("1_000"), Just("1:20"), Just("<<"), Just("~"),
            Just("2001-12-14"), Just(".inf"), Just("<<<<<<< ours"), Just("\u{feff}a"), Just("-"),
        ].prop_map(str::to_owned),
    ]
}

fn scalar() -> impl Strategy<Value = Value<'static>> {
    prop_oneof![
        5 => text().prop_map(|text| Value::Str(Plain::owned(text))),
        1 => any::<i64>().prop_map(Value::Int),
        1 => any::<f64>().prop_map(Value::Float),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => Just(Value::Time(Time::parse("2001-12-14T21:59:43.1-05:00").unwrap())),
        1 => Just(Value::Null),
    ]
}

fn comment<T>() -> impl Strategy<Value = Part<'static, T>>
where
    T: Clone + std::fmt::Debug + 'static,
{
    let text = "[ a-z#;=\\[\\]\"']{0,10}";
    (text, any::<bool>()).prop_map(|(text, inline)| {
        let text = Plain::owned(text);
        Part::Comment(Comment { text, inline })
    })
}

/// A mapping of what `content` gives, in which no key repeats.
fn map(
    content: impl Strategy<Value = Content<'static>>,
) -> impl Strategy<Value = Content<'static>> {
    let entries = collection::btree_map(text(), (option::of(comment()), content), 0..5);
    (entries, option::of(comment())).prop_map(|(entries, last)| {
        let mut parts = Vec::new();
        for (key, (above, content)) in entries {
            parts.extend(above);
            let key = key.into();
            parts.push(Part::Item(Entry { key, content }));
        }
        parts.extend(last);
        Content::Map(parts)
    })
}

fn list(
    content: impl Strategy<Value = Content<'static>>,
) -> impl Strategy<Value = Content<'static>> {
    let item = (option::of(comment()), content);
    collection::vec(item, 0..4).prop_map(|items| {
        let mut parts = Vec::new();
        for (above, content) in items {
            parts.extend(above);
            parts.push(Part::Item(content));
        }
        Content::List(parts)
    })
}

/// A mapping of anything.
fn tree() -> impl Strategy<Value = Content<'static>> {
    let any = scalar()
        .prop_map(Content::Scalar)
        .prop_recursive(4, 24, 4, |inner| {
            prop_oneof![map(inner.clone()), list(inner)]
        });
    map(any)
}

fn flat() -> impl Strategy<Value = Content<'static>> {
    map(scalar().prop_map(Content::Scalar))
}

/// Every scalar as a line of its path and what it is, so that two contents can be compared without the code that is tested.
fn listing(content: &Content<'_>, path: &str, lines: &mut Vec<String>) {
    match content {
        Content::Scalar(value) => {
            let kind = value.token_type().map_or("null", |kind| kind.word());
            let text = String::from_utf8(value.canonical().into_owned()).unwrap();
            lines.push(format!("{path} {kind} {text:?}"));
        }
        Content::List(_) => {
            lines.push(format!("{path} list"));
            for (index, item) in content.items().enumerate() {
                listing(item, &format!("{path}[{index}]"), lines);
            }
        }
        Content::Map(_) => {
            lines.push(format!("{path} map"));
            for entry in content.entries() {
                listing(&entry.content, &format!("{path}{:?}", entry.key), lines);
            }
        }
    }
}

fn listed(contents: &[Content<'_>]) -> Vec<String> {
    let mut lines = Vec::new();
    for content in contents {
        listing(content, "", &mut lines);
    }
    lines
}

/// Bytes that never repeat within a test.
struct Counter(u64);

impl Random for Counter {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            self.0 += 1;
            chunk.copy_from_slice(&self.0.to_le_bytes()[..chunk.len()]);
        }
    }
}

/// Seals `documents` in `format`, opens that again, and lists what it then holds.
fn sealed_and_opened(format: Format, documents: &[Content<'_>]) -> Result<Vec<String>, CannotEmit> {
    let text = write(OutputFormat::File(format), documents)?;
    let document = Document::parse(format, std::str::from_utf8(&text).unwrap()).unwrap();
    let document = with_types(document, &values(documents)).unwrap();
    let somebody = WrappedKey {
        recipient: Recipient::Age {
            recipient: "age1x".to_owned(),
        },
        created_at: String::new(),
        enc: "x".to_owned(),
        unknown: Vec::new(),
    };
    let mut metadata = Metadata {
        groups: vec![vec![somebody]],
        shamir_threshold: 0,
        lastmodified: String::new(),
        mac: String::new(),
        version: SOPS_VERSION.to_owned(),
        rule: None,
        mac_only_encrypted: false,
        unknown: Vec::new(),
    };
    let key = DataKey::new(vec![7; 32]);
    let mut sealer = Sealer {
        selection: &Selection::default(),
        key: &key,
        allow_clear: true,
        now: 1_700_000_000,
        random: &mut Counter(0),
    };
    let sealed = encrypt(document, &mut metadata, &mut sealer).unwrap();
    let document = Document::parse(format, &sealed.text).unwrap();
    let metadata = Metadata::of(&document).unwrap().unwrap();
    let (selection, _) = metadata.selection();
    let opened = open(&document, &metadata, &selection, &key, false).unwrap();
    assert!(opened.warnings.is_empty());
    Ok(listed(&opened.documents))
}

fn is_defect(error: &CannotEmit) -> bool {
    error.reason.contains("internal error")
}

proptest! {
    #[test]
    fn any_content_in_json_is_what_it_was(content in tree()) {
        let documents = [content];
        match sealed_and_opened(Format::Json, &documents) {
            Ok(opened) => prop_assert_eq!(opened, listed(&documents)),
            Err(error) => prop_assert!(!is_defect(&error), "{error}"),
        }
    }

    #[test]
    fn any_content_in_yaml_is_what_it_was(contents in collection::vec(tree(), 1..3)) {
        match sealed_and_opened(Format::Yaml, &contents) {
            Ok(opened) => prop_assert_eq!(opened, listed(&contents)),
            Err(error) => prop_assert!(!is_defect(&error), "{error}"),
        }
    }

    #[test]
    fn any_content_in_toml_is_what_it_was(content in tree()) {
        let documents = [content];
        match sealed_and_opened(Format::Toml, &documents) {
            Ok(mut opened) => {
                // Values come before tables.
                let mut meant = listed(&documents);
                meant.sort();
                opened.sort();
                prop_assert_eq!(opened, meant);
            }
            Err(error) => prop_assert!(!is_defect(&error), "{error}"),
        }
    }

    #[test]
    fn flat_content_in_dotenv_keeps_its_types(content in flat()) {
        let documents = [content];
        match sealed_and_opened(Format::Dotenv, &documents) {
            Ok(opened) => prop_assert_eq!(opened, listed(&documents)),
            Err(error) => prop_assert!(!is_defect(&error), "{error}"),
        }
    }

    #[test]
    fn sections_in_ini_keep_their_types(content in map(flat())) {
        let documents = [content];
        match sealed_and_opened(Format::Ini, &documents) {
            Ok(opened) => prop_assert_eq!(opened, listed(&documents)),
            Err(error) => prop_assert!(!is_defect(&error), "{error}"),
        }
    }

    #[test]
    fn ordinary_content_fits_everywhere(
        entries in collection::btree_map("[a-z]{1,5}", "[a-z ]{1,9}", 1..5),
        number in any::<i64>(),
    ) {
        let text = |text: String| Content::Scalar(Value::Str(Plain::owned(text)));
        let entry = |key: String, content| Part::Item(Entry { key: key.into(), content });
        let mut parts: Vec<_> =
            entries.into_iter().map(|(key, value)| entry(key, text(value))).collect();
        parts.push(entry("NUMBER".to_owned(), Content::Scalar(Value::Int(number))));
        let flat = [Content::Map(parts)];
        let [content] = flat.clone();
        let sections = [Content::Map(vec![entry("s".to_owned(), content)])];
        let write = |format, documents: &[Content<'_>]| write(OutputFormat::File(format), documents);
        for format in [Format::Yaml, Format::Json, Format::Dotenv, Format::Toml] {
            prop_assert!(write(format, &flat).is_ok(), "{format:?}");
        }
        prop_assert!(write(Format::Ini, &sections).is_ok());
        prop_assert!(super::write(OutputFormat::Shell, &flat).is_ok());
    }
}

#[test]
fn what_stands_twice_or_belongs_to_the_metadata_is_refused() {
    let entry = |key: &'static str| {
        let content = Content::Scalar(Value::Int(1));
        Part::Item(Entry {
            key: key.into(),
            content,
        })
    };
    let path = |format, entries| {
        let error = write(format, &[Content::Map(entries)]).unwrap_err();
        assert!(!is_defect(&error), "{error}");
        error.path
    };
    let (json, dotenv) = (
        OutputFormat::File(Format::Json),
        OutputFormat::File(Format::Dotenv),
    );
    for format in [json, dotenv, OutputFormat::Shell] {
        assert_eq!(path(format, vec![entry("a"), entry("b"), entry("a")]), "a");
    }
    assert_eq!(path(json, vec![entry("sops")]), "sops");
    assert_eq!(path(dotenv, vec![entry("sops_mac")]), "sops_mac");
    assert!(write(dotenv, &[Content::Map(vec![entry("sops")])]).is_ok());
}

#[test]
fn the_comments_of_ini_stand_before_what_they_are_about() {
    let source = "; of a\na = 1 ; beside a\n; one\n; two\n\n; three\nb = 2\n; of s\n[s] ; header\n; of c\nc = 3\n; last\n";
    let document = Document::parse(Format::Ini, source).unwrap();
    let contents = document.contents().unwrap();
    let text = write(OutputFormat::File(Format::Ini), &contents).unwrap();
    let expected = "; of a\n; beside a\na = 1\n; one\n; two\n; three\nb = 2\n\n[s]\n; of s\n; header\n; of c\nc = 3\n; last\n";
    assert_eq!(std::str::from_utf8(&text).unwrap(), expected);
    let empty = Document::parse(Format::Ini, "[s]\n").unwrap();
    assert_eq!(listed(&empty.contents().unwrap()), [" map", "\"s\" map"]);
}

#[test]
fn bytes_are_a_text_under_the_key_data() {
    for (bytes, kind) in [(&b"text\n"[..], "Str(…)"), (&b"\xFF"[..], "Bytes(…)")] {
        let content = of_bytes(Zeroizing::new(bytes.to_vec()));
        let binary = OutputFormat::File(Format::Binary);
        assert!(format!("{content:?}").contains(kind));
        assert_eq!(**write(binary, &[content]).unwrap(), *bytes);
    }
}

#[test]
fn nesting_beyond_all_reason_is_an_error() {
    let deep = |levels: usize| format!("{{\"a\":{}1{}}}", "[".repeat(levels), "]".repeat(levels));
    let contents = |text: &str| {
        let document = Document::parse(Format::Json, text).unwrap();
        document.contents().map(|contents| {
            let json = OutputFormat::File(Format::Json);
            assert!(write(json, &contents).is_ok());
        })
    };
    assert!(contents(&deep(254)).is_ok());
    let error = contents(&deep(2_000)).unwrap_err();
    assert_eq!(error.message, "the nesting is deeper than 256 levels");
}

#[test]
fn aliases_are_followed_but_not_without_end() {
    let contents = |text: &str| {
        let document = Document::parse(Format::Yaml, text).unwrap();
        document.contents().map(|contents| listed(&contents))
    };
    let lines = contents("a: &x {k: 1}\nb: *x\nc: {<<: *x}\n").unwrap();
    let expected = [
        " map",
        "\"a\" map",
        "\"a\"\"k\" int \"1\"",
        "\"b\" map",
        "\"b\"\"k\" int \"1\"",
        "\"c\" map",
        "\"c\"\"<<\" map",
        "\"c\"\"<<\"\"k\" int \"1\"",
    ];
    assert_eq!(lines, expected);
    let mut bomb = "a0: &a0 [x]\n".to_owned();
    for level in 1..30 {
        let below = format!("*a{}", level - 1);
        bomb.push_str(&format!("a{level}: &a{level} [{below}, {below}]\n"));
    }
    let error = contents(&bomb).unwrap_err();
    assert!(error.message.contains("beyond reason"), "{}", error.message);
}
