//! Plugins and the people in front of them: one run of a plugin for all the files that were announced, so that a PIN is asked
//! for once (age plugin protocol, "Unwrapping with identity-v1").
//!
//! Knows the protocol and what was announced. Does not know which file needs a plugin at all: the first one that does makes
//! it run, for the others as well. Plugins take turns: they may speak to a person, and to one device.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use age::Callbacks as _;
use age::plugin::{self, IdentityPluginV1};
use age::secrecy::ExposeSecret as _;
use age_core::format::{FileKey, Stanza};
use age_core::plugin::{Connection, Reply, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use zeroize::Zeroizing;

use super::prompt::Asking;
use super::{explain, unresolved};
use crate::keys::KeyError;

/// Length of a file key in bytes (age specification, "Header").
const FILE_KEY_LEN: usize = 16;
/// What a plugin may say, in characters.
const MAX_SAID: usize = 500;

/// Held while a plugin runs, whoever makes it run.
static TURN: Mutex<()> = Mutex::new(());

/// The stanzas of one age file, in one text: what it is known by.
type Print = String;

/// A file key, as often as it is asked for.
type Found = Option<Zeroizing<[u8; FILE_KEY_LEN]>>;

/// The age files that plugins will be asked about, and what they said.
#[derive(Default)]
pub(super) struct Announced(Mutex<State>);

#[derive(Default)]
struct State {
    files: Vec<Vec<Stanza>>,
    known: HashSet<Print>,
    /// By identity, then by file. An identity is here if it has run.
    answers: HashMap<String, Answers>,
}

/// What one identity found, and what its plugin complained of.
struct Answers {
    found: HashMap<Print, Found>,
    problem: Option<KeyError>,
}

impl Announced {
    /// Notes a file that will be asked about.
    pub(super) fn add(&self, stanzas: Vec<Stanza>) {
        let mut state = self.lock();
        if state.known.insert(print(&stanzas)) {
            state.files.push(stanzas);
        }
    }

    /// Has the plugin of an identity find the file key of one file.
    pub(super) fn unwrap(
        &self,
        identity: &plugin::Identity,
        stanzas: &[Stanza],
        prompt: &Asking,
    ) -> Option<Result<FileKey, KeyError>> {
        // Held while the plugin runs: what it says is for the next one, too.
        let mut state = self.lock();
        let this = print(stanzas);
        let name = identity.to_string();
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.known.contains(&this) {
            return alone(identity, stanzas, prompt);
        }
        if !state.answers.contains_key(&name) {
            let answers = run(identity, &state.files, prompt);
            state.answers.insert(name.clone(), answers);
        }
        let answers = state.answers.get(&name)?;
        match (answers.found.get(&this), &answers.problem) {
            (Some(Some(key)), _) => Some(Ok(FileKey::init_with_mut(|file_key| {
                file_key.copy_from_slice(key.as_slice());
            }))),
            (_, Some(problem)) => Some(Err(problem.clone())),
            _ => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn print(stanzas: &[Stanza]) -> Print {
    let mut text = String::new();
    for stanza in stanzas {
        text.push_str(&stanza.tag);
        for argument in &stanza.args {
            text.push(' ');
            text.push_str(argument);
        }
        text.push('\n');
        text.push_str(&STANDARD_NO_PAD.encode(&stanza.body));
        text.push('\n');
    }
    text
}

/// Has the plugin try one file that nobody announced.
fn alone(
    identity: &plugin::Identity,
    stanzas: &[Stanza],
    prompt: &Asking,
) -> Option<Result<FileKey, KeyError>> {
    let identities = std::slice::from_ref(identity);
    match IdentityPluginV1::new(identity.plugin(), identities, prompt.clone()) {
        Ok(plugin) => {
            age::Identity::unwrap_stanzas(&plugin, stanzas).map(|result| result.map_err(explain))
        }
        Err(error) => Some(Err(unresolved(&error))),
    }
}

/// One run of a plugin for all files.
fn run(identity: &plugin::Identity, files: &[Vec<Stanza>], prompt: &Asking) -> Answers {
    let mut answers = Answers {
        found: HashMap::new(),
        problem: None,
    };
    let program = format!("age-plugin-{}", identity.plugin());
    let mut said = Vec::new();
    let talked = converse(
        &program,
        identity,
        files,
        |file, key| {
            answers.found.insert(print(file), Some(key));
        },
        &mut said,
        prompt,
    );
    answers.problem = match talked {
        Err(error) => Some(error),
        Ok(()) if said.is_empty() => None,
        Ok(()) => Some(KeyError::new(format!("{program}: {}", said.join("; ")))),
    };
    answers
}

/// Speaks to a plugin: names the identity and the stanzas of all files, then answers what it asks until it is done.
fn converse(
    program: &str,
    identity: &plugin::Identity,
    files: &[Vec<Stanza>],
    mut found: impl FnMut(&[Stanza], Zeroizing<[u8; FILE_KEY_LEN]>),
    said: &mut Vec<String>,
    prompt: &Asking,
) -> Result<(), KeyError> {
    let path: PathBuf = which::which(program)
        .map_err(|_| KeyError::new(format!("the program {program} is not on the PATH")))?;
    let failed = |error| KeyError::new(format!("{program} does not answer")).because(error);
    let mut connection = Connection::open(&path, "identity-v1").map_err(failed)?;
    let sent = connection.unidir_send(|mut phase| {
        phase.send("add-identity", &[&identity.to_string()], &[])?;
        for (index, stanzas) in files.iter().enumerate() {
            for stanza in stanzas {
                phase.send_stanza("recipient-stanza", &[&index.to_string()], stanza)?;
            }
        }
        Ok(())
    });
    sent.map_err(failed)?;
    let commands = [
        "msg",
        "confirm",
        "request-public",
        "request-secret",
        "file-key",
        "error",
    ];
    let received = connection.bidir_receive(&commands, |command, reply| {
        let text = String::from_utf8_lossy(&command.body);
        match command.tag.as_str() {
            "msg" => {
                prompt.display_message(&text);
                reply.ok(None)
            }
            "confirm" => confirm(&command, &text, reply, prompt),
            "request-public" => match prompt.request_public_string(&text) {
                Some(answer) => reply.ok(Some(answer.as_bytes())),
                None => reply.fail(),
            },
            "request-secret" => match prompt.request_passphrase(&text) {
                Some(answer) => reply.ok(Some(answer.expose_secret().as_bytes())),
                None => reply.fail(),
            },
            "file-key" => {
                let body = Zeroizing::new(command.body);
                let index = command
                    .args
                    .first()
                    .and_then(|index| index.parse::<usize>().ok());
                let file = index.and_then(|index| files.get(index));
                match (file, <[u8; FILE_KEY_LEN]>::try_from(body.as_slice())) {
                    (Some(file), Ok(key)) => {
                        found(file, Zeroizing::new(key));
                        reply.ok(None)
                    }
                    _ => reply.fail(),
                }
            }
            _ => {
                said.push(one_line(&text));
                reply.ok(None)
            }
        }
    });
    received.map_err(failed)
}

/// Has somebody choose between two words, of which the second may be missing.
fn confirm<R: std::io::Read, W: std::io::Write>(
    command: &Stanza,
    text: &str,
    reply: Reply<'_, R, W>,
    prompt: &Asking,
) -> Response {
    let word = |index: usize| {
        let encoded = command.args.get(index)?;
        let bytes = STANDARD_NO_PAD.decode(encoded).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    let chosen = word(0).and_then(|yes| prompt.confirm(text, &yes, word(1).as_deref()));
    match chosen {
        Some(true) => reply.ok_with_metadata(&["yes"], None),
        Some(false) => reply.ok_with_metadata(&["no"], None),
        None => reply.fail(),
    }
}

/// What a plugin complains of, on one line.
fn one_line(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().take(MAX_SAID).collect()
}
