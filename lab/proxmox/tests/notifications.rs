//! Notification targets and matchers.

mod common;

use common::{Cluster, refused};
use serde_json::{Value, json};

const ROOT: &str = "/cluster/notifications";

#[tokio::test]
async fn endpoints_and_matchers_are_created_changed_and_deleted() {
    let cluster = Cluster::new().await;
    let endpoints = format!("{ROOT}/endpoints");
    let gotify = "name=phone&server=https%3A%2F%2Fgotify.home.arpa&token=s3cret-token";
    cluster
        .root("POST", &format!("{endpoints}/gotify"), gotify)
        .await
        .data();
    let smtp = "name=mail&server=smtp.home.arpa&from-address=pve@home.arpa&mailto=a@home.arpa&mailto=b@home.arpa\
                &username=u&password=s3cret-pass&port=465";
    cluster
        .root("POST", &format!("{endpoints}/smtp"), smtp)
        .await
        .data();
    let webhook = "name=hook&url=https%3A%2F%2Fhook&method=post&header=name%3DX-A,value%3DYQ%3D%3D&secret=name%3Dkey,value%3DczNjcmV0";
    cluster
        .root("POST", &format!("{endpoints}/webhook"), webhook)
        .await
        .data();
    let matcher = "name=backups&target=phone&target=mail&match-field=exact:type%3Dvzdump&match-severity=error&mode=any";
    cluster
        .root("POST", &format!("{ROOT}/matchers"), matcher)
        .await
        .data();
    let cluster = cluster.restarted().await;

    let read = cluster
        .root("GET", &format!("{endpoints}/smtp/mail"), "")
        .await
        .data();
    assert_eq!(
        (&read["mailto"], &read["port"], &read["origin"]),
        (
            &json!(["a@home.arpa", "b@home.arpa"]),
            &json!(465),
            &json!("user-created")
        )
    );
    let hook = cluster
        .root("GET", &format!("{endpoints}/webhook/hook"), "")
        .await
        .data();
    assert_eq!(hook["secret"], json!(["name=key"]));
    let phone = cluster
        .root("GET", &format!("{endpoints}/gotify"), "")
        .await
        .data();
    let all = format!("{read}{hook}{phone}");
    assert!(
        !all.contains("s3cret") && !all.contains("czNjcmV0"),
        "{all}"
    );
    let read = cluster
        .root("GET", &format!("{ROOT}/matchers/backups"), "")
        .await
        .data();
    assert_eq!(
        (&read["target"], &read["match-field"], &read["mode"]),
        (
            &json!(["phone", "mail"]),
            &json!(["exact:type=vzdump"]),
            &json!("any")
        )
    );
    let targets = cluster
        .root("GET", &format!("{ROOT}/targets"), "")
        .await
        .data();
    let names: Vec<&Value> = targets
        .as_array()
        .unwrap()
        .iter()
        .map(|t| &t["name"])
        .collect();
    assert_eq!(names, ["hook", "mail", "mail-to-root", "phone"]);

    let change = "target=phone&delete=match-field&delete=match-severity&invert-match=1";
    cluster
        .root("PUT", &format!("{ROOT}/matchers/backups"), change)
        .await
        .data();
    let read = cluster
        .root("GET", &format!("{ROOT}/matchers/backups"), "")
        .await
        .data();
    assert_eq!(
        (
            &read["target"],
            read.get("match-field"),
            &read["invert-match"]
        ),
        (&json!(["phone"]), None, &json!(1))
    );
    let cases = [
        (
            "POST",
            "endpoints/gotify",
            gotify,
            400,
            "Cannot create 'phone', an entity with the same name already exists",
        ),
        (
            "POST",
            "endpoints/sendmail",
            "name=phone&mailto=x@y.z",
            400,
            "Cannot create 'phone', an entity with the same name already exists",
        ),
        (
            "POST",
            "endpoints/sendmail",
            "name=nobody",
            400,
            "must at least provide one recipient, either in mailto or in mailto-user",
        ),
        (
            "POST",
            "matchers",
            "name=m2&target=none",
            404,
            "endpoint 'none' does not exist",
        ),
        (
            "GET",
            "endpoints/smtp/phone",
            "",
            404,
            "endpoint 'phone' not found",
        ),
        ("GET", "matchers/none", "", 404, "matcher 'none' not found"),
        (
            "DELETE",
            "endpoints/gotify/phone",
            "",
            400,
            "cannot delete 'phone', referenced by: backups",
        ),
        (
            "POST",
            "targets/phone/test",
            "",
            500,
            "could not notify via endpoint(s): phone: could not connect to 'https://gotify.home.arpa'",
        ),
    ];
    for (verb, path, form, status, text) in cases {
        let answer = cluster.root(verb, &format!("{ROOT}/{path}"), form).await;
        assert_eq!(refused(answer), (status, text.to_owned()), "{path} {form}");
    }
    cluster
        .root("POST", &format!("{ROOT}/targets/mail-to-root/test"), "")
        .await
        .data();
    cluster
        .root("DELETE", &format!("{ROOT}/matchers/backups"), "")
        .await
        .data();
    cluster
        .root("DELETE", &format!("{endpoints}/gotify/phone"), "")
        .await
        .data();
    assert_eq!(
        cluster
            .root("GET", &format!("{endpoints}/gotify"), "")
            .await
            .data(),
        json!([])
    );
}

#[tokio::test]
async fn what_is_built_in_comes_back() {
    let cluster = Cluster::new().await;
    let matcher = format!("{ROOT}/matchers/default-matcher");
    let origin = || async { cluster.root("GET", &matcher, "").await.data()["origin"].clone() };
    assert_eq!(origin().await, "builtin");
    cluster.root("PUT", &matcher, "comment=mine").await.data();
    assert_eq!(origin().await, "modified-builtin");
    cluster.root("DELETE", &matcher, "").await.data();
    assert_eq!(origin().await, "builtin");
}
