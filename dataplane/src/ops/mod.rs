//! One operation a file. An operation gets an admitted request, asks an engine, and answers in S3's terms.

pub mod acl;
pub mod complete_multipart_upload;
mod copy_object;
pub mod cors;
pub mod create_bucket;
mod create_multipart_upload;
mod delete_bucket;
mod delete_object;
pub mod delete_objects;
mod features;
mod fixed;
mod get_object;
mod get_object_attributes;
mod head_bucket;
mod list_buckets;
mod list_multipart_uploads;
mod list_object_versions;
mod list_objects;
mod list_parts;
mod post_object;
mod put_object;
pub mod quota;
pub mod settings;
mod versions;

pub use self::versions::VERSION_ID;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use wire::EngineCapabilities;

use crate::authenticate::{Identity, PayloadHash};
use crate::body::Content;
use crate::error::{Code, S3Error};
use crate::form::Reply;
use crate::gate::{self, Standing};
use crate::leases::Held;
use crate::limits::{Pace, TenantLimiter};
use crate::node::Node;
use crate::operation::Operation;
use crate::payload::{Outcome, Payload};
use crate::place::Place;
use crate::request::S3Request;
use crate::seal::Owner;
use crate::source::Source;
use crate::tenants::Shared;
use crate::upstream::{EngineAnswer, EngineRequest, Upstream};
use crate::usage::Changes;
use crate::xml::Element;

pub type Answer = Result<Response<Content>, S3Error>;

/// An admitted request, on its way through one operation.
pub struct Call {
    pub node: Arc<Node>,
    pub upstream: Arc<Upstream>,
    pub operation: Operation,
    pub request: Box<S3Request>,
    pub identity: Identity,
    pub shared: Arc<Shared>,
    pub body: Option<Source>,
    /// What a form asks to be answered.
    pub reply: Option<Reply>,
    /// The share of the node's room for documents that this call has taken.
    pub room: Option<tokio::sync::OwnedSemaphorePermit>,
    /// Whose bytes the body's count as, where they are limited.
    pub pace: Option<Arc<TenantLimiter>>,
    /// Where the operation says what it changed of what is stored.
    pub changes: Arc<Changes>,
    /// Where the account learns what was received.
    pub received: std::sync::Arc<std::sync::OnceLock<Arc<Outcome>>>,
    /// What the request was promised of the tenant's quotas.
    pub held: Arc<Held>,
}

pub async fn perform(call: Box<Call>) -> Answer {
    use Operation::*;
    // Reads alone are carried as they are: other operations' futures are larger, and a future is as large as the largest
    // that it may become.
    let other: BoxFuture<'static, Answer> = match call.operation {
        AbortMultipartUpload => Box::pin(delete_object::abort(call)),
        CompleteMultipartUpload => Box::pin(complete_multipart_upload::perform(call)),
        CopyObject => Box::pin(copy_object::perform(call)),
        CreateBucket => Box::pin(create_bucket::perform(call)),
        CreateMultipartUpload => Box::pin(create_multipart_upload::perform(call)),
        DeleteBucket => Box::pin(delete_bucket::perform(call)),
        DeleteBucketCors => Box::pin(cors::delete(call)),
        DeleteObject => Box::pin(delete_object::perform(call)),
        DeleteObjects => Box::pin(delete_objects::perform(call)),
        GetBucketAcl => return acl::of_bucket(&call),
        GetBucketCors => return cors::get(&call),
        GetBucketLocation => return head_bucket::location(&call),
        GetObject | HeadObject => return get_object::perform(call).await,
        GetObjectAcl => Box::pin(acl::of_object(call)),
        GetObjectAttributes => Box::pin(get_object_attributes::perform(call)),
        HeadBucket => return head_bucket::perform(&call),
        ListBuckets => return list_buckets::perform(&call),
        ListMultipartUploads => Box::pin(list_multipart_uploads::perform(call)),
        ListObjectVersions => Box::pin(list_object_versions::perform(call)),
        ListObjects => Box::pin(list_objects::v1(call)),
        ListObjectsV2 => Box::pin(list_objects::v2(call)),
        ListParts => Box::pin(list_parts::perform(call)),
        // Answered before anybody is asked for.
        OptionsObject => return Err(Code::InternalError.into()),
        PutBucketAcl => Box::pin(acl::set_of_bucket(call)),
        PutBucketCors => Box::pin(cors::put(call)),
        PostObject => Box::pin(post_object::perform(call)),
        PutObject => Box::pin(put_object::perform(call)),
        PutObjectAcl => Box::pin(acl::set_of_object(call)),
        UploadPart => Box::pin(put_object::part(call)),
        UploadPartCopy => Box::pin(copy_object::part(call)),
        DeleteBucketEncryption
        | DeleteBucketLifecycle
        | DeleteBucketTagging
        | DeleteObjectTagging => Box::pin(settings::delete(call)),
        GetBucketEncryption
        | GetBucketLifecycleConfiguration
        | GetBucketTagging
        | GetBucketVersioning
        | GetObjectLegalHold
        | GetObjectLockConfiguration
        | GetObjectRetention
        | GetObjectTagging => Box::pin(settings::get(call)),
        PutBucketEncryption
        | PutBucketLifecycleConfiguration
        | PutBucketTagging
        | PutBucketVersioning
        | PutObjectLegalHold
        | PutObjectLockConfiguration
        | PutObjectRetention
        | PutObjectTagging => Box::pin(settings::put(call)),
        GetBucketAccelerateConfiguration
        | GetBucketLogging
        | GetBucketNotificationConfiguration
        | GetBucketOwnershipControls
        | GetBucketPolicy
        | GetBucketPolicyStatus
        | GetBucketReplication
        | GetBucketRequestPayment
        | GetBucketWebsite
        | GetPublicAccessBlock => return fixed::perform(&call),
    };
    other.await
}

impl Call {
    pub fn bucket_name(&self) -> Result<&str, S3Error> {
        self.request
            .bucket
            .as_deref()
            .ok_or(Code::InvalidBucketName.into())
    }

    pub fn key(&self) -> Result<&str, S3Error> {
        self.request.key.as_deref().ok_or(Code::InvalidURI.into())
    }

    /// The place of the request's bucket.
    pub fn place(&self) -> Result<Place<'_>, S3Error> {
        self.place_of(self.bucket_name()?, self.operation.effect())
    }

    pub fn place_of(
        &self,
        bucket: &str,
        effect: crate::operation::Effect,
    ) -> Result<Place<'_>, S3Error> {
        let bucket = gate::bucket(&self.identity.tenant, bucket, effect)?;
        let engine = self
            .shared
            .engine(&bucket.placement.engine)
            .ok_or_else(|| {
                tracing::error!(
                    engine = bucket.placement.engine,
                    "a bucket is placed on an engine that this node does not know"
                );
                S3Error::new(Code::ServiceUnavailable)
            })?;
        Ok(Place { bucket, engine })
    }

    /// The request's body, as its signature announced it. It can be taken once.
    pub fn payload(&mut self, engine: EngineCapabilities) -> Result<Box<Payload>, S3Error> {
        let body = self.body.take().ok_or(Code::InternalError)?;
        let chunks = self.identity.chunks.take();
        let mut payload = Box::new(Payload::new(
            &self.request,
            &self.identity.payload,
            chunks,
            body,
            engine,
            self.node.patience.body,
        )?);
        payload.pace(Pace::new(self.pace.clone()));
        let _ = self.received.set(payload.outcome());
        Ok(payload)
    }

    /// The request's body as a whole document of `most` bytes.
    pub async fn document(&mut self, most: u64) -> Result<Bytes, S3Error> {
        let payload = self.payload(EngineCapabilities::default())?;
        let wanted = u32::try_from(payload.length().min(most).div_ceil(1024)).unwrap_or(u32::MAX);
        let room = self
            .node
            .document_room
            .clone()
            .try_acquire_many_owned(wanted.max(1));
        self.room = Some(room.map_err(|_| S3Error::new(Code::SlowDown).retry_after(1))?);
        payload.collect(most).await
    }

    /// What this write was admitted under, to be asked again before it is done.
    pub fn standing(&self) -> Result<Standing, S3Error> {
        let bucket = self.place()?.bucket;
        Ok(Standing {
            node: self.node.clone(),
            tenant_id: self.identity.tenant.id().to_owned(),
            access_key_id: self.identity.access_key_id.to_string(),
            bucket_id: bucket.id.clone(),
            bucket_name: bucket.name.clone(),
            operation: self.operation,
        })
    }

    /// Sends to the engine and awaits the head of a successful answer.
    pub async fn send(
        &self,
        request: EngineRequest<'_>,
    ) -> Result<Response<EngineAnswer>, S3Error> {
        let (now, shared) = (self.node.clock.now(), self.node.tenants.shared());
        self.upstream
            .send(as_it_is_now(&shared, request), now)
            .await
    }

    /// Asks the engine, whose answer is a document that its reader takes as it came.
    pub async fn fetch(&self, request: EngineRequest<'_>) -> Result<Bytes, S3Error> {
        let (now, shared) = (self.node.clock.now(), self.node.tenants.shared());
        let request = as_it_is_now(&shared, request);
        Ok(self.upstream.fetch(request, now).await?.1)
    }

    /// Asks the engine, whose answer is a document.
    pub async fn ask(&self, request: EngineRequest<'_>) -> Result<(HeaderMap, Element), S3Error> {
        let (now, shared) = (self.node.clock.now(), self.node.tenants.shared());
        let request = as_it_is_now(&shared, request);
        self.upstream.document(request, now).await
    }

    /// Takes over what a write is conditional on, if the engine can hold to it.
    pub fn pass_conditions(&self, request: &mut EngineRequest<'_>) -> Result<(), S3Error> {
        let conditions = ["if-match", "if-none-match"];
        let asked = conditions
            .iter()
            .any(|name| self.request.headers.contains_key(*name));
        if asked && !request.engine.capabilities.conditional_writes {
            return Err(S3Error::with(
                Code::NotImplemented,
                "This bucket's storage engine knows no conditional writes.",
            ));
        }
        request.headers.pass(&self.request, &conditions);
        Ok(())
    }

    pub fn payload_hash(&self) -> &PayloadHash {
        &self.identity.payload
    }

    /// The engine's upload id, if it was given out for this very bucket and key.
    pub fn upload_id(&self, place: Place<'_>) -> Result<String, S3Error> {
        let sealed = self.request.query.single("uploadId")?.unwrap_or("");
        let owner = Owner::Upload {
            bucket_id: &place.bucket.id,
            key: self.key()?,
        };
        self.shared
            .sealer
            .open(owner, sealed)
            .ok_or(Code::NoSuchUpload.into())
    }

    /// Has the control plane change a setting of the request's bucket, and waits until this node acts by it.
    pub async fn set(&self, setting: wire::BucketSetting) -> Result<(), S3Error> {
        let request = wire::SetBucket {
            tenant_id: self.identity.tenant.id().to_owned(),
            access_key_id: self.identity.access_key_id.to_string(),
            name: self.bucket_name()?.to_owned(),
            request_id: self.request.id.clone(),
            setting,
        };
        let changed = self.node.control.set_bucket(&request).await?;
        self.node.wait_for(changed.revision).await;
        Ok(())
    }

    /// Fails as a HEAD of the request's object would.
    pub async fn must_exist(&self, place: Place<'_>) -> Result<(), S3Error> {
        let request = EngineRequest::new(place.engine, Method::HEAD, place.engine_bucket())
            .key(place.key(self.key()?)?);
        let request = self.pass_version(place, request)?;
        self.send(request)
            .await
            .map(|_| ())
            .map_err(|error| self.explain_version(place, error))
    }

    pub fn seal(&self, owner: Owner<'_>, token: &str) -> Result<String, S3Error> {
        self.shared
            .sealer
            .seal(owner, token)
            .ok_or(Code::InternalError.into())
    }
}

/// An upload may take hours, in which the engine's credentials are exchanged: once a node has said that it has the new
/// ones, nothing is signed with those before.
fn as_it_is_now<'a>(
    shared: &'a Option<Arc<Shared>>,
    mut request: EngineRequest<'a>,
) -> EngineRequest<'a> {
    let now = shared
        .as_ref()
        .and_then(|now| now.engine(&request.engine.id));
    request.engine = now.unwrap_or(request.engine);
    request
}

/// A small document with status 200.
pub fn xml(document: String) -> Response<Content> {
    let mut response = Response::new(Content::from(document));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/xml"),
    );
    response
}

pub fn empty(status: StatusCode) -> Response<Content> {
    let mut response = Response::new(Content::Empty);
    *response.status_mut() = status;
    response
}
