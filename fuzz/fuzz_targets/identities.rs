//! Any bytes as identities and recipients: see `records::identities`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sops_rs_fuzz::records::identities(bytes));
