//! Any text is sealed and opened; the first character is its format, the second the rule: see `roundtrip::roundtrip`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sops_rs_fuzz::roundtrip::any(input));
