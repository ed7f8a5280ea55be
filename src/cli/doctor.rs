//! `doctor`: whether everything is in place to work with sealed files, and whether plaintext of them lies about.
//!
//! One finding for each thing that was looked at. Changes nothing, asks nobody, and uses no key and no network.

use std::path::{Component, Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::context::Context;
use super::exit::Exit;
use super::report::{Failure, escaped};
use super::repository::Repository;

mod config;
#[cfg(feature = "pgp")]
mod gpg;
mod plaintext;
mod repository;
mod surroundings;

/// Files of one kind that are named, before the others are only counted.
const SHOWN: usize = 10;

/// Check your identities, the config, this clone, and what was left in clear
///
/// Says of each thing that it is ok, or what is wrong and what to do about it; a note is worth knowing and not wrong. Needs
/// no key and no network. Ends with 1 if something is wrong.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  sops-rs doctor
  sops-rs doctor --json | jq '.[] | select(.state == \"wrong\")'")]
pub(crate) struct Doctor {
    /// Print JSON: a list of objects with `check`, `state` (`ok`, `note` or `wrong`), `what` and `remedy`
    #[arg(long)]
    json: bool,
}

/// Something that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    /// What it belongs to: one word.
    check: &'static str,
    state: State,
    /// What was found.
    what: String,
    /// What to do about it.
    remedy: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    Note,
    Wrong,
}

impl Finding {
    fn ok(check: &'static str, what: impl Into<String>) -> Self {
        Self {
            check,
            state: State::Ok,
            what: what.into(),
            remedy: None,
        }
    }

    fn note(check: &'static str, what: impl Into<String>, remedy: Option<&str>) -> Self {
        Self {
            check,
            state: State::Note,
            what: what.into(),
            remedy: remedy.map(str::to_owned),
        }
    }

    fn wrong(check: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            check,
            state: State::Wrong,
            what: what.into(),
            remedy: Some(remedy.into()),
        }
    }

    fn line(&self) -> String {
        let state = match self.state {
            State::Ok => "ok",
            State::Note => "note",
            State::Wrong => "wrong",
        };
        let (check, what) = (self.check, escaped(&self.what));
        let remedy = self.remedy.as_ref();
        let remedy = remedy.map(|remedy| format!("{:20}{}\n", "", escaped(remedy)));
        format!(
            "{state:<5}  {check:<11}  {what}\n{}",
            remedy.unwrap_or_default()
        )
    }
}

/// The working directory as git sees it: how paths that begin at the top of the clone are typed there.
struct Here {
    /// The path from the top.
    folder: PathBuf,
}

impl Here {
    fn of(context: &Context, repository: &Repository) -> Self {
        let prefix = repository.line(context, &["rev-parse", "--show-prefix"]);
        Self {
            folder: prefix.unwrap_or_default().into(),
        }
    }

    /// The path as it leads there from here; `.` for this folder.
    fn path(&self, from_top: &Path) -> PathBuf {
        let (here, there) = (self.folder.components(), from_top.components());
        let shared = here.clone().zip(there.clone()).take_while(|(a, b)| a == b);
        let shared = shared.count();
        let up = here.skip(shared).map(|_| Component::ParentDir);
        let path: PathBuf = up.chain(there.skip(shared)).collect();
        if path.as_os_str().is_empty() {
            Component::CurDir.as_os_str().into()
        } else {
            path
        }
    }
}

/// Runs the command.
///
/// # Errors
/// [`Exit::CannotWrite`], and if git fails where it worked before.
pub(crate) fn run(
    context: &mut Context,
    arguments: &Doctor,
    named: Option<&Path>,
) -> Result<Exit, Failure> {
    let mut findings = surroundings::identities(context);
    findings.push(surroundings::editor(context));
    let (found, home) = config::check(context, named);
    findings.extend(found);
    #[cfg(feature = "pgp")]
    findings.extend(gpg::check(context, home.as_ref()));
    findings.extend(repository::check(context)?);
    findings.extend(plaintext::check(context, home.as_ref())?);
    findings.push(surroundings::temporary(context));
    findings.push(surroundings::core_dumps());
    let wrong = findings
        .iter()
        .filter(|one| one.state == State::Wrong)
        .count();
    let text = if arguments.json {
        let json = serde_json::to_string_pretty(&findings);
        let json = json.map_err(|error| Failure::new(Exit::CannotWrite, error.to_string()))?;
        format!("{json}\n")
    } else {
        let lines: String = findings.iter().map(Finding::line).collect();
        match wrong {
            0 => format!("{lines}\nall is well\n"),
            1 => format!("{lines}\n1 thing is wrong\n"),
            _ => format!("{lines}\n{wrong} things are wrong\n"),
        }
    };
    context.print(text.as_bytes())?;
    Ok(if wrong == 0 {
        Exit::Success
    } else {
        Exit::Failed
    })
}
