//! TOML, rule by rule.

use zeroize::Zeroizing;

use super::{
    attach, detach, doubtful_comments, emit_metadata, key, meaning, opened, plaintext, scan,
};
use super::{revise, value, write_token, write_value};
use crate::document::Document;
use crate::edit::splice;
use crate::format::revise::Revision;
use crate::format::testing::{TOKEN, check_nodes, round_trip};
use crate::format::{Format, MAX_DEPTH};
use crate::node::{Form, Kind, Node};
use crate::secret::Plain;
use crate::span::Position;
use crate::tree::Tree;
use crate::value::{Time, Type, Value};

/// The table as lines: what is in a container is indented, keys are decoded, values and comments as they are written.
fn outline(source: &str) -> Vec<String> {
    let nodes = scan(source).unwrap();
    check_nodes(source, &nodes);
    let depth = |node: &Node| {
        std::iter::successors(node.parent, |&id| nodes[id].parent)
            .count()
            .saturating_sub(1)
    };
    let line = |node: &Node| {
        let name = node
            .key
            .map(|_| format!("{} ", key(source, node)))
            .unwrap_or_default();
        let what = match node.kind {
            Kind::Mapping => "{}",
            Kind::Sequence => "[]",
            _ => node.span.of(source),
        };
        format!("{}{name}{what}", "  ".repeat(depth(node)))
    };
    nodes.iter().skip(1).map(line).collect()
}

/// Line, column and message of the error.
fn refused(source: &str) -> (usize, usize, String) {
    let error = scan(source).unwrap_err();
    let Position { line, column } = Position::of(source, error.span.start());
    (line, column, error.message)
}

#[test]
fn entries_stand_in_the_order_in_which_they_are_mentioned() {
    let source = "\
t = 1
[a]
x.y = 'v'
[b]
[a.c.d]
'k k' = [1, {\"\\u00e9\" = true}, []]
[[a.l]]
n = 1
[[a.l]]
[a.l.m]
o = 2
[a.c]
p = 3
";
    assert_eq!(
        outline(source),
        [
            "t 1",
            "a {}",
            "  x {}",
            "    y 'v'",
            "  c {}",
            "    d {}",
            "      k k []",
            "        1",
            "        {}",
            "          é true",
            "        []",
            "    p 3",
            "  l []",
            "    {}",
            "      n 1",
            "    {}",
            "      m {}",
            "        o 2",
            "b {}",
        ]
    );
}

#[test]
fn a_table_spans_its_own_part_and_shows_its_header() {
    let source = "[a.b] # c\nx = 1\ny = [\n]\n[c]\n";
    let nodes = scan(source).unwrap();
    let place = |id: usize| (nodes[id].span.of(source), nodes[id].inner.of(source));
    assert_eq!(place(1), ("a", "a"), "it has no header");
    assert_eq!(nodes[2].kind, Kind::Comment);
    assert_eq!(place(3), ("[a.b] # c\nx = 1\ny = [\n]", "[a.b]"));
    assert_eq!(place(4), ("1", "1"));
    assert_eq!(place(6), ("[c]", "[c]"));
}

#[test]
fn the_quotes_of_a_value_are_outside_of_its_inner_span() {
    for (written, form, inner) in [
        ("\"a\"", Form::Double, "a"),
        ("''", Form::Single, ""),
        ("\"\"\"\na\"\"\"", Form::Double, "\na"),
        ("'''it's'''", Form::Single, "it's"),
        ("0xFF", Form::Plain, "0xFF"),
        ("1979-05-27 07:32:00", Form::Plain, "1979-05-27 07:32:00"),
    ] {
        let source = format!("a = {written} # c");
        let nodes = scan(&source).unwrap();
        let node = nodes.iter().find(|node| node.kind == Kind::Scalar).unwrap();
        assert_eq!(
            (node.form, node.inner.of(&source)),
            (form, inner),
            "{written}"
        );
        assert_eq!(node.span.of(&source), written);
    }
}

#[test]
fn comments_stand_before_what_they_are_about() {
    let source = "\
# of a
a = 1 # of a, too

# of b
[b] # of b, too
c.d = [ # of 1
  1, 2, # of 2
  [3], # of [3]
  # last
] # of d
# of the item
[[e]]
# the end
";
    assert_eq!(
        outline(source),
        [
            "# of a",
            "# of a, too",
            "a 1",
            "# of b",
            "# of b, too",
            "b {}",
            "  c {}",
            "    # of d",
            "    d []",
            "      # of 1",
            "      1",
            "      # of 2",
            "      2",
            "      # of [3]",
            "      []",
            "        3",
            "      # last",
            "e []",
            "  # of the item",
            "  {}",
            "    # the end",
        ]
    );
}

#[test]
fn comments_at_the_end_stay_there_when_the_metadata_follows() {
    let before = outline("[a]\nb = 1\n# end\n");
    let after = outline("[a]\nb = 1\n# end\n\n[sops]\nmac = ''\n");
    assert_eq!(after[..3], before);
}

#[test]
fn a_comment_at_a_table_that_was_mentioned_before_is_doubtful() {
    for (source, doubtful) in [
        ("# x\n[a]\n", 0),
        ("# x\n[a] # y\nb = 1 # z\n", 0),
        ("[a.b]\n# x\n[a]\nc = 1\n", 1),
        ("[a.b]\n[c]\n[a] # x\n", 1),
        ("[a.b]\n# x\n[a] # y\n[d]\n", 2),
        ("[[a]]\n# x\n\n# y\n[[a]] # z\n", 0),
        ("l = [ # x\n  1, # y\n  # z\n]\n# end\n", 0),
        ("a.b = 1 # x\na.c = 2 # y\n", 0),
    ] {
        let nodes = scan(source).unwrap();
        assert_eq!(
            doubtful_comments(source, &nodes).len(),
            doubtful,
            "{source}"
        );
    }
}

#[test]
fn what_is_defined_twice_is_refused_at_its_place() {
    let twice = |key: &str, one: usize, other: usize| {
        format!("the key `{key}` stands twice in its table, on lines {one} and {other}")
    };
    let closed =
        |key: &str, line: usize| format!("nothing can be added here to `{key}` of line {line}");
    for (source, expected) in [
        ("a = 1\na = 2\n", (2, 1, twice("a", 1, 2))),
        ("a = 1\n\"a\" = 2\n", (2, 1, twice("a", 1, 2))),
        ("[a]\n[a]\n", (2, 2, twice("a", 1, 2))),
        ("[a]\nb = 1\n[a.b]\n", (3, 4, twice("b", 2, 3))),
        ("a.b = 1\n[a]\n", (2, 2, twice("a", 1, 2))),
        ("[[a]]\n[a]\n", (2, 2, twice("a", 1, 2))),
        ("[a]\n[[a]]\n", (2, 3, twice("a", 1, 2))),
        ("a = []\n[[a]]\n", (2, 3, twice("a", 1, 2))),
        ("a = {}\n[a.b]\n", (2, 2, closed("a", 1))),
        ("a = {}\na.b = 1\n", (2, 1, closed("a", 1))),
        ("[a.b]\n[a]\nb.c = 1\n", (3, 1, closed("b", 1))),
        ("[a]\nb.c = 1\n[x]\n[a.b]\n", (4, 4, twice("b", 2, 4))),
        ("[[a.b]]\n[a]\nb.c = 1\n", (3, 1, closed("b", 1))),
        ("a = {b = {}, b.c = 1}\n", (1, 14, closed("b", 1))),
        (
            "a = {b = 1, b = 2}\n",
            (1, 13, "the key `b` stands twice on line 1".to_owned()),
        ),
    ] {
        assert_eq!(refused(source), expected, "{source}");
    }
    for source in [
        "[a.b]\n[a]\nc = 1\n",
        "[a]\nb.c = 1\n[a.b.d]\n",
        "[a.b.c]\n[a]\nb.d = 1\n",
        "a = {b.c = 1, b.d = 2}\n",
        "[[a]]\n[a.b]\n[[a]]\n[a.b]\n",
    ] {
        assert!(scan(source).is_ok(), "{source}");
    }
}

#[test]
fn what_toml_1_1_brought_is_refused() {
    for (source, line, column, message) in [
        (
            "a = {b = 1,}\n",
            1,
            11,
            "a comma behind the last value in an inline table",
        ),
        (
            "a = {b = 1,\nc = 2}\n",
            1,
            12,
            "a line break in an inline table",
        ),
        ("a = \"x\\e\"\n", 1, 7, "TOML 1.0 has no escape `\\e`"),
        ("\"\\x41\" = 1\n", 1, 2, "TOML 1.0 has no escape `\\x`"),
        (
            "a = 07:32\n",
            1,
            5,
            "this is not a date or time of TOML 1.0",
        ),
    ] {
        assert_eq!(
            refused(source),
            (line, column, message.to_owned()),
            "{source}"
        );
    }
    assert!(scan("a = {b = [\n1,\n]}\nc = \"\\\\e\"\n").is_ok());
}

#[test]
fn what_is_no_toml_is_refused_where_it_stands() {
    for (source, line, column, message) in [
        ("a = 1\nb\n", 2, 2, "key with no value, expected `=`"),
        (
            "a = 1979-02-30\n",
            1,
            5,
            "this is not a date or time of TOML 1.0",
        ),
        (
            "a = 9223372036854775808\n",
            1,
            5,
            "this integer does not fit in 64 bits",
        ),
        (
            "a = 1e400\n",
            1,
            5,
            "this number is beyond the range of a double",
        ),
        (
            "a = 1\n<<<<<<< ours\nb = 2\n",
            2,
            1,
            "unresolved merge conflict",
        ),
        ("a = 1\n=======\n", 2, 1, "unresolved merge conflict"),
    ] {
        assert_eq!(
            refused(source),
            (line, column, message.to_owned()),
            "{source}"
        );
    }
}

#[test]
fn nesting_has_an_end() {
    let arrays = |depth: usize| format!("a = {}{}\n", "[".repeat(depth), "]".repeat(depth));
    assert!(scan(&arrays(100)).is_ok());
    assert!(scan(&arrays(200)).is_err());
    assert!(scan(&arrays(100_000)).is_err());
    let header = |depth: usize| format!("[a{}]\n", ".a".repeat(depth));
    assert!(scan(&header(MAX_DEPTH - 10)).is_ok());
    assert!(scan(&header(MAX_DEPTH)).is_err());
}

/// The value of `a` that is written like this.
fn value_of(written: &str) -> Value<'static> {
    let source = format!("a = {written}\n");
    let nodes = scan(&source).unwrap();
    value(&source, &nodes[1]).unwrap().into_owned()
}

#[test]
fn a_value_means_what_its_spelling_says() {
    let text = |text: &str| Value::Str(Plain::owned(text.to_owned()));
    for (written, expected) in [
        ("0xFF", Value::Int(255)),
        ("-1_000", Value::Int(-1000)),
        ("0b11", Value::Int(3)),
        ("1e3", Value::Float(1000.0)),
        ("-inf", Value::Float(f64::NEG_INFINITY)),
        ("true", Value::Bool(true)),
        (
            "1979-05-27 07:32:00-07:00",
            Value::Time(Time::parse("1979-05-27T07:32:00-07:00").unwrap()),
        ),
        (
            "1979-05-27t07:32:00z",
            Value::Time(Time::parse("1979-05-27T07:32:00Z").unwrap()),
        ),
        ("1979-05-27 07:32:00.5", text("1979-05-27T07:32:00.5")),
        ("1979-05-27", text("1979-05-27")),
        ("07:32:00", text("07:32:00")),
        ("'a\\b'", text("a\\b")),
        ("\"a\\n\\U0001F600\"", text("a\n😀")),
        ("\"\"\"\na\\\n   b\"\"\"", text("ab")),
        ("'''\r\na\r\nb'''", text("a\nb")),
        ("\"\"\"\r\na\\r\\n\"\"\"", text("a\r\n")),
    ] {
        assert!(value_of(written) == expected, "{written}");
    }
    assert!(matches!(value_of("nan"), Value::Float(number) if number.is_nan()));
}

#[test]
fn what_is_sealed_is_the_spelling_and_an_empty_text_is_empty_however_it_is_spelled() {
    let sealed = |written: &str| {
        let source = format!("a = {written}\n");
        let nodes = scan(&source).unwrap();
        plaintext(&source, &nodes[1]).unwrap().into_owned()
    };
    for (written, kind) in [
        ("0xFF", Type::Int),
        ("1e3", Type::Float),
        ("false", Type::Bool),
        ("07:32:00", Type::Time),
        ("'x'", Type::Str),
        ("\"\"\"\r\nx\"\"\"", Type::Str),
    ] {
        let expected = Value::Lexeme(kind, written.into());
        assert!(sealed(written) == expected, "{written}");
        assert_eq!(expected.token_type(), Some(kind));
        assert_eq!(&*expected.canonical(), written.as_bytes());
        assert!(meaning(expected) == value_of(written), "{written}");
    }
    for written in [
        "''",
        "\"\"",
        "''''''",
        "\"\"\"\n\"\"\"",
        "\"\"\"\\\n  \"\"\"",
    ] {
        assert!(sealed(written) == Value::Str("".into()), "{written}");
    }
}

#[test]
fn only_one_scalar_of_its_type_comes_out_of_a_token() {
    let open = |kind, text: &str| opened(kind, Zeroizing::new(text.as_bytes().to_vec()));
    assert!(open(Type::Int, "0xFF").is_ok());
    assert!(open(Type::Str, "'''\na\n'''").is_ok());
    for (kind, text) in [
        (Type::Int, "\"x\""),
        (Type::Str, "1"),
        (Type::Str, "x"),
        (Type::Int, ""),
        (Type::Int, " 1"),
        (Type::Int, "1\n"),
        (Type::Int, "1\nb = 2"),
        (Type::Int, "1 # c"),
        (Type::Int, "1, 2"),
        (Type::Str, "'a' 'b'"),
        (Type::Str, "'a"),
        (Type::Str, "[]"),
        (Type::Str, "{}"),
        (Type::Str, "\"\\q\""),
        (Type::Int, "\u{feff}1"),
        (Type::Bytes, "1"),
        (Type::Time, "1979-02-30"),
    ] {
        assert!(open(kind, text).is_err(), "{text:?} as {kind:?}");
    }
    let bytes = Zeroizing::new(vec![b'\'', 0xff, b'\'']);
    assert!(opened(Type::Str, bytes).is_err());
}

/// `a` with this spelling, after `value` was written into it.
fn written(before: &str, value: &Value<'_>) -> Option<String> {
    let source = format!("a = {before}\n");
    let nodes = scan(&source).unwrap();
    let edit = write_value(&source, &nodes[1], value).ok()?;
    let text = splice(&source, &[edit]).unwrap();
    Some(text.strip_prefix("a = ")?.strip_suffix('\n')?.to_owned())
}

#[test]
fn a_value_is_written_in_the_quotes_that_are_there_if_they_can_hold_it() {
    let text = |text: &'static str| Value::Str(text.into());
    for (before, value, after) in [
        ("'x'", text("a\\b"), "'a\\b'"),
        ("'x'", text("it's"), "\"it's\""),
        ("\"x\"", text("a\"b\\"), "\"a\\\"b\\\\\""),
        ("1", text("a"), "\"a\""),
        ("\"x\"", text("a\nb\n"), "\"\"\"\na\nb\n\"\"\""),
        ("\"x\"", text("\u{1}"), "\"\\u0001\""),
        ("'x'", Value::Int(5), "5"),
        ("1", Value::Float(1.0), "1.0"),
        ("1", Value::Float(f64::INFINITY), "inf"),
        ("1", Value::Bool(false), "false"),
        (
            "1",
            Value::Time(Time::parse("1979-05-27T07:32:00Z").unwrap()),
            "1979-05-27T07:32:00Z",
        ),
        ("'x'", Value::Lexeme(Type::Int, "0xFF".into()), "0xFF"),
    ] {
        assert_eq!(written(before, &value).as_deref(), Some(after), "{before}");
    }
    assert_eq!(written("1", &Value::Null), None);
    assert_eq!(
        written("1", &Value::Bytes(Zeroizing::new(vec![0xff]))),
        None
    );
}

#[test]
fn a_comment_is_one_line() {
    let source = "# x\n";
    let nodes = scan(source).unwrap();
    let write = |text: &'static str| write_value(source, &nodes[1], &Value::Str(text.into()));
    assert_eq!(
        &*splice(source, &[write(" y\tz").unwrap()]).unwrap(),
        "# y\tz\n"
    );
    for text in ["a\nb = 1", "a\rb", "\u{7f}", "\0"] {
        assert!(write(text).is_err(), "{text:?}");
    }
}

fn metadata() -> Tree {
    let text = |text: &str| Tree::Str(text.to_owned());
    let entry = |key: &str, value: Tree| (key.to_owned(), value);
    let group = Tree::Map(vec![entry("age", Tree::List(Vec::new()))]);
    let context = Tree::Map(vec![entry("a.b", text("c"))]);
    Tree::Map(vec![
        entry(
            "age",
            Tree::List(vec![Tree::Map(vec![entry("enc", text("x\ny\n"))])]),
        ),
        entry(
            "kms",
            Tree::List(vec![Tree::Map(vec![
                entry("arn", text("'\"")),
                entry("context", context),
            ])]),
        ),
        entry("key_groups", Tree::List(vec![group])),
        entry("mac", text("ENC[…]")),
        entry("shamir_threshold", Tree::Int(2)),
        entry("mac_only_encrypted", Tree::Bool(true)),
    ])
}

const BLOCK: &str = "[sops]
mac = \"ENC[…]\"
shamir_threshold = 2
mac_only_encrypted = true

[[sops.age]]
enc = \"\"\"
x
y
\"\"\"

[[sops.kms]]
arn = \"\"\"'\"\"\"\"

[sops.kms.context]
\"a.b\" = \"c\"

[[sops.key_groups]]
age = []
";

#[test]
fn metadata_is_written_as_tables_and_read_back() {
    let written = emit_metadata(&metadata());
    assert_eq!(written, BLOCK);
    let document = Document::parse(Format::Toml, &written).unwrap();
    let Tree::Map(mut found) = document.tree(document.metadata()[0]) else {
        panic!("no tables");
    };
    let Tree::Map(mut expected) = metadata() else {
        panic!("no tables");
    };
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    expected.sort_by(|(one, _), (other, _)| one.cmp(other));
    assert_eq!(found, expected);
}

#[test]
fn attaching_and_detaching_leaves_every_byte() {
    for source in [
        "",
        "\n",
        "\r\n",
        "a = 1",
        "a = 1\n",
        "a = 1\n\n",
        "a = 1\r\n",
        "a = 1\r\nb = 2",
        "# c",
        "[a]\n# c\n",
        "a = '''\n\n'''",
        "\u{feff}a = 1\n",
        "[sop]\n\n",
    ] {
        let attached = splice(source, &attach(source, BLOCK)).unwrap();
        let nodes = scan(&attached).unwrap();
        let detached = detach(&attached, &nodes);
        let back = splice(&attached, &detached.edits).unwrap();
        assert_eq!(&*back, source, "{:?}", &*attached);
        if let Some(block) = detached.block {
            assert_eq!(block.of(&attached).trim_end(), BLOCK.trim_end());
        }
        assert_eq!(detached.block.is_none(), source.contains('\r'));
    }
}

#[test]
fn metadata_is_taken_out_however_it_is_written() {
    for (source, rest) in [
        (
            "a = 1\nsops.mac = 'x'\nsops.version = 'y'\nb = 2\n",
            "a = 1\nb = 2\n",
        ),
        ("sops = {mac = 'x'}\na = 1\n", "a = 1\n"),
        (
            "a = 1\n\n[sops]\nmac = 'x'\n\n[b]\nc = 1\n\n[[sops.age]]\nenc = ''\n",
            "a = 1\n\n[b]\nc = 1\n",
        ),
        ("a = 1\n\n[sops] # c\n# d\nmac = 'x'\n# e\n", "a = 1\n"),
    ] {
        let nodes = scan(source).unwrap();
        let detached = splice(source, &detach(source, &nodes).edits).unwrap();
        assert_eq!(&*detached, rest, "{source}");
    }
}

/// `source` with these changes to its metadata.
fn revised(source: &str, changes: &[(&str, Option<Tree>)]) -> Option<String> {
    let nodes = scan(source).unwrap();
    let document = Document::parse(Format::Toml, source).unwrap();
    let names = ["age", "mac", "note", "version"];
    let revision = Revision {
        changes: changes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
        order: names.map(str::to_owned).to_vec(),
    };
    let edits = revise(source, &nodes, document.metadata()[0], &revision)?;
    Some(splice(source, &edits).unwrap().to_string())
}

#[test]
fn fields_of_the_metadata_change_where_they_stand() {
    let text = |text: &str| Some(Tree::Str(text.to_owned()));
    let key = |enc: &str| Tree::Map(vec![("enc".to_owned(), Tree::Str(enc.to_owned()))]);
    let keys = |all: &[&str]| Some(Tree::List(all.iter().map(|enc| key(enc)).collect()));
    let body = "a = 1\n\n[sops] # ours\nmac='x'\nversion  = \"3\" # mine\n";
    let one = "\n[[sops.age]]\nenc = \"A\"\n";
    let two = "\n[[sops.age]]\nenc = \"A\"\n\n[[sops.age]]\nenc = \"B\"\n";
    let of = |tables: &str| format!("{body}{tables}");
    for (source, changes, expected) in [
        (of(one), ("mac", text("y")), of(one).replace("'x'", "\"y\"")),
        (of(one), ("age", keys(&["A", "B"])), of(two)),
        (of(two), ("age", keys(&["A"])), of(one)),
        (of(one), ("age", None), of("")),
        (of(""), ("age", keys(&["A"])), of(one)),
        (
            of(one),
            ("note", text("z")),
            of(one).replace("'x'\n", "'x'\nnote = \"z\"\n"),
        ),
        (
            of(one),
            ("version", None),
            of(one).replace("version  = \"3\" # mine\n", ""),
        ),
        (of(one), ("none", None), of(one)),
    ] {
        assert_eq!(
            revised(&source, std::slice::from_ref(&changes)),
            Some(expected.clone())
        );
        let crlf = |text: &str| text.replace('\n', "\r\n");
        assert_eq!(
            revised(&crlf(&source), std::slice::from_ref(&changes)),
            Some(crlf(&expected))
        );
        let ended = |text: &str| text.trim_end().to_owned();
        assert_eq!(revised(&ended(&source), &[changes]), Some(ended(&expected)));
    }
    for source in [
        "sops.mac = 'x'\n",
        "sops = {mac = 'x'}\n",
        "[sops]\nmac = 'x'\n[b]\n[[sops.age]]\n",
    ] {
        assert_eq!(revised(source, &[("mac", text("y"))]), None, "{source}");
    }
    assert_eq!(revised(&of(one), &[("age", text("x"))]), None);
}

#[test]
fn sealing_everything_and_opening_it_changes_nothing() {
    for source in [
        "a = 1\nb = 'x' # c\n\n[t]\n# d\nc = [1, \"two\", 3.0]\n",
        "a = {b = 1, c = {d = 'x'}}\r\n[[l]]\r\nm = '''\r\nx'''\r\n",
        "t = 1979-05-27 07:32:00\nu=\"\"\nv = [\n  1, # one\n  # two\n  2,\n]\n",
    ] {
        assert_eq!(round_trip(Format::Toml, source, BLOCK), source);
    }
}

#[test]
fn a_token_is_text_in_quotes() {
    let source = "# c\na = 0x10\n";
    let nodes = scan(source).unwrap();
    let edits = [1, 2].map(|id: usize| write_token(&nodes[id], TOKEN.to_owned()));
    let sealed = splice(source, &edits).unwrap();
    assert_eq!(*sealed, format!("#{TOKEN}\na = \"{TOKEN}\"\n"));
}
