//! DeleteBucket: the control plane makes sure that it is empty, and removes it.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucket.html>

use http::StatusCode;
use wire::DeleteBucket;

use super::{Answer, Call, empty};
use crate::gate;
use crate::operation::Effect;

pub async fn perform(call: Box<Call>) -> Answer {
    // One that is being deleted already may be asked for again: so a deletion that broke off is finished.
    gate::bucket(&call.identity.tenant, call.bucket_name()?, Effect::Delete)?;
    let request = DeleteBucket {
        tenant_id: call.identity.tenant.id().to_owned(),
        access_key_id: call.identity.access_key_id.to_string(),
        name: call.bucket_name()?.to_owned(),
        request_id: call.request.id.clone(),
    };
    call.node.control.delete_bucket(&request).await?;
    call.node
        .wait_until_gone(call.identity.tenant.id(), &request.name)
        .await;
    Ok(empty(StatusCode::NO_CONTENT))
}
