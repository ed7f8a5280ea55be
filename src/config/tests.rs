//! Configs as people write them: every line of the schema, and what the rules answer.

use super::{Config, ConfigError, Destination, JsonIndent, Matched, Stores, Strictness, Warning};
use crate::recipient::Recipient;
use crate::selection::{RuleKind, Selection};
use crate::span::Position;

fn strict(text: &str) -> Config {
    let (config, warnings) = Config::parse(text, Strictness::Strict).unwrap();
    assert_eq!(warnings, []);
    config
}

fn refused(text: &str) -> String {
    Config::parse(text, Strictness::Strict)
        .unwrap_err()
        .to_string()
}

/// What a config with this single rule says.
fn rule(fields: &str) -> Result<Matched, ConfigError> {
    let text = format!("creation_rules:\n  - {}\n", fields.replace('\n', "\n    "));
    Config::parse(&text, Strictness::Strict)?.0.rule_for("x")
}

fn identities(matched: &Matched) -> Vec<Vec<String>> {
    matched
        .groups
        .iter()
        .map(|group| group.iter().map(Recipient::identity).collect())
        .collect()
}

const ARN: &str = "arn:aws:kms:us-east-1:1:key/k";
const GCP: &str = "projects/p/locations/l/keyRings/r/cryptoKeys/k";

#[test]
fn flat_fields_make_one_group_in_a_fixed_order() {
    let fields = format!(
        "hc_vault_transit_uri: https://v/v1/transit/keys/a\n\
         azure_keyvault: https://a.vault.azure.net/keys/k/1\n\
         hckms: ['r:u']\n\
         gcp_kms: {GCP}\n\
         kms: {ARN}+arn:aws:iam::1:role/r\n\
         aws_profile: dev\n\
         pgp: AB CD, EF\n\
         age: age1a, age1b\n"
    );
    let matched = rule(&fields).unwrap();
    assert_eq!(
        identities(&matched),
        [[
            "age1a",
            "age1b",
            "ABCD",
            "EF",
            &format!("{ARN}+arn:aws:iam::1:role/r||dev"),
            GCP,
            "r:u",
            "https://a.vault.azure.net/keys/k/1",
            "https://v/v1/transit/keys/a"
        ]]
    );
    assert_eq!(matched.shamir_threshold, 0);
    assert_eq!(matched.selection, Selection::default());
}

#[test]
fn every_flat_field_takes_a_list_whose_items_may_hold_several_keys() {
    let fields = format!(
        "age: ['age1a,age1b', ' age1c ']\n\
         pgp: [A, 'B,C']\n\
         kms: ['{ARN}']\n\
         gcp_kms: ['{GCP}']\n\
         azure_keyvault: ['https://a/keys/k']\n\
         hc_vault_transit_uri: ['https://v/v1/t/keys/a']\n"
    );
    let matched = rule(&fields).unwrap();
    assert_eq!(
        identities(&matched),
        [[
            "age1a",
            "age1b",
            "age1c",
            "A",
            "B",
            "C",
            ARN,
            GCP,
            "https://a/keys/k/",
            "https://v/v1/t/keys/a"
        ]]
    );
}

#[test]
fn duplicates_are_removed_and_the_first_stays() {
    assert_eq!(
        identities(&rule("age: age1b,age1a,age1b").unwrap()),
        [["age1b", "age1a"]]
    );
}

#[test]
fn key_groups_say_everything_about_their_keys() {
    let fields = format!(
        "shamir_threshold: 2\n\
         key_groups:\n\
         - age: [age1a]\n  \
           pgp: [AB]\n  \
           kms:\n  \
           - arn: {ARN}\n    \
             role: arn:role\n    \
             context: {{b: x, a: 1, n: null}}\n    \
             aws_profile: p\n\
         - gcp_kms: [{{resource_id: {GCP}}}]\n  \
           hckms: [{{key_id: 'r:u'}}]\n  \
           azure_keyvault: [{{vaultUrl: 'https://a', key: k, version: ''}}]\n  \
           hc_vault: ['https://v/v1/t/keys/a']\n"
    );
    let matched = rule(&fields).unwrap();
    assert_eq!(matched.shamir_threshold, 2);
    let kms = format!("{ARN}+arn:role|a:1,b:x|p");
    let second = vec![GCP, "r:u", "https://a/keys/k/", "https://v/v1/t/keys/a"];
    assert_eq!(identities(&matched), [vec!["age1a", "AB", &kms], second]);
}

#[test]
fn merged_groups_come_first() {
    let fields = "key_groups:\n\
                  - age: [age1a, age1c]\n  \
                    merge:\n  \
                    - pgp: [AB]\n  \
                    - age: [age1b, age1a]\n    \
                      merge: [{age: [age1z]}]\n";
    assert_eq!(
        identities(&rule(fields).unwrap()),
        [["AB", "age1z", "age1b", "age1a", "age1c"]]
    );
}

#[test]
fn key_groups_hide_the_flat_fields() {
    let text = "creation_rules: [{age: age1x, key_groups: [{age: [age1a]}]}]";
    let (config, warnings) = Config::parse(text, Strictness::Strict).unwrap();
    assert_eq!(identities(&config.rule_for("x").unwrap()), [["age1a"]]);
    assert_eq!(
        warnings,
        [Warning::HiddenKeys {
            field: "creation_rules[0]".to_owned()
        }]
    );
    assert_eq!(
        identities(&rule("key_groups: []\nage: age1x").unwrap()),
        [["age1x"]]
    );
}

#[test]
fn a_rule_without_keys_gives_an_empty_group() {
    assert_eq!(rule("path_regex: ''").unwrap().groups, [Vec::new()]);
    assert_eq!(rule("age: ' , '").unwrap().groups, [Vec::new()]);
}

#[test]
fn what_is_no_recipient_is_an_error_of_its_rule() {
    let table = [
        ("age: age1a,b", "creation_rules[0].age"),
        ("age: [age1a, '']", "creation_rules[0].age[1]"),
        ("kms: arn:x", "creation_rules[0].kms"),
        ("hckms: [x]", "creation_rules[0].hckms[0]"),
        (
            "key_groups: [{}, {gcp_kms: [{resource_id: x}]}]",
            "creation_rules[0].key_groups[1].gcp_kms[0]",
        ),
        (
            "key_groups: [{azure_keyvault: [{vaultUrl: x, key: k}]}]",
            "creation_rules[0].key_groups[0].azure_keyvault[0]",
        ),
    ];
    for (fields, expected) in table {
        match rule(fields).unwrap_err() {
            ConfigError::Recipient { field, .. } => assert_eq!(field, expected),
            other => panic!("{other}"),
        }
    }
    let other_rule = "creation_rules: [{path_regex: a, age: age1a}, {age: nonsense}]";
    assert!(strict(other_rule).rule_for("a").is_ok());
    assert!(strict(other_rule).rule_for("b").is_err());
}

#[test]
fn a_pasted_private_key_is_not_repeated() {
    let error = rule("age: AGE-SECRET-KEY-1CANARY").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("CANARY"));
}

#[test]
fn values_of_the_wrong_type_are_refused() {
    let table = [
        ("creation_rules: 1", "`creation_rules` must be a list"),
        (
            "creation_rules: [x]",
            "`creation_rules[0]` must be a mapping",
        ),
        (
            "creation_rules: [{age: 1}]",
            "`creation_rules[0].age` must be a string or a list of strings",
        ),
        (
            "creation_rules: [{pgp: [1]}]",
            "`creation_rules[0].pgp[0]` must be a string",
        ),
        (
            "creation_rules: [{hckms: 'r:u'}]",
            "`creation_rules[0].hckms` must be a list",
        ),
        (
            "creation_rules: [{path_regex: []}]",
            "`creation_rules[0].path_regex` must be a string",
        ),
        (
            "creation_rules: [{shamir_threshold: -1}]",
            "`creation_rules[0].shamir_threshold` must be a number from 0",
        ),
        (
            "creation_rules: [{mac_only_encrypted: 'true'}]",
            "`creation_rules[0].mac_only_encrypted` must be true or false",
        ),
        ("- 1", "`` must be a mapping"),
        (
            "stores: {yaml: {indent: -2}}",
            "`stores.yaml.indent` must be a number from 0",
        ),
        (
            "stores: {json: {indent: -2}}",
            "`stores.json.indent` must be a number from 0",
        ),
    ];
    for (text, message) in table {
        assert_eq!(refused(text), message);
    }
}

#[test]
fn every_selection_field_is_read() {
    for kind in RuleKind::ALL {
        let matched = rule(&format!("{}: x\nmac_only_encrypted: true", kind.name())).unwrap();
        let expected = Selection::strict(kind, "x")
            .unwrap()
            .with_mac_only_encrypted(true);
        assert_eq!(matched.selection, expected);
    }
    let empty = rule("encrypted_regex: ''\nunencrypted_suffix: x").unwrap();
    assert_eq!(empty.selection.describe(), "unencrypted_suffix: x");
}

#[test]
fn only_one_selection_field_is_allowed_and_it_must_compile() {
    assert_eq!(
        rule("encrypted_regex: a\nunencrypted_suffix: b")
            .unwrap_err()
            .to_string(),
        "rule 1 has both `encrypted_regex` and `unencrypted_suffix`; only one is allowed"
    );
    assert_eq!(
        rule("encrypted_regex: 'a(b'").unwrap_err().to_string(),
        "rule 1: `encrypted_regex`: invalid regular expression `a(b`: missing closing `)` (at byte 1)"
    );
}

#[test]
fn the_first_matching_rule_wins() {
    let config = strict(
        r"
creation_rules:
  - path_regex: ^prod/.*\.yaml$
    age: age1prod
  - path_regex: \.yaml
    age: age1yaml
  - age: age1rest
  - path_regex: '('
",
    );
    let matched = |path| config.rule_for(path).unwrap();
    assert_eq!(identities(&matched("prod/a.yaml")), [["age1prod"]]);
    assert_eq!(identities(&matched("dev/prod/a.yaml.bak")), [["age1yaml"]]);
    assert_eq!(identities(&matched("prod/a.json")), [["age1rest"]]);
    assert_eq!(matched("a.yaml").rule, 2);
}

#[test]
fn no_match_says_what_was_tested() {
    let config = strict("creation_rules: [{path_regex: ^a}, {path_regex: b$}]");
    assert_eq!(
        config.rule_for("x/a"),
        Err(ConfigError::NoMatch {
            path: "x/a".to_owned(),
            patterns: vec!["^a".to_owned(), "b$".to_owned()]
        })
    );
}

#[test]
fn an_invalid_path_regex_is_an_error_when_it_is_reached() {
    let config = strict("creation_rules: [{path_regex: a, age: age1a}, {path_regex: '(?=b)'}]");
    assert!(config.rule_for("a").is_ok());
    assert_eq!(
        config.rule_for("b").unwrap_err().to_string(),
        "rule 2: `path_regex`: invalid regular expression `(?=b)`: invalid or unsupported `(?…)` (at byte 0)"
    );
}

#[test]
fn missing_rules_are_not_an_empty_list_of_rules() {
    for text in [
        "",
        "# nothing",
        "creation_rules:",
        "creation_rules: null",
        "stores: {}",
    ] {
        let config = strict(text);
        assert!(!config.has_creation_rules(), "{text}");
        assert_eq!(config.rule_for("x"), Err(ConfigError::NoCreationRules));
    }
    let config = strict("creation_rules: []");
    assert!(config.has_creation_rules());
    assert!(matches!(
        config.rule_for("x"),
        Err(ConfigError::NoMatch { .. })
    ));
}

#[test]
fn unknown_keys_are_errors_in_one_file_and_warnings_in_the_other() {
    let table = [
        (
            "creation_rule: []",
            "unknown key `creation_rule`; did you mean `creation_rules`?",
        ),
        (
            "creation_rules: [{path_regexp: x}]",
            "unknown key `creation_rules[0].path_regexp`; did you mean `path_regex`?",
        ),
        (
            "creation_rules: [{key_groups: [{azure_kv: []}]}]",
            "unknown key `creation_rules[0].key_groups[0].azure_kv`",
        ),
        (
            "creation_rules: [{key_groups: [{kms: [{ran: x}]}]}]",
            "unknown key `creation_rules[0].key_groups[0].kms[0].ran`",
        ),
        (
            "destination_rules: [{recreation_rule: {ages: x}}]",
            "unknown key `destination_rules[0].recreation_rule.ages`; did you mean `age`?",
        ),
        ("stores: {yml: {}}", "unknown key `stores.yml`"),
        (
            "stores: {ini: {indent: 2}}",
            "unknown key `stores.ini.indent`",
        ),
    ];
    for (text, message) in table {
        assert!(refused(text).starts_with(message), "{}", refused(text));
        let lenient = Config::parse(text, Strictness::Lenient);
        let warnings = match lenient {
            Ok((_, warnings)) => warnings,
            Err(error) => panic!("{text}: {error}"),
        };
        assert_eq!(warnings.len(), 1, "{text}");
        assert_eq!(warnings[0].to_string(), refused(text));
    }
}

#[test]
fn many_unknown_keys_are_reported_in_reasonable_time() {
    let text: String = (0..50_000)
        .map(|number| format!("unknown-key-{number}: 1\n"))
        .collect();
    let (_, warnings) = Config::parse(&text, Strictness::Lenient).unwrap();
    assert_eq!(warnings.len(), 50_000);
}

#[test]
fn there_are_not_endless_rules() {
    let text = format!("creation_rules:\n{}", "- {}\n".repeat(2_001));
    assert_eq!(
        refused(&text),
        "`creation_rules` must be a list of at most 2,000 rules"
    );
}

#[test]
fn keys_for_anchors_are_known() {
    let text = "keys: [&a age1a]\nx-more: &b age1b\ncreation_rules: [{age: [*a, *b]}]";
    assert_eq!(
        identities(&strict(text).rule_for("x").unwrap()),
        [["age1a", "age1b"]]
    );
}

#[test]
fn duplicate_keys_are_errors_in_both_files() {
    let text = "creation_rules:\n  - age: age1a\n    age: age1b\n";
    for strictness in [Strictness::Strict, Strictness::Lenient] {
        match Config::parse(text, strictness) {
            Err(ConfigError::Syntax {
                position: Some(position),
                message,
            }) => {
                assert_eq!(position, Position { line: 3, column: 5 });
                assert!(message.contains("`age` stands here twice"), "{message}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn stores_are_read() {
    assert_eq!(strict("").stores(), Stores::default());
    assert_eq!(
        strict("stores: {yaml: {indent: 0}, json: {indent: -1}}").stores(),
        Stores::default()
    );
    let text = "stores: {yaml: {indent: 2}, json: {indent: 0}, json_binary: {indent: 3}, dotenv: {}, ini: }";
    let stores = Stores {
        yaml_indent: 2,
        json_indent: JsonIndent::Blanks(0),
        json_binary_indent: JsonIndent::Blanks(3),
    };
    assert_eq!(strict(text).stores(), stores);
}

#[test]
fn destinations_are_read() {
    let config = strict(
        r"
destination_rules:
  - path_regex: '('
    s3_bucket: never
  - path_regex: s3/
    s3_bucket: b
    s3_prefix: p/
    omit_extensions: true
  - path_regex: gcs/
    gcs_bucket: b
    recreation_rule:
      pgp: AB
      encrypted_regex: x
  - path_regex: vault1/
    vault_path: p
    vault_address: https://v
    vault_kv_mount_name: kv/
    vault_kv_version: 1
  - path_regex: vault/
    vault_path: p
    vault_kv_version: 7
  - path_regex: both/
    s3_bucket: a
    gcs_bucket: b
  - path_regex: none/
",
    );
    let found = |path| config.destination_for(path).unwrap();
    let s3 = found("./s3/x");
    assert_eq!(
        s3.destination,
        Destination::S3 {
            bucket: "b".into(),
            prefix: "p/".into()
        }
    );
    assert!(s3.omit_extensions && s3.recreation.is_none());
    let gcs = found("gcs/x");
    assert_eq!(
        gcs.destination,
        Destination::Gcs {
            bucket: "b".into(),
            prefix: String::new()
        }
    );
    let recreation = gcs.recreation.unwrap();
    assert_eq!(identities(&recreation), [["AB"]]);
    assert_eq!(recreation.selection.describe(), "encrypted_regex: x");
    let vault = |address: &str, mount: &str, version| Destination::Vault {
        path: "p".into(),
        address: address.into(),
        mount: mount.into(),
        version,
    };
    assert_eq!(found("vault1/x").destination, vault("https://v", "kv/", 1));
    assert_eq!(found("vault/x").destination, vault("", "secret/", 2));
    let error = |path| config.destination_for(path).unwrap_err();
    assert_eq!(
        error("both/x"),
        ConfigError::Destinations { rule: 6, found: 2 }
    );
    assert_eq!(
        error("none/x"),
        ConfigError::Destinations { rule: 7, found: 0 }
    );
    assert_eq!(
        error("else"),
        ConfigError::NoDestination {
            path: "else".into()
        }
    );
}

#[test]
fn the_example_is_a_strict_config_and_shows_every_key() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let example = std::fs::read_to_string(root.join(".sops-rs.yaml.example")).unwrap();
    let config = strict(&example);
    assert_eq!(config.rule_for("prod/db.yaml").unwrap().groups.len(), 2);
    assert!(
        config
            .rule_for("anything.env")
            .unwrap()
            .groups
            .iter()
            .any(|group| !group.is_empty())
    );
    assert!(config.destination_for("publish/a.yaml").is_ok());
    let keys = [
        "path_regex",
        "key_groups",
        "merge",
        "recipients",
        "age",
        "pgp",
        "kms",
        "arn",
        "role",
        "context",
        "aws_profile",
        "gcp_kms",
        "resource_id",
        "hckms",
        "key_id",
        "azure_keyvault",
        "vaultUrl",
        "key",
        "version",
        "hc_vault",
        "shamir_threshold",
        "hc_vault_transit_uri",
        "mac_only_encrypted",
        "s3_bucket",
        "s3_prefix",
        "gcs_bucket",
        "gcs_prefix",
        "vault_path",
        "vault_address",
        "vault_kv_mount_name",
        "vault_kv_version",
        "omit_extensions",
        "recreation_rule",
        "indent",
        "yaml",
        "json",
        "json_binary",
        "dotenv",
        "ini",
    ];
    for key in keys.into_iter().chain(RuleKind::ALL.map(RuleKind::name)) {
        let explained = example.lines().any(|line| {
            let entry = line.trim_start_matches([' ', '#', '-']);
            entry.starts_with(&format!("{key}:"))
        });
        assert!(explained, "{key}");
    }
}

const PEOPLE: &str = "\
recipients:
  alice: age1alice
  bob: [age1bob, 'ssh-ed25519 AAAA bob@host']
  vault key: arn:aws:kms:us-east-1:1:key/k
keys:
  - &carol age1carol
creation_rules:
  - path_regex: ^flat
    age: alice, bob
  - path_regex: ^any
    recipients: [vault key, alice]
    age:
      - age1dave # Dave at home
      # Erin
      - age1erin

      # the next ones are old

      - age1frank
      - *carol
  - path_regex: ^groups
    key_groups:
      - recipients: [alice]
        age: [bob]
      - kms:
          - arn: arn:aws:kms:us-east-1:1:key/other # spare
            aws_profile: x
  - path_regex: ^wrong
    pgp: alice
";

#[test]
fn names_stand_for_recipients_in_rules() {
    let config = strict(PEOPLE);
    let of = |path| identities(&config.rule_for(path).unwrap());
    let bob = ["age1bob", "ssh-ed25519 AAAA bob@host"];
    assert_eq!(of("flat"), [["age1alice", bob[0], bob[1]]]);
    let arn = "arn:aws:kms:us-east-1:1:key/k";
    assert_eq!(
        of("any"),
        [[
            arn,
            "age1alice",
            "age1dave",
            "age1erin",
            "age1frank",
            "age1carol"
        ]]
    );
    assert_eq!(
        of("groups"),
        [
            vec!["age1alice", bob[0], bob[1]],
            vec!["arn:aws:kms:us-east-1:1:key/other||x"]
        ]
    );
    assert_eq!(
        config.rule_for("wrong").unwrap_err().to_string(),
        "`creation_rules[3].pgp`: `alice` is a key of type age; put the name under `recipients`"
    );
}

#[test]
fn comments_and_anchors_beside_recipients_name_them_too() {
    let config = strict(PEOPLE);
    let name = |text: &str| config.name_of(&Recipient::parse(text).unwrap());
    assert_eq!(name("age1alice"), Some("alice"));
    assert_eq!(name("ssh-ed25519 AAAA bob@host"), Some("bob"));
    assert_eq!(name("age1carol"), Some("carol"));
    assert_eq!(name("age1dave"), Some("Dave at home"));
    assert_eq!(name("age1erin"), Some("Erin"));
    assert_eq!(name("age1frank"), None);
    let groups = config.rule_for("groups").unwrap().groups;
    assert_eq!(config.name_of(&groups[1][0]), Some("spare"));
    let called = |name: &str| -> Vec<String> {
        config
            .called(name)
            .iter()
            .map(Recipient::identity)
            .collect()
    };
    assert_eq!(called("bob"), ["age1bob", "ssh-ed25519 AAAA bob@host"]);
    assert_eq!(called("Erin"), ["age1erin"]);
    assert_eq!(called("nobody"), [""; 0]);
}

#[test]
fn a_name_is_no_recipient() {
    for bad in [
        "age1x",
        "-x",
        "'a,b'",
        "'a:b'",
        "' a'",
        "''",
        "arn:aws:kms:r:1:key/k",
    ] {
        let text = format!("recipients:\n  {bad}: age1x\n");
        assert!(
            refused(&text).contains("a name begins with a letter"),
            "{bad}"
        );
    }
    assert_eq!(
        refused("recipients:\n  alice: bob\n"),
        "`recipients.alice`: invalid recipient: it has the form of no key that is known"
    );
    assert!(
        !refused("recipients:\n  alice: AGE-SECRET-KEY-1CANARY\n").contains("CANARY"),
        "a private key is not repeated"
    );
}
