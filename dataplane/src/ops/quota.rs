//! What an operation asks of the tenant's quotas before anything of it goes to an engine.

use http::{Method, header};
use wire::Limits;

use super::Call;
use crate::body::Content;
use crate::clock::Clock;
use crate::error::{Code, S3Error};
use crate::leases::{self, Claim, Held, number};
use crate::node::Node;
use crate::place::Place;
use crate::tenants::Tenant;
use crate::upstream::EngineRequest;

/// What is about to be stored.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted {
    pub bytes: u64,
    pub objects: u64,
    /// The upload to which it belongs, as usage knows it; 0: none.
    pub upload: u64,
}

/// A copy's source.
pub struct Source {
    pub bytes: u64,
    pub etag: String,
}

const IF_MATCH: &str = "x-amz-copy-source-if-match";

impl Call {
    /// Whether the tenant has a quota of what is stored.
    pub fn is_limited(&self) -> bool {
        let limits = &self.identity.tenant.document.limits;
        limits.quota_bytes.is_some() || limits.quota_objects.is_some()
    }

    /// Promised before anything goes to an engine, and on disk. Refused: `QuotaExceeded`, or 503 where nobody knows.
    pub async fn reserve(&self, wanted: Wanted) -> Result<(), S3Error> {
        let tenant = &self.identity.tenant;
        let Some(blank) = blank(tenant.id(), &tenant.document.limits, &self.node.clock)? else {
            return Ok(());
        };
        let claim = Claim {
            bucket: number(&self.place()?.bucket.id).unwrap_or(0),
            bytes: wanted.bytes,
            objects: wanted.objects,
            upload: wanted.upload,
            ..blank
        };
        if claim.parts().next().is_none() {
            return Ok(());
        }
        let id = self.node.leases.reserve(claim, &self.node.uplink).await?;
        self.held.put(id, &claim);
        Ok(())
    }

    /// A HEAD of a copy's source, whose refusal is the copy's.
    pub async fn source_of_copy(
        &self,
        place: Place<'_>,
        key: &str,
        version: Option<&str>,
    ) -> Result<Source, S3Error> {
        let mut request = EngineRequest::new(place.engine, Method::HEAD, place.engine_bucket())
            .key(place.key(key)?);
        if let Some(id) = version {
            request = request.query("versionId", id);
        }
        let answer = self.send(request).await?;
        let text = |name| answer.headers().get(name)?.to_str().ok();
        let bytes = text(header::CONTENT_LENGTH).and_then(|text| text.parse().ok());
        Ok(Source {
            bytes: bytes.ok_or(Code::InternalError)?,
            etag: text(header::ETAG).unwrap_or_default().to_owned(),
        })
    }

    /// The copy fails if the source is another by then.
    pub fn pin(&self, request: &mut EngineRequest<'_>, source: &Source) -> Result<(), S3Error> {
        match self.request.header(IF_MATCH)? {
            Some(list) if !names(list, &source.etag) => Err(Code::PreconditionFailed.into()),
            // What the client asked for names it already.
            Some(list) if list.trim() != "*" => Ok(()),
            _ if source.etag.is_empty() => Ok(()),
            _ => request.headers.set(IF_MATCH, &source.etag),
        }
    }
}

/// What is read is promised before its first byte goes out, as far as its length is known.
pub async fn reserve_answer(
    node: &Node,
    tenant: &Tenant,
    held: &Held,
    content: &Content,
) -> Result<(), S3Error> {
    let Some(blank) = blank(tenant.id(), &tenant.document.limits, &node.clock)? else {
        return Ok(());
    };
    let claim = Claim {
        egress: content.length().unwrap_or(0),
        ..blank
    };
    if claim.parts().next().is_none() {
        return Ok(());
    }
    let id = node.leases.reserve(claim, &node.uplink).await?;
    held.put(id, &claim);
    Ok(())
}

fn names(list: &str, etag: &str) -> bool {
    let bare = |text: &str| text.trim().trim_matches('"').to_owned();
    list.split(',')
        .any(|one| one.trim() == "*" || bare(one) == bare(etag))
}

/// The claim of a request of this tenant that needs nothing yet; `None`: the tenant has no quota.
fn blank(tenant: &str, limits: &Limits, clock: &Clock) -> Result<Option<Claim>, S3Error> {
    let Some(leased) = leases::leased(limits) else {
        return Ok(None);
    };
    let now = clock.now();
    Ok(Some(Claim {
        tenant: number(tenant).ok_or(Code::InternalError)?,
        hour: leases::hour(now),
        period: leases::month(now.date_naive()),
        leased,
        ..Claim::default()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_entity_tags_names_one() {
        assert!(names("\"a\", \"b\"", "\"b\""));
        assert!(names("b", "\"b\"") && names("*", "\"b\""));
        assert!(!names("\"a\"", "\"b\""));
    }
}
