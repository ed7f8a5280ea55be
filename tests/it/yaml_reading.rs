//! Our YAML scanner against another descendant of libyaml: where both accept a text, both read the same tree.
//!
//! Only what this crate reads differently from libyaml on purpose is kept out of the texts: `?` inside plain scalars of
//! flow collections, and a byte order mark.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use libyaml_safer::{EventData, Parser};
use sops_rs::document::Document;
use sops_rs::format::{self, Format};
use sops_rs::node::{Kind, Node, Tag};
use sops_rs::value::Value;

/// The tree as lines; scalars that are not strings are `other`.
fn ours(source: &str) -> Option<String> {
    let nodes = format::scan(Format::Yaml, source).ok()?;
    let mut lines = String::new();
    let mut open: Vec<usize> = Vec::new();
    for (id, node) in nodes.iter().enumerate() {
        while open
            .last()
            .is_some_and(|&container| nodes[container].end <= id)
        {
            open.pop();
            lines.push_str("end\n");
        }
        let in_mapping = node
            .parent
            .is_some_and(|parent| nodes[parent].kind == Kind::Mapping);
        if in_mapping && node.kind != Kind::Comment {
            match format::key(Format::Yaml, source, node) {
                Ok(text) => writeln!(lines, "scalar {text:?}").unwrap(),
                Err(_) => lines.push_str("other\n"),
            }
        }
        match node.kind {
            Kind::Mapping | Kind::Sequence => {
                writeln!(lines, "{:?}", node.kind).unwrap();
                open.push(id);
            }
            Kind::Scalar => match format::value(Format::Yaml, source, node) {
                Ok(Value::Str(text)) if node.tag != Tag::Binary => {
                    writeln!(lines, "scalar {:?}", text.expose()).unwrap();
                }
                _ => lines.push_str("other\n"),
            },
            Kind::Alias { .. } => writeln!(lines, "{}", node.span.of(source)).unwrap(),
            Kind::Comment => {}
        }
    }
    open.iter().for_each(|_| lines.push_str("end\n"));
    Some(lines)
}

/// The same of libyaml's events; every scalar with its text.
fn theirs(source: &str) -> Option<Vec<String>> {
    let mut bytes = source.as_bytes();
    let mut parser = Parser::new();
    parser.set_input_string(&mut bytes);
    let mut lines = Vec::new();
    loop {
        match parser.parse().ok()?.data {
            EventData::StreamEnd => return Some(lines),
            EventData::Alias { anchor } => lines.push(format!("*{anchor}")),
            EventData::Scalar { value, .. } => lines.push(format!("scalar {value:?}")),
            EventData::SequenceStart { .. } => lines.push("Sequence".to_owned()),
            EventData::MappingStart { .. } => lines.push("Mapping".to_owned()),
            EventData::SequenceEnd | EventData::MappingEnd => lines.push("end".to_owned()),
            EventData::StreamStart { .. }
            | EventData::DocumentStart { .. }
            | EventData::DocumentEnd { .. } => {}
        }
    }
}

/// Whether both read the same; `None` if one of them refuses the text.
fn agree(source: &str) -> Option<bool> {
    let (ours, theirs) = (ours(source)?, theirs(source)?);
    let ours: Vec<&str> = ours.lines().collect();
    // An empty document is a mapping for us and an empty scalar for libyaml.
    let has_empty_document = ours.windows(2).any(|pair| pair == ["Mapping", "end"])
        && theirs.iter().any(|line| line == "scalar \"\"");
    let same = ours.len() == theirs.len()
        && ours.iter().zip(&theirs).all(|(ours, theirs)| {
            ours == theirs || *ours == "other" && theirs.starts_with("scalar ")
        });
    Some(same || has_empty_document)
}

fn fixtures() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/sops/3.13.2");
    let mut found = Vec::new();
    for folder in ["plain", "sealed", "opened", "random"] {
        let Ok(entries) = fs::read_dir(root.join(folder)) else {
            continue;
        };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path
                .extension()
                .is_some_and(|extension| extension == "yaml")
            {
                found.push((
                    path.display().to_string(),
                    fs::read_to_string(&path).unwrap(),
                ));
            }
        }
    }
    found.sort();
    assert!(
        !root.exists() || found.len() > 60,
        "the fixtures are not where they should be"
    );
    found
}

/// Texts that between them hold every construct.
const TEXTS: [&str; 8] = [
    "a: 1\nb:\n  - c\n  - d: e\n    f: 'g''h'\n  -\n    - i\nj: {k: l, m: [n, \"o\\x41\"]}\n",
    "# c\nlit: |\n  one\n   two\n\n  three\nfold: >-\n  one\n  two\n\n  three\nkeep: |+\n  x\n\nend: y # z\n",
    "a: &x\n  b: !!str 5\n  c: !foo d\ne: *x\nf:\n- *x\n- &y g\n",
    "%YAML 1.1\n%TAG !e! tag:e,2000:\n---\na: !e!b c\n...\n---\nd: multi\n  line\n  plain\n",
    "\"quoted\": 'and\n\n  more'\n? \"over\n  lines\"\n: 1\n? explicit\n: value\n",
    "a: [\n  b, # c\n  d\n]\ne: {\n  f: g,\n  h: i\n}\n",
    "a:\r\n  b: c\r\n  d: |\r\n    e\r\nf: \"\\\r\n  g\"\r\n",
    "k: ENC[AES256_GCM,data:f6SdJOI=,iv:ICE=,tag:Aev7PNzF9ifk0oM4U+MGlg==,type:str]\nl: 0x1F\n",
];

/// What mutations insert.
const BITS: [&str; 34] = [
    " ", "  ", "\n", "\n  ", "- ", ": ", ":", ", ", "[", "]", "{", "}", "#", " # c", "'", "\"",
    "\\n", "&z ", "*z", "*x", "!!str ", "!foo ", "|\n", ">-\n", "|2\n", "---\n", "...\n", "\t",
    "é", "\u{2028}", "~", "12", "<<: ", "x: y\n",
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

    fn mutate(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for _ in 0..=self.below(3) {
            let mut at = self.below(text.len() + 1);
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            if self.below(3) == 0 && at < text.len() {
                text.remove(at);
            } else {
                text.insert_str(at, BITS[self.below(BITS.len())]);
            }
        }
        text
    }
}

#[test]
fn well_formed_texts_are_read_as_libyaml_reads_them() {
    for (name, text) in fixtures() {
        // The other reader does not know a few tags and spellings, but the structure is the same.
        assert_ne!(agree(&text), Some(false), "{name}");
        assert!(ours(&text).is_some(), "{name}");
    }
    for text in TEXTS {
        assert_eq!(agree(text), Some(true), "{text}");
    }
}

#[test]
fn mutated_texts_are_read_as_libyaml_reads_them_or_refused() {
    let mut numbers = Numbers(42);
    let mut compared = 0;
    for _ in 0..6000 {
        let number = numbers.below(TEXTS.len());
        let text = numbers.mutate(TEXTS[number]);
        match agree(&text) {
            Some(true) => compared += 1,
            Some(false) => panic!(
                "read differently: {text:?}\n{:?}\n{:?}",
                ours(&text),
                theirs(&text)
            ),
            None => {}
        }
    }
    assert!(compared > 1000, "only {compared} texts were compared");
}

/// Every span lies in the text and inside its container, and every subtree ends where it should.
fn check_table(source: &str, nodes: &[Node]) {
    for (id, node) in nodes.iter().enumerate() {
        for span in [
            node.span,
            node.inner,
            node.props,
            node.key.unwrap_or(node.span),
        ] {
            assert!(source.get(span.start()..span.end()).is_some(), "{node:?}");
        }
        assert!(node.end > id && node.end <= nodes.len(), "{node:?}");
        if let Some(parent) = node.parent {
            assert!(parent < id && node.end <= nodes[parent].end, "{node:?}");
        }
        if let Kind::Alias { target } = node.kind {
            assert!(target < id, "{node:?}");
        }
    }
}

#[test]
fn every_table_is_sound() {
    let mut numbers = Numbers(7);
    for _ in 0..4000 {
        let number = numbers.below(TEXTS.len());
        let text = numbers.mutate(TEXTS[number]);
        if let Ok(nodes) = format::scan(Format::Yaml, &text) {
            check_table(&text, &nodes);
        }
    }
}

#[test]
fn metadata_is_printed_as_sops_prints_it() {
    for (name, text) in fixtures() {
        if !name.contains("sealed") {
            continue;
        }
        let document = Document::parse(Format::Yaml, &text).unwrap();
        let block = format::detach(Format::Yaml, &text, document.nodes())
            .block
            .unwrap();
        let tree = document.tree(document.metadata()[0]);
        assert_eq!(
            format::yaml::emit_metadata(&tree),
            block.of(&text),
            "{name}"
        );
    }
}
