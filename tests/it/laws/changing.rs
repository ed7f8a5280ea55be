//! The laws of changes by path, on random documents.

use proptest::prelude::{any, proptest};
use sops_rs::format::Format;

use super::cases;
use super::documents::{dotenv, ended, ini, json, nasty, wild, yaml};
use super::toml::toml;
use crate::fuzz::change::{place, pointer};

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
    fn any_text_is_a_path_or_none(text in nasty(), other in "[\\[\\]\"'./~0-9a+-]{0,12}") {
        pointer(&text);
        pointer(&other);
    }
}
