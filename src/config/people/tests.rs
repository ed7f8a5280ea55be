//! Configs as people write them, before and after.

use crate::config::{CannotEdit, Change, Config, Strictness};
use crate::recipient::Recipient;

fn recipients(texts: &[&str]) -> Vec<Recipient> {
    texts
        .iter()
        .map(|text| Recipient::parse(text).unwrap())
        .collect()
}

fn ours(text: &str) -> Change<'_> {
    Change {
        text,
        strictness: Strictness::Strict,
    }
}

fn theirs(text: &str) -> Change<'_> {
    Change {
        text,
        strictness: Strictness::Lenient,
    }
}

fn add(change: Change<'_>, rules: &[usize]) -> String {
    change
        .add("carol", &recipients(&["age1carol"]), rules, None)
        .unwrap()
}

const LISTS: &str = "\
# who can open what
creation_rules:
  - path_regex: ^prod/ # the servers
    age:
      # Alice
      - age1alice
      - age1bob # Bob

  - path_regex: ^test/
    age: age1alice,age1bob
";

#[test]
fn a_name_goes_into_the_map_and_the_rules() {
    assert_eq!(
        add(ours(LISTS), &[1, 2]),
        "\
# who can open what
creation_rules:
  - path_regex: ^prod/ # the servers
    age:
      # Alice
      - age1alice
      - age1bob # Bob
      - carol

  - path_regex: ^test/
    age: age1alice,age1bob,carol

recipients:
  carol: age1carol
"
    );
}

#[test]
fn a_config_of_sops_gets_the_recipient_with_its_name_as_a_comment() {
    assert_eq!(
        add(theirs(LISTS), &[1, 2]),
        "\
# who can open what
creation_rules:
  - path_regex: ^prod/ # the servers
    age:
      # Alice
      - age1alice
      - age1bob # Bob
      - age1carol # carol

  - path_regex: ^test/
    age: age1alice,age1bob,age1carol
"
    );
}

#[test]
fn a_list_that_rules_share_is_added_to_once() {
    let text = "\
recipients:
  alice: age1alice
creation_rules:
  - path_regex: a
    age: &owners
      - alice
  - age: *owners
";
    assert_eq!(
        add(ours(text), &[1, 2]),
        "\
recipients:
  alice: age1alice
  carol: age1carol
creation_rules:
  - path_regex: a
    age: &owners
      - alice
      - carol
  - age: *owners
"
    );
}

#[test]
fn every_way_to_write_a_list_is_kept() {
    let cases = [
        ("age: [age1a]", "age: [age1a, carol]"),
        ("age: []\n    pgp: AB", "age: [carol]\n    pgp: AB"),
        ("age: 'age1a'", "age: 'age1a,carol'"),
        (
            "age: >-\n      age1a,\n      age1b",
            "age: >-\n      age1a,\n      age1b,\n      carol",
        ),
        ("pgp: AB", "pgp: AB\n    recipients: carol"),
        (
            "recipients: age1a\n    age: age1b",
            "recipients: age1a,carol\n    age: age1b",
        ),
    ];
    for (before, after) in cases {
        let text = format!("creation_rules:\n  - path_regex: x\n    {before}\n");
        let want = format!(
            "creation_rules:\n  - path_regex: x\n    {after}\n\nrecipients:\n  carol: age1carol\n"
        );
        assert_eq!(add(ours(&text), &[1]), want);
    }
}

#[test]
fn a_person_with_a_further_key_has_a_list() {
    let text = "recipients:\n  carol: age1old # laptop\ncreation_rules:\n  - age: carol\n";
    let added = ours(text)
        .add("carol", &recipients(&["age1carol"]), &[1], None)
        .unwrap();
    assert_eq!(
        added,
        "recipients:\n  carol: [age1old, age1carol] # laptop\ncreation_rules:\n  - age: carol\n"
    );
    let again = ours(&added)
        .add("carol", &recipients(&["age1carol"]), &[1], None)
        .unwrap();
    assert_eq!(again, added, "done twice it changes nothing");
}

#[test]
fn a_group_has_to_be_named_where_there_are_several() {
    let text = "\
creation_rules:
  - shamir_threshold: 2
    key_groups:
      - age:
          - age1a
      - pgp:
          - AB
";
    let carol = recipients(&["age1carol"]);
    assert_eq!(
        ours(text).add("carol", &carol, &[1], None),
        Err(CannotEdit::SeveralGroups { rule: 1, groups: 2 })
    );
    assert_eq!(
        ours(text).add("carol", &carol, &[1], Some(3)),
        Err(CannotEdit::NoGroup { rule: 1, group: 3 })
    );
    assert_eq!(
        theirs(text).add("carol", &carol, &[1], Some(2)).unwrap(),
        format!("{text}        age: age1carol # carol\n")
    );
}

#[test]
fn whoever_goes_goes_everywhere() {
    let text = "\
recipients:
  alice: age1alice
  bob: [age1bob, age1bob2]
keys:
  - &carol age1carol
  - &dave age1dave
creation_rules:
  - path_regex: a
    age: alice, bob , age1bob
  - path_regex: b
    age:
      # Alice
      - age1alice
      # bob
      - age1bob
      - *carol
      - age1bob2 # old
      - *dave
  - path_regex: c
    age: [age1bob, alice, age1bob2]
    pgp:
      - AB
  - path_regex: d
    key_groups:
      - age: [age1bob, age1alice]
        kms:
          - arn: arn:aws:kms:us-east-1:1:key/k
            context:
              app: shop
          - arn: arn:aws:kms:us-east-1:1:key/other
";
    let mut gone = recipients(&["age1bob", "age1bob2", "age1dave"]);
    gone.push(Recipient::Kms {
        arn: "arn:aws:kms:us-east-1:1:key/k".into(),
        role: String::new(),
        context: vec![("app".into(), "shop".into())],
        aws_profile: String::new(),
    });
    assert_eq!(
        ours(text).remove(&gone).unwrap(),
        "\
recipients:
  alice: age1alice
keys:
  - &carol age1carol
creation_rules:
  - path_regex: a
    age: alice
  - path_regex: b
    age:
      # Alice
      - age1alice
      - *carol
  - path_regex: c
    age: [alice]
    pgp:
      - AB
  - path_regex: d
    key_groups:
      - age: [age1alice]
        kms:
          - arn: arn:aws:kms:us-east-1:1:key/other
"
    );
}

#[test]
fn an_empty_list_goes_with_its_field() {
    let text = "\
recipients:
  bob: age1bob
creation_rules:
  - path_regex: a
    age:
      - bob
    pgp: AB
  - path_regex: b
    pgp: AB
    age: age1bob
";
    assert_eq!(
        ours(text).remove(&recipients(&["age1bob"])).unwrap(),
        "creation_rules:\n  - path_regex: a\n    pgp: AB\n  - path_regex: b\n    pgp: AB\n"
    );
}

#[test]
fn texts_with_commas_keep_their_lines() {
    let text = "creation_rules:\n  - age: >-\n      age1a,\n      age1bob,\n      age1c\n";
    assert_eq!(
        theirs(text).remove(&recipients(&["age1bob"])).unwrap(),
        "creation_rules:\n  - age: >-\n      age1a,\n      age1c\n"
    );
    assert_eq!(
        theirs(text).remove(&recipients(&["age1a"])).unwrap(),
        "creation_rules:\n  - age: >-\n      age1bob,\n      age1c\n"
    );
    assert_eq!(
        theirs(text).remove(&recipients(&["age1c"])).unwrap(),
        "creation_rules:\n  - age: >-\n      age1a,\n      age1bob\n"
    );
}

#[test]
fn nobody_left_is_refused() {
    let text = "creation_rules:\n  - age: age1bob\n  - age: age1bob,age1a\n";
    assert_eq!(
        theirs(text).remove(&recipients(&["age1bob"])),
        Err(CannotEdit::NobodyLeft { rule: 1 })
    );
}

#[test]
fn adding_and_removing_gives_the_text_back() {
    for text in [
        LISTS,
        "recipients:\n  a: age1a\ncreation_rules:\n  - recipients: [a]\n",
        "recipients: {a: age1a}\ncreation_rules: [{age: [a]}]\n",
        "creation_rules:\r\n  - age:\r\n      - age1a\r\n",
        "creation_rules:\n  - age:\n    - age1a",
    ] {
        for change in [ours(text), theirs(text)] {
            let carol = recipients(&["ssh-ed25519 AAAA carol@host"]);
            let added = change.add("carol", &carol, &[1], None).unwrap();
            let (config, _) = Config::parse(&added, change.strictness).unwrap();
            assert!(
                config
                    .group(1, 0)
                    .unwrap()
                    .as_ref()
                    .unwrap()
                    .contains(&carol[0])
            );
            let back = Change {
                text: &added,
                ..change
            }
            .remove(&carol)
            .unwrap();
            assert_eq!(back.trim_end(), text.trim_end(), "{added}");
        }
    }
}

#[test]
fn a_key_that_is_given_twice_is_added_once() {
    let twice = recipients(&["age1carol", "age1carol"]);
    for change in [ours(LISTS), theirs(LISTS)] {
        let once = add(change, &[1]);
        assert_eq!(change.add("carol", &twice, &[1], None).unwrap(), once);
    }
}

#[test]
fn what_could_be_taken_for_something_else_is_no_name() {
    let long = "a".repeat(61);
    for name in ["", "a, b", "a\n    pgp: x", "age1x", "#a", long.as_str()] {
        for change in [ours(LISTS), theirs(LISTS)] {
            let added = change.add(name, &recipients(&["age1carol"]), &[1], None);
            assert_eq!(added, Err(CannotEdit::Name), "{name}");
        }
    }
}

#[test]
fn several_keys_make_one_field_of_each_kind() {
    let text = "creation_rules:\n  - kms: arn:aws:kms:eu-west-1:1:key/x\n    encrypted_regex: ^x\n";
    let all = recipients(&[
        "age1carol",
        "age1other",
        "85D77543B3D624B63CEA9E6DBC17301B491B3F21",
    ]);
    assert_eq!(
        theirs(text).add("carol", &all, &[1], None).unwrap(),
        format!(
            "{text}    age: 'age1carol,age1other' # carol\n    pgp: '85D77543B3D624B63CEA9E6DBC17301B491B3F21' # carol\n"
        )
    );
}
