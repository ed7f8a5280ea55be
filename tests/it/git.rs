//! Real repositories, real git: every way in which git merges, with the driver that `git install` configures. After each
//! the result opens, its MAC holds, and no secret is anywhere but sealed: not in the object database, not in the work tree,
//! not in temporary folders.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::{ALICE, World, holds, unique};

/// A repository in the work folder of a world, with the drivers and one sealed file.
struct Repo {
    world: World,
    file: &'static str,
    /// Words that no file may hold in clear.
    secrets: Vec<String>,
}

/// Writes the plaintext of these entries.
type Write = fn(&[(&str, &str)]) -> String;

/// The formats: a file name, and how entries are written.
const FORMATS: [(&str, Write); 5] = [
    ("s/app.yaml", |entries| {
        lines(entries, |key, value| format!("{key}: {value}\n"))
    }),
    ("s/app.json", |entries| {
        let members: Vec<String> = entries
            .iter()
            .map(|(key, value)| format!("  \"{key}\": \"{value}\""))
            .collect();
        format!("{{\n{}\n}}\n", members.join(",\n"))
    }),
    ("s/app.env", |entries| {
        lines(entries, |key, value| format!("{key}={value}\n"))
    }),
    ("s/app.ini", |entries| {
        format!(
            "[main]\n{}",
            lines(entries, |key, value| format!("{key} = {value}\n"))
        )
    }),
    ("s/app.toml", |entries| {
        format!(
            "[main]\n{}",
            lines(entries, |key, value| format!("{key} = '{value}'\n"))
        )
    }),
];

/// Other names for the same.
const RENAMED: [&str; 5] = [
    "s/renamed.yaml",
    "s/renamed.json",
    "s/renamed.env",
    "s/renamed.ini",
    "s/renamed.toml",
];

/// The places of the formats.
const ALL: [usize; 5] = [0, 1, 2, 3, 4];

fn lines(entries: &[(&str, &str)], line: fn(&str, &str) -> String) -> String {
    entries
        .iter()
        .map(|(key, value)| line(key, value))
        .collect()
}

impl Repo {
    /// A repository whose first commit has `entries`, sealed; every value is a secret.
    fn new(format: usize, entries: &[(&str, &str)]) -> Self {
        let world = World::with_identity("alice");
        let bin = Path::new(env!("CARGO_BIN_EXE_sops-rs"))
            .parent()
            .expect("a folder");
        #[expect(
            clippy::disallowed_methods,
            reason = "programs are found as the user finds them"
        )]
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = format!("{}:{}", bin.display(), path.to_string_lossy());
        let mut world = world.set("PATH", &path);
        for (name, value) in [("NAME", "Ann"), ("EMAIL", "ann@example.com")] {
            world = world
                .set(&format!("GIT_AUTHOR_{name}"), value)
                .set(&format!("GIT_COMMITTER_{name}"), value);
        }
        let (file, _) = FORMATS[format];
        let mut repo = Self {
            world,
            file,
            secrets: Vec::new(),
        };
        repo.git(&["init", "-q", "-b", "main"]);
        repo.world.write(
            ".sops-rs.yaml",
            format!("creation_rules:\n  - age: {ALICE}\n"),
        );
        repo.seal(format, entries);
        repo.world.ok(["git", "install"]);
        repo.commit("base");
        repo.git(&["add", "-A"]);
        repo.world.ok(["git", "install"]);
        repo.commit("attributes");
        repo
    }

    /// Writes these entries, sealed; what is sealed there is kept.
    fn seal(&mut self, format: usize, entries: &[(&str, &str)]) {
        let (file, write) = FORMATS[format];
        let plain = file.replace("s/app", "plain");
        self.world.write(&plain, write(entries));
        std::fs::create_dir_all(self.world.path("s")).expect("a folder");
        self.world.ok([
            "encrypt",
            "--filename-override",
            self.file,
            "--output",
            self.file,
            &plain,
        ]);
        std::fs::remove_file(self.world.path(&plain)).expect("the plaintext");
        self.secrets
            .extend(entries.iter().map(|(_, value)| (*value).to_owned()));
    }

    fn output(&self, arguments: &[&str]) -> Output {
        let mut git = Command::new("git");
        self.world.prepare(&mut git);
        git.args(["-c", "commit.gpgsign=false", "-c", "core.editor=true"])
            .args(arguments)
            .output()
            .expect("git")
    }

    /// Runs git, which must succeed.
    #[track_caller]
    fn git(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        assert!(
            output.status.success(),
            "git {arguments:?}\n{}",
            text(&output)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs git, which must fail.
    #[track_caller]
    fn fails(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        assert!(
            !output.status.success(),
            "git {arguments:?}\n{}",
            text(&output)
        );
        text(&output)
    }

    fn commit(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
    }

    /// The plaintext of the file, with its MAC verified.
    #[track_caller]
    fn opened(&self) -> String {
        String::from_utf8(self.world.ok(["decrypt", self.file])).expect("UTF-8")
    }

    /// A path beside or below the work folder, in full.
    fn place(&self, path: &str) -> String {
        self.world.path(path).to_str().expect("UTF-8").to_owned()
    }

    /// The plaintext of the file in a tree of the repository at `folder`, which is this one if it is empty.
    fn opened_in(&self, folder: &str, tree: &str) -> String {
        let name = format!("{tree}:{}", self.file);
        let here = ["cat-file", "blob", &name];
        let blob = if folder.is_empty() {
            self.git(&here)
        } else {
            self.git(&[&["-C", folder], &here[..]].concat())
        };
        let override_name = ["decrypt", "--filename-override", self.file];
        self.world.run_with(override_name, blob.as_bytes()).text()
    }

    /// No secret is in clear anywhere: in no object of any repository of this world, packed or loose, and in no file.
    #[track_caller]
    fn nothing_leaked(&self) {
        let mut objects = Vec::new();
        let repositories = self.world.folders_with(&["HEAD", "objects", "refs"]);
        assert!(!repositories.is_empty(), "there are repositories");
        for repository in repositories {
            let folder = repository.to_str().expect("UTF-8");
            let list = ["cat-file", "--batch-all-objects", "--batch", "--unordered"];
            let listed = self.output(&[&["--git-dir", folder], &list[..]].concat());
            assert!(listed.status.success(), "{}", text(&listed));
            objects.extend(listed.stdout);
        }
        assert!(objects.len() > 1000, "there are objects");
        for secret in &self.secrets {
            assert!(!holds(&objects, secret), "git has {secret} in clear");
            assert_eq!(
                self.world.files_with(secret),
                [] as [&Path; 0],
                "{secret} is in clear"
            );
        }
    }
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Four values nobody else has.
fn values() -> [String; 4] {
    [0; 4].map(|_| unique("S3CR3T"))
}

/// A repository with the branches `main` and `topic`, which changed neighbouring values and each added one.
fn diverged(format: usize) -> (Repo, [String; 4], [String; 4]) {
    let (old, new) = (values(), values());
    let mut repo = Repo::new(format, &[("a", &old[0]), ("b", &old[1])]);
    repo.git(&["checkout", "-q", "-b", "topic"]);
    repo.seal(format, &[("a", &old[0]), ("b", &new[1]), ("d", &new[3])]);
    repo.commit("topic");
    repo.git(&["checkout", "-q", "main"]);
    repo.seal(format, &[("a", &new[0]), ("b", &old[1]), ("c", &new[2])]);
    repo.commit("main");
    (repo, old, new)
}

fn merged(format: usize, new: &[String; 4]) -> String {
    FORMATS[format].1(&[
        ("a", &new[0]),
        ("b", &new[1]),
        ("c", &new[2]),
        ("d", &new[3]),
    ])
}

/// A repository in which both branches changed the same value.
fn contradicting(format: usize) -> (Repo, [String; 4]) {
    let new = values();
    let mut repo = Repo::new(format, &[("a", &new[0]), ("b", &new[1])]);
    repo.git(&["checkout", "-q", "-b", "topic"]);
    repo.seal(format, &[("a", &new[2]), ("b", &new[1])]);
    repo.commit("topic");
    repo.git(&["checkout", "-q", "main"]);
    repo.seal(format, &[("a", &new[3]), ("b", &new[1])]);
    repo.commit("main");
    (repo, new)
}

#[test]
fn a_merge_of_neighbouring_changes_is_clean() {
    for format in ALL {
        let (repo, _, new) = diverged(format);
        repo.git(&["merge", "-q", "-m", "merged", "topic"]);
        assert_eq!(repo.opened(), merged(format, &new));
        repo.nothing_leaked();
        // Values that nobody changed since keep their tokens: the diff has what topic brought, the time and the MAC.
        let stat = repo.git(&[
            "diff",
            "--no-textconv",
            "--numstat",
            "HEAD^1",
            "HEAD",
            "--",
            repo.file,
        ]);
        let added: usize = stat
            .split('\t')
            .next()
            .and_then(|n| n.parse().ok())
            .expect("a number");
        assert!(added <= 5, "{stat}");
    }
}

#[test]
fn diff_says_how_a_version_of_git_is_written() {
    let (repo, ..) = diverged(0);
    for arguments in [&["diff", "HEAD~1"][..], &["diff", "HEAD~1", repo.file]] {
        let ran = repo.world.run(arguments);
        let said = &ran.stderr;
        assert_eq!(ran.code, Some(100), "{said}");
        assert!(said.contains("the file `HEAD~1` does not exist"), "{said}");
        assert!(
            said.contains("hint: what git has is written `REV:path`"),
            "{said}"
        );
    }
    let before = format!("HEAD~1:{}", repo.file);
    assert_eq!(repo.world.run(["diff", &before, repo.file]).code, Some(1));
}

#[test]
fn rebase_cherry_pick_and_revert_merge_too() {
    for format in ALL {
        let (repo, _, new) = diverged(format);
        repo.git(&["checkout", "-q", "topic"]);
        repo.git(&["rebase", "-q", "main"]);
        assert_eq!(repo.opened(), merged(format, &new));
        repo.nothing_leaked();

        let (repo, old, new) = diverged(format);
        repo.git(&["cherry-pick", "topic"]);
        assert_eq!(repo.opened(), merged(format, &new));
        // What main brought is taken back; what topic did stays.
        repo.git(&["revert", "--no-edit", "HEAD~1"]);
        let expected = FORMATS[format].1(&[("a", &old[0]), ("b", &new[1]), ("d", &new[3])]);
        assert_eq!(repo.opened(), expected);
        repo.nothing_leaked();
    }
}

#[test]
fn stashed_changes_come_back() {
    for format in ALL {
        let (old, new) = (values(), values());
        let mut repo = Repo::new(format, &[("a", &old[0]), ("b", &old[1])]);
        repo.seal(format, &[("a", &old[0]), ("b", &new[1])]);
        repo.git(&["stash", "-q"]);
        repo.seal(format, &[("a", &new[0]), ("b", &old[1])]);
        repo.commit("main");
        repo.git(&["stash", "pop"]);
        assert_eq!(
            repo.opened(),
            FORMATS[format].1(&[("a", &new[0]), ("b", &new[1])])
        );
        repo.nothing_leaked();
    }
}

#[test]
fn a_conflict_is_sealed_and_can_be_resolved() {
    for format in ALL {
        let (repo, new) = contradicting(format);
        let said = repo.fails(&["merge", "topic"]);
        assert!(
            said.contains("1 conflict(s)") && said.contains("changed on both sides"),
            "{said}"
        );
        repo.nothing_leaked();
        let left = repo.world.read(repo.file);
        assert!(
            left.contains("<<<<<<<<<<< ") && left.contains("\n===========\n"),
            "{left}"
        );
        // No reader takes it for a file in order.
        let ran = repo.world.run(["decrypt", repo.file]);
        assert_ne!(ran.code, Some(0));
        assert!(
            ran.stderr.contains("unresolved merge conflict"),
            "{}",
            ran.stderr
        );

        let path = if repo.file.ends_with("ini") || repo.file.ends_with("toml") {
            "main.a"
        } else {
            "a"
        };
        repo.world
            .ok(["merge", repo.file, "--take", "theirs", path, "--add"]);
        assert_eq!(
            repo.opened(),
            FORMATS[format].1(&[("a", &new[2]), ("b", &new[1])])
        );
        repo.git(&["commit", "-q", "-m", "resolved"]);
        repo.nothing_leaked();
    }
}

#[test]
fn a_conflict_is_resolved_in_the_editor() {
    for format in ALL {
        let (repo, new) = contradicting(format);
        repo.fails(&["merge", "topic"]);
        let kept = &new[3];
        // Keeps what stands between the first two markers.
        let script = r#"sed -i -e '/^|||||||/,/^>>>>>>>/d' -e '/^<<<<<<</d' "$1""#;
        let mut command = repo.world.command(["merge", repo.file]);
        let ran = command
            .env("SOPS_EDITOR", repo.world.script(script))
            .output()
            .expect("it runs");
        assert!(ran.status.success(), "{}", text(&ran));
        assert_eq!(
            repo.opened(),
            FORMATS[format].1(&[("a", kept), ("b", &new[1])])
        );
        repo.nothing_leaked();

        // A marker that is left is not sealed as if it were text.
        repo.git(&["checkout", "--merge", repo.file]);
        let mut command = repo.world.command(["merge", repo.file]);
        let script = r#"sed -i -e '/^<<<<<<</d' "$1""#;
        let ran = command
            .env("SOPS_EDITOR", repo.world.script(script))
            .output()
            .expect("it runs");
        assert_eq!(ran.status.code(), Some(1));
        assert!(text(&ran).contains("conflict marker"), "{}", text(&ran));
        let rejected = repo.world.path(&format!("{}.rejected", repo.file));
        std::fs::remove_file(rejected).expect("what was typed is kept");

        repo.world.ok(["merge", repo.file, "--abort"]);
        assert_eq!(
            repo.opened(),
            FORMATS[format].1(&[("a", kept), ("b", &new[1])])
        );
        repo.nothing_leaked();
    }
}

#[test]
fn rerere_records_nothing() {
    for format in ALL {
        let (repo, _) = contradicting(format);
        repo.git(&["config", "rerere.enabled", "true"]);
        repo.fails(&["merge", "topic"]);
        let recorded = std::fs::read_dir(repo.world.path(".git/rr-cache")).map(Iterator::count);
        assert_eq!(recorded.unwrap_or(0), 0);
        repo.nothing_leaked();
    }
}

#[test]
fn a_criss_cross_history_merges() {
    for format in ALL {
        let (old, new) = (values(), values());
        let mut repo = Repo::new(format, &[("a", &old[0]), ("b", &old[1]), ("c", &old[2])]);
        repo.git(&["branch", "topic"]);
        repo.seal(format, &[("a", &new[0]), ("b", &old[1]), ("c", &old[2])]);
        repo.commit("main");
        repo.git(&["checkout", "-q", "topic"]);
        repo.seal(format, &[("a", &old[0]), ("b", &new[1]), ("c", &old[2])]);
        repo.commit("topic");
        let (main, topic) = (
            repo.git(&["rev-parse", "main"]),
            repo.git(&["rev-parse", "topic"]),
        );
        repo.git(&["merge", "-q", "-m", "one", main.trim()]);
        repo.git(&["checkout", "-q", "main"]);
        repo.git(&["merge", "-q", "-m", "other", topic.trim()]);
        repo.seal(format, &[("a", &new[0]), ("b", &new[1]), ("c", &new[2])]);
        repo.commit("main again");
        repo.git(&["checkout", "-q", "topic"]);
        repo.seal(
            format,
            &[
                ("a", &new[0]),
                ("b", &new[1]),
                ("c", &old[2]),
                ("d", &new[3]),
            ],
        );
        repo.commit("topic again");
        repo.git(&["merge", "-q", "-m", "crossed", "main"]);
        assert_eq!(repo.opened(), merged(format, &new));
        repo.nothing_leaked();
    }
}

#[test]
fn an_octopus_merges_where_it_can_and_refuses_where_it_cannot() {
    for format in ALL {
        let (old, new) = (values(), values());
        let mut repo = Repo::new(format, &[("a", &old[0]), ("b", &old[1]), ("c", &old[2])]);
        for (branch, key) in [("one", "a"), ("two", "b"), ("three", "a")] {
            repo.git(&["checkout", "-q", "-b", branch, "main"]);
            let value = unique("S3CR3T");
            let mut entries = [("a", old[0].as_str()), ("b", &old[1]), ("c", &old[2])];
            let place = entries
                .iter_mut()
                .find(|(name, _)| *name == key)
                .expect("a key");
            place.1 = if branch == "three" { &new[0] } else { &value };
            repo.seal(format, &entries);
            repo.commit(branch);
        }
        repo.git(&["checkout", "-q", "main"]);
        // git's octopus strategy uses no drivers on contents that two branches changed: it refuses, and nothing is lost.
        repo.fails(&["merge", "-q", "-m", "octopus", "one", "three"]);
        repo.git(&["reset", "-q", "--hard"]);
        assert!(repo.opened().contains(&old[0]));
        repo.nothing_leaked();
    }
}

#[test]
fn a_renamed_file_takes_the_changes_of_the_other_side() {
    for format in ALL {
        let (old, new) = (values(), values());
        let renamed = RENAMED[format];
        let mut repo = Repo::new(format, &[("a", &old[0]), ("b", &old[1])]);
        repo.git(&["checkout", "-q", "-b", "topic"]);
        repo.git(&["mv", repo.file, renamed]);
        repo.world.ok(["filestatus", renamed]);
        repo.commit("renamed");
        repo.git(&["checkout", "-q", "main"]);
        repo.seal(format, &[("a", &new[0]), ("b", &old[1])]);
        repo.commit("changed");
        repo.git(&["merge", "-q", "-m", "merged", "topic"]);
        repo.file = renamed;
        assert_eq!(
            repo.opened(),
            FORMATS[format].1(&[("a", &new[0]), ("b", &old[1])])
        );
        repo.nothing_leaked();
    }
}

#[test]
fn a_file_that_both_sides_added_merges_entry_by_entry() {
    for format in ALL {
        let new = values();
        let mut repo = Repo::new(0, &[("x", &new[3])]);
        repo.file = FORMATS[format].0;
        if format == 0 {
            repo.git(&["rm", "-q", "s/app.yaml"]);
            repo.commit("none");
        }
        let suffix = Path::new(repo.file)
            .extension()
            .and_then(|suffix| suffix.to_str())
            .expect("a suffix");
        repo.world.write(
            ".gitattributes",
            format!("/s/*.{suffix} diff=sops merge=sops\n"),
        );
        repo.commit("attributes");
        repo.git(&["checkout", "-q", "-b", "topic"]);
        repo.seal(format, &[("a", &new[0]), ("c", &new[2])]);
        repo.commit("topic");
        repo.git(&["checkout", "-q", "main"]);
        repo.seal(format, &[("a", &new[0]), ("b", &new[1])]);
        repo.commit("main");
        // Two files, two data keys: what topic added is sealed anew.
        repo.git(&["merge", "-q", "-m", "merged", "topic"]);
        assert_eq!(
            repo.opened(),
            FORMATS[format].1(&[("a", &new[0]), ("b", &new[1]), ("c", &new[2])])
        );
        repo.nothing_leaked();
    }
}

#[test]
fn a_file_that_one_side_removed_is_left_to_the_user() {
    for format in ALL {
        let (old, new) = (values(), values());
        let mut repo = Repo::new(format, &[("a", &old[0])]);
        repo.git(&["checkout", "-q", "-b", "topic"]);
        repo.git(&["rm", "-q", repo.file]);
        repo.git(&["commit", "-q", "-m", "removed"]);
        repo.git(&["checkout", "-q", "main"]);
        repo.seal(format, &[("a", &new[0])]);
        repo.commit("changed");
        repo.fails(&["merge", "topic"]);
        assert!(repo.opened().contains(&new[0]));
        let ran = repo.world.run(["merge", repo.file]);
        assert_eq!(ran.code, Some(1));
        assert!(ran.stderr.contains("removed on one side"), "{}", ran.stderr);
        repo.nothing_leaked();
    }
}

#[test]
fn merge_tree_uses_the_driver_in_a_clone_and_in_a_bare_repository() {
    for format in ALL {
        let (repo, _, new) = diverged(format);
        let merged = merged(format, &new);
        // It needs no work tree at all; where attributes come from then is up to git's version, so it is asked here.
        let tree = repo.git(&["merge-tree", "--write-tree", "main", "topic"]);
        assert_eq!(repo.opened_in("", tree.trim()), merged);
        // A bare repository has its attributes beside its config.
        let (inner, bare) = (repo.place(""), repo.place("../bare.git"));
        repo.git(&["clone", "-q", "--bare", &inner, &bare]);
        repo.world.ok(["git", "install", "--global"]);
        std::fs::create_dir_all(Path::new(&bare).join("info")).expect("a folder");
        repo.world
            .write("../bare.git/info/attributes", "/s/* diff=sops merge=sops\n");
        let tree = repo.git(&["-C", &bare, "merge-tree", "--write-tree", "main", "topic"]);
        assert_eq!(repo.opened_in(&bare, tree.trim()), merged);
        repo.nothing_leaked();
    }
}

#[test]
fn worktrees_use_the_driver_of_their_repository() {
    for format in ALL {
        let (repo, _, new) = diverged(format);
        let other = repo.place("../other");
        repo.git(&["worktree", "add", "-q", "-b", "third", &other, "main"]);
        repo.git(&["-C", &other, "merge", "-q", "-m", "merged", "topic"]);
        let there = repo
            .world
            .ok(["decrypt", &format!("{other}/{}", repo.file)]);
        assert_eq!(
            String::from_utf8(there).expect("UTF-8"),
            merged(format, &new)
        );
        repo.nothing_leaked();
    }
}

#[test]
fn submodules_are_clones_that_have_to_be_told_themselves() {
    for format in ALL {
        let (repo, _, new) = diverged(format);
        let (inner, outer) = (repo.place(""), repo.place("../outer"));
        repo.git(&["init", "-q", "-b", "main", &outer]);
        let allow = ["-c", "protocol.file.allow=always"];
        let add = ["submodule", "add", "-q", &inner, "sub"];
        repo.git(&[&["-C", &outer], &allow[..], &add[..]].concat());
        let sub = format!("{outer}/sub");
        let mut install = repo.world.command(["git", "install"]);
        let installed = install.current_dir(&sub).output().expect("it runs");
        assert!(installed.status.success(), "{}", text(&installed));
        repo.git(&["-C", &sub, "merge", "-q", "-m", "merged", "origin/topic"]);
        let there = repo.world.ok(["decrypt", &format!("{sub}/{}", repo.file)]);
        assert_eq!(
            String::from_utf8(there).expect("UTF-8"),
            merged(format, &new)
        );
        repo.nothing_leaked();
    }
}

#[test]
fn without_a_key_our_side_is_left_as_it_is() {
    let (repo, ..) = diverged(0);
    let before = repo.world.read(repo.file);
    let mut git = Command::new("git");
    repo.world.prepare(&mut git);
    let output = git
        .args(["merge", "topic"])
        .env("SOPS_AGE_KEY_FILE", "/dev/null")
        .output()
        .expect("git");
    assert!(!output.status.success());
    assert!(
        text(&output).contains("no identity could open"),
        "{}",
        text(&output)
    );
    assert_eq!(repo.world.read(repo.file), before);
    repo.nothing_leaked();
}

#[test]
fn a_clone_without_drivers_is_resolved_from_gits_stages() {
    for format in ALL {
        let (repo, _, new) = diverged(format);
        repo.world.ok(["git", "uninstall"]);
        repo.fails(&["merge", "topic"]);
        repo.world.ok(["mergetool", "--add"]);
        assert_eq!(repo.opened(), merged(format, &new));
        repo.git(&["commit", "-q", "-m", "merged"]);
        repo.nothing_leaked();
    }
}

#[test]
fn a_file_wrecked_by_a_merge_of_text_is_repaired() {
    for format in ALL {
        let (repo, new) = contradicting(format);
        repo.world.ok(["git", "uninstall"]);
        repo.git(&["config", "merge.conflictstyle", "diff3"]);
        repo.fails(&["merge", "topic"]);
        // Somebody commits the markers.
        repo.commit("wrecked");
        let ran = repo.world.run(["decrypt", repo.file]);
        assert!(
            ran.stderr.contains("unresolved merge conflict"),
            "{}",
            ran.stderr
        );
        repo.world.ok(["merge", repo.file, "--take", "theirs"]);
        assert_eq!(
            repo.opened(),
            FORMATS[format].1(&[("a", &new[2]), ("b", &new[1])])
        );
        repo.nothing_leaked();
    }
}

#[test]
fn diffs_are_readable_masked_and_never_fail() {
    for format in ALL {
        let (repo, old, new) = diverged(format);
        let range = ["diff", "main~1", "main"];
        let plain = repo.git(&range);
        assert!(
            plain.contains(&format!(
                "-{}",
                FORMATS[format].1(&[("a", &old[0])])
                    .lines()
                    .nth(usize::from([1, 3, 4].contains(&format)))
                    .expect("a line")
                    .trim_end_matches(',')
            )),
            "{plain}"
        );
        assert!(
            plain.contains(&new[0]) && !plain.contains("ENC["),
            "{plain}"
        );
        let with = |name: &str, value: &str| {
            let mut git = Command::new("git");
            repo.world.prepare(&mut git);
            let output = git.args(range).env(name, value).output().expect("git");
            assert!(output.status.success(), "{}", text(&output));
            String::from_utf8(output.stdout).expect("UTF-8")
        };
        for masked in [with("SOPS_RS_DIFF", "masked"), with("CI", "true")] {
            assert!(
                masked.contains("len ") && !masked.contains("S3CR3T"),
                "{masked}"
            );
            // What is unchanged looks the same, so that it is no difference; in JSON a comma comes behind it.
            let lines = if repo.file.ends_with("json") { 2 } else { 1 };
            assert_eq!(
                masked
                    .lines()
                    .filter(|line| line.starts_with('-') && line.contains("len "))
                    .count(),
                lines,
                "{masked}"
            );
        }
        let sealed = with("SOPS_AGE_KEY_FILE", "/dev/null");
        assert!(
            sealed.contains("# sops-rs: cannot decrypt") && sealed.contains("ENC["),
            "{sealed}"
        );
        assert!(repo.git(&["log", "-p", "--all"]).contains(&new[3]));
    }
}

#[test]
fn installing_twice_changes_nothing_and_uninstalling_undoes_it() {
    let repo = Repo::new(0, &[("a", "S3CR3T-installed")]);
    let config = repo.world.read(".git/config");
    let attributes = repo.world.read(".gitattributes");
    assert_eq!(attributes, "/s/*.yaml diff=sops merge=sops\n");
    let said = String::from_utf8(repo.world.ok(["git", "install"])).expect("UTF-8");
    assert!(said.starts_with("nothing to do"), "{said}");
    assert_eq!(repo.world.read(".git/config"), config);
    repo.world.ok(["git", "install", "--global"]);
    let global = std::fs::read_to_string(repo.world.home().join(".gitconfig")).expect("the config");
    assert!(global.contains("cachetextconv = false"), "{global}");
    repo.world.ok(["git", "uninstall"]);
    repo.world.ok(["git", "uninstall", "--global"]);
    assert!(!repo.world.read(".git/config").contains("sops"));
    let said = String::from_utf8(repo.world.ok(["git", "uninstall"])).expect("UTF-8");
    assert!(said.starts_with("nothing to do"), "{said}");
}

#[test]
fn the_attributes_are_for_files_that_rules_will_seal_too() {
    let repo = Repo::new(0, &[("a", "S3CR3T-rules")]);
    std::fs::create_dir_all(repo.world.path("deploy/env [1]")).expect("a folder");
    repo.world.write(
        "deploy/env [1]/odd*name.json",
        "{\"a\": \"S3CR3T-rules\"}\n",
    );
    repo.world
        .ok(["encrypt", "-i", "deploy/env [1]/odd*name.json"]);
    repo.world.write(
        ".sops-rs.yaml",
        format!(
            "creation_rules:\n  - path_regex: ^secrets/.*\\.ya?ml$\n    age: {ALICE}\n  - age: {ALICE}\n"
        ),
    );
    repo.world.write(
        "deploy/env [1]/.sops.yaml",
        format!("creation_rules:\n  - path_regex: \\.prod\\.env$\n    age: {ALICE}\n"),
    );
    let said = String::from_utf8(repo.world.ok(["git", "install"])).expect("UTF-8");
    assert_eq!(
        said,
        r#"added to .gitattributes: /secrets/**/*.yml diff=sops merge=sops
added to .gitattributes: /secrets/**/*.yaml diff=sops merge=sops
added to .gitattributes: "/deploy/env \\[1\\]/**/*.prod.env" diff=sops merge=sops
added to .gitattributes: "/deploy/env \\[1\\]/*.json" diff=sops merge=sops
"#
    );
    assert!(
        repo.world
            .ok(["git", "install"])
            .starts_with(b"nothing to do")
    );
    for covered in [
        "secrets/later.yaml",
        "secrets/deep/er.yml",
        "deploy/env [1]/later.prod.env",
        "deploy/env [1]/deep/a.prod.env",
        "deploy/env [1]/odd*name.json",
        "s/app.yaml",
    ] {
        let answer = repo.git(&["check-attr", "diff", "merge", "--", covered]);
        assert!(answer.contains("diff: sops\n"), "{answer}");
        assert!(answer.contains("merge: sops\n"), "{answer}");
    }
    for other in [
        "secrets.yaml",
        "secrets/a.txt",
        "deploy/a.prod.env",
        "README.md",
    ] {
        let answer = repo.git(&["check-attr", "diff", "--", other]);
        assert!(answer.ends_with("unspecified\n"), "{answer}");
    }
}

#[test]
fn recipients_and_rules_merge() {
    for format in ALL {
        let plain_name = FORMATS[format].0.replace("s/app", "plain");
        let bob = "age1mj033j9qcfmlnezuup06wwph659evd55wd8e7k4fakj72knmmaks0uxk6p";
        let old = values();
        let mut repo = Repo::new(format, &[("a", &old[0]), ("b", &old[1])]);
        repo.git(&["checkout", "-q", "-b", "topic"]);
        // Whoever adds a recipient by encrypting anew changes the data key.
        let plain = repo.opened();
        repo.world.write(&plain_name, plain);
        std::fs::remove_file(repo.world.path(repo.file)).expect("the sealed file");
        let both = format!("{ALICE},{bob}");
        repo.world.ok([
            "encrypt",
            "--age",
            &both,
            "--output",
            repo.file,
            &plain_name,
        ]);
        std::fs::remove_file(repo.world.path(&plain_name)).expect("the plaintext");
        repo.commit("bob");
        repo.git(&["checkout", "-q", "main"]);
        let new = values();
        repo.seal(format, &[("a", &new[0]), ("b", &old[1])]);
        repo.commit("main");
        repo.git(&["merge", "-q", "-m", "merged", "topic"]);
        assert_eq!(
            repo.opened(),
            FORMATS[format].1(&[("a", &new[0]), ("b", &old[1])])
        );
        assert!(repo.world.read(repo.file).contains(bob));
        repo.nothing_leaked();
    }
}

/// The attack: a branch from before a rotation, on which somebody who can push but not open wrote himself into the file.
#[test]
fn a_merge_gives_no_key_to_whoever_was_pushed_into_a_file() {
    let mallory = "age1wkmlraupk3fa2dtl4utve4es6eyfy0p4585qzmk5xhel7586ka8sll6n4u";
    let [old, new, ..] = values();
    let mut repo = Repo::new(0, &[("a", &old)]);
    repo.git(&["checkout", "-q", "-b", "topic"]);
    let sealed = repo.world.read(repo.file);
    let (head, rest) = sealed.split_once("    age:\n").expect("recipients");
    let (entry, tail) = rest.split_once("    lastmodified").expect("the end");
    let pushed = entry.replace(ALICE, mallory);
    let text = format!("{head}    age:\n{entry}{pushed}    lastmodified{tail}");
    repo.world.write(repo.file, text);
    repo.commit("more recipients");
    repo.git(&["checkout", "-q", "main"]);
    repo.seal(0, &[("a", &new)]);
    repo.world.ok(["rotate", "-i", repo.file]);
    repo.commit("rotated");
    let ours = repo.world.read(repo.file);
    let message = repo.fails(&["merge", "-q", "-m", "merged", "topic"]);
    assert!(
        message.contains(mallory) && message.contains("name them in the config"),
        "{message}"
    );
    assert_eq!(repo.world.read(repo.file), ours, "as it was");
    let message = repo.world.fails(1, ["merge", repo.file]);
    assert!(message.contains(mallory), "{message}");
    // Whoever is named is given the key.
    let both = format!("creation_rules:\n  - age: {ALICE},{mallory}\n");
    repo.world.write(".sops-rs.yaml", both);
    repo.world.ok(["merge", repo.file]);
    assert!(repo.world.read(repo.file).contains(mallory));
}

#[test]
fn the_doctor_finds_what_is_wrong_and_what_lies_about() {
    let secret = unique("S3CR3T");
    let mut repo = Repo::new(0, &[("a", &secret)]);
    repo.world = repo.world.with_private_key().set("SOPS_EDITOR", "true");
    let said = String::from_utf8(repo.world.ok(["doctor"])).expect("UTF-8");
    assert!(said.ends_with("\nall is well\n"), "{said}");

    // A cache of diffs, as a careless setting leaves it.
    repo.git(&["config", "diff.sops.cachetextconv", "true"]);
    repo.git(&["diff", "--textconv", "HEAD~1", "HEAD"]);
    repo.git(&["log", "-p", "--textconv"]);
    let found = |words: &str| {
        let ran = repo.world.run(["doctor"]);
        assert_eq!(ran.code, Some(1), "{}", ran.stderr);
        let said = ran.text();
        assert!(said.contains(words), "`{words}` is not in {said}");
    };
    found("`diff.sops.cachetextconv` is on");
    found("`refs/notes/textconv/sops` holds what diffs have shown");
    repo.git(&["config", "diff.sops.cachetextconv", "false"]);
    repo.git(&["update-ref", "-d", "refs/notes/textconv/sops"]);

    repo.world.write("s/app.decrypted.yaml", "a: harmless\n");
    found("`s/app.decrypted.yaml` looks like the plaintext");
    std::fs::remove_file(repo.world.path("s/app.decrypted.yaml")).expect("the file");

    repo.world.write(".gitattributes", "");
    found("`s/app.yaml` is sealed, but git diffs and merges it as text");
    repo.world.ok(["git", "uninstall"]);
    found("git does not know how to diff and merge");
    repo.world.ok(["git", "install"]);
    repo.world.ok(["doctor"]);

    let folder = repo.world.path(".git/rr-cache/0123");
    std::fs::create_dir_all(&folder).expect("a folder");
    repo.world
        .write(".git/rr-cache/0123/preimage", "a: b\nsops:\n");
    found("records how a sealed file was merged as text");
}
