//! What it costs to encrypt, decrypt and change files of 1 KB to 10 MB, and to start the program.
//!
//! `cargo bench` runs all of it; `docs/performance.md` has the figures and how they were taken.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot run has nothing to measure"
)]

mod corpus;

use std::io::Write as _;
use std::process::{Command, Stdio};

use divan::Bencher;
use divan::counter::BytesCount;
use sops_rs::document::Document;
use sops_rs::format::Format;
use sops_rs::keys::age::{IdentityType, generate};
use sops_rs::metadata::{Metadata, SOPS_VERSION};
use sops_rs::ops::decrypt::{Opening, decrypt};
use sops_rs::ops::encrypt::{Previous, Sealer, encrypt, reencrypt};
use sops_rs::recipient::{Recipient, WrappedKey};
use sops_rs::secret::DataKey;
use sops_rs::selection::Selection;

/// 2026-01-01, in seconds since 1970.
const NOW: i64 = 1_767_225_600;

const SIZES: [usize; 4] = [1 << 10, 100 << 10, 1 << 20, 10 << 20];

const FORMATS: [Format; 3] = [Format::Yaml, Format::Json, Format::Dotenv];

fn main() {
    divan::main();
}

fn plaintext(format: Format, size: usize) -> String {
    match format {
        Format::Json => corpus::json(size),
        Format::Dotenv => corpus::dotenv(size),
        Format::Yaml | Format::Ini | Format::Toml | Format::Binary => corpus::yaml(size),
    }
}

/// Metadata with one recipient whose key is not a real one: unwrapping is not measured here.
fn metadata() -> Metadata {
    let recipient = "age1mj033j9qcfmlnezuup06wwph659evd55wd8e7k4fakj72knmmaks0uxk6p".to_owned();
    let key = WrappedKey {
        recipient: Recipient::Age { recipient },
        created_at: String::new(),
        enc: "-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n-----END AGE ENCRYPTED FILE-----\n"
            .to_owned(),
        unknown: Vec::new(),
    };
    Metadata {
        groups: vec![vec![key]],
        shamir_threshold: 0,
        lastmodified: String::new(),
        mac: String::new(),
        version: SOPS_VERSION.to_owned(),
        rule: None,
        mac_only_encrypted: false,
        unknown: Vec::new(),
    }
}

fn key() -> DataKey {
    DataKey::new((0..32).collect())
}

/// IVs that count: the cost of the system's random source is that of one call for 4 KB.
fn counter() -> impl FnMut(&mut [u8]) {
    let mut next = 0u64;
    move |bytes: &mut [u8]| {
        next += 1;
        for (place, byte) in bytes.iter_mut().zip(next.to_le_bytes()) {
            *place = byte;
        }
    }
}

fn seal(format: Format, text: &str) -> (String, Metadata) {
    let document = Document::parse(format, text).expect("the corpus can be read");
    let (selection, key, mut random, mut metadata) =
        (Selection::default(), key(), counter(), metadata());
    let mut sealer = Sealer {
        selection: &selection,
        key: &key,
        allow_clear: false,
        now: NOW,
        random: &mut random,
    };
    let sealed = encrypt(document, &mut metadata, &mut sealer).expect("the corpus can be sealed");
    (sealed.text, metadata)
}

#[divan::bench(args = SIZES, consts = [0, 1, 2])]
fn encrypted<const FORMAT: usize>(bencher: Bencher<'_, '_>, size: usize) {
    let format = FORMATS[FORMAT];
    let text = plaintext(format, size);
    bencher
        .counter(BytesCount::of_str(&text))
        .bench(|| seal(format, &text).0);
}

#[divan::bench(args = SIZES, consts = [0, 1, 2])]
fn decrypted<const FORMAT: usize>(bencher: Bencher<'_, '_>, size: usize) {
    let format = FORMATS[FORMAT];
    let text = plaintext(format, size);
    let (sealed, _) = seal(format, &text);
    bencher.counter(BytesCount::of_str(&text)).bench(|| {
        let document = Document::parse(format, &sealed).expect("sealed text can be read");
        let metadata = Metadata::of(&document)
            .expect("metadata")
            .expect("metadata");
        let (selection, _) = metadata.selection();
        decrypt(&document, &metadata, &selection, &key(), Opening::default())
            .expect("sealed text opens")
    });
}

/// One value changed: open the old text, seal the new one with every other token kept.
#[divan::bench(args = SIZES, consts = [0, 1, 2])]
fn one_value_changed<const FORMAT: usize>(bencher: Bencher<'_, '_>, size: usize) {
    let format = FORMATS[FORMAT];
    let text = plaintext(format, size);
    let (sealed, _) = seal(format, &text);
    let changed = text.replacen("a", "A", 1);
    bencher.counter(BytesCount::of_str(&text)).bench(|| {
        let document = Document::parse(format, &sealed).expect("sealed text can be read");
        let metadata = Metadata::of(&document)
            .expect("metadata")
            .expect("metadata");
        let (selection, _) = metadata.selection();
        let (key, mut random) = (key(), counter());
        let decrypted = decrypt(
            &document,
            &metadata,
            &selection,
            &key,
            Opening {
                remember: true,
                ..Opening::default()
            },
        )
        .expect("sealed text opens");
        let new = Document::parse(format, &changed).expect("the corpus can be read");
        let previous = Previous {
            document: &document,
            metadata: &metadata,
            decrypted,
        };
        let mut sealer = Sealer {
            selection: &selection,
            key: &key,
            allow_clear: false,
            now: NOW,
            random: &mut random,
        };
        reencrypt(new, previous, &mut sealer).expect("the corpus can be sealed")
    });
}

/// The whole process: loader, arguments, answer.
#[divan::bench]
fn process_version(bencher: Bencher<'_, '_>) {
    bencher.bench(|| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sops-rs"));
        command.arg("--version").output().expect("the program runs")
    });
}

/// A folder with an identity, and a sealed file of about `size` bytes made by the program itself.
struct Sealed {
    folder: tempfile::TempDir,
}

impl Sealed {
    fn new(size: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let new = generate(
            IdentityType::Classic,
            "2026-01-01T00:00:00Z",
            &mut counter(),
        );
        let write = |name: &str, text: &str| {
            let mut file = tempfile::NamedTempFile::new_in(&folder).expect("a file");
            file.write_all(text.as_bytes()).expect("room");
            file.persist(folder.path().join(name)).expect("a name");
        };
        write("keys.txt", new.file.expose());
        write("plain.yaml", &corpus::yaml(size));
        let sealed = Self { folder };
        sealed.run(&[
            "encrypt",
            "--age",
            &new.recipient,
            "--output",
            "sealed.yaml",
            "plain.yaml",
        ]);
        sealed
    }

    fn run(&self, arguments: &[&str]) {
        let status = Command::new(env!("CARGO_BIN_EXE_sops-rs"))
            .args(arguments)
            .current_dir(&self.folder)
            .env("SOPS_AGE_KEY_FILE", self.folder.path().join("keys.txt"))
            .stdout(Stdio::null())
            .status();
        assert!(status.is_ok_and(|status| status.success()));
    }
}

/// The whole process: start, read, unwrap, open, verify, write.
#[divan::bench(args = SIZES)]
fn process_decrypt(bencher: Bencher<'_, '_>, size: usize) {
    let sealed = Sealed::new(size);
    bencher.bench(|| sealed.run(&["decrypt", "sealed.yaml"]));
}

/// The whole process: start, read, wrap, seal, write.
#[divan::bench(args = SIZES)]
fn process_encrypt(bencher: Bencher<'_, '_>, size: usize) {
    let sealed = Sealed::new(size);
    let recipient = "age1mj033j9qcfmlnezuup06wwph659evd55wd8e7k4fakj72knmmaks0uxk6p";
    bencher.bench(|| sealed.run(&["encrypt", "--age", recipient, "plain.yaml"]));
}
