//! What is in the places where identities may be, for those who tell people about them.
//!
//! Files are read, but no command is run and nobody is asked anything.

use std::sync::PoisonError;

use super::{Answer, How, Place, Places};

/// What is in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Survey {
    /// What it is called: a variable, a file, or a variable with the file that it names.
    pub(crate) place: String,
    /// What was found.
    pub(crate) found: Found,
    /// What the user should know about it all the same.
    pub(crate) warning: Option<String>,
}

/// What was found in a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// The variable is not set, or the file does not exist.
    Nothing,
    /// Identities.
    Identities,
    /// A command, which was not run.
    Command,
    /// Something that cannot be used, and why.
    Broken(String),
}

impl Places {
    /// Looks into every place, in their order.
    pub(crate) fn survey(&self) -> Vec<Survey> {
        let survey = |place: &Place| Survey {
            place: place.name.clone(),
            found: place.look().without(&place.name),
            warning: place.warning.get().cloned(),
        };
        self.0.iter().map(|place| survey(place)).collect()
    }
}

impl Found {
    /// The reason without the name of the place, which errors begin with.
    fn without(self, place: &str) -> Self {
        match self {
            Self::Broken(why) => {
                let rest = why
                    .strip_prefix(place)
                    .map(|rest| rest.trim_start_matches([':', ',', ' ']));
                Self::Broken(rest.unwrap_or(&why).to_owned())
            }
            other => other,
        }
    }
}

impl Place {
    fn look(&self) -> Found {
        match &self.how {
            How::Nothing => Found::Nothing,
            How::Broken(error) => Found::Broken(error.in_full()),
            How::Text(text) => found(self.answer.get_or_init(|| self.parse(text))),
            How::File { path, must_exist } => {
                found(self.answer.get_or_init(|| self.read(path, *must_exist)))
            }
            How::Command(_) => {
                let answers = self.answers_by_recipient.lock();
                let answers = answers.unwrap_or_else(PoisonError::into_inner);
                answers.values().next().map_or(Found::Command, found)
            }
        }
    }
}

fn found(answer: &Answer) -> Found {
    match answer {
        Ok(None) => Found::Nothing,
        Ok(Some(_)) => Found::Identities,
        Err(error) => Found::Broken(error.in_full()),
    }
}
