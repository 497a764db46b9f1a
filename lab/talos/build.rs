//! Compiles the interface files of `proto/` (server code, and client code for the tests).

use std::io;

const FILES: [&str; 8] = [
    "machine.proto",
    "system.proto",
    "inspect.proto",
    "cluster.proto",
    "storage.proto",
    "time.proto",
    "cosi.proto",
    "resource.proto",
];

fn main() -> io::Result<()> {
    // Cargo watches the folder, so that a new file is noticed too.
    let mut out = io::stdout().lock();
    io::Write::write_all(&mut out, b"cargo:rerun-if-changed=proto\n")?;
    let files = protox::compile(FILES, ["proto"]).map_err(io::Error::other)?;
    tonic_prost_build::configure().compile_fds(files)
}
