//! Any text as a regular expression; behind the first line break, what it is matched against: see `records::pattern`.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| sops_rs_fuzz::records::any_pattern(text));
