//! The surroundings of a thread that works on one of many files: the same environment and clock, randomness of its own, no
//! standard input, and messages that wait until they can be shown in order.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use super::super::args::KeyServiceArgs;
use super::super::services::Services;
use super::{Context, Surroundings};

/// What every thread's context is made of.
pub(crate) struct Branch {
    surroundings: Surroundings,
    services: Arc<Services>,
}

/// What a context said on standard error.
#[derive(Clone, Default)]
pub(crate) struct Said(Arc<Mutex<Vec<u8>>>);

impl Said {
    /// All of it so far.
    pub(crate) fn take(&self) -> Vec<u8> {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *said)
    }
}

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Branch {
    /// Of `context`; all threads use the same key services, so that nobody is asked twice.
    pub(crate) fn of(context: &Context, services: &KeyServiceArgs) -> Self {
        Self {
            surroundings: context.surroundings(),
            services: Services::of(context, services),
        }
    }

    /// A context for one file, and what it will say. Nothing can be read from its standard input or written to its
    /// standard output.
    pub(crate) fn context(&self) -> (Context, Said) {
        let said = Said::default();
        let mut context = self.surroundings.context();
        context.stderr = Box::new(said.clone());
        context.services = Some(Arc::clone(&self.services));
        (context, said)
    }
}
