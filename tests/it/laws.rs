//! The laws of `docs/architecture.md` on documents that a generator makes, on the corpus of the fuzzer, and on documents
//! that somebody made to do harm. The cases are the same on every run.

mod changing;
mod documents;
mod hostile;
mod merging;
mod moving;
mod quoting;
mod toml;
mod words;

use proptest::test_runner::{Config, RngSeed};

use crate::fuzz;

/// So many cases, the same ones on every run.
fn cases(number: u32) -> Config {
    Config {
        cases: number,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(20_261_123),
        ..Config::default()
    }
}

/// Hands every file of one folder of `fuzz/corpus` to `check`.
fn replay(target: &str, check: impl Fn(&[u8])) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}")) {
        check(&std::fs::read(entry.expect("an entry").path()).expect("a file"));
        seen += 1;
    }
    assert!(seen > 0, "{folder:?} is empty");
}

fn replay_texts(target: &str, check: impl Fn(&str)) {
    replay(target, |bytes| {
        check(std::str::from_utf8(bytes).expect("UTF-8"));
    });
}

/// What the fuzz targets do, with what they found before.
#[test]
fn the_corpus_of_the_fuzzer_obeys_the_laws() {
    use sops_rs::format::Format;

    for (target, format) in [
        ("yaml", Format::Yaml),
        ("json", Format::Json),
        ("dotenv", Format::Dotenv),
        ("ini", Format::Ini),
        ("toml", Format::Toml),
    ] {
        replay_texts(target, |text| fuzz::documents::scan(format, text));
    }
    replay_texts("token", fuzz::records::token);
    replay_texts("metadata", fuzz::records::any_metadata);
    replay_texts("merge", fuzz::merge::any);
    replay_texts("change", fuzz::change::any);
    replay_texts("pointer", fuzz::change::pointer);
    replay_texts("config", fuzz::records::config);
    replay_texts("selection", fuzz::records::any_pattern);
    replay("identities", fuzz::records::identities);
    replay("roundtrip", fuzz::roundtrip::any);
}
