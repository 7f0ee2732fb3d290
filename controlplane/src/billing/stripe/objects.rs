//! Stripe's objects, as far as this system reads them; what else is in them is passed over.
//! Source: <https://docs.stripe.com/api>

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::client::Named;

#[derive(Debug, Deserialize)]
pub(super) struct List<T> {
    pub data: Vec<T>,
    #[serde(default)]
    pub has_more: bool,
}

/// Seconds since the epoch.
pub(super) fn time(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap_or(DateTime::UNIX_EPOCH)
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Subscription {
    pub id: String,
    pub status: String,
    pub created: i64,
    pub cancel_at: Option<i64>,
    pub canceled_at: Option<i64>,
    pub ended_at: Option<i64>,
    pub items: Items,
}

/// A whole list, as it stands in a subscription.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Items {
    pub data: Vec<Item>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Item {
    pub current_period_start: i64,
    pub current_period_end: i64,
    pub price: PriceName,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct PriceName {
    pub id: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Invoice {
    pub id: String,
    pub number: Option<String>,
    pub status: Option<String>,
    pub currency: String,
    pub total: i64,
    pub amount_paid: i64,
    pub amount_remaining: i64,
    pub created: i64,
    pub period_start: i64,
    pub period_end: i64,
    pub hosted_invoice_url: Option<String>,
    pub invoice_pdf: Option<String>,
    #[serde(default)]
    pub status_transitions: Transitions,
    #[serde(default)]
    pub parent: Option<Parent>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Transitions {
    pub finalized_at: Option<i64>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Parent {
    pub subscription_details: Option<SubscriptionDetails>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct SubscriptionDetails {
    pub subscription: String,
}

impl Invoice {
    pub(super) fn is_of(&self, subscription: &str) -> bool {
        let parent = self.parent.as_ref();
        let details = parent.and_then(|parent| parent.subscription_details.as_ref());
        details.is_some_and(|details| details.subscription == subscription)
    }
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Charge {
    pub id: String,
    pub customer: Option<String>,
    pub created: i64,
    pub paid: bool,
    /// As a whole.
    pub refunded: bool,
    pub disputed: bool,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Refund {
    pub id: String,
    pub created: i64,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Dispute {
    pub id: String,
    pub created: i64,
    pub status: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Price {
    pub id: String,
    pub currency: String,
    pub unit_amount_decimal: Option<String>,
    pub product: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Meter {
    pub id: String,
    pub event_name: String,
    pub status: String,
}

/// Anything that was made, by its id.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Made {
    pub id: String,
}

/// A page of Stripe's to which the customer is sent.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Hosted {
    pub url: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Summary {
    pub id: String,
    pub aggregated_value: f64,
}

macro_rules! named {
    ($($name:ident),*) => {$(
        impl Named for $name {
            fn id(&self) -> &str {
                &self.id
            }
        }
    )*};
}
named!(
    Subscription,
    Invoice,
    Charge,
    Refund,
    Dispute,
    Price,
    Meter,
    Summary
);
