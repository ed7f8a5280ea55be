//! Any text as a document of this format: see `documents::scan`.
#![no_main]

use sops_rs::format::Format;

libfuzzer_sys::fuzz_target!(|text: &str| sops_rs_fuzz::documents::scan(Format::Toml, text));
