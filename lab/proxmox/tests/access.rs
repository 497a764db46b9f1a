//! Users, groups, roles, tokens, realms, and what the access-control list makes of them.

mod common;

use axum::body::Bytes;
use axum::http::Request;
use common::{Answer, Cluster};
use serde_json::{Value, json};

/// Calls as root's token; `Err` is the status and the reason.
async fn call(cluster: &Cluster, verb: &str, path: &str, form: &str) -> Result<Value, String> {
    shown(cluster.root(verb, path, form).await)
}

fn shown(answer: Answer) -> Result<Value, String> {
    match answer.status {
        200 => Ok(answer.body["data"].clone()),
        400 => Err(format!("400 {}", answer.body["errors"])),
        status => Err(format!("{status} {}", answer.reason)),
    }
}

/// A token without separation of a new user; gives what it sends.
async fn token_of(cluster: &Cluster, user: &str) -> String {
    let path = format!("/access/users/{}", user.replace('@', "%40"));
    let form = format!("userid={user}");
    call(cluster, "POST", "/access/users", &form).await.unwrap();
    let path = format!("{path}/token/tok");
    let token = call(cluster, "POST", &path, "privsep=0").await.unwrap();
    format!(
        "PVEAPIToken={user}!tok={}",
        token["value"].as_str().unwrap()
    )
}

async fn login(cluster: &Cluster, user: &str, password: &str) -> Result<Value, String> {
    let form = format!("username={user}&password={password}");
    shown(cluster.call("", "POST", "/access/ticket", &form).await)
}

#[tokio::test]
async fn a_user_is_created_changed_and_deleted() {
    let cluster = Cluster::new().await;
    call(
        &cluster,
        "POST",
        "/access/groups",
        "groupid=ops&comment=Operators",
    )
    .await
    .unwrap();
    let form = "userid=alice@pve&firstname=Alice&email=a@example.org&groups=ops&password=secret-one&expire=4102444800";
    call(&cluster, "POST", "/access/users", form).await.unwrap();
    let path = "/access/users/alice@pve";
    let read = call(&cluster, "GET", path, "").await.unwrap();
    assert_eq!(
        read,
        json!({ "enable": 1, "expire": 4_102_444_800_u64, "firstname": "Alice", "email": "a@example.org", "groups": ["ops"] })
    );
    let change = "comment=on+call&groups=&enable=0";
    call(&cluster, "PUT", path, change).await.unwrap();
    let read = call(&cluster, "GET", path, "").await.unwrap();
    assert_eq!(
        (&read["comment"], &read["groups"], &read["enable"]),
        (&json!("on call"), &json!([]), &json!(0))
    );
    let enabled = call(&cluster, "GET", "/access/users", "enabled=1&full=1").await;
    assert!(!enabled.unwrap().to_string().contains("alice"));
    assert!(login(&cluster, "alice@pve", "secret-one").await.is_err());
    call(&cluster, "PUT", path, "enable=1&groups=ops&append=1")
        .await
        .unwrap();
    let cluster = cluster.restarted().await;
    assert!(login(&cluster, "alice@pve", "secret-one").await.is_ok());
    let group = call(&cluster, "GET", "/access/groups/ops", "")
        .await
        .unwrap();
    assert_eq!(
        group,
        json!({ "comment": "Operators", "members": ["alice@pve"] })
    );
    call(&cluster, "DELETE", path, "").await.unwrap();
    let group = call(&cluster, "GET", "/access/groups/ops", "")
        .await
        .unwrap();
    assert_eq!(group["members"], json!([]));
}

#[tokio::test]
async fn what_cannot_be_is_refused_in_pve_s_words() {
    let cluster = Cluster::new().await;
    call(&cluster, "POST", "/access/users", "userid=bob@pve")
        .await
        .unwrap();
    let cases = [
        (
            "POST /access/users",
            "userid=bob@pve",
            "500 create user failed: user 'bob@pve' already exists",
        ),
        (
            "POST /access/users",
            "userid=eve@pve&groups=none",
            "500 create user failed: no such group 'none'",
        ),
        (
            "POST /access/users",
            "userid=eve@pam&password=long-enough",
            "500 create user failed: change password failed: user 'eve' does not exist",
        ),
        (
            "POST /access/users",
            "userid=eve@nowhere&password=long-enough",
            "500 create user failed: auth domain 'nowhere' does not exist",
        ),
        (
            "GET /access/users/eve@pve",
            "",
            "500 no such user ('eve@pve')",
        ),
        (
            "PUT /access/users/eve@pve",
            "",
            "500 no such user ('eve@pve')",
        ),
        (
            "GET /access/groups/none",
            "",
            "500 group 'none' does not exist",
        ),
        (
            "DELETE /access/groups/none",
            "",
            "500 delete group failed: group 'none' does not exist",
        ),
        (
            "PUT /access/roles/PVEAdmin",
            "privs=VM.Audit",
            "500 auto-generated role 'PVEAdmin' cannot be modified",
        ),
        (
            "DELETE /access/roles/none",
            "",
            "500 delete role failed: role 'none' does not exist",
        ),
        (
            "POST /access/roles",
            "roleid=pveOwn",
            r#"400 {"roleid":"cannot use role ID starting with the (case-insensitive) 'PVE' namespace"}"#,
        ),
        (
            "POST /access/roles",
            "roleid=own&privs=VM.Fly",
            "500 create role failed: invalid privilege 'VM.Fly'",
        ),
        (
            "PUT /access/acl",
            "path=/vms/9&roles=PVEAdmin&users=bob@pve",
            r#"400 {"path":"invalid ACL path '/vms/9'"}"#,
        ),
        (
            "PUT /access/acl",
            "path=/&roles=none&users=bob@pve",
            "500 ACL update failed: role 'none' does not exist",
        ),
        (
            "PUT /access/acl",
            "path=/&roles=PVEAdmin&tokens=bob@pve!tok",
            "500 ACL update failed: no such token 'tok' for user 'bob@pve'",
        ),
        (
            "PUT /access/password",
            "userid=bob@pve&password=new-password",
            "403 Permission check failed (URI '/access/password' not available with API token, need proper ticket.)",
        ),
        (
            "GET /access/tfa/bob@pve/totp-1",
            "",
            "404 No such tfa entry 'totp-1'",
        ),
    ];
    for (method, form, text) in cases {
        let (verb, path) = method.split_once(' ').unwrap();
        let answer = call(&cluster, verb, path, form).await;
        assert_eq!(answer.unwrap_err(), text, "{method} {form}");
    }
}

#[tokio::test]
async fn a_role_is_created_extended_and_forgotten_with_its_entries() {
    let cluster = Cluster::new().await;
    let role = "/access/roles/reader";
    call(
        &cluster,
        "POST",
        "/access/roles",
        "roleid=reader&privs=VM.Audit",
    )
    .await
    .unwrap();
    call(&cluster, "PUT", role, "privs=Sys.Audit&append=1")
        .await
        .unwrap();
    let read = call(&cluster, "GET", role, "").await.unwrap();
    assert_eq!(read, json!({ "Sys.Audit": 1, "VM.Audit": 1 }));
    call(&cluster, "PUT", role, "privs=Sys.Audit")
        .await
        .unwrap();
    let read = call(&cluster, "GET", role, "").await.unwrap();
    assert_eq!(read, json!({ "Sys.Audit": 1 }));
    let grant = "path=/&roles=reader&users=terraform@pve";
    call(&cluster, "PUT", "/access/acl", grant).await.unwrap();
    call(&cluster, "DELETE", role, "").await.unwrap();
    let acl = call(&cluster, "GET", "/access/acl", "").await.unwrap();
    assert!(!acl.to_string().contains("reader"), "{acl}");
}

#[tokio::test]
async fn a_token_is_changed_and_its_secret_made_anew() {
    let cluster = Cluster::new().await;
    let old = token_of(&cluster, "carol@pve").await;
    let path = "/access/users/carol@pve/token/tok";
    let changed = call(
        &cluster,
        "PUT",
        path,
        "comment=ci&expire=4102444800&regenerate=1",
    )
    .await
    .unwrap();
    assert_eq!(changed["full-tokenid"], "carol@pve!tok");
    let answer = cluster.call(&old, "GET", "/version", "").await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (401, "invalid token value!")
    );
    let new = format!(
        "PVEAPIToken=carol@pve!tok={}",
        changed["value"].as_str().unwrap()
    );
    assert_eq!(cluster.call(&new, "GET", "/version", "").await.status, 200);
    call(&cluster, "PUT", path, "delete=comment&expire=1")
        .await
        .unwrap();
    let read = call(&cluster, "GET", path, "").await.unwrap();
    assert_eq!(read, json!({ "privsep": 0, "expire": 1 }));
    let expired = cluster.call(&new, "GET", "/version", "").await;
    assert_eq!(expired.reason, "token 'tok' access expired");
    assert_eq!(
        call(&cluster, "PUT", path, "delete=privsep")
            .await
            .unwrap_err(),
        r#"400 {"delete":"unknown option 'privsep'"}"#
    );
    call(&cluster, "PUT", "/access/users/carol@pve", "expire=1")
        .await
        .unwrap();
    let expired = cluster.call(&new, "GET", "/version", "").await;
    assert_eq!(expired.reason, "user 'carol@pve' access expired");
}

#[tokio::test]
async fn groups_grant_unless_the_user_has_an_entry_of_their_own() {
    let cluster = Cluster::new().await;
    let dave = token_of(&cluster, "dave@pve").await;
    call(&cluster, "POST", "/access/groups", "groupid=readers")
        .await
        .unwrap();
    call(&cluster, "PUT", "/access/users/dave@pve", "groups=readers")
        .await
        .unwrap();
    let grant = "path=/&roles=PVEAuditor&groups=readers";
    call(&cluster, "PUT", "/access/acl", grant).await.unwrap();
    let status = || cluster.call(&dave, "GET", "/nodes/abel/status", "");
    assert_eq!(status().await.status, 200);
    let nothing = "path=/&roles=NoAccess&users=dave@pve";
    call(&cluster, "PUT", "/access/acl", nothing).await.unwrap();
    assert_eq!(status().await.status, 403);
    let acl = call(&cluster, "GET", "/access/acl", "").await.unwrap();
    let rows = acl.as_array().unwrap();
    assert!(rows.contains(
        &json!({ "path": "/", "type": "group", "ugid": "readers", "roleid": "PVEAuditor", "propagate": 1 })
    ));
    call(
        &cluster,
        "PUT",
        "/access/acl",
        &format!("{nothing}&delete=1"),
    )
    .await
    .unwrap();
    assert_eq!(status().await.status, 200);
    call(&cluster, "DELETE", "/access/groups/readers", "")
        .await
        .unwrap();
    assert_eq!(status().await.status, 403);
}

#[tokio::test]
async fn who_manages_a_group_manages_its_users_only() {
    let cluster = Cluster::new().await;
    let lead = token_of(&cluster, "lead@pve").await;
    for group in ["hers", "others"] {
        let form = format!("groupid={group}");
        call(&cluster, "POST", "/access/groups", &form)
            .await
            .unwrap();
    }
    call(
        &cluster,
        "POST",
        "/access/users",
        "userid=out@pve&groups=others",
    )
    .await
    .unwrap();
    let grant = "path=/access/groups/hers&roles=PVEUserAdmin&users=lead@pve";
    call(&cluster, "PUT", "/access/acl", grant).await.unwrap();
    let realm = "path=/access/realm/pve&roles=PVEUserAdmin&users=lead@pve";
    call(&cluster, "PUT", "/access/acl", realm).await.unwrap();
    let hers = |verb, path, form| {
        let (cluster, lead) = (&cluster, &lead);
        async move { shown(cluster.call(lead, verb, path, form).await) }
    };
    let added = hers("POST", "/access/users", "userid=in@pve&groups=hers").await;
    assert_eq!(added, Ok(Value::Null));
    let elsewhere = hers("POST", "/access/users", "userid=x2@pve&groups=others").await;
    assert_eq!(
        elsewhere.unwrap_err(),
        "403 Permission check failed (/access/groups/others, User.Modify)"
    );
    let nowhere = hers("POST", "/access/users", "userid=x3@pve").await;
    assert_eq!(
        nowhere.unwrap_err(),
        "403 Permission check failed (/access/groups, User.Modify)"
    );
    let changed = hers("PUT", "/access/users/in@pve", "groups=hers&comment=new").await;
    assert_eq!(changed, Ok(Value::Null));
    let refused = hers("PUT", "/access/users/out@pve", "groups=hers").await;
    assert_eq!(refused.unwrap_err(), "403 Permission check failed");
    let unknown = hers("GET", "/access/users/nobody@pve", "").await;
    assert_eq!(unknown.unwrap_err(), "500 no such user ('nobody@pve')");
    let seen = hers("GET", "/access/users", "").await.unwrap();
    let seen: Vec<&Value> = seen
        .as_array()
        .unwrap()
        .iter()
        .map(|u| &u["userid"])
        .collect();
    assert_eq!(seen, ["in@pve"], "a token is not its user");
    let groups = hers("GET", "/access/groups", "").await.unwrap();
    assert_eq!(groups, json!([{ "groupid": "hers", "users": "in@pve" }]));
}

#[tokio::test]
async fn who_makes_machines_can_hand_out_no_more_than_they_have() {
    let cluster = Cluster::new().await;
    let maker = token_of(&cluster, "maker@pve").await;
    let grant = "path=/vms&roles=PVEVMAdmin&users=maker@pve";
    call(&cluster, "PUT", "/access/acl", grant).await.unwrap();
    let hand = |form: &'static str| {
        let (cluster, maker) = (&cluster, &maker);
        async move { shown(cluster.call(maker, "PUT", "/access/acl", form).await) }
    };
    let fine = hand("path=/vms/100&roles=PVEVMUser&users=terraform@pve").await;
    assert_eq!(fine, Ok(Value::Null));
    let more = hand("path=/vms/100&roles=PVEAdmin&users=terraform@pve").await;
    let text =
        "Cannot add role 'PVEAdmin' - requires 'Permissions.Modify' or superset of privileges.";
    assert_eq!(
        more.unwrap_err(),
        format!("400 {}", json!({ "role": text }))
    );
    let none = hand("path=/vms/100&roles=NoAccess&users=terraform@pve").await;
    assert!(none.unwrap_err().contains("requires 'Permissions.Modify'"));
    let above = hand("path=/vms&roles=PVEVMUser&users=terraform@pve").await;
    assert!(above.unwrap_err().starts_with("403"));
}

#[tokio::test]
async fn realms_are_sections_with_their_own_rules() {
    let cluster = Cluster::new().await;
    let listed = call(&cluster, "GET", "/access/domains", "").await.unwrap();
    let realms: Vec<&Value> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|r| &r["realm"])
        .collect();
    assert_eq!(realms, ["pam", "pve"]);
    let ldap = "realm=corp&type=ldap&server1=ldap.home.arpa&base_dn=dc%3Dhome&user_attr=uid&password=s3cret-bind\
                &sync-defaults-options=scope%3Dusers,full%3D1,purge%3D1&default=1&case-sensitive=0";
    call(&cluster, "POST", "/access/domains", ldap)
        .await
        .unwrap();
    let read = call(&cluster, "GET", "/access/domains/corp", "")
        .await
        .unwrap();
    assert_eq!(
        read["sync-defaults-options"],
        "remove-vanished=entry;properties;acl,scope=users"
    );
    assert_eq!(
        (&read["type"], &read["case-sensitive"]),
        (&json!("ldap"), &json!(0))
    );
    assert!(!read.to_string().contains("s3cret-bind"));
    call(&cluster, "PUT", "/access/domains/pve", "default=1")
        .await
        .unwrap();
    let read = call(&cluster, "GET", "/access/domains/corp", "")
        .await
        .unwrap();
    assert_eq!(read.get("default"), None, "only one realm is the default");
    call(&cluster, "POST", "/access/users", "userid=Frank@corp")
        .await
        .unwrap();
    assert_eq!(
        call(&cluster, "POST", "/access/users", "userid=frank@corp")
            .await
            .unwrap_err(),
        "500 create user failed: user 'Frank@corp' already exists"
    );
    let cases = [
        (
            "POST",
            "/access/domains",
            ldap,
            "500 add auth server failed: domain 'corp' already exists",
        ),
        (
            "POST",
            "/access/domains",
            "realm=sso&type=openid&issuer-url=https%3A%2F%2Fsso",
            "500 add auth server failed: missing value for required option 'client-id'",
        ),
        (
            "POST",
            "/access/domains",
            "realm=two&type=pam",
            "500 add auth server failed: unable to create builtin type 'pam'",
        ),
        (
            "PUT",
            "/access/domains/corp",
            "",
            "500 update auth server failed: no options specified",
        ),
        (
            "DELETE",
            "/access/domains/none",
            "",
            "500 delete auth server failed: authentication domain 'none' does not exist",
        ),
        (
            "POST",
            "/access/domains/pve/sync",
            "scope=users",
            "500 Cannot sync realm type 'pve'! Only LDAP/AD realms can be synced.",
        ),
        (
            "POST",
            "/access/openid/auth-url",
            "realm=corp&redirect-url=https%3A%2F%2Fabel",
            "500 wrong realm type (ldap != openid)",
        ),
    ];
    for (verb, path, form, text) in cases {
        assert_eq!(
            call(&cluster, verb, path, form).await.unwrap_err(),
            text,
            "{path} {form}"
        );
    }
    let exit = cluster.task("POST", "/access/domains/corp/sync", "").await;
    assert_eq!(
        exit,
        "Unable to connect to the LDAP server 'ldap.home.arpa'"
    );
    call(&cluster, "DELETE", "/access/domains/corp", "")
        .await
        .unwrap();
}

#[tokio::test]
async fn one_s_password_is_changed_by_oneself_with_the_old_one() {
    let cluster = Cluster::new().await;
    let form = "userid=gina@pve&password=first-one";
    call(&cluster, "POST", "/access/users", form).await.unwrap();
    let entered = login(&cluster, "gina@pve", "first-one").await.unwrap();
    let change = |form: &'static str| {
        let text = |key: &str| entered[key].as_str().unwrap().to_owned();
        let cookie = text("ticket").replace('=', "%3D").replace('+', "%2B");
        let request = Request::builder()
            .method("PUT")
            .uri("https://10.25.150.101:8006/api2/json/access/password")
            .header("cookie", format!("PVEAuthCookie={cookie}"))
            .header("csrfpreventiontoken", text("CSRFPreventionToken"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Bytes::from(form))
            .unwrap();
        async { shown(cluster.send(request).await) }
    };
    assert_eq!(
        change("userid=gina@pve&password=second-one")
            .await
            .unwrap_err(),
        r#"400 {"confirmation-password":"password is required to modify user"}"#
    );
    let others =
        change("userid=root@pam&password=second-one&confirmation-password=first-one").await;
    assert!(others.unwrap_err().starts_with("403"));
    let own = "userid=gina@pve&password=second-one&confirmation-password=first-one";
    assert_eq!(change(own).await, Ok(Value::Null));
    assert!(login(&cluster, "gina@pve", "first-one").await.is_err());
    let again = login(&cluster, "gina@pve", "second-one").await.unwrap();
    assert_eq!(again["cap"]["vms"], json!({}));
    let root = login(&cluster, "root@pam", "lab-root-password")
        .await
        .unwrap();
    assert_eq!(root["clustername"], "homelab");
    assert_eq!(root["cap"]["dc"]["Sys.Modify"], 1);
}
