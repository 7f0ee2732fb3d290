//! What not every engine can do: passed on where the engine was seen to do it, refused with `NotImplemented` elsewhere.

use super::Call;
use crate::error::{Code, S3Error};
use crate::headers::{OBJECT_LOCK, SSE, SSE_C, SSE_C_SOURCE, TAGGING};
use crate::place::Place;
use crate::upstream::{Denial, EngineRequest};

pub fn cannot(what: &str) -> S3Error {
    S3Error::with(
        Code::NotImplemented,
        format!("This bucket's storage engine knows no {what}."),
    )
}

/// Refuses what the engine configures for a whole bucket of its own, where the bucket shares one with others.
pub fn needs_own_bucket(place: Place<'_>) -> Result<(), S3Error> {
    if place.is_dedicated() {
        return Ok(());
    }
    Err(S3Error::with(
        Code::NotImplemented,
        "This bucket is kept in one storage bucket together with others: settings of the storage engine's own are not available.",
    ))
}

impl Call {
    /// Takes over what is asked of an object that is being made: tags, lock, encryption.
    pub fn pass_demands(&self, request: &mut EngineRequest<'_>) -> Result<(), S3Error> {
        let able = request.engine.capabilities;
        let public = self.request.header("x-amz-acl")? == Some("public-read");
        if public && !self.place()?.bucket.public_read {
            return Err(Code::AccessControlListNotSupported.into());
        }
        if self.asks(OBJECT_LOCK) {
            needs_own_bucket(self.place()?)?;
        }
        self.pass_if(able.object_tagging, request, &[TAGGING], "object tags")?;
        self.pass_if(able.object_lock, request, OBJECT_LOCK, "object lock")?;
        self.pass_if(able.sse_s3, request, &[SSE], "server-side encryption")?;
        self.pass_customer_key(request)
    }

    /// The customer's key for the object that is written or read.
    pub fn pass_customer_key(&self, request: &mut EngineRequest<'_>) -> Result<(), S3Error> {
        let able = request.engine.capabilities.sse_c;
        self.pass_if(able, request, SSE_C, "encryption with customers' keys")?;
        self.deny_key(request, SSE_C);
        Ok(())
    }

    /// The customer's key for the source of a copy.
    pub fn pass_source_key(&self, request: &mut EngineRequest<'_>) -> Result<(), S3Error> {
        let able = request.engine.capabilities.sse_c;
        self.pass_if(
            able,
            request,
            SSE_C_SOURCE,
            "encryption with customers' keys",
        )?;
        self.deny_key(request, SSE_C_SOURCE);
        Ok(())
    }

    /// An engine that is given a customer's key may say that it is another one's.
    fn deny_key(&self, request: &mut EngineRequest<'_>, names: &[&'static str]) {
        if self.asks(names) && request.denial == Denial::OfUs {
            request.denial = Denial::CustomerKey;
        }
    }

    fn asks(&self, names: &[&'static str]) -> bool {
        let mut sent = self.request.headers.keys();
        sent.any(|name| names.contains(&name.as_str()))
    }

    fn pass_if(
        &self,
        able: bool,
        request: &mut EngineRequest<'_>,
        names: &[&'static str],
        what: &str,
    ) -> Result<(), S3Error> {
        if !able && self.asks(names) {
            return Err(cannot(what));
        }
        request.headers.pass(&self.request, names);
        Ok(())
    }
}
