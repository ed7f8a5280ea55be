//! INI, rule by rule.

use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::{collection, option};
use zeroize::Zeroizing;

use super::{
    attach, detach, emit_metadata, header_comments, key, scan, value, write_token, write_value,
};
use crate::document::{Document, Step};
use crate::edit::splice;
use crate::format::Format;
use crate::format::testing::{TOKEN, check_nodes, plain_texts, round_trip, text_fixtures};
use crate::node::{Form, Kind, Node, ScanError};
use crate::value::Value;

const BLOCK: &str = "[sops]\nmac     = ENC[x]\nversion = 3.13.2\n";

fn text(source: &str, node: &Node) -> String {
    match value(source, node) {
        Value::Str(text) => text.expose().to_owned(),
        other => panic!("{other:?}"),
    }
}

/// The table as lines: `[section]`, `key=value`, `#comment` and, for one behind a value, `##comment`.
fn shape(source: &str) -> Vec<String> {
    let nodes = scan(source).unwrap();
    check_nodes(source, &nodes);
    nodes[1..]
        .iter()
        .map(|node| match node.kind {
            Kind::Mapping => format!("[{}]", key(source, node)),
            Kind::Comment if node.inline => format!("##{}", text(source, node)),
            Kind::Comment => format!("#{}", text(source, node)),
            _ => format!("{}={}", key(source, node), text(source, node)),
        })
        .collect()
}

/// The form and value of the key `a`, given what stands behind its `=`.
fn value_of(rest: &str) -> (Form, String) {
    let source = format!("a ={rest}");
    let nodes = scan(&source).unwrap();
    check_nodes(&source, &nodes);
    (nodes[2].form, text(&source, &nodes[2]))
}

fn error_of(source: &str) -> String {
    scan(source).unwrap_err().message
}

fn sealed(source: &str) -> String {
    splice(source, &attach(source, BLOCK)).unwrap().to_string()
}

fn opened(source: &str) -> String {
    splice(source, &detach(source, &scan(source).unwrap()).edits)
        .unwrap()
        .to_string()
}

#[test]
fn sections_follow_an_implicit_default() {
    assert_eq!(shape(""), ["[DEFAULT]"]);
    assert_eq!(
        shape("\u{feff}a=1\n[x]\nb : 2\n [DEFAULT] \nc=3\n[x]\nb=4"),
        [
            "[DEFAULT]",
            "a=1",
            "[x]",
            "b=2",
            "[DEFAULT]",
            "c=3",
            "[x]",
            "b=4"
        ]
    );
    assert_eq!(shape("[a]b] junk\n[ c ]"), ["[DEFAULT]", "[a]b]", "[ c ]"]);
}

#[test]
fn sections_are_the_first_part_of_every_path() {
    let source = "top = 1\n; about\n[s]\nk = 2\n\n[sops]\nmac = 3\n";
    let document = Document::parse(Format::Ini, source).unwrap();
    let mut paths = Vec::new();
    document
        .walk(|step| {
            match step {
                Step::Leaf { path, .. } => paths.push(path.additional_data().to_owned()),
                Step::Comment { path, .. } => paths.push(format!("#{}", path.additional_data())),
                Step::Enter { .. } | Step::Leave { .. } => {}
            }
            Ok::<(), ScanError>(())
        })
        .unwrap();
    assert_eq!(paths, ["DEFAULT:top:", "#s:", "s:k:"]);
    assert_eq!(document.metadata().len(), 1);
}

#[test]
fn keys_are_trimmed_and_may_be_quoted() {
    for (line, expected) in [
        ("  a b  = c", "a b=c"),
        ("a:b=c", "a=b=c"),
        ("\"a=b\" = c", "a=b=c"),
        ("`a:b` x : c", "a:b=c"),
        ("\"\"\"a\"b\"\"\" = c", "a\"b=c"),
        ("a\" = c", "a\"=c"),
        ("# = c", "# = c"),
    ] {
        assert_eq!(shape(line).last().unwrap().replace("#=", "# ="), expected);
    }
}

#[test]
fn values_are_read_as_the_library_reads_them() {
    for (rest, form, expected) in [
        ("", Form::Plain, ""),
        ("   \n", Form::Plain, ""),
        (" b c \r\n", Form::Plain, "b c"),
        (" 'b'", Form::Single, "b"),
        (" \" b \"", Form::Double, " b "),
        (" 'b'c'", Form::Plain, "'b'c'"),
        (" '", Form::Plain, "'"),
        (" ''", Form::Single, ""),
        (" `b ; c` d", Form::Backtick, "b ; c"),
        (" `a` `b`", Form::Backtick, "a` `b"),
        (" `b\nc`", Form::Backtick, "b\nc"),
        (" \"\"\"b\r\n c\"\"\"", Form::Triple, "b\r\n c"),
        (
            " \"\"\"b\nc\"\"\" \\\nd\"\"\"",
            Form::Triple,
            "b\nc\"\"\" \\\nd",
        ),
        (" \"\"\"\"\"\"", Form::Triple, ""),
        (" b\\\n  c \\\n d\ne=f", Form::Plain, "bc d"),
        (" b \\\n\nc=d", Form::Plain, "b "),
        (" b\\", Form::Plain, "b"),
        (" \\\n[c]", Form::Plain, "[c]"),
        (" b\\\n'c' # d", Form::Plain, "b'c' # d"),
        (" b\\n%(c)s", Form::Plain, "b\\n%(c)s"),
    ] {
        assert_eq!(value_of(rest), (form, expected.to_owned()), "{rest}");
    }
}

#[test]
fn a_mark_begins_a_comment_even_without_a_blank() {
    assert_eq!(shape("a = b#c\n"), ["[DEFAULT]", "a=b", "##c"]);
    assert_eq!(shape("a = 'b;c' # d"), ["[DEFAULT]", "a='b", "##c' # d"]);
    assert_eq!(shape("a = ; b"), ["[DEFAULT]", "a=", "##b"]);
    assert_eq!(shape("a = b\\ ; c"), ["[DEFAULT]", "a=b\\", "##c"]);
    assert_eq!(shape("a = 'b' # c"), ["[DEFAULT]", "a=b", "##c"]);
    assert_eq!(shape("a = `b\nc` # d"), ["[DEFAULT]", "a=b\nc", "##d"]);
    assert_eq!(shape("a = `b` # d"), ["[DEFAULT]", "a=b", "##d"]);
}

#[test]
fn comments_follow_their_key_and_open_their_section() {
    assert_eq!(
        shape("; one\n[s]\n# two\na = 1 ; three\n;four\nb = 2\n"),
        [
            "[DEFAULT]",
            "[s]",
            "#one",
            "a=1",
            "#two",
            "##three",
            "b=2",
            "#four"
        ]
    );
    assert_eq!(shape("a = 1\n; end\n"), ["[DEFAULT]", "a=1", "#end"]);
    assert_eq!(
        shape("[s]\na = 1\n; end\n\n[sops]\nmac = 1"),
        ["[DEFAULT]", "[s]", "a=1", "#end", "[sops]", "mac=1"]
    );
}

#[test]
fn adjacent_comment_lines_are_one_comment() {
    assert_eq!(shape(";;  a\r\n  # b\r\nk=1")[2], "#a\r\n  # b");
    assert_eq!(shape("; a\n;\n; b\nk=1")[2], "#a\n;\n; b");
    assert_eq!(shape("; a\n\n; b\nk=1")[2..], ["#a", "#b"]);
    assert_eq!(shape(";\n; b\nk=1")[2..], ["#", "#b"]);
    assert_eq!(shape("#; a\nk=1")[2], "#; a");
    let source = format!("; {TOKEN}\n; added\n; {TOKEN}\nk=1");
    assert_eq!(
        shape(&source)[2..],
        [format!("#{TOKEN}"), "#added".into(), format!("#{TOKEN}")]
    );
}

#[test]
fn a_comment_behind_a_header_is_no_place_for_a_token() {
    let source = "; above\n[a] ; behind\nb = c ; d\n[ e] x]g # f\n";
    assert_eq!(
        shape(source),
        [
            "[DEFAULT]",
            "[a]",
            "#above",
            "##behind",
            "b=c",
            "##d",
            "[ e] x]",
            "##f"
        ]
    );
    let nodes = scan(source).unwrap();
    let texts = |ids: Vec<usize>| {
        ids.into_iter()
            .map(|id| text(source, &nodes[id]))
            .collect::<Vec<_>>()
    };
    assert_eq!(texts(header_comments(&nodes)), ["behind", "f"]);
}

#[test]
fn a_comment_behind_the_last_line_of_a_value_is_one_for_a_token() {
    for source in [
        "[a]\nx = `a\n[b` ; c\n",
        "[a] b\nx = `a\n[b]` ; c\n",
        "x = \"\"\"a\n  [b]\"\"\" #c",
    ] {
        let nodes = scan(source).unwrap();
        assert_eq!(nodes.last().unwrap().kind, Kind::Comment);
        assert_eq!(header_comments(&nodes), [0; 0], "{source}");
    }
}

#[test]
fn what_sops_refuses_or_would_lose_is_refused() {
    for (source, message) in [
        ("[a", "this section header has no `]`"),
        ("[]", "this section has no name"),
        ("a=1\nb", "line 2 has neither `=` nor `:`"),
        ("= b", "this key is empty"),
        ("\"\" = b", "this key is empty"),
        ("\"a = b", "this key has no closing \""),
        ("a = `b\n", "this value has no closing `"),
        ("a = \"\"\"b\nc", "this value has no closing \"\"\""),
        ("a = \"\"\"", "this value has no closing \"\"\""),
        ("- = b", "a key named `-` would be lost by SOPS"),
        (
            "[s]\na=1\n\n'a'=1\n`a`: 2",
            "the key `a` stands twice in its section, on lines 2 and 5",
        ),
        ("[a]\n<<<<<<< ours\n", "unresolved merge conflict"),
        ("[a]\n=======\n", "unresolved merge conflict"),
        ("[a]\n>>>>>>> a=b\n", "unresolved merge conflict"),
    ] {
        assert_eq!(error_of(source), message, "{source}");
    }
    assert!(scan("a=1\n[s]\na=2\n[s]\na=3").is_ok());
}

#[test]
fn tokens_go_inside_the_quotes_that_are_there() {
    for (rest, expected) in [
        (" b # c", " T # c"),
        (" 'b'", " 'T'"),
        (" \"b\"\r\n", " \"T\"\r\n"),
        (" `b\nc` # d", " `T` # d"),
        (" \"\"\"b\"\"\"", " \"\"\"T\"\"\""),
        (" b\\\nc\n", " T\n"),
        (" b\\\n\nd=1", " T\n\nd=1"),
    ] {
        let source = format!("a ={rest}");
        let nodes = scan(&source).unwrap();
        let result = splice(&source, &[write_token(&nodes[2], TOKEN.to_owned())]).unwrap();
        assert_eq!(*result, format!("a ={}", expected.replace('T', TOKEN)));
        assert_eq!(shape(&result)[1], format!("a={TOKEN}"));
    }
}

#[test]
fn values_keep_their_quotes_or_get_the_nearest_that_can_hold_them() {
    for (rest, value, expected) in [
        (" b", "c", " c"),
        (" b", "", " "),
        (" b", " c", " \" c\""),
        (" b", "c;d", " `c;d`"),
        (" b", "c\nd", " `c\nd`"),
        (" b", "`c\nd", " \"\"\"`c\nd\"\"\""),
        (" b", "c\\", " \"c\\\""),
        (" b", "'c'", " \"'c'\""),
        (" b", "\"c\"", " `\"c\"`"),
        (" b", "`c", " \"`c\""),
        (" b", "\"\"\"c", " `\"\"\"c`"),
        (" b # d", "c\\", " c\\ # d"),
        (" b # `d", "c;", " \"\"\"c;\"\"\" # `d"),
        (" 'b'", "it's", " \"it's\""),
        (" `b`", "c`d", " `c`d`"),
        (" b\\\nd\ne=1", "bd", " bd\ne=1"),
        (" b\\\nd", "b\\\nd", " `b\\\nd`"),
    ] {
        let source = format!("a ={rest}");
        let nodes = scan(&source).unwrap();
        let edit = write_value(&source, &nodes[2], &Value::Str(value.into())).unwrap();
        let result = splice(&source, &[edit]).unwrap();
        assert_eq!(*result, format!("a ={expected}"));
        assert_eq!(shape(&result)[1], format!("a={value}"));
    }
    let nodes = scan("a = b # `d \"\"\"").unwrap();
    for value in [
        Value::Null,
        Value::Bytes(Zeroizing::new(vec![0xff])),
        Value::Str("`\"\"\"\n".into()),
    ] {
        assert!(write_value("a = b # `d \"\"\"", &nodes[2], &value).is_err());
    }
    let nodes = scan("a = b").unwrap();
    assert_eq!(
        *write_value("a = b", &nodes[2], &Value::Float(1.0))
            .unwrap()
            .text,
        "1.0"
    );
}

#[test]
fn comments_of_several_lines_get_the_marks_they_lack() {
    let source = "; old\na = 1 # old\n";
    let nodes = scan(source).unwrap();
    let several = Value::Str("b\n# c\n d\n\ne".into());
    let edit = write_value(source, &nodes[3], &several).unwrap();
    assert_eq!(
        *splice(source, &[edit]).unwrap(),
        "; b\n# c\n;  d\n;\n; e\na = 1 # old\n"
    );
    assert!(write_value(source, &nodes[4], &several).is_err());
    let edit = write_value(source, &nodes[4], &Value::Str("new".into())).unwrap();
    assert_eq!(*splice(source, &[edit]).unwrap(), "; old\na = 1 # new\n");
}

#[test]
fn metadata_comes_last_and_leaves_no_trace() {
    assert_eq!(sealed("a=1\n"), format!("a=1\n\n{BLOCK}"));
    assert_eq!(sealed("a=1"), format!("a=1\n\n{}", BLOCK.trim_end()));
    assert_eq!(
        sealed("a=1\r\n"),
        format!("a=1\n\n{BLOCK}").replace('\n', "\r\n")
    );
    for source in [
        "",
        "\n",
        "\r\n",
        "a=1",
        "a=1\n",
        "a=1\n\n",
        "a=1\r\n\r\n",
        "a=1\r\nb=2",
        "a=1\\\n",
        "a=1\\",
        "[s]",
        "; c",
        "; c\n",
        "\u{feff}",
        "a=`b\n`",
    ] {
        let text = sealed(source);
        assert_eq!(opened(&text), source, "{source:?}");
        let Some(block) = detach(&text, &scan(&text).unwrap()).block else {
            assert!(text.contains('\r'));
            continue;
        };
        let again = splice(source, &attach(source, block.of(&text))).unwrap();
        assert_eq!(*again, text);
    }
}

#[test]
fn metadata_is_taken_out_wherever_it_stands() {
    assert_eq!(opened("[sops]\nmac=1\n\n[s]\na=1\n"), "\n[s]\na=1\n");
    assert_eq!(
        opened("a=1\n\n[sops]\nmac=1\n\n; c\n[s]\nb=1"),
        "a=1\n\n; c\n[s]\nb=1"
    );
    assert_eq!(opened("a=1\n[sops]\nmac=1\n"), "a=1\n");
    assert_eq!(opened("a=1\n[s]\nsops=1\n"), "a=1\n[s]\nsops=1\n");
}

#[test]
fn metadata_is_spelled_as_sops_spells_it() {
    let mut files = text_fixtures("sealed", &["ini"]);
    files.extend(
        text_fixtures("random", &["ini"])
            .into_iter()
            .filter(|(name, _)| name.contains("sealed")),
    );
    assert!(files.len() > 12);
    for (name, source) in files {
        let nodes = scan(&source).unwrap();
        let is_sops = |node: &Node| node.kind == Kind::Mapping && key(&source, node) == "sops";
        let section = nodes.iter().position(is_sops).unwrap();
        let pairs: Vec<(String, String)> = nodes[section + 1..]
            .iter()
            .map(|node| {
                (
                    key(&source, node).into_owned(),
                    text(&source, node).replace("\\n", "\n"),
                )
            })
            .collect();
        let block = detach(&source, &nodes).block.unwrap();
        assert_eq!(emit_metadata(&pairs), block.of(&source), "{name}");
    }
}

#[test]
fn metadata_that_needs_quotes_reads_back() {
    let values = ["a;b", " a", "`a;", "\"a\"", "a\\", "plain", ""];
    let pairs: Vec<(String, String)> = values
        .iter()
        .zip(["k", "long_key", "a=b", "a`b", "c", "d", "e"])
        .map(|(value, key)| (key.to_owned(), (*value).to_owned()))
        .collect();
    let emitted = emit_metadata(&pairs);
    assert!(emitted.starts_with("[sops]\nk         = `a;b`\nlong_key  = \" a\"\n"));
    let read = shape(&emitted);
    let expected: Vec<String> = pairs
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    assert_eq!(read[2..], expected);
}

#[test]
fn sealing_and_opening_gives_the_text_back() {
    for (name, source) in plain_texts("ini") {
        assert_eq!(round_trip(Format::Ini, &source, BLOCK), source, "{name}");
    }
}

/// The line breaks above the section are told from the carriage returns that the text ends in.
#[test]
fn a_carriage_return_at_the_end_is_not_taken_for_half_a_line_break() {
    for source in [
        "\r",
        "\r\r\r",
        "a = b\r",
        "a = b\nc = d\r",
        "a = b\r\nc = d\r",
        "a = b\n\r\n",
        "a = b\r\n\n",
    ] {
        assert_eq!(round_trip(Format::Ini, source, BLOCK), source);
    }
}

/// The one spelling that no token has room for: a value of several lines that end in backslashes becomes one line.
#[test]
fn continued_lines_come_back_as_one() {
    for (source, expected) in [
        ("a = b \\\n  c\nd = 1", "a = b c\nd = 1"),
        ("a = b\\\n\nd = 1", "a = b\n\nd = 1"),
        ("a = b\\", "a = b"),
        ("a = b \\\n\n", "a = \"b \"\n\n"),
    ] {
        assert_eq!(round_trip(Format::Ini, source, BLOCK), expected);
    }
}

fn entry() -> impl Strategy<Value = String> {
    prop_oneof![
        "",
        "[ \t]{0,2}[;#]{1,2}[ ]{0,2}[a-z;# é]{0,5}",
        "\\[[a-zA-Z]{1,2}[ ]{0,1}\\]",
        "[ ]{0,2}K[ ]{0,2}[=:][ ]{0,2}[a-z'\"`;# é]{0,9}",
        "`K` = \"\"\"[a-z'#\r\n]{0,9}\"\"\"",
        "\"K\" = `[a-z'\"#\r\n]{0,9}`( # [a-z]{0,3})?",
        "K = ['\"][a-z =]{0,5}['\"]",
    ]
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(source in "[ab=:#;'\"`\\\\\\[\\]\r\n é]{0,40}") {
        match scan(&source) {
            Ok(nodes) => check_nodes(&source, &nodes),
            Err(error) => {
                prop_assert!(source.get(error.span.start()..error.span.end()).is_some());
            }
        }
    }

    #[test]
    fn documents_come_back_byte_for_byte(
        entries in collection::vec(entry(), 0..9),
        end in option::of("\n"),
        crlf in option::of("\r"),
    ) {
        let lines: Vec<String> = entries
            .iter()
            .enumerate()
            .map(|(number, entry)| entry.replacen('K', &format!("k{number}"), 1))
            .collect();
        let line_break = crlf.unwrap_or_default() + "\n";
        let source = lines.join(&line_break) + end.as_deref().map_or("", |_| &line_break);
        if scan(&source).is_ok() {
            prop_assert_eq!(round_trip(Format::Ini, &source, BLOCK), source);
        }
    }
}
