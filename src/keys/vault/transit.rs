//! Where the calls of the transit API go: the path of a key, and the one place a redirect may lead to.
//!
//! Files and servers are not trusted: neither can make a token be shown to another part of the API. Which servers may
//! have the token at all is not decided here.

use reqwest::Url;

use super::super::KeyError;
use crate::recipient::Recipient;

/// A transit key, as a file or a config names it.
pub(super) struct TransitKey<'a> {
    address: &'a str,
    /// The path of its engine.
    pub(super) engine: &'a str,
    pub(super) name: &'a str,
}

impl<'a> TransitKey<'a> {
    pub(super) fn of(recipient: &'a Recipient) -> Option<Self> {
        let Recipient::Vault {
            vault_address,
            engine_path,
            key_name,
        } = recipient
        else {
            return None;
        };
        Some(Self {
            address: vault_address,
            engine: engine_path,
            name: key_name,
        })
    }

    /// Where to call `verb`. A file must not lead a token to another part of the API, so no name may have a way out of
    /// its place in the path.
    pub(super) fn url(&self, verb: &str) -> Result<Url, KeyError> {
        let bad = || {
            KeyError::new(
                "its address is not that of a server, as in `https://vault.example.com:8200`",
            )
        };
        let mut url = Url::parse(self.address).map_err(|_| bad())?;
        let bare = matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none();
        if !bare {
            return Err(bad());
        }
        let engine: Vec<&str> = self.engine.trim_matches('/').split('/').collect();
        if !engine.iter().chain([&self.name]).all(|part| is_plain(part)) {
            return Err(KeyError::new("its engine path or key name is not valid"));
        }
        url.path_segments_mut()
            .map_err(|()| bad())?
            .clear()
            .push("v1")
            .extend(engine)
            .extend([verb, self.name]);
        Ok(url)
    }
}

/// Whether a part of a path is nothing but a name.
fn is_plain(part: &str) -> bool {
    let special = |c: char| matches!(c, '/' | '\\' | '%' | '?' | '#' | ';') || c.is_control();
    !matches!(part, "" | "." | "..") && !part.contains(special)
}

/// Where a redirect leads: to the same call of another server, as a standby node sends one on. No server may choose
/// another call to be made with the token.
pub(super) fn next(url: &Url, location: Option<&str>) -> Result<Url, KeyError> {
    let next = location.and_then(|location| url.join(location).ok());
    let same_call = |next: &Url| {
        matches!(next.scheme(), "http" | "https")
            && next.path() == url.path()
            && next.query().is_none()
    };
    let next = next
        .filter(same_call)
        .ok_or_else(|| KeyError::new("the server sends the request on to something else"))?;
    if url.scheme() == "https" && next.scheme() != "https" {
        return Err(KeyError::new(format!(
            "the server sends the request on to `{}`, without TLS",
            next.origin().ascii_serialization()
        )));
    }
    Ok(next)
}

#[cfg(test)]
mod tests {
    use reqwest::Url;

    use super::{TransitKey, next};

    fn url(address: &str, engine: &str, name: &str) -> Result<String, String> {
        let key = TransitKey {
            address,
            engine,
            name,
        };
        match key.url("decrypt") {
            Ok(url) => Ok(url.into()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn calls_go_below_the_engine() {
        assert_eq!(
            url("https://v:8200", "team/transit", "a b").unwrap(),
            "https://v:8200/v1/team/transit/decrypt/a%20b"
        );
        assert_eq!(
            url("http://v/", "/transit/", "app").unwrap(),
            "http://v/v1/transit/decrypt/app"
        );
    }

    #[test]
    fn a_file_cannot_lead_a_token_elsewhere() {
        for address in [
            "v:8200",
            "ftp://v",
            "https://user@v",
            "https://:word@v",
            "https://v/prefix",
            "https://v?x",
            "https://v#x",
            "",
        ] {
            assert!(url(address, "transit", "app").is_err(), "{address}");
        }
        for (engine, name) in [
            ("", "app"),
            ("..", "app"),
            ("a//b", "app"),
            ("transit", ""),
            ("transit", ".."),
            ("transit", "../../sys/seal"),
            ("transit", "..%2f..%2fsys"),
            ("transit", "a\\b"),
            ("transit?", "app"),
            ("transit", "a\nb"),
        ] {
            assert!(url("https://v", engine, name).is_err(), "{engine} {name}");
        }
    }

    #[test]
    fn redirects_lead_to_the_same_call_under_tls() {
        let from = Url::parse("https://a/v1/transit/decrypt/x").unwrap();
        let to = |location| next(&from, location).map(String::from);
        for (location, expected) in [
            (
                "https://b:8200/v1/transit/decrypt/x",
                "https://b:8200/v1/transit/decrypt/x",
            ),
            ("/v1/transit/decrypt/x", "https://a/v1/transit/decrypt/x"),
        ] {
            assert_eq!(to(Some(location)).unwrap(), expected);
        }
        for bad in [
            Some("http://a/v1/transit/decrypt/x"),
            Some("https://b/v1/sys/seal"),
            Some("https://b/v1/transit/decrypt/x?y"),
            Some("../../sys/seal"),
            Some("file:///v1/transit/decrypt/x"),
            Some("https://"),
            None,
        ] {
            assert!(to(bad).is_err(), "{bad:?}");
        }
    }
}
