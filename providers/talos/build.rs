//! Compiles the interface files of the Talos API into a client, and into a server for the tests.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    const FILES: [&str; 6] = [
        "common.proto",
        "machine.proto",
        "lifecycle.proto",
        "image.proto",
        "cosi.proto",
        "specs.proto",
    ];
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    tonic_prost_build::configure()
        .server_mod_attribute(".", "#[cfg(test)]")
        // These carry secrets.
        .skip_debug([
            ".machine.ApplyConfigurationRequest",
            ".common.Data",
            ".cosi.resource.Spec",
            ".cosi.resource.Resource",
            ".cosi.resource.GetResponse",
            ".cosi.resource.ListResponse",
            ".specs.MachineConfig",
            ".specs.Manifests",
            ".specs.Manifest",
        ])
        .compile_fds(descriptors)?;
    Ok(())
}
