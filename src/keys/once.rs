//! Each wrapped key is unwrapped once in a run, however many files and threads ask for it. A service that does not answer is
//! waited for once.
//!
//! Knows back ends as [`KeyService`]s alone. What it remembers, keys included, goes with it: it is made for one run and
//! dropped at its end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::{KeyError, KeyService};
use crate::recipient::{Recipient, RecipientKind, WrappedKey};
use crate::secret::DataKey;

/// What a service said to a wrapped key.
type Answer = Result<Option<DataKey>, KeyError>;

/// Kind and identity string of a recipient, and the wrapped key.
type Question = (RecipientKind, String, String);

/// How it went to ask about a recipient.
enum Reached {
    /// There was a good answer, so that silence may have been an accident.
    Yes,
    /// Nobody has answered yet.
    No(KeyError),
}

/// A service that remembers. Who asks while the first one waits for the answer, waits for the same answer.
pub struct Once<S> {
    service: S,
    answers: Mutex<HashMap<Question, Arc<OnceLock<Answer>>>>,
    /// By kind and identity string of a recipient.
    reached: Mutex<HashMap<(RecipientKind, String), Reached>>,
}

impl<S: KeyService> Once<S> {
    /// Remembers for `service`.
    #[must_use]
    pub fn new(service: S) -> Self {
        Self {
            service,
            answers: Mutex::default(),
            reached: Mutex::default(),
        }
    }

    /// What `ask` says, unless it was found out before that nobody answers questions about `recipient`.
    fn unless_silent<T>(
        &self,
        recipient: &Recipient,
        ask: impl FnOnce() -> Result<T, KeyError>,
    ) -> Result<T, KeyError> {
        let reached = || self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (recipient.kind(), recipient.identity());
        if let Some(Reached::No(error)) = reached().get(&key) {
            return Err(error.clone());
        }
        let answer = ask();
        match &answer {
            Ok(_) => drop(reached().insert(key, Reached::Yes)),
            Err(error) if error.unanswered => {
                let unheard = || Reached::No(error.clone());
                reached().entry(key).or_insert_with(unheard);
            }
            Err(_) => {}
        }
        answer
    }
}

impl<S> std::fmt::Debug for Once<S> {
    /// Says that it is there: it holds keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Once(…)")
    }
}

impl KeyService for Box<dyn KeyService> {
    fn handles(&self, recipient: &Recipient) -> bool {
        (**self).handles(recipient)
    }

    fn resolve(&self, recipient: &Recipient) -> Result<Option<Recipient>, KeyError> {
        (**self).resolve(recipient)
    }

    fn announce(&self, key: &WrappedKey) {
        (**self).announce(key);
    }

    fn wrap(&self, recipient: &Recipient, key: &DataKey) -> Result<String, KeyError> {
        (**self).wrap(recipient, key)
    }

    fn unwrap(&self, recipient: &Recipient, enc: &str) -> Answer {
        (**self).unwrap(recipient, enc)
    }
}

impl<S: KeyService> KeyService for Once<S> {
    fn handles(&self, recipient: &Recipient) -> bool {
        self.service.handles(recipient)
    }

    fn resolve(&self, recipient: &Recipient) -> Result<Option<Recipient>, KeyError> {
        // Most services need not ask anybody, so that this is no proof that somebody answers.
        self.service.resolve(recipient)
    }

    fn announce(&self, key: &WrappedKey) {
        self.service.announce(key);
    }

    fn wrap(&self, recipient: &Recipient, key: &DataKey) -> Result<String, KeyError> {
        self.unless_silent(recipient, || self.service.wrap(recipient, key))
    }

    fn unwrap(&self, recipient: &Recipient, enc: &str) -> Answer {
        let question: Question = (recipient.kind(), recipient.identity(), enc.to_owned());
        // Not held while the service works: other keys need not wait.
        let answer = {
            let answers = self.answers.lock();
            let mut answers = answers.unwrap_or_else(PoisonError::into_inner);
            Arc::clone(answers.entry(question).or_default())
        };
        answer
            .get_or_init(|| self.unless_silent(recipient, || self.service.unwrap(recipient, enc)))
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Barrier};

    use super::{KeyError, KeyService, Once};
    use crate::recipient::Recipient;
    use crate::secret::DataKey;

    /// Unwraps to the text itself, fails on `bad`, and counts.
    #[derive(Clone, Default)]
    struct Counting(Arc<AtomicUsize>);

    impl KeyService for Counting {
        fn handles(&self, _: &Recipient) -> bool {
            true
        }

        fn wrap(&self, _: &Recipient, _: &DataKey) -> Result<String, KeyError> {
            Ok(String::new())
        }

        fn unwrap(&self, _: &Recipient, enc: &str) -> Result<Option<DataKey>, KeyError> {
            self.0.fetch_add(1, Ordering::SeqCst);
            match enc {
                "bad" => Err(KeyError::new("no")),
                "silent" => Err(KeyError::new("nobody").for_want_of_an_answer()),
                "other" => Ok(None),
                _ => Ok(Some(DataKey::new(enc.as_bytes().to_vec()))),
            }
        }
    }

    fn age(recipient: &str) -> Recipient {
        Recipient::Age {
            recipient: recipient.to_owned(),
        }
    }

    #[test]
    fn every_answer_is_asked_for_once() {
        let counting = Counting::default();
        let once = Once::new(counting.clone());
        for _ in 0..3 {
            let key = once.unwrap(&age("a"), "key").unwrap().unwrap();
            assert_eq!(key.expose(), b"key");
            assert!(once.unwrap(&age("a"), "other").unwrap().is_none());
            assert!(once.unwrap(&age("a"), "bad").is_err());
        }
        assert_eq!(counting.0.load(Ordering::SeqCst), 3);
        // The same bytes for somebody else are another question.
        once.unwrap(&age("b"), "key").unwrap();
        assert_eq!(counting.0.load(Ordering::SeqCst), 4);
    }

    #[test]
    fn who_does_not_answer_is_not_asked_again() {
        let counting = Counting::default();
        let once = Once::new(counting.clone());
        let asked = || counting.0.load(Ordering::SeqCst);
        let said = |enc| {
            once.unwrap(&age("a"), enc)
                .map_err(|error| error.to_string())
        };
        assert_eq!(said("silent").unwrap_err(), "nobody");
        assert_eq!(said("key").unwrap_err(), "nobody");
        assert!(once.wrap(&age("a"), &DataKey::new(vec![1])).is_err());
        assert_eq!(asked(), 1);
        // Others may answer, and one answer is enough to go on.
        assert!(once.unwrap(&age("b"), "key").is_ok());
        assert!(once.unwrap(&age("b"), "silent").is_err());
        assert!(once.unwrap(&age("b"), "another").is_ok());
        assert_eq!(asked(), 4);
    }

    #[test]
    fn threads_that_ask_at_once_share_the_answer() {
        let counting = Counting::default();
        let once = Once::new(counting.clone());
        let start = Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    assert!(once.unwrap(&age("a"), "key").unwrap().is_some());
                });
            }
        });
        assert_eq!(counting.0.load(Ordering::SeqCst), 1);
    }
}
