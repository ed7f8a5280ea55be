//! gpg: whether it is there, and whether its key ring has what the config names.

use std::process::{Command, Output, Stdio};

use sops_rs::recipient::{Recipient, RecipientKind};

use super::Finding;
use super::config::Home;
use crate::cli::context::Context;
use crate::cli::gpg::program;

const CHECK: &str = "gpg";

/// Looks at gpg; what it lacks is wrong only if the config needs it.
pub(super) fn check(context: &Context, home: Option<&Home>) -> Vec<Finding> {
    let mut keys: Vec<String> = home
        .iter()
        .flat_map(|home| home.config.recipients())
        .filter(|recipient| recipient.kind() == RecipientKind::Pgp)
        .map(Recipient::identity)
        .collect();
    keys.sort_unstable();
    keys.dedup();
    let name = program(context);
    let name = name.to_string_lossy();
    let Some(version) = version(context) else {
        let what = format!("`{name}` cannot be run");
        if keys.is_empty() {
            return vec![Finding::note(
                CHECK,
                format!("{what}; no rule needs it"),
                None,
            )];
        }
        let remedy = "install GnuPG, or name it in SOPS_GPG_EXEC";
        return vec![Finding::wrong(
            CHECK,
            format!("{what}, and the config names its keys"),
            remedy,
        )];
    };
    let mut findings = vec![Finding::ok(CHECK, format!("{name}: {version}"))];
    if !keys.is_empty() {
        findings.push(agent(context));
    }
    findings.extend(keys.iter().map(|key| in_ring(context, key)));
    findings
}

fn run(context: &Context, program: &std::ffi::OsStr, arguments: &[&str]) -> Option<Output> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(context.environment())
        .stdin(Stdio::null());
    command.output().ok()
}

fn version(context: &Context) -> Option<String> {
    let output = run(context, &program(context), &["--version"])?;
    let text = String::from_utf8_lossy(&output.stdout);
    let first = text.lines().next().filter(|_| output.status.success())?;
    Some(first.to_owned())
}

/// The agent of gpg, which is not started for this.
fn agent(context: &Context) -> Finding {
    let arguments = ["--no-autostart", "/bye"];
    let output = run(context, "gpg-connect-agent".as_ref(), &arguments);
    if output.is_some_and(|output| output.status.success()) {
        Finding::ok(CHECK, "its agent runs")
    } else {
        Finding::note(
            CHECK,
            "its agent does not run; gpg starts it when a key is needed",
            None,
        )
    }
}

/// Whether there is a public key to seal for, and whether it can be used.
fn in_ring(context: &Context, key: &str) -> Finding {
    // Behind `--` a key is never an option.
    let arguments = [
        "--batch",
        "--no-tty",
        "--no-auto-check-trustdb",
        "--with-colons",
        "--list-keys",
        "--",
        key,
    ];
    let output = run(context, &program(context), &arguments);
    let text = output.filter(|output| output.status.success());
    let text = text.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let validity = text.as_deref().and_then(|text| {
        let key = text.lines().find_map(|line| line.strip_prefix("pub:"))?;
        key.split(':').next()
    });
    let problem = match validity {
        None => "is not in the key ring",
        Some("e") => "has expired",
        Some("r") => "was revoked",
        Some("d") => "is disabled",
        Some(_) => return Finding::ok(CHECK, format!("the key {key} is in the ring")),
    };
    let remedy =
        "ask its owner for a valid key and `gpg --import` it, or take it out of the config";
    Finding::wrong(
        CHECK,
        format!("the key {key}, which the config names, {problem}"),
        remedy,
    )
}
