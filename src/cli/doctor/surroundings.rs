//! What is around the user: identities, the editor, the place for plaintext that is edited, core dumps.

use std::ffi::OsStr;

use super::Finding;
use crate::cli::context::Context;
use crate::cli::editor::{self, Trouble};
use crate::cli::identities::{Found, Places, System};
use crate::cli::private;

/// Every place where there is something that should be an identity of age.
pub(super) fn identities(context: &Context) -> Vec<Finding> {
    let check = "identities";
    let variables = |name: &str| context.environment().get(OsStr::new(name)).cloned();
    let mut findings = Vec::new();
    for survey in Places::collect(&variables, System::current()).survey() {
        let place = survey.place;
        findings.push(match (survey.found, survey.warning) {
            (Found::Nothing, _) => continue,
            (Found::Broken(why), _) => Finding::wrong(
                check,
                format!("{place}: {why}"),
                if place.starts_with("SOPS_") {
                    "correct it, or unset the variable; `sops-rs init` makes a new identity"
                } else {
                    "correct the file or its permissions, or move it away"
                },
            ),
            (_, Some(_)) => Finding::wrong(
                check,
                format!("{place}: other users of this machine can read it"),
                "run `chmod 600` on the file",
            ),
            (Found::Command, None) => Finding::note(
                check,
                format!("{place}: a command, which was not run"),
                None,
            ),
            (Found::Identities, None) => Finding::ok(check, place),
        });
    }
    if findings.is_empty() {
        let what = "there is no identity of age in any of the usual places";
        let remedy = "`sops-rs init` makes one, unless your keys are in gpg or in a key service";
        findings.push(Finding::note(check, what, Some(remedy)));
    }
    findings
}

/// The program that `edit` and `merge` start.
pub(super) fn editor(context: &Context) -> Finding {
    let check = "editor";
    match editor::examine(context) {
        Ok(line) => Finding::ok(check, line),
        Err(Trouble { what, remedy }) => Finding::wrong(check, what, remedy),
    }
}

/// Where plaintext lies while it is edited.
pub(super) fn temporary(context: &Context) -> Finding {
    let check = "temporary";
    match private::memory(context) {
        Some(place) => Finding::ok(
            check,
            format!("plaintext is edited in memory, below {}", place.display()),
        ),
        None => Finding::note(
            check,
            "plaintext lies on disk while it is edited",
            Some("set TMPDIR to a folder on a file system in memory (tmpfs)"),
        ),
    }
}

/// Whether a crash could write keys to disk.
pub(super) fn core_dumps() -> Finding {
    let check = "core dumps";
    if private::dumps_core() {
        let what = "the memory of this program would be written to disk if it crashed";
        return Finding::wrong(check, what, "run `ulimit -c 0` before it");
    }
    Finding::ok(check, "this program writes none")
}
