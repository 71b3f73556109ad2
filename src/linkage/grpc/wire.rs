//! The messages of `proto/stairgate/linkage/v1`, as made by the build script.
#![expect(
    unused_qualifications,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::missing_errors_doc,
    clippy::too_many_lines,
    reason = "generated code"
)]

tonic::include_proto!("stairgate.linkage.v1");
