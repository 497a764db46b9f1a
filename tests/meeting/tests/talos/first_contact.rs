//! The first contact with a machine, which nothing but its console can vouch for.

use stead_meeting::talos::TalosLab;

use super::APPLY;

const VARIABLE: &str = "STEAD_TALOS_FINGERPRINTS";

#[tokio::test]
async fn only_the_machine_that_was_meant_gets_the_secrets() {
    let lab = TalosLab::start().await;
    lab.boot(11, "v1.13.9", "").await;
    let generated = lab.generated("controlplane", "v1.13").await;
    let config = lab.of_apply(11, &generated, &[]);
    let nobody = format!("10.5.0.11={}", "00".repeat(32));
    let another = lab.provider_with(&[(VARIABLE, nobody)]).await;
    let failure = another.apply(APPLY, None, config.clone()).await;
    let failure = failure.unwrap_err().diagnostics;
    let said = &failure.iter().next().unwrap().detail;
    let shown = said.split_once("SHA-256 ").unwrap().1;
    let shown = shown.split(',').next().unwrap();
    assert_eq!(lab.stage(11), "maintenance", "{said}");
    let right = format!("10.5.0.11={shown}");
    let right = lab.provider_with(&[(VARIABLE, right)]).await;
    right.apply(APPLY, None, config.clone()).await.unwrap();
    assert_ne!(lab.stage(11), "maintenance");
    // From then on the cluster's authority vouches for it, whatever the variable says.
    let applied = another.apply(APPLY, None, config).await;
    assert!(applied.is_ok());
    lab.stop().await;
}
