//! `GET /openapi.json`: the description of this API, kept beside the code.

use axum::http::header;
use axum::response::IntoResponse;

/// OpenAPI 3.1.
const DOCUMENT: &str = include_str!("openapi.json");

pub(crate) async fn document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_names_every_route_and_no_other() {
        let document: serde_json::Value = serde_json::from_str(DOCUMENT).unwrap();
        let documented: std::collections::BTreeSet<&str> = document["paths"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let code = [include_str!("../mod.rs"), include_str!("site.rs")].concat();
        let routed: std::collections::BTreeSet<String> = code
            .split(".route(")
            .skip(1)
            .map(|rest| {
                let path = rest.split('"').nth(1).unwrap();
                let outside = ["/healthz", "/readyz", "/metrics"].contains(&path);
                if outside {
                    path.to_owned()
                } else {
                    format!("/api/v1{path}")
                }
            })
            .collect();
        assert_eq!(documented, routed.iter().map(String::as_str).collect());
    }
}
