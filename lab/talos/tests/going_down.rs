//! What a client that follows a node is told as the node goes down: it must hear of the end of the services, for it hears nothing afterwards.

mod common;

use common::*;
use stead_lab_talos::proto::machine::apply_configuration_request::Mode;
use stead_lab_talos::proto::machine::machine_service_client::MachineServiceClient;
use stead_lab_talos::proto::machine::*;
use tonic::Request;
use tonic::transport::Channel;

async fn configured(lab: &TestLab, number: u8, config: String) -> MachineServiceClient<Channel> {
    let address = format!("10.5.0.{number}");
    let channel = eventually("maintenance mode", async || {
        lab.insecure(&address).await.ok()
    })
    .await;
    let request = ApplyConfigurationRequest {
        data: config.into_bytes(),
        mode: Mode::Auto.into(),
        ..ApplyConfigurationRequest::default()
    };
    MachineServiceClient::new(channel)
        .apply_configuration(request)
        .await
        .unwrap();
    lab.machine(&address, &credentials("os:admin")).await
}

/// A request that a control plane passes on to another node.
fn to<T>(node: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("node", node.parse().unwrap());
    request
}

/// Names of the tasks in events, up to the end of the stream.
async fn tasks(stream: &mut tonic::Streaming<Event>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    // A connection that breaks off is an end, too.
    while let Ok(Some(event)) = stream.message().await {
        let data = event.data.unwrap_or_default();
        if data.type_url.ends_with("machine.TaskEvent") {
            let task: TaskEvent = prost::Message::decode(data.value.as_slice()).unwrap();
            found.push((event.actor_id, task.task));
        }
    }
    found
}

fn wiped(label: &str) -> ResetPartitionSpec {
    ResetPartitionSpec {
        label: label.to_owned(),
        wipe: true,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_is_told_to_the_end_through_another_node_and_directly() {
    let root = tempfile::tempdir().unwrap();
    let lab = TestLab::open(root.path()).await;
    lab.boot(11, "v1.13.9").await;
    lab.boot(21, "v1.13.9").await;
    let mut plane = configured(&lab, 11, control_plane(11)).await;
    // Often, since a stream that ends too early does so by a hair's breadth.
    for _ in 0..20 {
        let mut direct = configured(&lab, 21, worker(21)).await;
        let all = EventsRequest::default;
        let through = plane.events(to("10.5.0.21", all())).await.unwrap();
        let mut streams = [
            through.into_inner(),
            direct.events(all()).await.unwrap().into_inner(),
        ];
        for stream in &mut streams {
            assert_eq!(stream.message().await.unwrap().unwrap().id, "");
        }
        let reset = ResetRequest {
            reboot: true,
            system_partitions_to_wipe: vec![wiped("STATE"), wiped("EPHEMERAL")],
            ..ResetRequest::default()
        };
        let reply = plane.reset(to("10.5.0.21", reset)).await.unwrap();
        let actor = reply.into_inner().messages.remove(0).actor_id;
        for stream in &mut streams {
            let told = tasks(stream).await;
            assert!(
                told.contains(&(actor.clone(), "stopAllServices".to_owned())),
                "{told:?}"
            );
        }
    }
    lab.lab.stop().await;
}

#[tokio::test]
async fn who_begins_to_follow_as_the_machine_goes_down_is_told_all_the_same() {
    let mut told = Vec::new();
    // The last moment is a short one, in which this test may have no turn.
    for _ in 0..5 {
        let root = tempfile::tempdir().unwrap();
        let lab = TestLab::open(root.path()).await;
        lab.boot(11, "v1.13.9").await;
        let plane = configured(&lab, 11, control_plane(11)).await;
        let (mut one, mut other) = (plane.clone(), plane);
        let reply = one.shutdown(ShutdownRequest::default()).await.unwrap();
        let actor = reply.into_inner().messages.remove(0).actor_id;
        if let Ok(stream) = other.events(EventsRequest::default()).await {
            told = tasks(&mut stream.into_inner()).await;
        }
        lab.lab.stop().await;
        if told == [(actor, "stopAllServices".to_owned())] {
            return;
        }
    }
    panic!("{told:?}");
}

#[tokio::test]
async fn the_kernels_log_is_told_to_the_end() {
    let root = tempfile::tempdir().unwrap();
    let lab = TestLab::open(root.path()).await;
    lab.boot(11, "v1.13.9").await;
    let mut plane = configured(&lab, 11, control_plane(11)).await;
    let request = DmesgRequest {
        follow: true,
        tail: true,
    };
    let mut lines = plane.dmesg(request).await.unwrap().into_inner();
    plane.shutdown(ShutdownRequest::default()).await.unwrap();
    let mut told = String::new();
    while let Ok(Some(data)) = lines.message().await {
        told.push_str(&String::from_utf8(data.bytes).unwrap());
    }
    assert!(told.contains("task stopAllServices"), "{told}");
    lab.lab.stop().await;
}
