//! A small stand-in for one Proxmox VE node, written from the API's contract: one storage, tasks that end at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

#[derive(Default)]
pub(crate) struct State {
    pub(crate) vms: BTreeMap<i64, (BTreeMap<String, String>, bool)>,
    pub(crate) files: BTreeMap<String, i64>,
    /// Method, path and parameters of every change.
    pub(crate) changes: Vec<(String, String, BTreeMap<String, String>)>,
    /// Every request, as `METHOD /path`.
    pub(crate) requests: Vec<String>,
    /// How the next tasks end.
    pub(crate) failures: Vec<String>,
    ended: BTreeMap<String, String>,
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
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    let (method, path, parameters) = request(&mut stream).await;
                    let answer = shared.lock().unwrap().answer(&method, &path, parameters);
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

    pub(crate) fn changes(&self, method: &str, path: &str) -> Vec<BTreeMap<String, String>> {
        let state = self.state.lock().unwrap();
        let found = state
            .changes
            .iter()
            .filter(|c| c.0 == method && c.1 == path);
        found.map(|c| c.2.clone()).collect()
    }
}

async fn request(stream: &mut tokio::net::TcpStream) -> (String, String, BTreeMap<String, String>) {
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
        let written = if key.starts_with("net") {
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

    fn answer(
        &mut self,
        method: &str,
        path: &str,
        parameters: BTreeMap<String, String>,
    ) -> Result<Json, String> {
        self.requests.push(format!("{method} {path}"));
        if method != "GET" {
            self.changes
                .push((method.to_owned(), path.to_owned(), parameters.clone()));
        }
        let steps: Vec<_> = path.trim_start_matches('/').split('/').collect();
        match (method, steps.as_slice()) {
            ("GET", ["cluster", "resources"]) => Ok(json!(self.vms.iter().map(|(id, vm)| json!({
                "vmid": id, "node": "pve", "type": "qemu", "status": if vm.1 { "running" } else { "stopped" } })).collect::<Vec<_>>())),
            ("POST", ["access", "ticket"]) if parameters["password"] == "very-secret" => {
                Ok(json!({ "ticket": "PVE:root@pam:00::x", "CSRFPreventionToken": "y" }))
            }
            ("POST", ["access", "ticket"]) => Err("401 authentication failure".to_owned()),
            ("GET", ["version"]) => Ok(json!({ "version": "9.0.3", "release": "9.0", "repoid": "abc" })),
            ("GET", ["cluster", "nextid"]) => Ok(json!("100")),
            ("GET", ["storage", "local"]) => Ok(json!({ "path": "/var/lib/vz" })),
            ("GET", ["nodes", "pve", "storage"]) => Ok(json!([
                { "storage": "local", "content": "iso,import", "active": 1, "avail": 1_i64 << 40 },
                { "storage": "local-lvm", "content": "images,rootdir", "active": 1, "avail": 1_i64 << 40 }])),
            ("POST", ["nodes", "pve", "storage", "local", "download-url"]) => {
                self.files.insert(format!("local:{}/{}", parameters["content"], parameters["filename"]), 4096);
                Ok(self.task("download"))
            }
            ("GET", ["nodes", "pve", "storage", "local", "content"]) =>
                Ok(json!(self.files.iter().map(|(v, s)| json!({ "volid": v, "size": s })).collect::<Vec<_>>())),
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
            ("POST", ["nodes", "pve", "qemu"]) => {
                let task = self.task("qmcreate");
                if self.ended[task.as_str().unwrap()] == "OK" {
                    let mut config = BTreeMap::new();
                    for (key, value) in parameters.iter().filter(|p| p.0 != "vmid") {
                        State::write(&mut config, key, value);
                    }
                    self.vms.insert(parameters["vmid"].parse().unwrap(), (config, false));
                }
                Ok(task)
            }
            (_, ["nodes", "pve", "qemu", id, rest @ ..]) => {
                let id: i64 = id.parse().unwrap();
                if !self.vms.contains_key(&id) {
                    return Err(format!("500 Configuration file 'nodes/pve/qemu-server/{id}.conf' does not exist"));
                }
                self.machine(method, id, rest, &parameters)
            }
            _ => Err(format!("501 Method '{method} {path}' not implemented")),
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
            ("GET", ["agent", "network-get-interfaces"]) => Ok(json!({ "result": [
                { "name": "lo", "hardware-address": "00:00:00:00:00:00",
                  "ip-addresses": [{ "ip-address": "127.0.0.1", "ip-address-type": "ipv4" }] },
                { "name": "eth0", "hardware-address": "bc:24:11:00:00:01",
                  "ip-addresses": [{ "ip-address": "10.0.0.5", "ip-address-type": "ipv4" }] }] })),
            ("POST", ["clone"]) => {
                let copy = (vm.0.clone(), false);
                self.vms.insert(parameters["newid"].parse().unwrap(), copy);
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
