//! The messages of `proto/stairgate/linkage/v1`, as made by the build script.
#![expect(missing_docs, reason = "documented in the .proto files")]

tonic::include_proto!("stairgate.linkage.v1");
