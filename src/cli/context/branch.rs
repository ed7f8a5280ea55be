//! The surroundings of a thread that works on one of many files: the same environment and clock, randomness of its own, no
//! standard input, and messages that wait until they can be shown in order.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use super::super::args::KeyServiceArgs;
use super::super::services::Services;
use super::{Context, Random};

/// What every thread's context is made of.
pub(crate) struct Branch {
    program: &'static str,
    environment: BTreeMap<OsString, OsString>,
    working_dir: PathBuf,
    clock: fn() -> Timestamp,
    random: fn(&mut [u8]) -> io::Result<()>,
    interactive: bool,
    quiet: bool,
    colour: bool,
    terminal: Option<OsString>,
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
            program: context.program,
            environment: context.environment.clone(),
            working_dir: context.working_dir.clone(),
            clock: context.clock,
            random: context.random.source,
            interactive: context.interactive,
            quiet: context.quiet,
            colour: context.colour,
            terminal: context.terminal.clone(),
            services: Services::of(context, services),
        }
    }

    /// A context for one file, and what it will say. Nothing can be read from its standard input or written to its
    /// standard output.
    pub(crate) fn context(&self) -> (Context, Said) {
        let said = Said::default();
        let context = Context {
            program: self.program,
            environment: self.environment.clone(),
            working_dir: self.working_dir.clone(),
            clock: self.clock,
            random: Random::new(self.random),
            stdin: None,
            stdout: Box::new(io::sink()),
            stderr: Box::new(said.clone()),
            interactive: self.interactive,
            colour: self.colour,
            quiet: self.quiet,
            terminal: self.terminal.clone(),
            services: Some(Arc::clone(&self.services)),
            progress: super::Progress::default(),
        };
        (context, said)
    }
}
