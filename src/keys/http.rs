//! One request to a JSON API and its answer: bounded in time and size, sent again when the server asks for it.
//!
//! Knows HTTP, and how to say what went wrong without saying what was sent. Does not know any API, nor which server may
//! be sent a token: redirects are handed back, not followed. The buffers of HTTP and TLS are not wiped; ours are.

use std::borrow::Cow;
use std::error::Error as _;
use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Request, Response, Url};
use zeroize::Zeroizing;

use super::KeyError;
use crate::secret::DataKey;

/// No answer of a key service is longer, in bytes.
const MAX_ANSWER_LEN: usize = 64 * 1024;
/// No data key and no share of one is longer, in characters of base64.
const MAX_KEY_LEN: usize = 4096;
/// No word of a server is repeated at greater length, in characters.
const MAX_SAID_LEN: usize = 300;
/// How often a request is sent at most.
const TRIES: u32 = 4;
/// How long to wait before the second try; twice as long before each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// How long a server can make us wait for the next try.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What a server answered.
pub(super) struct Answer {
    /// The HTTP status.
    pub(super) status: u16,
    /// Where a redirect leads, as the server wrote it.
    #[cfg_attr(
        not(feature = "vault"),
        expect(dead_code, reason = "Google sends nobody on")
    )]
    pub(super) location: Option<String>,
    /// The body: it may hold a data key.
    pub(super) body: Zeroizing<Vec<u8>>,
    retry_after: Option<Duration>,
}

/// A client for `url`, to be configured further. It follows no redirect. The system's proxy is used, but not for this
/// machine itself.
pub(super) fn client(url: &Url, timeout: Duration) -> ClientBuilder {
    let client = Client::builder()
        .user_agent(concat!("sops-rs/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .connect_timeout(CONNECT_TIMEOUT.min(timeout))
        .timeout(timeout);
    if is_loopback(url) {
        client.no_proxy()
    } else {
        client
    }
}

/// Makes the client.
///
/// # Errors
///
/// If there are no certificates to trust.
pub(super) fn build(client: ClientBuilder) -> Result<Client, KeyError> {
    client
        .build()
        .map_err(|error| KeyError::new(format!("cannot prepare for TLS: {}", deepest(&error))))
}

/// Whether `url` leads to this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// A POST of JSON to `url`.
pub(super) fn post(url: &Url, json: &str) -> Request {
    let mut request = Request::new(reqwest::Method::POST, url.clone());
    let json_type = HeaderValue::from_static("application/json");
    request.headers_mut().insert(CONTENT_TYPE, json_type);
    *request.body_mut() = Some(json.to_owned().into());
    request
}

/// A header value that no log shows; `None` if `text` has characters that no header can have.
pub(super) fn secret_header(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Sends `request`, and again after a pause while the server answers with a status of `busy`.
///
/// # Errors
///
/// If the server cannot be reached, or does not answer in time or in bounds.
pub(super) async fn send(
    client: &Client,
    request: &Request,
    busy: &[u16],
) -> Result<Answer, KeyError> {
    let mut pause = FIRST_PAUSE;
    for _ in 1..TRIES {
        let answer = send_once(client, request).await?;
        if !busy.contains(&answer.status) {
            return Ok(answer);
        }
        let wanted = answer.retry_after.unwrap_or(pause);
        tokio::time::sleep(wanted.min(LONGEST_PAUSE)).await;
        pause *= 2;
    }
    send_once(client, request).await
}

async fn send_once(client: &Client, request: &Request) -> Result<Answer, KeyError> {
    let server = request.url().origin().ascii_serialization();
    let request = request
        .try_clone()
        .ok_or_else(|| KeyError::new("the request cannot be sent twice"))?;
    let response = client
        .execute(request)
        .await
        .map_err(|error| unreached(&server, &error))?;
    read(&server, response).await
}

async fn read(server: &str, mut response: Response) -> Result<Answer, KeyError> {
    let header = |name| {
        let value = response.headers().get(name)?;
        value.to_str().ok().map(str::to_owned)
    };
    let seconds = header(RETRY_AFTER).and_then(|text| text.parse().ok());
    let mut answer = Answer {
        status: response.status().as_u16(),
        location: header(LOCATION),
        retry_after: seconds.map(Duration::from_secs),
        // A vector that grows leaves copies behind.
        body: Zeroizing::new(Vec::with_capacity(MAX_ANSWER_LEN)),
    };
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| unreached(server, &error))?
    {
        if answer.body.len() + chunk.len() > MAX_ANSWER_LEN {
            return Err(KeyError::new(format!(
                "the answer of `{server}` is too long"
            )));
        }
        answer.body.extend_from_slice(&chunk);
    }
    Ok(answer)
}

/// Why there is no answer. The error of the client would repeat the whole URL.
fn unreached(server: &str, error: &reqwest::Error) -> KeyError {
    let cause = deepest(error);
    if error.is_timeout() {
        let silent = KeyError::new(format!("`{server}` does not answer in time"));
        return silent.for_want_of_an_answer();
    }
    let what = if cause.contains("InvalidContentType") {
        format!("`{server}` does not speak TLS; perhaps its address begins with `http:`")
    } else if cause.contains("certificate") {
        format!("the certificate of `{server}` is not trusted")
    } else if error.is_connect() {
        format!("cannot connect to `{server}`")
    } else {
        format!("the connection to `{server}` broke")
    };
    KeyError::new(format!("{what}: {cause}"))
}

/// The last cause of an error, which says most.
fn deepest(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    while let Some(next) = cause.and_then(std::error::Error::source) {
        cause = Some(next);
    }
    let text = cause.map_or_else(|| "no reason given".to_owned(), ToString::to_string);
    one_line(&text)
}

/// What a server said, fit for a message: on one line, cut short, without full stop. Nothing if it repeats one of the
/// `secrets` that it was sent.
pub(super) fn said(text: &str, secrets: &[&str]) -> Option<String> {
    let repeats = |secret: &&str| !secret.is_empty() && text.contains(*secret);
    let text = one_line(text);
    let text = text.trim_end_matches('.');
    let fit = !text.is_empty() && !secrets.iter().any(repeats);
    fit.then(|| text.to_owned())
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    let line = words.join(" ");
    match line.char_indices().nth(MAX_SAID_LEN) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// The data key as the text that APIs take.
pub(super) fn to_base64(key: &DataKey) -> Zeroizing<String> {
    Zeroizing::new(STANDARD.encode(key.expose()))
}

/// The data key that an API gave.
///
/// # Errors
///
/// If it is no base64, empty, or too long to be one.
pub(super) fn from_base64(text: &str) -> Result<DataKey, KeyError> {
    let bad = || KeyError::new("the server did not answer with a data key");
    if text.len() > MAX_KEY_LEN {
        return Err(bad());
    }
    let key = DataKey::new(STANDARD.decode(text).map_err(|_| bad())?);
    if key.expose().is_empty() {
        return Err(bad());
    }
    Ok(key)
}

/// A text of an answer, borrowed from it where the answer has no escapes in it: then nothing of it is copied.
#[derive(Default, serde::Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use reqwest::Url;

    use super::{Text, from_base64, is_loopback, said};

    #[test]
    fn this_machine() {
        for (url, expected) in [
            ("http://127.0.0.1:8200", true),
            ("http://127.1.2.3", true),
            ("http://[::1]:8200", true),
            ("https://localhost", true),
            ("https://localhost.example.com", false),
            ("https://127.0.0.1.example.com", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(is_loopback(&Url::parse(url).unwrap()), expected, "{url}");
        }
    }

    #[test]
    fn a_server_cannot_make_us_repeat_what_it_was_sent() {
        let secrets = ["hvs.TOKEN", ""];
        assert_eq!(said("bad token hvs.TOKEN", &secrets), None);
        assert_eq!(said(" a\r\n\u{1b}[2J b. ", &secrets).unwrap(), "a [2J b");
        assert_eq!(said(" \n", &secrets), None);
        let long = said(&"é".repeat(5000), &secrets).unwrap();
        assert_eq!(long.chars().count(), 301);
    }

    #[test]
    fn a_key_in_an_answer_is_not_copied() {
        let text: Text<'_> = serde_json::from_str("\"a2V5\"").unwrap();
        assert!(matches!(text.0, Cow::Borrowed("a2V5")));
        let text: Text<'_> = serde_json::from_str("\"a\\/\"").unwrap();
        assert_eq!(text.0, "a/");
    }

    #[test]
    fn what_is_no_key() {
        let error = |text| from_base64(text).unwrap_err().to_string();
        assert_eq!(from_base64("a2V5").unwrap().expose(), b"key");
        for bad in ["", "CANARY!", &"A".repeat(8192)] {
            assert_eq!(error(bad), "the server did not answer with a data key");
        }
    }
}
