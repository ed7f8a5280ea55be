//! Reading recipients from the strings of flags and config files (spec 10).
//!
//! Checks shapes only: whether an age recipient has a valid checksum, or a key exists, is found out by `keys`.

use super::{Recipient, RecipientKind};

/// A string that names no recipient of its kind. Carries no part of the string: somebody may have pasted a private key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", invalid(*.kind))]
pub struct BadRecipient {
    /// What it was to be.
    pub kind: RecipientKind,
    /// What is wrong, as one lower-case clause.
    pub reason: &'static str,
}

fn invalid(kind: RecipientKind) -> String {
    match kind {
        RecipientKind::Unknown => "invalid recipient".to_owned(),
        kind => format!("invalid {} recipient", kind.name()),
    }
}

impl BadRecipient {
    fn new(kind: RecipientKind, reason: &'static str) -> Self {
        Self { kind, reason }
    }
}

/// The items of a comma-separated list, trimmed; empty ones are dropped (spec 8.3).
pub fn split_list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

/// Reads a comma-separated list of recipients with one of the parsers of [`Recipient`].
///
/// # Errors
/// The first [`BadRecipient`].
pub fn parse_list(
    text: &str,
    parse: impl Fn(&str) -> Result<Recipient, BadRecipient>,
) -> Result<Vec<Recipient>, BadRecipient> {
    split_list(text).map(parse).collect()
}

/// Reads an encryption context `k:v,k:v` (spec 10.4), sorted by key.
///
/// # Errors
/// [`BadRecipient`] if a pair has not exactly one `:`, or a key comes twice.
pub fn parse_context(text: &str) -> Result<Vec<(String, String)>, BadRecipient> {
    let bad = |reason| BadRecipient::new(RecipientKind::Kms, reason);
    let pair = |pair: &str| match pair.split_once(':') {
        Some((key, value)) if !value.contains(':') => Ok((key.to_owned(), value.to_owned())),
        _ => Err(bad(
            "each part of the encryption context must be `key:value`",
        )),
    };
    let mut pairs = split_list(text).map(pair).collect::<Result<Vec<_>, _>>()?;
    pairs.sort();
    if pairs
        .windows(2)
        .any(|two| matches!(two, [(one, _), (other, _)] if one == other))
    {
        return Err(bad("the encryption context has the same key twice"));
    }
    Ok(pairs)
}

impl Recipient {
    /// Reads a recipient of any kind, by its form. An OpenPGP key must be named by its fingerprint here, 40 or 64 hex
    /// digits, since anything could be a user id. Blanks around it are dropped.
    ///
    /// # Errors
    /// [`BadRecipient`] if it has the form of none, or is wrong in itself.
    pub fn parse(text: &str) -> Result<Self, BadRecipient> {
        let text = text.trim();
        let lower = text.to_ascii_lowercase();
        if lower.starts_with("age1") || lower.starts_with("age-") || text.starts_with("ssh-") {
            return Self::parse_age(text);
        }
        if text.starts_with("arn:") {
            return Self::parse_kms(text);
        }
        if text.starts_with("projects/") {
            return Self::parse_gcp_kms(text);
        }
        if let Some((_, rest)) = text.split_once("://") {
            let path = rest.split_once('/').map_or("", |(_, path)| path);
            return if path.starts_with("keys/") {
                Self::parse_azure(text)
            } else {
                Self::parse_vault(text)
            };
        }
        let fingerprint = without_blanks(text);
        let digits = fingerprint.strip_suffix('!').unwrap_or(&fingerprint);
        if matches!(digits.len(), 40 | 64) && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Self::parse_pgp(text);
        }
        let is_region = |text: &str| text.contains('-') && text.bytes().all(is_region_byte);
        if text
            .split_once(':')
            .is_some_and(|(region, _)| is_region(region))
        {
            return Self::parse_hckms(text);
        }
        Err(BadRecipient::new(
            RecipientKind::Unknown,
            "it has the form of no key that is known",
        ))
    }

    /// Reads `age1…`, in all its forms, or an SSH public key; blanks around it are dropped (spec 10.2). Only the prefix
    /// is checked.
    ///
    /// # Errors
    /// [`BadRecipient`] if it is neither.
    pub fn parse_age(text: &str) -> Result<Self, BadRecipient> {
        let text = text.trim();
        let bad = |reason| Err(BadRecipient::new(RecipientKind::Age, reason));
        if text.to_ascii_uppercase().starts_with("AGE-") {
            return bad("this is a private key; the recipient begins with `age1`");
        }
        if !text.starts_with("age1") && !text.starts_with("ssh-") {
            return bad("it must begin with `age1` or `ssh-`");
        }
        Ok(Self::Age {
            recipient: text.to_owned(),
        })
    }

    /// Reads an OpenPGP fingerprint, or whatever else `gpg -r` takes; spaces are dropped (spec 10.3).
    ///
    /// # Errors
    /// [`BadRecipient`] if nothing is left, or if it could be taken for an option of gpg.
    pub fn parse_pgp(text: &str) -> Result<Self, BadRecipient> {
        let fingerprint = without_blanks(text);
        if fingerprint.is_empty() {
            return Err(BadRecipient::new(RecipientKind::Pgp, "it is empty"));
        }
        if fingerprint.starts_with('-') {
            return Err(BadRecipient::new(
                RecipientKind::Pgp,
                "it must not begin with `-`",
            ));
        }
        Ok(Self::Pgp { fingerprint })
    }

    /// Reads `arn` or `arn+role`; spaces are dropped (spec 10.4). Context and profile are left empty.
    ///
    /// # Errors
    /// [`BadRecipient`] if the part before the role is not the ARN of a KMS key or alias.
    pub fn parse_kms(text: &str) -> Result<Self, BadRecipient> {
        let text = without_blanks(text);
        let (arn, role) = match text.split_once("+arn:") {
            Some((arn, role)) => (arn, format!("arn:{role}")),
            None => (text.as_str(), String::new()),
        };
        if !is_kms_arn(arn) {
            let reason = "it must be like `arn:aws:kms:<region>:<account>:key/<id>`";
            return Err(BadRecipient::new(RecipientKind::Kms, reason));
        }
        let (context, aws_profile) = (Vec::new(), String::new());
        Ok(Self::Kms {
            arn: arn.to_owned(),
            role,
            context,
            aws_profile,
        })
    }

    /// Reads the resource id of a Google Cloud KMS key; spaces are dropped (spec 10.4).
    ///
    /// # Errors
    /// [`BadRecipient`] if it is of another form.
    pub fn parse_gcp_kms(text: &str) -> Result<Self, BadRecipient> {
        let resource_id = without_blanks(text);
        let parts: Vec<&str> = resource_id.split('/').collect();
        match parts.as_slice() {
            [
                "projects",
                project,
                "locations",
                location,
                "keyRings",
                ring,
                "cryptoKeys",
                key,
            ] if [project, location, ring, key]
                .iter()
                .all(|part| !part.is_empty()) =>
            {
                Ok(Self::GcpKms { resource_id })
            }
            _ => {
                let reason = "it must be `projects/…/locations/…/keyRings/…/cryptoKeys/…`";
                Err(BadRecipient::new(RecipientKind::GcpKms, reason))
            }
        }
    }

    /// Reads `https://<vault>/keys/<name>[/<version>]`; blanks around it are dropped (spec 10.5). The version may be
    /// missing: it is then for `keys` to look up the current one.
    ///
    /// # Errors
    /// [`BadRecipient`] if it is of another form.
    pub fn parse_azure(text: &str) -> Result<Self, BadRecipient> {
        let parts = || {
            let (host, key) = text.trim().strip_prefix("https://")?.split_once('/')?;
            let key = key.strip_prefix("keys/")?;
            let (name, version) = key.split_once('/').unwrap_or((key, ""));
            let valid = !host.is_empty() && !name.is_empty() && !version.contains('/');
            valid.then(|| {
                (
                    format!("https://{host}"),
                    name.to_owned(),
                    version.to_owned(),
                )
            })
        };
        let reason = "it must be like `https://<vault>.vault.azure.net/keys/<name>/<version>`";
        let (vault_url, name, version) =
            parts().ok_or(BadRecipient::new(RecipientKind::AzureKv, reason))?;
        Ok(Self::AzureKv {
            vault_url,
            name,
            version,
        })
    }

    /// Reads the URI of a transit key: `https://<server>/v1/<engine>/keys/<name>` (spec 10.6).
    ///
    /// # Errors
    /// [`BadRecipient`] if there is no scheme or server, if something stands before `/v1`, or if the path is too short.
    pub fn parse_vault(text: &str) -> Result<Self, BadRecipient> {
        let bad = |reason| BadRecipient::new(RecipientKind::Vault, reason);
        let form = "it must be like `https://vault.example.com:8200/v1/transit/keys/<name>`";
        let (scheme, rest) = text
            .trim()
            .split_once("://")
            .ok_or(bad("the URI has no scheme"))?;
        let (server, path) = rest.split_once('/').ok_or(bad(form))?;
        if !is_scheme(scheme) || server.is_empty() || rest.contains(['?', '#']) {
            return Err(bad(form));
        }
        let parts: Vec<&str> = path.strip_suffix('/').unwrap_or(path).split('/').collect();
        let deeper = parts.iter().skip(1).rev().skip(3);
        if deeper.into_iter().any(|part| is_api_version(part)) {
            return Err(bad("a Vault server behind a path is not supported"));
        }
        match parts.as_slice() {
            [version, engine @ .., keys, name]
                if is_api_version(version)
                    && !engine.is_empty()
                    && !keys.is_empty()
                    && !name.is_empty()
                    && engine.iter().all(|part| !matches!(*part, "" | "." | "..")) =>
            {
                Ok(Self::Vault {
                    vault_address: format!("{scheme}://{server}"),
                    engine_path: engine.join("/"),
                    key_name: (*name).to_owned(),
                })
            }
            _ => Err(bad(form)),
        }
    }

    /// Reads `region:uuid`; blanks around it are dropped (spec 10.7).
    ///
    /// # Errors
    /// [`BadRecipient`] if one of the two is missing.
    pub fn parse_hckms(text: &str) -> Result<Self, BadRecipient> {
        let key_id = text.trim();
        match key_id.split_once(':') {
            Some((region, uuid)) if !region.is_empty() && !uuid.is_empty() => Ok(Self::Hckms {
                key_id: key_id.to_owned(),
            }),
            _ => Err(BadRecipient::new(
                RecipientKind::Hckms,
                "it must be `region:uuid`",
            )),
        }
    }
}

/// A letter of `eu-west-101`.
fn is_region_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
}

fn without_blanks(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

/// `^arn:aws[\w-]*:kms:(.+):[0-9]+:(key|alias)/.+$`
fn is_kms_arn(text: &str) -> bool {
    let rest = text.strip_prefix("arn:aws").and_then(|rest| {
        let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-');
        rest.trim_start_matches(|c| !word(c)).strip_prefix(":kms:")
    });
    let Some(rest) = rest else { return false };
    [":key/", ":alias/"]
        .iter()
        .flat_map(|mark| rest.match_indices(mark))
        .any(|(at, mark)| {
            let (place, key) = rest.split_at_checked(at).unwrap_or_default();
            let Some((region, account)) = place.rsplit_once(':') else {
                return false;
            };
            let digits = !account.is_empty() && account.bytes().all(|byte| byte.is_ascii_digit());
            digits && !region.is_empty() && key.len() > mark.len()
        })
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

/// `v1` and the like.
fn is_api_version(part: &str) -> bool {
    part.strip_prefix('v')
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::{BadRecipient, parse_context, parse_list};
    use crate::recipient::{Recipient, RecipientKind};

    fn identity(parsed: Result<Recipient, BadRecipient>) -> String {
        parsed.unwrap().identity()
    }

    #[test]
    fn age_recipients_are_known_by_their_prefix() {
        for good in [
            "age1abc",
            "age1pq1abc",
            "age1yubikey1abc",
            "ssh-ed25519 AAAA me@host",
        ] {
            assert_eq!(identity(Recipient::parse_age(&format!(" {good}\t"))), good);
        }
        for bad in ["", "AGE1ABC", "rsa AAAA", "ecdsa-sha2-nistp256 AAAA"] {
            assert!(Recipient::parse_age(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_private_key_is_refused_without_being_repeated() {
        for secret in ["AGE-SECRET-KEY-1CANARY", "age-secret-key-1canary"] {
            let error = Recipient::parse_age(secret).unwrap_err();
            assert!(error.reason.contains("private key"));
            assert!(
                !format!("{error} {error:?}")
                    .to_lowercase()
                    .contains("canary")
            );
        }
    }

    #[test]
    fn every_kind_is_known_by_its_form() {
        let arn = "arn:aws:kms:us-east-1:656532927350:key/920aff2e-c5f1";
        let gcp = "projects/p/locations/l/keyRings/r/cryptoKeys/k";
        let fingerprint = "FBC7B9E2A4F9289AC0C1D4843D16CEE4A27381B4";
        let texts = [
            ("age1abc", RecipientKind::Age),
            ("ssh-ed25519 AAAA", RecipientKind::Age),
            (arn, RecipientKind::Kms),
            (gcp, RecipientKind::GcpKms),
            ("https://v.vault.azure.net/keys/k/1", RecipientKind::AzureKv),
            ("https://v.example/v1/transit/keys/k", RecipientKind::Vault),
            (fingerprint, RecipientKind::Pgp),
            ("eu-west-101:0123-4567", RecipientKind::Hckms),
        ];
        for (text, kind) in texts {
            let parsed = Recipient::parse(text).unwrap();
            assert_eq!((parsed.kind(), parsed.identity()), (kind, text.to_owned()));
        }
        for bad in [
            "",
            "alice",
            "alice@example.com",
            "AGE-SECRET-KEY-1X",
            "0xABCD",
            "a: b",
        ] {
            assert!(Recipient::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn fingerprints_lose_their_spaces() {
        assert_eq!(
            identity(Recipient::parse_pgp("85D7 7543  B3D6!")),
            "85D77543B3D6!"
        );
        assert!(Recipient::parse_pgp(" ").is_err());
        assert!(Recipient::parse_pgp("--output=x").is_err());
    }

    #[test]
    fn arns() {
        let arn = "arn:aws:kms:us-east-1:656532927350:key/920aff2e-c5f1";
        assert_eq!(identity(Recipient::parse_kms(arn)), arn);
        let with_role = format!("{arn}+arn:aws:iam::927034868273:role/sops");
        assert_eq!(identity(Recipient::parse_kms(&with_role)), with_role);
        let Ok(Recipient::Kms { role, .. }) = Recipient::parse_kms(&with_role) else {
            panic!()
        };
        assert_eq!(role, "arn:aws:iam::927034868273:role/sops");
        for good in [
            "arn:aws-cn:kms:cn-north-1:1:alias/x",
            "arn:aws:kms:a:b:1:key/x:2:key/",
        ] {
            assert!(Recipient::parse_kms(good).is_ok(), "{good}");
        }
        for bad in [
            "arn:aws:kms:us-east-1:656532927350:key/",
            "arn:aws:kms::656532927350:key/x",
            "arn:aws:kms:us-east-1::key/x",
            "arn:aws:kms:us-east-1:1a:key/x",
            "arn:aws:s3:us-east-1:1:key/x",
            "arn:gcp:kms:us-east-1:1:key/x",
            "arn:aws:kms:us-east-1:1:grant/x",
            "",
        ] {
            assert!(Recipient::parse_kms(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn google_resource_ids() {
        let id = "projects/p/locations/global/keyRings/r/cryptoKeys/k";
        assert_eq!(identity(Recipient::parse_gcp_kms(&format!(" {id} "))), id);
        for bad in [
            "projects//locations/global/keyRings/r/cryptoKeys/k",
            "projects/p/locations/global/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1",
            "p/locations/global/keyRings/r/cryptoKeys/k",
        ] {
            assert!(Recipient::parse_gcp_kms(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn azure_urls() {
        let azure = |text| identity(Recipient::parse_azure(text));
        let base = "https://v.vault.azure.net/keys/k";
        assert_eq!(
            azure("https://v.vault.azure.net/keys/k/0123"),
            format!("{base}/0123")
        );
        assert_eq!(
            azure(" https://v.vault.azure.net/keys/k "),
            format!("{base}/")
        );
        assert_eq!(
            azure("https://v.vault.azure.net/keys/k/"),
            format!("{base}/")
        );
        for bad in [
            "http://v/keys/k/1",
            "https:///keys/k/1",
            "https://v/secrets/k/1",
            "https://v/keys//1",
            "https://v/keys/k/1/2",
        ] {
            assert!(Recipient::parse_azure(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn vault_uris() {
        let parse = |text| match Recipient::parse_vault(text) {
            Ok(Recipient::Vault {
                vault_address,
                engine_path,
                key_name,
            }) => Some((vault_address, engine_path, key_name)),
            _ => None,
        };
        let some = |address: &str, engine: &str, name: &str| {
            Some((address.to_owned(), engine.to_owned(), name.to_owned()))
        };
        assert_eq!(
            parse("https://vault.example.com:8200/v1/transit/keys/app"),
            some("https://vault.example.com:8200", "transit", "app")
        );
        assert_eq!(
            parse("http://v/v1/team/transit/keys/app/"),
            some("http://v", "team/transit", "app")
        );
        for bad in [
            "vault.example.com/v1/transit/keys/app",
            "https://vault.example.com/prefix/v1/transit/keys/app",
            "https://vault.example.com/v1/a/v2/transit/keys/app",
            "https://vault.example.com/v1/transit/app",
            "https://vault.example.com/v1/transit//app",
            "https://vault.example.com/v1/../keys/app",
            "https://vault.example.com/vx/transit/keys/app",
            "https:///v1/transit/keys/app",
            "https://vault.example.com/v1/transit/keys/app?x=1",
            "https://vault.example.com",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn huawei_keys() {
        assert_eq!(
            identity(Recipient::parse_hckms("eu-west:1-2:3")),
            "eu-west:1-2:3"
        );
        for bad in ["", "x", ":x", "x:"] {
            assert!(Recipient::parse_hckms(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn lists_are_trimmed_and_empty_items_dropped() {
        let list = parse_list(" age1a, ,age1b ,", Recipient::parse_age).unwrap();
        let identities: Vec<String> = list.iter().map(Recipient::identity).collect();
        assert_eq!(identities, ["age1a", "age1b"]);
        assert!(parse_list("age1a,x", Recipient::parse_age).is_err());
    }

    #[test]
    fn contexts() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            parse_context("b:2,a:1"),
            Ok(vec![pair("a", "1"), pair("b", "2")])
        );
        assert_eq!(parse_context(""), Ok(vec![]));
        for bad in ["a", "a:b:c", "a:1,a:2"] {
            assert!(parse_context(bad).is_err(), "{bad}");
        }
    }
}
