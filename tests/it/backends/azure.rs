//! Azure Key Vault, against `testdata/azure/server.py`: spec 10.5, the credentials, and who is shown a token.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use snapbox::{assert_data_eq, str};

use crate::support::{ALICE, World, write_file};

const TENANT: &str = "11111111-2222-3333-4444-555555555555";
/// The versions of every key on the server; the second one is current.
const OLD: &str = "00000000000000000000000000000001";
const NEW: &str = "00000000000000000000000000000002";
/// In every secret and token of the server.
const CANARY: &str = "canary";

/// The server, which ends with the test.
struct Server {
    child: Child,
    folder: tempfile::TempDir,
    tls: String,
    plain: String,
}

impl Server {
    fn start() -> Self {
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
    fn key(&self, name: &str, version: &str) -> String {
        format!("https://localhost:{}/keys/{name}/{version}", self.tls)
    }

    /// A world that trusts the server, may ask it, and has no credential of any kind.
    fn world(&self) -> World {
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
    fn world_with_secret(&self) -> World {
        self.world()
            .set("AZURE_TENANT_ID", TENANT)
            .set("AZURE_CLIENT_ID", "app-1")
            .set("AZURE_CLIENT_SECRET", "client-secret-canary")
    }

    /// The same with the real names of Azure, which the server answers to behind a proxy, and without any permission.
    fn world_of_azure(&self) -> World {
        let proxy = format!("http://127.0.0.1:{}", self.plain);
        self.world_with_secret()
            .set("SOPS_RS_AZURE_VAULT_ALLOWLIST", "")
            .set("AZURE_AUTHORITY_HOST", "")
            .set("HTTPS_PROXY", &proxy)
    }

    /// What the server was asked so far.
    fn requests(&self) -> Vec<Value> {
        let log = std::fs::read_to_string(self.folder.path().join("requests")).unwrap_or_default();
        log.lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }

    /// The same in short: method and path, and an asterisk where a token was shown.
    fn asked(&self) -> Vec<String> {
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
    fn redacted(&self, text: &str) -> String {
        text.replace(&self.tls, "[PORT]")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

const PLAIN: &str = "user: admin # clear enough\npassword: hunter2\n";

/// Encrypts [`PLAIN`] for a key; the sealed file is `db.yaml`.
#[track_caller]
fn seal(world: &World, key: &str) -> String {
    world.write("db.yaml", PLAIN);
    world.ok(["encrypt", "-i", "--azure-kv", key, "db.yaml"]);
    world.read("db.yaml")
}

/// The `azure_kv` entry of a sealed file, field by field.
fn entry(sealed: &str) -> Value {
    let file: Value = yaml_serde::from_str(sealed).expect("YAML");
    file["sops"]["azure_kv"][0].clone()
}

/// A sealed file with another key name in its metadata, and what opening it says.
fn opening(server: &Server, world: &World, sealed: &str, name: &str) -> String {
    world.write(
        "db.yaml",
        sealed.replace("name: app", &format!("name: {name}")),
    );
    let said = world.fails(128, ["decrypt", "db.yaml"]);
    assert!(!said.contains(CANARY), "{said}");
    server.redacted(&said)
}

#[test]
fn a_file_is_sealed_and_opened_with_the_requests_of_the_rest_api() {
    let server = Server::start();
    let world = server.world_with_secret();
    let sealed = seal(&world, &server.key("app", OLD));
    let entry = entry(&sealed);
    assert_eq!(
        entry["vault_url"],
        format!("https://localhost:{}", server.tls)
    );
    assert_eq!(
        (&entry["name"], &entry["version"]),
        (&"app".into(), &OLD.into())
    );
    // 256 bytes in base64url without padding.
    let enc = entry["enc"].as_str().expect("a text");
    assert_eq!(enc.len(), 342);
    assert!(
        enc.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)),
        "{enc}"
    );
    assert_eq!(world.ok(["decrypt", "db.yaml"]), PLAIN.as_bytes());

    let paths: Vec<String> = server
        .asked()
        .iter()
        .map(|line| line.replace(OLD, "OLD"))
        .collect();
    let token = format!("POST /{TENANT}/oauth2/v2.0/token");
    let run = |verb: &str| {
        let path = format!("POST /keys/app/OLD/{verb}?api-version=2025-07-01");
        [path.clone(), token.clone(), format!("{path} *")]
    };
    assert_eq!(paths, [run("encrypt"), run("decrypt")].concat());
    let requests = server.requests();
    assert_eq!(
        requests[0]["body"], "",
        "nothing is said before the vault knows who asks"
    );
    let body = requests[2]["body"].as_str().expect("a text");
    assert!(body.contains(r#""alg":"RSA-OAEP-256""#), "{body}");
    let body: Value =
        serde_json::from_str(requests[5]["body"].as_str().expect("a text")).expect("JSON");
    assert_eq!(body["value"], enc);
}

#[test]
fn a_key_without_version_is_the_current_one_and_stays_it() {
    let server = Server::start();
    let world = server.world_with_secret();
    for url in [
        server.key("app", ""),
        server.key("app", "").trim_end_matches('/').to_owned(),
    ] {
        let sealed = seal(&world, &url);
        assert_eq!(entry(&sealed)["version"], NEW);
        assert_eq!(world.ok(["decrypt", "db.yaml"]), PLAIN.as_bytes());
    }
    let asked = server.asked();
    assert_eq!(
        asked
            .iter()
            .filter(|line| line.starts_with("GET /keys/app"))
            .count(),
        4,
        "twice each: without a token, and with one; {asked:?}"
    );
    assert!(
        asked.contains(&format!(
            "POST /keys/app/{NEW}/decrypt?api-version=2025-07-01 *"
        )),
        "{asked:?}"
    );
}

#[test]
fn a_version_that_is_named_is_used_though_it_is_not_the_current_one() {
    let server = Server::start();
    let world = server.world_with_secret();
    let sealed = seal(&world, &server.key("app", OLD));
    assert_eq!(world.ok(["decrypt", "db.yaml"]), PLAIN.as_bytes());
    // With the other version the same key does not open.
    world.write("db.yaml", sealed.replace(OLD, NEW));
    let said = world.fails(128, ["decrypt", "db.yaml"]);
    assert!(
        said.contains("failed: the vault refuses: BadParameter: The parameter is incorrect\n"),
        "{said}"
    );
}

#[test]
fn keys_of_a_config_with_and_without_version() {
    let server = Server::start();
    let world = server.world_with_secret();
    let url = format!("https://localhost:{}", server.tls);
    world.write(
        ".sops.yaml",
        format!(
            "creation_rules:\n  - key_groups:\n      - azure_keyvault:\n          - {{vaultUrl: '{url}', key: app, version: ''}}\n      - age: [{ALICE}]\n"
        ),
    );
    world.write("db.yaml", PLAIN);
    world.ok(["encrypt", "-i", "db.yaml"]);
    let file: Value = yaml_serde::from_str(&world.read("db.yaml")).expect("YAML");
    assert_eq!(file["sops"]["key_groups"][0]["azure_kv"][0]["version"], NEW);
    let alice = crate::support::sops_fixtures().join("keys/alice.age.txt");
    let world = world.set("SOPS_AGE_KEY_FILE", alice.to_str().expect("UTF-8"));
    assert_eq!(world.ok(["decrypt", "db.yaml"]), PLAIN.as_bytes());
}

#[test]
fn what_a_vault_refuses_is_said_in_its_words() {
    let server = Server::start();
    let world = server.world_with_secret();
    let sealed = seal(&world, &server.key("app", OLD));
    let said = opening(&server, &world, &sealed, "disabled");
    assert_data_eq!(
        said,
        str![[r#"
sops-rs: error: no identity could open `db.yaml`
  https://localhost:[PORT]/keys/disabled/00000000000000000000000000000001  failed: the vault refuses: Forbidden (KeyDisabled): Operation decrypt is not allowed on a disabled key
hint: correct what failed above, or ask someone who can open the file to add you

"#]]
    );
    for (name, words) in [
        (
            "forbidden",
            "Forbidden (ForbiddenByRbac): Caller is not authorized to perform action on resource. Caller: appid=app-1 Action: 'Microsoft.KeyVault/vaults/keys/decrypt/action'",
        ),
        (
            "missing",
            "KeyNotFound: A key with (name/id) missing was not found in this key vault",
        ),
        (
            "swamped",
            "Throttled: Request was not processed because too many requests were received",
        ),
    ] {
        let said = opening(&server, &world, &sealed, name);
        assert!(
            said.contains(&format!("failed: the vault refuses: {words}\n")),
            "{said}"
        );
    }
    for (name, words) in [
        ("gateway", "the vault answers with status 502"),
        ("odd", "the vault sent an answer without a result"),
    ] {
        let said = opening(&server, &world, &sealed, name);
        assert!(said.contains(&format!("failed: {words}\n")), "{said}");
    }
}

#[test]
fn a_busy_vault_is_asked_again() {
    let server = Server::start();
    let world = server.world_with_secret();
    seal(&world, &server.key("busy", OLD));
    let path = format!("POST /keys/busy/{OLD}/encrypt?api-version=2025-07-01 *");
    assert_eq!(
        server.asked().iter().filter(|line| **line == path).count(),
        2
    );
    assert_eq!(world.ok(["decrypt", "db.yaml"]), PLAIN.as_bytes());
}

#[test]
fn a_token_that_expires_is_renewed() {
    let server = Server::start();
    let world = server
        .world_with_secret()
        .set("AZURE_CLIENT_ID", "app-hasty");
    // Two requests, and a token that is good for one.
    let sealed = seal(&world, &server.key("app", ""));
    assert_eq!(entry(&sealed)["version"], NEW);
    let tokens = server.asked();
    let tokens = tokens
        .iter()
        .filter(|line| line.ends_with("/token"))
        .count();
    assert_eq!(tokens, 2);
}

#[test]
fn a_redirection_is_not_followed() {
    let server = Server::start();
    let world = server.world_with_secret();
    let sealed = seal(&world, &server.key("app", OLD));
    let said = opening(&server, &world, &sealed, "elsewhere");
    assert!(
        said.contains("failed: the vault answers with status 307\n"),
        "{said}"
    );
    assert!(!server.asked().iter().any(|line| line.contains("stolen")));
}

#[test]
fn the_real_names_of_azure_need_no_permission() {
    let server = Server::start();
    let world = server.world_of_azure();
    for domain in ["vault.azure.net", "managedhsm.azure.net"] {
        let sealed = seal(&world, &format!("https://prod.{domain}/keys/app"));
        assert_eq!(
            entry(&sealed)["vault_url"],
            format!("https://prod.{domain}")
        );
        assert_eq!(world.ok(["decrypt", "db.yaml"]), PLAIN.as_bytes());
    }
    let hosts: Vec<String> = server
        .asked()
        .iter()
        .filter_map(|line| Some(line.strip_prefix("CONNECT ")?.to_owned()))
        .collect();
    assert!(
        hosts.contains(&"login.microsoftonline.com:443".to_owned()),
        "{hosts:?}"
    );
}

/// Whoever writes a file chooses the host. One that is no vault is not even asked.
#[test]
fn a_host_that_is_no_vault_is_never_contacted() {
    let server = Server::start();
    let world = server.world_of_azure();
    let sealed = seal(
        &world,
        &format!("https://prod.vault.azure.net/keys/app/{OLD}"),
    );
    let before = server.asked().len();
    for host in [
        "evil.example",
        "prod.vault.azure.net.evil.example",
        "prod.vault.azure.net@evil.example",
        "evil.example?.vault.azure.net",
        "evil.example#.vault.azure.net",
        "evil.example/.vault.azure.net",
    ] {
        world.write("db.yaml", sealed.replace("prod.vault.azure.net", host));
        world.fails(128, ["decrypt", "db.yaml"]);
        world.fails(
            1,
            [
                "encrypt",
                "--azure-kv",
                &format!("https://{host}/keys/app/{OLD}"),
                "db.yaml",
            ],
        );
    }
    assert_eq!(server.asked().len(), before);
    world.write(
        "db.yaml",
        sealed.replace("prod.vault.azure.net", "evil.example"),
    );
    assert_data_eq!(
        world.fails(128, ["decrypt", "db.yaml"]),
        str![[r#"
sops-rs: error: no identity could open `db.yaml`
  https://evil.example/keys/app/00000000000000000000000000000001  failed: `evil.example` is in no domain of Key Vault, so it is not shown a token; SOPS_RS_AZURE_VAULT_ALLOWLIST does not name it either
hint: correct what failed above, or ask someone who can open the file to add you

"#]]
    );
    // The same host with permission is asked: the test above can fail.
    let world = world.set("SOPS_RS_AZURE_VAULT_ALLOWLIST", "evil.example");
    assert_eq!(world.ok(["decrypt", "db.yaml"]), PLAIN.as_bytes());
    assert!(server.asked().len() > before);
}

/// A vault that asks for a token for another service does not get it, whoever allowed its host.
#[test]
fn a_token_for_another_service_is_not_asked_for() {
    let server = Server::start();
    let tokens = || {
        let asked = server.asked();
        asked.iter().filter(|line| line.ends_with("/token")).count()
    };
    for (world, key, words) in [
        (
            server.world_of_azure(),
            format!("https://prod.vault.azure.net/keys/app/{OLD}"),
            "challenge resource 'https://management.azure.com/.default' doesn't match the requested domain 'prod.vault.azure.net'",
        ),
        (
            server.world_with_secret(),
            server.key("app", OLD),
            "no access token: the vault wants one for `https://management.azure.com/.default`, which is no vault",
        ),
    ] {
        let sealed = seal(&world, &key);
        let before = tokens();
        let said = opening(&server, &world, &sealed, "lure");
        assert!(said.contains(&format!("failed: {words}\n")), "{said}");
        assert_eq!(tokens(), before);
    }
}

#[test]
fn names_in_a_file_cannot_change_the_path_that_is_asked() {
    let server = Server::start();
    let world = server.world_with_secret();
    let sealed = seal(&world, &server.key("app", OLD));
    let before = server.asked().len();
    for name in ["../secrets/app", "app?x=", "app%2f..", "'app#'"] {
        let said = opening(&server, &world, &sealed, name);
        assert!(
            said.contains("failed: the key name may only have letters, digits and dashes\n"),
            "{said}"
        );
    }
    assert_eq!(server.asked().len(), before);
}

#[test]
fn a_server_that_is_not_trusted_or_not_there() {
    let server = Server::start();
    let world = server.world_with_secret();
    let sealed = seal(&world, &server.key("app", OLD));
    let before = server.asked().len();
    let other = Server::start();
    let ca = other.folder.path().join("ca.pem");
    let world = world.set("SSL_CERT_FILE", ca.to_str().expect("UTF-8"));
    let said = world.fails(128, ["decrypt", "db.yaml"]);
    assert!(
        said.contains("failed: cannot connect: invalid peer certificate"),
        "{said}"
    );
    assert_eq!(server.asked().len(), before);
    let world = world.set("SOPS_RS_AZURE_VAULT_ALLOWLIST", "localhost:1");
    world.write("db.yaml", sealed.replace(&server.tls, "1"));
    let said = world.fails(128, ["decrypt", "db.yaml"]);
    assert!(
        said.contains("failed: cannot connect: Connection refused (os error 111)\n"),
        "{said}"
    );
}

// --- credentials ------------------------------------------------------------------------------------------------------

/// The program `az`, for tests: notes what it was asked and says `body`. Gives the folder it is in.
fn fake_az(server: &Server, body: &str) -> PathBuf {
    let folder = server.folder.path().join("bin");
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("az");
    let log = server.folder.path().join("az");
    write_file(
        &path,
        format!("#!/bin/sh\necho \"$@\" >>{}\n{body}\n", log.display()),
    );
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    folder
}

const AZ_ANSWERS: &str =
    r#"echo '{"accessToken":"token-cli-canary","expires_on":4102444800,"tokenType":"Bearer"}'"#;

#[test]
fn the_identity_of_a_workload() {
    let server = Server::start();
    let world = server
        .world()
        .set("AZURE_TENANT_ID", TENANT)
        .set("AZURE_CLIENT_ID", "app-1")
        .set("AZURE_FEDERATED_TOKEN_FILE", "token");
    world.write("token", "federated-token-canary");
    seal(&world, &server.key("app", OLD));
    assert_eq!(world.ok(["decrypt", "db.yaml"]), PLAIN.as_bytes());
    let requests = server.requests();
    let body = requests[1]["body"].as_str().expect("a text");
    assert!(
        body.contains("client_assertion=federated-token-canary&"),
        "{body}"
    );
    // The user configured it, so nobody else is asked when the file is gone.
    let world = world.set("AZURE_FEDERATED_TOKEN_FILE", "absent");
    let said = world.fails(128, ["decrypt", "db.yaml"]);
    assert!(
        said.contains("failed: no access token: environment: AZURE_CLIENT_SECRET is not set; workload identity: No such file or directory (os error 2)\n"),
        "{said}"
    );
}

#[test]
fn the_managed_identity_of_an_app() {
    let server = Server::start();
    let endpoint = format!("http://127.0.0.1:{}/msi/token", server.plain);
    let world = server.world().set("IDENTITY_ENDPOINT", &endpoint);
    seal(&world, &server.key("app", OLD));
    assert_eq!(world.ok(["decrypt", "db.yaml"]), PLAIN.as_bytes());
    assert!(server.asked().contains(
        &"GET /msi/token?api-version=2019-08-01&resource=https%3A%2F%2Fvault.azure.net".to_owned()
    ));
    // One that an administrator assigned is chosen by its client id.
    let world = world.set("AZURE_CLIENT_ID", "mine");
    world.ok(["decrypt", "db.yaml"]);
    assert!(
        server
            .asked()
            .iter()
            .any(|line| line.ends_with("&client_id=mine"))
    );
}

#[test]
fn the_user_of_the_azure_cli() {
    let server = Server::start();
    let folder = fake_az(&server, AZ_ANSWERS);
    let world = server.world().set("PATH", folder.to_str().expect("UTF-8"));
    seal(&world, &server.key("app", OLD));
    assert_eq!(world.ok(["decrypt", "db.yaml"]), PLAIN.as_bytes());
    let asked = std::fs::read_to_string(server.folder.path().join("az")).expect("a log");
    let line = "account get-access-token -o json --scope https://vault.azure.net/.default\n";
    assert_eq!(asked, line.repeat(2));
}

#[test]
fn without_any_credential_all_that_was_tried_is_listed() {
    let server = Server::start();
    let world = server.world_with_secret();
    let sealed = seal(&world, &server.key("app", OLD));
    let world = server.world();
    world.write("db.yaml", &sealed);
    assert_data_eq!(
        server.redacted(&world.fails(128, ["decrypt", "db.yaml"])),
        str![[r#"
sops-rs: error: no identity could open `db.yaml`
  https://localhost:[PORT]/keys/app/00000000000000000000000000000001  failed: no access token: environment: AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET are not set; workload identity: AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_FEDERATED_TOKEN_FILE are not set; managed identity: nobody answers, so this is no machine of Azure; Azure CLI: az not found on PATH
hint: correct what failed above, or ask someone who can open the file to add you

"#]]
    );
    let says = |body: &str| {
        let folder = fake_az(&server, body);
        let world = server.world().set("PATH", folder.to_str().expect("UTF-8"));
        world.write("db.yaml", &sealed);
        world.fails(128, ["decrypt", "db.yaml"])
    };
    let said = says("echo \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1");
    assert!(
        said.contains("; Azure CLI: Please run 'az login' to setup account\n"),
        "{said}"
    );
    // What cannot be read may be a token.
    let said = says("echo '\"token-cli-canary\"'");
    assert!(
        said.contains("; Azure CLI: an answer that is not understood\n"),
        "{said}"
    );
    assert!(!said.contains(CANARY), "{said}");
}

/// A mistake in what the user configured is not hidden by somebody else's token.
#[test]
fn a_secret_that_is_refused_ends_the_search() {
    let server = Server::start();
    let folder = fake_az(&server, AZ_ANSWERS);
    let world = server
        .world_with_secret()
        .set("PATH", folder.to_str().expect("UTF-8"));
    let sealed = seal(&world, &server.key("app", OLD));
    let wrong = world.set("AZURE_CLIENT_SECRET", "wrong-canary");
    let said = opening(&server, &wrong, &sealed, "app");
    assert!(
        said.contains("failed: no access token: environment: AADSTS7000215: Invalid client secret provided for app 'app-1'\n"),
        "{said}"
    );
    let wrong = wrong.set("AZURE_TENANT_ID", "99");
    let said = opening(&server, &wrong, &sealed, "app");
    assert!(
        said.contains("environment: AADSTS90002: Tenant '99' not found\n"),
        "{said}"
    );
    let certificate = wrong
        .set("AZURE_CLIENT_SECRET", "")
        .set("AZURE_CLIENT_CERTIFICATE_PATH", "me.pem")
        .set("PATH", "/nowhere");
    let said = opening(&server, &certificate, &sealed, "app");
    assert!(
        said.contains(
            "environment: AZURE_CLIENT_SECRET is not set; certificates are not supported; workload"
        ),
        "{said}"
    );
    assert!(!server.folder.path().join("az").exists(), "az was asked");
}
