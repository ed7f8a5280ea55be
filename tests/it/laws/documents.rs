//! Law 2 and law 4 on random documents: what is sealed opens byte for byte, and a change touches one token.

use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::sample::select;
use sops_rs::document::{Document, Step};
use sops_rs::edit::splice;
use sops_rs::format::{Format, write_value};
use sops_rs::node::ScanError;
use sops_rs::selection::RuleKind;
use sops_rs::value::Value;

use super::cases;
use crate::fuzz::roundtrip::{Counter, Rule, metadata, open, reseal, roundtrip, seal};

const RULES: [Rule<'static>; 6] = [
    None,
    Some((RuleKind::EncryptedRegex, "^(s|a.*)$")),
    Some((RuleKind::UnencryptedRegex, "^[a-f]")),
    Some((RuleKind::EncryptedSuffix, "1")),
    Some((RuleKind::EncryptedCommentRegex, "e")),
    Some((RuleKind::UnencryptedCommentRegex, "clear")),
];

/// Parts of strings that are hard on a reader or a writer in one format or another.
const NASTY: &[&str] = &[
    "a", "B7", "é", "😀", "'", "\"", "\\", "`", "#", " #", ": ", ":", " ", "  ", "- ", "-", "ENC[",
    "]", "{", "}", "[", ",", "&", "*", "!", "|", ">", "@", "%", "=", ";", "~", "null", "true", "1",
    ".5", "0x1F", "<<", "$(x)", "\u{a0}", "\u{fe0f}", "/", "?", "---", "...", "\\n", "<", "ü",
];

pub(super) fn nasty() -> impl Strategy<Value = String> {
    proptest::collection::vec(select(NASTY), 0..6).prop_map(|parts| parts.concat())
}

/// The same, with line breaks and control characters.
pub(super) fn wild() -> impl Strategy<Value = String> {
    let control = select(
        &[
            "\n", "\t", "\n\n", "\r", "\u{1}", "\u{7f}", "\u{85}", "\u{2028}", "\u{feff}",
        ][..],
    );
    let part = prop_oneof![6 => select(NASTY), 1 => control];
    proptest::collection::vec(part, 0..6).prop_map(|parts| parts.concat())
}

/// With CRLF, and without a line break at the end, one time in four each.
pub(super) fn ended(text: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (text, 0..4, 0..4).prop_map(|(text, crlf, end)| {
        let text = if crlf == 0 {
            text.replace('\n', "\r\n")
        } else {
            text
        };
        // A block that keeps its last line break and has none comes back without the `+`.
        if end == 0 && !text.contains("|+") {
            text.trim_end_matches(['\r', '\n']).to_owned()
        } else {
            text
        }
    })
}

/// A string as JSON has it with the fewest escapes, which is the spelling that comes back.
fn json_string(text: &str) -> String {
    let mut result = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => result.extend(['\\', c]),
            '\n' => result.push_str("\\n"),
            '\r' => result.push_str("\\r"),
            '\t' => result.push_str("\\t"),
            '\0'..='\u{1f}' => result.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => result.push(c),
        }
    }
    result + "\""
}

pub(super) fn json() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        4 => wild().prop_map(|text| json_string(&text)),
        1 => any::<i64>().prop_map(|number| number.to_string()),
        1 => (-1_000_000..1_000_000_i32).prop_map(|number| format!("{number}.5")),
        1 => select(&["true", "false", "null", "{}", "[]", "0.25", "1.0", "\"\""][..]).prop_map(str::to_owned),
    ];
    let space = || select(&["", "", " ", "\n  ", "\t"][..]);
    let value = scalar.prop_recursive(4, 24, 5, move |inner| {
        let item = (space(), inner.clone(), space())
            .prop_map(|(before, value, behind)| format!("{before}{value}{behind}"));
        let member = (space(), wild(), space(), inner).prop_map(|(before, key, behind, value)| {
            format!("{before}{}{behind}:{value}", json_string(&key))
        });
        prop_oneof![
            proptest::collection::vec(item, 1..5)
                .prop_map(|items| format!("[{}]", items.join(","))),
            proptest::collection::vec(member, 1..5)
                .prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    });
    let members = proptest::collection::vec((nasty(), value), 1..5);
    (
        members,
        select(&[("", "", ""), ("\n  ", "\n", " "), ("\n\t", "\n", "")][..]),
    )
        .prop_map(|(members, (open, close, blank))| {
            let members: Vec<String> = members
                .into_iter()
                .map(|(key, value)| format!("{open}{}:{blank}{value}", json_string(&key)))
                .collect();
            format!("{{{}{close}}}\n", members.join(","))
        })
}

pub(super) fn dotenv() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        5 => ("[A-Za-z_][A-Z a-z0-9_.]{0,6}", nasty()).prop_map(|(key, value)| format!("{key}={value}")),
        1 => nasty().prop_map(|text| format!("#{text}")),
        1 => Just(String::new()),
    ];
    // A line of nothing but a carriage return is no variable.
    let lines = proptest::collection::vec(line, 1..10).prop_map(|lines| lines.join("\n") + "\n");
    ended(lines).prop_filter("a line without `=`", |text| {
        !text.contains("\r")
            || !text.replace("\r\n", "\n").contains("\n\n") && !text.starts_with('\r')
    })
}

pub(super) fn ini() -> impl Strategy<Value = String> {
    let key = "[a-z][a-z0-9 ]{0,4}@";
    let delimiter = select(&["=", " = ", ": ", "   =\t"][..]);
    let plain = "[A-Za-z0-9/][A-Za-z0-9é/+$%(){}|~ .,:=-]{0,12}[A-Za-z0-9]";
    let value = prop_oneof![
        3 => plain.prop_map(|text| text),
        1 => plain.prop_map(|text| format!("\"{text}\"")),
        1 => plain.prop_map(|text| format!("`#{text};`")),
        1 => plain.prop_map(|text| format!("\"\"\"{text}\n ;{text}\"\"\"")),
        1 => plain.prop_map(|text| format!("{text} ; note")),
        1 => Just(String::new()),
    ];
    let line = prop_oneof![
        6 => (key, delimiter, value).prop_map(|(key, delimiter, value)| format!("{key}{delimiter}{value}")),
        1 => (select(&["#", ";", "; ", "  # "][..]), "[a-z ]{1,8}[a-z]").prop_map(|(mark, text)| format!("{mark}{text}")),
        1 => Just(String::new()),
        1 => "[a-z]{1,5}".prop_map(|name| format!("[{name}]")),
    ];
    // The number in place of the `@` keeps the keys of a section apart.
    proptest::collection::vec(line, 1..10).prop_map(|lines| {
        let lines = lines.iter().enumerate();
        lines
            .map(|(number, line)| line.replacen('@', &number.to_string(), 1) + "\n")
            .collect()
    })
}

/// A value in YAML: what stands behind the key's colon on its line, and the lines below, not indented.
#[derive(Clone, Debug)]
struct Yaml {
    line: String,
    below: Vec<String>,
    /// Whether it is a list, which may stand at the column of its key.
    list: bool,
}

fn on_line(line: String) -> Yaml {
    Yaml {
        line,
        below: Vec::new(),
        list: false,
    }
}

/// A text in double quotes with no escape but those it needs.
fn yaml_double(text: &str) -> String {
    let escaped: String = text
        .chars()
        .map(|c| match c {
            '"' | '\\' => format!("\\{c}"),
            '\n' => "\\n".to_owned(),
            '\t' => "\\t".to_owned(),
            '\r' => "\\r".to_owned(),
            '\u{1}' | '\u{7f}' => format!("\\x{:02X}", u32::from(c)),
            '\u{85}' => "\\N".to_owned(),
            '\u{2028}' => "\\L".to_owned(),
            '\u{feff}' => "\\uFEFF".to_owned(),
            _ => c.to_string(),
        })
        .collect();
    format!("\"{escaped}\"")
}

const PLAIN: &str = "[A-Zg-z][A-Za-z0-9é/+$()~._=-]{0,6}( [a-z'\"#]{0,1}[A-Za-z0-9é:/]{0,5}[a-z])?";

fn yaml_scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => PLAIN.prop_filter("a comment begins", |text| !text.contains(" #")),
        2 => wild().prop_map(|text| yaml_double(&text)),
        2 => nasty().prop_map(|text| format!("'{}'", text.replace('\'', "''"))),
        1 => any::<i64>().prop_map(|number| number.to_string()),
        1 => (-1_000_000..1_000_000_i32).prop_map(|number| format!("{number}.5")),
        1 => select(&["true", "false", "null", "~", "''", "\"\"", "2001-12-14T21:59:43Z", "-0.25", "3.0", ".inf", ".nan"][..])
            .prop_map(str::to_owned),
    ]
}

/// A literal block. Its first line is not blank, so that no indentation need be said.
fn yaml_literal() -> impl Strategy<Value = Yaml> {
    let line = prop_oneof![4 => nasty(), 1 => Just(String::new())]
        .prop_map(|line| line.trim_end().to_owned());
    let ends = select(
        &[
            ("", 0_usize),
            ("-", 0),
            ("+", 0),
            ("+", 1),
            ("-", 2),
            ("", 1),
        ][..],
    );
    (
        "[a-zé#{-][a-z #:'\"-]{0,6}[a-z]",
        proptest::collection::vec(line, 0..4),
        ends,
    )
        .prop_map(|(first, mut lines, (chomp, blank))| {
            while lines.last().is_some_and(String::is_empty) {
                lines.pop();
            }
            let mut below = vec![first];
            below.extend(lines);
            below.extend(std::iter::repeat_n(String::new(), blank));
            Yaml {
                line: format!("|{chomp}"),
                below,
                list: false,
            }
        })
}

fn indented(lines: &[String], columns: usize) -> Vec<String> {
    lines
        .iter()
        .map(|line| {
            if line.is_empty() {
                String::new()
            } else {
                format!("{}{line}", " ".repeat(columns))
            }
        })
        .collect()
}

/// A comment, or an empty line, or nothing, before an entry.
fn yaml_before() -> impl Strategy<Value = Vec<String>> {
    prop_oneof![
        6 => Just(Vec::new()),
        1 => Just(vec![String::new()]),
        1 => nasty().prop_map(|text| vec![format!("#{}", text.trim_end())]),
        1 => "[a-z ]{0,5}[a-z]".prop_map(|text| vec![format!("# {text}")]),
    ]
}

fn yaml_entries(
    inner: impl Strategy<Value = Yaml>,
    columns: usize,
) -> impl Strategy<Value = Vec<String>> {
    let gap = select(&[" ", " ", "  ", "\t"][..]);
    let comment = select(&["", "", "", " # note", "  #x"][..]);
    proptest::collection::vec(
        (yaml_before(), nasty(), any::<bool>(), gap, inner, comment),
        1..5,
    )
    .prop_map(move |entries| {
        let mut lines = Vec::new();
        for (number, (before, key, quoted, gap, value, comment)) in entries.into_iter().enumerate()
        {
            // A literal block before it would take an indented comment for content, so only blocks' own lines are blank.
            lines.extend(before);
            let name = format!(
                "{}{number}",
                (b'a' + u8::try_from(number).expect("few")) as char
            );
            let key = if quoted {
                yaml_double(&format!("{key}{number}"))
            } else {
                name
            };
            let gap = if value.line.is_empty() { "" } else { gap };
            lines.push(format!("{key}:{gap}{}{comment}", value.line));
            lines.extend(indented(&value.below, if value.list { 0 } else { columns }));
        }
        lines
    })
}

fn yaml_flow() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        2 => "[A-Zg-z][a-z0-9]{0,5}",
        2 => wild().prop_map(|text| yaml_double(&text)),
        2 => nasty().prop_map(|text| format!("'{}'", text.replace('\'', "''"))),
        1 => any::<i64>().prop_map(|number| number.to_string()),
        1 => select(&["true", "null", "~", "1.5", "{}", "[]"][..]).prop_map(str::to_owned),
    ];
    scalar.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..4)
                .prop_map(|items| format!("[{}]", items.join(", "))),
            proptest::collection::vec(inner, 1..4).prop_map(|items| {
                let items: Vec<String> = items
                    .iter()
                    .enumerate()
                    .map(|(n, item)| format!("f{n}: {item}"))
                    .collect();
                format!("{{ {} }}", items.join(", "))
            }),
        ]
    })
}

pub(super) fn yaml() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        6 => yaml_scalar().prop_map(on_line),
        2 => yaml_literal(),
        2 => yaml_flow().prop_map(on_line),
        1 => Just(on_line(String::new())),
    ];
    let value = leaf.prop_recursive(4, 24, 5, |inner| {
        let list = (proptest::collection::vec(inner.clone(), 1..4)).prop_map(|items| {
            let mut below = Vec::new();
            for item in items {
                if item.line.is_empty() && !item.below.is_empty() {
                    // A collection begins behind the dash.
                    let mut lines = indented(&item.below, 2);
                    if let Some(first) = lines.first_mut() {
                        if first.trim_start().starts_with('#') || first.is_empty() {
                            below.push("-".to_owned());
                        } else {
                            first.replace_range(..1, "-");
                        }
                    }
                    below.extend(lines);
                } else {
                    below.push(format!("- {}", item.line).trim_end().to_owned());
                    below.extend(indented(&item.below, 2));
                }
            }
            Yaml {
                line: String::new(),
                below,
                list: true,
            }
        });
        prop_oneof![
            (2..5_usize)
                .prop_flat_map(move |columns| yaml_entries(inner.clone(), columns))
                .prop_map(|below| Yaml {
                    line: String::new(),
                    below,
                    list: false
                }),
            list,
        ]
    });
    let start = select(
        &[
            "",
            "",
            "---\n",
            "# top\n",
            "\u{feff}",
            "x_unencrypted: &x clear\ny_unencrypted: *x\n",
        ][..],
    );
    (
        start,
        yaml_entries(value, 2),
        select(&["", "", "...\n", "\n", "# end\n", "---\nz: 1\n"][..]),
    )
        .prop_map(|(start, lines, end)| format!("{start}{}\n{end}", lines.join("\n")))
}

/// Any rule, and whether the MAC covers what is sealed only.
pub(super) fn rule() -> impl Strategy<Value = (Rule<'static>, bool)> {
    (select(&RULES[..]), any::<bool>())
}

pub(super) fn comes_back(format: Format, rule: Rule<'_>, only: bool, text: &str) {
    let mut metadata = metadata(rule, only);
    let Some(sealed) = seal(format, text, &mut metadata, &mut Counter::default()) else {
        // A comment at an odd place must not decide what is sealed.
        let by_comment = rule.is_some_and(|(kind, _)| {
            matches!(
                kind,
                RuleKind::EncryptedCommentRegex | RuleKind::UnencryptedCommentRegex
            )
        });
        assert!(by_comment, "refused: {text:?}\n{text}");
        return;
    };
    let opened = open(format, &sealed.text, &metadata);
    // An alias over a sealed value is written out, which is on the list of exceptions.
    if sealed.report.expanded_aliases == 0 {
        assert_eq!(
            *opened.text, text,
            "another text came back, of\n{}",
            sealed.text
        );
    }
    roundtrip(format, rule, only, text);
}

/// Every value of a sealed text as it is written there, without the metadata; and which of them are tokens.
fn leaves(format: Format, text: &str) -> Vec<String> {
    let document = Document::parse(format, text).expect("it was read before");
    let mut found = Vec::new();
    document
        .walk(|step| {
            if let Step::Leaf {
                id, alias: None, ..
            }
            | Step::Comment {
                id, alias: None, ..
            } = step
            {
                found.push(
                    document
                        .node(id)
                        .expect("a node")
                        .inner
                        .of(text)
                        .trim()
                        .to_owned(),
                );
            }
            Ok::<(), ScanError>(())
        })
        .expect("it was walked before");
    found
}

/// The opened text with another value for one of the leaves that are sealed; `None` if nothing is.
fn with_one_change(format: Format, sealed: &str, opened: &str, pick: usize) -> Option<String> {
    let (before, after) = (
        Document::parse(format, sealed).ok()?,
        Document::parse(format, opened).ok()?,
    );
    let mut candidates = Vec::new();
    after
        .walk(|step| {
            if let Step::Leaf {
                id, alias: None, ..
            } = step
            {
                let node = before.node(id).expect("the same nodes");
                if node.inner.of(sealed).trim().starts_with("ENC[AES256_GCM,") {
                    candidates.push(id);
                }
            }
            Ok::<(), ScanError>(())
        })
        .ok()?;
    let id = *candidates.get(pick % candidates.len().max(1))?;
    let node = after.node(id)?;
    let value = Value::Str("another value".into());
    let ends_text = node.span.end() == opened.len();
    let mut edits = Vec::new();
    write_value(format, opened, node, &value, ends_text, &mut edits)
        .expect("any text can stand here");
    Some(splice(opened, &edits).expect("good edits").to_string())
}

/// Law 4: one changed value changes one token, and nothing else but `lastmodified` and `mac`.
pub(super) fn one_change(format: Format, rule: Rule<'_>, only: bool, text: &str, pick: usize) {
    let mut metadata = metadata(rule, only);
    let mut random = Counter::default();
    let Some(sealed) = seal(format, text, &mut metadata, &mut random) else {
        return;
    };
    if sealed.report.expanded_aliases > 0 {
        return;
    }
    let opened = open(format, &sealed.text, &metadata);
    let Some(changed) = with_one_change(format, &sealed.text, &opened.text, pick) else {
        return;
    };
    let again = reseal(
        format,
        &sealed.text,
        &metadata,
        opened,
        &changed,
        &mut random,
    )
    .expect("a change");
    let (before, after) = (leaves(format, &sealed.text), leaves(format, &again.text));
    assert_eq!(before.len(), after.len());
    let differ = before
        .iter()
        .zip(&after)
        .filter(|(before, after)| before != after)
        .count();
    assert_eq!(differ, 1, "{changed}\n{}\n{}", sealed.text, again.text);
    let tokens = |text: &str| text.matches("ENC[AES256_GCM,").count();
    assert_eq!(tokens(&sealed.text), tokens(&again.text));
}

proptest! {
    #![proptest_config(cases(160))]

    #[test]
    fn json_comes_back(text in ended(json()), (rule, only) in rule()) {
        comes_back(Format::Json, rule, only, &text);
    }

    #[test]
    fn dotenv_comes_back(text in dotenv(), (rule, only) in rule()) {
        comes_back(Format::Dotenv, rule, only, &text);
    }

    #[test]
    fn ini_comes_back(text in ended(ini()), (rule, only) in rule()) {
        comes_back(Format::Ini, rule, only, &text);
    }

    #[test]
    fn yaml_comes_back(text in ended(yaml()), (rule, only) in rule()) {
        comes_back(Format::Yaml, rule, only, &text);
    }

    #[test]
    fn one_changed_value_changes_one_token(
        (json, dotenv, ini, yaml) in (json(), dotenv(), ini(), yaml()),
        (rule, only) in rule(),
        pick in 0..40_usize,
    ) {
        one_change(Format::Json, rule, only, &json, pick);
        one_change(Format::Dotenv, rule, only, &dotenv, pick);
        one_change(Format::Ini, rule, only, &ini, pick);
        one_change(Format::Yaml, rule, only, &yaml, pick);
    }
}

/// A token may stand in quotes that its value came out of; sealing again would not put them there.
#[test]
fn an_edit_without_a_change_writes_nothing_even_where_quotes_were_lost() {
    roundtrip(
        Format::Yaml,
        None,
        false,
        "a: !!int \"7\"\nb: !!bool 'true'\n",
    );
}

/// Behind the last comment of a text comes the metadata, and the comment becomes one of the outermost mapping, where this
/// rule selects nothing.
#[test]
fn a_comment_that_the_metadata_moves_is_opened_and_keeps_its_token() {
    let rule = Some((RuleKind::EncryptedRegex, "^a"));
    for text in ["a:\n- b\n# end\n", "a:\n- |\n  b\n# end"] {
        comes_back(Format::Yaml, rule, false, text);
        one_change(Format::Yaml, rule, false, text, 0);
    }
}

/// A comment that only looks like a token, where the rule does not seal comments, is the user's text.
#[test]
fn a_clear_comment_that_looks_like_a_token_is_left_alone() {
    let token = "ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:comment]";
    let text = format!("#{token}\na: x\n#{token}\nb:\n  c: y # {token}\n");
    comes_back(
        Format::Yaml,
        Some((RuleKind::EncryptedRegex, "^c")),
        false,
        &text,
    );
}
