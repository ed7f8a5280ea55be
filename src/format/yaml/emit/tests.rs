//! What new YAML looks like. That every reader finds the content in it is shown by `tests/it/yaml_emitter.rs`.

use super::emit;
use crate::content::{Comment, Content, Entry, MAX_DEPTH, Part};
use crate::format::testing::{comment, entry, text};
use crate::secret::Plain;
use crate::value::Value;

fn map<'a>(entries: impl IntoIterator<Item = Part<'a, Entry<'a>>>) -> Content<'a> {
    Content::Map(entries.into_iter().collect())
}

fn list<'a>(items: impl IntoIterator<Item = Content<'a>>) -> Content<'a> {
    Content::List(items.into_iter().map(Part::Item).collect())
}

fn beside<T>(text: &str) -> Part<'_, T> {
    Part::Comment(Comment {
        text: Plain::from(text),
        inline: true,
    })
}

fn written(content: Content<'_>) -> String {
    emit(&[content]).unwrap().to_string()
}

#[test]
fn blocks_are_indented_by_two_and_lists_below_their_key() {
    let deep = map([
        entry("name", text("web")),
        entry("ports", list([text("80"), text("tcp")])),
        entry("empty", Content::empty_map()),
        entry("none", list([])),
    ]);
    let document = map([
        entry(
            "users",
            list([deep, list([text("a"), text("b")]), text("c")]),
        ),
        entry(
            "nested",
            map([entry("on", map([entry("y", Content::Scalar(Value::Null))]))]),
        ),
    ]);
    let expected = [
        "users:\n",
        "  - name: web\n",
        "    ports:\n",
        "      - \"80\"\n",
        "      - tcp\n",
        "    empty: {}\n",
        "    none: []\n",
        "  - - a\n",
        "    - b\n",
        "  - c\n",
        "nested:\n",
        "  \"on\":\n",
        "    \"y\": null\n",
    ];
    assert_eq!(written(document), expected.concat());
}

#[test]
fn text_of_several_lines_is_a_literal_block_where_it_survives() {
    for (value, expected) in [
        ("a\nb\n", "k: |\n  a\n  b\n"),
        ("a\nb", "k: |-\n  a\n  b\n"),
        ("a\n\nb\n\n", "k: |+\n  a\n\n  b\n\n"),
        (" a\nb", "k: |2-\n   a\n  b\n"),
        ("\na\n", "k: |\n\n  a\n"),
        ("a\n\n", "k: |+\n  a\n\n"),
        ("\n", "k: \"\\n\"\n"),
        ("a \nb", "k: \"a \\nb\"\n"),
        ("a\r\nb", "k: \"a\\r\\nb\"\n"),
    ] {
        assert_eq!(written(map([entry("k", text(value))])), expected);
    }
    let nested = map([entry(
        "l",
        list([map([entry("k", text(" a\nb"))]), text("c\nd\n")]),
    )]);
    assert_eq!(
        written(nested),
        "l:\n  - k: |2-\n       a\n      b\n  - |\n    c\n    d\n"
    );
}

#[test]
fn quotes_stand_where_they_are_needed_and_escape_as_little_as_they_can() {
    for (value, expected) in [
        ("plain text", "plain text"),
        ("10.0.0.1", "10.0.0.1"),
        ("yes", "\"yes\""),
        ("{\"a\": 1}", "'{\"a\": 1}'"),
        ("C:\\x: y", "'C:\\x: y'"),
        ("it's: \"x\"", "\"it's: \\\"x\\\"\""),
        ("a\tb", "\"a\\tb\""),
        ("", "\"\""),
    ] {
        assert_eq!(
            written(map([entry("k", text(value))])),
            format!("k: {expected}\n")
        );
        assert_eq!(
            written(map([entry(value, text("v"))])),
            format!("{expected}: v\n")
        );
    }
}

#[test]
fn long_keys_get_a_question_mark() {
    let key = "k".repeat(1500);
    let document = map([entry(&key, map([entry("a", list([text("b")]))]))]);
    assert_eq!(written(document), format!("? {key}\n:\n  a:\n    - b\n"));
}

#[test]
fn comments_stand_above_beside_and_at_the_end() {
    let item = map([
        beside(" of a"),
        entry("a", text("1")),
        comment(" end of item"),
    ]);
    let above_item = map([comment(" of b"), entry("b", text("x"))]);
    let document = map([
        comment(" head"),
        entry("text", text("x\ny")),
        beside(" of items"),
        entry(
            "items",
            Content::List(vec![
                Part::Item(item),
                beside(" of 2"),
                Part::Item(above_item),
            ]),
        ),
        beside(" of lines"),
        entry("lines", text("x\ny\n")),
        beside("two\nlines"),
        entry("empty", map([comment(" inside")])),
        comment(" end"),
    ]);
    let expected = [
        "# head\n",
        "text: |-\n  x\n  y\n",
        "items: # of items\n",
        "  - a: \"1\" # of a\n",
        "    # end of item\n",
        "  - # of 2\n",
        "    # of b\n",
        "    b: x\n",
        "lines: | # of lines\n  x\n  y\n",
        "#two\n#lines\n# inside\n",
        "empty: {}\n",
        "# end\n",
    ];
    assert_eq!(written(document), expected.concat());
}

#[test]
fn documents_are_separated_and_an_empty_one_is_a_mapping() {
    let documents = [
        map([entry("a", text("x"))]),
        Content::empty_map(),
        map([comment(" only")]),
        list([text("x")]),
        text("a\nb"),
    ];
    assert_eq!(
        *emit(&documents).unwrap(),
        "a: x\n---\n{}\n---\n# only\n{}\n---\n- x\n---\n\"a\\nb\"\n"
    );
}

#[test]
fn what_yaml_cannot_hold_is_named() {
    let twice = map([entry(
        "a",
        map([entry("b", text("1")), entry("b", text("2"))]),
    )]);
    assert_eq!(
        emit(&[twice]).unwrap_err().to_string(),
        "`a.b`: the mapping has this key twice"
    );
    let control = map([entry("a", map([beside("x\u{7}"), entry("b", text("1"))]))]);
    assert_eq!(
        emit(&[control]).unwrap_err().to_string(),
        "`a.b`: a comment there has control characters, which YAML does not allow"
    );
    let mut deep = text("x");
    for _ in 0..MAX_DEPTH {
        deep = list([deep]);
    }
    assert!(
        emit(&[map([entry("a", deep)])])
            .unwrap_err()
            .to_string()
            .contains("nested")
    );
}
