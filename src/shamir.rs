//! Splits a data key into shares, of which a threshold restores it (spec 6.3).
//!
//! The field is GF(2^8) modulo x^8+x^4+x^3+x+1 (0x11B). A share is the y bytes, one for each byte of the key, and its x as
//! the last byte. All arithmetic on secret bytes takes the same time for all of them: no tables, no branches.
//!
//! Does not know what a share is for, nor who holds it. Shares are not authenticated: from wrong ones a wrong key comes
//! out, and it is the seals of the file that tell.

use zeroize::Zeroizing;

use crate::random::Random;
use crate::secret::DataKey;

/// Why a key could not be split or restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShamirError {
    /// Fewer than two shares would be enough: that is no splitting.
    #[error("the threshold must be at least 2, not {threshold}")]
    ThresholdTooLow {
        /// What was asked for.
        threshold: u8,
    },
    /// More shares would be needed than are made.
    #[error("the threshold of {threshold} is above the number of shares, {parts}")]
    ThresholdTooHigh {
        /// How many shares are needed.
        threshold: u8,
        /// How many are made.
        parts: u8,
    },
    /// There is nothing to split.
    #[error("the key to split is empty")]
    EmptySecret,
    /// A single share, or none, restores nothing.
    #[error("at least two shares are needed, there are {0}")]
    TooFewShares(usize),
    /// A share needs at least one byte of y and one of x.
    #[error("a share is too short")]
    ShareTooShort,
    /// The shares do not belong to one key.
    #[error("the shares differ in length")]
    UnequalLengths,
    /// The same share, or two of different splits, given twice.
    #[error("two shares have the same number, {x}")]
    DuplicateShare {
        /// The number: the last byte of both.
        x: u8,
    },
}

/// Splits `secret` into `parts` shares numbered from 1, any `threshold` of which restore it (spec 6.3).
///
/// # Errors
///
/// If `secret` is empty, `threshold` is below 2 or above `parts`.
pub fn split(
    secret: &DataKey,
    parts: u8,
    threshold: u8,
    random: &mut dyn Random,
) -> Result<Vec<DataKey>, ShamirError> {
    if threshold < 2 {
        return Err(ShamirError::ThresholdTooLow { threshold });
    }
    if threshold > parts {
        return Err(ShamirError::ThresholdTooHigh { threshold, parts });
    }
    let secret = secret.expose();
    if secret.is_empty() {
        return Err(ShamirError::EmptySecret);
    }
    let degree = usize::from(threshold) - 1;
    let mut coefficients = Zeroizing::new(vec![0; degree * secret.len()]);
    random.fill(&mut coefficients);
    let shares = (1..=parts).map(|x| {
        let mut share = Vec::with_capacity(secret.len() + 1);
        for (&constant, above) in secret.iter().zip(coefficients.chunks(degree)) {
            share.push(evaluate(constant, above, x));
        }
        share.push(x);
        DataKey::new(share)
    });
    Ok(shares.collect())
}

/// Restores the key from all of `shares`; more than the threshold do no harm.
///
/// The numbers of the shares may be any (spec 6.3).
///
/// # Errors
///
/// If there are fewer than two shares, they differ in length, or two have the same number. Too few shares for the
/// threshold are not noticed: the result is then not the key.
pub fn combine(shares: &[DataKey]) -> Result<DataKey, ShamirError> {
    let points = points(shares)?;
    let length = points.first().map_or(0, |(_, ys)| ys.len());
    let mut secret = vec![0; length];
    for (index, &(x, ys)) in points.iter().enumerate() {
        let others = points
            .iter()
            .enumerate()
            .filter(|&(other, _)| other != index);
        let weight = weight_at_zero(x, others.map(|(_, &(other, _))| other));
        for (byte, &y) in secret.iter_mut().zip(ys) {
            *byte ^= multiply(weight, y);
        }
    }
    Ok(DataKey::new(secret))
}

/// The shares as x and y bytes, checked against each other.
fn points(shares: &[DataKey]) -> Result<Vec<(u8, &[u8])>, ShamirError> {
    if shares.len() < 2 {
        return Err(ShamirError::TooFewShares(shares.len()));
    }
    let mut points: Vec<(u8, &[u8])> = Vec::with_capacity(shares.len());
    let mut seen = [false; 256];
    for share in shares {
        let Some((&x, ys)) = share.expose().split_last().filter(|(_, ys)| !ys.is_empty()) else {
            return Err(ShamirError::ShareTooShort);
        };
        if points
            .first()
            .is_some_and(|(_, first)| first.len() != ys.len())
        {
            return Err(ShamirError::UnequalLengths);
        }
        if let Some(seen) = seen.get_mut(usize::from(x))
            && std::mem::replace(seen, true)
        {
            return Err(ShamirError::DuplicateShare { x });
        }
        points.push((x, ys));
    }
    Ok(points)
}

/// The value at `x` of the polynomial with this constant term and these coefficients above it, lowest first (Horner).
fn evaluate(constant: u8, above: &[u8], x: u8) -> u8 {
    let high = above
        .iter()
        .rev()
        .fold(0, |sum, &coefficient| multiply(sum, x) ^ coefficient);
    multiply(high, x) ^ constant
}

/// How much the share at `x` counts for the value at 0: the product of o/(o-x) over all other shares o (Lagrange).
fn weight_at_zero(x: u8, others: impl Iterator<Item = u8>) -> u8 {
    others.fold(1, |product, other| {
        multiply(product, multiply(other, invert(other ^ x)))
    })
}

/// The product in the field, in constant time.
fn multiply(mut a: u8, b: u8) -> u8 {
    let mut product = 0;
    for bit in 0..8 {
        product ^= a & mask(b >> bit);
        a = (a << 1) ^ (0x1b & mask(a >> 7));
    }
    product
}

/// All ones if the lowest bit is set, else zero.
fn mask(bit: u8) -> u8 {
    0_u8.wrapping_sub(bit & 1)
}

/// The inverse in the field, a^254, in constant time; 0 for 0.
fn invert(a: u8) -> u8 {
    let mut power = a;
    let mut product = 1;
    for _ in 1..8 {
        power = multiply(power, power);
        product = multiply(product, power);
    }
    product
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{Just, Strategy, any};
    use proptest::sample::subsequence;

    use super::{ShamirError, combine, evaluate, invert, multiply, split};
    use crate::secret::DataKey;

    fn key(bytes: &[u8]) -> DataKey {
        DataKey::new(bytes.to_vec())
    }

    fn bytes(shares: &[DataKey]) -> Vec<Vec<u8>> {
        shares.iter().map(|share| share.expose().to_vec()).collect()
    }

    /// A source that hands out `bytes` and then fails the test.
    fn fixed(bytes: &[u8]) -> impl FnMut(&mut [u8]) {
        let mut rest = bytes.iter().copied();
        move |out| out.fill_with(|| rest.next().expect("enough bytes"))
    }

    #[test]
    fn the_vectors_of_the_spec() {
        let secret = key(&[0x2a, 0x00, 0xff]);
        let shares = split(&secret, 3, 2, &mut fixed(&[0x07, 0x01, 0x80])).unwrap();
        assert_eq!(
            bytes(&shares),
            [
                [0x2d, 0x01, 0x7f, 1],
                [0x24, 0x02, 0xe4, 2],
                [0x23, 0x03, 0x64, 3]
            ]
        );
        for (one, other) in [(0, 1), (1, 0), (0, 2), (2, 1)] {
            let restored = combine(&[shares[one].clone(), shares[other].clone()]).unwrap();
            assert_eq!(restored.expose(), secret.expose());
        }
        assert_eq!(combine(&shares).unwrap().expose(), secret.expose());
        assert_eq!(multiply(0x53, 0xca), 1);
    }

    #[test]
    fn every_byte_but_zero_has_an_inverse() {
        assert!((1..=255).all(|a| multiply(a, invert(a)) == 1));
        assert_eq!(invert(0), 0);
    }

    #[test]
    fn share_numbers_may_be_any() {
        // older writers used numbers other than 1 to n
        let share = |x: u8| key(&[evaluate(0x2a, &[0x07], x), evaluate(0xff, &[0x80], x), x]);
        assert_eq!(
            combine(&[share(0xc8), share(0x11)]).unwrap().expose(),
            [0x2a, 0xff]
        );
    }

    #[test]
    fn what_cannot_be_split() {
        let mut none = fixed(&[]);
        let mut attempt = |secret: &[u8], parts, threshold| {
            split(&key(secret), parts, threshold, &mut none).unwrap_err()
        };
        assert_eq!(
            attempt(&[1], 3, 1),
            ShamirError::ThresholdTooLow { threshold: 1 }
        );
        assert_eq!(
            attempt(&[1], 3, 0),
            ShamirError::ThresholdTooLow { threshold: 0 }
        );
        assert_eq!(
            attempt(&[1], 3, 4),
            ShamirError::ThresholdTooHigh {
                threshold: 4,
                parts: 3
            }
        );
        assert_eq!(attempt(&[], 3, 2), ShamirError::EmptySecret);
    }

    #[test]
    fn what_cannot_be_combined() {
        let attempt = |shares: &[&[u8]]| {
            combine(&shares.iter().map(|share| key(share)).collect::<Vec<_>>()).unwrap_err()
        };
        assert_eq!(attempt(&[]), ShamirError::TooFewShares(0));
        assert_eq!(attempt(&[&[5, 1]]), ShamirError::TooFewShares(1));
        assert_eq!(attempt(&[&[5, 1], &[2]]), ShamirError::ShareTooShort);
        assert_eq!(attempt(&[&[5, 1], &[]]), ShamirError::ShareTooShort);
        assert_eq!(attempt(&[&[5, 1], &[5, 6, 2]]), ShamirError::UnequalLengths);
        assert_eq!(
            attempt(&[&[5, 7], &[6, 7]]),
            ShamirError::DuplicateShare { x: 7 }
        );
    }

    #[test]
    fn the_largest_split_works() {
        let mut byte = 0_u8;
        let mut random = |out: &mut [u8]| {
            out.fill_with(|| {
                byte = byte.wrapping_mul(5).wrapping_add(1);
                byte
            });
        };
        let secret = key(&[7; 32]);
        let shares = split(&secret, 255, 255, &mut random).unwrap();
        assert!(combine(&shares).unwrap() == secret);
        assert!(combine(&shares[1..]).unwrap() != secret);
    }

    /// Some key, random bytes for its coefficients, a threshold, and the indexes of that many shares.
    fn cases() -> impl Strategy<Value = (Vec<u8>, Vec<u8>, u8, u8, Vec<u8>)> {
        (2..=12_u8, 2..=12_u8).prop_flat_map(|(one, other)| {
            let (threshold, parts) = (one.min(other), one.max(other));
            let numbers: Vec<u8> = (0..parts).collect();
            (
                vec(any::<u8>(), 32),
                vec(any::<u8>(), 32 * (usize::from(threshold) - 1)),
                Just(parts),
                Just(threshold),
                subsequence(numbers, usize::from(threshold)).prop_shuffle(),
            )
        })
    }

    proptest::proptest! {
        #[test]
        fn any_threshold_of_the_shares_restores_and_one_fewer_does_not(
            (secret, coefficients, parts, threshold, chosen) in cases()
        ) {
            // A polynomial of a lower degree is as likely as any other, and needs fewer shares.
            let top = &coefficients[..];
            let degree = usize::from(threshold) - 1;
            proptest::prop_assume!(top.chunks(degree).any(|chunk| chunk[degree - 1] != 0));

            let secret = key(&secret);
            let shares = split(&secret, parts, threshold, &mut fixed(&coefficients)).unwrap();
            let chosen: Vec<_> = chosen.iter().map(|&i| shares[usize::from(i)].clone()).collect();
            proptest::prop_assert!(combine(&chosen).unwrap() == secret);
            if threshold > 2 {
                proptest::prop_assert!(combine(&chosen[1..]).unwrap() != secret);
            } else {
                proptest::prop_assert!(combine(&chosen[1..]).is_err());
            }
        }
    }
}
