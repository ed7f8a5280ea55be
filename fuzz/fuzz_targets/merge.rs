//! Any three texts with NUL between; the first character is their format: see `merge::three`.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| sops_rs_fuzz::merge::any(text));
