//! `/billing`: the plan and where the account stands, usage beyond it, invoices, cap and alerts; and the ways to Stripe.
//! Amounts come from the control plane; no page computes one.

pub mod alerts;
pub mod checkout;
pub mod invoice;
pub mod page;
pub mod usage;
