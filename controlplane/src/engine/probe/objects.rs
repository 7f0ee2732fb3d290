//! What the engine makes of single objects: their keys, order, checksums, conditions, tags and encryption.

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, ObjectAttributes, ServerSideEncryption, Tag, Tagging,
};
use bytes::Bytes;
use http_body_util::Full;

use super::{AWKWARD, BODY, Scratch, accepted, answer};
use crate::engine::explain;

/// CRC-32 of [`BODY`], base64 of four bytes, big-endian.
const BODY_CRC32: &str = "UIiWHA==";

/// A checksum of [`BODY`], in base64; what says it of an object that is being written, and what tells it of one that is there.
type Checksum = (
    &'static str,
    fn(PutObjectFluentBuilder, String) -> PutObjectFluentBuilder,
    fn(&HeadObjectOutput) -> Option<&str>,
);

const CHECKSUMS: [Checksum; 4] = [
    (
        BODY_CRC32,
        |put, value| put.checksum_crc32(value),
        HeadObjectOutput::checksum_crc32,
    ),
    (
        "QkyOyA==",
        |put, value| put.checksum_crc32_c(value),
        HeadObjectOutput::checksum_crc32_c,
    ),
    (
        "HZayQNx220emnGk//QXPHHfWYPs=",
        |put, value| put.checksum_sha1(value),
        HeadObjectOutput::checksum_sha1,
    ),
    (
        "AP6dtzeZ6I4UdMjVcOc7BKYx7SuuWOpfSSpnxmoRxjs=",
        |put, value| put.checksum_sha256(value),
        HeadObjectOutput::checksum_sha256,
    ),
];

const CRC64NVME: Checksum = (
    "Y94s1aBkMkk=",
    |put, value| put.checksum_crc64_nvme(value),
    HeadObjectOutput::checksum_crc64_nvme,
);

const NEWER_CHECKSUMS: [Checksum; 5] = [
    (
        "rrxBU3A2XuDHJK248ETyCwbiw+BQtuJlbY2QTHphGGOe4TFXvrHfgKMb/X/KXspoMQ1J8M3DmC+JejF1vtxGEw==",
        |put, value| put.checksum_sha512(value),
        HeadObjectOutput::checksum_sha512,
    ),
    (
        "TzgAOwNBoPZYDfEbG/YEwA==",
        |put, value| put.checksum_md5(value),
        HeadObjectOutput::checksum_md5,
    ),
    (
        "tEz7eDn8BiE=",
        |put, value| put.checksum_xxhash64(value),
        HeadObjectOutput::checksum_xxhash64,
    ),
    (
        "Xjuskv+MJFw=",
        |put, value| put.checksum_xxhash3(value),
        HeadObjectOutput::checksum_xxhash3,
    ),
    (
        "mBVUESIwjWJhafT8JIYsng==",
        |put, value| put.checksum_xxhash128(value),
        HeadObjectOutput::checksum_xxhash128,
    ),
];

/// A customer's key of 32 bytes, and its MD5, in base64: whoever knows it can read what a probe wrote.
const CUSTOMER_KEY: &str = "dmF1bHRhaXJlIHByb2JlcyB3aXRoIHRoaXMga2V5ISE=";
const CUSTOMER_KEY_MD5: &str = "zRNyPqakV6lfxaEe4OPHyw==";
const AES256: &str = "AES256";

/// SeaweedFS 4.48 answers the MD5 of a customer's key twice, which the SDK cannot read. One is enough.
#[derive(Debug)]
struct OnceIsEnough;

impl Intercept for OnceIsEnough {
    fn name(&self) -> &'static str {
        "OnceIsEnough"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        const MD5: &str = "x-amz-server-side-encryption-customer-key-md5";
        let headers = context.response_mut().headers_mut();
        if let Some(value) = headers.get(MD5).map(str::to_owned) {
            headers.insert(MD5, value);
        }
        Ok(())
    }
}

impl Scratch<'_> {
    pub(super) async fn keeps_keys(&self) -> anyhow::Result<bool> {
        for (key, mangled) in AWKWARD {
            let taken = accepted(self.put(key).send().await)?;
            if !taken || self.is_there(mangled).await? || !self.is_there(key).await? {
                return Ok(false);
            }
        }
        let mut listed = self.list().await?;
        let mut expected = AWKWARD.map(|(key, _)| self.key(key));
        listed.sort();
        expected.sort();
        Ok(listed == expected)
    }

    pub(super) async fn verifies_checksums(&self) -> anyhow::Result<bool> {
        self.verifies_each("first", &CHECKSUMS).await
    }

    pub(super) async fn verifies_crc64nvme(&self) -> anyhow::Result<bool> {
        self.verifies_each("crc64nvme", &[CRC64NVME]).await
    }

    pub(super) async fn verifies_newer_checksums(&self) -> anyhow::Result<bool> {
        self.verifies_each("newer", &NEWER_CHECKSUMS).await
    }

    /// Each is refused where it is wrong, and comes back where it is right.
    async fn verifies_each(&self, folder: &str, checksums: &[Checksum]) -> anyhow::Result<bool> {
        let (wrong_key, right_key) = (format!("{folder}/wrong"), format!("{folder}/right"));
        for (right, put, told) in checksums {
            let another = if right.starts_with('A') { "B" } else { "A" };
            let wrong = put(self.put(&wrong_key), format!("{another}{}", &right[1..]));
            let as_it_is = put(self.put(&right_key), (*right).to_owned());
            if accepted(wrong.send().await)?
                || self.is_there(&wrong_key).await?
                || !accepted(as_it_is.send().await)?
            {
                return Ok(false);
            }
            let head = self
                .client
                .head_object()
                .bucket(&self.bucket)
                .key(self.key(&right_key))
                .checksum_mode(ChecksumMode::Enabled)
                .send()
                .await
                .map_err(explain)?;
            if told(&head) != Some(*right) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// S3 sorts whole keys by their bytes, so that `/` comes behind a blank and before a zero.
    pub(super) async fn lists_in_byte_order(&self) -> anyhow::Result<bool> {
        const SORTED: [&str; 4] = ["order/n b", "order/n-b", "order/n/b", "order/n0b"];
        for key in SORTED {
            if !accepted(self.put(key).send().await)? {
                return Ok(false);
            }
        }
        let listed = self.list().await?;
        let prefix = self.key("order/");
        let listed: Vec<String> = listed
            .into_iter()
            .filter(|key| key.starts_with(&prefix))
            .collect();
        Ok(listed == SORTED.map(|key| self.key(key)))
    }

    /// A body that cannot be read twice makes the SDK send its checksum in a trailer.
    pub(super) async fn understands_trailers(&self) -> anyhow::Result<bool> {
        let body = SdkBody::from_body_1_x(Full::new(Bytes::from_static(BODY)));
        let put = self
            .put("trailer")
            .body(ByteStream::new(body))
            .checksum_algorithm(ChecksumAlgorithm::Crc32);
        if !accepted(put.send().await)? {
            return Ok(false);
        }
        let get = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(self.key("trailer"))
            .checksum_mode(ChecksumMode::Enabled);
        let got = match get.send().await {
            Ok(got) => got,
            refused => return accepted(refused),
        };
        let checksum = got.checksum_crc32() == Some(BODY_CRC32);
        Ok(checksum && got.body.collect().await?.into_bytes() == BODY)
    }

    pub(super) async fn honours_conditions(&self) -> anyhow::Result<bool> {
        let first = self.put("once").if_none_match("*");
        let second = self.put("once").if_none_match("*");
        let other = "\"00000000000000000000000000000000\"";
        let third = self.put("once").if_match(other);
        Ok(accepted(first.send().await)?
            && !accepted(second.send().await)?
            && !accepted(third.send().await)?)
    }

    /// Tags come with the object, are replaced, and are returned.
    pub(super) async fn tags_objects(&self) -> anyhow::Result<bool> {
        if !accepted(self.put("tagged").tagging("first=1").send().await)?
            || self.tags("tagged").await? != [("first".to_owned(), "1".to_owned())]
        {
            return Ok(false);
        }
        let put = self
            .client
            .put_object_tagging()
            .bucket(&self.bucket)
            .key(self.key("tagged"))
            .tagging(one_tag("second", "2")?);
        Ok(accepted(put.send().await)?
            && self.tags("tagged").await? == [("second".to_owned(), "2".to_owned())])
    }

    async fn tags(&self, key: &str) -> anyhow::Result<Vec<(String, String)>> {
        let get = self
            .client
            .get_object_tagging()
            .bucket(&self.bucket)
            .key(self.key(key));
        let found = answer(get.send().await)?;
        Ok(found.map_or_else(Vec::new, |found| pairs(found.tag_set())))
    }

    pub(super) async fn encrypts_objects(&self) -> anyhow::Result<bool> {
        let put = self
            .put("encrypted")
            .server_side_encryption(ServerSideEncryption::Aes256);
        if !accepted(put.send().await)? {
            return Ok(false);
        }
        let head = self
            .client
            .head_object()
            .bucket(&self.bucket)
            .key(self.key("encrypted"));
        let head = answer(head.send().await)?;
        Ok(head.is_some_and(|head| {
            head.server_side_encryption() == Some(&ServerSideEncryption::Aes256)
        }))
    }

    /// With a customer's key. Many engines take it over TLS alone, as S3 does.
    pub(super) async fn encrypts_for_customers(&self) -> anyhow::Result<bool> {
        let put = self
            .put("customers")
            .sse_customer_algorithm(AES256)
            .sse_customer_key(CUSTOMER_KEY)
            .sse_customer_key_md5(CUSTOMER_KEY_MD5);
        if !accepted(put.send().await)? {
            return Ok(false);
        }
        let get = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(self.key("customers"));
        if accepted(get.clone().send().await)? {
            return Ok(false);
        }
        let get = get
            .sse_customer_algorithm(AES256)
            .sse_customer_key(CUSTOMER_KEY)
            .sse_customer_key_md5(CUSTOMER_KEY_MD5)
            .customize()
            .interceptor(OnceIsEnough);
        match answer(get.send().await)? {
            Some(got) => Ok(got.body.collect().await?.into_bytes() == BODY),
            None => Ok(false),
        }
    }

    pub(super) async fn tells_attributes(&self) -> anyhow::Result<bool> {
        if !accepted(self.put("described").send().await)? {
            return Ok(false);
        }
        let get = self
            .client
            .get_object_attributes()
            .bucket(&self.bucket)
            .key(self.key("described"))
            .object_attributes(ObjectAttributes::Etag)
            .object_attributes(ObjectAttributes::ObjectSize);
        let found = answer(get.send().await)?;
        Ok(found.is_some_and(|found| {
            let size = found
                .object_size()
                .and_then(|size| usize::try_from(size).ok());
            found.e_tag().is_some_and(|tag| !tag.is_empty()) && size == Some(BODY.len())
        }))
    }
}

pub(super) fn one_tag(key: &str, value: &str) -> anyhow::Result<Tagging> {
    let tag = Tag::builder().key(key).value(value).build()?;
    Ok(Tagging::builder().tag_set(tag).build()?)
}

pub(super) fn pairs(tags: &[Tag]) -> Vec<(String, String)> {
    let pairs = tags.iter().map(|tag| (tag.key.clone(), tag.value.clone()));
    pairs.collect()
}
