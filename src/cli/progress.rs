//! How far the work on many files has come, on a terminal; and the turn of whoever has to ask a person meanwhile.
//!
//! Knows nothing of what the work is.

use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};
use sops_rs::keys::age::Prompt;
use sops_rs::secret::Plain;

/// The bar, if there is one, and the lock that makes questions wait for each other.
#[derive(Clone, Default)]
pub(crate) struct Progress(Arc<Mutex<Option<ProgressBar>>>);

impl Progress {
    /// Shows a bar for so many files.
    pub(crate) fn begin(&self, files: usize) -> ProgressBar {
        let bar = ProgressBar::new(u64::try_from(files).unwrap_or(u64::MAX));
        let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.tick();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.clone());
        bar
    }

    /// Takes the bar away.
    pub(crate) fn end(&self) {
        let bar = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
    }

    /// Talks to a person, without the bar in between and one at a time.
    pub(crate) fn talk<T>(&self, talk: impl FnOnce() -> T) -> T {
        let bar = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match bar.as_ref() {
            Some(bar) => bar.suspend(talk),
            None => talk(),
        }
    }
}

/// A prompt whose questions take turns.
pub(crate) struct TakingTurns<P> {
    prompt: P,
    progress: Progress,
}

impl<P> TakingTurns<P> {
    /// `prompt`, with the bar of `progress` out of its way.
    pub(crate) fn new(prompt: P, progress: Progress) -> Self {
        Self { prompt, progress }
    }
}

impl<P: Prompt> Prompt for TakingTurns<P> {
    fn passphrase(&self, what: &str, attempt: u8) -> Option<Plain<'static>> {
        self.progress.talk(|| self.prompt.passphrase(what, attempt))
    }

    fn text(&self, question: &str) -> Option<String> {
        self.progress.talk(|| self.prompt.text(question))
    }

    fn confirm(&self, question: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        self.progress
            .talk(|| self.prompt.confirm(question, yes, no))
    }

    fn message(&self, text: &str) {
        self.progress.talk(|| self.prompt.message(text));
    }
}
