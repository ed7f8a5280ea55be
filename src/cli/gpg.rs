//! How gpg is run for this user, and what to do when it refuses.
//!
//! Knows the environment variables of spec 10.3 and the words for each problem. What gpg says is read in `keys::pgp`.

use sops_rs::keys::Attempt;
#[cfg(feature = "pgp")]
use sops_rs::keys::pgp::{Gpg, GpgProblem, PgpService};

#[cfg(feature = "pgp")]
use super::context::Context;

/// The variable that names the program.
#[cfg(feature = "pgp")]
const PROGRAM_VARIABLE: &str = "SOPS_GPG_EXEC";
/// The variable by which gpg's agent learns which terminal to ask on.
#[cfg(feature = "pgp")]
const TERMINAL_VARIABLE: &str = "GPG_TTY";

/// The program, as the user names it.
#[cfg(feature = "pgp")]
pub(crate) fn program(context: &Context) -> std::ffi::OsString {
    let named = context.variable(PROGRAM_VARIABLE);
    named.unwrap_or("gpg".as_ref()).to_owned()
}

/// The service for OpenPGP keys. Runs nothing yet.
#[cfg(feature = "pgp")]
pub(crate) fn service(context: &Context) -> PgpService {
    let mut environment = context.environment().clone();
    // gpg would look at its own standard input, which is a pipe from us.
    if context.variable(TERMINAL_VARIABLE).is_none()
        && let Some(terminal) = context.terminal()
    {
        environment.insert(TERMINAL_VARIABLE.into(), terminal.to_owned());
    }
    PgpService::new(Gpg {
        program: program(context),
        environment,
        may_ask: !context.asks_nobody(),
    })
}

/// What to do about an attempt that gpg has refused; `None` if it was not gpg, or if its message says enough.
#[cfg(feature = "pgp")]
pub(crate) fn advice(attempt: &Attempt) -> Option<&'static str> {
    use sops_rs::keys::Outcome;

    let Outcome::Failed(error) = &attempt.outcome else {
        return None;
    };
    let problem = std::error::Error::source(error)?.downcast_ref::<GpgProblem>()?;
    match problem {
        GpgProblem::NoPublicKey | GpgProblem::Expired | GpgProblem::Revoked => {
            Some("ask the owner for a valid key and `gpg --import` it, or leave this recipient out")
        }
        GpgProblem::CannotEncrypt => {
            Some("name a key that encrypts; `gpg --list-keys` marks its parts with [E]")
        }
        GpgProblem::Disabled => Some("`gpg --edit-key` can enable it"),
        GpgProblem::Ambiguous | GpgProblem::NotTrusted => {
            Some("name the key by its fingerprint, which `gpg --list-keys` shows")
        }
        GpgProblem::NobodyToAsk => Some(
            "run `sops-rs decrypt` on it in a terminal first: the agent of gpg then remembers the passphrase for a while",
        ),
        GpgProblem::WrongPassphrase | GpgProblem::Cancelled => Some("try again"),
        GpgProblem::NoCard => Some("plug it in and see whether `gpg --card-status` shows it"),
        GpgProblem::NoAgent => Some("see why `gpgconf --launch gpg-agent` does not start it"),
        GpgProblem::NoKeyRing => {
            Some("see whether GNUPGHOME names your folder of keys, and whether `gpg -K` lists them")
        }
        _ => None,
    }
}

/// Without gpg nothing is refused by it.
#[cfg(not(feature = "pgp"))]
pub(crate) fn advice(_: &Attempt) -> Option<&'static str> {
    None
}
