//! Errors that no server can be made to cause in a test.

use std::error::Error;
use std::fmt;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kms::config::BehaviorVersion;
use aws_sdk_kms::error::{ConnectorError, SdkError};
use aws_sdk_kms::operation::decrypt::DecryptError;
use aws_sdk_kms::{Client, Config};

use super::{MAX_REASON, root, tidied};
use crate::keys::aws_kms::login::{Access, Login, Who};

fn login(role: &str) -> Login {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .build();
    Login {
        client: Client::from_conf(config),
        access: Access {
            who: Who {
                partition: "aws".to_owned(),
                profile: String::new(),
                role: role.to_owned(),
            },
            region: "eu-west-1".to_owned(),
        },
        no_such_profile: false,
        no_such_default: None,
        elsewhere: false,
    }
}

/// What is said of an error, and whether a login would help.
fn said(role: &str, error: &SdkError<DecryptError>) -> (String, bool) {
    let error = login(role).explain(error);
    (error.in_full(), error.needs_login)
}

/// How the SDK passes on that there are no credentials.
fn no_identity(error: CredentialsError) -> SdkError<DecryptError> {
    SdkError::dispatch_failure(ConnectorError::other(error.into(), None))
}

#[derive(Debug)]
struct Outer(Box<dyn Error + Send + Sync>);

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("something failed")
    }
}

impl Error for Outer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.0.as_ref())
    }
}

#[test]
fn a_server_that_is_slow_is_no_matter_of_logins() {
    let (text, login) = said("", &SdkError::timeout_error("30 s"));
    assert_eq!(text, "AWS KMS in eu-west-1 did not answer in time");
    assert!(!login);
    let slow = ConnectorError::timeout("no byte for 10 s".into());
    assert_eq!(said("", &SdkError::dispatch_failure(slow)), (text, login));
}

#[test]
fn a_login_that_fails_says_for_what() {
    let expired = || no_identity(CredentialsError::provider_error("the token has expired"));
    let (text, login) = said("", &expired());
    assert_eq!(
        text,
        "the AWS credentials cannot be had: the token has expired"
    );
    assert!(login);
    let (text, login) = said("arn:aws:iam::1:role/a", &expired());
    assert_eq!(
        text,
        "the role arn:aws:iam::1:role/a cannot be assumed: the token has expired"
    );
    assert!(login);
    let refused = ConnectorError::io("connection refused".into());
    let (text, login) = said("", &no_identity(CredentialsError::provider_error(refused)));
    assert_eq!(
        text,
        "the AWS credentials cannot be had: connection refused"
    );
    assert!(!login, "nobody can log in to what is not there");
}

#[test]
fn the_deepest_cause_is_the_reason() {
    let error = Outer(Box::new(Outer("No such host.".into())));
    assert_eq!(root(&error), "No such host");
}

#[test]
fn a_reason_is_one_line_and_not_too_long() {
    assert_eq!(tidied(" a\n  b\r\n\tc. "), "a b c");
    let page = tidied(&"é ".repeat(9_999));
    assert_eq!(page.chars().count(), MAX_REASON + 1);
    assert!(page.ends_with('…'));
}
