//! Any text as a sealed file; the first character is its format: see `records::metadata`.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| sops_rs_fuzz::records::any_metadata(text));
