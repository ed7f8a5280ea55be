//! Conversions: every format to every other on `decrypt` and on `encrypt`, judged by readers that are not ours.

mod cases;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Map, Value as Json, json};

use super::spec_reader::{self, Format, fixtures::keys};
use super::support::{ALICE, World};

/// What a document with everything in it holds, which three of the formats can hold.
fn rich() -> Json {
    json!({
        "text": "CANARY",
        "lines": "one\n two\n\nthree\n",
        "quotes": "it's \"so\" \\n # ; $(id) `id` %s",
        "blanks": " outer ",
        "empty": "",
        "int": -42,
        "big": 9_007_199_254_740_993_i64,
        "float": 2.0,
        "small": 1.5e-7,
        "large": 1e23,
        "active": true,
        "looks": ["yes", "0123", "1e3", "null", "2001-12-14", "~", "0x1F"],
        "list": [1, "two", [2.5, false], {"k": "v"}, []],
        "tables": [{"name": "a"}, {"name": "b", "n": 1}],
        "none": [],
        "nothing": {},
        "deep": {"er": {"password": "CANARY", "ключ с пробелом": "ü😀"}},
    })
}

const RICH_YAML: &str = r#"# above all
text: CANARY # beside
lines: |
  one
   two

  three
quotes: 'it''s "so" \n # ; $(id) `id` %s'
blanks: " outer "
empty: ''
int: -42
big: 9007199254740993
float: 2.0
small: 1.5e-7
large: 1e+23
active: true
looks: ["yes", "0123", "1e3", "null", "2001-12-14", "~", "0x1F"]
list:
  - 1
  # in a list
  - two
  - [2.5, false]
  - &v {k: v}
  - []
tables:
  - name: a
  - {name: b, n: 1}
none: []
nothing: {}
deep:
  # deep down
  er:
    password: CANARY
    ключ с пробелом: ü😀
"#;

const RICH_TOML: &str = r#"# above all
text = 'CANARY' # beside
lines = """
one
 two

three
"""
quotes = "it's \"so\" \\n # ; $(id) `id` %s"
blanks = " outer "
empty = ""
int = -42
big = 9_007_199_254_740_993
float = 2.0
small = 15e-8
large = 1e23
active = true
looks = ["yes", "0123", "1e3", "null", "2001-12-14", "~", "0x1F"]
# in a list
list = [1, "two", [2.5, false], {k = "v"}, []]
none = []
nothing = {}

[[tables]]
name = "a"
[[tables]]
name = "b"
n = 0x1

# deep down
[deep.er]
password = "CANARY"
"ключ с пробелом" = "ü😀"
"#;

/// What a document without nesting holds.
fn flat() -> Json {
    json!({
        "TEXT": "CANARY",
        "LINES": "one\ntwo\n",
        "QUOTES": "it's \"so\" # ; $(id) `id` \\ %s = '",
        "BLANKS": " outer ",
        "EMPTY": "",
        "INT": -42,
        "FLOAT": 2.0,
        "ON": true,
    })
}

const FLAT_DOTENV: &str = "# above all\nTEXT=CANARY\nLINES=one\\ntwo\\n\n\
    QUOTES=it's \"so\" # ; $(id) `id` \\ %s = '\nBLANKS= outer \nEMPTY=\nINT=-42\nFLOAT=2.0\nON=true\n";

/// What a document of sections holds.
fn sections() -> Json {
    json!({
        "DEFAULT": {"first": "CANARY"},
        "server one": {"host": "a#b;c", "port": 5432, "blanks": " outer ", "lines": "one\ntwo", "empty": ""},
        "limits": {"rate": 2.5, "active": false, "key=1": "x"},
    })
}

const SECTIONS_INI: &str = "; above all\nfirst = CANARY\n\n[server one]\nhost = `a#b;c`\nport = 5432\nblanks = \" outer \"\n\
    lines = \"\"\"one\ntwo\"\"\"\nempty =\n\n[limits]\nrate = 2.5\nactive = false\n`key=1` = x\n";

/// What a binary file holds, and what others make of it.
fn bytes() -> Json {
    json!({"data": "CANARY\nof a file\n"})
}

/// Documents by what they need: the plaintext in each format that holds them, and what it says.
fn documents() -> Vec<(Json, Vec<(Format, String)>)> {
    let json = |content: &Json| (Format::Json, serde_json::to_string_pretty(content).unwrap());
    // JSON is YAML, but for this comment.
    let yaml = |content: &Json| {
        let text = serde_json::to_string(content).unwrap();
        (Format::Yaml, format!("# above all\n{text}\n"))
    };
    let toml_flat = "# above all\nTEXT = \"CANARY\"\nLINES = \"one\\ntwo\\n\"\n\
        QUOTES = '''it's \"so\" # ; $(id) `id` \\ %s = '\'''\nBLANKS = \" outer \"\nEMPTY = ''\nINT = -42\nFLOAT = 2.0\nON = true\n"
        .replace("= '\\'''", "= ''''");
    let toml_sections = "# above all\nDEFAULT.first = \"CANARY\"\n[\"server one\"]\nhost = \"a#b;c\"\nport = 5432\n\
        blanks = ' outer '\nlines = \"one\\ntwo\"\nempty = \"\"\n[limits]\nrate = 2.5\nactive = false\n\"key=1\" = 'x'\n";
    let (rich, flat, sections, bytes) = (rich(), flat(), sections(), bytes());
    let text = bytes["data"].as_str().unwrap().to_owned();
    let escaped = text.replace('\n', "\\n");
    vec![
        (
            rich.clone(),
            vec![
                (Format::Yaml, RICH_YAML.to_owned()),
                json(&rich),
                (Format::Toml, RICH_TOML.to_owned()),
            ],
        ),
        (
            flat.clone(),
            vec![
                yaml(&flat),
                json(&flat),
                (Format::Dotenv, FLAT_DOTENV.to_owned()),
                (Format::Toml, toml_flat),
            ],
        ),
        (
            sections.clone(),
            vec![
                yaml(&sections),
                json(&sections),
                (Format::Ini, SECTIONS_INI.to_owned()),
                (Format::Toml, toml_sections.to_owned()),
            ],
        ),
        (
            bytes.clone(),
            vec![
                yaml(&bytes),
                json(&bytes),
                (Format::Dotenv, format!("data={escaped}\n")),
                (Format::Toml, format!("data = \"{escaped}\"\n")),
                (Format::Binary, text),
            ],
        ),
    ]
}

const FORMATS: [Format; 6] = [
    Format::Yaml,
    Format::Json,
    Format::Dotenv,
    Format::Ini,
    Format::Toml,
    Format::Binary,
];

fn name(format: Format) -> &'static str {
    match format {
        Format::Yaml => "yaml",
        Format::Json => "json",
        Format::Dotenv => "dotenv",
        Format::Ini => "ini",
        Format::Toml => "toml",
        Format::Binary => "binary",
    }
}

fn file(format: Format) -> &'static str {
    match format {
        Format::Yaml => "f.yaml",
        Format::Json => "f.json",
        Format::Dotenv => "f.env",
        Format::Ini => "f.ini",
        Format::Toml => "f.toml",
        Format::Binary => "f.bin",
    }
}

/// Whether a format has no types but text.
fn is_text(format: Format) -> bool {
    matches!(format, Format::Dotenv | Format::Ini)
}

/// The same with every value as the text that formats without types have for it.
fn as_text(content: &Json) -> Json {
    match content {
        Json::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), as_text(value)))
            .collect::<Map<_, _>>()
            .into(),
        Json::String(_) => content.clone(),
        other => other.to_string().into(),
    }
}

/// Prints what it reads as JSON.
const READERS: &str = r#"
import json, os, sys
source = sys.stdin.buffer.read().decode("utf-8")
if sys.argv[1] == "json":
    content = json.loads(source)
elif sys.argv[1] == "toml":
    import tomllib
    content = tomllib.loads(source)
elif sys.argv[1] == "yaml":
    import yaml
    content = yaml.load(source, Loader=yaml.SafeLoader)
else:
    content = dict(os.environ)
print(json.dumps(content))
"#;

/// The output of a Python script with `input` on its standard input.
fn python(script: &str, argument: &str, input: &[u8]) -> Json {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python");
    assert!(
        python.exists(),
        "{} is missing: tests/run.sh installs it, or `python3 -m venv target/venv && target/venv/bin/pip install pyyaml`",
        python.display()
    );
    let mut command = Command::new(python);
    command.args(["-c", script, argument]);
    serde_json::from_slice(&piped(&mut command, input)).expect("JSON")
}

fn piped(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let pipe = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = pipe.spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input).expect("the program reads");
    drop(stdin);
    let output = child.wait_with_output().expect("the program ends");
    assert!(output.status.success(), "{}", input.escape_ascii());
    output.stdout
}

/// What somebody else reads in a plaintext: Python, or the reader that was written from the specification.
fn read(format: Format, text: &[u8]) -> Json {
    if matches!(format, Format::Yaml | Format::Json | Format::Toml) {
        return python(READERS, name(format), text);
    }
    let text = std::str::from_utf8(text).unwrap();
    let mut content = Map::new();
    for leaf in spec_reader::plain(text, format).unwrap() {
        let path: Vec<&str> = leaf.aad.trim_end_matches(':').split(':').collect();
        match *path.as_slice() {
            [key] => drop(content.insert(key.to_owned(), leaf.text().into())),
            [section, key] => {
                let section = content.entry(section).or_insert_with(|| json!({}));
                section[key] = leaf.text().into();
            }
            _ => panic!("{}", leaf.aad),
        }
    }
    content.into()
}

/// All that a text in `from` says which holds `content`.
fn said(from: Format, content: &Json) -> Json {
    if is_text(from) {
        as_text(content)
    } else {
        content.clone()
    }
}

/// What can be read in `to` after it was converted from a text of the kind `from`.
fn shown(from: Format, to: Format, content: &Json) -> Json {
    if is_text(to) {
        as_text(content)
    } else {
        said(from, content)
    }
}

#[test]
fn decrypt_writes_every_format_that_can_hold_a_document() {
    for (content, texts) in documents() {
        for (from, plain) in &texts {
            let world = World::with_identity("alice");
            world.write(file(*from), plain);
            world.ok(["encrypt", "-i", "--age", ALICE, file(*from)]);
            for to in FORMATS {
                let arguments = ["decrypt", "--output-type", name(to), file(*from)];
                let label = format!("{} as {}", name(*from), name(to));
                if !texts.iter().any(|(format, _)| *format == to) {
                    let message = world.fails(4, arguments);
                    assert!(
                        message.contains(&format!(" as {}: ", name(to))),
                        "{message}"
                    );
                    assert!(!message.contains("CANARY"), "{message}");
                    continue;
                }
                let text = world.ok(arguments);
                assert_eq!(read(to, &text), shown(*from, to, &content), "{label}");
                let has_comment = [&b"# above all"[..], b"; above all"]
                    .iter()
                    .any(|comment| text.windows(comment.len()).any(|window| window == *comment));
                let keeps_comments = !matches!(to, Format::Json | Format::Binary);
                assert_eq!(
                    has_comment,
                    keeps_comments && plain.contains(" above all"),
                    "{label}"
                );
            }
        }
    }
}

#[test]
fn encrypt_seals_in_every_format_that_can_hold_a_document() {
    for (content, texts) in documents() {
        for (from, plain) in &texts {
            let world = World::with_identity("alice");
            world.write(file(*from), plain);
            for to in FORMATS {
                let arguments = [
                    "encrypt",
                    "--age",
                    ALICE,
                    "--output-type",
                    name(to),
                    file(*from),
                ];
                let label = format!("{} sealed as {}", name(*from), name(to));
                if !texts.iter().any(|(format, _)| *format == to) {
                    let message = world.fails(4, arguments);
                    assert!(!message.contains("CANARY"), "{message}");
                    continue;
                }
                let sealed = String::from_utf8(world.ok(arguments)).unwrap();
                assert!(!sealed.contains("CANARY"), "{label}: {sealed}");
                spec_reader::accept(&label, &sealed, to, &keys("alice"));
                world.write("sealed", &sealed);
                let open = |output: &str| {
                    world.ok([
                        "decrypt",
                        "--input-type",
                        name(to),
                        "--output-type",
                        output,
                        "sealed",
                    ])
                };
                // Types come through formats that have none.
                let json = if to == Format::Binary {
                    json!({"data": "CANARY\nof a file\n"})
                } else {
                    said(*from, &content)
                };
                assert_eq!(read(Format::Json, &open("json")), json, "{label}");
                assert_eq!(
                    read(to, &open(name(to))),
                    shown(*from, to, &content),
                    "{label}"
                );
            }
        }
    }
}
