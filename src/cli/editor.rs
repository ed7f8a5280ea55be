//! Finds the user's editor and lets it edit a file.
//!
//! The choice is that of SOPS (spec 9.6): `SOPS_EDITOR`, `EDITOR`, then vim, nano or vi. Knows nothing of what is in
//! the file; the directory the file lies in takes care of swap files and signals.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;

use super::context::Context;
use super::exit::Exit;
use super::private::PrivateDir;
use super::report::Failure;

/// What to do when there is no usable editor.
const HINT: &str =
    "set SOPS_EDITOR or EDITOR to a command that edits the file it is given and returns when done";

/// Lets the user edit `file`, which lies in `directory`, and waits until the editor has ended.
///
/// # Errors
/// [`Exit::EditorFailed`] if there is no editor, or it does not end with success.
pub(crate) fn edit(context: &Context, directory: &PrivateDir, file: &Path) -> Result<(), Failure> {
    let words = command(context)?;
    let Some((program, arguments)) = words.split_first() else {
        return Err(none_found());
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .arg(file)
        .env_clear()
        .envs(context.environment());
    let status = directory.run(&mut command).map_err(|error| {
        let message = format!("cannot start the editor `{program}`: {error}");
        Failure::new(Exit::EditorFailed, message).hint(HINT)
    })?;
    let message = match (status.code(), status.signal()) {
        (Some(0), _) => return Ok(()),
        (Some(code), _) => format!("the editor `{program}` failed with exit code {code}"),
        (None, Some(signal)) => format!("the editor `{program}` was killed by signal {signal}"),
        (None, None) => format!("the editor `{program}` failed"),
    };
    Err(Failure::new(Exit::EditorFailed, message).detail("the file is as it was"))
}

/// The editor's command line, as words.
fn command(context: &Context) -> Result<Vec<String>, Failure> {
    for name in ["SOPS_EDITOR", "EDITOR"] {
        let Some(value) = context.variable(name) else {
            continue;
        };
        let words = value
            .to_str()
            .and_then(|line| shell_words::split(line).ok());
        return words.filter(|words| !words.is_empty()).ok_or_else(|| {
            let message = format!("{name} is not a command: `{}`", value.to_string_lossy());
            Failure::new(Exit::EditorFailed, message)
                .hint("check its quotes; it is split into words as a shell does")
        });
    }
    let path = context.variable("PATH").unwrap_or_default();
    ["vim", "nano", "vi"]
        .into_iter()
        .find(|name| is_on_path(path, name))
        .map(|name| vec![name.to_owned()])
        .ok_or_else(none_found)
}

/// Why an editor cannot be used, and what to do about it.
pub(crate) struct Trouble {
    pub(crate) what: String,
    pub(crate) remedy: String,
}

/// Editors that hand the file to a window and return at once, unless one of these options is there.
const DETACHED: [(&str, &[&str]); 11] = [
    ("code", &["--wait", "-w"]),
    ("code-insiders", &["--wait", "-w"]),
    ("codium", &["--wait", "-w"]),
    ("cursor", &["--wait", "-w"]),
    ("zed", &["--wait", "-w"]),
    ("subl", &["--wait", "-w"]),
    ("mate", &["--wait", "-w"]),
    ("gvim", &["--nofork", "-f"]),
    ("mvim", &["--nofork", "-f"]),
    ("kate", &["--block", "-b"]),
    ("open", &["--wait-apps", "-W"]),
];

/// The editor's command line, if there is such a program and it waits.
pub(crate) fn examine(context: &Context) -> Result<String, Trouble> {
    let words = command(context).map_err(|failure| Trouble {
        what: failure.message,
        remedy: HINT.to_owned(),
    })?;
    let (program, options) = words
        .split_first()
        .map_or(("", &[][..]), |(program, options)| {
            (program.as_str(), options)
        });
    let line = shell_words::join(&words);
    let path = context.variable("PATH").unwrap_or_default();
    let is_there = if program.contains('/') {
        context.resolve(Path::new(program)).is_file()
    } else {
        is_on_path(path, program)
    };
    if !is_there {
        let what = format!("there is no program `{program}` for `{line}`");
        return Err(Trouble {
            what,
            remedy: HINT.to_owned(),
        });
    }
    let name = program.rsplit('/').next().unwrap_or(program);
    let detached = DETACHED.iter().find(|(editor, _)| *editor == name);
    match detached.and_then(|(_, waits)| waits.first().map(|first| (first, waits))) {
        Some((first, waits))
            if !options
                .iter()
                .any(|option| waits.contains(&option.as_str())) =>
        {
            Err(Trouble {
                what: format!("`{line}` returns before the file is edited"),
                remedy: format!("set SOPS_EDITOR to `{line} {first}`"),
            })
        }
        _ => Ok(line),
    }
}

fn none_found() -> Failure {
    Failure::new(
        Exit::EditorFailed,
        "no editor found: neither vim nor nano nor vi is on the PATH",
    )
    .hint(HINT)
}

fn is_on_path(path: &OsStr, name: &str) -> bool {
    let executable = |file: &Path| {
        file.metadata()
            .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(path).any(|dir| dir.is_absolute() && executable(&dir.join(name)))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use tempfile::TempDir;

    use super::super::context::testing::context;
    use super::super::exit::Exit;
    use super::super::io::{Privacy, create};
    use super::super::private::PrivateDir;
    use super::{command, edit, examine};

    fn words(variables: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let (context, ..) = context(Path::new("/"), variables, b"");
        command(&context).map_err(|failure| failure.message)
    }

    #[test]
    fn sops_editor_comes_before_editor() {
        assert_eq!(
            words(&[("SOPS_EDITOR", "code --wait"), ("EDITOR", "ed")]).unwrap(),
            ["code", "--wait"]
        );
        assert_eq!(
            words(&[("SOPS_EDITOR", ""), ("EDITOR", "'my editor' -n")]).unwrap(),
            ["my editor", "-n"]
        );
        assert!(words(&[("VISUAL", "ed")]).is_err(), "SOPS does not read it");
    }

    #[test]
    fn an_editor_that_does_not_wait_is_of_no_use() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().to_str().unwrap();
        for name in ["code", "ed"] {
            let file = dir.path().join(name);
            create(&file, b"", Privacy::Public).unwrap();
            fs::set_permissions(file, Permissions::from_mode(0o755)).unwrap();
        }
        let found = |line: &str| {
            let (context, ..) = context(Path::new("/"), &[("EDITOR", line), ("PATH", path)], b"");
            examine(&context).map_err(|trouble| format!("{}; {}", trouble.what, trouble.remedy))
        };
        assert_eq!(found("ed -p x").unwrap(), "ed -p x");
        assert_eq!(found("code -n --wait").unwrap(), "code -n --wait");
        assert_eq!(
            found("code -n").unwrap_err(),
            "`code -n` returns before the file is edited; set SOPS_EDITOR to `code -n --wait`"
        );
        assert!(
            found("absent -x")
                .unwrap_err()
                .starts_with("there is no program `absent`")
        );
        assert!(
            found("ed 'x")
                .unwrap_err()
                .starts_with("EDITOR is not a command")
        );
    }

    #[test]
    fn a_command_that_cannot_be_split_is_named() {
        let message = words(&[("EDITOR", "ed 'x")]).unwrap_err();
        assert_eq!(message, "EDITOR is not a command: `ed 'x`");
    }

    #[test]
    fn the_path_is_searched_in_order_of_preference() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().to_str().unwrap();
        assert!(
            words(&[("PATH", path)])
                .unwrap_err()
                .starts_with("no editor found")
        );
        create(&dir.path().join("vim"), b"", Privacy::Public).unwrap();
        create(&dir.path().join("vi"), b"", Privacy::Public).unwrap();
        fs::set_permissions(dir.path().join("vi"), Permissions::from_mode(0o755)).unwrap();
        assert_eq!(
            words(&[("PATH", path)]).unwrap(),
            ["vi"],
            "vim is not executable here"
        );
    }

    /// Edits a file that holds `old` with this editor: the result and the exit code or message.
    fn edited(editor: &str) -> Result<String, (Exit, String)> {
        let variables = [("SOPS_EDITOR", editor), ("PATH", "/usr/bin:/bin")];
        let (mut context, ..) = context(Path::new("/"), &variables, b"");
        let directory = PrivateDir::new(&mut context).unwrap();
        let file = directory.write(Path::new("f"), b"old\n").unwrap();
        edit(&context, &directory, &file).map_err(|failure| (failure.exit, failure.message))?;
        Ok(fs::read_to_string(&file).unwrap())
    }

    #[test]
    fn the_editor_gets_the_file_as_its_last_argument() {
        assert_eq!(edited("sh -c 'echo new >> $0'").unwrap(), "old\nnew\n");
    }

    #[test]
    fn an_editor_that_fails_is_an_error() {
        let failed = |editor| edited(editor).unwrap_err();
        let message = |text: &str| (Exit::EditorFailed, text.to_owned());
        assert_eq!(
            failed("sh -c 'exit 3'"),
            message("the editor `sh` failed with exit code 3")
        );
        assert_eq!(
            failed("sh -c 'kill -9 $$'"),
            message("the editor `sh` was killed by signal 9")
        );
        assert!(
            failed("/absent/editor")
                .1
                .starts_with("cannot start the editor `/absent/editor`")
        );
    }
}
