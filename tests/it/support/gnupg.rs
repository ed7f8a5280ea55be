//! A GnuPG home for a test: keys, an agent that ends with it, and the real `gpg`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::{World, sops_fixtures};

/// The RSA key of the fixtures.
pub(crate) const RSA: &str = "F93F442F5E7B3C6014CB08F9ECE6CFBB11EC8F34";
/// The Ed25519 key of the fixtures.
pub(crate) const ED25519: &str = "DF940177E621B0E24E2D06D45A60826B1042B992";

/// A GnuPG home of its own.
pub(crate) struct Gnupg {
    home: tempfile::TempDir,
}

impl Gnupg {
    /// A home without keys. Its path is short: the agent's socket, which lies in it, has room for about 100 bytes.
    pub(crate) fn new() -> Self {
        let home = tempfile::Builder::new()
            .prefix("gpg")
            .tempdir_in("/tmp")
            .expect("a temporary folder");
        Self { home }
    }

    /// A home with secret keys of the fixtures, such as `pgp_rsa`.
    pub(crate) fn with_keys(names: &[&str]) -> Self {
        let gnupg = Self::new();
        for name in names {
            let file = sops_fixtures().join("keys").join(format!("{name}.asc"));
            gnupg.import(&std::fs::read(file).expect("a key"));
        }
        gnupg
    }

    /// A home with the public half of a key of the fixtures.
    pub(crate) fn with_public_key(name: &str, fingerprint: &str) -> Self {
        let gnupg = Self::new();
        let public = Self::with_keys(&[name]).ok(["--export", fingerprint], b"");
        gnupg.import(&public);
        gnupg
    }

    /// The folder.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// A world whose programs find these keys.
    pub(crate) fn world(&self) -> World {
        self.lend(World::new())
    }

    /// The same world, with these keys.
    pub(crate) fn lend(&self, world: World) -> World {
        world.set("GNUPGHOME", self.home().to_str().expect("UTF-8"))
    }

    /// Adds keys.
    pub(crate) fn import(&self, keys: &[u8]) {
        self.ok(["--import"], keys);
    }

    /// Makes a key that signs and one that encrypts below it, with a passphrase; returns the fingerprint.
    pub(crate) fn generate(&self, name: &str, passphrase: &str, until: &str) -> String {
        self.quick(
            "--quick-generate-key",
            [name, "default", "default", until],
            passphrase,
        );
        self.fingerprint(name)
    }

    /// Runs one of the `--quick-…` commands with a passphrase that is not asked for.
    pub(crate) fn quick<'a>(
        &self,
        command: &'a str,
        arguments: impl IntoIterator<Item = &'a str>,
        passphrase: &'a str,
    ) {
        let quietly = ["--pinentry-mode", "loopback", "--passphrase", passphrase];
        let all = quietly.into_iter().chain([command]).chain(arguments);
        self.ok(all, b"");
        // Making a key leaves its passphrase with the agent.
        self.forget();
    }

    /// The fingerprint of the key of a user.
    pub(crate) fn fingerprint(&self, name: &str) -> String {
        let list = self.ok(["--with-colons", "--list-keys", name], b"");
        let list = String::from_utf8(list).expect("UTF-8");
        let line = list.lines().find(|line| line.starts_with("fpr:"));
        line.and_then(|line| line.split(':').nth(9))
            .expect("a fingerprint")
            .to_owned()
    }

    /// Makes the agent forget passphrases and read its settings again.
    pub(crate) fn forget(&self) {
        self.gpgconf("--kill");
    }

    /// Lets a shell script answer in place of the user: `$pin` is what is typed, nothing cancels. What the agent says to it is
    /// appended to the file `pinentry.log` of the home.
    pub(crate) fn answer(&self, pin: &str) {
        let log = self.home().join("pinentry.log");
        let program = self.program(
            "pinentry",
            &format!(
                "echo 'OK ready'\n\
                 while read -r line; do\n\
                 echo \"$line\" >> '{}'\n\
                 case $line in\n\
                 GETPIN*) if [ -n '{pin}' ]; then echo 'D {pin}'; echo OK; else echo 'ERR 83886179 cancelled'; fi ;;\n\
                 BYE*) echo OK; exit ;;\n\
                 *) echo OK ;;\n\
                 esac\n\
                 done\n",
                log.display()
            ),
        );
        let settings = format!("pinentry-program {}\n", program.display());
        super::write_file(&self.home().join("gpg-agent.conf"), settings);
        self.forget();
    }

    /// What the script of [`Self::answer`] was told; empty if it was not asked.
    pub(crate) fn questions(&self) -> String {
        std::fs::read_to_string(self.home().join("pinentry.log")).unwrap_or_default()
    }

    /// Writes an executable shell script into the home.
    pub(crate) fn program(&self, name: &str, body: &str) -> PathBuf {
        let path = self.home().join(name);
        // By another process: a thread that starts a program while the file is open here would keep it busy.
        let mut command = Command::new("sh");
        command
            .args(["-c", "cat > \"$1\" && chmod 700 \"$1\"", "sh"])
            .arg(&path);
        let output = fed(&mut command, format!("#!/bin/sh\n{body}").as_bytes());
        assert!(output.status.success(), "{output:?}");
        path
    }

    /// Runs gpg; it must succeed. Returns its output.
    pub(crate) fn ok<'a>(
        &self,
        arguments: impl IntoIterator<Item = &'a str>,
        input: &[u8],
    ) -> Vec<u8> {
        let output = self.run(arguments, input);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    }

    /// Runs gpg.
    pub(crate) fn run<'a>(
        &self,
        arguments: impl IntoIterator<Item = &'a str>,
        input: &[u8],
    ) -> Output {
        let mut command = Command::new("gpg");
        command
            .args(["--batch", "--no-tty", "--yes"])
            .args(arguments);
        self.own(&mut command);
        fed(&mut command, input)
    }

    fn gpgconf(&self, action: &str) {
        let mut command = Command::new("gpgconf");
        command.args([action, "all"]);
        self.own(&mut command);
        fed(&mut command, b"");
    }

    /// Gives a program this home and nothing else of the user's.
    fn own(&self, command: &mut Command) {
        command
            .env("GNUPGHOME", self.home())
            .env("HOME", self.home())
            .env("LC_ALL", "C")
            .env_remove("GPG_TTY")
            .env_remove("DISPLAY");
    }
}

impl Drop for Gnupg {
    /// Ends the agent, also when a test has failed.
    fn drop(&mut self) {
        self.gpgconf("--kill");
    }
}

/// Runs a program with this on standard input.
pub(crate) fn fed(command: &mut Command, input: &[u8]) -> Output {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("`{program}` does not run ({error}): install what .ci/run installs")
        });
    let mut stdin = child.stdin.take().expect("a pipe");
    // The program may end before it has read everything.
    drop(stdin.write_all(input));
    drop(stdin);
    child.wait_with_output().expect("it ends")
}
