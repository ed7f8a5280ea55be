//! What comes of a merge, case by case: every folder of `testdata/merge` holds three versions and what a careful engineer
//! expects of them. Each is merged in both directions as plaintext, and as sealed files, where nothing may be sealed anew
//! that did not change and no conflict may show a secret.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use sops_rs::document::{Document, Step};
use sops_rs::format::Format;
use sops_rs::metadata::Metadata;
use sops_rs::node::ScanError;
use sops_rs::ops::encrypt::Sealer;
use sops_rs::ops::merge::plaintext::{Base, Merged, merge};
use sops_rs::ops::merge::{Ancestor, Markers, Merge, Side, Version};
use sops_rs::selection::RuleKind;
use sops_rs::value::Value;

use crate::fuzz::roundtrip::{Counter, Rule, data_key, metadata, open, reseal, seal};
use crate::support::testdata;

/// A moment after all versions were sealed.
const NOW: i64 = 1_795_392_600;

/// One folder.
struct Case {
    name: String,
    format: Format,
    rule: Option<(RuleKind, String)>,
    base: Option<String>,
    ours: String,
    theirs: String,
    want: String,
}

impl Case {
    fn read(folder: &Path) -> Self {
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let mut files = BTreeMap::new();
        let mut format = None;
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let version = path.file_stem().unwrap().to_str().unwrap().to_owned();
            if version != "rule" {
                let found = Format::of_path(path.to_str().unwrap());
                assert_ne!(found, Format::Binary, "{path:?}");
                assert!(format.is_none_or(|format| format == found), "{path:?}");
                format = Some(found);
            }
            files.insert(version, fs::read_to_string(&path).unwrap());
        }
        let mut file = |version: &str| files.remove(version);
        let case = Self {
            rule: file("rule").map(|text| rule(text.trim_end())),
            base: file("base"),
            ours: file("ours").unwrap_or_else(|| panic!("{name}: no ours")),
            theirs: file("theirs").unwrap_or_else(|| panic!("{name}: no theirs")),
            want: file("want").unwrap_or_else(|| panic!("{name}: no want")),
            format: format.unwrap(),
            name,
        };
        assert!(files.is_empty(), "{}: {:?}", case.name, files.keys());
        case
    }

    fn is_clean(&self) -> bool {
        !self.want.contains("<<<<<<< ours")
    }

    fn rule(&self) -> Rule<'_> {
        self.rule
            .as_ref()
            .map(|(kind, text)| (*kind, text.as_str()))
    }

    fn parse<'a>(&self, text: &'a str) -> Document<'a> {
        Document::parse(self.format, text)
            .unwrap_or_else(|error| panic!("{}: {error}\n{text}", self.name))
    }

    fn merged(&self, base: Option<&str>, ours: &str, theirs: &str) -> Merged {
        let base = base.map(|text| self.parse(text));
        let base = base.as_ref().map_or(Base::Empty, Base::Known);
        merge(base, &self.parse(ours), &self.parse(theirs))
    }

    /// Everything that is not as it should be.
    fn failures(&self) -> Vec<String> {
        let mut found = Vec::new();
        let stages: [fn(&Self, &mut Vec<String>); 4] = [
            Self::as_plaintext,
            Self::laws,
            Self::nothing_is_lost,
            Self::as_sealed_files,
        ];
        for stage in stages {
            // A defect in one case must not hide another.
            let done = catch_unwind(AssertUnwindSafe(|| stage(self, &mut found)));
            if let Err(panic) = done {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                found.push(format!("panicked: {}", text.unwrap_or_default()));
            }
        }
        found
    }

    fn as_plaintext(&self, found: &mut Vec<String>) {
        let base = self.base.as_deref();
        let merged = self.merged(base, &self.ours, &self.theirs);
        let text = marked(&merged);
        if text != self.want {
            found.push(differs("the merge", &text, &self.want));
        }
        for side in [Side::Ours, Side::Theirs] {
            let text = merged.text(side);
            if let Err(error) = Document::parse(self.format, &text) {
                found.push(format!("the result for {side:?}: {error}\n{}", *text));
            }
        }
        let reverse = self.merged(base, &self.theirs, &self.ours);
        if merged.is_clean() != reverse.is_clean() {
            found.push(format!("in reverse, is clean: {}", reverse.is_clean()));
        }
        let text = marked(&reverse);
        if text != exchanged(&self.want) {
            found.push(differs("the reverse", &text, &exchanged(&self.want)));
        }
    }

    /// What only one side did is the result, whatever it is.
    fn laws(&self, found: &mut Vec<String>) {
        let mut versions = vec![("ours", &self.ours), ("theirs", &self.theirs)];
        versions.extend(self.base.as_ref().map(|base| ("base", base)));
        if self.is_clean() {
            versions.push(("want", &self.want));
        }
        let mut broken = Vec::new();
        for (from, a) in &versions {
            for (to, b) in &versions {
                for (law, ours, theirs) in [("a a b", a, b), ("a b a", b, a), ("a b b", b, b)] {
                    let text = marked(&self.merged(Some(a), ours, theirs));
                    if text != **b {
                        let law = format!("{law}, a = {from}, b = {to}");
                        broken.push(differs(&law, &text, b));
                    }
                }
            }
        }
        if let Some(first) = broken.first() {
            found.push(format!("{} laws are broken: {first}", broken.len()));
        }
    }

    /// However conflicts are decided, what all versions have stays, and what the chosen side changed is there.
    fn nothing_is_lost(&self, found: &mut Vec<String>) {
        let base = self.base.as_deref();
        let merged = self.merged(base, &self.ours, &self.theirs);
        let values = |text: &str| {
            let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for (path, value, _) in leaves(&self.parse(text)) {
                found.entry(path).or_default().push(value);
            }
            found
        };
        let base = base.map(values).unwrap_or_default();
        let (ours, theirs) = (values(&self.ours), values(&self.theirs));
        for (side, chosen, other) in [(Side::Ours, &ours, &theirs), (Side::Theirs, &theirs, &ours)]
        {
            let text = merged.text(side);
            let result = values(&text);
            for (path, value) in chosen {
                let there = |values: &BTreeMap<_, _>| values.get(path) == Some(value);
                // Items of a list have one path.
                let alone = [&base, chosen, other, &result]
                    .iter()
                    .all(|values| values.get(path).is_none_or(|all| all.len() == 1));
                if alone && (!there(&base) || there(other)) && !there(&result) {
                    found.push(format!("decided for {side:?}, `{path}` is lost"));
                }
            }
        }
    }

    fn as_sealed_files(&self, found: &mut Vec<String>) {
        let mut random = Counter::default();
        let mut metadata = metadata(self.rule(), false);
        let mut first = |text: &str, random: &mut Counter| {
            seal(self.format, text, &mut metadata, random)
                .unwrap_or_else(|| panic!("{}: refused\n{text}", self.name))
                .text
        };
        let base = self.base.as_ref().map(|text| first(text, &mut random));
        let mut changed = |text: &str| {
            let Some(base) = &base else {
                return first(text, &mut random);
            };
            let found = found_metadata(&self.parse(base));
            let opened = open(self.format, base, &found);
            reseal(self.format, base, &found, opened, text, &mut random)
                .map_or_else(|| base.clone(), |sealed| sealed.text)
        };
        let (ours, theirs) = (changed(&self.ours), changed(&self.theirs));
        let documents = [base.as_deref(), Some(&ours), Some(&theirs)]
            .map(|text| text.map(|text| self.parse(text)));
        let metadatas = documents
            .each_ref()
            .map(|one| one.as_ref().map(found_metadata));
        let plains = [self.base.as_ref(), Some(&self.ours), Some(&self.theirs)];
        let key = data_key();
        let mut secrets = Vec::new();
        let mut versions = Vec::new();
        for ((document, metadata), plain) in documents.iter().zip(&metadatas).zip(plains) {
            let (Some(document), Some(metadata), Some(plain)) = (document, metadata, plain) else {
                versions.push(None);
                continue;
            };
            let decrypted = open(self.format, document.source(), metadata);
            assert_eq!(
                *decrypted.text, *plain,
                "{}: it does not come back",
                self.name
            );
            secrets.extend(sealed_texts(document, &self.parse(plain)));
            versions.push(Some(Version {
                document,
                metadata,
                key: &key,
                decrypted,
            }));
        }
        let mut version = || versions.remove(0);
        let ancestor = version().map_or(Ancestor::Empty, Ancestor::Known);
        let merged = Merge::of(ancestor, version().unwrap(), version().unwrap()).unwrap();
        if merged.is_clean() != self.is_clean() {
            found.push(format!("sealed, is clean: {}", merged.is_clean()));
            return;
        }
        let selection = merged.metadata.metadata.strict_selection().unwrap();
        let mut sealer = Sealer {
            selection: &selection,
            key: &key,
            allow_clear: true,
            now: NOW,
            random: &mut random,
        };
        if self.is_clean() {
            match merged.seal(&mut sealer) {
                Ok(sealed) => self.check_sealed(&sealed, &ours, &theirs, found),
                Err(error) => found.push(format!("it cannot be sealed: {error}")),
            }
        } else {
            let markers = Markers {
                size: 11,
                ..markers()
            };
            match merged.seal_marked(&markers, &mut sealer) {
                Ok(sealed) => check_marked(&sealed, &secrets, found),
                Err(error) => found.push(format!("conflicts cannot be sealed: {error}")),
            }
        }
    }

    /// It opens, with a good MAC, to what is wanted, and what is as in ours is sealed as in ours.
    fn check_sealed(&self, sealed: &str, ours: &str, theirs: &str, found: &mut Vec<String>) {
        let document = self.parse(sealed);
        let opened = open(self.format, sealed, &found_metadata(&document));
        if *opened.text != self.want {
            found.push(differs("opened", &opened.text, &self.want));
        }
        if sealed == theirs {
            return;
        }
        let ours = unique_leaves(&self.parse(ours), &self.parse(&self.ours));
        for (path, (value, token)) in unique_leaves(&document, &self.parse(&opened.text)) {
            match ours.get(&path) {
                Some((same, old)) if *same == value && *old != token => {
                    found.push(format!("sealed anew: {path}"));
                }
                _ => {}
            }
        }
    }
}

/// The rule that a line names.
fn rule(line: &str) -> (RuleKind, String) {
    let (name, text) = line.split_once(' ').expect("a field and its text");
    let kind = RuleKind::ALL.into_iter().find(|kind| kind.name() == name);
    (kind.expect("a field"), text.to_owned())
}

fn markers() -> Markers {
    Markers {
        size: 7,
        ours: "ours".to_owned(),
        base: "base".to_owned(),
        theirs: "theirs".to_owned(),
    }
}

fn marked(merged: &Merged) -> String {
    if merged.is_clean() {
        assert_eq!(*merged.text(Side::Ours), *merged.text(Side::Theirs));
        return merged.text(Side::Ours).to_string();
    }
    merged.marked(&markers()).to_string()
}

/// The same conflicts with ours for theirs.
fn exchanged(text: &str) -> String {
    let (mut result, mut ours, mut base, mut theirs) =
        <(String, String, String, String)>::default();
    let text = match text.strip_prefix('\u{feff}') {
        Some(text) => {
            result.push('\u{feff}');
            text
        }
        None => text,
    };
    let mut at = &mut result;
    for line in text.split_inclusive('\n') {
        match line.trim_end() {
            "<<<<<<< ours" => at = &mut ours,
            "||||||| base" => at = &mut base,
            "=======" => at = &mut theirs,
            ">>>>>>> theirs" => {
                let end = line.trim_start_matches(">>>>>>> theirs");
                for part in [
                    "<<<<<<< ours",
                    end,
                    &theirs,
                    "||||||| base",
                    end,
                    &base,
                    "=======",
                    end,
                    &ours,
                    line,
                ] {
                    result.push_str(part);
                }
                (ours, base, theirs) = Default::default();
                at = &mut result;
            }
            _ => at.push_str(line),
        }
    }
    result
}

fn differs(what: &str, got: &str, want: &str) -> String {
    let shown = |text: &str| {
        if text.contains('\r') || text.contains('\u{feff}') || !text.ends_with('\n') {
            format!("{text:?}\n")
        } else {
            text.to_owned()
        }
    };
    format!("{what} gives\n{}instead of\n{}", shown(got), shown(want))
}

fn found_metadata(document: &Document<'_>) -> Metadata {
    Metadata::of(document).unwrap().expect("metadata")
}

/// The path, value and written text of every leaf that is no alias.
fn leaves(document: &Document<'_>) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    document
        .walk(|step| {
            if let Step::Leaf {
                id,
                path,
                alias: None,
                ..
            } = step
            {
                let node = document.node(id).unwrap();
                let value = document.value(node)?;
                let kind = value.token_type().map_or("null", |kind| kind.word());
                let text = String::from_utf8(value.canonical().into_owned()).unwrap();
                found.push((
                    path.additional_data().to_owned(),
                    format!("{kind} {text}"),
                    node.inner.of(document.source()).to_owned(),
                ));
            }
            Ok::<(), ScanError>(())
        })
        .unwrap();
    found
}

/// Values and tokens by path, of those leaves that have their path alone.
fn unique_leaves(
    sealed: &Document<'_>,
    plain: &Document<'_>,
) -> BTreeMap<String, (String, String)> {
    let (tokens, values) = (leaves(sealed), leaves(plain));
    assert_eq!(tokens.len(), values.len());
    let mut found: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for ((path, _, token), (same, value, _)) in tokens.into_iter().zip(values) {
        assert_eq!(path, same);
        found.entry(path).or_default().push((value, token));
    }
    let mut alone = BTreeMap::new();
    for (path, mut all) in found {
        if let (Some(leaf), true) = (all.pop(), all.is_empty()) {
            alone.insert(path, leaf);
        }
    }
    alone
}

/// The lines of every sealed text that is long enough not to be found by chance, values and comments.
fn sealed_texts(sealed: &Document<'_>, plain: &Document<'_>) -> Vec<String> {
    let values = leaves(sealed).into_iter().zip(leaves(plain));
    let mut found: Vec<String> = values
        .filter(|((_, _, token), _)| token.starts_with("ENC["))
        .map(|(_, (_, value, _))| value)
        .filter_map(|value| value.strip_prefix("str ").map(str::to_owned))
        .collect();
    let comments = |document: &Document<'_>| {
        let mut found = Vec::new();
        let walked = document.walk(|step| {
            if let Step::Comment { id, .. } = step
                && let Value::Str(text) = document.value(document.node(id).unwrap())?
            {
                found.push(text.expose().to_owned());
            }
            Ok::<(), ScanError>(())
        });
        walked.unwrap();
        found
    };
    let clear = comments(sealed);
    let mut hidden = comments(plain);
    hidden.retain(|text| !clear.contains(text));
    found.extend(hidden);
    let lines = found.iter().flat_map(|text| text.lines()).map(str::trim);
    lines
        .filter(|line| line.chars().count() > 6)
        .map(str::to_owned)
        .collect()
}

/// No secret is in it, and no reader takes it for a file in order.
fn check_marked(sealed: &str, secrets: &[String], found: &mut Vec<String>) {
    assert!(!secrets.is_empty());
    for secret in secrets {
        if sealed.contains(secret.as_str()) {
            found.push(format!("`{secret}` is shown by\n{sealed}"));
        }
    }
    for mark in ["<", "|", "=", ">"] {
        let line = mark.repeat(11);
        let longer = mark.repeat(12);
        let is_marker = |text: &str| text.starts_with(&line) && !text.starts_with(&longer);
        if !sealed.lines().any(is_marker) {
            found.push(format!("no marker {line} in\n{sealed}"));
        }
    }
}

#[test]
fn every_case_gives_what_is_expected() {
    let mut folders: Vec<_> = fs::read_dir(testdata("merge"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    println!("{} cases", folders.len());
    assert!(folders.len() >= 80, "only {} cases", folders.len());
    let mut report = String::new();
    for folder in folders {
        let case = Case::read(&folder);
        let failures = case.failures();
        if !failures.is_empty() {
            report.push_str(&format!("\n=== {}\n{}\n", case.name, failures.join("\n")));
        }
    }
    assert!(report.is_empty(), "{report}");
}
