//! What a person may be asked for, and the callbacks of the `age` crate in terms of it.

use std::sync::Arc;

use age::secrecy::SecretString;

use crate::secret::Plain;

/// Whoever can be asked when an identity needs a person. The library itself has no terminal.
pub trait Prompt: Send + Sync {
    /// Asks for the passphrase of `what`; `attempt` counts from 1 and grows when the one before was wrong. `None` if there
    /// is nobody to ask.
    fn passphrase(&self, what: &str, attempt: u8) -> Option<Plain<'static>>;

    /// Asks for a text that is not secret, on behalf of a plugin. `None` if there is nobody to ask.
    fn text(&self, question: &str) -> Option<String>;

    /// Has somebody choose between `yes` and `no`, on behalf of a plugin. `None` if there is nobody to ask.
    fn confirm(&self, question: &str, yes: &str, no: Option<&str>) -> Option<bool>;

    /// Shows a message of a plugin, such as to touch a key now.
    fn message(&self, text: &str);
}

/// Nobody: every question stays without an answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPrompt;

impl Prompt for NoPrompt {
    fn passphrase(&self, _: &str, _: u8) -> Option<Plain<'static>> {
        None
    }

    fn text(&self, _: &str) -> Option<String> {
        None
    }

    fn confirm(&self, _: &str, _: &str, _: Option<&str>) -> Option<bool> {
        None
    }

    fn message(&self, _: &str) {}
}

/// A [`Prompt`] as the `age` crate wants it.
#[derive(Clone)]
pub(super) struct Asking(pub(super) Arc<dyn Prompt>);

impl Asking {
    /// Asks for a passphrase.
    pub(super) fn passphrase(&self, what: &str, attempt: u8) -> Option<SecretString> {
        let passphrase = self.0.passphrase(what, attempt)?;
        Some(SecretString::from(passphrase.expose()))
    }
}

impl age::Callbacks for Asking {
    fn display_message(&self, message: &str) {
        self.0.message(message);
    }

    fn confirm(&self, message: &str, yes_string: &str, no_string: Option<&str>) -> Option<bool> {
        self.0.confirm(message, yes_string, no_string)
    }

    fn request_public_string(&self, description: &str) -> Option<String> {
        self.0.text(description)
    }

    fn request_passphrase(&self, description: &str) -> Option<SecretString> {
        self.passphrase(description, 1)
    }
}
