//! ListBuckets: the tenant's own, from the pushed document; no engine is asked.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html>

use chrono::SecondsFormat;
use wire::BucketStatus;

use super::{Answer, Call, xml};
use crate::error::{Code, S3Error};
use crate::listing::at_most;
use crate::xml::XmlWriter;

pub fn perform(call: &Call) -> Answer {
    let query = &call.request.query;
    let prefix = query.single("prefix")?.unwrap_or("");
    let after = query.single("continuation-token")?.unwrap_or("");
    let most = at_most(query.single("max-buckets")?, "max-buckets", 10_000)? as usize;
    if most == 0 {
        return Err(S3Error::with(
            Code::InvalidArgument,
            "max-buckets must be at least 1.",
        ));
    }
    let scope = &call.identity.access_key().ok_or(Code::AccessDenied)?.scope;
    let mut buckets: Vec<_> = call
        .identity
        .tenant
        .document
        .buckets
        .iter()
        .filter(|bucket| bucket.status == BucketStatus::Active)
        .filter(|bucket| scope.buckets.is_empty() || scope.buckets.contains(&bucket.name))
        .filter(|bucket| bucket.name.starts_with(prefix) && bucket.name.as_str() > after)
        .collect();
    buckets.sort_by(|a, b| a.name.cmp(&b.name));

    let tenant = call.identity.tenant.id();
    let mut out = XmlWriter::s3("ListAllMyBucketsResult");
    out.open("Owner");
    out.text("ID", tenant);
    out.text("DisplayName", tenant);
    out.close("Owner");
    out.open("Buckets");
    for bucket in buckets.iter().take(most) {
        out.open("Bucket");
        out.text("Name", &bucket.name);
        out.text(
            "CreationDate",
            &bucket
                .created_at
                .to_rfc3339_opts(SecondsFormat::Millis, true),
        );
        out.text("BucketRegion", &call.shared.settings.region);
        out.close("Bucket");
    }
    out.close("Buckets");
    if !prefix.is_empty() {
        out.text("Prefix", prefix);
    }
    // Names are the tenant's own and sorted: the last one says where to go on.
    if buckets.len() > most
        && let Some(last) = buckets.get(most - 1)
    {
        out.text("ContinuationToken", &last.name);
    }
    out.close("ListAllMyBucketsResult");
    Ok(xml(out.finish()))
}
