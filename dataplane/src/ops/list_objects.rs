//! ListObjects, versions 1 and 2, over one way of asking the engine.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>

use http::Method;

use super::{Answer, Call, xml};
use crate::error::{Code, S3Error};
use crate::listing::{Encoding, Object, Page, at_most, read_objects};
use crate::ordered::{self, Entry, Fetched, Source, Start, Wanted};
use crate::place::Place;
use crate::seal::Owner;
use crate::upstream::EngineRequest;
use crate::xml::XmlWriter;

/// What every listing of objects asks for.
pub struct Asked<'a> {
    pub prefix: &'a str,
    pub delimiter: &'a str,
    pub most: u32,
    pub encoding: Encoding,
}

impl<'a> Asked<'a> {
    pub fn read(call: &'a Call) -> Result<Asked<'a>, S3Error> {
        let query = &call.request.query;
        Ok(Asked {
            prefix: query.single("prefix")?.unwrap_or(""),
            delimiter: query.single("delimiter")?.unwrap_or(""),
            most: at_most(query.single("max-keys")?, "max-keys", 1000)?,
            encoding: Encoding::parse(query.single("encoding-type")?)?,
        })
    }

    /// Whether it is not known beforehand that nothing can be there.
    pub fn can_find(&self, place: Place<'_>) -> bool {
        self.most > 0 && place.may_begin(self.prefix)
    }

    /// The page that comes after this key, in S3's order.
    pub async fn after(&self, call: &Call, place: Place<'_>, key: &str) -> Result<Page, S3Error> {
        if !place.engine.capabilities.byte_order {
            return self.ordered_page(call, place, key, false).await;
        }
        let mut request = self.request(place);
        if !key.is_empty() {
            request = request.query("marker", place.boundary(key));
        }
        self.page(call, place, request).await
    }

    fn request<'p>(&self, place: Place<'p>) -> EngineRequest<'p> {
        let request = EngineRequest::new(place.engine, Method::GET, place.engine_bucket())
            .query("encoding-type", "url")
            .query("max-keys", self.most.to_string())
            .query("prefix", place.boundary(self.prefix));
        if self.delimiter.is_empty() {
            request
        } else {
            request.query("delimiter", self.delimiter)
        }
    }

    /// Asks, unless it is known that nothing can be there.
    async fn page(
        &self,
        call: &Call,
        place: Place<'_>,
        request: EngineRequest<'_>,
    ) -> Result<Page, S3Error> {
        if !self.can_find(place) {
            return Ok(Page::default());
        }
        read_objects(place, &call.fetch(request).await?)
    }

    /// The same from an engine that sorts otherwise: what comes after this key, in S3's order.
    async fn ordered_page(
        &self,
        call: &Call,
        place: Place<'_>,
        after: &str,
        continued: bool,
    ) -> Result<Page, S3Error> {
        let mut page = Page::default();
        if !self.can_find(place) {
            return Ok(page);
        }
        let most = self.most as usize;
        let source = Engine { call, place };
        let wanted = Wanted {
            prefix: self.prefix,
            delimiter: self.delimiter,
            after,
            continued,
        };
        let mut entries = ordered::list(&source, wanted, most + 1).await?;
        page.is_truncated = entries.len() > most;
        entries.truncate(most);
        if let Some(last) = entries.last().filter(|_| page.is_truncated) {
            page.next_marker = Some(last.key().to_owned());
            page.next_token = Some(format!("{ORDERED}{}", last.key()));
        }
        for entry in entries {
            match entry {
                Entry::Object(object) => page.objects.push(object),
                Entry::CommonPrefix(prefix) => page.common_prefixes.push(prefix),
            }
        }
        Ok(page)
    }

    pub fn write_head(&self, out: &mut XmlWriter, bucket: &str, truncated: bool) {
        out.text("Name", bucket);
        out.text("Prefix", &self.encoding.write(self.prefix));
        if !self.delimiter.is_empty() {
            out.text("Delimiter", &self.encoding.write(self.delimiter));
        }
        out.number("MaxKeys", self.most);
        if self.encoding == Encoding::Url {
            out.text("EncodingType", "url");
        }
        out.text("IsTruncated", if truncated { "true" } else { "false" });
    }

    fn write_page(&self, out: &mut XmlWriter, page: &Page, owner: Option<&str>) {
        for object in &page.objects {
            write_object(out, object, self.encoding, owner);
        }
        for prefix in &page.common_prefixes {
            out.open("CommonPrefixes");
            out.text("Prefix", &self.encoding.write(prefix));
            out.close("CommonPrefixes");
        }
    }
}

/// Stands before a key in a token that is the last key given out, and not an engine's own. No engine's begins so.
const ORDERED: char = '\u{2}';

/// An engine as the ordered walk asks it.
struct Engine<'a> {
    call: &'a Call,
    place: Place<'a>,
}

impl Source for Engine<'_> {
    /// One more than a client's page, so that a folder which just fills that is seen to end. Engines that stop at 1,000
    /// say so.
    fn page_size(&self) -> usize {
        1001
    }

    fn fetch<'f>(&'f self, prefix: &'f str, folders: bool, start: Start) -> Fetched<'f> {
        let Engine { call, place } = *self;
        let mut request = EngineRequest::new(place.engine, Method::GET, place.engine_bucket())
            .query("list-type", "2")
            .query("encoding-type", "url")
            .query("max-keys", self.page_size().to_string())
            .query("prefix", place.boundary(prefix));
        if folders {
            request = request.query("delimiter", "/");
        }
        request = match start {
            Start::Beginning => request,
            Start::After(key) => request.query("start-after", place.boundary(&key)),
            Start::Token(token) => request.query("continuation-token", token),
        };
        Box::pin(async move {
            let mut page = read_objects(place, &call.fetch(request).await?)?;
            page.max_keys.get_or_insert(1000);
            Ok(page)
        })
    }
}

fn write_object(out: &mut XmlWriter, object: &Object, encoding: Encoding, owner: Option<&str>) {
    out.open("Contents");
    out.text("Key", &encoding.write(&object.key));
    out.text("LastModified", &object.last_modified);
    object.write_content(out);
    if let Some(owner) = owner {
        out.open("Owner");
        out.text("ID", owner);
        out.text("DisplayName", owner);
        out.close("Owner");
    }
    out.close("Contents");
}

/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjects.html>
pub async fn v1(call: Box<Call>) -> Answer {
    let place = call.place()?;
    let asked = Asked::read(&call)?;
    let marker = call.request.query.single("marker")?.unwrap_or("");
    let page = asked.after(&call, place, marker).await?;
    let mut out = XmlWriter::s3("ListBucketResult");
    asked.write_head(&mut out, call.bucket_name()?, page.is_truncated);
    out.text("Marker", &asked.encoding.write(marker));
    if let Some(next) = &page.next_marker {
        out.text("NextMarker", &asked.encoding.write(next));
    }
    asked.write_page(&mut out, &page, Some(call.identity.tenant.id()));
    out.close("ListBucketResult");
    Ok(xml(out.finish()))
}

pub async fn v2(call: Box<Call>) -> Answer {
    let place = call.place()?;
    let asked = Asked::read(&call)?;
    let query = &call.request.query;
    let token = query.single("continuation-token")?;
    let start_after = query.single("start-after")?.unwrap_or("");
    let owner = Owner::Listing {
        bucket_id: &place.bucket.id,
    };
    let opened = token
        .filter(|token| !token.is_empty())
        .map(|token| {
            call.shared
                .sealer
                .open(owner, token)
                .ok_or_else(foreign_token)
        })
        .transpose()?;
    let fetch_owner = query.single("fetch-owner")? == Some("true");
    let page = if place.engine.capabilities.byte_order {
        let mut request = asked.request(place).query("list-type", "2");
        if let Some(opened) = opened {
            request = request.query("continuation-token", opened);
        } else if !start_after.is_empty() {
            request = request.query("start-after", place.boundary(start_after));
        }
        asked.page(&call, place, request).await?
    } else {
        let after = match &opened {
            Some(opened) => opened.strip_prefix(ORDERED).ok_or_else(foreign_token)?,
            None => start_after,
        };
        asked
            .ordered_page(&call, place, after, opened.is_some())
            .await?
    };
    let mut out = XmlWriter::s3("ListBucketResult");
    asked.write_head(&mut out, call.bucket_name()?, page.is_truncated);
    out.number("KeyCount", page.objects.len() + page.common_prefixes.len());
    if let Some(token) = token {
        out.text("ContinuationToken", token);
    }
    if let Some(next) = &page.next_token {
        out.text("NextContinuationToken", &call.seal(owner, next)?);
    }
    if !start_after.is_empty() {
        out.text("StartAfter", &asked.encoding.write(start_after));
    }
    asked.write_page(
        &mut out,
        &page,
        fetch_owner.then(|| call.identity.tenant.id()),
    );
    out.close("ListBucketResult");
    Ok(xml(out.finish()))
}

fn foreign_token() -> S3Error {
    S3Error::with(
        Code::InvalidArgument,
        "The continuation token provided is incorrect",
    )
}
