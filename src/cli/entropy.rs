//! Random bytes for the library, which knows no failure: a failure is kept and found before anything made of them is used.

use sops_rs::random::Random;

use super::context;
use super::exit::Exit;
use super::report::Failure;

/// The system's random source for the length of one operation.
pub(crate) struct Entropy<'a> {
    source: &'a mut context::Random,
    error: Option<std::io::Error>,
}

impl<'a> Entropy<'a> {
    /// Lends the source.
    pub(crate) fn new(source: &'a mut context::Random) -> Self {
        Self {
            source,
            error: None,
        }
    }

    /// Must be called before anything that was made of these bytes leaves the process.
    ///
    /// # Errors
    /// [`Exit::Failed`] if the system gave no random bytes at any time.
    pub(crate) fn check(self) -> Result<(), Failure> {
        match self.error {
            None => Ok(()),
            Some(error) => Err(Failure::new(
                Exit::Failed,
                format!("the system gives no random bytes: {error}"),
            )),
        }
    }
}

impl Random for Entropy<'_> {
    fn fill(&mut self, bytes: &mut [u8]) {
        if let Err(error) = self.source.fill(bytes) {
            self.error.get_or_insert(error);
        }
    }
}
