//! `POST /webhooks/stripe`: believed if it is signed, acted on by asking Stripe, and written down in the same transaction.
//! What an event says of prices, amounts or plans is never read.

use axum::body::Bytes;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use super::client::Stripe;
use super::objects::{Charge, time};
use super::{events, mirror, signature};
use crate::db::stripe_events as rows;
use crate::{Actor, ControlPlane, Error, Origin};

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Event {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub created: i64,
    pub livemode: bool,
    data: Data,
}

#[derive(Debug, Clone, Deserialize)]
struct Data {
    object: Value,
}

/// Whom an event concerns.
pub(super) enum Whom {
    Customer(String),
    /// Disputes and refunds name no customer, but their charge.
    Charge(String),
    Nobody,
}

impl Event {
    pub(super) fn whom(&self) -> Whom {
        let object = &self.data.object;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        // An id, or the whole object.
        let named = |name: &str| text(&object[name]).or_else(|| text(&object[name]["id"]));
        if object["object"] == "customer" {
            return text(&object["id"]).map_or(Whom::Nobody, Whom::Customer);
        }
        match (named("customer"), named("charge")) {
            (Some(customer), _) => Whom::Customer(customer),
            (None, Some(charge)) => Whom::Charge(charge),
            (None, None) => Whom::Nobody,
        }
    }
}

/// 200 as soon as it is written down, acted on or to be tried again; 400 for whatever is not signed as it is.
pub(crate) async fn receive(
    State(cp): State<ControlPlane>,
    origin: Origin,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Error> {
    let stripe = cp.stripe().ok_or(Error::NotFound("route"))?;
    let signature = headers
        .get("stripe-signature")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let now = cp.clock().now();
    if !signature::holds(stripe.webhook_secret(), signature, &body, now) {
        let message = "The signature does not hold for this body and time.";
        return Err(Error::BadRequest(message.to_owned()));
    }
    let event: Event = serde_json::from_slice(&body)
        .map_err(|_| Error::BadRequest("The body is no event of Stripe's.".to_owned()))?;
    if event.livemode != stripe.live() {
        tracing::warn!(event = event.id, "an event of the other mode was refused");
        let message = "The event is of the other mode: live and test do not mix.";
        return Err(Error::BadRequest(message.to_owned()));
    }
    take(&cp, stripe, &event, 1, origin).await?;
    Ok(StatusCode::OK)
}

/// Acts on it, unless that was done. A failure is written down, and tried again later.
pub(super) async fn take(
    cp: &ControlPlane,
    stripe: &Stripe,
    event: &Event,
    attempt: i32,
    origin: Origin,
) -> Result<(), Error> {
    let whom = event.whom();
    match act(cp, stripe, event, &whom, attempt, origin).await {
        Ok(()) => {
            cp.mailer().wake();
            Ok(())
        }
        Err(error) => {
            tracing::warn!(event = event.id, kind = event.kind, %error, "an event could not be acted on");
            events::keep_failed(cp, event, &whom, attempt, &error).await
        }
    }
}

async fn act(
    cp: &ControlPlane,
    stripe: &Stripe,
    event: &Event,
    whom: &Whom,
    attempt: i32,
    origin: Origin,
) -> Result<(), Error> {
    let customer = match whom {
        Whom::Customer(customer) => Some(customer.clone()),
        Whom::Charge(charge) => {
            let charge: Charge = stripe.get(&charge_path(charge)?, &[]).await?;
            charge.customer
        }
        Whom::Nobody => None,
    };
    let _place = stripe.at_once.acquire().await;
    let mut tx = cp.begin_system().await?.acting(Actor::System, origin);
    let now = cp.clock().now();
    let new = rows::Event {
        id: &event.id,
        kind: &event.kind,
        customer: customer.as_deref(),
        created_at: time(event.created),
        attempt,
        now,
    };
    // Whoever else has this event waits here, and finds it done.
    if !rows::begin(&mut tx, &new).await? {
        return Ok(());
    }
    let tenant = match &customer {
        Some(customer) => mirror::refresh(&mut tx, cp, stripe, customer).await?,
        None => None,
    };
    rows::finish(&mut tx, &event.id, tenant).await?;
    tx.commit().await
}

/// An id goes into the path: letters, digits and underscores alone.
fn charge_path(id: &str) -> Result<String, Error> {
    match id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        true => Ok(format!("/v1/charges/{id}")),
        false => Err(Error::BadRequest("That is no charge's id.".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn whom(object: Value) -> Whom {
        let event = json!({
            "id": "evt_1", "type": "x", "created": 1, "livemode": false, "data": { "object": object },
        });
        serde_json::from_value::<Event>(event).unwrap().whom()
    }

    #[test]
    fn whom_it_concerns_is_the_customer_or_the_charges() {
        let customer = |object| match whom(object) {
            Whom::Customer(id) => id,
            _ => panic!("nobody"),
        };
        assert_eq!(
            customer(json!({ "object": "customer", "id": "cus_1" })),
            "cus_1"
        );
        assert_eq!(
            customer(json!({ "object": "invoice", "id": "in_1", "customer": "cus_2" })),
            "cus_2"
        );
        assert_eq!(
            customer(json!({ "object": "charge", "customer": { "id": "cus_3" } })),
            "cus_3"
        );
        let dispute = whom(json!({ "object": "dispute", "id": "du_1", "charge": "ch_1" }));
        assert!(matches!(dispute, Whom::Charge(id) if id == "ch_1"));
        assert!(matches!(
            whom(json!({ "object": "price", "id": "price_1" })),
            Whom::Nobody
        ));
    }

    #[test]
    fn an_id_leads_nowhere_else() {
        assert_eq!(charge_path("ch_3Abc").unwrap(), "/v1/charges/ch_3Abc");
        assert!(charge_path("../customers/cus_1").is_err());
    }
}
