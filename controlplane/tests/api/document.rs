//! `/api/v1/openapi.json`: it describes each route and no other, its examples are of their schemas, and so are answers.

use std::collections::BTreeSet;

use axum::Router;
use axum::body::Body;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use jsonschema::Validator;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{Answer, Api};

pub struct Document(pub Value);

impl Document {
    pub async fn of(router: &Router) -> Self {
        let request = Request::get("/api/v1/openapi.json").body(Body::empty());
        let answer = router.clone().oneshot(request.unwrap()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "application/json");
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        Self(serde_json::from_slice(&bytes).unwrap())
    }

    /// The operation that answers a concrete path.
    fn operation(&self, method: &Method, path: &str) -> Option<&Value> {
        let path = path.split('?').next().unwrap_or_default();
        let paths = self.0["paths"].as_object().unwrap();
        let same = |template: &str| {
            let (ours, given) = (template.split('/'), path.split('/'));
            ours.clone().count() == given.clone().count()
                && ours.zip(given).all(|(t, g)| t == g || t.starts_with('{'))
        };
        // A fixed segment goes before one that stands for anything.
        let mut found: Vec<_> = paths
            .iter()
            .filter(|(template, _)| same(template))
            .collect();
        found.sort_by_key(|(template, _)| template.contains('{'));
        let method = method.as_str().to_lowercase();
        found.iter().find_map(|(_, item)| item.get(&method))
    }

    fn validator(&self, schema: &Value) -> Validator {
        let mut root = schema.clone();
        root["components"] = self.0["components"].clone();
        jsonschema::validator_for(&root).unwrap()
    }

    /// Fails where the answer is none that the description promises.
    pub fn holds(&self, method: &Method, path: &str, answer: &Answer) {
        let operation = self.operation(method, path);
        let operation = operation.unwrap_or_else(|| panic!("{method} {path} is not described"));
        let status = answer.status.as_str();
        let response = &operation["responses"][status];
        assert!(
            response.is_object(),
            "{method} {path}: {status} is not described: {}",
            answer.body
        );
        let content = response["content"].as_object();
        let Some((kind, content)) = content.and_then(|content| content.iter().next()) else {
            assert_eq!(answer.body, Value::Null, "{method} {path}");
            return;
        };
        assert_eq!(answer.header("content-type"), kind, "{method} {path}");
        self.fits(
            &content["schema"],
            &answer.body,
            &format!("{method} {path}"),
        );
    }

    fn fits(&self, schema: &Value, instance: &Value, what: &str) {
        let validator = self.validator(schema);
        let errors: Vec<String> = validator
            .iter_errors(instance)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{what}: {errors:?} in {instance}");
    }
}

#[tokio::test]
async fn the_description_and_the_router_have_the_same_operations() {
    let api = Api::start().await;
    let document = &api.document.0;
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let scopes = &operation["security"][0]["api_token"];
            described.insert((method.to_uppercase(), path.clone(), scopes.to_string()));
        }
    }
    let table = controlplane::customer_route_table().into_iter();
    let routes: BTreeSet<_> = table
        .map(|(method, path, needs)| {
            let scopes: Vec<&str> = needs.map(|scope| scope.as_str()).into_iter().collect();
            (
                method.to_string(),
                path.to_owned(),
                json!(scopes).to_string(),
            )
        })
        .collect();
    assert_eq!(described, routes);
    assert!(routes.len() >= 30, "{}", routes.len());
    api.stop().await;
}

#[tokio::test]
async fn every_operation_is_explained_with_examples_of_its_schemas() {
    let api = Api::start().await;
    let document = &api.document;
    assert_eq!(document.0["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    let paths = document.0["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, item)| {
        let item = item.as_object().unwrap().iter();
        item.map(move |(method, operation)| (format!("{method} {path}"), operation))
    });
    for (what, operation) in operations {
        for field in ["summary", "description", "operationId"] {
            assert!(
                operation[field].as_str().is_some_and(|t| !t.is_empty()),
                "{what}: {field}"
            );
        }
        assert!(ids.insert(operation["operationId"].to_string()), "{what}");
        let responses = operation["responses"].as_object().unwrap();
        for status in ["400", "401", "403", "404", "422", "429", "503"] {
            assert!(responses.contains_key(status), "{what}: {status}");
        }
        let good: Vec<_> = responses.keys().filter(|s| s.starts_with('2')).collect();
        assert_eq!(good.len(), 1, "{what}");
        let bodies = responses.values().chain([&operation["requestBody"]]);
        for content in bodies.filter_map(|body| body["content"].as_object()) {
            for media in content.values() {
                assert!(!media["example"].is_null(), "{what}");
                document.fits(&media["schema"], &media["example"], &what);
            }
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(!parameter["description"].is_null(), "{what}: {parameter}");
        }
        let reads = operation["requestBody"].is_object();
        assert_eq!(
            reads,
            !what.starts_with("get") && !what.starts_with("delete"),
            "{what}"
        );
    }
    // The twin: what does not fit is found.
    let problem = json!({ "$ref": "#/components/schemas/Problem" });
    assert!(
        !document
            .validator(&problem)
            .is_valid(&json!({ "status": "x" }))
    );
    api.stop().await;
}
