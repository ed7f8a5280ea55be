//! Runs the program: input in, output and messages out, none of them able to block the others or to grow without bound.
//!
//! Knows pipes and nothing of OpenPGP.

use std::io::{self, Read, Write as _};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::thread;

use zeroize::Zeroizing;

use super::{Gpg, GpgProblem};

/// Of the messages, so many bytes are kept.
const MAX_MESSAGES_LEN: usize = 1 << 16;

/// How a run ended and what it gave.
pub(super) struct Ran {
    pub(super) status: ExitStatus,
    /// Standard output, which may be a key.
    pub(super) output: Zeroizing<Vec<u8>>,
    /// Whether there was more output than was allowed; the program was stopped then.
    pub(super) is_cut: bool,
    /// The beginning of standard error.
    pub(super) messages: String,
}

/// Runs the program with `input` on its standard input and takes up to `limit` bytes of output.
pub(super) fn run(
    gpg: &Gpg,
    arguments: &[&str],
    input: &[u8],
    limit: usize,
) -> Result<Ran, GpgProblem> {
    let program = || gpg.program.to_string_lossy().into_owned();
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => GpgProblem::NotFound { program: program() },
        _ => GpgProblem::CannotRun {
            program: program(),
            reason: error.to_string(),
        },
    };
    let mut child = Command::new(&gpg.program)
        .args(arguments)
        .env_clear()
        .envs(&gpg.environment)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let exchanged = exchange(&mut child, input, limit);
    if exchanged.is_err() {
        // It may have ended by itself.
        drop(child.kill());
    }
    let status = child.wait().map_err(failed)?;
    let (output, messages) = exchanged.map_err(failed)?;
    Ok(Ran {
        status,
        is_cut: output.len() > limit,
        output,
        messages: String::from_utf8_lossy(&messages).into_owned(),
    })
}

/// Writes to and reads from all three streams at once: a program may fill any of them before it looks at another.
fn exchange(
    child: &mut Child,
    input: &[u8],
    limit: usize,
) -> io::Result<(Zeroizing<Vec<u8>>, Vec<u8>)> {
    let (Some(mut stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(io::Error::other("its streams are not there"));
    };
    thread::scope(|scope| {
        // A program that ends without having read everything says why.
        let write = move || drop(stdin.write_all(input));
        thread::Builder::new().spawn_scoped(scope, write)?;
        let listener = thread::Builder::new().spawn_scoped(scope, move || listen(stderr))?;
        let output = read(stdout, limit)?;
        if output.len() > limit {
            child.kill()?;
        }
        let messages = listener
            .join()
            .map_err(|_| io::Error::other("its messages cannot be read"))??;
        Ok((output, messages))
    })
}

/// Reads one byte more than is allowed, which shows that there is too much.
fn read(stdout: impl Read, limit: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let most = limit.saturating_add(1);
    // A vector that grows leaves copies of a key behind.
    let mut output = Zeroizing::new(Vec::with_capacity(most));
    let most = u64::try_from(most).unwrap_or(u64::MAX);
    stdout.take(most).read_to_end(&mut output)?;
    Ok(output)
}

/// Keeps the beginning of the messages, and lets the program get rid of the others.
fn listen(mut stderr: ChildStderr) -> io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    let limit = u64::try_from(MAX_MESSAGES_LEN).unwrap_or(u64::MAX);
    stderr.by_ref().take(limit).read_to_end(&mut kept)?;
    io::copy(&mut stderr, &mut io::sink())?;
    Ok(kept)
}
