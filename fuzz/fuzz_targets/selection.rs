//! Any text as a regular expression; behind the first line break, what it is matched against: see `records::pattern`.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    let (pattern, subject) = text.split_once('\n').unwrap_or((text, "password"));
    sops_rs_fuzz::records::pattern(pattern, subject);
});
