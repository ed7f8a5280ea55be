//! Recipients: whoever a data key is wrapped for, as a file or a config names them.
//!
//! Pure data, complete in every build: what a file can say does not depend on what this program can do. Unknown kinds
//! are kept as they came. Wrapping and unwrapping is the business of `keys`.

use crate::tree::Tree;

mod parse;

pub use parse::{BadRecipient, parse_context, parse_list, split_list};

/// Someone or something that can unwrap a data key (spec 5.1, 10).
#[derive(Clone, Debug, PartialEq)]
pub enum Recipient {
    /// An age recipient: `age1…`, `age1pq1…`, `age1<plugin>1…`, or an SSH public key.
    Age {
        /// The recipient string.
        recipient: String,
    },
    /// An OpenPGP key.
    Pgp {
        /// Fingerprint, spaces removed; anything `gpg -r` takes.
        fingerprint: String,
    },
    /// An AWS KMS key.
    Kms {
        /// Key or alias ARN.
        arn: String,
        /// Role to assume; empty if none.
        role: String,
        /// Encryption context, sorted by key.
        context: Vec<(String, String)>,
        /// Profile of the shared config; empty if none.
        aws_profile: String,
    },
    /// A Google Cloud KMS key.
    GcpKms {
        /// `projects/…/locations/…/keyRings/…/cryptoKeys/…`
        resource_id: String,
    },
    /// An Azure Key Vault key.
    AzureKv {
        /// `https://….vault.azure.net`
        vault_url: String,
        /// Key name.
        name: String,
        /// Key version; may be empty in a config.
        version: String,
    },
    /// A HashiCorp Vault or `OpenBao` transit key.
    Vault {
        /// Server address without a path.
        vault_address: String,
        /// Mount of the transit engine.
        engine_path: String,
        /// Key name.
        key_name: String,
    },
    /// A HuaweiCloud KMS key.
    Hckms {
        /// `region:uuid`
        key_id: String,
    },
    /// A kind this version does not know: the name of its list in the metadata, and the entry as it stands.
    Unknown {
        /// Name of the metadata list the entry was found in.
        list: String,
        /// The entry.
        entry: Tree,
    },
}

/// The kinds of recipients, by the names that `--decryption-order` uses (spec 6.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecipientKind {
    /// `kms`
    Kms,
    /// `gcp_kms`
    GcpKms,
    /// `hckms`
    Hckms,
    /// `azure_kv`
    AzureKv,
    /// `hc_vault`
    Vault,
    /// `pgp`
    Pgp,
    /// `age`
    Age,
    /// Any other.
    Unknown,
}

impl RecipientKind {
    /// The known kinds in the order in which SOPS loads them from a file (spec 6.4).
    pub const LOAD_ORDER: [Self; 7] = [
        Self::Kms,
        Self::GcpKms,
        Self::Hckms,
        Self::AzureKv,
        Self::Vault,
        Self::Pgp,
        Self::Age,
    ];

    /// The name used in metadata lists and `--decryption-order`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kms => "kms",
            Self::GcpKms => "gcp_kms",
            Self::Hckms => "hckms",
            Self::AzureKv => "azure_kv",
            Self::Vault => "hc_vault",
            Self::Pgp => "pgp",
            Self::Age => "age",
            Self::Unknown => "unknown",
        }
    }
}

impl Recipient {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> RecipientKind {
        match self {
            Self::Age { .. } => RecipientKind::Age,
            Self::Pgp { .. } => RecipientKind::Pgp,
            Self::Kms { .. } => RecipientKind::Kms,
            Self::GcpKms { .. } => RecipientKind::GcpKms,
            Self::AzureKv { .. } => RecipientKind::AzureKv,
            Self::Vault { .. } => RecipientKind::Vault,
            Self::Hckms { .. } => RecipientKind::Hckms,
            Self::Unknown { .. } => RecipientKind::Unknown,
        }
    }

    /// The identity string of spec 10.1: what `--rm-*`, comparisons and messages use.
    #[must_use]
    pub fn identity(&self) -> String {
        match self {
            Self::Age { recipient } => recipient.clone(),
            Self::Pgp { fingerprint } => fingerprint.clone(),
            Self::Kms {
                arn,
                role,
                context,
                aws_profile,
            } => kms_identity(arn, role, context, aws_profile),
            Self::GcpKms { resource_id } => resource_id.clone(),
            Self::AzureKv {
                vault_url,
                name,
                version,
            } => {
                format!("{vault_url}/keys/{name}/{version}")
            }
            Self::Vault {
                vault_address,
                engine_path,
                key_name,
            } => {
                format!("{vault_address}/v1/{engine_path}/keys/{key_name}")
            }
            Self::Hckms { key_id } => key_id.clone(),
            Self::Unknown { list, .. } => format!("unknown recipient in `{list}`"),
        }
    }
}

fn kms_identity(arn: &str, role: &str, context: &[(String, String)], profile: &str) -> String {
    let mut identity = arn.to_owned();
    if !role.is_empty() {
        identity.push('+');
        identity.push_str(role);
    }
    let pairs: Vec<String> = context
        .iter()
        .map(|(key, value)| format!("{key}:{value}"))
        .collect();
    if !pairs.is_empty() || !profile.is_empty() {
        identity.push('|');
        identity.push_str(&pairs.join(","));
    }
    if !profile.is_empty() {
        identity.push('|');
        identity.push_str(profile);
    }
    identity
}

/// A recipient together with the data key, or share, that was wrapped for it.
#[derive(Clone, Debug, PartialEq)]
pub struct WrappedKey {
    /// For whom.
    pub recipient: Recipient,
    /// When the entry was made, RFC 3339 UTC; empty for age, which has none.
    pub created_at: String,
    /// The wrapped key, in the spelling of its kind (spec 10).
    pub enc: String,
    /// Fields of the entry that this version does not know, as they stand.
    pub unknown: Vec<(String, Tree)>,
}
