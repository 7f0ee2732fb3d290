//! `POST /billing/alerts`: the cap, what happens at it, the thresholds, and where a webhook goes.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::Error;
use controlplane::billing::{self, Spending};

use super::page::render;
use crate::App;
use crate::errors::FormErrors;
use crate::failure::Failure;
use crate::fields::Pairs;
use crate::forgery::MemberForm;
use crate::session::Member;

const FIELDS: [&str; 3] = ["cap", "thresholds", "webhook_url"];

/// As it stands in the form.
pub struct AlertForm {
    pub cap: String,
    pub refuse: bool,
    pub thresholds: String,
    pub webhook_url: String,
}

impl AlertForm {
    pub fn of(spending: &Spending) -> Self {
        let percent = spending.thresholds.iter().map(ToString::to_string);
        Self {
            cap: spending.cap_cents.map(amount).unwrap_or_default(),
            refuse: spending.refuse_at_cap,
            thresholds: percent.collect::<Vec<_>>().join(", "),
            webhook_url: spending.webhook_url.clone().unwrap_or_default(),
        }
    }

    fn sent(fields: &Pairs) -> Self {
        Self {
            cap: fields.get("cap").trim().to_owned(),
            refuse: fields.get("at_cap") == "refuse",
            thresholds: fields.get("thresholds").trim().to_owned(),
            webhook_url: fields.get("webhook_url").trim().to_owned(),
        }
    }

    fn read(&self) -> Result<Spending, Error> {
        let cap = match self.cap.as_str() {
            "" => None,
            text => Some(crate::figures::cents(text).ok_or_else(|| {
                Error::validation("cap", "Give an amount such as 250 or 250.50.")
            })?),
        };
        let parts = self.thresholds.split([',', ' ']).map(str::trim);
        let parts = parts.filter(|part| !part.is_empty());
        let thresholds = parts.map(|part| part.trim_end_matches('%').parse::<i32>());
        let thresholds = thresholds.collect::<Result<Vec<_>, _>>().map_err(|_| {
            let message = "Give up to ten whole numbers from 1 to 1000, parted by commas.";
            Error::validation("thresholds", message)
        })?;
        Ok(Spending {
            cap_cents: cap,
            refuse_at_cap: self.refuse,
            thresholds,
            webhook_url: Some(self.webhook_url.clone()).filter(|url| !url.is_empty()),
        })
    }
}

fn amount(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

pub async fn submit(
    State(app): State<App>,
    MemberForm { member, fields }: MemberForm<Pairs>,
) -> Result<Response, Failure> {
    let form = AlertForm::sent(&fields);
    match save(&app, &member, &form).await {
        Ok(None) => Ok(Redirect::to("/billing?notice=alerts").into_response()),
        Ok(Some(secret)) => {
            let errors = FormErrors::default();
            render(&app, &member, "alerts", Some(&secret), &form, &errors).await
        }
        Err(error) => {
            let status = error.status();
            let errors = FormErrors::explain(error, &FIELDS)?;
            let shown = render(&app, &member, "", None, &form, &errors).await?;
            Ok((status, shown).into_response())
        }
    }
}

/// The webhook's secret, if its address is new. What the cap comes to holds at once.
async fn save(app: &App, member: &Member, form: &AlertForm) -> Result<Option<String>, Error> {
    let spending = form.read()?;
    let mut tx = member.begin_plain(app).await?;
    let secret = billing::set_spending(&mut tx, &app.cp, spending).await?;
    tx.commit().await?;
    billing::look_at(&app.cp, member.session.tenant_id).await?;
    Ok(secret)
}
