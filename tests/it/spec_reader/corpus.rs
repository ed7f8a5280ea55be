//! The corpus of plaintext files, checked before anything is proved with it: every file must be one that SOPS accepts.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Format, Leaf, plain};
use crate::bench_corpus;

pub(crate) fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

fn leaves(path: &Path) -> Vec<Leaf> {
    let text = fs::read_to_string(path).unwrap();
    let found = plain(&text, Format::of_path(path.to_str().unwrap()));
    found.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_plaintexts_are_documents_that_sops_accepts() {
    let mut count = 0;
    for format in ["yaml", "json", "dotenv", "ini"] {
        for path in files(&format!("roundtrip/{format}")) {
            count += 1;
            let empty = path.to_str().unwrap().contains("/empty-");
            assert!(
                empty || !leaves(&path).is_empty(),
                "{}: nothing to seal",
                path.display()
            );
        }
    }
    assert!(count >= 60, "only {count} files");
}

/// An exception may lose a spelling, never a value.
#[test]
fn what_comes_back_of_an_exception_has_the_same_values() {
    let mut count = 0;
    for path in files("exceptions") {
        let name = path.to_str().unwrap().to_owned();
        if name.contains(".opened.") {
            continue;
        }
        count += 1;
        let (stem, suffix) = name.rsplit_once('.').unwrap();
        let opened = PathBuf::from(format!("{stem}.opened.{suffix}"));
        assert_ne!(
            fs::read(&path).unwrap(),
            fs::read(&opened).unwrap(),
            "{name}: no exception"
        );
        if name.ends_with("yaml-1-2-directive.yaml") {
            assert!(plain(&fs::read_to_string(&path).unwrap(), Format::Yaml).is_err());
            continue;
        }
        assert_eq!(leaves(&path), leaves(&opened), "{name}");
    }
    assert!(count >= 10, "only {count} files");
}

/// What the benchmarks run on is real: it parses, and a leaf takes about 150 bytes of YAML.
#[test]
fn the_documents_of_the_benchmarks_are_realistic() {
    let size = 1_000_000;
    let count = |text: String, format| plain(&text, format).unwrap().len();
    let leaves = count(bench_corpus::yaml(size), Format::Yaml);
    assert!(
        (6_000..7_500).contains(&leaves),
        "{leaves} leaves in 1 MB of YAML"
    );
    let leaves = count(bench_corpus::json(size), Format::Json);
    assert!(
        (5_000..10_000).contains(&leaves),
        "{leaves} leaves in 1 MB of JSON"
    );
    let leaves = count(bench_corpus::dotenv(size), Format::Dotenv);
    assert!(
        (5_000..10_000).contains(&leaves),
        "{leaves} leaves in 1 MB of dotenv"
    );
}
