//! The same work on many files: a bounded number at a time, failures collected, one honest exit code at the end.
//!
//! Knows nothing of what the work is. Each file is worked on in a context of its own, so that its messages stay together.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};

use super::args::KeyServiceArgs;
use super::context::Context;
use super::context::branch::Branch;
use super::exit::Exit;
use super::report::{Failure, escaped};
use super::services::Services;
use super::tree;

/// How many files are worked on at a time: enough to wait for a key service on behalf of many, and no more unwraps at once
/// than any of them bears.
const AT_A_TIME: usize = 32;

/// [`each`] for work that opens a file: the key services are told of all keys first. An item is known by the path of its
/// file.
pub(crate) fn open_each<T: Sync, R: Send>(
    context: &mut Context,
    services: &KeyServiceArgs,
    items: &[T],
    path: impl Fn(&T) -> &Path,
    work: impl Fn(&mut Context, &T) -> Outcome<R> + Sync,
) -> Vec<Outcome<R>> {
    if items.len() > 1 {
        announce(context, services, items.iter().map(&path));
    }
    let name = |item: &T| path(item).display().to_string();
    each(context, services, items, name, work)
}

/// Tells the key services of `context` which keys will be asked for, so that a person or a device is troubled once for all
/// of them. Only keys of plugins are looked for: all others cost nobody anything.
fn announce<'a>(
    context: &mut Context,
    services: &KeyServiceArgs,
    paths: impl IntoIterator<Item = &'a Path>,
) {
    let shared = Services::of(context, services);
    for path in paths {
        for key in tree::plugin_keys(context, path) {
            shared.announce(&key);
        }
    }
    context.services = Some(shared);
}

/// What came of the work on one file.
pub(crate) type Outcome<R> = Result<R, Failure>;

/// Does `work` for every item, and gives what came of each, in order. `name` is how a person knows an item.
///
/// A single item is worked on in `context` itself. Several share the key services: a key is unwrapped once and a
/// passphrase asked for once, whichever file needs it first.
pub(crate) fn each<T: Sync, R: Send>(
    context: &mut Context,
    services: &KeyServiceArgs,
    items: &[T],
    name: impl Fn(&T) -> String,
    work: impl Fn(&mut Context, &T) -> Outcome<R> + Sync,
) -> Vec<Outcome<R>> {
    match items {
        [] => return Vec::new(),
        [item] => return vec![work(context, item)],
        _ => {}
    }
    let bar = context.interactive;
    let bar = bar.then(|| context.progress.begin(items.len()));
    let branch = Branch::of(context, services);
    let next = AtomicUsize::new(0);
    let (sender, receiver) = channel();
    let mut done: Vec<Done<R>> = Vec::with_capacity(items.len());
    std::thread::scope(|scope| {
        for _ in 0..items.len().min(AT_A_TIME) {
            let sender = sender.clone();
            let (next, branch, work) = (&next, &branch, &work);
            scope.spawn(move || take_from(items, next, branch, work, &sender));
        }
        drop(sender);
        for finished in receiver {
            if let (Some(bar), Some(item)) = (&bar, items.get(finished.index)) {
                bar.set_message(escaped(&name(item)).into_owned());
                bar.inc(1);
            }
            done.push(finished);
        }
    });
    context.progress.end();
    done.sort_by_key(|done| done.index);
    say(context, &done);
    done.into_iter().map(|done| done.outcome).collect()
}

/// One item, worked on.
struct Done<R> {
    index: usize,
    outcome: Outcome<R>,
    /// What was said meanwhile.
    said: Vec<u8>,
}

/// Works on the next item as long as there is one.
fn take_from<T, R>(
    items: &[T],
    next: &AtomicUsize,
    branch: &Branch,
    work: impl Fn(&mut Context, &T) -> Outcome<R>,
    sender: &Sender<Done<R>>,
) {
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        let Some(item) = items.get(index) else {
            return;
        };
        let (mut own, said) = branch.context();
        let outcome = work(&mut own, item);
        let said = said.take();
        let done = Done {
            index,
            outcome,
            said,
        };
        // Nobody listens any more only if the program ends.
        if sender.send(done).is_err() {
            return;
        }
    }
}

/// Passes on what was said, each line once: what concerns all files, such as a mistake in the config, comes from each.
fn say<R>(context: &mut Context, done: &[Done<R>]) {
    let mut seen = HashSet::new();
    for done in done {
        for line in done.said.split_inclusive(|byte| *byte == b'\n') {
            if seen.insert(line) {
                context.print_error(line);
            }
        }
    }
}

/// The results, if all is well. Else the failure of the only file as it is; or every failure in order, and one that sums
/// them up. `names` are those of the files, and `done` is what they were not, such as `rotated`.
///
/// # Errors
/// [`Exit::Failed`] if one of several files failed, else the code of the only one.
pub(crate) fn settle<R>(
    context: &mut Context,
    names: &[String],
    outcomes: Vec<Outcome<R>>,
    done: &str,
) -> Result<Vec<R>, Failure> {
    let total = outcomes.len();
    let mut results = Vec::with_capacity(total);
    let mut failed = Vec::new();
    let mut last: Option<Failure> = None;
    for (index, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Ok(result) => results.push(result),
            Err(failure) if total == 1 => return Err(failure),
            Err(failure) => {
                // Many files often fail for one reason.
                match &last {
                    Some(last) if last.explains(&failure) => context.fail(&failure.brief()),
                    _ => context.fail(&failure),
                }
                last = Some(failure);
                failed.extend(names.get(index).cloned());
            }
        }
    }
    if failed.is_empty() {
        return Ok(results);
    }
    let message = format!("{} of {total} files could not be {done}", failed.len());
    let failure = Failure::new(Exit::Failed, message);
    let failure = failed.into_iter().fold(failure, Failure::detail);
    Err(failure
        .hint("correct what is said above and run the same command again: what is done stays done"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::args::KeyServiceArgs;
    use super::super::context::testing::context;
    use super::{AT_A_TIME, Exit, Failure, each, settle};

    #[test]
    fn results_and_messages_come_in_order_and_equal_ones_once() {
        let (mut context, _, stderr) = context(Path::new("/"), &[], b"");
        let (working, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let items: Vec<usize> = (0..100).collect();
        let outcomes = each(
            &mut context,
            &KeyServiceArgs::local(),
            &items,
            usize::to_string,
            |own, &item| {
                let now = working.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                own.note("the same");
                if item == 7 {
                    own.note("seven");
                }
                working.fetch_sub(1, Ordering::SeqCst);
                Ok(item * 2)
            },
        );
        let results: Vec<usize> = outcomes
            .into_iter()
            .map(|outcome| outcome.unwrap())
            .collect();
        assert_eq!(results, (0..100).map(|item| item * 2).collect::<Vec<_>>());
        assert!(most.load(Ordering::SeqCst) <= AT_A_TIME);
        let said = stderr.take();
        assert_eq!(said, "sops-rs: note: the same\nsops-rs: note: seven\n");
    }

    #[test]
    fn files_do_not_wait_for_each_other() {
        let (mut context, _, _) = context(Path::new("/"), &[], b"");
        // Each waits until all are there.
        let all = Barrier::new(AT_A_TIME);
        let items = [(); AT_A_TIME];
        let outcomes = each(
            &mut context,
            &KeyServiceArgs::local(),
            &items,
            |()| String::new(),
            |_, ()| {
                all.wait();
                Ok(())
            },
        );
        assert_eq!(outcomes.len(), AT_A_TIME);
    }

    #[test]
    fn one_file_has_its_own_code_and_several_have_one() {
        let (mut context, _, stderr) = context(Path::new("/"), &[], b"");
        let bad = || Err::<(), _>(Failure::new(Exit::MacMismatch, "bad"));
        let names = ["a".to_owned(), "b".to_owned()];
        let only = settle(&mut context, &names[..1], vec![bad()], "rotated").unwrap_err();
        assert_eq!((only.exit, stderr.take().as_str()), (Exit::MacMismatch, ""));
        let both = settle(&mut context, &names, vec![Ok(()), bad()], "rotated").unwrap_err();
        assert_eq!(both.exit, Exit::Failed);
        assert_eq!(both.message, "1 of 2 files could not be rotated");
        assert_eq!(stderr.take(), "sops-rs: error: bad\n");
    }

    #[test]
    fn what_explains_many_failures_is_said_once() {
        let (mut context, _, stderr) = context(Path::new("/"), &[], b"");
        let bad = |name: &str, why: &str| {
            Err::<(), _>(Failure::new(Exit::Failed, name).detail(why).hint("do it"))
        };
        let names = ["a", "b", "c"].map(str::to_owned);
        let outcomes = vec![bad("a", "x"), bad("b", "x"), bad("c", "y")];
        settle(&mut context, &names, outcomes, "rotated").unwrap_err();
        assert_eq!(
            stderr.take(),
            "sops-rs: error: a\n  x\nhint: do it\nsops-rs: error: b\nsops-rs: error: c\n  y\nhint: do it\n"
        );
    }
}
