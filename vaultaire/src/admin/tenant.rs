//! `vaultaire tenant …`.

use serde_json::{Value, json};

use super::client::Client;
use super::{exports, print, print_many, print_one};
use crate::cli::{LimitArguments, SeveralArguments, Target, TenantCommand};
use crate::settings::Environment;

pub async fn run(command: TenantCommand, environment: &Environment) -> anyhow::Result<()> {
    match command {
        TenantCommand::Create {
            name,
            email,
            plan,
            export,
            target,
        } => {
            let mut body = json!({"name": name, "email": email});
            if let Some(plan) = plan {
                body["plan"] = plan.into();
            }
            let created = Client::new(&target, environment)?
                .post(&["tenants"], &body)
                .await?;
            if export {
                print(&exports(&created))
            } else {
                print_one(&only_promised(&created), target.json)
            }
        }
        TenantCommand::List {
            deleted: true,
            target,
            ..
        } => {
            let client = Client::new(&target, environment)?;
            let answer = client.get(&["deleted-tenants"]).await?;
            let columns = ["tenant_id", "name", "email", "deleted_at", "remove_after"];
            print_many(&answer, "tenants", &columns, target.json)
        }
        TenantCommand::List {
            deleted: false,
            search,
            status,
            plan,
            after,
            target,
        } => {
            let query = [
                ("search", search),
                ("status", status),
                ("plan", plan),
                ("after", after),
            ];
            let client = Client::new(&target, environment)?;
            let answer = client.get_with(&["tenants"], &query).await?;
            print_many(
                &answer,
                "tenants",
                &["tenant_id", "name", "status", "plan"],
                target.json,
            )
        }
        TenantCommand::Show { tenant, target } => {
            let answer = Client::new(&target, environment)?
                .get(&["tenants", &tenant])
                .await?;
            print_one(&answer, target.json)
        }
        TenantCommand::Suspend { several, target } => {
            set_several("suspend", &several, &target, environment).await
        }
        TenantCommand::Resume { several, target } => {
            set_several("resume", &several, &target, environment).await
        }
        TenantCommand::Note {
            tenant,
            text,
            target,
        } => {
            let client = Client::new(&target, environment)?;
            let body = json!({ "text": text });
            let answer = client.post(&["tenants", &tenant, "notes"], &body).await?;
            print_one(&answer, target.json)
        }
        TenantCommand::Notes { tenant, target } => {
            let client = Client::new(&target, environment)?;
            let answer = client.get(&["tenants", &tenant, "notes"]).await?;
            print_many(&answer, "notes", &["at", "author", "text"], target.json)
        }
        TenantCommand::Restore { tenant, target } => {
            let answer = Client::new(&target, environment)?
                .post(&["tenants", &tenant, "restore"], &json!({}))
                .await?;
            print_one(&answer, target.json)
        }
        TenantCommand::Set {
            tenant,
            plan,
            engine,
            limits,
            target,
        } => {
            let client = Client::new(&target, environment)?;
            let body = body_of(&limits, engine.as_deref());
            let mut answer = Value::Null;
            if let Some(plan) = &plan {
                let plan = json!({ "plan": plan });
                answer = client.post(&["tenants", &tenant, "plan"], &plan).await?;
            }
            // With a plan there need be no limit.
            if plan.is_none() || body.is_ok() {
                answer = client.patch(&["tenants", &tenant], &body?).await?;
            }
            print_one(&answer, target.json)
        }
    }
}

/// One is answered as it is then; more are a list.
async fn set_several(
    verb: &str,
    several: &SeveralArguments,
    target: &Target,
    environment: &Environment,
) -> anyhow::Result<()> {
    let client = Client::new(target, environment)?;
    if let [tenant] = &several.tenants[..] {
        let body = json!({ "reason": several.reason });
        let answer = client.post(&["tenants", tenant, verb], &body).await?;
        return print_one(&answer, target.json);
    }
    let ids = several.tenants.iter();
    let chosen: Vec<Value> = ids.map(|id| json!({ "tenant_id": id })).collect();
    let mut body = json!({ "tenants": chosen, "reason": several.reason });
    if let Some(confirm) = several.confirm {
        body["confirm"] = confirm.into();
    }
    let answer = client.post(&["tenants", verb], &body).await?;
    let columns = ["tenant_id", "name", "status", "plan"];
    print_many(&answer, "tenants", &columns, target.json)
}

/// The fields that scripts may rely on, and no other.
fn only_promised(created: &Value) -> Value {
    let promised = [
        "tenant_id",
        "access_key_id",
        "secret_access_key",
        "endpoint",
        "region",
    ];
    promised
        .into_iter()
        .map(|name| (name.to_owned(), created[name].clone()))
        .collect()
}

/// Only what was given: the rest stays as it is.
fn body_of(limits: &LimitArguments, engine: Option<&str>) -> anyhow::Result<Value> {
    let mut body = json!({});
    if let Some(engine) = engine {
        body["engine"] = json!((engine != "default").then_some(engine));
    }
    let given = [
        ("requests_per_second", limits.rate.map(u64::from)),
        ("burst", limits.burst.map(u64::from)),
        ("concurrent_requests", limits.concurrency.map(u64::from)),
        ("bytes_per_second", limits.bandwidth),
        ("quota_bytes", limits.quota_bytes),
        ("quota_objects", limits.quota_objects),
        ("quota_egress_bytes", limits.quota_egress_bytes),
        ("bucket_limit", limits.bucket_limit.map(u64::from)),
        ("access_key_limit", limits.access_key_limit.map(u64::from)),
    ];
    for (name, value) in given {
        if let Some(value) = value {
            body[name] = value.into();
        }
    }
    if let Some(seconds) = limits.max_staleness {
        body["max_staleness_seconds"] = json!((seconds > 0).then_some(seconds));
    }
    anyhow::ensure!(
        body != json!({}),
        "Nothing to set: give --plan, --engine, --rate, --burst, --quota-bytes or another limit (see --help)."
    );
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_limits_that_were_given_are_sent() {
        let given = LimitArguments {
            rate: Some(5),
            quota_bytes: Some(0),
            bucket_limit: Some(2),
            ..LimitArguments::default()
        };
        assert_eq!(
            body_of(&given, None).unwrap(),
            json!({"requests_per_second": 5, "quota_bytes": 0, "bucket_limit": 2})
        );
        let nothing = LimitArguments::default();
        assert!(body_of(&nothing, None).is_err());
        let engine = |name| body_of(&nothing, Some(name)).unwrap();
        assert_eq!(engine("east"), json!({"engine": "east"}));
        assert_eq!(engine("default"), json!({"engine": null}));
    }
}
