//! Any plaintext with a value before it, changed at any of its places: see `change::any`.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| sops_rs_fuzz::change::any(text));
