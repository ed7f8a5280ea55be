//! The server of `testdata/azure`, and worlds that know it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::TENANT;
use crate::support::World;

/// The server, which ends with the test.
pub(super) struct Server {
    child: Child,
    pub(super) folder: tempfile::TempDir,
    pub(super) tls: String,
    pub(super) plain: String,
}

impl Server {
    pub(super) fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = root.join("target/venv/bin/python");
        assert!(
            python.exists(),
            "the tests need target/venv with the package cryptography: run `python3 -m venv target/venv && target/venv/bin/pip install cryptography`"
        );
        let folder = tempfile::tempdir().expect("a folder");
        let mut child = Command::new(python)
            .arg(root.join("testdata/azure/server.py"))
            .arg(folder.path())
            // It ends when this pipe does, whatever becomes of the test.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let mut ports = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout)
            .read_line(&mut ports)
            .expect("a line with the ports");
        let (tls, plain) = ports
            .trim()
            .split_once(' ')
            .expect("target/venv has the package cryptography, and the server tells its ports");
        Self {
            tls: tls.to_owned(),
            plain: plain.to_owned(),
            child,
            folder,
        }
    }

    /// A key on the server, by a name that needs permission.
    pub(super) fn key(&self, name: &str, version: &str) -> String {
        format!("https://localhost:{}/keys/{name}/{version}", self.tls)
    }

    /// A world that trusts the server, may ask it, and has no credential of any kind.
    pub(super) fn world(&self) -> World {
        let host = format!("localhost:{}", self.tls);
        let ca = self.folder.path().join("ca.pem");
        World::new()
            .set("SSL_CERT_FILE", ca.to_str().expect("UTF-8"))
            .set(
                "SOPS_RS_AZURE_VAULT_ALLOWLIST",
                &format!("other.example, {host}"),
            )
            .set("AZURE_AUTHORITY_HOST", &format!("https://{host}"))
            // A managed identity that is quickly found not to be there; no machine has a server at this port.
            .set("IDENTITY_ENDPOINT", "http://127.0.0.1:1/msi/token")
            .set("IDENTITY_HEADER", "identity-header-canary")
            .set("PATH", "/nowhere")
    }

    /// The same with the secret of a service principal.
    pub(super) fn world_with_secret(&self) -> World {
        self.world()
            .set("AZURE_TENANT_ID", TENANT)
            .set("AZURE_CLIENT_ID", "app-1")
            .set("AZURE_CLIENT_SECRET", "client-secret-canary")
    }

    /// The same with the real names of Azure, which the server answers to behind a proxy, and without any permission.
    pub(super) fn world_of_azure(&self) -> World {
        let proxy = format!("http://127.0.0.1:{}", self.plain);
        self.world_with_secret()
            .set("SOPS_RS_AZURE_VAULT_ALLOWLIST", "")
            .set("AZURE_AUTHORITY_HOST", "")
            .set("HTTPS_PROXY", &proxy)
    }

    /// What the server was asked so far.
    pub(super) fn requests(&self) -> Vec<Value> {
        let log = std::fs::read_to_string(self.folder.path().join("requests")).unwrap_or_default();
        log.lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }

    /// The same in short: method and path, and an asterisk where a token was shown.
    pub(super) fn asked(&self) -> Vec<String> {
        let short = |request: &Value| {
            let text = |name: &str| request[name].as_str().expect("a text").to_owned();
            let mark = if text("authorization").is_empty() {
                ""
            } else {
                " *"
            };
            format!("{} {}{mark}", text("method"), text("path"))
        };
        self.requests().iter().map(short).collect()
    }

    /// A text without the port of this run.
    pub(super) fn redacted(&self, text: &str) -> String {
        text.replace(&self.tls, "[PORT]")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
