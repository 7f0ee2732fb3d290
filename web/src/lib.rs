//! The customer's dashboard and the operators' area: server-rendered pages that need no script, over `controlplane`'s functions.
//! It holds no state of its own and no SQL; what a page shows comes from a transaction that its handler began.

mod admin;
mod assets;
mod charts;
mod csv;
mod errors;
mod failure;
mod fields;
mod figures;
mod forgery;
mod pages;
mod periods;
mod request_id;
mod security_headers;
mod session;
mod snippets;
mod theme;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, get, post};
use controlplane::ControlPlane;
use controlplane::accounts::Act;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;

use crate::pages::{
    access_keys, account, api_tokens, audit_log, billing, buckets, change_email, change_password,
    confirm_signup, connect, create_access_key, dashboard, delete_account, dismiss_notice,
    email_links, forgot_password, invitation, landing, login, login_code, login_passkey, logout,
    member, members, passkeys, recovery_codes, refusal, refusals, reset_password,
    revoke_access_key, rotate_access_key, second_step, settings, signup, usage,
};

/// The largest form that is read, in bytes; and the one that bears the names of a page of objects, each of up to 1,024
/// bytes that are three when they are sent.
const MAX_FORM: usize = 16 * 1024;
const MAX_NAMES: usize = 512 * 1024;

/// Who may open a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Public,
    /// Whoever has a session and may do this; everyone else is sent to `/login`, or refused.
    Member {
        /// What it takes to look.
        see: Act,
        /// What it takes to send a form.
        change: Act,
    },
    /// An operator who has passed both steps of their own log-in; everyone else is sent to `/admin/login`.
    Operator,
}

impl Access {
    /// Everybody with a session looks, some change.
    const fn changed_by(act: Act) -> Self {
        Self::Member {
            see: Act::View,
            change: act,
        }
    }

    /// Only those who may do it see it.
    const fn only(act: Act) -> Self {
        Self::Member {
            see: act,
            change: act,
        }
    }
}

#[derive(Clone)]
struct App {
    cp: ControlPlane,
}

impl App {
    /// Whether people reach the dashboard over TLS.
    fn is_https(&self) -> bool {
        self.cp.config().public_url.starts_with("https://")
    }
}

/// Every route, in one place.
fn table() -> Vec<(&'static str, Access, MethodRouter<App>)> {
    let mut table = public();
    table.extend(own());
    table.extend(tenants());
    table.extend(storage());
    table.extend(paying());
    table.extend(admin::routes());
    table
}

/// What needs no session.
fn public() -> Vec<(&'static str, Access, MethodRouter<App>)> {
    let routes = vec![
        ("/", get(landing::show)),
        (
            "/static/{name}",
            get(assets::serve).layer(assets::compression()),
        ),
        ("/signup", get(signup::show).post(signup::submit)),
        (
            "/signup/confirm",
            get(confirm_signup::show).post(confirm_signup::submit),
        ),
        ("/login", get(login::show).post(login::submit)),
        (
            "/login/code",
            get(login_code::show).post(login_code::submit),
        ),
        ("/login/passkey", post(login_passkey::begin)),
        ("/login/passkey/answer", post(login_passkey::answer)),
        ("/login/code/passkey", post(login_passkey::begin_second)),
        (
            "/login/code/passkey/answer",
            post(login_passkey::answer_second),
        ),
        (
            "/password/forgot",
            get(forgot_password::show).post(forgot_password::submit),
        ),
        (
            "/password/reset",
            get(reset_password::show).post(reset_password::submit),
        ),
        (
            "/email/confirm",
            get(email_links::show_confirm).post(email_links::confirm),
        ),
        (
            "/email/undo",
            get(email_links::show_undo).post(email_links::undo),
        ),
        (
            "/invitation",
            get(invitation::show).post(invitation::submit),
        ),
    ];
    let public = |(path, handler)| (path, Access::Public, handler);
    routes.into_iter().map(public).collect()
}

/// What members do to their own log-in.
fn own() -> Vec<(&'static str, Access, MethodRouter<App>)> {
    let routes = vec![
        ("/logout", post(logout::submit)),
        ("/account", get(account::show)),
        ("/account/sessions/end-others", post(account::end_others)),
        ("/account/sessions/{session_id}/end", post(account::end_one)),
        (
            "/account/password",
            get(change_password::show).post(change_password::submit),
        ),
        (
            "/account/email",
            get(change_email::show).post(change_email::submit),
        ),
        (
            "/account/second-step",
            get(second_step::show).post(second_step::submit),
        ),
        (
            "/account/second-step/off",
            get(second_step::show_off).post(second_step::off),
        ),
        (
            "/account/second-step/recovery-codes",
            get(recovery_codes::show).post(recovery_codes::submit),
        ),
        (
            "/account/passkeys/new",
            get(passkeys::show).post(passkeys::begin),
        ),
        ("/account/passkeys/answer", post(passkeys::answer)),
        (
            "/account/passkeys/{passkey_id}",
            get(passkeys::show_rename).post(passkeys::rename),
        ),
        (
            "/account/passkeys/{passkey_id}/remove",
            get(passkeys::show_remove).post(passkeys::remove),
        ),
        (
            "/members/leave",
            get(member::show_leave).post(member::leave),
        ),
        (
            "/api-tokens",
            get(api_tokens::show).post(api_tokens::submit),
        ),
        (
            "/api-tokens/{api_token_id}/revoke",
            post(api_tokens::revoke),
        ),
    ];
    let own = |(path, handler)| (path, Access::only(Act::OwnLogIn), handler);
    routes.into_iter().map(own).collect()
}

/// Buckets and their objects, and how to reach them.
fn storage() -> Vec<(&'static str, Access, MethodRouter<App>)> {
    use Act::{ManageAccessKeys, ManageBuckets, ManageMembers, View};
    vec![
        (
            "/access-keys/{access_key_id}/rotate",
            Access::changed_by(ManageAccessKeys),
            get(rotate_access_key::show).post(rotate_access_key::submit),
        ),
        ("/connect", Access::changed_by(View), get(connect::show)),
        (
            "/buckets",
            Access::changed_by(ManageBuckets),
            get(buckets::list::show).post(buckets::create::submit),
        ),
        (
            "/buckets/new",
            Access::only(ManageBuckets),
            get(buckets::create::show),
        ),
        (
            "/buckets/{bucket}",
            Access::changed_by(ManageBuckets),
            get(buckets::objects::show),
        ),
        (
            "/buckets/{bucket}/settings",
            Access::changed_by(ManageBuckets),
            get(buckets::settings::show).post(buckets::settings::submit),
        ),
        (
            "/buckets/{bucket}/delete",
            Access::changed_by(ManageBuckets),
            get(buckets::delete::show).post(buckets::delete::submit),
        ),
        (
            "/buckets/{bucket}/object",
            Access::changed_by(ManageBuckets),
            get(buckets::object::show).post(buckets::object::link),
        ),
        (
            "/buckets/{bucket}/download",
            Access::changed_by(ManageBuckets),
            get(buckets::object::download),
        ),
        (
            "/buckets/{bucket}/folders",
            Access::changed_by(ManageBuckets),
            post(buckets::folder::submit),
        ),
        (
            "/buckets/{bucket}/delete-objects",
            Access::changed_by(ManageBuckets),
            post(buckets::delete_objects::submit),
        ),
        (
            "/buckets/{bucket}/deleted",
            Access::changed_by(ManageBuckets),
            get(buckets::deleted::show),
        ),
        (
            "/buckets/{bucket}/restore",
            Access::changed_by(ManageBuckets),
            post(buckets::restore::submit),
        ),
        (
            "/buckets/{bucket}/sign",
            Access::changed_by(ManageBuckets),
            post(buckets::sign::submit),
        ),
        (
            "/audit-log",
            Access::only(ManageMembers),
            get(audit_log::show),
        ),
        (
            "/audit-log.csv",
            Access::only(ManageMembers),
            get(audit_log::file),
        ),
        ("/usage", Access::only(View), get(usage::show)),
        ("/usage.csv", Access::only(View), get(usage::file::show)),
        ("/refusals", Access::only(View), get(refusals::show)),
        (
            "/refusals/{request_id}",
            Access::only(View),
            get(refusal::show),
        ),
        (
            "/theme",
            Access::changed_by(View),
            post(pages::theme::submit),
        ),
    ]
}

/// What concerns the tenant.
fn tenants() -> Vec<(&'static str, Access, MethodRouter<App>)> {
    vec![
        ("/dashboard", Access::only(Act::View), get(dashboard::show)),
        (
            "/notices/{notice_id}/dismiss",
            Access::only(Act::View),
            post(dismiss_notice::submit),
        ),
        (
            "/access-keys",
            Access::changed_by(Act::ManageAccessKeys),
            get(access_keys::show).post(create_access_key::submit),
        ),
        (
            "/access-keys/{access_key_id}/revoke",
            Access::only(Act::ManageAccessKeys),
            get(revoke_access_key::show).post(revoke_access_key::submit),
        ),
        (
            "/members",
            Access::changed_by(Act::ManageMembers),
            get(members::show).post(members::invite),
        ),
        (
            "/members/{member_id}",
            Access::only(Act::ManageMembers),
            get(member::show).post(member::change_role),
        ),
        (
            "/members/{member_id}/remove",
            Access::only(Act::ManageMembers),
            post(member::remove),
        ),
        (
            "/members/{member_id}/transfer",
            Access::only(Act::TransferOwnership),
            get(member::show_transfer).post(member::transfer),
        ),
        (
            "/settings",
            Access::changed_by(Act::ManageMembers),
            get(settings::show).post(settings::rename),
        ),
        (
            "/settings/export",
            Access::only(Act::DeleteAccount),
            post(settings::export),
        ),
        (
            "/settings/delete",
            Access::only(Act::DeleteAccount),
            get(delete_account::show).post(delete_account::submit),
        ),
        (
            "/invitations/{invitation_id}/take-back",
            Access::only(Act::ManageMembers),
            post(members::take_back),
        ),
    ]
}

/// What it costs, and how it is paid.
fn paying() -> Vec<(&'static str, Access, MethodRouter<App>)> {
    use Act::{ManageBilling, View};
    vec![
        (
            "/billing",
            Access::changed_by(ManageBilling),
            get(billing::page::show),
        ),
        (
            "/billing/usage.csv",
            Access::only(View),
            get(billing::usage::file),
        ),
        (
            "/billing/invoices/{invoice_id}",
            Access::only(ManageBilling),
            get(billing::invoice::file),
        ),
        (
            "/billing/checkout",
            Access::only(ManageBilling),
            post(billing::checkout::submit),
        ),
        (
            "/billing/portal",
            Access::only(ManageBilling),
            post(billing::checkout::portal),
        ),
        (
            "/billing/alerts",
            Access::only(ManageBilling),
            post(billing::alerts::submit),
        ),
    ]
}

/// Path and access of every route, for tests that walk them.
pub fn route_table() -> Vec<(&'static str, Access)> {
    let table = table().into_iter();
    table.map(|(path, access, _)| (path, access)).collect()
}

/// All pages. Nothing but these routes may have a fallback where they are merged.
pub fn routes(cp: ControlPlane) -> Router {
    let app = App { cp };
    let mut router = Router::new();
    for (path, access, handler) in table() {
        let handler = match access {
            Access::Public => handler,
            Access::Member { see, change } => {
                let door = session::Door {
                    app: app.clone(),
                    see,
                    change,
                };
                handler.layer(from_fn_with_state(door, session::require))
            }
            Access::Operator => {
                handler.layer(from_fn_with_state(app.clone(), admin::frame::require))
            }
        };
        let longest = match path.ends_with("/delete-objects") {
            true => MAX_NAMES,
            false => MAX_FORM,
        };
        router = router.route(path, handler.layer(RequestBodyLimitLayer::new(longest)));
    }
    // The last layer is the first to see a request.
    router
        .fallback(failure::no_such_page)
        .layer(from_fn_with_state(app.clone(), forgery::refuse_foreign))
        .layer(CatchPanicLayer::custom(failure::panicked))
        .layer(from_fn_with_state(app.clone(), session::note_look))
        .layer(from_fn(failure::render))
        .layer(from_fn(theme::remember))
        .layer(from_fn_with_state(app.clone(), security_headers::set))
        .layer(from_fn(request_id::assign))
        .with_state(app)
}
