//! JSON, rule by rule.

use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::{collection, prop_assert_eq};
use zeroize::Zeroizing;

use super::{
    attach, detach, emit_metadata, key, remove_item, scan, value, write_token, write_value,
};
use crate::document::Document;
use crate::edit::splice;
use crate::format::testing::{TOKEN, check_nodes, plain_texts, round_trip, text_fixtures};
use crate::format::{Format, MAX_DEPTH};
use crate::node::{Form, Kind};
use crate::tree::Tree;
use crate::value::{Time, Value};

/// The value of the member `a` of an object that has only this.
fn value_of(literal: &str) -> Result<Value<'static>, String> {
    let source = format!("{{\"a\":{literal}}}");
    let nodes = scan(&source).map_err(|error| error.message)?;
    Ok(value(&source, &nodes[1])
        .map_err(|error| error.message)?
        .into_owned())
}

fn error_of(source: &str) -> (usize, usize, String) {
    let error = scan(source).unwrap_err();
    (error.span.start(), error.span.end(), error.message)
}

fn written(value: &Value<'_>) -> String {
    let nodes = scan("{\"a\":0}").unwrap();
    write_value("{\"a\":0}", &nodes[1], value)
        .unwrap()
        .text
        .to_string()
}

fn metadata() -> Tree {
    let item = Tree::Map(vec![("enc".to_owned(), Tree::Str("a\nb".to_owned()))]);
    Tree::Map(vec![
        ("age".to_owned(), Tree::List(vec![item])),
        ("kms".to_owned(), Tree::List(Vec::new())),
        ("mac".to_owned(), Tree::Str("ENC[<&>]".to_owned())),
    ])
}

fn sealed(source: &str) -> String {
    let nodes = scan(source).unwrap();
    let block = emit_metadata(&metadata(), source, &nodes);
    splice(source, &attach(source, &nodes, &block))
        .unwrap()
        .to_string()
}

fn opened(source: &str) -> String {
    splice(source, &detach(source, &scan(source).unwrap()).edits)
        .unwrap()
        .to_string()
}

#[test]
fn nodes_stand_in_the_order_of_the_text() {
    let source = r#"{ "a": [1, {"b\n": "x"}], "a": null }"#;
    let nodes = scan(source).unwrap();
    check_nodes(source, &nodes);
    let kinds: Vec<Kind> = nodes.iter().map(|node| node.kind).collect();
    let (map, list, leaf) = (Kind::Mapping, Kind::Sequence, Kind::Scalar);
    assert_eq!(kinds, [map, list, leaf, map, leaf, leaf]);
    assert_eq!(nodes[4].key.unwrap().of(source), r#""b\n""#);
    assert_eq!(key(source, &nodes[4]).unwrap(), "b\n");
    assert_eq!(
        (nodes[4].span.of(source), nodes[4].inner.of(source)),
        (r#""x""#, "x")
    );
    assert_eq!((nodes[4].form, nodes[2].form), (Form::Double, Form::Plain));
    assert_eq!(key(source, &nodes[5]).unwrap(), "a");
    assert!(key(source, &nodes[2]).is_err());
}

#[test]
fn numbers_are_64_bit_integers_or_doubles_as_spec_7_3_says() {
    for (literal, expected) in [
        ("0", Value::Int(0)),
        ("-0", Value::Int(0)),
        ("9223372036854775807", Value::Int(i64::MAX)),
        ("-9223372036854775808", Value::Int(i64::MIN)),
        (
            "9223372036854775808",
            Value::Float(9_223_372_036_854_775_808.0),
        ),
        ("1.0", Value::Float(1.0)),
        ("1e3", Value::Float(1000.0)),
        ("1E+3", Value::Float(1000.0)),
        ("true", Value::Bool(true)),
        ("null", Value::Null),
    ] {
        assert!(value_of(literal).unwrap() == expected, "{literal}");
    }
    assert!(matches!(value_of("-0.0"), Ok(Value::Float(zero)) if zero.is_sign_negative()));
    assert_eq!(
        value_of("1e400").unwrap_err(),
        "expected a number in the range of a double"
    );
}

#[test]
fn strings_are_unescaped_and_lone_surrogates_replaced() {
    for (literal, expected) in [
        (r#""""#, ""),
        (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
        (r#""\u00e9 \ud83d\ude42""#, "é 🙂"),
        (r#""\ud83d""#, "\u{fffd}"),
        (r#""\ud83dx""#, "\u{fffd}x"),
        (r#""\ude42\ud83d\ude42""#, "\u{fffd}🙂"),
        (r#""\ud83d\ud83d\ude42""#, "\u{fffd}🙂"),
        (r#""\ud83d\u0041""#, "\u{fffd}A"),
    ] {
        assert!(
            value_of(literal).unwrap() == Value::Str(expected.into()),
            "{literal}"
        );
    }
}

#[test]
fn what_is_not_json_is_refused_where_it_stands() {
    for (source, start, end, message) in [
        (
            "",
            0,
            0,
            "expected an object at the top level, found the end of the file",
        ),
        (
            "[1]",
            0,
            1,
            "expected an object at the top level, found a list",
        ),
        (
            "\u{feff}{}",
            0,
            3,
            "expected an object, found a byte order mark",
        ),
        (
            "{} x",
            3,
            4,
            "expected nothing more after the object, found something else",
        ),
        (
            "{} {}",
            3,
            4,
            "expected nothing more after the object, found an object",
        ),
        (
            "{",
            1,
            1,
            "expected a key in `\"` or `}`, found the end of the file",
        ),
        (
            "{\"a\"",
            4,
            4,
            "expected `:` after the key, found the end of the file",
        ),
        (
            "{\"a\":",
            5,
            5,
            "expected a value, found the end of the file",
        ),
        (
            "{\"a\": [",
            7,
            7,
            "expected a value or `]`, found the end of the file",
        ),
        (
            "{\"a\": 1",
            7,
            7,
            "expected `,` or `}`, found the end of the file",
        ),
        (
            "{\"a\": 1,}",
            8,
            9,
            "expected a key in `\"` after the comma, found `}`",
        ),
        ("{\"a\": [1,]}", 9, 10, "expected a value, found `]`"),
        ("{\"a\": [1}", 8, 9, "expected `,` or `]`, found `}`"),
        ("{'a': 1}", 1, 2, "expected a key in `\"` or `}`, found `'`"),
        (
            "{// x\n}",
            1,
            2,
            "expected a key in `\"` or `}`, found a comment",
        ),
        ("{\"a\": é}", 6, 8, "expected a value, found something else"),
        (
            "{\"a\": +1}",
            6,
            7,
            "expected a value, found something else",
        ),
        (
            "{\"a\": 01}",
            7,
            8,
            "expected no digit after a leading zero, found a number",
        ),
        ("{\"a\": 1.}", 8, 9, "expected a digit, found `}`"),
        ("{\"a\": 1e}", 8, 9, "expected a digit, found `}`"),
        ("{\"a\": -}", 7, 8, "expected a digit, found `}`"),
        (
            "{\"a\": 0x1}",
            7,
            8,
            "expected the end of the number, found something else",
        ),
        ("{\"a\": nul}", 9, 10, "expected `null`, found `}`"),
        (
            "{\"a\": truex}",
            10,
            11,
            "expected the end of `true`, found something else",
        ),
        (
            "{\"a\": \"x",
            8,
            8,
            "expected `\"` at the end of the string, found the end of the file",
        ),
        (
            "{\"a\": \"x\ny\"}",
            8,
            9,
            "expected `\"` or an escape such as `\\n`, found a line break",
        ),
        (
            "{\"a\": \"\\x\"}",
            7,
            8,
            "expected one of `\"\\/bfnrtu` after the backslash",
        ),
        (
            "{\"a\": \"\\u12g4\"}",
            7,
            11,
            "expected four hex digits after `\\u`",
        ),
        (
            "{\n<<<<<<< ours\n\"a\": 1}",
            2,
            9,
            "unresolved merge conflict",
        ),
        ("{\"a\": 1\n=======\n}", 8, 15, "unresolved merge conflict"),
        (
            "{\"a\": 1,\n||||||| base\n}",
            9,
            16,
            "unresolved merge conflict",
        ),
        (
            "{\"a\": 1}\n>>>>>>> theirs\n",
            9,
            16,
            "unresolved merge conflict",
        ),
    ] {
        assert_eq!(
            error_of(source),
            (start, end, message.to_owned()),
            "{source}"
        );
    }
}

#[test]
fn nesting_is_read_to_the_limit_and_no_further() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(scan(&nested(MAX_DEPTH - 1)).unwrap().len(), MAX_DEPTH);
    assert_eq!(
        error_of(&nested(MAX_DEPTH)).2,
        "the nesting is deeper than 10000 levels"
    );
}

#[test]
fn values_are_written_with_the_fewest_escapes() {
    for (value, expected) in [
        (
            Value::Str("é<&>/\u{7f}\u{2028}".into()),
            "\"é<&>/\u{7f}\u{2028}\"",
        ),
        (
            Value::Str("\"\\\u{8}\u{c}\n\r\t\u{1}".into()),
            r#""\"\\\b\f\n\r\t\u0001""#,
        ),
        (Value::Int(-5), "-5"),
        (Value::Float(1.0), "1.0"),
        (Value::Float(-0.0), "-0.0"),
        (Value::Float(1e23), "1e23"),
        (Value::Float(0.1), "0.1"),
        (Value::Bool(false), "false"),
        (Value::Null, "null"),
    ] {
        assert_eq!(written(&value), expected);
    }
    let time = Time::parse("2001-12-14T21:59:43Z").unwrap();
    assert_eq!(written(&Value::Time(time)), "\"2001-12-14T21:59:43Z\"");
    let nodes = scan("{\"a\":0}").unwrap();
    for value in [
        Value::Float(f64::NAN),
        Value::Float(f64::INFINITY),
        Value::Bytes(Zeroizing::new(vec![0xff])),
    ] {
        assert!(write_value("{\"a\":0}", &nodes[1], &value).is_err());
    }
}

#[test]
fn tokens_are_quoted_whatever_stood_there() {
    let source = r#"{"a": 1, "b": "x"}"#;
    let nodes = scan(source).unwrap();
    let edits = [
        write_token(&nodes[1], TOKEN.to_owned()),
        write_token(&nodes[2], TOKEN.to_owned()),
    ];
    let expected = format!("{{\"a\": \"{TOKEN}\", \"b\": \"{TOKEN}\"}}");
    assert_eq!(*splice(source, &edits).unwrap(), expected);
}

#[test]
fn an_item_goes_with_one_comma() {
    for (source, item, expected) in [
        ("{\"l\": [1, 2, 3]}", 2, "{\"l\": [2, 3]}"),
        ("{\"l\": [1, 2, 3]}", 3, "{\"l\": [1, 3]}"),
        ("{\"l\": [1, 2, 3]}", 4, "{\"l\": [1, 2]}"),
        ("{\"l\": [ 1 ]}", 2, "{\"l\": []}"),
        ("{\"l\": [\n  1,\n  2\n]}", 3, "{\"l\": [\n  1\n]}"),
        ("{\"l\": [\n  1,\n  2\n]}", 2, "{\"l\": [\n  2\n]}"),
    ] {
        let nodes = scan(source).unwrap();
        let edit = remove_item(source, &nodes, &nodes[item]);
        assert_eq!(
            *splice(source, &[edit]).unwrap(),
            expected,
            "{source} {item}"
        );
    }
}

#[test]
fn neighbouring_comment_tokens_go_together() {
    const C: &str = "\"ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:comment]\"";
    for (items, expected) in [
        (vec!["1", C, C], "[1]"),
        (vec![C, C, "1"], "[1]"),
        (vec!["1", C, C, "2", C], "[1, 2]"),
        (vec![C, C], "[]"),
        (vec!["{\"x\": 1}", C], "[{\"x\": 1}]"),
    ] {
        let source = format!("{{\"l\": [{}]}}", items.join(", "));
        let nodes = scan(&source).unwrap();
        let edits: Vec<_> = nodes
            .iter()
            .filter(|node| node.span.of(&source) == C)
            .map(|node| remove_item(&source, &nodes, node))
            .collect();
        assert_eq!(
            *splice(&source, &edits).unwrap(),
            format!("{{\"l\": {expected}}}")
        );
    }
}

#[test]
fn metadata_takes_the_layout_of_the_file() {
    let two = "{\n  \"a\": 1\n}\n";
    assert_eq!(
        sealed(two),
        "{\n  \"a\": 1,\n  \"sops\": {\n    \"age\": [\n      {\n        \"enc\": \"a\\nb\"\n      }\n    ],\n    \
         \"kms\": [],\n    \"mac\": \"ENC[\\u003c\\u0026\\u003e]\"\n  }\n}\n"
    );
    let one = r#""sops": {"age": [{"enc": "a\nb"}], "kms": [], "mac": "ENC[\u003c\u0026\u003e]"}"#;
    assert_eq!(sealed("{\"a\": 1}"), format!("{{\"a\": 1, {one}}}"));
    assert_eq!(sealed("{\"a\":1}"), format!("{{\"a\":1,{one}}}"));
    assert_eq!(
        sealed("{\"a\": 1,\"b\": 2}\n"),
        format!("{{\"a\": 1,\"b\": 2,{one}}}\n")
    );
    assert_eq!(sealed("{}\n"), format!("{{{one}}}\n"));
    assert!(
        sealed("{\r\n\t\"a\": 1 \r\n}")
            .starts_with("{\r\n\t\"a\": 1,\r\n\t\"sops\": {\r\n\t\t\"age\"")
    );
    assert!(sealed("{\r\n\t\"a\": 1\r\n}").ends_with("]\"\r\n\t}\r\n}"));
}

#[test]
fn detach_is_the_inverse_of_attach() {
    for source in [
        "{}",
        "{\n}\n",
        "{ }",
        "{\"a\":1}",
        "{ \"a\": 1 }",
        "{\n  \"a\": 1 ,\n  \"b\": {}\n}",
        "{\r\n\t\"a\": 1\r\n}\r\n",
        "{\"a\":\n1}",
        "\n\n{\"a\": [\n], \"b\": 2}",
    ] {
        assert_eq!(opened(&sealed(source)), source);
    }
}

#[test]
fn metadata_is_taken_out_wherever_it_stands() {
    for (source, expected) in [
        ("{\"sops\": {}, \"a\": 1}", "{\"a\": 1}"),
        ("{\"a\": 1, \"sops\": {}, \"b\": 2}", "{\"a\": 1, \"b\": 2}"),
        ("{\n  \"sops\": {}\n}\n", "{}\n"),
        ("{\"a\": {\"sops\": 1}}", "{\"a\": {\"sops\": 1}}"),
    ] {
        assert_eq!(opened(source), expected);
    }
    let source = "{\"a\": 1, \"\\u0073ops\": {\"x\": 1}}";
    let block = detach(source, &scan(source).unwrap()).block.unwrap();
    assert_eq!(block.of(source), "\"\\u0073ops\": {\"x\": 1}");
    let crlf = "{\"a\": 1, \"sops\": {\r\n}}";
    assert_eq!(detach(crlf, &scan(crlf).unwrap()).block, None);
}

#[test]
fn metadata_is_spelled_as_sops_spells_it() {
    let mut files = text_fixtures("sealed", &["json"]);
    files.extend(text_fixtures("random", &["json"]));
    files.retain(|(name, _)| !name.contains(".plain.") && !name.contains(".opened."));
    assert!(files.len() > 12);
    for (name, source) in files {
        let document = Document::parse(Format::Json, &source).unwrap();
        let id = *document.metadata().first().unwrap();
        let emitted = emit_metadata(&document.tree(id), &source, document.nodes());
        let block = detach(&source, document.nodes()).block.unwrap();
        assert_eq!(emitted, block.of(&source), "{name}");
        assert!(emitted.contains("\"mac\": \"ENC["));
    }
}

/// The fixtures with the spellings that no token has room for replaced by those that are written.
fn respelled(source: &str) -> String {
    [
        ("1e3", "1000.0"),
        ("1E-7", "1e-7"),
        ("-0,", "0,"),
        ("-0}", "0}"),
        ("-0]", "0]"),
        ("\\u00e9", "é"),
        ("\\u00f1", "ñ"),
        ("\\u00fa", "ú"),
        ("\\ud83d\\ude42", "🙂"),
    ]
    .into_iter()
    .fold(source.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[test]
fn sealing_and_opening_gives_the_text_back() {
    let block = emit_metadata(&metadata(), "{}", &scan("{}").unwrap());
    for (name, source) in plain_texts("json") {
        let result = round_trip(Format::Json, &source, &block);
        assert_eq!(respelled(&result), respelled(&source), "{name}");
    }
}

fn blanks() -> impl Strategy<Value = String> {
    prop_oneof![Just(""), Just(" "), Just("\n  "), Just("\r\n\t")].prop_map(str::to_owned)
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        (-1e9..1e9).prop_map(|number: f64| format!("{number:?}")),
        any::<String>().prop_map(|text| super::quote(&text, super::Escapes::Needed)),
        prop_oneof![
            Just("true"),
            Just("false"),
            Just("null"),
            Just("[]"),
            Just("{}")
        ]
        .prop_map(str::to_owned),
    ]
}

fn joined(items: Vec<(String, String, String)>, open: char, close: char) -> String {
    let body: Vec<String> = items
        .into_iter()
        .map(|(before, item, behind)| format!("{before}{item}{behind}"))
        .collect();
    format!("{open}{}{close}", body.join(","))
}

fn tree() -> impl Strategy<Value = String> {
    scalar().prop_recursive(4, 32, 4, |inner| {
        let item = (blanks(), inner.clone(), blanks());
        let member = ("[a-z\"\\\\\u{e9}]{0,3}", blanks(), inner).prop_map(|(key, gap, value)| {
            format!(
                "{}:{gap}{value}",
                super::quote(&key, super::Escapes::Needed)
            )
        });
        prop_oneof![
            collection::vec(item, 0..4).prop_map(|items| joined(items, '[', ']')),
            collection::vec((blanks(), member, blanks()), 0..4)
                .prop_map(|members| joined(members, '{', '}')),
        ]
    })
}

fn document() -> impl Strategy<Value = String> {
    let member = tree().prop_map(|value| format!("\"k\":{value}"));
    collection::vec((blanks(), member, blanks()), 0..4)
        .prop_map(|members| joined(members, '{', '}'))
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(source in "[\\{\\}\\[\\],:\"\\\\ue0-9.+tn\n <é]{0,40}") {
        match scan(&source) {
            Ok(nodes) => check_nodes(&source, &nodes),
            Err(error) => {
                proptest::prop_assert!(source.get(error.span.start()..error.span.end()).is_some());
            }
        }
    }

    #[test]
    fn documents_come_back_byte_for_byte(source in document()) {
        let block = emit_metadata(&metadata(), &source, &scan(&source).unwrap());
        prop_assert_eq!(round_trip(Format::Json, &source, &block), source);
    }
}
