//! Any text as a token, as the bytes of a value, and as plaintext: see `records::token`.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| sops_rs_fuzz::records::token(text));
