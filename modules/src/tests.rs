//! Against a registry and servers on loopback, and Git repositories on disk.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use stead_lang::config::EarlyValues;
use stead_lang::{Files, config};
use stead_sdk::Dialer;

use crate::{CliConfig, Event, Installation, Installer, Manifest, Network};

/// The disk below a directory.
struct Below<'a>(&'a Path);

impl Files for Below<'_> {
    fn read(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        std::fs::read(self.0.join(path))
    }

    fn list(&self, directory: &Path) -> std::io::Result<Vec<String>> {
        let mut names: Vec<String> = std::fs::read_dir(self.0.join(directory))?
            .filter_map(|e| {
                let e = e.ok()?;
                e.path()
                    .is_file()
                    .then(|| e.file_name().to_string_lossy().into_owned())
            })
            .collect();
        names.sort();
        Ok(names)
    }

    fn exists(&self, path: &Path) -> bool {
        self.0.join(path).is_file()
    }

    fn walk(&self, directory: &Path) -> std::io::Result<Vec<String>> {
        self.list(directory)
    }
}

fn archive() -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    {
        let mut tar = tar::Builder::new(&mut gzip);
        for (name, text) in [
            ("top-1/main.tf", "output \"v\" { value = \"top\" }\n"),
            ("top-1/sub/main.tf", "output \"v\" { value = \"sub\" }\n"),
        ] {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, text.as_bytes()).unwrap();
        }
        tar.finish().unwrap();
    }
    gzip.finish().unwrap()
}

/// A registry and an archive; its address.
fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let Some(Ok(request)) = lines.next() else {
                continue;
            };
            for line in lines.by_ref() {
                if line.unwrap_or_default().is_empty() {
                    break;
                }
            }
            let path = request.split(' ').nth(1).unwrap_or_default();
            let (status, header, body): (&str, &str, Vec<u8>) = match path {
                "/v1/ns/mod/prov/versions" => (
                    "200 OK",
                    "X-A: b",
                    br#"{"modules":[{"versions":[{"version":"1.0.0"},{"version":"1.4.0"},{"version":"2.0.0"},{"version":"3.0.0-beta"}]}]}"#.to_vec(),
                ),
                "/v1/ns/mod/prov/1.4.0/download" | "/v1/ns/mod/prov/2.0.0/download" => (
                    "204 No Content",
                    "X-Terraform-Get: /top.tar.gz//*?archive=tar.gz",
                    Vec::new(),
                ),
                "/top.tar.gz" => ("200 OK", "X-A: b", archive()),
                "/vanity?terraform-get=1" => (
                    "200 OK",
                    "X-A: b",
                    br#"<meta name="terraform-get" content="/top.tar.gz//top-1">"#.to_vec(),
                ),
                _ => ("404 Not Found", "X-A: b", Vec::new()),
            };
            let head = format!(
                "HTTP/1.1 {status}\r\n{header}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(head.as_bytes());
            let _ = stream.write_all(&body);
        }
    });
    address
}

fn settings(address: &str) -> CliConfig {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rc");
    std::fs::write(
        &file,
        format!("host \"reg.example.com\" {{\n  services = {{ \"modules.v1\" = \"{address}/v1/\" }}\n}}\n"),
    )
    .unwrap();
    CliConfig::of_environment(&|name| {
        (name == "TF_CLI_CONFIG_FILE").then(|| file.display().to_string())
    })
}

/// Installs what a root module calls, as if its directory were the current one.
async fn install(
    root: &Path,
    address: &str,
    manifest: Manifest,
    upgrade: bool,
) -> (Installation, Vec<String>) {
    let network = Network::new(Dialer::direct(), settings(address)).unwrap();
    let files = Below(Path::new("/"));
    let installer = Installer {
        files: &files,
        remote: &network,
        root: root.to_owned(),
        upgrade,
        early: &|module: &config::Module| EarlyValues {
            variables: module
                .variables
                .keys()
                .map(|name| (name.clone(), stead_value::Value::string("~> 1.0")))
                .collect(),
            workspace: "default".into(),
        },
    };
    let mut seen = Vec::new();
    let mut observe = |event: Event| {
        seen.push(match event {
            Event::Downloading { key, version, .. } => {
                format!("get {key} {}", version.unwrap_or_default())
            }
            Event::Installed { key, .. } => format!("have {key}"),
        });
    };
    let done = installer.install(manifest, &mut observe).await;
    (done, seen)
}

fn write(root: &Path, text: &str) {
    std::fs::write(root.join("main.tf"), text).unwrap();
}

fn summaries(installation: &Installation) -> Vec<&str> {
    let found = installation.diagnostics.iter();
    found.map(|d| d.summary.as_str()).collect()
}

#[tokio::test]
async fn modules_come_from_a_registry_in_the_version_that_is_allowed() {
    let address = serve();
    let root = tempfile::tempdir().unwrap();
    write(
        root.path(),
        "variable \"v\" {}\nmodule \"a\" {\n  source  = \"reg.example.com/ns/mod/prov\"\n  version = var.v\n}\nmodule \"b\" { source = \"reg.example.com/ns/mod/prov//sub\" }\n",
    );
    let (done, seen) = install(root.path(), &address, Manifest::default(), false).await;
    assert_eq!(summaries(&done), [""; 0]);
    assert_eq!(seen, ["get a 1.4.0", "have a", "get b 2.0.0", "have b"]);
    done.manifest.write(root.path()).unwrap();
    let text =
        std::fs::read_to_string(root.path().join(".terraform/modules/modules.json")).unwrap();
    assert!(text.starts_with(r#"{"Modules":[{"Key":"","Source":"","Dir":"."},{"Key":"a","Source":"reg.example.com/ns/mod/prov","Version":"1.4.0","Dir":"#));
    assert!(text.contains("b/top-1/sub"));
    // What is there is not fetched again; an upgrade fetches it.
    let manifest = Manifest::read(&Below(Path::new("/")), root.path()).unwrap();
    let (_, seen) = install(root.path(), &address, manifest.clone(), false).await;
    assert_eq!(seen, [""; 0]);
    let (_, seen) = install(root.path(), &address, manifest, true).await;
    assert_eq!(seen, ["get a 1.4.0", "have a", "get b 2.0.0", "have b"]);
}

#[tokio::test]
async fn what_cannot_be_had_is_said_at_the_call() {
    let address = serve();
    let root = tempfile::tempdir().unwrap();
    write(
        root.path(),
        "module \"a\" {\n  source  = \"reg.example.com/ns/mod/prov\"\n  version = \"> 5.0\"\n}\nmodule \"b\" { source = \"reg.example.com/ns/none/prov\" }\nmodule \"c\" { source = \"git::file:///nowhere/at/all\" }\nmodule \"d\" { source = \"hg::https://example.com/x\" }\n",
    );
    let (done, _) = install(root.path(), &address, Manifest::default(), false).await;
    assert_eq!(
        summaries(&done),
        [
            "Unresolvable module version constraint",
            "Module not found",
            "Failed to download module",
            "Failed to download module"
        ]
    );
    let lines: Vec<u32> = done
        .diagnostics
        .iter()
        .filter_map(|d| Some(d.subject.as_ref()?.start.line))
        .collect();
    assert_eq!(lines, [1, 5, 6, 7]);
}

#[tokio::test]
async fn addresses_lead_to_archives_and_checksums_are_checked() {
    let address = serve();
    let root = tempfile::tempdir().unwrap();
    write(
        root.path(),
        &format!(
            "module \"a\" {{ source = \"{address}/top.tar.gz//top-1\" }}\nmodule \"b\" {{ source = \"{address}/vanity\" }}\nmodule \"c\" {{ source = \"{address}/top.tar.gz//top-1?checksum=sha256:00\" }}\n"
        ),
    );
    let (done, _) = install(root.path(), &address, Manifest::default(), false).await;
    assert_eq!(summaries(&done), ["Failed to download module"]);
    assert_eq!(done.tree.root.children.len(), 2);
    assert!(
        done.diagnostics
            .iter()
            .all(|d| d.detail.contains("checksum"))
    );
}

#[tokio::test]
async fn git_repositories_give_branches_tags_and_commits() {
    let repository = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| {
        let done = Command::new("git")
            .current_dir(repository.path())
            .args(["-c", "user.email=a@b", "-c", "user.name=n"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "--quiet"]);
    write(repository.path(), "output \"v\" { value = 1 }\n");
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "one"]);
    git(&["tag", "v1"]);
    let first = git(&["rev-parse", "HEAD"]);
    write(repository.path(), "output \"w\" { value = 2 }\n");
    git(&["commit", "--quiet", "-a", "-m", "two"]);
    let url = format!("git::file://{}", repository.path().display());
    let root = tempfile::tempdir().unwrap();
    write(
        root.path(),
        &format!(
            "module \"a\" {{ source = \"{url}\" }}\nmodule \"b\" {{ source = \"{url}?ref=v1\" }}\nmodule \"c\" {{ source = \"{url}?ref={first}\" }}\nmodule \"d\" {{ source = \"{url}?ref=v1&depth=1\" }}\n"
        ),
    );
    let (done, _) = install(
        root.path(),
        "http://127.0.0.1:1",
        Manifest::default(),
        false,
    )
    .await;
    assert_eq!(summaries(&done), [""; 0]);
    let outputs: Vec<String> = done
        .tree
        .root
        .children
        .values()
        .flat_map(|n| n.module.outputs.keys().map(ToString::to_string))
        .collect();
    assert_eq!(outputs, ["w", "v", "v", "v"]);
}

#[tokio::test]
async fn local_modules_are_recorded() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("m/inner")).unwrap();
    write(root.path(), "module \"a\" { source = \"./m\" }\n");
    write(
        &root.path().join("m"),
        "module \"b\" { source = \"./inner\" }\n",
    );
    write(&root.path().join("m/inner"), "");
    let (done, seen) = install(
        root.path(),
        "http://127.0.0.1:1",
        Manifest::default(),
        false,
    )
    .await;
    assert_eq!(summaries(&done), [""; 0]);
    assert_eq!(seen, ["have a", "have a.b"]);
}
