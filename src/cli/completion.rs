//! `completion`: the script by which a shell completes verbs, options and their values.
//!
//! Generated from the definition of the arguments, and nowhere else looked at. Files are completed by the shell.

use clap::{Args, CommandFactory as _};
use clap_complete::{Shell, generate};

use super::Cli;
use super::context::Context;
use super::exit::Exit;
use super::report::Failure;

/// Print the script that makes a shell complete commands
///
/// The script is for the name by which this program was called: `sops-rs`, or `sops` if a link of that name was.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  sops-rs completion bash > ~/.local/share/bash-completion/completions/sops-rs
  sops-rs completion zsh > \"${fpath[1]}/_sops-rs\"    # a folder of $fpath that you may write to
  sops-rs completion fish > ~/.config/fish/completions/sops-rs.fish
  sops-rs completion powershell >> $PROFILE")]
pub(crate) struct Completion {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Runs the command.
///
/// # Errors
/// [`Exit::CannotWrite`].
pub(crate) fn run(context: &mut Context, arguments: &Completion) -> Result<Exit, Failure> {
    let script = match arguments.shell {
        Shell::Bash => bash(context.program),
        shell => script(shell, context.program),
    };
    context.print(&script)?;
    Ok(Exit::Success)
}

fn script(shell: Shell, program: &str) -> Vec<u8> {
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), program, &mut script);
    script
}

/// The script for bash. `clap_complete` 4.6 finds no verbs there if a hyphen is in the name of the program, so it gets
/// another; its script has the name only where it is registered.
fn bash(program: &str) -> Vec<u8> {
    let other = program.replace('-', "_");
    let script = script(Shell::Bash, &other);
    let script = String::from_utf8_lossy(&script);
    let end = |name: &str| format!(" -o default {name}\n");
    script.replace(&end(&other), &end(program)).into_bytes()
}
