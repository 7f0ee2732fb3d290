//! Questions about a bucket whose answer is the same for every bucket. Tools that describe a bucket as a whole, such as
//! Terraform, ask all of them.

use super::{Answer, Call, xml};
use crate::error::Code;
use crate::operation::Operation;
use crate::xml::XmlWriter;

pub fn perform(call: &Call) -> Answer {
    use Operation::*;
    let bucket = call.place()?.bucket;
    let mut out = XmlWriter::document();
    match call.operation {
        GetBucketAccelerateConfiguration => out.namespaced_text("AccelerateConfiguration", ""),
        GetBucketLogging => out.namespaced_text("BucketLoggingStatus", ""),
        GetBucketNotificationConfiguration => out.namespaced_text("NotificationConfiguration", ""),
        GetBucketOwnershipControls => {
            out = XmlWriter::s3("OwnershipControls");
            out.open("Rule");
            out.text("ObjectOwnership", "BucketOwnerEnforced");
            out.close("Rule");
            out.close("OwnershipControls");
        }
        GetBucketPolicyStatus => {
            out = XmlWriter::s3("PolicyStatus");
            out.text(
                "IsPublic",
                if bucket.public_read { "true" } else { "false" },
            );
            out.close("PolicyStatus");
        }
        GetBucketRequestPayment => {
            out = XmlWriter::s3("RequestPaymentConfiguration");
            out.text("Payer", "BucketOwner");
            out.close("RequestPaymentConfiguration");
        }
        GetBucketPolicy => return Err(Code::NoSuchBucketPolicy.into()),
        GetBucketReplication => return Err(Code::ReplicationConfigurationNotFoundError.into()),
        GetBucketWebsite => return Err(Code::NoSuchWebsiteConfiguration.into()),
        GetPublicAccessBlock => return Err(Code::NoSuchPublicAccessBlockConfiguration.into()),
        _ => return Err(Code::InternalError.into()),
    }
    Ok(xml(out.finish()))
}
