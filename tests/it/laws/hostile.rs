//! Law 5: documents that somebody made to do harm are read or refused, soon.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use sops_rs::document::{Document, Step};
use sops_rs::format::{Format, MAX_DEPTH};
use sops_rs::node::ScanError;
use sops_rs::ops::change::json::JsonValue;
use sops_rs::ops::change::{Action, change};
use sops_rs::ops::merge::plaintext::{Base, merge};
use sops_rs::pointer::Pointer;
use sops_rs::selection::RuleKind;

use crate::fuzz::roundtrip::{Counter, Rule, metadata, open, roundtrip, seal};

/// Far more than any of these takes without optimisation on a slow machine, far less than a quadratic cost would.
const SOON: Duration = Duration::from_secs(20);

fn soon<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    assert!(start.elapsed() < SOON, "{what} took {:?}", start.elapsed());
    result
}

/// Whether the text can be read and walked to its end.
fn is_read(format: Format, text: &str) -> Result<(), ScanError> {
    soon("reading", || {
        Document::parse(format, text)?.walk(|_: Step<'_>| Ok(()))
    })
}

/// `depth` containers in each other, the outermost a mapping.
fn nested(format: Format, depth: usize) -> String {
    let inside = depth - 1;
    match format {
        Format::Json => format!("{{\"a\": {}1{}}}", "[".repeat(inside), "]".repeat(inside)),
        _ => format!("a: {}1{}\n", "[".repeat(inside), "]".repeat(inside)),
    }
}

#[test]
fn nesting_is_read_up_to_its_limit_and_refused_beyond() {
    for format in [Format::Yaml, Format::Json] {
        is_read(format, &nested(format, MAX_DEPTH - 1)).unwrap();
        let error = is_read(format, &nested(format, MAX_DEPTH + 1)).unwrap_err();
        assert!(error.message.contains("nest"), "{error}");
        is_read(format, &nested(format, 300_000)).unwrap_err();
    }
    let mappings = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    for format in [Format::Yaml, Format::Json] {
        is_read(format, &mappings(MAX_DEPTH - 1)).unwrap();
        is_read(format, &mappings(MAX_DEPTH + 1)).unwrap_err();
    }
}

/// Blocks on one line: every dash opens a list.
#[test]
fn nested_blocks_of_yaml_are_read_up_to_the_limit_and_refused_beyond() {
    let dashes = |depth: usize| format!("a:\n {}1\n", "- ".repeat(depth - 1));
    is_read(Format::Yaml, &dashes(MAX_DEPTH - 1)).unwrap();
    let error = is_read(Format::Yaml, &dashes(MAX_DEPTH + 1)).unwrap_err();
    assert!(error.message.contains("nest"), "{error}");
}

#[test]
fn deep_documents_are_sealed_and_opened() {
    let text = nested(Format::Json, 5000);
    soon("sealing", || roundtrip(Format::Json, None, false, &text));
    let text = nested(Format::Yaml, 5000);
    soon("sealing", || roundtrip(Format::Yaml, None, false, &text));
}

/// One value of 1 MB in every format and every kind of quotes.
#[test]
fn a_value_of_a_megabyte_comes_back() {
    let long = "0123456789 abcdef ".repeat(60_000);
    let long = long.trim_end();
    let block: String = long
        .as_bytes()
        .chunks(70)
        .fold(String::new(), |mut text, line| {
            let _ = writeln!(text, "  x{}", String::from_utf8_lossy(line).trim_end());
            text
        });
    for (format, text) in [
        (Format::Yaml, format!("a: \"{long}\"\n")),
        (Format::Yaml, format!("a: |\n{block}b: 1\n")),
        (Format::Json, format!("{{\"a\": \"{long}\"}}")),
        (Format::Dotenv, format!("A={long}\n")),
        (Format::Ini, format!("[a]\nb = \"\"\"{block}\"\"\"\n")),
        (Format::Toml, format!("a = \"{long}\"\n")),
        (Format::Toml, format!("a = \"\"\"\n{block}\"\"\"\n")),
    ] {
        soon(format.name(), || comes_back(format, None, &text));
    }
}

fn comes_back(format: Format, rule: Rule<'_>, text: &str) {
    let mut metadata = metadata(rule, false);
    let sealed =
        seal(format, text, &mut metadata, &mut Counter::default()).expect("it can be sealed");
    assert!(
        *open(format, &sealed.text, &metadata).text == text,
        "another text came back"
    );
}

#[test]
fn a_hundred_thousand_keys_come_back() {
    for (format, before, between, behind) in [
        (Format::Yaml, "", "k@: v\n", ""),
        (Format::Yaml, "{z: 1", ", k@: v", "}\n"),
        (Format::Json, "{\"z\": 1", ", \"k@\": \"v\"", "}"),
        (Format::Dotenv, "", "K@=v\n", ""),
        (Format::Ini, "[s]\n", "k@ = v\n", ""),
        (Format::Toml, "", "k@ = 1\n", ""),
        (Format::Toml, "", "[t@]\n[[l]]\na.b@.c = ['v']\n", ""),
        (Format::Toml, "a = {z = 1", ", k@.x = 1", "}\n"),
    ] {
        let mut text = before.to_owned();
        for number in 0..100_000 {
            text.push_str(&between.replace('@', &number.to_string()));
        }
        text.push_str(behind);
        is_read(format, &text).unwrap_or_else(|error| panic!("{}: {error}", format.name()));
    }
    // Sealing is measured by the benchmarks; a few thousand show here that nothing grows with the square.
    let text: String = (0..4000).map(|number| format!("k{number}: v\n")).collect();
    soon("sealing", || comes_back(Format::Yaml, None, &text));
}

/// Whether a comment stands at what it is about is looked up for each of them, if a rule asks comments.
#[test]
fn many_comments_of_toml_above_one_key_cost_no_more_than_their_length() {
    let rule = Some((RuleKind::EncryptedCommentRegex, "never"));
    let text = format!("{}a = 'v'\n", "# x\n".repeat(100_000));
    soon("sealing", || comes_back(Format::Toml, rule, &text));
}

/// Every level names the one before ten times.
#[test]
fn aliases_that_multiply_are_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let below = format!("*a{}", level - 1);
        let _ = writeln!(text, "a{level}: &a{level} [{}]", vec![below; 10].join(", "));
    }
    let error = is_read(Format::Yaml, &text).unwrap_err();
    assert!(error.message.contains("aliases"), "{error}");
    let mut metadata = metadata(None, false);
    soon("sealing", || {
        assert!(seal(Format::Yaml, &text, &mut metadata, &mut Counter::default()).is_none());
    });
}

/// Comments that look like tokens are tried at places around them: a few, however deep they stand and however many there are.
#[test]
fn many_comments_that_look_like_tokens_cost_no_more_than_their_length() {
    const TOKEN: &str = "#ENC[AES256_GCM,data:AA==,iv:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=,\
                         tag:Aev7PNzF9ifk0oM4U+MGlg==,type:comment]\n";
    let item = format!("1,\n{TOKEN}");
    let (open, close) = ("{a: ".repeat(2000), "}".repeat(2000));
    let deep = format!("a: {open}[{}1]\n{close}\n", item.repeat(1000));
    let shallow = format!("{}a: 1\n", TOKEN.repeat(5000));
    let clear = Some((RuleKind::EncryptedRegex, "^z$"));
    for text in [deep, shallow] {
        soon("opening", || comes_back(Format::Yaml, clear, &text));
    }
}

/// Quotes, brackets, comments and anchors that never end, or that all end at once.
#[test]
fn long_runs_of_one_character_cost_no_more_than_their_length() {
    let runs = [
        "[", "{", "]", "}", "\"", "'", "`", "\\", "#", "# \n", "&a ", "*a ", "!x ", "- ", "? ",
        ": ", "?\n", "-\n", "|\n", ">\n", " ", "\t", "\n", "\r", "\r\n", "a: ", "a:\n", "---\n",
        "...\n", "%", "=", ";", "[a]\n", "a=\\\n", "é", "\u{85}", "<<: ", ",", "{a,", "[a,",
        "\"\"\"", "#\n\n", "\\\n", "a.", "a = ", "[[a]]\n", "[a.a]\n",
    ];
    for run in runs {
        let long = run.repeat(30_000 / run.len());
        for format in Format::ALL {
            for text in [
                long.clone(),
                format!("a: {long}"),
                format!("{{\"a\": {long}"),
                format!("a: \"{long}\"\n"),
                format!("a = {long}"),
            ] {
                soon(run, || {
                    let _refused =
                        Document::parse(format, &text).map(|document| document.nodes().len());
                });
            }
        }
    }
}

/// Two versions in which everything has moved, been edited or been added, in one place and in many.
#[test]
fn merges_cost_no_more_than_their_length() {
    const COUNT: usize = 10_000;
    let line = |key: usize, value: &str| format!("# about {key}\nkey{key}: {value}\n\n");
    let lines = |keys: &mut dyn Iterator<Item = usize>, value: &str| -> String {
        keys.map(|key| line(key, value)).collect()
    };
    let base = lines(&mut (0..COUNT), "1");
    let reversed = lines(&mut (0..COUNT).rev(), "1");
    let rotated = lines(&mut (COUNT / 2..COUNT).chain(0..COUNT / 2), "2");
    let edited: String = (0..COUNT)
        .map(|key| line(key, "1") + &line(key + COUNT, "3"))
        .collect();
    let uncommented = base.replace("# about", "#");
    let thinned = lines(&mut (0..COUNT).filter(|key| key % 3 != 0), "1");
    let other = lines(&mut (COUNT..2 * COUNT), "1");
    let versions = [&reversed, &rotated, &edited, &uncommented, &thinned, &other];
    let base = Document::parse(Format::Yaml, &base).unwrap();
    for pair in versions.windows(2) {
        let [ours, theirs] =
            [pair[0], pair[1]].map(|text| Document::parse(Format::Yaml, text).unwrap());
        soon("merging", || merge(Base::Known(&base), &ours, &theirs));
    }
}

/// What is changed is one of many tables, has many parts, or comes before them all.
#[test]
fn changes_of_long_toml_cost_no_more_than_its_length() {
    const NESTED: &str = "{\"a\": {\"b\": 1}}";
    for (before, between, behind, path, json) in [
        ("", "# c\n[t@]\n", "", "new", Some("1")),
        ("", "# c\n[t@]\nx = 1\n\n", "", "new", Some(NESTED)),
        ("", "# c\n[t@]\nx = 1\n\n", "", "t19999.x", None),
        ("", "# c\n[t.k@]\nx = 1\n\n", "", "t.new", Some("1")),
        ("", "# c\n[t.k@]\nx = 1\n\n", "", "t", None),
        ("", "[t.k@]\n[o@]\nx = 1\n", "", "t", None),
        ("[t]\n", "# c\n[t.k@]\nx = 1\n\n", "", "t", Some("{}")),
        ("", "# c\n[[t]]\nx = 1\n", "", "t", None),
        ("", "# c\n[[t]]\nx = 1\n", "", "t[19999]", None),
        ("", "# c\n[[t]]\nx = 1\n", "", "t[]", Some(NESTED)),
        ("", "# c\nt.k@ = 1\n", "", "t", None),
        ("", "# c\nt.k@ = 1\n", "", "t.new", Some("1")),
        ("", "# c\nt.u.k@ = 1\n", "", "t.u", None),
        ("t = [\n", "# c\n1,\n", "]\n", "t[]", Some("1")),
        ("t = [\n", "# c\n1,\n", "]\n", "t[19999]", None),
        ("t = {z = 1", ", k@ = 1", "}\n", "t.new", Some("1")),
        ("t = {z = 1", ", k@ = 1", "}\n", "t.k19999", None),
    ] {
        let mut text = before.to_owned();
        for number in 0..20_000 {
            text.push_str(&between.replace('@', &number.to_string()));
        }
        text.push_str(behind);
        let document = Document::parse(Format::Toml, &text).unwrap();
        let pointer = Pointer::parse(path).unwrap();
        let json = json.map(JsonValue::new);
        let content = json.as_ref().map(|json| json.content().unwrap());
        let action = content.map_or(Action::Unset, Action::Set);
        let changed = soon(between, || change(&document, 0, &pointer, action));
        assert!(changed.unwrap().is_some(), "{path} in {between}");
    }
}
