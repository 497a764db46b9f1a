//! `talos_etcd_snapshot` in a bucket of S3.

use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};
use stead_sdk::testing::Stored;
use stead_sdk::{Dialer, Environment};

use super::bucket::{FakeBucket, Fault, KEY, SECRET};
use super::node::FakeNode;
use super::{Talos, administrator, first, secrets};
use crate::Snapshots;
use crate::machinery::SecretsBundle;

const SNAPSHOT: &str = "talos_etcd_snapshot";

/// So many blocks with etcd's checksum behind them.
fn database(fill: u8, blocks: usize) -> Vec<u8> {
    let mut bytes = vec![fill; blocks * 512];
    bytes.extend_from_slice(&Sha256::digest(&bytes));
    bytes
}

fn dialer(secret: &str) -> Dialer {
    let variables = [
        ("AWS_ACCESS_KEY_ID", KEY),
        ("AWS_SECRET_ACCESS_KEY", secret),
        ("AWS_REGION", "eu-west-1"),
    ];
    Dialer::new(Environment::from_iter(variables)).unwrap()
}

/// A node, a bucket and the provider.
struct Site {
    secrets: SecretsBundle,
    talos: Talos,
    node: FakeNode,
    bucket: FakeBucket,
}

impl Site {
    async fn new() -> Site {
        let secrets = secrets();
        let node = FakeNode::configured(&secrets, "version: v1alpha1\n").await;
        node.inside().snapshot = database(1, 8);
        Site {
            talos: Talos::over(&dialer(SECRET), json!({})).await,
            bucket: FakeBucket::start().await,
            secrets,
            node,
        }
    }

    fn config(&self, s3: Json, more: Json) -> Json {
        let mut block = json!({
            "bucket": "backups", "prefix": "home/", "endpoint": format!("http://{}", self.bucket.address),
        });
        let mut config = json!({
            "node": "127.0.0.1",
            "endpoint": self.node.address.to_string(),
            "client_configuration": administrator(&self.secrets),
            "timeouts": { "create": "60s", "update": "60s" },
        });
        for (into, from) in [(&mut block, s3), (&mut config, more)] {
            into.as_object_mut()
                .unwrap()
                .extend(from.as_object().unwrap().clone());
        }
        config["s3"] = block;
        config
    }

    async fn take(&self) -> Stored {
        let wanted = self.config(json!({}), json!({}));
        let taken = self.talos.harness.apply(SNAPSHOT, None, wanted).await;
        taken.unwrap_or_else(|e| panic!("{:?}", e.diagnostics))
    }

    async fn refused(&self, s3: Json) -> String {
        let wanted = self.config(s3, json!({}));
        let refused = self.talos.harness.apply(SNAPSHOT, None, wanted).await;
        let refused = refused.unwrap_err();
        let told = first(&refused.diagnostics);
        format!("{}: {}", told.summary, told.detail)
    }
}

fn attributes(stored: &Stored) -> Json {
    stead_sdk::value::json::to_json(&stored.value, &stored.value.ty()).unwrap()
}

/// Files of ours in the folder for temporary ones that can be read by others, or that hold this.
fn left_over(content: &[u8]) -> bool {
    let entries = std::fs::read_dir(std::env::temp_dir()).unwrap();
    entries
        .filter_map(|e| std::fs::read(e.ok()?.path()).ok())
        .any(|found| found == content)
}

#[tokio::test]
async fn snapshots_are_kept_in_a_bucket_and_the_last_of_them() {
    let site = Site::new().await;
    for old in ["20200101", "20200102", "20200103", "20200104"] {
        let key = format!("home/etcd-{old}T000000Z.snapshot");
        site.bucket.inside().objects.insert(key, vec![0; 10]);
    }
    for other in [
        "home/etcd-notes",
        "home/etcd2-20200101T000000Z.snapshot",
        "etcd",
    ] {
        site.bucket
            .inside()
            .objects
            .insert(other.to_owned(), vec![0; 10]);
    }
    let content = database(7, 9);
    site.node.inside().snapshot = content.clone();
    let wanted = site.config(json!({}), json!({ "keep": 2 }));
    let taken = site
        .talos
        .harness
        .apply(SNAPSHOT, None, wanted.clone())
        .await;
    let taken = taken.unwrap_or_else(|e| panic!("{:?}", e.diagnostics));
    let path = taken.text("path");
    let key = path.strip_prefix("s3://backups/").unwrap();
    assert_eq!(site.bucket.inside().objects[key], content);
    assert_eq!(
        site.bucket.keys(),
        [
            "etcd",
            "home/etcd-20200104T000000Z.snapshot",
            key,
            "home/etcd-notes",
            "home/etcd2-20200101T000000Z.snapshot",
        ]
    );
    assert!(!left_over(&content));
    // Nothing of the credentials is in the state.
    let state = attributes(&taken).to_string();
    assert!(!state.contains(SECRET) && !state.contains(KEY), "{state}");

    let read = site
        .talos
        .harness
        .read(SNAPSHOT, &taken)
        .await
        .unwrap()
        .unwrap();
    let config = site.talos.harness.config(SNAPSHOT, wanted).unwrap();
    let plan = site
        .talos
        .harness
        .plan(SNAPSHOT, Some(&read), &config)
        .await;
    assert!(plan.unwrap().notes.is_empty());
    site.bucket.inside().objects.remove(key);
    let read = site
        .talos
        .harness
        .read(SNAPSHOT, &taken)
        .await
        .unwrap()
        .unwrap();
    let plan = site
        .talos
        .harness
        .plan(SNAPSHOT, Some(&read), &config)
        .await;
    let notes = plan.unwrap().notes;
    assert!(notes.iter().any(|n| n.contains("is gone")), "{notes:?}");
}

#[tokio::test]
async fn a_large_snapshot_goes_in_parts() {
    let site = Site::new().await;
    let content = database(3, (17 << 20) / 512);
    site.node.inside().snapshot = content.clone();
    // The end's answer is lost: the parts are gone by the second try, and the object is there.
    let faults = [("POST", Fault::Lost), ("POST", Fault::Lost)];
    site.bucket.inside().faults.extend(faults);
    let taken = site.take().await;
    let path = taken.text("path");
    let key = path.strip_prefix("s3://backups/").unwrap();
    assert!(site.bucket.inside().objects[key] == content);
    let asked = site.bucket.inside().asked.clone();
    let count = |text: &str| asked.iter().filter(|a| a.contains(text)).count();
    assert_eq!(count("PUT /backups/home/etcd-"), 2, "{asked:?}");
    assert_eq!(count("DELETE"), 0, "{asked:?}");
    // Parts of an upload that fails are taken away.
    let refused = [("PUT", Fault::Refused(403, "AccessDenied"))];
    site.bucket.inside().faults.extend(refused);
    let said = site.refused(json!({})).await;
    assert!(
        said.contains("AccessDenied") && said.contains("s3:PutObject"),
        "{said}"
    );
    let asked = site.bucket.inside().asked.clone();
    assert!(
        asked
            .iter()
            .any(|a| a.starts_with("DELETE") && a.contains("uploadId=")),
        "{asked:?}"
    );
}

#[tokio::test]
async fn lost_answers_are_asked_for_again() {
    let site = Site::new().await;
    let faults = [
        ("PUT", Fault::Lost),
        ("HEAD", Fault::Refused(503, "SlowDown")),
        ("GET", Fault::Lost),
    ];
    site.bucket.inside().faults.extend(faults);
    let taken = site.take().await;
    assert!(site.bucket.inside().faults.is_empty());
    assert_eq!(taken.attribute("size").as_i64(), Some(8 * 512 + 32));
    assert_eq!(site.bucket.keys().len(), 1);
}

#[tokio::test]
async fn what_the_bucket_damages_is_found_out_and_not_kept() {
    let site = Site::new().await;
    site.bucket
        .inside()
        .faults
        .push_back(("PUT", Fault::Damaged));
    let said = site.refused(json!({})).await;
    assert!(
        said.contains("does not fit the checksum") && said.contains("It was deleted again"),
        "{said}"
    );
    assert_eq!(site.bucket.keys(), Vec::<String>::new());
    assert!(!left_over(&database(1, 8)));
}

#[tokio::test]
async fn refusals_are_told_without_secrets() {
    let mut site = Site::new().await;
    let said = site.refused(json!({ "bucket": "nowhere" })).await;
    assert!(
        said.contains("S3 bucket \"nowhere\" does not exist") && said.contains("Create it first"),
        "{said}"
    );
    site.bucket
        .inside()
        .faults
        .push_back(("PUT", Fault::Refused(403, "AccessDenied")));
    let said = site.refused(json!({})).await;
    assert!(
        said.contains("AccessDenied") && said.contains("s3:PutObject"),
        "{said}"
    );
    site.talos = Talos::over(&dialer("not-the-secret"), json!({})).await;
    let said = site.refused(json!({})).await;
    assert!(
        said.contains("SignatureDoesNotMatch") && !said.contains("not-the-secret"),
        "{said}"
    );
}

#[tokio::test]
async fn what_is_wrong_with_the_place_is_told_by_the_plan() {
    let site = Site::new().await;
    let said = site.refused(json!({ "endpoint": "minio:9000" })).await;
    assert!(said.contains("no URL with a host"), "{said}");
    let both = site.config(json!({}), json!({ "directory": "/tmp/x" }));
    let refused = site.talos.harness.apply(SNAPSHOT, None, both).await;
    let refused = format!("{:?}", refused.unwrap_err().diagnostics);
    assert!(
        refused.contains("directory") && refused.contains("s3"),
        "{refused}"
    );
    let nowhere = Dialer::new(Environment::default()).unwrap();
    let talos = Talos::over(&nowhere, json!({})).await;
    let config = talos
        .harness
        .config(SNAPSHOT, site.config(json!({}), json!({})))
        .unwrap();
    let refused = talos
        .harness
        .plan(SNAPSHOT, None, &config)
        .await
        .unwrap_err();
    let detail = &first(&refused).detail;
    assert!(detail.contains("AWS_REGION"), "{detail}");
    assert!(site.bucket.inside().asked.is_empty());
}

#[tokio::test]
async fn a_bucket_that_cannot_be_looked_at_is_in_nobodys_way() {
    let site = Site::new().await;
    let taken = site.take().await;
    let refused = ("HEAD", Fault::Refused(403, "AccessDenied"));
    site.bucket.inside().faults.push_back(refused);
    let read = site.talos.harness.read(SNAPSHOT, &taken).await;
    assert_eq!(read.unwrap().unwrap().value, taken.value);
    assert!(site.bucket.inside().faults.is_empty());
}

#[tokio::test]
async fn prefixes_that_are_no_names_are_refused() {
    let site = Site::new().await;
    for prefix in ["/home/", "home//", "../", "a/./b"] {
        let said = site.refused(json!({ "prefix": prefix })).await;
        assert!(said.contains("Invalid prefix"), "{prefix}: {said}");
    }
    let wanted = site.config(json!({}), json!({ "prefix": "home/etcd" }));
    let refused = site.talos.harness.apply(SNAPSHOT, None, wanted).await;
    let refused = refused.unwrap_err();
    assert!(first(&refused.diagnostics).detail.contains("a slash"));
    assert!(site.bucket.inside().asked.is_empty());
}

#[tokio::test]
async fn a_destruction_keeps_the_snapshots_and_says_so() {
    let site = Site::new().await;
    let taken = site.take().await;
    let warned = site.talos.harness.delete_warned(SNAPSHOT, &taken).await;
    let warning = first(&warned.unwrap()).clone();
    assert!(
        warning.summary.contains("s3://backups/home are kept"),
        "{warning:?}"
    );
    assert_eq!(site.bucket.keys().len(), 1);
    // A bucket that does not answer stops no destruction.
    let refused = ("GET", Fault::Refused(403, "AccessDenied"));
    site.bucket.inside().faults.push_back(refused);
    let warned = site.talos.harness.delete_warned(SNAPSHOT, &taken).await;
    let warning = first(&warned.unwrap()).clone();
    assert!(warning.detail.contains("AccessDenied"), "{warning:?}");
}

#[tokio::test]
async fn recovery_begins_with_the_newest_in_the_bucket() {
    let site = Site::new().await;
    let taken = site.take().await;
    let dialer = dialer(SECRET);
    let snapshots = Snapshots::of(&attributes(&taken)).unwrap();
    let newest = snapshots.newest(&dialer).await.unwrap();
    assert_eq!(newest.address, taken.text("path"));
    assert_eq!(newest.recorded, None);
    let path = newest.path().to_owned();
    assert_eq!(std::fs::read(&path).unwrap(), database(1, 8));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "it holds all secrets");
    }
    drop(newest);
    assert!(!path.exists());

    // One that is newer than the state counts, and is told of.
    let newer = "home/etcd-29991231T235959Z.snapshot".to_owned();
    site.bucket.inside().objects.insert(newer, database(5, 8));
    let newest = snapshots.newest(&dialer).await.unwrap();
    assert!(newest.address.ends_with("29991231T235959Z.snapshot"));
    assert_eq!(newest.recorded, Some(taken.text("path")));
    assert_eq!(std::fs::read(newest.path()).unwrap(), database(5, 8));

    // A damaged one is not taken for a whole one, nor is the recorded one once it is another.
    let newer = "home/etcd-29991231T235959Z.snapshot";
    site.bucket
        .inside()
        .objects
        .insert(newer.to_owned(), vec![1; 4096]);
    let error = snapshots.newest(&dialer).await.unwrap_err().to_string();
    assert!(
        error.contains("29991231") && error.contains("no whole database"),
        "{error}"
    );
    site.bucket.inside().objects.remove(newer);
    let key = taken.text("path").replace("s3://backups/", "");
    site.bucket
        .inside()
        .objects
        .insert(key.clone(), database(9, 8));
    let error = snapshots.newest(&dialer).await.unwrap_err().to_string();
    assert!(error.contains("it was changed"), "{error}");
    site.bucket.inside().objects.remove(&key);
    let error = snapshots.newest(&dialer).await.unwrap_err().to_string();
    assert!(error.contains("there is none"), "{error}");
}
