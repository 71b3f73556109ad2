//! A person at a browser: a cookie, and the word that pages of ours send.

use serde_json::{Value, json};

use crate::harness::gateway::Gateway;
use crate::harness::http::{self, Answer};

/// A password of the tests.
pub(super) const PASSWORD: &str = "correct horse battery";

/// Somebody who has logged in.
pub(super) struct Person {
    base: String,
    pub(super) cookie: String,
    pub(super) csrf: String,
}

/// What `POST /login` answers.
pub(super) async fn log_in(gateway: &Gateway, name: &str, password: &str) -> Answer {
    let body = json!({"name": name, "password": password});
    http::post(&gateway.url("/api/v1/login"), None, &body)
        .await
        .unwrap()
}

impl Person {
    /// Logs in.
    pub(super) async fn at(gateway: &Gateway, name: &str) -> Person {
        let answer = log_in(gateway, name, PASSWORD).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        Person::of(gateway, &answer)
    }

    /// Who was answered that.
    pub(super) fn of(gateway: &Gateway, answer: &Answer) -> Person {
        let cookie = answer.header("set-cookie");
        let cookie = cookie.split(';').next().unwrap().to_owned();
        Person {
            base: gateway.url(""),
            cookie,
            csrf: answer.json()["csrf"].as_str().unwrap().to_owned(),
        }
    }

    /// A request with the cookie alone.
    pub(super) fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}/api/v1{path}", self.base);
        http::client()
            .request(method, url)
            .header("cookie", &self.cookie)
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        http::send(self.request(reqwest::Method::GET, path))
            .await
            .unwrap()
    }

    /// As a page of ours asks: with the word, and with `body` unless that is null.
    pub(super) async fn ask(&self, method: reqwest::Method, path: &str, body: &Value) -> Answer {
        let request = self.request(method, path);
        let request = request
            .header("x-stairgate-csrf", &self.csrf)
            .header("origin", &self.base)
            .header("content-type", "application/json");
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        http::send(request.body(body)).await.unwrap()
    }
}
