//! Any text as a config file: see `records::config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| sops_rs_fuzz::records::config(text));
