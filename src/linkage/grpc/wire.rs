//! The messages of `proto/stairgate/linkage/v1`, as made by the build script.
#![expect(
    missing_docs,
    unused_qualifications,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated code; documented in the .proto files"
)]

tonic::include_proto!("stairgate.linkage.v1");
