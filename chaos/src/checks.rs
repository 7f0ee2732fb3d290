//! Whether all is well again, and whether what must always hold holds. Asked of the product as its users ask, and of its
//! database past whatever stands between.

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::house::House;
use crate::inject::Witness;
use crate::ledger::Tally;
use crate::operator::Operator;
use crate::plan::{CONTROL_PLANES, NODES, Part};
use crate::s3::{Connection, Request};
use crate::verdict::Verdict;

const PAUSE: Duration = Duration::from_millis(50);
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// What is not well, if anything is.
fn ailing(house: &mut House, witness: &Witness, number: u64) -> Result<(), String> {
    for number in 0..CONTROL_PLANES {
        match house.readiness(Part::ControlPlane(number)) {
            Some((200, _)) => {}
            Some((_, said)) => return Err(format!("control plane {number}: {}", said.trim())),
            None => return Err(format!("control plane {number} does not answer")),
        }
    }
    for node in 0..NODES {
        let Some((status, said)) = house.readiness(Part::Node(node)) else {
            return Err(format!("node {node} does not answer"));
        };
        let state: Value = serde_json::from_str(&said).unwrap_or_default();
        if status != 200 || state["connected"] != true || state["refusing"] != false {
            return Err(format!("node {node}: {}", said.trim()));
        }
        serves(house, node, witness, number)?;
    }
    let operator = house.operator();
    for controlplane in 0..CONTROL_PLANES {
        reaches_all(&operator, controlplane, &witness.tenant)?;
    }
    Ok(())
}

/// An object can be written and read through the node, as clients do it.
fn serves(house: &House, node: usize, witness: &Witness, number: u64) -> Result<(), String> {
    let mut connection = Connection::new(&house.client_address(node));
    let key = format!("well/{node}");
    let body = format!("round {number}");
    for (method, body) in [("PUT", body.as_bytes()), ("GET", &[])] {
        let request = Request {
            method,
            bucket: &witness.bucket,
            key: &key,
            body,
            ..Request::default()
        };
        match connection.ask(&witness.key, &request, ANSWERED_WITHIN) {
            Ok(answer) if answer.status == 200 => {}
            Ok(answer) => return Err(format!("{method} at node {node}: {}", answer.told())),
            Err(broken) => return Err(format!("{method} at node {node}: {broken:?}")),
        }
    }
    Ok(())
}

/// What this control plane changes is acknowledged by every node.
fn reaches_all(operator: &Operator, controlplane: usize, tenant: &str) -> Result<(), String> {
    let key = operator.create_key(controlplane, tenant);
    let receipt = key.and_then(|key| operator.revoke(controlplane, &key));
    let receipt = receipt.map_err(|error| format!("control plane {controlplane}: {error}"))?;
    if receipt.nodes.len() < NODES || receipt.pending > 0 {
        return Err(format!("control plane {controlplane} reaches {receipt:?}"));
    }
    Ok(())
}

/// Waits until all is well, for as long as is allowed.
///
/// # Errors
/// What is not.
pub fn heal(
    house: &mut House,
    witness: &Witness,
    number: u64,
    within: Duration,
) -> Result<Duration, String> {
    let begun = Instant::now();
    loop {
        house.supervise();
        let Err(wrong) = ailing(house, witness, number) else {
            return Ok(begun.elapsed());
        };
        if begun.elapsed() > within {
            return Err(wrong);
        }
        thread::sleep(PAUSE);
    }
}

/// What holds in the database at every commit: what is used and what nodes still hold is at most the quota.
pub fn leases(house: &House, verdict: &Verdict) {
    let statement = "SELECT t.name, coalesce(u.stored_bytes, 0), t.quota_bytes,
            coalesce((SELECT sum(granted - consumed) FROM leases l
                      WHERE l.tenant_id = t.id AND l.resource = 'stored_bytes'), 0)
        FROM tenants t LEFT JOIN tenant_usage u ON u.tenant_id = t.id WHERE t.quota_bytes IS NOT NULL";
    let Some(rows) = house.postgres.query(statement) else {
        return verdict.breach("the leases cannot be asked for when all is well".to_owned());
    };
    for row in rows.lines() {
        let fields: Vec<&str> = row.split('|').collect();
        let figure = |at: usize| fields.get(at).and_then(|text| text.parse::<i64>().ok());
        let (Some(used), Some(quota), Some(held)) = (figure(1), figure(2), figure(3)) else {
            return verdict.breach(format!("a row of leases cannot be read: {row}"));
        };
        if used + held > quota {
            verdict.breach(format!(
                "QUOTA: of {quota} bytes {used} are used and nodes hold {held} more"
            ));
        }
    }
}

/// What is booked for each access key: requests, bytes in, bytes out.
pub fn booked(house: &House) -> Option<HashMap<String, [u64; 3]>> {
    let statement = "SELECT access_key_id, sum(requests), sum(bytes_in), sum(bytes_out)
        FROM usage_hours GROUP BY access_key_id";
    let rows = house.postgres.query(statement)?;
    let rows = rows.lines().filter_map(|row| {
        let mut fields = row.split('|');
        let key = fields.next()?.to_owned();
        let mut figure = || fields.next()?.parse().ok();
        Some((key, [figure()?, figure()?, figure()?]))
    });
    Some(rows.collect())
}

/// Waits until what is booked is what the clients know, and says what is not.
pub fn usage(
    house: &mut House,
    tallies: &HashMap<String, Tally>,
    within: Duration,
    verdict: &Verdict,
) -> Duration {
    let begun = Instant::now();
    loop {
        house.supervise();
        let booked = booked(house).unwrap_or_default();
        let wrong: Vec<String> = tallies
            .iter()
            .filter_map(|(key, tally)| {
                let figures = booked.get(key).copied().unwrap_or_default();
                let wrong = tally.judge(figures).err()?;
                Some(format!("USAGE of access key {key}: {wrong}"))
            })
            .collect();
        if wrong.is_empty() {
            return begun.elapsed();
        }
        if begun.elapsed() > within {
            wrong.into_iter().for_each(|wrong| verdict.breach(wrong));
            return begun.elapsed();
        }
        thread::sleep(PAUSE * 4);
    }
}

/// The chain of the audit log holds, and something is in it.
pub fn audit(operator: &Operator, verdict: &Verdict) -> u64 {
    match operator.ask(0, "GET", "audit/verify", &Value::Null) {
        Ok(told) => {
            let broken = told["broken"].as_array().map_or(0, Vec::len);
            if broken > 0 {
                verdict.breach(format!("AUDIT: {told}"));
            }
            told["entries"].as_u64().unwrap_or(0)
        }
        Err(error) => {
            verdict.breach(format!("the audit log cannot be verified: {error}"));
            0
        }
    }
}

/// What is shown as stored, before and after the buckets were looked at.
///
/// # Errors
/// What was answered instead.
pub fn stored(operator: &Operator, tenant: &str) -> Result<u64, String> {
    let told = operator.ask(0, "GET", &format!("tenants/{tenant}"), &Value::Null)?;
    told["stored_bytes"].as_u64().ok_or("no figure".to_owned())
}
