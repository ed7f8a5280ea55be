//! X-Wing, the key encapsulation that joins ML-KEM-768 and X25519, as a KEM of HPKE (RFC 9180; KEM id 0x647a).
//!
//! Knows nothing of age. A private key is a 32-byte seed from which both halves are derived; the shared secret is
//! SHA3-256 over both shared secrets, the X25519 share, the X25519 public key and a label. Stays secret as long as one of
//! the two halves holds. Sender authentication, which HPKE can have, is not supported.

use hpke::kem::SharedSecret;
use hpke::rand_core::{CryptoRng, RngCore};
use hpke::{Deserializable, HpkeError, Kem, Serializable};
use ml_kem::kem::{Decapsulate as _, Encapsulate as _};
use ml_kem::{Ciphertext, Encoded, EncodedSizeUser, KemCore, MlKem768};
use sha3::digest::consts::U32;
use sha3::digest::typenum::{Sum, Unsigned as _};
use sha3::digest::{Digest as _, ExtendableOutput as _, Update as _, XofReader as _};
use sha3::{Sha3_256, Shake256};
use subtle::ConstantTimeEq as _;
use x25519_dalek::{PublicKey as Point, StaticSecret as Scalar};
use zeroize::Zeroizing;

type Decapsulator = <MlKem768 as KemCore>::DecapsulationKey;
type Encapsulator = <MlKem768 as KemCore>::EncapsulationKey;
type CiphertextLength = <MlKem768 as KemCore>::CiphertextSize;
type EncapsulatorLength = <Encapsulator as EncodedSizeUser>::EncodedSize;

/// Goes last into the hash: `\.//^\`
const LABEL: &[u8] = br"\.//^\";

/// The KEM.
pub(super) struct XWing;

/// A 32-byte seed and what follows from it.
#[derive(Clone)]
pub(super) struct PrivateKey {
    seed: Zeroizing<[u8; 32]>,
    decapsulator: Decapsulator,
    scalar: Scalar,
}

impl PrivateKey {
    /// The key that grows out of `seed`.
    pub(super) fn from_seed(seed: &[u8; 32]) -> Self {
        let mut stream = Shake256::default().chain(seed).finalize_xof();
        let (mut d, mut z, mut scalar) = (
            Zeroizing::new([0; 32]),
            Zeroizing::new([0; 32]),
            Zeroizing::new([0; 32]),
        );
        stream.read(d.as_mut());
        stream.read(z.as_mut());
        stream.read(scalar.as_mut());
        let (decapsulator, _) = MlKem768::generate_deterministic((&*d).into(), (&*z).into());
        Self {
            seed: Zeroizing::new(*seed),
            decapsulator,
            scalar: Scalar::from(*scalar),
        }
    }
}

impl PartialEq for PrivateKey {
    fn eq(&self, other: &Self) -> bool {
        self.seed.ct_eq(other.seed.as_ref()).into()
    }
}

impl Eq for PrivateKey {}

impl Serializable for PrivateKey {
    type OutputSize = U32;

    fn write_exact(&self, buf: &mut [u8]) {
        buf.copy_from_slice(self.seed.as_ref());
    }
}

impl Deserializable for PrivateKey {
    fn from_bytes(encoded: &[u8]) -> Result<Self, HpkeError> {
        let seed = encoded.try_into().map(Zeroizing::new);
        seed.map(|seed| Self::from_seed(&seed))
            .map_err(|_| HpkeError::IncorrectInputLength(32, encoded.len()))
    }
}

/// An ML-KEM-768 encapsulation key, then an X25519 point: 1216 bytes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PublicKey {
    encapsulator: Encapsulator,
    point: Point,
}

impl Eq for PublicKey {}

impl Serializable for PublicKey {
    type OutputSize = Sum<EncapsulatorLength, U32>;

    fn write_exact(&self, buf: &mut [u8]) {
        let (first, second) = buf.split_at_mut(EncapsulatorLength::USIZE);
        first.copy_from_slice(&self.encapsulator.as_bytes());
        second.copy_from_slice(self.point.as_bytes());
    }
}

impl Deserializable for PublicKey {
    fn from_bytes(encoded: &[u8]) -> Result<Self, HpkeError> {
        let (first, point) = halves(encoded, EncapsulatorLength::USIZE)?;
        let first: Encoded<Encapsulator> =
            first.try_into().map_err(|_| HpkeError::ValidationError)?;
        let encapsulator = Encapsulator::from_bytes(&first);
        // The check of FIPS 203, 7.2: coefficients that were out of range have been reduced, and read back differently.
        if encapsulator.as_bytes() != first {
            return Err(HpkeError::ValidationError);
        }
        Ok(Self {
            encapsulator,
            point: Point::from(point),
        })
    }
}

/// An ML-KEM-768 ciphertext, then an X25519 share: 1120 bytes.
#[derive(Clone)]
pub(super) struct EncappedKey {
    ciphertext: Ciphertext<MlKem768>,
    share: Point,
}

impl Serializable for EncappedKey {
    type OutputSize = Sum<CiphertextLength, U32>;

    fn write_exact(&self, buf: &mut [u8]) {
        let (first, second) = buf.split_at_mut(CiphertextLength::USIZE);
        first.copy_from_slice(&self.ciphertext);
        second.copy_from_slice(self.share.as_bytes());
    }
}

impl Deserializable for EncappedKey {
    fn from_bytes(encoded: &[u8]) -> Result<Self, HpkeError> {
        let (first, share) = halves(encoded, CiphertextLength::USIZE)?;
        let ciphertext = first.try_into().map_err(|_| HpkeError::ValidationError)?;
        Ok(Self {
            ciphertext,
            share: Point::from(share),
        })
    }
}

/// Cuts an encoding into its ML-KEM part of `length` bytes and its X25519 part.
fn halves(encoded: &[u8], length: usize) -> Result<(&[u8], [u8; 32]), HpkeError> {
    encoded
        .split_at_checked(length)
        .and_then(|(first, second)| Some((first, second.try_into().ok()?)))
        .ok_or(HpkeError::IncorrectInputLength(length + 32, encoded.len()))
}

impl Kem for XWing {
    type PublicKey = PublicKey;
    type PrivateKey = PrivateKey;
    type EncappedKey = EncappedKey;
    type NSecret = U32;

    const KEM_ID: u16 = 0x647a;

    fn sk_to_pk(sk: &PrivateKey) -> PublicKey {
        PublicKey {
            encapsulator: sk.decapsulator.encapsulation_key().clone(),
            point: Point::from(&sk.scalar),
        }
    }

    fn derive_keypair(ikm: &[u8]) -> (PrivateKey, PublicKey) {
        let mut seed = Zeroizing::new([0; 32]);
        Shake256::default()
            .chain(ikm)
            .finalize_xof()
            .read(seed.as_mut());
        let private = PrivateKey::from_seed(&seed);
        let public = Self::sk_to_pk(&private);
        (private, public)
    }

    fn decap(
        sk_recip: &PrivateKey,
        pk_sender_id: Option<&PublicKey>,
        encapped_key: &EncappedKey,
    ) -> Result<SharedSecret<Self>, HpkeError> {
        if pk_sender_id.is_some() {
            return Err(HpkeError::DecapError);
        }
        let first = sk_recip
            .decapsulator
            .decapsulate(&encapped_key.ciphertext)
            .map(|secret| Zeroizing::new(secret.0))
            .map_err(|()| HpkeError::DecapError)?;
        let second = sk_recip.scalar.diffie_hellman(&encapped_key.share);
        if !second.was_contributory() {
            return Err(HpkeError::DecapError);
        }
        let point = Point::from(&sk_recip.scalar);
        Ok(join(
            first.as_ref(),
            second.as_bytes(),
            &encapped_key.share,
            &point,
        ))
    }

    fn encap<R: CryptoRng + RngCore>(
        pk_recip: &PublicKey,
        sender_id_keypair: Option<(&PrivateKey, &PublicKey)>,
        csprng: &mut R,
    ) -> Result<(SharedSecret<Self>, EncappedKey), HpkeError> {
        if sender_id_keypair.is_some() {
            return Err(HpkeError::EncapError);
        }
        let (ciphertext, first) = pk_recip
            .encapsulator
            .encapsulate(csprng)
            .map_err(|()| HpkeError::EncapError)?;
        let first = Zeroizing::new(first.0);
        let ephemeral = Scalar::random_from_rng(csprng);
        let second = ephemeral.diffie_hellman(&pk_recip.point);
        if !second.was_contributory() {
            return Err(HpkeError::EncapError);
        }
        let share = Point::from(&ephemeral);
        let secret = join(first.as_ref(), second.as_bytes(), &share, &pk_recip.point);
        Ok((secret, EncappedKey { ciphertext, share }))
    }
}

/// The shared secret of both halves.
fn join(first: &[u8], second: &[u8], share: &Point, point: &Point) -> SharedSecret<XWing> {
    let hash = Sha3_256::new()
        .chain(first)
        .chain(second)
        .chain(share.as_bytes())
        .chain(point.as_bytes())
        .chain(LABEL);
    SharedSecret(hash.finalize())
}

#[cfg(test)]
mod tests {
    use hpke::rand_core::{CryptoRng, Error, RngCore};
    use hpke::{Deserializable as _, Kem as _, Serializable as _};

    use super::{EncappedKey, PrivateKey, PublicKey, XWing};

    /// Gives out chosen bytes.
    struct Chosen(std::vec::IntoIter<u8>);

    impl RngCore for Chosen {
        fn next_u32(&mut self) -> u32 {
            panic!("only bytes are asked for")
        }
        fn next_u64(&mut self) -> u64 {
            panic!("only bytes are asked for")
        }
        fn fill_bytes(&mut self, dest: &mut [u8]) {
            dest.fill_with(|| self.0.next().expect("enough bytes"));
        }
        fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Error> {
            self.fill_bytes(dest);
            Ok(())
        }
    }

    impl CryptoRng for Chosen {}

    fn unhex(text: &str) -> Vec<u8> {
        let digits = |index| u8::from_str_radix(text.get(index..index + 2).unwrap(), 16).unwrap();
        (0..text.len()).step_by(2).map(digits).collect()
    }

    /// The vectors of the X-Wing draft.
    #[test]
    fn known_answers() {
        let text = include_str!("../../../testdata/age/xwing.json");
        let vectors: Vec<std::collections::HashMap<String, String>> =
            serde_json::from_str(text).unwrap();
        assert_eq!(vectors.len(), 3);
        for vector in vectors {
            let bytes = |name: &str| unhex(&vector[name]);
            let private = PrivateKey::from_bytes(&bytes("seed")).unwrap();
            let public = PublicKey::from_bytes(&bytes("pk")).unwrap();
            assert_eq!(XWing::sk_to_pk(&private), public);
            assert_eq!(public.to_bytes().as_slice(), bytes("pk"));

            let mut chosen = Chosen(bytes("eseed").into_iter());
            let (secret, encapped) = XWing::encap(&public, None, &mut chosen).unwrap();
            assert_eq!(secret.0.as_slice(), bytes("ss"));
            assert_eq!(encapped.to_bytes().as_slice(), bytes("ct"));

            let encapped = EncappedKey::from_bytes(&bytes("ct")).unwrap();
            let secret = XWing::decap(&private, None, &encapped).unwrap();
            assert_eq!(secret.0.as_slice(), bytes("ss"));
        }
    }

    #[test]
    fn public_keys_are_checked() {
        let (_, public) = XWing::derive_keypair(b"some key");
        let mut bytes = public.to_bytes();
        assert!(PublicKey::from_bytes(&bytes).is_ok());
        assert!(PublicKey::from_bytes(&bytes[1..]).is_err());
        // 0xfff is above the modulus 3329
        bytes[0] = 0xff;
        bytes[1] |= 0x0f;
        assert!(PublicKey::from_bytes(&bytes).is_err());
    }

    #[test]
    fn a_point_that_leaks_nothing_into_the_secret_is_refused() {
        let (private, public) = XWing::derive_keypair(b"some key");
        let mut bytes = public.to_bytes();
        bytes[1184..].fill(0);
        let low = PublicKey::from_bytes(&bytes).unwrap();
        let mut chosen = Chosen(vec![7; 64].into_iter());
        assert!(XWing::encap(&low, None, &mut chosen).is_err());

        let mut chosen = Chosen(vec![7; 64].into_iter());
        let (_, encapped) = XWing::encap(&public, None, &mut chosen).unwrap();
        let mut bytes = encapped.to_bytes();
        bytes[1088..].fill(0);
        let low = EncappedKey::from_bytes(&bytes).unwrap();
        assert!(XWing::decap(&private, None, &low).is_err());
    }
}
