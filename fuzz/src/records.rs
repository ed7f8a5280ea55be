//! What holds for everything that is read besides documents: tokens, metadata, configs, patterns, identities.

use sops_rs::cipher::{Cipher, Token};
use sops_rs::config::{Config, Strictness};
use sops_rs::document::Document;
use sops_rs::format::Format;
use sops_rs::keys::age::{Identities, check_recipient};
use sops_rs::metadata::{Metadata, flat};
use sops_rs::recipient::Recipient;
use sops_rs::secret::DataKey;
use sops_rs::selection::Pattern;
use sops_rs::tree::Tree;
use sops_rs::value::{Type, Value};
use zeroize::Zeroizing;

/// A text is a token or none, and none opens that was not sealed with the key. Bytes of a type are read as they are written.
pub fn token(text: &str) {
    let key = DataKey::new(vec![9; 32]);
    let cipher = Cipher::new(&key).expect("32 bytes");
    if let Some(token) = Token::parse(text) {
        assert!(Token::starts(text));
        let opened = cipher.open(&token, "a:");
        assert!(opened.is_err(), "a text that nobody sealed was opened");
    }
    let sealed = cipher.seal(text.as_bytes(), Type::Str, text, &[7; 32]);
    if text.is_empty() {
        return assert_eq!(sealed, "");
    }
    let token = Token::parse(&sealed).expect("a token");
    assert_eq!(token.kind(), Some(Type::Str));
    assert!(token.has_standard_iv() && !sealed.contains(['\n', '"', '\'', '#']));
    assert_eq!(
        *cipher.open(&token, text).expect("it opens"),
        text.as_bytes()
    );
    assert!(cipher.open(&token, &format!("{text}:")).is_err());
    for kind in [
        Type::Str,
        Type::Int,
        Type::Float,
        Type::Bool,
        Type::Time,
        Type::Bytes,
    ] {
        value(kind, text.as_bytes());
    }
}

/// What is read of a type is written in a form that reads as the same.
pub fn value(kind: Type, bytes: &[u8]) {
    let Ok(value) = Value::parse(kind, Zeroizing::new(bytes.to_vec())) else {
        return;
    };
    let canonical = value.canonical().into_owned();
    let again =
        Value::parse(kind, Zeroizing::new(canonical.clone())).expect("the canonical form is read");
    assert_eq!(again.canonical(), canonical);
}

/// Reads an input of the fuzzer: one character for the format, and the text.
pub fn any_metadata(input: &str) {
    let mut characters = input.chars();
    let format = match characters.next() {
        Some('j') => Format::Json,
        Some('d') => Format::Dotenv,
        Some('i') => Format::Ini,
        Some('t') => Format::Toml,
        _ => Format::Yaml,
    };
    metadata(format, characters.as_str());
}

/// Metadata found in a document is written as a tree that reads as the same metadata, nested or flat.
pub fn metadata(format: Format, text: &str) {
    let Ok(document) = Document::parse(format, text) else {
        return;
    };
    let Ok(Some(found)) = Metadata::of(&document) else {
        return;
    };
    let _selection = found.selection();
    let _strict = found.strict_selection();
    let tree = found.tree();
    let again = Metadata::read(&tree).expect("what is written can be read");
    assert!(same(&again, &found), "{again:?}\n{found:?}");
    assert!(same_tree(&again.tree(), &tree), "{tree:?}");
    flattened(&tree);
}

/// Equal, with NaN as equal to itself, and what is unknown in any order: it is written sorted.
fn same(one: &Metadata, other: &Metadata) -> bool {
    let sorted = |metadata: &Metadata| {
        let mut metadata = metadata.clone();
        for group in &mut metadata.groups {
            for key in group.iter_mut() {
                key.unknown.sort_by_key(|entry| format!("{entry:?}"));
            }
            group.sort_by_key(|key| format!("{key:?}"));
        }
        metadata.unknown.sort_by_key(|entry| format!("{entry:?}"));
        format!("{metadata:?}")
    };
    sorted(one) == sorted(other)
}

fn same_tree(one: &Tree, other: &Tree) -> bool {
    format!("{one:?}") == format!("{other:?}")
}

/// Flat names lead back to the same tree, as far as they can: all values are texts, empty containers are gone, mappings are
/// sorted. A second trip changes nothing more.
fn flattened(tree: &Tree) {
    if !is_plain(tree) {
        return;
    }
    let mut pairs = flat::flatten(tree);
    let borrowed = pairs
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()));
    let Ok(again) = flat::unflatten(borrowed) else {
        panic!("flat names do not fit together: {pairs:?}");
    };
    let mut second = flat::flatten(&again);
    pairs.sort();
    second.sort();
    assert_eq!(pairs, second);
    for (_, text) in &pairs {
        if !text.contains(r"\n") {
            assert_eq!(flat::from_line(&flat::to_line(text)), *text);
        }
    }
}

/// Whether the keys of a tree can be told from the separators of flat names, are there once, and no list has holes.
fn is_plain(tree: &Tree) -> bool {
    match tree {
        Tree::Map(entries) => entries.iter().enumerate().all(|(index, (key, value))| {
            !key.contains("__")
                && !key.ends_with('_')
                && !entries.iter().take(index).any(|(other, _)| other == key)
                && is_plain(value)
        }),
        // An empty item leaves no trace, and so a hole.
        Tree::List(items) => items.iter().all(|item| {
            is_plain(item)
                && *item != Tree::List(Vec::new())
                && *item != Tree::Map(Vec::new())
                && leaves_a_trace(item)
        }),
        _ => true,
    }
}

fn leaves_a_trace(tree: &Tree) -> bool {
    match tree {
        Tree::Map(entries) => entries.iter().any(|(_, value)| leaves_a_trace(value)),
        Tree::List(items) => items.iter().any(leaves_a_trace),
        _ => true,
    }
}

/// What the strict reader takes the lenient one takes too, and both understand the same. Rules answer for every path.
pub fn config(text: &str) {
    let lenient = Config::parse(text, Strictness::Lenient);
    if let Ok((strict, _)) = Config::parse(text, Strictness::Strict) {
        let (lenient, _) = lenient
            .as_ref()
            .expect("what is valid strictly is valid leniently");
        assert_eq!(*lenient, strict);
    }
    let Ok((config, warnings)) = lenient else {
        return;
    };
    for warning in &warnings {
        assert!(!format!("{warning:?}").is_empty());
    }
    let _stores = config.stores();
    for path in [
        "",
        "secrets.yaml",
        "/etc/app/prod/secrets.enc.json",
        "ü/ \n.env",
    ] {
        if let Ok(matched) = config.rule_for(path) {
            assert!(config.has_creation_rules());
            assert!(matched.rule >= 1);
            assert!(!matched.selection.describe().is_empty());
        }
        if let Ok(publication) = config.destination_for(path) {
            assert!(publication.rule >= 1);
        }
    }
}

/// Reads an input of the fuzzer: a pattern and, behind the first line break, what it is matched against.
pub fn any_pattern(input: &str) {
    let (expression, subject) = input.split_once('\n').unwrap_or((input, "password"));
    pattern(expression, subject);
}

/// A pattern of Go's dialect is compiled or refused: the translation never makes something that the engine refuses.
pub fn pattern(pattern: &str, text: &str) {
    let strict = Pattern::strict(pattern);
    let (lenient, warning) = Pattern::lenient(pattern);
    assert_eq!(lenient.source(), pattern);
    match strict {
        Ok(strict) => {
            assert_eq!(warning, None);
            assert_eq!(strict.is_match(text), lenient.is_match(text));
        }
        Err(error) => {
            assert!(!lenient.is_match(text));
            assert_ne!(
                error.reason, "the pattern is not supported",
                "the translation of {pattern:?} is refused"
            );
            assert!(
                pattern.get(..error.offset).is_some(),
                "{error} points nowhere"
            );
            assert_eq!(warning, Some(error));
        }
    }
}

/// Identities and recipients are read or refused, and neither an error nor `Debug` repeats a secret.
pub fn identities(bytes: &[u8]) {
    let said = [
        Identities::parse("origin", bytes).map_or_else(
            |error| format!("{error} {error:?}"),
            |read| format!("{read:?}"),
        ),
        Identities::parse_ssh("origin", bytes).map_or_else(
            |error| format!("{error} {error:?}"),
            |read| format!("{read:?}"),
        ),
    ];
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    for word in text.split_whitespace().filter(|word| is_secret(word)) {
        assert!(
            said.iter().all(|said| !said.contains(word)),
            "an error repeats a secret"
        );
        if let Err(error) = check_recipient(word) {
            assert!(
                !format!("{error} {error:?}").contains(word),
                "an error repeats a secret"
            );
        }
    }
    for line in text.lines() {
        if let Err(error) = check_recipient(line) {
            assert!(!error.to_string().is_empty());
        }
        for read in [
            Recipient::parse_age,
            Recipient::parse_pgp,
            Recipient::parse_kms,
            Recipient::parse_gcp_kms,
            Recipient::parse_azure,
            Recipient::parse_vault,
            Recipient::parse_hckms,
        ] {
            if let Ok(recipient) = read(line) {
                assert!(!recipient.identity().contains('\n'));
            }
        }
    }
}

/// Long enough not to be a word of a message.
fn is_secret(word: &str) -> bool {
    word.starts_with("AGE-") && word.len() > 24
}
