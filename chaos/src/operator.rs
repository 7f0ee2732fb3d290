//! The operator, who asks one control plane by its API, and takes no answer for none.

use e2e::http;
use serde_json::{Value, json};

use crate::s3::Key;

pub const ADMIN_TOKEN: &str = "admin-token-of-this-run-alone-00000000000";

#[derive(Debug, Clone)]
pub struct Operator {
    /// `http://HOST:PORT` of each control plane.
    pub controlplanes: Vec<String>,
}

/// Which nodes refuse a key, and which have not said so.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// By their S3 address.
    pub nodes: Vec<String>,
    pub pending: usize,
}

impl Operator {
    /// # Errors
    /// What was answered instead, or that nothing was.
    pub fn ask(
        &self,
        controlplane: usize,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Result<Value, String> {
        let url = format!("{}/api/v1/admin/{path}", self.controlplanes[controlplane]);
        let headers =
            format!("Authorization: Bearer {ADMIN_TOKEN}\r\nContent-Type: application/json\r\n");
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = http::send(method, &url, &headers, &body).ok_or("no answer")?;
        if answer.status >= 300 {
            return Err(format!("{} {}", answer.status, answer.body));
        }
        Ok(serde_json::from_str(&answer.body).unwrap_or(Value::Null))
    }

    /// # Errors
    /// As of [`ask`](Self::ask), and of everything below.
    pub fn tenant(&self, name: &str, limits: &Value) -> Result<(String, Key), String> {
        let body = json!({"name": name, "email": format!("{name}@example.com")});
        let created = self.ask(0, "POST", "tenants", &body)?;
        let id = text(&created, "tenant_id")?;
        self.ask(0, "PATCH", &format!("tenants/{id}"), limits)?;
        Ok((id, key(&created)?))
    }

    pub fn create_key(&self, controlplane: usize, tenant: &str) -> Result<Key, String> {
        let path = format!("tenants/{tenant}/access-keys");
        key(&self.ask(controlplane, "POST", &path, &json!({}))?)
    }

    pub fn revoke(&self, controlplane: usize, key: &Key) -> Result<Receipt, String> {
        let path = format!("access-keys/{}", key.id);
        let told = self.ask(controlplane, "DELETE", &path, &Value::Null)?;
        let nodes = told["nodes"].as_array().ok_or("no receipt")?;
        Ok(Receipt {
            nodes: nodes
                .iter()
                .filter_map(|node| node["s3_address"].as_str().map(str::to_owned))
                .collect(),
            pending: told["pending"].as_array().map_or(0, Vec::len),
        })
    }

    pub fn join_token(&self, controlplane: usize) -> Result<String, String> {
        let told = self.ask(controlplane, "POST", "join-tokens", &Value::Null)?;
        text(&told, "join_token")
    }

    /// Ids of the nodes that are known at this address.
    pub fn nodes_at(&self, controlplane: usize, address: &str) -> Result<Vec<String>, String> {
        let told = self.ask(controlplane, "GET", "nodes", &Value::Null)?;
        let nodes = told["nodes"].as_array().ok_or("no list")?.iter();
        let here = nodes.filter(|node| node["s3_address"] == address);
        Ok(here
            .filter_map(|node| node["node_id"].as_str().map(str::to_owned))
            .collect())
    }
}

fn text(value: &Value, name: &str) -> Result<String, String> {
    let text = value[name].as_str().map(str::to_owned);
    text.ok_or_else(|| format!("no {name} in {value}"))
}

fn key(created: &Value) -> Result<Key, String> {
    Ok(Key {
        id: text(created, "access_key_id")?,
        secret: text(created, "secret_access_key")?,
    })
}
