//! Code generated from `proto/`.
#![allow(
    clippy::all,
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    rustdoc::all
)]

pub mod common {
    tonic::include_proto!("common");
}
pub mod google {
    pub mod rpc {
        tonic::include_proto!("google.rpc");
    }
}
pub mod machine {
    tonic::include_proto!("machine");
}
pub mod cluster {
    tonic::include_proto!("cluster");
}
pub mod inspect {
    tonic::include_proto!("inspect");
}
pub mod storage {
    tonic::include_proto!("storage");
}
pub mod time {
    tonic::include_proto!("time");
}
pub mod cosi {
    pub mod resource {
        tonic::include_proto!("cosi.resource");
    }
}
pub mod resource {
    tonic::include_proto!("resource");
}
