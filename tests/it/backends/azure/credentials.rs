//! Where tokens come from: every source of the chain, and what is said if none has one.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use snapbox::{assert_data_eq, str};

use super::server::Server;
use super::{CANARY, OLD, PLAIN, TENANT, opening, seal};
use crate::support::write_file;

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
    let nowhere = wrong.set("AZURE_AUTHORITY_HOST", "login.example");
    let said = opening(&server, &nowhere, &sealed, "app");
    assert!(
        said.contains("environment: AZURE_AUTHORITY_HOST is no URL that begins with `https://`\n"),
        "{said}"
    );
    let certificate = nowhere
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
