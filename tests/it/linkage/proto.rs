//! The rules of `proto/`: everything is documented, named and numbered as it should be, and a message
//! that was written once can be read for ever.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::source_code_info::Location;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet};
use stairgate::linkage::grpc::wire;

/// As the build script made it, with comments.
const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/stairgate.linkage.v1.bin"));

fn files() -> Vec<FileDescriptorProto> {
    FileDescriptorSet::decode(DESCRIPTORS).unwrap().file
}

/// The comments of one file, by the path of what they stand before (descriptor.proto,
/// `SourceCodeInfo.Location.path`).
struct Comments(BTreeMap<Vec<i32>, String>);

impl Comments {
    fn of(file: &FileDescriptorProto) -> Comments {
        let locations = file.source_code_info.iter().flat_map(|info| &info.location);
        let comment = |at: &Location| at.leading_comments.clone().unwrap_or_default();
        Comments(locations.map(|at| (at.path.clone(), comment(at))).collect())
    }

    fn at(&self, path: &[i32]) -> &str {
        self.0.get(path).map_or("", |comment| comment.trim())
    }
}

/// What is wrong with the files, in words.
#[derive(Default)]
struct Lint {
    wrong: Vec<String>,
}

impl Lint {
    fn documented(&mut self, comments: &Comments, path: &[i32], what: &str) {
        let comment = comments.at(path);
        if comment.is_empty() {
            self.wrong.push(format!("{what} has no comment"));
        } else if !comment.ends_with(['.', ':']) {
            self.wrong
                .push(format!("{what}: its comment is no sentence"));
        }
    }

    fn named(&mut self, name: &str, rule: fn(char) -> bool, what: &str) {
        let is_edge = |c: Option<char>| c.is_none_or(|c| c == '_');
        if !name.chars().all(rule) || is_edge(name.chars().next()) || is_edge(name.chars().last()) {
            self.wrong
                .push(format!("{what} is not named as the others"));
        }
    }

    fn message(&mut self, comments: &Comments, path: &[i32], message: &DescriptorProto) {
        let name = message.name();
        self.documented(comments, path, name);
        self.named(name, |c| c.is_ascii_alphanumeric(), name);
        for (idx, field) in (0..).zip(&message.field) {
            let what = format!("{name}.{}", field.name());
            let path = [path, &[2, idx]].concat();
            self.documented(comments, &path, &what);
            self.named(
                field.name(),
                |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_',
                &what,
            );
            // A number without its unit in the name is a count or an ordinal, and says so.
            let is_number = matches!(
                field.r#type(),
                Type::Int64 | Type::Uint64 | Type::Int32 | Type::Double | Type::Float
            );
            let has_unit = ["_ms", "_bytes", "_unix_ms", "_s"]
                .iter()
                .any(|unit| field.name().ends_with(unit));
            if is_number && !has_unit {
                self.wrong.push(format!("{what} has no unit in its name"));
            }
            if field.label() == Label::Required {
                self.wrong.push(format!("{what} is required"));
            }
        }
        if !message.nested_type.is_empty() || !message.extension.is_empty() {
            self.wrong.push(format!("{name} has types inside"));
        }
    }

    fn enumeration(&mut self, comments: &Comments, path: &[i32], found: &EnumDescriptorProto) {
        let name = found.name();
        self.documented(comments, path, name);
        let prefix = screaming(name);
        for (idx, value) in (0..).zip(&found.value) {
            let what = format!("{name}.{}", value.name());
            self.documented(comments, &[path, &[2, idx]].concat(), &what);
            if !value.name().starts_with(&prefix) {
                self.wrong
                    .push(format!("{what} does not begin with {prefix}"));
            }
            if (value.number() == 0) != value.name().ends_with("_UNSPECIFIED") {
                self.wrong
                    .push(format!("{what}: 0 is unspecified, and only 0"));
            }
        }
    }
}

/// `ClipState` as `CLIP_STATE_`.
fn screaming(name: &str) -> String {
    let mut text = String::new();
    for (idx, c) in name.char_indices() {
        if idx > 0 && c.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(c.to_ascii_uppercase());
    }
    text + "_"
}

#[test]
fn every_message_field_value_and_call_is_documented_and_named_as_the_others() {
    let mut lint = Lint::default();
    let (mut n_fields, mut n_calls) = (0, 0);
    for file in files() {
        assert_eq!(file.package(), "stairgate.linkage.v1");
        assert_eq!(file.syntax(), "proto3");
        let comments = Comments::of(&file);
        lint.documented(&comments, &[12], file.name());
        for (idx, message) in (0..).zip(&file.message_type) {
            n_fields += message.field.len();
            lint.message(&comments, &[4, idx], message);
        }
        for (idx, found) in (0..).zip(&file.enum_type) {
            lint.enumeration(&comments, &[5, idx], found);
        }
        for (idx, service) in (0..).zip(&file.service) {
            lint.documented(&comments, &[6, idx], service.name());
            for (call_idx, call) in (0..).zip(&service.method) {
                n_calls += 1;
                let what = format!("{}.{}", service.name(), call.name());
                lint.documented(&comments, &[6, idx, 2, call_idx], &what);
            }
        }
    }
    assert!(
        n_fields > 40 && n_calls == 5,
        "{n_fields} fields, {n_calls} calls"
    );
    assert!(lint.wrong.is_empty(), "{:#?}", lint.wrong);
}

/// Every number with its name and type. A line may be added; one that changes or goes is a message that
/// an older peer reads wrongly: give the field a new number and reserve the old one instead.
#[test]
fn no_number_changes_its_meaning() {
    let mut text = String::new();
    for file in files() {
        for message in &file.message_type {
            for range in &message.reserved_range {
                writeln!(
                    text,
                    "{} reserved {}..{}",
                    message.name(),
                    range.start(),
                    range.end()
                )
                .unwrap();
            }
            for field in &message.field {
                let kind = format!("{:?}{}", field.r#type(), field.type_name());
                let many = if field.label() == Label::Repeated {
                    " repeated"
                } else {
                    ""
                };
                let (message, number, name) = (message.name(), field.number(), field.name());
                writeln!(text, "{message} {number} {name} {kind}{many}").unwrap();
            }
        }
        for found in &file.enum_type {
            for value in &found.value {
                writeln!(text, "{} {} {}", found.name(), value.number(), value.name()).unwrap();
            }
        }
        for service in &file.service {
            for call in &service.method {
                let (name, from, to) = (call.name(), call.input_type(), call.output_type());
                let stream = if call.server_streaming() {
                    "stream "
                } else {
                    ""
                };
                writeln!(text, "{}.{name} {from} -> {stream}{to}", service.name()).unwrap();
            }
        }
    }
    insta::assert_snapshot!("numbers", text);
}

/// Bytes that the first version wrote, with every field set: see `fixtures/proto`.
#[test]
fn messages_of_the_first_version_are_read_as_they_were_meant() {
    let bytes = include_bytes!("../../../fixtures/proto/deliver-request-1.bin");
    let request = wire::DeliverRequest::decode(bytes.as_slice()).unwrap();
    insta::assert_debug_snapshot!("deliver_request_1", request);
    let bytes = include_bytes!("../../../fixtures/proto/alert-record-1.bin");
    let record = wire::AlertRecord::decode(bytes.as_slice()).unwrap();
    insta::assert_debug_snapshot!("alert_record_1", record);
    let bytes = include_bytes!("../../../fixtures/proto/chunk-1.bin");
    let chunk = wire::Chunk::decode(bytes.as_slice()).unwrap();
    insta::assert_debug_snapshot!("chunk_1", chunk);
}

/// A field and a kind of a later version are passed over.
#[test]
fn messages_of_a_later_version_are_read_without_what_is_new() {
    let bytes = include_bytes!("../../../fixtures/proto/alert-record-1.bin");
    let known = wire::AlertRecord::decode(bytes.as_slice()).unwrap();
    let mut alert = known.alert.clone().unwrap();
    alert.kind = 1_000;
    let mut later = alert.encode_to_vec();
    // Field 2000, length-delimited (wire type 2): "new".
    prost::encoding::string::encode(2_000, &"new".to_owned(), &mut later);
    let read = wire::Alert::decode(later.as_slice()).unwrap();
    assert_eq!(read, alert);
    assert_eq!(read.kind(), wire::AlertKind::Unspecified);
    assert_eq!(read.kind_word, known.alert.unwrap().kind_word);
}
