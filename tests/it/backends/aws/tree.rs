//! A thousand files under two keys of KMS: how often it is asked, how many times at once, and what the agent saves.

use super::moto::Moto;
use crate::support::World;

const FILES: usize = 1_000;
/// As many unwraps may be under way at once.
const AT_ONCE: u64 = 32;
/// The user who owns the tree.
const OWNER: &str = "owner";

/// Ends the agent of a world with its test.
struct Agent<'a>(&'a World);

impl Drop for Agent<'_> {
    fn drop(&mut self) {
        drop(self.0.command(["agent", "stop"]).output());
    }
}

#[test]
fn a_tree_costs_one_call_for_each_file_and_none_with_a_warm_agent() {
    let moto = Moto::shared();
    let world = moto.world(OWNER);
    let (one, other) = (moto.key(), moto.key());
    world.write(
        ".sops-rs.yaml",
        format!("creation_rules:\n  - kms: [\"{one}\", \"{other}\"]\n"),
    );
    for number in 0..FILES {
        world.write(
            &format!("tree/{}/{number}.yaml", number % 10),
            format!("n: {number}\n"),
        );
    }
    world.ok(["encrypt", "-i", "-r", "tree"]);
    let count = |action: &str| {
        let calls = moto.eval(&format!("calls('{OWNER}', '{action}')"));
        usize::try_from(calls.as_u64().expect("a number")).expect("a small one")
    };
    assert_eq!(count("Encrypt"), 2 * FILES);

    // Nobody has to be asked who can open what.
    world.ok(["updatekeys", "--check", "-r", "tree"]);
    world.ok(["keys", "list", "tree"]);
    assert_eq!((count("Encrypt"), count("Decrypt")), (2 * FILES, 0));

    world.ok(["decrypt", "-r", "--output-dir", "plain", "tree"]);
    assert_eq!(world.read("plain/tree/7/997.yaml"), "n: 997\n");
    assert_eq!(
        count("Decrypt"),
        FILES,
        "the first key of each file opens it"
    );
    let most = moto
        .eval(&format!("most['{OWNER}']"))
        .as_u64()
        .expect("a number");
    assert!((2..=AT_ONCE).contains(&most), "{most} at once");

    let agent = Agent(&world);
    world.ok(["agent", "start"]);
    let socket = world.tmp().join("sops-rs/agent.sock");
    let user = World::new().set("SOPS_RS_AGENT", socket.to_str().expect("UTF-8"));
    let tree = world.path("tree");
    let decrypt = |folder: &str| {
        let tree = tree.to_str().expect("UTF-8");
        user.ok(["decrypt", "-r", "--output-dir", folder, tree]);
    };
    decrypt("first");
    assert_eq!(count("Decrypt"), 2 * FILES, "the agent is cold");
    decrypt("second");
    assert_eq!(count("Decrypt"), 2 * FILES, "the agent is warm");
    drop(agent);
}
