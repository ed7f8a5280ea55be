//! What gpg's answers are taken for: transcripts of gpg 2.2 and 2.4, and what they might be forged into.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use super::status::{Said, refused_to_unwrap, refused_to_wrap, what_is_wrong_with};
use super::{GpgProblem, names_one_key};

/// Exit code 2, as gpg has it for everything.
fn failed() -> ExitStatus {
    ExitStatus::from_raw(2 << 8)
}

fn unwrapping(said: &str) -> Option<GpgProblem> {
    refused_to_unwrap(&Said::parse(said), failed())
}

fn wrapping(said: &str) -> Option<GpgProblem> {
    refused_to_wrap(&Said::parse(said), failed())
}

/// gpg's answer if the secret key is there and using it fails so.
fn with_secret_key(message: &str, number: &str) -> Option<GpgProblem> {
    unwrapping(&format!(
        "[GNUPG:] ENC_TO 926D09826BD9EAD0 1 0\n\
         [GNUPG:] KEY_CONSIDERED D596E16B8FEE38B5D8F59CFB33BE9B9ED0B0CCEF 0\n\
         gpg: encrypted with 3072-bit RSA key, ID 926D09826BD9EAD0, created 2026-11-26\n      \"a user\"\n\
         gpg: public key decryption failed: {message}\n\
         [GNUPG:] ERROR pkdecrypt_failed {number}\n\
         [GNUPG:] BEGIN_DECRYPTION\n[GNUPG:] DECRYPTION_FAILED\n\
         gpg: decryption failed: No secret key\n[GNUPG:] END_DECRYPTION\n"
    ))
}

/// gpg's answer if none of its secret keys fits, with something said before.
fn without_secret_key(before: &str) -> Option<GpgProblem> {
    unwrapping(&format!(
        "[GNUPG:] ENC_TO F0EA38E88C0D6CBD 1 0\n{before}\
         [GNUPG:] NO_SECKEY F0EA38E88C0D6CBD\n\
         [GNUPG:] BEGIN_DECRYPTION\n[GNUPG:] DECRYPTION_FAILED\n\
         gpg: decryption failed: No secret key\n[GNUPG:] END_DECRYPTION\n"
    ))
}

#[test]
fn a_message_for_somebody_else_is_no_failure() {
    assert_eq!(without_secret_key(""), None);
    // Words of others say nothing about gpg's agent.
    let users = "gpg: encrypted with RSA key, ID F0EA38E88C0D6CBD\n      \"Secret Agent <agent@example.test>\"\n";
    assert_eq!(without_secret_key(users), None);
    // gpg 2.4 has it as an error, too.
    assert_eq!(with_secret_key("No secret key", "67108881 <Agent>"), None);
}

#[test]
fn an_agent_that_is_gone_looks_like_a_missing_key() {
    for said in [
        "gpg: no gpg-agent running in this session\n",
        "gpg: can't connect to the agent: General error\n",
        "gpg: Verbindung zum Agenten nicht möglich: Fehler\n",
    ] {
        assert_eq!(without_secret_key(said), Some(GpgProblem::NoAgent));
    }
    assert_eq!(
        with_secret_key("No agent running", "77"),
        Some(GpgProblem::NoAgent)
    );
    let ring = "gpg: keyblock resource '/x/pubring.kbx': No such file or directory\n\
                [GNUPG:] ERROR add_keyblock_resource 33587281\n[GNUPG:] ERROR keydb_search 33554445\n";
    assert_eq!(without_secret_key(ring), Some(GpgProblem::NoKeyRing));
}

#[test]
fn error_codes_say_why_a_secret_key_failed() {
    for (number, problem) in [
        ("67108875", GpgProblem::WrongPassphrase),
        ("100663383", GpgProblem::WrongPassphrase),
        ("67108963", GpgProblem::Cancelled),
        ("83886179", GpgProblem::Cancelled),
        ("67109062", GpgProblem::Cancelled),
        ("67108949", GpgProblem::NobodyToAsk),
        ("83886142", GpgProblem::NobodyToAsk),
        ("100663408", GpgProblem::NoCard),
        ("67108983", GpgProblem::NoCard),
    ] {
        assert_eq!(
            with_secret_key("whatever", number),
            Some(problem),
            "{number}"
        );
    }
    // From pinentry: not a terminal.
    assert_eq!(
        with_secret_key("Inappropriate ioctl for device", "83918950"),
        Some(GpgProblem::NobodyToAsk)
    );
    let other = "public key decryption failed: Schlüssel zerbrochen";
    for number in ["67108874", "", "x", "99999999999999999999"] {
        assert_eq!(
            with_secret_key("Schlüssel zerbrochen", number),
            Some(GpgProblem::Other(other.to_owned())),
            "{number}"
        );
    }
    let symmetric = "gpg: AES256.CFB encrypted data\n[GNUPG:] NEED_PASSPHRASE_SYM 9 3 2\n\
                     [GNUPG:] ERROR symkey_decrypt.maybe_error 11_BAD_PASSPHRASE\n[GNUPG:] DECRYPTION_FAILED\n";
    assert_eq!(unwrapping(symmetric), Some(GpgProblem::WrongPassphrase));
}

#[test]
fn what_is_no_message_is_damaged() {
    let nothing = "gpg: no valid OpenPGP data found.\n[GNUPG:] NODATA 1\n[GNUPG:] NODATA 2\n";
    assert_eq!(unwrapping(nothing), Some(GpgProblem::NoMessage));
    assert_eq!(
        unwrapping("[GNUPG:] BEGIN_DECRYPTION\n[GNUPG:] DECRYPTION_FAILED\n"),
        Some(GpgProblem::NoMessage)
    );
}

#[test]
fn anything_else_is_passed_on_as_one_short_line() {
    let other = |said: &str| match unwrapping(said) {
        Some(GpgProblem::Other(message)) => message,
        problem => panic!("{problem:?}"),
    };
    assert_eq!(
        other("gpg: one\ngpg: two\x1b[31m\nfrom a library\n"),
        "two [31m"
    );
    assert_eq!(
        other(&format!("gpg: {}\n", "ä".repeat(1000))),
        "ä".repeat(200)
    );
    assert_eq!(other(""), "it ended with exit status: 2");
    // Not at the beginning of a line.
    assert_eq!(
        other("gpg: x [GNUPG:] NO_SECKEY F0EA38E88C0D6CBD\n"),
        "x [GNUPG:] NO_SECKEY F0EA38E88C0D6CBD"
    );
}

#[test]
fn reasons_of_a_recipient_that_is_not_valid() {
    for (code, problem) in [
        ("1", Some(GpgProblem::NoPublicKey)),
        ("2", Some(GpgProblem::Ambiguous)),
        ("3", Some(GpgProblem::CannotEncrypt)),
        ("4", Some(GpgProblem::Revoked)),
        ("5", Some(GpgProblem::Expired)),
        ("10", Some(GpgProblem::NotTrusted)),
        ("13", Some(GpgProblem::Disabled)),
        ("0", None),
        ("", None),
    ] {
        let said = format!("gpg: skipped\n[GNUPG:] INV_RECP {code}\n[GNUPG:] FAILURE encrypt 53\n");
        assert_eq!(wrapping(&said), problem, "{code}");
    }
    assert_eq!(
        wrapping("[GNUPG:] FAILURE option-parser 33554433\ngpg: invalid option \"-x\"\n"),
        Some(GpgProblem::Other("invalid option \"-x\"".to_owned()))
    );
}

#[test]
fn lists_in_colons_say_what_is_wrong_with_a_key() {
    let key = |validity: &str, uses: &str| {
        format!(
            "pub:{validity}:255:22:E8C1664E80C6F735:1795728176:::u:::{uses}::::::23::0:\nfpr:::::::::30E1:\n"
        )
    };
    let part = |validity: &str, uses: &str| {
        format!("sub:{validity}:255:18:3B49BE06A1531CC7:1795351103::::::{uses}:::::cv25519::\n")
    };
    let tru = "tru::1:1795728178:0:3:1:5\n";
    let wrong = |records: &[String]| what_is_wrong_with(&(tru.to_owned() + &records.concat()));
    assert_eq!(wrong(&[]), GpgProblem::NoPublicKey);
    assert_eq!(wrong(&[key("e", "sc")]), GpgProblem::Expired);
    assert_eq!(
        wrong(&[key("r", "sc"), part("r", "e")]),
        GpgProblem::Revoked
    );
    assert_eq!(wrong(&[key("u", "scSCD")]), GpgProblem::Disabled);
    assert_eq!(wrong(&[key("u", "scSC")]), GpgProblem::CannotEncrypt);
    assert_eq!(
        wrong(&[key("u", "scSC"), part("e", "e")]),
        GpgProblem::Expired
    );
    assert_eq!(
        wrong(&[key("u", "scSC"), part("e", "s")]),
        GpgProblem::CannotEncrypt,
        "a part that signs is of no use"
    );
    assert_eq!(
        what_is_wrong_with("pub:\nsub\n::::\n"),
        GpgProblem::NoPublicKey
    );
}

#[test]
fn fingerprints_and_long_ids_name_one_key() {
    for one in [
        "F93F442F5E7B3C6014CB08F9ECE6CFBB11EC8F34",
        "f93f442f5e7b3c6014cb08f9ece6cfbb11ec8f34",
        "0xF93F442F5E7B3C6014CB08F9ECE6CFBB11EC8F34",
        "F0EA38E88C0D6CBD!",
    ] {
        assert!(names_one_key(one), "{one}");
    }
    for many in [
        "11EC8F34",
        "one@example.test",
        "deadbeefdeadbeef@example.test",
        "!",
        "",
    ] {
        assert!(!names_one_key(many), "{many}");
    }
}
