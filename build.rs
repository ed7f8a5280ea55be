//! Generates the messages and stubs of the key service from `proto/`, without `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    #[cfg(feature = "keyservice")]
    {
        println!("cargo::rerun-if-changed=proto");
        let files = protox::compile(["keyservice.proto"], ["proto"])?;
        tonic_prost_build::configure().compile_fds(files)?;
    }
    Ok(())
}
