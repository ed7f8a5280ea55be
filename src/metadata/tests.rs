//! Metadata as SOPS writes it, as it may be written by hand, and as it must not be.

use std::path::{Path, PathBuf};

use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};

use super::{Metadata, MetadataProblem, flat};
use crate::recipient::{Recipient, WrappedKey};
use crate::selection::{Rule, RuleKind, Selection};
use crate::tree::Tree;

fn text(text: &str) -> Tree {
    Tree::Str(text.to_owned())
}

fn map<const N: usize>(entries: [(&str, Tree); N]) -> Tree {
    Tree::Map(
        entries
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
    )
}

fn list<const N: usize>(items: [Tree; N]) -> Tree {
    Tree::List(items.into())
}

fn age_key(recipient: &str) -> Tree {
    map([("enc", text("…")), ("recipient", text(recipient))])
}

/// The smallest metadata that can be read, with `entries` instead of or besides its own.
fn sops<const N: usize>(entries: [(&str, Tree); N]) -> Tree {
    let mut all = vec![
        ("age".to_owned(), list([age_key("age1a")])),
        ("lastmodified".to_owned(), text("2026-01-02T03:04:05Z")),
        ("mac".to_owned(), text("ENC[…]")),
        ("version".to_owned(), text("3.13.2")),
    ];
    for (name, tree) in entries {
        all.retain(|(key, _)| key != name);
        all.push((name.to_owned(), tree));
    }
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    Tree::Map(all)
}

fn read<const N: usize>(entries: [(&str, Tree); N]) -> Metadata {
    Metadata::read(&sops(entries)).unwrap()
}

fn refused<const N: usize>(entries: [(&str, Tree); N]) -> (String, MetadataProblem) {
    let error = Metadata::read(&sops(entries)).unwrap_err();
    (error.field, error.problem)
}

fn identities(metadata: &Metadata) -> Vec<Vec<String>> {
    let group = |group: &Vec<WrappedKey>| group.iter().map(|k| k.recipient.identity()).collect();
    metadata.groups.iter().map(group).collect()
}

#[test]
fn what_is_not_said_is_the_default() {
    let metadata = read([]);
    assert_eq!(metadata.shamir_threshold, 0);
    assert!(!metadata.mac_only_encrypted);
    assert_eq!(metadata.selection(), (Selection::default(), None));
    assert_eq!(identities(&metadata), [["age1a"]]);
    assert_eq!(metadata.tree(), sops([]));
}

#[test]
fn names_match_in_any_case_but_the_exact_one_wins() {
    let metadata = read([
        ("AGE", list([age_key("age1b")])),
        ("Unencrypted_Suffix", text("_x")),
    ]);
    assert_eq!(identities(&metadata), [["age1a"]]);
    assert_eq!(
        metadata.rule,
        Some((RuleKind::UnencryptedSuffix, "_x".to_owned()))
    );
    assert_eq!(metadata.unknown, []);
}

#[test]
fn a_mapping_is_a_list_of_one_and_empty_ones_vanish() {
    let metadata = read([
        ("age", age_key("age1b")),
        ("kms", list([])),
        ("pgp", map([])),
    ]);
    assert_eq!(identities(&metadata), [["age1b"]]);
    assert_eq!(metadata.tree(), sops([("age", list([age_key("age1b")]))]));
}

#[test]
fn every_kind_of_key_is_written_as_sops_writes_it() {
    let when = || ("created_at", text("2026-01-02T03:04:05Z"));
    let enc = || ("enc", text("…"));
    let azure = map([
        when(),
        enc(),
        ("name", text("k")),
        ("vault_url", text("https://v")),
        ("version", text("0123")),
    ]);
    let vault = map([
        when(),
        enc(),
        ("engine_path", text("transit")),
        ("key_name", text("k")),
        ("vault_address", text("https://v")),
    ]);
    let kms_bare = map([
        ("arn", text("arn:1")),
        ("aws_profile", text("")),
        when(),
        enc(),
    ]);
    let kms_full = map([
        ("arn", text("arn:2")),
        ("aws_profile", text("p")),
        ("context", map([("a", text("1")), ("b", text("2"))])),
        when(),
        enc(),
        ("role", text("arn:role")),
    ]);
    let tree = sops([
        ("azure_kv", list([azure])),
        (
            "gcp_kms",
            list([map([when(), enc(), ("resource_id", text("projects/p"))])]),
        ),
        ("hc_vault", list([vault])),
        (
            "hckms",
            list([map([when(), enc(), ("key_id", text("r:u"))])]),
        ),
        ("kms", list([kms_bare, kms_full])),
        ("pgp", list([map([when(), enc(), ("fp", text("ABCD"))])])),
        ("mac_only_encrypted", Tree::Bool(true)),
        ("shamir_threshold", Tree::Int(2)),
        ("encrypted_regex", text("^data$")),
    ]);
    let metadata = Metadata::read(&tree).unwrap();
    assert_eq!(
        identities(&metadata),
        [[
            "arn:1",
            "arn:2+arn:role|a:1,b:2|p",
            "projects/p",
            "r:u",
            "https://v/keys/k/0123",
            "https://v/v1/transit/keys/k",
            "ABCD",
            "age1a"
        ]]
    );
    assert_eq!(metadata.tree(), tree);
}

#[test]
fn several_groups_have_their_own_lists_and_two_of_them_always() {
    let pgp = map([
        ("created_at", text("2026-01-02T03:04:05Z")),
        ("enc", text("…")),
        ("fp", text("ABCD")),
    ]);
    let groups = list([
        map([("age", list([age_key("age1a")])), ("hc_vault", list([]))]),
        map([
            ("age", list([])),
            ("hc_vault", list([])),
            ("pgp", list([pgp])),
        ]),
    ]);
    let tree = sops([("age", list([])), ("key_groups", groups)]);
    let metadata = Metadata::read(&tree).unwrap();
    assert_eq!(identities(&metadata), [["age1a"], ["ABCD"]]);
    let Tree::Map(mut expected) = tree else {
        panic!()
    };
    expected.retain(|(name, _)| name != "age");
    assert_eq!(metadata.tree(), Tree::Map(expected));
}

#[test]
fn any_key_at_the_top_hides_the_groups() {
    let groups = list([map([("age", list([age_key("age1b")]))])]);
    assert_eq!(identities(&read([("key_groups", groups)])), [["age1a"]]);
}

#[test]
fn what_is_not_known_survives() {
    let key = map([
        ("enc", text("…")),
        ("note", Tree::Int(7)),
        ("recipient", text("age1a")),
    ]);
    let entries = || {
        [
            ("age", list([key.clone()])),
            (
                "tomorrow",
                map([("a", list([Tree::Null, Tree::Float(1.5)]))]),
            ),
            ("zkms", list([map([("enc", text("…")), ("id", text("z"))])])),
        ]
    };
    let metadata = read(entries());
    assert_eq!(
        identities(&metadata),
        [["age1a", "unknown recipient in `zkms`"]]
    );
    assert_eq!(metadata.unknown.len(), 1);
    assert_eq!(metadata.tree(), sops(entries()));

    let group = map([
        ("age", list([age_key("age1a")])),
        ("hc_vault", list([])),
        ("odd", map([("x", Tree::Int(1))])),
        ("zkms", list([map([("enc", text("…"))])])),
    ]);
    let empty = map([("age", list([])), ("hc_vault", list([]))]);
    let entries = || {
        [
            ("key_groups", list([group.clone(), empty.clone()])),
            ("age", list([])),
        ]
    };
    let metadata = read(entries());
    let Some(written) = metadata.tree().get("key_groups").cloned() else {
        panic!()
    };
    assert_eq!(written, list([group, empty]));
}

#[test]
fn errors_name_the_field() {
    let wrong = |expected, found| MetadataProblem::Type { expected, found };
    let when = || Tree::Time("2026-01-02T03:04:05Z".to_owned());
    let pgp = |created_at| {
        list([map([
            ("created_at", created_at),
            ("enc", text("")),
            ("fp", text("A")),
        ])])
    };
    let nested = list([map([("age", list([map([("recipient", list([]))])]))])]);
    let table = [
        (
            refused([("age", text("x"))]),
            "age",
            wrong("a list", "a string"),
        ),
        (
            refused([("age", list([text("x")]))]),
            "age[0]",
            wrong("a mapping", "a string"),
        ),
        (
            refused([("mac", map([]))]),
            "mac",
            wrong("a string", "a mapping"),
        ),
        (
            refused([("lastmodified", when())]),
            "lastmodified",
            MetadataProblem::UnquotedTimestamp,
        ),
        (
            refused([("lastmodified", text("now"))]),
            "lastmodified",
            MetadataProblem::NotATime,
        ),
        (
            refused([("lastmodified", Tree::Null)]),
            "lastmodified",
            MetadataProblem::Missing,
        ),
        (
            refused([("pgp", pgp(when()))]),
            "pgp[0].created_at",
            MetadataProblem::UnquotedTimestamp,
        ),
        (
            refused([("pgp", pgp(text("1")))]),
            "pgp[0].created_at",
            MetadataProblem::NotATime,
        ),
        (
            refused([("version", text(""))]),
            "version",
            MetadataProblem::Missing,
        ),
        (
            refused([("version", text("foo"))]),
            "version",
            MetadataProblem::NotAVersion,
        ),
        (
            refused([("age", Tree::Null)]),
            "",
            MetadataProblem::NoRecipients,
        ),
        (
            refused([("age", Tree::Null), ("key_groups", nested)]),
            "key_groups[0].age[0].recipient",
            wrong("a string", "a list"),
        ),
        (
            refused([
                ("encrypted_regex", text("a")),
                ("unencrypted_suffix", text("b")),
            ]),
            "",
            MetadataProblem::SeveralRules(RuleKind::EncryptedRegex, RuleKind::UnencryptedSuffix),
        ),
        (
            refused([("shamir_threshold", text("many"))]),
            "shamir_threshold",
            wrong("a number from 0", "a string"),
        ),
        (
            refused([("hckms", list([map([("key_id", text("x"))])]))]),
            "hckms[0].key_id",
            MetadataProblem::NotAHckmsKey,
        ),
    ];
    for (found, field, problem) in table {
        assert_eq!(found, (field.to_owned(), problem));
    }
    assert!(Metadata::read(&Tree::Null).is_err());
    assert!(Metadata::read(&text("x")).is_err());
}

#[test]
fn messages_are_sentences() {
    let error = Metadata::read(&sops([("version", text("foo"))])).unwrap_err();
    let expected = "`version` is not a version like 3.13.2";
    assert_eq!(error.to_string(), expected);
    let error = Metadata::read(&sops([("age", Tree::Null)])).unwrap_err();
    assert_eq!(error.to_string(), "it names no recipients");
}

#[test]
fn versions_of_old_and_new_are_fine() {
    for version in ["1.0", "1.13", "v3.0.0", "99.0.0", "3.0.0-rc1"] {
        assert_eq!(read([("version", text(version))]).version, version);
    }
}

#[test]
fn the_mac_may_be_missing() {
    assert_eq!(read([("mac", Tree::Null)]).mac, "");
}

#[test]
fn an_invalid_rule_is_tolerated_on_read_only() {
    let metadata = read([("encrypted_regex", text("a(b"))]);
    let (selection, warning) = metadata.selection();
    assert!(matches!(selection.rule(), Rule::EncryptedRegex(_)));
    assert!(warning.is_some());
    assert!(metadata.strict_selection().is_err());
    let metadata = read([
        ("encrypted_regex", text("ab")),
        ("mac_only_encrypted", text("true")),
    ]);
    assert_eq!(metadata.strict_selection(), Ok(metadata.selection().0));
    assert!(metadata.selection().0.mac_only_encrypted());
}

fn word() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9:/_. -]{0,12}"
}

fn recipient() -> impl Strategy<Value = Recipient> {
    let context = proptest::collection::btree_map(word(), word(), 0..3);
    prop_oneof![
        word().prop_map(|recipient| Recipient::Age { recipient }),
        word().prop_map(|fingerprint| Recipient::Pgp { fingerprint }),
        (word(), word(), context, word()).prop_map(|(arn, role, context, aws_profile)| {
            Recipient::Kms {
                arn,
                role,
                context: context.into_iter().collect(),
                aws_profile,
            }
        }),
        word().prop_map(|resource_id| Recipient::GcpKms { resource_id }),
        (word(), word(), word()).prop_map(|(vault_url, name, version)| Recipient::AzureKv {
            vault_url,
            name,
            version
        }),
        (word(), word(), word()).prop_map(|(vault_address, engine_path, key_name)| {
            Recipient::Vault {
                vault_address,
                engine_path,
                key_name,
            }
        }),
        Just(Recipient::Hckms {
            key_id: "region:uuid".to_owned()
        }),
    ]
}

fn wrapped_key() -> impl Strategy<Value = WrappedKey> {
    let unknown = proptest::collection::btree_map("x-[a-z]{1,4}", any::<i64>(), 0..3);
    (recipient(), word(), unknown).prop_map(|(recipient, enc, unknown)| WrappedKey {
        created_at: match recipient {
            Recipient::Age { .. } => String::new(),
            _ => "2026-01-02T03:04:05Z".to_owned(),
        },
        recipient,
        enc,
        unknown: unknown
            .into_iter()
            .map(|(name, value)| (name, Tree::Int(value)))
            .collect(),
    })
}

fn metadata() -> impl Strategy<Value = Metadata> {
    let group = proptest::collection::vec(wrapped_key(), 1..5);
    let groups = proptest::collection::vec(group, 1..4);
    let rule = proptest::option::of((0..RuleKind::ALL.len(), "[a-z]{1,5}"));
    let unknown = proptest::collection::btree_map("x-[a-z]{1,4}", word(), 0..3);
    (groups, 0..9usize, word(), rule, any::<bool>(), unknown).prop_map(
        |(mut groups, shamir_threshold, mac, rule, mac_only_encrypted, unknown)| {
            for group in &mut groups {
                // A file keeps the order inside each kind, and the kinds in a fixed order.
                let order = crate::recipient::RecipientKind::LOAD_ORDER;
                group.sort_by_key(|key| order.iter().position(|&k| k == key.recipient.kind()));
            }
            Metadata {
                groups,
                shamir_threshold,
                lastmodified: "2026-01-02T03:04:05Z".to_owned(),
                mac,
                version: "3.13.2".to_owned(),
                rule: rule.map(|(kind, text)| (RuleKind::ALL[kind], text)),
                mac_only_encrypted,
                unknown: unknown
                    .into_iter()
                    .map(|(name, value)| (name, Tree::Str(value)))
                    .collect(),
            }
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(metadata in metadata()) {
        let tree = metadata.tree();
        prop_assert_eq!(&Metadata::read(&tree).unwrap(), &metadata);
        let mut flat_metadata = metadata;
        let unknown = flat_metadata.groups.iter_mut().flatten().flat_map(|key| &mut key.unknown);
        for (_, value) in unknown {
            if let Tree::Int(number) = value {
                *value = Tree::Str(number.to_string());
            }
        }
        let pairs = flat::flatten(&tree);
        let pairs = pairs.iter().map(|(name, value)| (&**name, &**value));
        prop_assert_eq!(Metadata::read(&flat::unflatten(pairs).unwrap()).unwrap(), flat_metadata);
    }
}

/// The `sops` block of a file that SOPS wrote, by the simplest means for its format.
fn metadata_of(path: &Path) -> Tree {
    let source = std::fs::read_to_string(path).unwrap();
    match path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap()
    {
        "yaml" => {
            let documents = yaml_serde::Deserializer::from_str(&source);
            let first = documents.into_iter().next().unwrap();
            let value: yaml_serde::Value = serde::Deserialize::deserialize(first).unwrap();
            from_yaml(&value["sops"])
        }
        "env" => {
            let lines = source.lines().filter_map(|line| line.strip_prefix("sops_"));
            from_lines(lines.map(|line| line.split_once('=').unwrap()))
        }
        "ini" => {
            let (_, section) = source.split_once("[sops]\n").unwrap();
            let lines = section.lines().take_while(|line| !line.is_empty());
            from_lines(lines.map(|line| {
                let (name, value) = line.split_once('=').unwrap();
                (name.trim(), value.trim())
            }))
        }
        _ => from_json(&serde_json::from_str::<serde_json::Value>(&source).unwrap()["sops"]),
    }
}

fn from_lines<'a>(lines: impl Iterator<Item = (&'a str, &'a str)>) -> Tree {
    let pairs: Vec<(&str, String)> = lines.map(|(name, v)| (name, flat::from_line(v))).collect();
    flat::unflatten(pairs.iter().map(|(name, value)| (*name, value.as_str()))).unwrap()
}

fn from_json(value: &serde_json::Value) -> Tree {
    match value {
        serde_json::Value::Null => Tree::Null,
        serde_json::Value::Bool(value) => Tree::Bool(*value),
        serde_json::Value::Number(number) => Tree::Int(number.as_i64().unwrap()),
        serde_json::Value::String(text) => Tree::Str(text.clone()),
        serde_json::Value::Array(items) => Tree::List(items.iter().map(from_json).collect()),
        serde_json::Value::Object(entries) => Tree::Map(
            entries
                .iter()
                .map(|(key, value)| (key.clone(), from_json(value)))
                .collect(),
        ),
    }
}

fn from_yaml(value: &yaml_serde::Value) -> Tree {
    match value {
        yaml_serde::Value::Null => Tree::Null,
        yaml_serde::Value::Bool(value) => Tree::Bool(*value),
        yaml_serde::Value::Number(number) => Tree::Int(number.as_i64().unwrap()),
        yaml_serde::Value::String(text) => Tree::Str(text.clone()),
        yaml_serde::Value::Sequence(items) => Tree::List(items.iter().map(from_yaml).collect()),
        yaml_serde::Value::Mapping(entries) => {
            let entry = |(key, value): (&yaml_serde::Value, _)| {
                (key.as_str().unwrap().to_owned(), from_yaml(value))
            };
            Tree::Map(entries.iter().map(entry).collect())
        }
        yaml_serde::Value::Tagged(_) => panic!("a tag in metadata"),
    }
}

/// Files that SOPS wrote; every one of them is metadata of SOPS's own hand.
fn fixtures() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/sops/3.13.2");
    let mut paths = Vec::new();
    for (folder, mark) in [("sealed", ""), ("random", ".sealed.")] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().to_str().unwrap().contains(mark) {
                paths.push(path);
            }
        }
    }
    paths
}

/// Flattened metadata has texts only.
fn texts(tree: &Tree) -> Tree {
    let pairs = flat::flatten(tree);
    flat::unflatten(pairs.iter().map(|(name, value)| (&**name, &**value))).unwrap()
}

#[test]
fn metadata_of_sops_is_written_as_it_was_read() {
    let paths = fixtures();
    assert!(paths.len() > 50, "{}", paths.len());
    for path in paths {
        let tree = metadata_of(&path);
        let metadata = Metadata::read(&tree).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let flat = path
            .extension()
            .is_some_and(|extension| extension == "env" || extension == "ini");
        let written = if flat {
            texts(&metadata.tree())
        } else {
            metadata.tree()
        };
        assert_eq!(written, tree, "{}", path.display());
        assert_eq!(metadata.unknown, []);
    }
}

#[test]
fn damaged_metadata_is_refused_where_sops_refuses_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/sops/3.13.2/tampered");
    let read = |name: &str| Metadata::read(&metadata_of(&folder.join(name)));
    let table = [
        (
            "no-lastmodified.yaml",
            "lastmodified",
            MetadataProblem::Missing,
        ),
        ("no-version.yaml", "version", MetadataProblem::Missing),
        ("no-recipients.yaml", "", MetadataProblem::NoRecipients),
    ];
    for (name, field, problem) in table {
        let error = read(name).unwrap_err();
        assert_eq!((error.field.as_str(), error.problem), (field, problem));
    }
    assert_eq!(read("no-mac.yaml").unwrap().mac, "");
}
