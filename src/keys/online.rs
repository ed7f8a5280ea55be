//! The way from a synchronous [`KeyService`](super::KeyService) to asynchronous clients: one runtime for the process.
//!
//! Knows nothing of what is awaited. The runtime starts when the first recipient of an online kind is tried, so that
//! nobody who uses local keys pays for it.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use super::KeyError;

/// The most that one call may take, retries and logins included. Clients have shorter limits of their own with better
/// messages; this one is for whatever they forget.
const PATIENCE: Duration = Duration::from_secs(60);

/// Calls wait for the network, so that a few threads serve many of them.
const THREADS: usize = 2;

/// Runs `future` to its end on the shared runtime. Many threads may do so at once, none of them a thread of an
/// asynchronous runtime itself.
///
/// # Errors
///
/// If the runtime cannot be started, or after [`PATIENCE`].
pub(super) fn block_on<F: Future>(future: F) -> Result<F::Output, KeyError> {
    // The timer needs the runtime around it.
    let outcome = wait_for(async { tokio::time::timeout(PATIENCE, future).await })?;
    outcome.map_err(|_| {
        KeyError::new(format!("gave up after {} seconds", PATIENCE.as_secs()))
            .for_want_of_an_answer()
    })
}

/// The same for what takes as long as it takes: a service that runs, a service whose owner is asked.
///
/// # Errors
///
/// If the runtime cannot be started.
pub(super) fn wait_for<F: Future>(future: F) -> Result<F::Output, KeyError> {
    static RUNTIME: OnceLock<Result<Runtime, KeyError>> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(start).as_ref().map_err(Clone::clone)?;
    Ok(runtime.block_on(future))
}

fn start() -> Result<Runtime, KeyError> {
    Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("online")
        .enable_all()
        .build()
        .map_err(|error| KeyError::new("cannot start the threads for network calls").because(error))
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::block_on;

    #[test]
    fn many_threads_share_one_runtime() {
        let ids: Vec<_> = (0..8)
            .map(|_| thread::spawn(|| block_on(async { tokio::runtime::Handle::current().id() })))
            .map(|thread| thread.join().unwrap().unwrap())
            .collect();
        assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
    }
}
