//! Generates the messages and stubs of the key service from `proto/`, without `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    #[cfg(feature = "keyservice")]
    {
        println!("cargo::rerun-if-changed=proto");
        let files = protox::compile(["keyservice.proto", "agent.proto"], ["proto"])?;
        // What holds a data key shows nothing of it.
        tonic_prost_build::configure()
            .skip_debug(["EncryptRequest", "DecryptResponse"])
            .compile_fds(files)?;
    }
    Ok(())
}
