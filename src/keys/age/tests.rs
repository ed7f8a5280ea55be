//! The age service, held to fixtures, published vectors and real programs.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use age::DecryptError;
use age::secrecy::SecretString;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};

use super::locked::open_file;
use super::{
    AgeService, Identities, IdentitySource, IdentityType, NoPrompt, Prompt, generate, seal,
};
use crate::keys::{DEFAULT_ORDER, KeyError, KeyService as _, recover, wrap_all};
use crate::recipient::{Recipient, WrappedKey};
use crate::secret::{DataKey, Plain};

macro_rules! testdata {
    ($name:literal) => {
        include_str!(concat!("../../../testdata/age/", $name))
    };
}

const ALICE: &str = testdata!("sops/alice.age.txt");
const BOB: &str = testdata!("sops/bob.age.txt");
const CAROL: &str = testdata!("sops/carol.age.txt");
const QUANTUM: &str = testdata!("sops/quantum.age.txt");

fn keys(origin: &str, text: &str) -> Arc<Identities> {
    Arc::new(Identities::parse(origin, text.as_bytes()).unwrap())
}

fn ssh(origin: &str, text: &str) -> Arc<Identities> {
    Arc::new(Identities::parse_ssh(origin, text.as_bytes()).unwrap())
}

fn service(identities: &[Arc<Identities>], prompt: &Arc<Clerk>) -> AgeService {
    let sources = identities
        .iter()
        .map(|one| Box::new(Arc::clone(one)) as Box<dyn IdentitySource>);
    AgeService::new(sources.collect(), Arc::clone(prompt) as Arc<dyn Prompt>)
}

fn quiet(identities: &[Arc<Identities>]) -> AgeService {
    service(identities, &Clerk::knowing(&[]))
}

fn public(file: &str) -> Recipient {
    let recipient = file
        .lines()
        .find_map(|line| line.strip_prefix("# public key: "))
        .unwrap();
    Recipient::Age {
        recipient: recipient.to_owned(),
    }
}

fn named(recipient: &str) -> Recipient {
    Recipient::Age {
        recipient: recipient.trim().to_owned(),
    }
}

/// Answers with one passphrase after the other and remembers what it was asked.
#[derive(Default)]
struct Clerk {
    answers: Vec<&'static str>,
    asked: Mutex<Vec<String>>,
}

impl Clerk {
    fn knowing(answers: &[&'static str]) -> Arc<Self> {
        Arc::new(Self {
            answers: answers.to_vec(),
            ..Self::default()
        })
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Prompt for Clerk {
    fn passphrase(&self, what: &str, attempt: u8) -> Option<Plain<'static>> {
        self.asked.lock().unwrap().push(format!("{what} {attempt}"));
        let answer = self.answers.get(usize::from(attempt) - 1)?;
        Some(Plain::owned((*answer).to_owned()))
    }
    fn text(&self, _: &str) -> Option<String> {
        None
    }
    fn confirm(&self, _: &str, _: &str, _: Option<&str>) -> Option<bool> {
        None
    }
    fn message(&self, _: &str) {}
}

/// The age entries of a file that SOPS wrote, one group an entry of `key_groups`.
fn entries(file: &str) -> Vec<Vec<WrappedKey>> {
    let metadata = file.split_once("\nsops:\n").unwrap().1;
    let mut groups = vec![Vec::new()];
    let mut enc = String::new();
    for line in metadata.lines() {
        let text = line.trim_start();
        if text == "- age:" && !groups.last().unwrap().is_empty() {
            groups.push(Vec::new());
        } else if text.ends_with("enc: |") {
            enc.clear();
        } else if let Some(recipient) = text.strip_prefix("recipient: ") {
            let recipient = named(recipient);
            let (created_at, unknown) = (String::new(), Vec::new());
            let enc = std::mem::take(&mut enc);
            groups.last_mut().unwrap().push(WrappedKey {
                recipient,
                created_at,
                enc,
                unknown,
            });
        } else {
            enc.push_str(text);
            enc.push('\n');
        }
    }
    groups
}

/// Whether `service` recovers a data key from this file of SOPS.
fn opens(service: &AgeService, file: &str, threshold: usize) -> bool {
    match recover(&entries(file), threshold, &DEFAULT_ORDER, &[service]) {
        Ok(key) => {
            assert_eq!(key.expose().len(), DataKey::LEN);
            true
        }
        Err(_) => false,
    }
}

mod files_of_sops {
    use super::*;

    #[test]
    fn hybrid_post_quantum() {
        let file = testdata!("sops/quantum.yaml");
        assert!(opens(&quiet(&[keys("q", QUANTUM)]), file, 0));
        assert!(!opens(&quiet(&[keys("a", ALICE)]), file, 0));
    }

    #[test]
    fn two_recipients_of_one_key() {
        let file = testdata!("sops/two-recipients.yaml");
        let entries = entries(file).concat();
        let unwrap = |identity, entry: &WrappedKey| {
            quiet(&[keys("k", identity)])
                .unwrap(&entry.recipient, &entry.enc)
                .unwrap()
        };
        let alice = entries
            .iter()
            .find(|entry| entry.recipient == public(ALICE))
            .unwrap();
        let bob = entries
            .iter()
            .find(|entry| entry.recipient == public(BOB))
            .unwrap();
        assert!(unwrap(ALICE, alice).unwrap() == unwrap(BOB, bob).unwrap());
        assert!(unwrap(ALICE, bob).is_none());
    }

    #[test]
    fn shares_of_three_groups() {
        let file = testdata!("sops/shamir-2-of-3-yaml.yaml");
        assert_eq!(entries(file).len(), 3);
        let groups = entries(file);
        let key = |identities: &[Arc<Identities>]| {
            recover(&groups, 2, &DEFAULT_ORDER, &[&quiet(identities)]).ok()
        };
        let (alice, bob, carol) = (keys("a", ALICE), keys("b", BOB), keys("c", CAROL));
        let all = key(&[alice.clone(), bob.clone(), carol.clone()]).unwrap();
        assert_eq!(all.expose().len(), DataKey::LEN);
        assert!(key(&[alice.clone(), bob]).unwrap() == all);
        assert!(key(&[carol, alice.clone()]).unwrap() == all);
        assert!(key(&[alice]).is_none());
    }

    #[test]
    fn ssh_keys() {
        let ed25519 = ssh("id_ed25519", testdata!("sops/ssh_ed25519"));
        let rsa = ssh("id_rsa", testdata!("sops/ssh_rsa"));
        let file_of_ed25519 = testdata!("sops/ssh-ed25519.yaml");
        let file_of_rsa = testdata!("sops/ssh-rsa.yaml");
        assert!(opens(&quiet(&[Arc::clone(&ed25519)]), file_of_ed25519, 0));
        assert!(opens(&quiet(&[Arc::clone(&rsa)]), file_of_rsa, 0));
        assert!(!opens(&quiet(&[ed25519]), file_of_rsa, 0));
        assert!(!opens(&quiet(&[rsa]), file_of_ed25519, 0));
    }

    const PROTECTED: &str = testdata!("sops/ssh_ed25519_passphrase");

    #[test]
    fn ssh_key_under_a_passphrase() {
        let clerk = Clerk::knowing(&["wrong", "correct horse"]);
        let service = service(&[ssh("id_ed25519", PROTECTED)], &clerk);
        assert!(!opens(&service, testdata!("sops/ssh-ed25519.yaml"), 0));
        assert!(!opens(&service, testdata!("sops/quantum.yaml"), 0));
        assert_eq!(
            clerk.asked().len(),
            0,
            "the passphrase would have been of no use"
        );
        let file = testdata!("sops/ssh-ed25519-passphrase.yaml");
        assert!(opens(&service, file, 0));
        assert!(opens(&service, file, 0));
        assert_eq!(
            clerk.asked(),
            ["id_ed25519 1", "id_ed25519 2"],
            "and never again"
        );
    }

    #[test]
    fn wrong_passphrases_end_somewhere() {
        let entry = entries(testdata!("sops/ssh-ed25519-passphrase.yaml"))
            .concat()
            .remove(0);
        let attempt = |clerk: &Arc<Clerk>| {
            let service = service(&[ssh("id_ed25519", PROTECTED)], clerk);
            service
                .unwrap(&entry.recipient, &entry.enc)
                .unwrap_err()
                .to_string()
        };
        let stubborn = Clerk::knowing(&["a", "b", "c", "correct horse"]);
        assert_eq!(attempt(&stubborn), "id_ed25519: wrong passphrase, 3 times");
        assert_eq!(stubborn.asked().len(), 3);
        assert_eq!(
            attempt(&Clerk::knowing(&["a"])),
            "id_ed25519: wrong passphrase"
        );
        assert_eq!(
            attempt(&Clerk::knowing(&[])),
            "id_ed25519: needs a passphrase, and there is nobody to ask for it"
        );
    }
}

mod wrapping {
    use super::*;

    fn data_key() -> DataKey {
        DataKey::new((0..32).collect())
    }

    #[test]
    fn every_type_comes_back_through_its_own_identity_alone() {
        let pairs = [
            (public(ALICE), keys("x25519", ALICE)),
            (public(QUANTUM), keys("pq", QUANTUM)),
            (
                named(testdata!("sops/ssh_ed25519.pub")),
                ssh("ed", testdata!("sops/ssh_ed25519")),
            ),
            (
                named(testdata!("sops/ssh_rsa.pub")),
                ssh("rsa", testdata!("sops/ssh_rsa")),
            ),
        ];
        for (index, (recipient, _)) in pairs.iter().enumerate() {
            let enc = quiet(&[]).wrap(recipient, &data_key()).unwrap();
            for (other, (_, identity)) in pairs.iter().enumerate() {
                let key = quiet(&[Arc::clone(identity)])
                    .unwrap(recipient, &enc)
                    .unwrap();
                assert_eq!(key.is_some(), index == other);
                assert!(key.is_none_or(|key| key == data_key()));
            }
        }
    }

    #[test]
    fn new_identities_work() {
        let mut counter = 0_u8;
        let mut random = |bytes: &mut [u8]| {
            counter += 1;
            bytes.fill(counter);
        };
        for kind in [IdentityType::Classic, IdentityType::PostQuantum] {
            let new = generate(kind, "2026-01-02T03:04:05Z", &mut random);
            let service = quiet(&[keys("new", new.file.expose())]);
            let recipient = named(&new.recipient);
            let enc = service.wrap(&recipient, &data_key()).unwrap();
            assert!(service.unwrap(&recipient, &enc).unwrap().unwrap() == data_key());
        }
    }

    #[test]
    fn the_form_is_that_of_sops() {
        let enc = quiet(&[]).wrap(&public(ALICE), &data_key()).unwrap();
        assert!(enc.starts_with("-----BEGIN AGE ENCRYPTED FILE-----\n"));
        assert!(enc.ends_with("\n-----END AGE ENCRYPTED FILE-----\n"));
        assert!(enc.lines().all(|line| line.len() <= 64) && !enc.contains('\r'));
        let body: String = enc.lines().filter(|line| !line.starts_with('-')).collect();
        let binary = BASE64_STANDARD.decode(body).unwrap();
        let recipients = binary
            .windows(4)
            .filter(|window| window == b"\n-> ")
            .count();
        // one for the recipient; the crate may add one that means nothing
        assert!((1..=2).contains(&recipients));
    }

    #[test]
    fn groups_are_wrapped_and_recovered() {
        let groups = [
            vec![public(ALICE), public(QUANTUM)],
            vec![public(BOB)],
            vec![public(CAROL)],
        ];
        let mut random = |bytes: &mut [u8]| bytes.fill(3);
        let service = quiet(&[keys("q", QUANTUM), keys("c", CAROL)]);
        let services: [&dyn crate::keys::KeyService; 1] = [&service];
        let wrapped = wrap_all(&groups, 2, &data_key(), "", &services, &mut random).unwrap();
        let key = recover(&wrapped, 2, &DEFAULT_ORDER, &services).unwrap();
        assert!(key == data_key());
    }

    #[test]
    fn recipients_that_cannot_be_wrapped_for() {
        let error = |recipient: &str| {
            quiet(&[])
                .wrap(&named(recipient), &data_key())
                .unwrap_err()
                .in_full()
        };
        assert_eq!(
            error("age1mj033"),
            "not a valid age recipient: not valid Bech32: mistyped, or a part is missing"
        );
        // a well-formed recipient whose X25519 half is zero would make the secret public
        let zero = {
            use hpke::{Deserializable as _, Serializable as _};
            let new = generate(IdentityType::PostQuantum, "", &mut |bytes: &mut [u8]| {
                bytes.fill(1);
            });
            let hrp = bech32::Hrp::parse("age1pq").unwrap();
            let (_, mut bytes) = age_core::primitives::bech32_decode(
                &new.recipient,
                |_| (),
                |_| Ok(()),
                |hrp, bytes| Ok((hrp, bytes.collect::<Vec<u8>>())),
            )
            .unwrap();
            bytes[1184..].fill(0);
            assert!(
                super::super::xwing::PublicKey::from_bytes(&bytes)
                    .unwrap()
                    .to_bytes()
                    .len()
                    == 1216
            );
            age_core::primitives::bech32_encode(hrp, &bytes)
        };
        assert_eq!(
            error(&zero),
            "encryption failed: the post-quantum recipient holds a weak point"
        );
    }

    #[test]
    fn recipients_of_hardware_keys_need_no_plugin_to_wrap_for() {
        // the base point of P-256, compressed
        let point = [
            0x03, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63,
            0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39,
            0x45, 0xd8, 0x98, 0xc2, 0x96,
        ];
        let prefix = bech32::Hrp::parse("age1tag").unwrap();
        let recipient = named(&age_core::primitives::bech32_encode(prefix, &point));
        assert!(quiet(&[]).wrap(&recipient, &data_key()).is_ok());
    }

    #[test]
    fn a_plugin_that_is_not_there_is_named() {
        let recipient = "age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t";
        let error = quiet(&[]).wrap(&named(recipient), &data_key()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the program age-plugin-yubikey is not on the PATH"
        );
    }
}

mod unwrapping {
    use super::*;

    fn sealed_for_alice() -> (Recipient, String) {
        let key = DataKey::new(vec![7; 32]);
        (
            public(ALICE),
            quiet(&[]).wrap(&public(ALICE), &key).unwrap(),
        )
    }

    #[test]
    fn what_is_no_age_file() {
        let (recipient, enc) = sealed_for_alice();
        let service = quiet(&[keys("a", ALICE)]);
        let cut = enc.get(..enc.len() / 2).unwrap();
        for text in [
            "",
            "hello",
            cut,
            "-----BEGIN AGE ENCRYPTED FILE-----\n",
            "age-encryption.org/v1\n",
        ] {
            assert!(service.unwrap(&recipient, text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_damaged_payload_is_an_error_and_not_somebody_elses() {
        let (recipient, enc) = sealed_for_alice();
        let body: String = enc.lines().filter(|line| !line.starts_with('-')).collect();
        let mut binary = BASE64_STANDARD.decode(body).unwrap();
        *binary.last_mut().unwrap() ^= 1;
        let service = quiet(&[keys("a", ALICE)]);
        let error = service.unwrap(&recipient, &armor(&binary)).unwrap_err();
        assert!(error.to_string().contains("damaged"), "{error}");
    }

    #[test]
    fn more_than_a_key_is_refused() {
        let recipient: age::x25519::Recipient = match public(ALICE) {
            Recipient::Age { recipient } => recipient.parse().unwrap(),
            _ => panic!("an age recipient"),
        };
        let service = quiet(&[keys("a", ALICE)]);
        let enc = seal(&recipient, &DataKey::new(vec![0; 4096])).unwrap();
        assert!(service.unwrap(&public(ALICE), &enc).is_ok());
        let enc = seal(&recipient, &DataKey::new(vec![0; 4097])).unwrap();
        assert!(service.unwrap(&public(ALICE), &enc).is_err());
    }

    /// An identity file under a passphrase, made with little work.
    fn protect(text: &str, passphrase: &str) -> String {
        let mut recipient = age::scrypt::Recipient::new(SecretString::from(passphrase));
        recipient.set_work_factor(2);
        seal(&recipient, &DataKey::new(text.as_bytes().to_vec())).unwrap()
    }

    #[test]
    fn a_protected_identity_file_is_unlocked_when_nothing_else_helps() {
        let protected = keys("keys.txt", &protect(ALICE, "open sesame"));
        let clerk = Clerk::knowing(&["open sesame"]);
        let (recipient, enc) = sealed_for_alice();

        let with_plain = service(&[Arc::clone(&protected), keys("plain", ALICE)], &clerk);
        assert!(with_plain.unwrap(&recipient, &enc).unwrap().is_some());
        assert_eq!(clerk.asked().len(), 0);

        let alone = service(&[protected], &clerk);
        for _ in 0..2 {
            assert!(alone.unwrap(&recipient, &enc).unwrap().is_some());
        }
        assert_eq!(clerk.asked(), ["keys.txt 1"]);
    }

    #[test]
    fn a_protected_file_of_others_is_not_mine_and_a_bad_one_an_error() {
        let (recipient, enc) = sealed_for_alice();
        let attempt = |text: &str| {
            let clerk = Clerk::knowing(&["p"]);
            service(&[keys("keys.txt", &protect(text, "p"))], &clerk).unwrap(&recipient, &enc)
        };
        assert!(attempt(BOB).unwrap().is_none());
        let error = attempt("# x\nS3CR3T-CANARY").unwrap_err().to_string();
        assert!(
            error.starts_with("keys.txt, line 2: not an age identity"),
            "{error}"
        );
        assert!(!error.contains("CANARY"));
    }

    #[test]
    fn an_age_file_for_a_key_is_no_identity_file() {
        let (recipient, enc) = sealed_for_alice();
        let service = service(&[keys("keys.txt", &enc)], &Clerk::knowing(&["p"]));
        let error = service.unwrap(&recipient, &enc).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("keys.txt: cannot be unlocked"),
            "{error}"
        );
    }

    /// A source that counts how often it is asked, and may fail.
    struct Counted {
        slow: bool,
        calls: Arc<AtomicUsize>,
        result: Result<Arc<Identities>, &'static str>,
    }

    impl IdentitySource for Counted {
        fn identities(&self, _: &str) -> Result<Option<Arc<Identities>>, KeyError> {
            self.calls.fetch_add(1, Ordering::SeqCst);
            self.result.clone().map(Some).map_err(KeyError::new)
        }
        fn is_slow(&self) -> bool {
            self.slow
        }
    }

    #[test]
    fn slow_sources_are_asked_last_and_broken_ones_stop_nobody() {
        let (recipient, enc) = sealed_for_alice();
        let calls = Arc::new(AtomicUsize::new(0));
        let slow = || Counted {
            slow: true,
            calls: Arc::clone(&calls),
            result: Ok(keys("s", BOB)),
        };
        let quick = |result| Counted {
            slow: false,
            calls: Arc::default(),
            result,
        };
        let service =
            |sources: Vec<Box<dyn IdentitySource>>| AgeService::new(sources, Arc::new(NoPrompt));

        let good = service(vec![
            Box::new(slow()),
            Box::new(quick(Err("no such file"))),
            Box::new(quick(Ok(keys("a", ALICE)))),
        ]);
        assert!(good.unwrap(&recipient, &enc).unwrap().is_some());
        assert_eq!(calls.load(Ordering::SeqCst), 0);

        let bad = service(vec![
            Box::new(slow()),
            Box::new(quick(Err("no such file"))),
            Box::new(quick(Err("no such file"))),
            Box::new(quick(Err("not allowed"))),
        ]);
        let error = bad.unwrap(&recipient, &enc).unwrap_err();
        assert_eq!(error.to_string(), "no such file; not allowed");
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn services_can_be_shared_between_threads() {
        fn check<T: Send + Sync>() {}
        check::<AgeService>();
    }
}

fn armor(binary: &[u8]) -> String {
    let body = BASE64_STANDARD.encode(binary);
    let lines: Vec<&str> = body
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN AGE ENCRYPTED FILE-----\n{}\n-----END AGE ENCRYPTED FILE-----\n",
        lines.join("\n")
    )
}

/// One file of the age test vectors.
struct Vector {
    headers: HashMap<String, String>,
    identities: String,
    passphrases: Vec<String>,
    content: Vec<u8>,
}

impl Vector {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap();
        let mut vector = Self {
            headers: HashMap::new(),
            identities: String::new(),
            passphrases: Vec::new(),
            content: bytes[end + 2..].to_vec(),
        };
        for line in std::str::from_utf8(&bytes[..end]).unwrap().lines() {
            let (name, value) = line.split_once(": ").unwrap();
            match name {
                "identity" => vector.identities.extend([value, "\n"]),
                "passphrase" => vector.passphrases.push(value.to_owned()),
                _ => drop(vector.headers.insert(name.to_owned(), value.to_owned())),
            }
        }
        vector
    }

    /// The payload that comes out, or in which way it did not.
    fn open(&self) -> Result<Vec<u8>, &'static str> {
        if self.headers.contains_key("armored") || self.passphrases.is_empty() {
            let enc = match self.headers.get("armored") {
                Some(_) => String::from_utf8(self.content.clone()).map_err(|_| "error")?,
                None => armor(&self.content),
            };
            if !self.passphrases.is_empty() {
                return self.open_protected(enc.as_bytes());
            }
            let identities = if self.identities.is_empty() {
                Vec::new()
            } else {
                vec![keys("vector", &self.identities)]
            };
            match quiet(&identities).unwrap(&public(ALICE), &enc) {
                Ok(Some(key)) => Ok(key.expose().to_vec()),
                Ok(None) => Err("no match"),
                Err(_) => Err("error"),
            }
        } else {
            self.open_protected(&self.content)
        }
    }

    /// Passphrases do not open wrapped keys, but identity files.
    fn open_protected(&self, content: &[u8]) -> Result<Vec<u8>, &'static str> {
        let passphrase = SecretString::from(self.passphrases[0].as_str());
        match open_file(content, passphrase) {
            Ok(payload) => Ok(payload.to_vec()),
            Err(DecryptError::DecryptionFailed | DecryptError::NoMatchingKeys) => Err("no match"),
            Err(_) => Err("error"),
        }
    }
}

#[test]
fn vectors_of_the_age_specification() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/age/vectors");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let vector = Vector::parse(&std::fs::read(&path).unwrap());
        let result = vector.open();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match (vector.headers["expect"].as_str(), &result) {
            ("success", Ok(payload)) => {
                let hash: String = Sha256::digest(payload)
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect();
                assert_eq!(hash, vector.headers["payload"], "{name}");
            }
            ("no match", Err("no match")) => {}
            (
                "HMAC failure" | "header failure" | "payload failure" | "armor failure",
                Err("error"),
            ) => {}
            // The age crate still reads stanzas as its first versions wrote them.
            ("header failure", Ok(_))
                if ["stanza_missing_body", "stanza_missing_final_line"].contains(&&*name) => {}
            (expected, result) => panic!("{name}: {expected} expected, got {result:?}"),
        }
        count += 1;
    }
    assert_eq!(count, 123);
}

/// Keys of other forms, made by the `ssh-keygen` of this machine if there is one.
#[cfg(all(unix, feature = "cli"))]
mod keys_of_ssh_keygen {
    use std::path::Path;
    use std::process::Command;

    use super::*;

    /// A private and a public key, or `None` where they cannot be made.
    fn generate(folder: &Path, name: &str, options: &[&str]) -> Option<(Vec<u8>, String)> {
        let path = folder.join(name);
        let output = Command::new("ssh-keygen")
            .args(options)
            .arg("-q")
            .arg("-f")
            .arg(&path)
            .output();
        if !output.ok()?.status.success() {
            return None;
        }
        let private = std::fs::read(&path).ok()?;
        let public = std::fs::read_to_string(path.with_extension("pub")).ok()?;
        Some((private, public))
    }

    #[test]
    fn that_can_be_used() {
        let folder = tempfile::tempdir().unwrap();
        for (name, options) in [
            (
                "pkcs1",
                &["-t", "rsa", "-b", "2048", "-m", "PEM", "-N", ""][..],
            ),
            (
                "gcm",
                &[
                    "-t",
                    "ed25519",
                    "-N",
                    "secret",
                    "-Z",
                    "aes256-gcm@openssh.com",
                ],
            ),
            (
                "cbc",
                &["-t", "ed25519", "-N", "secret", "-Z", "aes256-cbc"],
            ),
        ] {
            let Some((private, public)) = generate(folder.path(), name, options) else {
                continue;
            };
            let clerk = Clerk::knowing(&["secret"]);
            let identities = Arc::new(Identities::parse_ssh(name, &private).unwrap());
            let service = service(&[identities], &clerk);
            let key = DataKey::new(vec![5; 32]);
            let enc = service.wrap(&named(&public), &key).unwrap();
            let unwrapped = service.unwrap(&named(&public), &enc).unwrap();
            assert!(unwrapped.unwrap() == key, "{name}");
            assert_eq!(
                clerk.asked().len(),
                usize::from(options.contains(&"secret")),
                "{name}"
            );
        }
    }

    #[test]
    fn that_cannot_be_used() {
        use super::super::IdentityProblem::{NotSsh, OldSsh, UnsupportedSsh};
        let folder = tempfile::tempdir().unwrap();
        for (name, options, problem) in [
            (
                "old",
                &["-t", "rsa", "-b", "1024", "-m", "PEM", "-N", "secret"][..],
                OldSsh,
            ),
            (
                "pkcs8",
                &["-t", "rsa", "-b", "1024", "-m", "PKCS8", "-N", ""],
                NotSsh,
            ),
            (
                "chacha",
                &[
                    "-t",
                    "ed25519",
                    "-N",
                    "secret",
                    "-Z",
                    "chacha20-poly1305@openssh.com",
                ],
                UnsupportedSsh("chacha20-poly1305@openssh.com".to_owned()),
            ),
            (
                "ecdsa",
                &["-t", "ecdsa", "-N", ""],
                UnsupportedSsh("ecdsa-sha2-nistp256".to_owned()),
            ),
        ] {
            let Some((private, _)) = generate(folder.path(), name, options) else {
                continue;
            };
            let error = Identities::parse_ssh(name, &private).unwrap_err();
            assert_eq!(error.problem, problem, "{name}");
        }
    }
}

/// A plugin is a program on the PATH, and so is this test: it runs itself again with a PATH of its own.
#[cfg(all(unix, feature = "cli"))]
mod plugins {
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    use age_core::primitives::bech32_encode;
    use bech32::Hrp;

    use super::*;

    const MARK: &str = "SOPS_RS_TEST_PLUGIN";

    /// Wraps by handing the file key through: a stanza `echo` whose body is the file key.
    const PLUGIN: &str = r#"#!/bin/sh
while read -r arrow command rest; do
  [ "$arrow" = "->" ] || continue
  read -r body
  case $command in
    wrap-file-key) key=$body ;;
    recipient-stanza) [ "$rest" = "0 echo" ] && key=$body ;;
    done) break ;;
  esac
done
case $1 in
  --age-plugin=recipient-v1) printf -- '-> recipient-stanza 0 echo\n%s\n' "$key" ;;
  --age-plugin=identity-v1) printf -- '-> file-key 0\n%s\n' "$key" ;;
esac
read -r ok; read -r empty
printf -- '-> done\n\n'
"#;

    fn encode(prefix: &str) -> String {
        bech32_encode(Hrp::parse(prefix).unwrap(), b"anything")
    }

    #[test]
    fn wrap_and_unwrap() {
        if option(MARK).is_none() {
            let folder = tempfile::tempdir().unwrap();
            let program = folder.path().join("age-plugin-echo");
            write(&program, PLUGIN);
            let status = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "keys::age::tests::plugins::wrap_and_unwrap"])
                .env(MARK, "1")
                .env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()))
                .status();
            assert!(status.unwrap().success());
            return;
        }
        let recipient = named(&encode("age1echo"));
        let identity = encode("age-plugin-echo-").to_uppercase();
        let service = quiet(&[keys("plugin", &identity)]);
        let key = DataKey::new(vec![5; 32]);
        let enc = service.wrap(&recipient, &key).unwrap();
        assert!(service.unwrap(&recipient, &enc).unwrap().unwrap() == key);
        assert!(
            quiet(&[keys("a", ALICE)])
                .unwrap(&recipient, &enc)
                .unwrap()
                .is_none()
        );
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a process that runs itself must know that it did"
    )]
    fn option(name: &str) -> Option<std::ffi::OsString> {
        std::env::var_os(name)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a new file in a folder of its own"
    )]
    fn write(path: &std::path::Path, text: &str) {
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).unwrap();
    }
}
