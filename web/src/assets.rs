//! The files under `/static`, built into the program.
//! Their addresses bear a hash of the content, so that browsers may keep them for good.

use std::sync::LazyLock;

use axum::extract::{Path, RawQuery};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use sha2::{Digest, Sha256};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};

use crate::failure::Failure;

struct Asset {
    name: &'static str,
    content_type: &'static str,
    body: Vec<u8>,
    hash: String,
}

impl Asset {
    fn new(name: &'static str, content_type: &'static str, body: Vec<u8>) -> Self {
        let digest = Sha256::digest(&body);
        let hash = digest[..8].iter().map(|b| format!("{b:02x}")).collect();
        Self {
            name,
            content_type,
            body,
            hash,
        }
    }

    fn url(&self) -> String {
        format!("/static/{}?v={}", self.name, self.hash)
    }
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let fonts = [
        Asset::new(
            "sans.woff2",
            "font/woff2",
            include_bytes!("../static/sans.woff2").to_vec(),
        ),
        Asset::new(
            "mono.woff2",
            "font/woff2",
            include_bytes!("../static/mono.woff2").to_vec(),
        ),
    ];
    let mut sheet = include_str!("../static/site.css").to_owned();
    for font in &fonts {
        sheet = sheet.replace(&format!("/static/{}", font.name), &font.url());
    }
    let mut assets = Vec::from(fonts);
    assets.extend([
        Asset::new("site.css", "text/css; charset=utf-8", sheet.into()),
        Asset::new(
            "site.js",
            "text/javascript; charset=utf-8",
            include_bytes!("../static/site.js").to_vec(),
        ),
        Asset::new(
            "upload.js",
            "text/javascript; charset=utf-8",
            include_bytes!("../static/upload.js").to_vec(),
        ),
        Asset::new(
            "live.js",
            "text/javascript; charset=utf-8",
            include_bytes!("../static/live.js").to_vec(),
        ),
        Asset::new(
            "passkey.js",
            "text/javascript; charset=utf-8",
            include_bytes!("../static/passkey.js").to_vec(),
        ),
        Asset::new(
            "favicon.svg",
            "image/svg+xml",
            include_bytes!("../static/favicon.svg").to_vec(),
        ),
    ]);
    assets
});

/// The address of an embedded file. Templates alone call this; a name that does not exist gives a dead link, and
/// a test looks for those.
pub fn url(name: &str) -> String {
    match ASSETS.iter().find(|asset| asset.name == name) {
        Some(asset) => asset.url(),
        None => format!("/static/{name}"),
    }
}

/// Sheets and scripts travel compressed; fonts are already. Pages never do (decision 0023).
pub fn compression() -> CompressionLayer<impl Predicate> {
    let worth = SizeAbove::new(256).and(NotForContentType::const_new("font/"));
    CompressionLayer::new().compress_when(worth)
}

pub async fn serve(
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let asset = ASSETS.iter().find(|asset| asset.name == name);
    let asset = asset.ok_or(Failure::from(StatusCode::NOT_FOUND))?;
    let current = query.is_some_and(|query| query == format!("v={}", asset.hash));
    let caching = match current {
        true => "public, max-age=31536000, immutable",
        false => "no-cache",
    };
    // Weak: compressed or not, it is the same file.
    let tag = format!("W/\"{}\"", asset.hash);
    let known = headers.get(header::IF_NONE_MATCH);
    let unchanged = known.is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let reply_headers = [
        (header::CONTENT_TYPE, asset.content_type.to_owned()),
        (header::CACHE_CONTROL, caching.to_owned()),
        (header::ETAG, tag),
    ];
    Ok(match unchanged {
        true => (StatusCode::NOT_MODIFIED, reply_headers).into_response(),
        false => (reply_headers, asset.body.as_slice()).into_response(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sheet_names_fonts_by_their_hashed_address() {
        let sheet = ASSETS.iter().find(|asset| asset.name == "site.css");
        let sheet = String::from_utf8_lossy(&sheet.expect("a style sheet").body);
        for font in ["sans.woff2", "mono.woff2"] {
            assert!(sheet.contains(&url(font)), "{font}");
        }
        assert!(!sheet.contains(".woff2\""));
    }

    #[test]
    fn a_page_with_everything_on_it_stays_far_below_100_kb() {
        // Before they are compressed; `e2e` weighs what travels.
        let total: usize = ASSETS.iter().map(|asset| asset.body.len()).sum();
        assert!(total < 80 * 1024, "{total}");
    }
}
