//! The reader proved on files that SOPS 3.13.2 wrote.

use std::fs;
use std::path::{Path, PathBuf};

use super::token::Token;
use super::{Format, Keys, Leaf, Reading, accept, plain, read, unopened, violations};

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/sops/3.13.2")
}

pub(crate) fn text(path: impl AsRef<Path>) -> String {
    let path = folder().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn keys(names: &str) -> Keys {
    let file = |name: &str| {
        let suffix = if name.starts_with("ssh") {
            ""
        } else {
            ".age.txt"
        };
        text(format!("keys/{name}{suffix}"))
    };
    let mut keys = Keys::of_identities(names.split(" + ").map(file));
    keys.passphrase = "correct horse".to_owned();
    keys
}

/// Cases whose only keys are not X25519 or SSH: the `age` crate cannot open them.
const NOT_AGE: [&str; 3] = ["quantum", "pgp-rsa", "pgp-ed25519"];

/// `(name, sealed path, opened path, identities)` of every case that can be read here.
pub(crate) fn cases() -> Vec<(String, String, String, String)> {
    let mut cases = Vec::new();
    for line in text("cases.tsv").lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [case, input, _, identity] = columns[..] else {
            panic!("cases.tsv: {line}")
        };
        if !NOT_AGE.contains(&case) {
            let suffix = input.rsplit_once('.').unwrap().1;
            let identity = identity.split(" (").next().unwrap();
            let name = format!("{case}.{suffix}");
            let (sealed, opened) = (format!("sealed/{name}"), format!("opened/{name}"));
            cases.push((name, sealed, opened, identity.to_owned()));
        }
    }
    for entry in fs::read_dir(folder().join("random")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.contains(".sealed.") {
            let sealed = format!("random/{name}");
            let opened = sealed.replace(".sealed.", ".opened.");
            cases.push((name, sealed, opened, "alice".to_owned()));
        }
    }
    cases
}

fn opened_leaves(path: &str) -> Vec<Leaf> {
    let format = Format::of_path(path);
    if format == Format::Binary {
        let bytes = fs::read(folder().join(path)).unwrap();
        return vec![Leaf {
            aad: "data:".to_owned(),
            kind: "str",
            bytes,
            sealed: false,
        }];
    }
    plain(&text(path), format).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// SOPS prints integral floats without a dot, dotenv and INI know strings only, and JSON has no times: types may differ.
fn pairs(leaves: &[Leaf]) -> Vec<(String, String)> {
    let render = |leaf: &Leaf| match (leaf.kind, leaf.text().as_str()) {
        ("float", "-0") => "0".to_owned(),
        (_, text) => text.to_owned(),
    };
    leaves
        .iter()
        .map(|leaf| (leaf.aad.clone(), render(leaf)))
        .collect()
}

fn read_case(sealed: &str, identity: &str) -> Reading {
    let reading = read(&text(sealed), Format::of_path(sealed), &keys(identity));
    reading.unwrap_or_else(|error| panic!("{sealed}: {error}"))
}

#[test]
fn everything_sops_sealed_reads_and_verifies() {
    let cases = cases();
    assert!(cases.len() > 90, "only {} cases", cases.len());
    for (name, sealed, opened, identity) in cases {
        let reading = read_case(&sealed, &identity);
        assert_eq!(reading.mac, Ok(()), "{name}");
        assert_eq!(reading.faults, [""; 0], "{name}");
        assert_eq!(
            unopened(&reading).len(),
            0,
            "{name}: {:?}",
            unopened(&reading)
        );
        assert_eq!(
            pairs(&reading.leaves),
            pairs(&opened_leaves(&opened)),
            "{name}"
        );
        let same_type = reading.leaves.iter().zip(opened_leaves(&opened));
        for (ours, theirs) in same_type.filter(|(ours, _)| !matches!(ours.kind, "float" | "time")) {
            if matches!(Format::of_path(&name), Format::Yaml | Format::Json) {
                assert_eq!(ours.kind, theirs.kind, "{name} {}", ours.aad);
            }
        }
    }
}

#[test]
fn any_two_shares_open_a_file_and_one_does_not() {
    for pair in ["alice + bob", "carol + alice", "bob + carol"] {
        for suffix in ["yaml", "json", "env", "ini", "txt"] {
            let sealed = format!("sealed/shamir-2-of-3-{suffix}.{suffix}");
            let reading = read_case(&sealed, pair);
            assert_eq!(reading.mac, Ok(()), "{sealed} {pair}");
            assert_eq!(reading.metadata.groups.len(), 3);
        }
    }
    let sealed = text("sealed/shamir-2-of-3-yaml.yaml");
    assert_eq!(
        read(&sealed, Format::Yaml, &keys("alice")).unwrap_err(),
        "only 1 shares recovered"
    );
}

/// What SOPS does and we may not: comment tokens as list items. Everything else in the writer's rules it obeys.
#[test]
fn sops_breaks_only_one_of_the_writers_rules() {
    let mut names: Vec<String> = cases().into_iter().map(|(_, sealed, ..)| sealed).collect();
    names.extend([
        "sealed/quantum.yaml".to_owned(),
        "sealed/pgp-ed25519.json".to_owned(),
    ]);
    for sealed in names {
        let mut found = violations(&text(&sealed), Format::of_path(&sealed));
        found.retain(|violation| !violation.starts_with("a comment token as a list item"));
        assert_eq!(found, [""; 0], "{sealed}");
    }
}

#[test]
fn comments_open_to_what_sops_prints() {
    let reading = read_case("sealed/comments.yaml", "alice");
    let opened = text("opened/comments.yaml");
    let lines: Vec<&str> = opened
        .lines()
        .filter_map(|line| line.trim().strip_prefix('#'))
        .collect();
    let texts: Vec<&str> = reading
        .comments
        .iter()
        .map(|comment| comment.text.as_str())
        .collect();
    assert_eq!(texts, lines);
    assert!(
        reading
            .comments
            .iter()
            .all(|comment| comment.sealed && comment.due)
    );
}

#[test]
fn tampered_files_are_found_out() {
    let alice = keys("alice");
    let verdict = |name: &str| {
        let reading = read(&text(format!("tampered/{name}.yaml")), Format::Yaml, &alice);
        reading.and_then(|reading| reading.mac.map_err(|error| format!("51 {error}")))
    };
    assert_eq!(read_case("sealed/app.yaml", "alice").mac, Ok(()));
    for (name, error) in [
        ("clear-value-changed", "51 MAC mismatch"),
        ("swapped-list-items", "51 MAC mismatch"),
        ("value-removed", "51 MAC mismatch"),
        ("no-mac", "51 no MAC"),
        ("mac-garbage", "51 GCM failure"),
        ("lastmodified-changed", "51 GCM failure"),
        ("tag-flipped", "GCM failure under"),
        ("value-moved-to-other-key", "GCM failure under"),
        (
            "plaintext-where-token-expected",
            "does not match sops' data format",
        ),
        ("no-lastmodified", "lastmodified is not RFC 3339"),
        ("no-version", "version is not a semantic version"),
        ("no-recipients", "No keys found in file"),
        ("truncated", "sops metadata not found"),
        ("conflict-markers", ""),
    ] {
        let found = verdict(name).expect_err(name);
        assert!(found.contains(error), "{name}: {found}");
    }
    let files = fs::read_dir(folder().join("tampered")).unwrap().count();
    assert_eq!(files, 14, "a tampered file without its line above");
}

/// Each writer's rule, broken once in a file that is otherwise in order.
#[test]
fn every_broken_rule_is_reported() {
    let app = text("sealed/app.yaml");
    let token = app
        .split("host: ")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap()
        .to_owned();
    let sealed = Token::parse(&token).unwrap();
    let short_iv = token.replace(&sealed.iv, "AAAAAAAAAAAAAAAA");
    let in_app = |from: &str, to: &str| {
        assert!(app.contains(from), "{from}");
        app.replacen(from, to, 1)
    };
    for (broken, rule) in [
        (in_app(&token, &short_iv), "IV is not 32 bytes"),
        (
            in_app(&token, &token.replace("==,type", "=,type")),
            "tag is not canonical base64",
        ),
        (in_app(&token, &format!("{token} x")), "text behind a token"),
        (
            in_app(&token, &format!("!!int {token}")),
            "cannot be read: cannot decode !!str as a !!int",
        ),
        (
            in_app(&token, &format!("!!binary {token}")),
            "cannot be read: !!binary",
        ),
        (in_app(&token, &format!("{{x: {token}}}")), "cannot be read"),
        (
            in_app(&token, &format!("|+\n      {token}\n")),
            "`+` chomping on a token",
        ),
        (
            in_app(&token, &token.replace("type:str", "type:bytes")),
            "type:bytes may not be written",
        ),
        (
            in_app(&token, &token.replace("type:str", "type:comment")),
            "a comment token as a value",
        ),
        (
            in_app(&token, &format!("&x {token}\nother: *x")),
            "cannot be read",
        ),
        (
            in_app("empty: \"\"", &format!("empty: &x {token}\nother: *x")),
            "alias over a token at other",
        ),
        (in_app("lastmodified: \"", "lastmodified: !x \""), ""),
        (app.clone() + "after: 1\n", "sops is not the last entry"),
        (
            app.clone() + "---\nafter: 1\n",
            "not exactly one sops entry",
        ),
        (
            in_app("mac: ENC", "mac: \"ENC").replacen(
                "type:str]\n    unenc",
                "type:str]\"\n    unenc",
                1,
            ),
            "`mac: ENC[",
        ),
        (in_app("sops:\n", "sops: # ours\n"), "a line `sops:`"),
        (
            in_app("version: 3.13.2", "version: 3.2.9"),
            "version below 3.3.0",
        ),
        (
            in_app("version: 3.13.2", "version: 3.13.2\n    age_x: 1"),
            "is a int where a str belongs",
        ),
        (
            in_app("version: 3.13.2", "version: 3.13.2\n    age_x: a"),
            "metadata keys are not sorted",
        ),
        (
            in_app(
                "          recipient",
                "          created_at: \"2024-01-02T03:04:05Z\"\n          recipient",
            ),
            "created_at on an age key",
        ),
        (
            in_app("FILE-----\n          rec", "FILE-----\n          rec")
                .replacen("enc: |", "enc: |-", 1),
            "without its final newline",
        ),
    ] {
        let found = violations(&broken, Format::Yaml);
        let expected = if rule.is_empty() {
            found.is_empty()
        } else {
            found.iter().any(|f| f.contains(rule))
        };
        assert!(expected, "{rule:?} not in {found:?}");
    }
    let unquoted = regex::Regex::new("lastmodified: \"(.*)\"")
        .unwrap()
        .replace(&app, "lastmodified: $1");
    assert!(
        violations(&unquoted, Format::Yaml)
            .iter()
            .any(|f| f.contains("is a time where a str"))
    );
}

#[test]
fn broken_rules_of_the_other_formats_are_reported() {
    let json = text("sealed/json.json");
    let env = text("sealed/env.env");
    let ini = text("sealed/ini.ini");
    for (broken, format, rule) in [
        (
            json.replace("\": \"", "\":\""),
            Format::Json,
            "Flux does not find",
        ),
        (
            json.replacen("\t\"sops\"", "\t\"sops\": {}, \"sops\"", 1),
            Format::Json,
            "not exactly one sops",
        ),
        (format!("\u{feff}{json}"), Format::Json, "cannot be read"),
        (json.clone() + "{}", Format::Json, "cannot be read"),
        (
            json.clone(),
            Format::Binary,
            "a binary envelope with other members",
        ),
        (
            env.replace("\nsops_version=3.13.2", "\nsops_version=3.13.2\r"),
            Format::Dotenv,
            "CR in a sops_ line",
        ),
        (
            env.clone() + "A=1\n",
            Format::Dotenv,
            "do not stand together",
        ),
        (
            env.replace("sops_mac=", "sops_Mac="),
            Format::Dotenv,
            "Flux does not find `sops_mac=ENC[`",
        ),
        (
            ini.clone() + "[more]\na=1\n",
            Format::Ini,
            "[sops] is not the last section",
        ),
        (
            ini.replace(
                "version                    = 3.13.2",
                "version = \"3.13.2\"",
            ),
            Format::Ini,
            "quotes or comment marks",
        ),
        (
            ini.replace(
                "; ENC",
                "; ENC[AES256_GCM,data:x,iv:x,tag:x,type:comment]\n; ENC",
            ),
            Format::Ini,
            "several comment tokens",
        ),
    ] {
        let found = violations(&broken, format);
        assert!(
            found.iter().any(|f| f.contains(rule)),
            "{rule:?} not in {found:?}"
        );
    }
}

#[test]
fn a_file_in_order_is_accepted() {
    let reading = accept(
        "app",
        &text("sealed/app.yaml"),
        Format::Yaml,
        &keys("alice"),
    );
    let again = Keys::of_data_key(reading.data_key);
    let same = accept("app", &text("sealed/app.yaml"), Format::Yaml, &again);
    assert_eq!(same.leaves, reading.leaves);
    assert!(
        reading
            .leaves
            .iter()
            .any(|leaf| leaf.sealed && leaf.kind == "str")
    );
    assert_eq!(reading.metadata.rule.0, "unencrypted_suffix");
    assert_eq!(reading.metadata.version, "3.13.2");
    assert!(reading.metadata.groups[0][0].recipient.starts_with("age1"));
}

#[test]
fn trees_as_deep_as_allowed_can_be_read() {
    let json = |depth| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    assert_eq!(plain(&json(3_000), Format::Json).unwrap().len(), 1);
    let list = |depth| format!("a: {}1{}\n", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(plain(&list(9_000), Format::Yaml).unwrap().len(), 1);
    assert!(plain(&list(10_001), Format::Yaml).is_err());
}

/// One flipped bit in any token, the MAC's included, is an error or a failed MAC; a lost token is, too.
#[test]
fn no_damaged_token_is_accepted() {
    for (sealed, format) in [
        ("sealed/app.yaml", Format::Yaml),
        ("sealed/json.json", Format::Json),
        ("sealed/env.env", Format::Dotenv),
        ("sealed/ini.ini", Format::Ini),
        ("sealed/note.txt", Format::Binary),
    ] {
        let whole = text(sealed);
        let reading = read(&whole, format, &keys("alice")).unwrap();
        let known = Keys::of_data_key(reading.data_key);
        let comments = reading
            .comments
            .iter()
            .filter(|comment| comment.sealed)
            .count();
        let mut tokens = 0;
        for (at, start) in whole.match_indices("data:") {
            let first = at + start.len();
            let mut damaged = whole.clone();
            let swap = if whole.as_bytes()[first] == b'A' {
                "B"
            } else {
                "A"
            };
            damaged.replace_range(first..=first, swap);
            tokens += 1;
            let accepted = read(&damaged, format, &known)
                .ok()
                .filter(|found| found.mac.is_ok());
            // Comments are outside of the MAC: a damaged one is kept as it stands.
            let is_comment = accepted.as_ref().is_some_and(|found| {
                found
                    .comments
                    .iter()
                    .filter(|comment| comment.sealed)
                    .count()
                    + 1
                    == comments
            });
            assert!(accepted.is_none() || is_comment, "{sealed}: byte {first}");
        }
        assert!(tokens > 1, "{sealed}");
    }
}
