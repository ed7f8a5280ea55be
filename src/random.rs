//! Where random bytes come from: an argument of everything that needs them.
//!
//! Knows no source of randomness of its own. The program hands in the operating system's; tests hand in bytes they chose.

/// A source of random bytes. What makes or splits keys needs a cryptographically secure one.
pub trait Random {
    /// Overwrites all of `bytes`.
    fn fill(&mut self, bytes: &mut [u8]);
}

impl<F: FnMut(&mut [u8])> Random for F {
    fn fill(&mut self, bytes: &mut [u8]) {
        self(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn a_closure_is_a_source() {
        let mut next = 0;
        let mut counter = |bytes: &mut [u8]| {
            for byte in bytes {
                *byte = next;
                next += 1;
            }
        };
        let source: &mut dyn Random = &mut counter;
        let mut bytes = [9; 3];
        source.fill(&mut bytes);
        assert_eq!(bytes, [0, 1, 2]);
    }
}
