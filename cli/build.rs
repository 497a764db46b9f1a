//! Writes one test function for every case in `tests/commands/differential`, so that adding a case is adding a file.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = Path::new("../tests/commands/differential");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut tests = String::new();
    for area in entries(root)?.iter().filter(|entry| entry.is_dir()) {
        println!("cargo::rerun-if-changed={}", area.display());
        let area_name = stem(area);
        let _ = writeln!(tests, "mod {area_name} {{");
        for case in entries(area)? {
            let name = stem(&case);
            let _ = writeln!(
                tests,
                "    #[test]\n    fn {name}() {{ super::compare(\"{area_name}/{name}\"); }}"
            );
        }
        tests.push_str("}\n");
    }
    let out = env::var_os("OUT_DIR")
        .map(PathBuf::from)
        .unwrap_or_default();
    fs::write(out.join("differential_cases.rs"), tests)
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = fs::read_dir(folder)?
        .map(|e| Ok(e?.path()))
        .collect::<io::Result<Vec<_>>>()?;
    found.sort();
    Ok(found)
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .map(|s| s.to_string_lossy().into_owned())
        .unwrap_or_default()
}
