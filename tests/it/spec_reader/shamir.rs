//! Combining shares (spec 6.3): GF(2^8) with 0x11B, y bytes first, x last.

/// Product in the field, one bit at a time.
fn mul(mut a: u8, mut b: u8) -> u8 {
    let mut product = 0;
    while b != 0 {
        if b & 1 != 0 {
            product ^= a;
        }
        a = if a & 0x80 != 0 {
            (a << 1) ^ 0x1b
        } else {
            a << 1
        };
        b >>= 1;
    }
    product
}

/// `a^254`, which is `1/a`.
fn inverse(a: u8) -> u8 {
    (0..254).fold(1, |power, _| mul(power, a))
}

/// The secret from all shares given.
pub(crate) fn combine(shares: &[Vec<u8>]) -> Result<Vec<u8>, String> {
    let split: Option<Vec<(u8, &[u8])>> = shares
        .iter()
        .map(|share| share.split_last().map(|(x, y)| (*x, y)))
        .collect();
    let points = split.ok_or("an empty share")?;
    let (_, first) = points.first().ok_or("no shares")?;
    if points.len() < 2 || points.iter().any(|(_, y)| y.len() != first.len()) {
        return Err("shares do not fit".to_owned());
    }
    let mut secret = vec![0u8; first.len()];
    for (i, (x, y)) in points.iter().enumerate() {
        let mut weight = 1;
        for (other, _) in points
            .iter()
            .enumerate()
            .filter(|(j, _)| *j != i)
            .map(|(_, p)| p)
        {
            if other == x {
                return Err("duplicate x".to_owned());
            }
            weight = mul(weight, mul(*other, inverse(*other ^ *x)));
        }
        for (byte, y) in secret.iter_mut().zip(y.iter()) {
            *byte ^= mul(*y, weight);
        }
    }
    Ok(secret)
}

#[test]
fn shares_combine_as_the_vector_of_spec_13_says() {
    assert_eq!(mul(0x53, 0xca), 1);
    let shares = [
        vec![0x2d, 0x01, 0x7f, 0x01],
        vec![0x24, 0x02, 0xe4, 0x02],
        vec![0x23, 0x03, 0x64, 0x03],
    ];
    for (a, b) in [(0, 1), (0, 2), (2, 1)] {
        let pair = [shares[a].clone(), shares[b].clone()];
        assert_eq!(combine(&pair), Ok(vec![0x2a, 0x00, 0xff]));
    }
    assert_eq!(combine(&shares), Ok(vec![0x2a, 0x00, 0xff]));
    assert!(combine(&shares[..1]).is_err());
}
