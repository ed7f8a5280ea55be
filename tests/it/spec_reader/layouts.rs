//! Layouts that SOPS never writes and accepts all the same (table 12.1): a layout-preserving writer produces them, and
//! this reader must take them. The files are put together by hand here.

use aes_gcm::aead::consts::U32;
use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::aes::Aes256;
use aes_gcm::{AesGcm, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha512};

use super::{Format, Keys, Reading, accept, hex, read, violations};

const KEY: [u8; 32] = [7; 32];
const STAMP: &str = "2024-01-02T03:04:05Z";
const AGE: &str = "-----BEGIN AGE ENCRYPTED FILE-----\nYQ==\n-----END AGE ENCRYPTED FILE-----\n";

/// A token; the IV is made from the additional data and the plaintext, which is good enough here.
fn seal(aad: &str, kind: &str, plain: &str) -> String {
    let digest = Sha512::digest(format!("{aad}\0{kind}\0{plain}"));
    let iv: [u8; 32] = std::array::from_fn(|index| digest[index]);
    let payload = Payload {
        msg: plain.as_bytes(),
        aad: aad.as_bytes(),
    };
    let cipher = AesGcm::<Aes256, U32>::new(&KEY.into());
    let sealed = cipher.encrypt(&Nonce::<U32>::from(iv), payload).unwrap();
    let (data, tag) = sealed.split_at(plain.len());
    let [data, iv, tag] = [data, &iv[..], tag].map(|bytes| STANDARD.encode(bytes));
    format!("ENC[AES256_GCM,data:{data},iv:{iv},tag:{tag},type:{kind}]")
}

/// Replaces every `{{aad|type|plaintext}}` by its token.
fn fill(template: &str) -> String {
    let mut text = String::new();
    for (index, part) in template.split("{{").enumerate() {
        let Some((hole, rest)) = part.split_once("}}").filter(|_| index > 0) else {
            text += part;
            continue;
        };
        let [aad, kind, plain] = hole.splitn(3, '|').collect::<Vec<_>>()[..] else {
            panic!("{hole}")
        };
        text += &seal(aad, kind, &plain.replace("\\n", "\n"));
        text += rest;
    }
    text
}

fn mac(hashed: &str) -> String {
    seal(STAMP, "str", &hex(&Sha512::digest(hashed)))
}

/// The `sops` entry of a block mapping, indented by `indent` blanks.
fn yaml_block(hashed: &str, indent: usize) -> String {
    let enc = AGE.replace('\n', "\n        ");
    let enc = enc.trim_end();
    let block = format!(
        "sops:\n  age:\n    - enc: |\n        {enc}\n      recipient: age1x\n  lastmodified: \"{STAMP}\"\n  mac: {}\n  version: 3.13.2\n",
        mac(hashed)
    );
    block
        .lines()
        .map(|line| format!("{}{line}\n", " ".repeat(indent)))
        .collect()
}

fn json_member(hashed: &str) -> String {
    format!(
        "\"sops\": {{\"age\": [{{\"enc\": \"{}\", \"recipient\": \"age1x\"}}], \"lastmodified\": \"{STAMP}\", \"mac\": \"{}\", \"version\": \"3.13.2\"}}",
        AGE.replace('\n', "\\n"),
        mac(hashed)
    )
}

fn flat_lines(hashed: &str, prefix: &str, equals: &str) -> String {
    let lines = [
        ("age__list_0__map_enc", AGE.replace('\n', "\\n")),
        ("age__list_0__map_recipient", "age1x".to_owned()),
        ("lastmodified", STAMP.to_owned()),
        ("mac", mac(hashed)),
        ("version", "3.13.2".to_owned()),
    ];
    lines
        .map(|(key, value)| format!("{prefix}{key}{equals}{value}\n"))
        .concat()
}

fn keys() -> Keys {
    Keys::of_data_key(KEY)
}

fn yaml(name: &str, template: &str, hashed: &str, indent: usize) -> Reading {
    let text = fill(template) + &yaml_block(hashed, indent);
    accept(name, &text, Format::Yaml, &keys())
}

#[test]
fn tokens_may_stand_in_every_style() {
    let template = "a: {{a:|str|x}}\nb: '{{b:|str|y}}'\nc: \"{{c:|int|5}}\"\nd: |\n  {{d:|str|l1\\nl2\\n}}\n\
        e: >-   # clear\n    {{e:|bool|True}}\nf: [ '{{f:|str|p}}', '{{f:|str|q}} ', \"{{f:|float|1.5}}\" ]\n\
        g: {h: '{{g:h:|str|z}}', i: null}\nj: &x {{j:|str|k}}\nm: !Ref {{m:|str|r}}\n? n\n: {{n:|str|s}}\n";
    let reading = yaml("styles", template, "xy5l1\nl2\nTruepq1.5zkrs", 0);
    assert!(reading.leaves.iter().all(|leaf| leaf.sealed));
    let kinds: Vec<&str> = reading.leaves.iter().map(|leaf| leaf.kind).collect();
    let expected = [
        "str", "str", "int", "str", "bool", "str", "str", "float", "str", "str", "str", "str",
    ];
    assert_eq!(kinds, expected);
    assert_eq!(reading.blanks, ["g:i:"]);
}

#[test]
fn frames_of_a_document_may_stay() {
    for (name, template, indent) in [
        ("byte order mark", "\u{feff}a: {{a:|str|x}}\n", 0),
        ("directive", "%YAML 1.1\n---\na: {{a:|str|x}}\n", 0),
        ("indented root", "  a: {{a:|str|x}}\n", 2),
        ("document marker", "--- # c\na: {{a:|str|x}}\n", 0),
    ] {
        assert_eq!(yaml(name, template, "x", indent).leaves.len(), 1);
    }
    let crlf = (fill("a: {{a:|str|x}}\nb: |\n  {{b:|str|y\n}}\n") + &yaml_block("xy\n", 0))
        .replace('\n', "\r\n");
    let crlf = crlf.replace("y\r\n", "y\n");
    accept("CRLF", &crlf, Format::Yaml, &keys());
    let unended = fill("a: {{a:|str|x}}\n") + yaml_block("x", 0).trim_end();
    accept("no final newline", &unended, Format::Yaml, &keys());
    let ended = fill("a: {{a:|str|x}}\n") + &yaml_block("x", 0) + "...\n";
    accept("document end", &ended, Format::Yaml, &keys());
    let block = yaml_block("xy", 0);
    let two = fill("a: {{a:|str|x}}\n") + &block + "---\n" + &fill("b: {{b:|str|y}}\n") + &block;
    accept("two documents", &two, Format::Yaml, &keys());
    let flow = fill("{\"a\": \"{{a:|str|x}}\", ") + &json_member("x") + "}\n";
    accept("flow root", &flow, Format::Yaml, &keys());
    accept("the same as JSON", &flow, Format::Json, &keys());
}

#[test]
fn comment_tokens_open_where_they_stand() {
    let template = "#{{:|comment| head}}\na: {{a:|str|x}} #{{:|comment| inline}}\nm: #{{:|comment| on m}}\n  #{{m:|comment| in m}}\n  \
        b: {{m:b:|str|y}}\n  #{{m:|comment| end of m}}\nl:\n  #{{l:|comment| first}}\n  - {{l:|str|z}}\n  #{{l:|comment| last}}\n\
        n:\n  o:\n    p: {{n:o:p:|str|q}}\n  #{{n:o:|comment| erratic}}\n#{{:|comment| tail}}\n# in clear\n";
    let reading = yaml("comments", template, "xyzq", 0);
    let sealed = reading.comments.iter().filter(|comment| comment.sealed);
    let texts: Vec<String> = sealed.map(|c| format!("{}{}", c.aad, c.text)).collect();
    let expected = [
        ": head",
        ": inline",
        ": on m",
        "m: in m",
        "m: end of m",
        "l: first",
        "l: last",
        "n:o: erratic",
        ": tail",
    ];
    assert_eq!(texts, expected);
    let clear: Vec<_> = reading
        .comments
        .iter()
        .filter(|comment| !comment.sealed)
        .collect();
    assert!(clear.len() == 1 && clear[0].due && clear[0].text == " in clear");
}

#[test]
fn clear_values_count_as_go_yaml_reads_the_text_that_is_there() {
    let template = "n_unencrypted:\n  a: 0x1F\n  b: 012\n  c: 08\n  d: 1e3\n  e: 2001-12-14\n  f: &d TRUE\n  g: *d\n  h: |+\n    t\n\n";
    let hashed = "3110810002001-12-14T00:00:00ZTrueTruet\n\n";
    let reading = yaml("clear", template, hashed, 0);
    assert!(reading.leaves.iter().all(|leaf| !leaf.sealed));
    let moved = template.replace("\n\n", "\n");
    let text = moved + &yaml_block(hashed, 0);
    let found = read(&text, Format::Yaml, &keys()).unwrap().mac;
    assert_eq!(
        found,
        Err("MAC mismatch".to_owned()),
        "the blank line belonged to the value"
    );
}

#[test]
fn the_other_formats_keep_their_layout_too() {
    let json = fill("{\"a\":\"{{a:|int|1}}\",\"l\":[\"{{l:|str|x}}\",{\"b\":null}],")
        + &json_member("1x")
        + "}";
    assert_eq!(accept("JSON", &json, Format::Json, &keys()).leaves.len(), 2);
    let env = fill("# clear\n#{{:|comment| c}}\n\nexport A={{export A:|str|\"q\"\r}}\nB=\n");
    let env = env + &flat_lines("\"q\"\r", "sops_", "=");
    let reading = accept("dotenv", &env, Format::Dotenv, &keys());
    assert_eq!(reading.leaves[0].text(), "\"q\"\r");
    let ini = fill(
        "\u{feff}top = {{DEFAULT:top:|str|x}}\n[s]\n; {{s:|comment|note}}\na = \"{{s:a:|str|y}}\"\n\n[sops]\n",
    );
    let ini = ini + &flat_lines("xy", "", " = ");
    assert_eq!(accept("INI", &ini, Format::Ini, &keys()).leaves.len(), 2);
    let binary = fill("{\"data\": \"{{data:|str|bytes}}\", ") + &json_member("bytes") + "}\n";
    assert_eq!(
        accept("binary", &binary, Format::Binary, &keys())
            .leaves
            .len(),
        1
    );
}

#[test]
fn plaintext_that_is_not_canonical_is_reported() {
    let text = fill("a: {{a:|int|007}}\nb: {{b:|float|1e3}}\nc: {{c:|bool|true}}\n")
        + &yaml_block("71000True", 0);
    assert_eq!(violations(&text, Format::Yaml), [""; 0]);
    let reading = read(&text, Format::Yaml, &keys()).unwrap();
    assert_eq!(
        reading.mac,
        Ok(()),
        "the MAC counts the values, not their spelling"
    );
    assert_eq!(reading.faults.len(), 3);
}

#[test]
fn rules_decide_what_must_be_a_token() {
    let rule = |rule: &str, body: &str, hashed: &str| {
        let block = yaml_block(hashed, 0).replace(
            "  lastmodified",
            &format!("  encrypted_regex: {rule}\n  lastmodified"),
        );
        read(&(fill(body) + &block), Format::Yaml, &keys())
    };
    let sealed = "data:\n  a: {{data:a:|str|x}}\nkind: Secret\n";
    assert_eq!(rule("^data$", sealed, "xSecret").unwrap().mac, Ok(()));
    assert!(
        rule("^data$", "data:\n  a: x\n", "x").is_err(),
        "a selected value in clear"
    );
    assert!(rule("^kind$", sealed, "x").is_err());
    assert!(
        rule("^data$", "data:\n  a: 5\n", "5")
            .unwrap_err()
            .contains("but got int")
    );
    let mac = rule("^other$", sealed, "xSecret").unwrap().mac;
    assert!(
        mac.is_err(),
        "a token that is not selected counts as its text"
    );
}

/// Violations that need a hand-made file to show.
#[test]
fn broken_layouts_are_reported() {
    let block = yaml_block("x", 0);
    let of = |template: &str| violations(&(fill(template) + &block), Format::Yaml);
    for (template, rule) in [
        ("a: ' {{a:|str|x}}'\n", "white space before a token at a"),
        (
            "a: |\n  {{a:|str|x}}\n  more\n",
            "a token over several lines at a",
        ),
        (
            "a: \"{{a:|str|x}}\\\n  \"\n",
            "a token over several lines at a",
        ),
        ("a: |+\n  {{a:|str|x}}\n", "`+` chomping on a token at a"),
        ("a: {{a:|str|x}} more\n", "text behind a token at a:"),
        ("a: [{{a:|str|x}}]\n", "cannot be read"),
        ("a: !!int {{a:|str|x}}\n", "cannot be read"),
        ("a: &x {{a:|str|x}}\nb: *x\n", "alias over a token at b"),
        (
            "a: &x {b: '{{a:b:|str|x}}'}\nm:\n  <<: *x\n",
            "alias over a token at m:<<",
        ),
        (
            "# {{:|comment|x}}\na: 1\n",
            "a blank before a comment token",
        ),
        (
            "#{{:|str|x}}\na: 1\n",
            "a comment token of another type at :",
        ),
        ("a: {{a:|comment|x}}\n", "a comment token as a value at a:"),
        (
            "l:\n- {{l:|comment|x}}\n",
            "a comment token as a list item at l:",
        ),
        (
            "a: ENC[AES256_GCM,data:,iv:,tag:,type:str]\n",
            "a token that does not parse at a:",
        ),
        ("%YAML 1.2\n---\na: {{a:|str|x}}\n", "cannot be read"),
    ] {
        let found = of(template);
        assert!(
            found.iter().any(|found| found.starts_with(rule)),
            "{rule:?} not in {found:?}"
        );
    }
    assert_eq!(
        of("l:\n- &x {{l:|str|x}}\n- *x\n"),
        [""; 0],
        "the same additional data"
    );
    assert_eq!(
        of("a: &n\nb: *n\nc: {{c:|str|x}}\n"),
        [""; 0],
        "nothing sealed below the alias"
    );
    let other = yaml_block("y", 0);
    let two = format!("a: 1\n{block}---\nb: 1\n{other}");
    assert_eq!(
        violations(&two, Format::Yaml),
        ["sops entries differ between documents"]
    );
    let grouped = block
        .replace("  age:\n    - enc", "  key_groups:\n  - age:\n    - enc")
        .replace(
            "  lastmodified",
            "    hc_vault: []\n  - age: []\n    hc_vault: []\n  lastmodified",
        )
        .replace("  version", "  shamir_threshold: 2\n  version");
    assert_eq!(violations(&grouped, Format::Yaml), [""; 0]);
    let bare = grouped.replacen("    hc_vault: []\n", "", 1);
    let found = violations(&bare, Format::Yaml);
    assert_eq!(found, ["a key group without its age or hc_vault list"]);
}
