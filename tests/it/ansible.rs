//! Ansible's own collection, community.sops, on this program under the name `sops`: all of its plugins and modules.
//!
//! What they do and what has to come of it is in `ansible/playbook.yml`.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::support::{ALICE, BOB, Ran, World, holds, sops_fixtures};

const CONFIG: &str = "[defaults]
inventory = hosts
vars_plugins_enabled = host_group_vars,community.sops.sops
[community.sops]
binary = opt/sops
handle_unencrypted_files = skip
";

/// What is sealed before the playbook runs, for alice.
const SEALED: [(&str, &str); 7] = [
    (
        "group_vars/all/a.sops.yaml",
        "of_the_group:\n  password: CANARY-group\n  port: 5432\n",
    ),
    (
        "group_vars/all/b.sops.json",
        "{\"in_json\": \"CANARY-json\"}",
    ),
    (
        "host_vars/localhost.sops.yaml",
        "of_the_host: CANARY-host\n",
    ),
    (
        "vars/extra.sops.yaml",
        "password: CANARY-extra\nsum: '{{ 20 + 22 }}'\n",
    ),
    (
        "files/app.sops.yaml",
        "# CANARY-comment\npassword: CANARY-app\n",
    ),
    ("files/tampered.sops.yaml", "a: CANARY-tampered\nb: 1\n"),
    ("files/bob.sops.yaml", "password: CANARY-bob\n"),
];

fn site() -> World {
    let world = World::with_identity("alice");
    for folder in ["bin", "opt"] {
        let link = world.path(folder).join("sops");
        std::fs::create_dir(world.path(folder)).expect("a folder");
        symlink(env!("CARGO_BIN_EXE_sops-rs"), link).expect("a link");
    }
    let config =
        format!("creation_rules:\n  - path_regex: bob\n    age: {BOB}\n  - age: {ALICE}\n");
    world.write(".sops.yaml", config);
    let binary = world.path("opt/sops").display().to_string();
    world.write("ansible.cfg", CONFIG.replace("opt/sops", &binary));
    world.write("hosts", "localhost ansible_connection=local\n");
    world.write("playbook.yml", include_str!("ansible/playbook.yml"));
    for (path, content) in SEALED {
        world.write(path, content);
        world.ok(["encrypt", "-i", path]);
    }
    let sealed = world.read("files/tampered.sops.yaml");
    let rest = sealed
        .split_inclusive('\n')
        .filter(|line| !line.starts_with("b:"));
    world.write("files/tampered.sops.yaml", rest.collect::<String>());
    world.write("files/plain.yaml", "password: CANARY-plain\n");
    world.write("files/torn.yaml", "password: [CANARY-torn\n");
    world.write("group_vars/all/c.sops.yaml", "of_a_plain_file: plain\n");
    world.write("files/values", "A=CANARY-env\n");
    world.ok(["encrypt", "-i", "--input-type", "dotenv", "files/values"]);
    world.write("files/key.bin", b"\0KEY\n\xff");
    world.ok(["encrypt", "-i", "files/key.bin"]);
    world
}

#[test]
fn a_playbook_runs_on_this_program() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = project.join("target/venv/bin/ansible-playbook");
    let collections = project.join("target/ansible");
    assert!(
        program.exists() && collections.exists(),
        "Ansible or its collection is missing: tests/run.sh installs them into target"
    );
    let world = site();
    let mut playbook = Command::new(program);
    world.prepare(&mut playbook);
    let paths = playbook.get_envs().find(|(name, _)| *name == "PATH");
    let path = paths.and_then(|(_, path)| path).expect("a path");
    let path = format!("{}:{}", world.path("bin").display(), path.display());
    let bobs_key = sops_fixtures().join("keys/bob.age.txt");
    playbook
        .env("PATH", path)
        .env("ANSIBLE_COLLECTIONS_PATH", collections)
        .env("LC_ALL", "C.UTF-8")
        // So much is said that whatever the program writes to standard error is among it.
        .arg("-vvvv")
        .args(["-e", &format!("alice={ALICE}")])
        .args([
            "-e",
            &format!("sops_binary={}", world.path("opt/sops").display()),
        ])
        .args(["-e", &format!("bobs_key_file={}", bobs_key.display())])
        .arg("playbook.yml");
    let ran = Ran::from(playbook.output().expect("Ansible runs"));
    let said = format!("{}\n{}", ran.text(), ran.stderr);
    assert_eq!(ran.code, Some(0), "{said}");
    assert!(!holds(said.as_bytes(), "CANARY"), "{said}");
    assert!(
        said.contains("SOPS version detected as (3, 13, 2)"),
        "{said}"
    );
    assert!(said.contains("skipping unencrypted file"), "{said}");
}
