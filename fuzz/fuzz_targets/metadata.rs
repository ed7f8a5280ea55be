//! Any text as a sealed file; the first character is its format: see `records::metadata`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sops_rs::format::Format;

fuzz_target!(|text: &str| {
    let mut characters = text.chars();
    let format = match characters.next() {
        Some('j') => Format::Json,
        Some('d') => Format::Dotenv,
        Some('i') => Format::Ini,
        _ => Format::Yaml,
    };
    sops_rs_fuzz::records::metadata(format, characters.as_str());
});
