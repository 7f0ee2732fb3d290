//! WebAuthn's two ceremonies in terms of bytes that can be kept: `webauthn_rp` makes the challenges and checks the answers.
//! Nothing here reads the database, and nothing outside knows the library.

use std::convert::Infallible;
use std::fmt::Display;

use uuid::Uuid;
use webauthn_rp::bin::{Decode, Encode};
use webauthn_rp::request::PublicKeyCredentialDescriptor;
use webauthn_rp::request::auth::{
    AuthenticationVerificationOptions, DiscoverableCredentialRequestOptions,
};
use webauthn_rp::request::register::{
    CredProtect, Nickname, PublicKeyCredentialCreationOptions, PublicKeyCredentialUserEntity,
    RegistrationVerificationOptions, UserHandle16, Username,
};
use webauthn_rp::response::auth::error::AuthCeremonyErr;
use webauthn_rp::response::register::{CompressedPubKey, DynamicState, StaticState};
use webauthn_rp::response::{AuthTransports, CredentialId};
use webauthn_rp::{
    AuthenticatedCredential, DiscoverableAuthentication16, DiscoverableAuthenticationServerState,
    Registration, RegistrationServerState,
};

use super::RelyingParty;
use crate::Error;
use crate::ids::MemberId;

type PublicKey = CompressedPubKey<[u8; 32], [u8; 32], [u8; 48], Vec<u8>>;

/// A challenge for a browser.
pub(super) struct Begun {
    /// To be kept until the answer comes. It ends after five minutes by itself.
    pub state: Vec<u8>,
    /// What the page's script hands to the browser: `PublicKeyCredentialCreationOptionsJSON` or `…RequestOptionsJSON`.
    pub options: String,
}

/// What is kept of a passkey.
pub(super) struct Credential {
    pub credential_id: Vec<u8>,
    pub static_state: Vec<u8>,
    pub dynamic_state: Vec<u8>,
}

/// Why an answer was not accepted.
#[derive(Debug)]
pub(super) enum Refused {
    /// The signature is right, but its counter is not beyond the last one: somebody else has used a copy.
    Counter,
    Other(String),
}

impl Refused {
    fn because(reason: impl Display) -> Self {
        Self::Other(reason.to_string())
    }
}

/// `existing`: the member's passkeys, of which no device needs two.
pub(super) fn begin_registration(
    party: &RelyingParty,
    member: MemberId,
    email: &str,
    existing: Vec<Vec<u8>>,
) -> Result<Begun, Error> {
    let id = never(UserHandle16::decode(member.0.into_bytes()));
    // An address that the standard does not take for a name (RFC 8265) goes without one.
    let name = Username::try_from(email).or_else(|_| Username::try_from("member"));
    let user = PublicKeyCredentialUserEntity {
        name: name.map_err(internal)?,
        id: &id,
        display_name: Nickname::try_from(email).ok(),
    };
    let excluded = existing.into_iter().filter_map(|id| {
        Some(PublicKeyCredentialDescriptor {
            id: CredentialId::decode(id).ok()?,
            transports: AuthTransports::decode(0).ok()?,
        })
    });
    let excluded = excluded.collect();
    let mut options = PublicKeyCredentialCreationOptions::passkey(&party.id, user, excluded);
    // Every log-in asks for user verification; what else the device keeps is its own business.
    options.extensions.cred_protect = CredProtect::None;
    let (state, client) = options.start_ceremony().map_err(internal)?;
    Ok(Begun {
        state: state.encode().map_err(internal)?,
        options: serde_json::to_string(&client).map_err(internal)?,
    })
}

pub(super) fn finish_registration(
    party: &RelyingParty,
    state: &[u8],
    answer: &str,
) -> Result<Credential, Refused> {
    let answer = Registration::from_json_relaxed(answer.as_bytes()).map_err(Refused::because)?;
    let state = RegistrationServerState::<16>::decode(state).map_err(Refused::because)?;
    let options = RegistrationVerificationOptions::<&str, &str> {
        allowed_origins: &[party.origin.as_str()],
        error_on_unsolicited_extensions: false,
        ..Default::default()
    };
    let registered = state.verify(&party.id, &answer, &options);
    let registered = registered.map_err(Refused::because)?;
    Ok(Credential {
        credential_id: registered.id().into_inner().to_vec(),
        static_state: never(registered.static_state().encode()),
        dynamic_state: never(registered.dynamic_state().encode()).to_vec(),
    })
}

/// Of whatever passkey the browser has for us: who it is that logs in follows from the answer.
pub(super) fn begin_authentication(party: &RelyingParty) -> Result<Begun, Error> {
    let options = DiscoverableCredentialRequestOptions::passkey(&party.id);
    let (state, client) = options.start_ceremony().map_err(internal)?;
    Ok(Begun {
        state: state.encode().map_err(internal)?,
        options: serde_json::to_string(&client).map_err(internal)?,
    })
}

/// A browser's answer that nobody has checked yet.
pub(super) struct Answer(DiscoverableAuthentication16);

impl Answer {
    pub(super) fn read(json: &str) -> Result<Self, Refused> {
        let read = DiscoverableAuthentication16::from_json_relaxed(json.as_bytes());
        read.map(Self).map_err(Refused::because)
    }

    pub(super) fn credential_id(&self) -> Vec<u8> {
        self.0.raw_id().into_inner().to_vec()
    }

    /// The new dynamic state, if there is one. `member`: whose the kept passkey is.
    pub(super) fn check(
        &self,
        party: &RelyingParty,
        state: &[u8],
        member: Uuid,
        kept: &Credential,
    ) -> Result<Option<Vec<u8>>, Refused> {
        let state = DiscoverableAuthenticationServerState::decode(state);
        let state = state.map_err(Refused::because)?;
        let id = never(UserHandle16::decode(member.into_bytes()));
        let fixed = StaticState::<PublicKey>::decode(&kept.static_state);
        let moving = kept.dynamic_state.as_slice().try_into();
        let moving = DynamicState::decode(moving.map_err(Refused::because)?);
        let mut credential = AuthenticatedCredential::new(
            self.0.raw_id(),
            &id,
            fixed.map_err(Refused::because)?,
            moving.map_err(Refused::because)?,
        )
        .map_err(Refused::because)?;
        let options = AuthenticationVerificationOptions::<&str, &str> {
            allowed_origins: &[party.origin.as_str()],
            error_on_unsolicited_extensions: false,
            ..Default::default()
        };
        match state.verify(&party.id, &self.0, &mut credential, &options) {
            Ok(true) => Ok(Some(never(credential.dynamic_state().encode()).to_vec())),
            Ok(false) => Ok(None),
            Err(AuthCeremonyErr::SignatureCounter) => Err(Refused::Counter),
            Err(other) => Err(Refused::because(other)),
        }
    }
}

fn never<T>(result: Result<T, Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

fn internal(error: impl Display) -> Error {
    Error::Internal(anyhow::anyhow!("passkeys: {error}"))
}
