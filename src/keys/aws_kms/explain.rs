//! Why KMS, or a login on the way to it, did not do what it was asked: the typed errors of the SDK in our words.
//!
//! Knows the error codes of the APIs of KMS and STS. Decides nothing about what to try next.

use std::error::Error;

use aws_config::imds::client::error::ImdsError;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kms::error::{ConnectorError, ErrorMetadata, ProvideErrorMetadata, SdkError};

use super::login::Login;
use crate::keys::KeyError;

/// What is worth saying of a cause, in characters: AWS is brief, proxies answer with whole pages.
const MAX_REASON: usize = 400;

impl Login {
    /// Why a request failed.
    pub(super) fn explain<E>(&self, error: &SdkError<E>) -> KeyError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        if let Some(credentials) = innermost::<CredentialsError>(error) {
            return self.no_login(credentials, error);
        }
        match error {
            SdkError::ServiceError(context) => match context.err().code() {
                Some(code) => self.refusal(code, context.err().message()),
                None => KeyError::new(format!(
                    "{} answered with HTTP status {} and not as KMS does",
                    self.server(),
                    context.raw().status().as_u16()
                )),
            },
            SdkError::TimeoutError(_) => self.too_slow(),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => self.too_slow(),
            SdkError::DispatchFailure(_) => KeyError::new(format!(
                "{} cannot be reached: {}",
                self.server(),
                root(error)
            )),
            SdkError::ResponseError(_) => KeyError::new(format!(
                "the answer of {} cannot be read: {}",
                self.server(),
                root(error)
            )),
            other => KeyError::new(format!("AWS KMS cannot be asked: {}", root(other))),
        }
    }

    fn too_slow(&self) -> KeyError {
        KeyError::new(format!("{} did not answer in time", self.server())).for_want_of_an_answer()
    }

    /// Who was asked.
    fn server(&self) -> String {
        let region = &self.access.region;
        if self.elsewhere {
            format!("AWS KMS in {region}, at the address of AWS_ENDPOINT_URL or your AWS config,")
        } else {
            format!("AWS KMS in {region}")
        }
    }

    /// KMS answered, and the answer is no.
    fn refusal(&self, code: &str, message: Option<&str>) -> KeyError {
        let meaning = meaning(code).map_or_else(
            || format!("AWS KMS answered {}", tidied(code)),
            str::to_owned,
        );
        let text = match message.map(tidied).filter(|said| !said.is_empty()) {
            Some(said) => format!("{meaning}: {said}"),
            None => meaning,
        };
        if concerns_login(code) {
            KeyError::new(text + &self.about_profile()).needing_login()
        } else {
            KeyError::new(text)
        }
    }

    /// There are no credentials, for the reason that `credentials` gives.
    fn no_login(&self, credentials: &CredentialsError, error: &(dyn Error + 'static)) -> KeyError {
        let about = |text: String| KeyError::new(text + &self.about_profile());
        if matches!(credentials, CredentialsError::CredentialsNotLoaded(_)) {
            return about(self.nothing_found()).needing_login();
        }
        if innermost::<ImdsError>(error).is_some() {
            // It is asked last.
            return about(format!("{} ({})", self.nothing_found(), root(error))).needing_login();
        }
        let unreachable = innermost::<ConnectorError>(error)
            .is_some_and(|error| error.is_io() || error.is_timeout());
        let reason = match (innermost::<ErrorMetadata>(error), credentials.source()) {
            (Some(answer), _) => refused_login(answer),
            (None, Some(cause)) if !unreachable => one_line(cause),
            (None, _) => root(error),
        };
        let role = &self.access.who.role;
        let failure = if role.is_empty() {
            about(format!("the AWS credentials cannot be had: {reason}"))
        } else {
            about(format!("the role {role} cannot be assumed: {reason}"))
        };
        if unreachable {
            failure
        } else {
            failure.needing_login()
        }
    }

    /// Where credentials were looked for, in vain.
    fn nothing_found(&self) -> String {
        let profile = &self.access.who.profile;
        if !profile.is_empty() && !self.no_such_profile {
            return format!("no AWS credentials: there are none in the profile `{profile}`");
        }
        if let Some(name) = &self.no_such_default {
            format!(
                "no AWS credentials: your AWS config has no profile `{name}`, which AWS_PROFILE names"
            )
        } else {
            "no AWS credentials: none in AWS_ACCESS_KEY_ID, the AWS config, AWS_WEB_IDENTITY_TOKEN_FILE, \
             the container or the EC2 instance"
                .to_owned()
        }
    }

    /// That the profile of the recipient is not there, if it is not.
    fn about_profile(&self) -> String {
        if self.no_such_profile {
            let profile = &self.access.who.profile;
            format!(
                " (your AWS config has no profile `{profile}`, which this key names, so your default was used)"
            )
        } else {
            String::new()
        }
    }
}

/// What an error code means, if it is one that KMS is known to answer `Encrypt` and `Decrypt` with.
fn meaning(code: &str) -> Option<&'static str> {
    Some(match code {
        "AccessDeniedException" | "AccessDenied" => "access denied",
        "ExpiredTokenException" | "ExpiredToken" => "the AWS credentials have expired",
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch" => "AWS does not accept the credentials",
        "NotFoundException" => "AWS KMS has no such key",
        "DisabledException" => "the key is disabled",
        "KMSInvalidStateException" => "the key is in a state in which it cannot be used",
        "InvalidCiphertextException" => {
            "the wrapped key does not fit: it was changed, or wrapped by another key or with another encryption context"
        }
        "IncorrectKeyException" => "the data key was wrapped by another key",
        "InvalidKeyUsageException" => "the key is not one for encryption",
        "ThrottlingException"
        | "Throttling"
        | "LimitExceededException"
        | "RequestLimitExceeded" => "AWS KMS has too many requests, also after retries",
        "KeyUnavailableException" | "DependencyTimeoutException" | "KMSInternalException" => {
            "AWS KMS cannot use the key at the moment"
        }
        _ => return None,
    })
}

/// Whether somebody else, or the same user after another login, would get another answer.
fn concerns_login(code: &str) -> bool {
    matches!(
        code,
        "AccessDeniedException"
            | "AccessDenied"
            | "ExpiredTokenException"
            | "ExpiredToken"
            | "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
    )
}

/// What the API that hands out credentials answered.
fn refused_login(answer: &ErrorMetadata) -> String {
    let parts = [answer.code().map(tidied), answer.message().map(tidied)];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join(": ")
}

/// The cause of this type that stands deepest in the chain.
fn innermost<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut found = None;
    let mut next = Some(error);
    while let Some(cause) = next {
        found = cause.downcast_ref::<T>().or(found);
        next = cause.source();
    }
    found
}

/// What the deepest cause says: those above it only say that something failed.
fn root(error: &(dyn Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    tidied(&deepest.to_string())
}

/// An error and all its causes on one line.
pub(super) fn one_line(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    tidied(&text)
}

/// A text of others in our style: one line, no full stop, not too long.
fn tidied(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    let line = line.trim_end_matches('.');
    if line.chars().count() <= MAX_REASON {
        return line.to_owned();
    }
    let start: String = line.chars().take(MAX_REASON).collect();
    format!("{start}…")
}

#[cfg(test)]
mod tests;
