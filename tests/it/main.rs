//! The integration tests, one binary: one module per subject.

#[cfg(test)]
mod ansible;
#[cfg(test)]
mod atomic;
#[cfg(test)]
mod backends;
#[cfg(test)]
#[path = "../../benches/corpus.rs"]
mod bench_corpus;
#[cfg(test)]
mod bench_documents;
#[cfg(test)]
mod canary;
#[cfg(test)]
mod change;
#[cfg(test)]
mod classic;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod convert;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod edit;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod explain;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
#[path = "../../fuzz/src/lib.rs"]
#[expect(
    unreachable_pub,
    reason = "it is the library of the fuzz targets, which are programs of their own"
)]
mod fuzz;
#[cfg(test)]
mod git;
#[cfg(test)]
mod guidance;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod many;
#[cfg(test)]
mod merge_cases;
#[cfg(test)]
mod rekey;
#[cfg(test)]
mod roundtrip;
#[cfg(test)]
mod safety;
#[cfg(test)]
mod set;
#[cfg(test)]
mod small_diffs;
#[cfg(test)]
mod spec_reader;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tidy;
#[cfg(test)]
mod toml_corpus;
#[cfg(test)]
mod toml_files;
#[cfg(all(test, not(feature = "pgp"), not(feature = "online")))]
mod without_features;
#[cfg(test)]
mod yaml_emitter;
#[cfg(test)]
mod yaml_reading;
