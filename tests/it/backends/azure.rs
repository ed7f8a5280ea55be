//! Azure Key Vault, against `testdata/azure/server.py`: spec 10.5, and who is shown a token.

mod credentials;
mod server;

use serde_json::Value;
use snapbox::{assert_data_eq, str};

use self::server::Server;
use crate::support::{ALICE, World};

const TENANT: &str = "11111111-2222-3333-4444-555555555555";
/// The versions of every key on the server; the second one is current.
const OLD: &str = "00000000000000000000000000000001";
const NEW: &str = "00000000000000000000000000000002";
/// In every secret and token of the server.
const CANARY: &str = "canary";

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
        said.contains("failed: cannot reach `localhost`: invalid peer certificate"),
        "{said}"
    );
    assert_eq!(server.asked().len(), before);
    let world = world.set("SOPS_RS_AZURE_VAULT_ALLOWLIST", "localhost:1");
    world.write("db.yaml", sealed.replace(&server.tls, "1"));
    let said = world.fails(128, ["decrypt", "db.yaml"]);
    assert!(
        said.contains("failed: cannot reach `localhost`: Connection refused (os error 111)\n"),
        "{said}"
    );
}
