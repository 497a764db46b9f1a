//! A folder of its own for each test, and the binary run in it.

use std::path::Path;
use std::process::Command;

pub(crate) struct TestEnv {
    dir: tempfile::TempDir,
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl TestEnv {
    /// A folder with these files.
    pub(crate) fn new(files: &[(&str, &str)]) -> TestEnv {
        let env = TestEnv {
            dir: tempfile::tempdir().expect("a temporary folder"),
        };
        for (name, text) in files {
            env.write(name, text);
        }
        env
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("below the folder")).expect("folders");
        std::fs::write(path, text).expect("a file");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).expect("the file")
    }

    pub(crate) fn state(&self) -> serde_json::Value {
        serde_json::from_str(&self.read("terraform.tfstate")).expect("a state in JSON")
    }

    /// Runs stead with nothing of the outside's settings.
    pub(crate) fn stead(&self, arguments: &[&str]) -> Output {
        self.stead_with(arguments, &[])
    }

    pub(crate) fn stead_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        let output = Command::new(env!("CARGO_BIN_EXE_stead"))
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path())
            .envs(variables.iter().copied())
            .output()
            .expect("stead runs");
        Output {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs stead, which must succeed; its standard output.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let output = self.stead(arguments);
        assert_eq!(
            output.code, 0,
            "{arguments:?}\n{}{}",
            output.stdout, output.stderr
        );
        output.stdout
    }

    /// Runs stead, which must fail with exit code 1; its standard error.
    pub(crate) fn fails(&self, arguments: &[&str]) -> String {
        let output = self.stead(arguments);
        assert_eq!(
            output.code, 1,
            "{arguments:?}\n{}{}",
            output.stdout, output.stderr
        );
        output.stderr
    }
}
