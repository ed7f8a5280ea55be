//! Which hosts are Key Vaults, and how keys in them are named.
//!
//! A vault URL comes from a file that anybody may have written, and whoever is asked gets an access token shown. So the
//! host must be Microsoft's, or one that the user allowed. Knows nothing of requests.

use azure_core::http::Url;

use crate::keys::KeyError;
use crate::recipient::Recipient;

/// The domains in which all hosts are Key Vaults or Managed HSMs: public cloud, China, US government, and Germany, which
/// is closed but stands in old files.
const DOMAINS: [&str; 8] = [
    ".vault.azure.net",
    ".vault.azure.cn",
    ".vault.usgovcloudapi.net",
    ".vault.microsoftazure.de",
    ".managedhsm.azure.net",
    ".managedhsm.azure.cn",
    ".managedhsm.usgovcloudapi.net",
    ".managedhsm.microsoftazure.de",
];

/// A vault that may be asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Vault {
    /// `https://<host>[:<port>]/`
    pub(super) url: String,
    /// Whether it is one because the user says so, and not because of its domain.
    pub(super) by_permission: bool,
}

impl Vault {
    /// Reads the `vault_url` of a recipient. `allowed` are hosts, with `:<port>` if it is not 443.
    ///
    /// # Errors
    /// If it is not the plain URL of a host, or the host is neither in a domain of Key Vault nor allowed.
    pub(super) fn parse(vault_url: &str, allowed: &[String]) -> Result<Self, KeyError> {
        let bad = || KeyError::new("the vault URL is not like `https://<vault>.vault.azure.net`");
        let url = Url::parse(vault_url).map_err(|_| bad())?;
        let host = url.host_str().ok_or_else(bad)?;
        let plain = url.scheme() == "https"
            && url.username().is_empty()
            && url.password().is_none()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none();
        if !plain {
            return Err(bad());
        }
        let authority = match url.port() {
            None => host.to_owned(),
            Some(port) => format!("{host}:{port}"),
        };
        let known = url.port().is_none() && DOMAINS.iter().any(|domain| is_below(host, domain));
        if !known
            && !allowed
                .iter()
                .any(|one| one.eq_ignore_ascii_case(&authority))
        {
            return Err(KeyError::new(format!(
                "`{authority}` is in no domain of Key Vault, so it is not shown a token; SOPS_RS_AZURE_VAULT_ALLOWLIST does not name it either"
            )));
        }
        Ok(Self {
            url: url.into(),
            by_permission: !known,
        })
    }

    /// Whether this vault may have a token for `scope`, which it asks for itself: tokens for vaults it may, and if the user
    /// allowed its host, tokens for that host or its domain. Nobody gets one for another service.
    pub(super) fn may_have(&self, scope: &str) -> bool {
        let host_of = |url: &str| Some(Url::parse(url).ok()?.host_str()?.to_owned());
        let (Some(audience), Some(host)) = (host_of(scope), host_of(&self.url)) else {
            return false;
        };
        let of_vaults = DOMAINS
            .iter()
            .any(|domain| domain.strip_prefix('.') == Some(&audience));
        of_vaults
            || self.by_permission && (host == audience || is_below(&host, &format!(".{audience}")))
    }
}

/// Whether `host` ends with `domain` and has something before it.
fn is_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain)
        .is_some_and(|name| !name.is_empty())
}

/// A key in a vault, as a recipient names it.
#[derive(Debug)]
pub(super) struct KeyName<'a> {
    pub(super) vault: Vault,
    pub(super) name: &'a str,
    /// Empty if the recipient names none.
    pub(super) version: &'a str,
}

impl<'a> KeyName<'a> {
    /// Checks every part of a recipient before it gets into a URL.
    ///
    /// # Errors
    /// If it is of another kind, or a part is not what Key Vault allows.
    pub(super) fn of(recipient: &'a Recipient, allowed: &[String]) -> Result<Self, KeyError> {
        let Recipient::AzureKv {
            vault_url,
            name,
            version,
        } = recipient
        else {
            return Err(KeyError::new("not a key of Azure Key Vault"));
        };
        if name.is_empty() || !is_word(name) {
            return Err(KeyError::new(
                "the key name may only have letters, digits and dashes",
            ));
        }
        if !is_word(version) {
            return Err(KeyError::new(
                "the key version may only have letters, digits and dashes",
            ));
        }
        Ok(Self {
            vault: Vault::parse(vault_url, allowed)?,
            name,
            version,
        })
    }
}

/// What names and versions are made of (Key Vault REST API, `^[0-9a-zA-Z-]+$`); the empty text, too.
pub(super) fn is_word(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::{DOMAINS, KeyName, Vault};
    use crate::recipient::Recipient;

    fn parse(url: &str, allowed: &[&str]) -> Option<bool> {
        let allowed: Vec<String> = allowed.iter().map(|&host| host.to_owned()).collect();
        Vault::parse(url, &allowed)
            .ok()
            .map(|vault| vault.by_permission)
    }

    #[test]
    fn every_cloud_has_its_domain() {
        for domain in DOMAINS {
            assert_eq!(parse(&format!("https://v{domain}"), &[]), Some(false));
            assert_eq!(parse(&format!("https://V{domain}:443/"), &[]), Some(false));
        }
    }

    #[test]
    fn hosts_that_only_look_like_vaults_are_refused() {
        for bad in [
            "http://v.vault.azure.net",
            "https://vault.azure.net",
            "https://.vault.azure.net",
            "https://evil.example",
            "https://v.vault.azure.net.evil.example",
            "https://evilvault.azure.net",
            "https://v.vault.azure.net@evil.example",
            "https://evil.example/v.vault.azure.net",
            "https://evil.example#.vault.azure.net",
            "https://evil.example?.vault.azure.net",
            "https://evil.example\\.vault.azure.net",
            "https://v.vault.azure.net/keys",
            "https://me:word@v.vault.azure.net",
            "https://v.vault.azure.net:8443",
            "https://v.vault.azure.net.",
            "https://127.0.0.1",
            "v.vault.azure.net",
            "",
        ] {
            assert_eq!(parse(bad, &[]), None, "{bad}");
        }
    }

    #[test]
    fn other_hosts_need_permission_with_their_port() {
        let allowed = ["vault.corp.example", "localhost:8443"];
        for good in ["https://Vault.corp.example", "https://localhost:8443/"] {
            assert_eq!(parse(good, &allowed), Some(true), "{good}");
        }
        for bad in [
            "https://vault.corp.example:8443",
            "https://a.vault.corp.example",
            "https://localhost",
            "http://localhost:8443",
            "https://localhost:8443/x",
        ] {
            assert_eq!(parse(bad, &allowed), None, "{bad}");
        }
    }

    #[test]
    fn no_vault_gets_a_token_for_another_service() {
        let vault = |url: &str| Vault::parse(url, &["vault.corp.example".to_owned()]).unwrap();
        let (real, allowed) = (
            vault("https://v.vault.azure.net"),
            vault("https://vault.corp.example"),
        );
        for scope in [
            "https://vault.azure.net/.default",
            "https://managedhsm.azure.cn/.default",
        ] {
            assert!(real.may_have(scope) && allowed.may_have(scope), "{scope}");
        }
        for scope in [
            "https://vault.corp.example/.default",
            "https://corp.example/.default",
        ] {
            assert!(!real.may_have(scope) && allowed.may_have(scope), "{scope}");
        }
        for scope in [
            "https://management.azure.com/.default",
            "https://graph.microsoft.com/.default",
            "https://v.vault.azure.net/.default",
            "https://azure.net/.default",
            "https://a.vault.corp.example/.default",
            "User.Read",
            "",
        ] {
            assert!(!real.may_have(scope) && !allowed.may_have(scope), "{scope}");
        }
    }

    #[test]
    fn names_and_versions_cannot_leave_their_place_in_the_url() {
        let check = |name: &str, version: &str| {
            let recipient = Recipient::AzureKv {
                vault_url: "https://v.vault.azure.net".to_owned(),
                name: name.to_owned(),
                version: version.to_owned(),
            };
            KeyName::of(&recipient, &[]).is_ok()
        };
        assert!(check("my-key-1", ""));
        assert!(check("k", "0123456789abcdef0123456789abcdef"));
        for (name, version) in [
            ("", "1"),
            ("..", "1"),
            ("a/b", "1"),
            ("a?b", "1"),
            ("a#b", "1"),
            ("a%2fb", "1"),
            ("k", ".."),
            ("k", "1/2"),
            ("k", "1?x"),
            ("k", "ä"),
        ] {
            assert!(!check(name, version), "{name} {version}");
        }
    }
}
