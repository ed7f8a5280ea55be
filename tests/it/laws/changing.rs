//! The laws of changes by path, on random documents.

use proptest::prelude::{Strategy, any, proptest};
use proptest::sample::select;
use sops_rs::format::Format;

use super::cases;
use super::documents::{dotenv, ended, ini, json, nasty, wild, yaml};
use super::toml::toml;
use crate::fuzz::change::{place, pointer};

/// Lines of YAML in any order, which are a text of their own more often than one would think. `%` is another key every time.
fn lines() -> impl Strategy<Value = String> {
    let mark = select(&["", "", "", "- ", "- - ", "? ", "-   ", "- &a ", "--- "][..]);
    let key = select(
        &[
            "%: ", "%: ", "%: ", "%:", "'%': ", "\"%\": ", "%:\t", "", ": ",
        ][..],
    );
    let value = select(
        &[
            "",
            "",
            "",
            "1",
            "'q'",
            "\"d\"",
            "plain",
            "|",
            "|+",
            ">-",
            "|2",
            "{}",
            "[]",
            "{ }",
            "{a: 1}",
            "[1, 2]",
            "[1,]",
            "{",
            "[",
            "}",
            "]",
            "1,",
            "'x',",
            "a: 1,",
            "&a",
            "&a 1",
            "*a",
            "!!map",
            "!!str x",
            "*a , b",
            "[a: 1]",
            "'two",
            "two'",
            "---",
            "...",
            "&b {a: 1}",
            "[{}, []]",
            "<<: *a",
        ][..],
    );
    let comment = select(&["", "", "", "", " # c", "# c"][..]);
    let line = (0..7_usize, mark, key, value, comment);
    let end = select(&["\n", "", "\n\n", "\n  \n"][..]);
    let newline = select(&["\n", "\n", "\n", "\r\n"][..]);
    (proptest::collection::vec(line, 1..8), end, newline).prop_map(|(lines, end, newline)| {
        let line = |(number, (columns, mark, key, value, comment)): (
            usize,
            (usize, &str, &str, &str, &str),
        )| {
            let key = key.replace('%', &format!("k{number}"));
            format!("{}{mark}{key}{value}{comment}", " ".repeat(columns))
        };
        let lines: Vec<String> = lines.into_iter().enumerate().map(line).collect();
        lines.join("\n").replace('\n', newline) + end
    })
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn json_is_changed_at_any_place(text in ended(json()), pick in any::<usize>(), value in wild()) {
        place(Format::Json, &text, pick, &value);
    }

    #[test]
    fn dotenv_is_changed_at_any_place(text in dotenv(), pick in any::<usize>(), value in wild()) {
        place(Format::Dotenv, &text, pick, &value);
    }

    #[test]
    fn ini_is_changed_at_any_place(text in ended(ini()), pick in any::<usize>(), value in wild()) {
        place(Format::Ini, &text, pick, &value);
    }

    #[test]
    fn toml_is_changed_at_any_place(text in toml(), pick in any::<usize>(), value in wild()) {
        place(Format::Toml, &text, pick, &value);
    }

    #[test]
    fn yaml_is_changed_at_any_place(text in ended(yaml()), pick in any::<usize>(), value in wild()) {
        place(Format::Yaml, &text, pick, &value);
    }

    #[test]
    fn odd_yaml_is_changed_at_any_place(text in lines(), pick in any::<usize>(), value in wild()) {
        place(Format::Yaml, &text, pick, &value);
    }

    #[test]
    fn any_text_is_a_path_or_none(text in nasty(), other in "[\\[\\]\"'./~0-9a+-]{0,12}") {
        pointer(&text);
        pointer(&other);
    }
}
