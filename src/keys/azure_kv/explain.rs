//! What the errors of the SDK mean, as one clause each.
//!
//! The SDK nests errors and quotes what it could not read; here the cause is looked for, and what could quote a token is
//! left out.

use std::error::Error as StdError;
use std::fmt;

use azure_core::error::{ErrorKind, ErrorResponse};

use crate::keys::KeyError;

/// The longest text of a service that is repeated, in characters.
const LONGEST: usize = 500;

/// No credential gave a token: every one that was tried, and why not.
#[derive(Debug)]
pub(super) struct NoToken(pub(super) String);

impl fmt::Display for NoToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for NoToken {}

/// Why a vault did not do as it was asked.
pub(super) fn by_vault(error: azure_core::Error) -> KeyError {
    if let Some(NoToken(text)) = find(&error, |cause| cause.downcast_ref()) {
        return KeyError::new(format!("no access token: {text}"));
    }
    if let ErrorKind::HttpResponse { status, .. } = error.kind() {
        let status = u16::from(*status);
        let response = ErrorResponse::try_from(error).ok();
        return KeyError::new(match response.as_ref().and_then(answer) {
            Some(text) => format!("the vault refuses: {text}"),
            None => format!("the vault answers with status {status}"),
        });
    }
    let text = plain(&error, "the answer of the vault is not understood");
    // The SDK goes on with advice for programmers.
    let text = text.split(". Set verify_challenge_resource").next();
    let told = KeyError::new(text.unwrap_or_default());
    let failed: Option<&reqwest::Error> = find(&error, |cause| cause.downcast_ref());
    if failed.is_some_and(reqwest::Error::is_timeout) {
        told.for_want_of_an_answer()
    } else {
        told
    }
}

/// Code, inner code and message of an error in the form of Azure's REST APIs.
fn answer(response: &ErrorResponse) -> Option<String> {
    let error = response.error.as_ref()?;
    let mut text = error.code.clone()?;
    let inner = error.inner_error.as_ref();
    if let Some(code) = inner.and_then(|inner| inner.code.as_ref()) {
        text.push_str(&format!(" ({code})"));
    }
    if let Some(message) = &error.message {
        text.push_str(&format!(": {message}"));
    }
    Some(one_line(&text))
}

/// Why one credential gave no token.
pub(super) fn by_credential(error: &azure_core::Error) -> String {
    let text = plain(error, "an answer that is not understood");
    // Entra ID adds identifiers for its support, which say nothing to anybody else.
    let text = text.split(" Trace ID:").next().unwrap_or_default();
    let text = text.strip_prefix("ERROR: ").unwrap_or(text);
    text.trim_end_matches('.').to_owned()
}

/// The innermost cause; `unreadable` in place of errors of a JSON reader, which quote what they read.
fn plain(error: &azure_core::Error, unreadable: &str) -> String {
    if find(error, |cause| cause.downcast_ref::<serde_json::Error>()).is_some() {
        return unreadable.to_owned();
    }
    let mut cause: &(dyn StdError + 'static) = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let text = one_line(&cause.to_string());
    let failed: Option<&reqwest::Error> = find(error, |cause| cause.downcast_ref());
    match failed.and_then(|failed| failed.url()?.host_str()) {
        Some(host) => format!("cannot reach `{host}`: {text}"),
        None => text,
    }
}

/// The first of an error and its causes that is what is looked for.
fn find<'a, T>(
    error: &'a azure_core::Error,
    wanted: impl Fn(&'a (dyn StdError + 'static)) -> Option<&'a T>,
) -> Option<&'a T> {
    let mut next: Option<&'a (dyn StdError + 'static)> = Some(error);
    while let Some(cause) = next {
        if let Some(found) = wanted(cause) {
            return Some(found);
        }
        next = cause.source();
    }
    None
}

/// A text of a service or a program on one line of bearable length, without a full stop.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut line: String = words.join(" ").chars().take(LONGEST).collect();
    line.truncate(line.trim_end_matches('.').len());
    line
}
