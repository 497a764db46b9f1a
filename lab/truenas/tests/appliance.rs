//! The appliance as a WebSocket client of nobody's making sees it.

use std::sync::Arc;

use futures::{SinkExt, StreamExt};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use stead_lab_core::{Lab, Settings};
use stead_lab_truenas::{ApiKey, Options, Secret, TrueNas};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

const KEY: &str = "1-stead-lab-truenas-api-key-0000000000000000000000000000000000000000";

struct World {
    lab: Lab,
    nas: Arc<TrueNas>,
    folder: tempfile::TempDir,
}

enum Socket {
    Tls(Box<WebSocketStream<tokio_rustls::client::TlsStream<TcpStream>>>),
    Plain(Box<WebSocketStream<TcpStream>>),
}

struct Client {
    socket: Socket,
    last: i64,
}

impl World {
    async fn at(folder: tempfile::TempDir) -> World {
        let lab = Lab::open(folder.path(), Settings::default()).unwrap();
        let mut options = Options::default();
        options.keys.push(ApiKey {
            username: "reader".into(),
            key: Secret("2-reader".into()),
            roles: vec!["READONLY_ADMIN".into()],
        });
        let nas = stead_lab_truenas::start(&lab, options).await.unwrap();
        World { lab, nas, folder }
    }

    async fn new() -> World {
        World::at(tempfile::tempdir().unwrap()).await
    }

    async fn restart(self) -> World {
        self.lab.stop().await;
        World::at(self.folder).await
    }

    async fn open(&self) -> Client {
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(self.lab.authority.pem().as_bytes()).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tcp = self.lab.network.connect("10.25.150.20", 443).await.unwrap();
        let tls = tokio_rustls::TlsConnector::from(Arc::new(config))
            .connect(ServerName::try_from("truenas.lab").unwrap(), tcp)
            .await
            .unwrap();
        let (socket, _) = client_async("wss://truenas.lab/api/current", tls)
            .await
            .unwrap();
        Client {
            socket: Socket::Tls(Box::new(socket)),
            last: 0,
        }
    }

    async fn plain(&self) -> Client {
        let tcp = self.lab.network.connect("truenas.lab", 80).await.unwrap();
        let (socket, _) = client_async("ws://truenas.lab/api/v25.10.5", tcp)
            .await
            .unwrap();
        Client {
            socket: Socket::Plain(Box::new(socket)),
            last: 0,
        }
    }

    async fn login(&self) -> Client {
        let mut client = self.open().await;
        let login =
            json!([{"mechanism": "API_KEY_PLAIN", "username": "truenas_admin", "api_key": KEY}]);
        assert_eq!(
            client.ok("auth.login_ex", login).await["response_type"],
            "SUCCESS"
        );
        client
    }
}

impl Client {
    async fn send(&mut self, text: String) {
        match &mut self.socket {
            Socket::Tls(s) => s.send(Message::text(text)).await.unwrap(),
            Socket::Plain(s) => s.send(Message::text(text)).await.unwrap(),
        }
    }

    async fn next(&mut self) -> Message {
        let frame = match &mut self.socket {
            Socket::Tls(s) => s.next().await,
            Socket::Plain(s) => s.next().await,
        };
        frame.unwrap().unwrap()
    }

    async fn receive(&mut self) -> Value {
        serde_json::from_str(self.next().await.to_text().unwrap()).unwrap()
    }

    /// The answer to one call; events in between are dropped.
    async fn call(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        self.send(
            json!({"jsonrpc": "2.0", "id": self.last, "method": method, "params": params})
                .to_string(),
        )
        .await;
        loop {
            let answer = self.receive().await;
            if answer["id"] == json!(self.last) {
                return answer;
            }
        }
    }

    async fn ok(&mut self, method: &str, params: Value) -> Value {
        let answer = self.call(method, params).await;
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    async fn error(&mut self, method: &str, params: Value) -> Value {
        let answer = self.call(method, params).await;
        assert!(answer.get("result").is_none(), "{method}: {answer}");
        answer["error"].clone()
    }
}

#[tokio::test]
async fn nothing_but_login_works_before_login() {
    let world = World::new().await;
    let mut client = world.open().await;
    assert_eq!(client.ok("core.ping", json!([])).await, "pong");
    let refused = client.error("pool.query", json!([])).await;
    assert_eq!(
        (&refused["code"], &refused["data"]["error"]),
        (&json!(-32001), &json!(207))
    );
    let wrong = json!([{"mechanism": "API_KEY_PLAIN", "username": "truenas_admin", "api_key": "1-nonsense"}]);
    assert_eq!(
        client.ok("auth.login_ex", wrong).await,
        json!({"response_type": "AUTH_ERR"})
    );
    let unknown = client
        .error("auth.login_ex", json!([{"mechanism": "SCRAM"}]))
        .await;
    assert_eq!(unknown["code"], -32602);
    assert_eq!(
        client.error("no.such_method", json!([])).await["code"],
        -32601
    );
    assert_eq!(
        client.ok("auth.login_with_api_key", json!([KEY])).await,
        true
    );
    assert_eq!(
        client.ok("auth.me", json!([])).await["pw_name"],
        "truenas_admin"
    );
    assert_eq!(
        client.ok("system.version_short", json!([])).await,
        "25.10.6"
    );
}

#[tokio::test]
async fn frames_are_checked() {
    let world = World::new().await;
    let mut client = world.open().await;
    client.send("{nonsense".into()).await;
    assert_eq!(client.receive().await["error"]["code"], -32700);
    client.send("[{\"jsonrpc\":\"2.0\"}]".into()).await;
    assert_eq!(client.receive().await["error"]["code"], -32600);
    client
        .send(json!({"jsonrpc": "2.0", "id": 1, "method": "core.ping", "params": {}}).to_string())
        .await;
    assert_eq!(client.receive().await["error"]["code"], -32600);
    client
        .send(format!(
            "{{\"jsonrpc\":\"2.0\",\"method\":\"{}\"}}",
            "x".repeat(9000)
        ))
        .await;
    let Message::Close(Some(frame)) = client.next().await else {
        panic!("not closed")
    };
    assert_eq!(u16::from(frame.code), 1007);
}

#[tokio::test]
async fn a_key_sent_in_the_clear_is_revoked() {
    let world = World::new().await;
    let mut plain = world.plain().await;
    let login =
        json!([{"mechanism": "API_KEY_PLAIN", "username": "truenas_admin", "api_key": KEY}]);
    assert_eq!(
        plain.ok("auth.login_ex", login.clone()).await["response_type"],
        "EXPIRED"
    );
    let world = world.restart().await;
    let mut client = world.open().await;
    assert_eq!(
        client.ok("auth.login_ex", login).await["response_type"],
        "EXPIRED"
    );
}

#[tokio::test]
async fn datasets_live_inherit_and_survive() {
    let world = World::new().await;
    let mut client = world.login().await;
    let made = client.ok("pool.dataset.create", json!([{"name": "tank/k8s", "comments": "for csi", "compression": "ZSTD", "quota": 10_737_418_240_i64}])).await;
    assert_eq!(made["mountpoint"], "/mnt/tank/k8s");
    assert_eq!(
        made["compression"],
        json!({"parsed": "zstd", "rawvalue": "zstd", "value": "ZSTD", "source": "LOCAL", "source_info": null})
    );
    assert_eq!(made["quota"]["parsed"], 10_737_418_240_i64);
    let child = client
        .ok(
            "pool.dataset.create",
            json!([{"name": "tank/k8s/a", "share_type": "NFS"}]),
        )
        .await;
    assert_eq!(
        (
            &child["compression"]["source"],
            &child["compression"]["source_info"]
        ),
        (&json!("INHERITED"), &json!("tank/k8s"))
    );
    assert_eq!(
        (
            &child["acltype"]["value"],
            &child["aclmode"]["value"],
            &child["atime"]["parsed"]
        ),
        (&json!("NFSV4"), &json!("PASSTHROUGH"), &json!(false))
    );
    assert_eq!(child["comments"]["source"], "INHERITED");
    let refused = client
        .error("pool.dataset.create", json!([{"name": "tank/x/y"}]))
        .await;
    assert_eq!(
        (&refused["code"], &refused["data"]["extra"][0][0]),
        (&json!(-32602), &json!("pool_dataset_create.name"))
    );
    let refused = client
        .error(
            "pool.dataset.create",
            json!([{"name": "tank/x", "colour": "blue"}]),
        )
        .await;
    assert_eq!(
        refused["data"]["extra"][0],
        json!([
            "data.PoolDatasetCreateFilesystem.colour",
            "Extra inputs are not permitted",
            22
        ])
    );
    assert_eq!(
        client
            .error(
                "pool.dataset.create",
                json!([{"name": "tank/e", "encryption": true, "inherit_encryption": false}])
            )
            .await["data"]["errname"],
        "EOPNOTSUPP"
    );
    let changed = client
        .ok(
            "pool.dataset.update",
            json!(["tank/k8s/a", {"compression": "LZ4", "quota": null}]),
        )
        .await;
    assert_eq!(
        (
            &changed["compression"]["source"],
            &changed["quota"]["value"]
        ),
        (&json!("LOCAL"), &Value::Null)
    );
    let back = client
        .ok(
            "pool.dataset.update",
            json!(["tank/k8s/a", {"compression": "INHERIT"}]),
        )
        .await;
    assert_eq!(back["compression"]["source"], "INHERITED");
    assert_eq!(
        client
            .error("pool.dataset.delete", json!(["tank/k8s"]))
            .await["data"]["errname"],
        "ENOTEMPTY"
    );

    let world = world.restart().await;
    let mut client = world.login().await;
    let ids = client
        .ok(
            "pool.dataset.query",
            json!([[["id", "^", "tank/"]], {"select": ["id"], "order_by": ["id"]}]),
        )
        .await;
    assert_eq!(ids, json!([{"id": "tank/k8s"}, {"id": "tank/k8s/a"}]));
    let missing = client
        .error("pool.dataset.get_instance", json!(["tank/none"]))
        .await;
    assert_eq!(
        (&missing["code"], &missing["data"]["extra"][0]),
        (
            &json!(-32602),
            &json!([null, "PoolDataset tank/none does not exist", 2])
        )
    );
    let missing = client
        .error(
            "pool.dataset.query",
            json!([[["id", "=", "tank/none"]], {"get": true}]),
        )
        .await;
    assert_eq!(
        (&missing["code"], &missing["data"]["trace"]["class"]),
        (&json!(-32001), &json!("MatchNotFound"))
    );
    assert_eq!(
        client
            .ok(
                "pool.dataset.delete",
                json!(["tank/k8s", {"recursive": true}])
            )
            .await,
        true
    );
    assert!(world.nas.inventory().datasets.is_empty());
}

#[tokio::test]
async fn volumes_have_their_own_rules() {
    let world = World::new().await;
    let mut client = world.login().await;
    let refused = client
        .error(
            "pool.dataset.create",
            json!([{"name": "tank/v", "type": "VOLUME", "volsize": 1000}]),
        )
        .await;
    assert_eq!(
        refused["data"]["extra"][0][1],
        "Volume size should be a multiple of volume block size"
    );
    let made = client
        .ok(
            "pool.dataset.create",
            json!([{"name": "tank/v", "type": "VOLUME", "volsize": 1_073_741_824}]),
        )
        .await;
    assert_eq!(
        (
            &made["mountpoint"],
            &made["volsize"]["value"],
            &made["refreservation"]["parsed"]
        ),
        (&Value::Null, &json!("1G"), &json!(1_073_741_824))
    );
    let refused = client
        .error("pool.dataset.update", json!(["tank/v", {"atime": "ON"}]))
        .await;
    assert_eq!(
        refused["data"]["extra"][0],
        json!([
            "pool_dataset_update.atime",
            "This field is not valid for VOLUME",
            22
        ])
    );
    let refused = client
        .error(
            "pool.dataset.update",
            json!(["tank/v", {"volsize": 536_870_912}]),
        )
        .await;
    assert_eq!(
        refused["data"]["extra"][0][1],
        "You cannot shrink a zvol from GUI, this may lead to data loss."
    );
}

#[tokio::test]
async fn shares_need_their_path_and_go_with_their_dataset() {
    let world = World::new().await;
    let mut client = world.login().await;
    let refused = client
        .error("sharing.nfs.create", json!([{"path": "/mnt/tank/media"}]))
        .await;
    assert_eq!(refused["data"]["extra"][0][0], "sharingnfs_create.path");
    client
        .ok("pool.dataset.create", json!([{"name": "tank/media"}]))
        .await;
    let share = client.ok("sharing.nfs.create", json!([{"path": "/mnt/tank/media", "networks": ["10.25.150.0/24"], "maproot_user": "root"}])).await;
    assert_eq!(
        (&share["id"], &share["enabled"], &share["locked"]),
        (&json!(1), &json!(true), &json!(false))
    );
    let refused = client
        .error("sharing.nfs.update", json!([1, {"mapall_user": "nobody"}]))
        .await;
    assert_eq!(
        refused["data"]["extra"][0],
        json!([
            "sharingnfs_update.mapall_user",
            "maproot_user disqualifies mapall_user",
            22
        ])
    );
    let again = client
        .error(
            "sharing.nfs.create",
            json!([{"path": "/mnt/tank/media", "networks": ["10.25.150.0/24"]}]),
        )
        .await;
    assert!(
        again["data"]["extra"][0][1]
            .as_str()
            .unwrap()
            .contains("already exports"),
        "{again}"
    );
    client
        .ok("pool.dataset.delete", json!(["tank/media"]))
        .await;
    assert_eq!(
        client
            .ok("sharing.nfs.query", json!([[], {"count": true}]))
            .await,
        0
    );
    assert_eq!(
        client.error("sharing.nfs.delete", json!([1])).await["data"]["extra"][0][2],
        2
    );
}

#[tokio::test]
async fn jobs_run_and_can_be_followed() {
    let world = World::new().await;
    let mut client = world.login().await;
    client
        .ok("pool.dataset.create", json!([{"name": "tank/p"}]))
        .await;
    client.ok("core.subscribe", json!(["core.get_jobs"])).await;
    let id = client
        .ok(
            "filesystem.setperm",
            json!([{"path": "/mnt/tank/p", "mode": "750", "user": "apps", "group": "apps"}]),
        )
        .await;
    let mut states = Vec::new();
    // Some of the job's events may have come before the answer; its last one comes in any case.
    while states.last() != Some(&json!("SUCCESS")) {
        let event = client.receive().await;
        if event["params"]["id"] == id {
            states.push(event["params"]["fields"]["state"].clone());
        }
    }
    let stat = client.ok("filesystem.stat", json!(["/mnt/tank/p"])).await;
    assert_eq!(
        (
            &stat["uid"],
            &stat["user"],
            stat["mode"].as_i64().unwrap() & 0o777
        ),
        (&json!(568), &json!("apps"), 0o750)
    );
    let bad = client
        .ok(
            "filesystem.setperm",
            json!([{"path": "/etc", "mode": "750"}]),
        )
        .await;
    client
        .ok("core.set_options", json!([{"legacy_jobs": false}]))
        .await;
    let failed = client.error("core.job_wait", json!([bad])).await;
    assert_eq!(failed["data"]["extra"][0][0], "filesystem.setperm.path");
    let job = client
        .ok("core.get_jobs", json!([[["id", "=", bad]], {"get": true}]))
        .await;
    assert_eq!(
        (&job["state"], &job["exc_info"]["type"]),
        (&json!("FAILED"), &json!("VALIDATION"))
    );
    assert_eq!(
        client.ok("service.control", json!(["START", "nfs"])).await,
        true
    );
    assert_eq!(
        client
            .ok(
                "service.query",
                json!([[["service", "=", "nfs"]], {"get": true}])
            )
            .await["state"],
        "RUNNING"
    );
    let bulk = client
        .ok(
            "core.bulk",
            json!(["pool.dataset.create", [[{"name": "tank/b1"}], [{"name": "nowhere/b2"}]]]),
        )
        .await;
    assert_eq!(bulk[0]["error"], Value::Null);
    assert!(
        bulk[1]["error"]
            .as_str()
            .unwrap()
            .contains("Please specify a pool"),
        "{bulk}"
    );
    assert_eq!(
        client
            .error("service.control", json!(["START", "nothing"]))
            .await["data"]["errname"],
        "ENOENT"
    );
}

#[tokio::test]
async fn rights_and_gaps_are_named() {
    let world = World::new().await;
    let mut client = world.open().await;
    let login = json!([{"mechanism": "API_KEY_PLAIN", "username": "reader", "api_key": "2-reader", "login_options": {"user_info": false}}]);
    assert_eq!(
        client.ok("auth.login_ex", login).await["user_info"],
        Value::Null
    );
    assert_eq!(
        client
            .ok(
                "pool.query",
                json!([[["name", "=", "tank"]], {"get": true}])
            )
            .await["healthy"],
        true
    );
    assert_eq!(
        client
            .error("pool.dataset.create", json!([{"name": "tank/a"}]))
            .await["data"]["errname"],
        "EACCES"
    );
    let gap = world
        .login()
        .await
        .error("pool.scrub.query", json!([]))
        .await;
    assert_eq!(
        (&gap["data"]["errname"], &gap["data"]["reason"]),
        (
            &json!("EOPNOTSUPP"),
            &json!("[EOPNOTSUPP] the lab does not simulate pool.scrub.query")
        )
    );
}
