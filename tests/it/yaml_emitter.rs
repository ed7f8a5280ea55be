//! What we write as new YAML, read by others: `PyYAML`'s two loaders, which follow YAML 1.1, and one that follows YAML 1.2.
//!
//! Strings of the worst characters are values, keys and items; every reader, and our own, must find the same content.

use std::borrow::Cow;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};
use sops_rs::content::{Comment, Content, Entry, Part};
use sops_rs::document::Document;
use sops_rs::format::{Format, yaml};
use sops_rs::node::{Kind, NodeId};
use sops_rs::secret::Plain;
use sops_rs::value::{Time, Value};

/// Characters that are hard on a reader or on a writer, and a few that are not.
const CHARACTERS: &str = "abeExynoz012789_.-+,:;T #'\"\\`@%&*!|><=?[]{}(~$^/é😀  \t\n\n\r\0\u{7}\u{1b}\u{7f}\u{85}\
    \u{a0}\u{2028}\u{2029}\u{feff}\u{200b}\u{d7ff}\u{e000}\u{fffd}\u{fffe}\u{ffff}\u{10ffff}";

/// Of these numbers and times are made.
const DIGITS: &str = "0012789e_.-+,:T ";

/// Whole words that some reader takes for something else.
const WORDS: &[&str] = &[
    "yes",
    "No",
    "on",
    "OFF",
    "y",
    "N",
    "true",
    "False",
    "null",
    "NULL",
    "~",
    "",
    ".inf",
    "-.INF",
    ".nan",
    "=",
    "<<",
    "1:20",
    "190:20:30",
    "12:30:45.5",
    "0o17",
    "017",
    "0x1F",
    "0b11",
    "1_000",
    "1,000",
    "1e3",
    "1.",
    ".5",
    "+.5",
    "-0",
    "2001-01-01",
    "2001-1-1",
    "2001-12-14 21:59:43",
    "2001-12-14T21:59:43Z",
    "---",
    "--- a",
    "...",
    "- a",
    "? a",
    ": a",
    "a: b",
    "a #b",
    "#",
    "%YAML 1.1",
    "!!int 5",
    "&a",
    "*a",
    "<<<<<<< ",
    "=======",
    "@",
    "`",
    "-",
    "?",
    ":",
    ":sym",
    "|",
    ">",
    "| a",
    "a\n---\nb",
    "\n",
    "\n\n",
    " ",
    "\t",
    " a",
    "a ",
    "\na",
    "a\n",
    "a\n\n",
    " a\nb\n",
    "a\n b\n",
    "a\n\n\nb",
    "\ta\nb",
    "a\n\tb\n",
    "a \nb",
    "#a\nb",
    "a\n#b\n",
    "- a\n- b\n",
    "a\n   ",
    "   \na",
    "\n  a",
    "-----BEGIN-----\nx\n-----END-----\n",
    "{a: b}",
    "[a]",
    "{\"a\": 1}",
    "it's",
    "\"",
    "'",
    "\\",
    "ENC[x,y]",
    "http://x:1/?y=z&a#b",
    "a,b",
    "C:\\x",
];

/// A small generator of numbers: the same every time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn string(&mut self) -> String {
        let word = WORDS[self.below(WORDS.len())];
        match self.below(40) {
            0 => "long text ".repeat(self.below(300)),
            1..=5 => word.to_owned(),
            6..=10 => word.to_owned() + &self.characters(2, CHARACTERS),
            11..=15 => self.characters(8, DIGITS),
            _ => self.characters(8, CHARACTERS),
        }
    }

    fn characters(&mut self, most: usize, characters: &str) -> String {
        let characters: Vec<char> = characters.chars().collect();
        let count = self.below(most + 1);
        (0..count)
            .map(|_| characters[self.below(characters.len())])
            .collect()
    }

    fn scalar(&mut self) -> Content<'static> {
        Content::Scalar(match self.below(10) {
            0 => Value::Int(i64::try_from(self.0 >> self.below(64)).unwrap_or(i64::MIN)),
            1 => Value::Float(f64::from_bits(self.0.rotate_left(17))),
            2 => Value::Float(FLOATS[self.below(FLOATS.len())]),
            3 => [Value::Bool(true), Value::Bool(false), Value::Null][self.below(3)].clone(),
            4 => Value::Time(Time::parse(TIMES[self.below(TIMES.len())].0).unwrap()),
            5 => Value::Bytes(vec![0xff, u8::try_from(self.below(256)).unwrap()].into()),
            _ => Value::Str(Plain::owned(self.string())),
        })
    }

    /// A tree with comments in it.
    fn tree(&mut self, depth: usize) -> Content<'static> {
        let count = self.below(6);
        match self.below(3) {
            _ if depth == 0 => self.scalar(),
            0 => self.scalar(),
            1 => Content::List(
                (0..count)
                    .map(|_| self.part(|numbers| numbers.tree(depth - 1)))
                    .collect(),
            ),
            _ => self.mapping(count, depth),
        }
    }

    fn mapping(&mut self, count: usize, depth: usize) -> Content<'static> {
        let entry = |numbers: &mut Self, number: usize| Entry {
            key: format!("{}{number}", numbers.string()).into(),
            content: numbers.tree(depth - 1),
        };
        Content::Map(
            (0..count)
                .map(|number| self.part(|numbers| entry(numbers, number)))
                .collect(),
        )
    }

    fn part<T>(&mut self, item: impl FnOnce(&mut Self) -> T) -> Part<'static, T> {
        if self.below(4) > 0 {
            return Part::Item(item(self));
        }
        let text = [" a comment", "", "!", " a: b", " é # c", " two\n lines"][self.below(6)];
        let inline = self.below(2) == 0;
        Part::Comment(Comment {
            text: text.into(),
            inline,
        })
    }
}

const FLOATS: &[f64] = &[
    0.0,
    -0.0,
    1.0,
    -1.5,
    1e20,
    1e21,
    1e23,
    1e-5,
    1e-6,
    1e-7,
    1.5e300,
    5e-324,
    f64::MAX,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
    9_007_199_254_740_993.0,
];

/// Times, and the same instants as Python spells them in UTC.
const TIMES: &[(&str, &str)] = &[
    ("2001-12-14T21:59:43Z", "2001-12-14T21:59:43+00:00"),
    (
        "2001-12-14T21:59:43.1-05:00",
        "2001-12-15T02:59:43.100000+00:00",
    ),
    (
        "2024-02-29T00:00:00.000001+05:30",
        "2024-02-28T18:30:00.000001+00:00",
    ),
];

fn text(text: &str) -> Content<'_> {
    Content::Scalar(Value::Str(text.into()))
}

/// The content with every value as `shown` has it.
fn expected(content: &Content<'_>, shown: fn(&Value<'_>) -> Json) -> Json {
    match content {
        Content::Scalar(value) => shown(value),
        Content::List(_) => content.items().map(|item| expected(item, shown)).collect(),
        Content::Map(_) => {
            let entries = content
                .entries()
                .map(|entry| (entry.key.to_string(), expected(&entry.content, shown)));
            Json::Object(entries.collect())
        }
    }
}

/// A value with its type, as [`LOADERS`] prints what it has read.
fn shown(value: &Value<'_>) -> Json {
    let (kind, text) = match value {
        Value::Null => ("null", String::new()),
        Value::Bool(value) => ("bool", value.to_string()),
        Value::Int(number) => ("int", number.to_string()),
        Value::Float(number) => ("float", bits(*number)),
        Value::Time(time) => {
            let known = TIMES.iter().find(|(text, _)| *text == time.as_str());
            ("time", known.expect("a time of the table").1.to_owned())
        }
        Value::Str(text) => ("str", text.expose().to_owned()),
        Value::Bytes(bytes) => ("bytes", format!("{:02x?}", bytes.as_slice())),
        Value::Lexeme(_, text) => ("lexeme", text.expose().to_owned()),
    };
    json!({ "!": kind, "=": text })
}

/// The same in YAML 1.2, which has neither times nor bytes.
fn shown_in_core_schema(value: &Value<'_>) -> Json {
    let text = match value {
        Value::Time(time) => time.as_str().to_owned(),
        Value::Bytes(bytes) => STANDARD.encode(bytes.as_slice()),
        other => return shown(other),
    };
    json!({ "!": "str", "=": text })
}

/// A double to the bit; all that are no number are one.
fn bits(number: f64) -> String {
    if number.is_nan() {
        "nan".to_owned()
    } else {
        format!("{:016x}", number.to_bits())
    }
}

/// Reads YAML with both loaders of `PyYAML` and prints what each has read, with the type of every value.
const LOADERS: &str = r#"
import datetime, json, struct, sys, yaml

def shown(value):
    if isinstance(value, dict):
        for key in value:
            assert isinstance(key, str), type(key)
        return {key: shown(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shown(inner) for inner in value]
    if value is None:
        kind, text = "null", ""
    elif isinstance(value, bool):
        kind, text = "bool", str(value).lower()
    elif isinstance(value, int):
        kind, text = "int", str(value)
    elif isinstance(value, float):
        kind, text = "float", "nan" if value != value else struct.pack(">d", value).hex()
    elif isinstance(value, datetime.datetime):
        kind, text = "time", value.astimezone(datetime.timezone.utc).isoformat()
    elif isinstance(value, bytes):
        kind, text = "bytes", "[" + ", ".join("%02x" % byte for byte in value) + "]"
    elif isinstance(value, str):
        kind, text = "str", value
    else:
        kind, text = type(value).__name__, str(value)
    return {"!": kind, "=": text}

source = sys.stdin.buffer.read().decode("utf-8")
for loader in (yaml.SafeLoader, yaml.CSafeLoader):
    print(json.dumps([shown(document) for document in yaml.load_all(source, Loader=loader)]))
"#;

fn pyyaml(source: &str) -> Vec<Json> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python");
    assert!(
        python.exists(),
        "{} is missing: tests/run.sh installs it, or `python3 -m venv target/venv && target/venv/bin/pip install pyyaml`",
        python.display()
    );
    let mut child = Command::new(python)
        .args(["-c", LOADERS])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(source.as_bytes()).expect("python reads");
    drop(stdin);
    let output = child.wait_with_output().expect("python ends");
    assert!(output.status.success(), "PyYAML refuses the text");
    let stdout = String::from_utf8(output.stdout).expect("UTF-8");
    stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// What a reader of YAML 1.2 finds.
fn core_schema(source: &str) -> Json {
    use serde::Deserialize as _;
    let documents = yaml_serde::Deserializer::from_str(source);
    documents
        .map(|document| {
            let value = yaml_serde::Value::deserialize(document).expect("it is YAML");
            core_shown(&value)
        })
        .collect()
}

fn core_shown(value: &yaml_serde::Value) -> Json {
    use yaml_serde::Value as Yaml;
    let (kind, text) = match value {
        Yaml::Null => ("null", String::new()),
        Yaml::Bool(value) => ("bool", value.to_string()),
        Yaml::Number(number) if number.is_f64() => ("float", bits(number.as_f64().unwrap())),
        Yaml::Number(number) => ("int", number.to_string()),
        Yaml::String(text) => ("str", text.clone()),
        Yaml::Sequence(items) => return items.iter().map(core_shown).collect(),
        Yaml::Mapping(entries) => {
            let shown = |(key, value): (&Yaml, &Yaml)| match key {
                Yaml::String(key) => (key.clone(), core_shown(value)),
                other => panic!("a key that is no string: {other:?}"),
            };
            return Json::Object(entries.iter().map(shown).collect());
        }
        Yaml::Tagged(tagged) => return core_shown(&tagged.value),
    };
    json!({ "!": kind, "=": text })
}

/// What our own reader finds.
fn ours(source: &str) -> Json {
    let document =
        Document::parse(Format::Yaml, source).unwrap_or_else(|error| panic!("{error}\n{source}"));
    let roots = document
        .nodes()
        .iter()
        .enumerate()
        .filter(|(_, node)| node.parent.is_none());
    roots.map(|(id, _)| our_node(&document, id)).collect()
}

fn our_node(document: &Document<'_>, id: NodeId) -> Json {
    let (source, nodes) = (document.source(), document.nodes());
    let children = nodes
        .iter()
        .enumerate()
        .filter(|(_, node)| node.parent == Some(id) && node.kind != Kind::Comment);
    match nodes[id].kind {
        Kind::Sequence => children
            .map(|(child, _)| our_node(document, child))
            .collect(),
        Kind::Mapping => {
            let entry = |(child, node)| {
                (
                    yaml::key(source, node).unwrap().into_owned(),
                    our_node(document, child),
                )
            };
            Json::Object(children.map(entry).collect())
        }
        _ => shown(&yaml::value(source, &nodes[id]).unwrap()),
    }
}

/// The first place where two trees differ.
fn difference(left: &Json, right: &Json) -> Option<String> {
    match (left, right) {
        (Json::Array(left), Json::Array(right)) if left.len() == right.len() => left
            .iter()
            .zip(right)
            .find_map(|(left, right)| difference(left, right)),
        (Json::Object(left), Json::Object(right)) if left.keys().eq(right.keys()) => left
            .iter()
            .find_map(|(key, left)| difference(left, &right[key])),
        _ => (left != right).then(|| format!("{left:.400} is not {right:.400}")),
    }
}

/// Emits the documents and has them read by everybody.
fn check(documents: &[Content<'_>]) {
    let source = yaml::emit(documents).unwrap();
    let tree = |shown| {
        documents
            .iter()
            .map(|document| expected(document, shown))
            .collect::<Json>()
    };
    let typed = tree(shown);
    let mut readers = vec![("sops-rs", ours(&source))];
    readers.extend(
        ["SafeLoader", "CSafeLoader"]
            .into_iter()
            .zip(pyyaml(&source)),
    );
    for (name, found) in readers {
        assert_eq!(difference(&found, &typed), None, "{name}");
    }
    let found = core_schema(&source);
    assert_eq!(
        difference(&found, &tree(shown_in_core_schema)),
        None,
        "YAML 1.2"
    );
}

#[test]
fn every_reader_finds_ten_thousand_strings() {
    let mut numbers = Numbers(20_261_126);
    let mut strings: Vec<String> = WORDS.iter().map(|&word| word.to_owned()).collect();
    strings.extend((0..10_000).map(|_| numbers.string()));
    let documents: Vec<Content<'_>> = strings
        .chunks(500)
        .map(|strings| {
            let mut known = std::collections::HashSet::new();
            let keys = strings.iter().filter(|key| known.insert(key.as_str()));
            let entry = |(number, key): (usize, &'_ String)| {
                let value = strings[number].clone();
                let content = Content::Scalar(Value::Str(Plain::owned(value)));
                Part::Item(Entry {
                    key: key.clone().into(),
                    content,
                })
            };
            let map = Content::Map(keys.enumerate().map(entry).collect());
            let list = Content::List(
                strings
                    .iter()
                    .map(|string| Part::Item(text(string)))
                    .collect(),
            );
            let entries = [("keys", map), ("items", list)];
            let entry = |(key, content)| {
                Part::Item(Entry {
                    key: Cow::Borrowed(key),
                    content,
                })
            };
            Content::Map(entries.into_iter().map(entry).collect())
        })
        .collect();
    check(&documents[..1]);
    check(&documents);
}

#[test]
fn every_reader_finds_the_types_and_the_tree() {
    let mut numbers = Numbers(7);
    let documents: Vec<Content<'_>> = (0..400).map(|_| numbers.mapping(5, 5)).collect();
    check(&documents);
}

/// Behind `<<` a mapping is merged by those who merge; what they cannot merge is a value like any other.
#[test]
fn those_who_merge_find_what_is_merged() {
    let map = |key, content| {
        Content::Map(vec![Part::Item(Entry {
            key: Cow::Borrowed(key),
            content,
        })])
    };
    let one = || map("port", text("5432"));
    let list = |items: Vec<_>| Content::List(items.into_iter().map(Part::Item).collect());
    let port = json!({"port": {"!": "str", "=": "5432"}});
    for (content, expected) in [
        (map("<<", one()), port.clone()),
        (map("<<", list(vec![one()])), port.clone()),
        (map("<<", list(vec![])), json!({})),
        (map("<<", text("x")), json!({"<<": {"!": "str", "=": "x"}})),
        (
            map("<<", list(vec![one(), list(vec![])])),
            json!({"<<": [port, []]}),
        ),
    ] {
        let source = yaml::emit(&[map("k", content)]).unwrap();
        let expected = json!([{ "k": expected }]);
        assert_eq!(pyyaml(&source), [expected.clone(), expected], "{}", *source);
    }
}
