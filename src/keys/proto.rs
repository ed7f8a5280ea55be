//! The messages of `proto/`, generated, and what they mean as recipients (spec 11).
//!
//! Knows the wire. Knows nothing of connections, and nothing of what is done with a message.

use std::fmt;

use zeroize::Zeroize as _;

use crate::recipient::Recipient;

pub(super) use generated::key_service_client::KeyServiceClient;
pub(super) use generated::key_service_server::{KeyService as KeyServiceRpc, KeyServiceServer};
pub(super) use generated::{DecryptRequest, DecryptResponse, EncryptRequest, EncryptResponse, Key};

use generated::key::KeyType;
use generated::{AgeKey, AzureKeyVaultKey, GcpKmsKey, HckmsKey, KmsKey, PgpKey, VaultKey};

/// No message is longer, in bytes. A wrapped key has a few kilobytes at most.
pub(super) const MAX_MESSAGE_LEN: usize = 1 << 18;

#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    missing_debug_implementations,
    clippy::allow_attributes_without_reason,
    clippy::all,
    clippy::pedantic,
    reason = "generated"
)]
mod generated {
    tonic::include_proto!("_");
}

/// The messages between an agent and those who look after it.
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    missing_debug_implementations,
    clippy::allow_attributes_without_reason,
    clippy::all,
    clippy::pedantic,
    reason = "generated"
)]
pub(super) mod agent {
    tonic::include_proto!("sops_rs.agent.v1");
}

impl Drop for EncryptRequest {
    fn drop(&mut self) {
        self.plaintext.zeroize();
    }
}

impl Drop for DecryptResponse {
    fn drop(&mut self) {
        self.plaintext.zeroize();
    }
}

impl fmt::Debug for EncryptRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncryptRequest(…)")
    }
}

impl fmt::Debug for DecryptResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DecryptResponse(…)")
    }
}

/// How `recipient` is named in a request; `None` for a kind that the protocol does not know.
pub(super) fn key_of(recipient: &Recipient) -> Option<Key> {
    let key_type = match recipient.clone() {
        Recipient::Age { recipient } => KeyType::AgeKey(AgeKey { recipient }),
        Recipient::Pgp { fingerprint } => KeyType::PgpKey(PgpKey { fingerprint }),
        Recipient::Kms {
            arn,
            role,
            context,
            aws_profile,
        } => KeyType::KmsKey(KmsKey {
            arn,
            role,
            context: context.into_iter().collect(),
            aws_profile,
        }),
        Recipient::GcpKms { resource_id } => KeyType::GcpKmsKey(GcpKmsKey { resource_id }),
        Recipient::AzureKv {
            vault_url,
            name,
            version,
        } => KeyType::AzureKeyvaultKey(AzureKeyVaultKey {
            vault_url,
            name,
            version,
        }),
        Recipient::Vault {
            vault_address,
            engine_path,
            key_name,
        } => KeyType::VaultKey(VaultKey {
            vault_address,
            engine_path,
            key_name,
        }),
        Recipient::Hckms { key_id } => KeyType::HckmsKey(HckmsKey { key_id }),
        Recipient::Unknown { .. } => return None,
    };
    Some(Key {
        key_type: Some(key_type),
    })
}

/// Whom a request names; `None` if nobody, or in a way that is younger than this program.
pub(super) fn recipient_of(key: Option<Key>) -> Option<Recipient> {
    Some(match key?.key_type? {
        KeyType::AgeKey(AgeKey { recipient }) => Recipient::Age { recipient },
        KeyType::PgpKey(PgpKey { fingerprint }) => Recipient::Pgp { fingerprint },
        KeyType::KmsKey(KmsKey {
            arn,
            role,
            context,
            aws_profile,
        }) => {
            let mut context: Vec<(String, String)> = context.into_iter().collect();
            context.sort();
            Recipient::Kms {
                arn,
                role,
                context,
                aws_profile,
            }
        }
        KeyType::GcpKmsKey(GcpKmsKey { resource_id }) => Recipient::GcpKms { resource_id },
        KeyType::AzureKeyvaultKey(AzureKeyVaultKey {
            vault_url,
            name,
            version,
        }) => Recipient::AzureKv {
            vault_url,
            name,
            version,
        },
        KeyType::VaultKey(VaultKey {
            vault_address,
            engine_path,
            key_name,
        }) => Recipient::Vault {
            vault_address,
            engine_path,
            key_name,
        },
        KeyType::HckmsKey(HckmsKey { key_id }) => Recipient::Hckms { key_id },
    })
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::{DecryptResponse, EncryptRequest, Key, key_of, recipient_of};
    use crate::recipient::Recipient;
    use crate::tree::Tree;

    fn all_kinds() -> Vec<Recipient> {
        let text = str::to_owned;
        vec![
            Recipient::Age {
                recipient: text("age1x"),
            },
            Recipient::Pgp {
                fingerprint: text("ABCD"),
            },
            Recipient::Kms {
                arn: text("arn:aws:kms:eu-west-1:1:key/k"),
                role: text("arn:aws:iam::1:role/r"),
                context: vec![(text("a"), text("1")), (text("b"), text("2"))],
                aws_profile: text("prod"),
            },
            Recipient::GcpKms {
                resource_id: text("projects/p"),
            },
            Recipient::AzureKv {
                vault_url: text("https://v"),
                name: text("n"),
                version: text("7"),
            },
            Recipient::Vault {
                vault_address: text("https://a"),
                engine_path: text("transit"),
                key_name: text("k"),
            },
            Recipient::Hckms {
                key_id: text("eu:1"),
            },
        ]
    }

    #[test]
    fn every_kind_goes_over_the_wire_and_comes_back() {
        for recipient in all_kinds() {
            let bytes = key_of(&recipient).unwrap().encode_to_vec();
            let key = Key::decode(bytes.as_slice()).unwrap();
            assert_eq!(recipient_of(Some(key)), Some(recipient));
        }
    }

    #[test]
    fn what_the_protocol_does_not_know_is_nobody() {
        let unknown = Recipient::Unknown {
            list: "quantum".to_owned(),
            entry: Tree::Null,
        };
        assert!(key_of(&unknown).is_none());
        assert_eq!(recipient_of(None), None);
        // Field 15, a message of no bytes: a kind of the future.
        let key = Key::decode([0x7a, 0x00].as_slice()).unwrap();
        assert_eq!(recipient_of(Some(key)), None);
    }

    #[test]
    fn messages_with_a_key_show_nothing_of_it() {
        let request = EncryptRequest {
            key: None,
            plaintext: b"S3CR3T".to_vec(),
        };
        let response = DecryptResponse {
            plaintext: b"S3CR3T".to_vec(),
        };
        let shown = format!("{request:?} {response:?}");
        assert_eq!(shown, "EncryptRequest(…) DecryptResponse(…)");
    }
}
