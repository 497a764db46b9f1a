//! A small stand-in for one Proxmox VE node, written from the API's contract: one storage, tasks that end at once.

// Each test binary uses a part.
#![allow(dead_code)]

mod firewall;
mod objects;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

pub(crate) use objects::{Form, Objects};

#[derive(Default)]
pub(crate) struct State {
    pub(crate) objects: Objects,
    pub(crate) vms: BTreeMap<i64, (BTreeMap<String, String>, bool)>,
    pub(crate) files: BTreeMap<String, i64>,
    /// Method, path and parameters of every change.
    pub(crate) changes: Vec<(String, String, BTreeMap<String, String>)>,
    /// Every request, as `METHOD /path`.
    pub(crate) requests: Vec<String>,
    /// How the next tasks end.
    pub(crate) failures: Vec<String>,
    /// Where guests are, when it is not `pve`.
    pub(crate) node: String,
    /// Which of the guests are containers.
    containers: BTreeSet<i64>,
    /// Rules by the path of their list.
    pub(crate) rules: firewall::Lists,
    /// Comments of security groups and of IP sets, by the path of their members.
    pub(crate) named: BTreeMap<String, String>,
    ended: BTreeMap<String, String>,
    /// Repositories of packages: which are disabled, and which were added.
    disabled: BTreeSet<String>,
    certificate: Option<String>,
    /// What the storage `local` takes, if not the usual.
    pub(crate) takes: Option<String>,
    added: BTreeSet<String>,
    tasks: u32,
}

pub(crate) struct Fake {
    pub(crate) url: String,
    pub(crate) state: Arc<Mutex<State>>,
}

impl Fake {
    pub(crate) async fn start() -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State {
            node: "pve".to_owned(),
            ..State::default()
        }));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    let (method, path, parameters) = request(&mut stream).await;
                    let answer = shared.lock().unwrap().answer(&method, &path, &parameters);
                    let (status, body) = match answer {
                        Ok(data) => ("200 OK".to_owned(), json!({ "data": data })),
                        Err(status) => (status, json!({ "data": null })),
                    };
                    let body = body.to_string();
                    let length = body.len();
                    let text = format!(
                        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                    );
                    stream.write_all(text.as_bytes()).await.unwrap();
                });
            }
        });
        Fake { url, state }
    }

    /// With files in the storage `local`.
    pub(crate) async fn with_files(volumes: &[&str]) -> Fake {
        let fake = Fake::start().await;
        let files = volumes.iter().map(|volume| ((*volume).to_owned(), 4096));
        fake.state.lock().unwrap().files.extend(files);
        fake
    }

    pub(crate) fn changes(&self, method: &str, path: &str) -> Vec<BTreeMap<String, String>> {
        let state = self.state.lock().unwrap();
        let found = state
            .changes
            .iter()
            .filter(|c| c.0 == method && c.1 == path);
        found.map(|c| c.2.clone()).collect()
    }
}

async fn request(stream: &mut tokio::net::TcpStream) -> (String, String, Form) {
    let mut bytes = Vec::new();
    let (head, body) = loop {
        let mut buffer = [0u8; 4096];
        let n = stream.read(&mut buffer).await.unwrap();
        assert!(n > 0, "the request ended early");
        bytes.extend_from_slice(&buffer[..n]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let lower = head.to_lowercase();
        let length = lower
            .lines()
            .find_map(|l| l.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if body.len() >= length.unwrap_or(0) {
            break (head.to_owned(), body.to_owned());
        }
    };
    let lower = head.to_lowercase();
    assert!(
        lower.contains("authorization: pveapitoken=")
            || lower.contains("cookie: pveauthcookie=")
            || head.starts_with("POST /api2/json/access/ticket")
    );
    let mut words = head.split_whitespace();
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let form = if query.is_empty() {
        body.as_str()
    } else {
        query
    };
    let parameters = form_urlencoded::parse(form.as_bytes())
        .into_owned()
        .collect();
    (
        method.to_owned(),
        path.strip_prefix("/api2/json").unwrap().to_owned(),
        parameters,
    )
}

impl State {
    fn task(&mut self, kind: &str) -> Json {
        self.tasks += 1;
        let upid = format!(
            "UPID:pve:{:08X}:00000001:00000001:{kind}:100:root@pam!t:",
            self.tasks
        );
        let exit = if self.failures.is_empty() {
            "OK".to_owned()
        } else {
            self.failures.remove(0)
        };
        self.ended.insert(upid.clone(), exit);
        json!(upid)
    }

    /// What the server makes of what is written.
    fn write(config: &mut BTreeMap<String, String>, key: &str, value: &str) {
        let (first, options) = value.split_once(',').unwrap_or((value, ""));
        let drive = ["scsi", "virtio", "ide", "efidisk", "tpmstate"]
            .iter()
            .any(|p| {
                key.strip_prefix(p)
                    .is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()) && !n.is_empty())
            });
        let written = if key.starts_with("net") && value.starts_with("name=") {
            let mac = if value.contains("hwaddr=") {
                ""
            } else {
                ",hwaddr=BC:24:11:00:00:02"
            };
            format!("{value}{mac}")
        } else if key == "rootfs" || key.starts_with("mp") {
            let (storage, rest) = first.split_once(':').unwrap_or((first, ""));
            let options: Vec<_> = options.split(',').filter(|o| !o.is_empty()).collect();
            let tail = options.iter().map(|o| format!(",{o}")).collect::<String>();
            match rest.parse::<u32>() {
                Ok(size) => format!("{storage}:subvol-{key}{tail},size={size}G"),
                Err(_) => format!("{first}{tail}"),
            }
        } else if key == "cipassword" {
            "**********".to_owned()
        } else if key.starts_with("net") {
            let mac = value
                .split(',')
                .find_map(|p| p.strip_prefix("macaddr="))
                .unwrap_or("BC:24:11:00:00:01");
            let rest: Vec<_> = value
                .split(',')
                .filter(|p| !p.starts_with("model=") && !p.starts_with("macaddr="))
                .collect();
            format!("virtio={mac},{}", rest.join(","))
        } else if drive && first.ends_with(":cloudinit") {
            format!(
                "{}:vm-100-cloudinit,media=cdrom,size=4M",
                first.split_once(':').unwrap().0
            )
        } else if let Some((storage, size)) = first
            .split_once(':')
            .filter(|(_, s)| drive && s.parse::<u32>().is_ok())
        {
            let size = if options.contains("import-from=") {
                "2252M".to_owned()
            } else {
                format!("{size}G")
            };
            let kept: Vec<_> = options
                .split(',')
                .filter(|o| !o.starts_with("import-from") && !o.starts_with("format"))
                .collect();
            format!("{storage}:vm-100-disk-0,{},size={size}", kept.join(","))
        } else if drive && first.contains(":vm-") {
            let size = config[key]
                .split(',')
                .find(|p| p.starts_with("size="))
                .unwrap()
                .to_owned();
            format!("{value},{size}")
        } else {
            value.to_owned()
        };
        config.insert(key.to_owned(), written);
    }

    fn answer(&mut self, method: &str, path: &str, form: &Form) -> Result<Json, String> {
        let parameters: BTreeMap<String, String> = form.iter().cloned().collect();
        self.requests.push(format!("{method} {path}"));
        if method != "GET" {
            self.changes
                .push((method.to_owned(), path.to_owned(), parameters.clone()));
        }
        // Not every user may look which bridges and mappings there are before a plan.
        let has_mappings = self
            .objects
            .0
            .keys()
            .any(|key| key.starts_with(&format!("{path}/")));
        let looks = path.starts_with("/cluster/mapping/") && path.matches('/').count() == 3;
        if parameters.get("type").is_some_and(|t| t == "any_bridge")
            || (method == "GET" && looks && !has_mappings)
        {
            return Err("403 Permission check failed".to_owned());
        }
        // The storage that the node has by itself.
        let built_in = path == "/storage/local" && !self.objects.0.contains_key(path);
        if built_in && method == "GET" {
            return Ok(json!({ "path": "/var/lib/vz" }));
        }
        if (method, path) == ("PUT", "/nodes/pve/network") {
            return Ok(self.task("srvreload"));
        }
        if let Some(answer) = self.firewall(method, path, &parameters) {
            return answer;
        }
        if path == "/nodes/pve/apt/repositories" {
            return self.packages(method, &parameters);
        }
        if let Some(answer) = self.objects.answer(method, path, form) {
            return answer;
        }
        let steps: Vec<_> = path.trim_start_matches('/').split('/').collect();
        match (method, steps.as_slice()) {
            ("GET", ["cluster", "resources"]) => Ok(json!(self.vms.iter().map(|(id, vm)| json!({
                "vmid": id, "node": self.node, "pool": "lab", "name": vm.0.get("name"), "tags": vm.0.get("tags"),
                "type": if self.containers.contains(id) { "lxc" } else { "qemu" }, "status": if vm.1 { "running" } else { "stopped" } })).collect::<Vec<_>>())),
            ("POST", ["access", "ticket"]) if parameters["password"] == "very-secret" => {
                Ok(json!({ "ticket": "PVE:root@pam:00::x", "CSRFPreventionToken": "y" }))
            }
            ("POST", ["access", "ticket"]) => Err("401 authentication failure".to_owned()),
            ("PUT", ["cluster", "sdn"]) => Ok(self.task("reloadnetworkall")),
            ("GET", ["version"]) => Ok(json!({ "version": "9.0.3", "release": "9.0", "repoid": "abc" })),
            ("GET", ["cluster", "nextid"]) => Ok(json!("100")),
            ("GET", ["nodes", "pve", "storage"]) => Ok(json!([
                { "storage": "local", "content": self.takes.as_deref().unwrap_or("iso,import,vztmpl"), "active": 1, "avail": 1_i64 << 40 },
                { "storage": "local-lvm", "content": "images,rootdir", "active": 1, "avail": 1_i64 << 40 }])),
            ("POST", ["nodes", "pve", "storage", "local", "download-url"]) => {
                self.files.insert(format!("local:{}/{}", parameters["content"], parameters["filename"]), 4096);
                Ok(self.task("download"))
            }
            ("GET", ["nodes", "pve", "storage", "local", "content"]) => {
                let kind = |volume: &str| volume.split([':', '/']).nth(1).unwrap().to_owned();
                let row = |(v, s): (&String, &i64)| json!({ "volid": v, "size": s, "content": kind(v), "format": "raw" });
                Ok(self.files.iter().map(row).collect())
            }
            ("POST", ["nodes", "pve", "storage", "local", "oci-registry-pull"]) => {
                self.files.insert(format!("local:vztmpl/{}.tar", parameters["filename"]), 8192);
                Ok(self.task("ociregistrypull"))
            }
            ("POST", ["nodes", "pve", "certificates", "custom"]) => {
                self.certificate = Some(parameters["certificates"].clone());
                Ok(Json::Null)
            }
            ("DELETE", ["nodes", "pve", "certificates", "custom"]) => {
                self.certificate = None;
                Ok(Json::Null)
            }
            ("GET", ["nodes", "pve", "certificates", "info"]) => {
                let own = json!({ "filename": "pve-ssl.pem", "pem": "own" });
                let custom = self.certificate.as_ref().map(|pem| json!({ "filename": "pveproxy-ssl.pem", "pem": pem,
                    "notafter": 1_700_000_000, "notbefore": 1_600_000_000, "issuer": "/CN=ca", "subject": "/CN=pve", "san": ["pve.lab"],
                    "fingerprint": "AA", "public-key-bits": 2048, "public-key-type": "rsaEncryption" }));
                Ok(std::iter::once(own).chain(custom).collect())
            }
            ("DELETE", ["nodes", "pve", "storage", "local", "content", volume]) => {
                let volume = volume.replace("%3A", ":").replace("%2F", "/");
                assert!(self.files.remove(&volume).is_some(), "{volume}");
                Ok(json!(null))
            }
            ("GET", ["nodes", "pve", "tasks", upid, "status"]) => {
                let upid = upid.replace("%3A", ":").replace("%40", "@").replace("%21", "!");
                Ok(json!({ "status": "stopped", "exitstatus": self.ended[&upid] }))
            }
            ("GET", ["nodes", "pve", "tasks", _, "log"]) => Ok(json!([{ "n": 1, "t": "a line of the log" }])),
            ("POST", ["nodes", "pve", kind @ ("qemu" | "lxc")]) => {
                if *kind == "lxc" {
                    self.containers.insert(parameters["vmid"].parse().unwrap());
                }
                let task = self.task("qmcreate");
                if self.ended[task.as_str().unwrap()] == "OK" {
                    let mut config = BTreeMap::new();
                    for (key, value) in parameters.iter().filter(|p| !["vmid", "pool", "ostemplate", "password", "ssh-public-keys"].contains(&p.0.as_str())) {
                        State::write(&mut config, key, value);
                    }
                    self.vms.insert(parameters["vmid"].parse().unwrap(), (config, false));
                }
                Ok(task)
            }
            (_, ["nodes", node, "qemu" | "lxc", id, rest @ ..]) if *node == self.node => {
                let id: i64 = id.parse().unwrap();
                if !self.vms.contains_key(&id) {
                    return Err(format!("500 Configuration file 'nodes/pve/qemu-server/{id}.conf' does not exist"));
                }
                self.machine(method, id, rest, &parameters)
            }
            _ => Err(format!("501 Method '{method} {path}' not implemented")),
        }
    }

    /// A file with two repositories, and one of Proxmox's own that is added by its handle.
    fn packages(&mut self, method: &str, form: &BTreeMap<String, String>) -> Result<Json, String> {
        let entry = |component: &str, enabled: bool| {
            json!({ "Types": ["deb"], "URIs": ["http://deb.example"], "Suites": ["trixie"],
            "Components": [component], "Enabled": i32::from(enabled), "FileType": "list", "Comment": " one\n" })
        };
        match method {
            "POST" => {
                let disabled = form["enabled"] == "0";
                self.disabled.remove(&form["index"]);
                if disabled {
                    self.disabled.insert(form["index"].clone());
                }
                Ok(Json::Null)
            }
            "PUT" => {
                self.added.insert(form["handle"].clone());
                Ok(Json::Null)
            }
            _ => {
                let is_added = self.added.contains("no-subscription");
                let mut entries = vec![entry("main", !self.disabled.contains("0"))];
                if is_added {
                    entries.push(entry("pve-no-subscription", true));
                }
                let mut standard =
                    json!({ "handle": "no-subscription", "name": "No-Subscription" });
                if is_added {
                    standard["status"] = json!(1);
                }
                Ok(
                    json!({ "files": [{ "path": "/etc/apt/sources.list", "file-type": "list", "repositories": entries }],
                    "standard-repos": [standard], "errors": [], "digest": "00" }),
                )
            }
        }
    }

    fn machine(
        &mut self,
        method: &str,
        id: i64,
        rest: &[&str],
        parameters: &BTreeMap<String, String>,
    ) -> Result<Json, String> {
        let vm = self.vms.get_mut(&id).unwrap();
        match (method, rest) {
            ("GET", ["config"]) => {
                let mut config = json!(vm.0);
                config["digest"] = json!("0123");
                Ok(config)
            }
            ("PUT", ["config"]) => {
                assert_eq!(parameters["digest"], "0123");
                for key in parameters
                    .get("delete")
                    .into_iter()
                    .flat_map(|d| d.split(','))
                {
                    assert!(
                        vm.0.remove(key).is_some(),
                        "deleted {key}, which is not there"
                    );
                }
                for (key, value) in parameters
                    .iter()
                    .filter(|p| p.0 != "digest" && p.0 != "delete")
                {
                    State::write(&mut vm.0, key, value);
                }
                Ok(json!(null))
            }
            ("PUT", ["resize"]) => {
                let disk = vm.0.get_mut(&parameters["disk"]).unwrap();
                let kept: Vec<_> = disk
                    .split(',')
                    .filter(|p| !p.starts_with("size="))
                    .collect();
                *disk = format!("{},size={}", kept.join(","), parameters["size"]);
                Ok(self.task("resize"))
            }
            ("GET", ["status", "current"]) => {
                Ok(json!({ "status": if vm.1 { "running" } else { "stopped" } }))
            }
            ("POST", ["status", verb]) => {
                vm.1 = matches!(*verb, "start" | "reboot");
                Ok(self.task("qmverb"))
            }
            ("GET", ["interfaces"]) => Ok(json!([
                { "name": "lo", "inet": "127.0.0.1/8" }, { "name": "eth0", "inet": "10.0.0.7/24", "inet6": "fe80::1/64" }])),
            ("GET", ["agent", "network-get-interfaces"]) => Ok(json!({ "result": [
                { "name": "lo", "hardware-address": "00:00:00:00:00:00",
                  "ip-addresses": [{ "ip-address": "127.0.0.1", "ip-address-type": "ipv4" }] },
                { "name": "eth0", "hardware-address": "bc:24:11:00:00:01",
                  "ip-addresses": [{ "ip-address": "10.0.0.5", "ip-address-type": "ipv4" }] }] })),
            ("POST", ["migrate"]) => {
                self.node.clone_from(&parameters["target"]);
                Ok(self.task("qmigrate"))
            }
            ("POST", ["clone"]) => {
                let copy = (vm.0.clone(), false);
                self.vms.insert(parameters["newid"].parse().unwrap(), copy);
                if self.containers.contains(&id) {
                    self.containers.insert(parameters["newid"].parse().unwrap());
                }
                Ok(self.task("qmclone"))
            }
            ("DELETE", []) => {
                if vm.1 {
                    return Err(format!("500 VM {id} is running - destroy failed"));
                }
                self.vms.remove(&id);
                Ok(self.task("qmdestroy"))
            }
            _ => Err("501 not implemented".to_owned()),
        }
    }
}
