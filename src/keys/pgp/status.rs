//! What the status lines of gpg mean (doc/DETAILS of GnuPG), so that nothing depends on the language of its messages.
//!
//! Knows the keywords and error codes that can follow on what we ask for. Does not know how gpg is run.

use std::process::ExitStatus;

use super::GpgProblem;

/// Before every status line.
const MARK: &str = "[GNUPG:] ";
/// No message of gpg that is passed on is longer, in characters.
const MAX_MESSAGE: usize = 200;

/// Numbers of libgpg-error (err-codes.h.in) that say why a key could not be used.
mod code {
    pub(super) const BAD_PASSPHRASE: u32 = 11;
    pub(super) const NO_SECKEY: u32 = 17;
    pub(super) const TIMEOUT: u32 = 62;
    pub(super) const NO_AGENT: u32 = 77;
    pub(super) const AGENT: u32 = 78;
    pub(super) const NO_PIN_ENTRY: u32 = 85;
    pub(super) const PIN_ENTRY: u32 = 86;
    pub(super) const BAD_PIN: u32 = 87;
    pub(super) const WRONG_CARD: u32 = 91;
    pub(super) const CANCELED: u32 = 99;
    pub(super) const CARD: u32 = 108;
    pub(super) const CARD_RESET: u32 = 109;
    pub(super) const CARD_REMOVED: u32 = 110;
    pub(super) const CARD_NOT_PRESENT: u32 = 112;
    pub(super) const NO_SCDAEMON: u32 = 119;
    pub(super) const NO_PASSPHRASE: u32 = 177;
    pub(super) const FULLY_CANCELED: u32 = 198;
}

/// Where an error comes from stands above its code.
const SOURCE_SHIFT: u32 = 24;
const SOURCE_MASK: u32 = 0x7f;
const CODE_MASK: u32 = 0xffff;
const SOURCE_PINENTRY: u32 = 5;

/// What gpg said: its status lines, each with what it had said to people last.
pub(super) struct Said<'a> {
    lines: Vec<Line<'a>>,
    last: Option<&'a str>,
    mentions_agent: bool,
}

struct Line<'a> {
    keyword: &'a str,
    arguments: Vec<&'a str>,
    message: Option<&'a str>,
}

impl<'a> Said<'a> {
    /// Tells status lines from messages to people.
    pub(super) fn parse(text: &'a str) -> Self {
        let mut said = Self {
            lines: Vec::new(),
            last: None,
            mentions_agent: false,
        };
        for line in text.lines() {
            let Some(status) = line.strip_prefix(MARK) else {
                if let Some(message) = line.strip_prefix("gpg: ") {
                    said.last = Some(message);
                    said.mentions_agent |= message.to_lowercase().contains("agent");
                }
                continue;
            };
            let mut words = status.split_ascii_whitespace();
            said.lines.push(Line {
                keyword: words.next().unwrap_or_default(),
                arguments: words.collect(),
                message: said.last,
            });
        }
        said
    }

    fn find(&self, keyword: &str) -> Option<&Line<'a>> {
        self.lines.iter().find(|line| line.keyword == keyword)
    }

    /// The first error at one of these places of gpg.
    fn error_at(&self, places: &[&str]) -> Option<&Line<'a>> {
        self.lines.iter().find(|line| {
            let place = line.arguments.first();
            line.keyword == "ERROR" && place.is_some_and(|place| places.contains(place))
        })
    }

    /// What it said last, or at least how it ended.
    fn other(&self, status: ExitStatus) -> GpgProblem {
        GpgProblem::Other(
            self.last
                .map_or_else(|| format!("it ended with {status}"), shortened),
        )
    }
}

/// Why a message was not decrypted; `None` if it is for somebody else.
pub(super) fn refused_to_unwrap(said: &Said<'_>, status: ExitStatus) -> Option<GpgProblem> {
    let places = [
        "pkdecrypt_failed",
        "get_passphrase",
        "symkey_decrypt.maybe_error",
    ];
    if let Some(error) = said.error_at(&places) {
        return of_secret_key(error);
    }
    if said.find("NO_SECKEY").is_some() {
        // Without its agent, gpg takes every key for one it does not have, and says why to people only.
        return if said.mentions_agent {
            Some(GpgProblem::NoAgent)
        } else {
            said.error_at(&["add_keyblock_resource", "keydb_search"])
                .map(|_| GpgProblem::NoKeyRing)
        };
    }
    let damaged = ["NODATA", "DECRYPTION_FAILED", "UNEXPECTED"];
    if damaged.iter().any(|keyword| said.find(keyword).is_some()) {
        return Some(GpgProblem::NoMessage);
    }
    Some(said.other(status))
}

/// Why a secret key that is there could not be used.
fn of_secret_key(error: &Line<'_>) -> Option<GpgProblem> {
    let number = error
        .arguments
        .get(1)
        .map_or(0, |text| leading_number(text));
    let source = (number >> SOURCE_SHIFT) & SOURCE_MASK;
    let problem = match number & CODE_MASK {
        code::NO_SECKEY => return None,
        code::BAD_PASSPHRASE | code::BAD_PIN => GpgProblem::WrongPassphrase,
        code::CANCELED | code::FULLY_CANCELED => GpgProblem::Cancelled,
        code::NO_PIN_ENTRY | code::PIN_ENTRY | code::NO_PASSPHRASE | code::TIMEOUT => {
            GpgProblem::NobodyToAsk
        }
        code::NO_AGENT | code::AGENT => GpgProblem::NoAgent,
        code::WRONG_CARD
        | code::CARD
        | code::CARD_RESET
        | code::CARD_REMOVED
        | code::CARD_NOT_PRESENT
        | code::NO_SCDAEMON => GpgProblem::NoCard,
        // No terminal, or one that is gone.
        _ if source == SOURCE_PINENTRY => GpgProblem::NobodyToAsk,
        _ => GpgProblem::Other(
            error
                .message
                .map_or_else(|| format!("error {number}"), shortened),
        ),
    };
    Some(problem)
}

/// Why nothing was encrypted; `None` if gpg says no more than that the key cannot be used.
pub(super) fn refused_to_wrap(said: &Said<'_>, status: ExitStatus) -> Option<GpgProblem> {
    let Some(refused) = said.find("INV_RECP") else {
        return Some(said.other(status));
    };
    match refused.arguments.first().copied() {
        Some("1") => Some(GpgProblem::NoPublicKey),
        Some("2") => Some(GpgProblem::Ambiguous),
        Some("3") => Some(GpgProblem::CannotEncrypt),
        Some("4") => Some(GpgProblem::Revoked),
        Some("5") => Some(GpgProblem::Expired),
        Some("10") => Some(GpgProblem::NotTrusted),
        Some("13") => Some(GpgProblem::Disabled),
        _ => None,
    }
}

/// Why a key cannot encrypt, from the list of it in colons. The second field of a record is its validity, the twelfth says
/// what it is for: `e` for encryption, `D` if it is disabled.
pub(super) fn what_is_wrong_with(list: &str) -> GpgProblem {
    let records = list.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        Some((*fields.first()?, *fields.get(1)?, *fields.get(11)?))
    });
    let mut problem = GpgProblem::NoPublicKey;
    for (kind, validity, uses) in records {
        if kind != "pub" && kind != "sub" {
            continue;
        }
        if kind == "pub" && (validity == "d" || uses.contains('D')) {
            return GpgProblem::Disabled;
        }
        if problem == GpgProblem::NoPublicKey {
            problem = GpgProblem::CannotEncrypt;
        }
        let ended = match validity {
            "r" => GpgProblem::Revoked,
            "e" => GpgProblem::Expired,
            _ => continue,
        };
        if kind == "pub" {
            return ended;
        }
        if uses.contains('e') {
            problem = ended;
        }
    }
    problem
}

/// The number that a word begins with.
fn leading_number(word: &str) -> u32 {
    let digits = word.split(|c: char| !c.is_ascii_digit()).next();
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// A message that fits into one line of ours.
fn shortened(message: &str) -> String {
    message
        .chars()
        .take(MAX_MESSAGE)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
