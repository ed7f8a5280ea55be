//! Any text as a path: see `change::pointer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| sops_rs_fuzz::change::pointer(text));
