//! New identities, as text in the form of `age-keygen`.

use age_core::primitives::bech32_encode;
use bech32::Hrp;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::hybrid;
use crate::random::Random;
use crate::secret::Plain;

/// The types of identities that can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityType {
    /// X25519: `age1…`
    Classic,
    /// ML-KEM-768 with X25519, safe from quantum computers too: `age1pq1…`. Needs age 1.3 or SOPS 3.12 on other machines.
    PostQuantum,
}

/// A new identity and whom to wrap for to reach it.
#[derive(Clone, Debug)]
pub struct NewIdentity {
    /// The text of an identity file, secret: two comment lines, then the identity.
    pub file: Plain<'static>,
    /// The recipient.
    pub recipient: String,
}

/// Makes an identity out of 32 bytes of `random`; `created` is what its file says about when (RFC 3339).
#[must_use]
pub fn generate(kind: IdentityType, created: &str, random: &mut dyn Random) -> NewIdentity {
    let mut seed = Zeroizing::new([0; 32]);
    random.fill(seed.as_mut());
    let (secret, recipient) = match kind {
        IdentityType::Classic => classic(&seed),
        IdentityType::PostQuantum => {
            let identity = hybrid::Identity::from_seed(&seed);
            (identity.encode(), identity.to_recipient().encode())
        }
    };
    let secret = secret.as_str();
    let file = format!("# created: {created}\n# public key: {recipient}\n{secret}\n");
    NewIdentity {
        file: Plain::owned(file),
        recipient,
    }
}

fn classic(seed: &[u8; 32]) -> (Zeroizing<String>, String) {
    const IDENTITY_PREFIX: Hrp = Hrp::parse_unchecked("age-secret-key-");
    const RECIPIENT_PREFIX: Hrp = Hrp::parse_unchecked("age");
    let mut secret = Zeroizing::new(bech32_encode(IDENTITY_PREFIX, seed));
    secret.make_ascii_uppercase();
    let public = PublicKey::from(&StaticSecret::from(*seed));
    (secret, bech32_encode(RECIPIENT_PREFIX, public.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::{IdentityType, generate};
    use crate::keys::age::check_recipient;

    fn sevens(bytes: &mut [u8]) {
        bytes.fill(7);
    }

    #[test]
    fn a_classic_identity_reads_like_that_of_age_keygen() {
        let new = generate(IdentityType::Classic, "2026-01-02T03:04:05Z", &mut sevens);
        let lines: Vec<&str> = new.file.expose().lines().collect();
        assert_eq!(lines[0], "# created: 2026-01-02T03:04:05Z");
        assert_eq!(lines[1], format!("# public key: {}", new.recipient));
        let identity: age::x25519::Identity = lines[2].parse().unwrap();
        assert_eq!(identity.to_public().to_string(), new.recipient);
        assert!(lines[2].starts_with("AGE-SECRET-KEY-1"));
        assert!(new.file.expose().ends_with('\n'));
    }

    #[test]
    fn a_post_quantum_identity_too() {
        let new = generate(
            IdentityType::PostQuantum,
            "2026-01-02T03:04:05Z",
            &mut sevens,
        );
        assert_eq!(check_recipient(&new.recipient), Ok(()));
        let last = new.file.expose().lines().last().unwrap();
        assert!(last.starts_with("AGE-SECRET-KEY-PQ-1"));
        assert!(new.recipient.starts_with("age1pq1"));
    }
}
