//! The documents that the benchmarks measure on are what they claim to be.

use crate::bench_corpus::{dotenv, json, yaml};

#[test]
fn documents_are_the_same_every_time_and_as_large_as_asked_for() {
    for document in [yaml, json, dotenv] {
        let text = document(100_000);
        assert_eq!(text, document(100_000));
        assert!((100_000..110_000).contains(&text.len()), "{}", text.len());
        assert!(text.ends_with('\n'));
        assert!(document(0).len() < 2_000);
    }
}
