//! A cluster in a temporary folder, a client that speaks to it like others do, and a guest that lives in its machines.
#![allow(dead_code, unreachable_pub)]

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::body::Bytes;
use axum::http::{Request, StatusCode};
use axum::routing::get;
use serde_json::{Value, json};
use stead_lab_core::machine::{Guest, GuestInterface, GuestKind, Hands, Hardware, ImageLabel, Ran};
use stead_lab_core::{Client, Lab, Settings, serve};
use stead_lab_proxmox::{Options, Proxmox};

pub struct Cluster {
    pub dir: tempfile::TempDir,
    pub lab: Lab,
    pub proxmox: Arc<Proxmox>,
    pub guests: Arc<Guests>,
    client: Client,
}

/// A status line's code and text, and the body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub reason: String,
    pub body: Value,
}

impl Answer {
    pub fn data(self) -> Value {
        assert_eq!(self.status, 200, "{} {}", self.reason, self.body);
        self.body["data"].clone()
    }
}

/// Status and reason of a refusal; of refused parameters, the errors.
pub fn refused(answer: Answer) -> (u16, String) {
    assert_ne!(answer.status, 200, "{}", answer.body);
    match answer.body["errors"].as_object() {
        Some(errors) => (answer.status, json!(errors).to_string()),
        None => (answer.status, answer.reason),
    }
}

/// A UPID as part of a path.
pub fn escaped(upid: &str) -> String {
    upid.replace(':', "%3A")
        .replace('!', "%21")
        .replace('@', "%40")
}

/// A request whose parameters are `name=value&…`, already encoded.
fn request(verb: &str, path: &str, form: &str) -> (axum::http::request::Builder, Bytes) {
    let in_query = matches!(verb, "GET" | "DELETE") && !form.is_empty();
    let (query, body) = match in_query {
        true => (format!("?{form}"), Bytes::new()),
        false => (String::new(), Bytes::from(form.to_owned())),
    };
    let request = Request::builder()
        .method(verb)
        .uri(format!("https://10.25.150.101:8006/api2/json{path}{query}"))
        .header("content-type", "application/x-www-form-urlencoded");
    (request, body)
}

/// Someone who logged in with a password.
pub struct Session<'a> {
    cluster: &'a Cluster,
    cookie: String,
    csrf: String,
}

impl Session<'_> {
    pub async fn call(&self, verb: &str, path: &str, form: &str) -> Answer {
        let (request, body) = request(verb, path, form);
        let request = request
            .header("cookie", format!("PVEAuthCookie={}", self.cookie))
            .header("csrfpreventiontoken", &self.csrf);
        self.cluster.send(request.body(body).unwrap()).await
    }

    /// Calls what starts a task and waits for its exit status.
    pub async fn task(&self, verb: &str, path: &str, form: &str) -> String {
        let upid = self.call(verb, path, form).await.data();
        self.cluster.wait(&upid).await
    }
}

impl Cluster {
    pub async fn new() -> Cluster {
        Cluster::in_dir(tempfile::tempdir().unwrap(), Options::default()).await
    }

    pub async fn in_dir(dir: tempfile::TempDir, options: Options) -> Cluster {
        Cluster::with(dir, options, Settings::default()).await
    }

    pub async fn with(dir: tempfile::TempDir, options: Options, settings: Settings) -> Cluster {
        let lab = Lab::open(dir.path(), settings).unwrap();
        let guests = Arc::new(Guests::default());
        let proxmox = stead_lab_proxmox::start(&lab, &options, vec![guests.clone()])
            .await
            .unwrap();
        let client = Client::new(&lab).unwrap();
        Cluster {
            dir,
            lab,
            proxmox,
            guests,
            client,
        }
    }

    pub async fn restarted(self) -> Cluster {
        self.lab.stop().await;
        Cluster::in_dir(self.dir, Options::default()).await
    }

    /// Parameters are `name=value&…`, already encoded.
    pub async fn call(&self, authorization: &str, verb: &str, path: &str, form: &str) -> Answer {
        let (request, body) = request(verb, path, form);
        let request = request.header("authorization", authorization);
        self.send(request.body(body).unwrap()).await
    }

    pub async fn send(&self, request: Request<Bytes>) -> Answer {
        let response = self.client.send(request).await.unwrap();
        let reason = response.extensions().get::<hyper::ext::ReasonPhrase>();
        Answer {
            status: response.status().as_u16(),
            reason: reason
                .map(|r| String::from_utf8_lossy(r.as_bytes()).into_owned())
                .unwrap_or_default(),
            body: serde_json::from_slice(response.body()).unwrap_or_default(),
        }
    }

    /// As root's token.
    pub async fn root(&self, verb: &str, path: &str, form: &str) -> Answer {
        self.call(
            &format!("PVEAPIToken={}", Options::ROOT_TOKEN),
            verb,
            path,
            form,
        )
        .await
    }

    /// Logs in with a password: root in person may what its tokens may not.
    pub async fn login(&self, user: &str, password: &str) -> Session<'_> {
        let form = format!("username={user}&password={password}");
        let entered = self.call("", "POST", "/access/ticket", &form).await.data();
        let text = |key: &str| entered[key].as_str().unwrap().to_owned();
        Session {
            cluster: self,
            cookie: text("ticket").replace('=', "%3D").replace('+', "%2B"),
            csrf: text("CSRFPreventionToken"),
        }
    }

    /// Waits for a task; gives its exit status.
    pub async fn wait(&self, upid: &Value) -> String {
        let upid = upid.as_str().unwrap();
        let node = upid.split(':').nth(1).unwrap();
        let path = format!("/nodes/{node}/tasks/{}/status", escaped(upid));
        loop {
            let status = self.root("GET", &path, "").await.data();
            if status["status"] == "stopped" {
                return status["exitstatus"].as_str().unwrap().to_owned();
            }
            tokio::task::yield_now().await;
        }
    }

    /// Calls what starts a task and waits for its exit status.
    pub async fn task(&self, verb: &str, path: &str, form: &str) -> String {
        let upid = self.root(verb, path, form).await.data();
        self.wait(&upid).await
    }

    /// Calls what starts a task, which ends well.
    pub async fn done(&self, verb: &str, path: &str, form: &str) {
        let exit = self.task(verb, path, form).await;
        assert_eq!(exit, "OK", "{verb} {path} {form}");
    }

    pub async fn config(&self, vmid: u32) -> Value {
        self.root("GET", &format!("/nodes/abel/qemu/{vmid}/config"), "")
            .await
            .data()
    }

    /// A web site of the lab that serves a Talos image.
    pub async fn image_factory(&self) -> Vec<u8> {
        let label = ImageLabel {
            os: "talos".into(),
            version: "v1.12.0".into(),
            schematic: "abc".into(),
            guest_agent: true,
        };
        let image = label.to_image().unwrap();
        let packed = stead_lab_core::image::Compression::Gzip
            .pack(&image)
            .unwrap();
        let (plain, listener) = (
            image.clone(),
            self.lab
                .network
                .listen("factory.talos.dev", 443)
                .await
                .unwrap(),
        );
        let router = axum::Router::new()
            .route(
                "/image/nocloud.qcow2",
                get(move || async move { plain.clone() }),
            )
            .route(
                "/image/nocloud.raw.gz",
                get(move || async move { packed.clone() }),
            )
            .route("/image/template.tar.zst", get(|| async { "no lab image" }))
            .fallback(|| async { StatusCode::NOT_FOUND });
        let tls = self
            .lab
            .authority
            .server_config(&["factory.talos.dev".to_owned()])
            .unwrap();
        serve(&self.lab, "factory", listener, Some(tls), router);
        image
    }

    /// Puts `local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst` on abel.
    pub async fn container_template(&self) {
        self.image_factory().await;
        let form = "content=vztmpl&filename=debian-12-standard_12.7-1_amd64.tar.zst\
            &url=https%3A%2F%2Ffactory.talos.dev%2Fimage%2Ftemplate.tar.zst";
        let path = "/nodes/abel/storage/local/download-url";
        self.done("POST", path, form).await;
    }

    pub async fn container(&self, vmid: u32) -> Value {
        self.root("GET", &format!("/nodes/abel/lxc/{vmid}/config"), "")
            .await
            .data()
    }

    /// Downloads the image as `local:import/talos.qcow2` on abel.
    pub async fn import_image(&self) {
        self.image_factory().await;
        let form = "content=import&filename=talos.qcow2&url=https%3A%2F%2Ffactory.talos.dev%2Fimage%2Fnocloud.qcow2";
        self.done("POST", "/nodes/abel/storage/local/download-url", form)
            .await;
    }
}

/// A kind of guest that boots from Talos images and notes what happens to it.
#[derive(Default)]
pub struct Guests {
    pub events: Arc<Mutex<Vec<String>>>,
    pub booted: Mutex<Vec<Hardware>>,
    pub off: Mutex<Vec<Arc<tokio::sync::Notify>>>,
}

impl Guests {
    pub fn events(&self) -> Vec<String> {
        std::mem::take(&mut self.events.lock().unwrap())
    }
}

#[async_trait]
impl GuestKind for Guests {
    fn recognises(&self, hardware: &Hardware) -> bool {
        hardware
            .disks
            .iter()
            .any(|d| d.image.as_ref().is_some_and(|i| i.os == "talos"))
    }

    async fn boot(&self, hardware: Hardware) -> Arc<dyn Guest> {
        self.events
            .lock()
            .unwrap()
            .push(format!("boot {}", hardware.id));
        let off = Arc::new(tokio::sync::Notify::new());
        self.off.lock().unwrap().push(off.clone());
        let guest = TestGuest {
            id: hardware.id.clone(),
            mac: hardware.nics[0].mac.clone(),
            events: self.events.clone(),
            off,
            hands: Arc::default(),
        };
        self.booted.lock().unwrap().push(hardware);
        Arc::new(guest)
    }

    async fn destroyed(&self, machine_id: &str) {
        self.events
            .lock()
            .unwrap()
            .push(format!("destroyed {machine_id}"));
    }
}

struct TestGuest {
    id: String,
    mac: String,
    events: Arc<Mutex<Vec<String>>>,
    off: Arc<tokio::sync::Notify>,
    hands: Arc<TestHands>,
}

/// Says what it was asked to run, and keeps files.
#[derive(Default)]
struct TestHands {
    files: Mutex<std::collections::HashMap<String, Vec<u8>>>,
}

#[async_trait]
impl Hands for TestHands {
    async fn run(&self, command: &[String], input: &[u8]) -> Result<Ran, String> {
        let said = format!("{}|{}", command.join("|"), String::from_utf8_lossy(input));
        Ok(Ran {
            stdout: said.into_bytes(),
            ..Ran::default()
        })
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let found = self.files.lock().unwrap().get(path).cloned();
        found.ok_or_else(|| "No such file or directory".to_owned())
    }

    fn write(&self, path: &str, content: &[u8]) -> Result<(), String> {
        self.files
            .lock()
            .unwrap()
            .insert(path.to_owned(), content.to_vec());
        Ok(())
    }
}

#[async_trait]
impl Guest for TestGuest {
    fn agent_interfaces(&self) -> Option<Vec<GuestInterface>> {
        let address: IpAddr = "10.25.150.11".parse().unwrap();
        Some(vec![GuestInterface {
            name: "eth0".into(),
            mac: self.mac.clone(),
            addresses: vec![(address, 24)],
        }])
    }

    fn hands(&self) -> Option<Arc<dyn Hands>> {
        Some(self.hands.clone())
    }

    async fn shutdown(&self) {
        self.events
            .lock()
            .unwrap()
            .push(format!("shutdown {}", self.id));
    }

    async fn power_off(&self) {
        self.events
            .lock()
            .unwrap()
            .push(format!("power off {}", self.id));
    }

    async fn stopped(&self) {
        self.off.notified().await;
    }
}
