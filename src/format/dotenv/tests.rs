//! dotenv, rule by rule.

use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::{collection, option};
use zeroize::Zeroizing;

use super::{attach, detach, emit_metadata, key, scan, value, write_token, write_value};
use crate::edit::splice;
use crate::format::Format;
use crate::format::testing::{TOKEN, check_nodes, plain_texts, round_trip, text_fixtures};
use crate::node::Kind;
use crate::value::{Time, Value};

const BLOCK: &str = "sops_mac=ENC[x]\nsops_version=3.13.2\n";

fn pairs_of(source: &str) -> Vec<(String, String)> {
    let nodes = scan(source).unwrap();
    let text = |node| match value(source, node) {
        Value::Str(text) => text.expose().to_owned(),
        other => panic!("{other:?}"),
    };
    nodes
        .iter()
        .filter(|node| node.kind == Kind::Scalar)
        .map(|node| (key(source, node).into_owned(), text(node)))
        .collect()
}

fn opened(source: &str) -> String {
    splice(source, &detach(source, &scan(source).unwrap()).edits)
        .unwrap()
        .to_string()
}

fn sealed(source: &str) -> String {
    splice(source, &attach(source, BLOCK)).unwrap().to_string()
}

#[test]
fn nothing_is_interpreted_but_backslash_n() {
    for (line, key, value) in [
        ("A=b", "A", "b"),
        ("A==b=", "A", "=b="),
        (" A = b ", " A ", " b "),
        ("export A='b' # c", "export A", "'b' # c"),
        ("A=\"b\"\r", "A", "\"b\"\r"),
        ("=b", "", "b"),
        ("A=", "A", ""),
        (r"A=b\nc\\nd\t", "A", "b\nc\\\nd\\t"),
        ("\u{feff}A=b", "\u{feff}A", "b"),
        (" #A=b", " #A", "b"),
    ] {
        assert_eq!(
            pairs_of(&format!("{line}\n")),
            [(key.to_owned(), value.to_owned())]
        );
        assert_eq!(pairs_of(line), [(key.to_owned(), value.to_owned())]);
    }
    assert_eq!(pairs_of("A=1\n\nA=2\n").len(), 2);
}

#[test]
fn comments_are_taken_as_they_stand() {
    let source = "# a\\nb\r\n#\nA=1";
    let nodes = scan(source).unwrap();
    check_nodes(source, &nodes);
    assert_eq!(
        (nodes[1].kind, nodes[1].span.of(source)),
        (Kind::Comment, "# a\\nb\r")
    );
    assert!(value(source, &nodes[1]) == Value::Str(" a\\nb\r".into()));
    assert!(nodes[2].inner.is_empty());
}

#[test]
fn a_line_that_is_no_pair_is_named_by_its_number_only() {
    for source in ["A=1\nS3CR3T-CANARY\n", "A=1\n \n", "\n\t"] {
        let error = scan(source).unwrap_err();
        assert_eq!(error.message, "line 2 has no `=`");
        assert!(!error.hint.unwrap().contains("CANARY"));
    }
    for source in [
        "A=1\n<<<<<<< ours\n",
        "A=1\n=======\n",
        "A=1\n||||||| b=c\n",
        "A=1\n>>>>>>>",
    ] {
        let error = scan(source).unwrap_err();
        assert_eq!(
            (error.span.start(), error.message.as_str()),
            (4, "unresolved merge conflict")
        );
    }
    assert!(scan("A=1\n========b\n").is_ok());
}

#[test]
fn values_of_other_formats_are_written_as_spec_7_5_says() {
    let source = "A=old\n#old\n";
    let nodes = scan(source).unwrap();
    let write = |id: usize, value: Value<'_>| {
        write_value(source, &nodes[id], &value).map(|edit| edit.text.to_string())
    };
    for (value, expected) in [
        (Value::Str("a\nb\r\n".into()), "a\\nb\r\\n"),
        (Value::Int(-3), "-3"),
        (Value::Bool(true), "true"),
        (Value::Float(1.0), "1.0"),
        (Value::Float(100_000.0), "100000.0"),
        (Value::Float(1e10), "1E+10"),
        (Value::Float(1_234_567.25), "1.23456725E+06"),
        (Value::Float(1.5e-7), "1.5E-07"),
        (Value::Float(0.0001), "0.0001"),
        (Value::Float(f64::NEG_INFINITY), "-Inf"),
        (
            Value::Time(Time::parse("2001-12-14T21:59:43.5-05:00").unwrap()),
            "2001-12-14T21:59:43-05:00",
        ),
    ] {
        assert_eq!(write(1, value).unwrap(), expected);
    }
    assert!(write(1, Value::Null).is_err());
    assert!(write(1, Value::Bytes(Zeroizing::new(vec![0xff]))).is_err());
    assert_eq!(write(2, Value::Str(" a\\nb".into())).unwrap(), " a\\nb");
    assert!(write(2, Value::Str("a\nb".into())).is_err());
}

#[test]
fn tokens_replace_values_and_comment_texts() {
    let source = "# a\nB= c \n";
    let nodes = scan(source).unwrap();
    let edits: Vec<_> = nodes[1..]
        .iter()
        .map(|node| write_token(node, TOKEN.to_owned()))
        .collect();
    assert_eq!(
        *splice(source, &edits).unwrap(),
        format!("#{TOKEN}\nB={TOKEN}\n")
    );
}

#[test]
fn metadata_comes_last_and_leaves_no_trace() {
    assert_eq!(sealed("A=1\r\n"), format!("A=1\r\n{BLOCK}"));
    assert_eq!(sealed("A=1"), format!("A=1\n{}", BLOCK.trim_end()));
    for source in [
        "", "\n", "A=1", "A=1\n", "A=1\r\n", "A=1\r", "A=1\n\n", "sops=1\n",
    ] {
        assert_eq!(opened(&sealed(source)), source);
        let text = sealed(source);
        let block = detach(&text, &scan(&text).unwrap()).block.unwrap();
        let again = splice(source, &attach(source, block.of(&text))).unwrap();
        assert_eq!(*again, text);
    }
}

#[test]
fn metadata_is_taken_out_wherever_it_stands() {
    let source = "sops_a=1\nA=1\n\nsops_b=2\nsops_c=3\n#x\nsops_d=4";
    assert_eq!(opened(source), "A=1\n\n#x");
    assert_eq!(detach(source, &scan(source).unwrap()).block, None);
    let crlf = "A=1\r\nsops_a=1\r\n";
    assert_eq!(opened(crlf), "A=1\r\n");
    assert_eq!(detach(crlf, &scan(crlf).unwrap()).block, None);
}

#[test]
fn metadata_is_spelled_as_sops_spells_it() {
    let mut files = text_fixtures("sealed", &["env"]);
    files.extend(
        text_fixtures("random", &["env"])
            .into_iter()
            .filter(|(name, _)| name.contains("sealed")),
    );
    assert!(files.len() > 12);
    for (name, source) in files {
        let pairs: Vec<(String, String)> = pairs_of(&source)
            .into_iter()
            .filter_map(|(key, value)| Some((key.strip_prefix("sops_")?.to_owned(), value)))
            .collect();
        let block = detach(&source, &scan(&source).unwrap()).block.unwrap();
        assert_eq!(emit_metadata(&pairs), block.of(&source), "{name}");
    }
}

#[test]
fn sealing_and_opening_gives_the_text_back() {
    for (name, source) in plain_texts("env") {
        assert_eq!(round_trip(Format::Dotenv, &source, BLOCK), source, "{name}");
    }
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        "",
        "#[^\n]{0,9}",
        "[A-Zé ]{0,3}=[^\n]{0,9}",
        "[A-Z]{1,3}=[\\\\n\" \r]{0,6}"
    ]
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(source in "[A=#<\\\\n\r\n é]{0,40}") {
        match scan(&source) {
            Ok(nodes) => check_nodes(&source, &nodes),
            Err(error) => {
                prop_assert!(source.get(error.span.start()..error.span.end()).is_some());
            }
        }
    }

    #[test]
    fn documents_come_back_byte_for_byte(
        lines in collection::vec(line(), 0..9),
        end in option::of("\n"),
    ) {
        let source = lines.join("\n") + end.as_deref().unwrap_or_default();
        prop_assert_eq!(round_trip(Format::Dotenv, &source, BLOCK), source);
    }
}
