//! The way to the metadata service that gives virtual machines and apps their tokens, which is elsewhere not there.
//!
//! The SDK asks `169.254.169.254` patiently, for more than a minute if nobody answers, and other clouds have another
//! service at that address. Here one silence is enough, and few refusals are. No proxy is asked: the address is this
//! machine's own, and a token would pass the proxy in clear.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::error::ErrorKind;
use azure_core::http::{AsyncRawResponse, HttpClient, Request};

/// How long it may take to find out whether there is a metadata service.
const CONNECT: Duration = Duration::from_secs(1);
/// How long the service may think.
const ANSWER: Duration = Duration::from_secs(20);
/// How often it is asked if it is there but has no token at the moment.
const TRIES: u32 = 3;

/// An HTTP client that gives up early.
#[derive(Debug)]
pub(super) struct Impatient {
    inner: Arc<dyn HttpClient>,
    failed: AtomicU32,
}

impl Impatient {
    /// # Errors
    /// If the TLS library cannot be set up.
    pub(super) fn new() -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self::over(Arc::new(client)))
    }

    fn over(inner: Arc<dyn HttpClient>) -> Self {
        let failed = AtomicU32::new(0);
        Self { inner, failed }
    }
}

#[async_trait]
impl HttpClient for Impatient {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        // Errors of this kind are not tried again.
        let give_up = |message| azure_core::Error::with_message(ErrorKind::Credential, message);
        let Ok(response) = self.inner.execute_request(request).await else {
            return Err(give_up(
                "nobody answers, so this is no machine of Azure".to_owned(),
            ));
        };
        let status = response.status();
        if status.is_success() {
            self.failed.store(0, Ordering::Relaxed);
        } else if self.failed.fetch_add(1, Ordering::Relaxed) + 1 >= TRIES {
            self.failed.store(0, Ordering::Relaxed);
            return Err(give_up(format!(
                "it answers with status {}",
                u16::from(status)
            )));
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use azure_core::credentials::TokenCredential as _;
    use azure_core::http::headers::Headers;
    use azure_identity::{ManagedIdentityCredential, ManagedIdentityCredentialOptions};

    use super::*;
    use crate::keys::azure_kv::credential::client_options;
    use crate::keys::online::block_on;

    /// A service that answers with these, one after the other, and then no more.
    #[derive(Debug)]
    struct Fake {
        answers: Mutex<Vec<(u16, &'static str)>>,
        asked: Mutex<Vec<String>>,
    }

    #[async_trait]
    impl HttpClient for Fake {
        async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
            self.asked.lock().unwrap().push(request.url().to_string());
            let answer = self.answers.lock().unwrap().pop();
            match answer {
                Some((status, body)) => Ok(AsyncRawResponse::from_bytes(
                    status.into(),
                    Headers::new(),
                    body,
                )),
                None => Err(azure_core::Error::with_message(
                    ErrorKind::Connection,
                    "no route",
                )),
            }
        }
    }

    /// What asking for a token comes to, and the requests that were made.
    fn token(answers: &[(u16, &'static str)]) -> (Result<String, String>, Vec<String>) {
        let fake = Arc::new(Fake {
            answers: Mutex::new(answers.iter().rev().copied().collect()),
            asked: Mutex::default(),
        });
        let inner: Arc<dyn HttpClient> = Arc::clone(&fake) as _;
        let http: Arc<dyn HttpClient> = Arc::new(Impatient::over(inner));
        let options = ManagedIdentityCredentialOptions {
            client_options: client_options(&http),
            ..Default::default()
        };
        let credential = ManagedIdentityCredential::new(Some(options)).unwrap();
        let token = block_on(credential.get_token(&["https://vault.azure.net/.default"], None));
        let result = match token.unwrap() {
            Ok(token) => Ok(token.token.secret().to_owned()),
            Err(error) => Err(super::super::explain::by_credential(&error)),
        };
        let asked = std::mem::take(&mut *fake.asked.lock().unwrap());
        (result, asked)
    }

    const URL: &str = "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2019-08-01&resource=https%3A%2F%2Fvault.azure.net";

    #[test]
    fn a_machine_of_azure_gives_a_token() {
        let body = r#"{"access_token":"t","expires_on":"4102444800","resource":"r","token_type":"Bearer"}"#;
        assert_eq!(
            token(&[(200, body)]),
            (Ok("t".to_owned()), vec![URL.to_owned()])
        );
        // It is not always ready at once.
        assert_eq!(token(&[(404, ""), (200, body)]).0, Ok("t".to_owned()));
    }

    #[test]
    fn silence_is_believed_at_once() {
        let (result, asked) = token(&[]);
        let words = "nobody answers, so this is no machine of Azure";
        assert_eq!(result, Err(words.to_owned()));
        assert_eq!(asked.len(), 1);
    }

    #[test]
    fn the_metadata_service_of_another_cloud_is_not_asked_for_long() {
        let (result, asked) = token(&[(404, ""); 9]);
        assert_eq!(result, Err("it answers with status 404".to_owned()));
        assert_eq!(asked.len(), 3);
    }
}
